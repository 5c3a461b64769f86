package handlers

import (
	"healthrecords/auth"
	"healthrecords/store"
)

type userView struct {
	Username  string `json:"username"`
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	IsActive  *bool  `json:"is_active,omitempty"` // only to staff
}

func viewUser(u store.User, active *bool) userView {
	return userView{u.Username, u.Email, u.FirstName, u.LastName, active}
}

// userFields are the members of user. The user name and the password are set
// at registration and not by a change of the profile.
func userFields(in *store.UserInput, creating bool) field {
	fields := []field{
		username("username", &in.Username).required().readOnlyUnless(creating).about("Fixed after creation."),
		email("email", &in.Email),
		text("first_name", &in.FirstName, 150),
		text("last_name", &in.LastName, 150),
		boolean("is_active", &in.Active).about("Shown to staff and written by staff alone. Nobody signs in to an account that is not."),
	}
	if creating {
		fields = append(fields, newPassword("password", &in.Password).required())
	} else {
		fields = append(fields, password("current_password", &in.CurrentPassword).about("The owner's, for a change of the e-mail address; staff need none."))
	}
	user := object("user", fields...)
	if creating {
		user = user.required()
	}
	return user
}

// admitRegistration asks whether the caller may register at all, before a
// password is hashed for it.
func (a *api) admitRegistration(r *request, action store.Action) error {
	return a.Store.MayRegister(r.Context(), r.actor, action)
}

// hashNew checks a new password and hashes it, unless something in the input
// is wrong already, which the store will say, or the client registers too often.
func (a *api) hashNew(r *request, in *store.Input, user *store.UserInput) error {
	if in.Err != nil {
		return nil
	}
	checkPassword(&in.Problems, user, a.PasswordMinLength)
	if in.Problems.Err() != nil {
		return nil
	}
	if err := a.Store.BeginRegistration(r.Context(), r.actor); err != nil {
		return err
	}
	var err error
	user.PasswordHash, err = a.Hasher.Hash(r.Context(), *user.Password)
	return err
}

// checkPassword holds a new password against the rules. Names that are not good
// themselves are left out: they may be very long.
func checkPassword(p *store.Problems, user *store.UserInput, minLength int) {
	const name = "user.password"
	if user.Password == nil || p.Has(name) {
		return
	}
	good := func(field string, s *string) string {
		if s == nil || p.Has("user."+field) {
			return ""
		}
		return *s
	}
	judge(p, name, *user.Password, minLength, store.User{
		Username: good("username", user.Username), Email: good("email", user.Email),
		FirstName: good("first_name", user.FirstName), LastName: good("last_name", user.LastName),
	})
}

// judge notes at the named field what is wrong with somebody's new password.
func judge(p *store.Problems, name, secret string, minLength int, owner store.User) {
	for _, message := range auth.CheckPassword(secret, minLength, auth.Person(owner)) {
		p.Add(name, message)
	}
}

// NewStaff makes the input of a staff account out of what an operator typed,
// under the same rules as every registration. Its password is not hashed yet.
func NewStaff(name, mail, secret string, passwordMinLength int) *store.StaffInput {
	in := new(store.StaffInput)
	text := func(name, s string) value { return value{name: name, kind: jsonString, text: s} }
	body := value{kind: jsonObject, items: []value{{name: "user", kind: jsonObject, items: []value{
		text("username", name), text("email", mail), text("password", secret),
	}}}}
	decodeFields(body, []field{userFields(&in.User, true)}, false, &in.Problems)
	checkPassword(&in.Problems, &in.User, passwordMinLength)
	return in
}

// proveOwner checks the current password that came with a change of the
// caller's own profile, and lets the store know which stored hash it matches.
func (a *api) proveOwner(r *request, action store.Action, in *store.Input, user *store.UserInput) (err error) {
	user.Proven, _, err = a.prove(r, action, in, user.CurrentPassword)
	return err
}
