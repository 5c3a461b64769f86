package store

import (
	"context"
	"slices"
	"time"
)

// Session is a session that is not over.
type Session struct {
	ID       string
	Created  time.Time
	LastUsed time.Time // when its tokens were last renewed, which a client in use does every few minutes
	Expires  time.Time // at the latest
	Address  string    // at which it was opened
	Agent    string    // what the client called itself
	Current  bool      // it is the actor's
}

const liveSessions = `SELECT id, created_at, refresh_issued_at, expires_at, address, agent FROM sessions
	WHERE account_id = $ AND ` + liveAt + ` ORDER BY id DESC`

// liveSessions returns the sessions of an account that are not over, newest
// first.
func (t *tx) liveSessions(own *account) ([]Session, error) {
	var q statement
	q.add(liveSessions, own.id, t.at(), t.idleSince(own.role))
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r rowScanner) (Session, error) {
		var x Session
		var created, used, expires Instant
		err := r.Scan(&x.ID, &created, &used, &expires, &x.Address, &x.Agent)
		x.Created, x.LastUsed, x.Expires = created.Time(), used.Time(), expires.Time()
		if x.LastUsed.Before(x.Created) {
			x.LastUsed = x.Created // tokens count whole seconds
		}
		x.Current = x.ID == t.who.session
		return x, err
	})
}

// isAtHome tells whether an account has a live session from a network.
func (t *tx) isAtHome(own *account, from string) (bool, error) {
	if from == "" || !own.active || own.deletedAt != "" {
		return false, nil
	}
	live, err := t.liveSessions(own)
	return slices.ContainsFunc(live, func(x Session) bool { return network(x.Address) == from }), err
}

// actOnSelf is act on the actor's own account, with its secrets.
func (s *Store) actOnSelf(ctx context.Context, a Actor, action Action, work func(*tx, *account) error) error {
	return s.act(ctx, a, action, a.Account, func(t *tx) error {
		if t.who.role == PatientRole {
			t.concerns(t.who.id)
		}
		if err := t.readSecrets(t.who.account); err != nil {
			return err
		}
		return work(t, t.who.account)
	})
}

// MySessions returns the actor's own sessions that are not over, newest first.
func (s *Store) MySessions(ctx context.Context, a Actor) ([]Session, error) {
	var list []Session
	err := s.actOnSelf(ctx, a, ListMySessions, func(t *tx, own *account) (err error) {
		list, err = t.liveSessions(own)
		return err
	})
	return list, err
}

// EndMySession ends one of the actor's own sessions. It returns ErrNotFound for
// one that is over or another's.
func (s *Store) EndMySession(ctx context.Context, a Actor, id string) error {
	return s.actOnSelf(ctx, a, EndMySession, func(t *tx, own *account) error {
		live, err := t.liveSessions(own)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(live, func(x Session) bool { return x.ID == id }) {
			return ErrNotFound
		}
		t.entry.object = id
		return t.endSession(id)
	})
}

// EndOtherSessions ends all sessions of the actor but the one that it acts in.
func (s *Store) EndOtherSessions(ctx context.Context, a Actor) error {
	return s.actOnSelf(ctx, a, EndOtherSessions, func(t *tx, own *account) error { return t.endOtherSessions(own.id) })
}

func (t *tx) endOtherSessions(account string) error {
	return t.exec(`UPDATE sessions SET ended_at = $1 WHERE account_id = $2 AND ended_at IS NULL AND id <> $3`, t.at(), account, t.who.session)
}
