package store

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitSilence makes a connection fail whose other end has not confirmed for so
// long what was sent: TCP itself would wait for a quarter of an hour, and with it
// the query, its deadline or not (tcp(7), TCP_USER_TIMEOUT).
func limitSilence(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) (err error) {
		if network == "unix" {
			return nil
		}
		failed := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
		})
		if failed != nil {
			return failed
		}
		return err
	}
}
