//go:build !unix

package store

// KeepOwner does nothing where files have no owner in the sense of POSIX.
func KeepOwner(of, file string) error { return nil }
