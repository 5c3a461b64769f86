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

func viewNoteVersion(v store.NoteVersion) noteVersionView {
	return noteVersionView{v.Number, v.Text, v.DoctorName, v.Doctor, v.Written, orNull(v.Deleted)}
}

func (a *api) listRecordVersions(r *request) (answer, error) {
	q := parseQuery(r.URL.RawQuery)
	page, err := a.Store.RecordVersions(r.Context(), r.actor, r.PathValue("id"), a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewRecordVersion), nil
}

func (a *api) listNoteVersions(r *request) (answer, error) {
	q := parseQuery(r.URL.RawQuery)
	page, err := a.Store.NoteVersions(r.Context(), r.actor, r.PathValue("id"), a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewNoteVersion), nil
}
