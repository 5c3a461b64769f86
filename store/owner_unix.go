//go:build unix

package store

import (
	"os"
	"syscall"
)

// KeepOwner gives a file the owner and group of another, or of a directory, so
// that what root writes for a service can still be read by the user that serves.
// It fails when the caller may not.
func KeepOwner(of, file string) error {
	info, err := os.Stat(of)
	if err != nil {
		return err
	}
	now, err := os.Stat(file)
	if err != nil {
		return err
	}
	want, have := info.Sys().(*syscall.Stat_t), now.Sys().(*syscall.Stat_t)
	if want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	return os.Chown(file, int(want.Uid), int(want.Gid))
}
