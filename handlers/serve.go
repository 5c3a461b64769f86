package handlers

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"healthrecords/store"
)

// request is an HTTP request on its way: who asks, and what the log will say.
type request struct {
	*http.Request
	w       http.ResponseWriter
	route   string // "GET /api/patients/{id}/"; never the path itself
	found   *route // in the table
	actor   store.Actor
	started time.Time
}

// answer is what a handler answers when it does not fail.
type answer struct {
	status   int
	body     any    // encoded as JSON; nil for none; []byte as it is, for which the handler set the Content-Type
	version  string // of the object, becomes the ETag
	location string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The mux would answer these with a redirect, and "*" with nothing.
	bare := strings.TrimSuffix(r.URL.Path, "/")
	if clean := path.Clean(r.URL.Path); r.URL.Path != clean && bare != clean || clean == "*" {
		a.wrap("", func(*request) (answer, error) { return answer{}, store.ErrNotFound })(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// register binds a path, with and without its trailing slash, to its methods.
func (a *api) register(path string, methods map[string]*route) {
	allow := slices.Sorted(maps.Keys(methods))
	if _, ok := methods["GET"]; ok {
		allow = append(allow, "HEAD")
	}
	allowed := strings.Join(append(allow, "OPTIONS"), ", ")
	h := a.wrap(path, func(r *request) (answer, error) {
		method := r.Method
		if method == "HEAD" {
			method = "GET"
		}
		found, ok := methods[method]
		switch {
		case ok:
			r.found = found
			return a.dispatch(r, found)
		case method == "OPTIONS":
			r.w.Header().Set("Allow", allowed)
			return answer{status: http.StatusNoContent}, nil
		}
		r.w.Header().Set("Allow", allowed)
		return answer{}, errMethod
	})
	bare := strings.TrimSuffix(path, "/")
	if bare != "" {
		a.mux.HandleFunc(bare, h)
	}
	a.mux.HandleFunc(bare+"/{$}", h)
}

func (a *api) dispatch(r *request, found *route) (answer, error) {
	if found.access != ignoreToken {
		if err := a.authenticate(r, found.access); err != nil {
			return answer{}, err
		}
	}
	return found.handle(a, r)
}

// wrap makes an http.HandlerFunc of a function that answers or fails: with the
// headers of every answer, one line in the log, and a panic turned into a 500.
func (a *api) wrap(path string, f func(*request) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, w: w, route: "unknown path", started: time.Now()}
		if path != "" {
			r.route = methodName(hr.Method) + " " + path
		}
		r.actor = store.Actor{Request: a.Store.NewID(), Address: a.clientAddress(hr)}
		a.commonHeaders(r)
		result, err := a.guarded(r, f)
		if err == nil {
			result, err = notModified(r, result)
		}
		status, body := result.status, []byte(nil)
		if err != nil {
			status, body = a.failure(r, err)
		} else if result.body != nil {
			body = encode(result.body)
		}
		held := a.hold(body)
		defer a.unread.Add(-held)
		if held > 0 && a.unread.Load() > maxUnread {
			r.w.Header().Del("ETag")
			status, body = a.failure(r, errUnread)
		}
		a.write(r, status, body)
		a.logRequest(r, status)
	}
}

// logRequest writes the request's line. Unlike a call of the logger's, it does not
// look for the line of code that it is called from.
func (a *api) logRequest(r *request, status int) {
	log, now := a.Log.Handler(), time.Now()
	if !log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	line := slog.NewRecord(now, slog.LevelInfo, "request", 0)
	line.AddAttrs(slog.String("route", r.route), slog.Int("status", status),
		slog.Duration("duration", now.Sub(r.started)), slog.String("actor", r.actor.Account), slog.String("request", r.actor.Request))
	_ = log.Handle(r.Context(), line)
}

// methodName is the method as the log may have it: anything but the usual ones
// is the client's own text.
func methodName(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "OTHER"
}

func (a *api) guarded(r *request, f func(*request) (answer, error)) (result answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.Log.ErrorContext(r.Context(), "panic", "route", r.route, "request", r.actor.Request, "stack", string(debug.Stack()))
			err = store.ErrPanic
		}
	}()
	if err := a.admitRequest(r); err != nil {
		return answer{}, err
	}
	if result, err = f(r); err == nil {
		if result.version != "" {
			r.w.Header().Set("ETag", `"`+result.version+`"`)
		}
		if result.location != "" {
			r.w.Header().Set("Location", result.location)
		}
	}
	return result, err
}

// admitRequest refuses what is not looked at any further.
func (a *api) admitRequest(r *request) error {
	if headerSize(r.Request) > maxHeader {
		return errHeaders
	}
	if !a.hostAllowed(r.Host) {
		return errHost
	}
	return nil
}

// maxHeader is how many bytes of request line and headers are answered; the
// server itself cuts off much larger ones.
const maxHeader = 16 << 10

func headerSize(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return size
}

// Values of headers that all answers share. Nobody changes them or appends to them.
var (
	nosniff     = []string{"nosniff"}
	sameOrigin  = []string{"same-origin"}
	byOrigin    = []string{"Origin"}
	noStore     = []string{"no-store"}
	contentJSON = []string{"application/json"}
)

func (a *api) commonHeaders(r *request) {
	h := r.w.Header()
	h.Set("X-Request-Id", r.actor.Request)
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = sameOrigin
	h["Vary"] = byOrigin
	if r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
		h["Cache-Control"] = noStore
	}
	a.allowOrigin(r)
}

// allowOrigin lets a browser use the answer when the page that asks comes from
// a listed origin.
func (a *api) allowOrigin(r *request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(a.Origins, origin) {
		return
	}
	h := r.w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Location, Retry-After, X-Request-Id")
	if r.Method == "OPTIONS" && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match")
		h.Set("Access-Control-Max-Age", "600")
	}
}

// notModified answers 304 when the caller has this version of the object.
func notModified(r *request, result answer) (answer, error) {
	tags := r.Header.Values("If-None-Match")
	if r.Method != "GET" && r.Method != "HEAD" || result.version == "" || len(tags) == 0 {
		return result, nil
	}
	for _, tag := range entityTags(tags) {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == `"`+result.version+`"` {
			return answer{status: http.StatusNotModified}, nil
		}
	}
	return result, nil
}

// An answer that is too large for a connection's own buffers stays in memory
// until the client has read it, or is cut off. So many bytes of such answers may
// wait at once, of all clients together: who does not read takes no more.
const (
	largeAnswer = 256 << 10
	maxUnread   = 64 << 20
)

// hold counts a large answer, and returns how many bytes it counted.
func (a *api) hold(body []byte) int64 {
	if len(body) < largeAnswer {
		return 0
	}
	a.unread.Add(int64(len(body)))
	return int64(len(body))
}

func (a *api) write(r *request, status int, body []byte) {
	if body != nil {
		h := r.w.Header()
		if h["Content-Type"] == nil {
			h["Content-Type"] = contentJSON
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	r.w.WriteHeader(status)
	if r.Method != "HEAD" {
		_, _ = r.w.Write(body) // who asked may have gone
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// encode writes compact JSON in which <, > and & stand as they are. What is
// bytes already stays as it is.
func encode(v any) []byte {
	if b, ok := v.([]byte); ok {
		return b
	}
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own types always encode
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
