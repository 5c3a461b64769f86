package handlers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
)

func TestOwnSessions(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", goodHash)
	signIn := func(headers ...string) person {
		r := p.do(nobody, "POST", "/api/token/", asJSON(map[string]string{"username": "erika", "password": goodPassword}), headers...)
		return person{token: r.pair(t, "POST token").access}
	}
	p.clock.Advance(time.Hour)
	first := signIn("From: 203.0.113.7", "User-Agent: Fennel\x7f/1 "+strings.Repeat("é", 300))
	p.clock.Advance(time.Second)
	second := signIn("From: 2001:db8::1", "User-Agent: ")
	r := p.do(second, "GET", "/api/me/sessions/", "").want(t, "GET sessions", 200, "")
	list := r.field(t, "results").([]any)
	if len(list) != 3 || r.field(t, "next") != nil || r.field(t, "previous") != nil {
		t.Fatalf("GET sessions = %s, want three on one page", r.body)
	}
	want := `{"id":"` + r.text(t, "results.0.id") + `","created_at":"2026-03-01T10:00:01.123456Z","last_used_at":"2026-03-01T10:00:01.123456Z",` +
		`"expires_at":"2026-03-31T10:00:01.000000Z","address":"2001:db8::1","user_agent":"","current":true}`
	if !strings.Contains(r.body, `"results":[`+want+`,`) {
		t.Errorf("GET sessions = %s, want the newest first: %s", r.body, want)
	}
	if agent := r.text(t, "results.1.user_agent"); agent != "Fennel/1 "+strings.Repeat("é", 191) || r.text(t, "results.1.address") != "203.0.113.7" {
		t.Errorf("GET sessions: user_agent = %q, want 200 characters of it and the address", agent)
	}
	p.do(second, "GET", "/api/me/sessions/?page_size=1", "").want(t, "GET sessions with a parameter", 400, one("page_size", "Unknown parameter."))
	id := r.text(t, "results.1.id")
	p.do(p.patient("other"), "DELETE", "/api/me/sessions/"+id+"/", "").want(t, "DELETE of another's session", 404, notFoundBody)
	p.do(first, "GET", "/api/me/", "").want(t, "GET me in that session", 200, "")
	p.do(second, "DELETE", "/api/me/sessions/"+id+"/", "").want(t, "DELETE of a session", 204, "")
	p.do(first, "GET", "/api/me/", "").want(t, "GET me in the ended session", 401, answerBadAccess)
	p.do(second, "DELETE", "/api/me/sessions/"+id+"/", "").want(t, "DELETE of an ended session", 404, notFoundBody)
	third := signIn()
	p.do(second, "DELETE", "/api/me/sessions/", "").want(t, "DELETE of all others", 204, "")
	p.do(third, "GET", "/api/me/", "").want(t, "GET me in another session", 401, answerBadAccess)
	if r := p.do(second, "GET", "/api/me/sessions/", ""); len(r.field(t, "results").([]any)) != 1 {
		t.Errorf("GET sessions = %s, want one", r.body)
	}
}

func TestSessionsEndByDoingNothing(t *testing.T) {
	p := newPractice(t, func(so *store.Options, _ *handlers.Options) { so.IdlePatients, so.IdleOthers = 2*time.Hour, time.Hour })
	p.staff("admin")
	p.patient("pat")
	staff, patient := p.opened("admin"), p.opened("pat")
	p.clock.Advance(time.Hour - 2*time.Second)
	staff, patient = p.renew(staff.refresh), p.renew(patient.refresh)
	p.clock.Advance(time.Hour + time.Second)
	p.tokenRoute("refresh", staff.refresh).want(t, "refresh by staff after an hour", 401, answerBadToken)
	patient = p.renew(patient.refresh)
	p.wantLive("a patient's session after an hour", patient)
	p.clock.Advance(2*time.Hour + time.Second)
	p.tokenRoute("refresh", patient.refresh).want(t, "refresh by a patient after two hours", 401, answerBadToken)
}

// A sign-in from a place and device that are not known is told to the owner.
func TestNewDeviceMails(t *testing.T) {
	p := newPractice(t, nil)
	if _, err := p.store.CreatePatient(t.Context(), store.Actor{}, patientInput("erika", goodHash)); err != nil {
		t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	p.mailed()
	signIn := func(address, device string) string {
		t.Helper()
		r := p.do(nobody, "POST", "/api/token/", asJSON(map[string]string{"username": "erika", "password": goodPassword, "device": device}), "From: "+address)
		return r.want(t, "POST token", 200, "").text(t, "device")
	}
	proof := signIn("203.0.113.7", "")
	p.wantMails("the very first sign-in")
	signIn("203.0.113.7", "")
	p.wantMails("a sign-in from the same address")
	proof = signIn("203.0.113.8", proof)
	p.wantMails("a sign-in from the same device")
	signIn("2001:db8::1", "")
	p.wantMails("a sign-in from elsewhere", "device to erika")
	signIn("2001:db8::2", "")
	p.wantMails("a sign-in from the same network")
	p.signIn("erika", "wrong")
	p.wantMails("a wrong password")
	p.clock.Advance(31 * 24 * time.Hour)
	signIn("2001:db8::2", "")
	p.wantMails("a sign-in from an address of long ago", "device to erika")
	signIn("203.0.113.9", proof)
	p.wantMails("a sign-in from the device of long ago")
}

func patientInput(name, phc string) *store.PatientInput {
	in := &store.PatientInput{User: userInput(name)}
	in.User.PasswordHash = phc
	return in
}

// Whoever changes the address, the one before is told of it.
func TestFormerAddressIsTold(t *testing.T) {
	p := newPractice(t, nil)
	admin, erika := p.staff("admin"), p.patientWithHash("erika", goodHash)
	p.mailed()
	p.do(erika, "PATCH", patientPath(erika.id), `{"user":{"email":"new@example.test","current_password":"`+goodPassword+`"}}`).want(t, "PATCH by the owner", 200, "")
	p.wantMails("a change by the owner", "email to erika")
	p.do(admin, "PATCH", patientPath(erika.id), `{"user":{"email":"newer@example.test"}}`).want(t, "PATCH by staff", 200, "")
	p.wantMails("a change by staff", "email to new")
	p.do(admin, "PATCH", patientPath(erika.id), `{"user":{"email":"newer@example.test","first_name":"E"}}`).want(t, "PATCH of the same", 200, "")
	p.wantMails("no change")
	p.do(admin, "PATCH", "/api/staff/"+admin.id+"/", `{"user":{"email":"root@example.test"}}`).want(t, "PATCH of the own staff account", 400, `{"user":{"current_password":["`+fieldRequired+`"]}}`)
	p.do(erika, "GET", "/api/me/", "").want(t, "GET me", http.StatusOK, "")
}
