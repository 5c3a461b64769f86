package store

import (
	"context"
	"slices"
)

// Doctor is a doctor's profile. What the caller may not see of it is empty.
type Doctor struct {
	ID             string
	User           User
	Specialization string
	License        string
	Verified       bool
	Patients       []string // ids; for the doctor itself and staff
	Active         *bool    // may sign in; only for staff, else nil
	Version        string
}

// DoctorInput is what a body says of a doctor; nil is not given. Verified and
// Patients are for staff to write: from anyone else they are ignored.
type DoctorInput struct {
	Input
	User           UserInput
	Specialization *string
	License        *string
	Verified       *bool
	Patients       *[]string
}

// intimate tells whether the caller may see what the directory does not show:
// a doctor's e-mail address and patients. Who registers has just sent them.
func (t *tx) intimate(own *account) bool {
	return t.who.role == Staff || t.who.id == own.id || own.isNew()
}

func (t *tx) doctor(own *account, patients []string) Doctor {
	d := Doctor{
		ID: own.id, User: own.user, Specialization: own.specialization, License: own.license, Verified: own.verified,
		Patients: orEmpty(patients), Active: t.shownActive(own), Version: t.doctorVersion(own),
	}
	if !t.intimate(own) {
		d.User.Email, d.Patients = "", []string{}
	}
	return d
}

// doctorVersion changes with what the caller sees, and does not tell the
// directory when patients come and go.
func (t *tx) doctorVersion(own *account) string {
	if !t.intimate(own) {
		return versionTag(own.version, 0)
	}
	return versionTag(own.version+own.paired, 0)
}

// staffOnly takes out of an input what only staff may write. From anyone else
// it is ignored, whatever it holds.
func (t *tx) staffOnly(in *DoctorInput) (verified *bool, patients *[]string) {
	if t.who.role != Staff {
		in.Problems.Forget("verified")
		in.Problems.Forget("patients")
		return nil, nil
	}
	return in.Verified, in.Patients
}

// CreateDoctor registers a doctor: verified when staff does it and does not say
// otherwise. Nobody registers itself while registration is closed: ErrClosed.
func (s *Store) CreateDoctor(ctx context.Context, a Actor, in *DoctorInput) (Doctor, error) {
	var d Doctor
	err := s.act(ctx, a, CreateDoctor, "", func(t *tx) error {
		in := copyOf(in)
		verified, patients := t.staffOnly(in)
		isVerified := t.who.role == Staff && (verified == nil || *verified)
		own, plan, err := t.register(DoctorRole, isVerified, &in.Input, &in.User, "patients", patients)
		if err != nil {
			return err
		}
		own.specialization, own.license = value(in.Specialization), value(in.License)
		if err := t.enrol(own, plan); err != nil {
			return err
		}
		d, err = t.showDoctor(own)
		return err
	})
	return d, err
}

// Doctor returns the profile of a doctor: a verified one to everyone signed
// in, any to itself and staff.
func (s *Store) Doctor(ctx context.Context, a Actor, id string) (Doctor, error) {
	var d Doctor
	err := s.act(ctx, a, ReadDoctor, id, func(t *tx) error {
		own, err := t.reachDoctor(id)
		if err == nil {
			d, err = t.showDoctor(own)
		}
		return err
	})
	return d, err
}

// reachDoctor returns a doctor's account when the policy lets the caller do
// the action on it.
func (t *tx) reachDoctor(id string) (*account, error) {
	own, err := t.living(id, DoctorRole)
	if err != nil {
		return nil, err
	}
	var tie Tie
	if own.verified && own.active {
		tie |= Listed
	}
	if t.who.id == id {
		tie |= Own
	}
	return own, t.allow(tie)
}

func (t *tx) showDoctor(own *account) (Doctor, error) {
	if !t.intimate(own) {
		return t.doctor(own, nil), nil
	}
	patients, err := t.partners(DoctorRole, own.id)
	t.concerns(patients[own.id]...)
	return t.doctor(own, patients[own.id]), err
}

// Doctors lists the verified doctors, to staff all, newest first.
func (s *Store) Doctors(ctx context.Context, a Actor, p Paging) (Page[Doctor], error) {
	var list Page[Doctor]
	err := s.listing(p)(ctx, a, ListDoctors, "", func(t *tx) error {
		accounts, err := t.accounts(DoctorRole, p, func(q *statement, _ Position, _ int) {
			if t.who.role != Staff {
				q.add(" AND (a.verified = 1 AND a.active = 1 OR a.id = $)", t.who.id)
			}
		})
		if err != nil {
			return err
		}
		shown := slices.DeleteFunc(slices.Clone(accounts.Items), func(a *account) bool { return !t.intimate(a) })
		patients, err := t.partners(DoctorRole, accountIDs(shown)...)
		list = pageOf(accounts, func(a *account) Doctor {
			t.concerns(patients[a.id]...)
			return t.doctor(a, patients[a.id])
		})
		return err
	})
	return list, err
}

// ChangeDoctor applies what is given to a doctor's profile.
func (s *Store) ChangeDoctor(ctx context.Context, a Actor, id string, match Match, in *DoctorInput) (Doctor, error) {
	var d Doctor
	err := s.act(ctx, a, ChangeDoctor, id, func(t *tx) error {
		in := copyOf(in)
		own, err := t.reachDoctor(id)
		if err != nil {
			return err
		}
		if err := match.check(t.doctorVersion(own)); err != nil {
			return err
		}
		if in.Err != nil {
			return in.Err
		}
		verified, patients := t.staffOnly(in)
		if err := t.changeUser(own, &in.User, &in.Problems); err != nil {
			return err
		}
		t.set(&own.specialization, in.Specialization, "specialization")
		t.set(&own.license, in.License, "license_number")
		if err := t.verify(own, verified); err != nil {
			return err
		}
		if err := t.change(own, in.User.Proven, "patients", patients, &in.Problems); err != nil {
			return err
		}
		d, err = t.showDoctor(own)
		return err
	})
	return d, err
}

// verify gives or withdraws a doctor's verification. Its open pairs count with
// it: what its patients show changes too.
func (t *tx) verify(own *account, verified *bool) error {
	if verified == nil || *verified == own.verified {
		return nil
	}
	own.verified = *verified
	t.entry.fields = append(t.entry.fields, "verified")
	return t.touchPartners(own.id)
}

// DeleteDoctor hides a doctor. What it wrote stays, with its name.
func (s *Store) DeleteDoctor(ctx context.Context, a Actor, id string, match Match) error {
	return s.act(ctx, a, DeleteDoctor, id, func(t *tx) error {
		own, err := t.reachDoctor(id)
		if err != nil {
			return err
		}
		if err := match.check(t.doctorVersion(own)); err != nil {
			return err
		}
		return t.deleteAccount(own)
	})
}
