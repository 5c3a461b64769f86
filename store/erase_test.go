package store_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"healthrecords/store"
)

// onDisk is all that lies in the files of an open store.
func (p *practice) onDisk() []byte {
	p.t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal", "-shm"} {
		content, err := os.ReadFile(p.path() + suffix)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

// sealedOf are the sealed and hashed values of a patient, by where they stand.
func (p *practice) sealedOf(patient string) map[string][]byte {
	p.t.Helper()
	values := make(map[string][]byte)
	for _, query := range []string{
		`SELECT 'wrapped key', hex(wrapped_key) FROM accounts WHERE id = $1`,
		`SELECT 'name', hex(name_hash) FROM accounts WHERE id = $1`,
		`SELECT 'profile', hex(profile) FROM accounts WHERE id = $1`,
		`SELECT 'password', hex(password) FROM accounts WHERE id = $1`,
		`SELECT 'record ' || id, hex(content) FROM records WHERE patient_id = $1`,
		`SELECT 'note ' || id, hex(content) FROM notes WHERE patient_id = $1`,
		`SELECT 'version ' || v.version || ' of ' || record_id, hex(v.content) FROM record_versions v JOIN records r ON r.id = v.record_id WHERE patient_id = $1`,
		`SELECT 'version ' || v.version || ' of ' || note_id, hex(v.content) FROM note_versions v JOIN notes n ON n.id = v.note_id WHERE patient_id = $1`,
	} {
		for _, row := range p.rows(query, patient) {
			value, err := hex.DecodeString(row[1])
			if err != nil || len(value) < 24 {
				p.t.Fatalf("%s is no sealed value", row[0])
			}
			values[row[0]] = value
		}
	}
	return values
}

// filled is a patient of whom everything is known.
func (p *practice) filled(doc store.Actor, name string) store.Actor {
	p.t.Helper()
	ctx := p.t.Context()
	a := p.patient(name, doc.Account)
	mine := p.record(a, "title of "+name)
	in := &store.RecordInput{Title: ptr("second title of " + name), Description: ptr(strings.Repeat("long description of "+name+". ", 300))}
	if _, err := p.ChangeRecord(ctx, a, mine.ID, nil, in); err != nil {
		p.t.Fatal(err)
	}
	theirs, err := p.CreateRecord(ctx, doc, &store.RecordInput{Title: ptr("doctor's title of " + name), Description: ptr("finding"), Patient: &a.Account})
	if err != nil {
		p.t.Fatal(err)
	}
	n := p.note(doc, mine.ID, "note on "+name)
	if _, err := p.ChangeNote(ctx, doc, n.ID, nil, &store.NoteInput{Text: ptr("second note on " + name)}); err != nil {
		p.t.Fatal(err)
	}
	hidden := p.note(doc, theirs.ID, "other note on "+name)
	if _, err := p.ChangeNote(ctx, doc, hidden.ID, nil, &store.NoteInput{Text: ptr("second other note on " + name)}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.ChangeRecord(ctx, doc, theirs.ID, nil, &store.RecordInput{Title: ptr("doctor's second title of " + name)}); err != nil {
		p.t.Fatal(err)
	}
	if err := p.DeleteRecord(ctx, doc, theirs.ID, nil); err != nil { // what was deleted goes too
		p.t.Fatal(err)
	}
	if _, err := p.ChangePatient(ctx, a, a.Account, nil, &store.PatientInput{Address: ptr("address of " + name), Phone: ptr("0123")}); err != nil {
		p.t.Fatal(err)
	}
	return a
}

func TestErasePatient(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	gone, stays := p.filled(doc, "the-one-who-leaves"), p.filled(doc, "another-who-stays")
	sealed, kept := p.sealedOf(gone.Account), p.sealedOf(stays.Account)
	if len(sealed) != 12 {
		t.Fatalf("there are %d sealed values, want 12", len(sealed))
	}
	doctor, err := p.Doctor(ctx, doc, doc.Account)
	if err != nil {
		t.Fatal(err)
	}
	record := func() store.Record {
		list, err := p.Records(ctx, stays, store.RecordFilter{}, store.Paging{Size: 10})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("Records of another = %d, %v, want 1", len(list.Items), err)
		}
		return list.Items[0]
	}
	before := record()

	if err := p.ErasePatient(ctx, operator, gone.Account, "it asked for that in writing"); err != nil {
		t.Fatalf("ErasePatient error = %v, want nil", err)
	}
	disk := p.onDisk()
	for what, value := range sealed {
		wantWithout(t, what, value, disk)
	}
	for what, value := range kept {
		if !slices.ContainsFunc([]string{"record ", "version "}, func(long string) bool { return strings.HasPrefix(what, long) }) && !bytes.Contains(disk, value) {
			t.Errorf("%s of another patient is gone", what)
		}
	}
	for _, marker := range []string{"the-one-who-leaves", "address of the", "title of the-one", "long description of", "note on the-one", "it asked for that in writing"} {
		wantWithout(t, "a text", []byte(marker), disk)
	}
	for _, table := range []string{"accounts WHERE id", "records WHERE patient_id", "notes WHERE patient_id", "assignments WHERE patient_id", "sessions WHERE account_id", "outbox WHERE account_id",
		"limits WHERE account_id", "one_use WHERE account_id", "recovery_codes WHERE account_id", "invitations WHERE account_id"} {
		if n := p.count(`SELECT COUNT(*) FROM `+table+` = $1`, gone.Account); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	for _, query := range []string{
		`SELECT COUNT(*) FROM record_versions WHERE record_id NOT IN (SELECT id FROM records)`,
		`SELECT COUNT(*) FROM note_versions WHERE note_id NOT IN (SELECT id FROM notes)`,
		`SELECT COUNT(*) FROM pragma_foreign_key_check`,
	} {
		if n := p.count(query); n != 0 {
			t.Errorf("%s = %d, want 0", query, n)
		}
	}

	_, err = p.Me(ctx, gone)
	wantErr(t, "Me in a session of the erased", err, store.ErrSession)
	if c, err := p.BeginSignIn(ctx, store.Actor{}, "the-one-who-leaves", store.Device{}); c.Account != "" || err != nil {
		t.Errorf("Credentials of the erased = %q, %v, want none", c.Account, err)
	}
	_, err = p.Patient(ctx, admin, gone.Account)
	wantErr(t, "Patient", err, store.ErrNotFound)
	if after := record(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("another patient's record has changed")
	}
	now, err := p.Doctor(ctx, doc, doc.Account)
	if err != nil || !slices.Equal(now.Patients, []string{stays.Account}) || now.Version == doctor.Version {
		t.Errorf("Doctor = patients %q, version %s, %v, want the other patient and not version %s", now.Patients, now.Version, err, doctor.Version)
	}
	notes, err := p.Notes(ctx, doc, store.NoteFilter{}, store.Paging{Size: 10})
	if err != nil || len(notes.Items) != 1 || notes.Items[0].Text != "second note on another-who-stays" {
		t.Errorf("Notes of the doctor = %d, %v, want the one about the other patient", len(notes.Items), err)
	}
	list, err := p.Patients(ctx, doc, store.Paging{Size: 10})
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != stays.Account {
		t.Errorf("Patients of the doctor = %d, %v, want the other patient", len(list.Items), err)
	}

	// The name is free again, and nothing of the old comes back with it.
	again := p.patient("the-one-who-leaves", doc.Account)
	wantTitles(t, "who has the name now", p.titles(again))
}

// That it was done stays, and the trail holds without the rows it speaks of.
func TestErasureStaysInTheTrail(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	gone := p.filled(doc, "gone")
	if err := p.DeletePatient(ctx, gone, gone.Account, nil); err != nil { // long before
		t.Fatal(err)
	}
	checkpoint, err := p.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	entries := p.count(`SELECT COUNT(*) FROM audit WHERE patient = $1`, gone.Account)
	p.clock.Advance(time.Hour)
	if err := p.ErasePatient(ctx, operator, gone.Account, "retention is over"); err != nil {
		t.Fatalf("ErasePatient of a deleted patient: error = %v, want nil", err)
	}
	got := p.rows(`SELECT role, request, object, patient, outcome, at FROM audit WHERE action = 'patient.erase'`)
	want := [][]string{{"operator", "test", gone.Account, gone.Account, "done", string(store.InstantOf(p.clock.Now()))}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the entries = %q, want %q", got, want)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE patient = $1`, gone.Account); n != entries+1 {
		t.Errorf("the trail has %d entries about the patient, want %d", n, entries+1)
	}
	if n := p.count(`SELECT COUNT(*) FROM erasures WHERE patient_id = $1 AND erased_at = $2`, gone.Account, want[0][5]); n != 1 {
		t.Errorf("there are %d erasures, want 1", n)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE instr(fields || request || object, 'retention') > 0`); n != 0 {
		t.Error("the reason stands in the trail, want it sealed elsewhere")
	}
	if _, err := p.VerifyTrail(ctx, []store.Checkpoint{checkpoint}); err != nil {
		t.Errorf("VerifyTrail error = %v, want nil", err)
	}
	events, err := p.Events(ctx, admin, store.EventFilter{Patient: gone.Account}, store.Paging{Size: 1})
	if err != nil || len(events.Items) != 1 {
		t.Errorf("Events of the erased = %d, %v, want 1, nil", len(events.Items), err)
	}

	// It goes into backups and comes out of them.
	file, _ := p.backup()
	restored := p.restoredElsewhere(file)
	restored.wantTrail()
}

func TestErasePatientIsRefused(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	pat, gone := p.patient("pat", doc.Account), p.patient("gone", doc.Account)
	if err := p.ErasePatient(ctx, operator, gone.Account, "once"); err != nil {
		t.Fatalf("ErasePatient error = %v, want nil", err)
	}
	for _, c := range []struct {
		name  string
		actor store.Actor
		id    string
		want  error
	}{
		{"again", operator, gone.Account, store.ErrNotFound},
		{"of nobody", operator, p.NewID(), store.ErrNotFound},
		{"of no id", operator, "pat", store.ErrNotFound},
		{"of a doctor", operator, doc.Account, store.ErrNotFound},
		{"of staff", operator, admin.Account, store.ErrNotFound},
		{"by staff", admin, pat.Account, store.ErrForbidden},
		{"by the doctor", doc, pat.Account, store.ErrForbidden},
		{"by the patient", pat, pat.Account, store.ErrForbidden},
		{"by nobody", store.Actor{}, pat.Account, store.ErrForbidden},
	} {
		wantErr(t, "ErasePatient "+c.name, p.ErasePatient(ctx, c.actor, c.id, "no"), c.want)
	}
	if n := p.count(`SELECT COUNT(*) FROM erasures`); n != 1 {
		t.Errorf("there are %d erasures, want 1", n)
	}
	if n := p.count(`SELECT COUNT(*) FROM audit WHERE action = 'patient.erase' AND outcome <> 'done'`); n != 9 {
		t.Errorf("the trail has %d refusals, want 9", n)
	}
	if _, err := p.Patient(ctx, pat, pat.Account); err != nil {
		t.Errorf("Patient error = %v, want nil", err)
	}
	p.wantTrail()
}

// SQLite leaves copies of rows behind where it splits a page. Not one of them
// outlives an erasure.
func TestErasureLeavesNoCopies(t *testing.T) {
	p := newPractice(t)
	p.enrol(200)
	admin := p.staff("admin")
	ids := p.texts(`SELECT id FROM accounts WHERE role = 'patient' ORDER BY id`)
	keys := make(map[string][]byte)
	for _, row := range p.rows(`SELECT id, hex(wrapped_key) FROM accounts`) {
		keys[row[0]], _ = hex.DecodeString(row[1])
	}
	for size := 0; !p.copies(keys); size++ { // profiles grow here and there, until a page was split
		if size == 20 {
			t.Fatal("there are no copies in the file: nothing is proved")
		}
		together(8, func(w int) {
			for i := w; i < len(ids); i += 8 {
				id := ids[i*77%len(ids)]
				in := &store.PatientInput{Address: ptr(strings.Repeat("x", 20+150*size+i%50))}
				if _, err := p.ChangePatient(t.Context(), admin, id, nil, in); err != nil {
					t.Errorf("ChangePatient error = %v, want nil", err)
				}
			}
		})
	}
	for _, id := range ids[:3] {
		if err := p.ErasePatient(t.Context(), operator, id, "test"); err != nil {
			t.Fatalf("ErasePatient error = %v, want nil", err)
		}
		wantWithout(t, "the wrapped key", keys[id], p.onDisk())
	}
	if p.copies(keys) { // the whole file was written anew
		t.Error("copies of others' keys are still in the file")
	}
}

// copies tells whether a wrapped key stands in the file more often than in its
// row.
func (p *practice) copies(keys map[string][]byte) bool {
	p.t.Helper()
	if _, err := p.beside().Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		p.t.Fatal(err)
	}
	disk := readFile(p.t, p.path())
	for id, key := range keys {
		if bytes.Count(disk, key) > p.count(`SELECT COUNT(*) FROM accounts WHERE id = $1`, id) {
			return true
		}
	}
	return false
}

// When the file could not be cleaned that is said, and a second call does it.
func TestErasureThatIsCutShort(t *testing.T) {
	var hook atomic.Pointer[context.CancelFunc]
	p := newPracticeWith(t, func(o *store.Options) {
		now := o.Now
		o.Now = func() time.Time {
			if cancel := hook.Load(); cancel != nil {
				(*cancel)()
			}
			return now()
		}
	})
	gone := p.patient("gone")
	key := p.sealedOf(gone.Account)["wrapped key"]
	ctx, cancel := context.WithCancel(t.Context())
	hook.Store(&cancel) // in the midst of the transaction
	err := p.ErasePatient(ctx, operator, gone.Account, "test")
	if err == nil || !strings.Contains(err.Error(), "erased, but traces stay") {
		t.Errorf("ErasePatient that is cut short: error = %v, want one that says that traces stay", err)
	}
	if !bytes.Contains(p.onDisk(), key) {
		t.Error("no traces stay: nothing is proved")
	}
	wantErr(t, "ErasePatient again", p.ErasePatient(t.Context(), operator, gone.Account, "test"), store.ErrNotFound)
	wantWithout(t, "the wrapped key", key, p.onDisk())
}
