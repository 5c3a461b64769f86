package handlers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer is a log that may be written and read at the same time.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// practice is the whole service on a store in a temporary file, with a clock
// that the test moves.
type practice struct {
	http.Handler
	t       testing.TB
	store   *store.Store
	clock   *clock
	log     *logBuffer
	tokens  *auth.Tokens
	options handlers.Options
	file    string // of the database
}

const testSecret = "7Ck2pVbYH0s4mJqXz9LwRtGf1NnDaUe8" + "Q5oTiMhBvWxK3jZyPcSd6EgA"

// newPractice starts the service; change, when not nil, is given the options
// first.
func newPractice(t testing.TB, change func(*store.Options, *handlers.Options)) *practice {
	t.Helper()
	p := &practice{
		t: t, log: new(logBuffer), file: filepath.Join(t.TempDir(), "health.db"),
		clock: &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 123456000, time.UTC)},
	}
	key := sha256.Sum256([]byte("data key"))
	log := slog.New(slog.NewJSONHandler(p.log, nil))
	so := store.Options{URL: "sqlite:" + p.file, DataKeys: [][]byte{key[:]}, Create: true, Migrate: true, Now: p.clock.Now, Log: log}
	p.tokens = auth.NewTokens([]byte(testSecret), 5*time.Minute, 24*time.Hour)
	p.options = handlers.Options{
		Tokens: p.tokens, Hasher: auth.NewHasher(2, 64), CursorKey: key[:], AccessLifetime: 5 * time.Minute, PasswordMinLength: 15,
		AllowedHosts: []string{"example.com", ".example.org"}, Origins: []string{"https://app.example.org"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Log: log,
	}
	if change != nil {
		change(&so, &p.options)
	}
	var err error
	if p.store, err = store.Open(t.Context(), so); err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	t.Cleanup(func() { p.store.Close() })
	p.options.Store = p.store
	if p.Handler, err = handlers.New(p.options); err != nil {
		t.Fatalf("New error = %v, want nil", err)
	}
	return p
}

// person is someone who is signed in.
type person struct {
	id    string
	token string // "" for nobody
	grant store.Grant
}

func userInput(name string) store.UserInput {
	email, last := name+"@example.test", "Of-"+name
	return store.UserInput{Username: &name, FirstName: &name, LastName: &last, Email: &email, PasswordHash: "$none$" + name}
}

// signedIn opens a session without spending a hash on it.
func (p *practice) signedIn(username string) person {
	p.t.Helper()
	made, err := p.store.BeginSignIn(p.t.Context(), store.Actor{}, username, store.Device{})
	if err != nil {
		p.t.Fatalf("BeginSignIn error = %v, want nil", err)
	}
	g, err := p.store.SignIn(p.t.Context(), store.Actor{}, made, store.SignInInput{Right: true})
	if err != nil {
		p.t.Fatalf("SignIn error = %v, want nil", err)
	}
	return person{g.Account, p.access(g), g}
}

// access signs an access token for a session, five minutes from now.
func (p *practice) access(g store.Grant) string {
	now := p.clock.Now().Truncate(time.Second)
	return p.tokens.Sign(auth.Claims{Kind: auth.Access, User: g.Account, Session: g.Session, ID: p.store.NewID(), Issued: now, Expires: now.Add(5 * time.Minute)})
}

// refresh signs the refresh token of a session.
func (p *practice) refresh(g store.Grant) string {
	return p.tokens.Sign(auth.Claims{Kind: auth.Refresh, User: g.Account, Session: g.Session, ID: g.Refresh, Issued: g.RefreshIssued, Expires: g.RefreshExpires})
}

// staff, doctor and patient make an account and sign it in. Their names are
// also their first names; the last name is "Of-" and the name.
func (p *practice) staff(name string) person {
	p.t.Helper()
	if _, err := p.store.CreateStaff(p.t.Context(), store.Command("test"), &store.StaffInput{User: userInput(name)}); err != nil {
		p.t.Fatalf("CreateStaff error = %v, want nil", err)
	}
	return p.signedIn(name)
}

// doctor makes a verified doctor when by is staff, else an unverified one.
func (p *practice) doctor(by person, name string) person {
	p.t.Helper()
	actor := store.Actor{Account: by.id, Session: by.grant.Session}
	if _, err := p.store.CreateDoctor(p.t.Context(), actor, &store.DoctorInput{User: userInput(name)}); err != nil {
		p.t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	return p.signedIn(name)
}

func (p *practice) patient(name string, doctors ...person) person {
	p.t.Helper()
	ids := []string{}
	for _, d := range doctors {
		ids = append(ids, d.id)
	}
	if _, err := p.store.CreatePatient(p.t.Context(), store.Actor{}, &store.PatientInput{User: userInput(name), Doctors: &ids}); err != nil {
		p.t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	return p.signedIn(name)
}

// response is an answer as a client sees it.
type response struct {
	status int
	header http.Header
	body   string
}

// from is the pseudo-header of a request's address; the n-th is another for each n.
func from(n int) string { return fmt.Sprintf("From: 198.51.%d.%d", 100+n/256, n%256) }

// do sends a request as somebody; headers are "Name: value", and "From: address"
// says where the connection comes from.
func (p *practice) do(who person, method, path, body string, headers ...string) response {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if who.token != "" {
		r.Header.Set("Authorization", "Bearer "+who.token)
	}
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		if v == "" {
			r.Header.Del(name)
			continue
		}
		switch name {
		case "Host":
			r.Host = v
		case "From":
			r.RemoteAddr = net.JoinHostPort(v, "1234")
			continue
		}
		r.Header.Set(name, v)
	}
	return p.send(r)
}

// send sends a request and holds it and its answer against the schema.
func (p *practice) send(r *http.Request) response {
	p.t.Helper()
	w, sent := httptest.NewRecorder(), record(r)
	p.ServeHTTP(w, r)
	got := response{w.Code, w.Header(), w.Body.String()}
	readDocument(p.t, p.options.PasswordMinLength).conforms(p.t, r, sent.Bytes(), got)
	return got
}

// want checks status and, when it is not "", the whole body.
func (r response) want(t testing.TB, call string, status int, body string) response {
	t.Helper()
	if r.status != status || body != "" && r.body != body {
		t.Errorf("%s = %d %s\nwant %d %s", call, r.status, r.body, status, body)
	}
	return r
}

// field returns a member of the body by its path: "user.email", "results.0.id".
func (r response) field(t testing.TB, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("the body is not JSON: %v", err)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[name]
		case []any:
			var i int
			if err := json.Unmarshal([]byte(name), &i); err != nil || i >= len(parent) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	return v
}

func (r response) text(t testing.TB, path string) string {
	t.Helper()
	s, _ := r.field(t, path).(string)
	return s
}

// record writes a record and returns its id.
func (p *practice) record(by, about person, title string) string {
	p.t.Helper()
	r := p.do(by, "POST", "/api/health-records/", `{"title":"`+title+`","description":"what `+title+` was like","patient":"`+about.id+`"}`)
	r.want(p.t, "POST health-records", http.StatusCreated, "")
	return r.text(p.t, "id")
}

// note writes a note and returns its id.
func (p *practice) note(by person, record, text string) string {
	p.t.Helper()
	r := p.do(by, "POST", "/api/doctor-notes/", `{"note":"`+text+`","health_record":"`+record+`"}`)
	r.want(p.t, "POST doctor-notes", http.StatusCreated, "")
	return r.text(p.t, "id")
}

// nobody has no token.
var nobody = person{}
