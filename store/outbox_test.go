package store_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"healthrecords/store"
)

// post is a practice with two doctors and mail to them.
type post struct {
	*practice
	admin, doc, doc2 store.Actor
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := newPractice(t)
	w := &post{practice: p, admin: p.staff("admin")}
	w.doc, w.doc2 = p.doctor(w.admin, "doc"), p.doctor(w.admin, "doc2")
	return w
}

// claim claims mail for a minute.
func (w *post) claim(limit int) []store.Mail {
	w.t.Helper()
	mails, err := w.ClaimMail(w.t.Context(), limit, time.Minute)
	if err != nil {
		w.t.Fatalf("ClaimMail error = %v, want nil", err)
	}
	return mails
}

// wantMail claims all mail that is due and compares whom it goes to.
func (w *post) wantMail(t *testing.T, when string, accounts ...string) []store.Mail {
	t.Helper()
	mails := w.claim(100)
	var got []string
	for _, m := range mails {
		got = append(got, m.Account)
	}
	if !slices.Equal(got, accounts) {
		t.Errorf("%s mail to %d accounts is due, want %d, or to others", when, len(got), len(accounts))
	}
	return mails
}

// announced tells whether mail was announced since it was last asked.
func (w *post) announced() bool {
	select {
	case <-w.MailQueued():
		return true
	default:
		return false
	}
}

func TestNewPairMakesOneMail(t *testing.T) {
	w := newPost(t)
	ctx := t.Context()
	setDoctors := func(a store.Actor, ids ...string) {
		t.Helper()
		if _, err := w.ChangePatient(ctx, a, a.Account, nil, &store.PatientInput{Doctors: &ids}); err != nil {
			t.Fatalf("ChangePatient error = %v, want nil", err)
		}
	}
	changeDoctor := func(in store.DoctorInput) {
		t.Helper()
		if _, err := w.ChangeDoctor(ctx, w.admin, w.doc.Account, nil, &in); err != nil {
			t.Fatalf("ChangeDoctor error = %v, want nil", err)
		}
	}
	w.wantMail(t, "at first")
	if w.announced() {
		t.Error("mail was announced when there was none")
	}
	pat := w.patient("pat", w.doc.Account)
	if !w.announced() {
		t.Error("mail was not announced")
	}
	m := w.wantMail(t, "after registration", w.doc.Account)[0]
	if m.To != "doc@example.test" || m.Kind != store.MailAssigned || m.Attempts != 1 || !m.Queued.Equal(w.clock.Now()) {
		t.Errorf("ClaimMail = kind %q, attempt %d, queued %v; want %q, 1, %v, to the doctor", m.Kind, m.Attempts, m.Queued, store.MailAssigned, w.clock.Now())
	}
	setDoctors(pat, w.doc.Account)
	w.wantMail(t, "after the same pair again")
	setDoctors(pat, w.doc.Account, w.doc2.Account, w.doc2.Account)
	w.wantMail(t, "after a pair more", w.doc2.Account)
	setDoctors(pat, w.doc2.Account)
	w.wantMail(t, "after a pair less")
	setDoctors(pat, w.doc2.Account, w.doc.Account)
	w.wantMail(t, "after the pair came back", w.doc.Account)
	changeDoctor(store.DoctorInput{Patients: &[]string{pat.Account}})
	w.wantMail(t, "after staff set the same pair")
	pat2 := w.patient("pat2")
	changeDoctor(store.DoctorInput{Patients: &[]string{pat.Account, pat2.Account}})
	w.wantMail(t, "after staff set a pair more", w.doc.Account)

	// The pairs of a doctor who is not verified stand, though they do not count.
	changeDoctor(store.DoctorInput{Verified: ptr(false)})
	changeDoctor(store.DoctorInput{Verified: ptr(true)})
	w.wantMail(t, "after verification")
	changeDoctor(store.DoctorInput{Verified: ptr(false)})
	pat3 := w.patient("pat3")
	changeDoctor(store.DoctorInput{Verified: ptr(true), Patients: &[]string{pat.Account, pat2.Account, pat3.Account}})
	w.wantMail(t, "after verification with the standing pairs and one more", w.doc.Account)

	in := &store.DoctorInput{User: user("doc3"), Patients: &[]string{pat.Account, pat2.Account}}
	d, err := w.CreateDoctor(ctx, w.admin, in)
	if err != nil {
		t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	w.wantMail(t, "after registration of a doctor with two patients", d.ID, d.ID)
}

func TestUndoneAssignmentMakesNoMail(t *testing.T) {
	w := newPost(t)
	ctx := t.Context()
	pat := w.patient("pat")
	doctors := &[]string{w.doc.Account, w.doc2.Account}
	w.exec(`CREATE TRIGGER fails BEFORE INSERT ON audit WHEN NEW.fields = 'phone_number doctors' BEGIN SELECT RAISE(ABORT, 'made to fail'); END`)
	for name, do := range map[string]func() error{
		"a name that is taken": func() error {
			_, err := w.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user("pat"), Doctors: doctors})
			return err
		},
		"a doctor who is none": func() error {
			ids := append(slices.Clone(*doctors), pat.Account)
			_, err := w.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Doctors: &ids})
			return err
		},
		"another version": func() error {
			_, err := w.ChangePatient(ctx, pat, pat.Account, func(string) bool { return false }, &store.PatientInput{Doctors: doctors})
			return err
		},
		"another patient's doctors": func() error {
			_, err := w.ChangePatient(ctx, w.doc, pat.Account, nil, &store.PatientInput{Doctors: doctors})
			return err
		},
		"no entry in the trail": func() error {
			_, err := w.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Phone: ptr("1"), Doctors: doctors})
			return err
		},
	} {
		if err := do(); err == nil {
			t.Errorf("%s: error = nil, want one", name)
		}
		if w.announced() {
			t.Errorf("%s: mail was announced, want none", name)
		}
	}
	if n := w.count(`SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM assignments)`); n != 0 {
		t.Errorf("%d mails and pairs are kept, want none", n)
	}
}

func TestClaimedMailIsLeased(t *testing.T) {
	w := newPost(t)
	w.patient("pat", w.doc.Account)
	first := w.wantMail(t, "at first", w.doc.Account)[0]
	w.wantMail(t, "while it is leased")
	w.clock.Advance(time.Minute - time.Microsecond)
	w.wantMail(t, "just before the end of the lease")
	w.clock.Advance(time.Microsecond)
	again := w.wantMail(t, "after the lease", w.doc.Account)[0]
	if again.ID != first.ID || again.Attempts != 2 || !again.Queued.Equal(first.Queued) {
		t.Errorf("ClaimMail after the lease = the same mail: %v, attempt %d, want true, 2", again.ID == first.ID, again.Attempts)
	}
	if err := w.MailSent(t.Context(), first.ID); err != nil {
		t.Fatalf("MailSent error = %v, want nil", err)
	}
	w.clock.Advance(time.Hour)
	w.wantMail(t, "after it was sent")
	w.reopen()
	w.wantMail(t, "after it was sent and a restart")
}

func TestMailOutcomes(t *testing.T) {
	w := newPost(t)
	ctx := t.Context()
	w.patient("pat", w.doc.Account)
	wantOutbox := func(when string, waiting, failed int, next time.Time) {
		t.Helper()
		o, err := w.Outbox(ctx)
		if err != nil || o.Waiting != waiting || o.Failed != failed || o.Oldest.IsZero() != (waiting == 0) {
			t.Errorf("%s Outbox = %d waiting, %d failed, %v; want %d, %d, nil", when, o.Waiting, o.Failed, err, waiting, failed)
		}
		if got, err := w.NextMail(ctx); err != nil || !got.Equal(next) {
			t.Errorf("%s NextMail = %v, %v, want %v, nil", when, got, err, next)
		}
	}
	wantOutbox("at first", 1, 0, w.clock.Now())
	m := w.claim(1)[0]
	wantOutbox("while it is leased", 1, 0, w.clock.Now().Add(time.Minute))
	until := w.clock.Now().Add(2 * time.Hour)
	if err := w.MailDeferred(ctx, m.ID, until, "try later"); err != nil {
		t.Fatalf("MailDeferred error = %v, want nil", err)
	}
	wantOutbox("while it is deferred", 1, 0, until)
	w.clock.Set(until.Add(-time.Microsecond))
	w.wantMail(t, "just before it is due again")
	w.clock.Set(until)
	if again := w.wantMail(t, "when it is due again", w.doc.Account)[0]; again.Attempts != 2 {
		t.Errorf("ClaimMail = attempt %d, want 2", again.Attempts)
	}
	if err := w.MailFailed(ctx, m.ID, "no such mailbox"); err != nil {
		t.Fatalf("MailFailed error = %v, want nil", err)
	}
	wantOutbox("when it was given up", 0, 1, time.Time{})

	// What is over stays over, whatever comes late.
	for name, err := range map[string]error{
		"MailSent":     w.MailSent(ctx, m.ID),
		"MailDeferred": w.MailDeferred(ctx, m.ID, w.clock.Now(), "late"),
	} {
		wantErr(t, name+" when it is over", err, nil)
	}
	wantOutbox("after late answers", 0, 1, time.Time{})
	w.clock.Advance(24 * time.Hour)
	w.wantMail(t, "after late answers")
	if got, want := w.texts(`SELECT outcome FROM outbox`), []string{"failed: no such mailbox"}; !slices.Equal(got, want) {
		t.Errorf("outcome = %q, want %q", got, want)
	}
	w.clock.Advance(31 * 24 * time.Hour)
	wantOutbox("a month later", 0, 0, time.Time{})
}

func TestMailLeavesInOrder(t *testing.T) {
	w := newPost(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.patient(name, w.doc.Account)
		w.clock.Advance(time.Second)
	}
	want := w.texts(`SELECT id FROM outbox ORDER BY queued_at`)
	var got []string
	for range 3 {
		for _, m := range w.claim(2) {
			got = append(got, m.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("ClaimMail gave %d mails, in another order than they were queued, or not the %d there are", len(got), len(want))
	}
	if more := w.claim(0); len(more) != 0 {
		t.Errorf("ClaimMail of none = %d mails, want 0", len(more))
	}
}

// Two processes claim at once: nobody gets a mail that another has.
func TestMailIsClaimedOnce(t *testing.T) {
	w := newPost(t)
	ctx := t.Context()
	const mails = 60
	var all []string
	for range mails / 20 {
		var doctors []string
		for range 20 {
			d, err := w.CreateDoctor(ctx, w.admin, &store.DoctorInput{User: user("doctor " + w.NewID())})
			if err != nil {
				t.Fatalf("CreateDoctor error = %v, want nil", err)
			}
			doctors = append(doctors, d.ID)
		}
		w.patient("patient "+w.NewID(), doctors...)
	}
	second, err := store.Open(ctx, w.options)
	if err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	defer second.Close()
	var mu sync.Mutex
	const claimers = 6
	errs := make([]error, claimers)
	together(claimers, func(i int) {
		s := []*store.Store{w.Store, second}[i%2]
		for {
			got, err := s.ClaimMail(ctx, 3, time.Hour)
			mu.Lock()
			for _, m := range got {
				all = append(all, m.ID)
			}
			enough := len(got) == 0 || len(all) > 2*mails
			mu.Unlock()
			if errs[i] = err; err != nil || enough {
				return
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("ClaimMail error = %v, want nil", err)
	}
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); len(all) != mails || n != mails {
		t.Errorf("%d mails were given, %d of them different, want %d of each", len(all), n, mails)
	}
}

// The address is that of the moment of sending, and a deleted doctor has none.
func TestMailGoesToTheAddressOfNow(t *testing.T) {
	w := newPost(t)
	ctx := t.Context()
	w.patient("pat", w.doc.Account, w.doc2.Account)
	in := &store.DoctorInput{User: store.UserInput{Email: ptr("new@example.test")}}
	if _, err := w.ChangeDoctor(ctx, w.admin, w.doc.Account, nil, in); err != nil {
		t.Fatalf("ChangeDoctor error = %v, want nil", err)
	}
	if err := w.DeleteDoctor(ctx, w.doc2, w.doc2.Account, nil); err != nil {
		t.Fatalf("DeleteDoctor error = %v, want nil", err)
	}
	mails := w.wantMail(t, "afterwards", w.doc.Account, w.doc2.Account, w.doc.Account)
	if mails[0].To != "new@example.test" || mails[1].To != "" {
		t.Error("ClaimMail gives addresses of before, want the new one and none")
	}
	if mails[2].Kind != store.MailEmail || mails[2].To != "doc@example.test" {
		t.Errorf("the mail about the new address has kind %q, or goes elsewhere than to the old one", mails[2].Kind)
	}
	for _, row := range w.rows(`SELECT * FROM outbox`) {
		for _, text := range row {
			if slices.Contains([]string{"doc@example.test", "new@example.test", "doc2@example.test"}, text) {
				t.Error("the outbox holds an address")
			}
		}
	}
}
