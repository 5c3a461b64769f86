package store

import "slices"

// partners returns, for each of the accounts of one role, the ids on the other
// side of its pairs that count, sorted.
func (t *tx) partners(role Role, ids ...string) (map[string][]string, error) {
	own, other := "x.patient_id", "x.doctor_id"
	if role == DoctorRole {
		own, other = other, own
	}
	partners := make(map[string][]string, len(ids))
	if len(ids) == 0 {
		return partners, nil
	}
	var q statement
	q.add("SELECT " + own + ", " + other + " " + pairs + " AND " + own + " IN (")
	q.in(ids)
	q.add(") ORDER BY " + own + ", " + other)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	_, err = collect(rows, func(r rowScanner) (struct{}, error) {
		var id, partner string
		err := r.Scan(&id, &partner)
		partners[id] = append(partners[id], partner)
		return struct{}{}, err
	})
	return partners, err
}

// pairing is a change of the assignments of one account.
type pairing struct {
	own        *account
	begin, end []string
}

// planPairs compares the ids that an input wants with the pairs that count. An
// id that may not be paired is a problem of the field. Pairs that do not count
// now, of a doctor whose verification was withdrawn, are neither seen nor ended.
func (t *tx) planPairs(own *account, field string, wanted *[]string, p *Problems) (*pairing, error) {
	if wanted == nil {
		return nil, nil
	}
	partners, err := t.partners(own.role, own.id)
	if err != nil {
		return nil, err
	}
	plan, now := &pairing{own: own}, partners[own.id]
	for _, id := range *wanted {
		if slices.Contains(now, id) || slices.Contains(plan.begin, id) {
			continue
		}
		ok, err := t.pairable(own, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			p.Add(field, invalidID(id))
			return nil, nil
		}
		plan.begin = append(plan.begin, id)
	}
	for _, id := range now {
		if !slices.Contains(*wanted, id) {
			plan.end = append(plan.end, id)
		}
	}
	return plan, nil
}

func invalidID(id string) string { return `Invalid pk "` + id + `" - object does not exist.` }

// pairable tells whether an account of the other role exists under this id and
// the doctor of the two is verified and active.
func (t *tx) pairable(own *account, id string) (bool, error) {
	if own.role == DoctorRole {
		if !own.verified || !own.active || !isID(id) {
			return false, nil
		}
		return t.exists(`SELECT 1 FROM accounts WHERE id = $1 AND role = 'patient' AND deleted_at IS NULL`, id)
	}
	if !isID(id) {
		return false, nil
	}
	return t.exists(`SELECT 1 FROM accounts WHERE id = $1 AND role = 'doctor' AND verified = 1 AND active = 1 AND deleted_at IS NULL`, id)
}

// carryOut ends and begins the pairs of a plan and queues a mail to the doctor
// of each new one.
func (t *tx) carryOut(plan *pairing) error {
	if plan == nil || len(plan.begin)+len(plan.end) == 0 {
		return nil
	}
	for _, id := range plan.end {
		if err := t.unpair(t.sides(plan.own, id)); err != nil {
			return err
		}
	}
	for _, id := range plan.begin {
		if err := t.pair(t.sides(plan.own, id)); err != nil {
			return err
		}
	}
	for _, id := range slices.Concat([]string{plan.own.id}, plan.begin, plan.end) {
		if err := t.exec(`UPDATE accounts SET paired = paired + 1 WHERE id = $1`, id); err != nil {
			return err
		}
	}
	plan.own.paired++
	return nil
}

// sides puts a pair in order and notes whose data its change touches.
func (t *tx) sides(own *account, other string) (patient, doctor string) {
	if own.role == DoctorRole {
		own, other = &account{id: other}, own.id
	}
	t.concerns(own.id)
	return own.id, other
}

// pair begins a pair and queues the mail that tells of it. A pair that stands
// already, and did not count while the doctor was not verified, is not begun.
func (t *tx) pair(patient, doctor string) error {
	stands, err := t.exists(`SELECT 1 FROM assignments WHERE patient_id = $1 AND doctor_id = $2 AND ended_at IS NULL`, patient, doctor)
	if err != nil || stands {
		return err
	}
	err = t.exec(`INSERT INTO assignments (patient_id, doctor_id, since) VALUES ($1, $2, $3)`, patient, doctor, t.at())
	if err != nil {
		return err
	}
	_, err = t.queueMail(doctor, MailAssigned)
	return err
}

func (t *tx) unpair(patient, doctor string) error {
	return t.exec(`UPDATE assignments SET ended_at = $1 WHERE patient_id = $2 AND doctor_id = $3 AND ended_at IS NULL`, t.at(), patient, doctor)
}

// touchPartners counts up everyone whose list of partners shows this account,
// and notes the patients among them.
func (t *tx) touchPartners(id string) error {
	rows, err := t.rows(`SELECT patient_id FROM assignments WHERE ended_at IS NULL AND doctor_id = $1 ORDER BY patient_id`, id)
	if err != nil {
		return err
	}
	patients, err := collect(rows, scanText)
	if err != nil {
		return err
	}
	t.concerns(patients...)
	return t.exec(`UPDATE accounts SET paired = paired + 1 WHERE id IN (
		SELECT doctor_id FROM assignments WHERE ended_at IS NULL AND patient_id = $1
		UNION SELECT patient_id FROM assignments WHERE ended_at IS NULL AND doctor_id = $1)`, id)
}
