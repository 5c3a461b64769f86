package storetest

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Server is a PostgreSQL server that a test may stop and start.
type Server struct {
	dir     string // its data, its socket and its log
	cmd     *exec.Cmd
	command io.WriteCloser
	answer  *bufio.Reader
}

// keeper makes a server and does to it what it reads, one line for each call of
// pg_ctl. At the end of its input, and so also when the tests were killed, it
// stops the server and leaves nothing.
const keeper = `
umask 077
dir=$1 settings=$2
trap '' INT TERM HUP
answer() { if "$@" >>"$dir/log" 2>&1; then echo done; else echo failed; fi; }
create() { initdb -D "$dir/data" -U tester -A trust -E UTF8 --no-sync --locale=C.UTF-8 "$@"; }
make() { create --locale-provider=icu --icu-locale=de || create; }
answer make
while read -r line; do answer pg_ctl -D "$dir/data" -o "$settings" $line; done
pg_ctl -D "$dir/data" -m immediate stop >>"$dir/log" 2>&1
rm -rf "$dir"
`

// settings are for tests that would not outlive a crash of the machine anyway,
// and for many stores at once.
const settings = "-c listen_addresses= -c max_connections=400 -c autovacuum=off -c max_wal_size=4GB -c log_min_messages=fatal"

// startServer makes a server in a directory of its own, which it listens in.
func startServer() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "healthrecords-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.start(bin); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.end()
		os.RemoveAll(dir)
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return s, nil
}

func (s *Server) start(bin string) error {
	options := settings + " -c unix_socket_directories=" + s.dir
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" { // what is measured waits for the disk
		options += " -c fsync=off"
	}
	s.cmd = exec.Command("/bin/sh", "-c", keeper, "keeper", s.dir, options)
	s.cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	s.cmd.Dir = s.dir
	if err := unprivileged(s.cmd, s.dir); err != nil {
		return err
	}
	var err error
	if s.command, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.answer = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.answered("initdb"); err != nil {
		return err
	}
	return s.ctl("-w start")
}

// programs returns the directory of the newest server on this machine.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			return "", errors.New("TEST_DATABASE_URL is not set, and there is no initdb, neither in /usr/lib/postgresql nor in PATH")
		}
		return filepath.Dir(path), nil
	}
	release := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return release(a) - release(b) })), nil
}

// ctl has pg_ctl do something to the server, and waits until it is done.
func (s *Server) ctl(arguments string) error {
	if _, err := io.WriteString(s.command, arguments+"\n"); err != nil {
		return err
	}
	return s.answered("pg_ctl " + arguments)
}

func (s *Server) answered(what string) error {
	if line, err := s.answer.ReadString('\n'); err != nil || line != "done\n" {
		return errors.New(what + " failed")
	}
	return nil
}

// end stops the server and waits until nothing of it is left.
func (s *Server) end() {
	if s.command != nil {
		s.command.Close()
		s.cmd.Wait()
	}
}

func (s *Server) url(database string) string {
	return "postgres://tester@/" + database + "?host=" + s.dir
}

// NewServer starts a server for one test, or skips the test, saying why.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := startServer()
	if err != nil {
		Missing(t, "no PostgreSQL: "+err.Error())
	}
	t.Cleanup(s.end)
	return s
}

// Database returns the URL of an empty database on the server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "health"
	run(t, s.url("postgres"), "CREATE DATABASE "+name)
	return s.url(name)
}

// Dir is the directory that the server's socket .s.PGSQL.5432 lies in.
func (s *Server) Dir() string { return s.dir }

// Stop stops the server as a crash does: connections end, nothing is answered.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.ctl("-w -m immediate stop"); err != nil {
		t.Fatal(err)
	}
}

// Start starts a server that was stopped, and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.ctl("-w start"); err != nil {
		t.Fatal(err)
	}
}
