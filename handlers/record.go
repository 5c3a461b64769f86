package handlers

import (
	"net/http"
	"strings"

	"healthrecords/store"
)

type authorView struct {
	Role store.Role `json:"role"`
	ID   string     `json:"id"`
	Name string     `json:"name"`
}

type recordView struct {
	ID          string        `json:"id"`
	Title       string        `json:"title"`
	Description string        `json:"description"`
	Date        store.Instant `json:"date"`
	Patient     string        `json:"patient"`
	Author      authorView    `json:"author"`
	Notes       []noteView    `json:"doctor_notes"`
	Created     store.Instant `json:"created_at"`
	Updated     store.Instant `json:"updated_at"`
}

func viewRecord(r store.Record) recordView {
	v := recordView{r.ID, r.Title, r.Description, r.Date, r.Patient, authorView(r.Author), make([]noteView, len(r.Notes)), r.Created, r.Updated}
	for i, n := range r.Notes {
		v.Notes[i] = viewNote(n)
	}
	return v
}

func recordFields(in *store.RecordInput, creating bool) []field {
	return []field{
		id("id", nil).readOnly(),
		text("title", &in.Title, 200).required(),
		text("description", &in.Description, 20_000).required(),
		instant("date", &in.Date).about("When it happened, not in the future; the time of creation if left out."),
		id("patient", &in.Patient).readOnlyUnless(creating).about("A patient may leave it out. Fixed after creation."),
		object("author").readOnly(),
		objectList("doctor_notes").readOnly(),
		instant("created_at", nil).readOnly(),
		instant("updated_at", nil).readOnly(),
	}
}

var recordResource = &resource{
	name: "HealthRecord", versioned: true,
	example: recordView{
		sampleID, "Dizzy in the morning", "For a minute after standing up.", sampleInstant, sampleID,
		authorView{store.PatientRole, sampleID, "Ann Example"}, []noteView{sampleNote}, sampleInstant, sampleInstant,
	},
	create: recordFields(new(store.RecordInput), true), change: recordFields(new(store.RecordInput), false),
}

var recordFilters = []parameter{
	{"patient", "The patient's id.", anyID},
	{"author", "The id of the patient or doctor who wrote it.", anyID},
	dateAfter,
	dateBefore,
	updatedAfter,
	searchIn("title or description"),
	{"ordering", "By date; -date, the newest first, if left out.", schema{"type": "string", "enum": []string{"date", "-date"}}},
}

// recordQuery reads the filters of a list of records.
func recordQuery(r *request) (*query, store.RecordFilter) {
	q := r.query()
	f := store.RecordFilter{Patient: q.values.Get("patient"), Author: q.values.Get("author")}
	f.After, f.Before = q.period()
	f.Updated = q.updatedAfter()
	switch ordering, given := q.values["ordering"]; {
	case given && ordering[0] == "date":
		f.OldestFirst = true
	case given && ordering[0] != "-date":
		q.problems.Add("ordering", "Choose date or -date.")
	}
	return q, f
}

var (
	dateAfter  = parameter{"date_after", "A day, from its beginning in UTC, or an instant with its offset; inclusive.", schema{"type": "string", "example": sampleDate}}
	dateBefore = parameter{"date_before", "A day, to its end in UTC, or an instant with its offset; inclusive.", schema{"type": "string", "example": sampleDate}}

	updatedAfter = parameter{"updated_after", "What was written or changed then or later: a day, from its beginning in UTC, or an instant with its offset.", schema{"type": "string", "example": sampleDate}}
)

// period reads date_after and date_before.
func (q *query) period() (after, before store.Instant) {
	return q.moment("date_after", "00:00:00.000000"), q.moment("date_before", "23:59:59.999999")
}

func (q *query) updatedAfter() store.Instant { return q.moment("updated_after", "00:00:00.000000") }

// moment reads an instant, or a day, which counts in UTC from or to its end.
func (q *query) moment(name, ofDay string) store.Instant {
	given, ok := q.values[name]
	if !ok {
		return ""
	}
	text := given[0]
	if isDate(text) {
		text += "T" + ofDay + "Z"
	}
	at, ok := parseInstant(strings.Replace(text, " ", "+", 1)) // a + that was not encoded
	if !ok {
		q.problems.Add(name, "Enter a date (YYYY-MM-DD) or an instant with its offset.")
	}
	return at
}

func recordAnswer(status int, rec store.Record) answer {
	return answer{status: status, body: viewRecord(rec), version: rec.Version}
}

func (a *api) listRecords(r *request) (answer, error) {
	q, filter := recordQuery(r)
	page, err := a.Store.Records(r.Context(), r.actor, filter, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewRecord), nil
}

func (a *api) createRecord(r *request) (answer, error) {
	var in store.RecordInput
	r.decode(&in.Input, recordFields(&in, true))
	rec, err := a.Store.CreateRecord(r.Context(), r.actor, &in)
	if err != nil {
		return answer{}, err
	}
	created := recordAnswer(http.StatusCreated, rec)
	created.location = "/api/health-records/" + rec.ID + "/"
	return created, nil
}

func (a *api) readRecord(r *request) (answer, error) {
	rec, err := a.Store.Record(r.Context(), r.actor, r.PathValue("id"))
	return recordAnswer(http.StatusOK, rec), err
}

func (a *api) changeRecord(r *request) (answer, error) {
	var in store.RecordInput
	r.decode(&in.Input, recordFields(&in, false))
	rec, err := a.Store.ChangeRecord(r.Context(), r.actor, r.PathValue("id"), r.match(), &in)
	return recordAnswer(http.StatusOK, rec), err
}

func (a *api) deleteRecord(r *request) (answer, error) {
	err := a.Store.DeleteRecord(r.Context(), r.actor, r.PathValue("id"), r.match())
	return answer{status: http.StatusNoContent}, err
}
