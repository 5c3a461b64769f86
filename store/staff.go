package store

import "context"

// What an operator does to accounts from the command line.

// SetActive lets an account sign in, or keeps it from it and ends its sessions.
// It returns ErrNotFound when nobody has that user name.
func (s *Store) SetActive(ctx context.Context, a Actor, username string, active bool) error {
	return s.act(ctx, a, SetActive, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		t.entry.version = own.version
		if err := t.setActive(own, active); err != nil || len(t.entry.fields) == 0 {
			return err
		}
		return t.updateAccount(own)
	})
}

// named returns the living account with that user name, or ErrNotFound.
func (t *tx) named(username string) (*account, error) {
	own, err := t.accountNamed(username)
	if err != nil {
		return nil, err
	}
	if own == nil || own.deletedAt != "" {
		return nil, ErrNotFound
	}
	t.entry.object = own.id
	if own.role == PatientRole {
		t.concerns(own.id)
	}
	return own, nil
}

// Sessions returns the live sessions of an account, newest first.
func (s *Store) Sessions(ctx context.Context, a Actor, username string) ([]Session, error) {
	var list []Session
	err := s.act(ctx, a, ListSessions, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		list, err = t.liveSessions(own)
		return err
	})
	return list, err
}

// EndSessions ends all sessions of an account and returns how many were open.
func (s *Store) EndSessions(ctx context.Context, a Actor, username string) (int, error) {
	var ended int64
	err := s.act(ctx, a, EndSessions, "", func(t *tx) error {
		own, err := t.named(username)
		if err == nil {
			ended, err = t.endSessions(own.id)
		}
		return err
	})
	return int(ended), err
}

// Unlock sets all counts of failed attempts on an account back to nothing: its
// password and its codes work again, at once. It returns ErrNotFound as SetActive does.
func (s *Store) Unlock(ctx context.Context, a Actor, username string) error {
	return s.act(ctx, a, Unlock, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		if err := t.forgetFailures(own.id); err != nil {
			return err
		}
		return t.forget(t.codeLimit(own.id))
	})
}

// ResetOTP takes the second factor, if there is one, from an account whose owner
// has lost it and the recovery codes too. It returns ErrNotFound as SetActive does.
func (s *Store) ResetOTP(ctx context.Context, a Actor, username string) error {
	return s.act(ctx, a, ResetOTP, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		t.entry.version = own.version
		if !own.otpOn {
			return nil
		}
		return t.dropOTP(own)
	})
}

// HasStaff tells whether somebody runs the practice.
func (s *Store) HasStaff(ctx context.Context) (bool, error) {
	var has bool
	err := s.write(ctx, func(t *tx) (err error) {
		has, err = t.exists(`SELECT 1 FROM accounts WHERE role = 'staff' AND active = 1 AND deleted_at IS NULL`)
		return err
	})
	return has, err
}
