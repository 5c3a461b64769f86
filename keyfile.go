package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"healthrecords/store"
)

// keyFile returns the key that the file at path holds, as text without its
// newline, and makes file, key and directory when there is none; made tells
// that this call made it. The text is 32 random bytes as base64url, which
// [decodeKey] returns. When several processes start at once, all get the same
// key, and when it returns the key is on the disk.
//
// A file that others can reach, or that holds no whole key, is an error and
// stays as it is: what a lost key encrypted cannot be read again.
func keyFile(path string) (key []byte, made bool, err error) {
	key, err = readKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	made, err = makeKeyFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("make key file %s: %w", path, err)
	}
	key, err = readKeyFile(path) // another process may have been first
	return key, made, err
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s is open to others: chmod 600 %[1]s", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, secretLimit)) // many keys; what is cut off does not decode
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	key := trimNewline(content)
	if _, err := decodeKeys(key); err != nil {
		return nil, fmt.Errorf("key file %s is damaged: %w; put its copy back, a new key cannot read what this one wrote", path, err)
	}
	return key, nil
}

// makeKeyFile makes a key file and its directory, both for the owner alone. It
// tells whether it did: a file that is there already is never replaced.
func makeKeyFile(path string) (made bool, err error) {
	dir := filepath.Dir(path)
	if err := makeDirectory(dir); err != nil {
		return false, err
	}
	temporary, err := writeNewKey(dir)
	if err != nil {
		return false, err
	}
	defer os.Remove(temporary)
	// Unlike a rename, a link does not replace what another process made.
	err = os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	// Also after another's link: the key is used now, and must not be gone after
	// a crash.
	return err == nil, syncDirectory(dir)
}

// writeNewKey writes a new key to a file of its own in dir, mode 0600, and to
// the disk. It returns the file's name.
func writeNewKey(dir string) (name string, err error) {
	f, err := os.CreateTemp(dir, ".new-key-*")
	if err != nil {
		return "", err
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	_, err = fmt.Fprintln(f, base64.RawURLEncoding.EncodeToString(key[:]))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// addKey puts a new key before those in a key file, and writes that to the
// disk. Nothing that was in the file is lost at any moment, unless two do this
// at once.
func addKey(path string) error {
	path, err := filepath.EvalSymlinks(path) // a link stays one
	if err != nil {
		return err
	}
	old, err := readKeyFile(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	temporary, err := writeNewKey(dir)
	if err != nil {
		return err
	}
	defer os.Remove(temporary) // nothing, once it is renamed
	f, err := os.OpenFile(temporary, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n", old)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := store.KeepOwner(path, temporary); err != nil {
		return fmt.Errorf("the key file must stay its owner's; run this as the user that serves: %w", err)
	}
	return errors.Join(os.Rename(temporary, path), syncDirectory(dir))
}

// makeDirectory makes dir and those above it that are missing, mode 0700, and
// writes each to the disk.
func makeDirectory(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirectory(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(dir))
}

// syncDirectory writes the names in a directory to the disk.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
