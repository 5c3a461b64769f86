package notify_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

// These tests run in a bubble: time passes at once when everyone waits, and
// what is measured is exact.

// attempt is a mail as a Sender saw it.
type attempt struct {
	mail store.Mail
	at   time.Time
}

// bubble runs a test of a worker that runs, with send as its sender. Calling
// end ends the worker and waits for that.
func bubble(t *testing.T, send notify.Sender, doctors int, test func(t *testing.T, p *practice, end func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		addresses := []string{"ada@doctors.example", "bob@doctors.example"}
		p := newPracticeBy(t, time.Now, addresses[:doctors]...)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			p.worker(send).Run(ctx)
			close(done)
		}()
		synctest.Wait()
		test(t, p, func() { cancel(); <-done })
	})
}

func TestRunSendsAtOnce(t *testing.T) {
	r := &recorder{}
	bubble(t, r, 1, func(t *testing.T, p *practice, end func()) {
		for i, patient := range []string{"grace", "mary", "rosalind"} {
			p.assign(patient)
			synctest.Wait()
			if len(r.mails) != i+1 {
				t.Errorf("%d mails sent when %d were queued, want all without waiting", len(r.mails), i+1)
			}
			time.Sleep(10 * time.Second)
		}
		end()
		p.wantOutbox(0, 0)
	})
}

func TestRunTriesAgainWhenDue(t *testing.T) {
	var attempts []attempt
	s := sendFunc(func(_ context.Context, m store.Mail) error {
		attempts = append(attempts, attempt{m, time.Now()})
		if len(attempts) < 4 {
			return &notify.Failure{Reason: "smtp 450", Fate: notify.Again}
		}
		return nil
	})
	bubble(t, s, 1, func(t *testing.T, p *practice, end func()) {
		p.assign("grace")
		time.Sleep(time.Hour)
		end()
		p.wantOutbox(0, 0)
	})
	for i, want := range []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute} {
		got := attempts[i+1].at.Sub(attempts[i].at)
		if got < want*8/10 || got > want*12/10 {
			t.Errorf("attempt %d came %v after the one before, want %v, a fifth more or less", i+2, got, want)
		}
	}
}

// Another process queues mail without a word to this one.
func TestRunLooksEveryMinute(t *testing.T) {
	r := &recorder{}
	bubble(t, r, 1, func(t *testing.T, p *practice, end func()) {
		own := p.Store
		p.open()
		p.assign("grace")
		p.Close()
		p.Store = own
		time.Sleep(time.Minute + time.Second)
		end()
		if len(r.mails) != 1 {
			t.Errorf("%d mails sent within a minute, want 1", len(r.mails))
		}
	})
}

// While no mail gets through, new ones do not make a worker knock more often.
func TestRunPausesInAnOutage(t *testing.T) {
	var attempts []attempt
	s := sendFunc(func(_ context.Context, m store.Mail) error {
		attempts = append(attempts, attempt{m, time.Now()})
		if len(attempts) < 3 {
			return &notify.Failure{Reason: "connect", Fate: notify.Outage}
		}
		return nil
	})
	bubble(t, s, 2, func(t *testing.T, p *practice, end func()) {
		p.assign("grace")
		time.Sleep(time.Second)
		p.assign("mary")
		time.Sleep(time.Minute)
		end()
		p.wantOutbox(0, 0)
	})
	for i := range 2 {
		if got := attempts[i+1].at.Sub(attempts[i].at); got != 5*time.Second {
			t.Errorf("attempt %d came %v after the one before, want 5 s", i+2, got)
		}
	}
}

func TestRunSurvivesTheStore(t *testing.T) {
	r := &recorder{}
	bubble(t, r, 1, func(t *testing.T, p *practice, end func()) {
		p.Close()
		time.Sleep(2 * time.Minute)
		end()
		lines := p.lines()
		if len(lines) == 0 || len(lines) > 25 {
			t.Errorf("logged %d lines in two minutes, want some, and no flood", len(lines))
		}
		p.open() // for the end of the test
	})
}

func TestRunEnds(t *testing.T) {
	// slow takes its time for the mail in hand, and is cut short by its context.
	slow := func(d time.Duration) notify.Sender {
		return sendFunc(func(ctx context.Context, m store.Mail) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return &notify.Failure{Reason: "timeout", Fate: notify.Again}
			}
		})
	}
	tests := []struct {
		name    string
		send    time.Duration // for a mail
		takes   time.Duration // to end
		waiting int           // of two mails
		level   string
	}{
		{"after the mail in hand", 4 * time.Second, 3 * time.Second, 1, "INFO"},
		{"without a mail that takes too long", time.Minute, 5 * time.Second, 2, "WARN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, slow(tt.send), 2, func(t *testing.T, p *practice, end func()) {
				p.assign("grace")
				time.Sleep(time.Second)
				start := time.Now()
				end()
				if got := time.Since(start); got != tt.takes {
					t.Errorf("Run took %v to end, want %v", got, tt.takes)
				}
				p.wantOutbox(tt.waiting, 0)
				p.wantLine(tt.level, "mail", "")
			})
		})
	}
	t.Run("at once with nothing to do", func(t *testing.T) {
		bubble(t, &recorder{}, 0, func(t *testing.T, p *practice, end func()) {
			start := time.Now()
			end()
			if got := time.Since(start); got != 0 {
				t.Errorf("Run took %v to end, want nothing", got)
			}
		})
	})
}

// A sender that heeds no deadline of its own is given one.
func TestDrainBoundsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPracticeBy(t, time.Now, "ada@doctors.example")
		p.assign("grace")
		start := time.Now()
		w := notify.New(p.Store, sendFunc(func(ctx context.Context, m store.Mail) error {
			<-ctx.Done()
			return errors.New("too late")
		}), slog.New(slog.DiscardHandler))
		if err := w.Drain(t.Context()); err != nil {
			t.Errorf("Drain error = %v, want nil", err)
		}
		if got := time.Since(start); got != 90*time.Second {
			t.Errorf("Drain took %v, want 90 s: less than the lease", got)
		}
		p.wantOutbox(1, 0)
	})
}
