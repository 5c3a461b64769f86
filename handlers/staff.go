package handlers

import (
	"net/http"

	"healthrecords/store"
)

type staffView struct {
	ID   string   `json:"id"`
	User userView `json:"user"`
}

func viewStaff(m store.StaffMember) staffView {
	return staffView{m.ID, viewUser(m.User, &m.Active)}
}

func staffFields(in *store.StaffInput, creating bool) []field {
	return []field{id("id", nil).readOnly(), userFields(&in.User, creating)}
}

var staffResource = &resource{
	name: "Staff", versioned: true,
	example: staffView{sampleID, userView{"stella", "stella@example.org", "Stella", "Example", new(true)}},
	create:  staffFields(new(store.StaffInput), true), change: staffFields(new(store.StaffInput), false),
}

func staffAnswer(status int, m store.StaffMember) answer {
	return answer{status: status, body: viewStaff(m), version: m.Version}
}

func (a *api) listStaff(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.StaffList(r.Context(), r.actor, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewStaff), nil
}

func (a *api) createStaff(r *request) (answer, error) {
	if err := a.admitRegistration(r, store.CreateStaff); err != nil {
		return answer{}, err
	}
	var in store.StaffInput
	r.decode(&in.Input, staffFields(&in, true))
	if err := a.hashNew(r, &in.Input, &in.User); err != nil {
		return answer{}, err
	}
	m, err := a.Store.CreateStaff(r.Context(), r.actor, &in)
	if err != nil {
		return answer{}, err
	}
	created := staffAnswer(http.StatusCreated, m)
	created.location = "/api/staff/" + m.ID + "/"
	return created, nil
}

func (a *api) readStaff(r *request) (answer, error) {
	m, err := a.Store.StaffMember(r.Context(), r.actor, r.PathValue("id"))
	return staffAnswer(http.StatusOK, m), err
}

func (a *api) changeStaff(r *request) (answer, error) {
	var in store.StaffInput
	r.decode(&in.Input, staffFields(&in, false))
	if err := a.proveOwner(r, store.ChangeStaff, &in.Input, &in.User); err != nil {
		return answer{}, err
	}
	m, err := a.Store.ChangeStaff(r.Context(), r.actor, r.PathValue("id"), r.match(), &in)
	return staffAnswer(http.StatusOK, m), err
}

func (a *api) deleteStaff(r *request) (answer, error) {
	err := a.Store.DeleteStaff(r.Context(), r.actor, r.PathValue("id"), r.match())
	return answer{status: http.StatusNoContent}, err
}
