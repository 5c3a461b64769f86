package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bodies of what this package answers itself.
const (
	malformed = `{"detail":"The request is malformed.","code":"parse_error"}`
	broken    = `{"detail":"Internal server error.","code":"error"}`
	noTime    = `{"detail":"The service is not available now. Try again.","code":"unavailable"}`
	tooLarge  = `{"detail":"The answer is too large. Ask for less at once.","code":"answer_too_large"}`
)

// answer is an answer as Lambda's callers take it. No kind takes both maps.
type answer struct {
	Status            int                 `json:"statusCode"`
	StatusDescription string              `json:"statusDescription,omitempty"`
	Header            map[string]string   `json:"headers,omitempty"`
	MultiValueHeader  map[string][]string `json:"multiValueHeaders,omitempty"`
	Cookies           []string            `json:"cookies,omitempty"`
	Body              string              `json:"body"`
	IsBase64          bool                `json:"isBase64Encoded"`
}

// encode returns the answer to an event as JSON. A body that is not text, or
// that is compressed, is sent as base64.
func (w *recorder) encode(e *event, k kind) []byte {
	a := answer{Status: w.status, Body: string(w.body)}
	if len(w.body) > 0 && (w.sent.Get("Content-Encoding") != "" || !utf8.Valid(w.body)) {
		a.Body, a.IsBase64 = base64.StdEncoding.EncodeToString(w.body), true
	}
	switch h := asWritten(w.sent); {
	case k == payload2:
		a.Cookies = h["Set-Cookie"]
		delete(h, "Set-Cookie")
		a.Header = joined(h)
	case k == payload1 || e.MultiValueHeader != nil:
		a.MultiValueHeader = h
	default:
		cookies := h["Set-Cookie"]
		delete(h, "Set-Cookie")
		a.Header = joined(h)
		for i, cookie := range cookies {
			a.Header[spelling("set-cookie", i)] = cookie
		}
	}
	if k == balancer {
		a.StatusDescription = strings.TrimSpace(strconv.Itoa(w.status) + " " + http.StatusText(w.status))
	}
	return toJSON(a)
}

// toJSON leaves <, > and & as they are: six bytes for each would count against
// the limit.
func toJSON(a answer) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a); err != nil {
		panic(err) // text and numbers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// asWritten returns a copy of headers as net/http's server writes them: without
// the line breaks that would end one, and without those that have no value.
func asWritten(h http.Header) http.Header {
	h = h.Clone()
	breaks := strings.NewReplacer("\n", " ", "\r", " ")
	for name, values := range h {
		if len(values) == 0 {
			delete(h, name)
		}
		for i, v := range values {
			values[i] = strings.TrimSpace(breaks.Replace(v))
		}
	}
	return h
}

func joined(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[name] = strings.Join(values, ", ")
	}
	return m
}

// spelling returns the n-th way to write a name in small and capital letters: a
// map holds one cookie under each.
func spelling(name string, n int) string {
	b := []byte(name)
	for i := range b {
		if b[i] >= 'a' && b[i] <= 'z' {
			if n&1 == 1 {
				b[i] -= 'a' - 'A'
			}
			n >>= 1
		}
	}
	return string(b)
}

// reply is an answer on its way: aws-lambda-go reads it, and closes it when all
// of it was sent.
type reply struct {
	*bytes.Reader
	after func()
}

func newReply(answer []byte, after func()) *reply { return &reply{bytes.NewReader(answer), after} }

// MarshalJSON fails: what can be encoded, aws-lambda-go encodes instead of
// reading and closing it.
func (*reply) MarshalJSON() ([]byte, error) { return nil, errors.New("to be read, not encoded") }

// ContentType is what aws-lambda-go says that it sends.
func (*reply) ContentType() string { return "application/json" }

// Close does what comes after the answer.
func (r *reply) Close() error {
	r.after()
	return nil
}
