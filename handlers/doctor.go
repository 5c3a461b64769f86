package handlers

import (
	"net/http"

	"healthrecords/store"
)

type doctorView struct {
	ID             string   `json:"id"`
	User           userView `json:"user"`
	Specialization string   `json:"specialization"`
	License        string   `json:"license_number"`
	Verified       bool     `json:"verified"`
	Patients       []string `json:"patients"`
}

func viewDoctor(d store.Doctor) doctorView {
	return doctorView{d.ID, viewUser(d.User, d.Active), d.Specialization, d.License, d.Verified, d.Patients}
}

// doctorFields takes verified and patients from everyone who is signed in; the
// store looks at them, and at what is wrong with them, only when staff sent them.
func doctorFields(in *store.DoctorInput, creating, signedIn bool) []field {
	return []field{
		id("id", nil).readOnly(),
		userFields(&in.User, creating),
		text("specialization", &in.Specialization, 100),
		text("license_number", &in.License, 50),
		boolean("verified", &in.Verified).readOnlyUnless(signedIn).about("Set by staff; from others it is ignored."),
		idList("patients", &in.Patients).readOnlyUnless(signedIn).about("Whom the doctor treats. Set by staff; from others it is ignored. Shown to the doctor itself and staff."),
	}
}

var doctorResource = &resource{
	name: "Doctor", versioned: true,
	example: doctorView{sampleID, userView{"dora", "dora@example.org", "Dora", "Example", nil}, "Cardiology", "A-12345", true, []string{sampleID}},
	create:  doctorFields(new(store.DoctorInput), true, true), change: doctorFields(new(store.DoctorInput), false, true),
}

func doctorAnswer(status int, d store.Doctor) answer {
	return answer{status: status, body: viewDoctor(d), version: d.Version}
}

func (a *api) listDoctors(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.Doctors(r.Context(), r.actor, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewDoctor), nil
}

func (a *api) createDoctor(r *request) (answer, error) {
	if err := a.admitRegistration(r, store.CreateDoctor); err != nil {
		return answer{}, err
	}
	var in store.DoctorInput
	r.decode(&in.Input, doctorFields(&in, true, r.actor.Account != ""))
	if err := a.hashNew(r, &in.Input, &in.User); err != nil {
		return answer{}, err
	}
	d, err := a.Store.CreateDoctor(r.Context(), r.actor, &in)
	if err != nil {
		return answer{}, err
	}
	created := doctorAnswer(http.StatusCreated, d)
	created.location = "/api/doctors/" + d.ID + "/"
	return created, nil
}

func (a *api) readDoctor(r *request) (answer, error) {
	d, err := a.Store.Doctor(r.Context(), r.actor, r.PathValue("id"))
	return doctorAnswer(http.StatusOK, d), err
}

func (a *api) changeDoctor(r *request) (answer, error) {
	var in store.DoctorInput
	r.decode(&in.Input, doctorFields(&in, false, true))
	if err := a.proveOwner(r, store.ChangeDoctor, &in.Input, &in.User); err != nil {
		return answer{}, err
	}
	d, err := a.Store.ChangeDoctor(r.Context(), r.actor, r.PathValue("id"), r.match(), &in)
	return doctorAnswer(http.StatusOK, d), err
}

func (a *api) deleteDoctor(r *request) (answer, error) {
	err := a.Store.DeleteDoctor(r.Context(), r.actor, r.PathValue("id"), r.match())
	return answer{status: http.StatusNoContent}, err
}

func (a *api) listPatientsOf(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.TreatedBy(r.Context(), r.actor, r.PathValue("id"), a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewPatient), nil
}
