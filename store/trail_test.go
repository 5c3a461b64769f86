package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// trace is an entry of the trail as it stands in the database.
type trace struct {
	Seq                                      int
	At, Actor, Role, Session, Action, Object string
	Version                                  int
	Patients                                 []string // sorted
	Fields, Outcome, Address, Request        string
}

// trail reads the entries behind the first n.
func (p *practice) trail(n int) []trace {
	p.t.Helper()
	var list []trace
	for _, r := range p.rows(`SELECT seq, at, actor, role, session, action, object, version, patient, patients, fields, outcome, address, request
		FROM audit WHERE seq > $1 ORDER BY seq`, n) {
		seq, _ := strconv.Atoi(r[0]) // both are integers in a STRICT table
		version, _ := strconv.Atoi(r[7])
		one, several := strings.Fields(r[8]), strings.Fields(r[9])
		if len(one) > 0 && len(several) > 0 || len(several) == 1 {
			p.t.Errorf("entry %d names %d patients as one and %d as several", seq, len(one), len(several))
		}
		patients := append(one, several...)
		slices.Sort(patients)
		list = append(list, trace{seq, r[1], r[2], r[3], r[4], r[5], r[6], version, patients, r[10], r[11], r[12], r[13]})
	}
	return list
}

func (p *practice) entries() int {
	p.t.Helper()
	return p.count(`SELECT COUNT(*) FROM audit`)
}

// Every action, done and refused, leaves one entry that says all.
func TestEveryActionLeavesOneEntry(t *testing.T) {
	w := newTown(t)
	done, refused := make(map[store.Action]bool), make(map[store.Action]bool)
	for i, d := range w.deeds() {
		if storetest.OnPostgres() && d.action == store.BackUp { // its own programs do it
			done[d.action], refused[d.action] = true, true
			continue
		}
		t.Run(d.name, func(t *testing.T) { w.wantEntry(t, i, d) })
		if d.err == nil && !d.invalid {
			done[d.action] = true
		} else {
			refused[d.action] = true
		}
	}
	for _, action := range declaredPolicyActions(t) {
		switch {
		case action == store.RestoreBackup: // see TestRestoreLeavesAnEntry
		case action == store.CopyDatabase: // see TestCopyThereAndBack
		case !done[action]:
			t.Errorf("no deed does %q", action)
		case !refused[action]:
			t.Errorf("no deed is refused %q", action)
		}
	}
	w.wantTrail()
	w.wantLinks()
	for _, row := range w.rows(`SELECT * FROM audit`) {
		if text := strings.Join(row[:len(row)-1], " "); strings.Contains(text, "zz") {
			t.Errorf("entry %s holds a value that a client sent", row[1])
		}
	}
}

// wantEntry does a deed and compares the trail before and after it.
func (w *town) wantEntry(t *testing.T, i int, d deed) {
	t.Helper()
	w.clock.Advance(time.Second)
	a := d.by
	a.Address, a.Request = fmt.Sprint("192.0.2.", i), fmt.Sprint("request-", i)
	before := w.entries()
	object, err := d.do(a)
	var invalid *store.Invalid
	if d.invalid != errors.As(err, &invalid) || !d.invalid && !errors.Is(err, d.err) {
		t.Fatalf("error = %v, want %v (invalid: %v)", err, d.err, d.invalid)
	}
	entries := w.trail(before)
	if d.unseen {
		if len(entries) != 0 {
			t.Fatalf("the trail has %d entries more, want none", len(entries))
		}
		return
	}
	if len(entries) != 1 {
		t.Fatalf("the trail has %d entries more, want 1", len(entries))
	}
	got, want := entries[0], trace{
		Seq: before + 1, At: string(store.InstantOf(w.clock.Now())),
		Actor: d.by.Account, Role: string(d.role), Session: d.by.Session, Action: string(d.action), Object: object, Version: d.version,
		Patients: slices.Clone(d.touched), Fields: d.fields, Outcome: "done", Address: a.Address, Request: a.Request,
	}
	if d.outcome != "" {
		want.Outcome = string(d.outcome)
	}
	if d.account != "" {
		want.Actor, want.Session = d.account, d.session
	}
	if d.session == newOne {
		want.Session = got.Session
		if !version7.MatchString(got.Session) {
			t.Errorf("session = %q, want an id", got.Session)
		}
	}
	if i := slices.Index(want.Patients, newOne); i >= 0 {
		want.Patients[i] = object
	}
	slices.Sort(want.Patients)
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("entry\n got %+v\nwant %+v", got, want)
	}
	w.wantIndexed(t, got)
}

// wantIndexed checks that an entry is found under each patient whom it touched, and
// under who did that to another.
func (w *town) wantIndexed(t *testing.T, e trace) {
	t.Helper()
	got := w.texts(`SELECT patient_id FROM audit_patients WHERE seq = $1 AND lane = 0 AND at = $2 ORDER BY patient_id`, e.Seq, e.At)
	if !slices.Equal(got, e.Patients) {
		t.Errorf("entry %d is indexed for %d patients, want %d", e.Seq, len(got), len(e.Patients))
	}
	want := []string{""}
	if e.Actor != "" && !slices.Equal(e.Patients, []string{e.Actor}) {
		want = append(want, e.Actor)
	}
	if got := w.texts(`SELECT actor FROM audit_actors WHERE seq = $1 AND lane = 0 AND at = $2 ORDER BY actor`, e.Seq, e.At); !slices.Equal(got, want) {
		t.Errorf("entry %d is indexed for the actors %q, want %q", e.Seq, got, want)
	}
}

// wantLinks checks that entries are numbered without a gap and that no two have
// the same MAC.
func (p *practice) wantLinks() {
	p.t.Helper()
	seen := make(map[string]bool)
	for i, row := range p.rows(`SELECT seq, lane, mac FROM audit ORDER BY seq`) {
		if row[0] != strconv.Itoa(i+1) || row[1] != "0" {
			p.t.Errorf("entry %d has number %s in lane %s", i+1, row[0], row[1])
		}
		if len(row[2]) != 32 || seen[row[2]] {
			p.t.Errorf("the MAC of entry %d has %d bytes, or stood before", i+1, len(row[2]))
		}
		seen[row[2]] = true
	}
	if len(seen) == 0 {
		p.t.Error("the trail is empty: nothing was proved")
	}
}

// The same thing done twice at the same moment has two MACs, for the chain is
// in them.
func TestEqualEntriesHaveDifferentMACs(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	for range 5 {
		if _, err := p.Me(t.Context(), pat); err != nil {
			t.Fatalf("Me error = %v, want nil", err)
		}
	}
	p.wantLinks()
}

func TestFieldsAreNames(t *testing.T) {
	w := newTown(t)
	for _, d := range w.deeds() {
		d.do(d.by) // as TestEveryActionLeavesOneEntry checks
	}
	names := regexp.MustCompile(`^([a-z]+(_[a-z]+)*( [a-z]+(_[a-z]+)*)*)?$`)
	for _, fields := range w.texts(`SELECT fields FROM audit`) {
		if !names.MatchString(fields) {
			t.Errorf("fields = %q, want names alone", fields)
		}
	}
}

// An id in a path is free text of the client: only what is an id is kept.
func TestObjectIsAnIDOrNothing(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	before := p.entries()
	for _, id := range []string{"Mrs Miller", strings.ToUpper(pat.Account), pat.Account + "'", ""} {
		_, err := p.Record(t.Context(), pat, id)
		wantErr(t, "Record", err, store.ErrNotFound)
	}
	for _, e := range p.trail(before) {
		if e.Object != "" {
			t.Errorf("object = %q, want none", e.Object)
		}
	}
}

func TestRestoreLeavesAnEntry(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	ctx := t.Context()
	p.patient("pat")
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := p.Backup(ctx, store.Command("backup"), file); err != nil {
		t.Fatalf("Backup error = %v, want nil", err)
	}
	p.Close()
	p.Store = nil
	a := store.Command("restore")
	a.Address = "192.0.2.9"
	if _, err := store.Restore(ctx, p.options, a, file); err != nil {
		t.Fatalf("Restore error = %v, want nil", err)
	}
	p.other = nil
	p.open()
	all := p.trail(0)
	got := all[len(all)-1]
	want := trace{Seq: len(all), At: got.At, Role: "operator", Action: string(store.RestoreBackup), Outcome: "done", Address: "192.0.2.9", Request: "restore"}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("entry\n got %+v\nwant %+v", got, want)
	}
	p.wantTrail()
}

func TestTrailIsOnlyEverAddedTo(t *testing.T) {
	p := newPractice(t)
	p.patient("pat")
	before := p.dump("audit")
	statements := []string{
		`UPDATE audit SET outcome = 'done' WHERE seq = 1`,
		`UPDATE audit SET seq = 1000 WHERE seq = 1`,
		`DELETE FROM audit WHERE seq = 1`,
		`DELETE FROM audit`,
		`INSERT INTO audit SELECT * FROM audit WHERE seq = 1 ON CONFLICT (lane, seq) DO UPDATE SET outcome = 'done'`,
	}
	if storetest.OnPostgres() {
		statements = append(statements, `TRUNCATE audit`, `TRUNCATE audit CASCADE`)
	} else {
		statements = append(statements, `UPDATE OR REPLACE audit SET seq = 1 WHERE seq = 2`)
		for _, statement := range []string{
			`REPLACE INTO audit SELECT * FROM audit WHERE seq = 1`,
			`INSERT OR REPLACE INTO audit SELECT lane, 1, at, actor, role, session, action, object, version, patient, patients, fields,
				outcome, address, request, mac FROM audit WHERE seq = 2`,
		} {
			if err := p.Script(t.Context(), statement); err == nil { // as the service would
				t.Errorf("%s: error = nil, want one", statement)
			}
		}
	}
	for _, statement := range statements {
		if _, err := p.beside().Exec(statement); err == nil {
			t.Errorf("%s: error = nil, want one", statement)
		}
	}
	if p.dump("audit") != before {
		t.Error("the trail is not as it was")
	}
}

// What was undone leaves nothing, also not in the trail.
func TestUndoneLeavesNoEntry(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	r := p.record(pat, "title")
	tables := []string{"accounts", "sessions", "assignments", "records", "record_versions", "outbox", "audit", "audit_patients", "audit_actors"}
	before := p.dump(tables...)
	for name, do := range map[string]func() error{
		"a name that is taken": func() error {
			_, err := p.CreatePatient(ctx, store.Actor{}, &store.PatientInput{User: user("pat")})
			return err
		},
		"a doctor who is none": func() error {
			_, err := p.ChangePatient(ctx, pat, pat.Account, nil, &store.PatientInput{Phone: ptr("1"), Doctors: &[]string{pat.Account}})
			return err
		},
		"a body that was no body": func() error {
			_, err := p.ChangeRecord(ctx, pat, r.ID, nil, &store.RecordInput{Input: store.Input{Err: errors.New("no body")}, Title: ptr("new")})
			return err
		},
		"a date to come": func() error {
			_, err := p.ChangeRecord(ctx, pat, r.ID, nil, &store.RecordInput{Title: ptr("new"), Date: ptr(store.Instant("2999-01-01T00:00:00.000000Z"))})
			return err
		},
		"a list that cannot be read": func() error {
			_, err := p.Records(ctx, pat, store.RecordFilter{}, store.Paging{Err: errors.New("no list")})
			return err
		},
		"a panic": func() error {
			_, err := p.ChangeRecord(ctx, pat, r.ID, func(string) bool { panic("made to panic") }, &store.RecordInput{Title: ptr("new")})
			return err
		},
	} {
		if err := do(); err == nil {
			t.Errorf("%s: error = nil, want one", name)
		}
		if p.dump(tables...) != before {
			t.Errorf("%s left something", name)
		}
	}
}

// If the trail cannot be written, nothing is done and nothing is answered.
func TestNothingIsAnsweredWithoutAnEntry(t *testing.T) {
	for name, refuse := range map[string]func(w *town){
		"no entry": func(w *town) { w.refuse("audit", `NEW.seq > 0`) },
		"half of it": func(w *town) {
			storetest.NeedsSQLite(w.t)
			w.exec(`CREATE TRIGGER fails AFTER INSERT ON audit BEGIN SELECT RAISE(FAIL, 'made to fail'); END`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			refuse(w)
			tables := []string{"accounts", "sessions", "assignments", "records", "record_versions", "notes", "note_versions", "outbox", "audit",
				"audit_patients", "audit_actors", "erasures", "milestones", "recovery_codes", "one_use", "invitations", "data_keys", "service_keys"}
			before := w.dump(tables...)
			for _, d := range w.deeds() {
				_, err := d.do(d.by)
				switch {
				case d.unseen:
					wantErr(t, d.name, err, nil)
				case storetest.OnPostgres() && d.action == store.BackUp:
					wantErr(t, d.name, err, store.ErrPostgres)
				default:
					wantErr(t, d.name, err, store.ErrUnavailable)
				}
				if w.dump(tables...) != before {
					t.Fatalf("%s: the database is not as it was", d.name)
				}
			}
		})
	}
	for _, index := range []string{"audit_patients", "audit_actors"} {
		t.Run("no "+index, func(t *testing.T) {
			w := newTown(t)
			w.refuse(index, `NEW.seq > 0`)
			before := w.dump("audit", "audit_patients", "audit_actors", "audit_indexed")
			_, err := w.Patients(t.Context(), w.admin, wholePage)
			wantErr(t, "Patients", err, store.ErrUnavailable)
			if w.dump("audit", "audit_patients", "audit_actors", "audit_indexed") != before {
				t.Error("the trail is not as it was")
			}
		})
	}
}
