package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

var copyActor = store.Command("copy")

// copied are the tables that a copy has from its source.
var copied = []string{"data_keys", "service_keys", "accounts", "assignments", "sessions", "records", "record_versions",
	"notes", "note_versions", "outbox", "audit", "audit_patients", "audit_actors", "erasures", "milestones"}

func (p *practice) copyTo(url string) (store.Copied, error) {
	p.t.Helper()
	to := p.options
	to.URL = url
	return store.Copy(p.t.Context(), p.options, to, copyActor)
}

// A practice with everything in it, from SQLite to PostgreSQL and back, or the
// other way round.
func TestCopyThereAndBack(t *testing.T) {
	w := newTown(t)
	for _, d := range w.deeds() {
		if d.action != store.BackUp {
			d.do(d.by) // some are refused
		}
	}
	w.shut()
	there, back := storetest.Postgres(t), "sqlite:"+filepath.Join(t.TempDir(), "back.db")
	from := w.practice
	for _, to := range []string{there, back} {
		done, err := from.copyTo(to)
		if err != nil {
			t.Fatalf("Copy error = %v, want nil", err)
		}
		next := w.opened(to)
		if next.dump(copied...) != from.dump(copied...) {
			t.Errorf("the copy in %s differs", store.DatabaseName(to))
		}
		if n := int64(next.count(`SELECT COUNT(*) FROM audit`)); n != done.Entries || n != done.Rows["audit"] {
			t.Errorf("Copy = %d entries, %d rows of the trail, want %d", done.Entries, done.Rows["audit"], n)
		}
		if n := next.count(`SELECT COUNT(*) FROM audit WHERE action = 'database.copy' AND role = 'operator'`); n == 0 {
			t.Error("no entry tells of the copy")
		}
		next.wantTrail()
		if _, err := next.Record(t.Context(), w.pat, w.record.ID); err != nil {
			t.Errorf("Record of the copy: error = %v, want nil", err)
		}
		next.shut()
		from = next
	}
	if info, err := os.Stat(strings.TrimPrefix(back, "sqlite:")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the new file = %v, %v, want -rw-------", info.Mode(), err)
	}
}

func TestCopyNeedsAnEmptyTarget(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	p.record(pat, "Cough")
	p.shut()
	for _, url := range []string{"sqlite:" + filepath.Join(t.TempDir(), "other.db"), storetest.Postgres(t), p.options.URL} {
		if url != p.options.URL {
			other := p.opened(url)
			other.staff("admin")
			other.shut()
		}
		target := &practice{t: t, options: store.Options{URL: url}}
		before := target.dump(copied...)
		_, err := p.copyTo(url)
		wantErr(t, "Copy to "+store.DatabaseName(url), err, store.ErrNotEmpty)
		if target.dump(copied...) != before {
			t.Errorf("%s was changed", store.DatabaseName(url))
		}
	}
}

// What cannot be copied whole is not copied at all.
func TestCopyOfABentTrailLeavesNothing(t *testing.T) {
	p := newPractice(t)
	p.record(p.patient("pat"), "Cough")
	p.shut()
	p.exec(`DELETE FROM records`)
	directory := t.TempDir()
	for _, url := range []string{"sqlite:" + filepath.Join(directory, "copy.db"), storetest.Postgres(t)} {
		var bent *store.TrailError
		if _, err := p.copyTo(url); !errors.As(err, &bent) {
			t.Errorf("Copy to %s error = %v, want a TrailError", store.DatabaseName(url), err)
		}
		if strings.HasPrefix(url, "postgres") {
			if empty, err := store.IsEmpty(t.Context(), store.Options{URL: url}); err != nil || !empty {
				t.Errorf("IsEmpty of the target = %v, %v, want true, nil", empty, err)
			}
		}
	}
	if left, err := os.ReadDir(directory); err != nil || len(left) > 0 {
		t.Errorf("the copy left %q, %v, want nothing", left, err)
	}
}

// The service goes on writing while its database is copied.
func TestCopyOfADatabaseInUse(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	if err := p.FillTrail(t.Context(), pat.Account, 1500); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				p.Me(t.Context(), pat)
			}
		}
	}()
	_, err := p.copyTo("sqlite:" + filepath.Join(t.TempDir(), "copy.db"))
	close(stop)
	<-stopped
	if !errors.Is(err, store.ErrInUse) {
		t.Errorf("Copy error = %v, want ErrInUse", err)
	}
}

// Every table is copied: one that is made by a later step of the schema too.
func TestCopyKnowsEveryTable(t *testing.T) {
	p := newPractice(t)
	var want []string
	for table := range p.countRows() {
		if table != "schema_steps" {
			want = append(want, table)
		}
	}
	p.shut()
	done, err := p.copyTo("sqlite:" + filepath.Join(t.TempDir(), "copy.db"))
	if err != nil {
		t.Fatalf("Copy error = %v, want nil", err)
	}
	var got []string
	for table := range done.Rows {
		got = append(got, table)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("tables that were copied = %q, want %q", got, want)
	}
}

// countRows counts the rows of all tables.
func (p *practice) countRows() map[string]int64 {
	p.t.Helper()
	counts, err := p.CountRows(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return counts
}
