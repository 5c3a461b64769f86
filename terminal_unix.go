//go:build linux || darwin

package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// isTerminal tells whether f is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), readTermios)
	return err == nil
}

// askHidden writes prompt to out and reads a line from the terminal in, which
// does not show it.
func askHidden(in *os.File, out io.Writer, prompt string) (string, error) {
	fd := int(in.Fd())
	shown, err := unix.IoctlGetTermios(fd, readTermios)
	if err != nil {
		return "", errNoTerminal
	}
	hidden := *shown
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG // lines, and Ctrl-C
	hidden.Iflag |= unix.ICRNL
	show := func() { _ = unix.IoctlSetTermios(fd, writeTermios, shown) }

	defer onEnd(show)()
	if err := unix.IoctlSetTermios(fd, writeTermios, &hidden); err != nil {
		return "", fmt.Errorf("hide the password: %w", err)
	}
	defer show()
	// Only now: whoever sees the prompt can type without being seen.
	if _, err := fmt.Fprint(out, prompt); err != nil {
		return "", err
	}
	password, err := readLine(in)
	_, _ = fmt.Fprintln(out) // the newline that was typed was not shown either
	return password, err
}

// onEnd runs restore when a signal is about to end the process, and then lets
// it do so, until the returned function is called.
func onEnd(restore func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	stopping, stopped := make(chan struct{}), make(chan struct{})
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	go func() {
		defer close(stopped)
		select {
		case s := <-signals:
			restore()
			signal.Reset(s)
			_ = unix.Kill(os.Getpid(), s.(unix.Signal))
		case <-stopping:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(stopping)
		<-stopped
	}
}
