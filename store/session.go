package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// reuseWindow is how long a refresh token that was used gives the same
// successor once more: two tabs that renew at once, an answer that was lost.
const reuseWindow = 10 * time.Second

// Credentials are what a sign-in is checked against. The zero Credentials are
// those of nobody.
type Credentials struct {
	Account string
	Hash    string // PHC string of the password

	patient bool
}

// Grant is what tokens are made of: the session, and its one good refresh
// token. Instants are whole seconds, as tokens have them.
type Grant struct {
	Account, Session string
	Refresh          string // the refresh token's id
	RefreshIssued    time.Time
	RefreshExpires   time.Time
	SessionExpires   time.Time
	Now              time.Time
}

// Credentials returns what is stored for a user name, or the zero Credentials
// when nobody has that name. It tells nothing else of the account.
func (s *Store) Credentials(ctx context.Context, username string) (Credentials, error) {
	var c Credentials
	err := s.write(ctx, func(t *tx) (err error) {
		c, err = t.credentials(`a.name_hash = $1`, s.keys.nameHash(username))
		return err
	})
	return c, err
}

// OwnCredentials returns what is stored for the actor itself when it may do the
// action, a change of a profile, on the profile with this id, and that is its
// own; the zero Credentials when it is another's. Its errors are those of the
// action.
func (s *Store) OwnCredentials(ctx context.Context, a Actor, action Action, id string) (Credentials, error) {
	var c Credentials
	err := s.peek(ctx, a, action, func(t *tx) error {
		if isID(id) {
			t.entry.object = id
		}
		reach := t.reachPatient
		if action == ChangeDoctor {
			reach = t.reachDoctor
		}
		own, err := reach(id)
		if err == nil && own.id == t.who.id {
			c = own.credentials()
		}
		return err
	})
	return c, err
}

func (a *account) credentials() Credentials {
	return Credentials{Account: a.id, Hash: a.password, patient: a.role == PatientRole}
}

func (t *tx) credentials(where string, value any) (Credentials, error) {
	a, err := t.scanAccount(t.row(`SELECT `+accountColumns+` FROM accounts a WHERE `+where, value))
	if errors.Is(err, sql.ErrNoRows) {
		return Credentials{}, nil
	}
	if err != nil {
		return Credentials{}, err
	}
	return a.credentials(), nil
}

// SignIn opens a session when the password was right, the account is active
// and its password is still the one that was checked; else it returns
// ErrCredentials. A newer hash of the same password is stored when given.
func (s *Store) SignIn(ctx context.Context, a Actor, c Credentials, right bool, newHash string) (Grant, error) {
	var g Grant
	err := s.act(ctx, a, SignIn, c.Account, func(t *tx) error {
		if c.patient {
			t.concerns(c.Account)
		}
		if !right || c.Account == "" {
			return ErrCredentials
		}
		own, err := t.account(c.Account)
		if err != nil {
			return err
		}
		if !own.active || own.deletedAt != "" || own.password != c.Hash {
			return ErrCredentials
		}
		t.entry.actor, t.entry.role = own.id, own.role
		if newHash != "" {
			own.password = newHash
			if err := t.updateAccount(own); err != nil {
				return err
			}
		}
		g, err = t.openSession(own.id)
		return err
	})
	return g, err
}

func (t *tx) openSession(account string) (Grant, error) {
	x := session{id: t.s.NewID(), account: account, refreshID: t.s.NewID(), refreshIssued: t.second()}
	x.expires = InstantOf(x.refreshIssued.Add(t.s.options.SessionLifetime))
	t.entry.session = x.id
	if err := t.holdAccount(account); err != nil {
		return Grant{}, err
	}
	_, err := t.exec(`INSERT INTO sessions (id, account_id, created_at, expires_at, refresh_id, refresh_issued_at, parent_id, parent_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', '')`, x.id, account, t.at(), x.expires, x.refreshID, InstantOf(x.refreshIssued))
	return t.grant(x), err
}

// holdAccount writes an account as it is. Where transactions run beside each
// other, one that changes the account comes wholly before this one or wholly
// after: a session that is opened while the account is shut out, or its password
// changed, is ended with the others.
func (t *tx) holdAccount(id string) error {
	_, err := t.exec(`UPDATE accounts SET updated_at = updated_at WHERE id = $1`, id)
	return err
}

// second is the moment of the action in whole seconds, as tokens tell it.
func (t *tx) second() time.Time { return t.now.Truncate(time.Second) }

func (t *tx) grant(x session) Grant {
	end := x.expires.Time()
	expires := x.refreshIssued.Add(t.s.options.RefreshLifetime)
	if expires.After(end) {
		expires = end
	}
	return Grant{x.account, x.id, x.refreshID, x.refreshIssued, expires, end, t.now}
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
		return x, t.sealed(err, "account", account)
	}
	x.refreshIssued = issued.Time()
	x.live = own.active && own.deletedAt == "" && x.ended == "" && x.expires > t.at()
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
	_, err := t.exec(`UPDATE sessions SET refresh_id = $1, refresh_issued_at = $2, parent_id = $3, parent_used_at = $4 WHERE id = $5`,
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
	_, err := t.exec(`UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL`, t.at(), id)
	return err
}

// endSessions ends all sessions of an account and returns how many there were.
func (t *tx) endSessions(account string) (int64, error) {
	return t.exec(`UPDATE sessions SET ended_at = $1 WHERE account_id = $2 AND ended_at IS NULL`, t.at(), account)
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
