package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// service is the program under trial, in a directory of its own.
type service struct {
	dir     string // of the program
	data    string // of what it keeps, its log included
	address string
	environ []string // beside what newService sets
	command *exec.Cmd
	ended   chan struct{} // closed when it has
}

// newService builds the program and chooses where it will listen. What it keeps
// lies below data, or in a directory beside the program when that is "".
func newService(ctx context.Context, data string, environ ...string) (*service, error) {
	dir, err := os.MkdirTemp("", "fire")
	if err != nil {
		return nil, err
	}
	s := &service{dir: dir, data: data, environ: environ}
	if data == "" {
		s.data = filepath.Join(dir, "data")
		err = os.Mkdir(s.data, 0o700)
	}
	if err == nil {
		s.address, err = freeAddress()
	}
	if err == nil {
		var text []byte
		text, err = exec.CommandContext(ctx, "go", "build", "-o", s.program(), "healthrecords").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("go build: %w\n%s", err, text)
		}
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *service) program() string { return filepath.Join(s.dir, "healthrecords") }

// settings are what every command of the service is given. The clients are told
// apart as behind a proxy, for few may sign in at once from one address.
func (s *service) settings() []string {
	settings := []string{"PATH=" + os.Getenv("PATH"), "DATA_DIR=" + s.data, "LISTEN=" + s.address, "LOG_FORMAT=json", "TRUSTED_PROXIES=127.0.0.1/32"}
	return append(settings, s.environ...)
}

// mostStart is how long a start may take before it is given up.
const mostStart = 30 * time.Second

// start starts the service and returns how long it took to be ready.
func (s *service) start() (time.Duration, error) {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	begun := time.Now()
	s.command = exec.Command(s.program())
	s.command.Env, s.command.Stderr = s.settings(), log
	if err := s.command.Start(); err != nil {
		return 0, err
	}
	s.ended = make(chan struct{})
	go func() { _ = s.command.Wait(); close(s.ended) }()
	for time.Since(begun) < mostStart && s.alive() {
		if s.ready() {
			return time.Since(begun), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.kill()
	text, _ := os.ReadFile(s.log())
	return 0, fmt.Errorf("the service does not start:\n%s", text[max(0, len(text)-2000):])
}

func (s *service) log() string { return filepath.Join(s.data, "log") }

func (s *service) ready() bool { return s.probe("/readyz") == http.StatusOK }

// probe returns the status of a path, 0 when there is no answer.
func (s *service) probe(path string) int {
	answer, err := http.Get("http://" + s.address + path)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

func (s *service) pid() int { return s.command.Process.Pid }

func (s *service) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// kill ends the service as a power cut would, but for what the system still
// writes.
func (s *service) kill() {
	_ = s.command.Process.Kill() // it may have ended
	<-s.ended
}

// remove ends the service and removes its directory.
func (s *service) remove() {
	if s.command != nil {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(5*time.Second, func() { _ = s.command.Process.Kill() })
		<-s.ended
		late.Stop()
	}
	os.RemoveAll(s.dir)
}

// run runs a command of the service and returns what it printed.
func (s *service) run(ctx context.Context, stdin string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, s.program(), args...)
	c.Env, c.Stdin = s.settings(), strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return string(out), err
}

// verify checks the whole audit trail.
func (s *service) verify(ctx context.Context) error {
	out, err := s.run(ctx, "", "audit", "verify")
	if err == nil && !strings.HasPrefix(out, "The trail holds") {
		err = errors.New(out)
	}
	return err
}
