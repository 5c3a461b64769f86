package store

import "context"

// What patients and doctors have in common: accounts that register, are
// listed, changed and paired.

// MayRegister tells whether the actor may create an account of that kind, so
// that no work is spent on one who may not.
func (s *Store) MayRegister(ctx context.Context, a Actor, action Action) error {
	return s.peek(ctx, a, action, (*tx).openForRegistration)
}

// BeginRegistration counts a registration from the address of who has no
// account yet, before a password is hashed for it. It returns [Throttled] when
// there were too many.
func (s *Store) BeginRegistration(ctx context.Context, a Actor) error {
	if a.Account != "" || a.operator {
		return nil
	}
	return s.admitFrom(ctx, a, registrations)
}

func (t *tx) openForRegistration() error {
	if t.who.role == Nobody && t.s.options.RegistrationClosed {
		return ErrClosed
	}
	return nil
}

// register checks what every registration has and plans its assignments.
func (t *tx) register(role Role, verified bool, in *Input, user *UserInput, field string, partners *[]string) (*account, *pairing, error) {
	if err := t.openForRegistration(); err != nil {
		return nil, nil, err
	}
	if in.Err != nil {
		return nil, nil, in.Err
	}
	own, err := t.newAccount(role, user, &in.Problems)
	if err != nil {
		return nil, nil, err
	}
	own.verified = verified
	plan, err := t.planPairs(own, field, partners, &in.Problems)
	if err != nil {
		return nil, nil, err
	}
	return own, plan, in.Problems.Err()
}

// enrol stores a new account with its assignments.
func (t *tx) enrol(own *account, plan *pairing) error {
	if err := t.insertAccount(own); err != nil {
		return err
	}
	return t.carryOut(plan)
}

// change stores what was changed in an account, and its assignments, unless
// there are problems. What was not changed is not written.
func (t *tx) change(own *account, proven, field string, partners *[]string, p *Problems) error {
	plan, err := t.planPairs(own, field, partners, p)
	if err != nil {
		return err
	}
	if err := t.tested(proven, p.Err()); err != nil {
		return err
	}
	t.entry.version = own.version
	if len(t.entry.fields) > 0 {
		if err := t.updateAccount(own); err != nil {
			return err
		}
	}
	if plan != nil && len(plan.begin)+len(plan.end) > 0 {
		t.entry.fields = append(t.entry.fields, field)
	}
	return t.carryOut(plan)
}

// narrowing adds the conditions of who may be seen. A list may be cut by it too: at
// most limit accounts from a position on are read.
type narrowing func(q *statement, from Position, limit int)

// accounts reads one page of the living accounts of a role, newest first,
// narrowed to those that may be seen.
func (t *tx) accounts(role Role, p Paging, narrow narrowing) (Page[*account], error) {
	fetch := func(from Position, limit int) ([]*account, error) {
		var q statement
		q.add("SELECT "+accountColumns+" FROM accounts a WHERE a.role = $ AND a.deleted_at IS NULL", role)
		narrow(&q, from, limit)
		newest := newestFirst("a.id")
		q.behind(newest, from, from.ID)
		q.add(newest.by(from)+" LIMIT $", limit)
		rows, err := t.rows(q.text.String(), q.args...)
		if err != nil {
			return nil, err
		}
		return collect(rows, t.scanAccount)
	}
	at := func(a *account) Position { return Position{ID: a.id} }
	return page(p, fetch, at, searching(p, func(a *account) []string {
		return []string{a.user.FirstName, a.user.LastName, a.user.Username}
	}))
}

// searching returns what keeps the rows that a search is for, or nil.
func searching[T any](p Paging, texts func(T) []string) func(T) bool {
	if p.Search == "" {
		return nil
	}
	wanted := words(p.Search)
	return func(row T) bool { return matches(wanted, texts(row)...) }
}

// listing is act, or actAside for a search, which may have to open many rows.
func (s *Store) listing(p Paging) func(context.Context, Actor, Action, string, func(*tx) error) error {
	if p.Search == "" {
		return s.act
	}
	return s.actAside
}

// pageOf shows each row of a page.
func pageOf[R, T any](rows Page[R], show func(R) T) Page[T] {
	list := Page[T]{Items: make([]T, len(rows.Items)), Next: rows.Next, Previous: rows.Previous}
	for i, row := range rows.Items {
		list.Items[i] = show(row)
	}
	return list
}

func accountIDs(accounts []*account) []string {
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.id
	}
	return ids
}
