package handlers_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

// The answers that stand for a refusal, byte for byte.
const (
	answerNoAccount  = `{"detail":"No active account found with the given credentials","code":"no_active_account"}`
	answerBadToken   = `{"detail":"Token is invalid or expired","code":"token_not_valid"}`
	answerBadAccess  = `{"detail":"Given token not valid for any token type","code":"token_not_valid","messages":[{"token_class":"AccessToken","token_type":"access","message":"Token is invalid or expired"}]}`
	answerNoToken    = `{"detail":"Authentication credentials were not provided.","code":"not_authenticated"}`
	answerHeaderForm = `{"detail":"Authorization header must contain two space-delimited values","code":"bad_authorization_header"}`
	answerNotNow     = `{"detail":"The service is not available now. Try again.","code":"unavailable"}`
)

// goodPassword and its hashes, as they are made today and with less memory and
// fewer passes.
const (
	goodPassword = "copper kettle under the stairs"
	goodHash     = "$argon2id$v=19$m=19456,t=2,p=1$YW5vdGhlciBvZiB0aGVzZQ$uzIDg1ZmbpBvz4KUI9lKabzJUycGp241xGr143Zexzs"
	weakHash     = "$argon2id$v=19$m=4096,t=1,p=1$YW4gaW52ZW50ZWQgc2FsdA$hdXDobAueP9l3AbJUI+00oMjlk+Y3tnP/eGNjuTZDvI"
)

// patientWithHash makes a patient whose stored password hash is phc.
func (p *practice) patientWithHash(name, phc string) person {
	p.t.Helper()
	in := &store.PatientInput{User: userInput(name)}
	in.User.PasswordHash = phc
	if _, err := p.store.CreatePatient(p.t.Context(), store.Actor{}, in); err != nil {
		p.t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	return p.signedIn(name)
}

// tokenPair is what a sign-in or a refresh answers.
type tokenPair struct{ access, refresh string }

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (p *practice) signIn(username, password string) response {
	p.t.Helper()
	return p.do(nobody, "POST", "/api/token/", asJSON(map[string]string{"username": username, "password": password}))
}

// tokenRoute sends a token to one of the token routes.
func (p *practice) tokenRoute(route, token string) response {
	p.t.Helper()
	member := "refresh"
	if route == "verify" {
		member = "token"
	}
	return p.do(nobody, "POST", "/api/token/"+route+"/", asJSON(map[string]string{member: token}))
}

// pair returns the tokens of an answer that must be 200.
func (r response) pair(t testing.TB, call string) tokenPair {
	t.Helper()
	r.want(t, call, http.StatusOK, "")
	got := tokenPair{r.text(t, "access"), r.text(t, "refresh")}
	if got.access == "" || got.refresh == "" {
		t.Fatalf("%s: the answer lacks a token", call)
	}
	return got
}

func (p *practice) renew(token string) tokenPair {
	p.t.Helper()
	return p.tokenRoute("refresh", token).pair(p.t, "POST token/refresh")
}

// opened opens a session and returns its first tokens.
func (p *practice) opened(username string) tokenPair {
	p.t.Helper()
	g := p.signedIn(username).grant
	return tokenPair{p.access(g), p.refresh(g)}
}

// wantLive and wantOver check that a session is open, or that neither of its
// tokens is good anywhere.
func (p *practice) wantLive(what string, pair tokenPair) {
	p.t.Helper()
	p.do(person{token: pair.access}, "GET", "/api/me/", "").want(p.t, what+": GET me", http.StatusOK, "")
	p.tokenRoute("verify", pair.access).want(p.t, what+": verify the access token", http.StatusOK, "{}")
	p.tokenRoute("verify", pair.refresh).want(p.t, what+": verify the refresh token", http.StatusOK, "{}")
}

func (p *practice) wantOver(what string, pair tokenPair) {
	p.t.Helper()
	bearer := person{token: pair.access}
	for _, path := range []string{"/api/me/", "/api/", "/api/patients/", "/api/health-records/"} {
		r := p.do(bearer, "GET", path, "").want(p.t, what+": GET "+path, http.StatusUnauthorized, answerBadAccess)
		if got := r.header.Get("WWW-Authenticate"); got != `Bearer realm="api"` {
			p.t.Errorf("%s: GET %s: WWW-Authenticate = %q, want the challenge", what, path, got)
		}
	}
	p.tokenRoute("verify", pair.access).want(p.t, what+": verify the access token", http.StatusUnauthorized, answerBadToken)
	p.tokenRoute("verify", pair.refresh).want(p.t, what+": verify the refresh token", http.StatusUnauthorized, answerBadToken)
	p.tokenRoute("refresh", pair.refresh).want(p.t, what+": refresh", http.StatusUnauthorized, answerBadToken)
}

// hashes returns how many passwords f has hashed: nothing else takes 19 MiB.
func hashes(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int((after.TotalAlloc - before.TotalAlloc) / (19 << 20))
}

func TestSignInOpensASession(t *testing.T) {
	p := newPractice(t, nil)
	pat := p.patientWithHash("erika", goodHash)
	var r response
	if n := hashes(func() { r = p.signIn(" Erika ", goodPassword) }); n != 1 {
		t.Errorf("POST token hashes %d times, want 1", n)
	}
	pair := r.pair(t, "POST token")
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("POST token: Cache-Control = %q, want no-store", got)
	}
	me := p.do(person{token: pair.access}, "GET", "/api/me/", "").want(t, "GET me", http.StatusOK, "")
	if got := me.text(t, "id"); got != pat.id {
		t.Errorf("GET me: id = %q, want %q", got, pat.id)
	}
	other := p.signIn("erika", goodPassword).pair(t, "POST token again")
	p.wantLive("the first session", pair)
	p.wantLive("the second session", other)
}

// TestTokensSayTheDeclaredClaims reads tokens as a gateway with a key of its
// own would.
func TestTokensSayTheDeclaredClaims(t *testing.T) {
	p := newPractice(t, nil)
	pat := p.patientWithHash("erika", goodHash)
	pair := p.signIn("erika", goodPassword).pair(t, "POST token")
	sid := ""
	for _, test := range []struct {
		kind, token string
		seconds     float64
	}{{"access", pair.access, 300}, {"refresh", pair.refresh, 86400}} {
		parts := strings.Split(test.token, ".")
		if len(parts) != 3 || parts[0] != base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) {
			t.Fatalf("the %s token has not the declared form", test.kind)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatalf("the claims of the %s token are not base64url: %v", test.kind, err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("the claims of the %s token are not JSON: %v", test.kind, err)
		}
		if got, want := slices.Sorted(maps.Keys(claims)), []string{"exp", "iat", "jti", "sid", "token_type", "user_id"}; !slices.Equal(got, want) {
			t.Errorf("the %s token claims %q, want %q", test.kind, got, want)
		}
		if claims["token_type"] != test.kind || claims["user_id"] != pat.id || claims["iat"] != float64(p.clock.Now().Unix()) {
			t.Errorf("the %s token claims type %v, user %v, iat %v", test.kind, claims["token_type"], claims["user_id"], claims["iat"])
		}
		if got := claims["exp"].(float64) - claims["iat"].(float64); got != test.seconds {
			t.Errorf("the %s token lives %v s, want %v", test.kind, got, test.seconds)
		}
		if sid == "" {
			sid = claims["sid"].(string)
		} else if claims["sid"] != sid {
			t.Errorf("the two tokens name two sessions")
		}
	}
}

// TestFailedSignInsAreAllAlike holds bytes, headers and cost against each
// other: nothing tells whether an account exists.
func TestFailedSignInsAreAllAlike(t *testing.T) {
	p := newPractice(t, nil)
	admin := p.staff("admin")
	p.patientWithHash("erika", goodHash)
	p.patientWithHash("inactive", goodHash)
	deleted := p.patientWithHash("deleted", goodHash)
	if err := p.store.SetActive(t.Context(), store.Command("test"), "inactive", false); err != nil {
		t.Fatalf("SetActive error = %v, want nil", err)
	}
	p.do(admin, "DELETE", "/api/patients/"+deleted.id+"/", "").want(t, "DELETE the patient", http.StatusNoContent, "")

	var first http.Header
	for _, test := range []struct{ name, username, password string }{
		{"wrong password", "erika", goodPassword + "!"},
		{"password with white space", "erika", " " + goodPassword},
		{"password of white space", "erika", "   "},
		{"unknown user", "nobody", goodPassword},
		{"user name beyond its length", strings.Repeat("n", 500), goodPassword},
		{"inactive user", "inactive", goodPassword},
		{"inactive user, wrong password", "inactive", "wrong"},
		{"deleted user", "deleted", goodPassword},
		{"deleted user, wrong password", "deleted", "wrong"},
	} {
		var r response
		if n := hashes(func() { r = p.signIn(test.username, test.password) }); n != 1 {
			t.Errorf("%s: POST token hashes %d times, want 1", test.name, n)
		}
		r.want(t, test.name+": POST token", http.StatusUnauthorized, answerNoAccount)
		r.header.Del("X-Request-Id")
		if first == nil {
			first = r.header
		}
		if !maps.EqualFunc(r.header, first, slices.Equal[[]string]) {
			t.Errorf("%s: POST token: headers = %v, want %v", test.name, r.header, first)
		}
	}
	if got := first.Get("WWW-Authenticate"); got != `Bearer realm="api"` {
		t.Errorf("POST token: WWW-Authenticate = %q, want the challenge", got)
	}
}

func TestTokenRoutesNameBadFields(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", goodHash)
	const required, blank, null, noString = "This field is required.", "This field may not be blank.", "This field may not be null.", "Not a valid string."
	both := func(first, second string) string {
		return fmt.Sprintf(`{"username":["%s"],"password":["%s"]}`, first, second)
	}
	for _, test := range []struct{ path, body, want string }{
		{"token/", ``, both(required, required)},
		{"token/", `{}`, both(required, required)},
		{"token/", `{"username":"erika"}`, `{"password":["` + required + `"]}`},
		{"token/", `{"password":"` + goodPassword + `"}`, `{"username":["` + required + `"]}`},
		{"token/", `{"username":" ","password":""}`, both(blank, blank)},
		{"token/", `{"username":null,"password":null}`, both(null, null)},
		{"token/", `{"username":1,"password":["p"]}`, both(noString, noString)},
		{"token/", `{"username":"erika","password":"p","otp":1,"recovery_code":null,"device":true}`,
			`{"otp":["` + noString + `"],"recovery_code":["` + null + `"],"device":["` + noString + `"]}`},
		{"token/", `{"username":"erika","password":"p","code":"1"}`, `{"code":["Unknown field."]}`},
		{"token/", `{"Username":"erika","password":"p"}`, `{"username":["` + required + `"],"Username":["Unknown field."]}`},
		{"token/", `[]`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
		{"token/refresh/", `{}`, `{"refresh":["` + required + `"]}`},
		{"token/refresh/", `{"refresh":""}`, `{"refresh":["` + blank + `"]}`},
		{"token/refresh/", `{"refresh":null}`, `{"refresh":["` + null + `"]}`},
		{"token/refresh/", `{"token":"t"}`, `{"refresh":["` + required + `"],"token":["Unknown field."]}`},
		{"token/blacklist/", `{}`, `{"refresh":["` + required + `"]}`},
		{"token/blacklist/", `{"refresh":7}`, `{"refresh":["` + noString + `"]}`},
		{"token/verify/", `{}`, `{"token":["` + required + `"]}`},
		{"token/verify/", `{"token":"  "}`, `{"token":["` + blank + `"]}`},
	} {
		p.do(nobody, "POST", "/api/"+test.path, test.body).want(t, "POST "+test.path+" "+test.body, http.StatusBadRequest, test.want)
	}
	for _, path := range []string{"", "refresh/", "verify/", "blacklist/"} {
		p.do(nobody, "POST", "/api/token/"+path, `{"a":"`+strings.Repeat("a", 64<<10)+`"}`).want(t, "POST token/"+path+" of 64 KiB and more", http.StatusRequestEntityTooLarge, "")
		p.do(nobody, "POST", "/api/token/"+path, `a=b`, "Content-Type: application/x-www-form-urlencoded").want(t, "POST token/"+path+" of a form", http.StatusUnsupportedMediaType, "")
		r := p.do(nobody, "GET", "/api/token/"+path, "").want(t, "GET token/"+path, http.StatusMethodNotAllowed, "")
		if got := r.header.Get("Allow"); got != "POST, OPTIONS" {
			t.Errorf("GET token/%s: Allow = %q, want POST, OPTIONS", path, got)
		}
	}
}

func TestTokenRoutesIgnoreTheAuthorizationHeader(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", goodHash)
	over := p.opened("erika")
	p.tokenRoute("blacklist", over.refresh).want(t, "POST token/blacklist", http.StatusOK, "{}")
	for _, header := range []string{"Bearer garbage", "Bearer", "Bearer a b", "Basic YTpi", "Bearer " + over.access} {
		pair := p.opened("erika")
		for _, test := range []struct{ path, body string }{
			{"token/", asJSON(map[string]string{"username": "erika", "password": goodPassword})},
			{"token/verify/", asJSON(map[string]string{"token": pair.access})},
			{"token/refresh/", asJSON(map[string]string{"refresh": pair.refresh})},
			{"token/blacklist/", asJSON(map[string]string{"refresh": pair.refresh})},
		} {
			p.do(nobody, "POST", "/api/"+test.path, test.body, "Authorization: "+header).want(t, "POST "+test.path+" with a bad header", http.StatusOK, "")
		}
	}
}

func TestRefreshRotates(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	first := p.opened("erika")
	second := p.renew(first.refresh)
	if second.refresh == first.refresh || second.access == first.access {
		t.Error("POST token/refresh gives a token again, want two new ones")
	}
	p.wantLive("after one refresh", second)
	p.do(person{token: first.access}, "GET", "/api/me/", "").want(t, "GET me with the first access token", http.StatusOK, "")
	p.clock.Advance(time.Hour)
	p.wantLive("after another", p.renew(second.refresh))
}

func TestRefreshRepeatsWithinTenSeconds(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	first := p.opened("erika")
	second := p.renew(first.refresh)
	for _, wait := range []time.Duration{0, 4 * time.Second, 6 * time.Second} { // the last is at 10 s
		p.clock.Advance(wait)
		again := p.renew(first.refresh)
		if again.refresh != second.refresh {
			t.Errorf("POST token/refresh %v later gives another refresh token, want the same bytes", wait)
		}
		p.tokenRoute("verify", first.refresh).want(t, "verify the token that may be repeated", http.StatusOK, "{}")
		p.wantLive("the repeated refresh", again)
	}
	p.clock.Advance(time.Microsecond)
	p.tokenRoute("verify", first.refresh).want(t, "verify after 10 s", http.StatusUnauthorized, answerBadToken)
	p.wantLive("after 10 s", second) // to verify a used token is not to use it
	p.tokenRoute("refresh", first.refresh).want(t, "refresh after 10 s", http.StatusUnauthorized, answerBadToken)
	p.wantOver("after the replay", second)
}

func TestRepeatEndsWithTheUseOfTheSuccessor(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	first := p.opened("erika")
	second := p.renew(first.refresh)
	third := p.renew(second.refresh)
	if again := p.renew(second.refresh); again.refresh != third.refresh {
		t.Error("the parent gives another successor, want the same bytes")
	}
	p.tokenRoute("verify", first.refresh).want(t, "verify the grandparent", http.StatusUnauthorized, answerBadToken)
	p.tokenRoute("refresh", first.refresh).want(t, "refresh with the grandparent within 10 s", http.StatusUnauthorized, answerBadToken)
	for i, pair := range []tokenPair{first, second, third} {
		p.wantOver(fmt.Sprintf("generation %d", i+1), pair)
	}
}

func TestReplayEndsItsSessionAlone(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	p.patient("karl")
	first, otherSession, otherUser := p.opened("erika"), p.opened("erika"), p.opened("karl")
	second := p.renew(first.refresh)
	p.clock.Advance(11 * time.Second)
	p.tokenRoute("refresh", first.refresh).want(t, "the replay", http.StatusUnauthorized, answerBadToken)
	p.wantOver("the first generation", first)
	p.wantOver("the second generation", second)
	p.wantLive("another session", otherSession)
	p.wantLive("another user", otherUser)
}

// at moves the clock to a second's beginning, and just before it when asked.
func (p *practice) at(second time.Time, before time.Duration) {
	p.clock.Advance(second.Add(-before).Sub(p.clock.Now()))
}

func TestTokensExpireAtTheirSecond(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	pair, other := p.opened("erika"), p.opened("erika")
	issued := p.clock.Now().Truncate(time.Second)

	p.at(issued.Add(5*time.Minute), time.Microsecond)
	p.wantLive("before the access token's end", pair)
	p.at(issued.Add(5*time.Minute), 0)
	p.do(person{token: pair.access}, "GET", "/api/me/", "").want(t, "GET me at exp", http.StatusUnauthorized, answerBadAccess)
	p.tokenRoute("verify", pair.access).want(t, "verify the access token at exp", http.StatusUnauthorized, answerBadToken)
	p.tokenRoute("verify", pair.refresh).want(t, "verify the refresh token", http.StatusOK, "{}")

	p.at(issued.Add(24*time.Hour), time.Microsecond)
	p.wantLive("renewed before the refresh token's end", p.renew(other.refresh))
	p.at(issued.Add(24*time.Hour), 0)
	for _, route := range []string{"verify", "refresh", "blacklist"} {
		p.tokenRoute(route, pair.refresh).want(t, route+" the refresh token at exp", http.StatusUnauthorized, answerBadToken)
	}
}

// expiry returns the end of a token that is good now.
func (p *practice) expiry(kind auth.Kind, token string) time.Time {
	p.t.Helper()
	c, err := p.tokens.Parse(kind, token, p.clock.Now())
	if err != nil {
		p.t.Fatalf("Parse of the %s token: error = %v, want nil", kind, err)
	}
	return c.Expires
}

func TestSessionEndsAfterThirtyDays(t *testing.T) {
	p := newPractice(t, nil)
	erika := p.patient("erika")
	pair := tokenPair{erika.token, p.refresh(erika.grant)}
	end := p.clock.Now().Truncate(time.Second).Add(30 * 24 * time.Hour)
	for p.clock.Now().Add(24 * time.Hour).Before(end) {
		if got, want := p.expiry(auth.Refresh, pair.refresh), p.clock.Now().Truncate(time.Second).Add(24*time.Hour); !got.Equal(want) {
			t.Fatalf("a refresh token ends at %v, want %v", got, want)
		}
		p.clock.Advance(23 * time.Hour)
		pair = p.renew(pair.refresh)
	}
	if got := p.expiry(auth.Refresh, pair.refresh); !got.Equal(end) {
		t.Errorf("the last refresh token ends at %v, want the session's end %v", got, end)
	}
	p.at(end, 2*time.Second)
	pair = p.renew(pair.refresh)
	if got := p.expiry(auth.Access, pair.access); !got.Equal(end) {
		t.Errorf("the last access token ends at %v, want the session's end %v", got, end)
	}
	longer := person{token: p.access(erika.grant)} // signed by hand, beyond the session
	p.at(end, time.Microsecond)
	p.wantLive("before the session's end", pair)
	p.do(longer, "GET", "/api/me/", "").want(t, "GET me before the session's end", http.StatusOK, "")
	p.at(end, 0)
	p.wantOver("at the session's end", pair)
	p.do(longer, "GET", "/api/me/", "").want(t, "GET me at the session's end", http.StatusUnauthorized, answerBadAccess)
}

func TestBlacklistEndsTheSession(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	first, other := p.opened("erika"), p.opened("erika")
	second := p.renew(first.refresh)
	p.tokenRoute("blacklist", second.access).want(t, "blacklist an access token", http.StatusUnauthorized, answerBadToken)
	p.tokenRoute("blacklist", "garbage").want(t, "blacklist garbage", http.StatusUnauthorized, answerBadToken)
	p.wantLive("before", second)
	p.tokenRoute("blacklist", second.refresh).want(t, "blacklist", http.StatusOK, "{}")
	p.wantOver("blacklisted", second)
	p.wantOver("its parent", first)
	p.tokenRoute("blacklist", second.refresh).want(t, "blacklist again", http.StatusOK, "{}")
	p.tokenRoute("blacklist", first.refresh).want(t, "blacklist the parent", http.StatusOK, "{}")
	p.wantLive("another session", other)

	p.clock.Advance(time.Minute)
	renewed := p.renew(other.refresh)
	p.clock.Advance(time.Minute)
	p.tokenRoute("blacklist", other.refresh).want(t, "blacklist a token that was used", http.StatusOK, "{}")
	p.wantOver("a session blacklisted by a used token", renewed)
}

func TestTokensAreNotExchanged(t *testing.T) {
	p := newPractice(t, nil)
	p.patient("erika")
	pair := p.opened("erika")
	p.do(person{token: pair.refresh}, "GET", "/api/me/", "").want(t, "GET me with a refresh token", http.StatusUnauthorized, answerBadAccess)
	p.tokenRoute("refresh", pair.access).want(t, "refresh with an access token", http.StatusUnauthorized, answerBadToken)
	p.wantLive("after both", pair)
}

// signByHand makes a token out of any header and claims, under the key that
// the secret has for the purpose.
func signByHand(secret string, purpose auth.Purpose, header, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	key := auth.Key([]byte(secret), purpose)
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

const goodHeader = `{"alg":"HS256","typ":"JWT"}`

// forgery is a token that is wrong in one way; what is empty is right.
type forgery struct {
	name    string
	secret  string
	purpose auth.Purpose
	header  string
	claims  string
	then    func(token string) string
}

// subject is whom a forged token is about, and what makes a right one.
type subject struct {
	kind     auth.Kind
	purpose  auth.Purpose
	who      person
	id       string
	issued   int64
	lifetime int64
}

func (s subject) claims() string {
	return fmt.Sprintf(`{"token_type":"%s","user_id":"%s","sid":"%s","jti":"%s","iat":%d,"exp":%d}`,
		s.kind, s.who.id, s.who.grant.Session, s.id, s.issued, s.issued+s.lifetime)
}

func (s subject) token(f forgery) string {
	token := signByHand(cmp.Or(f.secret, testSecret), cmp.Or(f.purpose, s.purpose), cmp.Or(f.header, goodHeader), cmp.Or(f.claims, s.claims()))
	if f.then != nil {
		token = f.then(token)
	}
	return token
}

// forgeries are all ways to be wrong about s; other is another account.
func (s subject) forgeries(other person) []forgery {
	instead := func(old string, format string, args ...any) string {
		return strings.Replace(s.claims(), old, fmt.Sprintf(format, args...), 1)
	}
	otherKind, otherPurpose := auth.Refresh, auth.RefreshTokens
	if s.kind == auth.Refresh {
		otherKind, otherPurpose = auth.Access, auth.AccessTokens
	}
	session, end := s.who.grant.Session, s.issued+s.lifetime
	iat, exp := fmt.Sprintf(`"iat":%d`, s.issued), fmt.Sprintf(`"exp":%d`, end)
	unsigned := func(t string) string { return t[:strings.LastIndex(t, ".")+1] }
	return []forgery{
		{name: "another secret", secret: "k" + testSecret},
		{name: "the other kind's key", purpose: otherPurpose},
		{name: "the cursors' key", purpose: auth.Cursors},
		{name: "alg none, signed", header: `{"alg":"none","typ":"JWT"}`},
		{name: "alg none, unsigned", header: `{"alg":"none","typ":"JWT"}`, then: unsigned},
		{name: "alg None, unsigned", header: `{"alg":"None","typ":"JWT"}`, then: unsigned},
		{name: "alg HS256, unsigned", then: unsigned},
		{name: "alg HS512", header: `{"alg":"HS512","typ":"JWT"}`},
		{name: "alg in small letters", header: `{"alg":"hs256","typ":"JWT"}`},
		{name: "another order of the header", header: `{"typ":"JWT","alg":"HS256"}`},
		{name: "a key id", header: `{"alg":"HS256","typ":"JWT","kid":"1"}`},
		{name: "crit", header: `{"alg":"HS256","typ":"JWT","crit":["exp"]}`},
		{name: "the other kind", claims: instead(`"`+string(s.kind)+`"`, `"%s"`, otherKind)},
		{name: "an extra claim", claims: instead(`,"iat"`, `,"role":"staff","iat"`)},
		{name: "no token_type", claims: instead(fmt.Sprintf(`"token_type":"%s",`, s.kind), "")},
		{name: "no user_id", claims: instead(`"user_id":"`+s.who.id+`",`, "")},
		{name: "no sid", claims: instead(`"sid":"`+session+`",`, "")},
		{name: "no jti", claims: instead(`"jti":"`+s.id+`",`, "")},
		{name: "no iat", claims: instead(iat+",", "")},
		{name: "no exp", claims: instead(","+exp, "")},
		{name: "no claims", claims: "{}"},
		{name: "a list of claims", claims: "[" + s.claims() + "]"},
		{name: "exp twice", claims: instead("}", ",%s}", exp)},
		{name: "EXP for exp", claims: instead("exp", "EXP")},
		{name: "exp as text", claims: instead(exp, `"exp":"%d"`, end)},
		{name: "exp as a fraction", claims: instead(exp, `"exp":%d.0`, end)},
		{name: "exp null", claims: instead(exp, `"exp":null`)},
		{name: "exp beyond all numbers", claims: instead(exp, `"exp":9223372036854775808`)},
		{name: "a lifetime of one second more", claims: instead(exp, `"exp":%d`, end+1)},
		{name: "issued in the future", claims: instead(iat, `"iat":%d`, s.issued+1)},
		{name: "expired", claims: instead(exp, `"exp":%d`, s.issued)},
		{name: "user_id as a number", claims: instead(`"user_id":"`+s.who.id+`"`, `"user_id":1`)},
		{name: "another account", claims: instead(s.who.id, "%s", other.id)},
		{name: "another's session", claims: instead(session, "%s", other.grant.Session)},
		{name: "a session of nobody", claims: instead(session, "00000000-0000-7000-8000-000000000000")},
		{name: "a session in capital letters", claims: instead(session, "%s", strings.ToUpper(session))},
		{name: "a line feed", then: func(t string) string { return t[:80] + "\n" + t[80:] }},
		{name: "padding", then: func(t string) string { return t + "=" }},
		{name: "a part too many", then: func(t string) string { return t + ".e30" }},
		{name: "a part too few", then: func(t string) string { return t[strings.Index(t, ".")+1:] }},
		{name: "a changed signature", then: changeSignature},
		{name: "garbage", then: func(string) string { return "garbage" }},
		{name: "long garbage", then: func(string) string { return strings.Repeat("a.", 4000) }},
	}
}

// changeSignature changes one of the last characters of a token.
func changeSignature(token string) string {
	at := len(token) - 9
	changed := "A"
	if token[at] == 'A' {
		changed = "B"
	}
	return token[:at] + changed + token[at+1:]
}

func TestForgedAccessTokensAreRefusedAlike(t *testing.T) {
	p := newPractice(t, nil)
	erika, other := p.patient("erika"), p.patient("other")
	s := subject{auth.Access, auth.AccessTokens, erika, p.store.NewID(), p.clock.Now().Unix(), 300}
	p.do(person{token: s.token(forgery{})}, "GET", "/api/me/", "").want(t, "GET me with a token made by hand", http.StatusOK, "")
	for _, f := range s.forgeries(other) {
		token := s.token(f)
		if !strings.Contains(token, "\n") { // which no header holds
			p.do(person{token: token}, "GET", "/api/me/", "").want(t, f.name+": GET me", http.StatusUnauthorized, answerBadAccess)
			p.do(person{token: token}, "GET", "/api/", "").want(t, f.name+": GET the index", http.StatusUnauthorized, answerBadAccess)
		}
		p.tokenRoute("verify", token).want(t, f.name+": verify", http.StatusUnauthorized, answerBadToken)
	}
}

func TestForgedRefreshTokensAreRefusedAlike(t *testing.T) {
	p := newPractice(t, nil)
	erika, other := p.patient("erika"), p.patient("other")
	s := subject{auth.Refresh, auth.RefreshTokens, erika, erika.grant.Refresh, erika.grant.RefreshIssued.Unix(), 86400}
	for _, f := range s.forgeries(other) {
		token := s.token(f)
		p.tokenRoute("verify", token).want(t, f.name+": verify", http.StatusUnauthorized, answerBadToken)
		p.tokenRoute("refresh", token).want(t, f.name+": refresh", http.StatusUnauthorized, answerBadToken)
		if !strings.Contains(f.name, "session") && f.name != "another account" { // those are genuine: see below
			p.tokenRoute("blacklist", token).want(t, f.name+": blacklist", http.StatusUnauthorized, answerBadToken)
		}
	}
	if got, want := s.token(forgery{}), p.refresh(erika.grant); got != want {
		t.Error("the token made by hand is not the one that the service makes")
	}
	p.wantLive("after all forgeries", p.renew(s.token(forgery{})))
	p.wantLive("the other's session", tokenPair{other.token, p.refresh(other.grant)})
}

// TestForeignSessionIsNotEnded signs, with the right key, that somebody has the
// session of somebody else: no such token is ever made, and none ends a session.
func TestForeignSessionIsNotEnded(t *testing.T) {
	p := newPractice(t, nil)
	erika, karl := p.patient("erika"), p.patient("karl")
	mixed := erika.grant
	mixed.Session, mixed.Refresh = karl.grant.Session, karl.grant.Refresh
	p.tokenRoute("blacklist", p.refresh(mixed))
	p.tokenRoute("refresh", p.refresh(mixed)).want(t, "refresh", http.StatusUnauthorized, answerBadToken)
	p.wantLive("the session's owner", tokenPair{karl.token, p.refresh(karl.grant)})
}

// withHeader sends a request with these Authorization headers.
func (p *practice) withHeader(method, path, body string, values ...string) response {
	r := httptest.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header["Authorization"] = values
	return p.send(r)
}

func TestAuthorizationHeader(t *testing.T) {
	p := newPractice(t, nil)
	token := p.patient("erika").token
	for _, test := range []struct {
		name   string
		values []string
		status int
		body   string
	}{
		{"as written", []string{"Bearer " + token}, http.StatusOK, ""},
		{"in small letters", []string{"bearer " + token}, http.StatusOK, ""},
		{"in capital letters", []string{"BEARER " + token}, http.StatusOK, ""},
		{"none", nil, http.StatusUnauthorized, answerNoToken},
		{"empty", []string{""}, http.StatusUnauthorized, answerNoToken},
		{"blank", []string{"  "}, http.StatusUnauthorized, answerNoToken},
		{"Basic", []string{"Basic ZXJpa2E6cGFzc3dvcmQ="}, http.StatusUnauthorized, answerNoToken},
		{"another scheme", []string{"JWT " + token}, http.StatusUnauthorized, answerNoToken},
		{"no scheme", []string{token}, http.StatusUnauthorized, answerNoToken},
		{"a longer scheme", []string{"Bearers " + token}, http.StatusUnauthorized, answerNoToken},
		{"no value", []string{"Bearer"}, http.StatusUnauthorized, answerHeaderForm},
		{"a blank value", []string{"Bearer   "}, http.StatusUnauthorized, answerHeaderForm},
		{"two values", []string{"Bearer " + token + " " + token}, http.StatusUnauthorized, answerHeaderForm},
		{"three values", []string{"bearer a b c"}, http.StatusUnauthorized, answerHeaderForm},
		{"two headers", []string{"Bearer " + token, "Bearer " + token}, http.StatusUnauthorized, answerHeaderForm},
		{"two headers, one of another scheme", []string{"Basic YTpi", "Bearer " + token}, http.StatusUnauthorized, answerHeaderForm},
		{"two headers, one empty", []string{"", "Bearer " + token}, http.StatusUnauthorized, answerHeaderForm},
		{"two in one header", []string{"Bearer " + token + ", Bearer " + token}, http.StatusUnauthorized, answerHeaderForm},
		{"quoted", []string{`Bearer "` + token + `"`}, http.StatusUnauthorized, answerBadAccess},
		{"with a comma", []string{"Bearer " + token + ","}, http.StatusUnauthorized, answerBadAccess},
		{"garbage", []string{"Bearer garbage"}, http.StatusUnauthorized, answerBadAccess},
	} {
		r := p.withHeader("GET", "/api/me/", "", test.values...).want(t, test.name+": GET me", test.status, test.body)
		challenge := ""
		if test.status == http.StatusUnauthorized {
			challenge = `Bearer realm="api"`
		}
		if got := r.header.Get("WWW-Authenticate"); got != challenge {
			t.Errorf("%s: GET me: WWW-Authenticate = %q, want %q", test.name, got, challenge)
		}
	}
}

func TestBadTokensAreRefusedOnOpenRoutes(t *testing.T) {
	p := newPractice(t, nil)
	over := p.opened(p.named("erika"))
	p.tokenRoute("blacklist", over.refresh).want(t, "POST token/blacklist", http.StatusOK, "{}")
	for _, test := range []struct {
		name   string
		values []string
		want   string
	}{
		{"garbage", []string{"Bearer garbage"}, answerBadAccess},
		{"of an ended session", []string{"Bearer " + over.access}, answerBadAccess},
		{"a refresh token", []string{"Bearer " + over.refresh}, answerBadAccess},
		{"no value", []string{"Bearer"}, answerHeaderForm},
		{"two headers", []string{"Bearer a", "Bearer b"}, answerHeaderForm},
	} {
		for _, route := range []string{"GET /api/", "HEAD /api/", "POST /api/patients/", "POST /api/doctors/"} {
			method, path, _ := strings.Cut(route, " ")
			var r response
			n := hashes(func() { r = p.withHeader(method, path, registration("new"), test.values...) })
			want := test.want
			if method == "HEAD" {
				want = ""
			}
			if r.want(t, test.name+": "+route, http.StatusUnauthorized, want); n != 0 {
				t.Errorf("%s: %s hashes %d times, want 0", test.name, route, n)
			}
		}
	}
	for _, values := range [][]string{nil, {"Basic YTpi"}} {
		p.withHeader("GET", "/api/", "", values...).want(t, "GET the index without a token", http.StatusOK, "")
		p.withHeader("POST", "/api/patients/", registration(fmt.Sprintf("new%d", len(values))), values...).want(t, "POST patients without a token", http.StatusCreated, "")
	}
	p.do(p.signedIn("new0"), "POST", "/api/patients/", registration("more")).want(t, "POST patients as a patient", http.StatusForbidden, "")
}

// named makes a patient and returns the name.
func (p *practice) named(name string) string {
	p.t.Helper()
	p.patient(name)
	return name
}

// registration is the body that registers a patient or a doctor.
func registration(username string) string {
	return asJSON(map[string]any{"user": map[string]string{"username": username, "password": goodPassword}})
}

func TestWhatEndedIsRefusedOnTheNextRequest(t *testing.T) {
	p := newPractice(t, nil)
	admin := p.staff("admin")
	operator := store.Command("test")
	fails := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("ending the session: error = %v, want nil", err)
		}
	}
	for _, test := range []struct {
		name   string
		end    func(who person, name string)
		signIn bool // afterwards
	}{
		{"deactivated", func(_ person, name string) { fails(p.store.SetActive(t.Context(), operator, name, false)) }, false},
		{"deactivated-and-activated", func(_ person, name string) {
			fails(p.store.SetActive(t.Context(), operator, name, false))
			fails(p.store.SetActive(t.Context(), operator, name, true))
		}, true},
		{"ended-by-an-operator", func(_ person, name string) {
			n, err := p.store.EndSessions(t.Context(), operator, name)
			if fails(err); n != 2 {
				t.Errorf("EndSessions = %d, want 2", n)
			}
		}, true},
		{"deleted-by-staff", func(who person, _ string) {
			p.do(admin, "DELETE", "/api/patients/"+who.id+"/", "").want(t, "DELETE by staff", http.StatusNoContent, "")
		}, false},
		{"deleted-by-itself", func(who person, _ string) {
			p.do(who, "DELETE", "/api/patients/"+who.id+"/", "").want(t, "DELETE by itself", http.StatusNoContent, "")
		}, false},
	} {
		who := p.patientWithHash(test.name, goodHash)
		first, second := tokenPair{who.token, p.refresh(who.grant)}, p.opened(test.name)
		p.wantLive(test.name+", before", first)
		test.end(who, test.name)
		p.wantOver(test.name+", the first session", first)
		p.wantOver(test.name+", the second session", second)
		p.tokenRoute("blacklist", first.refresh).want(t, test.name+": blacklist", http.StatusOK, "{}")
		r := p.signIn(test.name, goodPassword)
		if !test.signIn {
			r.want(t, test.name+": POST token", http.StatusUnauthorized, answerNoAccount)
			continue
		}
		p.wantLive(test.name+", signed in again", r.pair(t, test.name+": POST token"))
		p.wantOver(test.name+", the first session then", first)
	}
}

// storedHash is what the store keeps for a user name.
func (p *practice) storedHash(username string) string {
	p.t.Helper()
	c, err := p.store.BeginSignIn(p.t.Context(), store.Actor{}, username, store.Device{})
	if err != nil {
		p.t.Fatalf("BeginSignIn error = %v, want nil", err)
	}
	return c.Hash
}

func TestWeakHashIsReplacedOnSignIn(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", weakHash)
	before := p.opened("erika")
	p.signIn("erika", "wrong").want(t, "POST token with a wrong password", http.StatusUnauthorized, answerNoAccount)
	if p.storedHash("erika") != weakHash {
		t.Error("a wrong password changes the stored hash")
	}
	p.signIn("erika", goodPassword).want(t, "POST token", http.StatusOK, "")
	now := p.storedHash("erika")
	if !strings.HasPrefix(now, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error("after the sign-in the stored hash has other parameters than today's")
	}
	right, weak, err := auth.NewHasher(1, 0).Verify(t.Context(), now, goodPassword)
	if !right || weak || err != nil {
		t.Errorf("Verify of the new hash = %v, weak %v, %v, want true, not weak", right, weak, err)
	}
	p.wantLive("the session from before", before)
	if n := hashes(func() { p.signIn("erika", goodPassword).want(t, "POST token again", http.StatusOK, "") }); n != 1 {
		t.Errorf("POST token again hashes %d times, want 1", n)
	}
	if p.storedHash("erika") != now {
		t.Error("a hash of today's parameters is replaced")
	}
}

func TestOwnEmailNeedsThePassword(t *testing.T) {
	p := newPractice(t, nil)
	admin := p.staff("admin")
	pat := p.patientWithHash("erika", goodHash)
	in := &store.DoctorInput{User: userInput("doc")}
	in.User.PasswordHash = goodHash
	if _, err := p.store.CreateDoctor(t.Context(), store.Actor{}, in); err != nil {
		t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	doc := p.signedIn("doc")
	const required, incorrect = `{"user":{"current_password":["This field is required."]}}`, `{"user":{"current_password":["The password is not correct."]}}`
	user := func(members ...string) string {
		m := map[string]string{}
		for i := 0; i < len(members); i += 2 {
			m[members[i]] = members[i+1]
		}
		return asJSON(map[string]any{"user": m})
	}
	for _, own := range []struct {
		who        person
		path, mail string
	}{{pat, "/api/patients/" + pat.id + "/", "erika@example.test"}, {doc, "/api/doctors/" + doc.id + "/", "doc@example.test"}} {
		for _, test := range []struct {
			name   string
			who    person
			body   string
			hashes int
			status int
			answer string
			mail   string // afterwards
		}{
			{"no password", own.who, user("email", "new@example.test"), 0, http.StatusBadRequest, required, own.mail},
			{"no password to take it away", own.who, user("email", ""), 0, http.StatusBadRequest, required, own.mail},
			{"a wrong password", own.who, user("email", "new@example.test", "current_password", "wrong"), 1, http.StatusBadRequest, incorrect, own.mail},
			{"a password with white space", own.who, user("email", "new@example.test", "current_password", goodPassword+" "), 1, http.StatusBadRequest, incorrect, own.mail},
			{"another field", own.who, user("first_name", "Erika"), 0, http.StatusOK, "", own.mail},
			{"the same address", own.who, user("email", own.mail), 0, http.StatusOK, "", own.mail},
			{"the right password", own.who, user("email", "new@example.test", "current_password", goodPassword), 1, http.StatusOK, "", "new@example.test"},
			{"staff", admin, user("email", "staff@example.test"), 0, http.StatusOK, "", "staff@example.test"},
		} {
			var r response
			if n := hashes(func() { r = p.do(test.who, "PATCH", own.path, test.body) }); n != test.hashes {
				t.Errorf("%s: PATCH hashes %d times, want %d", test.name, n, test.hashes)
			}
			r.want(t, test.name+": PATCH "+own.path, test.status, test.answer)
			if strings.Contains(r.body, "password\":\"") {
				t.Errorf("%s: PATCH answers a password", test.name)
			}
			got := p.do(own.who, "GET", own.path, "").text(t, "user.email")
			if got != test.mail {
				t.Errorf("%s: GET: email = %q, want %q", test.name, got, test.mail)
			}
		}
	}
}

// TestFullHashingQueueAsksToComeBack keeps the only place of the hasher taken,
// but for an instant between two hashes, until it has seen every route refuse.
func TestFullHashingQueueAsksToComeBack(t *testing.T) {
	hasher := auth.NewHasher(1, 0)
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.Hasher = hasher })
	pat := p.patientWithHash("erika", goodHash)
	ctx, release := context.WithCancel(t.Context())
	var holder sync.WaitGroup
	holder.Go(func() {
		slow := strings.Replace(goodHash, "t=2", "t=16", 1)
		for ctx.Err() == nil {
			hasher.Verify(ctx, slow, "any")
		}
	})
	for _, test := range []struct{ name, method, path, body string }{
		{"sign-in", "POST", "/api/token/", asJSON(map[string]string{"username": "erika", "password": goodPassword})},
		{"sign-in of nobody", "POST", "/api/token/", asJSON(map[string]string{"username": "nobody", "password": goodPassword})},
		{"registration of a patient", "POST", "/api/patients/", registration("new")},
		{"registration of a doctor", "POST", "/api/doctors/", registration("new")},
		{"new e-mail address", "PATCH", "/api/patients/" + pat.id + "/", `{"user":{"email":"new@example.test","current_password":"x"}}`},
	} {
		who := nobody
		if test.method == "PATCH" {
			who = pat
		}
		r := p.do(who, test.method, test.path, test.body)
		for tries := 1; r.status != http.StatusServiceUnavailable && tries < 1000; tries++ {
			r = p.do(who, test.method, test.path, test.body)
		}
		r.want(t, test.name, http.StatusServiceUnavailable, answerNotNow)
		if got := r.header.Get("Retry-After"); got != "5" {
			t.Errorf("%s: Retry-After = %q, want 5", test.name, got)
		}
	}
	p.do(pat, "GET", "/api/me/", "").want(t, "GET me meanwhile", http.StatusOK, "")
	release()
	holder.Wait()
	p.signIn("erika", goodPassword).want(t, "POST token afterwards", http.StatusOK, "")
}

// A current_password is looked at on the own profile alone, and a wrong one is
// a refusal that the trail tells of, once.
func TestCurrentPasswordIsForTheOwnProfile(t *testing.T) {
	p := newPractice(t, nil)
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	pat, other := p.patientWithHash("erika", goodHash), p.patientWithHash("karl", goodHash)
	in := &store.PatientInput{Doctors: &[]string{doc.id}}
	if _, err := p.store.ChangePatient(t.Context(), store.Actor{Account: pat.id, Session: pat.grant.Session}, pat.id, nil, in); err != nil {
		t.Fatalf("ChangePatient error = %v, want nil", err)
	}
	ended := p.signedIn("erika")
	p.tokenRoute("blacklist", p.refresh(ended.grant)).want(t, "POST token/blacklist", http.StatusOK, "{}")
	body := func(password string) string {
		return asJSON(map[string]any{"user": map[string]string{"email": "new@example.test", "current_password": password}})
	}
	f := p.fileReader()
	for _, test := range []struct {
		name     string
		who      person
		path     string
		password string
		hashes   int
		status   int
		outcome  string
	}{
		{"a wrong password", pat, patientPath(pat.id), "wrong", 1, http.StatusBadRequest, "wrong password"},
		{"another patient's profile", other, patientPath(pat.id), goodPassword, 0, http.StatusNotFound, "not found"},
		{"the profile of a doctor's patient", doc, patientPath(pat.id), goodPassword, 0, http.StatusForbidden, "forbidden"},
		{"a doctor's profile", pat, doctorPath(doc.id), goodPassword, 0, http.StatusForbidden, "forbidden"},
		{"the profile under the wrong path", pat, doctorPath(pat.id), goodPassword, 0, http.StatusNotFound, "not found"},
		{"an id of nobody", pat, patientPath(absentID), goodPassword, 0, http.StatusNotFound, "not found"},
		{"no id", pat, patientPath("x"), goodPassword, 0, http.StatusNotFound, "not found"},
		{"an ended session", ended, patientPath(pat.id), goodPassword, 0, http.StatusUnauthorized, "session over"},
		{"staff", admin, patientPath(pat.id), "wrong", 0, http.StatusOK, "done"},
		{"staff and an id of nobody", admin, patientPath(absentID), "wrong", 0, http.StatusNotFound, "not found"},
	} {
		before := f.count(`SELECT MAX(seq) FROM audit`)
		var r response
		if n := hashes(func() { r = p.do(test.who, "PATCH", test.path, body(test.password)) }); n != test.hashes {
			t.Errorf("%s: PATCH hashes %d times, want %d", test.name, n, test.hashes)
		}
		r.want(t, test.name+": PATCH", test.status, "")
		if got := f.texts(`SELECT outcome FROM audit WHERE seq > $1`, before); len(got) != 1 || got[0] != test.outcome {
			t.Errorf("%s: PATCH leaves entries with outcome %q, want one, %q", test.name, got, test.outcome)
		}
		if test.hashes == 0 { // nothing tells that there was a password to check
			p.do(test.who, "PATCH", test.path, `{"user":{"email":"new@example.test"}}`).want(t, test.name+": PATCH without it", test.status, r.body)
		}
	}
}
