package store

import (
	"context"
	"errors"
	"fmt"
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

// fetchNotes finds the ids first, in an index, and only then reads the rows.
func (t *tx) fetchNotes(f NoteFilter, from Position, limit int) ([]*note, error) {
	var q statement
	q.add("SELECT " + noteColumns + " FROM notes n WHERE n.id IN (SELECT n.id FROM notes n WHERE n.deleted_at IS NULL")
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
	q.add(newest.by(from)+" LIMIT $)"+newest.by(from), limit)
	return t.notes(&q)
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
	err := t.exec(`INSERT INTO notes (id, record_id, patient_id, doctor_id, content, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, n.ID, n.Record, n.patient, n.Doctor, n.sealed(), n.version, n.Date, n.Updated)
	t.entry.object, t.entry.version = n.ID, n.version
	return n, err
}

// countNotes makes the version of a record tell that its notes changed.
func (t *tx) countNotes(record string) error {
	return t.exec(`UPDATE records SET noted = noted + 1 WHERE id = $1`, record)
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
	if err := t.exec(`INSERT INTO note_versions (note_id, version, content, updated_at)
		SELECT id, version, content, updated_at FROM notes WHERE id = $1`, n.ID); err != nil {
		return err
	}
	n.version++
	t.entry.version, n.Updated = n.version, t.at()
	if err := t.exec(`UPDATE notes SET content = $1, version = $2, updated_at = $3 WHERE id = $4`,
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
		if err := t.exec(`UPDATE notes SET deleted_at = $1 WHERE id = $2`, t.at(), id); err != nil {
			return err
		}
		return t.countNotes(n.Record)
	})
}
