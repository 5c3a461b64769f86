package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// MailKind is what a mail says; its words are the notifier's.
type MailKind string

// MailAssigned tells a doctor that a patient was assigned.
const MailAssigned MailKind = "assigned"

// Mail is one row of the outbox, claimed for sending.
type Mail struct {
	ID       string    // names the message for ever
	Account  string    // whom it goes to
	To       string    // the account's e-mail address now; "" when it has none
	Kind     MailKind  // what it says
	Queued   time.Time // when the action that caused it was done
	Attempts int       // how many attempts were begun, this one included
}

// queueMail leaves a mail in the outbox, as part of what the action does.
func (t *tx) queueMail(account string, kind MailKind) error {
	_, err := t.exec(`INSERT INTO outbox (id, account_id, kind, queued_at, due_at, attempts, outcome)
		VALUES ($1, $2, $3, $4, $5, 0, '')`, t.s.NewID(), account, kind, t.at(), t.at())
	t.mailQueued = t.mailQueued || err == nil
	return err
}

func announce(heard chan struct{}) {
	select {
	case heard <- struct{}{}:
	default: // the announcement before was not yet heard
	}
}

// MailQueued receives when mail was queued since it last did.
func (s *Store) MailQueued() <-chan struct{} { return s.mail }

// ClaimMail returns what is due, oldest first, at most limit, and leases it:
// nobody else is given it before the lease has run out. A mail whose address
// does not open is left out.
func (s *Store) ClaimMail(ctx context.Context, limit int, lease time.Duration) ([]Mail, error) {
	var mails []Mail
	err := s.write(ctx, func(t *tx) error {
		ids, err := t.claim(limit, InstantOf(t.now.Add(lease)))
		if err != nil {
			return err
		}
		mails = make([]Mail, 0, len(ids))
		for _, id := range ids {
			m, err := t.mail(id)
			if errors.Is(err, errSealed) {
				continue // the log has it; the mail waits for the end of its lease
			}
			if err != nil {
				return err
			}
			mails = append(mails, m)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return mails, nil
}

func (t *tx) claim(limit int, until Instant) ([]string, error) {
	rows, err := t.rows(`UPDATE outbox SET due_at = $1, attempts = attempts + 1
		WHERE done_at IS NULL AND due_at <= $2 AND id IN (
			SELECT id FROM outbox WHERE done_at IS NULL AND due_at <= $2 ORDER BY due_at, id LIMIT $3)
		RETURNING id`, until, t.at(), limit)
	if err != nil {
		return nil, err
	}
	ids, err := collect(rows, scanText)
	slices.Sort(ids) // oldest first
	return ids, err
}

// mail reads a mail and opens the address it goes to.
func (t *tx) mail(id string) (Mail, error) {
	m := Mail{ID: id}
	var queued Instant
	err := t.row(`SELECT account_id, kind, queued_at, attempts FROM outbox WHERE id = $1`, id).
		Scan(&m.Account, &m.Kind, &queued, &m.Attempts)
	if err != nil {
		return m, err
	}
	m.Queued = queued.Time()
	a, err := t.account(m.Account)
	if err == nil && a.deletedAt == "" {
		m.To = a.user.Email
	}
	return m, err
}

// MailSent marks a mail as delivered to the mail server.
func (s *Store) MailSent(ctx context.Context, id string) error {
	return s.endMail(ctx, id, "sent")
}

// MailFailed gives a mail up, with the reason.
func (s *Store) MailFailed(ctx context.Context, id, reason string) error {
	return s.endMail(ctx, id, "failed: "+reason)
}

func (s *Store) endMail(ctx context.Context, id, outcome string) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE outbox SET done_at = $1, outcome = $2 WHERE id = $3 AND done_at IS NULL`, t.at(), outcome, id)
		return err
	})
}

// MailDeferred says when a mail is to be tried again, and why.
func (s *Store) MailDeferred(ctx context.Context, id string, until time.Time, reason string) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE outbox SET due_at = $1, outcome = $2 WHERE id = $3 AND done_at IS NULL`, InstantOf(until), reason, id)
		return err
	})
}

// NextMail returns when the next mail is due, or the zero time when none waits.
func (s *Store) NextMail(ctx context.Context) (time.Time, error) {
	var due Instant
	err := s.write(ctx, func(t *tx) error {
		err := t.row(`SELECT due_at FROM outbox WHERE done_at IS NULL ORDER BY due_at, id LIMIT 1`).Scan(&due)
		if errors.Is(err, sql.ErrNoRows) {
			due = ""
			return nil
		}
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	return due.Time(), nil
}

// Outbox is the state of the mail that leaves.
type Outbox struct {
	Waiting int
	Oldest  time.Time // when the oldest that waits was queued; zero when none does
	Failed  int       // given up in the last 30 days
}

// Outbox tells how much mail waits and how much was given up.
func (s *Store) Outbox(ctx context.Context) (Outbox, error) {
	var o Outbox
	err := s.write(ctx, func(t *tx) (err error) {
		o, err = t.outbox()
		return err
	})
	return o, err
}

func (t *tx) outbox() (Outbox, error) {
	var o Outbox
	var oldest Instant
	err := t.row(`SELECT COUNT(*), COALESCE(MIN(queued_at), '') FROM outbox WHERE done_at IS NULL`).Scan(&o.Waiting, &oldest)
	if err != nil {
		return Outbox{}, err
	}
	o.Oldest = oldest.Time()
	month := InstantOf(t.now.Add(-30 * 24 * time.Hour))
	err = t.row(`SELECT COUNT(*) FROM outbox WHERE done_at > $1 AND outcome LIKE 'failed: %'`, month).Scan(&o.Failed)
	return o, err
}
