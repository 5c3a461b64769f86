package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"healthrecords/store"
)

// childRole is the environment variable that makes the test binary do a part
// in a test instead of running tests, on the database that childDatabase names.
const (
	childRole     = "HEALTHRECORDS_STORE_TEST_CHILD"
	childDatabase = "HEALTHRECORDS_STORE_TEST_DATABASE"
)

var children = map[string]func(*store.Store) error{"write": writeForEver}

// child does a part and returns the exit code.
func child(role string) int {
	s, err := store.Open(context.Background(), store.Options{URL: os.Getenv(childDatabase), DataKeys: [][]byte{dataKey("one")}})
	if err == nil {
		err = children[role](s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, store.Describe(err))
		return 1
	}
	return 0
}

// childCommand is the test binary in a part of its own.
func (p *practice) childCommand(role string) *exec.Cmd {
	p.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	c := exec.Command(binary)
	c.Env = append(os.Environ(), childRole+"="+role, childDatabase+"="+p.options.URL)
	return c
}

// acknowledge tells that something is on the disk, in one write.
func acknowledge(what, id string) { os.Stdout.WriteString(what + " " + id + "\n") }

// writeForEver registers patients with the one doctor of the practice, and
// writes and rewrites records of theirs, from several goroutines, until it is
// killed. Each id is told once the store has answered.
func writeForEver(s *store.Store) error {
	ctx := context.Background()
	c, err := s.BeginSignIn(ctx, store.Actor{}, "doc", store.Device{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for writer := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("patient-%d-%d-%d", os.Getpid(), writer, i)
				if err := writeOnce(ctx, s, name, c.Account); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

func writeOnce(ctx context.Context, s *store.Store, name, doctor string) error {
	pat, err := s.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user(name), Doctors: &[]string{doctor}})
	if err != nil {
		return err
	}
	acknowledge("patient", pat.ID)
	c, err := s.BeginSignIn(ctx, store.Actor{}, name, store.Device{})
	if err != nil {
		return err
	}
	g, err := s.SignIn(ctx, store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		return err
	}
	a := store.Actor{Account: g.Account, Session: g.Session}
	r, err := s.CreateRecord(ctx, a, &store.RecordInput{Title: &name, Description: ptr("first")})
	if err != nil {
		return err
	}
	acknowledge("record", r.ID)
	if _, err = s.ChangeRecord(ctx, a, r.ID, nil, &store.RecordInput{Description: ptr("second")}); err == nil {
		acknowledge("change", r.ID)
	}
	return err
}

// A process that writes is killed at a random moment, again and again. What it
// acknowledged is there, with its entry in the trail and its mail, and nothing
// is there by half.
func TestAcknowledgedOutlivesKill(t *testing.T) {
	p := newPracticeWith(t, func(o *store.Options) { o.Now = nil })
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	acknowledged := make(map[string][]string)
	for range 4 {
		p.Close()
		p.Store = nil
		for _, line := range p.killAfter(1 + rand.IntN(120)) {
			what, id, _ := strings.Cut(line, " ")
			acknowledged[what] = append(acknowledged[what], id)
		}
		p.open()
		p.wantTrail()
	}
	for _, id := range acknowledged["patient"] {
		pat, err := p.Patient(t.Context(), admin, id)
		if err != nil || len(pat.Doctors) != 1 {
			t.Errorf("Patient(%s) = %d doctors, %v, want 1, nil", id, len(pat.Doctors), err)
		}
		if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'patient.create' AND outcome = 'done' AND object = $1`, id); n != 1 {
			t.Errorf("patient %s has %d entries in the trail, want 1", id, n)
		}
	}
	for _, id := range acknowledged["record"] {
		if _, err := p.Record(t.Context(), doc, id); err != nil {
			t.Errorf("Record(%s) error = %v, want nil", id, err)
		}
		if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'record.create' AND outcome = 'done' AND object = $1`, id); n != 1 {
			t.Errorf("record %s has %d entries in the trail, want 1", id, n)
		}
	}
	for _, id := range acknowledged["change"] {
		if r, err := p.Record(t.Context(), doc, id); err != nil || r.Description != "second" {
			t.Errorf("Record(%s) is not as it was changed, or error = %v", id, err)
		}
	}
	for query, want := range map[string]int{
		`SELECT COUNT(*) FROM outbox WHERE account_id = '` + doc.Account + `'`: p.count(`SELECT COUNT(*) FROM assignments`),
		`SELECT COUNT(*) FROM accounts WHERE role = 'patient'`:                 p.count(`SELECT COUNT(*) FROM audit WHERE action = 'patient.create'`),
		`SELECT COUNT(*) FROM records`:                                         p.count(`SELECT COUNT(*) FROM audit WHERE action = 'record.create'`),
		`SELECT COUNT(*) FROM record_versions`:                                 p.count(`SELECT COUNT(*) FROM audit WHERE action = 'record.change'`),
	} {
		if n := p.count(query); n != want {
			t.Errorf("%s = %d, want %d", query, n, want)
		}
	}
	if len(acknowledged["patient"]) == 0 {
		t.Error("nothing was acknowledged: nothing was proved")
	}
}

// killAfter starts a process that writes, kills it when it has acknowledged n
// writes, and returns all that it had by then.
func (p *practice) killAfter(n int) []string {
	p.t.Helper()
	c := p.childCommand("write")
	out, err := c.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var complaints strings.Builder
	c.Stderr = &complaints
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { c.Process.Kill() })
	defer kill()
	var lines []string
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if lines = append(lines, scanner.Text()); len(lines) == n {
			kill()
		}
	}
	c.Wait()
	if len(lines) < n {
		p.t.Fatalf("the process ended by itself after %d of %d writes: %s", len(lines), n, complaints.String())
	}
	return lines
}
