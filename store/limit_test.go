package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"healthrecords/store"
)

// try makes one attempt to sign in, with the right password or a wrong one. It
// returns whether a password would have been hashed for it.
func (p *practice) try(from, name string, d store.Device, right bool) (store.Grant, error) {
	a := store.Actor{Address: from}
	c, err := p.BeginSignIn(p.t.Context(), a, name, d)
	if err != nil {
		return store.Grant{}, err
	}
	return p.SignIn(p.t.Context(), a, c, store.SignInInput{Right: right && c.Hash != ""})
}

// wait is what an attempt was told, zero when it came through.
func (p *practice) wait(err error) time.Duration {
	p.t.Helper()
	var t store.Throttled
	if errors.As(err, &t) {
		if t.Wait <= 0 {
			p.t.Errorf("Throttled.Wait = %v, want more than 0", t.Wait)
		}
		return t.Wait
	}
	if err != nil && !errors.Is(err, store.ErrCredentials) {
		p.t.Fatalf("an attempt's error = %v, want Throttled or %v", err, store.ErrCredentials)
	}
	return 0
}

// device signs in with the wish for a proof, and returns it.
func (p *practice) device(from, name string) store.Device {
	p.t.Helper()
	a := store.Actor{Address: from}
	c, err := p.BeginSignIn(p.t.Context(), a, name, store.Device{})
	if err != nil {
		p.t.Fatalf("BeginSignIn error = %v, want nil", err)
	}
	g, err := p.SignIn(p.t.Context(), a, c, store.SignInInput{Right: true, NewDevice: true})
	if err != nil {
		p.t.Fatalf("SignIn error = %v, want nil", err)
	}
	return store.Device{Account: g.Account, ID: g.DeviceID, Issued: g.Now}
}

// What is asked ahead says what the attempt itself would, and counts nothing.
func TestMayTryCountsNothing(t *testing.T) {
	p := newPractice(t)
	p.patient("pat")
	from := store.Actor{Address: "198.51.100.1"}
	for n := range 10 {
		var asked time.Duration
		for range 20 {
			asked = p.wait(p.MayTry(t.Context(), from, "pat", store.Device{}))
		}
		_, err := p.try(from.Address, "pat", store.Device{}, false)
		got := p.wait(err)
		if got != asked {
			t.Fatalf("MayTry says to wait %v, the attempt %v, want the same", asked, got)
		}
		if got > 0 {
			if n < 5 {
				t.Errorf("%d attempts were let through, want 5: asking counts", n)
			}
			return
		}
	}
	t.Error("10 attempts were let through")
}

// A thousand addresses guess all day at one password: few guesses are hashed,
// and the owner goes on working from the device that it knows and from where it
// has a session.
func TestGuessingFromManyAddresses(t *testing.T) {
	p := newPractice(t)
	p.doctor(p.staff("admin"), "doc")
	home, phone := "192.0.2.1", p.device("192.0.2.1", "doc")
	hashed := 0
	for i := range 10_000 {
		p.clock.Advance(24 * time.Hour / 10_000)
		from := fmt.Sprintf("198.51.%d.%d", i%1000/250, i%250)
		if _, err := p.try(from, "doc", store.Device{}, false); p.wait(err) == 0 {
			hashed++
		}
		if i%500 == 0 {
			if _, err := p.try(home, "doc", store.Device{}, true); err != nil {
				t.Fatalf("after %d guesses the owner signs in from a known address: error = %v, want nil", i, err)
			}
			if _, err := p.try(fmt.Sprintf("203.0.113.%d", i/500), "doc", phone, true); err != nil {
				t.Fatalf("after %d guesses the owner signs in from a known device: error = %v, want nil", i, err)
			}
		}
	}
	if hashed < 10 || hashed > 100 {
		t.Errorf("%d of 10000 guesses were hashed, want at most 100, and more than the first few", hashed)
	}
}

// After a hundred failures in a row the password does not work any more for
// strangers, until it is reset or unlocked; elsewhere it does.
func TestHundredFailuresLockAWayIn(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	p.doctor(p.staff("admin"), "doc")
	phone := p.device("192.0.2.1", "doc")
	for i := range 100 {
		p.clock.Advance(time.Hour)
		c, err := p.BeginSignIn(ctx, store.Actor{Address: "198.51.100.1"}, "doc", store.Device{})
		if err != nil || c.Hash == "" {
			t.Fatalf("attempt %d: hash = %q, error = %v, want the stored one", i+1, c.Hash, err)
		}
	}
	p.clock.Advance(25 * time.Hour) // a quiet day begins the delays anew, and not this
	if _, err := p.try("198.51.100.1", "doc", store.Device{}, true); !errors.Is(err, store.ErrCredentials) {
		t.Errorf("a stranger with the right password: error = %v, want %v", err, store.ErrCredentials)
	}
	if _, err := p.try("198.51.100.2", "doc", phone, true); err != nil {
		t.Errorf("the owner from a known device: error = %v, want nil", err)
	}
	p.clock.Advance(time.Hour)
	if _, err := p.try("198.51.100.1", "doc", store.Device{}, true); !errors.Is(err, store.ErrCredentials) {
		t.Errorf("a stranger after the owner's success: error = %v, want %v", err, store.ErrCredentials)
	}
	if err := p.Unlock(ctx, store.Command("test"), "doc"); err != nil {
		t.Fatalf("Unlock error = %v, want nil", err)
	}
	if _, err := p.try("198.51.100.1", "doc", store.Device{}, true); err != nil {
		t.Errorf("a stranger with the right password after Unlock: error = %v, want nil", err)
	}
}

// Who once knew the password has collected proofs of devices. A new password
// leaves it one way in, that of a stranger; the owner's device is known again
// after the next sign-in, of which no mail tells where the owner is known.
func TestNewPasswordVoidsProofsOfDevices(t *testing.T) {
	for name, renew := range map[string]func(p *practice, pat store.Actor) error{
		"a reset": func(p *practice, pat store.Actor) error {
			return p.ConfirmReset(t.Context(), store.Actor{}, p.resetToken("pat"), "new hash")
		},
		"a change": func(p *practice, pat store.Actor) error {
			return p.ChangePassword(t.Context(), pat, &store.PasswordInput{Proven: "hash of pat", NewHash: "new hash"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPractice(t)
			p.patient("pat")
			var proofs []store.Device
			for range 50 {
				proofs = append(proofs, p.device("203.0.113.9", "pat"))
			}
			pat := p.from("192.0.2.1", "pat", "")
			p.clock.Advance(time.Second)
			wantErr(t, name, renew(p, pat), nil)
			p.mails()
			p.clock.Advance(time.Second)
			hashed := 0
			for i, d := range proofs {
				for range 6 {
					if _, err := p.try(fmt.Sprint("198.51.100.", i), "pat", d, false); p.wait(err) == 0 {
						hashed++
					}
				}
			}
			if hashed != 6 {
				t.Errorf("%d guesses with 50 proofs of before came through at one moment, want 6", hashed)
			}
			p.clock.Advance(time.Minute)
			known := p.device("192.0.2.1", "pat")
			if got := len(p.mails()[store.MailDevice]); got != 0 {
				t.Errorf("%d mails about the owner at home, want 0", got)
			}
			for range 6 {
				p.try("198.51.100.1", "pat", store.Device{}, false)
			}
			_, err := p.try("198.51.100.1", "pat", known, true)
			wantErr(t, "a sign-in with the new proof", err, nil)
		})
	}
}

// Who guesses at a name that somebody will have does not shut that one out.
func TestNameIsFreeOfFailuresWhenItIsTaken(t *testing.T) {
	p := newPractice(t)
	admin := p.staff("admin")
	invitation := p.invite(admin)
	for range 100 {
		p.clock.Advance(30 * time.Minute)
		for i, name := range []string{"registered", "invited"} {
			_, err := p.try(fmt.Sprint("198.51.100.", i), name, store.Device{}, false)
			wantErr(t, "an attempt at a name that nobody has", err, store.ErrCredentials)
		}
	}
	_, err := p.CreatePatient(t.Context(), store.Actor{}, &store.PatientInput{User: user("registered")})
	wantErr(t, "CreatePatient", err, nil)
	_, err = p.AcceptInvitation(t.Context(), store.Actor{}, accepting(invitation.Token, "invited"))
	wantErr(t, "AcceptInvitation", err, nil)
	for _, name := range []string{"registered", "invited"} {
		_, err := p.try("192.0.2.1", name, store.Device{}, true)
		wantErr(t, "the first sign-in as "+name, err, nil)
	}
}

// One address tries many names, of which some are somebody's.
func TestGuessingAtManyAccounts(t *testing.T) {
	p := newPractice(t)
	p.staff("admin")
	var hashed []time.Time
	for i := range 10_000 {
		p.clock.Advance(100 * time.Millisecond)
		name := fmt.Sprint("name ", i)
		if i%10 == 0 {
			name = "admin"
		}
		if _, err := p.try("198.51.100.1", name, store.Device{}, false); p.wait(err) == 0 {
			hashed = append(hashed, p.clock.Now())
		}
	}
	for i := range len(hashed) - 20 {
		if within := hashed[i+20].Sub(hashed[i]); within < time.Minute {
			t.Fatalf("21 attempts came through within %v, want at most 20 in a minute", within)
		}
	}
	if len(hashed) < 100 {
		t.Errorf("%d attempts came through, want some 110 in 1000 s", len(hashed))
	}
}

// What a name is told does not depend on whether somebody has it.
func TestNamesThatNobodyHasAreThrottledAlike(t *testing.T) {
	p := newPractice(t)
	p.staff("admin")
	for i, pause := range []time.Duration{0, 0, 0, 0, 0, 0, 0, time.Second, 0, time.Second, time.Second, 4 * time.Second, time.Minute, time.Hour, 0, 23 * time.Hour, 0, 25 * time.Hour, 0, 0, 0, 0, 0, 0, 0} {
		p.clock.Advance(pause)
		_, err := p.try(fmt.Sprint("198.51.100.", i), "admin", store.Device{}, false)
		known := p.wait(err)
		_, err = p.try(fmt.Sprint("203.0.113.", i), "nobody", store.Device{}, false)
		if unknown := p.wait(err); known != unknown {
			t.Errorf("attempt %d: a name that nobody has waits %v, want %v", i+1, unknown, known)
		}
	}
}

// The delays after failures, and what begins them anew.
func TestDelaysAfterFailures(t *testing.T) {
	p := newPractice(t)
	p.staff("admin")
	step := 0
	want := func(pause, wait time.Duration, right bool) {
		t.Helper()
		step++
		p.clock.Advance(pause)
		_, err := p.try(fmt.Sprint("198.51.100.", step), "admin", store.Device{}, right)
		if got := p.wait(err); got != wait {
			t.Errorf("step %d: Wait = %v, want %v", step, got, wait)
		}
	}
	for range 6 {
		want(0, 0, false)
	}
	want(0, time.Second, true) // nor with the right password
	want(900*time.Millisecond, 100*time.Millisecond, false)
	want(100*time.Millisecond, 0, false)
	want(0, 2*time.Second, false)
	want(2*time.Second, 0, false)
	want(0, 4*time.Second, false)
	p.clock.Advance(-24 * time.Hour) // put back
	want(0, 4*time.Second, false)
	p.clock.Advance(24 * time.Hour)
	want(4*time.Second, 0, true) // a success
	for range 6 {
		want(0, 0, false)
	}
	want(0, time.Second, false)
	for range 30 {
		want(30*time.Minute, 0, false)
	}
	want(0, 30*time.Minute, false)
	want(24*time.Hour, 0, false) // a quiet day
	for range 5 {
		want(0, 0, false)
	}
	want(0, time.Second, false)
}

// Two hundred people behind one address sign in at the same time.
func TestRightPasswordsAreNeverSlowed(t *testing.T) {
	p := newPractice(t)
	for i := range 200 {
		if _, err := p.CreatePatient(t.Context(), store.Actor{}, &store.PatientInput{User: user(fmt.Sprint("pat", i))}); err != nil {
			t.Fatalf("CreatePatient error = %v, want nil", err)
		}
	}
	slots := make(chan struct{}, 4) // as many as are hashed for at once
	errs := make([]error, 200)
	together(200, func(i int) {
		slots <- struct{}{}
		defer func() { <-slots }()
		_, errs[i] = p.try("192.0.2.1", fmt.Sprint("pat", i), store.Device{}, true)
	})
	for i, err := range errs {
		if err != nil {
			t.Errorf("user %d of one address: error = %v, want nil", i, err)
		}
	}
}

// An IPv6 address counts with all of its network of 64 bits, an IPv4 address
// alone, in whatever way it is written.
func TestWhatIsOneAddress(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:0:ffff::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"fe80::1%eth0", "fe80::2", true},
	} {
		p := newPractice(t)
		for i := range 14 {
			if _, err := p.try(test.a, fmt.Sprint("name ", i), store.Device{}, false); p.wait(err) != 0 {
				t.Fatalf("attempt %d from %s: error = %v, want none yet", i+1, test.a, err)
			}
		}
		_, err := p.try(test.b, "another name", store.Device{}, false)
		if got := p.wait(err) != 0; got != test.same {
			t.Errorf("an attempt from %s after many from %s is throttled: %v, want %v", test.b, test.a, got, test.same)
		}
	}
}

// Two processes count together.
func TestLimitsHoldAcrossProcesses(t *testing.T) {
	p := newPractice(t)
	p.staff("admin")
	q := &practice{t: t, clock: p.clock, options: p.options}
	q.open()
	defer q.Close()
	hashed := 0
	for i := range 20 {
		one := []*practice{p, q}[i%2]
		if _, err := one.try(fmt.Sprint("198.51.100.", i), "admin", store.Device{}, false); one.wait(err) == 0 {
			hashed++
		}
	}
	if hashed != 6 {
		t.Errorf("%d attempts at one moment came through two processes, want 6", hashed)
	}
}

// At one moment, many guess: no more come through than one after the other.
func TestParallelGuesses(t *testing.T) {
	p := newPractice(t)
	p.staff("admin")
	errs := make([]error, 200)
	together(200, func(i int) {
		_, errs[i] = p.try(fmt.Sprint("198.51.100.", i), "admin", store.Device{}, false)
	})
	hashed := 0
	for _, err := range errs {
		if p.wait(err) == 0 {
			hashed++
		}
	}
	if hashed != 6 {
		t.Errorf("%d of 200 guesses at one moment came through, want 6", hashed)
	}
}
