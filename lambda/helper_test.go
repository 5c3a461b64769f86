package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"healthrecords/lambda"
	"healthrecords/lambda/lambdatest"
)

// function is a function and what became of the last event sent to it.
type function struct {
	lambda.Handler
	t       testing.TB
	log     bytes.Buffer
	request *http.Request // as the handler got it, nil when it was not asked
	body    []byte        // of that
	ticks   int
	afters  int
}

// newFunction returns one that answers with f, or, when that is nil, with 200.
func newFunction(t testing.TB, f http.HandlerFunc) *function {
	fn := &function{t: t}
	fn.Log = slog.New(slog.NewJSONHandler(&fn.log, nil))
	fn.Tick = func(context.Context) error { fn.ticks++; return nil }
	fn.After = func(context.Context) { fn.afters++ }
	fn.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fn.request = r
		fn.body, _ = io.ReadAll(r.Body)
		if f != nil {
			f(w, r)
		}
	})
	return fn
}

// send invokes the function and returns its answer as it is sent.
func (f *function) send(event string) (answer []byte, err error) {
	f.t.Helper()
	f.request, f.body = nil, nil
	v, err := f.Invoke(f.t.Context(), []byte(event))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return []byte("null"), nil
	}
	reply := v.(io.ReadCloser)
	defer reply.Close()
	answer, err = io.ReadAll(reply)
	if err != nil {
		f.t.Fatalf("Read error = %v, want nil", err)
	}
	return answer, nil
}

// asked returns the request that the handler gets for an event.
func asked(t testing.TB, event string) *http.Request {
	t.Helper()
	f := newFunction(t, nil)
	if _, err := f.send(event); err != nil || f.request == nil {
		t.Fatalf("Invoke(%.200s) asks nothing and fails with %v, want a request", event, err)
	}
	return f.request
}

// answered is an answer as the function gives it.
type answered struct {
	StatusCode        int
	StatusDescription string
	Headers           map[string]string
	MultiValueHeaders map[string][]string
	Cookies           []string
	Body              string
	IsBase64Encoded   bool
}

// answers returns what the function answers to an event.
func (f *function) answers(event string) (a answered) {
	f.t.Helper()
	answer, err := f.send(event)
	if err != nil {
		f.t.Fatalf("Invoke(%.200s) error = %v, want nil", event, err)
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		f.t.Fatalf("the answer %.200s is no JSON: %v", answer, err)
	}
	return a
}

// wantStatus checks that a function answers an event with a status.
func wantStatus(t *testing.T, event string, status int) {
	t.Helper()
	if got := newFunction(t, nil).answers(event).StatusCode; got != status {
		t.Errorf("status of %.200s = %d, want %d", event, got, status)
	}
}

// of returns the event that a kind makes of a request.
func of(kind lambdatest.Kind, r *http.Request) string { return string(lambdatest.Event(kind, r)) }

// get returns the event that a kind makes of a plain request.
func get(kind lambdatest.Kind) string { return of(kind, httptest.NewRequest("GET", "/", nil)) }
