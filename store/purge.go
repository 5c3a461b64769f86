package store

import (
	"context"
	"time"
)

const (
	purgeBatch    = 500     // rows in one transaction, so that other writers never wait long
	maxStrangers  = 100_000 // rows of limits that belong to no account
	keepSessions  = 30 * 24 * time.Hour
	keepDoneMails = 90 * 24 * time.Hour
)

// Purge deletes what is over and of no use any more: limits of names and
// addresses after a quiet day, and the oldest beyond a bound; sessions 30 days
// after their end, but for an account's newest, which tells that it was in use;
// tokens that nobody used in time; mails 90 days after they were sent or given
// up. Called again and again, it keeps the database from growing by attempts.
func (s *Store) Purge(ctx context.Context) error {
	now := s.now()
	ago := func(d time.Duration) Instant { return InstantOf(now.Add(-d)) }
	for _, p := range []struct {
		rows string
		args []any
	}{
		{`limits WHERE subject IN (SELECT subject FROM limits WHERE account_id IS NULL AND at < $1 LIMIT $2)`, []any{ago(quietDay)}},
		{`limits WHERE subject IN (SELECT subject FROM limits WHERE account_id IS NULL AND at <=
			(SELECT at FROM limits WHERE account_id IS NULL ORDER BY at DESC LIMIT 1 OFFSET $1) ORDER BY at LIMIT $2)`, []any{maxStrangers}},
		{`sessions WHERE id IN (SELECT x.id FROM sessions x WHERE COALESCE(x.ended_at, x.expires_at) < $1
			AND x.id < (SELECT MAX(y.id) FROM sessions y WHERE y.account_id = x.account_id) LIMIT $2)`, []any{ago(keepSessions)}},
		{`one_use WHERE id IN (SELECT id FROM one_use WHERE expires_at <= $1 LIMIT $2)`, []any{ago(0)}},
		{`outbox WHERE id IN (SELECT id FROM outbox WHERE done_at < $1 LIMIT $2)`, []any{ago(keepDoneMails)}},
	} {
		if err := s.purge(ctx, `DELETE FROM `+p.rows, append(p.args, purgeBatch)...); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) purge(ctx context.Context, statement string, args ...any) error {
	for {
		var n int64
		err := s.write(ctx, func(t *tx) (err error) {
			n, err = t.changed(statement, args...)
			return err
		})
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
