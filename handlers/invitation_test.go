package handlers_test

import (
	"strings"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
)

const invitations = "/api/invitations/"

func (p *practice) accept(token, username, password string) response {
	p.t.Helper()
	return p.do(nobody, "POST", invitations+"accept/", asJSON(map[string]string{"token": token, "username": username, "password": password}))
}

// invited has a patient of the clinic's doctor invited and returns the answer
// and the token that was mailed.
func (c *clinic) invited() (response, string) {
	c.t.Helper()
	c.mailed()
	r := c.do(c.admin, "POST", invitations, `{"role":"patient","email":"ann@example.test","first_name":" Ann ","date_of_birth":"1990-02-03",
		"phone_number":"030","address":"Main","doctors":["`+c.doc.id+`"]}`).want(c.t, "POST invitations", 201, "")
	mails := c.wantMails("an invitation", "assigned to doc", "invitation to ann")
	for _, m := range mails {
		if m.Kind == store.MailInvitation {
			return r, m.Token
		}
	}
	return r, ""
}

func TestInvitationOfAPatient(t *testing.T) {
	c := newClinic(t)
	r, token := c.invited()
	id := r.text(t, "id")
	shown := `{"id":"` + id + `","role":"patient","email":"ann@example.test","first_name":"Ann","last_name":"","created_at":"` + atStart + `","expires_at":"2026-03-06T09:00:00.123456Z"}`
	r.want(t, "POST invitations", 201, shown)
	if got := r.header.Get("Location"); got != invitations+id+"/" {
		t.Errorf("POST invitations: Location = %q", got)
	}
	c.read(c.admin, invitations+id+"/").want(t, "GET invitation", 200, shown)
	c.read(c.admin, invitations).want(t, "GET invitations", 200, `{"next":null,"previous":null,"results":[`+shown+`]}`)
	profile := `{"id":"` + id + `","user":{"username":"","email":"ann@example.test","first_name":"Ann","last_name":""},"date_of_birth":"1990-02-03",` +
		`"phone_number":"030","address":"Main","doctors":["` + c.doc.id + `"]}`
	c.read(c.doc, patientPath(id)).want(t, "GET patient by its doctor", 200, profile)

	c.accept(token, "doc", otterPassword).want(t, "accept with a taken name", 400, one("username", takenName))
	c.accept(token, "a nn", "short words").want(t, "accept with a bad name and password", 400, `{"username":["`+wrongName+`"],"password":["`+tooShort+`"]}`)
	c.accept(token, "annabel-the-kingfisher", "annabel-the-kingfisher").want(t, "accept with the name as password", 400, one("password", "The password is too similar to the username."))
	c.do(nobody, "POST", invitations+"accept/", `{"token":"`+token+`"}`).want(t, "accept without a name", 400, `{"username":["`+fieldRequired+`"],"password":["`+fieldRequired+`"]}`)
	c.do(nobody, "POST", invitations+"accept/", `{"token":"`+token+`","username":"ann","password":"`+otterPassword+`","last_name":"Lee"}`).
		want(t, "accept", 201, `{"id":"`+id+`","role":"patient","username":"ann"}`)
	c.accept(token, "anna", otterPassword).want(t, "accept again", 400, badOneUse)
	c.signIn("ann", otterPassword).want(t, "POST token", 200, "")
	c.do(c.admin, "GET", invitations+id+"/", "").want(t, "GET of the accepted invitation", 404, notFoundBody)
	c.do(c.admin, "POST", invitations+id+"/resend/", "").want(t, "resend of the accepted invitation", 404, notFoundBody)
	c.do(c.admin, "DELETE", invitations+id+"/", "").want(t, "DELETE of the accepted invitation", 404, notFoundBody)
	c.read(c.doc, patientPath(id)).want(t, "GET patient by its doctor", 200, strings.NewReplacer(`"username":""`, `"username":"ann"`, `"last_name":""`, `"last_name":"Lee"`).Replace(profile))
}

func TestInvitationOfADoctor(t *testing.T) {
	c := newClinic(t)
	c.mailed()
	r := c.do(c.admin, "POST", invitations, `{"role":"doctor","email":"eve@example.test","specialization":"Skin","license_number":"L-1","patients":["`+c.pat.id+`"]}`).
		want(t, "POST invitations", 201, "")
	mails := c.wantMails("an invitation", "assigned to eve", "invitation to eve")
	token := mails[0].Token + mails[1].Token // one has none
	c.accept(token, "eve", otterPassword).want(t, "accept", 201, `{"id":"`+r.text(t, "id")+`","role":"doctor","username":"eve"}`)
	c.read(c.signedIn("eve"), doctorPath(r.text(t, "id"))).want(t, "GET doctor", 200,
		`{"id":"`+r.text(t, "id")+`","user":{"username":"eve","email":"eve@example.test","first_name":"","last_name":""},"specialization":"Skin","license_number":"L-1","verified":true,"patients":["`+c.pat.id+`"]}`)
}

func TestInvitationSaysWhatIsWrong(t *testing.T) {
	c := newClinic(t)
	const noChoice = "Not a valid choice. Choose one of: patient, doctor."
	for _, test := range []struct{ body, want string }{
		{``, `{"role":["` + fieldRequired + `"],"email":["` + fieldRequired + `"]}`},
		{`[]`, one("non_field_errors", "Invalid data. Expected a dictionary, but got list.")},
		{`{"role":"staff","email":"a@example.test"}`, one("role", noChoice)},
		{`{"role":7,"email":""}`, `{"role":["` + noChoice + `"],"email":["` + fieldBlank + `"]}`},
		{`{"role":"patient","email":"a@example.test","specialization":"Skin"}`, one("specialization", unknownField)},
		{`{"role":"doctor","email":"a@example.test","date_of_birth":"1990-02-03"}`, one("date_of_birth", unknownField)},
		{`{"role":"patient","email":"a@example.test","date_of_birth":"x","doctors":["` + absentID + `"]}`,
			`{"date_of_birth":["` + wrongDate + `"],"doctors":["Invalid pk \"` + absentID + `\" - object does not exist."]}`},
		{`{"role":"doctor","email":"a@example.test","patients":["` + c.doc.id + `"]}`, invalidPK("patients", c.doc.id)},
		{`{"role":"patient","email":"a@example.test","username":"ann"}`, one("username", unknownField)},
	} {
		c.do(c.admin, "POST", invitations, test.body).want(t, "POST invitations "+test.body, 400, test.want)
	}
	c.read(c.admin, invitations).want(t, "GET invitations", 200, emptyList)
}

func TestInvitationIsSentAgainAndWithdrawn(t *testing.T) {
	c := newClinic(t)
	r, old := c.invited()
	path := invitations + r.text(t, "id") + "/"
	c.clock.Advance(4 * time.Minute)
	again := c.do(c.admin, "POST", path+"resend", "").want(t, "resend", 200, "")
	if got := again.text(t, "expires_at"); got != "2026-03-06T09:04:00.123456Z" {
		t.Errorf("resend: expires_at = %s, want five days from now", got)
	}
	token := c.wantMails("a resend", "invitation to ann")[0].Token
	c.accept(old, "ann", otterPassword).want(t, "accept with the token of before", 400, badOneUse)
	for range 2 {
		c.do(c.admin, "POST", path+"resend/", "").want(t, "resend", 200, "")
	}
	c.do(c.admin, "POST", path+"resend/", "").wantThrottled(t, "resend once more", 1200)
	c.accept(token, "ann", otterPassword).want(t, "accept with a token of before", 400, badOneUse)
	mails := c.mailed()
	token = mails[len(mails)-1].Token
	c.do(c.admin, "DELETE", path, "").want(t, "DELETE", 204, "")
	c.accept(token, "ann", otterPassword).want(t, "accept after the withdrawal", 400, badOneUse)
	c.read(c.admin, invitations).want(t, "GET invitations", 200, emptyList)
	c.do(c.doc, "GET", patientPath(r.text(t, "id")), "").want(t, "GET patient", 404, notFoundBody)
}

func TestInvitationIsGoodForFiveDays(t *testing.T) {
	c := newClinic(t)
	r, token := c.invited()
	c.clock.Advance(5 * 24 * time.Hour)
	c.accept(token, "ann", otterPassword).want(t, "accept after five days", 400, badOneUse)
	admin := c.signedIn("admin")
	c.read(admin, invitations+r.text(t, "id")+"/")
	c.do(admin, "POST", invitations+r.text(t, "id")+"/resend/", "").want(t, "resend", 200, "")
	mails := c.mailed()
	c.clock.Advance(5*24*time.Hour - time.Microsecond)
	c.accept(mails[len(mails)-1].Token, "ann", otterPassword).want(t, "accept a moment before five days", 201, "")
}

// Where no mail can carry the token, whoever invites hands it over.
func TestInvitationWithoutMail(t *testing.T) {
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.NoMail = true })
	admin := p.staff("admin")
	r := p.do(admin, "POST", invitations, `{"role":"patient","email":"ann@example.test"}`).want(t, "POST invitations", 201, "")
	first, path := r.text(t, "token"), invitations+r.text(t, "id")+"/"
	second := p.do(admin, "POST", path+"resend/", "").want(t, "resend", 200, "").text(t, "token")
	for _, path := range []string{path, invitations} {
		if r := p.do(admin, "GET", path, ""); strings.Contains(r.body, "token") {
			t.Errorf("GET %s = %s, want no token", path, r.body)
		}
	}
	p.accept(first, "ann", otterPassword).want(t, "accept with the first token", 400, badOneUse)
	p.accept(second, "ann", otterPassword).want(t, "accept", 201, "")
}
