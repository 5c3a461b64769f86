package store

import (
	"context"
	"slices"
)

// RequestReset sends a link for a new password to the account with the user
// name, or to all those with the e-mail address, of which one is given: to those
// that are at work, have an address and have had a password. Whether there are
// any does not show. It returns [Throttled] when this was asked for too often for
// the name or address, or from the client's address, be there any or not.
func (s *Store) RequestReset(ctx context.Context, a Actor, username, email string) error {
	return s.act(ctx, a, RequestReset, "", func(t *tx) error {
		hash, where := t.s.keys.nameHash(username), "name_hash = $"
		if username == "" {
			hash, where = t.s.keys.emailHash(email), "email_hash = $"
		}
		target, made, err := t.room(resetTargets, string(hash)) // looked at before anything is counted
		if err != nil {
			return err
		}
		if err := t.admitFrom(a, resetRequests); err != nil {
			return err
		}
		if err := t.setLimit(target, "", made); err != nil {
			return err
		}
		found, err := t.resettable(where, hash)
		if err != nil {
			return err
		}
		for _, own := range found {
			if err := t.sendReset(own); err != nil {
				return err
			}
		}
		if len(found) == 0 {
			t.entry.outcome, _ = refusal(ErrNotFound)
		}
		if len(found) == 1 {
			t.entry.object = found[0].id
		}
		return nil
	})
}

// sharedAddress is how many accounts of one e-mail address are looked at.
const sharedAddress = 20

func (t *tx) resettable(where string, hash []byte) ([]*account, error) {
	var q statement
	q.add(`SELECT `+accountColumns+` FROM accounts a WHERE a.active = 1 AND a.deleted_at IS NULL AND a.`+where+`
		AND NOT EXISTS (SELECT 1 FROM invitations i WHERE i.account_id = a.id) ORDER BY a.id LIMIT $`, orNull(hash), sharedAddress)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	found, err := collect(rows, t.scanAccount)
	return slices.DeleteFunc(found, func(own *account) bool { return own.user.Email == "" }), err
}

func (t *tx) sendReset(own *account) error {
	if own.role == PatientRole {
		t.concerns(own.id)
	}
	id, err := t.queueMail(own.id, MailReset)
	if err == nil {
		_, err = t.newToken(id, own.id, ResetToken, resetLifetime)
	}
	return err
}

// NewReset makes a token for a new password, in place of those before, for an
// operator to hand over. It returns ErrNotFound when nobody has that user name,
// and ErrForbidden when the account is not active.
func (s *Store) NewReset(ctx context.Context, a Actor, username string) (token string, err error) {
	err = s.act(ctx, a, NewReset, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		if !own.active {
			return ErrForbidden
		}
		token, err = t.newToken(t.s.NewID(), own.id, ResetToken, resetLifetime)
		return err
	})
	return token, err
}

// CheckReset returns whose password a token may change, for the new one to be
// checked, or ErrOneUse. It returns [Throttled] when the client's address has
// asked too often.
func (s *Store) CheckReset(ctx context.Context, a Actor, token string) (User, error) {
	return s.checkToken(ctx, a, ConfirmReset, token, ResetToken, confirmations)
}

func (s *Store) checkToken(ctx context.Context, a Actor, action Action, token string, kind TokenKind, r rate) (User, error) {
	if err := s.admitFrom(ctx, a, r); err != nil {
		return User{}, err
	}
	var user User
	err := s.peek(ctx, a, action, func(t *tx) error {
		own, err := t.tokenOwner(token, kind)
		if err == nil {
			user = own.user
		}
		return err
	})
	return user, err
}

// ConfirmReset uses a token up, gives its account a new password, ends all its
// sessions and tells the owner by mail. The second factor stays. It returns
// ErrOneUse when the token is not good any more.
func (s *Store) ConfirmReset(ctx context.Context, a Actor, token, hash string) error {
	return s.act(ctx, a, ConfirmReset, "", func(t *tx) error {
		own, err := t.tokenOwner(token, ResetToken)
		if err != nil {
			return err
		}
		if err := t.useToken(token); err != nil {
			return err
		}
		if _, err := t.endSessions(own.id); err != nil {
			return err
		}
		return t.setPassword(own, hash)
	})
}
