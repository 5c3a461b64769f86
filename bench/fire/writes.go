package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// kind is a kind of object that is made, changed and deleted through the API.
// What is written of it holds a number twice, another one in each write, so that
// half a write shows.
type kind struct {
	name, path string
	who        func(*writer) *user
	body       func(w *writer, stamp int64) string // of a new one
	change     string                              // a body with two %d
}

var (
	records = &kind{"record", "/api/health-records/", func(w *writer) *user { return w.patient }, func(_ *writer, n int64) string {
		return fmt.Sprintf(`{"title":"Visit #%d#","description":"Seen again #%d#, no change."}`, n, n)
	}, `{"title":"Visit, changed #%d#","description":"Corrected #%d#, no change."}`}

	notes = &kind{"note", "/api/doctor-notes/", func(w *writer) *user { return w.doctor }, func(w *writer, n int64) string {
		return fmt.Sprintf(`{"health_record":%q,"note":"Call back #%d# in a week #%d#."}`, w.base, n, n)
	}, `{"note":"Call back #%d# in a month #%d#."}`}

	patients = &kind{"patient", "/api/patients/", func(w *writer) *user { return w.p.staff }, func(w *writer, n int64) string {
		return fmt.Sprintf(`{"user":{"username":"new%d","password":%q,"email":"new%d@example.org","first_name":"Pat #%d#"},"address":"Road #%d#","doctors":[%q]}`,
			n, password, n, n, n, w.doctor.id)
	}, `{"user":{"first_name":"Pat #%d#"},"address":"Lane #%d#"}`}

	invitations = &kind{"invitation", "/api/invitations/", func(w *writer) *user { return w.p.staff }, func(_ *writer, n int64) string {
		return fmt.Sprintf(`{"role":"patient","email":"new%d@example.org","first_name":"Pat #%d#","last_name":"Example #%d#"}`, n, n, n)
	}, ""}
)

const (
	aboutInvitation = "An account was made for you"
	aboutReset      = "Reset your password"
	aboutAssignment = "New Patient Assigned"
)

// thing is an object that was written, and which of its writes it may show: the
// last, or also the one before it when the last was not acknowledged.
type thing struct {
	*kind
	made int64 // the number of its first write
	id   string
	may  []int64 // numbers of writes; 0 when it is not there
	held bool    // something was begun with it, and it stays
}

// letter is the one that goes to whom a thing is about.
func (t *thing) letter(subject string) letter {
	return letter{fmt.Sprintf("new%d@example.org", t.made), subject}
}

// settled tells whether a thing is known to be there.
func (t *thing) settled() bool { return t.id != "" && len(t.may) == 1 && t.may[0] != 0 }

func (w *writer) create(ctx context.Context, k *kind) int {
	n := w.p.stamp.Add(1)
	t := &thing{kind: k, made: n, may: []int64{0, n}}
	w.things = append(w.things, t)
	w.touched[t] = true
	status, text, _ := k.who(w).call(ctx, "POST", k.path, k.body(w, n))
	if acknowledged(status) {
		var made struct{ ID string }
		_ = json.Unmarshal(text, &made) // without an id it will not be found
		t.id, t.may = made.ID, []int64{n}
		if k == invitations {
			w.p.mail.promise(t.letter(aboutInvitation))
		}
	}
	return status
}

func (w *writer) change(ctx context.Context, t *thing) int {
	n := w.p.stamp.Add(1)
	return w.turn(ctx, t, n, "PATCH", fmt.Sprintf(t.change, n, n))
}

func (w *writer) delete(ctx context.Context, t *thing) int {
	w.p.mail.forget(t.letter(aboutInvitation)) // a withdrawn invitation is not sent any more
	return w.turn(ctx, t, 0, "DELETE", "")
}

// turn makes a write after which a thing shows n.
func (w *writer) turn(ctx context.Context, t *thing, n int64, method, body string) int {
	w.touched[t] = true
	t.may = append(t.may, n)
	status, _, _ := t.who(w).call(ctx, method, t.path+t.id+"/", body)
	if acknowledged(status) {
		t.may = []int64{n}
	}
	return status
}

// check reads a thing. It fails when that does not show what it may, or shows
// half of it.
func (w *writer) check(ctx context.Context, t *thing) error {
	if t.id == "" {
		return w.find(ctx, t)
	}
	status, text, err := t.who(w).call(ctx, "GET", t.path+t.id+"/", "")
	var n int64
	switch {
	case err != nil:
		return err
	case status == 200:
		if n, err = stampOf(text); err != nil {
			return fmt.Errorf("a %s: %w", t.name, err)
		}
	case status != 404:
		return fmt.Errorf("a %s cannot be read: answered %d", t.name, status)
	}
	if !slices.Contains(t.may, n) {
		return fmt.Errorf("a %s shows write %d, and may show %v", t.name, n, t.may)
	}
	t.may = []int64{n}
	return nil
}

// find looks for a thing whose creation was not acknowledged among the newest.
func (w *writer) find(ctx context.Context, t *thing) error {
	var list struct{ Results []json.RawMessage }
	if err := t.who(w).want(ctx, "GET", t.path+"?page_size=100", "", &list); err != nil {
		return err
	}
	t.may = []int64{0}
	for _, text := range list.Results {
		var found struct{ ID string }
		_ = json.Unmarshal(text, &found) // it is an object of the list's own
		if found.ID == w.base || !anyStamp.Match(text) {
			continue // of those that were there from the beginning
		}
		n, err := stampOf(text)
		if err != nil {
			return fmt.Errorf("a %s in a list: %w", t.name, err)
		}
		if n == t.made {
			t.id, t.may = found.ID, []int64{n}
		}
	}
	return nil
}

var anyStamp = regexp.MustCompile(`#([0-9]+)#`)

// stampOf returns the number of the write that an answer shows.
func stampOf(text []byte) (int64, error) {
	found := anyStamp.FindAllSubmatch(text, -1)
	if len(found) != 2 || string(found[0][1]) != string(found[1][1]) {
		return 0, fmt.Errorf("it shows %q, not one write", found)
	}
	return strconv.ParseInt(string(found[0][1]), 10, 64)
}
