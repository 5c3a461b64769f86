package handlers_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

// signInFrom signs in from the n-th address.
func (p *practice) signInFrom(n int, username, password string) response {
	p.t.Helper()
	return p.do(nobody, "POST", "/api/token/", asJSON(map[string]string{"username": username, "password": password}), from(n))
}

// wantThrottled checks the answer to who comes too early by so manyAddresses seconds.
func (r response) wantThrottled(t testing.TB, call string, seconds int) {
	t.Helper()
	unit := "seconds"
	if seconds == 1 {
		unit = "second"
	}
	r.want(t, call, http.StatusTooManyRequests, fmt.Sprintf(`{"detail":"Request was throttled. Expected available in %d %s.","code":"throttled"}`, seconds, unit))
	if got := r.header.Get("Retry-After"); got != strconv.Itoa(seconds) {
		t.Errorf("%s: Retry-After = %q, want %d", call, got, seconds)
	}
}

// Names that nobody has are slowed like those that somebody has, so that
// neither the answers nor the delays tell which is which.
func TestGuessesAreSlowedAlikeForEveryName(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", weakHash)
	p.patientWithHash("inactive", weakHash)
	if err := p.store.SetActive(t.Context(), store.Command("test"), "inactive", false); err != nil {
		t.Fatalf("SetActive error = %v, want nil", err)
	}
	address := 0
	var first http.Header
	try := func(username string) response {
		address++
		r := p.signInFrom(address, username, "wrong")
		r.header.Del("X-Request-Id")
		if r.status == http.StatusUnauthorized {
			if first == nil {
				first = r.header
			} else if !maps.EqualFunc(r.header, first, slices.Equal[[]string]) {
				t.Errorf("a wrong sign-in of %s has headers %v, want %v", username, r.header, first)
			}
		}
		return r
	}
	names := []string{"erika", "nobody", "inactive"}
	for range 6 {
		for _, name := range names {
			try(name).want(t, "POST token of "+name, http.StatusUnauthorized, answerNoAccount)
		}
	}
	for wait := 1; wait <= 64; wait *= 2 {
		for _, name := range names {
			if n := hashes(func() { try(name).wantThrottled(t, "POST token of "+name+" too early", wait) }); n != 0 {
				t.Errorf("an attempt that is too early hashes %d times, want never", n)
			}
		}
		p.clock.Advance(time.Duration(wait)*time.Second - time.Millisecond)
		for _, name := range names {
			try(name).wantThrottled(t, "POST token of "+name+" a moment early", 1)
		}
		p.clock.Advance(time.Millisecond)
		for _, name := range names {
			try(name).want(t, "POST token of "+name+" in time", http.StatusUnauthorized, answerNoAccount)
		}
	}
}

// After 100 failures by strangers the password is no use to a stranger, who is
// told what everybody is told who guesses. The owner goes on working: in the
// session, by a device that is known, from where a session lives.
func TestGuessesDoNotKeepTheOwnerOut(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", goodHash)
	const home = 1000
	withDevice := func(n int, device string) response {
		return p.do(nobody, "POST", "/api/token/", asJSON(map[string]string{"username": "erika", "password": goodPassword, "device": device}), from(n))
	}
	r := withDevice(home, "")
	proof, live := r.text(t, "device"), r.pair(t, "POST token at home")
	if proof == "" {
		t.Fatal("POST token with a device answers no proof")
	}
	attack := func(n int) response { return p.signInFrom(n, "erika", "wrong") }
	for n := range 100 {
		attack(n).want(t, "POST token by a stranger", http.StatusUnauthorized, answerNoAccount)
		p.clock.Advance(31 * time.Minute)
		live = p.renew(live.refresh) // a client in use does that all the time
	}
	r = p.signInFrom(200, "erika", goodPassword).want(t, "POST token by a stranger who guessed right", http.StatusUnauthorized, answerNoAccount)
	unknown := p.signInFrom(201, "nobody", goodPassword)
	r.same(t, "POST token of a locked account, and of none", unknown)
	p.clock.Advance(31 * time.Minute)
	if n := hashes(func() { p.signInFrom(202, "erika", goodPassword) }); n != 1 {
		t.Errorf("POST token of a locked account hashes %d times, want 1", n)
	}

	live = p.renew(live.refresh)
	p.wantLive("the owner's session", live)
	p.signInFrom(home, "erika", goodPassword).want(t, "POST token from where a session lives", http.StatusOK, "")
	r = withDevice(300, proof)
	r.want(t, "POST token from a known device elsewhere", http.StatusOK, "")
	if again := r.text(t, "device"); again == "" {
		t.Error("POST token with a proof answers no new one")
	}
	p.clock.Advance(31 * time.Minute)
	p.signInFrom(203, "erika", goodPassword).want(t, "POST token by a stranger again", http.StatusUnauthorized, answerNoAccount)

	if err := p.store.Unlock(t.Context(), store.Command("user unlock"), "erika"); err != nil {
		t.Fatalf("Unlock error = %v, want nil", err)
	}
	p.signInFrom(204, "erika", goodPassword).want(t, "POST token after user unlock", http.StatusOK, "")
}

// A proof that is forged, old, of another account or of another kind makes a
// stranger of who sends it, and nothing worse.
func TestBadProofsOfDevicesCountForNothing(t *testing.T) {
	p := newPractice(t, nil)
	erika, other := p.patientWithHash("erika", goodHash), p.patientWithHash("other", goodHash)
	now := p.clock.Now().Truncate(time.Second)
	proof := func(account string, issued time.Time) string {
		return p.tokens.Sign(auth.Claims{Kind: auth.Device, User: account, Session: erika.grant.Session, ID: p.store.NewID(), Issued: issued, Expires: issued.Add(auth.DeviceLifetime)})
	}
	for range 6 {
		p.signInFrom(1, "erika", "wrong").want(t, "POST token", http.StatusUnauthorized, answerNoAccount)
	}
	for name, bad := range map[string]string{
		"none": "", "garbage": "garbage", "forged": changeSignature(proof(erika.id, now)), "another's": proof(other.id, now),
		"an access token": erika.token, "a refresh token": p.refresh(erika.grant), "of the future": proof(erika.id, now.Add(time.Hour)),
		"old": proof(erika.id, now.Add(-auth.DeviceLifetime)),
	} {
		body := asJSON(map[string]string{"username": "erika", "password": goodPassword, "device": bad})
		p.do(nobody, "POST", "/api/token/", body, from(2)).wantThrottled(t, "POST token with a proof that is "+name, 1)
	}
	body := asJSON(map[string]string{"username": "erika", "password": goodPassword, "device": proof(erika.id, now)})
	p.do(nobody, "POST", "/api/token/", body, from(2)).want(t, "POST token with a good proof", http.StatusOK, "")
	p.do(person{token: proof(erika.id, now)}, "GET", "/api/me/", "").want(t, "GET me with a proof", http.StatusUnauthorized, answerBadAccess)
	p.tokenRoute("verify", proof(erika.id, now)).want(t, "verify of a proof", http.StatusUnauthorized, answerBadToken)
}

// crowd is a service at which 200 may wait for their turn.
func crowd(t *testing.T) *practice {
	return newPractice(t, func(_ *store.Options, o *handlers.Options) { o.Hasher = auth.NewHasher(2, 200) })
}

func TestParallelGuessesAtTheLimit(t *testing.T) {
	for _, test := range []struct {
		name   string
		guess  func(p *practice, i int) response
		hashed int
	}{
		{"one account, 200 addresses", func(p *practice, i int) response { return p.signInFrom(i, "erika", "wrong") }, 6},
		{"no account, 200 addresses", func(p *practice, i int) response { return p.signInFrom(i, "nobody", "wrong") }, 6},
		{"200 names, one address", func(p *practice, i int) response { return p.signInFrom(0, fmt.Sprint("name", i), "wrong") }, 14},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := crowd(t)
			p.patientWithHash("erika", weakHash)
			answers := make([]response, 200)
			together(len(answers), func(i int) { answers[i] = test.guess(p, i) })
			if got := statuses(answers); got[http.StatusUnauthorized] != test.hashed || got[http.StatusTooManyRequests] != 200-test.hashed {
				t.Errorf("200 guesses at once = %v, want %d to reach the hash and the others 429", got, test.hashed)
			}
		})
	}
}

// Who is too early is told so even when the queue for a hash is full, and takes
// nobody's place in it.
func TestEarlyAttemptsTakeNoPlaceInTheQueue(t *testing.T) {
	hasher := auth.NewHasher(1, 0)
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.Hasher = hasher })
	for range 6 {
		p.signInFrom(0, "nobody", "wrong").want(t, "POST token", http.StatusUnauthorized, answerNoAccount)
	}
	begun, end := make(chan bool), make(chan bool)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		hasher.VerifyAfter(context.WithoutCancel(t.Context()), "password", func() (string, error) {
			begun <- true
			<-end
			return "", nil
		})
	}()
	<-begun
	p.signInFrom(0, "nobody", "wrong").wantThrottled(t, "POST token too early", 1)
	p.signInFrom(1, "somebody else", "wrong").want(t, "POST token in time", http.StatusServiceUnavailable, "")
	close(end)
	<-ended
}

// A practice behind one address signs in in the morning, all at once, and some
// mistype.
func TestRightUsersOfOneAddressAreNeverSlowed(t *testing.T) {
	p := crowd(t)
	const users = 200
	for i := range users {
		p.patientWithHash(fmt.Sprint("user", i), goodHash)
	}
	for i := range 9 {
		p.signInFrom(0, fmt.Sprint("user", i), "wrong").want(t, "POST token", http.StatusUnauthorized, answerNoAccount)
	}
	p.clock.Advance(time.Minute)
	answers := make([]response, users)
	together(users, func(i int) { answers[i] = p.signInFrom(0, fmt.Sprint("user", i), goodPassword) })
	if got := statuses(answers); got[http.StatusOK] != users {
		t.Errorf("%d users who sign in at once = %v, want 200 for all", users, got)
	}
}

// While somebody at an address guesses, the answers there do not tell who is
// signed in there. A known device goes on.
func TestAnswersDoNotTellWhoIsAtHome(t *testing.T) {
	p := newPractice(t, nil)
	p.patientWithHash("erika", goodHash)
	p.patientWithHash("frida", goodHash)
	body := func(proof string) string {
		return asJSON(map[string]string{"username": "erika", "password": goodPassword, "device": proof})
	}
	r := p.do(nobody, "POST", "/api/token/", body(""), from(1)).want(t, "POST token at home", http.StatusOK, "")
	for i := range 14 {
		p.signInFrom(1, fmt.Sprint("name", i), "wrong").want(t, "POST token", http.StatusUnauthorized, answerNoAccount)
	}
	for _, name := range []string{"erika", "frida", "nobody"} {
		p.signInFrom(1, name, "wrong").wantThrottled(t, "POST token of "+name, 10)
	}
	p.do(nobody, "POST", "/api/token/", body(r.text(t, "device")), from(1)).want(t, "POST token from a known device", http.StatusOK, "")
}

// What a client writes into X-Forwarded-For does not make it another, and what
// the proxy writes does.
func TestForgedAddressesAreTheSameStranger(t *testing.T) {
	for _, test := range []struct {
		name string
		same func(i int) []string // the headers of one stranger
		next []string             // and of another
	}{
		{"not behind a proxy", func(i int) []string {
			return []string{"From: 203.0.113.7", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i)}
		}, []string{"From: 203.0.113.8"}},
		{"behind a proxy", func(i int) []string {
			return []string{"From: 10.0.0.1", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d, 203.0.113.7", i)}
		}, []string{"From: 10.0.0.1", "X-Forwarded-For: 203.0.113.8"}},
		{"behind two", func(i int) []string {
			return []string{"From: 10.0.0.1", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d, 203.0.113.7, 10.0.0.2", i)}
		}, []string{"From: 10.0.0.1", "X-Forwarded-For: 203.0.113.8, 10.0.0.2"}},
		{"in one IPv6 network", func(i int) []string { return []string{fmt.Sprintf("From: 2001:db8:1:2::%x", i+1)} }, []string{"From: 2001:db8:1:3::1"}},
		{"IPv4 written as IPv6", func(i int) []string { return []string{[]string{"From: 203.0.113.7", "From: ::ffff:203.0.113.7"}[i%2]} }, []string{"From: ::ffff:203.0.113.8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPractice(t, nil)
			guess := func(i int, headers []string) response {
				return p.do(nobody, "POST", "/api/token/", fmt.Sprintf(`{"username":"name%d","password":"wrong"}`, i), headers...)
			}
			for i := range 14 {
				guess(i, test.same(i)).want(t, "POST token", http.StatusUnauthorized, answerNoAccount)
			}
			guess(14, test.same(14)).wantThrottled(t, "the 15th POST token", 10)
			guess(15, test.next).want(t, "POST token from elsewhere", http.StatusUnauthorized, answerNoAccount)
		})
	}
}

// Requests that make accounts, or have mail sent, are limited for each address,
// and resets for each target besides, be there any account or not.
func TestRequestsAreLimited(t *testing.T) {
	const reset, mail = "/api/password-reset/", `@example.test"}`
	for _, test := range []struct {
		name, path string
		body       func(i int) string
		address    func(i int) int
		burst      int
		status     int
		wait       int
	}{
		{"registrations of patients", "/api/patients/", func(i int) string { return registration(fmt.Sprint("name", i)) }, oneAddress, 10, 201, 60},
		{"registrations of doctors", "/api/doctors/", func(i int) string { return registration(fmt.Sprint("name", i)) }, oneAddress, 10, 201, 60},
		{"resets from one address", reset, func(i int) string { return fmt.Sprintf(`{"username":"name%d"}`, i) }, oneAddress, 10, 202, 60},
		{"resets of one name", reset, func(int) string { return `{"username":"erika"}` }, manyAddresses, 3, 202, 1200},
		{"resets of a name that nobody has", reset, func(int) string { return `{"username":"nobody"}` }, manyAddresses, 3, 202, 1200},
		{"resets of one mail address", reset, func(i int) string { return `{"email":"` + []string{"erika", "ERIKA"}[i%2] + mail }, manyAddresses, 3, 202, 1200},
		{"resets of a mail address that nobody has", reset, func(int) string { return `{"email":"nobody` + mail }, manyAddresses, 3, 202, 1200},
		{"guesses at reset tokens", reset + "confirm/", func(int) string { return `{"token":"guessed","password":"` + otterPassword + `"}` }, oneAddress, 10, 400, 60},
		{"guesses at invitations", "/api/invitations/accept/", func(int) string {
			return `{"token":"guessed","username":"heron","password":"` + otterPassword + `"}`
		}, oneAddress, 10, 400, 60},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPractice(t, nil)
			p.patient("erika")
			ask := func(i int) response {
				return p.do(nobody, "POST", test.path, test.body(i), from(test.address(i)))
			}
			for i := range test.burst {
				ask(i).want(t, "POST "+test.path, test.status, "")
			}
			ask(test.burst).wantThrottled(t, "POST "+test.path+" once more", test.wait)
			p.clock.Advance(time.Duration(test.wait) * time.Second)
			ask(test.burst).want(t, "POST "+test.path+" in time", test.status, "")
			ask(test.burst+1).wantThrottled(t, "POST "+test.path+" once more", test.wait)
		})
	}
}

func oneAddress(int) int      { return 1 }
func manyAddresses(i int) int { return i }

// Staff, who register patients all day, are not limited, and what is refused
// anyway costs nobody a share.
func TestRegistrationsThatAreNotLimited(t *testing.T) {
	c := newClinic(t)
	for i := range 12 {
		c.do(c.admin, "POST", "/api/patients/", registration(fmt.Sprint("name", i))).want(t, "POST patients by staff", 201, "")
		c.do(nobody, "POST", "/api/patients/", `{}`).want(t, "POST patients without anything", 400, "")
	}
	c.do(nobody, "POST", "/api/patients/", registration("heron")).want(t, "POST patients", 201, "")
}

// What an owner mistypes within a session is counted, and what is right is not.
func TestOwnPasswordIsLimitedToo(t *testing.T) {
	p := newPractice(t, nil)
	erika := p.patientWithHash("erika", goodHash)
	change := func(current, new string) response {
		return p.do(erika, "POST", "/api/me/password/", asJSON(map[string]string{"current_password": current, "new_password": new}))
	}
	for range 6 {
		change("wrong", otterPassword).want(t, "POST password with a wrong one", 400, one("current_password", "The password is not correct."))
	}
	change(goodPassword, otterPassword).wantThrottled(t, "POST password too early", 1)
	p.do(erika, "PATCH", patientPath(erika.id), `{"user":{"email":"new@example.test","current_password":"`+goodPassword+`"}}`).wantThrottled(t, "PATCH email too early", 1)
	p.clock.Advance(time.Second)
	change(goodPassword, otterPassword).want(t, "POST password in time", 204, "")
	if n := p.fileReader().count(`SELECT COUNT(*) FROM limits WHERE account_id IS NOT NULL`); n != 0 {
		t.Errorf("%d counts are kept after a success, want none", n)
	}
}

// Nothing of an attempt can be read out of the database.
func TestLimitsNameNobody(t *testing.T) {
	p := newPractice(t, nil)
	p.signInFrom(7, "unmistakable-name", "wrong")
	p.do(nobody, "POST", "/api/password-reset/", `{"email":"unmistakable@example.test"}`, from(7))
	subjects := p.fileReader().texts(`SELECT subject FROM limits`)
	if len(subjects) < 3 {
		t.Errorf("there are %d limits, want those of the name, the mail address and the network", len(subjects))
	}
	for _, subject := range subjects {
		if len(subject) != sha256.Size {
			t.Errorf("the subject of a limit has %d bytes, want those of a hash", len(subject))
		}
	}
}
