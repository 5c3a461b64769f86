//go:build !linux && !darwin

package main

import (
	"io"
	"os"
)

// isTerminal says no: nothing here depends on a terminal.
func isTerminal(*os.File) bool { return false }

// askHidden fails: a password is never read where it would be shown.
func askHidden(*os.File, io.Writer, string) (string, error) { return "", errNoTerminal }
