package lambda_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"healthrecords/lambda/lambdatest"
)

// FuzzEvent holds that whatever comes as an event is answered, does the
// periodic work, or fails; and that a request is one that a server could have
// read.
func FuzzEvent(f *testing.F) {
	for _, kind := range lambdatest.Kinds {
		f.Add([]byte(get(kind)))
	}
	for _, event := range []string{
		ruleEvent, schedulerEvent, `{}`, httpAPI("/prod/100%", "prod"), functionURL("/a%2Fb", "/a/b"), restAPI("1.0", "/a", "a"), balancer("//h"),
		`{"httpMethod":"POST","path":"/","isBase64Encoded":true,"body":"AA=="}`,
		`{"httpMethod":"GET","path":"/",` + queries + `}`,
		`{"httpMethod":"GET","path":"/","multiValueHeaders":{"x-forwarded-for":["1.2.3.4:5",","]},"requestContext":{"elb":{}}}`,
	} {
		f.Add([]byte(event))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		fn := newFunction(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
		fn.BasePath = "/base"
		answer, err := fn.send(string(event))
		if err != nil {
			if answer != nil || fn.request != nil || fn.ticks > 0 {
				t.Errorf("an event that failed did something")
			}
			return
		}
		if !json.Valid(answer) {
			t.Errorf("answer = %s, want JSON", answer)
		}
		if fn.ticks > 0 || fn.request == nil {
			return
		}
		r := fn.request
		u, err := url.ParseRequestURI(r.RequestURI)
		if err != nil || u.Path != r.URL.Path || u.RawQuery != r.URL.RawQuery || u.EscapedPath() != r.URL.EscapedPath() {
			t.Errorf("the target %q reads as %v, %v, want %#v", r.RequestURI, u, err, r.URL)
		}
		if _, _, err := net.SplitHostPort(r.RemoteAddr); err != nil {
			t.Errorf("RemoteAddr = %q, want an address and a port", r.RemoteAddr)
		}
		if int64(len(fn.body)) != r.ContentLength || len(fn.body) == 0 && r.Body != http.NoBody {
			t.Errorf("%d bytes of body and ContentLength %d", len(fn.body), r.ContentLength)
		}
	})
}
