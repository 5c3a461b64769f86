package handlers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
)

const (
	mePassword = "/api/me/password/"
	wrongOwn   = "The password is not correct."
	badOneUse  = `{"token":["The token is not valid or has expired."]}`
)

func TestChangeOwnPassword(t *testing.T) {
	p := newPractice(t, nil)
	p.staff("admin")
	erika := p.patientWithHash("erika", goodHash)
	before := tokenPair{p.access(erika.grant), p.refresh(erika.grant)}
	other := p.opened("erika")
	p.mailed()
	body := func(current, new string) string {
		return asJSON(map[string]string{"current_password": current, "new_password": new})
	}
	for _, test := range []struct{ body, want string }{
		{``, `{"current_password":["` + fieldRequired + `"],"new_password":["` + fieldRequired + `"]}`},
		{`{"current_password":null,"new_password":1}`, `{"current_password":["` + fieldNull + `"],"new_password":["` + notText + `"]}`},
		{body("", ""), `{"current_password":["` + fieldBlank + `"],"new_password":["` + fieldBlank + `"]}`},
		{body("wrong", otterPassword), one("current_password", wrongOwn)},
		{body(goodPassword, "short words"), one("new_password", tooShort)},
		{body(goodPassword, "830274916305227"), one("new_password", "This password is entirely numeric.")},
		{body(goodPassword, "passwordpassword"), one("new_password", "This password is too common.")},
		{`{"password":"x"}`, `{"current_password":["` + fieldRequired + `"],"new_password":["` + fieldRequired + `"],"password":["` + unknownField + `"]}`},
	} {
		p.do(erika, "POST", mePassword, test.body).want(t, "POST password "+test.body, 400, test.want)
	}
	p.wantLive("another session after refusals", other)
	p.wantMails("refusals")
	p.clock.Advance(time.Minute)
	p.do(erika, "POST", mePassword, body(goodPassword, otterPassword)).want(t, "POST password", 204, "")
	p.wantLive("the session that changed the password", before)
	p.wantOver("another session", other)
	p.wantMails("a changed password", "password to erika")
	p.signIn("erika", goodPassword).want(t, "POST token with the old password", 401, answerNoAccount)
	p.signIn("erika", otterPassword).want(t, "POST token with the new password", 200, "")
	if got := p.trailed(store.ChangePassword); !slices.Contains(got, "wrong password: []") || got[len(got)-1] != "done: [password]" {
		t.Errorf("the trail tells of %q, want a refusal and the change", got)
	}
}

// requestReset asks for a reset and returns the token that is mailed.
func (p *practice) requestReset(body string) string {
	p.t.Helper()
	p.mailed()
	p.do(nobody, "POST", "/api/password-reset/", body).want(p.t, "POST password-reset", 202, `{}`)
	mails := p.mailed()
	if len(mails) != 1 || mails[0].Kind != store.MailReset || mails[0].Token == "" {
		p.t.Fatalf("POST password-reset %s queues %d mails, want one with a token", body, len(mails))
	}
	return mails[0].Token
}

func (p *practice) confirmReset(token, password string) response {
	p.t.Helper()
	return p.do(nobody, "POST", "/api/password-reset/confirm/", asJSON(map[string]string{"token": token, "password": password}))
}

func TestPasswordReset(t *testing.T) {
	p := newPractice(t, nil)
	p.staff("admin")
	p.patientWithHash("erika", goodHash)
	live := p.opened("erika")
	token := p.requestReset(`{"username":"ERIKA"}`)
	p.confirmReset(token, "short").want(t, "POST confirm with a bad password", 400, one("password", tooShort))
	p.confirmReset(token, "erika@example.test").want(t, "POST confirm with the address as password", 400, "")
	p.wantLive("the session before the reset", live)
	p.confirmReset(token, otterPassword).want(t, "POST confirm", 204, "")
	p.wantMails("a reset", "password to erika")
	p.wantOver("the session from before the reset", live)
	p.signIn("erika", goodPassword).want(t, "POST token with the old password", 401, answerNoAccount)
	p.signIn("erika", otterPassword).want(t, "POST token with the new password", 200, "")
	p.confirmReset(token, goodPassword).want(t, "POST confirm again", 400, badOneUse)
	if got := p.trailed(store.ConfirmReset); got[len(got)-1] != "bad token: []" || !slices.Contains(got, "done: [password]") {
		t.Errorf("the trail tells of %q, want the reset and the token used again", got)
	}
}

func TestResetTokensThatAreNoGood(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(p *practice, token string) string
	}{
		{"empty but for blanks", func(*practice, string) string { return "-" }},
		{"cut off", func(_ *practice, token string) string { return token[1:] }},
		{"in another case", func(_ *practice, token string) string { return strings.ToUpper(token) }},
		{"ten minutes old", func(p *practice, token string) string { p.clock.Advance(10 * time.Minute); return token }},
		{"before a newer one", func(p *practice, token string) string { p.requestReset(`{"email":"erika@example.test"}`); return token }},
		{"before a changed password", func(p *practice, token string) string {
			p.do(p.signedIn("erika"), "POST", mePassword, asJSON(map[string]string{"current_password": goodPassword, "new_password": "five herons on a fence"})).
				want(p.t, "POST password", 204, "")
			return token
		}},
		{"of a deactivated account", func(p *practice, token string) string {
			if err := p.store.SetActive(p.t.Context(), store.Command("test"), "erika", false); err != nil {
				p.t.Fatalf("SetActive error = %v, want nil", err)
			}
			return token
		}},
		{"of a deleted account", func(p *practice, token string) string {
			erika := p.signedIn("erika")
			p.do(erika, "DELETE", patientPath(erika.id), "").want(p.t, "DELETE", 204, "")
			return token
		}},
		{"before the address changed", func(p *practice, token string) string {
			admin, erika := p.staff("admin"), p.signedIn("erika")
			p.do(admin, "PATCH", patientPath(erika.id), `{"user":{"email":"new@example.test"}}`).want(p.t, "PATCH", 200, "")
			return token
		}},
		{"of a session", func(p *practice, _ string) string { return p.signedIn("erika").token }},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPractice(t, nil)
			p.patientWithHash("erika", goodHash)
			token := test.spoil(p, p.requestReset(`{"username":"erika"}`))
			p.confirmReset(token, otterPassword).want(t, "POST confirm", 400, badOneUse)
		})
	}
}

// The answer tells nothing, and mail goes to those alone who can use it.
func TestResetRequestsTellNothing(t *testing.T) {
	c := newClinic(t)
	c.patientWithHash("erika", goodHash)
	twin := &store.PatientInput{User: userInput("twin")}
	*twin.User.Email = "Erika@Example.test"
	if _, err := c.store.CreatePatient(t.Context(), store.Actor{}, twin); err != nil {
		t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	c.patientWithHash("inactive", goodHash)
	if err := c.store.SetActive(t.Context(), store.Command("test"), "inactive", false); err != nil {
		t.Fatalf("SetActive error = %v, want nil", err)
	}
	deleted := c.patientWithHash("deleted", goodHash)
	c.remove(c.admin, patientPath(deleted.id))
	c.do(c.admin, "POST", "/api/invitations/", `{"role":"patient","email":"invited@example.test"}`).want(t, "POST invitations", 201, "")
	c.mailed()
	var first response
	for i, test := range []struct {
		body string
		to   []string
	}{
		{`{"username":"erika"}`, []string{"reset to erika"}},
		{`{"username":"nobody"}`, nil},
		{`{"username":"inactive"}`, nil},
		{`{"username":"deleted"}`, nil},
		{`{"username":"admin"}`, []string{"reset to admin"}},
		{`{"email":"ERIKA@example.TEST"}`, []string{"reset to erika", "reset to Erika@Example.test"}},
		{`{"email":"nobody@example.test"}`, nil},
		{`{"email":"inactive@example.test"}`, nil},
		{`{"email":"deleted@example.test"}`, nil},
		{`{"email":"invited@example.test"}`, nil},
	} {
		r := c.do(nobody, "POST", "/api/password-reset/", test.body, from(i)).want(t, "POST password-reset "+test.body, 202, `{}`)
		if first.header == nil {
			first = r
		} else {
			first.same(t, "POST password-reset "+test.body, r)
		}
		c.wantMails("POST password-reset "+test.body, test.to...)
	}
	for _, test := range []struct{ body, want string }{
		{`{}`, one("non_field_errors", "Give either username or email.")},
		{`{"username":"","email":" "}`, one("non_field_errors", "Give either username or email.")},
		{`{"username":"erika","email":"erika@example.test"}`, one("non_field_errors", "Give either username or email.")},
		{`{"email":"erika"}`, one("email", wrongEmail)},
		{`{"username":"` + strings.Repeat("e", 151) + `"}`, one("username", noMore(150))},
		{`{"user":"erika"}`, one("user", unknownField)},
	} {
		c.do(nobody, "POST", "/api/password-reset/", test.body).want(t, "POST password-reset "+test.body, 400, test.want)
	}
}
