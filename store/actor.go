package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// Actor is who asks, as far as the caller could prove it without the database:
// the account and session of a genuine access token, or nobody. Every action
// looks the session and the account up again, inside its own transaction.
type Actor struct {
	Account string // "" for nobody
	Session string
	Address string // of the client, without port
	Request string // the request's id

	operator bool
}

// Command returns the actor of a command typed on the machine itself. The
// name of the command stands in the trail in place of a request id.
func Command(name string) Actor { return Actor{operator: true, Request: name} }

// caller is an actor that was found to be who it says.
type caller struct {
	id      string
	role    Role
	session string
	account *account // nil for nobody and the operator
}

// act runs one action in one transaction: who is it, may its role ever do
// this, the work, the entry in the trail. A refusal undoes the work and leaves
// an entry too. The work asks the policy about the object with [tx.allow].
func (s *Store) act(ctx context.Context, a Actor, action Action, object string, work func(*tx) error) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.attempt(a, action, object, work); err != nil {
			return err
		}
		return t.trace()
	})
}

// peek is act for a question ahead of an action: only a refusal is traced.
func (s *Store) peek(ctx context.Context, a Actor, action Action, question func(*tx) error) error {
	return s.write(ctx, func(t *tx) error { return t.attempt(a, action, "", question) })
}

// attempt begins an action and does its work. An error that is a refusal will
// be traced when the transaction has undone the rest.
func (t *tx) attempt(a Actor, action Action, object string, work func(*tx) error) error {
	err := t.begin(a, action, object)
	if err == nil {
		err = work(t)
	}
	if outcome, ok := refusal(err); ok {
		t.refuse(outcome)
	}
	return err
}

// actAside is act for work that may take long, as searches do: the work reads
// on a connection of its own, and only the entry waits in the queue of writes.
// It is answered after its entry all the same.
func (s *Store) actAside(ctx context.Context, a Actor, action Action, object string, work func(*tx) error) error {
	var seen entry
	var failed error
	err := s.read(ctx, func(t *tx) error {
		if failed = t.begin(a, action, object); failed == nil {
			failed = work(t)
		}
		seen = t.entry
		if _, refused := refusal(failed); refused {
			return nil // it is traced below
		}
		return failed
	})
	if err != nil {
		return err
	}
	return s.act(ctx, a, action, object, func(t *tx) error {
		t.entry = seen
		return failed
	})
}

func (t *tx) begin(a Actor, action Action, object string) error {
	t.entry = entry{action: action, address: a.Address, request: a.Request}
	if isID(object) { // anything else is free text of the client
		t.entry.object = object
	}
	who, err := t.admit(a)
	t.who, t.entry.actor, t.entry.role, t.entry.session = who, who.id, who.role, who.session
	if err != nil {
		return err
	}
	if who.account != nil && t.s.wantsOTP(who.account) && !withoutOTP[action] {
		return ErrOTPSetup
	}
	if !conceivable(who.role, action) {
		return ErrForbidden
	}
	return nil
}

// wantsOTP tells whether an account must have a second factor and has none.
func (s *Store) wantsOTP(a *account) bool {
	return !a.otpOn && slices.Contains(s.options.RequireOTP, a.role)
}

// refuse makes the failing action leave its entry in the trail.
func (t *tx) refuse(outcome Outcome) { t.refused, t.entry.outcome = true, outcome }

// admit finds out who the actor is. It returns ErrSession when the session or
// the account is no more.
func (t *tx) admit(a Actor) (caller, error) {
	if a.operator {
		return caller{role: Operator}, nil
	}
	if a.Account == "" {
		return caller{role: Nobody}, nil
	}
	who := caller{id: a.Account, role: Nobody, session: a.Session}
	var ended, expires, renewed Instant
	own, err := t.scanAccountAnd(t.row(`SELECT `+accountColumns+`, COALESCE(s.ended_at, ''), s.expires_at, s.refresh_issued_at
		FROM sessions s JOIN accounts a ON a.id = s.account_id
		WHERE s.id = $1 AND s.account_id = $2`, a.Session, a.Account), (*string)(&ended), (*string)(&expires), (*string)(&renewed))
	if errors.Is(err, sql.ErrNoRows) {
		return who, ErrSession
	}
	if err != nil {
		return who, err
	}
	who.role, who.account = own.role, own
	if t.isOver(own, ended, expires, renewed) {
		return who, ErrSession
	}
	return who, nil
}

// allow asks the policy. It returns ErrForbidden when the caller may see the
// object but not do this, and ErrNotFound when it may not even see it.
func (t *tx) allow(tie Tie) error {
	if Allowed(t.who.role, tie, t.entry.action) {
		return nil
	}
	if see, ok := seeing[t.entry.action]; ok && Allowed(t.who.role, tie, see) {
		return ErrForbidden
	}
	return ErrNotFound
}

// pairs are the assignments that count: open, between a living patient and a
// verified doctor. Every rule about who treats whom is made of this text.
const pairs = `FROM assignments x
	JOIN accounts xp ON xp.id = x.patient_id AND xp.deleted_at IS NULL
	JOIN accounts xd ON xd.id = x.doctor_id AND xd.deleted_at IS NULL AND xd.verified = 1
	WHERE x.ended_at IS NULL`

// tie returns how the caller stands to a patient.
func (t *tx) tie(patient string) (Tie, error) {
	switch t.who.role {
	case PatientRole:
		if patient == t.who.id {
			return Own, nil
		}
	case DoctorRole:
		treats, err := t.treats, error(nil)
		if t.asked != patient {
			treats, err = t.exists(`SELECT 1 `+pairs+` AND x.doctor_id = $1 AND x.patient_id = $2`, t.who.id, patient)
		}
		if treats {
			return Treating, err
		}
		return 0, err
	}
	return 0, nil
}

// treated is a column that tells whether the caller, $1, treats the patient of
// the row, whose id is the column given. What it says is for [tx.tie].
func (t *tx) treated(patient string) string {
	if t.who.role != DoctorRole {
		return `$1 <> $1`
	}
	return `EXISTS (SELECT 1 ` + pairs + ` AND x.doctor_id = $1 AND x.patient_id = ` + patient + `)`
}

// reach asks the policy about something that was written about a patient.
func (t *tx) reach(patient, author string) error {
	tie, err := t.tieToWork(patient, author)
	if err != nil {
		return err
	}
	return t.allow(tie)
}

// reachHistory is reach for all versions of something. Once it was deleted, that
// is an action of its own, which not everyone who could read it may do.
func (t *tx) reachHistory(patient, author string, deleted Instant) error {
	if deleted != "" {
		t.entry.action = SeeDeleted
	}
	return t.reach(patient, author)
}

func (t *tx) tieToWork(patient, author string) (Tie, error) {
	t.concerns(patient)
	tie, err := t.tie(patient)
	if author == t.who.id {
		tie |= Wrote
	}
	return tie, err
}

// visible narrows a list to the rows whose patient the caller may see; column
// is the patient's id. Lists, filters, searches and nested lists all use it.
func (t *tx) visible(q *statement, column string) {
	switch t.who.role {
	case Staff: // reaches patients alone: the policy keeps it from what is written about them
	case PatientRole:
		q.add(" AND "+column+" = $", t.who.id)
	case DoctorRole:
		q.add(" AND "+column+" IN (SELECT x.patient_id "+pairs+" AND x.doctor_id = $)", t.who.id)
	default:
		q.add(" AND 1 = 0")
	}
}

func (t *tx) exists(query string, args ...any) (bool, error) {
	var one int
	err := t.row(query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
