package lambda

import (
	"net/http"
	"strconv"
	"strings"
)

// recorder is the [http.ResponseWriter] of an answer that is sent in one piece.
// It does what net/http's server does with what a handler writes.
type recorder struct {
	method string
	limit  int // of the body

	header   http.Header // the handler's
	sent     http.Header // as of the first WriteHeader
	status   int         // 0 before it
	declared int64       // the Content-Length that the handler set; -1 for none
	taken    int64       // bytes of the body, also those not kept
	body     []byte
	settled  bool // the headers are final
	tooLarge bool // more was written than the limit, and dropped
}

// sniffed is how much of a body [http.DetectContentType] looks at. An answer to
// HEAD keeps no more.
const sniffed = 512

func newRecorder(method string, limit int) *recorder {
	return &recorder{method: method, limit: limit, header: http.Header{}, declared: -1}
}

func (w *recorder) Header() http.Header { return w.header }

// WriteHeader panics, as net/http's does, at a status that is none.
func (w *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic("lambda: invalid status " + strconv.Itoa(status))
	}
	if w.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return // headers before the final ones do not reach the client
	}
	w.status, w.sent = status, w.header.Clone()
	if length := w.sent.Get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < 0 {
			w.sent.Del("Content-Length")
			return
		}
		w.declared = n
	}
}

// Write takes part of the body. It refuses one where there may be none, and
// more than the handler's Content-Length.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	n := len(p)
	if w.declared >= 0 && w.taken+int64(n) > w.declared {
		return 0, http.ErrContentLength
	}
	w.taken += int64(n)
	if w.method == "HEAD" {
		p = p[:min(n, sniffed-len(w.body))]
	}
	if w.tooLarge = w.tooLarge || len(w.body)+len(p) > w.limit; w.tooLarge {
		w.body = nil
		return n, nil
	}
	w.body = append(w.body, p...)
	return n, nil
}

// Flush settles the headers. The answer still goes out in one piece.
func (w *recorder) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.settle()
}

// settle takes out the headers that the status forbids, and finds out the
// Content-Type, unless the handler has set one or encoded the body.
func (w *recorder) settle() {
	if w.settled {
		return
	}
	w.settled = true
	switch _, typed := w.sent["Content-Type"]; {
	case w.status == http.StatusNotModified:
		w.sent.Del("Content-Type")
		w.sent.Del("Content-Length")
	case !bodyAllowed(w.status):
		w.sent.Del("Content-Length")
	case !typed && len(w.body) > 0 && w.sent.Get("Content-Encoding") == "":
		w.sent.Set("Content-Type", http.DetectContentType(w.body))
	}
	for name := range w.sent {
		if strings.HasPrefix(name, http.TrailerPrefix) || name == "Trailer" || name == "Connection" || name == "Transfer-Encoding" {
			delete(w.sent, name)
		}
	}
}

// finish settles what is answered, once the handler has returned.
func (w *recorder) finish() {
	w.Flush()
	if w.method == "HEAD" {
		w.body = nil
	}
}

// cutShort tells whether less was written than the handler's Content-Length.
// The server would break the connection off.
func (w *recorder) cutShort() bool {
	return w.declared >= 0 && w.taken != w.declared && w.method != "HEAD" && bodyAllowed(w.status)
}

// fail replaces whatever was answered.
func (w *recorder) fail(status int, body string) {
	*w = *newRecorder(w.method, w.limit)
	w.header.Set("Content-Type", "application/json")
	w.header.Set("Cache-Control", "no-store")
	w.header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // never fails
	w.finish()
}

// bodyAllowed is RFC 9110, sections 15.2, 15.3.5 and 15.4.5.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
