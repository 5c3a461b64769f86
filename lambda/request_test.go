package lambda_test

import (
	"context"
	"encoding/base64"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"healthrecords/lambda/lambdatest"
)

func TestThePayload2QueryIsByteForByte(t *testing.T) {
	for _, query := range []string{"", "a=1&a=2", "a=1,2&b", "&&a=%C3%BC&b=a+b&c=a%2Bb&d=&e", "%zz=%", "a=1#x", "q=ü"} {
		event := event(map[string]any{"version": "2.0", "rawPath": "/", "rawQueryString": query, "queryStringParameters": map[string]string{"from": "the map"},
			"requestContext": map[string]any{"http": map[string]any{"method": "GET", "path": "/"}}})
		if r := asked(t, event); r.URL.RawQuery != query {
			t.Errorf("RawQuery = %q, want %q", r.URL.RawQuery, query)
		}
	}
	for _, query := range []string{"a b", "a\nb", "a\x7f"} { // which no HTTP request can have
		wantStatus(t, event(map[string]any{"rawPath": "/", "rawQueryString": query,
			"requestContext": map[string]any{"http": map[string]any{"method": "GET", "path": "/"}}}), http.StatusBadRequest)
	}
}

const queries = `"queryStringParameters":{"a":"2","single":"1 2","empty":""},"multiValueQueryStringParameters":{"a":["1","2"],"plus":["a+b"],"k y":["ü&="],"e":[""],"none":[]}`

func TestTheRESTQueryIsEncodedOnce(t *testing.T) {
	r := asked(t, `{"httpMethod":"GET","path":"/",`+queries+`}`)
	if want := "a=1&a=2&e=&empty=&k+y=%C3%BC%26%3D&plus=a%2Bb&single=1+2"; r.URL.RawQuery != want {
		t.Errorf("RawQuery = %s, want %s", r.URL.RawQuery, want)
	}
}

func TestTheALBsQueryIsNeitherEncodedNorDecoded(t *testing.T) {
	r := asked(t, `{"httpMethod":"GET","path":"/","queryStringParameters":{"s":"%20"},"multiValueQueryStringParameters":{"a":["a+b","a%2Bb"],"k%20y":["%C3%BC"],"e":[""]},"requestContext":{"elb":{}}}`)
	if want := "a=a+b&a=a%2Bb&e=&k%20y=%C3%BC&s=%20"; r.URL.RawQuery != want {
		t.Errorf("RawQuery = %s, want %s", r.URL.RawQuery, want)
	}
}

func TestHeaderNamesAreCanonicalAndMultipleValuesWin(t *testing.T) {
	r := asked(t, `{"httpMethod":"GET","path":"/","headers":{"x-ONE":"single","only-single":"s","null":null},
		"multiValueHeaders":{"X-one":["a","b,c"],"ONLY-multi":["m"],"empty":[]}}`)
	want := http.Header{"X-One": {"a", "b,c"}, "Only-Multi": {"m"}, "Only-Single": {"s"}, "Null": {""}}
	if !maps.EqualFunc(r.Header, want, slices.Equal) {
		t.Errorf("Header = %v, want %v", r.Header, want)
	}
}

func TestNoHeaderIsSplitOrJoined(t *testing.T) {
	r := asked(t, `{"headers":{"accept":"text/html,application/json;q=0.9","if-none-match":"\"a\", \"b\"","x":"a; b"},"requestContext":{"http":{"method":"GET","path":"/"}}}`)
	for name, want := range map[string]string{"Accept": "text/html,application/json;q=0.9", "If-None-Match": `"a", "b"`, "X": "a; b"} {
		if got := r.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestTheHostIsNoHeader(t *testing.T) {
	for _, c := range []struct{ headers, want string }{
		{`{"host":"a.example.org:8443"}`, "a.example.org:8443"},
		{`{"HOST":"a.example.org"}`, "a.example.org"},
		{`{}`, "domain.example.org"},
	} {
		r := asked(t, `{"headers":`+c.headers+`,"requestContext":{"domainName":"domain.example.org","http":{"method":"GET","path":"/"}}}`)
		if r.Host != c.want || r.Header["Host"] != nil {
			t.Errorf("Host with %s = %q, and %q in the headers, want %q alone", c.headers, r.Host, r.Header["Host"], c.want)
		}
	}
	if r := asked(t, `{"httpMethod":"GET","path":"/","requestContext":{"elb":{}}}`); r.Host != "" {
		t.Errorf("Host of an event without any = %q, want none", r.Host)
	}
}

func TestThereIsOneCookieHeader(t *testing.T) {
	const context = `,"requestContext":{"http":{"method":"GET","path":"/"}}}`
	for event, want := range map[string][]string{
		`{"cookies":["a=1","b=2; c=3"],"headers":{}` + context:                                               {"a=1; b=2; c=3"},
		`{"cookies":["a=1","b=2"],"headers":{"cookie":"a=1; b=2"}` + context:                                 {"a=1; b=2"},
		`{"cookies":[],"headers":{"cookie":"a=1"}` + context:                                                 {"a=1"},
		`{"headers":{}` + context:                                                                            nil,
		`{"httpMethod":"GET","path":"/","multiValueHeaders":{"Cookie":["a=1","b=2"]}}`:                       {"a=1; b=2"},
		`{"httpMethod":"GET","path":"/","headers":{"cookie":"a=1; b=2"},"requestContext":{"elb":{}}}`:        {"a=1; b=2"},
		`{"httpMethod":"GET","path":"/","cookies":["x=y"],"multiValueHeaders":{"Cookie":["a=1"]}}`:           {"a=1"},
		`{"httpMethod":"GET","path":"/","multiValueHeaders":{"cookie":["a=1"]},"requestContext":{"elb":{}}}`: {"a=1"},
	} {
		if got := asked(t, event).Header["Cookie"]; !slices.Equal(got, want) {
			t.Errorf("Cookie of %s = %q, want %q", event, got, want)
		}
	}
}

func TestTheConnectionsHeadersDoNotCount(t *testing.T) {
	r := asked(t, `{"httpMethod":"POST","path":"/","body":"four","multiValueHeaders":{"connection":["close","x-a"],"transfer-encoding":["chunked"],"content-length":["9999"]}}`)
	if want := (http.Header{"Content-Length": {"4"}}); !maps.EqualFunc(r.Header, want, slices.Equal) || r.ContentLength != 4 || r.TransferEncoding != nil || r.Close {
		t.Errorf("Header = %v and length %d, want %v and 4", r.Header, r.ContentLength, want)
	}
}

func TestNoHeaderIsInvented(t *testing.T) {
	for _, kind := range lambdatest.Kinds {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Amzn-Request-Context", `{"http":{"sourceIp":"6.6.6.6"}}`)
		got := asked(t, of(kind, r))
		names := slices.Sorted(maps.Keys(got.Header))
		if want := []string{"X-Amzn-Request-Context", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"}; !slices.Equal(names, want) {
			t.Errorf("%s: headers %q, want %q, which the event has", kind, names, want)
		}
		if got.RemoteAddr != "192.0.2.1:0" {
			t.Errorf("%s: RemoteAddr = %s, want 192.0.2.1:0", kind, got.RemoteAddr)
		}
	}
}

func TestBase64BodiesHaveEveryByte(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	f := newFunction(t, nil)
	f.answers(`{"httpMethod":"POST","path":"/","isBase64Encoded":true,"body":"` + base64.StdEncoding.EncodeToString(all) + `"}`)
	if string(f.body) != string(all) || f.request.ContentLength != 256 {
		t.Errorf("body = %x and length %d, want all bytes and 256", f.body, f.request.ContentLength)
	}
	for _, body := range []string{"!", "YQ", "YQ=", "a b c d"} {
		wantStatus(t, `{"httpMethod":"POST","path":"/","isBase64Encoded":true,"body":"`+body+`"}`, http.StatusBadRequest)
	}
}

func TestNoBodyIsNoBody(t *testing.T) {
	for _, body := range []string{``, `,"body":null`, `,"body":""`, `,"body":"","isBase64Encoded":true`, `,"body":null,"isBase64Encoded":true`} {
		if r := asked(t, `{"httpMethod":"POST","path":"/"`+body+`}`); r.Body != http.NoBody || r.ContentLength != 0 {
			t.Errorf("with %q: body %v and length %d, want http.NoBody and 0", body, r.Body, r.ContentLength)
		}
	}
}

func TestABodyOfSixMegabytesArrives(t *testing.T) {
	body := strings.Repeat("ü", 3<<20)
	f := newFunction(t, nil)
	f.answers(event(map[string]any{"httpMethod": "POST", "path": "/", "body": body}))
	if string(f.body) != body || f.request.ContentLength != 6<<20 {
		t.Errorf("%d bytes and length %d arrived, want %d", len(f.body), f.request.ContentLength, 6<<20)
	}
}

func TestTheClientsAddress(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"192.0.2.7", "192.0.2.7:0"},
		{"2001:db8::7", "[2001:db8::7]:0"},
		{"test-invoke-source-ip", ":0"},
		{"", ":0"},
	} {
		for _, event := range []string{
			event(map[string]any{"headers": map[string]string{"x-forwarded-for": "6.6.6.6"}, "requestContext": map[string]any{"http": map[string]any{"method": "GET", "path": "/", "sourceIp": c.source}}}),
			event(map[string]any{"httpMethod": "GET", "path": "/", "headers": map[string]string{"X-Forwarded-For": "6.6.6.6"}, "requestContext": map[string]any{"identity": map[string]any{"sourceIp": c.source}}}),
		} {
			r := asked(t, event)
			if r.RemoteAddr != c.want {
				t.Errorf("RemoteAddr of %s = %s, want %s", event, r.RemoteAddr, c.want)
			}
			if _, _, err := net.SplitHostPort(r.RemoteAddr); err != nil {
				t.Errorf("SplitHostPort(%s) error = %v, want nil", r.RemoteAddr, err)
			}
		}
	}
}

func TestTheALBsClientIsTheLastForwarded(t *testing.T) {
	for _, c := range []struct {
		hops []string
		want string
	}{
		{[]string{"192.0.2.7"}, "192.0.2.7:0"},
		{[]string{"6.6.6.6, 192.0.2.7"}, "192.0.2.7:0"},
		{[]string{"6.6.6.6,192.0.2.7:4711"}, "192.0.2.7:0"},
		{[]string{"6.6.6.6", "192.0.2.7"}, "192.0.2.7:0"},
		{[]string{"2001:db8::7"}, "[2001:db8::7]:0"},
		{[]string{"[2001:db8::7]:4711"}, "[2001:db8::7]:0"},
		{[]string{"[2001:db8::7]"}, "[2001:db8::7]:0"},
		{[]string{"192.0.2.7, unknown"}, ":0"}, // never an earlier one
		{[]string{"192.0.2.7,"}, ":0"},
		{[]string{""}, ":0"},
		{nil, ":0"},
	} {
		header := map[string][]string{"x-forwarded-for": c.hops, "x-real-ip": {"6.6.6.6"}, "forwarded": {"for=6.6.6.6"}}
		event := event(map[string]any{"httpMethod": "GET", "path": "/", "multiValueHeaders": header,
			"requestContext": map[string]any{"elb": map[string]any{}, "identity": map[string]any{"sourceIp": "6.6.6.6"}}})
		if c.hops != nil {
			if got := asked(t, event).RemoteAddr; got != c.want {
				t.Errorf("RemoteAddr for %q = %s, want %s", c.hops, got, c.want)
			}
		}
	}
	if got := asked(t, balancer("/")).RemoteAddr; got != ":0" {
		t.Errorf("RemoteAddr without X-Forwarded-For = %s, want :0", got)
	}
}

func TestTheClientsConnectionIsSecureWhereAWSSaysSo(t *testing.T) {
	for _, kind := range lambdatest.Kinds {
		if asked(t, get(kind)).TLS == nil {
			t.Errorf("%s: TLS = nil, want it: the client came over https", kind)
		}
	}
	plain := `{"httpMethod":"GET","path":"/","headers":{"x-forwarded-proto":"http"},"requestContext":{"elb":{}}}`
	if asked(t, plain).TLS != nil {
		t.Error("TLS behind a load balancer without https is set, want nil")
	}
}

func TestTheContextEndsBeforeTheFunction(t *testing.T) {
	deadline := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "8476a536"})
	check := func(what string, ctx context.Context, before time.Duration) {
		t.Helper()
		if got, _ := ctx.Deadline(); !got.Equal(deadline.Add(-before)) {
			t.Errorf("%s ends %v before the function, want %v", what, deadline.Sub(got), before)
		}
		if lc, ok := lambdacontext.FromContext(ctx); !ok || lc.AwsRequestID != "8476a536" {
			t.Errorf("%s knows no Lambda request id, want 8476a536", what)
		}
	}
	f := newFunction(t, func(_ http.ResponseWriter, r *http.Request) { check("a request", r.Context(), 500*time.Millisecond) })
	f.Tick = func(ctx context.Context) error { check("the periodic work", ctx, time.Second); return nil }
	if _, err := f.Invoke(ctx, []byte(get(lambdatest.HTTPAPI))); err != nil || f.request == nil {
		t.Errorf("Invoke error = %v and request %v, want one", err, f.request)
	}
	if _, err := f.Invoke(ctx, []byte(ruleEvent)); err != nil {
		t.Errorf("Invoke error = %v, want nil", err)
	}
}

func TestARequestThatRunsOutOfTimeIsStillAnswered(t *testing.T) {
	for name, notices := range map[string]bool{"notices": true, "does not notice": false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			over := make(chan struct{})
			f := newFunction(t, nil)
			f.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if notices {
					<-r.Context().Done()
				} else {
					<-over
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			v, err := f.Invoke(ctx, []byte(get(lambdatest.HTTPAPI)))
			close(over)
			if err != nil || ctx.Err() != nil {
				t.Fatalf("%s: Invoke error = %v with the function's time %v, want an answer before its end", name, err, ctx.Err())
			}
			answer, _ := io.ReadAll(v.(io.Reader))
			if !strings.Contains(string(answer), `"statusCode":503`) {
				t.Errorf("%s: answer = %s, want 503", name, answer)
			}
		})
	}
}
