package store

import "context"

// Patient is a patient's profile.
type Patient struct {
	ID          string
	User        User
	DateOfBirth string // 1990-02-03, or ""
	Phone       string
	Address     string
	Doctors     []string // ids of the verified doctors assigned now
	Active      *bool    // may sign in; only for staff, else nil
	Version     string
}

// PatientInput is what a body says of a patient; nil is not given.
type PatientInput struct {
	Input
	User        UserInput
	DateOfBirth *string // "" for null
	Phone       *string
	Address     *string
	Doctors     *[]string
}

func (t *tx) patient(a *account, doctors []string) Patient {
	return Patient{
		ID: a.id, User: a.user, DateOfBirth: a.dateOfBirth, Phone: a.phone, Address: a.address,
		Doctors: orEmpty(doctors), Active: t.shownActive(a), Version: versionTag(a.version+a.paired, 0),
	}
}

// shownActive tells staff whether an account may sign in, and others nothing.
func (t *tx) shownActive(a *account) *bool {
	if t.who.role != Staff {
		return nil
	}
	return &a.active
}

func orEmpty(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}

// CreatePatient registers a patient. Nobody registers itself while
// registration is closed: ErrClosed.
func (s *Store) CreatePatient(ctx context.Context, a Actor, in *PatientInput) (Patient, error) {
	var p Patient
	err := s.act(ctx, a, CreatePatient, "", func(t *tx) error {
		in := copyOf(in)
		own, plan, err := t.register(PatientRole, false, &in.Input, &in.User, "doctors", in.Doctors)
		if err != nil {
			return err
		}
		own.dateOfBirth, own.phone, own.address = value(in.DateOfBirth), value(in.Phone), value(in.Address)
		t.concerns(own.id)
		if err := t.enrol(own, plan); err != nil {
			return err
		}
		p, err = t.showPatient(own)
		return err
	})
	return p, err
}

// Patient returns the profile of a patient: to itself, its doctors and staff.
func (s *Store) Patient(ctx context.Context, a Actor, id string) (Patient, error) {
	var p Patient
	err := s.act(ctx, a, ReadPatient, id, func(t *tx) error {
		own, err := t.reachPatient(id)
		if err == nil {
			p, err = t.showPatient(own)
		}
		return err
	})
	return p, err
}

// reachPatient returns a patient's account when the policy lets the caller do
// the action on it.
func (t *tx) reachPatient(id string) (*account, error) {
	own, err := t.living(id, PatientRole)
	if err != nil {
		return nil, err
	}
	t.concerns(id)
	tie, err := t.tie(id)
	if err != nil {
		return nil, err
	}
	return own, t.allow(tie)
}

func (t *tx) showPatient(own *account) (Patient, error) {
	doctors, err := t.partners(PatientRole, own.id)
	return t.patient(own, doctors[own.id]), err
}

// Patients lists the patients that the caller may read, newest first.
func (s *Store) Patients(ctx context.Context, a Actor, p Paging) (Page[Patient], error) {
	var list Page[Patient]
	err := s.listing(p)(ctx, a, ListPatients, "", func(t *tx) (err error) {
		narrow := func(q *statement, _ Position, _ int) { t.visible(q, "a.id") }
		if t.who.role == DoctorRole {
			narrow = patientsOf(t.who.id)
		}
		list, err = t.patients(p, narrow)
		return err
	})
	return list, err
}

// TreatedBy lists the patients of a doctor, to itself and to staff.
func (s *Store) TreatedBy(ctx context.Context, a Actor, doctor string, p Paging) (Page[Patient], error) {
	var list Page[Patient]
	err := s.listing(p)(ctx, a, ListTreated, doctor, func(t *tx) error {
		if _, err := t.reachDoctor(doctor); err != nil {
			return err
		}
		var err error
		list, err = t.patients(p, patientsOf(doctor))
		return err
	})
	return list, err
}

// patientsOf narrows a list of accounts to the patients of a doctor. The pairs are cut
// to a page first, in their index, so that no more patients are looked up than are
// shown, however many the doctor has.
func patientsOf(doctor string) narrowing {
	return func(q *statement, from Position, limit int) {
		newest := newestFirst("x.patient_id")
		q.add(" AND a.id IN (SELECT x.patient_id "+pairs+" AND x.doctor_id = $", doctor)
		q.behind(newest, from, from.ID)
		q.add(newest.by(from)+" LIMIT $)", limit)
	}
}

func (t *tx) patients(p Paging, narrow narrowing) (Page[Patient], error) {
	accounts, err := t.accounts(PatientRole, p, narrow)
	if err != nil {
		return Page[Patient]{}, err
	}
	doctors, err := t.partners(PatientRole, accountIDs(accounts.Items)...)
	return pageOf(accounts, func(a *account) Patient {
		t.concerns(a.id)
		return t.patient(a, doctors[a.id])
	}), err
}

// ChangePatient applies what is given to a patient's profile.
func (s *Store) ChangePatient(ctx context.Context, a Actor, id string, match Match, in *PatientInput) (Patient, error) {
	var p Patient
	err := s.act(ctx, a, ChangePatient, id, func(t *tx) error {
		in := copyOf(in)
		own, err := t.reachPatient(id)
		if err != nil {
			return err
		}
		if err := match.check(versionTag(own.version+own.paired, 0)); err != nil {
			return err
		}
		if in.Err != nil {
			return in.Err
		}
		if err := t.changeUser(own, &in.User, &in.Problems); err != nil {
			return err
		}
		t.set(&own.dateOfBirth, in.DateOfBirth, "date_of_birth")
		t.set(&own.phone, in.Phone, "phone_number")
		t.set(&own.address, in.Address, "address")
		if err := t.change(own, in.User.Proven, "doctors", in.Doctors, &in.Problems); err != nil {
			return err
		}
		p, err = t.showPatient(own)
		return err
	})
	return p, err
}

// DeletePatient hides a patient and all that was written about it.
func (s *Store) DeletePatient(ctx context.Context, a Actor, id string, match Match) error {
	return s.act(ctx, a, DeletePatient, id, func(t *tx) error {
		own, err := t.reachPatient(id)
		if err != nil {
			return err
		}
		if err := match.check(versionTag(own.version+own.paired, 0)); err != nil {
			return err
		}
		return t.deleteAccount(own)
	})
}
