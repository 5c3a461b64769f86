package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
)

// loader puts a practice into a server.
type loader struct {
	client   *client
	practice *practice
	staff    *session
	workers  int
}

// each calls f with 0 to n-1 from several goroutines and waits for them. The
// first error ends the rest and is returned.
func each(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := taken.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = taken.Add(1) - 1 {
				if err := f(ctx, int(i)); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// doctors has staff create every doctor, which verifies them.
func (l *loader) doctors(ctx context.Context) error {
	return each(ctx, l.workers, len(l.practice.doctors), func(ctx context.Context, i int) error {
		d := l.practice.doctors[i]
		in := object{
			"user":           d.userWithPassword(),
			"specialization": d.Specialization,
			"license_number": d.LicenseNumber,
		}
		var err error
		d.id, err = l.create(ctx, d.place, l.staff, "/api/doctors/", in)
		return err
	})
}

// patients has staff create every patient with its doctors: from one address
// they could not register themselves as fast.
func (l *loader) patients(ctx context.Context) error {
	return each(ctx, l.workers, len(l.practice.patients), func(ctx context.Context, i int) error {
		p := l.practice.patients[i]
		in := object{
			"user":          p.userWithPassword(),
			"date_of_birth": p.dateOfBirth(),
			"phone_number":  p.PhoneNumber,
			"address":       p.Address,
			"doctors":       p.doctorIDs(),
		}
		var err error
		p.id, err = l.create(ctx, p.place, l.staff, "/api/patients/", in)
		return err
	})
}

// signIns opens a session for every account.
func (l *loader) signIns(ctx context.Context) error {
	accounts := l.practice.accounts()
	return each(ctx, l.workers, len(accounts), func(ctx context.Context, i int) error {
		a := accounts[i]
		var err error
		if a.session, err = l.client.signIn(ctx, a.Username, a.password); err != nil {
			return fmt.Errorf("%s: %w", a.place, err)
		}
		return nil
	})
}

// records posts every record as its author. The records of one patient follow
// each other as in the file; patients go side by side.
func (l *loader) records(ctx context.Context) error {
	return each(ctx, l.workers, len(l.practice.patients), func(ctx context.Context, i int) error {
		for _, r := range l.practice.patients[i].records {
			if err := l.record(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *loader) record(ctx context.Context, r *record) (err error) {
	in := object{"title": r.Title, "description": r.Description, "date": r.Date}
	author := r.patient.session // whose own id goes without saying
	if r.author != nil {
		author = r.author.session
		in["patient"] = r.patient.id
	}
	r.id, err = l.create(ctx, r.place, author, "/api/health-records/", in)
	return err
}

// notes posts every note as its doctor. The notes of one patient's records
// follow each other.
func (l *loader) notes(ctx context.Context) error {
	return each(ctx, l.workers, len(l.practice.patients), func(ctx context.Context, i int) error {
		for _, r := range l.practice.patients[i].records {
			for _, n := range r.notes {
				in := object{"note": n.Note, "health_record": r.id}
				var err error
				if n.id, err = l.create(ctx, n.place, n.doctor.session, "/api/doctor-notes/", in); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

var canonicalID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// create posts an object to a list and returns its id. It is an error if the
// id is no UUID of version 7 in canonical text or Location is not its path.
func (l *loader) create(ctx context.Context, place string, s *session, list string, in object) (string, error) {
	a, err := l.client.want(ctx, http.StatusCreated, s, http.MethodPost, list, in)
	if err != nil {
		return "", fmt.Errorf("%s: %w", place, err)
	}
	v, err := a.object()
	if err != nil {
		return "", fmt.Errorf("%s: POST %s: %w", place, list, err)
	}
	id, _ := v["id"].(string)
	if !canonicalID.MatchString(id) {
		return "", fmt.Errorf("%s: POST %s: the id is not a canonical UUID of version 7", place, list)
	}
	if at, err := url.Parse(a.header.Get("Location")); err != nil || at.Path != list+id+"/" {
		return "", fmt.Errorf("%s: POST %s: Location is not the path of the object", place, list)
	}
	return id, nil
}

func (a *account) userWithPassword() object {
	u := a.user()
	u["password"] = a.password
	return u
}
