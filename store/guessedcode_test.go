package store_test

import (
	"errors"
	"testing"
	"time"

	"healthrecords/store"
)

// Who reads the owner's mail resets the password again and again, and guesses at
// codes between: that stays as slow as without, and ends after a hundred.
func TestResetsDoNotForgiveWrongCodes(t *testing.T) {
	p := newPractice(t)
	secret, _ := p.secured(p.patient("pat"))
	tried, end := 0, p.clock.Now().Add(24*time.Hour)
	for p.clock.Now().Before(end) {
		err := p.signInWith("pat", ptr("zz"), nil)
		var early store.Throttled
		switch {
		case errors.Is(err, store.ErrOTP):
			tried++
		case !errors.As(err, &early):
			t.Fatalf("a sign-in with a wrong code: error = %v, want %v or Throttled", err, store.ErrOTP)
		case early.Wait <= 10*time.Minute:
			p.clock.Advance(early.Wait)
		default:
			if err := p.RequestReset(t.Context(), store.Actor{}, "pat", ""); err != nil {
				p.clock.Advance(p.wait(err))
				continue
			}
			token := p.mails()[store.MailReset][0].Token
			wantErr(t, "ConfirmReset", p.ConfirmReset(t.Context(), store.Actor{}, token, "hash"), nil)
		}
	}
	if tried < 10 || tried > 65 {
		t.Errorf("%d codes were tried in a day, want some 60", tried)
	}
	for ; tried < 100; tried++ {
		p.clock.Advance(time.Hour)
		wantErr(t, "a wrong code", p.signInWith("pat", ptr("zz"), nil), store.ErrOTP)
	}
	right := func() error {
		p.clock.Advance(25 * time.Hour)
		return p.signInWith("pat", p.code(secret, 0), nil)
	}
	token := p.resetToken("pat")
	wantErr(t, "ConfirmReset", p.ConfirmReset(t.Context(), store.Actor{}, token, "hash"), nil)
	wantErr(t, "the right code after a hundred wrong ones and a reset", right(), store.ErrOTP)
	wantErr(t, "Unlock", p.Unlock(t.Context(), store.Command("test"), "pat"), nil)
	wantErr(t, "the right code after Unlock", right(), nil)
	p.wantTrail()
}

// Who has the password and a session guesses at codes to turn them off, and
// proves the password between: that forgives nothing.
func TestRightPasswordsDoNotForgiveWrongCodes(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	secret, _ := p.secured(pat)
	prove := func(action store.Action) string {
		t.Helper()
		c, err := p.OwnCredentials(ctx, pat, action, pat.Account)
		wantErr(t, "OwnCredentials", err, nil)
		wantErr(t, "Proven", p.Proven(ctx, c), nil)
		return c.Hash
	}
	end := func(otp *string) error {
		t.Helper()
		return p.EndOTP(ctx, pat, &store.EndOTPInput{Proven: prove(store.EndOTP), OTP: otp})
	}
	for i := range 6 {
		if err := end(ptr("zz")); !errors.As(err, new(*store.Invalid)) {
			t.Fatalf("EndOTP with wrong code %d: error = %v, want Invalid", i+1, err)
		}
		prove(store.ChangePatient)
	}
	for range 10 {
		if got := p.wait(end(ptr("zz"))); got != time.Second {
			t.Fatalf("EndOTP after 6 wrong codes waits %v, want 1s", got)
		}
	}
	if got := p.wait(p.signInWith("pat", p.code(secret, 30*time.Second), nil)); got != time.Second {
		t.Errorf("a sign-in with the right code after 6 wrong ones waits %v, want 1s", got)
	}
	p.clock.Advance(time.Second)
	wantErr(t, "EndOTP with the right code in time", end(p.code(secret, 30*time.Second)), nil)
	p.wantTrail()
}

// Codes that confirm a secret are counted too, and by the operator's hand as by a
// right one all is forgotten.
func TestWrongCodesThatConfirmAreSlowed(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	secret, _, err := p.BeginOTP(ctx, pat)
	wantErr(t, "BeginOTP", err, nil)
	confirm := func(otp *string) error {
		_, err := p.ConfirmOTP(ctx, pat, &store.ConfirmOTPInput{OTP: otp})
		return err
	}
	for range 6 {
		if err := confirm(ptr("zz")); !errors.As(err, new(*store.Invalid)) {
			t.Fatalf("ConfirmOTP with a wrong code: error = %v, want Invalid", err)
		}
	}
	if got := p.wait(confirm(p.code(secret, 0))); got != time.Second {
		t.Errorf("ConfirmOTP after 6 wrong codes waits %v, want 1s", got)
	}
	p.clock.Advance(time.Second)
	wantErr(t, "ConfirmOTP in time", confirm(p.code(secret, 0)), nil)
	for range 6 {
		wantErr(t, "a wrong code", p.signInWith("pat", ptr("zz"), nil), store.ErrOTP)
	}
	wantErr(t, "ResetOTP", p.ResetOTP(ctx, store.Command("test"), "pat"), nil)
	if n := p.count(`SELECT COUNT(*) FROM limits WHERE failures = 6`); n != 1 {
		t.Errorf("%d counts of 6 failures are left after ResetOTP, want that of the password alone", n)
	}
}
