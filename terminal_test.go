package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadPasswordFrom(t *testing.T) {
	long := strings.Repeat("p", passwordLimit)
	for _, c := range []struct {
		in, want string
		err      error
	}{
		{"", "", nil},
		{"word", "word", nil},
		{"word\n", "word", nil},
		{"word\r\n", "word", nil},
		{"word\r", "word\r", nil},
		{"word\n\n", "word\n", nil},
		{" two words \n", " two words ", nil},
		{"two\nlines\n", "two\nlines", nil},
		{long + "\r\n", long, nil},
		{long + "p", "", errPasswordTooLong},
		{long + "p\n", "", errPasswordTooLong},
		{long + long, "", errPasswordTooLong},
	} {
		got, err := readPasswordFrom(iotest.HalfReader(strings.NewReader(c.in)))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("readPasswordFrom of %d bytes = %d bytes, %v, want %d, %v", len(c.in), len(got), err, len(c.want), c.err)
		}
	}
	if _, err := readPasswordFrom(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("readPasswordFrom of a closed pipe error = %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("p", passwordLimit)
	for _, c := range []struct {
		in, want, rest string
		err            error
	}{
		{"word\nmore\n", "word", "more\n", nil},
		{"word\r\nmore", "word", "more", nil},
		{"\n", "", "", nil},
		{"", "", "", errNoPassword},
		{"word", "", "", errNoPassword},
		{long + "\n", long, "", nil},
		{long + "p\n", "", "\n", errPasswordTooLong},
	} {
		in := strings.NewReader(c.in)
		got, err := readLine(in)
		rest, _ := io.ReadAll(in)
		if got != c.want || !errors.Is(err, c.err) || string(rest) != c.rest {
			t.Errorf("readLine of %.10q = %.10q, %v, rest %.10q, want %.10q, %v, rest %.10q", c.in, got, err, rest, c.want, c.err, c.rest)
		}
	}
}
