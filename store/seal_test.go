package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// ward is a practice of two doctors and two patients, each patient with two
// records, the first of which has a note by the first doctor. The first
// record and note of the first patient, and the profile of the patient, have an
// older version.
type ward struct {
	*practice
	admin, doc, doc2, pat, pat2 store.Actor
	records                     [4]store.Record // two of pat, two of pat2
	notes                       [2]store.Note
}

func newWard(t *testing.T) *ward {
	t.Helper()
	p := newPractice(t)
	ctx := t.Context()
	w := &ward{practice: p, admin: p.staff("admin")}
	w.doc, w.doc2 = p.doctor(w.admin, "doc"), p.doctor(w.admin, "doc2")
	w.pat, w.pat2 = p.patient("pat", w.doc.Account, w.doc2.Account), p.patient("pat2", w.doc.Account)
	for i, a := range []store.Actor{w.pat, w.pat, w.pat2, w.pat2} {
		w.records[i] = p.record(a, fmt.Sprint("title ", i))
	}
	for i := range w.notes {
		w.notes[i] = p.note(w.doc, w.records[2*i].ID, fmt.Sprint("note ", i))
	}
	p.clock.Advance(time.Second)
	if _, err := p.ChangeRecord(ctx, w.pat, w.records[0].ID, nil, &store.RecordInput{Title: ptr("newer title")}); err != nil {
		t.Fatalf("ChangeRecord error = %v, want nil", err)
	}
	if _, err := p.ChangeNote(ctx, w.doc, w.notes[0].ID, nil, &store.NoteInput{Text: ptr("newer note")}); err != nil {
		t.Fatalf("ChangeNote error = %v, want nil", err)
	}
	// The profile of before, to be put back later.
	p.exec(`CREATE TABLE older AS SELECT profile, password FROM accounts WHERE id = $1`, w.pat.Account)
	if _, err := p.ChangePatient(ctx, w.pat, w.pat.Account, nil, &store.PatientInput{Phone: ptr("2")}); err != nil {
		t.Fatalf("ChangePatient error = %v, want nil", err)
	}
	return w
}

// keep remembers a table, for restore to write back all of its columns.
func (p *practice) keep(table string) (restore func()) {
	p.t.Helper()
	rows, err := p.beside().Query(`SELECT * FROM ` + table)
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		p.t.Fatal(err)
	}
	var kept [][]any
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			p.t.Fatal(err)
		}
		kept = append(kept, row)
	}
	places := "$1"
	for i := range columns[1:] {
		places += fmt.Sprint(", $", i+2)
	}
	return func() {
		p.t.Helper()
		p.unchecked(func(c *sql.Conn) {
			if _, err := c.ExecContext(p.t.Context(), `DELETE FROM `+table); err != nil {
				p.t.Fatal(err)
			}
			for _, row := range kept {
				if _, err := c.ExecContext(p.t.Context(), `INSERT INTO `+table+` VALUES (`+places+`)`, row...); err != nil {
					p.t.Fatal(err)
				}
			}
		})
	}
}

// unchecked lends a connection that looks at no foreign keys.
func (p *practice) unchecked(f func(*sql.Conn)) {
	p.t.Helper()
	c, err := p.beside().Conn(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	off := `PRAGMA foreign_keys = OFF`
	if storetest.OnPostgres() {
		off = `SET session_replication_role = replica`
	}
	if _, err := c.ExecContext(p.t.Context(), off); err != nil {
		p.t.Fatal(err)
	}
	f(c)
}

// bend changes a table past the store.
func (p *practice) bend(statement string) {
	p.t.Helper()
	p.unchecked(func(c *sql.Conn) {
		result, err := c.ExecContext(p.t.Context(), statement)
		if err != nil {
			p.t.Fatalf("%s: %v", statement, err)
		}
		if n, _ := result.RowsAffected(); n == 0 {
			p.t.Fatalf("%s: no row changed", statement)
		}
	})
}

// bytea is a text as sealed values are kept.
func bytea(text string) string {
	if storetest.OnPostgres() {
		return text + `::bytea`
	}
	return `CAST(` + text + ` AS BLOB)`
}

// longer is a sealed value and one byte more.
func longer(column string) string {
	if storetest.OnPostgres() {
		return column + ` || '\x00'`
	}
	return bytea(column + ` || x'00'`)
}

// wantSealed checks that a call fails, and not as if there were nothing: what
// does not open is neither absent nor empty.
func wantSealed(t *testing.T, call string, err error) {
	t.Helper()
	var invalid *store.Invalid
	switch {
	case err == nil:
		t.Errorf("%s error = nil, want one", call)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrForbidden), errors.Is(err, store.ErrUnavailable),
		errors.Is(err, store.ErrCredentials), errors.Is(err, store.ErrSession), errors.As(err, &invalid):
		t.Errorf("%s error = %v, want that of a value that does not open", call, err)
	}
}

// A bend of the sealed text of a record, or of what it is bound to, makes that
// record unreadable and no other.
func TestBentRecordDoesNotOpen(t *testing.T) {
	w := newWard(t)
	ctx := t.Context()
	id := func(i int) string { return "'" + w.records[i].ID + "'" }
	for name, statement := range map[string]string{
		"the content of another record of the patient": `UPDATE records SET content = (SELECT content FROM records WHERE id = ` + id(1) + `) WHERE id = ` + id(0),
		"the content of a record of another patient":   `UPDATE records SET content = (SELECT content FROM records WHERE id = ` + id(2) + `) WHERE id = ` + id(0),
		"the content of the version before":            `UPDATE records SET content = (SELECT content FROM record_versions WHERE record_id = ` + id(0) + `) WHERE id = ` + id(0),
		"the content of its note":                      `UPDATE records SET content = (SELECT content FROM notes WHERE record_id = ` + id(0) + `) WHERE id = ` + id(0),
		"another version":                              `UPDATE records SET version = 1 WHERE id = ` + id(0),
		"another author":                               `UPDATE records SET author_id = '` + w.doc.Account + `' WHERE id = ` + id(0),
		"another date":                                 `UPDATE records SET date = '2020-01-01T00:00:00.000000Z' WHERE id = ` + id(0),
		"a truncated content":                          `UPDATE records SET content = substr(content, 1, length(content) - 1) WHERE id = ` + id(0),
		"a longer content":                             `UPDATE records SET content = ` + longer("content") + ` WHERE id = ` + id(0),
		"a content of a nonce and no more":             `UPDATE records SET content = substr(content, 1, 12) WHERE id = ` + id(0),
		"an empty content":                             `UPDATE records SET content = substr(content, 1, 0) WHERE id = ` + id(0),
		"a plain content":                              `UPDATE records SET content = ` + bytea("'title'") + ` WHERE id = ` + id(0),
	} {
		t.Run(name, func(t *testing.T) {
			restore := w.keep("records")
			w.bend(statement)
			bent := w.dump("records", "record_versions")
			_, err := w.Record(ctx, w.pat, w.records[0].ID)
			wantSealed(t, "Record", err)
			_, err = w.Records(ctx, w.pat, store.RecordFilter{}, wholePage)
			wantSealed(t, "Records", err) // rather than a list with a gap
			_, err = w.ChangeRecord(ctx, w.pat, w.records[0].ID, nil, &store.RecordInput{Description: ptr("new")})
			wantSealed(t, "ChangeRecord", err)
			wantSealed(t, "DeleteRecord", w.DeleteRecord(ctx, w.pat, w.records[0].ID, nil))
			if w.dump("records", "record_versions") != bent {
				t.Error("what does not open was written over")
			}
			w.wantReadable(t, 1, 2, 3)
			restore()
			w.wantReadable(t, 0, 1, 2, 3)
		})
	}
	t.Run("another patient", func(t *testing.T) {
		restore := w.keep("records")
		w.bend(`UPDATE records SET patient_id = '` + w.pat2.Account + `' WHERE id = ` + id(0))
		_, err := w.Record(ctx, w.pat2, w.records[0].ID)
		wantSealed(t, "Record", err)
		w.wantReadable(t, 1, 2, 3)
		restore()
	})
	t.Run("another id", func(t *testing.T) {
		restore := w.keep("records")
		moved := w.NewID()
		w.bend(`UPDATE records SET id = '` + moved + `' WHERE id = ` + id(1))
		_, err := w.Record(ctx, w.pat, moved)
		wantSealed(t, "Record", err)
		w.wantReadable(t, 0, 2, 3)
		restore()
	})
}

// wantReadable checks that records say what they must.
func (w *ward) wantReadable(t *testing.T, records ...int) {
	t.Helper()
	for _, i := range records {
		title := []string{"newer title", "title 1", "title 2", "title 3"}[i]
		owner := []store.Actor{w.pat, w.pat, w.pat2, w.pat2}[i]
		for _, a := range []store.Actor{owner, w.doc} {
			if r, err := w.Record(t.Context(), a, w.records[i].ID); err != nil || r.Title != title {
				t.Errorf("Record %d: title is right: %v, error = %v, want true, nil", i, r.Title == title, err)
			}
		}
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	w := newWard(t)
	var content []byte
	if err := w.beside().QueryRow(`SELECT content FROM notes WHERE id = $1`, w.notes[0].ID).Scan(&content); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(content) {
		content[bit/8] ^= 1 << (bit % 8)
		w.exec(`UPDATE notes SET content = $1 WHERE id = $2`, content, w.notes[0].ID)
		_, err := w.Note(t.Context(), w.pat, w.notes[0].ID)
		wantSealed(t, fmt.Sprint("Note with bit ", bit, " flipped"), err)
		content[bit/8] ^= 1 << (bit % 8)
	}
	w.exec(`UPDATE notes SET content = $1 WHERE id = $2`, content, w.notes[0].ID)
	if _, err := w.Note(t.Context(), w.pat, w.notes[0].ID); err != nil {
		t.Errorf("Note as it was: error = %v, want nil", err)
	}
}

func TestBentNoteDoesNotOpen(t *testing.T) {
	w := newWard(t)
	ctx := t.Context()
	id, other := "'"+w.notes[0].ID+"'", "'"+w.notes[1].ID+"'"
	for name, statement := range map[string]string{
		"the content of another note":       `UPDATE notes SET content = (SELECT content FROM notes WHERE id = ` + other + `) WHERE id = ` + id,
		"the content of the version before": `UPDATE notes SET content = (SELECT content FROM note_versions WHERE note_id = ` + id + `) WHERE id = ` + id,
		"the content of its record":         `UPDATE notes SET content = (SELECT content FROM records WHERE id = record_id) WHERE id = ` + id,
		"another version":                   `UPDATE notes SET version = 1 WHERE id = ` + id,
		"another doctor":                    `UPDATE notes SET doctor_id = '` + w.doc2.Account + `' WHERE id = ` + id,
		"another record of the patient":     `UPDATE notes SET record_id = '` + w.records[1].ID + `' WHERE id = ` + id,
		"another date":                      `UPDATE notes SET created_at = '2020-01-01T00:00:00.000000Z' WHERE id = ` + id,
		"a truncated content":               `UPDATE notes SET content = substr(content, 2) WHERE id = ` + id,
		"an empty content":                  `UPDATE notes SET content = substr(content, 1, 0) WHERE id = ` + id,
	} {
		t.Run(name, func(t *testing.T) {
			restore := w.keep("notes")
			w.bend(statement)
			bent := w.dump("notes", "note_versions")
			_, err := w.Note(ctx, w.pat, w.notes[0].ID)
			wantSealed(t, "Note", err)
			_, err = w.ChangeNote(ctx, w.doc, w.notes[0].ID, nil, &store.NoteInput{Text: ptr("new")})
			wantSealed(t, "ChangeNote", err)
			if w.dump("notes", "note_versions") != bent {
				t.Error("what does not open was written over")
			}
			if n, err := w.Note(ctx, w.pat2, w.notes[1].ID); err != nil || n.Text != "note 1" {
				t.Errorf("the other note is right: %v, error = %v, want true, nil", n.Text == "note 1", err)
			}
			w.wantReadable(t, 2, 3)
			restore()
			if n, err := w.Note(ctx, w.pat, w.notes[0].ID); err != nil || n.Text != "newer note" {
				t.Errorf("the note as it was is right: %v, error = %v, want true, nil", n.Text == "newer note", err)
			}
		})
	}
	t.Run("another patient", func(t *testing.T) {
		restore := w.keep("notes")
		w.bend(`UPDATE notes SET patient_id = '` + w.pat2.Account + `' WHERE id = ` + id)
		_, err := w.Note(ctx, w.pat2, w.notes[0].ID)
		wantSealed(t, "Note", err)
		restore()
	})
}

// What was said before is sealed like what is said now.
func TestBentOlderVersionDoesNotOpen(t *testing.T) {
	w := newWard(t)
	ctx := t.Context()
	record, note := "'"+w.records[0].ID+"'", "'"+w.notes[0].ID+"'"
	records := func() error {
		_, err := w.RecordVersions(ctx, w.pat, w.records[0].ID, wholePage)
		return err
	}
	notes := func() error { _, err := w.NoteVersions(ctx, w.pat, w.notes[0].ID, wholePage); return err }
	for _, test := range []struct {
		name, table, statement string
		read                   func() error
	}{
		{"a record's content of the version behind", "record_versions", `UPDATE record_versions SET content = (SELECT content FROM records WHERE id = record_id)`, records},
		{"a record's date", "record_versions", `UPDATE record_versions SET date = '2020-01-01T00:00:00.000000Z'`, records},
		{"a record's number", "record_versions", `UPDATE record_versions SET version = 0 WHERE record_id = ` + record, records},
		{"a record's content, truncated", "record_versions", `UPDATE record_versions SET content = substr(content, 1, 20)`, records},
		{"a note's content of the version behind", "note_versions", `UPDATE note_versions SET content = (SELECT content FROM notes WHERE id = note_id)`, notes},
		{"a note's number", "note_versions", `UPDATE note_versions SET version = 0 WHERE note_id = ` + note, notes},
		{"a note's content, truncated", "note_versions", `UPDATE note_versions SET content = substr(content, 1, 0)`, notes},
	} {
		t.Run(test.name, func(t *testing.T) {
			restore := w.keep(test.table)
			w.bend(test.statement)
			wantSealed(t, "the versions", test.read())
			w.wantReadable(t, 0, 1, 2, 3)
			restore()
			wantErr(t, "the versions as they were", test.read(), nil)
		})
	}
}

func TestBentAccountDoesNotOpen(t *testing.T) {
	w := newWard(t)
	ctx := t.Context()
	id, other := "'"+w.pat.Account+"'", "'"+w.pat2.Account+"'"
	from := func(column, account string) string {
		return `(SELECT ` + column + ` FROM accounts WHERE id = ` + account + `)`
	}
	for name, set := range map[string]string{
		"the profile of another account": `profile = ` + from("profile", other),
		"the profile of before":          `profile = (SELECT profile FROM older)`,
		"the password as profile":        `profile = password`,
		"a truncated profile":            `profile = substr(profile, 1, length(profile) - 16)`,
		"an empty profile":               `profile = substr(profile, 1, 0)`,
		"another version":                `version = version - 1`,
		"the password of another":        `password = ` + from("password", other),
		"the password of before":         `password = (SELECT password FROM older)`,
		"the profile as password":        `password = profile`,
		"an empty password":              `password = substr(password, 1, 0)`,
		"the key of another":             `wrapped_key = ` + from("wrapped_key", other),
		"an empty key":                   `wrapped_key = substr(wrapped_key, 1, 0)`,
		"another role":                   `role = 'staff'`,
		"a verification":                 `verified = 1`,
		"another data key":               `data_key_id = '0123456789abcdef'`,
		"all of another's key, profile and password": `wrapped_key = ` + from("wrapped_key", other) + `, profile = ` + from("profile", other) +
			`, password = ` + from("password", other) + `, version = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			restore := w.keep("accounts")
			w.bend(`UPDATE accounts SET ` + set + ` WHERE id = ` + id)
			bent := w.dump("accounts")
			_, err := w.Patient(ctx, w.pat, w.pat.Account)
			if strings.HasPrefix(set, "password") {
				wantErr(t, "Patient, for which nobody looks at the password", err, nil)
			} else {
				wantSealed(t, "Patient", err)
			}
			_, err = w.ChangePatient(ctx, w.admin, w.pat.Account, nil, &store.PatientInput{Phone: ptr("3")})
			wantSealed(t, "ChangePatient", err)
			_, err = w.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{})
			wantSealed(t, "Credentials", err)
			_, err = w.SignIn(ctx, store.Actor{}, store.Credentials{Account: w.pat.Account, Hash: "hash of pat"}, store.SignInInput{Right: true, NewHash: "another hash"})
			wantSealed(t, "SignIn", err)
			wantSealed(t, "SetActive", w.SetActive(ctx, store.Command("test"), "pat", false))
			if w.dump("accounts") != bent {
				t.Error("what does not open was written over")
			}
			if p, err := w.Patient(ctx, w.pat2, w.pat2.Account); err != nil || p.User.Username != "pat2" {
				t.Errorf("the other patient is right: %v, error = %v, want true, nil", p.User.Username == "pat2", err)
			}
			w.wantReadable(t, 2, 3)
			restore()
			if p, err := w.Patient(ctx, w.pat, w.pat.Account); err != nil || p.Phone != "2" {
				t.Errorf("the patient as it was is right: %v, error = %v, want true, nil", p.Phone == "2", err)
			}
		})
	}
}

// Keys of the service itself that do not open are a reason not to start.
func TestBentServiceKeyIsNotOpened(t *testing.T) {
	for _, name := range []string{"trail", "names", "general"} {
		p := newPractice(t)
		p.staff("admin")
		p.Close()
		p.Store = nil
		for _, wrapped := range []string{`substr(wrapped, 1, 0)`, `(SELECT wrapped FROM service_keys s WHERE s.name <> '` + name + `' LIMIT 1)`} {
			restore := p.keep("service_keys")
			p.bend(`UPDATE service_keys SET wrapped = ` + wrapped + ` WHERE name = '` + name + `'`)
			bent := p.dump("service_keys")
			if s, err := store.Open(t.Context(), p.options); err == nil {
				s.Close()
				t.Errorf("Open with another %s key error = nil, want one", name)
			}
			if p.dump("service_keys") != bent {
				t.Errorf("the %s key was written over", name)
			}
			restore()
		}
		p.open()
	}
}

// A mail whose address does not open waits, and keeps no other from leaving.
func TestBentAccountKeepsNoOtherMailBack(t *testing.T) {
	w := newWard(t)
	restore := w.keep("accounts")
	w.bend(`UPDATE accounts SET profile = substr(profile, 1, 0) WHERE id = '` + w.doc2.Account + `'`)
	mails, err := w.ClaimMail(t.Context(), 10, time.Minute)
	if err != nil || len(mails) != 2 || mails[0].Account != w.doc.Account || mails[1].Account != w.doc.Account {
		t.Errorf("ClaimMail = %d mails, %v, want the 2 of the other doctor, nil", len(mails), err)
	}
	for _, m := range mails {
		if err := w.MailSent(t.Context(), m.ID); err != nil {
			t.Errorf("MailSent error = %v, want nil", err)
		}
	}
	restore()
	w.clock.Advance(time.Hour)
	mails, err = w.ClaimMail(t.Context(), 10, time.Minute)
	if err != nil || len(mails) != 1 || mails[0].To != "doc2@example.test" {
		t.Errorf("ClaimMail when it opens again = %d mails, %v, want 1 with an address, nil", len(mails), err)
	}
}

// wantNowhere checks that a file of the database does not hold a text.
func (p *practice) wantNowhere(t *testing.T, text, suffix string) {
	t.Helper()
	content, err := os.ReadFile(p.path() + suffix)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) == 0 {
		t.Errorf("health.db%s is empty: nothing is proved", suffix)
	}
	if bytes.Contains(bytes.ToLower(content), bytes.ToLower([]byte(text))) {
		t.Errorf("health.db%s holds what must be sealed", suffix)
	}
}

// Nothing that a person said or is stands readable in the files.
func TestFilesAreUnreadable(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	const marker = "Xylophon"
	admin := p.staff(marker + "-admin")
	in := &store.DoctorInput{User: user(marker + "-doc"), Specialization: ptr(marker), License: ptr(marker)}
	if _, err := p.CreateDoctor(ctx, admin, in); err != nil {
		t.Fatalf("CreateDoctor error = %v, want nil", err)
	}
	doc := p.actor(marker + "-doc")
	pat := p.patient(marker, doc.Account)
	if _, err := p.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Phone: ptr(marker), Address: ptr(marker), DateOfBirth: ptr(marker)}); err != nil {
		t.Fatalf("ChangePatient error = %v, want nil", err)
	}
	r := p.record(pat, marker)
	p.note(doc, r.ID, marker)
	if _, err := p.ChangeRecord(ctx, pat, r.ID, nil, &store.RecordInput{Description: ptr(marker + " 2")}); err != nil {
		t.Fatalf("ChangeRecord error = %v, want nil", err)
	}
	if _, err := p.Records(ctx, pat, store.RecordFilter{}, searchPage(marker)); err != nil {
		t.Fatalf("Records error = %v, want nil", err)
	}
	p.wantNowhere(t, marker, "-wal") // the locks that SQLite holds are on the others
	p.Close()
	p.Store = nil
	p.wantNowhere(t, marker, "")
}
