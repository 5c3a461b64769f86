package store

import (
	"cmp"
	"database/sql"
	"errors"
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
}

// account is a row of the table and what is sealed in it.
type account struct {
	id string
	standing
	version   int
	paired    int
	renamed   int
	createdAt Instant
	deletedAt Instant

	key      sealer
	rawKey   []byte // only while the account is new, see isNew
	password string // the PHC string
	user     User
	// Of a patient.
	dateOfBirth, phone, address string
	// Of a doctor.
	specialization, license string
}

// isNew tells whether the account was made by this very action.
func (a *account) isNew() bool { return a.rawKey != nil }

// standing is what an account is allowed to be. It lies open in the row, for
// queries, and the seal of the profile is bound to it: who writes into the file
// cannot make somebody staff.
type standing struct {
	role     Role
	active   bool
	verified bool
}

const accountColumns = `a.id, a.role, a.active, a.verified, a.version, a.paired, a.renamed,
	a.created_at, COALESCE(a.deleted_at, ''), a.data_key_id, a.wrapped_key, a.profile, a.password`

func (t *tx) scanAccount(row rowScanner) (*account, error) { return t.scanAccountAnd(row) }

// scanAccountAnd scans a row that has more columns behind the account's.
func (t *tx) scanAccountAnd(row rowScanner, more ...any) (*account, error) {
	a := new(account)
	var dataKey string
	var wrapped, profile, password []byte
	err := row.Scan(append([]any{&a.id, &a.role, &a.active, &a.verified, &a.version, &a.paired, &a.renamed,
		&a.createdAt, &a.deletedAt, &dataKey, &wrapped, &profile, &password}, more...)...)
	if err != nil {
		return nil, err
	}
	if a.key, err = t.key(a.id, dataKey, wrapped); err != nil {
		return nil, err
	}
	return a, a.open(profile, password)
}

// open opens what is sealed in the row.
func (a *account) open(profile, password []byte) error {
	v, err := openProfile(a.key, a.id, a.version, a.standing, profile)
	if err != nil {
		return err
	}
	a.user = User{v[0], v[1], v[2], v[3]}
	a.dateOfBirth, a.phone, a.address, a.specialization, a.license = v[4], v[5], v[6], v[7], v[8]
	p, err := a.key.open(place("accounts.password", a.id, a.version), password, 1)
	if err != nil {
		return err
	}
	a.password = p[0]
	return nil
}

func openProfile(key sealer, id string, version int, s standing, profile []byte) ([]string, error) {
	return key.open(profilePlace(id, version, s), profile, 9)
}

func profilePlace(id string, version int, s standing) []byte {
	return place("accounts.profile", id, version, string(s.role), strconv.FormatBool(s.active), strconv.FormatBool(s.verified))
}

func (a *account) sealedProfile() []byte {
	return a.key.seal(profilePlace(a.id, a.version, a.standing), a.user.Username, a.user.Email, a.user.FirstName, a.user.LastName,
		a.dateOfBirth, a.phone, a.address, a.specialization, a.license)
}

func (a *account) sealedPassword() []byte {
	return a.key.seal(place("accounts.password", a.id, a.version), a.password)
}

// key opens an account's own key.
func (t *tx) key(account, dataKeyID string, wrapped []byte) (sealer, error) {
	if k, ok := t.keys[account]; ok {
		return k, nil
	}
	key, err := t.s.keys.unwrap(account, dataKeyID, wrapped)
	if err != nil {
		return sealer{}, t.sealed(err, "account", account)
	}
	k, err := newSealer(key)
	if t.keys == nil {
		t.keys = make(map[string]sealer)
	}
	t.keys[account] = k
	return k, err
}

// sealed tells the operator which row does not open.
func (t *tx) sealed(err error, what, id string) error {
	if errors.Is(err, errSealed) {
		t.s.log.ErrorContext(t.ctx, "a sealed value does not open: it was altered, or the data key is not its own; restore it from a backup", what, id)
	}
	return err
}

// nameOf returns the name of the account of a joined row, opening each
// account's profile once in an action.
func (t *tx) nameOf(id, dataKeyID string, wrapped, profile []byte, version int, s standing) (string, error) {
	if name, ok := t.names[id]; ok {
		return name, nil
	}
	key, err := t.key(id, dataKeyID, wrapped)
	if err != nil {
		return "", err
	}
	v, err := openProfile(key, id, version, s, profile)
	if err != nil {
		return "", t.sealed(err, "account", id)
	}
	if t.names == nil {
		t.names = make(map[string]string)
	}
	t.names[id] = User{v[0], v[1], v[2], v[3]}.Name()
	return t.names[id], nil
}

// account returns an account, deleted or not, or ErrNotFound.
func (t *tx) account(id string) (*account, error) {
	a, err := t.scanAccount(t.row(`SELECT `+accountColumns+` FROM accounts a WHERE a.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return a, t.sealed(err, "account", id)
}

// living returns an account of that role that is not deleted, or ErrNotFound.
func (t *tx) living(id string, role Role) (*account, error) {
	if !isID(id) {
		return nil, ErrNotFound
	}
	a, err := t.account(id)
	if err == nil && (a.role != role || a.deletedAt != "") {
		return nil, ErrNotFound
	}
	return a, err
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

func (t *tx) insertAccount(a *account) error {
	dataKey, wrapped, err := t.wrap(a.id, a.rawKey)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO accounts (id, role, name_hash, data_key_id, wrapped_key, profile, password,
			active, verified, version, paired, renamed, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12)`,
		a.id, a.role, t.s.keys.nameHash(a.user.Username), dataKey, wrapped, a.sealedProfile(), a.sealedPassword(),
		flag(a.active), flag(a.verified), a.version, a.createdAt, a.createdAt)
	t.entry.object, t.entry.version = a.id, a.version
	return err
}

// updateAccount stores a changed account as its next version.
func (t *tx) updateAccount(a *account) error {
	a.version++
	_, err := t.exec(`UPDATE accounts SET profile = $1, password = $2, active = $3, verified = $4, version = $5,
			renamed = $6, updated_at = $7 WHERE id = $8`,
		a.sealedProfile(), a.sealedPassword(), flag(a.active), flag(a.verified), a.version, a.renamed, t.at(), a.id)
	t.entry.version = a.version
	return err
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
