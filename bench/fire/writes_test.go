package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"testing"
)

// A trial that finds nothing wrong says something only if it would.
func TestLookFindsWhatIsWrong(t *testing.T) {
	whole := func(n int) string { return fmt.Sprintf(`{"id":"a","title":"#%d#","description":"#%d#"}`, n, n) }
	tests := []struct {
		name   string
		status int
		body   string
		may    []int64
		good   bool
	}{
		{"as it was acknowledged", 200, whole(7), []int64{7}, true},
		{"before a write that was not acknowledged", 200, whole(7), []int64{7, 8}, true},
		{"after it", 200, whole(8), []int64{7, 8}, true},
		{"an older write", 200, whole(6), []int64{7}, false},
		{"half of a write", 200, `{"id":"a","title":"#8#","description":"#7#"}`, []int64{7, 8}, false},
		{"lost", 404, `{}`, []int64{7}, false},
		{"deleted", 404, `{}`, []int64{0}, true},
		{"there again", 200, whole(7), []int64{0}, false},
		{"not to be read", 503, `{}`, []int64{7}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := writerOn(t, test.status, test.body)
			w.touched[&thing{kind: records, id: "a", may: test.may}] = true
			if err := w.look(context.Background()); (err == nil) != test.good {
				t.Errorf("look() = %v, want nil: %v", err, test.good)
			}
		})
	}
}

func TestLookFindsWhatWasNotAcknowledged(t *testing.T) {
	const list = `{"results":[{"id":"b","title":"#9#","description":"#9#"},{"id":"a","title":"#%d#","description":"#7#"}]}`
	for made, want := range map[int]string{7: "a", 8: ""} {
		w := writerOn(t, 200, fmt.Sprintf(list, 7))
		found := &thing{kind: records, made: int64(made), may: []int64{0, int64(made)}}
		if err := w.check(context.Background(), found); err != nil || found.id != want {
			t.Errorf("check() of write %d = %v, id %q, want nil, %q", made, err, found.id, want)
		}
	}
	w := writerOn(t, 200, fmt.Sprintf(list, 6))
	if err := w.check(context.Background(), &thing{kind: records, made: 7}); err == nil {
		t.Error("check() with half a write in the list = nil, want an error")
	}
}

// writerOn returns a writer at a service that always answers the same.
func writerOn(t *testing.T, status int, body string) *writer {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	p := &practice{service: &service{address: strings.TrimPrefix(server.URL, "http://")}, client: server.Client()}
	return &writer{p: p, patient: &user{p: p}, touched: make(map[*thing]bool)}
}

func TestMailboxCountsMessageIDs(t *testing.T) {
	m, err := openMailbox()
	if err != nil {
		t.Fatal(err)
	}
	defer m.listener.Close()
	m.promise(letter{"new1@example.org", aboutReset})
	m.promise(letter{"new3@example.org", aboutReset})
	for _, mail := range []struct{ to, id string }{{"new1", "x"}, {"new1", "x"}, {"new1", "x"}, {"new2", "y"}, {"new2", "z"}} {
		text := fmt.Sprintf("Subject: %s\r\nMessage-ID: <%s>\r\n\r\nhttp://localhost/#/password-reset/secret-%s\r\n", aboutReset, mail.id, mail.id)
		if err := send(m.listener.Addr(), mail.to+"@example.org", text); err != nil {
			t.Fatal(err)
		}
	}
	if doubled, often := m.judge(); doubled != 1 || often != 3 {
		t.Errorf("judge() = %d, %d, want 1, 3", doubled, often)
	}
	if n := m.outstanding(); n != 1 {
		t.Errorf("outstanding() = %d, want 1", n)
	}
	if got, want := m.token(letter{"new1@example.org", aboutReset}), "secret-x"; got != want {
		t.Errorf("token() = %q, want %q", got, want)
	}
}

func send(server net.Addr, to, text string) error {
	return smtp.SendMail(server.String(), nil, "practice@example.org", []string{to}, []byte(text))
}
