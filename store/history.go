package store

import (
	"context"
	"strconv"
)

// RecordVersion is what a record said from one change to the next.
type RecordVersion struct {
	Number      int
	Title       string
	Description string
	Date        Instant
	Written     Instant
	Author      Author
	Deleted     Instant // of the last version, when the record was deleted; else ""
}

// NoteVersion is what a note said from one change to the next.
type NoteVersion struct {
	Number     int
	Text       string
	Written    Instant
	Doctor     string
	DoctorName string
	Deleted    Instant // of the last version, when the note was deleted; else ""
}

// RecordVersions lists all that a record ever said, newest first, to who may
// read it; once it was deleted, only to the patient and the author.
func (s *Store) RecordVersions(ctx context.Context, a Actor, id string, p Paging) (Page[RecordVersion], error) {
	var list Page[RecordVersion]
	err := s.act(ctx, a, ListRecordVersions, id, func(t *tx) error {
		r, err := t.recordEver(id)
		if err != nil {
			return err
		}
		if err := t.reachHistory(r.Patient, r.Author.ID, r.deleted); err != nil {
			return err
		}
		list, err = page(p, func(from Position, limit int) ([]RecordVersion, error) {
			return t.recordVersions(r, from, limit)
		}, func(v RecordVersion) Position { return Position{ID: strconv.Itoa(v.Number)} }, nil)
		return err
	})
	return list, err
}

// versions orders by the number of the version, newest first.
func (q *statement) versions(from Position, limit int) {
	newest, number := newestFirst("version"), 0
	if from.ID != "" {
		number, _ = strconv.Atoi(from.ID) // made of a number by the callers of page
	}
	q.behind(newest, from, number)
	q.add(newest.by(from)+" LIMIT $", limit)
}

func (t *tx) recordVersions(r *record, from Position, limit int) ([]RecordVersion, error) {
	var q statement
	q.add(`SELECT version, date, content, updated_at, deleted_at FROM (
			SELECT version, date, content, updated_at, COALESCE(deleted_at, '') AS deleted_at FROM records WHERE id = $
			UNION ALL SELECT version, date, content, updated_at, '' FROM record_versions WHERE record_id = $) v WHERE 1 = 1`, r.ID, r.ID)
	q.versions(from, limit)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row rowScanner) (RecordVersion, error) {
		old, deleted := *r, Instant("")
		var content []byte
		if err := row.Scan(&old.version, &old.Date, &content, &old.Updated, &deleted); err != nil {
			return RecordVersion{}, err
		}
		v, err := old.key.open(old.place(), content, 2)
		if err != nil {
			return RecordVersion{}, t.sealed(err, "record", r.ID)
		}
		return RecordVersion{old.version, v[0], v[1], old.Date, old.Updated, r.Author, deleted}, nil
	})
}

// NoteVersions lists all that a note ever said, newest first, to who may read
// it; once it was deleted, only to the patient and the author.
func (s *Store) NoteVersions(ctx context.Context, a Actor, id string, p Paging) (Page[NoteVersion], error) {
	var list Page[NoteVersion]
	err := s.act(ctx, a, ListNoteVersions, id, func(t *tx) error {
		n, err := t.noteEver(id)
		if err != nil {
			return err
		}
		if err := t.reachHistory(n.patient, n.Doctor, n.deleted); err != nil {
			return err
		}
		list, err = page(p, func(from Position, limit int) ([]NoteVersion, error) {
			return t.noteVersions(n, from, limit)
		}, func(v NoteVersion) Position { return Position{ID: strconv.Itoa(v.Number)} }, nil)
		return err
	})
	return list, err
}

func (t *tx) noteVersions(n *note, from Position, limit int) ([]NoteVersion, error) {
	var q statement
	q.add(`SELECT version, content, updated_at, deleted_at FROM (
			SELECT version, content, updated_at, COALESCE(deleted_at, '') AS deleted_at FROM notes WHERE id = $
			UNION ALL SELECT version, content, updated_at, '' FROM note_versions WHERE note_id = $) v WHERE 1 = 1`, n.ID, n.ID)
	q.versions(from, limit)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row rowScanner) (NoteVersion, error) {
		old, deleted := *n, Instant("")
		var content []byte
		if err := row.Scan(&old.version, &content, &old.Updated, &deleted); err != nil {
			return NoteVersion{}, err
		}
		v, err := old.key.open(old.place(), content, 1)
		if err != nil {
			return NoteVersion{}, t.sealed(err, "note", n.ID)
		}
		return NoteVersion{old.version, v[0], old.Updated, n.Doctor, n.DoctorName, deleted}, nil
	})
}
