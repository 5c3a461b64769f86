//go:build linux || darwin

package main

import (
	"os/exec"
	"syscall"
)

// setApart has a process begin a group of its own, to which the terminal's Ctrl-C
// does not come: it is needed until the service has ended.
func setApart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// goBehind has all others go before this process, which is alone in its group:
// Linux would lower one thread when asked for a process. Where that is forbidden,
// it takes its turn like any other.
func goBehind() { _ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 10) }
