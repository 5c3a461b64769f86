package handlers

import (
	"net/http"

	"healthrecords/store"
)

type noteView struct {
	ID         string        `json:"id"`
	Text       string        `json:"note"`
	Date       store.Instant `json:"date"`
	DoctorName string        `json:"doctor_name"`
	Doctor     string        `json:"doctor"`
	Record     string        `json:"health_record"`
	Updated    store.Instant `json:"updated_at"`
}

func viewNote(n store.Note) noteView {
	return noteView{n.ID, n.Text, n.Date, n.DoctorName, n.Doctor, n.Record, n.Updated}
}

func noteFields(in *store.NoteInput, creating bool) []field {
	return []field{
		id("id", nil).readOnly(),
		text("note", &in.Text, 20_000).required(),
		instant("date", nil).readOnly(),
		text("doctor_name", nil, 0).readOnly(),
		id("doctor", nil).readOnly(),
		id("health_record", &in.Record).required().readOnlyUnless(creating).about("Fixed after creation."),
		instant("updated_at", nil).readOnly(),
	}
}

var sampleNote = noteView{sampleID, "Drink a glass of water before getting up.", sampleInstant, "Dora Example", sampleID, sampleID, sampleInstant}

var noteResource = &resource{
	name: "DoctorNote", versioned: true, example: sampleNote,
	create: noteFields(new(store.NoteInput), true), change: noteFields(new(store.NoteInput), false),
}

var noteFilters = []parameter{
	{"health_record", "The record's id.", anyID},
	{"doctor", "The id of the doctor who wrote it.", anyID},
	updatedAfter,
}

func noteAnswer(status int, n store.Note) answer {
	return answer{status: status, body: viewNote(n), version: n.Version}
}

func (a *api) listNotes(r *request) (answer, error) {
	q := r.query()
	filter := store.NoteFilter{Record: q.values.Get("health_record"), Doctor: q.values.Get("doctor"), Updated: q.updatedAfter()}
	page, err := a.Store.Notes(r.Context(), r.actor, filter, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewNote), nil
}

func (a *api) createNote(r *request) (answer, error) {
	var in store.NoteInput
	r.decode(&in.Input, noteFields(&in, true))
	n, err := a.Store.CreateNote(r.Context(), r.actor, &in)
	if err != nil {
		return answer{}, err
	}
	created := noteAnswer(http.StatusCreated, n)
	created.location = "/api/doctor-notes/" + n.ID + "/"
	return created, nil
}

func (a *api) readNote(r *request) (answer, error) {
	n, err := a.Store.Note(r.Context(), r.actor, r.PathValue("id"))
	return noteAnswer(http.StatusOK, n), err
}

func (a *api) changeNote(r *request) (answer, error) {
	var in store.NoteInput
	r.decode(&in.Input, noteFields(&in, false))
	n, err := a.Store.ChangeNote(r.Context(), r.actor, r.PathValue("id"), r.match(), &in)
	return noteAnswer(http.StatusOK, n), err
}

func (a *api) deleteNote(r *request) (answer, error) {
	err := a.Store.DeleteNote(r.Context(), r.actor, r.PathValue("id"), r.match())
	return answer{status: http.StatusNoContent}, err
}
