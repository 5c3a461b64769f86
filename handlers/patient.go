package handlers

import (
	"net/http"

	"healthrecords/store"
)

type patientView struct {
	ID          string   `json:"id"`
	User        userView `json:"user"`
	DateOfBirth *string  `json:"date_of_birth"`
	Phone       string   `json:"phone_number"`
	Address     string   `json:"address"`
	Doctors     []string `json:"doctors"`
}

func viewPatient(p store.Patient) patientView {
	return patientView{p.ID, viewUser(p.User, p.Active), orNull(p.DateOfBirth), p.Phone, p.Address, p.Doctors}
}

// orNull shows an absent date, id or number as null.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

func patientFields(in *store.PatientInput, creating bool) []field {
	return []field{
		id("id", nil).readOnly(),
		userFields(&in.User, creating),
		date("date_of_birth", &in.DateOfBirth).orNull(),
		text("phone_number", &in.Phone, 15),
		text("address", &in.Address, 500),
		idList("doctors", &in.Doctors).about("Who treats the patient: verified doctors."),
	}
}

var patientResource = &resource{
	name: "Patient", versioned: true,
	example: patientView{sampleID, userView{"ann", "ann@example.org", "Ann", "Example", nil}, new(sampleDate), "+1 555 0100", "1 Example Street", []string{sampleID}},
	create:  patientFields(new(store.PatientInput), true), change: patientFields(new(store.PatientInput), false),
}

func patientAnswer(status int, p store.Patient) answer {
	return answer{status: status, body: viewPatient(p), version: p.Version}
}

func (a *api) listPatients(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.Patients(r.Context(), r.actor, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewPatient), nil
}

func (a *api) createPatient(r *request) (answer, error) {
	if err := a.admitRegistration(r, store.CreatePatient); err != nil {
		return answer{}, err
	}
	var in store.PatientInput
	r.decode(&in.Input, patientFields(&in, true))
	if err := a.hashNew(r, &in.Input, &in.User); err != nil {
		return answer{}, err
	}
	p, err := a.Store.CreatePatient(r.Context(), r.actor, &in)
	if err != nil {
		return answer{}, err
	}
	created := patientAnswer(http.StatusCreated, p)
	created.location = "/api/patients/" + p.ID + "/"
	return created, nil
}

func (a *api) readPatient(r *request) (answer, error) {
	p, err := a.Store.Patient(r.Context(), r.actor, r.PathValue("id"))
	return patientAnswer(http.StatusOK, p), err
}

func (a *api) changePatient(r *request) (answer, error) {
	var in store.PatientInput
	r.decode(&in.Input, patientFields(&in, false))
	if err := a.proveOwner(r, store.ChangePatient, &in.Input, &in.User); err != nil {
		return answer{}, err
	}
	p, err := a.Store.ChangePatient(r.Context(), r.actor, r.PathValue("id"), r.match(), &in)
	return patientAnswer(http.StatusOK, p), err
}

func (a *api) deletePatient(r *request) (answer, error) {
	err := a.Store.DeletePatient(r.Context(), r.actor, r.PathValue("id"), r.match())
	return answer{status: http.StatusNoContent}, err
}

func (a *api) listRecordsOf(r *request) (answer, error) {
	q, filter := recordQuery(r)
	page, err := a.Store.RecordsOf(r.Context(), r.actor, r.PathValue("id"), filter, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewRecord), nil
}
