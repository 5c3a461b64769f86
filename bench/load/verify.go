package main

import (
	"context"
	"net/url"
	"slices"
)

// verifier reads a loaded practice back as each of its users.
type verifier struct {
	client   *client
	practice *practice
	staff    *session
	before   map[string]bool
	tally    *tally
	tasks    []func(ctx context.Context) error
}

const (
	patientsPath = "/api/patients/"
	doctorsPath  = "/api/doctors/"
	recordsPath  = "/api/health-records/"
	notesPath    = "/api/doctor-notes/"
)

// pageSizes are those with which every list of a doctor is read.
var pageSizes = []string{"1", "7", "25", "100"}

// strangers is how many patients of others a doctor asks for.
const strangers = 10

// verify reads everything back. An error means that it could not be read; what
// is not as it went in stands in the tally.
func (v *verifier) verify(ctx context.Context, workers int) error {
	// The doctors' walks are the longest and so begin first.
	for _, d := range v.practice.doctors {
		v.asDoctor(d)
	}
	v.asStaff()
	for i := range v.practice.patients {
		v.asPatient(i)
	}
	return each(ctx, workers, len(v.tasks), func(ctx context.Context, i int) error {
		return v.tasks[i](ctx)
	})
}

func (v *verifier) add(task func(ctx context.Context) error) { v.tasks = append(v.tasks, task) }

func (v *verifier) reader(s *session, as string) *reader {
	return &reader{v.client, v.tally, s, as, v.before}
}

func sized(size string) url.Values { return url.Values{"page_size": {size}} }

// asPatient adds what a patient reads: itself, its records, its notes, its
// doctors, and nothing of the next patient.
func (v *verifier) asPatient(i int) {
	p := v.practice.patients[i]
	r := v.reader(p.session, p.place)
	self := expectPatients([]*patient{p})
	records := expectRecords(p.records)
	v.add(func(ctx context.Context) error {
		steps := []func() error{
			func() error { return r.list(ctx, patientsPath, nil, self, true) },
			func() error { return r.one(ctx, patientsPath+p.id+"/", self[0]) },
			func() error { return r.list(ctx, recordsPath, nil, records, true) },
			func() error { return r.list(ctx, patientsPath+p.id+"/health-records/", sized("100"), records, true) },
			func() error { return r.notes(ctx, nil, expectNotes(p.records)) },
			func() error { return v.directory(ctx, r, nil, nil) },
			func() error { return r.probe(ctx, p.records, 1) },
			func() error { return r.foreign(ctx, v.others(1, func(o *patient) bool { return o != p }, i)) },
		}
		return inTurn(steps)
	})
	for _, d := range p.doctors {
		v.add(func(ctx context.Context) error {
			return r.one(ctx, doctorsPath+d.id+"/", expected{d.place, d.id, d.entry})
		})
	}
}

// asDoctor adds what a doctor reads: its patients and all that is theirs, by
// every way that leads there, and nothing of other patients.
func (v *verifier) asDoctor(d *doctor) {
	r := v.reader(d.session, d.place)
	patients := expectPatients(d.patients)
	var visible []*record
	for _, p := range d.patients {
		visible = append(visible, p.records...)
	}
	records, notes := expectRecords(visible), expectNotes(visible)
	for _, size := range pageSizes {
		v.add(func(ctx context.Context) error { return r.list(ctx, recordsPath, sized(size), records, true) })
		v.add(func(ctx context.Context) error { return r.notes(ctx, sized(size), notes) })
		v.add(func(ctx context.Context) error { return r.list(ctx, patientsPath, sized(size), patients, false) })
		v.add(func(ctx context.Context) error {
			return r.list(ctx, doctorsPath+d.id+"/patients/", sized(size), patients, false)
		})
		v.add(func(ctx context.Context) error { return v.directory(ctx, r, d, sized(size)) })
	}
	for _, p := range d.patients {
		v.add(func(ctx context.Context) error { return r.patientOf(ctx, p) })
	}
	v.add(func(ctx context.Context) error {
		return r.one(ctx, doctorsPath+d.id+"/", expected{d.place, d.id, d.whole})
	})
	v.add(func(ctx context.Context) error { return r.probe(ctx, visible, 5) })
	v.add(func(ctx context.Context) error { return r.written(ctx, d, visible) })
	v.add(func(ctx context.Context) error {
		foreign := func(p *patient) bool { return !slices.Contains(p.doctors, d) }
		return r.foreign(ctx, v.others(strangers, foreign, 0))
	})
}

// asStaff adds what staff read: everybody, and no clinical content.
func (v *verifier) asStaff() {
	r := v.reader(v.staff, "staff")
	var doctors, patients []expected
	for _, d := range v.practice.doctors {
		doctors = append(doctors, expected{d.place, d.id, toStaff(d.whole)})
	}
	for _, p := range v.practice.patients {
		patients = append(patients, expected{p.place, p.id, toStaff(p.object)})
	}
	for _, size := range pageSizes {
		v.add(func(ctx context.Context) error {
			return r.list(ctx, patientsPath, sized(size), patients, false)
		})
		v.add(func(ctx context.Context) error { return r.list(ctx, doctorsPath, sized(size), doctors, false) })
	}
	paths := []string{recordsPath, notesPath, recordsPath + unknownID() + "/", notesPath + unknownID() + "/"}
	if len(v.practice.patients) > 0 {
		paths = append(paths, patientsPath+v.practice.patients[0].id+"/health-records/")
	}
	if len(v.practice.records) > 0 {
		paths = append(paths, recordsPath+v.practice.records[0].id+"/")
	}
	if len(v.practice.notes) > 0 {
		paths = append(paths, notesPath+v.practice.notes[0].id+"/")
	}
	for _, path := range paths {
		v.add(func(ctx context.Context) error { return r.denied(ctx, path) })
	}
}

// directory reads the doctors as a patient or doctor sees them; a doctor sees
// itself whole.
func (v *verifier) directory(ctx context.Context, r *reader, self *doctor, query url.Values) error {
	var want []expected
	for _, d := range v.practice.doctors {
		shown := d.entry
		if d == self {
			shown = d.whole
		}
		want = append(want, expected{d.place, d.id, shown})
	}
	return r.list(ctx, doctorsPath, query, want, false)
}

// others picks up to n patients that the test holds for, evenly spread and
// beginning after one of them; those with records come first, because without
// a record there is less to ask for.
func (v *verifier) others(n int, holds func(*patient) bool, after int) []*patient {
	all := v.practice.patients
	var with, without []*patient
	for i := range all {
		switch p := all[(after+1+i)%len(all)]; {
		case !holds(p):
		case len(p.records) > 0:
			with = append(with, p)
		default:
			without = append(without, p)
		}
	}
	found := append(with, without...)
	step := max(1, len(found)/n)
	var picked []*patient
	for i := 0; i < len(found) && len(picked) < n; i += step {
		picked = append(picked, found[i])
	}
	return picked
}

func inTurn(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// notes reads the notes by themselves, newest first. When each was written the
// service alone knows, so the order is told from what it shows.
func (r *reader) notes(ctx context.Context, query url.Values, want []expected) error {
	got, err := r.walk(ctx, notesPath, query)
	if err != nil {
		return err
	}
	r.compare(notesPath, got, want, false)
	last := ""
	for i, v := range got {
		date, _ := v["date"].(string)
		if i > 0 && date > last { // of one form, so that the texts sort as the instants do
			r.mismatch(notesPath, "not in order")
			break
		}
		last = date
	}
	return nil
}

// patientOf reads a patient by its own routes and by the filter.
func (r *reader) patientOf(ctx context.Context, p *patient) error {
	records := expectRecords(p.records)
	return inTurn([]func() error{
		func() error {
			return r.one(ctx, patientsPath+p.id+"/", expected{p.place, p.id, p.object})
		},
		func() error { return r.list(ctx, patientsPath+p.id+"/health-records/", nil, records, true) },
		func() error { return r.list(ctx, recordsPath, url.Values{"patient": {p.id}}, records, true) },
	})
}
