package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
	"healthrecords/store/storetest"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// practice is a store with doctors in it, and the log of its workers.
type practice struct {
	*store.Store
	t       *testing.T
	clock   *clock
	options store.Options
	log     bytes.Buffer
	doctors []string // ids of accounts
}

// newPractice makes a practice with a verified doctor for each address.
func newPractice(t *testing.T, addresses ...string) *practice {
	t.Helper()
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	p := newPracticeBy(t, c.Now, addresses...)
	p.clock = c
	return p
}

// newPracticeBy makes one whose time tests do not move by themselves.
func newPracticeBy(t *testing.T, now func() time.Time, addresses ...string) *practice {
	t.Helper()
	p := &practice{t: t}
	p.options = store.Options{
		URL:      storetest.URL(t),
		DataKeys: [][]byte{bytes.Repeat([]byte{7}, 32)},
		Create:   true, Migrate: true, Now: now, Log: slog.New(slog.DiscardHandler),
	}
	p.open()
	t.Cleanup(func() { p.Close() })
	staff := store.Command("test")
	if _, err := p.CreateStaff(t.Context(), staff, &store.StaffInput{User: user("admin", "")}); err != nil {
		t.Fatalf("CreateStaff error = %v, want nil", err)
	}
	c, err := p.BeginSignIn(t.Context(), store.Actor{}, "admin", store.Device{})
	if err != nil {
		t.Fatalf("BeginSignIn error = %v, want nil", err)
	}
	g, err := p.SignIn(t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		t.Fatalf("SignIn error = %v, want nil", err)
	}
	admin := store.Actor{Account: g.Account, Session: g.Session}
	for i, address := range addresses {
		d, err := p.CreateDoctor(t.Context(), admin, &store.DoctorInput{User: user(fmt.Sprint("doctor", i), address)})
		if err != nil {
			t.Fatalf("CreateDoctor error = %v, want nil", err)
		}
		p.doctors = append(p.doctors, d.ID)
	}
	return p
}

func (p *practice) open() {
	p.t.Helper()
	var err error
	if p.Store, err = store.Open(p.t.Context(), p.options); err != nil {
		p.t.Fatalf("Open error = %v, want nil", err)
	}
}

func user(name, address string) store.UserInput {
	first := "Firstname"
	return store.UserInput{Username: &name, Email: &address, FirstName: &first, PasswordHash: "hash"}
}

// assign queues a mail to each doctor: a patient registers that names them all.
func (p *practice) assign(patient string) {
	p.t.Helper()
	_, err := p.CreatePatient(p.t.Context(), store.Actor{}, &store.PatientInput{User: user(patient, ""), Doctors: &p.doctors})
	if err != nil {
		p.t.Fatalf("CreatePatient error = %v, want nil", err)
	}
}

func (p *practice) worker(s notify.Sender) *notify.Worker {
	return notify.New(p.Store, s, slog.New(slog.NewJSONHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// drain makes a pass that must find the mail server at work.
func (p *practice) drain(s notify.Sender) {
	p.t.Helper()
	if err := p.worker(s).Drain(p.t.Context()); err != nil {
		p.t.Errorf("Drain error = %v, want nil", err)
	}
}

func (p *practice) wantOutbox(waiting, failed int) {
	p.t.Helper()
	got, err := p.Outbox(p.t.Context())
	if err != nil || got.Waiting != waiting || got.Failed != failed {
		p.t.Errorf("Outbox = %d waiting, %d failed, %v, want %d, %d, nil", got.Waiting, got.Failed, err, waiting, failed)
	}
}

// due returns when the next mail is due.
func (p *practice) due() time.Time {
	p.t.Helper()
	due, err := p.NextMail(p.t.Context())
	if err != nil || due.IsZero() {
		p.t.Fatalf("NextMail = %v, %v, want a time", due, err)
	}
	return due
}

// lines returns what the workers have logged.
func (p *practice) lines() []map[string]any {
	p.t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(bytes.NewReader(p.log.Bytes())); d.More(); {
		line := map[string]any{}
		if err := d.Decode(&line); err != nil {
			p.t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// wantLine checks that one line was logged, about the first doctor's mail.
func (p *practice) wantLine(level, message, reason string) {
	p.t.Helper()
	lines := p.lines()
	if len(lines) != 1 {
		p.t.Fatalf("logged %v, want one line", lines)
	}
	got := lines[0]
	text, _ := got["msg"].(string)
	if got["level"] != level || !strings.Contains(text, message) || reason != "" && got["reason"] != reason {
		p.t.Errorf("logged %v, want at %s %q for the reason %q", got, level, message, reason)
	}
	if id, _ := got["mail"].(string); len(id) != 36 || got["account"] != p.doctors[0] || got["attempt"] == nil {
		p.t.Errorf("logged %v, want the ids of mail and account, and the attempt", got)
	}
}

// sendFunc is a Sender that fails as a test needs it.
type sendFunc func(ctx context.Context, m store.Mail) error

func (f sendFunc) Send(ctx context.Context, m store.Mail) error { return f(ctx, m) }

// failing always fails so.
func failing(reason string, fate notify.Fate) notify.Sender {
	return sendFunc(func(context.Context, store.Mail) error { return &notify.Failure{Reason: reason, Fate: fate} })
}

// recorder takes every mail.
type recorder struct {
	mu    sync.Mutex
	mails []store.Mail
}

func (r *recorder) Send(_ context.Context, m store.Mail) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mails = append(r.mails, m)
	return nil
}

func TestDrain(t *testing.T) {
	p := newPractice(t, "ada@doctors.example", "bob@doctors.example")
	p.assign("grace")
	s := serveMail(t, nil)
	p.drain(client(t, s, nil))
	p.wantOutbox(0, 0)
	p.wantNoAddress()
	got := s.received()
	if len(got) != 2 || got[0].to != "TO:<ada@doctors.example>" || got[1].to != "TO:<bob@doctors.example>" {
		t.Fatalf("received %+v, want one mail to ada, one to bob", got)
	}
	for _, m := range got {
		for _, word := range []string{"grace", "Firstname", "doctor0", "doctor1", p.doctors[0], p.doctors[1]} {
			if strings.Contains(m.data, word) {
				t.Errorf("a mail holds %q", word)
			}
		}
	}
	p.drain(client(t, s, nil))
	if again := s.received(); len(again) != 2 {
		t.Errorf("received %d mails after a second pass, want still 2", len(again))
	}
}

func TestDrainDelays(t *testing.T) {
	p := newPractice(t, "ada@doctors.example")
	p.assign("grace")
	queued := p.clock.Now()
	calls := 0
	s := sendFunc(func(context.Context, store.Mail) error {
		calls++
		return &notify.Failure{Reason: "smtp 450", Fate: notify.Again}
	})
	delays := []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour}
	for n := 1; p.clock.Now().Sub(queued) < 72*time.Hour; n++ {
		p.drain(s)
		if calls != n {
			t.Fatalf("%d attempts, want %d", calls, n)
		}
		want := delays[min(n, len(delays))-1]
		wait := p.due().Sub(p.clock.Now())
		if wait < want*8/10 || wait > want*12/10 {
			t.Errorf("delay after attempt %d = %v, want %v, a fifth more or less", n, wait, want)
		}
		p.clock.advance(wait - time.Microsecond)
		p.drain(s)
		if calls != n {
			t.Fatalf("%d attempts before the mail is due again, want %d", calls, n)
		}
		p.clock.advance(time.Microsecond)
	}
	p.wantOutbox(1, 0)
	p.log.Reset()
	p.drain(s)
	p.wantOutbox(0, 1)
	p.wantLine("ERROR", "given up", "smtp 450")
}

func TestDrainSpreadsDelays(t *testing.T) {
	p := newPractice(t, slices.Repeat([]string{"ada@doctors.example"}, 20)...)
	p.assign("grace")
	p.drain(failing("smtp 450", notify.Again))
	p.clock.set(p.due())
	r := &recorder{}
	p.drain(r)
	if len(r.mails) == 20 {
		t.Errorf("20 mails that failed together are due together, want them spread")
	}
}

func TestDrainOutcomes(t *testing.T) {
	tests := []struct {
		name    string
		send    notify.Sender
		waiting int // else it has failed
		level   string
		reason  string
	}{
		{"another time", failing("smtp 450", notify.Again), 1, "WARN", "smtp 450"},
		{"an error without a fate", sendFunc(func(context.Context, store.Mail) error { return errors.New("ada@doctors.example") }), 1, "WARN", "error"},
		{"for good", failing("smtp 550", notify.Never), 0, "ERROR", "smtp 550"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPractice(t, "ada@doctors.example")
			p.assign("grace")
			p.drain(tt.send)
			p.wantOutbox(tt.waiting, 1-tt.waiting)
			p.wantLine(tt.level, "mail", tt.reason)
			p.wantNoAddress()
		})
	}
	t.Run("sent", func(t *testing.T) {
		p := newPractice(t, "ada@doctors.example")
		p.assign("grace")
		p.drain(&recorder{})
		p.wantOutbox(0, 0)
		p.wantLine("INFO", "mail sent", "")
		p.wantNoAddress()
	})
	t.Run("no address", func(t *testing.T) {
		p := newPractice(t, "")
		p.assign("grace")
		r := &recorder{}
		p.drain(r)
		p.wantOutbox(0, 1)
		p.wantLine("ERROR", "given up", "no address")
		if len(r.mails) != 0 {
			t.Errorf("the sender was given %v, want nothing", r.mails)
		}
	})
}

func (p *practice) wantNoAddress() {
	p.t.Helper()
	if strings.Contains(p.log.String(), "@") {
		p.t.Errorf("the log holds an address: %s", p.log.String())
	}
}

func TestDrainPoisonBlocksNobody(t *testing.T) {
	for _, fate := range []notify.Fate{notify.Again, notify.Never} {
		p := newPractice(t, "poison@doctors.example", "ada@doctors.example", "bob@doctors.example")
		p.assign("grace")
		var sent []string
		p.drain(sendFunc(func(_ context.Context, m store.Mail) error {
			if m.To == "poison@doctors.example" {
				return &notify.Failure{Reason: "smtp 554", Fate: fate}
			}
			sent = append(sent, m.To)
			return nil
		}))
		if !slices.Equal(sent, []string{"ada@doctors.example", "bob@doctors.example"}) {
			t.Errorf("sent %q behind a mail of fate %d, want both others", sent, fate)
		}
	}
}

// When no mail can get through, one attempt finds it out and the rest wait.
func TestDrainOutage(t *testing.T) {
	tests := []struct {
		reason string
		fate   notify.Fate
		level  string
	}{
		{"connect", notify.Outage, "WARN"},
		{"smtp 535", notify.Misconfigured, "ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			p := newPractice(t, "ada@doctors.example", "bob@doctors.example")
			p.assign("grace")
			wantFailure(t, p.worker(failing(tt.reason, tt.fate)).Drain(t.Context()), tt.reason, tt.fate)
			p.wantLine(tt.level, "mail not sent", tt.reason)
			p.wantOutbox(2, 0)
			r := &recorder{}
			p.drain(r)
			if len(r.mails) != 1 || r.mails[0].Attempts != 1 {
				t.Errorf("sent %+v, want the one mail that waited, in its first attempt", r.mails)
			}
			p.clock.advance(6 * time.Second)
			p.drain(r)
			if len(r.mails) != 2 || r.mails[1].Attempts != 2 {
				t.Errorf("sent %+v, want the first one too, in its second attempt", r.mails)
			}
		})
	}
}

func TestDrainSharesTheOutbox(t *testing.T) {
	const n = 30
	p := newPractice(t, slices.Repeat([]string{"ada@doctors.example"}, n)...)
	p.assign("grace")
	r := &recorder{}
	var both sync.WaitGroup
	for range 2 {
		w := notify.New(p.Store, r, slog.New(slog.DiscardHandler))
		both.Go(func() {
			if err := w.Drain(t.Context()); err != nil {
				t.Errorf("Drain error = %v, want nil", err)
			}
		})
	}
	both.Wait()
	ids := map[string]bool{}
	for _, m := range r.mails {
		ids[m.ID] = true
	}
	if len(r.mails) != n || len(ids) != n {
		t.Errorf("%d mails sent of %d ids, want each of %d once", len(r.mails), len(ids), n)
	}
}

func TestDrainAfterAWorkerDied(t *testing.T) {
	p := newPractice(t, "ada@doctors.example")
	p.assign("grace")
	started := make(chan struct{})
	block := make(chan struct{})
	var dying sync.WaitGroup
	dying.Go(func() {
		notify.New(p.Store, sendFunc(func(context.Context, store.Mail) error {
			close(started)
			<-block
			return &notify.Failure{Reason: "lost", Fate: notify.Again}
		}), slog.New(slog.DiscardHandler)).Drain(t.Context())
	})
	<-started
	r := &recorder{}
	p.clock.advance(90 * time.Second) // the longest attempt
	p.drain(r)
	if len(r.mails) != 0 {
		t.Errorf("sent %d mails while another worker may be at it, want none", len(r.mails))
	}
	p.clock.advance(time.Minute)
	p.drain(r)
	if len(r.mails) != 1 {
		t.Errorf("sent %d mails after the lease, want 1", len(r.mails))
	}
	close(block)
	dying.Wait()
	p.wantOutbox(0, 0) // and the late failure of the first changes nothing
}

// A mail is sent again, as the same message, when nobody knows that it left.
func TestDrainSendsAgainUnderTheSameID(t *testing.T) {
	t.Run("the server's answer was lost", func(t *testing.T) {
		p := newPractice(t, "ada@doctors.example")
		p.assign("grace")
		s := serveMail(t, func(s *mailServer) { s.faults["."] = drop })
		p.drain(client(t, s, nil))
		p.wantOutbox(1, 0)
		p.wantLine("WARN", "tried again", "unconfirmed")
		p.clock.set(p.due())
		p.drain(client(t, s, nil))
		wantSame(t, s)
	})
	t.Run("the mark was lost", func(t *testing.T) {
		p := newPractice(t, "ada@doctors.example")
		p.assign("grace")
		s := serveMail(t, nil)
		smtp := client(t, s, nil)
		err := p.worker(sendFunc(func(ctx context.Context, m store.Mail) error {
			err := smtp.Send(ctx, m)
			p.Close()
			return err
		})).Drain(t.Context())
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Drain error = %v, want %v", err, store.ErrUnavailable)
		}
		if lines := p.lines(); len(lines) != 2 || lines[0]["level"] != "ERROR" || !strings.Contains(lines[0]["msg"].(string), "not marked") {
			t.Errorf("logged %v, want that the mark is missing, and that the outbox is away", lines)
		}
		p.open()
		p.clock.set(p.due())
		p.drain(smtp)
		p.wantOutbox(0, 0)
		wantSame(t, s)
	})
}

// A failure that cannot be marked leaves the mail to its lease.
func TestDrainWithoutTheStore(t *testing.T) {
	for _, fate := range []notify.Fate{notify.Again, notify.Never} {
		p := newPractice(t, "ada@doctors.example")
		p.assign("grace")
		err := p.worker(sendFunc(func(context.Context, store.Mail) error {
			p.Close()
			return &notify.Failure{Reason: "smtp 999", Fate: fate}
		})).Drain(t.Context())
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Drain error = %v, want %v", err, store.ErrUnavailable)
		}
		if lines := p.lines(); len(lines) != 2 || lines[0]["level"] != "ERROR" || !strings.Contains(lines[0]["msg"].(string), "not marked") {
			t.Errorf("logged %v, want that the mark is missing, and that the outbox is away", lines)
		}
		p.open()
		p.wantOutbox(1, 0)
		r := &recorder{}
		p.clock.set(p.due())
		p.drain(r)
		if len(r.mails) != 1 || r.mails[0].Attempts != 2 {
			t.Errorf("sent %+v after the lease, want the mail in its second attempt", r.mails)
		}
	}
}

func wantSame(t *testing.T, s *mailServer) {
	t.Helper()
	got := s.received()
	if len(got) != 2 || got[0].data != got[1].data || !strings.Contains(got[0].data, "\r\nMessage-ID: <") {
		t.Errorf("received %+v, want the same message twice", got)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	t.Run("before a mail", func(t *testing.T) {
		p := newPractice(t, "ada@doctors.example")
		p.assign("grace")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := &recorder{}
		if err := p.worker(r).Drain(ctx); err != nil || len(r.mails) != 0 {
			t.Errorf("Drain = %v with %d mails sent, want nil, none", err, len(r.mails))
		}
		if got := p.due(); !got.Equal(p.clock.Now()) {
			t.Errorf("the mail is due at %v, want still at %v", got, p.clock.Now())
		}
	})
	t.Run("during a mail", func(t *testing.T) {
		p := newPractice(t, "ada@doctors.example", "bob@doctors.example")
		p.assign("grace")
		s := serveMail(t, func(s *mailServer) { s.faults["RCPT"] = hang })
		if err := p.worker(client(t, s, nil)).Drain(until(t, s)); err != nil {
			t.Errorf("Drain error = %v, want nil", err)
		}
		p.wantLine("WARN", "tried again", "timeout")
		r := &recorder{}
		p.drain(r) // the other was not begun
		p.clock.advance(6 * time.Second)
		p.drain(r)
		if len(r.mails) != 2 {
			t.Errorf("sent %d mails afterwards, want both", len(r.mails))
		}
	})
}

// Without a mail server the log is where mails go.
func TestDrainToLog(t *testing.T) {
	p := newPractice(t, "ada@doctors.example")
	p.assign("grace")
	var out bytes.Buffer
	p.drain(notify.NewLog(slog.New(slog.NewTextHandler(&out, nil))))
	p.wantOutbox(0, 0)
	if got := out.String(); !strings.Contains(got, "to=ada@doctors.example") || !strings.Contains(got, `subject="New Patient Assigned"`) {
		t.Errorf("logged %q, want recipient and subject", got)
	}
	if got := p.log.String(); strings.Contains(got, "mail sent") {
		t.Errorf("logged %q, want no word that mail was sent", got)
	}
	p.wantNoAddress()
}
