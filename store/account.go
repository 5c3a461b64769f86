package store

import (
	"cmp"
	"strconv"
)

// User is what every account says of its person.
type User struct {
	Username  string
	Email     string
	FirstName string
	LastName  string
}

// Name is the full name, or the user name where there is none.
func (u User) Name() string {
	switch {
	case u.FirstName == "":
		return cmp.Or(u.LastName, u.Username)
	case u.LastName == "":
		return u.FirstName
	}
	return u.FirstName + " " + u.LastName
}

// Input is how a decoded request body arrives. Err is why it could not be
// decoded at all; Problems is what the decoder found wrong with its fields. An
// action looks at both only after it knows that the caller may do it, and adds
// what it finds wrong itself, so that all bad fields are reported at once.
type Input struct {
	Err      error
	Problems Problems
}

// UserInput is the part of an input that every account has; nil is not given.
type UserInput struct {
	Username        *string
	Email           *string
	FirstName       *string
	LastName        *string
	Password        *string // checked and hashed by the caller into PasswordHash
	CurrentPassword *string // checked by the caller against what [Store.OwnCredentials] returned
	PasswordHash    string
	Proven          string // the stored hash that CurrentPassword was found to match
}

// newAccount makes an account out of what every role's input has. The caller
// fills in the rest, looks at the problems and inserts it.
func (t *tx) newAccount(role Role, in *UserInput, p *Problems) (*account, error) {
	a := &account{id: t.s.NewID(), standing: standing{role: role, active: true}, version: 1, createdAt: t.at(), rawKey: t.s.randomKey(), password: in.PasswordHash}
	var err error
	if a.key, err = newSealer(a.rawKey); err != nil {
		return nil, err
	}
	a.user = User{value(in.Username), value(in.Email), value(in.FirstName), value(in.LastName)}
	taken, err := t.exists(`SELECT 1 FROM accounts WHERE name_hash = $1`, t.s.keys.nameHash(a.user.Username))
	if taken && !p.Has("user.username") {
		p.Add("user.username", "A user with that username already exists.")
	}
	return a, err
}

// changeUser applies what a body says of the person. Only the owner's password
// lets the owner change the e-mail address.
func (t *tx) changeUser(a *account, in *UserInput, p *Problems) {
	name := a.user.Name()
	t.set(&a.user.FirstName, in.FirstName, "first_name")
	t.set(&a.user.LastName, in.LastName, "last_name")
	if a.user.Name() != name {
		a.renamed++
	}
	if in.Email != nil && *in.Email != a.user.Email && t.who.id == a.id {
		switch {
		case in.CurrentPassword == nil:
			p.Add("user.current_password", "This field is required.")
		case in.Proven == "" || in.Proven != a.password:
			p.Add("user.current_password", "The password is not correct.")
			t.refuse("wrong password")
		}
	}
	t.set(&a.user.Email, in.Email, "email")
}

// set applies a value that was given and notes the field's name in the entry
// when that changes it.
func (t *tx) set(field *string, to *string, name string) {
	if to != nil && *to != *field {
		*field = *to
		t.entry.fields = append(t.entry.fields, name)
	}
}

// deleteAccount hides an account and ends its sessions and assignments.
func (t *tx) deleteAccount(a *account) error {
	if err := t.touchPartners(a.id); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE assignments SET ended_at = $1 WHERE ended_at IS NULL AND (patient_id = $2 OR doctor_id = $2)`, t.at(), a.id); err != nil {
		return err
	}
	if _, err := t.endSessions(a.id); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE accounts SET deleted_at = $1 WHERE id = $2`, t.at(), a.id)
	t.entry.version = a.version
	return err
}

func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// versionTag names a version. Its number counts the changes of what is shown;
// renamed counts those of the names of others in it, which seldom change.
func versionTag(number, renamed int) string {
	tag := "v" + strconv.Itoa(number)
	if renamed > 0 {
		tag += "." + strconv.Itoa(renamed)
	}
	return tag
}

// Match is the condition of a request on the object's version; nil is none.
type Match func(version string) bool

// check returns ErrPrecondition when the condition does not hold.
func (m Match) check(version string) error {
	if m != nil && !m(version) {
		return ErrPrecondition
	}
	return nil
}
