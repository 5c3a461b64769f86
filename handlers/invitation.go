package handlers

import (
	"net/http"

	"healthrecords/store"
)

type invitationView struct {
	ID        string        `json:"id"`
	Role      store.Role    `json:"role"`
	Email     string        `json:"email"`
	FirstName string        `json:"first_name"`
	LastName  string        `json:"last_name"`
	CreatedAt store.Instant `json:"created_at"`
	ExpiresAt store.Instant `json:"expires_at"`
	Token     string        `json:"token,omitempty"` // only where no mail carries it
}

func viewInvitation(i store.Invitation) invitationView {
	return invitationView{i.ID, i.Role, i.Email, i.FirstName, i.LastName, i.Created, i.Expires, ""}
}

// invitationFields are what everybody has who is invited, and the profile of
// the role; without a role, that of both.
func invitationFields(in *store.InvitationInput, role store.Role) []field {
	fields := []field{
		choice("role", &in.Role, store.PatientRole, store.DoctorRole).required(),
		email("email", &in.Email).required(),
		text("first_name", &in.FirstName, 150),
		text("last_name", &in.LastName, 150),
	}
	if role != store.DoctorRole {
		fields = append(fields,
			date("date_of_birth", &in.DateOfBirth).orNull().about("Of a patient."),
			text("phone_number", &in.Phone, 15).about("Of a patient."),
			text("address", &in.Address, 500).about("Of a patient."),
			idList("doctors", &in.Doctors).about("Of a patient: who treats it, verified doctors."))
	}
	if role != store.PatientRole {
		fields = append(fields,
			text("specialization", &in.Specialization, 100).about("Of a doctor."),
			text("license_number", &in.License, 50).about("Of a doctor."),
			idList("patients", &in.Patients).about("Of a doctor: whom it treats."))
	}
	return fields
}

var invitationResource = &resource{
	name:    "Invitation",
	example: invitationView{sampleID, store.PatientRole, "ann@example.org", "Ann", "Example", sampleInstant, sampleInstant, ""},
	create:  invitationFields(new(store.InvitationInput), ""),
}

// invitationAnswer shows an invitation that was just sent. Its token is for the
// invited alone, unless there is no mail to carry it.
func (a *api) invitationAnswer(status int, i store.Invitation) answer {
	v := viewInvitation(i)
	if a.NoMail {
		v.Token = i.Token
	}
	return answer{status: status, body: v}
}

func (a *api) listInvitations(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.Invitations(r.Context(), r.actor, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewInvitation), nil
}

// invite reads the role first, for the other members depend on it.
func (a *api) invite(r *request) (answer, error) {
	var in store.InvitationInput
	body, err := r.readBody()
	if err != nil {
		in.Err = err
	} else {
		role, _ := body.member("role")
		decodeFields(body, invitationFields(&in, store.Role(role.text)), false, &in.Problems)
	}
	i, err := a.Store.Invite(r.Context(), r.actor, &in)
	if err != nil {
		return answer{}, err
	}
	created := a.invitationAnswer(http.StatusCreated, i)
	created.location = "/api/invitations/" + i.ID + "/"
	return created, nil
}

func (a *api) readInvitation(r *request) (answer, error) {
	i, err := a.Store.Invitation(r.Context(), r.actor, r.PathValue("id"))
	return answer{status: http.StatusOK, body: viewInvitation(i)}, err
}

func (a *api) resendInvitation(r *request) (answer, error) {
	i, err := a.Store.ResendInvitation(r.Context(), r.actor, r.PathValue("id"))
	return a.invitationAnswer(http.StatusOK, i), err
}

func (a *api) withdrawInvitation(r *request) (answer, error) {
	return answer{status: http.StatusNoContent}, a.Store.WithdrawInvitation(r.Context(), r.actor, r.PathValue("id"))
}

type acceptInput struct {
	token, secret *string
	store.AcceptInput
}

func acceptFields(in *acceptInput) []field {
	return []field{
		text("token", &in.token, 0).required().like(sampleOneUse),
		username("username", &in.Username).required(),
		newPassword("password", &in.secret).required(),
		text("first_name", &in.FirstName, 150),
		text("last_name", &in.LastName, 150),
	}
}

type acceptedView struct {
	ID       string     `json:"id"`
	Role     store.Role `json:"role"`
	Username string     `json:"username"`
}

var acceptedResource = &resource{name: "Accepted", example: acceptedView{sampleID, store.PatientRole, "ann"}}

// acceptInvitation gives an account the name and password that the invited
// chose. The token is looked at before the rest is told what is wrong with it.
func (a *api) acceptInvitation(r *request) (answer, error) {
	var in acceptInput
	r.decode(&in.Input, acceptFields(&in))
	if in.Err != nil {
		return answer{}, in.Err
	}
	if in.token == nil || in.Problems.Has("token") {
		return answer{}, in.Problems.Err()
	}
	in.Token = *in.token
	owner, err := a.Store.CheckInvitation(r.Context(), r.nobody(), in.Token)
	if err != nil {
		return answer{}, err
	}
	if in.PasswordHash, err = a.hashGood(r, &in.Problems, "password", in.secret, in.as(owner)); err != nil {
		return answer{}, err
	}
	done, err := a.Store.AcceptInvitation(r.Context(), r.nobody(), &in.AcceptInput)
	return answer{status: http.StatusCreated, body: acceptedView(done)}, err
}

// as is who the owner will be once the invitation is accepted, as far as its
// names are good.
func (in *acceptInput) as(owner store.User) store.User {
	for _, f := range []struct {
		name string
		from *string
		to   *string
	}{{"username", in.Username, &owner.Username}, {"first_name", in.FirstName, &owner.FirstName}, {"last_name", in.LastName, &owner.LastName}} {
		if f.from != nil && !in.Problems.Has(f.name) {
			*f.to = *f.from
		}
	}
	return owner
}
