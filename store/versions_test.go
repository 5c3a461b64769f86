package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"healthrecords/store"
)

// recordHistory is what a record said, newest first, one text a version.
func (p *practice) recordHistory(a store.Actor, id string) []string {
	p.t.Helper()
	page, err := p.RecordVersions(p.t.Context(), a, id, wholePage)
	if err != nil {
		p.t.Fatalf("RecordVersions error = %v, want nil", err)
	}
	var list []string
	for _, v := range page.Items {
		list = append(list, fmt.Sprintf("%d: %s, %s, %s", v.Number, v.Title, v.Description, v.Date))
	}
	return list
}

func (p *practice) noteHistory(a store.Actor, id string) []string {
	p.t.Helper()
	page, err := p.NoteVersions(p.t.Context(), a, id, wholePage)
	if err != nil {
		p.t.Fatalf("NoteVersions error = %v, want nil", err)
	}
	var list []string
	for _, v := range page.Items {
		list = append(list, fmt.Sprintf("%d: %s", v.Number, v.Text))
	}
	return list
}

func wantHistory(t *testing.T, when string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s the versions are\n got %q\nwant %q", when, got, want)
	}
}

func TestEveryChangeOfARecordKeepsTheVersionBefore(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	r, err := p.CreateRecord(ctx, pat, &store.RecordInput{Title: ptr("one"), Description: ptr("first"), Date: ptr(store.Instant("2020-01-01T00:00:00.000000Z"))})
	if err != nil {
		t.Fatalf("CreateRecord error = %v, want nil", err)
	}
	change := func(in store.RecordInput) {
		t.Helper()
		p.clock.Advance(time.Minute)
		if _, err := p.ChangeRecord(ctx, pat, r.ID, nil, &in); err != nil {
			t.Fatalf("ChangeRecord error = %v, want nil", err)
		}
	}
	want := []string{"1: one, first, 2020-01-01T00:00:00.000000Z"}
	wantHistory(t, "at first", p.recordHistory(pat, r.ID), want)
	for _, step := range []struct {
		in  store.RecordInput
		now string
	}{
		{store.RecordInput{Title: ptr("two")}, "2: two, first, 2020-01-01T00:00:00.000000Z"},
		{store.RecordInput{Description: ptr("second")}, "3: two, second, 2020-01-01T00:00:00.000000Z"},
		{store.RecordInput{Date: ptr(store.Instant("2021-01-01T00:00:00.000000Z"))}, "4: two, second, 2021-01-01T00:00:00.000000Z"},
		{store.RecordInput{Title: ptr("one"), Description: ptr("first"), Date: ptr(store.Instant("2020-01-01T00:00:00.000000Z"))}, "5: one, first, 2020-01-01T00:00:00.000000Z"},
	} {
		change(step.in)
		want = append([]string{step.now}, want...)
		wantHistory(t, "after a change", p.recordHistory(doc, r.ID), want)
	}

	updated := p.texts(`SELECT updated_at FROM records`)
	change(store.RecordInput{})
	change(store.RecordInput{Title: ptr("one"), Description: ptr("first")})
	wantHistory(t, "after a change of nothing", p.recordHistory(pat, r.ID), want)
	if now := p.texts(`SELECT updated_at FROM records`); !slices.Equal(now, updated) {
		t.Errorf("after a change of nothing it was updated at %q, want %q", now, updated)
	}
	p.note(doc, r.ID, "note")
	wantHistory(t, "after a note", p.recordHistory(pat, r.ID), want)

	p.clock.Advance(time.Minute)
	if err := p.DeleteRecord(ctx, pat, r.ID, nil); err != nil {
		t.Fatalf("DeleteRecord error = %v, want nil", err)
	}
	wantHistory(t, "after deletion", p.recordHistory(pat, r.ID), want)
	if _, err := p.RecordVersions(ctx, doc, r.ID, wholePage); err != store.ErrNotFound {
		t.Errorf("RecordVersions of another's deleted record: error = %v, want ErrNotFound", err)
	}
	page, err := p.RecordVersions(ctx, pat, r.ID, wholePage)
	if err != nil || page.Items[0].Deleted != store.InstantOf(p.clock.Now()) || page.Items[1].Deleted != "" {
		t.Errorf("RecordVersions does not tell when it was deleted; error = %v, want nil", err)
	}
	if n := p.count(`SELECT COUNT(*) FROM note_versions`) + p.count(`SELECT COUNT(*) FROM notes`); n != 1 {
		t.Errorf("%d versions of its note are kept, want 1", n)
	}
}

func TestEveryChangeOfANoteKeepsTheVersionBefore(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc.Account)
	r := p.record(pat, "title")
	n := p.note(doc, r.ID, "one")
	change := func(text *string) {
		t.Helper()
		p.clock.Advance(time.Minute)
		if _, err := p.ChangeNote(ctx, doc, n.ID, nil, &store.NoteInput{Text: text}); err != nil {
			t.Fatalf("ChangeNote error = %v, want nil", err)
		}
	}
	change(ptr("two"))
	change(nil)
	change(ptr("two"))
	change(ptr("one"))
	want := []string{"3: one", "2: two", "1: one"}
	wantHistory(t, "after changes", p.noteHistory(pat, n.ID), want)
	if err := p.DeleteNote(ctx, doc, n.ID, nil); err != nil {
		t.Fatalf("DeleteNote error = %v, want nil", err)
	}
	wantHistory(t, "after deletion", p.noteHistory(doc, n.ID), want)
	if got, err := p.Note(ctx, pat, n.ID); err == nil {
		t.Errorf("Note after deletion = version %s, want ErrNotFound", got.Version)
	}
}

// tags follows the version strings of one object as one person sees them.
type tags struct {
	t    *testing.T
	what string
	read func() string
	seen []string
}

func follow(t *testing.T, what string, read func() string) *tags {
	t.Helper()
	return &tags{t, what, read, []string{read()}}
}

// changed checks that the object has a version that it never had before.
func (v *tags) changed(by string) {
	v.t.Helper()
	now := v.read()
	if slices.Contains(v.seen, now) {
		v.t.Errorf("%s after %s has version %s, as before; want one that it never had (%q)", v.what, by, now, v.seen)
	}
	v.seen = append(v.seen, now)
}

func (v *tags) same(after string) {
	v.t.Helper()
	if now, last := v.read(), v.seen[len(v.seen)-1]; now != last {
		v.t.Errorf("%s after %s has version %s, want %s as before", v.what, after, now, last)
	}
}

// versionsPractice is a practice with the calls that a test of versions makes.
type versionsPractice struct {
	*practice
	admin, doc, pat store.Actor
}

func newVersionsPractice(t *testing.T) *versionsPractice {
	p := newPractice(t)
	w := &versionsPractice{practice: p, admin: p.staff("admin")}
	w.doc = p.doctor(w.admin, "doc")
	w.pat = p.patient("pat", w.doc.Account)
	return w
}

func (w *versionsPractice) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("error = %v, want nil", err)
	}
}

func (w *versionsPractice) rename(a store.Actor, first string) {
	w.t.Helper()
	var err error
	in := store.UserInput{FirstName: &first}
	if a == w.doc {
		_, err = w.ChangeDoctor(w.t.Context(), a, a.Account, nil, &store.DoctorInput{User: in})
	} else {
		_, err = w.ChangePatient(w.t.Context(), a, a.Account, nil, &store.PatientInput{User: in})
	}
	w.must(err)
}

func TestRecordVersionTellsEverythingShown(t *testing.T) {
	w := newVersionsPractice(t)
	ctx := t.Context()
	r := w.record(w.pat, "title")
	first := w.note(w.doc, r.ID, "first")
	v := follow(t, "the record", func() string {
		got, err := w.Record(ctx, w.pat, r.ID)
		w.must(err)
		return got.Version
	})
	if seen := v.read(); seen == r.Version {
		t.Errorf("Version after the first note = %s, as at creation", seen)
	}
	change := func(title string) string {
		got, err := w.ChangeRecord(ctx, w.pat, r.ID, nil, &store.RecordInput{Title: &title})
		w.must(err)
		return got.Version
	}
	answered := change("new")
	v.changed("a change")
	if got := v.read(); got != answered {
		t.Errorf("ChangeRecord answered version %s, Record %s", answered, got)
	}
	change("title")
	v.changed("the change back")
	change("title")
	v.same("a change of nothing")
	second := w.note(w.doc, r.ID, "second")
	v.changed("a note")
	_, err := w.ChangeNote(ctx, w.doc, second.ID, nil, &store.NoteInput{Text: ptr("third")})
	w.must(err)
	v.changed("a change of a note")
	_, err = w.ChangeNote(ctx, w.doc, second.ID, nil, &store.NoteInput{})
	w.must(err)
	v.same("a change of nothing in a note")
	w.rename(w.pat, "New")
	v.changed("a new name of the author")
	w.rename(w.doc, "New")
	v.changed("a new name of who wrote the notes")
	w.rename(w.doc, "First of doc")
	v.changed("the old name again")
	w.must(w.DeleteNote(ctx, w.doc, second.ID, nil))
	v.changed("deletion of a note")
	w.must(w.DeleteNote(ctx, w.doc, first.ID, nil))
	v.changed("deletion of the last note")
	w.rename(w.doc, "Newer")
	v.same("a new name of who wrote no note in it any more")
	w.record(w.pat, "another")
	v.same("another record")
	_, err = w.ChangePatient(ctx, w.pat, w.pat.Account, nil, &store.PatientInput{Phone: ptr("1")})
	w.must(err)
	v.same("a change of what a record does not show")

	list, err := w.Records(ctx, w.doc, store.RecordFilter{Author: w.pat.Account, OldestFirst: true}, wholePage)
	w.must(err)
	if i := slices.IndexFunc(list.Items, func(got store.Record) bool { return got.ID == r.ID }); list.Items[i].Version != v.read() {
		t.Errorf("Records shows version %s, Record %s", list.Items[i].Version, v.read())
	}
}

func TestNoteVersionTellsEverythingShown(t *testing.T) {
	w := newVersionsPractice(t)
	ctx := t.Context()
	r := w.record(w.pat, "title")
	n := w.note(w.doc, r.ID, "note")
	v := follow(t, "the note", func() string {
		got, err := w.Note(ctx, w.pat, n.ID)
		w.must(err)
		return got.Version
	})
	v.same("creation")
	if v.read() != n.Version {
		t.Errorf("CreateNote answered version %s, Note %s", n.Version, v.read())
	}
	for _, text := range []string{"new", "note"} {
		got, err := w.ChangeNote(ctx, w.doc, n.ID, nil, &store.NoteInput{Text: &text})
		w.must(err)
		v.changed("a change")
		if got.Version != v.read() {
			t.Errorf("ChangeNote answered version %s, Note %s", got.Version, v.read())
		}
	}
	w.rename(w.doc, "New")
	v.changed("a new name of its doctor")
	w.rename(w.doc, "First of doc")
	v.changed("the old name again")
	w.note(w.doc, r.ID, "another")
	v.same("another note")
	w.rename(w.pat, "New")
	v.same("a new name of the patient")
}

func TestPatientVersionTellsEverythingShown(t *testing.T) {
	w := newVersionsPractice(t)
	ctx := t.Context()
	doc2 := w.doctor(w.admin, "doc2")
	v := follow(t, "the patient", func() string {
		got, err := w.Patient(ctx, w.pat, w.pat.Account)
		w.must(err)
		return got.Version
	})
	change := func(by string, in store.PatientInput) {
		t.Helper()
		got, err := w.ChangePatient(ctx, w.pat, w.pat.Account, nil, &in)
		w.must(err)
		v.changed(by)
		if got.Version != v.read() {
			t.Errorf("ChangePatient answered version %s, Patient %s", got.Version, v.read())
		}
	}
	doctor := func(by string, id string, in store.DoctorInput) {
		t.Helper()
		_, err := w.ChangeDoctor(ctx, w.admin, id, nil, &in)
		w.must(err)
		v.changed(by)
	}
	change("a change", store.PatientInput{Phone: ptr("1")})
	change("the change back", store.PatientInput{Phone: ptr("")})
	change("another doctor", store.PatientInput{Doctors: &[]string{doc2.Account}})
	change("the doctor of before", store.PatientInput{Doctors: &[]string{w.doc.Account}})
	change("both and a change", store.PatientInput{Phone: ptr("2"), Doctors: &[]string{w.doc.Account, doc2.Account}})
	doctor("a doctor gave it up", doc2.Account, store.DoctorInput{Patients: &[]string{}})
	doctor("a doctor took it back", doc2.Account, store.DoctorInput{Patients: &[]string{w.pat.Account}})
	doctor("a doctor is not verified any more", w.doc.Account, store.DoctorInput{Verified: ptr(false)})
	doctor("a doctor is verified again", w.doc.Account, store.DoctorInput{Verified: ptr(true)})
	w.must(w.DeleteDoctor(ctx, w.admin, doc2.Account, nil))
	v.changed("deletion of a doctor")
	_, err := w.ChangePatient(ctx, w.pat, w.pat.Account, nil, &store.PatientInput{Phone: ptr("2"), Doctors: &[]string{w.doc.Account}})
	w.must(err)
	v.same("a change of nothing")
	w.rename(w.doc, "New")
	v.same("a new name of a doctor")
	w.record(w.pat, "title")
	v.same("a record")
}

func TestDoctorVersionTellsEverythingShown(t *testing.T) {
	w := newVersionsPractice(t)
	ctx := t.Context()
	seenBy := func(what string, a store.Actor) *tags {
		return follow(t, "the doctor as "+what+" sees it", func() string {
			got, err := w.Doctor(ctx, a, w.doc.Account)
			w.must(err)
			return got.Version
		})
	}
	itself, staff, directory := seenBy("itself", w.doc), seenBy("staff", w.admin), seenBy("a patient", w.pat)
	all := func(by string) {
		t.Helper()
		itself.changed(by)
		staff.changed(by)
		directory.changed(by)
	}
	// What the directory does not show it does not tell either.
	intimates := func(by string) {
		t.Helper()
		itself.changed(by)
		staff.changed(by)
		directory.same(by)
	}
	for _, text := range []string{"cardiology", ""} {
		got, err := w.ChangeDoctor(ctx, w.doc, w.doc.Account, nil, &store.DoctorInput{Specialization: &text})
		w.must(err)
		all("a change")
		if got.Version != itself.read() {
			t.Errorf("ChangeDoctor answered version %s, Doctor %s", got.Version, itself.read())
		}
	}
	w.rename(w.doc, "New")
	all("a new name")
	pat2 := w.patient("pat2", w.doc.Account)
	intimates("a new patient")
	_, err := w.ChangePatient(ctx, pat2, pat2.Account, nil, &store.PatientInput{Doctors: &[]string{}})
	w.must(err)
	intimates("a patient who left")
	_, err = w.ChangePatient(ctx, pat2, pat2.Account, nil, &store.PatientInput{Doctors: &[]string{w.doc.Account}})
	w.must(err)
	intimates("a patient who came back")
	w.must(w.DeletePatient(ctx, pat2, pat2.Account, nil))
	intimates("deletion of a patient")
	w.must(w.ErasePatient(ctx, store.Command("test"), w.patient("pat3", w.doc.Account).Account, "wish"))
	intimates("a patient who came and was erased")
	w.rename(w.pat, "New")
	itself.same("a new name of a patient")

	_, err = w.ChangeDoctor(ctx, w.admin, w.doc.Account, nil, &store.DoctorInput{Verified: ptr(false)})
	w.must(err)
	itself.changed("withdrawal of verification")
	staff.changed("withdrawal of verification")
	_, err = w.ChangeDoctor(ctx, w.admin, w.doc.Account, nil, &store.DoctorInput{Verified: ptr(true)})
	w.must(err)
	all("verification")
}

// The condition of a change is checked against the version that is shown.
func TestMatchGetsTheVersionShown(t *testing.T) {
	w := newVersionsPractice(t)
	ctx := t.Context()
	r := w.record(w.pat, "title")
	n := w.note(w.doc, r.ID, "note")
	shownRecord, err := w.Record(ctx, w.pat, r.ID)
	w.must(err)
	shownPatient, err := w.Patient(ctx, w.pat, w.pat.Account)
	w.must(err)
	shownDoctor, err := w.Doctor(ctx, w.doc, w.doc.Account)
	w.must(err)
	for what, test := range map[string]struct {
		shown string
		do    func(store.Match) error
	}{
		"ChangeRecord": {shownRecord.Version, func(m store.Match) error {
			_, err := w.ChangeRecord(ctx, w.pat, r.ID, m, &store.RecordInput{})
			return err
		}},
		"DeleteRecord": {shownRecord.Version, func(m store.Match) error { return w.DeleteRecord(ctx, w.pat, r.ID, m) }},
		"ChangeNote": {n.Version, func(m store.Match) error {
			_, err := w.ChangeNote(ctx, w.doc, n.ID, m, &store.NoteInput{})
			return err
		}},
		"DeleteNote": {n.Version, func(m store.Match) error { return w.DeleteNote(ctx, w.doc, n.ID, m) }},
		"ChangePatient": {shownPatient.Version, func(m store.Match) error {
			_, err := w.ChangePatient(ctx, w.pat, w.pat.Account, m, &store.PatientInput{})
			return err
		}},
		"DeletePatient": {shownPatient.Version, func(m store.Match) error { return w.DeletePatient(ctx, w.pat, w.pat.Account, m) }},
		"ChangeDoctor": {shownDoctor.Version, func(m store.Match) error {
			_, err := w.ChangeDoctor(ctx, w.doc, w.doc.Account, m, &store.DoctorInput{})
			return err
		}},
		"DeleteDoctor": {shownDoctor.Version, func(m store.Match) error { return w.DeleteDoctor(ctx, w.doc, w.doc.Account, m) }},
	} {
		got := ""
		err := test.do(func(version string) bool { got = version; return false })
		wantErr(t, what, err, store.ErrPrecondition)
		if got != test.shown {
			t.Errorf("%s compares with version %s, want %s as shown", what, got, test.shown)
		}
	}
}

// What was deleted before a doctor came is nothing to it; who wrote it sees all
// its versions as long as it treats the patient.
func TestDoctorWhoCameLaterSeesNothingDeleted(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc, later := p.doctor(admin, "doc"), p.doctor(admin, "later")
	pat := p.patient("pat", doc.Account)
	stays := p.record(pat, "stays")
	gone, err := p.CreateRecord(ctx, doc, &store.RecordInput{Title: ptr("gone"), Description: ptr("text"), Patient: &pat.Account})
	if err != nil {
		t.Fatalf("CreateRecord error = %v, want nil", err)
	}
	alone, along := p.note(doc, stays.ID, "deleted alone"), p.note(doc, gone.ID, "deleted along with its record")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("error = %v, want nil", err)
		}
	}
	assign := func(doctors ...string) {
		t.Helper()
		_, err := p.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Doctors: &doctors})
		must(err)
	}
	must(p.DeleteNote(ctx, doc, alone.ID, nil))
	must(p.DeleteRecord(ctx, doc, gone.ID, nil))
	see := func(who string, a store.Actor, want error) {
		t.Helper()
		_, err := p.RecordVersions(ctx, a, gone.ID, wholePage)
		wantErr(t, "RecordVersions of a deleted record by "+who, err, want)
		for _, id := range []string{alone.ID, along.ID} {
			_, err := p.NoteVersions(ctx, a, id, wholePage)
			wantErr(t, "NoteVersions of a deleted note by "+who, err, want)
		}
	}
	assign(doc.Account, later.Account)
	see("the patient", pat, nil)
	see("the author", doc, nil)
	see("a doctor who came later", later, store.ErrNotFound)
	wantHistory(t, "to a doctor who came later,", p.recordHistory(later, stays.ID), []string{"1: stays, about stays, " + string(stays.Date)})
	assign(later.Account)
	see("an author who left", doc, store.ErrNotFound)
	assign(doc.Account)
	see("an author who came back", doc, nil)
}
