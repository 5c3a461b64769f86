package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns a new terminal: what is written to keyboard is typed
// there, and what the terminal shows is read from it.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	raw, err := keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	// A test that hangs fails here, not with the whole run.
	if err := keyboard.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// readUntil returns what a terminal shows up to and with text.
func readUntil(t *testing.T, screen io.Reader, text string) string {
	t.Helper()
	var shown []byte
	next := make([]byte, 1)
	for !strings.HasSuffix(string(shown), text) {
		if _, err := io.ReadFull(screen, next); err != nil {
			t.Fatalf("the terminal shows %q and then %v, want %q", shown, err, text)
		}
		shown = append(shown, next[0])
	}
	return string(shown)
}

func shows(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), readTermios)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func TestPasswordIsNotShown(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	if !isTerminal(terminal) {
		t.Fatal("isTerminal of a terminal = false, want true")
	}
	type answer struct {
		password string
		err      error
	}
	answered := make(chan answer, 1)
	go func() {
		password, err := askHidden(terminal, terminal, "Password: ")
		answered <- answer{password, err}
	}()
	readUntil(t, keyboard, "Password: ")
	if shows(t, terminal) {
		t.Error("the terminal shows what is typed after the prompt, want that it does not")
	}
	if _, err := keyboard.WriteString("xyzzy word\n"); err != nil {
		t.Fatal(err)
	}
	if shown := readUntil(t, keyboard, "\n"); strings.TrimSpace(shown) != "" {
		t.Errorf("the terminal shows %q after the prompt, want a new line alone", shown)
	}
	if got := <-answered; got.password != "xyzzy word" || got.err != nil {
		t.Errorf("askHidden = %q, %v, want what was typed, nil", got.password, got.err)
	}
	if !shows(t, terminal) {
		t.Error("the terminal does not show what is typed afterwards, want that it does")
	}
}

func TestEndOfInputAtTheTerminal(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	answered := make(chan error, 1)
	go func() {
		_, err := askHidden(terminal, terminal, "Password: ")
		answered <- err
	}()
	readUntil(t, keyboard, "Password: ")
	if _, err := keyboard.WriteString("\x04"); err != nil { // Ctrl-D
		t.Fatal(err)
	}
	if err := <-answered; !errors.Is(err, errNoPassword) {
		t.Errorf("askHidden error = %v, want %v", err, errNoPassword)
	}
	if !shows(t, terminal) {
		t.Error("the terminal does not show what is typed afterwards, want that it does")
	}
}

// TestInterruptAtTheTerminal runs itself as another process, whose terminal is
// interrupted while it asks.
func TestInterruptAtTheTerminal(t *testing.T) {
	const child = "TEST_CHILD_ASKS_PASSWORD"
	if os.Getenv(child) != "" {
		_, err := readPassword("Password: ")
		t.Fatalf("readPassword error = %v, want the end of the process", err)
	}
	keyboard, terminal := openTerminal(t)
	asking := exec.Command(os.Args[0], "-test.run=^TestInterruptAtTheTerminal$")
	asking.Env = append(os.Environ(), child+"=1")
	asking.Stdin, asking.Stderr = terminal, terminal
	asking.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := asking.Start(); err != nil {
		t.Fatal(err)
	}
	readUntil(t, keyboard, "Password: ")
	if shows(t, terminal) {
		t.Error("the terminal shows what is typed after the prompt, want that it does not")
	}
	if _, err := keyboard.WriteString("\x03"); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	_ = asking.Wait()
	status, _ := asking.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("the interrupted process ended with %v, want the interrupt", asking.ProcessState)
	}
	if !shows(t, terminal) {
		t.Error("the terminal does not show what is typed afterwards, want that it does")
	}
}

func TestPasswordNeedsATerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Errorf("isTerminal(%s) = true, want false", os.DevNull)
	}
	var out strings.Builder
	_, err = askHidden(null, &out, "Password: ")
	if !errors.Is(err, errNoTerminal) || !strings.Contains(err.Error(), "--password-stdin") || out.Len() > 0 {
		t.Errorf("askHidden error = %v, prompt %q, want that --password-stdin is needed, and no prompt", err, out.String())
	}
}
