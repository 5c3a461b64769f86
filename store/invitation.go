package store

import (
	"context"
	"database/sql"
	"errors"
)

// Invitation is an account that staff made and whose owner has not yet chosen a
// name and a password: nobody can sign in to it.
type Invitation struct {
	ID                         string // of the patient or doctor
	Role                       Role
	Email, FirstName, LastName string
	Created, Expires           Instant // Expires: of the token
	Token                      string  // only from Invite and ResendInvitation
}

// InvitationInput is what a body says of an invitation; nil is not given. What
// the other role has is ignored.
type InvitationInput struct {
	Input
	Role                       Role // patient or doctor
	Email, FirstName, LastName *string

	DateOfBirth, Phone, Address *string // of a patient; "" for a date is null
	Doctors                     *[]string

	Specialization, License *string // of a doctor
	Patients                *[]string
}

// CROSS JOIN is how SQLite is told to begin with the invitations, which are few.
const invitationColumns = accountColumns + `, i.created_at, i.expires_at FROM invitations i CROSS JOIN accounts a
	WHERE a.id = i.account_id AND a.deleted_at IS NULL`

func (t *tx) scanInvitation(row rowScanner) (Invitation, error) {
	var i Invitation
	own, err := t.scanAccountAnd(row, &i.Created, &i.Expires)
	if err != nil {
		return i, err
	}
	i.ID, i.Role, i.Email, i.FirstName, i.LastName = own.id, own.role, own.user.Email, own.user.FirstName, own.user.LastName
	if own.role == PatientRole {
		t.concerns(own.id)
	}
	return i, nil
}

// Invite makes the account of a patient or of a verified doctor and mails its
// owner a token to accept it with.
func (s *Store) Invite(ctx context.Context, a Actor, in *InvitationInput) (Invitation, error) {
	var i Invitation
	err := s.act(ctx, a, Invite, "", func(t *tx) error {
		in := copyOf(in)
		if in.Err != nil {
			return in.Err
		}
		own, plan, err := t.planInvitation(in)
		if err != nil {
			return err
		}
		if own.role == PatientRole {
			t.concerns(own.id)
		}
		if err := t.enrol(own, plan); err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO invitations (account_id, created_at, expires_at) VALUES ($1, $2, $3)`, own.id, t.at(), t.at()); err != nil {
			return err
		}
		i, err = t.sendInvitation(own.id)
		return err
	})
	return i, err
}

func (t *tx) planInvitation(in *InvitationInput) (*account, *pairing, error) {
	user := &UserInput{Email: in.Email, FirstName: in.FirstName, LastName: in.LastName}
	own, err := t.makeAccount(in.Role, user)
	if err != nil {
		return nil, nil, err
	}
	field, partners := "doctors", in.Doctors
	if in.Role == DoctorRole {
		own.verified, field, partners = true, "patients", in.Patients
		own.specialization, own.license = value(in.Specialization), value(in.License)
	} else {
		own.dateOfBirth, own.phone, own.address = value(in.DateOfBirth), value(in.Phone), value(in.Address)
	}
	var plan *pairing
	if !in.Problems.Has(field) {
		if plan, err = t.planPairs(own, field, partners, &in.Problems); err != nil {
			return nil, nil, err
		}
	}
	return own, plan, in.Problems.Err()
}

// sendInvitation mails a new token, in place of those before, and returns the
// invitation with it.
func (t *tx) sendInvitation(id string) (Invitation, error) {
	mail, err := t.queueMail(id, MailInvitation)
	if err != nil {
		return Invitation{}, err
	}
	token, err := t.newToken(mail, id, InvitationToken, invitationLifetime)
	if err != nil {
		return Invitation{}, err
	}
	err = t.exec(`UPDATE invitations SET expires_at = $1 WHERE account_id = $2`, InstantOf(t.now.Add(invitationLifetime)), id)
	if err != nil {
		return Invitation{}, err
	}
	i, err := t.invitation(id)
	i.Token = token
	return i, err
}

// invitation returns one that was neither accepted nor withdrawn, or
// ErrNotFound.
func (t *tx) invitation(id string) (Invitation, error) {
	if !isID(id) {
		return Invitation{}, ErrNotFound
	}
	i, err := t.scanInvitation(t.row(`SELECT `+invitationColumns+` AND i.account_id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return i, err
}

// Invitation returns an invitation that was neither accepted nor withdrawn, be
// its token over or not.
func (s *Store) Invitation(ctx context.Context, a Actor, id string) (Invitation, error) {
	var i Invitation
	err := s.act(ctx, a, ReadInvitation, id, func(t *tx) (err error) {
		i, err = t.invitation(id)
		return err
	})
	return i, err
}

// Invitations lists the invitations that were neither accepted nor withdrawn,
// newest first.
func (s *Store) Invitations(ctx context.Context, a Actor, p Paging) (Page[Invitation], error) {
	var list Page[Invitation]
	err := s.act(ctx, a, ListInvitations, "", func(t *tx) (err error) {
		list, err = page(p, func(from Position, limit int) ([]Invitation, error) {
			var q statement
			q.add("SELECT " + invitationColumns)
			newest := newestFirst("i.account_id")
			q.behind(newest, from, from.ID)
			q.add(newest.by(from)+" LIMIT $", limit)
			rows, err := t.rows(q.text.String(), q.args...)
			if err != nil {
				return nil, err
			}
			return collect(rows, t.scanInvitation)
		}, func(i Invitation) Position { return Position{ID: i.ID} }, nil)
		return err
	})
	return list, err
}

// ResendInvitation mails a new token, good for as long as the first one was; the
// one before is void. It returns [Throttled] when this was asked for too often,
// and ErrForbidden while the account is not active, for nobody could accept it.
func (s *Store) ResendInvitation(ctx context.Context, a Actor, id string) (Invitation, error) {
	var i Invitation
	err := s.act(ctx, a, ResendInvitation, id, func(t *tx) error {
		if _, err := t.invitation(id); err != nil {
			return err
		}
		own, err := t.account(id)
		if err != nil {
			return err
		}
		if !own.active {
			return ErrForbidden
		}
		if err := t.take(invited, id); err != nil {
			return err
		}
		i, err = t.sendInvitation(id)
		return err
	})
	return i, err
}

// WithdrawInvitation deletes the account of an invitation.
func (s *Store) WithdrawInvitation(ctx context.Context, a Actor, id string) error {
	return s.act(ctx, a, WithdrawInvitation, id, func(t *tx) error {
		if _, err := t.invitation(id); err != nil {
			return err
		}
		own, err := t.account(id)
		if err != nil {
			return err
		}
		return t.deleteAccount(own)
	})
}

// CheckInvitation returns what is known of who a token invites, for the password
// to be checked, or ErrOneUse. It returns [Throttled] when the client's address
// has asked too often.
func (s *Store) CheckInvitation(ctx context.Context, a Actor, token string) (User, error) {
	return s.checkToken(ctx, a, AcceptInvitation, token, InvitationToken, acceptances)
}

// AcceptInput is what a body says of who accepts an invitation; nil is not given.
type AcceptInput struct {
	Input
	Token               string
	Username            *string
	FirstName, LastName *string
	PasswordHash        string
}

// Accepted is the account of an invitation that was accepted.
type Accepted struct {
	ID       string
	Role     Role
	Username string
}

// AcceptInvitation uses a token up and gives its account a name and a password.
// It returns ErrOneUse when the token is not good any more. A token stays good
// when there are problems.
func (s *Store) AcceptInvitation(ctx context.Context, a Actor, in *AcceptInput) (Accepted, error) {
	var done Accepted
	err := s.act(ctx, a, AcceptInvitation, "", func(t *tx) error {
		in := copyOf(in)
		if in.Err != nil {
			return in.Err
		}
		own, err := t.tokenOwner(in.Token, InvitationToken)
		if err != nil {
			return err
		}
		if err := t.checkName(value(in.Username), "username", &in.Problems); err != nil {
			return err
		}
		if err := in.Problems.Err(); err != nil {
			return err
		}
		if err := t.useToken(in.Token); err != nil {
			return err
		}
		done = Accepted{own.id, own.role, value(in.Username)}
		return t.accept(own, in)
	})
	return done, err
}

func (t *tx) accept(own *account, in *AcceptInput) error {
	name := own.user.Name()
	t.set(&own.user.Username, in.Username, "username")
	t.set(&own.user.FirstName, in.FirstName, "first_name")
	t.set(&own.user.LastName, in.LastName, "last_name")
	if own.user.Name() != name {
		own.renamed++
	}
	if err := t.readSecrets(own); err != nil {
		return err
	}
	own.secrets.password = in.PasswordHash
	t.entry.fields = append(t.entry.fields, "password")
	if err := t.updateAccount(own); err != nil {
		return err
	}
	if err := t.exec(`UPDATE accounts SET name_hash = $1 WHERE id = $2`, t.s.keys.nameHashOf(own), own.id); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM invitations WHERE account_id = $1`, own.id); err != nil {
		return err
	}
	return t.takeName(own)
}
