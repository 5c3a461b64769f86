package store

import (
	"database/sql"
	"errors"
)

// note is a row of the table and what is sealed in it.
type note struct {
	Note
	patient string
	version int
	content []byte // sealed
	key     sealer // the patient's
	deleted Instant
}

const noteColumns = `n.id, n.record_id, n.patient_id, n.doctor_id, n.content, n.version, n.created_at, n.updated_at, COALESCE(n.deleted_at, '')`

func scanNote(row rowScanner) (*note, error) { return scanNoteAnd(row) }

// scanNoteAnd scans a row that has more columns behind the note's.
func scanNoteAnd(row rowScanner, more ...any) (*note, error) {
	n := new(note)
	err := row.Scan(append([]any{&n.ID, &n.Record, &n.patient, &n.Doctor, &n.content, &n.version, (*string)(&n.Date), (*string)(&n.Updated), (*string)(&n.deleted)}, more...)...)
	return n, err
}

// openNotes opens notes that were scanned.
func (t *tx) openNotes(notes ...*note) error {
	var people []string
	for _, n := range notes {
		people = append(people, n.patient, n.Doctor)
	}
	if err := t.meet(people...); err != nil {
		return err
	}
	for _, n := range notes {
		patient, doctor := t.met[n.patient], t.met[n.Doctor]
		if patient == nil || doctor == nil {
			return t.sealed(errSealed, "note", n.ID)
		}
		n.key, n.renamed, n.DoctorName = patient.key, doctor.renamed, doctor.user.Name()
		v, err := n.key.open(n.place(), n.content, 1)
		if err != nil {
			return t.sealed(err, "note", n.ID)
		}
		n.Text, n.content = v[0], nil
	}
	return nil
}

// place binds the content to this note, its version, record, doctor and date.
func (n *note) place() []byte {
	return place("notes.content", n.ID, n.version, n.patient, n.Record, n.Doctor, string(n.Date))
}

func (n *note) sealed() []byte { return n.key.seal(n.place(), n.Text) }

func (n *note) show() Note {
	n.Version = versionTag(n.version, n.renamed)
	return n.Note
}

// addNotes reads the notes of records, oldest first.
func (t *tx) addNotes(records []*record) error {
	byID := make(map[string]*record, len(records))
	var ids []string
	for _, r := range records {
		if r.noted > 0 { // else it never had one
			byID[r.ID], ids = r, append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var q statement
	q.add("SELECT " + noteColumns + " FROM notes n WHERE n.deleted_at IS NULL AND n.record_id IN (")
	q.in(ids)
	q.add(") ORDER BY n.record_id, n.id")
	notes, err := t.notes(&q)
	for _, n := range notes {
		r := byID[n.Record]
		r.Notes = append(r.Notes, n.show())
	}
	return err
}

// notes returns the notes that a query finds.
func (t *tx) notes(q *statement) ([]*note, error) {
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	notes, err := collect(rows, scanNote)
	if err != nil {
		return nil, err
	}
	return notes, t.openNotes(notes...)
}

// note returns a living note, or ErrNotFound.
func (t *tx) note(id string) (*note, error) {
	n, err := t.noteEver(id)
	if err == nil && n.deleted != "" {
		return nil, ErrNotFound
	}
	return n, err
}

// noteEver is note for one that may be deleted, unless its patient is.
func (t *tx) noteEver(id string) (*note, error) {
	if !isID(id) {
		return nil, ErrNotFound
	}
	n, err := scanNoteAnd(t.row(`SELECT `+noteColumns+`, `+t.treated("n.patient_id")+`
		FROM notes n WHERE n.id = $2`, t.who.id, id), &t.treats)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	t.asked = n.patient
	if err := t.openNotes(n); err != nil {
		return nil, err
	}
	if t.met[n.patient].deletedAt != "" {
		return nil, ErrNotFound
	}
	return n, nil
}

// reachNote returns a note when the policy lets the caller do the action on it.
func (t *tx) reachNote(id string) (*note, error) {
	n, err := t.note(id)
	if err != nil {
		return nil, err
	}
	return n, t.reach(n.patient, n.Doctor)
}
