package store_test

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// TestMain lets a test start its own binary again as another process, which
// the test may kill or starve.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	os.Exit(m.Run())
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// practice is a store in a database of its own with people in it.
type practice struct {
	*store.Store
	t       *testing.T
	clock   *clock
	options store.Options
	other   *sql.DB // see beside
}

func dataKey(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func newPractice(t *testing.T) *practice {
	t.Helper()
	return newPracticeWith(t, func(*store.Options) {})
}

// newPracticeWith is newPractice with some options changed.
func newPracticeWith(t *testing.T, change func(*store.Options)) *practice {
	t.Helper()
	p := &practice{t: t, clock: &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}}
	p.options = store.Options{
		URL:      storetest.URL(t),
		DataKeys: [][]byte{dataKey("one")},
		Create:   true, Migrate: true, Now: p.clock.Now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	change(&p.options)
	p.open()
	t.Cleanup(func() {
		if p.Store != nil {
			p.Close()
		}
	})
	return p
}

func (p *practice) open() {
	p.t.Helper()
	var err error
	if p.Store, err = store.Open(p.t.Context(), p.options); err != nil {
		p.t.Fatalf("Open error = %v, want nil", err)
	}
	p.PreferFirstLane()
	p.IndexEvery(1)
}

// path is where the file of the database lies. A test that asks needs SQLite.
func (p *practice) path() string {
	p.t.Helper()
	storetest.NeedsSQLite(p.t)
	return strings.TrimPrefix(p.options.URL, "sqlite:")
}

// reopen closes the store and opens it again, as a restart does.
func (p *practice) reopen() {
	p.t.Helper()
	if err := p.Close(); err != nil {
		p.t.Fatalf("Close error = %v, want nil", err)
	}
	p.open()
}

// beside opens the database beside the store, as another process could. No
// connection stays open when it is not used.
func (p *practice) beside() *sql.DB {
	p.t.Helper()
	if p.other != nil {
		return p.other
	}
	p.other = storetest.Open(p.t, p.options.URL)
	p.t.Cleanup(func() { p.other.Close() })
	return p.other
}

// exec changes the database past the store.
func (p *practice) exec(query string, args ...any) {
	p.t.Helper()
	if _, err := p.beside().Exec(query, args...); err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
}

// refuse makes the database refuse new rows of a table when a condition holds
// of them, until the function that it returns is called.
func (p *practice) refuse(table, condition string) (accept func()) {
	p.t.Helper()
	if !storetest.OnPostgres() {
		p.exec(`CREATE TRIGGER fails BEFORE INSERT ON ` + table + ` WHEN ` + condition + ` BEGIN SELECT RAISE(ABORT, 'made to fail'); END`)
		return func() { p.exec(`DROP TRIGGER fails`) }
	}
	p.exec(`CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'made to fail'; END $$;
		CREATE TRIGGER fails BEFORE INSERT ON ` + table + ` FOR EACH ROW WHEN (` + condition + `) EXECUTE FUNCTION fails()`)
	return func() { p.exec(`DROP FUNCTION fails() CASCADE`) }
}

// texts reads the first column of a query past the store.
func (p *practice) texts(query string, args ...any) []string {
	p.t.Helper()
	list := []string{}
	for _, row := range p.rows(query, args...) {
		list = append(list, row[0])
	}
	return list
}

// count reads one number past the store.
func (p *practice) count(query string, args ...any) int {
	p.t.Helper()
	var n int
	if err := p.beside().QueryRow(query, args...).Scan(&n); err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// rows reads all columns of a query past the store, as text.
func (p *practice) rows(query string, args ...any) [][]string {
	p.t.Helper()
	rows, err := p.beside().Query(query, args...)
	if err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		p.t.Fatal(err)
	}
	list := [][]string{}
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			p.t.Fatalf("%s: %v", query, err)
		}
		row := make([]string, len(columns))
		for i, v := range values {
			row[i] = v.String
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
	return list
}

// wantTrail checks that the trail holds and has no gap.
func (p *practice) wantTrail() {
	p.t.Helper()
	report, err := p.VerifyTrail(p.t.Context(), nil)
	if err != nil {
		p.t.Errorf("VerifyTrail error = %v, want nil", err)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit`); int64(n) != report.Entries {
		p.t.Errorf("the trail has %d entries and ends at %d", n, report.Entries)
	}
}

// together calls f for 0 to n-1 at once and waits for all.
func together(n int, f func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { <-start; f(i) })
	}
	close(start)
	all.Wait()
}

func ptr[T any](v T) *T { return &v }

func user(name string) store.UserInput {
	return store.UserInput{Username: &name, FirstName: ptr("First of " + name), LastName: ptr("Last"), Email: ptr(name + "@example.test"), PasswordHash: "hash of " + name}
}

// actor signs an account in.
func (p *practice) actor(name string) store.Actor {
	p.t.Helper()
	c, err := p.BeginSignIn(p.t.Context(), store.Actor{}, name, store.Device{})
	if err != nil {
		p.t.Fatalf("Credentials error = %v, want nil", err)
	}
	g, err := p.SignIn(p.t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		p.t.Fatalf("SignIn error = %v, want nil", err)
	}
	return store.Actor{Account: g.Account, Session: g.Session}
}

func (p *practice) staff(name string) store.Actor {
	p.t.Helper()
	if _, err := p.CreateStaff(p.t.Context(), store.Command("test"), &store.StaffInput{User: user(name)}); err != nil {
		p.t.Fatalf("CreateStaff error = %v, want nil", err)
	}
	return p.actor(name)
}

func (p *practice) doctor(staff store.Actor, name string) store.Actor {
	p.t.Helper()
	if _, err := p.CreateDoctor(p.t.Context(), staff, &store.DoctorInput{User: user(name)}); err != nil {
		p.t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	return p.actor(name)
}

func (p *practice) patient(name string, doctors ...string) store.Actor {
	p.t.Helper()
	if _, err := p.CreatePatient(p.t.Context(), store.Actor{}, &store.PatientInput{User: user(name), Doctors: &doctors}); err != nil {
		p.t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	return p.actor(name)
}

// record writes one as the patient itself.
func (p *practice) record(a store.Actor, title string) store.Record {
	p.t.Helper()
	r, err := p.CreateRecord(p.t.Context(), a, &store.RecordInput{Title: &title, Description: ptr("about " + title)})
	if err != nil {
		p.t.Fatalf("CreateRecord error = %v, want nil", err)
	}
	return r
}

func (p *practice) note(a store.Actor, record, text string) store.Note {
	p.t.Helper()
	n, err := p.CreateNote(p.t.Context(), a, &store.NoteInput{Text: &text, Record: &record})
	if err != nil {
		p.t.Fatalf("CreateNote error = %v, want nil", err)
	}
	return n
}

// wantErr compares the error of a call with the one it must be.
func wantErr(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s error = %v, want %v", call, err, want)
	}
}

func TestRecordIsSeenByItsPatientAndTheDoctor(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	other := p.doctor(admin, "other")
	pat := p.patient("pat", doc.Account)
	r, err := p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("Cough"), Description: ptr("dry")})
	if err != nil {
		t.Fatalf("CreateRecord error = %v, want nil", err)
	}
	n, err := p.CreateNote(ctx, doc, &store.NoteInput{Text: ptr("rest"), Record: &r.ID})
	if err != nil {
		t.Fatalf("CreateNote error = %v, want nil", err)
	}
	got, err := p.Record(ctx, doc, r.ID)
	if err != nil || got.Title != "Cough" || len(got.Notes) != 1 || got.Notes[0].ID != n.ID {
		t.Errorf("Record = %v, %v", got.Version, err)
	}
	if _, err := p.Record(ctx, other, r.ID); err != store.ErrNotFound {
		t.Errorf("Record by another doctor: error = %v, want ErrNotFound", err)
	}
	list, err := p.Records(ctx, doc, store.RecordFilter{}, store.Paging{Size: 25})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("Records = %d items, %v, want 1", len(list.Items), err)
	}
	list, err = p.Records(ctx, doc, store.RecordFilter{}, store.Paging{Size: 25, Search: "dr COU"})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("Records search = %d items, %v, want 1", len(list.Items), err)
	}
	mails, err := p.ClaimMail(ctx, 10, time.Minute)
	if err != nil || len(mails) != 1 || mails[0].To != "doc@example.test" {
		t.Errorf("ClaimMail = %v, %v", len(mails), err)
	}
	if _, err := p.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Doctors: &[]string{other.Account}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Record(ctx, doc, r.ID); err != store.ErrNotFound {
		t.Errorf("Record by a former doctor: error = %v, want ErrNotFound", err)
	}
	if err := p.DeletePatient(ctx, pat, pat.Account, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Record(ctx, other, r.ID); err != store.ErrNotFound {
		t.Errorf("Record of a deleted patient: error = %v, want ErrNotFound", err)
	}
	if _, err := p.Record(ctx, pat, r.ID); err != store.ErrSession {
		t.Errorf("Record by a deleted patient: error = %v, want ErrSession", err)
	}
}
