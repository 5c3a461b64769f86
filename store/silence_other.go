//go:build !linux

package store

import (
	"syscall"
	"time"
)

// limitSilence does nothing where TCP has no such limit.
func limitSilence(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
