package main

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestRoute(t *testing.T) {
	const path = "/api/patients/01982e3c-7a3f-7b1c-8d2e-0123456789ab/health-records/?search=secret"
	if got, want := route(path), "/api/patients/{id}/health-records/"; got != want {
		t.Errorf("route(%q) = %q, want %q", path, got, want)
	}
}

func TestReason(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{"detail":"Secret.","code":"throttled"}`, "code throttled"},
		{`{"user":{"username":["Secret"]},"doctors":["Secret"]}`, "members doctors, user.username"},
		{`{"code":"Secret text","Secret":1}`, "members (another), code"},
		{`<html>Secret`, "no JSON object"},
		{`null`, "no code"},
	}
	for _, test := range tests {
		if got := reason([]byte(test.body)); got != test.want {
			t.Errorf("reason(%s) = %q, want %q", test.body, got, test.want)
		}
	}
}

func TestPause(t *testing.T) {
	tests := []struct {
		header string
		try    int
		want   time.Duration
	}{
		{"3", 1, 3 * time.Second},
		{"0", 5, 0},
		{"999999", 1, mostWait},
		{"", 1, 250 * time.Millisecond},
		{"", 3, time.Second},
		{"-1", 1, 250 * time.Millisecond},
		{"", 1000, mostWait},
	}
	for _, test := range tests {
		h := http.Header{}
		h.Set("Retry-After", test.header)
		if got := pause(h, test.try); got != test.want {
			t.Errorf("pause(%q, %d) = %v, want %v", test.header, test.try, got, test.want)
		}
	}
}

func TestLifetime(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	if got, err := lifetime(token(`{"iat":1000,"exp":1300}`)); err != nil || got != 5*time.Minute {
		t.Errorf("lifetime = %v, %v, want 5m, nil", got, err)
	}
	for _, bad := range []string{"", "a.b", "a.!.c", token(`{"iat":1000}`), token(`[]`)} {
		if _, err := lifetime(bad); err == nil {
			t.Errorf("lifetime(%q) error = nil, want one", bad)
		}
	}
}

func TestNewClient(t *testing.T) {
	for _, server := range []string{"http://127.0.0.1:8000", "https://practice.example.org/"} {
		if _, err := newClient(server, 1, 0); err != nil {
			t.Errorf("newClient(%q) error = %v, want nil", server, err)
		}
	}
	for _, server := range []string{"", "127.0.0.1:8000", "ftp://host", "http://host/path", "http://"} {
		if _, err := newClient(server, 1, 0); err == nil {
			t.Errorf("newClient(%q) error = nil, want one", server)
		}
	}
}

func TestEach(t *testing.T) {
	t.Run("every one once", func(t *testing.T) {
		var done [100]atomic.Int32
		err := each(context.Background(), 7, len(done), func(_ context.Context, i int) error {
			done[i].Add(1)
			return nil
		})
		if err != nil {
			t.Errorf("each error = %v, want nil", err)
		}
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Errorf("f(%d) called %d times, want once", i, n)
			}
		}
	})
	t.Run("the first error ends the rest", func(t *testing.T) {
		bad := errors.New("bad")
		var calls atomic.Int32
		err := each(context.Background(), 1, 100, func(_ context.Context, i int) error {
			calls.Add(1)
			if i == 3 {
				return bad
			}
			return nil
		})
		if err != bad || calls.Load() != 4 {
			t.Errorf("each = %v after %d calls, want %v after 4", err, calls.Load(), bad)
		}
	})
}
