package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// bookkeeping is a practice in which some of everything has happened, closed,
// for tests that bend copies of it as somebody could who has the database and
// no key.
type bookkeeping struct {
	options store.Options
	file    string
	early   string // a copy of the database from a while before the end

	whole, part store.Checkpoint // of the end, and of the early copy

	pat, pat2, erased, gone      string
	record, hidden               string // the second was deleted
	note, hiddenNote, besideNote string // the last was deleted with its record
}

func newBookkeeping(t *testing.T) *bookkeeping {
	t.Helper()
	storetest.NeedsSQLite(t)
	p, b := newPractice(t), &bookkeeping{}
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		p.clock.Advance(time.Minute)
	}
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	pat, pat2 := p.patient("pat", doc.Account), p.patient("pat2", doc.Account)
	doc.Address, doc.Request = "192.0.2.7", p.NewID()

	b.record, b.hidden = p.record(pat, "Cough").ID, p.record(pat, "Fever").ID
	change := func(title string) {
		t.Helper()
		_, err := p.ChangeRecord(ctx, pat, b.record, nil, &store.RecordInput{Title: &title, Description: ptr("changed to " + title)})
		ok(err)
	}
	change("Bad cough")
	b.note, b.hiddenNote, b.besideNote = p.note(doc, b.record, "rest").ID, p.note(doc, b.record, "tea").ID, p.note(doc, b.hidden, "wait").ID
	_, err := p.ChangeNote(ctx, doc, b.note, nil, &store.NoteInput{Text: ptr("rest, and drink")})
	ok(err)
	ok(p.DeleteNote(ctx, doc, b.hiddenNote, nil))
	ok(p.DeleteRecord(ctx, pat, b.hidden, nil))
	list := func() {
		t.Helper()
		_, err := p.Patients(ctx, admin, store.Paging{Size: 25})
		ok(err)
	}
	list()
	b.part = reach(t, p.Store)
	p.clock.Advance(time.Minute)
	b.early = filepath.Join(t.TempDir(), "early.db")
	p.exec(`VACUUM INTO ?`, b.early)

	change("Very bad cough")
	erased := p.patient("erased", doc.Account)
	p.record(erased, "Secret")
	list()
	ok(p.ErasePatient(ctx, store.Command("erase"), erased.Account, "asked for it"))
	gone := p.patient("gone", doc.Account)
	ok(p.DeletePatient(ctx, gone, gone.Account, nil))
	if _, err := p.Record(ctx, pat2, b.record); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("Record of another patient: error = %v, want ErrNotFound", err)
	}
	ok(p.SetActive(ctx, store.Command("user"), "pat2", false))
	c, err := p.BeginSignIn(ctx, store.Actor{}, "doc", store.Device{})
	ok(err)
	_, err = p.SignIn(ctx, store.Actor{}, c, store.SignInInput{Right: true, NewHash: "a newer hash"})
	ok(err)
	list()
	for range 5 {
		_, err := p.Record(ctx, doc, b.record)
		ok(err)
	}
	b.whole = reach(t, p.Store)
	p.clock.Advance(time.Minute)
	ok(p.Close())
	p.Store = nil
	b.options, b.file = p.options, p.path()
	b.pat, b.pat2, b.erased, b.gone = pat.Account, pat2.Account, erased.Account, gone.Account
	return b
}

// bend copies a database and runs statements on the copy. It returns the copy.
func (b *bookkeeping) bend(t *testing.T, file string, statements ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bent := filepath.Join(t.TempDir(), "bent.db")
	if err := os.WriteFile(bent, text, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+bent+"?_secure_delete=on")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range append([]string{`DROP TRIGGER audit_update`, `DROP TRIGGER audit_delete`}, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return bent
}

// openTrail opens a copy.
func (b *bookkeeping) openTrail(t *testing.T, file string) *store.Store {
	t.Helper()
	o := b.options
	o.URL, o.Create, o.Migrate = "sqlite:"+file, false, false
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open error = %v, want nil", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (b *bookkeeping) verify(t *testing.T, file string, checkpoints ...store.Checkpoint) (store.TrailReport, error) {
	t.Helper()
	return b.openTrail(t, file).VerifyTrail(t.Context(), checkpoints)
}

// number returns a number out of the database that was not bent.
func (b *bookkeeping) number(t *testing.T, query string) int64 {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+b.file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int64
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// entry returns the number of the first entry of which the condition holds.
func (b *bookkeeping) entry(t *testing.T, condition string) int64 {
	t.Helper()
	return b.number(t, `SELECT seq FROM audit WHERE `+condition+` ORDER BY seq LIMIT 1`)
}

// wantFinding checks which entry does not hold, and what the finding says.
func wantFinding(t *testing.T, err error, seq int64, how string) {
	t.Helper()
	var found *store.TrailError
	if !errors.As(err, &found) {
		t.Errorf("VerifyTrail error = %v, want entry %d: %s", err, seq, how)
		return
	}
	if found.Seq != seq || !strings.Contains(found.How, how) {
		t.Errorf("VerifyTrail error = %v, want entry %d: %s", found, seq, how)
	}
}

// shift moves the numbers of the entries from one on.
func shift(from, by int64) []string {
	return []string{
		fmt.Sprintf(`UPDATE audit SET seq = -(seq + %d) WHERE seq >= %d`, by, from),
		`UPDATE audit SET seq = -seq WHERE seq < 0`,
	}
}

func swap(a, b int64) []string {
	return []string{
		fmt.Sprintf(`UPDATE audit SET seq = -1 WHERE seq = %d`, a),
		fmt.Sprintf(`UPDATE audit SET seq = %d WHERE seq = %d`, a, b),
		fmt.Sprintf(`UPDATE audit SET seq = %d WHERE seq = -1`, b),
	}
}

const afterSeq = `at, actor, role, session, action, object, version, patient, patients, fields, outcome, address, request, mac`

// again inserts a copy of an entry under another number.
func again(seq, as int64) string {
	return fmt.Sprintf(`INSERT INTO audit SELECT lane, %d, `+afterSeq+` FROM audit WHERE seq = %d`, as, seq)
}

func TestVerifyTrailHolds(t *testing.T) {
	b := newBookkeeping(t)
	for _, c := range []struct {
		name        string
		file        string
		checkpoints []store.Checkpoint
		anchored    int64
	}{
		{"with all checkpoints", b.file, []store.Checkpoint{b.part, b.whole}, b.whole.Count},
		{"with checkpoints in another order, some twice", b.file, []store.Checkpoint{b.whole, b.part, b.whole}, b.whole.Count},
		{"not anchored at the end", b.file, []store.Checkpoint{b.part}, b.part.Count},
		{"not anchored at all", b.file, nil, 0},
		{"an older copy, of which no checkpoint tells", b.early, []store.Checkpoint{b.part}, b.part.Count},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := b.verify(t, b.bend(t, c.file), c.checkpoints...)
			if err != nil {
				t.Fatalf("VerifyTrail error = %v, want nil", err)
			}
			want := store.TrailReport{Entries: b.whole.Count, Anchored: c.anchored}
			if c.file == b.early {
				want.Entries = b.part.Count
			}
			if r != want {
				t.Errorf("VerifyTrail = %+v, want %+v", r, want)
			}
		})
	}
}

func TestVerifyTrailFindsAnEditInAnyColumn(t *testing.T) {
	b := newBookkeeping(t)
	middle := b.entry(t, `action = 'record.change'`)
	columns := map[string]string{
		"at":       `'2026-03-01T09:00:00.000001Z'`,
		"actor":    `'` + b.pat2 + `'`,
		"role":     `'staff'`,
		"session":  `session || 'x'`,
		"action":   `'record.list'`,
		"object":   `'` + b.hidden + `'`,
		"version":  `version + 1`,
		"patient":  `'` + b.pat2 + `'`,
		"patients": `'` + b.pat + ` ` + b.pat2 + `'`,
		"fields":   `'description'`,
		"outcome":  `'forbidden'`,
		"address":  `address || '1'`,
		"request":  `request || 'x'`,
		"mac":      `SUBSTR(mac, 2) || SUBSTR(mac, 1, 1)`,
	}
	for _, at := range []struct {
		name string
		seq  int64
	}{{"the first", 1}, {"one in the middle", middle}, {"the last but one", b.whole.Count - 1}, {"the last", b.whole.Count}} {
		for column, value := range columns {
			t.Run(column+" of "+at.name, func(t *testing.T) {
				file := b.bend(t, b.file, fmt.Sprintf(`UPDATE audit SET %s = CAST(%s AS %s) WHERE seq = %d`, column, value, columnType(column), at.seq))
				_, err := b.verify(t, file)
				wantFinding(t, err, at.seq, "edited")
			})
		}
	}
}

func columnType(column string) string {
	switch column {
	case "version":
		return "INTEGER"
	case "mac":
		return "BLOB"
	}
	return "TEXT"
}

// What an entry says is the same texts in other columns, or split otherwise.
func TestVerifyTrailFindsWhatReadsTheSame(t *testing.T) {
	b := newBookkeeping(t)
	one, several := b.entry(t, `action = 'record.change'`), b.entry(t, `patients <> ''`)
	doc := b.entry(t, `address <> ''`)
	for _, c := range []struct {
		name, set string
		seq       int64
	}{
		{"one patient as several", `patients = patient, patient = ''`, one},
		{"several patients as one", `patient = patients, patients = ''`, several},
		{"the first of several patients apart", `patient = SUBSTR(patients, 1, 36), patients = SUBSTR(patients, 38)`, several},
		{"patients in another order", `patients = SUBSTR(patients, 38, 36) || ' ' || SUBSTR(patients, 1, 36) || SUBSTR(patients, 74)`, several},
		{"a space more between patients", `patients = REPLACE(patients, ' ', '  ')`, several},
		{"a space behind the patient", `patient = patient || ' '`, one},
		{"fields run together", `fields = REPLACE(fields, ' ', '')`, one},
		{"a space behind the fields", `fields = fields || ' '`, one},
		{"the address in the request", `request = address || request, address = ''`, doc},
		{"an empty MAC", `mac = X''`, one},
		{"half a MAC", `mac = SUBSTR(mac, 1, 16)`, one},
		{"the MAC of another entry", `mac = (SELECT mac FROM audit WHERE seq = 3)`, one},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, fmt.Sprintf(`UPDATE audit SET %s WHERE seq = %d`, c.set, c.seq)))
			wantFinding(t, err, c.seq, "edited")
		})
	}
}

func TestVerifyTrailFindsEntriesOutOfPlace(t *testing.T) {
	b := newBookkeeping(t)
	end := b.whole.Count
	del := func(from, to int64) []string {
		return []string{fmt.Sprintf(`DELETE FROM audit WHERE seq BETWEEN %d AND %d`, from, to)}
	}
	with := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		name       string
		statements []string
		seq        int64
		how        string
	}{
		{"the first is missing", del(1, 1), 1, "missing"},
		{"one is missing", del(7, 7), 7, "missing"},
		{"several are missing", del(7, 9), 7, "missing, with those up to entry 0-9"},
		{"one is missing, the rest renumbered", with(del(7, 7), shift(8, -1)), 7, "missing, and those behind renumbered"},
		{"the first is missing, the rest renumbered", with(del(1, 1), shift(2, -1)), 1, "missing, and those behind renumbered"},
		{"several are missing, the rest renumbered", with(del(7, 9), shift(10, -3)), 7, "missing, with those up to entry 0-9, and those behind renumbered"},
		{"one is missing, the last two renumbered", with(del(end-2, end-2), shift(end-1, -1)), end - 2, "missing, and those behind renumbered"},
		{"neighbours are swapped", swap(7, 8), 7, "reordered: entry 0-8 belongs here"},
		{"the first two are swapped", swap(1, 2), 1, "reordered: entry 0-2 belongs here"},
		{"the last two are swapped", swap(end-1, end), end - 1, fmt.Sprintf("reordered: entry 0-%d belongs here", end)},
		{"two are swapped over others", swap(7, 12), 7, "reordered: entry 0-12 belongs here"},
		{"the last is moved to the front", with(shift(1, 1), []string{fmt.Sprintf(`UPDATE audit SET seq = 1 WHERE seq = %d`, end+1)}), 1, "inserted"},
		{"an old one is put in, the rest renumbered", with(shift(7, 1), []string{again(3, 7)}), 7, "inserted"},
		{"several old ones are put in, the rest renumbered", with(shift(7, 2), []string{again(3, 7), again(4, 8)}), 7, "inserted, with those up to entry 0-8"},
		{"one is repeated at once, the rest renumbered", with(shift(8, 1), []string{again(7, 8)}), 8, "inserted"},
		{"one is put in before the first", with(shift(1, 1), []string{again(4, 1)}), 1, "inserted"},
		{"one is put in before the last", with(shift(end, 1), []string{again(4, end)}), end, "inserted"},
		{"one is put in behind the last", []string{again(end, end+1)}, end + 1, "inserted at the end"},
		{"one far behind the last", []string{again(end, 1<<62)}, end + 1, "missing"},
		{"one is put in under the number 0", []string{again(3, 0)}, 0, "inserted under the number 0"},
		{"one is put in under a negative number", []string{again(3, -4)}, -4, "inserted under the number -4"},
		{"one is renumbered", []string{`UPDATE audit SET seq = 100000 WHERE seq = 7`}, 7, "missing"},
		{"one is copied to another lane", []string{`INSERT INTO audit SELECT 1, seq, ` + afterSeq + ` FROM audit WHERE seq = 3`}, 1, "missing, with those up to entry 1-2"},
		{"one is copied to a lane before", []string{`INSERT INTO audit SELECT -1, seq, ` + afterSeq + ` FROM audit WHERE seq = 3`}, 1, "missing, with those up to entry -1-2"},
		{"the next number stands in another lane", []string{fmt.Sprintf(`INSERT INTO audit SELECT 1, %d, `+afterSeq+` FROM audit WHERE seq = %d`, end+1, end)}, 1, fmt.Sprintf("missing, with those up to entry 1-%d", end)},
		{"the first is copied to another lane", []string{`INSERT INTO audit SELECT 1, seq, ` + afterSeq + ` FROM audit WHERE seq = 1`}, 1, "edited, or inserted at the end"},
		{"one is moved to another lane", []string{`UPDATE audit SET lane = 1 WHERE seq = 7`}, 7, "missing"},
		{"the last is moved to another lane", []string{fmt.Sprintf(`UPDATE audit SET lane = 1 WHERE seq = %d`, end)}, 1, fmt.Sprintf("missing, with those up to entry 1-%d", end-1)},
		{"all are moved to another lane", []string{`UPDATE audit SET lane = 1`}, 1, "rewritten, with all behind it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, c.statements...))
			wantFinding(t, err, c.seq, c.how)
		})
	}
}

// A table that was built anew may hold what the schema forbids.
func TestVerifyTrailFindsWhatTheSchemaForbids(t *testing.T) {
	b := newBookkeeping(t)
	anew := []string{`ALTER TABLE audit RENAME TO old`, `CREATE TABLE audit AS SELECT * FROM old`, `DROP TABLE old`}
	for _, c := range []struct {
		name, statement string
		seq             int64
		how             string
	}{
		{"an entry twice", `INSERT INTO audit SELECT * FROM audit WHERE seq = 7`, 7, "inserted under the number 7"},
		{"text for a number", `UPDATE audit SET version = 'two' WHERE seq = 7`, 7, "edited"},
		{"nothing at all", `UPDATE audit SET at = NULL WHERE seq = 7`, 7, "edited"},
		{"a number that is none", `INSERT INTO audit SELECT lane, 'x', ` + afterSeq + ` FROM audit WHERE seq = 7`, b.whole.Count + 1, "edited"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, append(anew, c.statement)...))
			wantFinding(t, err, c.seq, c.how)
		})
	}
}

func TestVerifyTrailFindsTheTailCutOff(t *testing.T) {
	b := newBookkeeping(t)
	end := b.whole.Count
	cut := func(from int64) []string {
		return []string{
			fmt.Sprintf(`DELETE FROM audit WHERE seq >= %d`, from), fmt.Sprintf(`DELETE FROM audit_patients WHERE seq >= %d`, from),
			fmt.Sprintf(`DELETE FROM audit_actors WHERE seq >= %d`, from),
			fmt.Sprintf(`UPDATE audit_indexed SET seq = MIN(seq, %d)`, from-1),
		}
	}
	t.Run("reads, before a checkpoint", func(t *testing.T) {
		_, err := b.verify(t, b.bend(t, b.file, cut(end-2)...), b.part, b.whole)
		wantFinding(t, err, end-2, fmt.Sprintf("cut off or rolled back: a checkpoint counts %d entries", end))
	})
	t.Run("reads, without a checkpoint", func(t *testing.T) {
		r, err := b.verify(t, b.bend(t, b.file, cut(end-2)...), b.part)
		if want := (store.TrailReport{Entries: end - 3, Anchored: b.part.Count}); err != nil || r != want {
			t.Errorf("VerifyTrail = %+v, %v, want %+v, nil", r, err, want)
		}
	})
	t.Run("a change, without a checkpoint", func(t *testing.T) {
		change := b.entry(t, `version = 3`)
		_, err := b.verify(t, b.bend(t, b.file, cut(change)...), b.part)
		wantFinding(t, err, change, "the record "+b.record+" is of a version that no entry made: the trail was cut off")
	})
	t.Run("everything", func(t *testing.T) {
		file := b.bend(t, b.file, cut(1)...)
		_, err := b.verify(t, file, b.whole)
		wantFinding(t, err, 1, "cut off or rolled back")
		_, err = b.verify(t, file)
		wantFinding(t, err, 1, "no entry made: the trail was cut off")
	})
	t.Run("everything and its key", func(t *testing.T) {
		file := b.bend(t, b.file, append(cut(1), `DELETE FROM service_keys WHERE name = 'trail'`)...)
		o := b.options
		o.URL, o.Create, o.Migrate = "sqlite:"+file, false, false
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrDataKey) {
			t.Errorf("Open error = %v, want ErrDataKey", err)
		}
	})
}

func TestVerifyTrailFindsARollBack(t *testing.T) {
	b := newBookkeeping(t)
	t.Run("to an older copy", func(t *testing.T) {
		_, err := b.verify(t, b.bend(t, b.early), b.part, b.whole)
		wantFinding(t, err, b.part.Count+1, "cut off or rolled back")
	})
	t.Run("to an older copy, written on", func(t *testing.T) {
		s := b.openTrail(t, b.bend(t, b.early))
		var now store.Checkpoint
		for now.Count <= b.whole.Count+3 {
			if _, err := s.Me(t.Context(), store.Actor{Account: b.pat, Session: "none"}); !errors.Is(err, store.ErrSession) {
				t.Fatalf("Me error = %v, want ErrSession", err)
			}
			now = reach(t, s)
			if now.Count == b.whole.Count {
				_, err := s.VerifyTrail(t.Context(), []store.Checkpoint{b.whole, now})
				wantFinding(t, err, b.whole.Count, "two checkpoints contradict each other")
			}
		}
		_, err := s.VerifyTrail(t.Context(), []store.Checkpoint{b.part, b.whole, now})
		wantFinding(t, err, b.whole.Count, "rolled back and written on")
		r, err := s.VerifyTrail(t.Context(), []store.Checkpoint{b.part})
		if err != nil || r.Anchored != b.part.Count {
			t.Errorf("VerifyTrail without the later checkpoint = %+v, %v, want anchored up to %d, nil", r, err, b.part.Count)
		}
	})
	t.Run("to another practice with the same data key", func(t *testing.T) {
		other := newPractice(t)
		_, err := other.VerifyTrail(t.Context(), []store.Checkpoint{b.whole})
		wantFinding(t, err, 0, "forged, or the trail was begun anew under another key")
	})
}

func TestVerifyTrailFindsATrailRewrittenUnderAnotherKey(t *testing.T) {
	b := newBookkeeping(t)
	for _, from := range []int64{1, 7} {
		t.Run(fmt.Sprintf("from entry %d on", from), func(t *testing.T) {
			file := b.bend(t, b.file)
			rewriteTrail(t, file, from)
			_, err := b.verify(t, file, b.whole)
			wantFinding(t, err, from, "rewritten, with all behind it")
		})
	}
}

// rewriteTrail chains the trail anew from an entry on, under a key that is not the
// trail's.
func rewriteTrail(t *testing.T, file string, from int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, e := range trailEntries(t, db) {
		if e.Seq < from {
			continue
		}
		var previous []byte
		if err := db.QueryRow(`SELECT mac FROM audit WHERE seq = ?`, e.Seq-1).Scan(&previous); err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if _, err := db.Exec(`UPDATE audit SET mac = ? WHERE seq = ?`, store.EntryMAC(dataKey("another"), previous, e), e.Seq); err != nil {
			t.Fatal(err)
		}
	}
}

func trailEntries(t *testing.T, db *sql.DB) (list []store.TrailEntry) {
	t.Helper()
	rows, err := db.Query(`SELECT lane, seq, at, actor, role, session, action, object, version, patient || patients, fields, outcome, address, request FROM audit ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e store.TrailEntry
		var patients, fields string
		if err := rows.Scan(&e.Lane, &e.Seq, &e.At, &e.Actor, &e.Role, &e.Session, &e.Action, &e.Object, &e.Version,
			&patients, &fields, &e.Outcome, &e.Address, &e.Request); err != nil {
			t.Fatal(err)
		}
		e.Patients, e.Fields = strings.Fields(patients), strings.Fields(fields)
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestVerifyTrailFindsAnEditedIndex(t *testing.T) {
	b := newBookkeeping(t)
	seq := b.entry(t, `patients <> ''`)
	last := b.number(t, `SELECT MAX(seq) FROM audit WHERE patients <> ''`)
	one := fmt.Sprintf(` WHERE seq = %d AND patient_id = '%s'`, seq, b.pat)
	for _, c := range []struct {
		name       string
		statements []string
		seq        int64
	}{
		{"a row is gone", []string{`DELETE FROM audit_patients` + one}, seq},
		{"a row of the last is gone", []string{fmt.Sprintf(`DELETE FROM audit_patients WHERE seq = %d AND patient_id = '%s'`, last, b.pat)}, last},
		{"all rows are gone", []string{`DELETE FROM audit_patients`}, b.entry(t, `patient || patients <> ''`)},
		{"a row for a patient whom the entry did not touch", []string{fmt.Sprintf(`INSERT INTO audit_patients SELECT '%s', at, lane, seq FROM audit_patients`, b.gone) + one}, seq},
		{"a row that leads to an entry of nobody", []string{fmt.Sprintf(`INSERT INTO audit_patients SELECT '%s', at, 0, 1 FROM audit WHERE seq = 1`, b.pat)}, 1},
		{"a row that leads nowhere", []string{`INSERT INTO audit_patients VALUES ('` + b.pat + `', '2026-03-01T09:00:00.000000Z', 0, 100000)`}, 100000},
		{"a row that leads to another lane", []string{`UPDATE audit_patients SET lane = 1` + one}, seq},
		{"a row of another time", []string{`UPDATE audit_patients SET at = at || '0'` + one}, 0},
		{"a row turned to another patient", []string{`UPDATE audit_patients SET patient_id = '` + b.gone + `'` + one}, 0},
		{"a row turned to a pattern", []string{`UPDATE audit_patients SET patient_id = '%'` + one}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, c.statements...), b.whole)
			wantFinding(t, err, c.seq, "the index of patients was edited")
		})
	}
}

func TestVerifyTrailFindsAnEditedIndexOfActors(t *testing.T) {
	b := newBookkeeping(t)
	seq := b.entry(t, `actor <> '' AND actor <> patient`)
	own := b.entry(t, fmt.Sprintf(`actor = '%s' AND patient = actor`, b.pat))
	for _, c := range []struct {
		name, statement string
		seq             int64
	}{
		{"a row is gone", fmt.Sprintf(`DELETE FROM audit_actors WHERE seq = %d`, seq), seq},
		{"a row for what a patient did to its own data", fmt.Sprintf(`INSERT INTO audit_actors SELECT actor, at, lane, seq FROM audit WHERE seq = %d`, own), own},
		{"a row is gone from all", fmt.Sprintf(`DELETE FROM audit_actors WHERE actor = '' AND seq = %d`, own), own},
		{"a row turned to somebody else", fmt.Sprintf(`UPDATE audit_actors SET actor = '%s' WHERE actor <> '' AND seq = %d`, b.gone, seq), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, c.statement), b.whole)
			wantFinding(t, err, c.seq, "the index of actors was edited")
		})
	}
}

// What stands in for a table may leave out what it likes, and when it likes.
func TestVerifyTrailFindsWhatWasPutIn(t *testing.T) {
	b := newBookkeeping(t)
	for _, c := range []struct {
		how        string
		statements []string
	}{
		{"the view audit_patients", []string{`ALTER TABLE audit_patients RENAME TO hidden`, `CREATE VIEW audit_patients AS SELECT * FROM hidden`}},
		{"the trigger late", []string{`CREATE TRIGGER late AFTER INSERT ON records BEGIN DELETE FROM notes; END`}},
		{"the trigger late", []string{`CREATE TRIGGER late AFTER INSERT ON audit BEGIN DELETE FROM audit_patients; END`}},
		{"the trigger audit_insert", []string{`CREATE TRIGGER audit_insert BEFORE INSERT ON audit BEGIN SELECT 1; END`}},
		{"the trigger audit_update", []string{`CREATE TRIGGER audit_update BEFORE UPDATE ON audit BEGIN SELECT 1; END`}},
	} {
		_, err := b.verify(t, b.bend(t, b.file, c.statements...), b.whole)
		wantFinding(t, err, 0, "somebody put "+c.how+" into the database")
	}
}

// What is said to be in the index is not looked for elsewhere.
func TestVerifyTrailFindsAnEditedEndOfTheIndex(t *testing.T) {
	b := newBookkeeping(t)
	said := "which of the entries are in the indexes of patients and actors was edited"
	for _, c := range []struct {
		name, statement string
		seq             int64
		how             string
	}{
		{"beyond the trail", `UPDATE audit_indexed SET seq = seq + 1 WHERE lane = 0`, b.whole.Count, said},
		{"nowhere", `DELETE FROM audit_indexed`, b.whole.Count, said},
		{"in a lane without entries", `UPDATE audit_indexed SET seq = 1 WHERE lane = 7`, 0, said},
		{"too early", `UPDATE audit_indexed SET seq = 0`, b.entry(t, `patient || patients <> ''`), "the index of patients was edited"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, c.statement), b.whole)
			wantFinding(t, err, c.seq, c.how)
		})
	}
}

func TestVerifyTrailFindsObjectsThatAreNotAsItSays(t *testing.T) {
	b := newBookkeeping(t)
	id := func(id string) string { return ` WHERE id = '` + id + `'` }
	made := func(object string, version int) int64 {
		t.Helper()
		return b.entry(t, fmt.Sprintf(`object = '%s' AND version = %d`, object, version))
	}
	deleted := func(object string) int64 {
		t.Helper()
		return b.entry(t, `action LIKE '%.delete' AND object = '`+object+`'`)
	}
	for _, c := range []struct {
		name       string
		statements []string
		seq        int64
		how        string
	}{
		{"a record as it was at first", []string{
			`UPDATE records SET (version, date, content, updated_at) = (SELECT version, date, content, updated_at FROM record_versions WHERE record_id = id AND version = 1)` + id(b.record),
			`DELETE FROM record_versions WHERE record_id = '` + b.record + `'`,
		}, made(b.record, 2), "the record " + b.record + " is not as new as this entry made it"},
		{"a note as it was at first", []string{
			`UPDATE notes SET (version, content, updated_at) = (SELECT version, content, updated_at FROM note_versions WHERE note_id = id)` + id(b.note),
			`DELETE FROM note_versions`,
		}, made(b.note, 2), "the note " + b.note + " is not as new as this entry made it"},
		{"an account from before it was deactivated", []string{`UPDATE accounts SET version = 1, active = 1` + id(b.pat2)}, made(b.pat2, 2), "the account " + b.pat2 + " is not as new as this entry made it"},
		{"a record of a version to come", []string{`UPDATE records SET version = 9` + id(b.record)}, b.whole.Count + 1, "the record " + b.record + " is of a version that no entry made"},
		{"a record of version 0", []string{`UPDATE records SET version = 0` + id(b.record)}, made(b.record, 1), "is not as new"},
		{"a record put in", []string{`INSERT INTO records SELECT 'made up', patient_id, author_id, date, content, version, noted, created_at, updated_at, NULL FROM records` + id(b.record)}, b.whole.Count + 1, "the record made up is of a version that no entry made"},
		{"a note put in", []string{`INSERT INTO notes SELECT 'made up', record_id, patient_id, doctor_id, content, version, created_at, updated_at, NULL FROM notes` + id(b.note)}, b.whole.Count + 1, "the note made up is of a version that no entry made"},

		{"a record shown again", []string{`UPDATE records SET deleted_at = NULL` + id(b.hidden)}, deleted(b.hidden), "the record " + b.hidden + " is shown again"},
		{"a note shown again", []string{`UPDATE notes SET deleted_at = NULL` + id(b.hiddenNote)}, deleted(b.hiddenNote), "the note " + b.hiddenNote + " is shown again"},
		{"a note of a deleted record shown again", []string{`UPDATE notes SET deleted_at = NULL` + id(b.besideNote)}, deleted(b.hidden), "the note " + b.besideNote + " is shown again"},
		{"a patient shown again", []string{`UPDATE accounts SET deleted_at = NULL` + id(b.gone)}, deleted(b.gone), "the account " + b.gone + " is shown again"},
		{"a record hidden", []string{`UPDATE records SET deleted_at = updated_at` + id(b.record)}, 0, "the record " + b.record + " is deleted, and no entry did it"},
		{"a note hidden", []string{`UPDATE notes SET deleted_at = updated_at` + id(b.note)}, 0, "the note " + b.note + " is deleted, and no entry did it"},
		{"a patient hidden", []string{`UPDATE accounts SET deleted_at = updated_at` + id(b.pat)}, 0, "the account " + b.pat + " is deleted, and no entry did it"},

		{"a record taken away", []string{`DELETE FROM records` + id(b.record)}, made(b.record, 1), "the record " + b.record + " is gone"},
		{"a deleted record taken away", []string{`DELETE FROM records` + id(b.hidden)}, made(b.hidden, 1), "the record " + b.hidden + " is gone"},
		{"a note taken away", []string{`DELETE FROM notes` + id(b.note)}, made(b.note, 1), "the note " + b.note + " is gone"},
		{"an account taken away", []string{`DELETE FROM accounts` + id(b.pat2)}, made(b.pat2, 1), "the account " + b.pat2 + " is gone"},
		{"an old version of a record taken away", []string{`DELETE FROM record_versions WHERE version = 1`}, 0, "the record " + b.record + " has lost a version"},
		{"an old version of a note taken away", []string{`DELETE FROM note_versions`}, 0, "the note " + b.note + " has lost a version"},
		{"a version of a record put in", []string{`INSERT INTO record_versions SELECT record_id, 0, date, content, updated_at FROM record_versions WHERE version = 1`}, 0, "the record " + b.record + " has lost a version, or was given one"},

		{"a patient erased by hand", []string{
			`DELETE FROM notes WHERE patient_id = '` + b.pat + `'`, `DELETE FROM records WHERE patient_id = '` + b.pat + `'`,
			`DELETE FROM note_versions`, `DELETE FROM record_versions`, `DELETE FROM accounts` + id(b.pat),
			`INSERT INTO erasures SELECT '` + b.pat + `', erased_at, reason FROM erasures`,
		}, 0, "the patient " + b.pat + " is said to be erased, and no entry did it"},
		{"an erasure forgotten", []string{`DELETE FROM erasures`}, b.entry(t, `action = 'patient.erase'`), "the patient " + b.erased + " is not erased as this entry did it"},
		{"an erased patient put back", []string{
			`INSERT INTO accounts SELECT '` + b.erased + `', role, X'00', data_key_id, wrapped_key, profile, password, active, verified, version, paired, renamed, created_at, updated_at, NULL, otp_on, otp, otp_step, email_hash, devices_since FROM accounts` + id(b.pat),
		}, b.entry(t, `action = 'patient.erase'`), "the patient " + b.erased + " is not erased as this entry did it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, c.statements...), b.whole)
			wantFinding(t, err, c.seq, c.how)
		})
	}
}

// Who writes to the file may leave single rows out of an index, on which the
// answers to most questions rest.
func TestVerifyTrailFindsAnIndexThatHidesAnEntry(t *testing.T) {
	b := newBookkeeping(t)
	hide := func(index, whole, part string, seq int64) []string {
		edit := func(from, to string) string {
			text := strings.NewReplacer("'", "''")
			return fmt.Sprintf(`UPDATE sqlite_master SET sql = REPLACE(sql, '%s', '%s') WHERE name = '%s'`, text.Replace(from), text.Replace(to), index)
		}
		part = fmt.Sprintf("%s seq <> %d", part, seq)
		return []string{
			`PRAGMA writable_schema = ON`, edit(whole, part), `PRAGMA writable_schema = RESET`, `REINDEX ` + index,
			`PRAGMA writable_schema = ON`, edit(part, whole), `PRAGMA writable_schema = RESET`,
		}
	}
	for _, c := range []struct {
		name       string
		statements []string
	}{
		{"a change that was rolled back", append(hide("audit_of_versions", "version > 0", "version > 0 AND", b.entry(t, `version = 3`)),
			`UPDATE records SET (version, date, content, updated_at) = (SELECT version, date, content, updated_at FROM record_versions WHERE record_id = id AND version = 2) WHERE id = '`+b.record+`'`,
			`DELETE FROM record_versions WHERE version = 2`)},
		{"a refusal, from the list of staff", hide("audit_by_outcome", "outcome <> 'done'", "outcome <> 'done' AND", b.entry(t, `outcome <> 'done'`))},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.verify(t, b.bend(t, b.file, c.statements...), b.whole)
			wantFinding(t, err, 0, "its indexes were edited")
		})
	}
}

// A doctor's account is excused by no patient's erasure.
func TestVerifyTrailKnowsWhomAnErasureConcerns(t *testing.T) {
	p := newPractice(t)
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	pat := p.patient("pat")
	if _, err := p.ChangeDoctor(t.Context(), admin, doc.Account, nil, &store.DoctorInput{
		User: store.UserInput{FirstName: ptr("Ada")}, Patients: &[]string{pat.Account},
	}); err != nil {
		t.Fatalf("ChangeDoctor error = %v, want nil", err)
	}
	if err := p.ErasePatient(t.Context(), store.Command("erase"), pat.Account, "asked for it"); err != nil {
		t.Fatalf("ErasePatient error = %v, want nil", err)
	}
	if _, err := p.VerifyTrail(t.Context(), nil); err != nil {
		t.Fatalf("VerifyTrail error = %v, want nil", err)
	}
	p.exec(`UPDATE accounts SET version = 1 WHERE id = $1`, doc.Account)
	_, err := p.VerifyTrail(t.Context(), nil)
	wantFinding(t, err, int64(p.count(`SELECT seq FROM audit WHERE action = 'doctor.change'`)), "the account "+doc.Account+" is not as new")
}

func TestVerifyTrailDistrustsCheckpoints(t *testing.T) {
	b := newBookkeeping(t)
	for _, c := range []struct {
		name  string
		forge func(*store.Checkpoint)
	}{
		{"another count", func(c *store.Checkpoint) { c.Count-- }},
		{"another head", func(c *store.Checkpoint) { c.Head = b.part.Head }},
		{"another time", func(c *store.Checkpoint) { c.Time = b.part.Time }},
		{"another lane", func(c *store.Checkpoint) { c.Lane = 1 }},
		{"no MAC", func(c *store.Checkpoint) { c.MAC = "" }},
		{"another's MAC", func(c *store.Checkpoint) { c.MAC = b.part.MAC }},
		{"a MAC under another key", func(c *store.Checkpoint) { c.MAC = store.CheckpointMAC(dataKey("another"), *c) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			forged := b.whole
			c.forge(&forged)
			_, err := b.verify(t, b.bend(t, b.file), b.part, forged)
			wantFinding(t, err, 0, "forged")
		})
	}
}

// However long the trail, each question walks along one table and looks the
// rest up.
func TestVerifyTrailLooksUpInIndexes(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	for _, query := range store.TrailQueries() {
		scans := 0
		for _, step := range p.rows("EXPLAIN QUERY PLAN " + query) {
			detail := step[3]
			few := strings.HasPrefix(detail, "SCAN e ") || detail == "SCAN e"
			once := strings.HasPrefix(detail, "SCAN audit USING COVERING INDEX") // when something was found
			if strings.HasPrefix(detail, "SCAN") && !few && !once {
				scans++
			}
		}
		if scans != 1 {
			t.Errorf("%d large tables are scanned, want 1, by %s", scans, query)
		}
	}
}

func TestTrailErrorNamesTheEntry(t *testing.T) {
	for _, c := range []struct {
		err  store.TrailError
		want string
	}{
		{store.TrailError{Seq: 7, How: "edited"}, "entry 0-7: edited"},
		{store.TrailError{Lane: 3, Seq: 7, How: "edited"}, "entry 3-7: edited"},
		{store.TrailError{How: "the index of patients was edited"}, "the index of patients was edited"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("Error() = %q, want %q", got, c.want)
		}
	}
}
