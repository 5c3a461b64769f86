package handlers_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
	"healthrecords/store/storetest"
)

// as makes a request of somebody that a test changes before it is sent.
func (p *practice) as(who person, method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequestWithContext(p.t.Context(), method, target, body)
	r.Header.Set("Content-Type", "application/json")
	if who.token != "" {
		r.Header.Set("Authorization", "Bearer "+who.token)
	}
	return r
}

// query reads one text from the database itself.
func (p *practice) query(query string, args ...any) string {
	p.t.Helper()
	db := storetest.Open(p.t, p.url)
	defer db.Close()
	var text string
	if err := db.QueryRow(query, args...).Scan(&text); err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	return text
}

// alter changes the database behind the store's back.
func (p *practice) alter(statement string) {
	p.t.Helper()
	db := storetest.Open(p.t, p.url)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		p.t.Fatalf("%s: %v", statement, err)
	}
}

// withClosedStore is a handler like the practice's whose database is gone.
func (p *practice) withClosedStore() *practice {
	p.t.Helper()
	key := sha256.Sum256([]byte("data key"))
	s, err := store.Open(p.t.Context(), store.Options{URL: storetest.URL(p.t), DataKeys: [][]byte{key[:]},
		Create: true, Migrate: true, Now: p.clock.Now, Log: p.options.Log})
	if err != nil {
		p.t.Fatalf("Open error = %v, want nil", err)
	}
	if err := s.Close(); err != nil {
		p.t.Fatalf("Close error = %v, want nil", err)
	}
	gone := *p
	gone.options.Store = s
	if gone.Handler, err = handlers.New(gone.options); err != nil {
		p.t.Fatalf("New error = %v, want nil", err)
	}
	return &gone
}

// isCode tells whether a body is an error that is about no field.
func (r response) isCode(t testing.TB) bool {
	return r.text(t, "detail") != "" && r.text(t, "code") != ""
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	c := newClinic(t)
	record := recordPath(c.record(c.pat, c.pat, "Cough"))
	gone := c.withClosedStore()
	long := "X-Filler: " + strings.Repeat("x", 17<<10)
	seen := map[string]bool{}
	for _, test := range []struct {
		status       int
		who          person
		method, path string
		body         string
		headers      []string
	}{
		{200, c.pat, "GET", record, "", nil},
		{200, c.pat, "GET", "/api/health-records/", "", nil},
		{200, nobody, "GET", "/api/", "", nil},
		{200, nobody, "GET", "/api", "", nil},
		{200, nobody, "GET", "/healthz", "", nil},
		{200, nobody, "GET", "/readyz", "", nil},
		{201, c.pat, "POST", "/api/health-records/", `{"title":"t","description":"d"}`, nil},
		{204, nobody, "OPTIONS", record, "", nil},
		{304, c.pat, "GET", record, "", []string{"If-None-Match: *"}},
		{400, c.pat, "POST", "/api/health-records/", `{}`, nil},
		{400, c.pat, "POST", "/api/health-records/", `{`, nil},
		{400, c.pat, "GET", "/api/health-records/?x=1", "", nil},
		{400, c.pat, "GET", "/api/health-records/?cursor=x", "", nil},
		{400, c.pat, "GET", record, "", []string{"Host: evil.example"}},
		{401, nobody, "GET", record, "", nil},
		{401, person{token: "x"}, "GET", record, "", nil},
		{401, nobody, "POST", "/api/token/", `{"username":"nobody","password":"x"}`, nil},
		{401, nobody, "POST", "/api/token/refresh/", `{"refresh":"x"}`, nil},
		{403, c.admin, "GET", record, "", nil},
		{404, c.colleague, "GET", record, "", nil},
		{404, nobody, "GET", "/api/nothing", "", nil},
		{404, nobody, "GET", "/api%2Fpatients", "", nil},
		{404, nobody, "GET", "/nothing", "", nil},
		{405, nobody, "DELETE", "/api/patients/", "", nil},
		{412, c.pat, "PATCH", record, "{}", []string{`If-Match: "x"`}},
		{413, c.pat, "PATCH", record, strings.Repeat(" ", 1<<20+1), nil},
		{415, c.pat, "PATCH", record, "{}", []string{"Content-Type: text/plain"}},
		{431, c.pat, "GET", record, "", []string{long}},
		{503, c.pat, "GET", "/api/me/", "", nil},
		{503, nobody, "GET", "/readyz", "", nil},
		{204, c.pat, "DELETE", record, "", nil},
	} {
		call := test.method + " " + test.path
		send := c.do
		if test.status == 503 {
			send = gone.do
		}
		r := send(test.who, test.method, test.path, test.body, append(test.headers, "X-Request-Id: mine")...).want(t, call, test.status, "")
		want := map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Server": "", "X-Powered-By": "", "Content-Encoding": "",
			"Content-Type": "application/json", "Content-Length": fmt.Sprint(len(r.body)), "WWW-Authenticate": "", "Access-Control-Allow-Credentials": ""}
		if strings.HasPrefix(test.path, "/api") {
			want["Cache-Control"] = "no-store"
		}
		if test.status == 204 || test.status == 304 {
			want["Content-Type"], want["Content-Length"] = "", ""
		}
		if test.status == 401 {
			want["WWW-Authenticate"] = `Bearer realm="api"`
		}
		for name, value := range want {
			if got := r.header.Get(name); got != value || len(r.header.Values(name)) > 1 {
				t.Errorf("%s = %d with %s: %q, want %q", call, test.status, name, r.header.Values(name), value)
			}
		}
		id := r.header.Get("X-Request-Id")
		if len(id) != 36 || seen[id] {
			t.Errorf("%s = %d with X-Request-Id: %q, want a new one", call, test.status, id)
		}
		seen[id] = true
		if (test.status == 503) != (r.header.Get("Retry-After") != "") {
			t.Errorf("%s = %d with Retry-After: %q", call, test.status, r.header.Get("Retry-After"))
		}
		if wantBody := test.status != 204 && test.status != 304; wantBody != json.Valid([]byte(r.body)) || !wantBody && r.body != "" {
			t.Errorf("%s = %d with the body %q", call, test.status, r.body)
		}
		if test.status > 400 && strings.HasPrefix(test.path, "/api") && !r.isCode(t) {
			t.Errorf("%s = %d %s, want detail and code", call, test.status, r.body)
		}
	}
}

func TestNoServerHeader(t *testing.T) {
	server := httptest.NewServer(newPractice(t, func(_ *store.Options, o *handlers.Options) { o.AllowedHosts = []string{"127.0.0.1"} }))
	defer server.Close()
	for _, method := range []string{"GET", "HEAD"} {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 200 || answer.Header.Values("Server") != nil || answer.ContentLength <= 0 || (len(body) == 0) != (method == "HEAD") {
			t.Errorf("%s = %d, Server %q, Content-Length %d, %d bytes", method, answer.StatusCode, answer.Header.Values("Server"), answer.ContentLength, len(body))
		}
	}
}

func TestHeadAnswersAsGet(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	c.note(c.doc, record, "rest")
	c.record(c.pat, c.pat, "Cold")
	for _, path := range []string{"/api/", "/api/me/", "/api/patients/", patientPath(c.pat.id), patientPath(c.pat.id) + "health-records/", "/api/doctors", doctorPath(c.doc.id),
		doctorPath(c.doc.id) + "patients/", "/api/health-records/?page_size=1", recordPath(record), recordPath(absentID), "/api/doctor-notes/", "/api/doctor-notes/?x=1",
		"/healthz", "/readyz", "/nothing", "/api/nothing/"} {
		for _, who := range []person{c.pat, c.doc, c.colleague, c.admin, nobody, {token: "x"}} {
			get, head := c.do(who, "GET", path, "", "Origin: https://app.example.org"), c.do(who, "HEAD", path, "", "Origin: https://app.example.org")
			get.header.Del("X-Request-Id")
			head.header.Del("X-Request-Id")
			if head.status != get.status || fmt.Sprint(head.header) != fmt.Sprint(get.header) || head.body != "" {
				t.Errorf("HEAD %s = %d %v %q\nwant as GET: %d %v", path, head.status, head.header, head.body, get.status, get.header)
			}
		}
	}
}

// methodsByPath are the paths of all routes with their methods, HEAD and
// OPTIONS too.
func methodsByPath() map[string][]string {
	paths := map[string][]string{}
	for _, route := range handlers.Routes() {
		method, path, _ := strings.Cut(route, " ")
		path = strings.ReplaceAll(path, "{id}", absentID)
		if paths[path] == nil {
			paths[path] = []string{"OPTIONS"}
		}
		paths[path] = append(paths[path], method)
		if method == "GET" {
			paths[path] = append(paths[path], "HEAD")
		}
	}
	return paths
}

func TestAllow(t *testing.T) {
	c := newClinic(t)
	for path, methods := range methodsByPath() {
		slices.Sort(methods)
		for _, path := range []string{path, strings.TrimSuffix(path, "/")} {
			for _, method := range []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "FETCH", "get", "Post"} {
				if method != "OPTIONS" && slices.Contains(methods, method) {
					continue
				}
				r := c.send(c.as(nobody, method, path, nil))
				allow := strings.Split(r.header.Get("Allow"), ", ")
				slices.Sort(allow)
				if !slices.Equal(allow, methods) {
					t.Errorf("%s %s: Allow = %v, want %v", method, path, allow, methods)
				}
				if method == "OPTIONS" {
					r.want(t, "OPTIONS "+path, 204, "")
				} else if method != "HEAD" {
					r.want(t, method+" "+path, 405, `{"detail":"Method \"`+method+`\" not allowed.","code":"method_not_allowed"}`)
				} else if r.status != 405 {
					t.Errorf("HEAD %s = %d, want 405", path, r.status)
				}
			}
		}
	}
}

func TestMethodOverrideIsIgnored(t *testing.T) {
	c := newClinic(t)
	for _, header := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
		c.do(c.pat, "POST", patientPath(c.pat.id), "_method=DELETE", header+": DELETE").want(t, "POST with "+header, 405, "")
		c.do(c.pat, "GET", patientPath(c.pat.id), "", header+": DELETE").want(t, "GET with "+header, 200, "")
	}
}

func TestPreflight(t *testing.T) {
	c := newClinic(t)
	for _, path := range []string{"/api/token/", "/api/patients/", recordPath(absentID), "/api/health-records"} {
		r := c.do(nobody, "OPTIONS", path, "", "Origin: https://app.example.org", "Access-Control-Request-Method: PATCH",
			"Access-Control-Request-Headers: authorization,content-type,if-match").want(t, "preflight of "+path, 204, "")
		if got := r.header.Get("Access-Control-Allow-Origin"); got != "https://app.example.org" {
			t.Errorf("preflight of %s: Access-Control-Allow-Origin = %q, want the origin", path, got)
		}
		list := func(name string) []string { return strings.Split(strings.ToLower(r.header.Get(name)), ", ") }
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			if !slices.Contains(list("Access-Control-Allow-Methods"), method) {
				t.Errorf("preflight of %s: %s is not allowed", path, method)
			}
		}
		for _, header := range []string{"authorization", "content-type", "if-match", "if-none-match"} {
			if !slices.Contains(list("Access-Control-Allow-Headers"), header) {
				t.Errorf("preflight of %s: %s is not allowed", path, header)
			}
		}
		if got := r.header.Values("Access-Control-Allow-Credentials"); got != nil {
			t.Errorf("preflight of %s allows credentials", path)
		}
	}
}

func TestOrigins(t *testing.T) {
	c := newClinic(t)
	for origin, ok := range map[string]bool{
		"https://app.example.org": true, "https://APP.example.org": false, "http://app.example.org": false, "https://app.example.org:443": false, "https://app.example.org/": false,
		"https://app.example.org.evil.example": false, "https://evil.example": false, "null": false, "*": false, "https://example.com": false, "": false,
	} {
		for _, test := range []struct {
			status       int
			who          person
			method, path string
			body, header string
		}{
			{200, c.pat, "GET", patientPath(c.pat.id), "", ""},
			{204, nobody, "OPTIONS", patientPath(c.pat.id), "", "Access-Control-Request-Method: PUT"},
			{304, c.pat, "GET", patientPath(c.pat.id), "", "If-None-Match: *"},
			{400, c.pat, "PATCH", patientPath(c.pat.id), "{", ""},
			{400, c.pat, "GET", "/api/me/", "", "Host: evil.example"},
			{401, nobody, "GET", "/api/me/", "", ""},
			{403, c.pat, "POST", "/api/doctor-notes/", "", ""},
			{404, c.pat, "GET", "/api/nothing/", "", ""},
			{404, c.pat, "GET", "//api/", "", ""},
			{405, c.pat, "PUT", "/api/me/", "", ""},
			{431, c.pat, "GET", "/api/me/", "", "X-Filler: " + strings.Repeat("x", 17<<10)},
		} {
			r := c.do(test.who, test.method, test.path, test.body, "Origin: "+origin, test.header).want(t, test.method+" "+test.path, test.status, "")
			want := []string(nil)
			if ok {
				want = []string{origin}
			}
			if got := r.header.Values("Access-Control-Allow-Origin"); !slices.Equal(got, want) {
				t.Errorf("%s %s from %q = %d: Access-Control-Allow-Origin = %q, want %q", test.method, test.path, origin, test.status, got, want)
			}
			if !slices.Contains(r.header.Values("Vary"), "Origin") {
				t.Errorf("%s %s from %q: Vary = %q, want Origin", test.method, test.path, origin, r.header.Values("Vary"))
			}
			for name := range r.header {
				if !ok && strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s from %q has %s", test.method, test.path, origin, name)
				}
			}
		}
	}
}

func TestHosts(t *testing.T) {
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) {
		o.AllowedHosts = []string{"example.com", ".example.org", "[::1]", "127.0.0.1"}
	})
	for host, ok := range map[string]bool{
		"example.com": true, "EXAMPLE.com": true, "example.com:8000": true, "example.com.": true, "example.org": true, "www.example.org": true, "a.b.Example.ORG:1": true,
		"[::1]": true, "[::1]:8000": true, "127.0.0.1:8000": true,
		"": false, "evil.example": false, "www.example.com": false, "example.com.evil.example": false, "notexample.org": false, "example.org.evil.example": false,
		"example.com:80:80": false, "example.com:evil": false, "example.com:80@evil.example": false, "user@example.com": false, "example.com:@evil.example": false,
		"example.com/evil": false, "example.com:80/evil": false, "example.com:80?x=": false, " example.com": false, "example.com,evil.example": false,
		"::1": false, "[::2]": false, "127.0.0.1.evil.example": false, "localhost": false, "example.com\x00": false,
	} {
		for _, path := range []string{"/api/", "/healthz", "/api/nothing"} {
			r := p.as(nobody, "GET", path, nil)
			r.Host = host
			r.Header.Set("X-Forwarded-Host", "example.com")
			got := p.send(r)
			if (got.status != 400) != ok || !ok && !got.isCode(t) {
				t.Errorf("GET %s of host %q = %d %s, want it answered: %v", path, host, got.status, got.body, ok)
			}
			if !ok && host != "" && strings.Contains(got.body, host) {
				t.Errorf("GET %s of host %q quotes it: %s", path, host, got.body)
			}
		}
	}
}

// A request line may name a host of its own, which counts more than the header.
func TestAbsoluteRequestTarget(t *testing.T) {
	p := newPractice(t, nil)
	for target, status := range map[string]string{"http://evil.example/api/": "400", "http://example.com/api/": "200"} {
		server := httptest.NewServer(p)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", target)
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+status) || strings.Contains(string(answer), "http://evil.example") {
			t.Errorf("GET %s = %q, %v, want %s", target, answer, err, status)
		}
		conn.Close()
		server.Close()
	}
}

func TestPathsThatAreNone(t *testing.T) {
	c := newClinic(t)
	id := c.pat.id
	for _, path := range []string{
		"//api/patients/", "/api//patients/", "/api/patients//", "/api/patients/" + id + "//", "/api/patients/" + id + "//health-records/",
		"/api/./patients/", "/api/patients/.", "/api/../api/patients/", "/api/patients/../patients/", "/api/patients/" + id + "/../" + id + "/",
		"/api%2Fpatients/", "/api/patients%2F" + id + "/", "/api/patients/" + id + "%2F", "/api/patients/%2e%2e/patients/", "/api/patients/%2E/",
		"/api/patients;x=1/", "/api/patients/" + id + ";/", "/API/patients/", "/api/Patients/", "/api/patients/" + id + "/extra/", "/index.html", "/pages/", "/api/patient",
		"/api/patients/" + id + "%00/", "/api/patients/" + id + "%20/", "/api/patients/%20" + id + "/", "/api/patients/%F0%9F/",
		"/api/patients/" + id + "/health-records/x/", "/static/x", "/admin/", "/api/token/x/",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			r := c.do(c.admin, method, path, "")
			isObject := strings.HasPrefix(path, "/api/patients/") && strings.Count(strings.Trim(path[len("/api/patients/"):], "/"), "/") == 0 && method == "POST"
			if isObject && r.status == 405 {
				continue // an object that is none takes no POST either
			}
			r.want(t, method+" "+path, 404, notFoundBody)
			if r.header.Get("Location") != "" {
				t.Errorf("%s %s is redirected", method, path)
			}
		}
	}
	c.read(c.pat, patientPath(id))
}

func TestServerWideOptions(t *testing.T) {
	p := newPractice(t, nil)
	r := p.send(p.as(nobody, "OPTIONS", "*", nil)).want(t, "OPTIONS *", 404, notFoundBody)
	if r.header.Get("X-Request-Id") == "" {
		t.Errorf("OPTIONS * has no X-Request-Id")
	}
}

func TestPathsWithoutTheirSlash(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	for _, path := range []string{"/api/", "/api/me/", "/api/patients/", patientPath(c.pat.id), patientPath(c.pat.id) + "health-records/", doctorPath(c.doc.id) + "patients/", recordPath(record)} {
		with, without := c.do(c.doc, "GET", path, ""), c.do(c.doc, "GET", strings.TrimSuffix(path, "/"), "")
		without.want(t, "GET "+strings.TrimSuffix(path, "/"), 200, with.body)
	}
	r := c.do(c.pat, "POST", "/api/health-records", `{"title":"t","description":"d"}`).want(t, "POST without the slash", 201, "")
	path := strings.TrimSuffix(r.header.Get("Location"), "/")
	c.change(c.pat, "PUT", path, `{"title":"u","description":"d"}`)
	c.change(c.pat, "PATCH", path, `{"title":"v"}`)
	c.remove(c.pat, path)
	c.do(nobody, "POST", "/api/token", `{}`).want(t, "POST /api/token", 400, `{"username":["`+fieldRequired+`"],"password":["`+fieldRequired+`"]}`)
}

func TestOversizeHeaders(t *testing.T) {
	c := newClinic(t)
	filler := func(n int) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Filler", strings.Repeat("x", n)) }
	}
	many := func(n int) func(*http.Request) {
		return func(r *http.Request) {
			for i := range n {
				r.Header.Set(fmt.Sprint("X-Filler-", i), "")
			}
		}
	}
	for _, test := range []struct {
		what   string
		path   string
		fill   func(*http.Request)
		status int
	}{
		{"a header of 15 KiB", "/api/me/", filler(15 << 10), 200},
		{"a header of 16 KiB", "/api/me/", filler(16 << 10), 431},
		{"a header of 60 KiB", "/api/me/", filler(60 << 10), 431},
		{"1,000 headers", "/api/me/", many(1000), 200},
		{"2,000 headers", "/api/me/", many(2000), 431},
		{"one header 2,000 times", "/api/me/", func(r *http.Request) { r.Header["X-Filler"] = make([]string, 2000) }, 431},
		{"a long path", "/api/" + strings.Repeat("x", 17<<10), filler(0), 431},
		{"a long query", "/api/health-records/?search=" + strings.Repeat("x", 17<<10), filler(0), 431},
		{"a query of 8 KiB", "/api/health-records/?author=" + strings.Repeat("x", 8<<10), filler(0), 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := c.as(c.pat, method, test.path, nil)
			test.fill(r)
			got := c.send(r)
			if got.status != test.status || method == "GET" && test.status == 431 && !got.isCode(t) {
				t.Errorf("%s with %s = %d %s, want %d", method, test.what, got.status, got.body, test.status)
			}
		}
	}
}

// counted counts what is read of a body and hides its length.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// endless is a body without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestBodyLimits(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	const small, large = 64 << 10, 1 << 20
	for _, test := range []struct {
		who          person
		method, path string
		limit        int
	}{
		{nobody, "POST", "/api/token/", small},
		{nobody, "POST", "/api/token/refresh/", small},
		{nobody, "POST", "/api/token/verify/", small},
		{nobody, "POST", "/api/token/blacklist/", small},
		{nobody, "POST", "/api/patients/", small},
		{nobody, "POST", "/api/doctors/", small},
		{c.pat, "PUT", patientPath(c.pat.id), small},
		{c.pat, "PATCH", patientPath(c.pat.id), small},
		{c.doc, "PUT", doctorPath(c.doc.id), small},
		{c.doc, "PATCH", doctorPath(c.doc.id), small},
		{c.pat, "POST", "/api/health-records/", large},
		{c.pat, "PUT", recordPath(record), large},
		{c.pat, "PATCH", recordPath(record), large},
		{c.doc, "POST", "/api/doctor-notes/", large},
		{c.doc, "PUT", notePath(note), large},
		{c.doc, "PATCH", notePath(note), large},
	} {
		call := test.method + " " + test.path
		full := `{"x":1}` + strings.Repeat(" ", test.limit-len(`{"x":1}`))
		for name, body := range map[string]io.Reader{"with": strings.NewReader(full), "without": &counted{r: strings.NewReader(full)}} {
			r := c.send(c.as(test.who, test.method, test.path, body)).want(t, call+" of all that is allowed, "+name+" Content-Length", 400, "")
			if r.field(t, "x.0") != unknownField {
				t.Errorf("%s of all that is allowed, %s Content-Length = %s, want it read", call, name, r.body)
			}
		}
		over := full + " "
		for name, body := range map[string]io.Reader{"with": strings.NewReader(over), "without": &counted{r: strings.NewReader(over)}} {
			if r := c.send(c.as(test.who, test.method, test.path, body)).want(t, call+" of a byte more, "+name+" Content-Length", 413, ""); !r.isCode(t) {
				t.Errorf("%s of a byte more = %s, want detail and code", call, r.body)
			}
		}
		read := &counted{r: endless{}}
		c.send(c.as(test.who, test.method, test.path, read)).want(t, call+" without end", 413, "")
		if read.n > test.limit+1 {
			t.Errorf("%s: %d bytes were read, want at most %d", call, read.n, test.limit+1)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	c := newClinic(t)
	for _, test := range []struct {
		types, encodings []string
		ok               bool
	}{
		{[]string{"application/json"}, nil, true},
		{[]string{"Application/JSON"}, nil, true},
		{[]string{"application/json; charset=utf-8"}, nil, true},
		{[]string{`application/json;charset="UTF-8"`}, nil, true},
		{[]string{"application/json"}, []string{"identity"}, true},
		{nil, nil, false},
		{[]string{""}, nil, false},
		{[]string{"text/plain"}, nil, false},
		{[]string{"text/json"}, nil, false},
		{[]string{"application/x-www-form-urlencoded"}, nil, false},
		{[]string{"multipart/form-data; boundary=x"}, nil, false},
		{[]string{"application/jsonp"}, nil, false},
		{[]string{"application/merge-patch+json"}, nil, false},
		{[]string{"application/vnd.api+json"}, nil, false},
		{[]string{"application/*"}, nil, false},
		{[]string{"json"}, nil, false},
		{[]string{"application/json; charset=iso-8859-1"}, nil, false},
		{[]string{"application/json; charset=utf-16"}, nil, false},
		{[]string{"application/json; charset=utf-8; charset=utf-16"}, nil, false},
		{[]string{"application/json; version=2"}, nil, false},
		{[]string{"application/json, text/plain"}, nil, false},
		{[]string{"application/json", "text/plain"}, nil, false},
		{[]string{"text/plain", "application/json"}, nil, false},
		{[]string{"application/json"}, []string{"gzip"}, false},
		{[]string{"application/json"}, []string{"br"}, false},
		{[]string{"application/json"}, []string{"identity, gzip"}, false},
		{[]string{"application/json"}, []string{"identity", "gzip"}, false},
	} {
		for _, path := range []string{"/api/health-records/", "/api/token/", "/api/token/verify/"} {
			send := func(body string) response {
				r := c.as(c.pat, "POST", path, strings.NewReader(body))
				r.Header["Content-Type"] = test.types
				r.Header["Content-Encoding"] = test.encodings
				return c.send(r)
			}
			status := 400
			if !test.ok {
				status = 415
			}
			r := send(`{"x":1}`).want(t, fmt.Sprintf("POST %s of %q %q", path, test.types, test.encodings), status, "")
			if !test.ok && !r.isCode(t) {
				t.Errorf("POST %s of %q = %s, want detail and code", path, test.types, r.body)
			}
			send("").want(t, fmt.Sprintf("POST %s without a body of %q", path, test.types), 400, "") // counts as {}
		}
	}
}

func TestClientAddress(t *testing.T) {
	c := newClinic(t) // trusts 10.0.0.0/8
	for _, test := range []struct {
		peer string
		hops []string // each a header of its own
		want string
	}{
		{"192.0.2.1:1234", nil, "192.0.2.1"},
		{"[2001:db8::1]:1234", nil, "2001:db8::1"},
		{"[::ffff:192.0.2.1]:1234", nil, "192.0.2.1"},
		{"192.0.2.1:1234", []string{"203.0.113.7"}, "192.0.2.1"},
		{"192.0.2.1:1234", []string{"203.0.113.7, 10.0.0.1"}, "192.0.2.1"},
		{"10.0.0.1:1234", nil, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"203.0.113.7"}, "203.0.113.7"},
		{"[::ffff:10.0.0.1]:1234", []string{"203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1234", []string{"198.51.100.9, 203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1234", []string{"198.51.100.9, 203.0.113.7,10.9.9.9 , 10.0.0.2"}, "203.0.113.7"},
		{"10.0.0.1:1234", []string{"198.51.100.9", "203.0.113.7", "10.0.0.2"}, "203.0.113.7"},
		{"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1234", []string{"203.0.113.7, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"nonsense, 203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"2001:db8::2"}, "2001:db8::2"},
		{"10.0.0.1:1234", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1234", []string{"fe80::1%<b>"}, "fe80::1"},
		{"nonsense", []string{"203.0.113.7"}, ""},
	} {
		for _, path := range []string{"/api/me/", recordPath(absentID)} { // done and refused
			r := c.as(c.pat, "GET", path, nil)
			r.RemoteAddr = test.peer
			r.Header["X-Forwarded-For"] = test.hops
			r.Header.Set("X-Real-Ip", "198.51.100.66")
			r.Header.Set("Forwarded", "for=198.51.100.67")
			got := c.query(`SELECT address FROM audit WHERE request = $1`, c.send(r).header.Get("X-Request-Id"))
			if got != test.want {
				t.Errorf("GET %s from %s for %q: the trail has %q, want %q", path, test.peer, test.hops, got, test.want)
			}
		}
	}
}

// errorLines are the lines of the log of level ERROR, as their members.
func (p *practice) errorLines() (lines []map[string]any) {
	for line := range strings.Lines(p.log.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			p.t.Fatalf("a line of the log is not JSON: %v", err)
		}
		if members["level"] == "ERROR" {
			lines = append(lines, members)
		}
	}
	return lines
}

// wantLoggedOnce wants one error in the log, with its stack, under the id of
// the request, and a 500 that tells nothing of it.
func (p *practice) wantLoggedOnce(call string, r response) {
	p.t.Helper()
	r.want(p.t, call, 500, `{"detail":"Internal server error.","code":"error"}`)
	lines := p.errorLines()
	if len(lines) != 1 {
		p.t.Fatalf("%s is logged %d times, want once: %v", call, len(lines), lines)
	}
	stack, _ := lines[0]["stack"].(string)
	if lines[0]["request"] != r.header.Get("X-Request-Id") || !strings.Contains(stack, ".go:") {
		p.t.Errorf("%s is logged as %v, want its stack and the request's id", call, lines[0])
	}
	if r.header.Get("X-Content-Type-Options") == "" || r.header.Get("Cache-Control") != "no-store" {
		p.t.Errorf("%s: headers are missing", call)
	}
}

func TestPanicInAHandler(t *testing.T) {
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.Hasher = nil })
	pat := p.patient("pat")
	r := p.do(nobody, "POST", "/api/token/", `{"username":"pat","password":"marker-in-a-panic"}`)
	p.wantLoggedOnce("POST /api/token/", r)
	if strings.Contains(p.log.String(), "marker-in-a-panic") {
		t.Errorf("the log quotes the request")
	}
	p.do(pat, "GET", "/api/me/", "").want(t, "GET after the panic", 200, "")
}

// brittle is a source of randomness that can be broken for keys, of 32 bytes.
type brittle struct {
	broken bool
	b      byte
}

func (r *brittle) Read(p []byte) (int, error) {
	if r.broken && len(p) == 32 {
		return 0, errors.New("marker-in-a-panic")
	}
	for i := range p {
		r.b++
		p[i] = r.b
	}
	return len(p), nil
}

func TestPanicInTheStore(t *testing.T) {
	random := new(brittle)
	p := newPractice(t, func(so *store.Options, _ *handlers.Options) { so.Random = random })
	pat := p.patient("pat")
	random.broken = true
	r := p.do(nobody, "POST", "/api/patients/", `{"user":{"username":"heron","password":"`+otterPassword+`"}}`)
	p.wantLoggedOnce("POST patients", r)
	if strings.Contains(p.log.String(), "marker-in-a-panic") {
		t.Errorf("the log quotes the panic")
	}
	p.do(pat, "GET", "/api/me/", "").want(t, "GET after the panic", 200, "")
}

func TestHealthAndReadiness(t *testing.T) {
	const good = `{"status":"ok"}`
	for reason, spoil := range map[string]func(p *practice) *practice{
		"": func(p *practice) *practice { return p },
		"schema": func(p *practice) *practice {
			p.alter(`DELETE FROM schema_steps`)
			return p
		},
		"schema ": func(p *practice) *practice {
			p.alter(`INSERT INTO schema_steps (step, applied_at) VALUES (1000000, '')`)
			return p
		},
		"keys": func(p *practice) *practice {
			p.alter(`INSERT INTO data_keys (id, created_at) VALUES ('another', '')`)
			return p
		},
		"database": (*practice).withClosedStore,
	} {
		p := newPractice(t, nil)
		p.do(nobody, "GET", "/readyz", "").want(t, "GET /readyz", 200, good)
		p = spoil(p)
		p.do(nobody, "GET", "/healthz", "").want(t, "GET /healthz without "+reason, 200, good)
		p.do(nobody, "GET", "/healthz/", "").want(t, "GET /healthz/ without "+reason, 200, good)
		if reason == "" {
			continue
		}
		r := p.do(nobody, "GET", "/readyz", "").want(t, "GET /readyz without "+reason, 503, "")
		if got := r.text(t, "reason"); got != strings.TrimSpace(reason) {
			t.Errorf("GET /readyz = %s, want the reason %s", r.body, reason)
		}
	}
}

func TestDatabaseGone(t *testing.T) {
	c := newClinic(t)
	gone := c.withClosedStore()
	for _, test := range []struct {
		who          person
		method, path string
		body         string
	}{
		{c.pat, "GET", "/api/me/", ""},
		{c.pat, "GET", "/api/health-records/?search=x", ""},
		{c.pat, "POST", "/api/health-records/", `{"title":"t","description":"d"}`},
		{nobody, "POST", "/api/token/", `{"username":"pat","password":"x"}`},
		{nobody, "POST", "/api/patients/", `{}`},
	} {
		r := gone.do(test.who, test.method, test.path, test.body).want(t, test.method+" "+test.path, 503, "")
		if r.text(t, "code") != "unavailable" || r.text(t, "detail") == "" || r.header.Get("Retry-After") == "" {
			t.Errorf("%s %s = %s, Retry-After %q", test.method, test.path, r.body, r.header.Get("Retry-After"))
		}
	}
	gone.do(nobody, "GET", "/api/me/", "").want(t, "GET me as nobody", 401, noTokenBody)
}

// startPost begins a POST of a record to a server and returns once the handler
// waits for its body.
func startPost(t *testing.T, address, token string, length int) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /api/health-records/ HTTP/1.1\r\nHost: example.com\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", token, length)
	in := bufio.NewReader(conn)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := in.ReadString('\n'); err != nil || line != want {
			t.Fatalf("the server says %q, %v, want %q", line, err, want)
		}
	}
	return conn, in
}

func TestRequestsInFlightAreFinished(t *testing.T) {
	c := newClinic(t)
	server := httptest.NewUnstartedServer(c)
	server.Start()
	address := server.Listener.Addr().String()
	const body = `{"title":"in flight","description":"d"}`
	conn, in := startPost(t, address, c.pat.token, len(body))

	ended := make(chan error, 1)
	go func() { ended <- server.Config.Shutdown(context.WithoutCancel(t.Context())) }()
	for { // until nobody listens any more
		other, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		other.Close()
	}
	select {
	case err := <-ended:
		t.Fatalf("Shutdown = %v before the request is finished", err)
	default:
	}
	io.WriteString(conn, body)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != 201 {
		t.Fatalf("POST while the server ends = %v, %v, want 201", answer, err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Errorf("the answer is cut off: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
	if got := c.all(c.pat, "/api/health-records/?search=flight"); len(got) != 1 {
		t.Errorf("%d records are kept, want 1", len(got))
	}
}

func TestCutOffBodyIsNotTaken(t *testing.T) {
	c := newClinic(t)
	server := httptest.NewServer(c)
	const body = `{"title":"cut off","description":"d"}`
	conn, in := startPost(t, server.Listener.Addr().String(), c.pat.token, len(body)+1)
	io.WriteString(conn, body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode < 400 {
		t.Errorf("POST of a body cut off = %v, %v, want a refusal", answer, err)
	}
	server.Close()
	c.do(c.pat, "GET", "/api/health-records/", "").want(t, "GET health-records", 200, emptyList)
}

// What was answered with 201 is found again by a service started anew.
func TestWhatWasAnsweredIsKept(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	shown := c.read(c.pat, recordPath(record)).body
	key := sha256.Sum256([]byte("data key"))
	s, err := store.Open(t.Context(), store.Options{URL: c.url, DataKeys: [][]byte{key[:]}, Now: c.clock.Now, Log: c.options.Log})
	if err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	defer s.Close()
	anew := *c.practice
	anew.options.Store, anew.options.Tokens = s, auth.NewTokens([]byte(testSecret), 5*time.Minute, 24*time.Hour)
	if anew.Handler, err = handlers.New(anew.options); err != nil {
		t.Fatalf("New error = %v, want nil", err)
	}
	anew.do(c.pat, "GET", recordPath(record), "").want(t, "GET of the record", 200, shown)
}
