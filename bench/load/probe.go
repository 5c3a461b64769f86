package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// written reads what a doctor and one of its patients wrote, by the filters.
func (r *reader) written(ctx context.Context, d *doctor, visible []*record) error {
	var own, patients []*record
	var notes []expected
	var writer *patient
	for _, rec := range visible {
		switch {
		case rec.author == d:
			own = append(own, rec)
		case rec.author == nil && (writer == nil || writer == rec.patient):
			writer = rec.patient
			patients = append(patients, rec)
		}
	}
	for _, e := range visible {
		for _, n := range e.notes {
			if n.doctor == d {
				notes = append(notes, expected{n.place, n.id, n.object})
			}
		}
	}
	if err := r.list(ctx, recordsPath, url.Values{"author": {d.id}}, expectRecords(own), true); err != nil {
		return err
	}
	if err := r.notes(ctx, url.Values{"doctor": {d.id}, "page_size": {"100"}}, notes); err != nil {
		return err
	}
	if writer == nil {
		return nil
	}
	return r.list(ctx, recordsPath, url.Values{"author": {writer.id}}, expectRecords(patients), true)
}

// probe takes up to n of the records that the reader sees and looks for each
// by itself, by its date and by its words; and lists them once oldest first.
func (r *reader) probe(ctx context.Context, visible []*record, n int) error {
	rising := expectRecords(visible)
	slices.Reverse(rising)
	if err := r.list(ctx, recordsPath, url.Values{"ordering": {"date"}, "page_size": {"100"}}, rising, true); err != nil {
		return err
	}
	for i := 0; i < len(visible); i += max(1, (len(visible)+n-1)/n) {
		rec := visible[i]
		err := inTurn([]func() error{
			func() error {
				return r.one(ctx, recordsPath+rec.id+"/", expected{rec.place, rec.id, rec.object})
			},
			func() error {
				return r.notes(ctx, url.Values{"health_record": {rec.id}}, expectNotes([]*record{rec}))
			},
			func() error { return r.dated(ctx, rec, visible) },
			func() error { return r.searched(ctx, rec, visible) },
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dated asks for the records of one instant; both bounds are inclusive.
func (r *reader) dated(ctx context.Context, rec *record, visible []*record) error {
	var want []*record
	for _, other := range visible {
		if other.date.Equal(rec.date) {
			want = append(want, other)
		}
	}
	at := rec.date.UTC().Format(rendering)
	return r.list(ctx, recordsPath, url.Values{"date_after": {at}, "date_before": {at}}, expectRecords(want), true)
}

// searched looks for a record by its longest word, which must find it and
// nothing that the reader does not see.
func (r *reader) searched(ctx context.Context, rec *record, visible []*record) error {
	word := longestWord(rec.Title + " " + rec.Description)
	if word == "" {
		return nil
	}
	terms := []string{word}
	if isASCII(word) {
		terms = append(terms, strings.ToUpper(word), strings.ToLower(word[:3]), word+" "+word[:2])
	}
	for _, term := range terms {
		got, err := r.walk(ctx, recordsPath, url.Values{"search": {term}, "page_size": {"100"}})
		if err != nil {
			return err
		}
		found := make(map[string]bool)
		for _, v := range got {
			id, _ := v["id"].(string)
			found[id] = true
			if isASCII(term) && !holdsWords(v, term) {
				r.mismatch(recordsPath, "a search shows a record without the word")
			}
		}
		if !found[rec.id] {
			r.mismatch(recordsPath, "%s: not found by a word of its text", rec.place)
		}
		unfound := func(e expected) bool { return !found[e.id] }
		r.compare(recordsPath, got, slices.DeleteFunc(expectRecords(visible), unfound), true)
	}
	return nil
}

// longestWord is the longest run of letters and their marks between white
// space, which is a word however one cuts texts into words; "" if none has
// three characters.
func longestWord(text string) string {
	longest := ""
	for _, word := range strings.Fields(text) {
		other := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsMark(c) }
		if len([]rune(word)) >= 3 && len(word) > len(longest) && !strings.ContainsFunc(word, other) {
			longest = word
		}
	}
	return longest
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII })
}

func holdsWords(v object, term string) bool {
	title, _ := v["title"].(string)
	description, _ := v["description"].(string)
	text := strings.ToLower(title + " " + description)
	for _, word := range strings.Fields(strings.ToLower(term)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// foreign asks for what belongs to patients whom the reader must not see. The
// answer must be the one to an id of nothing, and filters by them find nothing.
func (r *reader) foreign(ctx context.Context, patients []*patient) error {
	for _, p := range patients {
		paths := []string{patientsPath + "%s/", patientsPath + "%s/health-records/"}
		if err := r.hidden(ctx, p.id, paths...); err != nil {
			return err
		}
		for _, filter := range []string{"patient", "author"} {
			if err := r.list(ctx, recordsPath, url.Values{filter: {p.id}}, nil, true); err != nil {
				return err
			}
		}
		if len(p.records) == 0 {
			continue
		}
		rec := p.records[0]
		if i := slices.IndexFunc(p.records, func(rec *record) bool { return len(rec.notes) > 0 }); i >= 0 {
			rec = p.records[i]
			if err := r.hidden(ctx, rec.notes[0].id, notesPath+"%s/"); err != nil {
				return err
			}
		}
		if err := r.hidden(ctx, rec.id, recordsPath+"%s/"); err != nil {
			return err
		}
	}
	return nil
}

// hidden wants 404 for an id, with the same bytes as for an id of nothing.
func (r *reader) hidden(ctx context.Context, id string, paths ...string) error {
	for _, path := range paths {
		real, err := r.client.do(ctx, r.session, http.MethodGet, fmt.Sprintf(path, id), nil)
		if err != nil {
			return err
		}
		none, err := r.client.do(ctx, r.session, http.MethodGet, fmt.Sprintf(path, unknownID()), nil)
		if err != nil {
			return err
		}
		r.tally.count(0, 1)
		path = fmt.Sprintf(path, "{id}")
		if real.status != http.StatusNotFound || none.status != http.StatusNotFound {
			r.mismatch(path, "status %d for an object of others, %d for an id of nothing, want 404", real.status, none.status)
		} else if !bytes.Equal(real.body, none.body) || !reflect.DeepEqual(telling(real.header), telling(none.header)) {
			r.mismatch(path, "404 for an object of others is not the 404 for an id of nothing")
		}
	}
	return nil
}

// telling is a header without the lines that differ from answer to answer.
func telling(h http.Header) http.Header {
	h = h.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	return h
}

// denied wants 403 permission_denied.
func (r *reader) denied(ctx context.Context, path string) error {
	a, err := r.client.do(ctx, r.session, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	r.tally.count(0, 1)
	if a.status != http.StatusForbidden || reason(a.body) != "code permission_denied" {
		r.mismatch(path, "status %d, %s, want 403 permission_denied", a.status, reason(a.body))
	}
	return nil
}

// unknownID is a UUID of version 7 that nobody made.
func unknownID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
