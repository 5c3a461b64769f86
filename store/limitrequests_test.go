package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"healthrecords/store"
)

// The device that an attempt says it comes from must be the account's.
func TestDeviceOfAnother(t *testing.T) {
	p := newPractice(t)
	p.doctor(p.staff("admin"), "doc")
	p.patient("pat")
	phone := p.device("192.0.2.1", "pat")
	for i := range 6 {
		p.try(fmt.Sprint("198.51.100.", i), "doc", phone, false)
	}
	if _, err := p.try("198.51.100.7", "doc", phone, true); p.wait(err) == 0 {
		t.Errorf("another's device after failures: error = %v, want Throttled", err)
	}
	if _, err := p.try("198.51.100.7", "doc", store.Device{Account: p.actorOf("doc"), ID: "not an id", Issued: p.clock.Now()}, true); p.wait(err) == 0 {
		t.Errorf("a device without an id after failures: error = %v, want Throttled", err)
	}
}

// actorOf returns the id of the account with a user name.
func (p *practice) actorOf(name string) string {
	p.t.Helper()
	list, err := p.Sessions(p.t.Context(), store.Command("test"), name)
	if err != nil || len(list) == 0 {
		p.t.Fatalf("Sessions = %d, %v, want some", len(list), err)
	}
	return p.texts(`SELECT account_id FROM sessions WHERE id = $1`, list[0].ID)[0]
}

// A session that goes on is not touched by any count; within it, wrong current
// passwords are counted by themselves.
func TestCurrentPasswordIsLimited(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	for range 6 {
		if _, err := p.OwnCredentials(ctx, pat, store.ChangePassword, ""); err != nil {
			t.Fatalf("OwnCredentials error = %v, want nil", err)
		}
	}
	_, err := p.OwnCredentials(ctx, pat, store.ChangePatient, pat.Account)
	if got := p.wait(err); got != time.Second {
		t.Errorf("OwnCredentials after 6 failures waits %v, want 1s", got)
	}
	if _, err := p.Patient(ctx, pat, pat.Account); err != nil {
		t.Errorf("Patient meanwhile: error = %v, want nil", err)
	}
	if _, err := p.try("192.0.2.1", "pat", store.Device{}, true); err != nil {
		t.Errorf("a sign-in meanwhile: error = %v, want nil", err)
	}
	p.clock.Advance(time.Second)
	c, err := p.OwnCredentials(ctx, pat, store.ChangePatient, pat.Account)
	if err != nil {
		t.Fatalf("OwnCredentials a second later: error = %v, want nil", err)
	}
	wantErr(t, "Proven", p.Proven(ctx, c), nil)
	for range 6 {
		_, err := p.OwnCredentials(ctx, pat, store.ChangePassword, "")
		wantErr(t, "OwnCredentials after a success", err, nil)
	}
}

// Requests of strangers that are answered alike to all are limited by address,
// and by whom they are aimed at, be it somebody or not.
func TestRequestsAreLimited(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	p.staff("admin")
	from := func(i int) store.Actor { return store.Actor{Address: fmt.Sprint("198.51.100.", i)} }
	for name, request := range map[string]func(a store.Actor, i int) error{
		"registration": func(a store.Actor, i int) error { return p.BeginRegistration(ctx, a) },
		"reset": func(a store.Actor, i int) error {
			return p.RequestReset(ctx, a, fmt.Sprint("somebody ", i), "")
		},
		"confirmation": func(a store.Actor, i int) error {
			_, err := p.CheckReset(ctx, a, "no token")
			return err
		},
		"acceptance": func(a store.Actor, i int) error {
			_, err := p.CheckInvitation(ctx, a, "no token")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			throttled := func(a store.Actor, i int) bool { return errors.As(request(a, i), new(store.Throttled)) }
			for i := range 10 {
				if throttled(from(1), i) {
					t.Fatalf("request %d of one address is throttled, want 10 let through", i+1)
				}
			}
			if !throttled(from(1), 11) || throttled(from(2), 12) {
				t.Error("request 11 of one address is let through, or another address is throttled")
			}
			p.clock.Advance(time.Minute)
			if throttled(from(1), 13) || !throttled(from(1), 14) {
				t.Error("after a minute none is let through, or more than one")
			}
		})
	}
	for _, target := range []struct{ name, email string }{{"admin", ""}, {"nobody", ""}, {"", "admin@example.test"}, {"", "nobody@example.test"}} {
		p.clock.Advance(24 * time.Hour)
		for i := range 3 {
			wantErr(t, "RequestReset", p.RequestReset(ctx, from(20+i), target.name, target.email), nil)
		}
		if got := p.wait(p.RequestReset(ctx, from(30), target.name, target.email)); got != 20*time.Minute {
			t.Errorf("RequestReset(%q, %q) for the fourth time waits %v, want 20m", target.name, target.email, got)
		}
		p.clock.Advance(20 * time.Minute)
		wantErr(t, "RequestReset 20 minutes later", p.RequestReset(ctx, from(30), target.name, target.email), nil)
	}
}

// Who tests passwords in another's session leaves an entry for each, right or
// wrong, whatever else is wrong with the input.
func TestTestedPasswordsAreTraced(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	bad := func() (in store.Input) { in.Problems.Add("other", "wrong"); return in }
	for name, do := range map[string]func(proven string) error{
		"a change of the password": func(proven string) error {
			return p.ChangePassword(ctx, pat, &store.PasswordInput{Input: bad(), Proven: proven})
		},
		"a change of the profile": func(proven string) error {
			user := store.UserInput{Email: ptr("new@example.test"), CurrentPassword: ptr("typed"), Proven: proven}
			_, err := p.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Input: bad(), User: user})
			return err
		},
		"a second factor": func(proven string) error {
			_, err := p.ConfirmOTP(ctx, pat, &store.ConfirmOTPInput{Input: bad(), Password: ptr("typed"), Proven: proven})
			return err
		},
	} {
		for proven, outcome := range map[string]string{"": "wrong password", "hash of pat": "invalid"} {
			before := p.entries()
			if err := do(proven); !errors.As(err, new(*store.Invalid)) {
				t.Fatalf("%s error = %v, want Invalid", name, err)
			}
			if got := p.entries() - before; got != 1 {
				t.Errorf("%s leaves %d entries, want 1 with %q", name, got, outcome)
			}
			if n := p.count(`SELECT COUNT(*) FROM audit WHERE outcome = $1 AND actor = $2`, outcome, pat.Account); n == 0 {
				t.Errorf("%s leaves no entry with the outcome %q", name, outcome)
			}
		}
	}
	p.wantTrail()
}
