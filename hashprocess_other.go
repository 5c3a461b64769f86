//go:build !linux && !darwin

package main

import "os/exec"

// setApart does nothing where there are no such groups.
func setApart(*exec.Cmd) {}

// goBehind does nothing where priorities are no numbers.
func goBehind() {}
