package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// from signs an account in from an address.
func (p *practice) from(address, name, agent string) store.Actor {
	p.t.Helper()
	a := store.Actor{Address: address}
	c, err := p.BeginSignIn(p.t.Context(), a, name, store.Device{})
	if err != nil {
		p.t.Fatalf("BeginSignIn error = %v, want nil", err)
	}
	g, err := p.SignIn(p.t.Context(), a, c, store.SignInInput{Right: true, Agent: agent})
	if err != nil {
		p.t.Fatalf("SignIn error = %v, want nil", err)
	}
	return store.Actor{Account: g.Account, Session: g.Session, Address: address}
}

func TestMySessions(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat, other := p.patient("pat"), p.patient("other")
	p.clock.Advance(time.Minute + time.Second/2) // tokens count whole seconds
	laptop := p.from("192.0.2.1", "pat", "Lap\x00t\u202e\u200bop\r\n\ufeff\xff "+strings.Repeat("é", 300))
	list, err := p.MySessions(ctx, laptop)
	if err != nil || len(list) != 2 {
		t.Fatalf("MySessions = %d, %v, want 2", len(list), err)
	}
	x := list[0]
	if x.ID != laptop.Session || !x.Current || x.Address != "192.0.2.1" || x.Agent != "Laptop "+strings.Repeat("é", 193) || !x.Created.Equal(p.clock.Now()) || !x.LastUsed.Equal(x.Created) {
		t.Errorf("the newest session is not as it was opened: %+v", x)
	}
	if list[1].ID != pat.Session || list[1].Current {
		t.Error("the older session is not the second, or is called the current one")
	}
	wantErr(t, "EndMySession of another's", p.EndMySession(ctx, laptop, other.Session), store.ErrNotFound)
	wantErr(t, "EndMySession of nothing", p.EndMySession(ctx, laptop, "x"), store.ErrNotFound)
	wantErr(t, "EndMySession", p.EndMySession(ctx, laptop, pat.Session), nil)
	wantErr(t, "EndMySession again", p.EndMySession(ctx, laptop, pat.Session), store.ErrNotFound)
	_, err = p.Me(ctx, pat)
	wantErr(t, "Me in it", err, store.ErrSession)
	phone := p.from("192.0.2.1", "pat", "")
	wantErr(t, "EndOtherSessions", p.EndOtherSessions(ctx, phone), nil)
	_, err = p.Me(ctx, laptop)
	wantErr(t, "Me in an other", err, store.ErrSession)
	for _, a := range []store.Actor{phone, other} {
		_, err = p.Me(ctx, a)
		wantErr(t, "Me in this one and in another's", err, nil)
	}
}

// A session ends when nobody uses it, and at the latest when it was said to.
func TestIdleSessionsEnd(t *testing.T) {
	p := newPracticeWith(t, func(o *store.Options) { o.IdlePatients, o.IdleOthers = 24*time.Hour, 12*time.Hour })
	ctx := t.Context()
	admin, pat := p.staff("admin"), p.patient("pat")
	c, err := p.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{})
	wantErr(t, "BeginSignIn", err, nil)
	g, err := p.SignIn(ctx, store.Actor{}, c, store.SignInInput{Right: true})
	wantErr(t, "SignIn", err, nil)
	used := store.Actor{Account: g.Account, Session: g.Session}
	for _, step := range []struct {
		pause               time.Duration
		staff, patient, own error
	}{
		{12*time.Hour - time.Second, nil, nil, nil},
		{time.Second, store.ErrSession, nil, nil},
		{12*time.Hour - time.Second, store.ErrSession, nil, nil},
		{time.Second, store.ErrSession, store.ErrSession, nil},
		{24*time.Hour - 2*time.Second, store.ErrSession, store.ErrSession, nil},
	} {
		p.clock.Advance(step.pause)
		_, err := p.Me(ctx, admin)
		wantErr(t, "Me of staff", err, step.staff)
		_, err = p.Me(ctx, pat)
		wantErr(t, "Me of a patient", err, step.patient)
		_, err = p.Me(ctx, used)
		wantErr(t, "Me in a session that is renewed", err, step.own)
		if step.pause < time.Minute || step.patient == nil {
			if g, err = p.Refresh(ctx, store.Actor{}, g.Account, g.Session, g.Refresh); err != nil {
				t.Fatalf("Refresh error = %v, want nil", err)
			}
		}
	}
	if list, err := p.Sessions(ctx, store.Command("test"), "pat"); err != nil || len(list) != 1 || list[0].ID != used.Session {
		t.Errorf("Sessions = %d, %v, want the one in use", len(list), err)
	}
	p.clock.Advance(24 * time.Hour)
	_, err = p.Refresh(ctx, store.Actor{}, g.Account, g.Session, g.Refresh)
	wantErr(t, "Refresh of a session that nobody used", err, store.ErrToken)
}

// Of more than twenty sessions the oldest go; those that are over do not count.
func TestTwentySessions(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	first := p.patient("pat")
	var all []store.Actor
	for range 20 {
		p.clock.Advance(time.Second)
		all = append(all, p.actor("pat"))
	}
	_, err := p.Me(ctx, first)
	wantErr(t, "Me in the first of 21", err, store.ErrSession)
	wantErr(t, "EndMySession", p.EndMySession(ctx, all[5], all[7].Session), nil)
	p.actor("pat")
	for i, a := range all {
		_, err := p.Me(ctx, a)
		want := error(nil)
		if i == 7 {
			want = store.ErrSession
		}
		wantErr(t, fmt.Sprintf("Me in session %d of 20", i+2), err, want)
	}
}

// Who signs in again and again makes no work for those who come after: what is
// looked up at a sign-in does not grow with the sessions that are over.
func TestSessionsThatAreOverAreNotLookedAt(t *testing.T) {
	p := newPracticeWith(t, func(o *store.Options) { o.IdlePatients = time.Hour })
	p.patient("pat")
	for range 3 {
		p.clock.Advance(time.Hour) // idle, as nothing says in the rows
		for range 15 {
			p.actor("pat")
		}
	}
	if n := p.count(`SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL`); n != 15 {
		t.Errorf("%d of 46 sessions have no end, want the 15 that are live", n)
	}
	for range 15 {
		p.actor("pat")
	}
	if n := p.count(`SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL`); n != 20 {
		t.Errorf("%d sessions have no end, want 20", n)
	}
	if storetest.OnPostgres() {
		return // its planner goes by what is in the tables
	}
	plan := fmt.Sprint(p.rows("EXPLAIN QUERY PLAN " + strings.ReplaceAll(store.LiveSessions, "$", "'x'")))
	if !strings.Contains(plan, "USING INDEX sessions_live (account_id=?)") {
		t.Errorf("the live sessions are looked up so: %s, want by their own index", plan)
	}
}

// Of very many sessions the newest tell where the owner is at home.
func TestAddressOfLongAgoIsNew(t *testing.T) {
	p := newPractice(t)
	p.patient("pat")
	p.from("192.0.2.1", "pat", "")
	p.mails()
	sign := func(n int, address string) {
		for range n {
			p.from(address, "pat", "")
		}
	}
	sign(100, "192.0.2.2")
	sign(1, "192.0.2.1")
	if got := len(p.mails()[store.MailDevice]); got != 2 {
		t.Errorf("%d mails, want 2: about the second address, and the first one after 100 sessions elsewhere", got)
	}
}

// A mail tells of a sign-in from somewhere new.
func TestMailAboutNewDevices(t *testing.T) {
	p := newPractice(t)
	if _, err := p.CreatePatient(t.Context(), store.Actor{}, &store.PatientInput{User: user("pat")}); err != nil {
		t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	want := func(when string, n int) {
		t.Helper()
		if got := len(p.mails()[store.MailDevice]); got != n {
			t.Errorf("%s: %d mails, want %d", when, got, n)
		}
	}
	phone := p.device("192.0.2.1", "pat")
	want("the very first session", 0)
	p.from("192.0.2.1", "pat", "")
	want("the same address", 0)
	p.from("192.0.2.2", "pat", "")
	want("another address", 1)
	p.from("2001:db8::1", "pat", "")
	want("an IPv6 address", 1)
	p.from("2001:db8::2", "pat", "")
	want("another of its network", 0)
	if _, err := p.try("192.0.2.3", "pat", phone, true); err != nil {
		t.Fatalf("sign-in error = %v, want nil", err)
	}
	want("another address and a known device", 0)
	p.try("192.0.2.4", "pat", store.Device{}, false)
	want("a wrong password", 0)
	p.clock.Advance(31 * 24 * time.Hour)
	p.from("192.0.2.1", "pat", "")
	want("the first address after a month", 1)
	p.clock.Advance(100 * 24 * time.Hour)
	wantErr(t, "Purge", p.Purge(t.Context()), nil)
	p.mails()
	p.from("192.0.2.9", "pat", "")
	want("an address after all sessions were over for long", 1)
}

// Whom staff shuts out is out at once, with all its devices.
func TestDeactivationEndsEverything(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc, pat := p.doctor(admin, "doc"), p.patient("pat")
	phone := p.device("192.0.2.1", "doc")
	set := func(a store.Actor, active bool) error {
		_, err := p.ChangeDoctor(ctx, a, doc.Account, nil, &store.DoctorInput{User: store.UserInput{Active: &active}})
		return err
	}
	wantErr(t, "is_active by the doctor itself", set(doc, false), nil) // ignored
	_, err := p.Me(ctx, doc)
	wantErr(t, "Me after that", err, nil)
	p.clock.Advance(time.Second)
	wantErr(t, "is_active by staff", set(admin, false), nil)
	_, err = p.Me(ctx, doc)
	wantErr(t, "Me of who is shut out", err, store.ErrSession)
	if _, err := p.try("192.0.2.1", "doc", store.Device{}, true); err != store.ErrCredentials {
		t.Errorf("sign-in of who is shut out: error = %v, want %v", err, store.ErrCredentials)
	}
	shown, err := p.Doctor(ctx, admin, doc.Account)
	if err != nil || shown.Active == nil || *shown.Active {
		t.Errorf("Doctor for staff tells that it is not active: error = %v, want that", err)
	}
	p.clock.Advance(time.Second)
	wantErr(t, "is_active by staff again", set(admin, true), nil)
	for i := range 10 {
		p.try(fmt.Sprint("198.51.100.", i), "doc", store.Device{}, false)
	}
	if _, err := p.try("192.0.2.1", "doc", phone, true); p.wait(err) == 0 {
		t.Errorf("sign-in with a proof from before: error = %v, want Throttled as a stranger is", err)
	}
	if shown, err := p.Doctor(ctx, pat, doc.Account); err != nil || shown.Active != nil {
		t.Errorf("Doctor for a patient tells whether it is active: %v, error = %v, want false", shown.Active != nil, err)
	}
	if list, err := p.Doctors(ctx, admin, wholePage); err != nil || !slices.ContainsFunc(list.Items, func(d store.Doctor) bool { return d.Active != nil && *d.Active }) {
		t.Errorf("Doctors for staff tells who is active: error = %v, want that", err)
	}
}
