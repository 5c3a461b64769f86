package lambda_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	awslambda "github.com/aws/aws-lambda-go/lambda"

	"healthrecords/lambda/lambdatest"
)

// write answers with a body.
func write(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

func TestHeadKeepsTheHandlersContentLengthAndNoneIsInvented(t *testing.T) {
	for _, kind := range lambdatest.Kinds {
		length := func(method string, f http.HandlerFunc) (length, body string) {
			w := httptest.NewRecorder()
			lambdatest.Behind(kind, f).ServeHTTP(w, httptest.NewRequest(method, "/", nil))
			return w.Header().Get("Content-Length"), w.Body.String()
		}
		sized := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
		}
		if got, body := length("HEAD", sized); got != "5" || body != "" {
			t.Errorf("%s: HEAD with a length = %q, %q, want 5 and no body", kind, got, body)
		}
		if got, body := length("GET", sized); got != "5" || body != "hello" {
			t.Errorf("%s: GET with a length = %q, %q, want 5 and hello", kind, got, body)
		}
		if got, body := length("GET", write("hello")); got != "" || body != "hello" {
			t.Errorf("%s: GET without a length = %q, %q, want none and hello", kind, got, body)
		}
	}
}

func TestTextIsTextAndTheRestIsBase64(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, c := range []struct {
		body, encoding string
		base64         bool
	}{
		{"", "", false},
		{"text, ü, \u2028 and \x00", "", false},
		{string(all), "", true},
		{"\xff", "", true},
		{strings.Repeat("\xff", 1000), "", true},
		{"looks like text", "gzip", true},
	} {
		f := newFunction(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.encoding != "" {
				w.Header().Set("Content-Encoding", c.encoding)
			}
			io.WriteString(w, c.body)
		})
		for _, kind := range lambdatest.Kinds {
			a := f.answers(get(kind))
			want := c.body
			if c.base64 {
				want = base64.StdEncoding.EncodeToString([]byte(c.body))
			}
			if a.IsBase64Encoded != c.base64 || a.Body != want {
				t.Errorf("%s: body of %q = %q, base64 %t, want %t", kind, c.body, a.Body, a.IsBase64Encoded, c.base64)
			}
		}
	}
}

func TestHeadersOfAnAnswerByKind(t *testing.T) {
	f := newFunction(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Many"] = []string{"a", "b"}
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2, c", "d=3"}
		w.WriteHeader(http.StatusNotFound)
	})
	joined := map[string]string{"X-Many": "a, b"}
	multi := map[string][]string{"X-Many": {"a", "b"}, "Set-Cookie": {"a=1", "b=2, c", "d=3"}}
	spelt := map[string]string{"X-Many": "a, b", "set-cookie": "a=1", "Set-cookie": "b=2, c", "sEt-cookie": "d=3"}
	for kind, want := range map[lambdatest.Kind]answered{
		lambdatest.HTTPAPI:       {StatusCode: 404, Headers: joined, Cookies: multi["Set-Cookie"]},
		lambdatest.FunctionURL:   {StatusCode: 404, Headers: joined, Cookies: multi["Set-Cookie"]},
		lambdatest.HTTPAPI1:      {StatusCode: 404, MultiValueHeaders: multi},
		lambdatest.RESTAPI:       {StatusCode: 404, MultiValueHeaders: multi},
		lambdatest.ALBMultiValue: {StatusCode: 404, MultiValueHeaders: multi, StatusDescription: "404 Not Found"},
		lambdatest.ALB:           {StatusCode: 404, Headers: spelt, StatusDescription: "404 Not Found"},
	} {
		if got := f.answers(get(kind)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: answer = %+v, want %+v", kind, got, want)
		}
	}
}

func TestAnAnswerHasNoOtherKeys(t *testing.T) {
	common := []string{"body", "isBase64Encoded", "statusCode"}
	for kind, more := range map[lambdatest.Kind][]string{
		lambdatest.HTTPAPI: {"headers"}, lambdatest.FunctionURL: {"headers"}, lambdatest.HTTPAPI1: {"multiValueHeaders"}, lambdatest.RESTAPI: {"multiValueHeaders"},
		lambdatest.ALB: {"headers", "statusDescription"}, lambdatest.ALBMultiValue: {"multiValueHeaders", "statusDescription"},
	} {
		answer, err := newFunction(t, write("hello")).send(get(kind))
		if err != nil {
			t.Fatalf("Invoke error = %v, want nil", err)
		}
		var keys map[string]any
		if err := json.Unmarshal(answer, &keys); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(append(more, common...)))
		if got := slices.Sorted(maps.Keys(keys)); !slices.Equal(got, want) {
			t.Errorf("%s: keys %q, want %q", kind, got, want)
		}
	}
}

func TestAnAnswersJSONDoesNotEscapeHTML(t *testing.T) {
	answer, err := newFunction(t, write("<a&b>")).send(get(lambdatest.HTTPAPI))
	if err != nil || !strings.Contains(string(answer), "<a&b>") {
		t.Errorf("answer = %s, %v, want <a&b> in it", answer, err)
	}
}

func TestAnAnswerOverTheLimitIsASmallErrorAndALineInTheLog(t *testing.T) {
	const lambdas, balancers = 6291556, 1 << 20
	for _, kind := range lambdatest.Kinds {
		limit := lambdas
		if kind == lambdatest.ALB || kind == lambdatest.ALBMultiValue {
			limit = balancers
		}
		for _, c := range []struct {
			name string
			body string
			ok   bool
		}{
			{"just below", strings.Repeat("a", limit-4096), true},
			{"just above", strings.Repeat("a", limit), false},
			{"escaped above", strings.Repeat("\n", limit/2+1), false},
			{"base64 above", strings.Repeat("\xff", limit/4*3+1), false},
			{"far above", strings.Repeat("a", 5*limit), false},
		} {
			f := newFunction(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("ETag", `"x"`)
				if n, err := io.WriteString(w, c.body); n != len(c.body) || err != nil {
					t.Errorf("Write = %d, %v, want %d, nil", n, err, len(c.body))
				}
			})
			answer, err := f.send(get(kind))
			if err != nil || len(answer) > limit {
				t.Fatalf("%s, %s: %d bytes and %v, want at most %d", kind, c.name, len(answer), err, limit)
			}
			var a answered
			if err := json.Unmarshal(answer, &a); err != nil {
				t.Fatal(err)
			}
			logged := strings.Count(f.log.String(), "too large")
			if c.ok && (a.StatusCode != 200 || a.Body != c.body || logged != 0) {
				t.Errorf("%s, %s: status %d and %d lines in the log, want the answer", kind, c.name, a.StatusCode, logged)
			}
			if !c.ok && (a.StatusCode != 500 || !strings.Contains(a.Body, `"code":"answer_too_large"`) || logged != 1 || strings.Contains(string(answer), "ETag")) {
				t.Errorf("%s, %s: %.200s and %d lines in the log, want a small 500 and one", kind, c.name, answer, logged)
			}
		}
	}
}

func TestAPanicIsA500LoggedOnceAndTheProcessLives(t *testing.T) {
	f := newFunction(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Secret", "half done")
		io.WriteString(w, "half")
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/status":
			w.WriteHeader(7)
		default:
			panic("with health data")
		}
	})
	for path, logged := range map[string]int{"/abort": 0, "/x": 1, "/status": 1} {
		f.log.Reset()
		a := f.answers(httpAPI(path, "$default"))
		if a.StatusCode != 500 || !strings.Contains(a.Body, `"code":"error"`) || a.Headers["X-Secret"] != "" {
			t.Errorf("%s = %+v, want 500 and nothing of what was written", path, a)
		}
		if got := strings.Count(f.log.String(), "\n"); got != logged || strings.Contains(f.log.String(), "with health data") {
			t.Errorf("%s: %d lines in the log, want %d, without the panic's value", path, got, logged)
		}
		if logged > 0 && !strings.Contains(f.log.String(), "answer_test.go") {
			t.Errorf("%s: no stack in the log", path)
		}
	}
	if f.afters != 3 {
		t.Errorf("After was called %d times, want 3", f.afters)
	}
}

func TestFlushWorksAndTheConnectionCannotBeTaken(t *testing.T) {
	f := newFunction(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		io.WriteString(w, "a")
		if err := c.Flush(); err != nil {
			t.Errorf("Flush error = %v, want nil", err)
		}
		if _, _, err := c.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack error = %v, want ErrNotSupported", err)
		}
		io.WriteString(w, "b")
	})
	if a := f.answers(get(lambdatest.HTTPAPI)); a.StatusCode != 200 || a.Body != "ab" {
		t.Errorf("answer = %+v, want 200 ab", a)
	}
	upgrade := newFunction(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) })
	if a := upgrade.answers(get(lambdatest.HTTPAPI)); a.StatusCode != 500 {
		t.Errorf("an upgrade is answered %d, want 500", a.StatusCode)
	}
}

func TestAnAnswerCutShortIsNotSent(t *testing.T) {
	f := newFunction(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "half")
	})
	if a := f.answers(get(lambdatest.HTTPAPI)); a.StatusCode != 500 || strings.Contains(a.Body, "half") {
		t.Errorf("answer = %+v, want 500: the server would break off", a)
	}
}

func TestInvocationsAtOnceAreSafe(t *testing.T) {
	f := newFunction(t, nil)
	f.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Path", r.URL.Path)
		w.Write(body)
	})
	f.After = func(context.Context) {}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			want := fmt.Sprintf("/%d", i)
			r := httptest.NewRequest("POST", want, strings.NewReader(strings.Repeat(want, 1000)))
			w := httptest.NewRecorder()
			lambdatest.New(lambdatest.Kinds[i%len(lambdatest.Kinds)], &f.Handler).ServeHTTP(w, r)
			if w.Header().Get("X-Path") != want || w.Body.String() != strings.Repeat(want, 1000) {
				t.Errorf("the answer to %s is another's", want)
			}
		})
	}
	all.Wait()
}

func TestNothingOfThePayloadIsKept(t *testing.T) {
	event := []byte(of(lambdatest.HTTPAPI, httptest.NewRequest("POST", "/path?query", strings.NewReader("the body"))))
	f := newFunction(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	v, err := f.Invoke(t.Context(), event)
	if err != nil {
		t.Fatalf("Invoke error = %v, want nil", err)
	}
	for i := range event { // aws-lambda-go reads the next event into the same place
		event[i] = 'X'
	}
	answer, _ := io.ReadAll(v.(io.Reader))
	if strings.Contains(string(answer), "XX") || f.request.URL.Path != "/path" || string(f.body) != "the body" {
		t.Errorf("answer = %s, path %s and body %q, want those of the event", answer, f.request.URL.Path, f.body)
	}
}

func TestTheSDKReadsTheAnswerAndClosesItAfterwards(t *testing.T) {
	f := newFunction(t, write("hello"))
	h := awslambda.NewHandler(f.Invoke)
	answer, err := h.Invoke(t.Context(), []byte(get(lambdatest.HTTPAPI)))
	if err != nil || !strings.Contains(string(answer), `"body":"hello"`) || f.afters != 1 {
		t.Errorf("Invoke = %s, %v and %d calls of After, want the answer itself and one", answer, err, f.afters)
	}
	if answer, err := h.Invoke(t.Context(), []byte(ruleEvent)); err != nil || string(answer) != "null" || f.ticks != 1 || f.afters != 1 {
		t.Errorf("a schedule = %s, %v, want null", answer, err)
	}
	if answer, err := h.Invoke(t.Context(), []byte(`{}`)); err == nil {
		t.Errorf("an unknown event = %s, want an error", answer)
	}
}

func TestAFailureOfThePeriodicWorkFailsTheInvocation(t *testing.T) {
	f := newFunction(t, nil)
	f.Tick = func(context.Context) error { return errors.New("no database") }
	if _, err := f.send(ruleEvent); err == nil || err.Error() != "no database" {
		t.Errorf("Invoke error = %v, want it", err)
	}
}
