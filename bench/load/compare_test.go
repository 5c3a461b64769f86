package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDifferences(t *testing.T) {
	p := mustRead(t)
	p.doctors[0].id, p.doctors[1].id, p.patients[0].id = "d0", "d1", "p0"
	r := p.records[0]
	r.id, r.notes[0].id, r.notes[1].id = "r0", "n0", "n1"
	const good = `{"id":"r0","title":"Visit","description":"Line\r\nline <b> & \"q\"","date":"2026-01-02T01:04:05.000001Z",
		"patient":"p0","author":{"role":"doctor","id":"d0","name":"Ada Ames"},"doctor_notes":[
		{"id":"n0","note":"First","date":"2026-02-01T00:00:00.000000Z","doctor_name":"Bo","doctor":"d1","health_record":"r0","updated_at":"2026-02-01T00:00:00.000000Z"},
		{"id":"n1","note":"Second","date":"2026-02-01T00:00:00.000001Z","doctor_name":"Ada Ames","doctor":"d0","health_record":"r0","updated_at":"2026-02-01T00:00:00.000001Z"}],
		"created_at":"2026-02-01T00:00:00.000000Z","updated_at":"2026-02-01T00:00:00.000000Z"}`
	tests := []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"a title", `"Visit"`, `"visit"`, "title"},
		{"a line end", `\r\n`, `\n`, "description"},
		{"a date's rendering", `05.000001Z"`, `05.000001+00:00"`, "date"},
		{"a date's microsecond", `05.000001Z"`, `05.000000Z"`, "date"},
		{"null for a text", `"Visit"`, `null`, "title"},
		{"an object for a text", `"Visit"`, `{}`, "title"},
		{"a member in another case", `"title"`, `"Title"`, "(another member) title"},
		{"one member more", `"title"`, `"secret":1,"title"`, "(another member)"},
		{"the author's role", `"role":"doctor"`, `"role":"patient"`, "author.role"},
		{"a server's instant with milliseconds", `"created_at":"2026-02-01T00:00:00.000000Z"`, `"created_at":"2026-02-01T00:00:00.000Z"`, "created_at"},
		{"a server's instant with an offset", `"created_at":"2026-02-01T00:00:00.000000Z"`, `"created_at":"2026-02-01T00:00:00.000000+01:00"`, "created_at"},
		{"a note's text", `"Second"`, `"Secret"`, "doctor_notes[1].note"},
		{"no notes", `"doctor_notes":[`, `"doctor_notes":[],"more":[`, "(another member) doctor_notes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(good, test.old, test.new, 1)
			if text == good && test.old != "" {
				t.Fatal("the text to change is not there")
			}
			var got any
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if names := strings.Join(differences("", got, r.object()), " "); names != test.want {
				t.Errorf("differences = %q, want %q", names, test.want)
			}
		})
	}
}

func TestDifferencesOfIDs(t *testing.T) {
	tests := []struct {
		name string
		got  any
		want ids
		same bool
	}{
		{"in another order", []any{"b", "a"}, ids{"a", "b"}, true},
		{"none", []any{}, ids{}, true},
		{"null for none", nil, ids{}, false},
		{"one twice", []any{"a", "a"}, ids{"a", "b"}, false},
		{"one more", []any{"a", "b"}, ids{"a"}, false},
		{"a number", []any{1.0}, ids{"a"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := len(differences("doctors", test.got, test.want)) == 0; got != test.same {
				t.Errorf("same = %v, want %v", got, test.same)
			}
		})
	}
}

func TestNewestFirst(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	records := []*record{{id: "a", date: early}, {id: "b", date: late}, {id: "c", date: early}}
	var got []string
	for _, r := range newestFirst(records) {
		got = append(got, r.id)
	}
	if want := []string{"b", "c", "a"}; !slices.Equal(got, want) {
		t.Errorf("newestFirst = %q, want %q", got, want)
	}
}

func TestName(t *testing.T) {
	tests := []struct{ first, last, want string }{
		{"Ada", "Ames", "Ada Ames"},
		{"Ada", "", "Ada"},
		{"", "Ames", "Ames"},
		{"", "", "user"},
	}
	for _, test := range tests {
		a := account{Username: "user", FirstName: test.first, LastName: test.last}
		if got := a.name(); got != test.want {
			t.Errorf("name of %q and %q = %q, want %q", test.first, test.last, got, test.want)
		}
	}
}

// TestCompare holds lists against what they must show.
func TestCompare(t *testing.T) {
	thing := func(id string) expected {
		return expected{"line " + id, id, func() object { return object{"id": id} }}
	}
	want := []expected{thing("a"), thing("b")}
	tests := []struct {
		name string
		got  string
		want int // mismatches
	}{
		{"the same", "a b", 0},
		{"one missing", "b", 1},
		{"in another order", "b a", 1},
		{"one of others", "a b c", 1},
		{"one that was there before", "a old b", 0},
		{"none", "", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &reader{tally: &tally{out: t.Output()}, before: map[string]bool{"old": true}}
			var got []object
			for _, id := range strings.Fields(test.got) {
				got = append(got, object{"id": id})
			}
			r.compare("/api/", got, want, true)
			if r.tally.mismatches != test.want {
				t.Errorf("mismatches = %d, want %d", r.tally.mismatches, test.want)
			}
		})
	}
}

func TestLongestWord(t *testing.T) {
	tests := []struct{ text, want string }{
		{"Blood pressure: 120/80 (left)", "Blood"},
		{"a of 12", ""},
		{"नमस्ते doctor", "नमस्ते"},
	}
	for _, test := range tests {
		if got := longestWord(test.text); got != test.want {
			t.Errorf("longestWord(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}
