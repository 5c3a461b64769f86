package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/lambda/lambdatest"
)

// patience is how long a test waits for what should come soon.
const patience = time.Minute

const lambdaRequestID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

// buildProgram builds the program as it is and returns its path.
func buildProgram(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "healthrecords")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// lambdaRun stands in for AWS Lambda's Runtime API, and runs the program as
// Lambda does.
type lambdaRun struct {
	t       testing.TB
	api     *httptest.Server
	timeout time.Duration // of the function
	step    step

	events  chan string
	replies chan lambdaReply
	idle    chan struct{} // receives when the program asks for its next event

	cmd   *exec.Cmd
	log   buffer
	ended chan struct{} // closed when the process has
}

// step is told what the program is about to be heard saying, or to hear; it
// answers whether that still happens. A nil step lets everything happen.
type step func(what string) bool

func (s step) of(what string) bool { return s == nil || s(what) }

// lambdaReply is what the program answers to an event.
type lambdaReply struct {
	body   string
	failed bool
}

// runOnLambda starts the program in an environment of its own.
func runOnLambda(t testing.TB, binary string, step step, environ ...string) *lambdaRun {
	t.Helper()
	e := &lambdaRun{t: t, timeout: 20 * time.Second, step: step, events: make(chan string), replies: make(chan lambdaReply, 10), idle: make(chan struct{}, 100), ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{what}", e.answered)
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", "ext")
		io.WriteString(w, "{}")
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	e.api = httptest.NewServer(mux)
	e.cmd = exec.Command(binary)
	e.cmd.Dir = t.TempDir()
	e.cmd.Env = append(environ, "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(e.api.URL, "http://"))
	e.cmd.Stdout, e.cmd.Stderr = &e.log, &e.log
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(e.ended)
		_ = e.cmd.Wait() // the state tells
	}()
	t.Cleanup(e.close)
	return e
}

// close kills the program, unless it has ended, and waits for it.
func (e *lambdaRun) close() {
	e.kill()
	<-e.ended
	e.api.CloseClientConnections()
	e.api.Close()
	if e.t.Failed() {
		io.WriteString(e.t.Output(), e.log.String())
	}
}

func (e *lambdaRun) kill() { _ = e.cmd.Process.Kill() } // it may have ended

func (e *lambdaRun) signal(s os.Signal) {
	e.t.Helper()
	if err := e.cmd.Process.Signal(s); err != nil {
		e.t.Fatalf("Signal(%v) error = %v, want nil", s, err)
	}
}

func (e *lambdaRun) next(w http.ResponseWriter, r *http.Request) {
	if !e.step.of("next") {
		return
	}
	e.idle <- struct{}{}
	select {
	case event := <-e.events:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", lambdaRequestID)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(e.timeout).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:f")
		io.WriteString(w, event)
	case <-r.Context().Done():
	}
}

func (e *lambdaRun) answered(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // killed while it answered
	}
	if !e.step.of("answer") {
		return
	}
	if len(body) > 6291556 {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	e.replies <- lambdaReply{string(body), r.PathValue("what") == "error"}
}

// invoke sends an event and returns the answer; ok is false when the program
// ended without one.
func (e *lambdaRun) invoke(event string) (r lambdaReply, ok bool) {
	e.t.Helper()
	select {
	case e.events <- event:
	case <-e.ended:
		return r, false
	case <-time.After(patience):
		e.t.Fatal("the program asks for no event")
	}
	select {
	case r := <-e.replies:
		return r, true
	case <-e.ended:
		return r, false
	case <-time.After(patience):
		e.t.Fatal("the program does not answer")
	}
	return r, false
}

// request sends a request through an HTTP API and returns the answer.
func (e *lambdaRun) request(r *http.Request) *httptest.ResponseRecorder {
	e.t.Helper()
	answer, ok := e.invoke(string(lambdatest.Event(lambdatest.HTTPAPI, r)))
	w := httptest.NewRecorder()
	if !ok || answer.failed {
		e.t.Fatalf("the function failed: %s", answer.body)
	}
	if err := lambdatest.Answer(lambdatest.HTTPAPI, []byte(answer.body), w); err != nil {
		e.t.Fatalf("Answer(%s) error = %v, want nil", answer.body, err)
	}
	return w
}

// get asks for a path that needs the database.
func (e *lambdaRun) get(path string) int {
	e.t.Helper()
	return e.request(httptest.NewRequest("GET", "https://health.example.org"+path, nil)).Code
}

// tick sends a schedule's event and checks that it is answered null.
func (e *lambdaRun) tick() {
	e.t.Helper()
	r, ok := e.invoke(`{"detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}`)
	if !ok || r.failed || r.body != "null" {
		e.t.Fatalf("a schedule is answered %q, failed %t, want null", r.body, r.failed || !ok)
	}
}

// waitIdle waits until the program asks for its next event: all that follows an
// answer is done then.
func (e *lambdaRun) waitIdle() {
	e.t.Helper()
	select {
	case <-e.idle:
	case <-e.ended:
	case <-time.After(patience):
		e.t.Fatal("the program does not ask for its next event")
	}
}

// lines ends the program and returns the lines of its log, which are all JSON.
func (e *lambdaRun) lines() (lines []map[string]any) {
	e.t.Helper()
	e.kill()
	<-e.ended
	for line := range strings.Lines(e.log.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			e.t.Fatalf("a line of the log is no JSON: %s", line)
		}
		lines = append(lines, members)
	}
	return lines
}

// wire is a way to a database that can be watched, cut and blocked.
type wire struct {
	url     string // of the database, through it
	step    step
	network string
	target  string
	l       net.Listener

	mu    sync.Mutex
	cut   bool          // nothing is connected
	block chan struct{} // when not nil, nothing gets through until it is closed
	conns map[net.Conn]bool
}

// newWire makes a wire to a database; step is called before anything goes on.
func newWire(t testing.TB, database string, step step) *wire {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{step: step, network: "tcp", target: u.Host, conns: map[net.Conn]bool{}}
	if socket := u.Query().Get("host"); socket != "" {
		w.network, w.target = "unix", filepath.Join(socket, ".s.PGSQL.5432")
	}
	if w.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.l.Close() })
	u.Host, u.RawQuery = w.l.Addr().String(), "sslmode=disable"
	w.url = u.String()
	go func() {
		for {
			client, err := w.l.Accept()
			if err != nil {
				return
			}
			go w.serve(client)
		}
	}()
	return w
}

func (w *wire) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(w.network, w.target)
	if err != nil || !w.add(client, server) {
		return
	}
	defer server.Close()
	go w.copy(client, server, "from the database")
	w.copy(server, client, "to the database")
}

func (w *wire) add(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		w.conns[c] = true
	}
	return !w.cut
}

func (w *wire) copy(to, from net.Conn, what string) {
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		block := w.block
		w.mu.Unlock()
		if block != nil {
			<-block
		}
		if !w.step.of(what) {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// setCut cuts the wire, or mends it.
func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for c := range w.conns {
		c.Close()
	}
	clear(w.conns)
}

// setBlocked lets nothing through any more, or everything that has waited.
func (w *wire) setBlocked(blocked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if blocked {
		w.block = make(chan struct{})
	} else {
		close(w.block)
		w.block = nil
	}
}

// mailServer takes every mail, and keeps their Message-IDs.
type mailServer struct {
	port string
	step step
	also *mailServer // when not nil, keeps the Message-IDs instead
	mu   sync.Mutex
	ids  []string
}

func newMailServer(t testing.TB, step step) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	m := &mailServer{port: port, step: step}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	return m
}

func (m *mailServer) serve(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	data, id := false, ""
	fmt.Fprint(c, "220 ready\r\n")
	for lines.Scan() {
		line := lines.Text()
		if name, value, _ := strings.Cut(line, ": "); data && strings.EqualFold(name, "Message-ID") {
			id, _, _ = strings.Cut(strings.Trim(value, "<>"), "@")
		}
		if data && line != "." {
			continue
		}
		if !m.step.of("mail: " + line) {
			return
		}
		switch {
		case data:
			cmp.Or(m.also, m).keep(id)
			if !m.step.of("mail: taken") {
				return
			}
			data = false
			fmt.Fprint(c, "250 taken\r\n")
		case line == "DATA":
			data = true
			fmt.Fprint(c, "354 go on\r\n")
		case line == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

func (m *mailServer) keep(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids = append(m.ids, id)
}

// taken returns the ids of the mails that were taken.
func (m *mailServer) taken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string{}, m.ids...)
}

// filesIn returns the names of what is in a directory.
func filesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
