package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// anchorage is a store and a place for its checkpoints. Tests use it in a
// bubble, where time passes when everybody waits.
type anchorage struct {
	*store.Store
	t    *testing.T
	file string
	log  buffer
}

func newAnchorage(t *testing.T) *anchorage {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{
		URL: storetest.URL(t), DataKeys: [][]byte{bytes.Repeat([]byte{7}, 32)}, Create: true, Migrate: true,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	t.Cleanup(func() { s.Close() })
	return &anchorage{Store: s, t: t, file: filepath.Join(dir, "audit.checkpoints")}
}

// begin runs an anchor until the function that it returns is called.
func (a *anchorage) begin() (end func()) {
	ctx, cancel := context.WithCancel(a.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		(&anchor{store: a.Store, file: a.file, log: slog.New(slog.NewTextHandler(&a.log, nil))}).run(ctx)
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-ended
	}
}

// write adds entries to the trail.
func (a *anchorage) write(entries int) {
	a.t.Helper()
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			for range (entries + i) / 10 {
				err := a.CheckSession(a.t.Context(), store.Actor{Account: "nobody's", Session: "none"})
				if !errors.Is(err, store.ErrSession) {
					a.t.Errorf("CheckSession error = %v, want ErrSession", err)
				}
			}
		})
	}
	all.Wait()
	synctest.Wait()
}

// pass lets time pass.
func (a *anchorage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// want compares the counts of all checkpoints in the file.
func (a *anchorage) want(counts ...int64) {
	a.t.Helper()
	list, err := readCheckpoints(a.file)
	if err != nil {
		a.t.Fatalf("readCheckpoints error = %v, want nil", err)
	}
	var got []int64
	for _, c := range list {
		got = append(got, c.Count)
	}
	if !slices.Equal(got, counts) {
		a.t.Errorf("checkpoints of %v entries, want %v", got, counts)
	}
	if _, err := a.VerifyTrail(a.t.Context(), list); err != nil {
		a.t.Errorf("VerifyTrail error = %v, want nil", err)
	}
}

func TestCheckpointsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnchorage(t)
		end := a.begin()
		if _, err := os.Stat(a.file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Stat error = %v, want no file while nothing was ever written", err)
		}
		a.write(1)
		a.pass(anchorPause)
		a.want(1) // a minute after it was written
		a.pass(10 * anchorPause)
		a.want(1) // nothing was written since
		a.write(2)
		a.pass(anchorPause - time.Second)
		a.want(1)
		a.pass(time.Second)
		a.want(1, 3)
		a.write(996)
		a.want(1, 3)
		a.write(1)
		a.want(1, 3, 1000) // at once
		a.write(1)
		end()
		a.want(1, 3, 1000, 1001) // at the end

		end = a.begin()
		a.want(1, 3, 1000, 1001, 1001) // at the start
		end()
		a.want(1, 3, 1000, 1001, 1001) // nothing was written meanwhile
	})
}

func TestCheckpointFileIsOnlyAddedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnchorage(t)
		a.write(1)
		a.begin()()
		before, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		first, err := os.Stat(a.file)
		if err != nil {
			t.Fatal(err)
		}
		a.write(1)
		a.begin()()
		a.want(1, 2)
		after, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.Stat(a.file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(after, before) || bytes.Count(after, []byte("\n")) != 2 || !os.SameFile(first, second) {
			t.Error("the file was written anew, want a line added to it")
		}
		if second.Mode() != 0o600 {
			t.Errorf("mode of the file = %v, want -rw-------", second.Mode())
		}
	})
}

func TestCheckpointStandsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnchorage(t)
		a.file = filepath.Join(t.TempDir(), "not there", "audit.checkpoints")
		a.write(3)
		a.begin()()
		list, err := a.Checkpoints(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("Checkpoints = %+v, %v, want one lane", list, err)
		}
		c := list[0]
		for _, part := range []string{"Lane:0", "Count:3", "Head:" + c.Head, "Time:2000-01-01T00:00:00.000000Z", "MAC:" + c.MAC} {
			if !strings.Contains(a.log.String(), part) {
				t.Errorf("the log does not hold %s", part)
			}
		}
	})
}

// Whatever is wrong with the file, the service goes on, says so, and tries
// again.
func TestCheckpointThatCannotBeKept(t *testing.T) {
	for _, c := range []struct {
		name        string
		spoil, mend func(file string) error
		possible    func() bool // nil where it always is
	}{
		{"no directory",
			func(file string) error { return os.Remove(filepath.Dir(file)) },
			func(file string) error { return os.Mkdir(filepath.Dir(file), 0o700) }, nil},
		{"a directory in its place",
			func(file string) error { return os.Mkdir(file, 0o700) },
			os.Remove, nil},
		{"a full disk",
			func(file string) error { return os.Symlink("/dev/full", file) },
			os.Remove, func() bool { _, err := os.Stat("/dev/full"); return err == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.possible != nil && !c.possible() {
				t.Skip("this machine has no /dev/full")
			}
			synctest.Test(t, func(t *testing.T) {
				a := newAnchorage(t)
				dir := filepath.Join(t.TempDir(), "checkpoints")
				a.file = filepath.Join(dir, "audit.checkpoints")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := c.spoil(a.file); err != nil {
					t.Fatal(err)
				}
				a.write(1)
				end := a.begin()
				if log := a.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "AUDIT_CHECKPOINTS") {
					t.Errorf("the log = %q, want one error that names AUDIT_CHECKPOINTS", log)
				}
				if err := c.mend(a.file); err != nil {
					t.Fatal(err)
				}
				a.pass(anchorPause)
				a.want(1)
				a.write(1)
				end()
				a.want(1, 2)
			})
		})
	}
}

func TestCheckpointOfAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnchorage(t)
		var log bytes.Buffer
		closed, err := store.Open(t.Context(), store.Options{
			URL: storetest.URL(t), DataKeys: [][]byte{bytes.Repeat([]byte{7}, 32)}, Create: true, Migrate: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		(&anchor{store: closed, file: a.file, log: slog.New(slog.NewTextHandler(&log, nil))}).take(t.Context())
		if !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("the log = %q, want an error", log.String())
		}
		if _, err := os.Stat(a.file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Stat error = %v, want no file", err)
		}
	})
}

func TestCheckpointBehindALineThatBreaksOff(t *testing.T) {
	for _, c := range []struct {
		name, left string
	}{
		{"half a line", `{"lane":0,"count":7,"he`},
		{"zeros", "\x00\x00\x00\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAnchorage(t)
				a.write(1)
				a.begin()()
				whole, err := os.ReadFile(a.file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(a.file, append(whole, c.left...), 0o600); err != nil {
					t.Fatal(err)
				}
				a.write(1)
				a.begin()()
				a.write(1)
				a.begin()()
				a.want(1, 2, 3)
			})
		})
	}
}
