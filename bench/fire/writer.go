package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// writer writes all that can be written, one thing after the other, and knows
// what must be there afterwards.
type writer struct {
	p               *practice
	rand            *rand.Rand
	patient, doctor *user
	base            string // id of a record that stays
	things          []*thing
	touched         map[*thing]bool // since the last look
	session         *user           // another of the patient's
	state           sessionState
	entrances       map[string]string // passwords that must open an account, by user name
}

type sessionState int

const (
	noSession sessionState = iota
	live
	renewing // a refresh was not acknowledged
	over
)

// newWriters makes writers with a patient each.
func newWriters(ctx context.Context, p *practice, seed uint64, n int) ([]*writer, error) {
	owners, err := p.enrolPatients(ctx, n)
	if err != nil {
		return nil, err
	}
	list := make([]*writer, n)
	for i, own := range owners {
		w := &writer{p: p, rand: rand.New(rand.NewPCG(seed, uint64(i))), patient: own, doctor: p.doctors[i%len(p.doctors)],
			touched: make(map[*thing]bool), entrances: make(map[string]string)}
		var made struct{ ID string }
		if err := own.want(ctx, "POST", records.path, `{"title":"First visit","description":"It stays."}`, &made); err != nil {
			return nil, err
		}
		w.base, list[i] = made.ID, w
	}
	return list, nil
}

// deed is a kind of write. do returns the status, 0 for no answer, and none when
// there is nothing to do it to: then the deeds before it come first.
type deed struct {
	name   string
	weight int // how often it is done among others
	before []string
	do     func(*writer, context.Context) int
}

const none = -1

// deeds are all that is written. Those that hash a password are rare.
var deeds = []deed{
	{"create record", 60, nil, creation(records)},
	{"change record", 40, []string{"create record"}, onSome(records, (*writer).change)},
	{"delete record", 20, []string{"create record"}, onSome(records, (*writer).delete)},
	{"create note", 20, nil, creation(notes)},
	{"change note", 15, []string{"create note"}, onSome(notes, (*writer).change)},
	{"delete note", 10, []string{"create note"}, onSome(notes, (*writer).delete)},
	{"create account", 1, nil, creation(patients)},
	{"change account", 6, []string{"create account"}, onSome(patients, (*writer).change)},
	{"delete account", 1, []string{"create account"}, onSome(patients, (*writer).delete)},
	{"invite", 10, nil, creation(invitations)},
	{"withdraw invitation", 5, []string{"invite"}, onSome(invitations, (*writer).delete)},
	{"accept invitation", 1, []string{"invite"}, (*writer).accept},
	{"sign in", 1, nil, (*writer).signIn},
	{"refresh", 20, []string{"sign in"}, (*writer).refresh},
	{"sign out", 2, []string{"sign in"}, (*writer).signOut},
	{"ask for reset", 1, []string{"create account"}, (*writer).askReset},
	{"confirm reset", 1, []string{"create account", "ask for reset"}, (*writer).confirmReset},
}

func creation(k *kind) func(*writer, context.Context) int {
	return func(w *writer, ctx context.Context) int { return w.create(ctx, k) }
}

func onSome(k *kind, do func(*writer, context.Context, *thing) int) func(*writer, context.Context) int {
	return func(w *writer, ctx context.Context) int {
		if t := w.some(k); t != nil {
			return do(w, ctx, t)
		}
		return none
	}
}

// some returns one of the newest things of a kind, nil when there is none.
func (w *writer) some(k *kind) *thing {
	var found []*thing
	for i := len(w.things) - 1; i >= 0 && len(found) < 8; i-- {
		if t := w.things[i]; t.kind == k && t.settled() && !t.held {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[w.rand.IntN(len(found))]
}

func deedNamed(name string) deed {
	for _, d := range deeds {
		if d.name == name {
			return d
		}
	}
	panic("no deed " + name)
}

// any does some deed, and returns its name and status.
func (w *writer) any(ctx context.Context) (string, int) {
	total := 0
	for _, d := range deeds {
		total += d.weight
	}
	n := w.rand.IntN(total)
	for _, d := range deeds {
		if n -= d.weight; n >= 0 {
			continue
		}
		if status := d.do(w, ctx); status != none {
			return d.name, status
		}
		break
	}
	return "create record", w.create(ctx, records)
}

func (w *writer) signIn(ctx context.Context) int {
	if w.state != noSession {
		return w.refresh(ctx) // or sessions would pile up
	}
	u := &user{p: w.p, name: w.patient.name, from: w.p.nextAddress()}
	status, err := u.open(ctx, "/api/token/", credentials(u.name, password))
	if err == nil {
		w.session, w.state = u, live
	}
	return status
}

func (w *writer) refresh(ctx context.Context) int {
	if w.state != live {
		return none
	}
	w.state = renewing
	status, err := w.session.open(ctx, "/api/token/refresh/", w.session.refreshBody())
	if err == nil {
		w.state = live
	}
	return status
}

func (w *writer) signOut(ctx context.Context) int {
	if w.state != live {
		return none
	}
	w.state = noSession // unless it is acknowledged, either may be
	status, _, _ := w.session.call(ctx, "POST", "/api/token/blacklist/", w.session.refreshBody())
	if acknowledged(status) {
		w.state = over
	}
	return status
}

// accept takes an invitation, whose mail has come, as its owner would.
func (w *writer) accept(ctx context.Context) int {
	t := w.some(invitations)
	if t == nil || w.p.mail.token(t.letter(aboutInvitation)) == "" {
		return none
	}
	name := fmt.Sprintf("accepted%d", t.made)
	body := fmt.Sprintf(`{"token":%q,"username":%q,"password":%q}`, w.p.mail.token(t.letter(aboutInvitation)), name, password)
	t.may, t.held, w.touched[t] = append(t.may, 0), true, true
	status, _, _ := w.nobody().call(ctx, "POST", "/api/invitations/accept/", body)
	if acknowledged(status) {
		t.may, w.entrances[name] = []int64{0}, password
	}
	return status
}

func (w *writer) nobody() *user { return &user{p: w.p, from: w.p.nextAddress()} }

// askReset has a link for a new password mailed, once for each account.
func (w *writer) askReset(ctx context.Context) int {
	t := w.some(patients)
	if t == nil {
		return none
	}
	t.held = true
	status, _, _ := w.nobody().call(ctx, "POST", "/api/password-reset/", fmt.Sprintf(`{"username":"new%d"}`, t.made))
	if acknowledged(status) {
		w.p.mail.promise(t.letter(aboutReset))
	}
	return status
}

func (w *writer) confirmReset(ctx context.Context) int {
	for _, t := range w.things {
		token := w.p.mail.token(t.letter(aboutReset))
		if t.kind != patients || token == "" {
			continue
		}
		w.p.mail.forget(t.letter(aboutReset))
		const another = "another password of some length"
		status, _, _ := w.nobody().call(ctx, "POST", "/api/password-reset/confirm/", fmt.Sprintf(`{"token":%q,"password":%q}`, token, another))
		if acknowledged(status) {
			w.entrances[fmt.Sprintf("new%d", t.made)] = another
		}
		return status
	}
	return none
}

// look checks all that was written since the last look, and returns what is
// lost or half there.
func (w *writer) look(ctx context.Context) error {
	var wrong []error
	for t := range w.touched {
		wrong = append(wrong, w.check(ctx, t))
	}
	clear(w.touched)
	wrong = append(wrong, w.lookAtSession(ctx))
	for name, secret := range w.entrances {
		if status, err := w.nobody().open(ctx, "/api/token/", credentials(name, secret)); err != nil {
			wrong = append(wrong, fmt.Errorf("a password that was set does not open its account: answered %d", status))
		}
	}
	clear(w.entrances)
	return errors.Join(wrong...)
}

func (w *writer) lookAtSession(ctx context.Context) error {
	switch w.state {
	case renewing: // what was not answered is asked for again, with the same token
		if status, err := w.session.open(ctx, "/api/token/refresh/", w.session.refreshBody()); err != nil {
			return fmt.Errorf("a refresh that was not acknowledged cannot be repeated: answered %d", status)
		}
		w.state = live
	case live, over:
		want := map[sessionState]int{live: 200, over: 401}[w.state]
		if status, _, err := w.session.call(ctx, "GET", "/api/me/", ""); err != nil || status != want {
			return fmt.Errorf("a session answers %d, want %d", status, want)
		}
	}
	if w.state == over {
		w.state = noSession
	}
	return nil
}

// lookAtAll checks everything that was ever written.
func (w *writer) lookAtAll(ctx context.Context) error {
	for _, t := range w.things {
		w.touched[t] = true
	}
	return w.look(ctx)
}

// renew keeps the patient's session young, and forgets the other when it is old.
func (w *writer) renew(ctx context.Context) error {
	if w.session != nil && time.Since(w.session.renewed) > 2*time.Minute {
		w.state = noSession
	}
	return w.patient.renew(ctx)
}
