package handlers

import "healthrecords/store"

type recordVersionView struct {
	Number      int            `json:"version"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Date        store.Instant  `json:"date"`
	Author      authorView     `json:"author"`
	Written     store.Instant  `json:"updated_at"`
	Deleted     *store.Instant `json:"deleted_at"`
}

var recordVersionResource = &resource{name: "HealthRecordVersion", example: recordVersionView{
	2, "Dizzy in the morning", "For a minute after standing up.", sampleInstant, authorView{store.PatientRole, sampleID, "Ann Example"}, sampleInstant, nil,
}}

func viewRecordVersion(v store.RecordVersion) recordVersionView {
	return recordVersionView{v.Number, v.Title, v.Description, v.Date, authorView(v.Author), v.Written, orNull(v.Deleted)}
}

type noteVersionView struct {
	Number     int            `json:"version"`
	Text       string         `json:"note"`
	DoctorName string         `json:"doctor_name"`
	Doctor     string         `json:"doctor"`
	Written    store.Instant  `json:"updated_at"`
	Deleted    *store.Instant `json:"deleted_at"`
}

var noteVersionResource = &resource{name: "DoctorNoteVersion", example: noteVersionView{
	2, "Drink a glass of water before getting up.", "Dora Example", sampleID, sampleInstant, nil,
}}

func viewNoteVersion(v store.NoteVersion) noteVersionView {
	return noteVersionView{v.Number, v.Text, v.DoctorName, v.Doctor, v.Written, orNull(v.Deleted)}
}

func (a *api) listRecordVersions(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.RecordVersions(r.Context(), r.actor, r.PathValue("id"), a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewRecordVersion), nil
}

func (a *api) listNoteVersions(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.NoteVersions(r.Context(), r.actor, r.PathValue("id"), a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewNoteVersion), nil
}
