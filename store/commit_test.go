package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// occupy makes the committer wait in the middle of an action of the patient,
// which leaves everything as it is, until release is called. It returns when
// the committer waits; release returns when that action was answered.
func (p *practice) occupy(pat store.Actor) (release func()) {
	p.t.Helper()
	entered, leave, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	wait := func(string) bool { enter(); <-leave; return true } // the action may be run again
	var err error
	go func() {
		defer close(answered)
		_, err = p.ChangePatient(context.WithoutCancel(p.t.Context()), pat, pat.Account, wait, &store.PatientInput{})
	}()
	<-entered
	release = sync.OnceFunc(func() {
		close(leave)
		<-answered
		if err != nil {
			p.t.Errorf("the action that was waited in: error = %v, want nil", err)
		}
	})
	p.t.Cleanup(release) // runs before the store is closed
	return release
}

// waitFor returns when n actions wait.
func (p *practice) waitFor(n int) {
	for p.Waiting() < n {
		runtime.Gosched()
	}
}

// commits counts the transactions in SQLite's write-ahead log: the frames that
// end one, of those written since the log was last begun anew (File Format for
// SQLite Databases, section 4.1).
func (p *practice) commits() int {
	p.t.Helper()
	log, err := os.ReadFile(p.path() + "-wal")
	if err != nil {
		p.t.Fatal(err)
	}
	const header, frameHeader = 32, 24
	size := frameHeader + int(binary.BigEndian.Uint32(log[8:]))
	salts, n := log[16:24], 0
	for frames := log[header:]; len(frames) >= size && bytes.Equal(frames[8:16], salts); frames = frames[size:] {
		if pagesAfter := binary.BigEndian.Uint32(frames[4:]); pagesAfter > 0 {
			n++
		}
	}
	return n
}

func TestConcurrentActionsShareATransaction(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	const actions = 100
	before := p.commits()
	release := p.occupy(pat)
	errs := make([]error, actions)
	var all sync.WaitGroup
	for i := range actions {
		all.Go(func() {
			_, errs[i] = p.CreateRecord(t.Context(), pat, &store.RecordInput{Title: ptr("t"), Description: ptr("d")})
		})
	}
	p.waitFor(actions)
	release()
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("CreateRecord error = %v, want nil", err)
	}
	if n := p.count(`SELECT COUNT(*) FROM records`); n != actions {
		t.Errorf("%d records were kept, want %d", n, actions)
	}
	if n := p.commits() - before; n != 1 {
		t.Errorf("%d actions made %d transactions, want 1", actions+1, n)
	}
	p.wantTrail()
}

// An action that fails after it has written, one that panics, one that is
// refused, one that breaks a rule: none of them shows in those that share the
// transaction with it.
func TestEachActionHasItsOwnOutcome(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc, unlucky := p.doctor(admin, "doc"), p.doctor(admin, "unlucky")
	pat := p.patient("pat")
	// The mail is the last thing that a registration writes.
	p.refuse("outbox", `NEW.account_id = '`+unlucky.Account+`'`)

	register := func(name string, doctors ...string) error {
		_, err := p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user(name), Doctors: &doctors})
		return err
	}
	const rounds, kinds = 10, 5
	errs := make([]error, rounds*kinds)
	entries, commits := p.count(`SELECT COUNT(*) FROM audit`), p.commits()
	release := p.occupy(pat)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			name := fmt.Sprint("patient", i)
			switch i % kinds {
			case 0:
				errs[i] = register(name, doc.Account)
			case 1:
				errs[i] = register(name, doc.Account, unlucky.Account)
			case 2:
				_, errs[i] = p.Patient(ctx, doc, pat.Account)
			case 3:
				errs[i] = register("Pat", doc.Account) // taken
			case 4:
				_, errs[i] = p.ChangePatient(ctx, pat, pat.Account, func(string) bool { panic("made to panic") }, &store.PatientInput{})
			}
		})
	}
	p.waitFor(len(errs))
	release()
	all.Wait()

	for i, err := range errs {
		var invalid *store.Invalid
		good := false
		switch i % kinds {
		case 0:
			good = err == nil
		case 1:
			good = err != nil && strings.Contains(err.Error(), "made to fail")
		case 2:
			good = errors.Is(err, store.ErrNotFound)
		case 3:
			good = errors.As(err, &invalid)
		case 4:
			good = err != nil && err.Error() == "panic"
		}
		if !good {
			t.Errorf("action %d of kind %d: error = %v", i, i%kinds, err)
		}
	}
	if n := p.commits() - commits; n != 1 {
		t.Fatalf("the actions made %d transactions, want 1: nothing was proved", n)
	}
	for query, want := range map[string]int{
		`SELECT COUNT(*) FROM accounts WHERE role = 'patient'`:                         1 + rounds,
		`SELECT COUNT(*) FROM assignments`:                                             rounds,
		`SELECT COUNT(*) FROM outbox`:                                                  rounds,
		`SELECT COUNT(*) FROM audit WHERE action = 'patient.create' AND outcome <> ''`: 1 + rounds,
		`SELECT COUNT(*) FROM audit WHERE action = 'patient.read'`:                     rounds,
		`SELECT COUNT(*) FROM audit WHERE outcome = 'not found'`:                       rounds,
		fmt.Sprint(`SELECT COUNT(*) FROM audit WHERE seq > `, entries):                 1 + 2*rounds,
		`SELECT COUNT(*) FROM audit WHERE action = 'patient.change' AND version = 1`:   1, // the one that was waited in
		`SELECT COUNT(*) FROM audit a JOIN accounts p ON p.id = a.object WHERE seq <> 0
			AND a.action = 'patient.create' AND p.role = 'patient'`: 1 + rounds,
	} {
		if n := p.count(query); n != want {
			t.Errorf("%s = %d, want %d", query, n, want)
		}
	}
	p.exec(`DROP TRIGGER fails`)
	p.wantTrail()
}

// An action that fails after it has written makes others run twice, but not for
// long: those that come soon after it run once, however many such there are.
func TestFailuresMakeOthersRunTwiceOnlyOnce(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	unlucky, pat := p.doctor(p.staff("admin"), "unlucky"), p.patient("pat")
	p.refuse("outbox", `NEW.account_id = '`+unlucky.Account+`'`)
	for round, want := range []int{2, 1, 1} {
		runs := 0
		release := p.occupy(pat)
		var all sync.WaitGroup
		all.Go(func() {
			count := func(string) bool { runs++; return true }
			if _, err := p.ChangePatient(ctx, pat, pat.Account, count, &store.PatientInput{}); err != nil {
				t.Errorf("ChangePatient error = %v, want nil", err)
			}
		})
		p.waitFor(1)
		all.Go(func() {
			if _, err := p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user("new"), Doctors: &[]string{unlucky.Account}}); err == nil {
				t.Error("CreatePatient error = nil, want one")
			}
		})
		p.waitFor(2)
		release()
		all.Wait()
		if runs != want {
			t.Errorf("round %d: the other action ran %d times, want %d", round, runs, want)
		}
	}
}

// What fails after it has written is run once more, and told of once.
func TestPanicAfterAWriteIsLoggedOnce(t *testing.T) {
	var log strings.Builder
	broken := false
	p := newPracticeWith(t, func(o *store.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Random = readerFunc(func(b []byte) (int, error) {
			if broken {
				return 0, errors.New("no randomness")
			}
			return rand.Read(b)
		})
	})
	p.patient("pat")
	before := p.dump("limits")
	broken = true
	err := p.RequestReset(t.Context(), store.Actor{Address: "192.0.2.1"}, "pat", "") // counts, and then makes an id
	broken = false
	wantErr(t, "RequestReset", err, store.ErrPanic)
	if n := strings.Count(log.String(), "panic in an action"); n != 1 {
		t.Errorf("the panic is logged %d times, want once", n)
	}
	if p.dump("limits") != before {
		t.Error("what the action counted is left")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// What ends the whole transaction ends it for all who share it.
func TestSpoiltTransactionIsNobodysSuccess(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	p.exec(`CREATE TRIGGER spoils BEFORE INSERT ON records BEGIN SELECT RAISE(ROLLBACK, 'made to spoil'); END`)
	entries := p.count(`SELECT COUNT(*) FROM audit`)

	// All wait for the first, the one that spoils is the last of them.
	const actions = 10
	errs := make([]error, actions)
	var all sync.WaitGroup
	entered, leave := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		wait := func(string) bool { close(entered); <-leave; return true }
		_, errs[0] = p.ChangePatient(ctx, pat, pat.Account, wait, &store.PatientInput{Phone: ptr("1")})
	})
	<-entered
	for i := 1; i < actions; i++ {
		all.Go(func() {
			if i < actions-1 {
				_, errs[i] = p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user(fmt.Sprint("patient", i))})
			} else {
				_, errs[i] = p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: ptr("d")})
			}
		})
		p.waitFor(i)
	}
	close(leave)
	all.Wait()
	for i, err := range errs {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("action %d: error = %v, want ErrUnavailable", i, err)
		}
	}
	if n := p.count(`SELECT COUNT(*) FROM audit`); n != entries {
		t.Errorf("the trail has %d entries more, want none", n-entries)
	}
	if n := p.count(`SELECT COUNT(*) FROM accounts`); n != 1 {
		t.Errorf("%d accounts are kept, want 1", n)
	}
	p.exec(`DROP TRIGGER spoils`)
	p.record(pat, "again")
	p.wantTrail()
}

func TestRefusedActionLeavesItsEntryAndNothingElse(t *testing.T) {
	p := newPractice(t)
	pat, other := p.patient("pat"), p.patient("other")
	before := p.dump("accounts", "assignments", "outbox", "records")
	_, err := p.ChangePatient(t.Context(), other, pat.Account, nil, &store.PatientInput{Phone: ptr("1")})
	wantErr(t, "ChangePatient of another", err, store.ErrNotFound)
	refuse := func(string) bool { return false }
	_, err = p.ChangePatient(t.Context(), pat, pat.Account, refuse, &store.PatientInput{Phone: ptr("1")})
	wantErr(t, "ChangePatient of another version", err, store.ErrPrecondition)
	if got, want := p.texts(`SELECT outcome FROM audit WHERE action = 'patient.change' ORDER BY seq`), []string{"not found", "precondition failed"}; !slices.Equal(got, want) {
		t.Errorf("outcomes in the trail = %q, want %q", got, want)
	}
	if after := p.dump("accounts", "assignments", "outbox", "records"); after != before {
		t.Error("a refused action changed the database")
	}
}

// dump is all that stands in the tables, as one text.
func (p *practice) dump(tables ...string) string {
	p.t.Helper()
	var all strings.Builder
	for _, table := range tables {
		rows := p.rows(`SELECT * FROM ` + table)
		slices.SortFunc(rows, slices.Compare)
		for _, row := range rows {
			fmt.Fprintf(&all, "%s: %q\n", table, row)
		}
	}
	return all.String()
}

func TestClosedStoreRefuses(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	r := p.record(pat, "before")
	closed := p.Store
	if err := p.Close(); err != nil {
		t.Fatalf("Close error = %v, want nil", err)
	}
	p.Store = nil
	_, err := closed.Record(ctx, pat, r.ID)
	wantErr(t, "Record of a closed store", err, store.ErrUnavailable)
	_, err = closed.Records(ctx, pat, store.RecordFilter{}, store.Paging{Size: 25, Search: "before"})
	wantErr(t, "Records, a search, of a closed store", err, store.ErrUnavailable)
	if err := closed.Ready(ctx); err == nil || err.Error() != "database" {
		t.Errorf("Ready of a closed store error = %v, want database", err)
	}
	p.open()
	if _, err := p.Record(ctx, pat, r.ID); err != nil {
		t.Errorf("Record after the next start: error = %v, want nil", err)
	}
}

// Whoever is answered while the store closes is answered truly.
func TestCloseFinishesWhatWasAsked(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	var kept atomic.Int64
	var wrong atomic.Value
	var all sync.WaitGroup
	busy := make(chan struct{}, 8)
	s := p.Store
	for range cap(busy) {
		all.Go(func() {
			for first := true; ; first = false {
				_, err := s.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: ptr("d")})
				switch {
				case err == nil:
					kept.Add(1)
				case errors.Is(err, store.ErrUnavailable):
					return
				default:
					wrong.Store(err)
					return
				}
				if first {
					busy <- struct{}{}
				}
			}
		})
	}
	for range cap(busy) {
		<-busy
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close error = %v, want nil", err)
	}
	all.Wait()
	p.Store = nil
	if err := wrong.Load(); err != nil {
		t.Errorf("CreateRecord while the store closes: error = %v, want nil or ErrUnavailable", err)
	}
	p.open()
	if n := p.count(`SELECT COUNT(*) FROM records`); int64(n) != kept.Load() {
		t.Errorf("%d records are kept, %d were acknowledged", n, kept.Load())
	}
	p.wantTrail()
}

func TestCancelledContextDoesNothing(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	all := []string{"accounts", "sessions", "records", "audit", "outbox"}
	create := func(ctx context.Context) error {
		_, err := p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: ptr("d")})
		return err
	}
	search := func(ctx context.Context) error {
		_, err := p.Records(ctx, pat, store.RecordFilter{}, store.Paging{Size: 25, Search: "t"})
		return err
	}

	t.Run("before it is asked", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := p.dump(all...)
		wantErr(t, "CreateRecord", create(ctx), context.Canceled)
		if err := search(ctx); err == nil {
			t.Error("Records, a search, error = nil, want one")
		}
		if p.dump(all...) != before {
			t.Error("the database is not as it was")
		}
	})
	t.Run("while it waits", func(t *testing.T) {
		storetest.NeedsSQLite(t)
		before := p.dump("accounts", "sessions", "records", "outbox")
		entries := p.count(`SELECT COUNT(*) FROM audit`)
		release := p.occupy(pat)
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan error)
		go func() { answer <- create(ctx) }()
		p.waitFor(1)
		cancel()
		release()
		wantErr(t, "CreateRecord", <-answer, context.Canceled)
		if p.dump("accounts", "sessions", "records", "outbox") != before {
			t.Error("the database is not as it was")
		}
		if n := p.count(`SELECT COUNT(*) FROM audit`) - entries; n != 1 { // of the action before it
			t.Errorf("the trail has %d entries more, want 1", n)
		}
	})
}

func TestFullQueueIsUnavailable(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	release := p.occupy(pat)
	answers := make(chan error)
	for range store.MaxWaiting + 1 {
		go func() {
			_, err := p.HasStaff(t.Context())
			answers <- err
		}()
	}
	// All but one wait; the committer answers nobody meanwhile.
	wantErr(t, "HasStaff when the queue is full", <-answers, store.ErrUnavailable)
	release()
	for range store.MaxWaiting {
		if err := <-answers; err != nil {
			t.Fatalf("HasStaff error = %v, want nil", err)
		}
	}
	if _, err := p.HasStaff(t.Context()); err != nil {
		t.Errorf("HasStaff afterwards: error = %v, want nil", err)
	}
}

// Another process has the database locked for writing. How long is waited for
// it stands in TestSettingsAreInForceOnEveryConnection; here it is cut short.
func TestLockedDatabaseIsUnavailable(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	r := p.record(pat, "before")
	if err := p.Script(ctx, `PRAGMA busy_timeout = 20`); err != nil {
		t.Fatal(err)
	}
	before := p.dump("accounts", "records", "audit")
	other, err := p.beside().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	_, err = p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: ptr("d")})
	wantErr(t, "CreateRecord in a locked database", err, store.ErrUnavailable)
	_, err = p.Record(ctx, pat, r.ID) // for its entry cannot be written
	wantErr(t, "Record in a locked database", err, store.ErrUnavailable)
	_, err = p.Records(ctx, pat, store.RecordFilter{}, store.Paging{Size: 25, Search: "before"})
	wantErr(t, "Records, a search, in a locked database", err, store.ErrUnavailable)
	if _, err := other.ExecContext(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if p.dump("accounts", "records", "audit") != before {
		t.Error("the database is not as it was")
	}
	p.record(pat, "afterwards")
	p.wantTrail()
}

// Two processes serve one database: one trail, no entry lost.
func TestTwoStoresShareOneTrail(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	second, err := store.Open(ctx, p.options)
	if err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	defer second.Close()
	const each = 25
	errs := make([]error, 2*each)
	together(len(errs), func(i int) {
		_, errs[i] = []*store.Store{p.Store, second}[i%2].CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: ptr("d")})
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("CreateRecord error = %v, want nil", err)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'record.create'`); n != len(errs) {
		t.Errorf("the trail has %d entries, want %d", n, len(errs))
	}
	p.wantTrail()
}

// The disk is full, as SQLite sees it: it ends the transaction by itself.
func TestFullDatabaseIsUnavailable(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	if err := p.Script(ctx, fmt.Sprint(`PRAGMA max_page_count = `, p.count(`PRAGMA page_count`)+4)); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 3000)
	kept := 0
	var err error
	for err == nil && kept < 1000 {
		if _, err = p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: &long}); err == nil {
			kept++
		}
	}
	wantErr(t, "CreateRecord in a full database", err, store.ErrUnavailable)
	if n := p.count(`SELECT COUNT(*) FROM records`); n != kept {
		t.Errorf("%d records are kept, %d were acknowledged", n, kept)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'record.create'`); n != kept {
		t.Errorf("the trail tells of %d records, %d were acknowledged", n, kept)
	}
	if err := p.Script(ctx, `PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if _, err := p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("t"), Description: &long}); err != nil {
		t.Errorf("CreateRecord afterwards: error = %v, want nil", err)
	}
	p.wantTrail()
}

// What was committed is moved into the file beside the actions, before SQLite
// would do it at a commit.
func TestLogIsTidiedBesideTheActions(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat")
	if err := p.Script(t.Context(), `PRAGMA wal_autocheckpoint = 0`); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		file, err := os.Stat(p.path())
		if err != nil {
			t.Fatal(err)
		}
		return file.Size()
	}
	before := size()
	for range 300 {
		if _, err := p.Patient(t.Context(), pat, pat.Account); err != nil {
			t.Fatal(err)
		}
	}
	for begun := time.Now(); size() == before; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("the file still has %d bytes", before)
		}
	}
}
