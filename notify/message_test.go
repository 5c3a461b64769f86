package notify_test

import (
	"errors"
	"io"
	"net/mail"
	"strings"
	"testing"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

const (
	sender    = "Practice <mail@clinic.example>"
	publicURL = "https://records.clinic.example"
)

func composer(t testing.TB) *notify.Composer {
	t.Helper()
	c, err := notify.NewComposer(sender, publicURL)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func assigned(to string) store.Mail {
	return store.Mail{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", Account: "01890a5d-ac96-774b-bcce-b302099a8000", To: to,
		Kind: store.MailAssigned, Queued: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), Attempts: 1,
	}
}

func TestCompose(t *testing.T) {
	got, err := composer(t).Compose(assigned("ada@doctors.example"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`From: "Practice" <mail@clinic.example>`,
		"To: <ada@doctors.example>",
		"Subject: New Patient Assigned",
		"Date: Fri, 02 Jan 2026 03:04:05 +0000",
		"Message-ID: <01890a5d-ac96-774b-bcce-b302099a8057@clinic.example>",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 7bit",
		"Auto-Submitted: auto-generated",
		"",
		"You have been assigned a new patient. Sign in to see who it is.",
		"https://records.clinic.example",
		"",
	}, "\r\n")
	if string(got.Text) != want {
		t.Errorf("Compose text =\n%q, want\n%q", got.Text, want)
	}
	if got.From != "mail@clinic.example" || got.To != "ada@doctors.example" || got.UTF8 {
		t.Errorf("Compose envelope = %q, %q, UTF8 %t, want the plain addresses, false", got.From, got.To, got.UTF8)
	}
}

func TestComposeRecipient(t *testing.T) {
	tests := []struct {
		name, to, want string // want is the envelope's address; "" for refused
	}{
		{"plain", "a.b+c@d.example", "a.b+c@d.example"},
		{"not ASCII before the @", "jürgen@d.example", "jürgen@d.example"},
		{"not ASCII after the @", "a@müller.example", "a@müller.example"},
		{"quoted, for it must be", `"a b>"@d.example`, `"a b>"@d.example`},
		{"quoted needlessly", `"ab"@d.example`, "ab@d.example"},
		{"empty", "", ""},
		{"no @", "a", ""},
		{"comment", "a@d.example (Ada)", ""},
		{"display name", "Ada <a@d.example>", ""},
		{"two addresses", "a@d.example, b@d.example", ""},
		{"two addresses, closing the bracket", "a@d.example>, <b@d.example", ""},
		{"CRLF", "a@d.example\r\nBcc: b@d.example", ""},
		{"LF", "a@d.example\nBcc: b@d.example", ""},
		{"CR", "a@d.example\rBcc: b@d.example", ""},
		{"CRLF in quotes", "\"a\r\n b\"@d.example", ""},
		{"NUL", "a\x00@d.example", ""},
		{"tab", "\"a\tb\"@d.example", ""},
		{"control beyond ASCII", "a\u0085b@d.example", ""},
		{"not UTF-8", "a\xff@d.example", ""},
		{"address literal", "a@[127.0.0.1]", ""},
		{"address literal with @", "a@[b@c]", ""},
		{"too long", strings.Repeat("a", 250) + "@d.example", ""},
	}
	c := composer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.Compose(assigned(tt.to))
			if tt.want == "" {
				wantFailure(t, err, "bad address", notify.Never)
			} else if err != nil || got.To != tt.want {
				t.Errorf("Compose(to %q) = %q, %v, want %q", tt.to, got.To, err, tt.want)
			}
		})
	}
}

func TestComposeRefusesBadMail(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*store.Mail)
		reason string
		fate   notify.Fate
	}{
		{"kind of a newer version", func(m *store.Mail) { m.Kind = "newer" }, "unknown kind", notify.Again},
		{"no id", func(m *store.Mail) { m.ID = "" }, "bad id", notify.Never},
		{"id with CRLF", func(m *store.Mail) { m.ID = "a\r\nBcc: b@d.example" }, "bad id", notify.Never},
		{"id with bracket", func(m *store.Mail) { m.ID = "a>" }, "bad id", notify.Never},
		{"long id", func(m *store.Mail) { m.ID = strings.Repeat("a", 1000) }, "bad id", notify.Never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := assigned("ada@doctors.example")
			tt.spoil(&m)
			_, err := composer(t).Compose(m)
			wantFailure(t, err, tt.reason, tt.fate)
		})
	}
}

func TestNewComposer(t *testing.T) {
	tests := []struct {
		name, from, url string
		ok              bool
	}{
		{"address alone", "mail@clinic.example", publicURL, true},
		{"display name not ASCII", "Praxis Dr. Müller <mail@clinic.example>", publicURL, true},
		{"loopback", "webmaster@localhost", "http://127.0.0.1:8000", true},
		{"no sender", "", publicURL, false},
		{"no domain", "mail", publicURL, false},
		{"two senders", "a@clinic.example, b@clinic.example", publicURL, false},
		{"CRLF in sender", "Practice\r\nBcc: x@y.example <mail@clinic.example>", publicURL, false},
		{"folded sender", "Practice\r\n <mail@clinic.example>", publicURL, false},
		{"CRLF behind sender", "mail@clinic.example\r\n", publicURL, false},
		{"encoded CRLF in the name", "=?utf-8?q?a=0D=0AEvil?= <mail@clinic.example>", publicURL, false},
		{"NUL in the name", "\"a\x00\" <mail@clinic.example>", publicURL, false},
		{"not UTF-8", "\"a\xff\" <mail@clinic.example>", publicURL, false},
		{"address not ASCII", "jürgen@clinic.example", publicURL, false},
		{"address quoted", `"a b"@clinic.example`, publicURL, false},
		{"address literal", "mail@[127.0.0.1]", publicURL, false},
		{"name too long", strings.Repeat("a", 1000) + " <mail@clinic.example>", publicURL, false},
		{"no URL", "mail@clinic.example", "", false},
		{"URL without scheme", "mail@clinic.example", "records.clinic.example", false},
		{"URL without host", "mail@clinic.example", "https:///x", false},
		{"URL of a script", "mail@clinic.example", "javascript:alert(1)", false},
		{"URL with CRLF", "mail@clinic.example", "https://x.example/\r\n.\r\n", false},
		{"URL with space", "mail@clinic.example", "https://x.example/ a", false},
		{"URL not ASCII", "mail@clinic.example", "https://müller.example", false},
		{"URL too long", "mail@clinic.example", "https://x.example/" + strings.Repeat("a", 1000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := notify.NewComposer(tt.from, tt.url); (err == nil) != tt.ok {
				t.Errorf("NewComposer(%q, %q) error = %v, want ok %t", tt.from, tt.url, err, tt.ok)
			}
		})
	}
}

// FuzzMessage holds that whatever goes in, what comes out has the headers that
// were meant and no other.
func FuzzMessage(f *testing.F) {
	f.Add(sender, publicURL, "ada@doctors.example", "01890a5d-ac96-774b-bcce-b302099a8057", int64(1767323045))
	f.Add("a@b.example", "http://x", `"a\"b"@d.example`, "0", int64(0))
	f.Add("=?utf-8?b?w7w=?= <a@b.example>", "http://x:1/?a=b", "ü@d.example", "-", int64(-1))
	f.Add(`"a, b" <a@b.example>`, "http://x/.", "a@d.example (\r\n c)", "x\r\ny", int64(1))
	f.Fuzz(func(t *testing.T, from, url, to, id string, queued int64) {
		c, err := notify.NewComposer(from, url)
		if err != nil {
			return
		}
		queued %= 200_000_000_000 // years of four digits
		msg, err := c.Compose(store.Mail{ID: id, To: to, Kind: store.MailAssigned, Queued: time.Unix(max(queued, 0), 0)})
		if err != nil {
			return
		}
		got, err := mail.ReadMessage(strings.NewReader(string(msg.Text)))
		if err != nil {
			t.Fatalf("ReadMessage error = %v, want nil", err)
		}
		wantHeaders(t, got.Header, from, msg, id)
		body, _ := io.ReadAll(got.Body)
		want := "You have been assigned a new patient. Sign in to see who it is.\r\n" + url + "\r\n"
		if string(body) != want {
			t.Errorf("body = %q, want %q", body, want)
		}
		for line := range strings.SplitSeq(string(msg.Text), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("line %q is too long or broken", line)
			}
		}
	})
}

func wantHeaders(t *testing.T, got mail.Header, from string, msg notify.Message, id string) {
	t.Helper()
	want := map[string]string{
		"Subject": "New Patient Assigned", "Mime-Version": "1.0", "Content-Type": "text/plain; charset=utf-8",
		"Content-Transfer-Encoding": "7bit", "Auto-Submitted": "auto-generated",
		"Message-Id": "<" + id + msg.From[strings.LastIndex(msg.From, "@"):] + ">", "To": "<" + msg.To + ">",
		"From": "", "Date": "", // any, but one; looked at below
	}
	for name, values := range got {
		if w, ok := want[name]; !ok || len(values) != 1 || w != "" && values[0] != w {
			t.Errorf("header %s = %q, want %q", name, values, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d headers, want %d", len(got), len(want))
	}
	if _, err := got.Date(); err != nil {
		t.Errorf("Date error = %v, want nil", err)
	}
	meant, _ := mail.ParseAddress(from)
	senders, err := got.AddressList("From")
	if err != nil || len(senders) != 1 || *senders[0] != *meant || senders[0].Address != msg.From {
		t.Errorf("From = %v, %v, want %v alone", senders, err, meant)
	}
	if to, err := got.AddressList("To"); err != nil || len(to) != 1 || to[0].Name != "" {
		t.Errorf("To = %v, %v, want one bare address", to, err)
	}
}

// wantFailure checks what a Sender or Composer says about a mail.
func wantFailure(t *testing.T, err error, reason string, fate notify.Fate) {
	t.Helper()
	var f *notify.Failure
	if !errors.As(err, &f) || f.Reason != reason || f.Fate != fate {
		t.Errorf("error = %v, want reason %q, fate %d", err, reason, fate)
	}
}
