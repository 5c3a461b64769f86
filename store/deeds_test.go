package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"healthrecords/store"
)

// deed is something that somebody does to the practice of newTown, and the
// entry that it must leave in the trail.
type deed struct {
	name    string
	action  store.Action
	by      store.Actor
	role    store.Role
	do      func(a store.Actor) (object string, err error)
	err     error    // that do must return
	invalid bool     // do must return an *[store.Invalid] instead
	version int      // of the object
	touched []string // the patients; newOne is the object itself
	fields  string
	outcome store.Outcome // Done when ""

	// Where the entry names an account or a session that by does not.
	account, session string

	unseen bool // it leaves no entry
}

// newOne stands for the id of what a deed makes.
const newOne = "the new one"

// town is a practice with all kinds of people and things in it. Every value
// that a client chose has "zz" in it, which no name of anything has.
type town struct {
	*practice
	nobody, operator, admin, doc, stranger, pat, pat2, loner store.Actor
	unverified, docGone                                      string
	patGone                                                  store.Actor
	patErased                                                string
	record, recordGone                                       store.Record
	note, noteGone                                           store.Note
	ended                                                    store.Actor // a session that is over
	grant                                                    store.Grant
	owner                                                    owner
}

func newTown(t *testing.T) *town {
	t.Helper()
	return settle(t, newPractice(t))
}

// settle makes a town of an empty practice.
func settle(t *testing.T, p *practice) *town {
	t.Helper()
	w := &town{practice: p, operator: store.Command("test")}
	w.admin = p.staff("zz-admin")
	w.doc, w.stranger = p.doctor(w.admin, "zz-doc"), p.doctor(w.admin, "zz-stranger")
	w.docGone = p.doctor(w.admin, "zz-doc-gone").Account
	d, err := p.CreateDoctor(t.Context(), w.nobody, &store.DoctorInput{User: user("zz-unverified")})
	if err != nil {
		t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	w.unverified = d.ID
	w.pat, w.pat2, w.loner = p.patient("zz-pat", w.doc.Account), p.patient("zz-pat2", w.doc.Account), p.patient("zz-loner")
	w.patGone, w.patErased = p.patient("zz-pat-gone"), p.patient("zz-pat-erased").Account
	w.record, w.recordGone = p.record(w.pat, "zz-title"), p.record(w.pat, "zz-title")
	w.note, w.noteGone = p.note(w.doc, w.record.ID, "zz-note"), p.note(w.doc, w.record.ID, "zz-note")

	w.owner = w.newOwner()
	w.ended = p.actor("zz-loner")
	if err := p.EndSession(t.Context(), w.nobody, w.ended.Account, w.ended.Session); err != nil {
		t.Fatalf("EndSession error = %v, want nil", err)
	}
	c, err := p.BeginSignIn(t.Context(), store.Actor{}, "zz-loner", store.Device{})
	if err != nil {
		t.Fatalf("Credentials error = %v, want nil", err)
	}
	if w.grant, err = p.SignIn(t.Context(), w.nobody, c, store.SignInInput{Right: true}); err != nil {
		t.Fatalf("SignIn error = %v, want nil", err)
	}
	return w
}

// deeds are all actions, each done and refused.
func (w *town) deeds() []deed {
	var all []deed
	for _, part := range [][]deed{w.readings(), w.creations(), w.changes(), w.signIns(), w.staffDeeds(), w.invitations(), w.resets(), w.ownDeeds(), w.commands(), w.deletions()} {
		all = append(all, part...)
	}
	return all
}

var wholePage = store.Paging{Size: store.MaxPageSize}

func searchPage(words string) store.Paging {
	return store.Paging{Size: store.MaxPageSize, Search: words}
}

func (w *town) readings() []deed {
	ctx := w.t.Context()
	pats := []string{w.pat.Account, w.pat2.Account}
	everyone := append(pats, w.loner.Account, w.patGone.Account, w.patErased)
	listPatients := func(p store.Paging) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { _, err := w.Patients(ctx, a, p); return "", err }
	}
	readPatient := func(a store.Actor) (string, error) {
		_, err := w.Patient(ctx, a, w.pat.Account)
		return w.pat.Account, err
	}
	listRecords := func(p store.Paging) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.Records(ctx, a, store.RecordFilter{}, p)
			return "", err
		}
	}
	recordsOf := func(a store.Actor) (string, error) {
		_, err := w.RecordsOf(ctx, a, w.pat.Account, store.RecordFilter{}, wholePage)
		return w.pat.Account, err
	}
	listDoctors := func(a store.Actor) (string, error) { _, err := w.Doctors(ctx, a, wholePage); return "", err }
	readDoctor := func(id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { _, err := w.Doctor(ctx, a, id); return id, err }
	}
	treated := func(a store.Actor) (string, error) {
		_, err := w.TreatedBy(ctx, a, w.doc.Account, wholePage)
		return w.doc.Account, err
	}
	readRecord := func(a store.Actor) (string, error) { _, err := w.Record(ctx, a, w.record.ID); return w.record.ID, err }
	recordVersions := func(a store.Actor) (string, error) {
		_, err := w.RecordVersions(ctx, a, w.record.ID, wholePage)
		return w.record.ID, err
	}
	listNotes := func(a store.Actor) (string, error) {
		_, err := w.Notes(ctx, a, store.NoteFilter{}, wholePage)
		return "", err
	}
	readNote := func(a store.Actor) (string, error) { _, err := w.Note(ctx, a, w.note.ID); return w.note.ID, err }
	noteVersions := func(a store.Actor) (string, error) {
		_, err := w.NoteVersions(ctx, a, w.note.ID, wholePage)
		return w.note.ID, err
	}
	status := func(a store.Actor) (string, error) { _, err := w.Status(ctx, a); return "", err }
	accessLog := func(a store.Actor) (string, error) {
		_, err := w.AccessLog(ctx, a, w.pat.Account, wholePage)
		return w.pat.Account, err
	}
	events := func(a store.Actor) (string, error) {
		_, err := w.Events(ctx, a, store.EventFilter{}, wholePage)
		return "", err
	}
	self := func(a store.Actor) (string, error) { _, err := w.Me(ctx, a); return a.Account, err }

	one := []string{w.pat.Account}
	return []deed{
		{name: "staff lists patients", action: store.ListPatients, by: w.admin, role: store.Staff, do: listPatients(wholePage), touched: everyone},
		{name: "staff searches for a patient", action: store.ListPatients, by: w.admin, role: store.Staff, do: listPatients(searchPage("zz loner")), touched: []string{w.loner.Account}},
		{name: "a search finds nobody", action: store.ListPatients, by: w.admin, role: store.Staff, do: listPatients(searchPage("zz-nobody"))},
		{name: "a doctor lists patients", action: store.ListPatients, by: w.doc, role: store.DoctorRole, do: listPatients(wholePage), touched: pats},
		{name: "nobody lists patients", action: store.ListPatients, by: w.nobody, role: store.Nobody, do: listPatients(wholePage), err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a session that is over searches", action: store.ListPatients, by: w.ended, role: store.PatientRole, do: listPatients(searchPage("zz")), err: store.ErrSession, outcome: "session over"},
		{name: "a doctor reads a patient", action: store.ReadPatient, by: w.doc, role: store.DoctorRole, do: readPatient, touched: one},
		{name: "another doctor reads a patient", action: store.ReadPatient, by: w.stranger, role: store.DoctorRole, do: readPatient, touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a session that is over reads", action: store.ReadPatient, by: w.ended, role: store.PatientRole, do: readPatient, err: store.ErrSession, outcome: "session over"},
		{name: "a doctor lists a patient's records", action: store.ListRecordsOf, by: w.doc, role: store.DoctorRole, do: recordsOf, touched: one},
		{name: "staff lists a patient's records", action: store.ListRecordsOf, by: w.admin, role: store.Staff, do: recordsOf, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient lists doctors", action: store.ListDoctors, by: w.pat, role: store.PatientRole, do: listDoctors},
		{name: "a doctor lists doctors", action: store.ListDoctors, by: w.doc, role: store.DoctorRole, do: listDoctors, touched: pats},
		{name: "nobody lists doctors", action: store.ListDoctors, by: w.nobody, role: store.Nobody, do: listDoctors, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient reads a doctor", action: store.ReadDoctor, by: w.pat, role: store.PatientRole, do: readDoctor(w.doc.Account)},
		{name: "staff reads a doctor", action: store.ReadDoctor, by: w.admin, role: store.Staff, do: readDoctor(w.doc.Account), touched: pats},
		{name: "a patient reads an unverified doctor", action: store.ReadDoctor, by: w.pat, role: store.PatientRole, do: readDoctor(w.unverified), err: store.ErrNotFound, outcome: "not found"},
		{name: "a doctor lists who it treats", action: store.ListTreated, by: w.doc, role: store.DoctorRole, do: treated, touched: pats},
		{name: "another doctor lists who a doctor treats", action: store.ListTreated, by: w.stranger, role: store.DoctorRole, do: treated, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a doctor lists records", action: store.ListRecords, by: w.doc, role: store.DoctorRole, do: listRecords(wholePage), touched: one},
		{name: "a doctor searches records", action: store.ListRecords, by: w.doc, role: store.DoctorRole, do: listRecords(searchPage("zz")), touched: one},
		{name: "staff searches records", action: store.ListRecords, by: w.admin, role: store.Staff, do: listRecords(searchPage("zz")), err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a doctor reads a record", action: store.ReadRecord, by: w.doc, role: store.DoctorRole, do: readRecord, touched: one},
		{name: "another doctor reads a record", action: store.ReadRecord, by: w.stranger, role: store.DoctorRole, do: readRecord, touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a patient reads a record's versions", action: store.ListRecordVersions, by: w.pat, role: store.PatientRole, do: recordVersions, touched: one},
		{name: "another doctor reads a record's versions", action: store.ListRecordVersions, by: w.stranger, role: store.DoctorRole, do: recordVersions, touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a patient lists notes", action: store.ListNotes, by: w.pat, role: store.PatientRole, do: listNotes, touched: one},
		{name: "staff lists notes", action: store.ListNotes, by: w.admin, role: store.Staff, do: listNotes, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient reads a note", action: store.ReadNote, by: w.pat, role: store.PatientRole, do: readNote, touched: one},
		{name: "another patient reads a note", action: store.ReadNote, by: w.pat2, role: store.PatientRole, do: readNote, touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a doctor reads a note's versions", action: store.ListNoteVersions, by: w.doc, role: store.DoctorRole, do: noteVersions, touched: one},
		{name: "another patient reads a note's versions", action: store.ListNoteVersions, by: w.pat2, role: store.PatientRole, do: noteVersions, touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a patient reads its access log", action: store.ReadAccessLog, by: w.pat, role: store.PatientRole, do: accessLog, touched: one},
		{name: "a doctor reads a patient's access log", action: store.ReadAccessLog, by: w.doc, role: store.DoctorRole, do: accessLog, touched: one, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "staff lists the trail", action: store.ListEvents, by: w.admin, role: store.Staff, do: events},
		{name: "a patient lists the trail", action: store.ListEvents, by: w.pat, role: store.PatientRole, do: events, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "staff reads the status", action: store.ReadStatus, by: w.admin, role: store.Staff, do: status},
		{name: "a doctor reads the status", action: store.ReadStatus, by: w.doc, role: store.DoctorRole, do: status, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient reads itself", action: store.ReadSelf, by: w.pat, role: store.PatientRole, do: self, touched: one},
		{name: "a doctor reads itself", action: store.ReadSelf, by: w.doc, role: store.DoctorRole, do: self},
		{name: "nobody reads itself", action: store.ReadSelf, by: w.nobody, role: store.Nobody, do: self, err: store.ErrForbidden, outcome: "forbidden"},
	}
}

func (w *town) creations() []deed {
	ctx := w.t.Context()
	createPatient := func(a store.Actor) (string, error) {
		p, err := w.CreatePatient(ctx, a, &store.PatientInput{User: user("zz-new-patient"), Phone: ptr("zz-1")})
		return p.ID, err
	}
	createDoctor := func(a store.Actor) (string, error) {
		d, err := w.CreateDoctor(ctx, a, &store.DoctorInput{User: user("zz-new-doctor"), License: ptr("zz-1"), Patients: &[]string{w.loner.Account}})
		return d.ID, err
	}
	createRecord := func(date *store.Instant) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			r, err := w.CreateRecord(ctx, a, &store.RecordInput{Title: ptr("zz-t"), Description: ptr("zz-d"), Date: date, Patient: &w.pat.Account})
			return r.ID, err
		}
	}
	createNote := func(a store.Actor) (string, error) {
		n, err := w.CreateNote(ctx, a, &store.NoteInput{Text: ptr("zz-n"), Record: &w.record.ID})
		return n.ID, err
	}
	createStaff := func(name string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			m, err := w.CreateStaff(ctx, a, &store.StaffInput{User: user(name)})
			return m.ID, err
		}
	}
	one := []string{w.pat.Account}
	past := ptr(store.InstantOf(w.clock.Now().Add(-time.Hour)))
	return []deed{
		{name: "nobody registers a patient", action: store.CreatePatient, by: w.nobody, role: store.Nobody, do: createPatient, version: 1, touched: []string{newOne}},
		{name: "a doctor creates a patient", action: store.CreatePatient, by: w.doc, role: store.DoctorRole, do: createPatient, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "staff creates a doctor with a patient", action: store.CreateDoctor, by: w.admin, role: store.Staff, do: createDoctor, version: 1, touched: []string{w.loner.Account}},
		{name: "a patient creates a doctor", action: store.CreateDoctor, by: w.pat, role: store.PatientRole, do: createDoctor, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient asks whether it may create a doctor", action: store.CreateDoctor, by: w.pat, role: store.PatientRole,
			do: func(a store.Actor) (string, error) { return "", w.MayRegister(ctx, a, store.CreateDoctor) }, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a doctor creates a record", action: store.CreateRecord, by: w.doc, role: store.DoctorRole, do: createRecord(nil), version: 1, touched: one},
		{name: "a patient creates a record with a date", action: store.CreateRecord, by: w.pat, role: store.PatientRole, do: createRecord(past), version: 1, touched: one, fields: "date"},
		{name: "another doctor creates a record", action: store.CreateRecord, by: w.stranger, role: store.DoctorRole, do: createRecord(nil), touched: one, invalid: true, outcome: "not found"},
		{name: "a doctor creates a note", action: store.CreateNote, by: w.doc, role: store.DoctorRole, do: createNote, version: 1, touched: one},
		{name: "another doctor creates a note", action: store.CreateNote, by: w.stranger, role: store.DoctorRole, do: createNote, touched: one, invalid: true, outcome: "not found"},
		{name: "a patient creates a note", action: store.CreateNote, by: w.pat, role: store.PatientRole, do: createNote, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "the operator creates staff", action: store.CreateStaff, by: w.operator, role: store.Operator, do: createStaff("zz-new-staff"), version: 1},
		{name: "staff creates staff", action: store.CreateStaff, by: w.admin, role: store.Staff, do: createStaff("zz-new-staff2"), version: 1},
		{name: "a doctor creates staff", action: store.CreateStaff, by: w.doc, role: store.DoctorRole, do: createStaff("zz-new-staff3"), err: store.ErrForbidden, outcome: "forbidden"},
	}
}

func (w *town) changes() []deed {
	ctx := w.t.Context()
	changePatient := func(match store.Match, in store.PatientInput) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.ChangePatient(ctx, a, w.pat.Account, match, &in)
			return w.pat.Account, err
		}
	}
	changeDoctor := func(id string, in store.DoctorInput) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { _, err := w.ChangeDoctor(ctx, a, id, nil, &in); return id, err }
	}
	changeRecord := func(in store.RecordInput) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.ChangeRecord(ctx, a, w.record.ID, nil, &in)
			return w.record.ID, err
		}
	}
	changeNote := func(in store.NoteInput) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.ChangeNote(ctx, a, w.note.ID, nil, &in)
			return w.note.ID, err
		}
	}
	wholePatient := store.PatientInput{
		User:        store.UserInput{FirstName: ptr("zz-f"), LastName: ptr("zz-l"), Email: ptr("zz@example.test")},
		DateOfBirth: ptr("1999-zz"), Phone: ptr("zz-1"), Address: ptr("zz-a"), Doctors: &[]string{w.doc.Account, w.stranger.Account}}
	wholeDoctor := store.DoctorInput{Specialization: ptr("zz-s"), License: ptr("zz-l"), Verified: ptr(false)} // the last is not its to write
	wholeRecord := store.RecordInput{Title: ptr("zz-new"), Description: ptr("zz-new"), Date: ptr(store.InstantOf(w.clock.Now().Add(-time.Hour)))}
	never := func(string) bool { return false }
	one, pats := []string{w.pat.Account}, []string{w.pat.Account, w.pat2.Account}
	return []deed{
		{name: "staff changes all of a patient", action: store.ChangePatient, by: w.admin, role: store.Staff, do: changePatient(nil, wholePatient), version: 2, touched: one,
			fields: "first_name last_name email date_of_birth phone_number address doctors"},
		{name: "a patient changes its doctors alone", action: store.ChangePatient, by: w.pat, role: store.PatientRole,
			do: changePatient(nil, store.PatientInput{Doctors: &[]string{w.doc.Account}}), version: 2, touched: one, fields: "doctors"},
		{name: "a patient changes nothing of itself", action: store.ChangePatient, by: w.pat, role: store.PatientRole, do: changePatient(nil, store.PatientInput{Phone: ptr("zz-1")}), version: 2, touched: one},
		{name: "a doctor changes a patient", action: store.ChangePatient, by: w.doc, role: store.DoctorRole, do: changePatient(nil, wholePatient), touched: one, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "another patient changes a patient", action: store.ChangePatient, by: w.pat2, role: store.PatientRole, do: changePatient(nil, wholePatient), touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a patient changes an older version of itself", action: store.ChangePatient, by: w.pat, role: store.PatientRole, do: changePatient(never, wholePatient), touched: one, err: store.ErrPrecondition, outcome: "precondition failed"},
		{name: "a doctor changes itself", action: store.ChangeDoctor, by: w.doc, role: store.DoctorRole, do: changeDoctor(w.doc.Account, wholeDoctor), version: 2, touched: pats, fields: "specialization license_number"},
		{name: "staff verifies a doctor", action: store.ChangeDoctor, by: w.admin, role: store.Staff, do: changeDoctor(w.unverified, store.DoctorInput{Verified: ptr(true)}), version: 2, fields: "verified"},
		{name: "staff gives a doctor patients", action: store.ChangeDoctor, by: w.admin, role: store.Staff, do: changeDoctor(w.stranger.Account, store.DoctorInput{Patients: &pats}), version: 1, touched: pats, fields: "patients"},
		{name: "a patient changes a doctor", action: store.ChangeDoctor, by: w.pat, role: store.PatientRole, do: changeDoctor(w.doc.Account, wholeDoctor), err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient changes all of its record", action: store.ChangeRecord, by: w.pat, role: store.PatientRole, do: changeRecord(wholeRecord), version: 2, touched: one, fields: "title description date"},
		{name: "a patient changes nothing of its record", action: store.ChangeRecord, by: w.pat, role: store.PatientRole, do: changeRecord(store.RecordInput{}), version: 2, touched: one},
		{name: "a doctor changes a patient's record", action: store.ChangeRecord, by: w.doc, role: store.DoctorRole, do: changeRecord(wholeRecord), touched: one, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a doctor changes its note", action: store.ChangeNote, by: w.doc, role: store.DoctorRole, do: changeNote(store.NoteInput{Text: ptr("zz-new")}), version: 2, touched: one, fields: "note"},
		{name: "a doctor changes nothing of its note", action: store.ChangeNote, by: w.doc, role: store.DoctorRole, do: changeNote(store.NoteInput{}), version: 2, touched: one},
		{name: "a patient changes a note", action: store.ChangeNote, by: w.pat, role: store.PatientRole, do: changeNote(store.NoteInput{Text: ptr("zz-mine")}), touched: one, err: store.ErrForbidden, outcome: "forbidden"},
	}
}

func (w *town) signIns() []deed {
	ctx := w.t.Context()
	g := w.grant // of the loner
	signIn := func(right bool, newHash string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			c := store.Credentials{Account: w.pat2.Account, Hash: "hash of zz-pat2"}
			_, err := w.SignIn(ctx, a, c, store.SignInInput{Right: right, NewHash: newHash})
			return w.pat2.Account, err
		}
	}
	refresh := func(session, token string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.Refresh(ctx, a, g.Account, session, token)
			return session, err
		}
	}
	end := func(a store.Actor) (string, error) { return g.Session, w.EndSession(ctx, a, g.Account, g.Session) }
	check := func(a store.Actor) (string, error) { return "", w.CheckSession(ctx, a) }
	return []deed{
		{name: "a patient signs in", action: store.SignIn, by: w.nobody, role: store.PatientRole, do: signIn(true, ""), account: w.pat2.Account, session: newOne},
		{name: "a patient signs in and its hash is renewed", action: store.SignIn, by: w.nobody, role: store.PatientRole, do: signIn(true, "hash of zz-pat2"), version: 2, account: w.pat2.Account, session: newOne},
		{name: "somebody signs in with a wrong password", action: store.SignIn, by: w.nobody, role: store.Nobody, do: signIn(false, ""), err: store.ErrCredentials, outcome: "wrong credentials"},
		{name: "nobody known signs in", action: store.SignIn, by: w.nobody, role: store.Nobody,
			do: func(a store.Actor) (string, error) {
				_, err := w.SignIn(ctx, a, store.Credentials{}, store.SignInInput{Right: true})
				return "", err
			}, err: store.ErrCredentials, outcome: "wrong credentials"},
		{name: "a session is refreshed", action: store.RefreshSession, by: w.nobody, role: store.PatientRole, do: refresh(g.Session, g.Refresh), account: g.Account, session: g.Session},
		{name: "a session is ended", action: store.EndSession, by: w.nobody, role: store.PatientRole, do: end, account: g.Account, session: g.Session},
		{name: "an ended session is refreshed", action: store.RefreshSession, by: w.nobody, role: store.PatientRole, do: refresh(w.ended.Session, g.Refresh), err: store.ErrToken, outcome: "bad token", account: g.Account, session: w.ended.Session},
		{name: "a token is used long after", action: store.RefreshSession, by: w.nobody, role: store.PatientRole, do: refresh(w.loner.Session, g.Refresh), err: store.ErrToken, outcome: "replayed", account: g.Account, session: w.loner.Session},
		{name: "somebody signed in ends a session", action: store.EndSession, by: w.pat, role: store.PatientRole, do: end, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a session is looked at", action: store.CheckSession, by: w.pat, role: store.PatientRole, do: check, unseen: true},
		{name: "a session that is over is looked at", action: store.CheckSession, by: w.ended, role: store.PatientRole, do: check, err: store.ErrSession, outcome: "session over"},
	}
}

func (w *town) commands() []deed {
	ctx := w.t.Context()
	setActive := func(name, id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return id, w.SetActive(ctx, a, name, false) }
	}
	sessions := func(a store.Actor) (string, error) { _, err := w.Sessions(ctx, a, "zz-pat"); return w.pat.Account, err }
	endSessions := func(a store.Actor) (string, error) {
		_, err := w.EndSessions(ctx, a, "zz-stranger")
		return w.stranger.Account, err
	}
	rotate := func(a store.Actor) (string, error) { _, err := w.RotateKeys(ctx, a); return "", err }
	export := func(a store.Actor) (string, error) {
		return "", w.ExportTrail(ctx, a, func(store.Event) error { return nil })
	}
	dir := w.t.TempDir()
	backup := func(name string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.Backup(ctx, a, filepath.Join(dir, name))
			return "", err
		}
	}
	erase := func(a store.Actor) (string, error) {
		return w.patErased, w.ErasePatient(ctx, a, w.patErased, "zz-reason")
	}
	// The trail of what was restored is another; see TestRestoreLeavesAnEntry.
	forbidden := func(name string, action store.Action, do func(store.Actor) (string, error)) deed {
		return deed{name: name, action: action, by: w.admin, role: store.Staff, do: func(a store.Actor) (string, error) {
			object, err := do(a)
			if action != store.ErasePatient { // the others are not told which object
				object = ""
			}
			return object, err
		}, err: store.ErrForbidden, outcome: "forbidden"}
	}
	return []deed{
		{name: "the operator deactivates a patient", action: store.SetActive, by: w.operator, role: store.Operator, do: setActive("zz-pat2", w.pat2.Account), version: 3, touched: []string{w.pat2.Account}, fields: "deactivated"},
		{name: "the operator deactivates it again", action: store.SetActive, by: w.operator, role: store.Operator, do: setActive("zz-pat2", w.pat2.Account), version: 3, touched: []string{w.pat2.Account}},
		{name: "the operator activates it", action: store.SetActive, by: w.operator, role: store.Operator, version: 4, touched: []string{w.pat2.Account}, fields: "activated",
			do: func(a store.Actor) (string, error) {
				return w.pat2.Account, w.SetActive(ctx, a, "zz-pat2", true)
			}},
		{name: "the operator deactivates nobody known", action: store.SetActive, by: w.operator, role: store.Operator, do: setActive("zz-nobody", ""), err: store.ErrNotFound, outcome: "not found"},
		forbidden("staff deactivates", store.SetActive, setActive("zz-pat2", "")),
		{name: "the operator lists a patient's sessions", action: store.ListSessions, by: w.operator, role: store.Operator, do: sessions, touched: []string{w.pat.Account}},
		forbidden("staff lists sessions", store.ListSessions, sessions),
		{name: "the operator ends a doctor's sessions", action: store.EndSessions, by: w.operator, role: store.Operator, do: endSessions},
		forbidden("staff ends sessions", store.EndSessions, endSessions),
		{name: "the operator rotates the keys", action: store.RotateKeys, by: w.operator, role: store.Operator, do: rotate},
		forbidden("staff rotates the keys", store.RotateKeys, rotate),
		{name: "the operator exports the trail", action: store.ExportTrail, by: w.operator, role: store.Operator, do: export},
		forbidden("staff exports the trail", store.ExportTrail, export),
		{name: "the operator backs up", action: store.BackUp, by: w.operator, role: store.Operator, do: backup("one")},
		forbidden("staff backs up", store.BackUp, backup("two")),
		forbidden("staff erases a patient", store.ErasePatient, erase),
		{name: "the operator erases a patient", action: store.ErasePatient, by: w.operator, role: store.Operator, do: erase, touched: []string{w.patErased}},
		{name: "the operator erases a patient again", action: store.ErasePatient, by: w.operator, role: store.Operator, do: erase, err: store.ErrNotFound, outcome: "not found"},
	}
}

func (w *town) deletions() []deed {
	ctx := w.t.Context()
	deletePatient := func(id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return id, w.DeletePatient(ctx, a, id, nil) }
	}
	deleteDoctor := func(id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return id, w.DeleteDoctor(ctx, a, id, nil) }
	}
	deleteRecord := func(id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return id, w.DeleteRecord(ctx, a, id, nil) }
	}
	deleteNote := func(id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return id, w.DeleteNote(ctx, a, id, nil) }
	}
	one := []string{w.pat.Account}
	versionsOf := func(id string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.RecordVersions(ctx, a, id, wholePage)
			return id, err
		}
	}
	noteVersions := func(a store.Actor) (string, error) {
		_, err := w.NoteVersions(ctx, a, w.noteGone.ID, wholePage)
		return w.noteGone.ID, err
	}
	return []deed{
		{name: "a doctor deletes its note", action: store.DeleteNote, by: w.doc, role: store.DoctorRole, do: deleteNote(w.noteGone.ID), version: 1, touched: one},
		{name: "a patient deletes a note", action: store.DeleteNote, by: w.pat, role: store.PatientRole, do: deleteNote(w.note.ID), touched: one, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient deletes its record", action: store.DeleteRecord, by: w.pat, role: store.PatientRole, do: deleteRecord(w.recordGone.ID), version: 1, touched: one},
		{name: "a patient reads the versions of its deleted record", action: store.SeeDeleted, by: w.pat, role: store.PatientRole, do: versionsOf(w.recordGone.ID), touched: one},
		{name: "a doctor reads the versions of a patient's deleted record", action: store.SeeDeleted, by: w.doc, role: store.DoctorRole, do: versionsOf(w.recordGone.ID), touched: one, err: store.ErrNotFound, outcome: "not found"},
		{name: "a patient deletes its record again", action: store.DeleteRecord, by: w.pat, role: store.PatientRole, do: deleteRecord(w.recordGone.ID), err: store.ErrNotFound, outcome: "not found"},
		{name: "a doctor reads the versions of its deleted note", action: store.SeeDeleted, by: w.doc, role: store.DoctorRole, do: noteVersions, touched: one},
		{name: "a doctor deletes a patient's record", action: store.DeleteRecord, by: w.doc, role: store.DoctorRole, do: deleteRecord(w.record.ID), touched: one, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a patient deletes itself", action: store.DeletePatient, by: w.patGone, role: store.PatientRole, do: deletePatient(w.patGone.Account), version: 1, touched: []string{w.patGone.Account}},
		{name: "a doctor deletes a patient", action: store.DeletePatient, by: w.doc, role: store.DoctorRole, do: deletePatient(w.pat.Account), touched: one, err: store.ErrForbidden, outcome: "forbidden"},
		{name: "staff deletes a doctor", action: store.DeleteDoctor, by: w.admin, role: store.Staff, do: deleteDoctor(w.docGone), version: 1},
		{name: "a patient deletes a doctor", action: store.DeleteDoctor, by: w.pat, role: store.PatientRole, do: deleteDoctor(w.doc.Account), err: store.ErrForbidden, outcome: "forbidden"},
	}
}
