package handlers_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"healthrecords/lambda/lambdatest"
)

// TestClientAddressOnLambda holds that the address in the trail is the one that
// AWS saw, unless that is a trusted proxy's: c trusts 10.0.0.0/8.
func TestClientAddressOnLambda(t *testing.T) {
	c := newClinic(t)
	for _, test := range []struct{ peer, sent, want string }{
		{"192.0.2.1:1234", "", "192.0.2.1"},
		{"192.0.2.1:1234", "203.0.113.7", "192.0.2.1"},
		{"192.0.2.1:1234", "203.0.113.7, 10.0.0.1", "192.0.2.1"},
		{"[2001:db8::1]:1234", "203.0.113.7", "2001:db8::1"},
		{"10.0.0.1:1234", "203.0.113.7", "203.0.113.7"},
		{"10.0.0.1:1234", "198.51.100.9, 203.0.113.7, 10.9.9.9", "203.0.113.7"},
	} {
		for _, kind := range lambdatest.Kinds {
			r := c.as(c.pat, "GET", "/api/me/", nil)
			r.RemoteAddr = test.peer
			if test.sent != "" {
				r.Header.Set("X-Forwarded-For", test.sent)
			}
			r.Header.Set("X-Real-Ip", "198.51.100.66")
			r.Header.Set("Forwarded", "for=198.51.100.67")
			w := httptest.NewRecorder()
			lambdatest.Behind(kind, c).ServeHTTP(w, r)
			got := c.query(`SELECT address FROM audit WHERE request = $1`, w.Header().Get("X-Request-Id"))
			if got != test.want {
				t.Errorf("%s, from %s for %q: the trail has %q, want %q", kind, test.peer, test.sent, got, test.want)
			}
		}
	}
}

func TestHostsAndLinksOnLambda(t *testing.T) {
	c := newClinic(t) // allows example.com and .example.org
	for _, kind := range lambdatest.Kinds {
		on := *c.practice
		on.Handler = lambdatest.Behind(kind, c)
		r := on.do(nobody, "GET", "/api/", "", "Host: a.example.org")
		if r.status != 200 || !strings.Contains(r.body, `"https://a.example.org/api/patients/"`) {
			t.Errorf("%s: GET /api/ = %d %s, want links to https://a.example.org", kind, r.status, r.body)
		}
		on.do(nobody, "GET", "/api/", "", "Host: a.example.net").want(t, string(kind)+": another host", 400, `{"detail":"This host is not served here.","code":"invalid_host"}`)
	}
}
