package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// rendering is how the service writes an instant: UTC with microseconds.
const rendering = "2006-01-02T15:04:05.000000Z"

// instant stands for an instant that the server chose.
type instant struct{}

// ids stands for a list of these ids in any order.
type ids []string

// differences names the members in which a decoded answer is not what is
// wanted, "doctor_notes[1].note"; "" is the whole. It quotes no value. Member
// names and texts are compared byte for byte, and null, "" and [] differ.
func differences(path string, got, want any) []string {
	switch want := want.(type) {
	case object:
		return objectDifferences(path, got, want)
	case []any:
		return listDifferences(path, got, want)
	case instant:
		text, _ := got.(string)
		if at, err := time.Parse(rendering, text); err == nil && at.Format(rendering) == text {
			return nil
		}
	case ids:
		if sameIDs(got, want) {
			return nil
		}
	default: // a text, a truth value or null
		if got == want {
			return nil
		}
	}
	return []string{path}
}

func objectDifferences(path string, got any, want object) []string {
	g, ok := got.(object)
	if !ok {
		return []string{path}
	}
	if path != "" {
		path += "."
	}
	var names []string
	for name := range g {
		if _, ok := want[name]; !ok {
			names = append(names, path+"(another member)")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if value, ok := g[name]; ok {
			names = append(names, differences(path+name, value, want[name])...)
		} else {
			names = append(names, path+name)
		}
	}
	return names
}

func listDifferences(path string, got any, want []any) []string {
	g, ok := got.([]any)
	if !ok || len(g) != len(want) {
		return []string{path}
	}
	var names []string
	for i := range want {
		names = append(names, differences(fmt.Sprintf("%s[%d]", path, i), g[i], want[i])...)
	}
	return names
}

func sameIDs(got any, want ids) bool {
	list, ok := got.([]any)
	if !ok {
		return false
	}
	var g []string
	for _, v := range list {
		id, ok := v.(string)
		if !ok {
			return false
		}
		g = append(g, id)
	}
	return slices.Equal(slices.Sorted(slices.Values(g)), slices.Sorted(slices.Values(want)))
}

// expected is an object that a list must hold.
type expected struct {
	place  string // where it stands in the folder
	id     string
	object func() object
}

// newestFirst sorts records as the service lists them: by date, then by id,
// both falling. Ids are canonical, so that their texts sort as they do.
func newestFirst(records []*record) []*record {
	return slices.SortedFunc(slices.Values(records), func(a, b *record) int {
		return cmp.Or(b.date.Compare(a.date), cmp.Compare(b.id, a.id))
	})
}

// What follows is how the service shows what was put in.

func (a *account) user() object {
	return object{"username": a.Username, "email": a.Email, "first_name": a.FirstName, "last_name": a.LastName}
}

func (a *patient) dateOfBirth() any {
	if a.DateOfBirth == "" {
		return nil
	}
	return a.DateOfBirth
}

func (a *patient) doctorIDs() ids {
	list := ids{}
	for _, d := range a.doctors {
		list = append(list, d.id)
	}
	return list
}

func (a *patient) object() object {
	return object{
		"id":            a.id,
		"user":          a.user(),
		"date_of_birth": a.dateOfBirth(),
		"phone_number":  a.PhoneNumber,
		"address":       a.Address,
		"doctors":       a.doctorIDs(),
	}
}

// whole is a doctor as it sees itself.
func (d *doctor) whole() object {
	list := ids{}
	for _, a := range d.patients {
		list = append(list, a.id)
	}
	return object{
		"id":             d.id,
		"user":           d.user(),
		"specialization": d.Specialization,
		"license_number": d.LicenseNumber,
		"verified":       true,
		"patients":       list,
	}
}

// toStaff is how staff see an account: that it is active, too.
func toStaff(shown func() object) func() object {
	return func() object {
		o := shown()
		o["user"].(object)["is_active"] = true
		return o
	}
}

// entry is a doctor in the directory, as patients and other doctors see it.
func (d *doctor) entry() object {
	u := d.user()
	u["email"] = ""
	v := d.whole()
	v["user"], v["patients"] = u, []any{}
	return v
}

func (r *record) object() object {
	author := object{"role": "patient", "id": r.patient.id, "name": r.patient.name()}
	if r.author != nil {
		author = object{"role": "doctor", "id": r.author.id, "name": r.author.name()}
	}
	notes := []any{}
	for _, n := range r.notes {
		notes = append(notes, n.object())
	}
	return object{
		"id":           r.id,
		"title":        r.Title,
		"description":  r.Description,
		"date":         r.date.UTC().Format(rendering),
		"patient":      r.patient.id,
		"author":       author,
		"doctor_notes": notes,
		"created_at":   instant{},
		"updated_at":   instant{},
	}
}

func (n *note) object() object {
	return object{
		"id":            n.id,
		"note":          n.Note,
		"date":          instant{},
		"doctor_name":   n.doctor.name(),
		"doctor":        n.doctor.id,
		"health_record": n.record.id,
		"updated_at":    instant{},
	}
}

func expectPatients(patients []*patient) []expected {
	var list []expected
	for _, a := range patients {
		list = append(list, expected{a.place, a.id, a.object})
	}
	return list
}

func expectRecords(records []*record) []expected {
	var list []expected
	for _, r := range newestFirst(records) {
		list = append(list, expected{r.place, r.id, r.object})
	}
	return list
}

func expectNotes(records []*record) []expected {
	var list []expected
	for _, r := range records {
		for _, n := range r.notes {
			list = append(list, expected{n.place, n.id, n.object})
		}
	}
	return list
}
