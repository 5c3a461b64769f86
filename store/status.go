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
		err := t.row(`SELECT COUNT(CASE WHEN role = 'patient' THEN 1 END), COUNT(CASE WHEN role = 'doctor' THEN 1 END),
				COUNT(CASE WHEN role = 'doctor' AND verified = 0 THEN 1 END), COUNT(CASE WHEN role = 'staff' THEN 1 END), COUNT(i.account_id)
			FROM accounts a LEFT JOIN invitations i ON i.account_id = a.id WHERE a.deleted_at IS NULL`).
			Scan(&seen.Patients, &seen.Doctors, &seen.Unverified, &seen.Staff, &seen.Invitations)
		if err != nil {
			return err
		}
		if seen.Outbox, err = t.outbox(); err != nil {
			return err
		}
		seen.LastBackup, err = t.lastBackup()
		return err
	})
	return seen, err
}
