//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
)

// Whoever rotates the keys, the user that serves can read them afterwards.
func TestKeysRotateKeepsTheOwnerOfTheKeyFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give a file to another user")
	}
	m := newMachine(t)
	m.staff("admin")
	const user, group = 4711, 4712
	if err := os.Chown(m.path("data.key"), user, group); err != nil {
		t.Fatal(err)
	}
	_, before := m.newest()
	m.want(exitDone, "current\n", "4 keys were wrapped anew", "keys", "rotate")
	if _, now := m.newest(); now == before {
		t.Error("keys rotate left the key that was there, want a new one")
	}
	info, err := os.Stat(m.path("data.key"))
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != user || s.Gid != group {
		t.Errorf("the key file is owned by %d:%d, want %d:%d", s.Uid, s.Gid, user, group)
	}
	wantMode(t, m.path("data.key"), 0o600)
}
