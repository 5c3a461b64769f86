package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/lambda/lambdatest"
	"healthrecords/store"
	"healthrecords/store/storetest"
)

// lambdaPractice is a practice on PostgreSQL whose program runs on Lambda, and
// a way to it beside that.
type lambdaPractice struct {
	*store.Store
	t        *testing.T
	binary   string
	database string
	tokens   *auth.Tokens
	doctor   string // an account
	leave    func() // closes the way beside the program
}

func lambdaOptions(database string) store.Options {
	return store.Options{
		URL: database, DataKeys: [][]byte{bytes.Repeat([]byte{7, 9}, 16)}, Create: true, Migrate: true, Log: slog.New(slog.DiscardHandler),
	}
}

func newLambdaPractice(t *testing.T, binary string) *lambdaPractice {
	t.Helper()
	p := &lambdaPractice{t: t, binary: binary, database: storetest.Postgres(t), tokens: auth.NewTokens([]byte(strongSecret), 5*time.Minute, 24*time.Hour)}
	var err error
	if p.Store, err = store.Open(t.Context(), lambdaOptions(p.database)); err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	p.leave = sync.OnceFunc(func() { p.Close() })
	t.Cleanup(p.leave)
	name, email := "doctor", "doctor@example.org"
	if _, err := p.CreateStaff(t.Context(), store.Command("test"), &store.StaffInput{User: userNamed("staff")}); err != nil {
		t.Fatalf("CreateStaff error = %v, want nil", err)
	}
	staff := p.signIn("staff")
	in := store.UserInput{Username: &name, Email: &email, PasswordHash: "$none$"}
	d, err := p.CreateDoctor(t.Context(), store.Actor{Account: staff.Account, Session: staff.Session}, &store.DoctorInput{User: in})
	if err != nil {
		t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	p.doctor = d.ID
	return p
}

func userNamed(name string) store.UserInput {
	return store.UserInput{Username: &name, PasswordHash: "$none$" + name}
}

func (p *lambdaPractice) signIn(name string) store.Grant {
	p.t.Helper()
	c, err := p.BeginSignIn(p.t.Context(), store.Actor{}, name, store.Device{})
	if err != nil {
		p.t.Fatalf("BeginSignIn error = %v, want nil", err)
	}
	g, err := p.SignIn(p.t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		p.t.Fatalf("SignIn error = %v, want nil", err)
	}
	return g
}

// patient makes a patient, and returns its id and an access token.
func (p *lambdaPractice) patient(name string, doctors ...string) (id, token string) {
	p.t.Helper()
	if _, err := p.CreatePatient(p.t.Context(), store.Actor{}, &store.PatientInput{User: userNamed(name), Doctors: &doctors}); err != nil {
		p.t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	g, now := p.signIn(name), time.Now().Truncate(time.Second)
	return g.Account, p.tokens.Sign(auth.Claims{Kind: auth.Access, User: g.Account, Session: g.Session, ID: p.NewID(), Issued: now, Expires: now.Add(5 * time.Minute)})
}

// query returns the first column of a query's rows.
func (p *lambdaPractice) query(query string, args ...any) (list []string) {
	p.t.Helper()
	db := storetest.Open(p.t, p.database)
	defer db.Close()
	rows, err := db.Query(query, args...)
	if err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			p.t.Fatalf("%s: %v", query, err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	return list
}

// environ are the settings of the program; "" is the practice's own database.
func (p *lambdaPractice) environ(database string, more ...string) []string {
	if database == "" {
		database = p.database
	}
	return append([]string{"DATABASE_URL=" + database, "SECRET_KEY=" + strongSecret, "DATA_KEY=" + strings.Repeat("0709", 16),
		"ALLOWED_HOSTS=health.example.org", "PUBLIC_URL=https://health.example.org"}, more...)
}

func mailTo(m *mailServer) []string {
	return []string{"EMAIL_HOST=127.0.0.1", "EMAIL_PORT=" + m.port, "EMAIL_USE_TLS=0", "DEFAULT_FROM_EMAIL=health@example.org"}
}

// assign is the request by which a patient takes a doctor, who is sent a mail.
func (p *lambdaPractice) assign(patient, token string, doctors string) *http.Request {
	r := httptest.NewRequest("PATCH", "https://health.example.org/api/patients/"+patient+"/", strings.NewReader(`{"doctors":["`+doctors+`"]}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// wantSent checks that every mail in the outbox was sent, and no other.
func (p *lambdaPractice) wantSent(m *mailServer, count int) {
	p.t.Helper()
	queued := p.query(`SELECT id FROM outbox`)
	sent := p.query(`SELECT id FROM outbox WHERE outcome = 'sent'`)
	taken := m.taken()
	if len(queued) != count || len(sent) != count {
		p.t.Errorf("%d mails in the outbox, %d of them sent, want %d", len(queued), len(sent), count)
	}
	for _, id := range queued {
		if !slices.Contains(taken, id) {
			p.t.Errorf("mail %s was never taken", id)
		}
	}
	for _, id := range taken {
		if !slices.Contains(queued, id) {
			p.t.Errorf("mail %s is not in the outbox", id)
		}
	}
}

func TestOnLambda(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program and starts PostgreSQL")
	}
	binary := buildProgram(t)
	for name, test := range map[string]func(*testing.T, string){
		"nothing listens and no file is written":                               neverListens,
		"the log has the id by which Lambda calls the invocation":              logHasRequestID,
		"a database that is away at first is 503 until it is there":            databaseAwayAtFirst,
		"a database that says nothing is 503 before the deadline":              silentDatabase,
		"a schema that was not migrated is 503 until it is":                    schemaNotMigrated,
		"after a freeze and closed connections the next request is answered":   freeze,
		"a connection that was closed a moment ago is replaced":                closedConnection,
		"SIGTERM closes the pool and ends the program":                         sigterm,
		"two invocations at once are both answered":                            twoAtOnce,
		"mail is sent after the answer, before the next event":                 mailAfterAnswer,
		"mail that waits is sent by the schedule, and checkpoints are logged":  mailOnSchedule,
		"a mail server that does not answer delays nobody's answer":            silentMailServer,
		"a request that is refused sends no mail":                              refusedSendsNone,
		"whenever the program is killed, no mail is lost and none is invented": killedAtEveryStep,
		"an event that is none of ours fails, and the program lives":           otherEvents,
		"links are those of PUBLIC_URL and its path is cut off":                publicURL,
		"a client cannot forge its address":                                    forgedAddress,
	} {
		t.Run(name, func(t *testing.T) { test(t, binary) })
	}
}

func neverListens(t *testing.T, binary string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // who would listen there too cannot
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, p.environ("", "LISTEN="+l.Addr().String(), "DATA_DIR=data")...)
	if got := e.get("/readyz"); got != 200 {
		t.Errorf("GET /readyz where LISTEN cannot be listened on = %d, want 200", got)
	}
	if files := filesIn(t, e.cmd.Dir); len(files) > 0 {
		t.Errorf("files %q were written, want none", files)
	}
}

func logHasRequestID(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, p.environ("")...)
	e.get("/api/me/")
	found := false
	for _, line := range e.lines() {
		if line["message"] != "request" {
			continue
		}
		found = true
		if line["requestId"] != lambdaRequestID || line["level"] != "INFO" || line["timestamp"] == nil || line["route"] != "GET /api/me/" {
			t.Errorf("the line of a request is %v, want Lambda's id, level and timestamp in it", line)
		}
	}
	if !found {
		t.Errorf("no line for the request in the log")
	}
}

func databaseAwayAtFirst(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	w := newWire(t, p.database, nil)
	w.setCut(true)
	e := runOnLambda(t, binary, nil, p.environ(w.url)...)
	for range 2 {
		r := e.request(httptest.NewRequest("GET", "https://health.example.org/api/me/", nil))
		if r.Code != 503 || r.Header().Get("Retry-After") != "5" || r.Body.String() != `{"detail":"The service is not available now. Try again.","code":"unavailable"}` {
			t.Errorf("without a database: %d %v %s, want 503", r.Code, r.Header(), r.Body)
		}
	}
	if r, _ := e.invoke(`{"detail-type":"Scheduled Event","source":"aws.events","detail":{}}`); !r.failed {
		t.Errorf("a schedule without a database is answered %s, want a failure", r.body)
	}
	w.setCut(false)
	if got := e.get("/readyz"); got != 200 {
		t.Errorf("with a database: %d, want 200", got)
	}
	e.tick()
	w.setCut(true)
	if got := e.get("/readyz"); got != 503 {
		t.Errorf("without a database again: %d, want 503", got)
	}
	w.setCut(false)
	if got := e.get("/readyz"); got != 200 {
		t.Errorf("with a database again: %d, want 200", got)
	}
}

func silentDatabase(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	for _, name := range []string{"from the start", "later"} {
		w := newWire(t, p.database, nil)
		e := runOnLambda(t, binary, nil, p.environ(w.url)...)
		if name == "later" {
			e.get("/readyz")
		}
		w.setBlocked(true)
		e.timeout = 2 * time.Second
		if got := e.get("/readyz"); got != 503 {
			t.Errorf("%s: %d, want 503", name, got)
		}
		w.setBlocked(false)
		e.timeout = 20 * time.Second
		if got := e.get("/readyz"); got != 200 {
			t.Errorf("%s, when it speaks again: %d, want 200", name, got)
		}
	}
}

func schemaNotMigrated(t *testing.T, binary string) {
	p := &lambdaPractice{t: t, binary: binary, database: storetest.Postgres(t)}
	e := runOnLambda(t, binary, nil, p.environ("")...)
	if got := e.get("/readyz"); got != 503 {
		t.Errorf("without a schema: %d, want 503", got)
	}
	if tables := p.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`); len(tables) > 0 {
		t.Errorf("the function made %q, want nothing", tables)
	}
	s, err := store.Open(t.Context(), lambdaOptions(p.database))
	if err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	defer s.Close()
	if got := e.get("/readyz"); got != 200 {
		t.Errorf("with a schema: %d, want 200", got)
	}
	if cause, _ := e.lines()[0]["cause"].(string); !strings.Contains(cause, "run: healthrecords migrate") {
		t.Errorf("the log says %q, want what to run", cause)
	}
}

const closeConnections = `SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`

func freeze(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, p.environ("")...)
	if got := e.get("/readyz"); got != 200 {
		t.Fatalf("GET /readyz = %d, want 200", got)
	}
	for range 3 {
		e.signal(syscall.SIGSTOP)
		p.query(closeConnections)
		e.signal(syscall.SIGCONT)
		if got := e.get("/readyz"); got != 200 {
			t.Errorf("after a freeze: %d, want 200", got)
		}
	}
}

func closedConnection(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, p.environ("")...)
	for range 5 {
		if got := e.get("/readyz"); got != 200 {
			t.Errorf("GET /readyz = %d, want 200", got)
		}
		p.query(closeConnections)
	}
}

func sigterm(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	const connected = `SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	p.leave() // the program's connections alone are left
	for _, used := range []bool{false, true} {
		e := runOnLambda(t, binary, nil, p.environ("")...)
		e.waitIdle()
		if used {
			e.get("/readyz")
			e.waitIdle()
		}
		e.signal(syscall.SIGTERM)
		select {
		case <-e.ended:
		case <-time.After(patience):
			t.Fatal("SIGTERM does not end the program")
		}
		if code := e.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		for deadline := time.Now().Add(patience); len(p.query(connected)) > 0; {
			if time.Now().After(deadline) {
				t.Fatal("connections are left, want none")
			}
		}
	}
}

func twoAtOnce(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	w := newWire(t, p.database, nil)
	e := runOnLambda(t, binary, nil, p.environ(w.url, "AWS_LAMBDA_MAX_CONCURRENCY=2")...)
	e.waitIdle()
	e.waitIdle() // both loops ask
	w.setBlocked(true)
	for _, path := range []string{"/readyz", "/api/"} { // the program takes the second while the first waits
		r := httptest.NewRequest("GET", "https://health.example.org"+path, nil)
		e.events <- string(lambdatest.Event(lambdatest.HTTPAPI, r))
	}
	w.setBlocked(false)
	for range 2 {
		if r := <-e.replies; r.failed || !strings.Contains(r.body, `"statusCode":200`) {
			t.Errorf("one of two at once is answered %s, want 200", r.body)
		}
	}
}

func mailAfterAnswer(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	said := make(chan string, 1000)
	note := func(what string) bool { said <- what; return true }
	m := newMailServer(t, note)
	e := runOnLambda(t, binary, note, p.environ("", mailTo(m)...)...)
	e.waitIdle()
	id, token := p.patient("patient")
	if r := e.request(p.assign(id, token, p.doctor)); r.Code != 200 {
		t.Fatalf("PATCH = %d %s, want 200", r.Code, r.Body)
	}
	e.waitIdle()
	var order []string
	for len(said) > 0 {
		if what := <-said; what == "answer" || what == "next" || what == "mail: taken" {
			order = append(order, what)
		}
	}
	if want := []string{"next", "answer", "mail: taken", "next"}; !slices.Equal(order, want) {
		t.Errorf("order = %q, want %q", order, want)
	}
	p.wantSent(m, 1)
}

func mailOnSchedule(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	m := newMailServer(t, nil)
	e := runOnLambda(t, binary, nil, p.environ("", mailTo(m)...)...)
	p.patient("patient", p.doctor)
	e.tick()
	p.wantSent(m, 1)
	e.tick()
	p.wantSent(m, 1)
	checkpoints := 0
	for _, line := range e.lines() {
		if line["message"] == "checkpoint" {
			checkpoints++
		}
	}
	if want := len(p.query(`SELECT DISTINCT lane::text FROM audit`)); checkpoints != want {
		t.Errorf("%d checkpoints in the log after two schedules, want %d: one for each lane of the trail, as nothing was written between", checkpoints, want)
	}
}

func silentMailServer(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	l, err := net.Listen("tcp", "127.0.0.1:0") // which nobody answers on
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	e := runOnLambda(t, binary, nil, p.environ("", mailTo(&mailServer{port: port})...)...)
	e.waitIdle()
	id, token := p.patient("patient")
	e.timeout = 3 * time.Second
	if r := e.request(p.assign(id, token, p.doctor)); r.Code != 200 {
		t.Errorf("PATCH = %d %s, want 200", r.Code, r.Body)
	}
	e.waitIdle() // which a mail's own patience, 90 s, would keep it from
	if got := p.query(`SELECT outcome FROM outbox WHERE done_at IS NULL AND attempts = 1`); len(got) != 1 {
		t.Errorf("the mail that waits: %q, want one that was tried once", got)
	}
}

func refusedSendsNone(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	m := newMailServer(t, nil)
	e := runOnLambda(t, binary, nil, p.environ("", mailTo(m)...)...)
	id, token := p.patient("patient")
	if r := e.request(p.assign(id, token, p.doctor+`","`+p.NewID())); r.Code != 400 {
		t.Errorf("PATCH with a doctor that is none = %d %s, want 400", r.Code, r.Body)
	}
	e.tick()
	p.wantSent(m, 0)
}

func otherEvents(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, p.environ("")...)
	for _, event := range []string{`{}`, `{"Records":[{"eventSource":"aws:sqs","body":"x"}]}`, `no JSON`} {
		if r, ok := e.invoke(event); !ok || !r.failed {
			t.Errorf("%s is answered %s, want a failure", event, r.body)
		}
	}
	if got := e.get("/readyz"); got != 200 {
		t.Errorf("GET /readyz = %d, want 200", got)
	}
	e.lines()
}

func publicURL(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, append(p.environ(""), "PUBLIC_URL=https://www.example.org/practice")...)
	r := e.request(httptest.NewRequest("GET", "https://health.example.org/practice/api/", nil))
	if r.Code != 200 || !strings.Contains(r.Body.String(), `"https://www.example.org/practice/api/patients/"`) {
		t.Errorf("GET /practice/api/ = %d %s, want links that begin with PUBLIC_URL", r.Code, r.Body)
	}
	if r := e.request(httptest.NewRequest("GET", "https://other.example.org/api/", nil)); r.Code != 400 {
		t.Errorf("another host = %d, want 400", r.Code)
	}
}

func forgedAddress(t *testing.T, binary string) {
	p := newLambdaPractice(t, binary)
	e := runOnLambda(t, binary, nil, p.environ("")...)
	for _, kind := range lambdatest.Kinds {
		r := httptest.NewRequest("GET", "https://health.example.org/api/patients/"+p.NewID()+"/", nil)
		id, token := p.patient("patient " + string(kind))
		r.URL.Path = "/api/patients/" + id + "/"
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Forwarded-For", "6.6.6.6, 7.7.7.7")
		answer, ok := e.invoke(string(lambdatest.Event(kind, r)))
		if !ok || answer.failed || !strings.Contains(answer.body, `"statusCode":200`) {
			t.Errorf("%s: answer %s, want 200", kind, answer.body)
		}
		if got := p.query(`SELECT address FROM audit WHERE actor = $1 AND action = 'patient.read'`, id); !slices.Equal(got, []string{"192.0.2.1"}) {
			t.Errorf("%s: the trail has the addresses %q, want 192.0.2.1", kind, got)
		}
	}
}

// BenchmarkColdStart measures the time from the start of the process to its
// first call for an event.
func BenchmarkColdStart(b *testing.B) {
	binary := buildProgram(b)
	p := &lambdaPractice{}
	for b.Loop() {
		e := runOnLambda(b, binary, nil, p.environ("postgres://u:p@127.0.0.1:1/db")...)
		e.waitIdle()
		b.StopTimer()
		e.close()
		b.StartTimer()
	}
}
