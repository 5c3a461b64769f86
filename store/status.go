package store

import "context"

// Status is the practice at a glance, for those who run it: no names, and
// nothing clinical.
type Status struct {
	Patients    int
	Doctors     int
	Unverified  int // of the doctors
	Staff       int
	Invitations int // neither accepted nor withdrawn; their patients and doctors count above
	Outbox      Outbox
	LastBackup  Instant // "" when there is none
}

// Status counts the accounts, and tells how mail and backup stand, to staff.
func (s *Store) Status(ctx context.Context, a Actor) (Status, error) {
	var seen Status
	err := s.act(ctx, a, ReadStatus, "", func(t *tx) error {
		seen = Status{}
		if err := t.countAccounts(&seen); err != nil {
			return err
		}
		var err error
		if seen.Outbox, err = t.outbox(); err != nil {
			return err
		}
		seen.LastBackup, err = t.lastBackup()
		return err
	})
	return seen, err
}

// countAccounts goes along the index of each role. What that takes grows with the
// practice, by some 0.1 µs a patient.
func (t *tx) countAccounts(seen *Status) error {
	const living = `(SELECT COUNT(*) FROM accounts WHERE deleted_at IS NULL AND role = `
	return t.row(`SELECT `+living+`'patient'), `+living+`'doctor'), `+living+`'doctor' AND verified = 0), `+living+`'staff'),
			(SELECT COUNT(*) FROM invitations i CROSS JOIN accounts a WHERE a.id = i.account_id AND a.deleted_at IS NULL)`).
		Scan(&seen.Patients, &seen.Doctors, &seen.Unverified, &seen.Staff, &seen.Invitations)
}
