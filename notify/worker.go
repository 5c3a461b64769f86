// Package notify sends the mails that the store's outbox holds.
//
// An action that somebody must hear of leaves a row in the outbox, in its own
// transaction; that row alone is the promise that a mail will leave. A
// [Worker] claims one mail at a time under a lease, hands it to a [Sender],
// and marks what became of it. So a mail is never lost: a worker that dies in
// between lets the lease run out, and the mail is sent by another. It may be
// sent twice, when the mail server's answer or the mark is lost; the
// Message-ID stays the same, and mailboxes show one.
//
// A mail that fails is tried again after growing delays until three days have
// passed, and never keeps others from leaving. A refusal for good ends it at
// once. When the mail server itself fails, the others wait with it.
//
// Mails say nothing: no name, no id, no clinical word. Logs hold the ids of
// mails and accounts and our own words for what went wrong, never an address
// or the text of a mail server; only [Log], for a service without one, writes
// recipients.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"healthrecords/store"
)

const (
	attemptTime = 90 * time.Second // for one mail; more than an SMTP takes by default
	lease       = 2 * time.Minute  // more than attemptTime and the marking
	markTime    = 5 * time.Second  // to write down what became of a mail, also when all is ending
	giveUpAfter = 72 * time.Hour
	pause       = 5 * time.Second // after a failure that concerns every mail
	longestWait = time.Minute     // between two looks: another process may have queued or died
	leastWait   = time.Second
)

// delays stand before the second attempt, the third, and so on; the last
// stands before all further ones.
var delays = [...]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour}

// Worker sends what is due in the outbox of one store. Several, also in other
// processes, may work on the same outbox.
type Worker struct {
	// Grace is how long the mail in hand may still take when Run is told to
	// end; 5 s unless changed before Run.
	Grace time.Duration

	store  *store.Store
	sender Sender
	log    *slog.Logger
}

// New returns a Worker that sends what s holds through sender. It does nothing
// before [Worker.Run] or [Worker.Drain].
func New(s *store.Store, sender Sender, log *slog.Logger) *Worker {
	return &Worker{Grace: 5 * time.Second, store: s, sender: sender, log: log}
}

// Run sends mails as they become due until ctx ends. The mail in hand then has
// Grace to be sent, and is abandoned for a later attempt after that. The
// caller waits for Run to return before it closes the store.
func (w *Worker) Run(ctx context.Context) {
	work, cancel := outlive(ctx, w.Grace)
	defer cancel()
	for ctx.Err() == nil {
		queued, wait := w.store.MailQueued(), pause
		if err := w.pass(ctx, work); err != nil {
			queued = nil // what is queued now would fail as well
		} else {
			wait = w.untilNext(ctx)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-queued:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Drain sends what is due until nothing is left or ctx ends, with which it
// abandons the mail in hand for a later attempt: for AWS Lambda, which runs
// nothing between invocations, after an answer and on a schedule. It returns
// nil although single mails failed, for each has a time for its next attempt;
// the error, logged already, says that no mail can leave at the moment.
func (w *Worker) Drain(ctx context.Context) error {
	return w.pass(ctx, ctx)
}

// outlive returns a context that ends d after ctx.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return late, func() { stop(); cancel() }
}

// pass sends what is due, one mail after the other, and begins none after ctx
// has ended or after a failure that concerns every mail, which it returns. A
// mail that was begun may go on until work ends. Mails are claimed one by one,
// so that one counts as attempted, and is leased, only when it is.
func (w *Worker) pass(ctx, work context.Context) error {
	for ctx.Err() == nil {
		mails, err := w.store.ClaimMail(ctx, 1, lease)
		if err != nil && ctx.Err() == nil {
			w.log.ErrorContext(ctx, "the outbox cannot be read; mails wait", "cause", store.Describe(err))
			return err
		}
		if len(mails) == 0 {
			return nil
		}
		if err := w.deliver(work, mails[0]); err != nil {
			return err
		}
	}
	return nil
}

// deliver makes one attempt and marks what came of it. The error is a failure
// that concerns every mail.
func (w *Worker) deliver(ctx context.Context, m store.Mail) error {
	err := w.attempt(ctx, m)
	// The mark must be made also when ctx has ended, or a mail that has left
	// would leave again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer cancel()
	if err == nil {
		w.sent(ctx, m)
		return nil
	}
	f := &Failure{"error", Again}
	errors.As(err, &f)
	if f.Fate == Never || w.store.Now().Sub(m.Queued) >= giveUpAfter {
		w.giveUp(ctx, m, f)
	} else {
		w.postpone(ctx, m, f)
	}
	if f.Fate == Outage || f.Fate == Misconfigured {
		return f
	}
	return nil
}

func (w *Worker) attempt(ctx context.Context, m store.Mail) error {
	if m.To == "" {
		return &Failure{"no address", Never}
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	return w.sender.Send(ctx, m)
}

func (w *Worker) sent(ctx context.Context, m store.Mail) {
	if err := w.store.MailSent(ctx, m.ID); err != nil {
		w.outcome(m).ErrorContext(ctx, "mail sent but not marked; it will be sent again under the same Message-ID", "cause", store.Describe(err))
		return
	}
	if _, logged := w.sender.(*Log); !logged { // whose own line is all that became of the mail
		w.outcome(m).InfoContext(ctx, "mail sent")
	}
}

func (w *Worker) giveUp(ctx context.Context, m store.Mail, f *Failure) {
	log := w.outcome(m).With("reason", f.Reason)
	if err := w.store.MailFailed(ctx, m.ID, f.Reason); err != nil {
		log.ErrorContext(ctx, "mail given up but not marked; it will be tried again", "cause", store.Describe(err))
		return
	}
	log.ErrorContext(ctx, "mail given up; tell the account's owner in another way and see that the account has a working e-mail address")
}

func (w *Worker) postpone(ctx context.Context, m store.Mail, f *Failure) {
	until := w.store.Now().Add(delay(m.Attempts))
	log := w.outcome(m).With("reason", f.Reason, "until", until.UTC())
	if err := w.store.MailDeferred(ctx, m.ID, until, f.Reason); err != nil {
		log.ErrorContext(ctx, "mail not sent and not marked; it will be tried again", "cause", store.Describe(err))
	} else if f.Fate == Misconfigured {
		log.ErrorContext(ctx, "mail not sent, and none will be; correct the EMAIL settings, then it is tried again")
	} else {
		log.WarnContext(ctx, "mail not sent; it will be tried again")
	}
}

// outcome returns a logger for the one line that says what became of a mail.
// It never holds the address.
func (w *Worker) outcome(m store.Mail) *slog.Logger {
	return w.log.With("mail", m.ID, "account", m.Account, "attempt", m.Attempts)
}

// delay returns how long to wait after the n-th attempt, a fifth more or less,
// so that mails which failed together do not come back together.
func delay(n int) time.Duration {
	d := delays[min(max(n, 1), len(delays))-1]
	return d*4/5 + rand.N(d*2/5+1)
}

// untilNext returns how long Run may wait for something to become due.
func (w *Worker) untilNext(ctx context.Context) time.Duration {
	due, err := w.store.NextMail(ctx)
	if err != nil || due.IsZero() {
		return longestWait
	}
	return min(max(due.Sub(w.store.Now()), leastWait), longestWait)
}
