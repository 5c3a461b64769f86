package store_test

import (
	"errors"
	"testing"

	"healthrecords/store"
)

// User names that differ by simple folding are one name, and no others.
func TestUserNamesFold(t *testing.T) {
	for _, test := range []struct {
		what, a, b string
		same       bool
	}{
		{"case", "pat", "PAT", true},
		{"case of some letters", "pat", "pAt", true},
		{"umlauts", "Jürgen", "jÜRGEN", true},
		{"the Kelvin sign", "mark", "mar\u212a", true},
		{"the Angstrom sign", "åsa", "\u212bsa", true},
		{"the long s", "hans", "han\u017f", true},
		{"a final sigma", "νίκος", "ΝΊΚΟΣ", true},
		{"both sigmas", "νίκος", "νίκοσ", true},
		{"Cyrillic", "иван", "ИВАН", true},
		{"a digraph in title case", "\u01c6emal", "\u01c5emal", true},
		{"ypogegrammeni", "\u1fb3", "\u1fbc", true},
		{"micro and mu", "\u00b5", "\u03bc", true},

		{"another letter", "pat", "pad", false},
		{"a prefix", "pat", "patt", false},
		{"sharp s and ss", "stra\u00dfe", "strasse", false},
		{"a dotless i", "irma", "\u0131rma", false},
		{"a dotted capital I", "irma", "\u0130rma", false},
		{"an accent", "andre", "andr\u00e9", false},
		{"composed and decomposed", "andr\u00e9", "andre\u0301", false},
		{"a ligature", "fine", "\ufb01ne", false},
		{"full width", "pat", "\uff50\uff41\uff54", false},
		{"a look-alike", "pat", "p\u0430t", false},
		{"a pattern", "pat", "p%", false},
		{"another pattern", "pat", "pa_", false},
		{"a blank", "pat", "pat ", false},
		{"nothing", "pat", "", false},
	} {
		t.Run(test.what, func(t *testing.T) {
			p := newPractice(t)
			ctx := t.Context()
			pat := p.patient(test.a)
			c, err := p.BeginSignIn(ctx, store.Actor{}, test.b, store.Device{})
			if err != nil || (c.Account == pat.Account) != test.same {
				t.Errorf("Credentials(%q) finds %q: %v, %v, want %v, nil", test.b, test.a, c.Account == pat.Account, err, test.same)
			}
			if !test.same && (c.Account != "" || c.Hash != "") {
				t.Errorf("Credentials(%q) are somebody's, want nobody's", test.b)
			}
			_, err = p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user(test.b)})
			var invalid *store.Invalid
			if errors.As(err, &invalid) != test.same || !test.same && err != nil {
				t.Errorf("CreatePatient(%q) beside %q error = %v, want a taken name: %v", test.b, test.a, err, test.same)
			}
			shown, err := p.Patient(ctx, pat, pat.Account)
			if err != nil || shown.User.Username != test.a {
				t.Errorf("Patient is shown as %q, %v, want %q as it was chosen", shown.User.Username, err, test.a)
			}
		})
	}
}

// Deleted is not gone: the name stays taken, and signs nobody in.
func TestNameOfADeletedAccountStaysTaken(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	if err := p.DeletePatient(ctx, pat, pat.Account, nil); err != nil {
		t.Fatalf("DeletePatient error = %v, want nil", err)
	}
	_, err := p.CreateDoctor(ctx, store.Actor{}, &store.DoctorInput{User: user("Pat")})
	var invalid *store.Invalid
	if !errors.As(err, &invalid) {
		t.Errorf("CreateDoctor with the name error = %v, want a taken name", err)
	}
	c, err := p.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{})
	if err != nil {
		t.Fatalf("Credentials error = %v, want nil", err)
	}
	_, err = p.SignIn(ctx, store.Actor{}, c, store.SignInInput{Right: true})
	wantErr(t, "SignIn", err, store.ErrCredentials)
	wantErr(t, "SetActive", p.SetActive(ctx, store.Command("test"), "pat", true), store.ErrNotFound)
}

// Two who register one name at the same moment: one has it.
func TestNameIsGivenOnce(t *testing.T) {
	p := newPractice(t)
	const n = 20
	errs := make([]error, n)
	together(n, func(i int) {
		in := &store.PatientInput{User: user([]string{"pat", "PAT", "Pat"}[i%3])}
		_, errs[i] = p.CreatePatient(t.Context(), store.Actor{}, in)
	})
	given := 0
	for _, err := range errs {
		var invalid *store.Invalid
		switch {
		case err == nil:
			given++
		case !errors.As(err, &invalid):
			t.Errorf("CreatePatient error = %v, want a taken name", err)
		}
	}
	if given != 1 {
		t.Errorf("the name was given %d times, want 1", given)
	}
}
