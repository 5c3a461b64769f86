package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRunRefusesWrongUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := []string{"-dir", t.TempDir(), "-staff", "s"}
	tests := []struct {
		name           string
		password, seed string
		args           []string
	}{
		{"no folder", "p", "s", []string{"-staff", "s"}},
		{"no staff", "p", "s", []string{"-dir", "."}},
		{"no password", "", "s", good},
		{"two passwords", "p", "s", append(slices.Clip(good), "-password-file", file)},
		{"a password file that is not there", "", "s", append(slices.Clip(good), "-password-file", file+"x")},
		{"passwords kept nowhere", "p", "", good},
		{"an argument too many", "p", "s", append(slices.Clip(good), "more")},
		{"an unknown flag", "p", "s", append(slices.Clip(good), "-password", "p")},
		{"no workers", "p", "s", append(slices.Clip(good), "-workers", "0")},
		{"a server with a path", "p", "s", append(slices.Clip(good), "-server", "http://host/api")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("STAFF_PASSWORD", test.password)
			t.Setenv("LOAD_SEED", test.seed)
			if got := run(context.Background(), test.args, io.Discard, io.Discard); got != 2 {
				t.Errorf("run(%q) = %d, want 2", test.args, got)
			}
		})
	}
}

func TestParseTakesPasswordFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(" two\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STAFF_PASSWORD", "")
	t.Setenv("LOAD_SEED", "seed")
	o, err := parse([]string{"-dir", ".", "-staff", "s", "-password-file", file}, io.Discard)
	if err != nil {
		t.Fatalf("parse error = %v, want nil", err)
	}
	if o.staffPassword != " two\n" {
		t.Error("the password is not the file without its last newline")
	}
}
