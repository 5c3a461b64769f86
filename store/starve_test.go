//go:build linux || darwin

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"healthrecords/store"
)

func init() { children["starve"] = starve }

// limitFiles sets how large a file this process may write; 0 is without limit.
func limitFiles(size uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if limit.Cur = size; size == 0 {
		limit.Cur = limit.Max
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// starve writes until its files may grow no more, asks for more a few times,
// and once more when they may grow again. Each record is told once the store
// has answered; so is that the store refused.
func starve(s *store.Store) error {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit is an error instead
	c, err := s.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{})
	if err != nil {
		return err
	}
	g, err := s.SignIn(ctx, store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		return err
	}
	a := store.Actor{Account: g.Account, Session: g.Session}
	write := func() error {
		r, err := s.CreateRecord(ctx, a, &store.RecordInput{Title: ptr("t"), Description: ptr(strings.Repeat("x", 8000))})
		if err == nil {
			acknowledge("record", r.ID)
		}
		return err
	}
	if err := limitFiles(600 << 10); err != nil {
		return err
	}
	for refused := 0; refused < 5; {
		err := write()
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("with files at their limit: %w", err)
		}
		if err != nil {
			refused++
			acknowledge("refused", "")
		}
	}
	// There may be room for a few small writes yet, but not for so many.
	ready := error(nil)
	for i := 0; i < 300 && ready == nil; i++ {
		ready = s.Ready(ctx)
	}
	if ready == nil {
		return errors.New("with files at their limit the store says that it is ready")
	}
	if err := limitFiles(0); err != nil {
		return err
	}
	if err := s.Ready(ctx); err != nil {
		return fmt.Errorf("with room again the store is not ready: %w", err)
	}
	if err := write(); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	return s.Close()
}

// Files cannot grow: every write answers ErrUnavailable, what was acknowledged
// is there and nothing else, and with room again the same store works on.
func TestDiskWithoutRoomIsUnavailable(t *testing.T) {
	p := newPracticeWith(t, func(o *store.Options) { o.Now = nil })
	pat := p.patient("pat")
	p.Close()
	p.Store = nil
	c := p.childCommand("starve")
	var complaints strings.Builder
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil {
		t.Fatalf("the process that starved: %v\n%s\n%s", err, out, complaints.String())
	}
	p.open()
	kept := 0
	for line := range strings.Lines(string(out)) {
		what, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if what != "record" {
			continue
		}
		kept++
		if _, err := p.Record(t.Context(), pat, id); err != nil {
			t.Errorf("Record(%s) error = %v, want nil", id, err)
		}
	}
	if kept < 2 {
		t.Errorf("%d records were acknowledged: nothing was proved", kept)
	}
	for _, query := range []string{`SELECT COUNT(*) FROM records`, `SELECT COUNT(*) FROM audit WHERE action = 'record.create'`} {
		if n := p.count(query); n != kept {
			t.Errorf("%s = %d, want %d", query, n, kept)
		}
	}
	p.wantTrail()
}
