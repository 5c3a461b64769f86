package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
)

// accesses are the entries of a patient's access log, newest first.
func (p *practice) accesses(a store.Actor, patient string) []string {
	p.t.Helper()
	page, err := p.AccessLog(p.t.Context(), a, patient, wholePage)
	if err != nil {
		p.t.Fatalf("AccessLog error = %v, want nil", err)
	}
	var list []string
	for _, e := range page.Items {
		if !slices.Equal(e.Patients, []string{patient}) {
			p.t.Errorf("an entry in the access log names %d patients, want the one", len(e.Patients))
		}
		list = append(list, string(e.Action)+" by "+string(e.Role)+": "+string(e.Outcome))
	}
	return list
}

// A patient reads who signed in as it or tried to, and when it lost a doctor.
func TestAccessLogTellsOfSignInsAndOfLostDoctors(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc, doc2 := p.doctor(admin, "doc"), p.doctor(admin, "doc2")
	pat, loner := p.patient("pat", doc.Account, doc2.Account), p.patient("loner")
	c, err := p.BeginSignIn(ctx, store.Actor{}, "pat", store.Device{})
	if err != nil {
		t.Fatalf("Credentials error = %v, want nil", err)
	}
	_, err = p.SignIn(ctx, store.Actor{}, c, store.SignInInput{})
	wantErr(t, "SignIn with a wrong password", err, store.ErrCredentials)
	if _, err := p.ChangeDoctor(ctx, admin, doc.Account, nil, &store.DoctorInput{Verified: ptr(false)}); err != nil {
		t.Fatalf("ChangeDoctor error = %v, want nil", err)
	}
	for _, gone := range []string{doc.Account, doc2.Account} {
		if err := p.DeleteDoctor(ctx, admin, gone, nil); err != nil {
			t.Fatalf("DeleteDoctor error = %v, want nil", err)
		}
	}
	beginning := []string{"session.open by patient: done", "patient.create by nobody: done"}
	want := append([]string{
		"doctor.delete by staff: done", "doctor.delete by staff: done", "doctor.change by staff: done", "session.open by nobody: wrong credentials",
	}, beginning...)
	if got := p.accesses(pat, pat.Account); !slices.Equal(got, want) {
		t.Errorf("AccessLog = %q, want %q", got, want)
	}
	if got := p.accesses(loner, loner.Account); !slices.Equal(got, beginning) {
		t.Errorf("AccessLog of a patient without a doctor = %q, want %q", got, beginning)
	}
}

// An export reads a thousand entries at a time and goes on just behind them.
func TestExportTrailWritesEachEntryOnce(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	for _, entries := range []int{1999, 2000, 2001} { // with the export's own
		if err := p.FillTrail(ctx, pat.Account, entries-1-p.entries()); err != nil {
			t.Fatalf("FillTrail error = %v, want nil", err)
		}
		var got []string
		if err := p.ExportTrail(ctx, operator, func(e store.Event) error { got = append(got, e.ID); return nil }); err != nil {
			t.Fatalf("ExportTrail error = %v, want nil", err)
		}
		if want := p.texts(`SELECT lane || '-' || seq FROM audit ORDER BY lane, seq`); len(want) != entries || !slices.Equal(got, want) {
			t.Errorf("ExportTrail wrote %d entries, want each of %d once, in order", len(got), len(want))
		}
	}
	full, n := errors.New("the disk is full"), 0
	err := p.ExportTrail(ctx, operator, func(store.Event) error {
		if n++; n == 1500 {
			return full
		}
		return nil
	})
	if wantErr(t, "ExportTrail to a disk without room", err, full); n != 1500 {
		t.Errorf("ExportTrail wrote %d entries, want it to stop at 1500", n)
	}
}

// The log of a patient is whole wherever the index of the trail ends.
func TestAccessLogGoesOnWhereTheIndexEnds(t *testing.T) {
	p := newPractice(t)
	p.IndexEvery(7)
	ctx := t.Context()
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	pats := []store.Actor{p.patient("pat", doc.Account), p.patient("pat2", doc.Account), p.patient("pat3")}
	ends := map[string]bool{}
	for i := range 30 {
		pat := pats[i%len(pats)]
		p.clock.Advance(time.Second)
		for _, err := range []error{
			second(p.Patient(ctx, pat, pat.Account)),
			second(p.Patients(ctx, []store.Actor{admin, doc, pat}[i/3%3], wholePage)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		patient := pats[i%2].Account
		want := p.texts(`SELECT lane || '-' || seq FROM audit WHERE patient = $1 OR patients LIKE '%' || $1 || '%' ORDER BY seq DESC`, patient)
		for _, size := range []int{3, store.MaxPageSize} {
			if got := p.eventIDs(store.Paging{Size: size}, func(at store.Paging) (store.Page[store.Event], error) {
				return p.Events(ctx, admin, store.EventFilter{Patient: patient}, at)
			}); !slices.Equal(got, want) {
				t.Fatalf("Events of a patient in pages of %d = %q, want %q", size, got, want)
			}
		}
		log := p.eventIDs(store.Paging{Size: 50}, func(at store.Paging) (store.Page[store.Event], error) { return p.AccessLog(ctx, admin, patient, at) })
		if !slices.Equal(log[len(log)-len(want):], want) {
			t.Fatalf("AccessLog = %q, want %q at its end", log, want)
		}
		for _, actor := range []string{pats[i%2].Account, pats[2].Account, doc.Account, admin.Account} {
			want := p.texts(`SELECT lane || '-' || seq FROM audit WHERE actor = $1 ORDER BY seq DESC`, actor)
			if got := p.eventIDs(store.Paging{Size: store.MaxPageSize}, func(at store.Paging) (store.Page[store.Event], error) {
				return p.Events(ctx, admin, store.EventFilter{Actor: actor}, at)
			}); !slices.Equal(got, want) {
				t.Fatalf("Events by an actor = %q, want %q", got, want)
			}
		}
		ends[fmt.Sprint(p.count(`SELECT MAX(seq) FROM audit_indexed`))] = true
	}
	if len(ends) < 10 {
		t.Errorf("the index ended at %d places, want more", len(ends))
	}
	p.wantTrail()
}

// An index that leaves rows out serves a query only that leaves them out in the
// same words.
func TestEverydayActionsAreThoseOfTheSchema(t *testing.T) {
	schema, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if want := "ON audit (action, at, lane, seq) WHERE " + strings.ReplaceAll(store.Everyday, "a.action", "action") + ";"; !strings.Contains(string(schema), want) {
		t.Errorf("schema.sql does not contain %q", want)
	}
}

// PostgreSQL finds a page of events without the rest of the trail.
func TestEventsOnPostgresLeaveTheTrailAlone(t *testing.T) {
	p := onPostgres(t, same)
	pat, admin := p.patient("pat"), p.staff("admin")
	const entries = 3000
	if err := p.FillTrail(t.Context(), pat.Account, entries); err != nil {
		t.Fatalf("FillTrail error = %v, want nil", err)
	}
	p.exec(`ANALYZE`)
	for _, f := range []store.EventFilter{
		{}, {Ordering: "at"}, {Patient: pat.Account}, {Actor: pat.Account}, {Actor: admin.Account}, {Action: store.ReadRecord},
		{Action: store.CreatePatient}, {Outcome: store.Done}, {Outcome: "not found"},
	} {
		query, args := p.EventsQuery(f, 26)
		var plan []struct{ Plan planned }
		var text []byte
		if err := p.explain(&text, query, args); err != nil {
			t.Fatalf("EXPLAIN: %v", err)
		}
		if err := json.Unmarshal(text, &plan); err != nil {
			t.Fatal(err)
		}
		if got := plan[0].Plan.rows(); got > entries/3 {
			t.Errorf("Events(%+v) takes %.0f steps along %d entries:\n%s", f, got, entries, text)
		}
	}
}

// explain carries a query out as the service would, and returns the plan.
func (p *practice) explain(text *[]byte, query string, args []any) error {
	tx, err := p.beside().Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(store.Planning); err != nil {
		return err
	}
	return tx.QueryRow(`EXPLAIN (ANALYZE, FORMAT JSON) `+query, args...).Scan(text)
}

// planned is a step of a plan that PostgreSQL has carried out.
type planned struct {
	Rows    float64 `json:"Actual Rows"`
	Removed float64 `json:"Rows Removed by Filter"`
	Loops   float64 `json:"Actual Loops"`
	Plans   []planned
}

// rows is how many rows were looked at.
func (p planned) rows() float64 {
	sum := (p.Rows + p.Removed) * p.Loops
	for _, from := range p.Plans {
		sum += from.rows()
	}
	return sum
}

// Events are found by what they are, whether an index leads to it or not.
func TestEventsByActionAndOutcome(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	pat, pat2 := p.patient("pat"), p.patient("pat2")
	for range 3 {
		_, err := p.Patient(ctx, pat, pat2.Account)
		wantErr(t, "Patient of another", err, store.ErrNotFound)
		for _, err := range []error{second(p.Patient(ctx, pat, pat.Account)), second(p.AccessLog(ctx, pat, pat.Account, wholePage))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range []store.EventFilter{
		{Action: store.ReadPatient}, {Action: store.ReadAccessLog}, {Outcome: store.Done}, {Outcome: "not found"},
		{Action: store.ReadPatient, Outcome: "not found"}, {Action: store.ReadAccessLog, Outcome: "not found"},
		{Action: store.ReadPatient, Patient: pat2.Account}, {Outcome: "not found", Patient: pat2.Account},
	} {
		want := p.texts(`SELECT lane || '-' || seq FROM audit WHERE ($1 = '' OR action = $1) AND ($2 = '' OR outcome = $2) AND ($3 = '' OR patient = $3)
			ORDER BY at DESC, lane DESC, seq DESC`, f.Action, f.Outcome, f.Patient)
		if got := p.eventIDs(store.Paging{Size: 2}, func(at store.Paging) (store.Page[store.Event], error) {
			return p.Events(ctx, admin, f, at)
		}); !slices.Equal(got, want) {
			t.Errorf("Events(%q) = %q, want %q", f, got, want)
		}
	}
}

// eventIDs are the ids of the events of all pages of a list.
func (p *practice) eventIDs(at store.Paging, list func(store.Paging) (store.Page[store.Event], error)) (ids []string) {
	p.t.Helper()
	for {
		page, err := list(at)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, e := range page.Items {
			ids = append(ids, e.ID)
		}
		if at.From = page.Next; at.From == nil {
			return ids
		}
	}
}

// second is the error of a call that also returns something else.
func second[T any](_ T, err error) error { return err }

// Nobody waits for the many rows of many entries that touched many patients.
func TestEntriesOfManyPatientsAreIndexedSooner(t *testing.T) {
	p := newPractice(t)
	const every = 40
	p.IndexEvery(every)
	admin := p.staff("admin")
	for i := range 8 {
		p.patient(fmt.Sprint("pat", i))
	}
	for indexed := 0; indexed == 0; {
		if _, err := p.Patients(t.Context(), admin, wholePage); err != nil {
			t.Fatal(err)
		}
		touched := p.count(`SELECT SUM(LENGTH(patient || patients) + 1) / 37 FROM audit WHERE patient || patients <> ''`) // each id has 36 bytes
		last := p.count(`SELECT MAX(seq) FROM audit`)
		indexed = p.count(`SELECT MAX(seq) FROM audit_indexed`)
		if touched >= every && indexed != last || touched < every && indexed != 0 || last >= every {
			t.Fatalf("when %d entries have touched %d patients, the index ends at entry %d", last, touched, indexed)
		}
	}
}
