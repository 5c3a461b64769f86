package store

import (
	"context"
	"time"
)

// What an operator does to accounts from the command line.

// StaffInput is what makes a staff account.
type StaffInput struct {
	Input
	User UserInput
}

// CreateStaff makes a staff account and returns its id.
func (s *Store) CreateStaff(ctx context.Context, a Actor, in *StaffInput) (string, error) {
	var id string
	err := s.act(ctx, a, CreateStaff, "", func(t *tx) error {
		in := copyOf(in)
		own, _, err := t.register(Staff, false, &in.Input, &in.User, "", nil)
		if err != nil {
			return err
		}
		id = own.id
		return t.enrol(own, nil)
	})
	return id, err
}

// SetActive lets an account sign in, or keeps it from it and ends its sessions.
// It returns ErrNotFound when nobody has that user name.
func (s *Store) SetActive(ctx context.Context, a Actor, username string, active bool) error {
	return s.act(ctx, a, SetActive, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		t.entry.version = own.version
		if own.active != active {
			own.active = active
			t.entry.fields = append(t.entry.fields, "active")
			if err := t.updateAccount(own); err != nil {
				return err
			}
		}
		if !active {
			_, err = t.endSessions(own.id)
		}
		return err
	})
}

// named returns the living account with that user name, or ErrNotFound.
func (t *tx) named(username string) (*account, error) {
	c, err := t.credentials(`a.name_hash = $1`, t.s.keys.nameHash(username))
	if err != nil {
		return nil, err
	}
	own, err := t.account(c.Account)
	if err != nil {
		return nil, err
	}
	if own.deletedAt != "" {
		return nil, ErrNotFound
	}
	t.entry.object = own.id
	if own.role == PatientRole {
		t.concerns(own.id)
	}
	return own, nil
}

// Session is a session that is not over.
type Session struct {
	ID      string
	Created time.Time
	Expires time.Time
}

// Sessions returns the live sessions of an account, newest first.
func (s *Store) Sessions(ctx context.Context, a Actor, username string) ([]Session, error) {
	var list []Session
	err := s.act(ctx, a, ListSessions, "", func(t *tx) error {
		own, err := t.named(username)
		if err != nil {
			return err
		}
		rows, err := t.rows(`SELECT id, created_at, expires_at FROM sessions
			WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC`, own.id, t.at())
		if err != nil {
			return err
		}
		list, err = collect(rows, func(r rowScanner) (Session, error) {
			var id string
			var created, expires Instant
			err := r.Scan(&id, &created, &expires)
			return Session{id, created.Time(), expires.Time()}, err
		})
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

// HasStaff tells whether somebody runs the practice.
func (s *Store) HasStaff(ctx context.Context) (bool, error) {
	var has bool
	err := s.write(ctx, func(t *tx) (err error) {
		has, err = t.exists(`SELECT 1 FROM accounts WHERE role = 'staff' AND active = 1 AND deleted_at IS NULL`)
		return err
	})
	return has, err
}
