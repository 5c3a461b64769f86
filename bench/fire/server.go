package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq"
)

// server is a PostgreSQL server of the trial's own.
type server struct {
	bin, dir string
	command  *exec.Cmd
	as       *syscall.Credential // an unprivileged user, when the trial runs as root
}

// openServer makes a server with an empty database and starts it.
func openServer(ctx context.Context) (*server, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return nil, missing{"PostgreSQL's initdb, in /usr/lib/postgresql or in PATH"}
	}
	dir, err := os.MkdirTemp("", "fire-postgres")
	if err != nil {
		return nil, err
	}
	d := &server{bin: filepath.Dir(found[0]), dir: dir}
	err = d.makeUnprivileged()
	if err == nil {
		var text []byte
		text, err = d.program("initdb", "-D", d.data(), "-U", "fire", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("initdb: %w\n%s", err, text)
		}
	}
	if err == nil {
		err = d.start(ctx)
	}
	if err == nil {
		err = d.query(ctx, "postgres", "CREATE DATABASE health")
	}
	if err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

// makeUnprivileged gives the directory to a user who may do nothing, for
// PostgreSQL refuses to run as root.
func (d *server) makeUnprivileged() error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := osuser.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	d.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(d.dir, uid, gid)
}

func (d *server) data() string { return filepath.Join(d.dir, "data") }

func (d *server) url(database string) string {
	return "postgres://fire@/" + database + "?host=" + d.dir
}

// program is a program of the server, not yet started.
func (d *server) program(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(d.bin, name), args...)
	c.Dir, c.Env = d.dir, []string{"PATH=" + d.bin + ":/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: d.as}
	return c
}

// start starts the server and returns when it answers.
func (d *server) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.command = d.program("postgres", "-D", d.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories="+d.dir)
	d.command.Stdout, d.command.Stderr = log, log
	if err := d.command.Start(); err != nil {
		return err
	}
	for range 3000 {
		if err = d.query(ctx, "postgres", "SELECT 1"); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("PostgreSQL does not start: %w\n%s", err, text[max(0, len(text)-2000):])
}

// killAndStart kills the server with all its processes, as a crash of its
// machine would, and starts it.
func (d *server) killAndStart(ctx context.Context) error {
	pid := d.command.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	_ = d.command.Process.Kill() // it may have ended
	_ = d.command.Wait()
	for child := range strings.FieldsSeq(string(text)) {
		n, _ := strconv.Atoi(child)
		_ = syscall.Kill(n, syscall.SIGKILL)
		for syscall.Kill(n, 0) == nil && !isZombie(n) { // the next server would find its memory in use
			time.Sleep(time.Millisecond)
		}
	}
	return d.start(ctx)
}

// isZombie tells whether a process has ended and nobody has asked how.
func isZombie(pid int) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "Z")
}

func (d *server) endConnections(ctx context.Context) error {
	return d.query(ctx, "health", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'health' AND pid <> pg_backend_pid()")
}

func (d *server) query(ctx context.Context, database, query string) error {
	db, err := sql.Open("postgres", d.url(database))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, query)
	return errors.Join(err, db.Close())
}

// remove ends the server and removes its directory.
func (d *server) remove() {
	if d.command != nil && d.command.Process != nil {
		_ = d.command.Process.Signal(syscall.SIGQUIT) // at once, its processes too
		_ = d.command.Wait()
	}
	os.RemoveAll(d.dir)
}
