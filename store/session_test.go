package store_test

import (
	"testing"
	"time"

	"healthrecords/store"
)

// The window in which a refresh may be repeated reaches ten seconds, whichever
// way the clock goes, and does not open again when that is put back.
func TestRepeatWindowStaysClosedWhenTheClockGoesBack(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	p.patient("pat")
	c, err := p.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{})
	if err != nil {
		t.Fatalf("Credentials error = %v, want nil", err)
	}
	p.clock.Advance(2 * time.Hour)
	for _, test := range []struct {
		back time.Duration
		want error
	}{
		{10 * time.Second, nil},
		{10*time.Second + time.Microsecond, store.ErrToken},
		{time.Hour, store.ErrToken},
	} {
		first, err := p.SignIn(ctx, store.Actor{}, c, store.SignInInput{Right: true})
		if err != nil {
			t.Fatalf("SignIn error = %v, want nil", err)
		}
		refresh := func() (store.Grant, error) {
			return p.Refresh(ctx, store.Actor{}, first.Account, first.Session, first.Refresh)
		}
		second, err := refresh()
		if err != nil {
			t.Fatalf("Refresh error = %v, want nil", err)
		}
		used := p.clock.Now()
		if test.back == time.Hour { // it had closed before
			p.clock.Advance(time.Minute)
			wantErr(t, "CheckRefresh a minute later", p.CheckRefresh(ctx, store.Actor{}, first.Account, first.Session, first.Refresh), store.ErrToken)
		}
		p.clock.Set(used.Add(-test.back))
		when := " with the clock put back by " + test.back.String()
		wantErr(t, "CheckRefresh of the first token"+when, p.CheckRefresh(ctx, store.Actor{}, first.Account, first.Session, first.Refresh), test.want)
		again, err := refresh()
		wantErr(t, "Refresh with the first token"+when, err, test.want)
		if err == nil && again.Refresh != second.Refresh {
			t.Errorf("Refresh%s grants another token, want the same successor", when)
		}
		_, err = p.Refresh(ctx, store.Actor{}, second.Account, second.Session, second.Refresh)
		wantErr(t, "Refresh with the second token then"+when, err, test.want)
		p.clock.Set(used)
	}
}
