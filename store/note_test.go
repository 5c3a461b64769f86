package store_test

import (
	"encoding/json"
	"errors"
	"testing"

	"healthrecords/store"
)

// A record is always shown with all its notes, so there is an end to them.
func TestRecordHasRoomFor200Notes(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	r, other := p.record(pat, "title"), p.record(pat, "another")
	add := func() (store.Note, error) {
		return p.CreateNote(ctx, doc, &store.NoteInput{Text: ptr("text"), Record: &r.ID})
	}
	wantFull := func(err error) {
		t.Helper()
		const want = `{"health_record":["This record has 200 notes, as many as it may have."]}`
		var invalid *store.Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("CreateNote beyond 200: error = %v, want %s", err, want)
		} else if got, _ := json.Marshal(invalid); string(got) != want {
			t.Errorf("CreateNote beyond 200: error = %s, want %s", got, want)
		}
	}
	together(199, func(int) {
		if _, err := add(); err != nil {
			t.Errorf("CreateNote error = %v, want nil", err)
		}
	})
	last, err := add()
	if err != nil {
		t.Fatalf("CreateNote number 200: error = %v, want nil", err)
	}
	_, err = add()
	wantFull(err)
	if got, err := p.Record(ctx, pat, r.ID); err != nil || len(got.Notes) != 200 {
		t.Errorf("Record = %d notes, %v, want 200, nil", len(got.Notes), err)
	}
	p.note(doc, other.ID, "text")
	if err := p.DeleteNote(ctx, doc, last.ID, nil); err != nil {
		t.Fatalf("DeleteNote error = %v, want nil", err)
	}
	p.note(doc, r.ID, "in its place")
	_, err = add()
	wantFull(err)
	p.wantTrail()
}
