package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// What holds on PostgreSQL alone, where actions run beside each other.

// onPostgres is newPractice on PostgreSQL, whatever the other tests run on.
func onPostgres(t *testing.T, change func(*store.Options)) *practice {
	t.Helper()
	url := storetest.Postgres(t)
	return newPracticeWith(t, func(o *store.Options) {
		o.URL = url
		change(o)
	})
}

func same(*store.Options) {}

// twin is another process on the same database.
func (p *practice) twin() *practice {
	p.t.Helper()
	return p.opened(p.options.URL)
}

// The database refuses the first try of every action, when it has done all it
// does. What comes of the second is what would have come of the first.
func TestEveryActionMayRunTwice(t *testing.T) {
	w := settle(t, onPostgres(t, same))
	w.refuseEveryFirstTry()
	before := w.entries()
	for i, d := range w.deeds() {
		if d.action != store.BackUp {
			t.Run(d.name, func(t *testing.T) { w.wantEntry(t, i, d) })
		}
	}
	if n, want := w.count(`SELECT last_value FROM tries`), 2*(w.entries()-before); n != want {
		t.Errorf("%d tries, want %d, two for each entry", n, want)
	}
	w.exec(`DROP FUNCTION every_second() CASCADE`)
	w.wantTrail()
}

// refuseEveryFirstTry makes the database undo every action once, when it writes
// its entry.
func (p *practice) refuseEveryFirstTry() {
	p.t.Helper()
	p.exec(`CREATE SEQUENCE tries; GRANT USAGE ON tries TO PUBLIC;
		CREATE FUNCTION every_second() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') % 2 = 1 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER every_second BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION every_second()`)
}

// What a run of an action found wrong with its input goes with that run.
func TestProblemsOfARunThatWasUndoneAreForgotten(t *testing.T) {
	p := onPostgres(t, same)
	doc, pat := p.doctor(p.staff("admin"), "doc"), p.patient("pat")
	p.refuseEveryFirstTry()
	before := p.entries()
	title := "Cough"
	_, err := p.CreateRecord(t.Context(), doc, &store.RecordInput{Title: &title, Description: &title, Patient: &pat.Account})
	var invalid *store.Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("CreateRecord for another's patient: error = %v, want an Invalid", err)
	}
	n := 0
	invalid.Each(func(string, string) { n++ })
	if n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	if n := p.entries() - before; n != 1 {
		t.Errorf("%d entries, want that of the refusal", n)
	}
}

// Actions that change one row are in each other's way, and all succeed.
func TestConflictingActionsAllSucceed(t *testing.T) {
	p := onPostgres(t, same)
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	r := p.record(pat, "Cough")
	stores := []*practice{p, p.twin()}
	errs := make([]error, 60)
	together(len(errs), func(i int) {
		_, errs[i] = stores[i%2].CreateNote(t.Context(), doc, &store.NoteInput{Text: ptr("note"), Record: &r.ID})
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("CreateNote error = %v, want nil", err)
	}
	if n := p.count(`SELECT noted FROM records WHERE id = $1`, r.ID); n != len(errs) {
		t.Errorf("%d notes were counted, want %d", n, len(errs))
	}
	p.wantTrail()
}

// Of those who change one version, one succeeds.
func TestNoUpdateIsLost(t *testing.T) {
	p := onPostgres(t, same)
	pat := p.patient("pat")
	r := p.record(pat, "Cough")
	stores := []*practice{p, p.twin()}
	errs := make([]error, 20)
	together(len(errs), func(i int) {
		match := func(version string) bool { return version == r.Version }
		_, errs[i] = stores[i%2].ChangeRecord(t.Context(), pat, r.ID, match, &store.RecordInput{Title: ptr(fmt.Sprint(i))})
	})
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else if !errors.Is(err, store.ErrPrecondition) {
			t.Errorf("ChangeRecord error = %v, want nil or ErrPrecondition", err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d changes of one version succeeded, want 1", succeeded)
	}
}

// A name is given to one of those who ask for it at once.
func TestOneNameForOneAccount(t *testing.T) {
	p := onPostgres(t, same)
	stores := []*practice{p, p.twin()}
	errs := make([]error, 16)
	together(len(errs), func(i int) {
		_, errs[i] = stores[i%2].CreatePatient(t.Context(), store.Actor{}, &store.PatientInput{User: user("pat")})
	})
	made := 0
	for _, err := range errs {
		var invalid *store.Invalid
		if err == nil {
			made++
		} else if !errors.As(err, &invalid) {
			t.Errorf("CreatePatient error = %v, want nil or an Invalid", err)
		}
	}
	if made != 1 {
		t.Errorf("%d accounts have the name, want 1", made)
	}
}

// All who use a refresh token at once are given the same successor.
func TestRefreshTokenIsUsedOnce(t *testing.T) {
	p := onPostgres(t, same)
	p.patient("pat")
	c, err := p.BeginSignIn(t.Context(), store.Actor{}, "pat", store.Device{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.SignIn(t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		t.Fatal(err)
	}
	stores := []*practice{p, p.twin()}
	grants, errs := make([]store.Grant, 16), make([]error, 16)
	together(len(grants), func(i int) {
		grants[i], errs[i] = stores[i%2].Refresh(t.Context(), store.Actor{}, g.Account, g.Session, g.Refresh)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("Refresh error = %v, want nil", err)
	}
	for _, other := range grants {
		if other.Refresh != grants[0].Refresh || other.Refresh == g.Refresh {
			t.Fatal("one token was used up twice, want one successor")
		}
	}
}

// A session that is opened while its account is shut out is ended with it.
func TestSignInWhileShutOut(t *testing.T) {
	p := onPostgres(t, same)
	pat := p.patient("pat")
	c, err := p.BeginSignIn(t.Context(), store.Actor{}, "pat", store.Device{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		together(2, func(i int) {
			if i == 0 {
				p.SignIn(t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
			} else {
				p.SetActive(t.Context(), store.Command("user"), "pat", false)
			}
		})
		if n := p.count(`SELECT COUNT(*) FROM sessions WHERE account_id = $1 AND ended_at IS NULL`, pat.Account); n != 0 {
			t.Fatalf("%d sessions of the account that was shut out are open, want 0", n)
		}
		if err := p.SetActive(t.Context(), store.Command("user"), "pat", true); err != nil {
			t.Fatal(err)
		}
		p.clock.Advance(time.Hour) // beyond the pause after failures
		if c, err = p.BeginSignIn(t.Context(), store.Actor{}, "pat", store.Device{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Many start at once on an empty database: one makes it, the others find it.
func TestManyStartAtOnce(t *testing.T) {
	url := storetest.Postgres(t)
	o := store.Options{URL: url, DataKeys: [][]byte{dataKey("one")}, Create: true, MaxConnections: 2}
	errs := make([]error, 10)
	together(len(errs), func(i int) {
		var s *store.Store
		if s, errs[i] = store.Open(t.Context(), o); errs[i] == nil {
			if _, errs[i] = s.CreatePatient(t.Context(), store.Actor{}, &store.PatientInput{User: user(fmt.Sprint("pat", i))}); errs[i] == nil {
				errs[i] = s.Ready(t.Context())
			}
			s.Close()
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("Open and what follows: error = %v, want nil", err)
	}
	p := newPracticeWith(t, func(with *store.Options) { with.URL, with.Create = url, false })
	p.wantTrail()
	if n := p.count(`SELECT COUNT(*) FROM accounts`); n != len(errs) {
		t.Errorf("%d accounts, want %d", n, len(errs))
	}
}

func TestTrailOnPostgresOnlyGrows(t *testing.T) {
	p := onPostgres(t, same)
	p.staff("admin")
	for _, statement := range []string{`UPDATE audit SET outcome = 'done'`, `DELETE FROM audit`, `TRUNCATE audit`} {
		if _, err := p.beside().Exec(statement); err == nil {
			t.Errorf("%s: error = nil, want one", statement)
		}
	}
	p.wantTrail()
}

// Text that PostgreSQL cannot hold finds nothing, and is kept as far as it can.
func TestTextThatPostgresCannotHold(t *testing.T) {
	p := onPostgres(t, same)
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	pat := p.patient("pat", doc.Account)
	for _, text := range []string{"\x00", "caf\xe9", pat.Account + "\x00"} {
		events, err := p.Events(t.Context(), admin, store.EventFilter{Actor: text, Action: store.Action(text)}, store.Paging{Size: 5})
		if err != nil || len(events.Items) != 0 {
			t.Errorf("Events of %q = %d, %v, want none, nil", text, len(events.Items), err)
		}
		records, err := p.Records(t.Context(), pat, store.RecordFilter{Patient: text}, store.Paging{Size: 5})
		if err != nil || len(records.Items) != 0 {
			t.Errorf("Records of %q = %d, %v, want none, nil", text, len(records.Items), err)
		}
	}
	mails, err := p.ClaimMail(t.Context(), 1, time.Minute)
	if err != nil || len(mails) != 1 {
		t.Fatalf("ClaimMail = %d, %v, want 1, nil", len(mails), err)
	}
	if err := p.MailFailed(t.Context(), mails[0].ID, "550 bo\xeete pleine\x00"); err != nil {
		t.Errorf("MailFailed error = %v, want nil", err)
	}
	if got, want := p.texts(`SELECT outcome FROM outbox`), "failed: 550 bo\uFFFDte pleine\uFFFD"; len(got) != 1 || got[0] != want {
		t.Errorf("outcome = %q, want %q", got, want)
	}
}

// The server goes away and comes back. What finds a connection that was lost
// meanwhile gets another one.
func TestServerThatComesBack(t *testing.T) {
	server := storetest.NewServer(t)
	var log bytes.Buffer
	p := newPracticeWith(t, func(o *store.Options) {
		o.URL, o.Log = server.Database(t), slog.New(slog.NewTextHandler(&log, nil))
	})
	pat := p.patient("pat")
	together(8, func(int) { p.Me(t.Context(), pat) }) // so that there are several connections
	server.Stop(t)
	if _, err := p.Me(t.Context(), pat); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Me without the server: error = %v, want ErrUnavailable", err)
	}
	if err := p.Ready(t.Context()); err == nil || err.Error() != "database" {
		t.Errorf("Ready without the server: error = %v, want database", err)
	}
	if strings.Contains(log.String(), "a transaction failed") {
		t.Errorf("the log is %s, want nothing of a transaction that was not begun", log.String())
	}
	server.Start(t)
	if _, err := p.Me(t.Context(), pat); err != nil {
		t.Errorf("Me when the server is back: error = %v, want nil", err)
	}

	together(8, func(int) { p.Me(t.Context(), pat) })
	server.Stop(t)
	server.Start(t)
	errs := make([]error, 8)
	together(len(errs), func(i int) { _, errs[i] = p.Me(t.Context(), pat) })
	if err := errors.Join(errs...); err != nil {
		t.Errorf("Me over connections that were lost unnoticed: error = %v, want nil", err)
	}
	p.wantTrail()
}

// A client that hangs up frees its connection, and its query ends.
func TestHangingUpFreesTheConnection(t *testing.T) {
	p := onPostgres(t, func(o *store.Options) { o.MaxConnections = 1 })
	pat := p.patient("pat")
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Script(ctx, `SELECT pg_sleep(100)`) }()
	sleeping := `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep%'`
	for p.count(sleeping) == 0 {
	}
	hangUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the action that was hung up on: error = %v, want context.Canceled", err)
	}
	if _, err := p.Me(t.Context(), pat); err != nil {
		t.Errorf("Me over the one connection: error = %v, want nil", err)
	}
	for p.count(sleeping) > 0 { // ends, or the test does
	}
}

func TestActionThatTakesTooLong(t *testing.T) {
	p := onPostgres(t, func(o *store.Options) { o.Timeout, o.MaxConnections = 2*time.Second, 1 })
	wantErr(t, "a query that takes too long", p.Script(t.Context(), `SELECT pg_sleep(100)`), store.ErrUnavailable)
	if err := p.Ready(t.Context()); err != nil {
		t.Errorf("Ready after it: error = %v, want nil", err)
	}
}

// PostgreSQL answers the COMMIT of a transaction in which a statement failed
// without an error, and keeps nothing of it.
func TestFailedStatementIsNotCommitted(t *testing.T) {
	p := onPostgres(t, same)
	if err := p.Swallow(t.Context()); err == nil {
		t.Error("an action with a statement that failed: error = nil, want one")
	}
}

// Each transaction that writes has a lane for itself, and one only.
func TestEachTransactionHasItsLane(t *testing.T) {
	p := onPostgres(t, func(o *store.Options) { o.Timeout = 5 * time.Second })
	pat := p.patient("pat")
	const held = `SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND locktype = 'advisory'`
	release := p.occupy(pat)
	if n := p.count(held); n != 1 {
		t.Errorf("an action holds %d lanes, want 1", n)
	}
	release()

	c, err := p.beside().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	take := func(which string) {
		t.Helper()
		if _, err := c.ExecContext(t.Context(), `SELECT pg_advisory_unlock_all()`); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ExecContext(t.Context(), `SELECT pg_advisory_lock($1::int, g) FROM generate_series(0, 63) g WHERE `+which, store.LockClass); err != nil {
			t.Fatal(err)
		}
	}
	take(`TRUE`)
	_, err = p.Me(t.Context(), pat)
	wantErr(t, "Me while all lanes are taken", err, store.ErrUnavailable)
	take(`g <> 17`)
	if _, err := p.Me(t.Context(), pat); err != nil {
		t.Errorf("Me while one lane is free: error = %v, want nil", err)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE lane = 17`); n == 0 {
		t.Error("the entry is not in the lane that was free")
	}
	p.wantTrail()
}

// counter stands between a store and its server and counts what is sent: the
// driver sends what belongs together in one piece and waits for the answer.
type counter struct {
	sent atomic.Int64
}

func (c *counter) listen(t *testing.T, server string) (directory string) {
	t.Helper()
	directory = t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(directory, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", filepath.Join(server, ".s.PGSQL.5432"))
			if err != nil {
				from.Close()
				return
			}
			go pass(to, from, &c.sent)
			go pass(from, to, new(atomic.Int64))
		}
	}()
	return directory
}

func pass(to, from net.Conn, pieces *atomic.Int64) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		pieces.Add(1)
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// How often the service waits for PostgreSQL in a request.
func TestRoundTrips(t *testing.T) {
	server := storetest.NewServer(t)
	server.Database(t)
	var c counter
	directory := c.listen(t, server.Dir())
	p := newPracticeWith(t, func(o *store.Options) { o.URL = "postgres://tester@/health?host=" + directory })
	ctx := t.Context()
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	r := p.record(pat, "Cough")
	note := p.note(doc, r.ID, "rest")
	p.IndexEvery(1000) // which takes three more, seldom
	for _, d := range []struct {
		name string
		want int64
		do   func() error
	}{
		{"a patient gets a record with a note", 7, func() error { _, err := p.Record(ctx, pat, r.ID); return err }},
		{"a doctor gets a record with a note", 7, func() error { _, err := p.Record(ctx, doc, r.ID); return err }},
		{"a doctor gets a note", 6, func() error { _, err := p.Note(ctx, doc, note.ID); return err }},
		{"a doctor lists records with a note", 7, func() error {
			_, err := p.Records(ctx, doc, store.RecordFilter{}, store.Paging{Size: 25})
			return err
		}},
		{"a doctor lists patients", 6, func() error { _, err := p.Patients(ctx, doc, store.Paging{Size: 25}); return err }},
		{"a patient creates a record", 5, func() error { p.record(pat, "Fever"); return nil }},
		{"a doctor creates a note", 9, func() error { p.note(doc, r.ID, "tea"); return nil }},
		{"whoever asks who it is", 4, func() error { _, err := p.Me(ctx, pat); return err }},
	} {
		before := c.sent.Load()
		if err := d.do(); err != nil {
			t.Errorf("%s: error = %v, want nil", d.name, err)
		}
		if n := c.sent.Load() - before; n != d.want {
			t.Errorf("%s: %d round trips, want %d", d.name, n, d.want)
		}
	}
}

func TestPostgresEnvironmentChangesNothing(t *testing.T) {
	p := onPostgres(t, same)
	for name, value := range map[string]string{"PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGDATABASE": "other",
		"PGUSER": "other", "PGPASSWORD": "other", "PGOPTIONS": "-c search_path=other", "PGSSLMODE": "prefer", "PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "none"} {
		t.Setenv(name, value)
	}
	p.reopen()
	if err := p.Ready(t.Context()); err != nil {
		t.Errorf("Ready error = %v, want nil", err)
	}
}
