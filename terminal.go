package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// passwordLimit is in bytes, and above the 1,024 code points that a password
// has at most.
const passwordLimit = 8 << 10

var (
	errNoTerminal      = errors.New("standard input is no terminal; give the password with --password-stdin")
	errNoPassword      = errors.New("no password was given")
	errPasswordTooLong = fmt.Errorf("the password has more than %d bytes", passwordLimit)
)

// readPassword asks on standard error for a password and reads a line from
// standard input without showing it. It fails when standard input is no
// terminal, and when the input ends before a line. Whatever ends the process
// meanwhile, the terminal shows what is typed again.
func readPassword(prompt string) (string, error) {
	return askHidden(os.Stdin, os.Stderr, prompt)
}

// readPasswordFrom returns all of r but one newline ("\n" or "\r\n") at its
// end, and fails when that is more than 8 KiB.
func readPasswordFrom(r io.Reader) (string, error) {
	content, err := io.ReadAll(io.LimitReader(r, passwordLimit+3)) // the newline, and one too many
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password := trimNewline(content)
	if len(password) > passwordLimit {
		return "", errPasswordTooLong
	}
	return string(password), nil
}

// readLine returns a line without its newline. It reads byte by byte, so that
// what follows the line stays for the next reader.
func readLine(r io.Reader) (string, error) {
	var line []byte
	next := make([]byte, 1)
	for {
		n, err := r.Read(next)
		switch {
		case n == 1 && next[0] == '\n':
			return string(trimNewline(append(line, '\n'))), nil
		case n == 1 && len(line) == passwordLimit:
			return "", errPasswordTooLong
		case n == 1:
			line = append(line, next[0])
		case errors.Is(err, io.EOF):
			return "", errNoPassword
		case err != nil:
			return "", fmt.Errorf("read the password: %w", err)
		}
	}
}
