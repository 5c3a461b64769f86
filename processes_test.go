package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"healthrecords/store/storetest"
)

// runProgram is the environment variable that makes the test binary be the
// program.
const runProgram = "TEST_RUN_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(runProgram) != "" || len(os.Args) == 2 && os.Args[1] == hashCommand {
		main()
	}
	os.Exit(m.Run())
}

// process is the program as a process of its own that serves.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	base string // of its URLs
	said buffer
}

func (m *machine) process() *process {
	m.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	p := &process{t: m.t, cmd: exec.Command(binary)}
	p.cmd.Env = append(append(os.Environ(), m.environ...), runProgram+"=1", "LISTEN=127.0.0.1:0")
	says, err := p.cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { p.cmd.Process.Kill(); m.said.Write([]byte(p.said.String())) })
	address := regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)
	lines := bufio.NewScanner(says)
	for p.base == "" && lines.Scan() {
		fmt.Fprintln(&p.said, lines.Text())
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			p.base = "http://" + found[1]
		}
	}
	if p.base == "" {
		m.t.Fatalf("the process ended before it served: %s", p.said.String())
	}
	go io.Copy(&p.said, says)
	return p
}

// end asks the process to end and waits for it.
func (p *process) end() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if state, err := p.cmd.Process.Wait(); err != nil || state.ExitCode() != exitDone {
		p.t.Errorf("the process ended with %v, %v, want exit 0", state, err)
	}
}

// reply is an answer to a client.
type reply struct {
	status int
	etag   string
	body   map[string]any
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

func (p *process) do(token, method, path, body string, headers ...string) (r reply) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Errorf("%s %s error = %v, want an answer", method, path, err)
		return r
	}
	defer answer.Body.Close()
	r.status, r.etag = answer.StatusCode, answer.Header.Get("ETag")
	json.NewDecoder(answer.Body).Decode(&r.body) // nothing where the answer has no body
	return r
}

// want checks the status of a call.
func (r reply) want(t *testing.T, call string, status int) reply {
	t.Helper()
	if r.status != status {
		t.Errorf("%s = %d %v, want %d", call, r.status, r.body, status)
	}
	return r
}

func (p *process) signIn(name string) reply {
	p.t.Helper()
	return p.do("", "POST", "/api/token/", `{"username":"`+name+`","password":"`+staffPassword+`"}`).want(p.t, "POST token", http.StatusOK)
}

// mailbox is a mail server that takes every mail and keeps its Message-ID.
type mailbox struct {
	port string
	mu   sync.Mutex
	ids  []string
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &mailbox{}
	_, b.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.take(c)
		}
	}()
	return b
}

// take speaks SMTP (RFC 5321).
func (b *mailbox) take(c net.Conn) {
	defer c.Close()
	fmt.Fprint(c, "220 here\r\n")
	inText := false
	for lines := bufio.NewScanner(c); lines.Scan(); {
		line := lines.Text()
		id, named := strings.CutPrefix(line, "Message-ID: ")
		switch {
		case inText && named:
			b.mu.Lock()
			b.ids = append(b.ids, id)
			b.mu.Unlock()
		case inText && line == ".":
			inText = false
			fmt.Fprint(c, "250 taken\r\n")
		case inText:
		case line == "DATA":
			inText = true
			fmt.Fprint(c, "354 go on\r\n")
		default:
			fmt.Fprint(c, "250 well\r\n")
		}
	}
}

// wait returns how often each of n mails came, once there were so many.
func (b *mailbox) wait(t *testing.T, n int) map[string]int {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		b.mu.Lock()
		came := make(map[string]int)
		for _, id := range b.ids {
			came[id]++
		}
		b.mu.Unlock()
		if len(came) >= n {
			return came
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d mails came, want %d", len(came), n)
		}
	}
}

// at calls f for 0 to n-1 at once, each with one of the processes in turn.
func at(processes []*process, n int, f func(i int, p *process)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i, processes[i%len(processes)]) })
	}
	all.Wait()
}

// Two processes serve one database, and nobody can tell.
func TestTwoProcessesServeOneDatabase(t *testing.T) {
	mails := newMailbox(t)
	m := newMachine(t, "DATABASE_URL="+storetest.Postgres(t), "EMAIL_HOST=127.0.0.1", "EMAIL_PORT="+mails.port, "EMAIL_USE_TLS=0", "DEFAULT_FROM_EMAIL=practice@example.org")
	m.staff("admin")
	both := []*process{m.process(), m.process()}
	a, b := both[0], both[1]
	admin := a.signIn("admin")
	person := func(name, more string) string {
		return `{"user":{"username":"` + name + `","password":"` + staffPassword + `","email":"` + name + `@example.org"}` + more + `}`
	}
	doctor := a.do(admin.text("access"), "POST", "/api/doctors/", person("doc", "")).want(t, "POST doctors", http.StatusCreated).text("id")

	const patients = 16
	at(both, patients, func(i int, p *process) {
		p.do(admin.text("access"), "POST", "/api/patients/", person(fmt.Sprint("patient", i), `,"doctors":["`+doctor+`"]`)).want(t, "POST patients", http.StatusCreated)
	})
	if n := len(a.do(admin.text("access"), "GET", "/api/patients/", "").body["results"].([]any)); n != patients {
		t.Errorf("there are %d patients, want %d", n, patients)
	}

	pat := a.signIn("patient0")
	record := b.do(pat.text("access"), "POST", "/api/health-records/", `{"title":"Cough","description":"dry"}`).want(t, "POST health-records", http.StatusCreated)
	path := "/api/health-records/" + record.text("id") + "/"
	for round := range 10 {
		version := both[round%2].do(pat.text("access"), "GET", path, "").want(t, "GET health-records", http.StatusOK).etag
		statuses := make([]int, 6)
		at(both, len(statuses), func(i int, p *process) {
			statuses[i] = p.do(pat.text("access"), "PATCH", path, fmt.Sprintf(`{"title":"Cough %d %d"}`, round, i), "If-Match", version).status
		})
		count := make(map[int]int)
		for _, s := range statuses {
			count[s]++
		}
		if count[http.StatusOK] != 1 || count[http.StatusPreconditionFailed] != len(statuses)-1 {
			t.Errorf("PATCH of one version by all at once = %v, want 200 once, else 412", statuses)
		}
	}

	successors := make([]string, 12)
	at(both, len(successors), func(i int, p *process) {
		r := p.do("", "POST", "/api/token/refresh/", `{"refresh":"`+pat.text("refresh")+`"}`).want(t, "POST token/refresh", http.StatusOK)
		successors[i] = r.text("refresh")
	})
	for _, s := range successors {
		if s != successors[0] {
			t.Error("one refresh token has several successors, want one")
		}
	}
	next := b.do("", "POST", "/api/token/refresh/", `{"refresh":"`+successors[0]+`"}`).want(t, "POST token/refresh of the successor", http.StatusOK)
	a.do("", "POST", "/api/token/refresh/", `{"refresh":"`+pat.text("refresh")+`"}`).want(t, "POST token/refresh of one used long ago", http.StatusUnauthorized)
	b.do(next.text("access"), "GET", "/api/me/", "").want(t, "GET me in a session that a replay has ended elsewhere", http.StatusUnauthorized)

	again := a.signIn("patient0")
	b.do(again.text("access"), "GET", "/api/me/", "").want(t, "GET me", http.StatusOK)
	a.do("", "POST", "/api/token/blacklist/", `{"refresh":"`+again.text("refresh")+`"}`).want(t, "POST token/blacklist", http.StatusOK)
	b.do(again.text("access"), "GET", "/api/me/", "").want(t, "GET me in a session that was ended elsewhere", http.StatusUnauthorized)

	for id, times := range mails.wait(t, patients) {
		if times != 1 {
			t.Errorf("mail %s came %d times, want once", id, times)
		}
	}
	a.end()
	b.end()
	db := storetest.Open(t, m.url)
	defer db.Close()
	var sent, others int
	err := db.QueryRow(`SELECT SUM(CASE WHEN outcome = 'sent' AND attempts = 1 THEN 1 ELSE 0 END), SUM(CASE WHEN outcome = 'sent' AND attempts = 1 THEN 0 ELSE 1 END) FROM outbox`).Scan(&sent, &others)
	if err != nil || sent != patients || others != 0 {
		t.Errorf("%d mails were sent at the first attempt, %d not, %v; want %d, 0, nil", sent, others, err, patients)
	}
	m.want(exitDone, "The trail holds", "", "audit", "verify")
}

// Ten come to an empty database at once, to make it or to serve it.
func TestManyProcessesBeginOneDatabase(t *testing.T) {
	m := newMachine(t, "DATABASE_URL="+storetest.Postgres(t))
	m.want(exitNo, "The schema lacks ", "", "migrate", "--check")
	first := m.process() // makes the keys
	first.end()
	m.exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			c := exec.Command(binary, "migrate")
			c.Env = append(append(os.Environ(), m.environ...), runProgram+"=1")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("migrate error = %v, want nil: %s", err, out)
			}
		})
	}
	all.Wait()
	m.want(exitDone, "The schema is up to date.\n", "", "migrate", "--check")
	m.staff("admin")
	m.want(exitDone, "wraps 4", "", "keys", "status")
}
