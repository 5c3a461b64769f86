package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

// client returns an SMTP that would get on with a good mailServer.
func client(t *testing.T, s *mailServer, change func(*notify.Server)) *notify.SMTP {
	t.Helper()
	server := notify.Server{Host: s.host, Port: s.port(), User: s.user, Password: s.password, Roots: authority.pool()}
	if s.forced {
		server.Security = notify.ForcedTLS
	}
	if change != nil {
		change(&server)
	}
	c, err := notify.NewSMTP(server, composer(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until returns a context that ends when the server has begun to hang.
func until(t *testing.T, s *mailServer) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		select {
		case <-s.reached:
		case <-s.done:
		}
	}()
	return ctx
}

func TestSend(t *testing.T) {
	withUser := "clinic"
	tests := []struct {
		name   string
		server func(*mailServer)
		client func(*notify.Server)
		tls    bool
		user   string
	}{
		{"STARTTLS and AUTH", nil, nil, true, withUser},
		{"TLS from the first byte", func(s *mailServer) { s.forced = true }, nil, true, withUser},
		{"without a user", nil, func(s *notify.Server) { s.User, s.Password = "", "" }, true, ""},
		{"in clear on this machine", func(s *mailServer) { s.offers = []string{"AUTH PLAIN"} },
			func(s *notify.Server) { s.Security = notify.Clear }, false, withUser},
		{"in clear to one that knows only HELO", func(s *mailServer) { s.faults["EHLO"], s.faults["HELO"] = "502 what?", "250 test" },
			func(s *notify.Server) { s.Security, s.User, s.Password = notify.Clear, "", "" }, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveMail(t, tt.server)
			m := assigned("ada@doctors.example")
			c := client(t, s, tt.client)
			if err := c.Send(t.Context(), m); err != nil {
				t.Fatalf("Send error = %v, want nil", err)
			}
			msg, err := c.Compose(m)
			if err != nil {
				t.Fatal(err)
			}
			want := delivery{"FROM:<mail@clinic.example>", "TO:<ada@doctors.example>", string(msg.Text), tt.tls, tt.user, "[127.0.0.1]"}
			if got := s.received(); !slices.Equal(got, []delivery{want}) {
				t.Errorf("received %+v, want %+v", got, want)
			}
		})
	}
}

func TestSendOverIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6")
	} else {
		l.Close()
	}
	s := serveMail(t, func(s *mailServer) { s.host, s.cert = "::1", certificate(t, authority, "::1") })
	if err := client(t, s, nil).Send(t.Context(), assigned("ada@doctors.example")); err != nil {
		t.Fatalf("Send error = %v, want nil", err)
	}
	if got := s.received(); len(got) != 1 || got[0].name != "[IPv6:::1]" {
		t.Errorf("received %+v, want one mail from [IPv6:::1]", got)
	}
}

func TestSendUTF8(t *testing.T) {
	m := assigned("jürgen@doctors.example")
	t.Run("the server takes it", func(t *testing.T) {
		s := serveMail(t, func(s *mailServer) { s.offers = append(s.offers, "SMTPUTF8") })
		if err := client(t, s, nil).Send(t.Context(), m); err != nil {
			t.Fatalf("Send error = %v, want nil", err)
		}
		got := s.received()
		if len(got) != 1 || got[0].from != "FROM:<mail@clinic.example> BODY=8BITMIME SMTPUTF8" || got[0].to != "TO:<"+m.To+">" {
			t.Errorf("received %+v, want one with SMTPUTF8 to %s", got, m.To)
		}
	})
	t.Run("the server does not", func(t *testing.T) {
		s := serveMail(t, nil)
		wantFailure(t, client(t, s, nil).Send(t.Context(), m), "smtputf8", notify.Never)
		wantNothing(t, s)
	})
	t.Run("an ASCII address does not need it", func(t *testing.T) {
		s := serveMail(t, func(s *mailServer) { s.offers = append(s.offers, "SMTPUTF8") })
		if err := client(t, s, nil).Send(t.Context(), assigned("ada@doctors.example")); err != nil {
			t.Fatalf("Send error = %v, want nil", err)
		}
		if got := s.received(); len(got) != 1 || got[0].from != "FROM:<mail@clinic.example>" {
			t.Errorf("received %+v, want one without options", got)
		}
	})
}

func TestSendFailure(t *testing.T) {
	tests := []struct {
		step, fault string
		reason      string
		fate        notify.Fate
	}{
		{"greeting", "421 busy", "smtp 421", notify.Outage},
		{"greeting", "554 go away", "smtp 554", notify.Misconfigured},
		{"greeting", "hello there", "protocol", notify.Outage},
		{"greeting", drop, "connect", notify.Outage},
		{"greeting", flood, "protocol", notify.Outage},
		{"EHLO", drop, "connect", notify.Outage},
		{"STARTTLS", "454 not now", "smtp 454", notify.Outage},
		{"STARTTLS", "502 not ever", "smtp 502", notify.Misconfigured},
		{"STARTTLS", drop, "tls", notify.Misconfigured},
		{"AUTH", "454 not now", "smtp 454", notify.Outage},
		{"AUTH", "535 who?", "smtp 535", notify.Misconfigured},
		{"AUTH", "334 VXNlcm5hbWU6", "auth", notify.Misconfigured},
		{"MAIL", "451 not now", "smtp 451", notify.Again},
		{"MAIL", "421 closing", "smtp 421", notify.Again},
		{"MAIL", "550 not from you", "smtp 550", notify.Never},
		{"MAIL", "530 authentication required", "smtp 530", notify.Misconfigured},
		{"MAIL", "25", "protocol", notify.Again},
		{"MAIL", drop, "lost", notify.Again},
		{"RCPT", "450 greylisted", "smtp 450", notify.Again},
		{"RCPT", "550-5.1.1 no such user\r\n550 ada@doctors.example", "smtp 550", notify.Never},
		{"RCPT", drop, "lost", notify.Again},
		{"RCPT", flood, "protocol", notify.Again},
		{"DATA", "452 full", "smtp 452", notify.Again},
		{"DATA", "554 no", "smtp 554", notify.Never},
		{"DATA", "250 ok", "smtp 250", notify.Again}, // not what it must say
		{"DATA", drop, "lost", notify.Again},
		{".", "451 not now", "smtp 451", notify.Again},
		{".", "552 too big", "smtp 552", notify.Never},
		{".", "ok", "unconfirmed", notify.Again},
		{".", drop, "unconfirmed", notify.Again},
	}
	for _, tt := range tests {
		t.Run(tt.step+" "+tt.fault, func(t *testing.T) {
			s := serveMail(t, func(s *mailServer) { s.faults[tt.step] = tt.fault })
			err := client(t, s, nil).Send(t.Context(), assigned("ada@doctors.example"))
			wantFailure(t, err, tt.reason, tt.fate)
			if err != nil && strings.Contains(err.Error(), "ada@") {
				t.Errorf("error %q quotes the recipient", err)
			}
		})
	}
}

// A server that stops answering, or never ends an answer, holds nobody longer
// than the context.
func TestSendEndsWithItsContext(t *testing.T) {
	for _, fault := range []string{hang, trickle} {
		for _, step := range []string{"greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "."} {
			t.Run(fault+" at "+step, func(t *testing.T) {
				s := serveMail(t, func(s *mailServer) { s.faults[step] = fault })
				err := client(t, s, nil).Send(until(t, s), assigned("ada@doctors.example"))
				switch step {
				case "greeting", "EHLO", "STARTTLS", "AUTH":
					wantFailure(t, err, "timeout", notify.Outage)
				case ".":
					wantFailure(t, err, "unconfirmed", notify.Again)
				default:
					wantFailure(t, err, "timeout", notify.Again)
				}
			})
		}
	}
}

// A context without an end is ended by SendTimeout.
func TestSendTimeout(t *testing.T) {
	tests := []struct {
		name, step, fault string
		security          notify.Security
	}{
		{"nothing", "greeting", hang, notify.StartTLS},
		{"half a reply", "EHLO", "250-test", notify.StartTLS},
		{"byte by byte", "EHLO", trickle, notify.StartTLS},
		{"no handshake", "greeting", hang, notify.ForcedTLS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveMail(t, func(s *mailServer) { s.faults[tt.step] = tt.fault })
			c := client(t, s, func(s *notify.Server) { s.SendTimeout, s.Security = 100*time.Millisecond, tt.security })
			wantFailure(t, c.Send(t.Context(), assigned("ada@doctors.example")), "timeout", notify.Outage)
		})
	}
}

// After the final dot was answered, nothing undoes the success, and nothing
// keeps it back for longer than ConnectTimeout.
func TestSendQuit(t *testing.T) {
	for _, fault := range []string{"500 no", "garbage", drop, hang, trickle, flood} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := serveMail(t, func(s *mailServer) { s.faults["QUIT"] = fault })
			c := client(t, s, func(s *notify.Server) { s.ConnectTimeout, s.SendTimeout = time.Second, time.Hour })
			if err := c.Send(t.Context(), assigned("ada@doctors.example")); err != nil {
				t.Errorf("Send error = %v, want nil", err)
			}
			if got := s.received(); len(got) != 1 {
				t.Errorf("received %d mails, want 1", len(got))
			}
		})
	}
}

func TestSendNeverFallsBackToClear(t *testing.T) {
	past := time.Now().Add(-time.Minute)
	tests := []struct {
		name   string
		server func(*mailServer)
		client func(*notify.Server)
	}{
		{"no STARTTLS offered", func(s *mailServer) { s.offers = []string{"AUTH PLAIN"} }, nil},
		{"no EHLO", func(s *mailServer) { s.faults["EHLO"], s.faults["HELO"] = "502 what?", "250 test" }, nil},
		{"certificate of a stranger", func(s *mailServer) { s.cert = certificate(t, stranger, "127.0.0.1") }, nil},
		{"certificate of another host", func(s *mailServer) { s.cert = certificate(t, authority, "mail.example.org") }, nil},
		{"certificate expired", func(s *mailServer) { s.cert = certificateUntil(t, authority, "127.0.0.1", past) }, nil},
		{"another host, TLS from the first byte", func(s *mailServer) {
			s.forced, s.cert = true, certificate(t, authority, "mail.example.org")
		}, nil},
		{"no TLS where it was to be from the first byte", nil, func(s *notify.Server) { s.Security = notify.ForcedTLS }},
		{"garbage instead of a handshake", func(s *mailServer) { s.faults["STARTTLS"] = "220 go ahead\r\n220 not TLS" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveMail(t, tt.server)
			err := client(t, s, tt.client).Send(t.Context(), assigned("ada@doctors.example"))
			wantFailure(t, err, "tls", notify.Misconfigured)
			wantNothing(t, s)
		})
	}
}

func TestSendNeedsAuthWhereGivenAUser(t *testing.T) {
	s := serveMail(t, func(s *mailServer) { s.offers = []string{"STARTTLS"} })
	wantFailure(t, client(t, s, nil).Send(t.Context(), assigned("ada@doctors.example")), "auth", notify.Misconfigured)
	s = serveMail(t, nil)
	c := client(t, s, func(s *notify.Server) { s.Password = "mistyped" })
	wantFailure(t, c.Send(t.Context(), assigned("ada@doctors.example")), "smtp 535", notify.Misconfigured)
	wantNothing(t, s)
}

func TestSendUnreachable(t *testing.T) {
	s := serveMail(t, nil)
	c := client(t, s, nil)
	s.listener.Close()
	wantFailure(t, c.Send(t.Context(), assigned("ada@doctors.example")), "connect", notify.Outage)
}

func TestSendRefusesBadMailBeforeConnecting(t *testing.T) {
	s := serveMail(t, nil)
	err := client(t, s, nil).Send(t.Context(), assigned("ada@doctors.example\r\nRCPT TO:<b@d.example>"))
	wantFailure(t, err, "bad address", notify.Never)
	if got := s.verbs(); len(got) != 0 {
		t.Errorf("the server heard %q, want nothing", got)
	}
}

func TestCheck(t *testing.T) {
	s := serveMail(t, nil)
	if err := client(t, s, nil).Check(t.Context()); err != nil {
		t.Errorf("Check error = %v, want nil", err)
	}
	c := client(t, s, func(s *notify.Server) { s.Password = "mistyped" })
	wantFailure(t, c.Check(t.Context()), "smtp 535", notify.Misconfigured)
	wantNothing(t, s)
}

func TestNewSMTP(t *testing.T) {
	good := notify.Server{Host: "mail.example.org", Port: 587, User: "u", Password: "p"}
	tests := []struct {
		name   string
		change func(*notify.Server)
		ok     bool
	}{
		{"STARTTLS", func(s *notify.Server) {}, true},
		{"TLS", func(s *notify.Server) { s.Security = notify.ForcedTLS }, true},
		{"without a user", func(s *notify.Server) { s.User, s.Password = "", "" }, true},
		{"clear to 127.0.0.1", func(s *notify.Server) { s.Security, s.Host = notify.Clear, "127.0.0.1" }, true},
		{"clear to ::1", func(s *notify.Server) { s.Security, s.Host = notify.Clear, "::1" }, true},
		{"clear to localhost", func(s *notify.Server) { s.Security, s.Host = notify.Clear, "localhost" }, true},
		{"clear beyond loopback", func(s *notify.Server) { s.Security = notify.Clear }, false},
		{"clear to an address beyond loopback", func(s *notify.Server) { s.Security, s.Host = notify.Clear, "192.0.2.1" }, false},
		{"clear to a name that begins so", func(s *notify.Server) { s.Security, s.Host = notify.Clear, "localhost.example.org" }, false},
		{"no host", func(s *notify.Server) { s.Host = "" }, false},
		{"port 0", func(s *notify.Server) { s.Port = 0 }, false},
		{"port too big", func(s *notify.Server) { s.Port = 65536 }, false},
		{"security unknown", func(s *notify.Server) { s.Security = 3 }, false},
		{"user alone", func(s *notify.Server) { s.Password = "" }, false},
		{"password alone", func(s *notify.Server) { s.User = "" }, false},
		{"NUL in the password", func(s *notify.Server) { s.Password = "p\x00q" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := good
			tt.change(&s)
			if _, err := notify.NewSMTP(s, composer(t)); (err == nil) != tt.ok {
				t.Errorf("NewSMTP error = %v, want ok %t", err, tt.ok)
			}
		})
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	server := notify.Server{Host: "mail.example.org", Port: 587, User: "u", Password: "correct horse"}
	c, err := notify.NewSMTP(server, composer(t))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{server, &server, c, *c} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x", v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("", "v", v)
		json.NewEncoder(&out).Encode(v)
	}
	for _, form := range []string{server.Password, fmt.Sprintf("%x", server.Password)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("printing a server or client shows the password as %q", form)
		}
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	l := notify.NewLog(slog.New(slog.NewJSONHandler(&out, nil)))
	m := assigned("ada@doctors.example")
	if err := l.Send(t.Context(), m); err != nil {
		t.Fatalf("Send error = %v, want nil", err)
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["level"] != "INFO" || got["to"] != m.To || got["subject"] != "New Patient Assigned" {
		t.Errorf("logged %v, want at INFO the recipient and the subject", got)
	}
	m.Kind = store.MailKind("newer")
	wantFailure(t, l.Send(t.Context(), m), "unknown kind", notify.Again)
}

// wantNothing checks that a server took no mail and was not even offered one.
func wantNothing(t *testing.T, s *mailServer) {
	t.Helper()
	if got := s.received(); len(got) != 0 {
		t.Errorf("received %d mails, want none", len(got))
	}
	if got := s.verbs(); slices.Contains(got, "MAIL") {
		t.Errorf("the server heard %q, want no MAIL", got)
	}
}
