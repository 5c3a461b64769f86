package lambda_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

// pathEvents return the events of a path as each kind has it.
func httpAPI(path, stage string) string {
	return event(map[string]any{"version": "2.0", "rawPath": path, "requestContext": map[string]any{"stage": stage,
		"domainName": "x.execute-api.eu-central-1.amazonaws.com", "http": map[string]any{"method": "GET", "path": path}}})
}

func functionURL(path, decoded string) string {
	return event(map[string]any{"version": "2.0", "rawPath": path, "requestContext": map[string]any{"stage": "$default",
		"domainName": "x.lambda-url.eu-central-1.on.aws", "http": map[string]any{"method": "GET", "path": decoded}}})
}

func restAPI(version, path, stage string) string {
	return event(map[string]any{"version": version, "httpMethod": "GET", "path": path, "requestContext": map[string]any{"stage": stage}})
}

func balancer(path string) string {
	return event(map[string]any{"httpMethod": "GET", "path": path, "requestContext": map[string]any{"elb": map[string]any{}}})
}

func event(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// wantURL checks that an event asks for a path, and what the request line says.
func wantURL(t *testing.T, event, path, requestURI string) {
	t.Helper()
	r := asked(t, event)
	if r.URL.Path != path || r.RequestURI != requestURI {
		t.Errorf("%s: path %q and target %q, want %q and %q", event, r.URL.Path, r.RequestURI, path, requestURI)
	}
	if parsed, err := url.ParseRequestURI(r.RequestURI); err != nil || parsed.Path != r.URL.Path || parsed.EscapedPath() != r.URL.EscapedPath() ||
		parsed.RawPath != r.URL.RawPath || parsed.RawQuery != r.URL.RawQuery {
		t.Errorf("%s: the target %q reads as %#v, want %#v", event, r.RequestURI, parsed, r.URL)
	}
	if r.URL.Host != "" || r.URL.Scheme != "" || r.URL.Fragment != "" {
		t.Errorf("%s: URL = %#v, want a path alone", event, r.URL)
	}
}

func TestTheHTTPAPIsPathIsDecodedAlready(t *testing.T) {
	for path, target := range map[string]string{
		"/100%":      "/100%25",
		"/100%25":    "/100%2525",
		"/a%2Fb":     "/a%252Fb",
		"/a b":       "/a%20b",
		"/a?b=c#d":   "/a%3Fb=c%23d",
		"/ü":         "/%C3%BC",
		"/a+b":       "/a+b",
		"//host/x":   "//host/x",
		"/a\nb\x00c": "/a%0Ab%00c",
		"":           "/",
	} {
		want := path
		if want == "" {
			want = "/"
		}
		wantURL(t, httpAPI(path, "$default"), want, target)
		wantURL(t, restAPI("1.0", path, "$default"), want, target)
	}
}

func TestThePathsOfTheOthersAreDecodedOnce(t *testing.T) {
	for target, path := range map[string]string{
		"/a%2Fb":       "/a/b",
		"/a%252Fb":     "/a%2Fb",
		"/a%20b":       "/a b",
		"/100%25":      "/100%",
		"/%C3%BC":      "/ü",
		"/a%3Fb%23":    "/a?b#",
		"/a+b":         "/a+b",
		"//host/x":     "//host/x",
		"/%2Fhost":     "//host",
		"/%2e%2e/x":    "/../x",
		"/api/a%00b/":  "/api/a\x00b/",
		"/(a)!$&'*,;=": "/(a)!$&'*,;=",
	} {
		wantURL(t, functionURL(target, path), path, target)
		wantURL(t, restAPI("", target, "prod"), path, target)
		wantURL(t, balancer(target), path, target)
	}
}

func TestTheRequestTargetIsAlwaysEscaped(t *testing.T) {
	wantURL(t, functionURL("/a b\"\x01", "/a b"), "/a b\"\x01", "/a%20b%22%01")
	wantURL(t, balancer("/ü"), "/ü", "/%C3%BC")
}

func TestABadEscapeIsRefusedAndAnEmptyPathIsTheRoot(t *testing.T) {
	for _, path := range []string{"/100%", "/%", "/%zz", "/%2", "relative", "*"} {
		wantStatus(t, functionURL(path, "/x"), http.StatusBadRequest)
		wantStatus(t, restAPI("", path, "prod"), http.StatusBadRequest)
		wantStatus(t, balancer(path), http.StatusBadRequest)
	}
	for _, event := range []string{functionURL("", ""), restAPI("", "", "prod"), balancer("")} {
		wantURL(t, event, "/", "/")
	}
}

func TestANamedStageIsCutOffAsAWholeSegment(t *testing.T) {
	for _, c := range []struct{ path, stage, want string }{
		{"/prod/api/", "prod", "/api/"},
		{"/prod", "prod", "/"},
		{"/prod/", "prod", "/"},
		{"/prod/prod/x", "prod", "/prod/x"},
		{"/production/x", "prod", "/production/x"},
		{"/api/prod/", "prod", "/api/prod/"},
		{"/$default/x", "$default", "/$default/x"},
		{"/x", "", "/x"},
	} {
		for _, event := range []string{httpAPI(c.path, c.stage), restAPI("1.0", c.path, c.stage)} {
			if got := asked(t, event).URL.Path; got != c.want {
				t.Errorf("path of %s = %s, want %s", event, got, c.want)
			}
		}
		if got := asked(t, restAPI("", c.path, c.stage)).URL.Path; got != c.path {
			t.Errorf("a REST API's path %s becomes %s, want it whole: it never has the stage", c.path, got)
		}
	}
}

func TestABasePathIsCutOffAsWholeSegments(t *testing.T) {
	for _, c := range []struct{ base, path, want string }{
		{"/practice", "/practice/api/", "/api/"},
		{"/practice", "/practice", "/"},
		{"/practice/", "/practice/api/", "/api/"},
		{"/practice", "/practices/api/", "/practices/api/"},
		{"/practice", "/api/", "/api/"},
		{"/a/b", "/a/b/c", "/c"},
		{"", "/a/b", "/a/b"},
		{"/", "/a/b", "/a/b"},
	} {
		for _, event := range []string{httpAPI(c.path, "$default"), httpAPI("/prod"+c.path, "prod"), functionURL(c.path, c.path), restAPI("", c.path, "prod"), balancer(c.path)} {
			f := newFunction(t, nil)
			f.BasePath = c.base
			f.answers(event)
			if f.request.URL.Path != c.want {
				t.Errorf("path of %s without %s = %s, want %s", event, c.base, f.request.URL.Path, c.want)
			}
		}
	}
}
