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

// The kinds of mails.
const (
	MailAssigned   MailKind = "assigned"   // to a doctor: a patient was assigned
	MailPassword   MailKind = "password"   // the password was changed
	MailEmail      MailKind = "email"      // to the address before: the e-mail address was changed
	MailOTPOn      MailKind = "otp_on"     // the second factor was turned on
	MailOTPOff     MailKind = "otp_off"    // the second factor was turned off
	MailDevice     MailKind = "device"     // somebody signed in from somewhere new
	MailReset      MailKind = "reset"      // with a token for a new password
	MailInvitation MailKind = "invitation" // with a token to accept it
)

// Mail is one row of the outbox, claimed for sending.
type Mail struct {
	ID       string    // names the message for ever
	Account  string    // whom it goes to
	To       string    // the account's e-mail address now, or the one before; "" when it has none
	Kind     MailKind  // what it says
	Token    string    // of a reset or an invitation, the same in every attempt; else ""
	Queued   time.Time // when the action that caused it was done
	Attempts int       // how many attempts were begun, this one included
}

// queueMail leaves a mail in the outbox, as part of what the action does, and
// returns its id.
func (t *tx) queueMail(account string, kind MailKind) (id string, err error) {
	id = t.s.NewID()
	err = t.exec(`INSERT INTO outbox (id, account_id, kind, queued_at, due_at, attempts, outcome)
		VALUES ($1, $2, $3, $4, $5, 0, '')`, id, account, kind, t.at(), t.at())
	t.mailQueued = t.mailQueued || err == nil
	return id, err
}

// tell queues a mail to the owner of an account, unless it has no address.
func (t *tx) tell(own *account, kind MailKind) error {
	if own.user.Email == "" {
		return nil
	}
	_, err := t.queueMail(own.id, kind)
	return err
}

// tellFormer queues the mail to the address that an account had before.
func (t *tx) tellFormer(own *account) error {
	id, err := t.queueMail(own.id, MailEmail)
	if err != nil {
		return err
	}
	return t.exec(`UPDATE outbox SET recipient = $1 WHERE id = $2`, own.key.seal(place("outbox.recipient", id, 0), own.formerEmail), id)
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
// does not open is left out. One whose token is not good any more is given up.
func (s *Store) ClaimMail(ctx context.Context, limit int, lease time.Duration) ([]Mail, error) {
	var mails []Mail
	err := s.write(ctx, func(t *tx) error {
		if err := t.giveUpLate(); err != nil {
			return err
		}
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

// giveUpLate ends what waits and carries a token that is over or void.
func (t *tx) giveUpLate() error {
	return t.exec(`UPDATE outbox SET done_at = $1, outcome = 'failed: too late'
		WHERE done_at IS NULL AND due_at <= $2 AND kind IN ('reset', 'invitation')
		AND NOT EXISTS (SELECT 1 FROM one_use u WHERE u.id = outbox.id AND u.expires_at > $2)`, t.at(), t.at())
}

func (t *tx) claim(limit int, until Instant) ([]string, error) {
	if err := t.save(); err != nil {
		return nil, err
	}
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
	var recipient []byte
	err := t.row(`SELECT account_id, kind, queued_at, attempts, recipient FROM outbox WHERE id = $1`, id).
		Scan(&m.Account, &m.Kind, &queued, &m.Attempts, &recipient)
	if err != nil {
		return m, err
	}
	m.Queued = queued.Time()
	if m.Kind == MailReset || m.Kind == MailInvitation {
		m.Token = t.s.keys.oneUseToken(id, m.Account, TokenKind(m.Kind))
	}
	a, err := t.account(m.Account)
	if err != nil || a.deletedAt != "" {
		return m, err
	}
	m.To = a.user.Email
	if recipient == nil {
		return m, nil
	}
	former, err := a.key.open(place("outbox.recipient", id, 0), recipient, 1)
	if err != nil {
		return m, t.sealed(err, "mail", id)
	}
	m.To = former[0]
	return m, nil
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
		return t.exec(`UPDATE outbox SET done_at = $1, outcome = $2, recipient = NULL WHERE id = $3 AND done_at IS NULL`, t.at(), outcome, id)
	})
}

// MailDeferred says when a mail is to be tried again, and why.
func (s *Store) MailDeferred(ctx context.Context, id string, until time.Time, reason string) error {
	return s.write(ctx, func(t *tx) error {
		return t.exec(`UPDATE outbox SET due_at = $1, outcome = $2 WHERE id = $3 AND done_at IS NULL`, InstantOf(until), reason, id)
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
	err = t.row(`SELECT COUNT(*) FROM outbox WHERE done_at > $1 AND outcome <> 'sent' AND outcome LIKE 'failed: %'`, month).Scan(&o.Failed)
	return o, err
}
