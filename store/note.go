package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Note is what a doctor noted on a record.
type Note struct {
	ID         string
	Text       string
	Date       Instant // creation
	DoctorName string
	Doctor     string
	Record     string
	Updated    Instant
	Version    string

	renamed int
}

// NoteInput is what a body says of a note; nil is not given.
type NoteInput struct {
	Input
	Text   *string
	Record *string
}

// NoteFilter narrows a list of notes; "" narrows nothing.
type NoteFilter struct {
	Record, Doctor string
	Updated        Instant // written or changed then or later
}

// note is a row of the table and what is sealed in it.
type note struct {
	Note
	patient string
	version int
	key     sealer // the patient's
	deleted Instant
}

const noteColumns = `n.id, n.record_id, n.patient_id, n.doctor_id, n.content, n.version, n.created_at, n.updated_at, COALESCE(n.deleted_at, ''),
	p.data_key_id, p.wrapped_key, d.role, d.active, d.verified, d.otp_on, d.data_key_id, d.wrapped_key, d.profile, d.version, d.renamed`

const noteTables = ` FROM notes n JOIN accounts p ON p.id = n.patient_id JOIN accounts d ON d.id = n.doctor_id`

func (t *tx) scanNote(row rowScanner) (*note, error) {
	n := new(note)
	var patientDataKey, doctorDataKey string
	var content, patientKey, doctorKey, profile []byte
	var profileVersion int
	var is standing
	err := row.Scan(&n.ID, &n.Record, &n.patient, &n.Doctor, &content, &n.version, &n.Date, &n.Updated, &n.deleted,
		&patientDataKey, &patientKey, &is.role, &is.active, &is.verified, &is.otpOn, &doctorDataKey, &doctorKey, &profile, &profileVersion, &n.renamed)
	if err != nil {
		return nil, err
	}
	if n.key, err = t.key(n.patient, patientDataKey, patientKey); err != nil {
		return nil, err
	}
	v, err := n.key.open(n.place(), content, 1)
	if err != nil {
		return nil, t.sealed(err, "note", n.ID)
	}
	n.Text = v[0]
	n.DoctorName, err = t.nameOf(n.Doctor, doctorDataKey, doctorKey, profile, profileVersion, is)
	return n, err
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
	q.add("SELECT " + noteColumns + noteTables + " WHERE n.deleted_at IS NULL AND n.record_id IN (")
	q.in(ids)
	q.add(") ORDER BY n.record_id, n.id")
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return err
	}
	notes, err := collect(rows, t.scanNote)
	for _, n := range notes {
		r := byID[n.Record]
		r.Notes = append(r.Notes, n.show())
	}
	return err
}

// note returns a living note, or ErrNotFound.
func (t *tx) note(id string) (*note, error) { return t.noteEver(id, " AND n.deleted_at IS NULL") }

// noteEver is note for one that may be deleted, unless its patient is.
func (t *tx) noteEver(id string, and ...string) (*note, error) {
	if !isID(id) {
		return nil, ErrNotFound
	}
	n, err := t.scanNote(t.row(`SELECT `+noteColumns+noteTables+`
		WHERE n.id = $1 AND p.deleted_at IS NULL`+strings.Join(and, ""), id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return n, err
}

// reachNote returns a note when the policy lets the caller do the action on it.
func (t *tx) reachNote(id string) (*note, error) {
	n, err := t.note(id)
	if err != nil {
		return nil, err
	}
	return n, t.reach(n.patient, n.Doctor)
}

// Note returns a note, to the patient and the patient's doctors.
func (s *Store) Note(ctx context.Context, a Actor, id string) (Note, error) {
	var shown Note
	err := s.act(ctx, a, ReadNote, id, func(t *tx) error {
		n, err := t.reachNote(id)
		if err == nil {
			shown = n.show()
		}
		return err
	})
	return shown, err
}

// Notes lists the notes that the caller may read, newest first.
func (s *Store) Notes(ctx context.Context, a Actor, f NoteFilter, p Paging) (Page[Note], error) {
	var list Page[Note]
	err := s.act(ctx, a, ListNotes, "", func(t *tx) error {
		fetch := func(from Position, limit int) ([]*note, error) { return t.fetchNotes(f, from, limit) }
		rows, err := page(p, fetch, func(n *note) Position { return Position{ID: n.ID} }, nil)
		list = pageOf(rows, func(n *note) Note {
			t.concerns(n.patient)
			return n.show()
		})
		return err
	})
	return list, err
}

func (t *tx) fetchNotes(f NoteFilter, from Position, limit int) ([]*note, error) {
	var q statement
	q.add("SELECT " + noteColumns + noteTables + " WHERE n.deleted_at IS NULL")
	t.visible(&q, "n.patient_id")
	if f.Record != "" {
		q.add(" AND n.record_id = $", f.Record)
	}
	if f.Doctor != "" {
		q.add(" AND n.doctor_id = $", f.Doctor)
	}
	if f.Updated != "" {
		q.add(" AND n.updated_at >= $", f.Updated)
	}
	newest := newestFirst("n.id")
	q.behind(newest, from, from.ID)
	q.add(newest.by(from)+" LIMIT $", limit)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, t.scanNote)
}

// CreateNote notes something on a record of a patient of the doctor. Another's
// record is a problem of the input, and a refusal in the trail.
func (s *Store) CreateNote(ctx context.Context, a Actor, in *NoteInput) (Note, error) {
	var shown Note
	err := s.act(ctx, a, CreateNote, "", func(t *tx) error {
		in := copyOf(in)
		if in.Err != nil {
			return in.Err
		}
		r, err := t.noted(in)
		if err != nil {
			return err
		}
		if err := in.Problems.Err(); err != nil {
			return err
		}
		if err := t.roomForNote(r.ID, &in.Problems); err != nil {
			return err
		}
		n, err := t.insertNote(r, value(in.Text))
		if err != nil {
			return err
		}
		shown = n.show()
		return t.countNotes(r.ID)
	})
	return shown, err
}

// noted finds the record that a new note is about.
func (t *tx) noted(in *NoteInput) (*record, error) {
	if in.Problems.Has("health_record") {
		return nil, nil
	}
	if in.Record == nil {
		in.Problems.Add("health_record", "This field is required.")
		return nil, nil
	}
	r, err := t.record(*in.Record)
	if err == nil {
		t.concerns(r.Patient)
		var tie Tie
		if tie, err = t.tie(r.Patient); err == nil {
			err = t.allow(tie)
		}
	}
	if errors.Is(err, ErrNotFound) {
		in.Problems.Add("health_record", invalidID(*in.Record))
		t.refuse("not found")
		return nil, nil
	}
	return r, err
}

// maxNotes is how many notes a record may have: it is always shown with all.
const maxNotes = 200

func (t *tx) roomForNote(record string, p *Problems) error {
	var notes int
	err := t.row(`SELECT COUNT(*) FROM notes WHERE record_id = $1 AND deleted_at IS NULL`, record).Scan(&notes)
	if err == nil && notes >= maxNotes {
		p.Add("health_record", fmt.Sprintf("This record has %d notes, as many as it may have.", maxNotes))
	}
	if err != nil {
		return err
	}
	return p.Err()
}

func (t *tx) insertNote(r *record, text string) (*note, error) {
	doctor := t.who.account
	n := &note{patient: r.Patient, version: 1, key: r.key}
	n.Note = Note{ID: t.s.NewID(), Text: text, Date: t.at(), Updated: t.at(), Record: r.ID,
		Doctor: doctor.id, DoctorName: doctor.user.Name(), renamed: doctor.renamed}
	_, err := t.exec(`INSERT INTO notes (id, record_id, patient_id, doctor_id, content, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, n.ID, n.Record, n.patient, n.Doctor, n.sealed(), n.version, n.Date, n.Updated)
	t.entry.object, t.entry.version = n.ID, n.version
	return n, err
}

// countNotes makes the version of a record tell that its notes changed.
func (t *tx) countNotes(record string) error {
	_, err := t.exec(`UPDATE records SET noted = noted + 1 WHERE id = $1`, record)
	return err
}

// ChangeNote applies what is given to a note that the caller wrote.
func (s *Store) ChangeNote(ctx context.Context, a Actor, id string, match Match, in *NoteInput) (Note, error) {
	var shown Note
	err := s.act(ctx, a, ChangeNote, id, func(t *tx) error {
		in := copyOf(in)
		n, err := t.reachNote(id)
		if err != nil {
			return err
		}
		if err := match.check(n.show().Version); err != nil {
			return err
		}
		if in.Err != nil {
			return in.Err
		}
		if err := in.Problems.Err(); err != nil {
			return err
		}
		t.set(&n.Text, in.Text, "note")
		err = t.updateNote(n)
		shown = n.show()
		return err
	})
	return shown, err
}

// updateNote stores a changed note as its next version and keeps the one
// before. What was not changed is not written.
func (t *tx) updateNote(n *note) error {
	t.entry.version = n.version
	if len(t.entry.fields) == 0 {
		return nil
	}
	if _, err := t.exec(`INSERT INTO note_versions (note_id, version, content, updated_at)
		SELECT id, version, content, updated_at FROM notes WHERE id = $1`, n.ID); err != nil {
		return err
	}
	n.version++
	t.entry.version, n.Updated = n.version, t.at()
	if _, err := t.exec(`UPDATE notes SET content = $1, version = $2, updated_at = $3 WHERE id = $4`,
		n.sealed(), n.version, n.Updated, n.ID); err != nil {
		return err
	}
	return t.countNotes(n.Record)
}

// DeleteNote hides a note that the caller wrote. All its versions are kept.
func (s *Store) DeleteNote(ctx context.Context, a Actor, id string, match Match) error {
	return s.act(ctx, a, DeleteNote, id, func(t *tx) error {
		n, err := t.reachNote(id)
		if err != nil {
			return err
		}
		if err := match.check(n.show().Version); err != nil {
			return err
		}
		t.entry.version = n.version
		if _, err := t.exec(`UPDATE notes SET deleted_at = $1 WHERE id = $2`, t.at(), id); err != nil {
			return err
		}
		return t.countNotes(n.Record)
	})
}
