package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// files are the names in a directory, sorted, each with the sum of its content.
func files(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string][32]byte)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sums[e.Name()] = sha256.Sum256(content)
	}
	return sums
}

func wantSameFiles(t *testing.T, dir string, before map[string][32]byte) {
	t.Helper()
	after := files(t, dir)
	for name, sum := range before {
		if now, ok := after[name]; !ok || now != sum {
			t.Errorf("%s is not as it was", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("there are %d files, want %d", len(after), len(before))
	}
}

// closedPractice is a practice with a patient whose store is closed.
func closedPractice(t *testing.T) (p *practice, pat store.Actor) {
	t.Helper()
	p = newPractice(t)
	pat = p.patient("pat")
	p.Close()
	p.Store = nil
	p.options.Create, p.options.Migrate = false, false
	return p, pat
}

// wantOpenRefused checks that Open refuses and leaves all files as they are.
func wantOpenRefused(t *testing.T, o store.Options, want error) error {
	t.Helper()
	wantUntouched := untouched(t, o.URL)
	s, err := store.Open(t.Context(), o)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, want) {
		t.Errorf("Open error = %v, want %v", err, want)
	}
	wantUntouched()
	return err
}

// untouched looks at a database that nobody has open: at its files, or at all
// that PostgreSQL has of it. It returns what checks that it is as it was.
func untouched(t *testing.T, url string) (check func()) {
	t.Helper()
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		before := files(t, filepath.Dir(path))
		return func() { t.Helper(); wantSameFiles(t, filepath.Dir(path), before) }
	}
	p := &practice{t: t, options: store.Options{URL: url}}
	look := func() string {
		t.Helper()
		tables := p.texts(`SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name`)
		return fmt.Sprint(tables) + p.dump(tables...)
	}
	before := look()
	return func() {
		t.Helper()
		if look() != before {
			t.Error("the database is not as it was")
		}
	}
}

// bare makes an empty database and runs statements in it past any store.
func bare(t *testing.T, statements string) (url string) {
	t.Helper()
	url = storetest.URL(t)
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		statements = `PRAGMA journal_mode = WAL; ` + statements
	}
	(&practice{t: t, options: store.Options{URL: url}}).exec(statements)
	return url
}

func TestOpenWithoutDatabase(t *testing.T) {
	storetest.NeedsSQLite(t)
	o := store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "health.db"), DataKeys: [][]byte{dataKey("one")}, Migrate: true}
	wantOpenRefused(t, o, store.ErrNoDatabase)
	dir := filepath.Dir(strings.TrimPrefix(o.URL, "sqlite:"))
	_, err := store.PendingSteps(t.Context(), o)
	wantErr(t, "PendingSteps", err, store.ErrNoDatabase)
	wantSameFiles(t, dir, nil)

	// Neither is an empty file one.
	if err := os.WriteFile(filepath.Join(dir, "health.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantOpenRefused(t, o, store.ErrNoDatabase)
	_, err = store.PendingSteps(t.Context(), o)
	wantErr(t, "PendingSteps", err, store.ErrNoDatabase)
	o.Create = true
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open with Create error = %v, want nil", err)
	}
	s.Close()
}

func TestOpenIsRefusedForOtherURLs(t *testing.T) {
	for _, url := range []string{"", "sqlite:", "health.db", "file:health.db", "postgres://localhost/health", "SQLITE:health.db"} {
		o := store.Options{URL: url, DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true}
		if s, err := store.Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("Open of %q error = nil, want one", url)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	p, _ := closedPractice(t)
	p.exec(`INSERT INTO schema_steps (step, applied_at) VALUES (1000, '2030-01-01T00:00:00.000000Z')`)
	wantOpenRefused(t, p.options, store.ErrSchema)
	p.options.Create, p.options.Migrate = true, true
	wantOpenRefused(t, p.options, store.ErrSchema)
	_, err := store.PendingSteps(t.Context(), p.options)
	wantErr(t, "PendingSteps", err, store.ErrSchema)
}

// A database without any step lacks all of them. Only who asks for it brings
// it up to date.
func TestPendingSteps(t *testing.T) {
	o := store.Options{URL: bare(t, `CREATE TABLE something_older (id TEXT)`), DataKeys: [][]byte{dataKey("one")}}
	wantUntouched := untouched(t, o.URL)
	pending, err := store.PendingSteps(t.Context(), o)
	if err != nil || pending == 0 {
		t.Errorf("PendingSteps of a database without any = %d, %v, want all of them", pending, err)
	}
	wantUntouched()
	wantOpenRefused(t, o, store.ErrSchema)
	o.Migrate = true
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open with Migrate error = %v, want nil", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready error = %v, want nil", err)
	}
	s.Close()
	wantUntouched = untouched(t, o.URL)
	if pending, err := store.PendingSteps(t.Context(), o); err != nil || pending != 0 {
		t.Errorf("PendingSteps afterwards = %d, %v, want 0, nil", pending, err)
	}
	wantUntouched()
}

// A step that fails leaves nothing of itself or the steps before it.
func TestFailedMigrationChangesNothing(t *testing.T) {
	// What is there is in the way of the first step.
	o := store.Options{URL: bare(t, `CREATE TABLE outbox (id TEXT)`), DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true}
	p := &practice{t: t, options: o}
	if s, err := store.Open(t.Context(), o); err == nil {
		s.Close()
		t.Error("Open error = nil, want one")
	}
	tables := `SELECT name FROM sqlite_master ORDER BY name`
	if storetest.OnPostgres() {
		tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name`
	}
	if got, want := p.texts(tables), []string{"outbox"}; !slices.Equal(got, want) {
		t.Errorf("the database holds %q, want %q", got, want)
	}
}

func TestWrongDataKeyIsRefused(t *testing.T) {
	p, pat := closedPractice(t)
	right := p.options.DataKeys
	for name, keys := range map[string][][]byte{
		"another":     {dataKey("two")},
		"two others":  {dataKey("two"), dataKey("three")},
		"none":        {},
		"a short one": {dataKey("one")[:31]},
		"a long one":  {append(dataKey("one"), 0)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, migrate := range []bool{false, true} {
				p.options.DataKeys, p.options.Create, p.options.Migrate = keys, migrate, migrate
				err := wantOpenRefused(t, p.options, store.ErrDataKey)
				if len(keys) > 0 && len(keys[0]) == 32 {
					for _, id := range []string{store.DataKeyID(right[0]), store.DataKeyID(keys[0])} {
						if !strings.Contains(err.Error(), id) {
							t.Errorf("Open error = %v, want key %s in it", err, id)
						}
					}
				}
			}
		})
	}
	p.options.DataKeys = right
	p.open()
	if _, err := p.Patient(t.Context(), pat, pat.Account); err != nil {
		t.Errorf("Patient with the right key: error = %v, want nil", err)
	}
}

func TestDataKeyIDTellsNothingOfTheKey(t *testing.T) {
	id := store.DataKeyID(dataKey("one"))
	if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("DataKeyID = %q, want 16 hexadecimal digits", id)
	}
	if other := store.DataKeyID(dataKey("two")); other == id {
		t.Error("two keys have one id")
	}
}

// A file that is no database is told from one that is not there.
func TestOpenOfSomethingElse(t *testing.T) {
	storetest.NeedsSQLite(t)
	path := filepath.Join(t.TempDir(), "health.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	o := store.Options{URL: "sqlite:" + path, DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true}
	wantOpenRefused(t, o, store.ErrUnavailable)
	o.URL = "sqlite:" + t.TempDir()
	if s, err := store.Open(t.Context(), o); err == nil {
		s.Close()
		t.Error("Open of a directory error = nil, want one")
	}
}

func TestSettingsAreInForceOnEveryConnection(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	conns, free, err := p.AllConns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	if len(conns) < 2 {
		t.Fatalf("there are %d connections: nothing is proved", len(conns))
	}
	for i, c := range conns {
		for pragma, want := range map[string]string{
			"foreign_keys":  "1",
			"journal_mode":  "wal",
			"synchronous":   "2", // FULL
			"secure_delete": "1",
			"busy_timeout":  "5000",
		} {
			var got string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("connection %d: %s = %q, %v, want %q", i, pragma, got, err, want)
			}
		}
	}
}

func TestNewDatabaseIsForItsOwnerAlone(t *testing.T) {
	storetest.NeedsSQLite(t)
	if runtime.GOOS == "windows" {
		t.Skip("files there have no such modes")
	}
	p := newPractice(t)
	p.patient("pat")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(p.path() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("health.db%s has mode %v, want -rw-------", suffix, mode)
		}
	}
}

// The path is taken as it is, whatever SQLite or a URL would see in it.
func TestOddPaths(t *testing.T) {
	storetest.NeedsSQLite(t)
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{
		"with space.db", "100%.db", "%41.db", "what?.db", "what?mode=memory", "no#1.db", "a&b=c.db", "a+b.db", "plus%2Bslash.db",
		"Krankenblätter.db", "カルテ.db", "'quoted'.db", `"quoted".db`, "semi;colon.db", "a:b.db", ":memory:", "file:x.db", "-dash.db", "back\\slash.db",
	} {
		for kind, path := range map[string]string{"": name, "absolute ": filepath.Join(dir, "sub", name), "twice rooted ": "/" + filepath.Join(dir, "sub2", name)} {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			p := &practice{t: t, clock: new(clock), options: store.Options{
				URL: "sqlite:" + path, DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true}}
			s, err := store.Open(t.Context(), p.options)
			if err != nil {
				t.Errorf("Open of %s%q error = %v, want nil", kind, name, err)
				continue
			}
			p.Store = s
			p.staff("admin")
			p.reopen()
			has, err := p.HasStaff(t.Context())
			if err != nil || !has {
				t.Errorf("HasStaff in %s%q = %v, %v, want true, nil", kind, name, has, err)
			}
			p.Close()
			if _, err := os.Stat(path); err != nil {
				t.Errorf("after Open of %s%q: %v", kind, name, err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(entries) - len([]string{"sub", "sub2"}); n != 19 {
		t.Errorf("%d databases are in the directory, want 19", n)
	}
	o := store.Options{URL: "sqlite:" + filepath.Join(dir, "a\x00b.db"), DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true}
	if s, err := store.Open(t.Context(), o); err == nil {
		s.Close()
		t.Error("Open of a path with NUL error = nil, want one")
	}
}
