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

// separate makes an input that was copied share no problems with the first.
func (in *Input) separate() { in.Problems = in.Problems.clone() }

// copyOf returns a copy of an input for one run of an action: the problems found
// in it go with the run when that is undone and the action is run again.
func copyOf[T any, P interface {
	*T
	separate()
}](in P) P {
	c := *in
	P(&c).separate()
	return &c
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
	Active          *bool  // for staff to write; from anyone else it is ignored
}

// makeAccount makes an account out of what every role has. The caller fills in
// the rest and inserts it.
func (t *tx) makeAccount(role Role, in *UserInput) (*account, error) {
	a := &account{id: t.s.NewID(), standing: standing{role: role, active: true}, version: 1, rawKey: t.s.randomKey(), secrets: &secrets{password: in.PasswordHash}}
	a.user = User{value(in.Username), value(in.Email), value(in.FirstName), value(in.LastName)}
	var err error
	a.key, err = newSealer(a.rawKey)
	return a, err
}

// newAccount makes an account out of what every role's input has. The caller
// fills in the rest, looks at the problems and inserts it.
func (t *tx) newAccount(role Role, in *UserInput, p *Problems) (*account, error) {
	a, err := t.makeAccount(role, in)
	if err != nil {
		return nil, err
	}
	if active := t.staffWritesActive(in, p); active != nil {
		a.active = *active
	}
	return a, t.checkName(a.user.Username, "user.username", p)
}

// checkName notes when a user name is taken.
func (t *tx) checkName(username, field string, p *Problems) error {
	taken, err := t.exists(`SELECT 1 FROM accounts WHERE name_hash = $1`, t.s.keys.nameHash(username))
	if taken && !p.Has(field) {
		p.Add(field, "A user with that username already exists.")
	}
	return err
}

// staffWritesActive takes out of an input what only staff may write.
func (t *tx) staffWritesActive(in *UserInput, p *Problems) *bool {
	if t.who.role != Staff {
		p.Forget("user.is_active")
		return nil
	}
	return in.Active
}

// changeUser applies what a body says of the person. Only the owner's password
// lets the owner change the e-mail address; a token that was sent to the address
// before is void then.
func (t *tx) changeUser(a *account, in *UserInput, p *Problems) error {
	name := a.user.Name()
	t.set(&a.user.FirstName, in.FirstName, "first_name")
	t.set(&a.user.LastName, in.LastName, "last_name")
	if a.user.Name() != name {
		a.renamed++
	}
	if in.Email != nil && *in.Email != a.user.Email {
		if t.who.id == a.id {
			if err := t.proveEmail(a, in, p); err != nil {
				return err
			}
		}
		a.formerEmail = a.user.Email
		if p.Err() == nil { // else nothing comes of the change
			if err := t.voidTokens(a.id); err != nil {
				return err
			}
		}
	}
	t.set(&a.user.Email, in.Email, "email")
	if active := t.staffWritesActive(in, p); active != nil {
		return t.setActive(a, *active)
	}
	return nil
}

func (t *tx) proveEmail(a *account, in *UserInput, p *Problems) error {
	if err := t.readSecrets(a); err != nil {
		return err
	}
	switch {
	case in.CurrentPassword == nil:
		p.Add("user.current_password", "This field is required.")
	case in.Proven == "" || in.Proven != a.secrets.password:
		p.Add("user.current_password", wrongPassword)
		t.refuse("wrong password")
	}
	return nil
}

// setActive lets an account sign in, or keeps it from it and ends all that
// lets somebody act as its owner. The caller stores the account. The last staff
// account at work stays so, but for the operator: ErrLastStaff. The entry tells
// which of both was done, where of other fields it has the name alone.
func (t *tx) setActive(a *account, active bool) error {
	if a.active != active {
		a.active = active
		what := "deactivated"
		if active {
			what = "activated"
		}
		t.entry.fields = append(t.entry.fields, what)
	}
	if active {
		return nil
	}
	if err := t.keepStaff(a); err != nil {
		return err
	}
	if err := t.readSecrets(a); err != nil {
		return err
	}
	a.secrets.devicesSince = t.at()
	if err := t.voidTokens(a.id); err != nil {
		return err
	}
	_, err := t.endSessions(a.id)
	return err
}

// keepStaff returns ErrLastStaff when no staff account but this one is at work.
// All who ask write one row: of two who would each remove another, the second
// has to look again.
func (t *tx) keepStaff(a *account) error {
	if a.role != Staff || t.who.role == Operator {
		return nil
	}
	err := t.exec(`INSERT INTO milestones (name, at) VALUES ('staff', $1) ON CONFLICT (name) DO UPDATE SET at = excluded.at`, t.at())
	if err != nil {
		return err
	}
	others, err := t.exists(`SELECT 1 FROM accounts WHERE role = 'staff' AND active = 1 AND deleted_at IS NULL AND id <> $1`, a.id)
	if err == nil && !others {
		err = ErrLastStaff
	}
	return err
}

// set applies a value that was given and notes the field's name in the entry
// when that changes it.
func (t *tx) set(field *string, to *string, name string) {
	if to != nil && *to != *field {
		*field = *to
		t.entry.fields = append(t.entry.fields, name)
	}
}

// deleteAccount hides an account and ends its sessions, assignments and tokens.
func (t *tx) deleteAccount(a *account) error {
	if err := t.keepStaff(a); err != nil {
		return err
	}
	if err := t.touchPartners(a.id); err != nil {
		return err
	}
	for _, side := range []string{"patient_id", "doctor_id"} { // each has an index
		if err := t.exec(`UPDATE assignments SET ended_at = $1 WHERE ended_at IS NULL AND `+side+` = $2`, t.at(), a.id); err != nil {
			return err
		}
	}
	if _, err := t.endSessions(a.id); err != nil {
		return err
	}
	if err := t.voidTokens(a.id); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM invitations WHERE account_id = $1`, a.id); err != nil {
		return err
	}
	a.deletedAt = t.at()
	err := t.exec(`UPDATE accounts SET deleted_at = $1 WHERE id = $2`, a.deletedAt, a.id)
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
