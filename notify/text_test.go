package notify_test

import (
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"testing"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

// A token as the store makes them.
const token = "q7J0mX2vT9bLr4sYcN8dKfWzHe1gPaUo6iQxBtVjMkR"

// TestTexts holds what every kind of mail says: a subject of its own, plain
// words, and one link at the end, with the token where there is one to be used.
func TestTexts(t *testing.T) {
	subjects := make(map[string]store.MailKind)
	for kind, link := range map[store.MailKind]string{
		store.MailAssigned:   publicURL,
		store.MailPassword:   publicURL,
		store.MailEmail:      publicURL,
		store.MailOTPOn:      publicURL,
		store.MailOTPOff:     publicURL,
		store.MailDevice:     publicURL,
		store.MailReset:      publicURL + "/#/password-reset/" + token,
		store.MailInvitation: publicURL + "/#/invitation/" + token,
	} {
		m := assigned("ada@doctors.example")
		m.Kind, m.Token = kind, token
		composed, err := composer(t).Compose(m)
		if err != nil {
			t.Errorf("Compose(%s) error = %v, want nil", kind, err)
			continue
		}
		got, err := mail.ReadMessage(strings.NewReader(string(composed.Text)))
		if err != nil {
			t.Fatalf("ReadMessage of %s error = %v, want nil", kind, err)
		}
		body, _ := io.ReadAll(got.Body)
		lines := strings.Split(strings.TrimSuffix(string(body), "\r\n"), "\r\n")
		if last := lines[len(lines)-1]; last != link || strings.Contains(strings.Join(lines[:len(lines)-1], ""), token) {
			t.Errorf("%s ends in %q, want %q and the token nowhere else", kind, last, link)
		}
		subject := got.Header.Get("Subject")
		if other, used := subjects[subject]; used || subject == "" {
			t.Errorf("%s has the subject %q of %s, want one of its own", kind, subject, other)
		}
		subjects[subject] = kind
		for _, r := range string(composed.Text) {
			if r > '~' {
				t.Errorf("%s holds %q, want ASCII", kind, r)
			}
		}
	}
}

// A token that is not good any more is sent to nobody, by either sender.
func TestMailWithoutItsTokenIsTooLate(t *testing.T) {
	for _, kind := range []store.MailKind{store.MailReset, store.MailInvitation} {
		m := assigned("ada@doctors.example")
		m.Kind = kind
		_, err := composer(t).Compose(m)
		wantFailure(t, err, "too late", notify.Never)
		wantFailure(t, notify.NewLog(slog.New(slog.DiscardHandler)).Send(t.Context(), m), "too late", notify.Never)
	}
}

// Who reads the log of a service without a mail server could use the token.
func TestLogHoldsNoToken(t *testing.T) {
	var out strings.Builder
	m := store.Mail{ID: "a", To: "ada@doctors.example", Kind: store.MailReset, Token: token, Queued: time.Unix(0, 0)}
	if err := notify.NewLog(slog.New(slog.NewTextHandler(&out, nil))).Send(t.Context(), m); err != nil {
		t.Fatalf("Send error = %v, want nil", err)
	}
	if !strings.Contains(out.String(), "Reset your password") || strings.Contains(out.String(), token) {
		t.Errorf("the log is %q, want the subject and no token", out.String())
	}
}
