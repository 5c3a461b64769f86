package store

import (
	"context"
	"errors"
)

// Author is who wrote a record.
type Author struct {
	Role Role
	ID   string
	Name string
}

// Record is a health record with its notes.
type Record struct {
	ID          string
	Title       string
	Description string
	Date        Instant // when it happened
	Patient     string
	Author      Author
	Notes       []Note // oldest first
	Created     Instant
	Updated     Instant
	Version     string
}

// RecordInput is what a body says of a record; nil is not given.
type RecordInput struct {
	Input
	Title       *string
	Description *string
	Date        *Instant
	Patient     *string
}

// RecordFilter narrows a list of records; a zero field narrows nothing.
type RecordFilter struct {
	Patient, Author string
	After, Before   Instant // inclusive
	Updated         Instant // written or changed then or later
	OldestFirst     bool
}

// Record returns a record, to its patient and the patient's doctors.
func (s *Store) Record(ctx context.Context, a Actor, id string) (Record, error) {
	var shown Record
	err := s.act(ctx, a, ReadRecord, id, func(t *tx) error {
		r, err := t.reachRecord(id)
		if err == nil {
			shown = r.show()
		}
		return err
	})
	return shown, err
}

// Records lists the records that the caller may read, by date.
func (s *Store) Records(ctx context.Context, a Actor, f RecordFilter, p Paging) (Page[Record], error) {
	var list Page[Record]
	err := s.listing(p)(ctx, a, ListRecords, "", func(t *tx) (err error) {
		list, err = t.records(f, p)
		return err
	})
	return list, err
}

// RecordsOf lists the records of a patient, to itself and its doctors, by date.
func (s *Store) RecordsOf(ctx context.Context, a Actor, patient string, f RecordFilter, p Paging) (Page[Record], error) {
	var list Page[Record]
	err := s.listing(p)(ctx, a, ListRecordsOf, patient, func(t *tx) error {
		if _, err := t.reachPatient(patient); err != nil {
			return err
		}
		if p.Err == nil && f.Patient != "" && f.Patient != patient {
			list.Items = []Record{}
			return nil
		}
		f.Patient = patient
		var err error
		list, err = t.records(f, p)
		return err
	})
	return list, err
}

func (t *tx) records(f RecordFilter, p Paging) (Page[Record], error) {
	fetch := func(from Position, limit int) ([]*record, error) { return t.fetchRecords(f, from, limit) }
	at := func(r *record) Position { return Position{Key: string(r.Date), ID: r.ID} }
	rows, err := page(p, fetch, at, searching(p, func(r *record) []string { return []string{r.Title, r.Description} }))
	if err != nil {
		return Page[Record]{}, err
	}
	if err := t.addNotes(rows.Items); err != nil {
		return Page[Record]{}, err
	}
	return pageOf(rows, func(r *record) Record {
		t.concerns(r.Patient)
		return r.show()
	}), nil
}

// fetchRecords finds the ids first, in an index, and only then reads the rows.
func (t *tx) fetchRecords(f RecordFilter, from Position, limit int) ([]*record, error) {
	byDate := order{"r.date, r.id", !f.OldestFirst}
	var q statement
	q.add("SELECT " + recordColumns + " FROM records r WHERE r.id IN (SELECT r.id FROM records r WHERE r.deleted_at IS NULL")
	t.visible(&q, "r.patient_id")
	f.narrow(&q)
	q.behind(byDate, from, from.Key, from.ID)
	q.add(byDate.by(from)+" LIMIT $)"+byDate.by(from), limit)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	records, err := collect(rows, scanRecord)
	if err != nil {
		return nil, err
	}
	return records, t.openRecords(records...)
}

func (f RecordFilter) narrow(q *statement) {
	if f.Patient != "" {
		q.add(" AND r.patient_id = $", f.Patient)
	}
	if f.Author != "" {
		q.add(" AND r.author_id = $", f.Author)
	}
	if f.After != "" {
		q.add(" AND r.date >= $", f.After)
	}
	if f.Before != "" {
		q.add(" AND r.date <= $", f.Before)
	}
	if f.Updated != "" {
		q.add(" AND r.updated_at >= $", f.Updated)
	}
}

// CreateRecord keeps a record about the patient itself, or about a patient of
// the doctor who writes it. Another's patient is a problem of the input, and a
// refusal in the trail.
func (s *Store) CreateRecord(ctx context.Context, a Actor, in *RecordInput) (Record, error) {
	var shown Record
	err := s.act(ctx, a, CreateRecord, "", func(t *tx) error {
		in := copyOf(in)
		r, err := t.createRecord(in)
		if err == nil {
			shown = r.show()
		}
		return err
	})
	return shown, err
}

func (t *tx) createRecord(in *RecordInput) (*record, error) {
	if in.Err != nil {
		return nil, in.Err
	}
	r, err := t.newRecord(in)
	if err != nil {
		return nil, err
	}
	err = t.exec(`INSERT INTO records (id, patient_id, author_id, date, content, version, noted, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)`,
		r.ID, r.Patient, r.Author.ID, r.Date, r.sealed(), r.version, r.Created, r.Updated)
	t.entry.object, t.entry.version = r.ID, r.version
	return r, err
}

func (t *tx) newRecord(in *RecordInput) (*record, error) {
	patient, err := t.subject(in)
	if err != nil {
		return nil, err
	}
	r := &record{version: 1}
	r.ID, r.Title, r.Description, r.Notes = t.s.NewID(), value(in.Title), value(in.Description), []Note{}
	r.Date, r.Created, r.Updated = t.at(), t.at(), t.at()
	t.dateOf(r, in)
	if err := in.Problems.Err(); err != nil {
		return nil, err
	}
	r.Patient, r.key = patient.id, patient.key
	author := t.who.account
	r.Author, r.renamed = Author{author.role, author.id, author.user.Name()}, author.renamed
	return r, nil
}

// subject finds the patient whom a new record is about.
func (t *tx) subject(in *RecordInput) (*account, error) {
	if in.Patient == nil && t.who.role == PatientRole {
		in.Patient = &t.who.id
	}
	if in.Problems.Has("patient") {
		return nil, nil
	}
	if in.Patient == nil {
		in.Problems.Add("patient", "This field is required.")
		return nil, nil
	}
	patient, err := t.living(*in.Patient, PatientRole)
	if err == nil {
		t.concerns(patient.id)
		var tie Tie
		if tie, err = t.tie(patient.id); err == nil {
			err = t.allow(tie)
		}
	}
	if errors.Is(err, ErrNotFound) {
		in.Problems.Add("patient", invalidID(*in.Patient))
		t.refuse("not found")
		return nil, nil
	}
	return patient, err
}

// dateOf sets the date that was given, unless it lies in the future.
func (t *tx) dateOf(r *record, in *RecordInput) {
	if in.Date == nil {
		return
	}
	if *in.Date > t.at() {
		in.Problems.Add("date", "The date may not be in the future.")
	}
	t.set((*string)(&r.Date), (*string)(in.Date), "date")
}

// ChangeRecord applies what is given to a record that the caller wrote.
func (s *Store) ChangeRecord(ctx context.Context, a Actor, id string, match Match, in *RecordInput) (Record, error) {
	var shown Record
	err := s.act(ctx, a, ChangeRecord, id, func(t *tx) error {
		in := copyOf(in)
		r, err := t.reachRecord(id)
		if err != nil {
			return err
		}
		if err := match.check(r.show().Version); err != nil {
			return err
		}
		if in.Err != nil {
			return in.Err
		}
		t.set(&r.Title, in.Title, "title")
		t.set(&r.Description, in.Description, "description")
		t.dateOf(r, in)
		if err := in.Problems.Err(); err != nil {
			return err
		}
		err = t.updateRecord(r)
		shown = r.show()
		return err
	})
	return shown, err
}

// updateRecord stores a changed record as its next version and keeps the one
// before. What was not changed is not written.
func (t *tx) updateRecord(r *record) error {
	t.entry.version = r.version
	if len(t.entry.fields) == 0 {
		return nil
	}
	if err := t.exec(`INSERT INTO record_versions (record_id, version, date, content, updated_at)
		SELECT id, version, date, content, updated_at FROM records WHERE id = $1`, r.ID); err != nil {
		return err
	}
	r.version++
	t.entry.version, r.Updated = r.version, t.at()
	return t.exec(`UPDATE records SET date = $1, content = $2, version = $3, updated_at = $4 WHERE id = $5`,
		r.Date, r.sealed(), r.version, r.Updated, r.ID)
}

// DeleteRecord hides a record that the caller wrote, with its notes. All its
// versions are kept.
func (s *Store) DeleteRecord(ctx context.Context, a Actor, id string, match Match) error {
	return s.act(ctx, a, DeleteRecord, id, func(t *tx) error {
		r, err := t.reachRecord(id)
		if err != nil {
			return err
		}
		if err := match.check(r.show().Version); err != nil {
			return err
		}
		t.entry.version = r.version
		if err := t.exec(`UPDATE notes SET deleted_at = $1 WHERE record_id = $2 AND deleted_at IS NULL`, t.at(), id); err != nil {
			return err
		}
		return t.exec(`UPDATE records SET deleted_at = $1 WHERE id = $2`, t.at(), id)
	})
}
