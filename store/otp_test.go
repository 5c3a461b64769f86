package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/store"
)

// secured turns the second factor of an account on.
func (p *practice) secured(a store.Actor) (secret []byte, codes []string) {
	p.t.Helper()
	secret, _, err := p.BeginOTP(p.t.Context(), a)
	if err != nil {
		p.t.Fatalf("BeginOTP error = %v, want nil", err)
	}
	codes, err = p.ConfirmOTP(p.t.Context(), a, &store.ConfirmOTPInput{OTP: p.code(secret, 0)})
	if err != nil {
		p.t.Fatalf("ConfirmOTP error = %v, want nil", err)
	}
	return secret, codes
}

// code is what an authenticator shows some time ahead.
func (p *practice) code(secret []byte, ahead time.Duration) *string {
	return ptr(auth.TOTPCode(secret, p.clock.Now().Add(ahead)))
}

// signInWith signs in with the right password and codes.
func (p *practice) signInWith(name string, otp, recovery *string) error {
	a := store.Actor{Address: "192.0.2.1"}
	c, err := p.BeginSignIn(p.t.Context(), a, name, store.Device{})
	if err == nil {
		_, err = p.SignIn(p.t.Context(), a, c, store.SignInInput{Right: true, OTP: otp, RecoveryCode: recovery})
	}
	return err
}

func TestSecondFactor(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	secret, codes := p.secured(pat)
	state, err := p.OTP(ctx, pat)
	if want := (store.OTPState{Enabled: true, RecoveryCodesLeft: 10}); err != nil || state != want {
		t.Errorf("OTP = %+v, %v, want %+v", state, err, want)
	}
	wantErr(t, "sign-in without a code", p.signInWith("pat", nil, nil), store.ErrOTPRequired)
	wantErr(t, "sign-in with the code that confirmed", p.signInWith("pat", p.code(secret, 0), nil), store.ErrOTP)
	wantErr(t, "sign-in with an old code", p.signInWith("pat", p.code(secret, -time.Minute), nil), store.ErrOTP)
	wantErr(t, "sign-in with the next code", p.signInWith("pat", p.code(secret, 30*time.Second), nil), nil)
	wantErr(t, "sign-in with the same code", p.signInWith("pat", p.code(secret, 30*time.Second), nil), store.ErrOTP)
	p.clock.Advance(time.Minute)
	wantErr(t, "sign-in with an empty code", p.signInWith("pat", ptr(""), nil), store.ErrOTP)
	wantErr(t, "sign-in with a recovery code", p.signInWith("pat", nil, ptr(" "+codes[3][:4]+codes[3][5:]+" ")), nil)
	wantErr(t, "sign-in with it again", p.signInWith("pat", nil, &codes[3]), store.ErrOTP)
	if state, err = p.OTP(ctx, pat); err != nil || state.RecoveryCodesLeft != 9 {
		t.Errorf("OTP = %+v, %v, want 9 recovery codes", state, err)
	}

	wantProblem := func(in store.EndOTPInput, field string) {
		t.Helper()
		var invalid *store.Invalid
		if err := p.EndOTP(ctx, pat, &in); !errors.As(err, &invalid) {
			t.Fatalf("EndOTP error = %v, want a problem at %s", err, field)
		}
		invalid.Each(func(name, _ string) {
			if name != field {
				t.Errorf("EndOTP has a problem at %s, want %s", name, field)
			}
		})
	}
	wantProblem(store.EndOTPInput{OTP: p.code(secret, 0)}, "password")
	wantProblem(store.EndOTPInput{Proven: "hash of pat", OTP: ptr("000000x")}, "otp")
	wantProblem(store.EndOTPInput{Proven: "hash of pat", RecoveryCode: &codes[3]}, "recovery_code")
	wantErr(t, "EndOTP", p.EndOTP(ctx, pat, &store.EndOTPInput{Proven: "hash of pat", OTP: p.code(secret, 0)}), nil)
	wantErr(t, "sign-in without a code then", p.signInWith("pat", nil, nil), nil)
	if n := p.count(`SELECT COUNT(*) FROM recovery_codes`); n != 0 {
		t.Errorf("%d recovery codes are left, want 0", n)
	}
	again, _, err := p.BeginOTP(ctx, pat)
	if err != nil || slices.Equal(again, secret) {
		t.Errorf("BeginOTP gives the old secret: %v, %v, want another", slices.Equal(again, secret), err)
	}
	wantErr(t, "sign-in while it is not confirmed", p.signInWith("pat", nil, nil), nil)
	p.wantTrail()
}

// A code is good once, also for many at the same moment.
func TestCodesAreGoodOnceInParallel(t *testing.T) {
	for _, name := range []string{"one-time code", "recovery code"} {
		p := newPractice(t)
		secret, codes := p.secured(p.patient("pat"))
		otp, recovery := p.code(secret, 30*time.Second), &codes[0]
		if name == "recovery code" {
			otp = nil
		} else {
			recovery = nil
		}
		errs := make([]error, 5) // as many as are free
		together(len(errs), func(i int) { errs[i] = p.signInWith("pat", otp, recovery) })
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else {
				wantErr(t, name+" once more", err, store.ErrOTP)
			}
		}
		if good != 1 {
			t.Errorf("a %s was good for %d of %d at once, want 1", name, good, len(errs))
		}
	}
}

// To be asked for a code costs nothing; a wrong one is a failure, which nothing
// but a success makes good.
func TestWrongCodesCount(t *testing.T) {
	p := newPractice(t)
	p.secured(p.patient("pat"))
	failures := 0
	for range 20 {
		wantErr(t, "sign-in without a code", p.signInWith("pat", nil, nil), store.ErrOTPRequired)
		err := p.signInWith("pat", ptr("zz"), nil)
		if errors.As(err, new(store.Throttled)) {
			break
		}
		wantErr(t, "sign-in with a wrong code", err, store.ErrOTP)
		if failures++; failures == 6 {
			break
		}
	}
	if err := p.signInWith("pat", nil, nil); p.wait(err) != time.Second || failures != 6 {
		t.Errorf("after %d wrong codes: error = %v, want Throttled for a second after 6", failures, err)
	}
}

// Who writes into the file cannot turn a second factor off, nor put another's or
// an older one in its place.
func TestBentSecondFactorDoesNotOpen(t *testing.T) {
	p := newPractice(t)
	pat, other := p.patient("pat"), p.patient("other")
	p.secured(pat)
	p.secured(other)
	p.exec(`CREATE TABLE older AS SELECT * FROM accounts WHERE id = $1`, pat.Account)
	if _, err := p.ChangePatient(t.Context(), pat, pat.Account, nil, &store.PatientInput{Phone: ptr("1")}); err != nil {
		t.Fatalf("ChangePatient error = %v, want nil", err)
	}
	for name, set := range map[string]string{
		"off":                  `otp_on = 0`,
		"off without a secret": `otp_on = 0, otp = NULL`,
		"no secret":            `otp = NULL`,
		"another's secret":     `otp = (SELECT otp FROM accounts WHERE id = '` + other.Account + `')`,
		"the secret of before": `otp = (SELECT otp FROM older)`,
	} {
		restore := p.keep("accounts")
		p.exec(`UPDATE accounts SET `+set+` WHERE id = $1`, pat.Account)
		_, err := p.BeginSignIn(t.Context(), store.Actor{}, "pat", store.Device{})
		wantSealed(t, "BeginSignIn with "+name, err)
		restore()
	}
	wantErr(t, "sign-in as it was", p.signInWith("pat", nil, nil), store.ErrOTPRequired)
}

// Where a role must have a second factor, who has none reaches only what is its
// own.
func TestRequiredSecondFactor(t *testing.T) {
	p := newPracticeWith(t, func(o *store.Options) { o.RequireOTP = []store.Role{store.Staff, store.DoctorRole} })
	ctx := t.Context()
	admin := p.staff("admin")
	_, err := p.Patients(ctx, admin, wholePage)
	wantErr(t, "Patients", err, store.ErrOTPSetup)
	_, err = p.Record(ctx, admin, p.NewID())
	wantErr(t, "Record, which staff may never see,", err, store.ErrOTPSetup)
	_, err = p.Me(ctx, admin)
	wantErr(t, "Me", err, nil)
	_, err = p.MySessions(ctx, admin)
	wantErr(t, "MySessions", err, nil)
	p.secured(admin)
	_, err = p.Patients(ctx, admin, wholePage)
	wantErr(t, "Patients with a second factor", err, nil)
	pat := p.patient("pat")
	_, err = p.Patient(ctx, pat, pat.Account)
	wantErr(t, "Patient by itself", err, nil)
}

// Recovery codes are not to be guessed, nor to be had from the file.
func TestRecoveryCodes(t *testing.T) {
	p := newPractice(t)
	_, codes := p.secured(p.patient("pat"))
	if sorted := slices.Sorted(slices.Values(codes)); len(slices.Compact(sorted)) != 10 {
		t.Errorf("%d different recovery codes, want 10", len(sorted))
	}
	for _, c := range codes {
		if len(c) != 19 {
			t.Errorf("a recovery code has %d characters, want 16 and 3 dashes", len(c))
		}
	}
	if n := p.count(`SELECT COUNT(DISTINCT hash) FROM recovery_codes WHERE length(hash) = 32`); n != 10 {
		t.Errorf("%d hashes are kept, want 10", n)
	}
}

// A stolen session does not turn the second factor on, which would shut the owner
// out for good: that takes the password, but for ten minutes after a sign-in. And
// what was opened with the password alone is closed.
func TestSecondFactorTakesThePassword(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	p.patient("pat")
	stolen := p.actor("pat")
	p.clock.Advance(10 * time.Minute)
	secret, _, err := p.BeginOTP(ctx, stolen)
	wantErr(t, "BeginOTP", err, nil)
	for _, in := range []store.ConfirmOTPInput{
		{OTP: p.code(secret, 0)},
		{OTP: p.code(secret, 0), Password: ptr("wrong")},
		{OTP: p.code(secret, 0), Password: ptr("of another"), Proven: "hash of another"},
	} {
		_, err := p.ConfirmOTP(ctx, stolen, &in)
		var invalid *store.Invalid
		if !errors.As(err, &invalid) {
			t.Fatalf("ConfirmOTP without the password: error = %v, want Invalid", err)
		}
		invalid.Each(func(field, _ string) {
			if field != "password" {
				t.Errorf("ConfirmOTP has a problem at %s, want password", field)
			}
		})
	}
	wantErr(t, "sign-in without a code", p.signInWith("pat", nil, nil), nil)
	owner := p.actor("pat")
	_, err = p.ConfirmOTP(ctx, owner, &store.ConfirmOTPInput{OTP: p.code(secret, 0)})
	wantErr(t, "ConfirmOTP right after a sign-in", err, nil)
	_, err = p.Me(ctx, stolen)
	wantErr(t, "Me in the session from before", err, store.ErrSession)
	_, err = p.Me(ctx, owner)
	wantErr(t, "Me in the session that turned it on", err, nil)
	p.wantTrail()
}

func TestSecondFactorWithThePassword(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	p.clock.Advance(time.Hour)
	secret, _, err := p.BeginOTP(t.Context(), pat)
	wantErr(t, "BeginOTP", err, nil)
	_, err = p.ConfirmOTP(t.Context(), pat, &store.ConfirmOTPInput{OTP: p.code(secret, 0), Password: ptr("right"), Proven: "hash of pat"})
	wantErr(t, "ConfirmOTP an hour after the sign-in, with the password", err, nil)
}
