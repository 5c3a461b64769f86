package handlers

import (
	"net/http"

	"healthrecords/store"
)

type indexView struct {
	Patients string `json:"patients"`
	Doctors  string `json:"doctors"`
	Records  string `json:"health-records"`
	Notes    string `json:"doctor-notes"`
}

func viewIndex(base string) indexView {
	return indexView{base + "patients/", base + "doctors/", base + "health-records/", base + "doctor-notes/"}
}

var indexResource = &resource{name: "Collections", example: viewIndex("https://health.example.org/api/")}

// index lists the collections.
func (a *api) index(r *request) (answer, error) {
	return answer{status: http.StatusOK, body: viewIndex(a.base(r) + "/api/")}, a.checkIfSignedIn(r)
}

// checkIfSignedIn holds a token that came with a request to an open route
// against its session.
func (a *api) checkIfSignedIn(r *request) error {
	if r.actor.Account == "" {
		return nil
	}
	return a.Store.CheckSession(r.Context(), r.actor)
}

type meView struct {
	ID       string     `json:"id"`
	Role     store.Role `json:"role"`
	User     userView   `json:"user"`
	Patient  *string    `json:"patient"`
	Doctor   *string    `json:"doctor"`
	Verified *bool      `json:"verified"`
}

var meResource = &resource{
	name: "Me", versioned: true,
	example: meView{sampleID, store.DoctorRole, userView{"dora", "dora@example.org", "Dora", "Example", nil}, nil, new(sampleID), new(true)},
}

func (a *api) readMe(r *request) (answer, error) {
	me, err := a.Store.Me(r.Context(), r.actor)
	v := meView{ID: me.ID, Role: me.Role, User: viewUser(me.User, nil)}
	switch me.Role {
	case store.PatientRole:
		v.Patient = &me.ID
	case store.DoctorRole:
		v.Doctor, v.Verified = &me.ID, &me.Verified
	}
	return answer{status: http.StatusOK, body: v, version: me.Version}, err
}

type health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

var healthResource = &resource{name: "Health", example: health{Status: "ok"}}

// healthz says that the process lives; it asks nothing else.
func (a *api) healthz(*request) (answer, error) {
	return answer{status: http.StatusOK, body: health{Status: "ok"}}, nil
}

// readyz says whether requests can be answered, or which of database, schema
// and keys is in the way.
func (a *api) readyz(r *request) (answer, error) {
	if err := a.Store.Ready(r.Context()); err != nil {
		r.w.Header().Set("Retry-After", "5")
		return answer{status: http.StatusServiceUnavailable, body: health{"unavailable", err.Error()}}, nil
	}
	return answer{status: http.StatusOK, body: health{Status: "ok"}}, nil
}
