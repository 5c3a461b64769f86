package store_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// restoreFile is the environment variable that names the backup to a child.
const restoreFile = "HEALTHRECORDS_STORE_TEST_BACKUP"

func init() { children["restore"] = restoreAgain }

// restoreAgain restores the same backup until it is killed.
func restoreAgain(s *store.Store) error {
	if err := s.Close(); err != nil {
		return err
	}
	o := store.Options{URL: os.Getenv(childDatabase), DataKeys: [][]byte{dataKey("one")}}
	for {
		acknowledge("restoring", "")
		if _, err := store.Restore(context.Background(), o, operator, os.Getenv(restoreFile)); err != nil {
			return err
		}
	}
}

func TestRestoreWhileTheDatabaseIsInUse(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	p.record(pat, "before")
	file, _ := p.backup()
	p.record(pat, "after")

	_, err := store.Restore(t.Context(), p.options, operator, file)
	wantErr(t, "Restore under an open store", err, store.ErrInUse)
	_, err = store.Restore(t.Context(), p.options, operator, file+"-none") // it is the first thing to say
	wantErr(t, "Restore of nothing under an open store", err, store.ErrInUse)
	p.record(pat, "later")
	p.reopen()
	wantTitles(t, "after the refusal", p.titles(p.actor("pat")), "after", "before", "later")
	p.shut()
	wantNames(t, filepath.Dir(p.path()), "health.db")
}

// Another process holds the database too, whatever it does at the moment.
func TestRestoreWhileAnotherProcessServes(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPracticeWith(t, func(o *store.Options) { o.Now = nil })
	p.doctor(p.staff("admin"), "doc")
	file, _ := p.backup()
	p.shut()
	c := p.childCommand("write")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the other process wrote nothing")
	}
	for range 3 {
		_, err = store.Restore(t.Context(), p.options, operator, file)
		wantErr(t, "Restore under another process", err, store.ErrInUse)
		if !lines.Scan() {
			t.Fatal("the other process could not write on")
		}
	}
	c.Process.Kill()
	for lines.Scan() {
	}
	c.Wait()
	if _, err = store.Restore(t.Context(), p.options, operator, file); err != nil {
		t.Errorf("Restore after the other process was killed: error = %v, want nil", err)
	}
}

// crash copies the files of an open store as a crash leaves them.
func (p *practice) crash() (dir string) {
	p.t.Helper()
	dir = p.t.TempDir()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.WriteFile(filepath.Join(dir, "health.db"+suffix), readFile(p.t, p.path()+suffix), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	return dir
}

// What a crashed service acknowledged stands in its log. It is kept with the
// database that it belongs to, and not taken for the restored one's.
func TestRestoreKeepsWhatACrashLeft(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	p.record(pat, "before")
	file, _ := p.backup()
	p.record(pat, "acknowledged")
	dir := p.crash()
	if len(readFile(t, filepath.Join(dir, "health.db-wal"))) == 0 {
		t.Fatal("the log is empty: nothing is proved")
	}
	o := p.options
	o.URL = "sqlite:" + filepath.Join(dir, "health.db")
	r, err := store.Restore(t.Context(), o, operator, file)
	if err != nil {
		t.Fatalf("Restore error = %v, want nil", err)
	}
	wantNames(t, dir, "health.db", filepath.Base(r.Kept))
	restored, kept := p.opened("sqlite:"+filepath.Join(dir, "health.db")), p.opened("sqlite:"+r.Kept)
	wantTitles(t, "restored", restored.titles(restored.actor("pat")), "before")
	wantTitles(t, "kept", kept.titles(kept.actor("pat")), "acknowledged", "before")
}

// A database that SQLite cannot open is replaced, and kept as it is with all
// that lies beside it. So is a log without a database.
func TestRestoreOverRuins(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	p.record(p.patient("pat"), "before")
	file, _ := p.backup()
	p.record(p.actor("pat"), "acknowledged")
	for _, c := range []struct {
		name string
		ruin func(database string)
		kept []string
	}{
		{"damaged", func(f string) {
			os.WriteFile(f, bytes.Repeat([]byte("damaged "), 1024), 0o600)
			os.Truncate(f+"-wal", 100)
		}, []string{""}},
		{"gone", func(f string) { os.Remove(f) }, []string{"-wal", "-journal"}},
	} {
		dir := p.crash()
		database := filepath.Join(dir, "health.db")
		c.ruin(database)
		if err := os.WriteFile(database+"-journal", []byte("a journal"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := files(t, dir)
		o := p.options
		o.URL = "sqlite:" + database
		r, err := store.Restore(t.Context(), o, operator, file)
		if err != nil {
			t.Fatalf("Restore over a database that is %s: error = %v, want nil", c.name, err)
		}
		if (r.Kept == "") != (c.name == "gone") {
			t.Errorf("Kept over a database that is %s = %q", c.name, r.Kept)
		}
		after := files(t, dir)
		for _, suffix := range c.kept {
			if after["health.db.before-20260301T090000000000Z"+suffix] != before["health.db"+suffix] {
				t.Errorf("health.db%s of a database that is %s was not kept", suffix, c.name)
			}
		}
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			if _, ok := after["health.db"+suffix]; ok {
				t.Errorf("health.db%s lies beside the restored database, want it gone", suffix)
			}
		}
		restored := p.opened("sqlite:" + database)
		wantTitles(t, "restored over a database that is "+c.name, restored.titles(restored.actor("pat")), "before")
	}
}

// A restore that is killed at any moment leaves the old database or the new
// one, whole; and the next restore works and leaves nothing of it behind.
func TestRestoreThatIsKilled(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPracticeWith(t, func(o *store.Options) { o.Now = nil })
	p.record(p.patient("pat"), "before")
	file, _ := p.backup()
	p.record(p.actor("pat"), "after")
	dir := filepath.Dir(p.path())
	for _, moment := range []struct {
		sign  string
		times int
	}{{"restoring", 1}, {"restoring-wal", 1}, {"before-", 1}, {"before-", 2}, {"before-", 3}} {
		p.shut()
		p.killWhen(file, func() bool {
			names, _ := filepath.Glob(filepath.Join(dir, "health.db."+moment.sign+"*"))
			return len(names) >= moment.times
		})
		p.open()
		titles := p.titles(p.actor("pat"))
		isNew, isOld := slices.Equal(titles, []string{"before"}), slices.Equal(titles, []string{"after", "before"})
		if moment.times > 1 && !isNew || !isNew && !isOld {
			t.Errorf("killed at %s, time %d: titles = %q, want the old or the new ones", moment.sign, moment.times, titles)
		}
		p.wantTrail()
		p.restore(file)
		wantTitles(t, "restored again", p.titles(p.actor("pat")), "before")
		p.record(p.actor("pat"), "after")
		if left, _ := filepath.Glob(filepath.Join(dir, "*.restoring*")); len(left) > 0 {
			t.Errorf("%q are left, want none", left)
		}
		kept, _ := filepath.Glob(filepath.Join(dir, "*.before-*"))
		for _, name := range kept {
			os.Remove(name)
		}
	}
}

// killWhen starts a process that restores and kills it as soon as a sign is seen.
func (p *practice) killWhen(file string, seen func() bool) {
	p.t.Helper()
	c := p.childCommand("restore")
	c.Env = append(c.Env, restoreFile+"="+file)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for !seen() {
		select {
		case err := <-ended:
			p.t.Fatalf("the process ended by itself: %v %s", err, complaints.String())
		default:
		}
	}
	c.Process.Kill()
	if err := <-ended; err == nil || !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatalf("Wait error = %v, want that it was killed", err)
	}
}

// The moment when the old database has both its names.
func TestRestoreThatIsKilledBeforeTheLastStep(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	p.record(p.patient("pat"), "before")
	file, _ := p.backup()
	p.record(p.actor("pat"), "after")
	p.shut()
	half := p.path() + ".before-20260101T000000000000Z"
	if err := os.Link(p.path(), half); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.record(p.actor("pat"), "later")
	r := p.restore(file)
	wantTitles(t, "restored", p.titles(p.actor("pat")), "before")
	for _, name := range []string{half, r.Kept} {
		kept := p.opened("sqlite:" + name)
		wantTitles(t, "kept", kept.titles(kept.actor("pat")), "after", "before", "later")
		kept.shut()
	}
}

// A service that starts at the moment of a restore opens what is there before,
// and stops the restore, or what is there afterwards; never what is set aside.
func TestRestoreAgainstAStart(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPracticeWith(t, func(o *store.Options) { o.Now = nil })
	p.record(p.patient("pat"), "before")
	file, _ := p.backup()
	o := p.options
	for range 8 {
		pat := p.actor("pat")
		p.record(pat, "after")
		before := p.titles(pat)
		p.shut()
		var refused, unopened error
		together(2, func(i int) {
			if i == 0 {
				_, refused = store.Restore(t.Context(), o, operator, file)
				return
			}
			p.Store, unopened = store.Open(t.Context(), o)
		})
		if refused != nil && !errors.Is(refused, store.ErrInUse) {
			t.Fatalf("Restore error = %v, want nil or ErrInUse", refused)
		}
		if unopened != nil {
			if !errors.Is(unopened, store.ErrUnavailable) {
				t.Fatalf("Open error = %v, want nil or ErrUnavailable", unopened)
			}
			p.open()
		}
		if refused == nil {
			before = []string{"before"}
		}
		wantTitles(t, "in the store that was opened", p.titles(p.actor("pat")), before...)
		p.reopen()
		wantTitles(t, "in the file", p.titles(p.actor("pat")), before...)
		p.wantTrail()
	}
}

// A service that had opened the old file already when the new one took its
// place does not go on with it.
func TestStartWithTheOldFile(t *testing.T) {
	storetest.NeedsSQLite(t)
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("which files are open is only seen on Linux")
	}
	p := newPractice(t)
	p.record(p.patient("pat"), "new")
	file, _ := p.backup()
	fresh := p.restoredElsewhere(file)
	fresh.shut()
	p.record(p.actor("pat"), "old")
	p.shut()
	restore, err := p.beside().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restore.ExecContext(t.Context(), `PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE`); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := store.Open(t.Context(), p.options)
		if err == nil {
			s.Close()
		}
		opened <- err
	}()
	for openings(p.path()) < 2 { // this test's own, and that of the start, which waits
	}
	if err := errors.Join(os.Rename(p.path(), p.path()+".before"), os.Rename(fresh.path(), p.path())); err != nil {
		t.Fatal(err)
	}
	restore.Close()
	wantErr(t, "Open", <-opened, store.ErrUnavailable)
	p.open()
	wantTitles(t, "opened again", p.titles(p.actor("pat")), "new")
}

// openings counts how often this process has a file open.
func openings(path string) (n int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && name == path {
			n++
		}
	}
	return n
}
