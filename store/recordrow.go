package store

import (
	"database/sql"
	"errors"
)

// record is a row of the table and what is sealed in it.
type record struct {
	Record
	version, noted, renamed int
	content                 []byte // sealed
	key                     sealer // the patient's
	deleted                 Instant
}

const recordColumns = `r.id, r.patient_id, r.author_id, r.date, r.content, r.version, r.noted, r.created_at, r.updated_at, COALESCE(r.deleted_at, '')`

func scanRecord(row rowScanner) (*record, error) { return scanRecordAnd(row) }

// scanRecordAnd scans a row that has more columns behind the record's.
func scanRecordAnd(row rowScanner, more ...any) (*record, error) {
	r := &record{Record: Record{Notes: []Note{}}}
	err := row.Scan(append([]any{&r.ID, &r.Patient, &r.Author.ID, (*string)(&r.Date), &r.content, &r.version, &r.noted,
		(*string)(&r.Created), (*string)(&r.Updated), (*string)(&r.deleted)}, more...)...)
	return r, err
}

// openRecords opens records that were scanned.
func (t *tx) openRecords(records ...*record) error {
	var people []string
	for _, r := range records {
		people = append(people, r.Patient, r.Author.ID)
	}
	if err := t.meet(people...); err != nil {
		return err
	}
	for _, r := range records {
		patient, author := t.met[r.Patient], t.met[r.Author.ID]
		if patient == nil || author == nil {
			return t.sealed(errSealed, "record", r.ID)
		}
		r.key, r.renamed, r.Author.Role, r.Author.Name = patient.key, author.renamed, author.role, author.user.Name()
		v, err := r.key.open(r.place(), r.content, 2)
		if err != nil {
			return t.sealed(err, "record", r.ID)
		}
		r.Title, r.Description, r.content = v[0], v[1], nil
	}
	return nil
}

// place binds the content to this record, its version, author and date.
func (r *record) place() []byte {
	return place("records.content", r.ID, r.version, r.Patient, r.Author.ID, string(r.Date))
}

func (r *record) sealed() []byte { return r.key.seal(r.place(), r.Title, r.Description) }

// show returns the record as it is answered. Its version counts all that is
// shown: the record, its notes, and the names of who wrote them.
func (r *record) show() Record {
	renamed, seen := r.renamed, map[string]bool{r.Author.ID: true}
	for _, n := range r.Notes {
		if !seen[n.Doctor] {
			renamed += n.renamed
		}
		seen[n.Doctor] = true
	}
	r.Version = versionTag(r.version+r.noted, renamed)
	return r.Record
}

// record returns a living record without its notes, or ErrNotFound.
func (t *tx) record(id string) (*record, error) {
	r, err := t.recordEver(id)
	if err == nil && r.deleted != "" {
		return nil, ErrNotFound
	}
	return r, err
}

// recordEver is record for one that may be deleted, unless its patient is.
func (t *tx) recordEver(id string) (*record, error) {
	if !isID(id) {
		return nil, ErrNotFound
	}
	r, err := scanRecordAnd(t.row(`SELECT `+recordColumns+`, `+t.treated("r.patient_id")+`
		FROM records r WHERE r.id = $2`, t.who.id, id), &t.treats)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	t.asked = r.Patient
	if err := t.openRecords(r); err != nil {
		return nil, err
	}
	if t.met[r.Patient].deletedAt != "" {
		return nil, ErrNotFound
	}
	return r, nil
}

// reachRecord returns a record with its notes when the policy lets the caller
// do the action on it.
func (t *tx) reachRecord(id string) (*record, error) {
	r, err := t.record(id)
	if err != nil {
		return nil, err
	}
	if err := t.reach(r.Patient, r.Author.ID); err != nil {
		return nil, err
	}
	return r, t.addNotes([]*record{r})
}
