package handlers_test

import (
	"encoding/base32"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

const meOTP = "/api/me/otp/"

// withOTP turns one-time codes on and returns the secret and the recovery codes.
func (p *practice) withOTP(who person) (secret []byte, recovery []string) {
	p.t.Helper()
	r := p.do(who, "POST", meOTP, "").want(p.t, "POST otp", 200, "")
	secret = decodeBase32(p.t, r.text(p.t, "secret"))
	r = p.do(who, "POST", meOTP+"confirm/", `{"otp":"`+p.code(secret)+`"}`).want(p.t, "POST otp/confirm", 200, "")
	for _, code := range r.field(p.t, "recovery_codes").([]any) {
		recovery = append(recovery, code.(string))
	}
	p.clock.Advance(30 * time.Second) // for a code that was not used
	return secret, recovery
}

// code is what an authenticator app shows now.
func (p *practice) code(secret []byte) string { return auth.TOTPCode(secret, p.clock.Now()) }

func (p *practice) signInWith(members ...string) response {
	p.t.Helper()
	body := map[string]string{"username": "erika", "password": goodPassword}
	for i := 0; i < len(members); i += 2 {
		body[members[i]] = members[i+1]
	}
	return p.do(nobody, "POST", "/api/token/", asJSON(body))
}

const (
	otpRequired = `{"detail":"A one-time code is required.","code":"otp_required"}`
	otpInvalid  = `{"detail":"The one-time code is not right.","code":"otp_invalid"}`
	notRight    = "The one-time code is not right."
)

func TestSecondFactor(t *testing.T) {
	p := newPractice(t, nil)
	p.staff("admin")
	erika := p.patientWithHash("erika", goodHash)
	p.mailed()
	p.do(erika, "GET", meOTP, "").want(t, "GET otp", 200, `{"enabled":false,"recovery_codes_left":0}`)
	p.do(erika, "POST", meOTP+"confirm/", `{"otp":"123456"}`).want(t, "POST confirm without a secret", 400, one("otp", notRight))
	p.do(erika, "POST", meOTP+"confirm/", `{}`).want(t, "POST confirm without a code", 400, one("otp", fieldRequired))
	p.do(erika, "DELETE", meOTP, asJSON(map[string]string{"password": goodPassword, "otp": "123456"})).want(t, "DELETE otp that is off", 404, notFoundBody)

	r := p.do(erika, "POST", meOTP, "").want(t, "POST otp", 200, "")
	old := decodeBase32(t, r.text(t, "secret"))
	if url := r.text(t, "otpauth_url"); url != "otpauth://totp/example.com:erika?secret="+r.text(t, "secret")+"&issuer=example.com&algorithm=SHA1&digits=6&period=30" {
		t.Errorf("POST otp: otpauth_url = %q", url)
	}
	p.do(erika, "GET", meOTP, "").want(t, "GET otp before the code", 200, `{"enabled":false,"recovery_codes_left":0}`)
	p.signIn("erika", goodPassword).want(t, "POST token before the code", 200, "")
	secret, recovery := p.withOTP(erika)
	p.do(erika, "POST", meOTP+"confirm/", `{"otp":"`+p.code(old)+`"}`).want(t, "POST confirm when on", 409, `{"detail":"One-time codes are on already.","code":"conflict"}`)
	p.do(erika, "POST", meOTP, "").want(t, "POST otp when on", 409, `{"detail":"One-time codes are on already.","code":"conflict"}`)
	p.do(erika, "GET", meOTP, "").want(t, "GET otp", 200, `{"enabled":true,"recovery_codes_left":10}`)
	p.wantMails("one-time codes on and a sign-in", "otp_on to erika", "device to erika")

	p.signInWith().want(t, "POST token without a code", 401, otpRequired)
	p.signInWith("password", "wrong", "otp", p.code(secret)).want(t, "POST token with a code and a wrong password", 401, answerNoAccount)
	p.signInWith("password", "wrong").want(t, "POST token with a wrong password", 401, answerNoAccount)
	p.signInWith("otp", p.code(old)).want(t, "POST token with a code of another secret", 401, otpInvalid)
	p.signInWith("otp", "").want(t, "POST token with an empty code", 401, otpInvalid)
	p.signInWith("otp", p.code(secret)).want(t, "POST token with a code", 200, "")
	p.signInWith("otp", p.code(secret)).want(t, "POST token with the code again", 401, otpInvalid)
	p.signInWith("recovery_code", recovery[0]).want(t, "POST token with a recovery code", 200, "")
	p.signInWith("recovery_code", recovery[0]).want(t, "POST token with the recovery code again", 401, otpInvalid)
	p.signInWith("recovery_code", strings.ToUpper(strings.ReplaceAll(recovery[1], "-", " "))).want(t, "POST token with a recovery code as typed", 200, "")
	p.do(erika, "GET", meOTP, "").want(t, "GET otp", 200, `{"enabled":true,"recovery_codes_left":8}`)
	p.mailed()

	end := func(members ...string) response {
		body := map[string]string{}
		for i := 0; i < len(members); i += 2 {
			body[members[i]] = members[i+1]
		}
		return p.do(erika, "DELETE", meOTP, asJSON(body))
	}
	p.clock.Advance(30 * time.Second)
	end().want(t, "DELETE otp with nothing", 400, one("password", fieldRequired))
	end("password", goodPassword).want(t, "DELETE otp without a code", 400, one("otp", notRight))
	end("password", "wrong", "otp", p.code(secret)).want(t, "DELETE otp with a wrong password", 400, one("password", wrongOwn))
	end("password", goodPassword, "recovery_code", recovery[0]).want(t, "DELETE otp with a used recovery code", 400, one("recovery_code", "The recovery code is not right."))
	end("password", goodPassword, "otp", p.code(secret)).want(t, "DELETE otp", 204, "")
	p.wantMails("one-time codes off", "otp_off to erika")
	p.do(erika, "GET", meOTP, "").want(t, "GET otp", 200, `{"enabled":false,"recovery_codes_left":0}`)
	p.signInWith().want(t, "POST token", 200, "")
	if got := p.trailed(store.SignIn); !slices.Contains(got, "otp required: []") || !slices.Contains(got, "wrong otp: []") || !slices.Contains(got, "done: [recovery_code]") {
		t.Errorf("the trail tells of %q, want a missing code, a wrong one and a recovery code", got)
	}
}

// Who has the password and guesses at codes is slowed like who guesses at
// passwords; to be asked for a code costs nothing.
func TestGuessesAtCodesAreSlowed(t *testing.T) {
	p := newPractice(t, nil)
	secret, _ := p.withOTP(p.patientWithHash("erika", goodHash))
	for range 20 {
		p.signInWith().want(t, "POST token without a code", 401, otpRequired)
	}
	wrong := "000000"
	if p.code(secret) == wrong {
		wrong = "000001"
	}
	for range 6 {
		p.signInWith("otp", wrong).want(t, "POST token with a wrong code", 401, otpInvalid)
	}
	p.signInWith("otp", p.code(secret)).wantThrottled(t, "POST token with the right code too early", 1)
	p.clock.Advance(time.Second)
	p.signInWith("otp", p.code(secret)).want(t, "POST token with the right code", 200, "")
}

func TestOneCodeOpensOneSession(t *testing.T) {
	p := newPractice(t, nil)
	secret, recovery := p.withOTP(p.patientWithHash("erika", goodHash))
	for _, with := range [][]string{{"otp", p.code(secret)}, {"recovery_code", recovery[0]}} {
		answers := make([]response, 5)
		together(len(answers), func(i int) { answers[i] = p.signInWith(with...) })
		if got := statuses(answers); got[200] != 1 {
			t.Errorf("5 sign-ins at once with one %s = %v, want one 200", with[0], got)
		}
		p.clock.Advance(time.Minute)
	}
}

// Who must have a second factor reaches its own account until it has one.
func TestRequiredSecondFactor(t *testing.T) {
	p := newPractice(t, func(so *store.Options, _ *handlers.Options) {
		so.RequireOTP = []store.Role{store.Staff, store.DoctorRole}
	})
	const setup = `{"detail":"Set up a one-time code first.","code":"otp_setup_required"}`
	admin, doc, pat := p.staff("admin"), p.doctor(nobody, "doc"), p.patient("pat")
	p.do(pat, "GET", "/api/patients/", "").want(t, "GET patients by a patient", 200, "")
	for _, who := range []person{admin, doc} {
		for _, path := range []string{"/api/patients/", "/api/doctors/", doctorPath(doc.id), "/api/health-records/", "/api/audit-events/", "/api/staff/"} {
			p.do(who, "GET", path, "").want(t, "GET "+path+" without a second factor", 403, setup)
		}
		for _, path := range []string{"/api/me/", meOTP, "/api/me/sessions/", "/api/"} {
			p.do(who, "GET", path, "").want(t, "GET "+path+" without a second factor", 200, "")
		}
		p.withOTP(who)
		p.do(who, "GET", "/api/doctors/", "").want(t, "GET doctors with a second factor", 200, "")
	}
}

func decodeBase32(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Who has the password and a session does not guess faster at the codes, whatever
// else it proves between.
func TestGuessesAtCodesInASessionAreSlowed(t *testing.T) {
	p := newPractice(t, nil)
	erika := p.patientWithHash("erika", goodHash)
	p.withOTP(erika)
	end := func() response {
		return p.do(erika, "DELETE", meOTP, asJSON(map[string]string{"password": goodPassword, "otp": "000000x"}))
	}
	for range 6 {
		end().want(t, "DELETE otp with a wrong code", 400, one("otp", notRight))
		p.do(erika, "PATCH", patientPath(erika.id), `{"user":{"current_password":"`+goodPassword+`"}}`).want(t, "PATCH that changes nothing", 200, "")
	}
	for range 10 {
		end().wantThrottled(t, "DELETE otp too early", 1)
	}
}

// Long after the sign-in the password is asked for, and wrong ones are counted.
func TestSecondFactorTakesThePassword(t *testing.T) {
	p := newPractice(t, nil)
	erika := p.patientWithHash("erika", goodHash)
	other := p.opened("erika")
	p.clock.Advance(10 * time.Minute)
	erika.token = p.access(erika.grant)
	secret := decodeBase32(t, p.do(erika, "POST", meOTP, "").want(t, "POST otp", 200, "").text(t, "secret"))
	confirm := func(members ...string) response {
		body := map[string]string{"otp": p.code(secret)}
		for i := 0; i < len(members); i += 2 {
			body[members[i]] = members[i+1]
		}
		return p.do(erika, "POST", meOTP+"confirm/", asJSON(body))
	}
	confirm().want(t, "POST confirm without the password", 400, one("password", fieldRequired))
	for range 6 {
		confirm("password", "wrong").want(t, "POST confirm with a wrong password", 400, one("password", wrongOwn))
	}
	confirm("password", goodPassword).wantThrottled(t, "POST confirm too early", 1)
	p.clock.Advance(time.Second)
	confirm("password", goodPassword, "otp", "zz").want(t, "POST confirm with a wrong code", 400, one("otp", notRight))
	confirm("password", goodPassword).want(t, "POST confirm", 200, "")
	p.wantOver("another session", other)
}
