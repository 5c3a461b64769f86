package store_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
)

// mails claims all mail that is due, by kind.
func (p *practice) mails() map[store.MailKind][]store.Mail {
	p.t.Helper()
	list, err := p.ClaimMail(p.t.Context(), 100, time.Minute)
	if err != nil {
		p.t.Fatalf("ClaimMail error = %v, want nil", err)
	}
	kinds := make(map[store.MailKind][]store.Mail)
	for _, m := range list {
		kinds[m.Kind] = append(kinds[m.Kind], m)
		if err := p.MailSent(p.t.Context(), m.ID); err != nil {
			p.t.Fatalf("MailSent error = %v, want nil", err)
		}
	}
	return kinds
}

// resetToken asks for a new password and returns the token that is mailed.
func (p *practice) resetToken(name string) string {
	p.t.Helper()
	if err := p.RequestReset(p.t.Context(), store.Actor{}, name, ""); err != nil {
		p.t.Fatalf("RequestReset error = %v, want nil", err)
	}
	mails := p.mails()[store.MailReset]
	if len(mails) != 1 || len(mails[0].Token) != 43 {
		p.t.Fatalf("%d mails with a token, want 1", len(mails))
	}
	return mails[0].Token
}

func TestResetByMail(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	for range 6 {
		p.try("198.51.100.1", "pat", store.Device{}, false)
	}
	token := p.resetToken("PAT")
	who, err := p.CheckReset(ctx, store.Actor{}, token)
	if err != nil || who.Username != "pat" {
		t.Errorf("CheckReset is for pat: %v, %v, want true, nil", who.Username == "pat", err)
	}
	wantErr(t, "ConfirmReset", p.ConfirmReset(ctx, store.Actor{}, token, "new hash"), nil)
	wantErr(t, "ConfirmReset again", p.ConfirmReset(ctx, store.Actor{}, token, "newer hash"), store.ErrOneUse)
	_, err = p.Me(ctx, pat)
	wantErr(t, "Me in a session from before", err, store.ErrSession)
	c, err := p.BeginSignIn(ctx, store.Actor{Address: "198.51.100.1"}, "pat", store.Device{})
	if err != nil || c.Hash != "new hash" {
		t.Errorf("BeginSignIn after a reset: the new hash %v, error = %v, want true, nil", c.Hash == "new hash", err)
	}
	if mails := p.mails()[store.MailPassword]; len(mails) != 1 || mails[0].To != "pat@example.test" || mails[0].Token != "" {
		t.Errorf("%d mails tell of the new password, want 1, to its owner, without a token", len(mails))
	}
}

// What makes a token useless.
func TestResetTokenIsVoid(t *testing.T) {
	for name, event := range map[string]func(*practice, store.Actor) error{
		"after ten minutes": func(p *practice, pat store.Actor) error { p.clock.Advance(10 * time.Minute); return nil },
		"after a newer one": func(p *practice, pat store.Actor) error {
			return p.RequestReset(p.t.Context(), store.Actor{}, "pat", "")
		},
		"after a newer one by e-mail": func(p *practice, pat store.Actor) error {
			return p.RequestReset(p.t.Context(), store.Actor{}, "", "Pat@Example.test")
		},
		"after one of the operator's": func(p *practice, pat store.Actor) error {
			_, err := p.NewReset(p.t.Context(), store.Command("test"), "pat")
			return err
		},
		"after a change of the password": func(p *practice, pat store.Actor) error {
			return p.ChangePassword(p.t.Context(), pat, &store.PasswordInput{Proven: "hash of pat", NewHash: "new"})
		},
		"after a change of the address": func(p *practice, pat store.Actor) error {
			_, err := p.ChangePatient(p.t.Context(), pat, pat.Account, nil, &store.PatientInput{User: store.UserInput{Email: ptr("new@example.test"), CurrentPassword: ptr("x"), Proven: "hash of pat"}})
			return err
		},
		"while the account is shut": func(p *practice, pat store.Actor) error {
			return p.SetActive(p.t.Context(), store.Command("test"), "pat", false)
		},
		"after it was shut and opened": func(p *practice, pat store.Actor) error {
			if err := p.SetActive(p.t.Context(), store.Command("test"), "pat", false); err != nil {
				return err
			}
			return p.SetActive(p.t.Context(), store.Command("test"), "pat", true)
		},
		"of a deleted account": func(p *practice, pat store.Actor) error { return p.DeletePatient(p.t.Context(), pat, pat.Account, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPractice(t)
			pat := p.patient("pat")
			token := p.resetToken("pat")
			if err := event(p, pat); err != nil {
				t.Fatalf("error = %v, want nil", err)
			}
			_, err := p.CheckReset(t.Context(), store.Actor{}, token)
			wantErr(t, "CheckReset", err, store.ErrOneUse)
			wantErr(t, "ConfirmReset", p.ConfirmReset(t.Context(), store.Actor{}, token, "new"), store.ErrOneUse)
		})
	}
}

func TestResetTokenIsGoodOnceInParallel(t *testing.T) {
	p := newPractice(t)
	p.patient("pat")
	token := p.resetToken("pat")
	errs := make([]error, 10)
	together(len(errs), func(i int) { errs[i] = p.ConfirmReset(t.Context(), store.Actor{}, token, "new") })
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else {
			wantErr(t, "ConfirmReset", err, store.ErrOneUse)
		}
	}
	if good != 1 {
		t.Errorf("a token was good for %d at once, want 1", good)
	}
}

// Whoever asks, the answer is the same; mail goes to who is at work.
func TestWhoGetsAReset(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	family := func(name, email string) store.Actor {
		in := user(name)
		in.Email = &email
		if _, err := p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: in}); err != nil {
			t.Fatalf("CreatePatient error = %v, want nil", err)
		}
		return p.actor(name)
	}
	mother, child := family("mother", "home@example.test"), family("child", "HOME@example.test")
	shut, gone := family("shut", "home@example.test"), family("gone", "home@example.test")
	family("without", "")
	if _, err := p.ChangePatient(ctx, admin, shut.Account, nil, &store.PatientInput{User: store.UserInput{Active: ptr(false)}}); err != nil {
		t.Fatalf("ChangePatient error = %v, want nil", err)
	}
	wantErr(t, "DeletePatient", p.DeletePatient(ctx, gone, gone.Account, nil), nil)
	if _, err := p.Invite(ctx, admin, &store.InvitationInput{Role: store.PatientRole, Email: ptr("home@example.test")}); err != nil {
		t.Fatalf("Invite error = %v, want nil", err)
	}
	p.mails()
	for _, test := range []struct {
		name, email string
		want        []string
	}{
		{"", "home@example.test", []string{mother.Account, child.Account}},
		{"", "Home@EXAMPLE.test", []string{mother.Account, child.Account}},
		{"", "home@example.tes", nil},
		{"", "%@example.test", nil},
		{"mother", "", []string{mother.Account}},
		{"shut", "", nil},
		{"gone", "", nil},
		{"without", "", nil},
		{"nobody", "", nil},
	} {
		p.clock.Advance(time.Hour)
		wantErr(t, "RequestReset", p.RequestReset(ctx, store.Actor{}, test.name, test.email), nil)
		var got []string
		for _, m := range p.mails()[store.MailReset] {
			got = append(got, m.Account)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("RequestReset(%q, %q) mails to %d accounts, want %d, or to others", test.name, test.email, len(got), len(test.want))
		}
	}
}

// A mail that could not leave in time carries nothing that works, and does not
// leave; one that leaves twice carries the same.
func TestMailWithAToken(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	p.patient("pat")
	claim := func() []store.Mail {
		t.Helper()
		mails, err := p.ClaimMail(ctx, 10, time.Minute)
		if err != nil {
			t.Fatalf("ClaimMail error = %v, want nil", err)
		}
		return mails
	}
	wantErr(t, "RequestReset", p.RequestReset(ctx, store.Actor{}, "pat", ""), nil)
	first := claim()
	p.clock.Advance(2 * time.Minute)
	second := claim()
	if len(first) != 1 || len(second) != 1 || first[0].Token != second[0].Token {
		t.Fatalf("a mail that is claimed again carries another token, want the same")
	}
	for _, row := range p.rows(`SELECT * FROM outbox, one_use`) {
		if slices.Contains(row, first[0].Token) {
			t.Error("the database holds a token")
		}
	}
	p.clock.Advance(8 * time.Minute)
	if late := claim(); len(late) != 0 {
		t.Error("a mail whose token is over is given out")
	}
	if got := p.texts(`SELECT outcome FROM outbox`); !slices.Equal(got, []string{"failed: too late"}) {
		t.Errorf("its outcome is %q, want that it was too late", got)
	}
}

// A password that was right when it was hashed is not, once it was changed.
func TestPasswordChangedBesideASignIn(t *testing.T) {
	p := newPractice(t)
	p.patient("pat")
	c, err := p.BeginSignIn(t.Context(), store.Actor{}, "pat", store.Device{})
	wantErr(t, "BeginSignIn", err, nil)
	wantErr(t, "ConfirmReset", p.ConfirmReset(t.Context(), store.Actor{}, p.resetToken("pat"), "new"), nil)
	_, err = p.SignIn(t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
	wantErr(t, "SignIn by the password of before", err, store.ErrCredentials)
}

// Who can write into the database can neither put a token in nor give one that
// is genuine to another account.
func TestTokenPutIntoTheDatabaseIsNoGood(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat, mallory := p.patient("pat"), p.patient("mallory")
	own := strings.Repeat("a", 43)
	sum := sha256.Sum256([]byte(own))
	p.exec(`INSERT INTO one_use (id, hash, account_id, kind, expires_at) VALUES ($1, $2, $3, 'reset', '2030-01-01T00:00:00.000000Z')`,
		p.NewID(), sum[:], pat.Account)
	wantErr(t, "ConfirmReset with a token that was put in", p.ConfirmReset(ctx, store.Actor{}, own, "new"), store.ErrOneUse)
	token := p.resetToken("mallory")
	p.exec(`UPDATE one_use SET account_id = $1 WHERE account_id = $2`, pat.Account, mallory.Account)
	wantErr(t, "ConfirmReset with another's token", p.ConfirmReset(ctx, store.Actor{}, token, "new"), store.ErrOneUse)
}

func TestOperatorsReset(t *testing.T) {
	p := newPractice(t)
	ctx, operator := t.Context(), store.Command("test")
	p.patient("pat")
	token, err := p.NewReset(ctx, operator, "pat")
	wantErr(t, "NewReset", err, nil)
	if mails := p.mails(); len(mails) != 0 {
		t.Errorf("%d kinds of mail are sent, want none", len(mails))
	}
	wantErr(t, "ConfirmReset", p.ConfirmReset(ctx, store.Actor{}, token, "new"), nil)
	_, err = p.NewReset(ctx, operator, "nobody")
	wantErr(t, "NewReset of nobody", err, store.ErrNotFound)
	wantErr(t, "SetActive", p.SetActive(ctx, operator, "pat", false), nil)
	_, err = p.NewReset(ctx, operator, "pat")
	wantErr(t, "NewReset of a shut account", err, store.ErrForbidden)
}

// The second factor stays on after a reset.
func TestResetKeepsTheSecondFactor(t *testing.T) {
	p := newPractice(t)
	p.secured(p.patient("pat"))
	p.mails()
	token := p.resetToken("pat")
	wantErr(t, "ConfirmReset", p.ConfirmReset(t.Context(), store.Actor{}, token, "new"), nil)
	wantErr(t, "sign-in without a code", p.signInWith("pat", nil, nil), store.ErrOTPRequired)
	wantErr(t, "ResetOTP", p.ResetOTP(t.Context(), store.Command("test"), "pat"), nil)
	wantErr(t, "sign-in then", p.signInWith("pat", nil, nil), nil)
	if mails := p.mails()[store.MailOTPOff]; len(mails) != 1 {
		t.Errorf("%d mails tell that the second factor is off, want 1", len(mails))
	}
}

func TestPasswordIsChanged(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	other := p.actor("pat")
	p.mails()
	wantErr(t, "ChangePassword", p.ChangePassword(ctx, pat, &store.PasswordInput{Proven: "hash of pat", NewHash: "new"}), nil)
	_, err := p.Me(ctx, pat)
	wantErr(t, "Me in the same session", err, nil)
	_, err = p.Me(ctx, other)
	wantErr(t, "Me in another session", err, store.ErrSession)
	if mails := p.mails()[store.MailPassword]; len(mails) != 1 {
		t.Errorf("%d mails tell of it, want 1", len(mails))
	}
	if c, err := p.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{}); err != nil || c.Hash != "new" {
		t.Errorf("the new hash is stored: %v, %v, want true, nil", c.Hash == "new", err)
	}
}
