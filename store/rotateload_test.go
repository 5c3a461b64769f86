package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/store"
)

// busy is a patient that is written to again and again, and what was
// acknowledged last.
type busy struct {
	actor                store.Actor
	record               string
	address, description string
}

// Keys are rotated by one process while another registers, changes and reads
// all the time. Nothing fails, nothing is lost, and everything opens with the
// newest key alone.
func TestRotateKeysUnderLoad(t *testing.T) {
	f := newKeyFile("one")
	p := newPracticeWithKeyFile(t, f)
	admin := p.staff("admin")
	p.enrol(250) // more than a batch
	other := p.opened(p.options.URL)
	patients := make([]*busy, 4)
	for i := range patients {
		a := p.patient(fmt.Sprintf("busy-%d", i))
		patients[i] = &busy{actor: a, record: p.record(a, "changing").ID}
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	registered := make([][]string, 2)
	for w := range registered {
		writers.Go(func() { registered[w] = other.registerUntil(ctx, w) })
	}
	for _, b := range patients {
		writers.Go(func() { other.changeUntil(ctx, b) })
	}
	writers.Go(func() { other.readUntil(ctx, admin) })

	names := []string{"two", "three", "four", "five", "six"}
	for _, name := range names {
		if n := p.rotate(f, name); n < 250+ownKeys {
			t.Errorf("RotateKeys = %d, want at least %d", n, 250+ownKeys)
		}
	}
	stop()
	writers.Wait()
	if err := other.Ready(t.Context()); err != nil {
		t.Errorf("Ready error = %v, want nil", err)
	}
	other.shut()
	p.shut()

	p.options.DataKeys, p.options.ReloadKeys = [][]byte{dataKey("six")}, nil
	p.open()
	p.wantOpenable(admin)
	for _, b := range patients {
		pat, err := p.Patient(t.Context(), b.actor, b.actor.Account)
		if err != nil || pat.Address != b.address {
			t.Errorf("Patient = address %q, %v, want the last one, %q", pat.Address, err, b.address)
		}
		r, err := p.Record(t.Context(), b.actor, b.record)
		if err != nil || r.Description != b.description {
			t.Errorf("Record = description %q, %v, want the last one, %q", r.Description, err, b.description)
		}
	}
	for _, names := range registered {
		if len(names) == 0 {
			t.Error("nobody was registered meanwhile: nothing is proved")
		}
		for _, name := range names {
			wantTitles(t, name, p.titles(p.actor(name)), "first")
		}
	}
	p.wantTrail()
}

// registerUntil registers patients who write a record each, and returns their
// names.
func (p *practice) registerUntil(ctx context.Context, w int) (names []string) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("new-%d-%d", w, i)
		p.record(p.patient(name), "first")
		names = append(names, name)
	}
	return names
}

// changeUntil changes a profile and a record again and again.
func (p *practice) changeUntil(ctx context.Context, b *busy) {
	for i := 0; ctx.Err() == nil; i++ {
		value := strconv.Itoa(i)
		if _, err := p.ChangePatient(p.t.Context(), b.actor, b.actor.Account, nil, &store.PatientInput{Address: &value}); err != nil {
			p.t.Errorf("ChangePatient error = %v, want nil", err)
			return
		}
		b.address = value
		if _, err := p.ChangeRecord(p.t.Context(), b.actor, b.record, nil, &store.RecordInput{Description: &value}); err != nil {
			p.t.Errorf("ChangeRecord error = %v, want nil", err)
			return
		}
		b.description = value
	}
}

// readUntil reads lists, and searches, which read beside the writes.
func (p *practice) readUntil(ctx context.Context, staff store.Actor) {
	for ctx.Err() == nil {
		for _, paging := range []store.Paging{{Size: 100}, {Size: 100, Search: "patient"}} {
			if _, err := p.Patients(p.t.Context(), staff, paging); err != nil {
				p.t.Errorf("Patients error = %v, want nil", err)
				return
			}
		}
	}
}

// wantOpenable opens every patient: a search for what nobody is called does.
func (p *practice) wantOpenable(staff store.Actor) {
	p.t.Helper()
	list, err := p.Patients(p.t.Context(), staff, store.Paging{Size: 100, Search: "nobody"})
	if err != nil || len(list.Items) != 0 {
		p.t.Errorf("Patients = %d, %v, want none, nil", len(list.Items), err)
	}
}

// rotationStop is the environment variable that says in which batch a child
// stands still until it is killed.
const rotationStop = "HEALTHRECORDS_STORE_TEST_BATCH"

func init() { children["rotate"] = rotateAndHang }

// rotateAndHang rotates the keys and stops for ever within a batch.
func rotateAndHang(s *store.Store) error {
	if err := s.Close(); err != nil {
		return err
	}
	stopAt, err := strconv.Atoi(os.Getenv(rotationStop))
	if err != nil {
		return err
	}
	batches := -1
	o := store.Options{
		URL: os.Getenv(childDatabase), DataKeys: [][]byte{dataKey("two"), dataKey("one")}, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time {
			if batches++; batches == stopAt {
				acknowledge("hanging", "")
				select {}
			}
			return time.Now()
		},
	}
	if s, err = store.Open(context.Background(), o); err != nil {
		return err
	}
	if _, err = s.RotateKeys(context.Background(), operator); err == nil {
		err = errors.New("it was not stopped")
	}
	return err
}

// A rotation whose process is killed in the midst of a batch loses nothing,
// and goes on.
func TestRotateKeysThatIsKilled(t *testing.T) {
	const accounts, batch = 450, 200
	for stopAt, done := range []int{1: 0, 2: batch + ownKeys, 3: 2*batch + ownKeys, 4: accounts + ownKeys} {
		if stopAt == 0 {
			continue
		}
		p := newPracticeWith(t, func(o *store.Options) { o.Now = nil })
		admin := p.staff("admin")
		p.enrol(accounts - 1)
		p.shut()
		p.killHanging(stopAt)

		p.options.DataKeys = [][]byte{dataKey("two"), dataKey("one")}
		p.open()
		p.wantKeys(keyState("two", false, true, done), keyState("one", false, true, accounts+ownKeys-done))
		p.wantOpenable(admin)
		if n, err := p.RotateKeys(t.Context(), operator); n != accounts+ownKeys-done || err != nil {
			t.Errorf("RotateKeys after a kill in batch %d = %d, %v, want %d, nil", stopAt, n, err, accounts+ownKeys-done)
		}
		p.options.DataKeys = p.options.DataKeys[:1]
		p.reopen()
		p.wantKeys(keyState("two", false, true, accounts+ownKeys), keyState("one", true, false, 0))
		p.wantOpenable(admin)
		p.wantTrail()
	}
}

func (p *practice) killHanging(stopAt int) {
	p.t.Helper()
	c := p.childCommand("rotate")
	c.Env = append(c.Env, rotationStop+"="+strconv.Itoa(stopAt))
	out, err := c.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var complaints strings.Builder
	c.Stderr = &complaints
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	hangs := bufio.NewScanner(out).Scan()
	c.Process.Kill()
	if err := c.Wait(); !hangs || !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatalf("the process did not hang: %v %s", err, complaints.String())
	}
}
