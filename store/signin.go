package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"
)

// Credentials are what a sign-in is checked against. The zero Credentials are
// those of nobody.
type Credentials struct {
	Account string
	Hash    string // PHC string of the password; "" when no password can be right
	User    User   // of the actor itself, for who checks a new password; else zero

	patient bool
	made    attempt
	device  string // id of the known device that it is tried from, if any
}

// Device is what a genuine proof of a device said. The zero Device is none.
type Device struct {
	Account, ID string
	Issued      time.Time
}

// BeginSignIn counts an attempt to sign in and returns what is stored for the
// user name, without an account when nobody has it. It tells nothing else of
// the account. It returns [Throttled] when it is too early for another attempt,
// by the same rules for names that nobody has. Its caller has a turn at the
// hasher, so that no more attempts are in flight than hashes may run.
func (s *Store) BeginSignIn(ctx context.Context, a Actor, username string, d Device) (Credentials, error) {
	var c Credentials
	err := s.write(ctx, func(t *tx) error {
		own, err := t.accountNamed(username)
		if err != nil {
			return err
		}
		c = Credentials{}
		if own != nil {
			c = own.credentials()
		}
		c.made, c.device, err = t.attemptAs(a, own, username, d)
		if c.made.exhausted {
			c.Hash = ""
		}
		return err
	})
	return c, err
}

// MayTry tells whether [Store.BeginSignIn] would let an attempt through now: it
// returns [Throttled] when not, and counts nothing. Who is too early is told so
// before it takes somebody's place in the queue for a hash.
func (s *Store) MayTry(ctx context.Context, a Actor, username string, d Device) error {
	return s.write(ctx, func(t *tx) error {
		t.looking = true
		own, err := t.accountNamed(username)
		if err == nil {
			_, _, err = t.attemptAs(a, own, username, d)
		}
		return err
	})
}

// accountNamed returns the account with that user name, deleted or not, or nil
// when nobody has it.
func (t *tx) accountNamed(username string) (*account, error) {
	var sealed sealedSecrets
	a, err := t.scanAccountAnd(t.row(`SELECT `+accountColumns+`, `+secretColumns+` FROM accounts a WHERE a.name_hash = $1`,
		t.s.keys.nameHash(username)), sealed.into()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a, t.sealed(a.openSecrets(sealed), "account", a.id)
}

func (a *account) credentials() Credentials {
	return Credentials{Account: a.id, Hash: a.secrets.password, patient: a.role == PatientRole}
}

// attemptAs counts an attempt by the way that it comes in: from a device that
// the account knows, from an address at which the account has a live session,
// or else as a stranger. All but known devices take a share of what the address
// may, so that who sits there does not learn from the answer who is signed in
// there. The console keeps its device known: its owner is not kept out.
func (t *tx) attemptAs(a Actor, own *account, username string, d Device) (made attempt, device string, err error) {
	if own != nil && own.knows(d) {
		made, err = t.reserve(string(t.s.keys.hash("device", own.id, d.ID)), own.id)
		return made, d.ID, err
	}
	from := network(a.Address)
	peer, share, err := t.room(strangers, from)
	if err != nil {
		return made, "", err
	}
	subject, account := t.nameLimit(username), ""
	if own != nil {
		account = own.id
		at, err := t.isAtHome(own, from)
		if err != nil {
			return made, "", err
		}
		if at {
			subject = string(t.s.keys.hash("address", own.id, from))
		}
	}
	if made, err = t.reserve(subject, account); err != nil {
		return made, "", err
	}
	made.peer = peer
	return made, "", t.setLimit(peer, "", share)
}

// nameLimit is what the attempts of strangers at a user name count for, be it
// somebody's or not.
func (t *tx) nameLimit(username string) string {
	return string(t.s.keys.hash("name", string(t.s.keys.nameHash(username))))
}

// knows tells whether a proof was given for this account, its password is that of
// then, and its owner was not shut out since. Proofs tell whole seconds: one of
// the second in which that happened is void too.
func (a *account) knows(d Device) bool {
	return a.deletedAt == "" && d.Account == a.id && isID(d.ID) && InstantOf(d.Issued) >= a.secrets.devicesSince
}

// ownLimit is what an owner's attempts to prove itself within a session count
// for.
func (t *tx) ownLimit(account string) string { return string(t.s.keys.hash("own", account)) }

// OwnCredentials returns what is stored for the actor itself when it may do the
// action and that needs its password: the change of its own profile, whose id is
// given, of its password, or of its second factor. It counts an attempt, and
// returns [Throttled] when it is too early for another. It returns the zero
// Credentials when the profile is another's. Its other errors are those of the
// action.
func (s *Store) OwnCredentials(ctx context.Context, a Actor, action Action, id string) (Credentials, error) {
	var c Credentials
	err := s.peek(ctx, a, action, func(t *tx) error {
		c = Credentials{}
		own, err := t.reachOwn(action, id)
		if err != nil || own.id != t.who.id {
			return err
		}
		if err := t.readSecrets(own); err != nil {
			return err
		}
		made, err := t.reserve(t.ownLimit(own.id), own.id)
		c = own.credentials()
		c.User, c.made = own.user, made
		if made.exhausted {
			c.Hash = ""
		}
		return err
	})
	return c, err
}

// Proven says that the password was right for which [Store.OwnCredentials] was
// asked, whatever becomes of the action: the attempt is taken out of the counts.
func (s *Store) Proven(ctx context.Context, c Credentials) error {
	return s.write(ctx, func(t *tx) error { return t.forget(c.made.subject) })
}

// reachOwn returns the account that an action changes.
func (t *tx) reachOwn(action Action, id string) (*account, error) {
	if isID(id) {
		t.entry.object = id
	}
	switch action {
	case ChangePatient:
		return t.reachPatient(id)
	case ChangeDoctor:
		return t.reachDoctor(id)
	case ChangeStaff:
		return t.reachStaff(id)
	case EndOTP:
		if !t.who.account.otpOn {
			return nil, ErrNotFound
		}
	}
	return t.who.account, nil
}

// SignInInput is what became of an attempt that [Store.BeginSignIn] let through,
// and what came with it.
type SignInInput struct {
	Right        bool    // the password was
	NewHash      string  // of the same password, when the stored one is weak
	OTP          *string // nil when none came
	RecoveryCode *string // likewise
	Agent        string  // what the client calls itself
	NewDevice    bool    // a proof of the device is wanted
}

// SignIn opens a session when the password was right, the account is active
// and its password is still the one that was checked; else it returns
// ErrCredentials. With a second factor it returns ErrOTPRequired when no code
// came, which does not count as a failure, ErrOTP when it was wrong, and
// [Throttled] when it is too early for another.
func (s *Store) SignIn(ctx context.Context, a Actor, c Credentials, in SignInInput) (Grant, error) {
	var g Grant
	var refused error // by the second factor
	err := s.act(ctx, a, SignIn, c.Account, func(t *tx) error {
		g, refused = Grant{}, nil
		if c.patient {
			t.concerns(c.Account)
		}
		if !in.Right || c.Account == "" || c.Hash == "" {
			return ErrCredentials
		}
		own, err := t.account(c.Account)
		if err == nil {
			err = t.readSecrets(own)
		}
		if err != nil {
			return err
		}
		if !own.active || own.deletedAt != "" || own.secrets.password != c.Hash {
			return ErrCredentials
		}
		t.entry.actor, t.entry.role = own.id, own.role
		if own.otpOn {
			if refused, err = t.secondFactor(own, c.made, in); err != nil || refused != nil {
				return err
			}
		}
		g, err = t.signIn(a, own, c, in)
		return err
	})
	if err == nil {
		err = refused
	}
	return g, err
}

// secondFactor holds what came with a right password against the second factor.
// The attempt counts as a failure only when a code was wrong.
func (t *tx) secondFactor(own *account, made attempt, in SignInInput) (refused, err error) {
	if in.OTP == nil && in.RecoveryCode == nil {
		t.entry.outcome, _ = refusal(ErrOTPRequired)
		return ErrOTPRequired, t.unmake(made)
	}
	refused, err = t.tryCode(own, in.OTP, in.RecoveryCode)
	if errors.As(refused, new(Throttled)) {
		err = t.unmake(made)
	}
	return refused, err
}

// signIn opens a session for an account whose proofs were right.
func (t *tx) signIn(a Actor, own *account, c Credentials, in SignInInput) (Grant, error) {
	if in.NewHash != "" {
		own.secrets.password = in.NewHash
		if err := t.updateAccount(own); err != nil {
			return Grant{}, err
		}
	}
	if err := t.settle(c.made); err != nil {
		return Grant{}, err
	}
	if c.device == "" {
		if err := t.tellOfDevice(own, network(a.Address)); err != nil {
			return Grant{}, err
		}
	}
	g, err := t.openSession(own, a.Address, in.Agent)
	if in.NewDevice {
		g.DeviceID = cmp.Or(c.device, t.s.NewID())
	}
	return g, err
}

// By how many of its newest sessions, and for how long, an address stays known.
const (
	recentSessions = 100
	recently       = 30 * 24 * time.Hour
)

// tellOfDevice queues a mail to who signs in from somewhere new, unless it is
// for the first time.
func (t *tx) tellOfDevice(own *account, from string) error {
	rows, err := t.rows(`SELECT address, refresh_issued_at FROM sessions WHERE account_id = $1 ORDER BY id DESC LIMIT $2`, own.id, recentSessions)
	if err != nil {
		return err
	}
	since, first, known := InstantOf(t.now.Add(-recently)), true, false
	_, err = collect(rows, func(r rowScanner) (struct{}, error) {
		var address string
		var used Instant
		err := r.Scan(&address, &used)
		first, known = false, known || used > since && network(address) == from
		return struct{}{}, err
	})
	if err != nil || first || known {
		return err
	}
	return t.tell(own, MailDevice)
}
