package store

import "context"

// StaffMember is a staff account, as staff sees it.
type StaffMember struct {
	ID      string
	User    User
	Active  bool
	Version string
}

// StaffInput is what a body says of a staff account; nil is not given.
type StaffInput struct {
	Input
	User UserInput
}

func (a *account) staffMember() StaffMember {
	return StaffMember{a.id, a.user, a.active, versionTag(a.version, 0)}
}

// CreateStaff makes a staff account.
func (s *Store) CreateStaff(ctx context.Context, a Actor, in *StaffInput) (StaffMember, error) {
	var m StaffMember
	err := s.act(ctx, a, CreateStaff, "", func(t *tx) error {
		in := copyOf(in)
		own, _, err := t.register(Staff, false, &in.Input, &in.User, "", nil)
		if err != nil {
			return err
		}
		m = own.staffMember()
		return t.enrol(own, nil)
	})
	return m, err
}

// StaffMember returns a staff account, to staff.
func (s *Store) StaffMember(ctx context.Context, a Actor, id string) (StaffMember, error) {
	var m StaffMember
	err := s.act(ctx, a, ReadStaff, id, func(t *tx) error {
		own, err := t.reachStaff(id)
		if err == nil {
			m = own.staffMember()
		}
		return err
	})
	return m, err
}

func (t *tx) reachStaff(id string) (*account, error) {
	own, err := t.living(id, Staff)
	if err != nil {
		return nil, err
	}
	return own, t.allow(anyone)
}

// StaffList lists the staff accounts, newest first.
func (s *Store) StaffList(ctx context.Context, a Actor, p Paging) (Page[StaffMember], error) {
	var list Page[StaffMember]
	err := s.listing(p)(ctx, a, ListStaff, "", func(t *tx) error {
		accounts, err := t.accounts(Staff, p, func(*statement, Position, int) {})
		list = pageOf(accounts, (*account).staffMember)
		return err
	})
	return list, err
}

// ChangeStaff applies what is given to a staff account. It returns ErrLastStaff
// rather than that nobody could run the practice.
func (s *Store) ChangeStaff(ctx context.Context, a Actor, id string, match Match, in *StaffInput) (StaffMember, error) {
	var m StaffMember
	err := s.act(ctx, a, ChangeStaff, id, func(t *tx) error {
		in := copyOf(in)
		own, err := t.reachStaff(id)
		if err != nil {
			return err
		}
		if err := match.check(versionTag(own.version, 0)); err != nil {
			return err
		}
		if in.Err != nil {
			return in.Err
		}
		if err := t.changeUser(own, &in.User, &in.Problems); err != nil {
			return err
		}
		if err := t.change(own, in.User.Proven, "", nil, &in.Problems); err != nil {
			return err
		}
		m = own.staffMember()
		return nil
	})
	return m, err
}

// DeleteStaff hides a staff account. It returns ErrLastStaff for the last at
// work.
func (s *Store) DeleteStaff(ctx context.Context, a Actor, id string, match Match) error {
	return s.act(ctx, a, DeleteStaff, id, func(t *tx) error {
		own, err := t.reachStaff(id)
		if err != nil {
			return err
		}
		if err := match.check(versionTag(own.version, 0)); err != nil {
			return err
		}
		return t.deleteAccount(own)
	})
}
