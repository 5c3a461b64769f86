package store

import (
	"errors"
	"slices"
	"strconv"
)

// account is a row of the table and what is sealed in it.
type account struct {
	id string
	standing
	version   int
	paired    int
	renamed   int
	deletedAt Instant

	key         sealer
	rawKey      []byte   // only while the account is new, see isNew
	secrets     *secrets // nil until they are needed, see readSecrets
	user        User
	formerEmail string // the address that this very action changes
	// Of a patient.
	dateOfBirth, phone, address string
	// Of a doctor.
	specialization, license string
}

// secrets are what the owner proves itself by.
type secrets struct {
	password string // the PHC string; "" until an invitation is accepted
	otp      string // the second factor's secret, 20 bytes; "" when there is none

	devicesSince Instant // proofs of devices from before do not count
}

// isNew tells whether the account was made by this very action.
func (a *account) isNew() bool { return a.rawKey != nil }

// standing is what an account is allowed to be. It lies open in the row, for
// queries, and the seal of the profile is bound to it: who writes into the file
// cannot make somebody staff, nor turn a second factor off.
type standing struct {
	role     Role
	active   bool
	verified bool
	otpOn    bool // the second factor is on
}

const accountColumns = `a.id, a.role, a.active, a.verified, a.otp_on, a.version, a.paired, a.renamed,
	COALESCE(a.deleted_at, ''), a.data_key_id, a.wrapped_key, a.profile`

const secretColumns = `a.password, a.otp, a.devices_since`

func (t *tx) scanAccount(row rowScanner) (*account, error) { return t.scanAccountAnd(row) }

// scanAccountAnd scans a row that has more columns behind the account's. From
// then on the action has met the account.
func (t *tx) scanAccountAnd(row rowScanner, more ...any) (*account, error) {
	a := new(account)
	var dataKey string
	var wrapped, profile []byte
	err := row.Scan(append([]any{&a.id, (*string)(&a.role), &a.active, &a.verified, &a.otpOn, &a.version, &a.paired, &a.renamed,
		(*string)(&a.deletedAt), &dataKey, &wrapped, &profile}, more...)...)
	if err != nil {
		return nil, err
	}
	key, err := t.s.keys.unwrap(a.id, dataKey, wrapped)
	if err == nil {
		a.key, err = newSealer(key)
	}
	if err == nil {
		err = a.open(profile)
	}
	if err != nil {
		return nil, t.sealed(err, "account", a.id)
	}
	if t.met == nil {
		t.met = make(map[string]*account)
	}
	t.met[a.id] = a
	return a, nil
}

// meet looks up those of the accounts that the action has not met. Of one that
// does not exist it says nothing.
func (t *tx) meet(ids ...string) error {
	var strangers []string
	for _, id := range ids {
		if t.met[id] == nil && !slices.Contains(strangers, id) {
			strangers = append(strangers, id)
		}
	}
	if len(strangers) == 0 {
		return nil
	}
	var q statement
	q.add("SELECT " + accountColumns + " FROM accounts a WHERE a.id IN (")
	q.in(strangers)
	q.add(")")
	rows, err := t.rows(q.text.String(), q.args...)
	if err == nil {
		_, err = collect(rows, t.scanAccount)
	}
	return err
}

// open opens the profile.
func (a *account) open(profile []byte) error {
	v, err := a.key.open(profilePlace(a.id, a.version, a.standing), profile, 9)
	if err != nil {
		return err
	}
	a.user = User{v[0], v[1], v[2], v[3]}
	a.dateOfBirth, a.phone, a.address, a.specialization, a.license = v[4], v[5], v[6], v[7], v[8]
	return nil
}

// readSecrets looks the secrets of an account up, where that was not done yet.
func (t *tx) readSecrets(a *account) error {
	if a.secrets != nil {
		return nil
	}
	var sealed sealedSecrets
	err := t.row(`SELECT `+secretColumns+` FROM accounts a WHERE a.id = $1`, a.id).Scan(sealed.into()...)
	if err != nil {
		return err
	}
	return t.sealed(a.openSecrets(sealed), "account", a.id)
}

// sealedSecrets are the columns.
type sealedSecrets struct {
	password, otp []byte
	devicesSince  Instant
}

func (s *sealedSecrets) into() []any { return []any{&s.password, &s.otp, (*string)(&s.devicesSince)} }

func (a *account) openSecrets(s sealedSecrets) error {
	p, err := a.key.open(place("accounts.password", a.id, a.version), s.password, 1)
	if err != nil {
		return err
	}
	a.secrets = &secrets{password: p[0], devicesSince: s.devicesSince}
	if s.otp == nil {
		if a.otpOn {
			return errSealed // the secret was taken out
		}
		return nil
	}
	o, err := a.key.open(place("accounts.otp", a.id, a.version), s.otp, 1)
	if err != nil {
		return err
	}
	a.secrets.otp = o[0]
	return nil
}

func profilePlace(id string, version int, s standing) []byte {
	is := []string{string(s.role), strconv.FormatBool(s.active), strconv.FormatBool(s.verified)}
	if s.otpOn { // only then, so that profiles sealed before there were second factors open
		is = append(is, "otp")
	}
	return place("accounts.profile", id, version, is...)
}

func (a *account) sealedProfile() []byte {
	return a.key.seal(profilePlace(a.id, a.version, a.standing), a.user.Username, a.user.Email, a.user.FirstName, a.user.LastName,
		a.dateOfBirth, a.phone, a.address, a.specialization, a.license)
}

func (a *account) sealedPassword() []byte {
	return a.key.seal(place("accounts.password", a.id, a.version), a.secrets.password)
}

// sealedOTP is nil when there is no secret.
func (a *account) sealedOTP() []byte {
	if a.secrets.otp == "" {
		return nil
	}
	return a.key.seal(place("accounts.otp", a.id, a.version), a.secrets.otp)
}

// sealed tells the operator which row does not open.
func (t *tx) sealed(err error, what, id string) error {
	if errors.Is(err, errSealed) {
		t.s.log.ErrorContext(t.ctx, "a sealed value does not open: it was altered, or the data key is not its own; restore it from a backup", what, id)
	}
	return err
}

// account returns an account, deleted or not, as the action met it, or
// ErrNotFound.
func (t *tx) account(id string) (*account, error) {
	if err := t.meet(id); err != nil {
		return nil, err
	}
	if t.met[id] == nil {
		return nil, ErrNotFound
	}
	return t.met[id], nil
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

func (t *tx) insertAccount(a *account) error {
	dataKey, wrapped, err := t.wrap(a.id, a.rawKey)
	if err != nil {
		return err
	}
	err = t.exec(`INSERT INTO accounts (id, role, name_hash, data_key_id, wrapped_key, profile, password,
			active, verified, version, paired, renamed, created_at, updated_at, email_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13)`,
		a.id, a.role, t.s.keys.nameHashOf(a), dataKey, wrapped, a.sealedProfile(), a.sealedPassword(),
		flag(a.active), flag(a.verified), a.version, t.at(), t.at(), orNull(t.s.keys.emailHash(a.user.Email)))
	t.entry.object, t.entry.version = a.id, a.version
	if err != nil {
		return err
	}
	return t.takeName(a)
}

// takeName forgets the attempts at a user name from before it was somebody's:
// nobody is shut out by who guessed what it would be.
func (t *tx) takeName(a *account) error {
	if a.user.Username == "" {
		return nil // until an invitation is accepted
	}
	return t.forget(t.nameLimit(a.user.Username))
}

// updateAccount stores a changed account as its next version, and tells a
// former e-mail address of the change.
func (t *tx) updateAccount(a *account) error {
	if err := t.readSecrets(a); err != nil { // the version is in their seals too
		return err
	}
	a.version++
	err := t.exec(`UPDATE accounts SET profile = $1, password = $2, active = $3, verified = $4, version = $5,
			renamed = $6, updated_at = $7, otp_on = $8, otp = $9, email_hash = $10, devices_since = $11 WHERE id = $12`,
		a.sealedProfile(), a.sealedPassword(), flag(a.active), flag(a.verified), a.version, a.renamed, t.at(),
		flag(a.otpOn), orNull(a.sealedOTP()), orNull(t.s.keys.emailHash(a.user.Email)), a.secrets.devicesSince, a.id)
	t.entry.version = a.version
	if err != nil || a.formerEmail == "" {
		return err
	}
	return t.tellFormer(a)
}
