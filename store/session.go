package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// reuseWindow is how long a refresh token that was used gives the same
// successor once more: two tabs that renew at once, an answer that was lost.
const reuseWindow = 10 * time.Second

// Grant is what tokens are made of: the session, and its one good refresh
// token. Instants are whole seconds, as tokens have them.
type Grant struct {
	Account, Session string
	DeviceID         string // for a proof of the device, issued now; "" when none is wanted
	Refresh          string // the refresh token's id
	RefreshIssued    time.Time
	RefreshExpires   time.Time
	SessionExpires   time.Time
	Now              time.Time
}

// maxSessions is how many live sessions an account may have.
const maxSessions = 20

// openSession opens a session and ends the oldest when there are too many, so
// that no more than maxSessions of an account are ever without an end.
func (t *tx) openSession(own *account, address, agent string) (Grant, error) {
	x := session{id: t.s.NewID(), account: own.id, refreshID: t.s.NewID(), refreshIssued: t.second()}
	x.expires = InstantOf(x.refreshIssued.Add(t.s.options.SessionLifetime))
	t.entry.session = x.id
	if err := t.holdAccount(own.id); err != nil {
		return Grant{}, err
	}
	if err := t.endOverSessions(own); err != nil {
		return Grant{}, err
	}
	err := t.exec(`INSERT INTO sessions (id, account_id, created_at, expires_at, refresh_id, refresh_issued_at, parent_id, parent_used_at, address, agent)
		VALUES ($1, $2, $3, $4, $5, $6, '', '', $7, $8)`,
		x.id, own.id, t.at(), x.expires, x.refreshID, InstantOf(x.refreshIssued), address, agentText(agent))
	if err != nil {
		return Grant{}, err
	}
	live, err := t.liveSessions(own)
	if err != nil {
		return Grant{}, err
	}
	for _, surplus := range live[min(len(live), maxSessions):] {
		if err := t.endSession(surplus.ID); err != nil {
			return Grant{}, err
		}
	}
	return t.grant(x), nil
}

// endOverSessions puts down the end of the sessions of an account that are over
// by their age or without use.
func (t *tx) endOverSessions(own *account) error {
	var q statement
	q.add(`UPDATE sessions SET ended_at = $ WHERE account_id = $ AND ended_at IS NULL AND (expires_at <= $ OR refresh_issued_at <= $)`,
		t.at(), own.id, t.at(), t.idleSince(own.role))
	return t.exec(q.text.String(), q.args...)
}

// holdAccount writes an account as it is. Where transactions run beside each
// other, one that changes the account comes wholly before this one or wholly
// after: a session that is opened while the account is shut out, or its password
// changed, is ended with the others.
func (t *tx) holdAccount(id string) error {
	return t.exec(`UPDATE accounts SET updated_at = updated_at WHERE id = $1`, id)
}

// maxAgent is how many code points are kept of what a client calls itself.
const maxAgent = 200

func agentText(agent string) string {
	text := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError { // Cf turns the text around it, or hides
			return -1
		}
		return r
	}, agent))
	return string(text[:min(len(text), maxAgent)])
}

// liveAt is the condition on sessions that are not over, with what it compares
// them with: now, and the moment before which who did nothing since is idle.
// A client in use renews its tokens every few minutes, so that the last renewal
// is its last use.
const liveAt = `ended_at IS NULL AND expires_at > $ AND refresh_issued_at > $`

// idleSince is the last moment that is too long ago for a session without use
// since; "" when sessions do not end by that.
func (t *tx) idleSince(role Role) Instant {
	idle := t.s.options.IdleOthers
	if role == PatientRole {
		idle = t.s.options.IdlePatients
	}
	if idle == 0 {
		return ""
	}
	return InstantOf(t.now.Add(-idle))
}

// isOver tells whether a session of an account is over, or the account is.
func (t *tx) isOver(own *account, ended, expires, renewed Instant) bool {
	return !own.active || own.deletedAt != "" || ended != "" || expires <= t.at() || renewed <= t.idleSince(own.role)
}

// second is the moment of the action in whole seconds, as tokens tell it.
func (t *tx) second() time.Time { return t.now.Truncate(time.Second) }

func (t *tx) grant(x session) Grant {
	end := x.expires.Time()
	expires := x.refreshIssued.Add(t.s.options.RefreshLifetime)
	if expires.After(end) {
		expires = end
	}
	return Grant{
		Account: x.account, Session: x.id, Refresh: x.refreshID, RefreshIssued: x.refreshIssued,
		RefreshExpires: expires, SessionExpires: end, Now: t.now,
	}
}

// session is a row of the table, as far as tokens are concerned.
type session struct {
	id, account     string
	expires, ended  Instant
	live            bool // neither it nor its account is over
	refreshID       string
	refreshIssued   time.Time
	parent          string
	parentFirstUsed Instant
}

// session returns a session of an account; one that does not exist is not live.
func (t *tx) session(id, account string) (session, error) {
	x := session{id: id, account: account}
	var issued Instant
	own, err := t.scanAccountAnd(t.row(`SELECT `+accountColumns+`, s.expires_at, COALESCE(s.ended_at, ''),
			s.refresh_id, s.refresh_issued_at, s.parent_id, s.parent_used_at
		FROM sessions s JOIN accounts a ON a.id = s.account_id
		WHERE s.id = $1 AND s.account_id = $2`, id, account),
		&x.expires, &x.ended, &x.refreshID, &issued, &x.parent, &x.parentFirstUsed)
	if errors.Is(err, sql.ErrNoRows) {
		return x, nil
	}
	if err != nil {
		return x, err
	}
	x.refreshIssued = issued.Time()
	x.live = !t.isOver(own, x.ended, x.expires, issued)
	t.entry.actor, t.entry.role, t.entry.session = account, own.role, id
	return x, nil
}

// repeats tells whether a token is the immediate parent of the good one, used
// for the first time a moment ago.
func (x session) repeats(token string, now time.Time) bool {
	since := now.Sub(x.parentFirstUsed.Time())
	return token == x.parent && since <= reuseWindow && since >= -reuseWindow // the clock may have been put back
}

// Refresh uses a genuine refresh token up and grants the next. A token that was
// used before ends its session, unless it repeats the last use within 10 s. It
// returns ErrToken when the token is not good any more.
func (s *Store) Refresh(ctx context.Context, a Actor, account, id, token string) (Grant, error) {
	var g Grant
	replayed := false
	err := s.act(ctx, a, RefreshSession, id, func(t *tx) error {
		g, replayed = Grant{}, false
		x, err := t.session(id, account)
		if err != nil {
			return err
		}
		switch {
		case !x.live:
			return ErrToken
		case token == x.refreshID:
			g, err = t.rotate(x)
		case x.repeats(token, t.now):
			g = t.grant(x)
		default:
			replayed, t.entry.outcome = true, "replayed"
			err = t.endSession(id)
		}
		return err
	})
	if err == nil && replayed {
		err = ErrToken
	}
	return g, err
}

func (t *tx) rotate(x session) (Grant, error) {
	x.parent, x.refreshID, x.refreshIssued = x.refreshID, t.s.NewID(), t.second()
	err := t.exec(`UPDATE sessions SET refresh_id = $1, refresh_issued_at = $2, parent_id = $3, parent_used_at = $4 WHERE id = $5`,
		x.refreshID, InstantOf(x.refreshIssued), x.parent, t.at(), x.id)
	return t.grant(x), err
}

// EndSession ends the session of a genuine refresh token, used or not. To end
// it again is no error.
func (s *Store) EndSession(ctx context.Context, a Actor, account, id string) error {
	return s.act(ctx, a, EndSession, id, func(t *tx) error {
		x, err := t.session(id, account)
		if err != nil || !x.live {
			return err
		}
		return t.endSession(id)
	})
}

func (t *tx) endSession(id string) error {
	return t.exec(`UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL`, t.at(), id)
}

// endSessions ends all sessions of an account and returns how many there were.
func (t *tx) endSessions(account string) (int64, error) {
	return t.changed(`UPDATE sessions SET ended_at = $1 WHERE account_id = $2 AND ended_at IS NULL`, t.at(), account)
}

// CheckSession returns ErrSession when the actor's session or account is over.
// It is for routes that ask nothing else of the store.
func (s *Store) CheckSession(ctx context.Context, a Actor) error {
	return s.peek(ctx, a, CheckSession, func(*tx) error { return nil })
}

// CheckRefresh returns ErrToken when a genuine refresh token could not be used.
func (s *Store) CheckRefresh(ctx context.Context, a Actor, account, id, token string) error {
	return s.peek(ctx, a, CheckSession, func(t *tx) error {
		x, err := t.session(id, account)
		if err == nil && (!x.live || token != x.refreshID && !x.repeats(token, t.now)) {
			err = ErrToken
		}
		return err
	})
}

// Me is who is signed in.
type Me struct {
	ID       string
	Role     Role
	User     User
	Verified bool // of a doctor
	Version  string
}

// Me returns the account of the actor itself.
func (s *Store) Me(ctx context.Context, a Actor) (Me, error) {
	var me Me
	err := s.act(ctx, a, ReadSelf, a.Account, func(t *tx) error {
		own := t.who.account
		if own.role == PatientRole {
			t.concerns(own.id)
		}
		me = Me{own.id, own.role, own.user, own.verified, versionTag(own.version, 0)}
		return nil
	})
	return me, err
}
