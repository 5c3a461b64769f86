package handlers_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// together calls f n times at once and waits for all. What f finds out it
// leaves for the test to judge.
func together(n int, f func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { <-start; f(i) })
	}
	close(start)
	all.Wait()
}

// fileReader looks into the database beside the service, without writing.
type fileReader struct {
	*practice
	db *sql.DB
}

func (p *practice) fileReader() fileReader {
	p.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+p.file+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { db.Close() })
	return fileReader{p, db}
}

func (f fileReader) count(query string, args ...any) int {
	f.t.Helper()
	var n int
	if err := f.db.QueryRow(query, args...).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// texts returns the first column, sorted.
func (f fileReader) texts(query string, args ...any) []string {
	f.t.Helper()
	rows, err := f.db.Query(query, args...)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			f.t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// wantWholeTrail checks that the entries are numbered from 1 without a gap, and
// that each holds on to the one before.
func (f fileReader) wantWholeTrail() {
	f.t.Helper()
	entries := f.count(`SELECT COUNT(*) FROM audit`)
	first, last := f.count(`SELECT MIN(seq) FROM audit`), f.count(`SELECT MAX(seq) FROM audit`)
	if entries == 0 || first != 1 || last != entries {
		f.t.Errorf("the trail has %d entries from %d to %d, want them from 1 without a gap", entries, first, last)
	}
	if report, err := f.store.VerifyTrail(f.t.Context(), nil); err != nil || report.Entries != int64(entries) {
		f.t.Errorf("VerifyTrail = %d entries, %v, want %d, nil", report.Entries, err, entries)
	}
}

// wantEveryCreationTraced checks that records and their entries are the same,
// one for one, and returns how many there are.
func (f fileReader) wantEveryCreationTraced() int {
	f.t.Helper()
	records := f.texts(`SELECT id FROM records`)
	traced := f.texts(`SELECT object FROM audit WHERE action = 'record.create' AND outcome = 'done'`)
	if !slices.Equal(records, traced) {
		f.t.Errorf("there are %d records and %d entries of their creation, want the same, one for one", len(records), len(traced))
	}
	return len(records)
}

// statuses counts answers by their status.
func statuses(answers []response) map[int]int {
	counts := make(map[int]int)
	for _, r := range answers {
		counts[r.status]++
	}
	return counts
}

func TestParallelRefreshesHaveOneSuccessor(t *testing.T) {
	p := newPractice(t, nil)
	erika := p.patient("erika")
	first := p.refresh(erika.grant)
	answers := make([]response, 20)
	together(len(answers), func(i int) { answers[i] = p.tokenRoute("refresh", first) })
	successors, accesses := make(map[string]bool), make(map[string]bool)
	for _, r := range answers {
		pair := r.pair(t, "one of 20 refreshes")
		successors[pair.refresh], accesses[pair.access] = true, true
		p.wantLive("one of 20 refreshes", pair)
	}
	if len(successors) != 1 || len(accesses) != 20 {
		t.Errorf("20 refreshes give %d refresh tokens and %d access tokens, want 1 and 20", len(successors), len(accesses))
	}
	file := p.fileReader()
	if n := file.count(`SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL`); n != 1 {
		t.Errorf("20 refreshes leave %d live sessions, want 1", n)
	}
	if n := file.count(`SELECT COUNT(*) FROM audit WHERE action = 'session.refresh' AND outcome = 'done'`); n != 20 {
		t.Errorf("20 refreshes leave %d entries, want 20", n)
	}
	p.wantLive("the successor, used", p.renew(answers[0].pair(t, "the first refresh").refresh))
	file.wantWholeTrail()
}

func TestParallelReplaysAreAllRefused(t *testing.T) {
	p := newPractice(t, nil)
	erika := p.patient("erika")
	first := tokenPair{erika.token, p.refresh(erika.grant)}
	second := p.renew(first.refresh)
	p.clock.Advance(11 * time.Second)
	answers := make([]response, 20)
	together(len(answers), func(i int) { // half replay the parent, half use its successor
		answers[i] = p.tokenRoute("refresh", []string{first.refresh, second.refresh}[i%2])
	})
	for i := 0; i < len(answers); i += 2 {
		answers[i].want(t, "one of 10 replays", http.StatusUnauthorized, answerBadToken)
	}
	for _, r := range answers {
		if r.status == http.StatusOK { // came before the first replay
			p.wantOver("after the replays", r.pair(t, "refresh"))
		}
	}
	p.wantOver("after the replays", first)
	p.wantOver("after the replays", second)
	if n := p.fileReader().count(`SELECT COUNT(*) FROM audit WHERE action = 'session.refresh' AND outcome = 'replayed'`); n != 1 {
		t.Errorf("the trail has %d replays, want the one that ended the session", n)
	}
}

func TestParallelWritersLoseNothing(t *testing.T) {
	const writers, each, people = 64, 8, 8
	p := newPractice(t, nil)
	doc := p.doctor(p.staff("admin"), "doc")
	var patients []person
	for i := range people {
		patients = append(patients, p.patient(fmt.Sprintf("patient%d", i), doc))
	}
	answers := make([][]response, writers)
	together(writers, func(i int) {
		about := patients[i%people]
		by := []person{about, doc}[i/people%2]
		for j := range each {
			body := fmt.Sprintf(`{"title":"%d of %d","description":"text","patient":"%s"}`, j, i, about.id)
			answers[i] = append(answers[i], p.do(by, "POST", "/api/health-records/", body))
			p.do(by, "GET", "/api/health-records/?page_size=3", "").want(t, "GET meanwhile", http.StatusOK, "")
		}
	})
	var created []string
	for i := range answers {
		for j, r := range answers[i] {
			r.want(t, "POST health-records", http.StatusCreated, "")
			if got, want := r.text(t, "title"), fmt.Sprintf("%d of %d", j, i); got != want {
				t.Errorf("POST health-records answers the title %q, want %q", got, want)
			}
			created = append(created, r.text(t, "id"))
		}
	}
	slices.Sort(created)
	if listed := p.allRecords(doc); !slices.Equal(listed, created) {
		t.Errorf("the doctor's list has %d records, want the %d that were created, each once", len(listed), len(created))
	}
	file := p.fileReader()
	if n := file.wantEveryCreationTraced(); n != writers*each {
		t.Errorf("the database has %d records, want %d", n, writers*each)
	}
	file.wantWholeTrail()
}

// allRecords reads a list from its first to its last page and returns the ids,
// sorted.
func (p *practice) allRecords(who person) []string {
	p.t.Helper()
	ids := []string{}
	for next := "/api/health-records/?page_size=100"; next != ""; {
		r := p.do(who, "GET", next, "").want(p.t, "GET health-records", http.StatusOK, "")
		results, _ := r.field(p.t, "results").([]any)
		for _, result := range results {
			ids = append(ids, result.(map[string]any)["id"].(string))
		}
		next = strings.TrimPrefix(r.text(p.t, "next"), "http://example.com")
	}
	slices.Sort(ids)
	return ids
}

func TestParallelChangesOfOneVersion(t *testing.T) {
	const rounds, writers = 5, 16
	p := newPractice(t, nil)
	doc := p.doctor(p.staff("admin"), "doc")
	pat := p.patient("pat", doc)
	record := p.record(doc, pat, "title")
	note := p.note(doc, record, "note")
	for _, test := range []struct {
		who                person
		path, body, member string
	}{
		{doc, "/api/health-records/" + record + "/", `{"title":%q}`, "title"},
		{doc, "/api/doctor-notes/" + note + "/", `{"note":%q}`, "note"},
		{pat, "/api/patients/" + pat.id + "/", `{"address":%q}`, "address"},
		{doc, "/api/doctors/" + doc.id + "/", `{"user":{"first_name":%q}}`, "user.first_name"},
	} {
		tag := p.do(test.who, "GET", test.path, "").header.Get("ETag")
		for round := range rounds {
			answers := make([]response, writers)
			together(writers, func(i int) {
				body := fmt.Sprintf(test.body, fmt.Sprintf("%d in %d", i, round))
				answers[i] = p.do(test.who, "PATCH", test.path, body, "If-Match: "+tag)
			})
			counts := statuses(answers)
			if counts[http.StatusOK] != 1 || counts[http.StatusPreconditionFailed] != writers-1 {
				t.Errorf("%d PATCHes of one version of %s = %v, want one 200, else 412", writers, test.member, counts)
			}
			winner := slices.IndexFunc(answers, func(r response) bool { return r.status == http.StatusOK })
			if winner < 0 {
				continue
			}
			now := p.do(test.who, "GET", test.path, "")
			if got, want := now.text(t, test.member), fmt.Sprintf("%d in %d", winner, round); got != want {
				t.Errorf("%s = %q, want %q of the one that was answered 200", test.member, got, want)
			}
			if got, want := now.header.Get("ETag"), answers[winner].header.Get("ETag"); got != want || got == tag {
				t.Errorf("ETag = %s, want the new one %s", got, want)
			}
			tag = now.header.Get("ETag")
		}
	}
	file := p.fileReader()
	for _, kept := range []string{"record_versions", "note_versions"} {
		if n := file.count(`SELECT COUNT(*) FROM ` + kept); n != rounds {
			t.Errorf("%s has %d rows, want %d", kept, n, rounds)
		}
	}
	file.wantWholeTrail()
}

func TestParallelRegistrationsOfOneName(t *testing.T) {
	p := newPractice(t, nil)
	answers := make([]response, 20)
	names := []string{"erika", "ERIKA", "Erika", "eri\u212Aa"} // the last with the Kelvin sign
	together(len(answers), func(i int) {
		path := []string{"/api/patients/", "/api/doctors/"}[i%2]
		answers[i] = p.do(nobody, "POST", path, registration(names[i%len(names)]), from(i))
	})
	for _, r := range answers {
		if r.status != http.StatusCreated {
			r.want(t, "one of 20 registrations", http.StatusBadRequest, `{"user":{"username":["A user with that username already exists."]}}`)
		}
	}
	if counts := statuses(answers); counts[http.StatusCreated] != 1 {
		t.Errorf("20 registrations of one name = %v, want one 201", counts)
	}
	if n := p.fileReader().count(`SELECT COUNT(*) FROM accounts`); n != 1 {
		t.Errorf("there are %d accounts, want 1", n)
	}
	p.signIn("erika", goodPassword).want(t, "POST token", http.StatusOK, "")
}

// TestParallelAssignments changes the same pairs from both sides at once.
func TestParallelAssignments(t *testing.T) {
	p := newPractice(t, nil)
	admin := p.staff("admin")
	var doctors, patients []person
	for i := range 3 {
		doctors = append(doctors, p.doctor(admin, fmt.Sprintf("doctor%d", i)))
		patients = append(patients, p.patient(fmt.Sprintf("patient%d", i)))
	}
	answers := make([]response, 96)
	together(len(answers), func(i int) {
		who, path, body := patients[i%3], "/api/patients/"+patients[i%3].id+"/", asJSON(map[string]any{"doctors": some(doctors, i/3)})
		if i%2 == 1 {
			who, path, body = admin, "/api/doctors/"+doctors[i%3].id+"/", asJSON(map[string]any{"patients": some(patients, i/3)})
		}
		answers[i] = p.do(who, "PATCH", path, body)
	})
	for _, r := range answers {
		r.want(t, "one of 96 changes of assignments", http.StatusOK, "")
	}
	file := p.fileReader()
	open := file.texts(`SELECT patient_id || ' ' || doctor_id FROM assignments WHERE ended_at IS NULL`)
	if got := p.pairsSeen(admin, "/api/patients/", patients, "doctors", "%[1]s %[2]s"); !slices.Equal(got, open) {
		t.Errorf("the patients show %d pairs, want the %d that are open", len(got), len(open))
	}
	if got := p.pairsSeen(admin, "/api/doctors/", doctors, "patients", "%[2]s %[1]s"); !slices.Equal(got, open) {
		t.Errorf("the doctors show %d pairs, want the %d that are open", len(got), len(open))
	}
	pairs := file.texts(`SELECT doctor_id FROM assignments`)
	mails := file.texts(`SELECT account_id FROM outbox WHERE kind = 'assigned'`)
	if len(pairs) == 0 || !slices.Equal(mails, pairs) {
		t.Errorf("%d pairs were begun and %d mails queued, want one to the doctor of each", len(pairs), len(mails))
	}
	file.wantWholeTrail()
}

// some returns the ids of a subset, each bit of which says who is in it.
func some(people []person, bits int) []string {
	ids := []string{}
	for i, who := range people {
		if bits>>i&1 == 1 {
			ids = append(ids, who.id)
		}
	}
	return ids
}

// pairsSeen returns the pairs that staff see in the profiles of one side.
func (p *practice) pairsSeen(staff person, path string, people []person, member, format string) []string {
	p.t.Helper()
	seen := []string{}
	for _, who := range people {
		others, _ := p.do(staff, "GET", path+who.id+"/", "").field(p.t, member).([]any)
		for _, other := range others {
			seen = append(seen, fmt.Sprintf(format, who.id, other))
		}
	}
	slices.Sort(seen)
	return seen
}

// TestClientsThatGiveUp cancels requests while they wait: each is either
// answered and done, or neither.
func TestClientsThatGiveUp(t *testing.T) {
	p := newPractice(t, nil)
	pat := p.patient("pat")
	answers := make([]response, 128)
	ctx, cancel := context.WithCancel(t.Context())
	together(len(answers), func(i int) {
		if i == len(answers)/2 {
			cancel()
		}
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/health-records/", strings.NewReader(`{"title":"t","description":"d"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+pat.token)
		answers[i] = p.send(r)
	})
	counts := statuses(answers)
	if counts[http.StatusCreated]+counts[http.StatusBadRequest] != len(answers) || counts[http.StatusBadRequest] == 0 {
		t.Errorf("cancelled requests = %v, want some 400, else 201", counts)
	}
	file := p.fileReader()
	if n := file.wantEveryCreationTraced(); n != counts[http.StatusCreated] {
		t.Errorf("there are %d records, want the %d that were answered 201", n, counts[http.StatusCreated])
	}
	file.wantWholeTrail()
	p.record(pat, pat, "afterwards")
}

// TestClientsThatHangUp closes connections right behind a request, and in the
// middle of a body.
func TestClientsThatHangUp(t *testing.T) {
	p := newPractice(t, nil)
	pat := p.patient("pat")
	server := httptest.NewServer(p)
	const body = `{"title":"t","description":"d"}`
	hangUp := func(declared int, body string) {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Errorf("Dial error = %v, want nil", err)
			return
		}
		fmt.Fprintf(conn, "POST /api/health-records/ HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
			pat.token, declared, body)
		conn.Close()
	}
	together(64, func(int) { hangUp(len(body), body) })
	server.Close() // waits for the requests
	file := p.fileReader()
	before := file.wantEveryCreationTraced()
	file.wantWholeTrail()

	server = httptest.NewServer(p)
	together(16, func(i int) { hangUp(len(body), body[:i]) })
	server.Close()
	if n := file.wantEveryCreationTraced(); n != before {
		t.Errorf("bodies that were cut off leave %d records, want none", n-before)
	}
	if strings.Contains(p.log.String(), `"status":500`) {
		t.Error("a client that hangs up is answered 500")
	}
	p.record(pat, pat, "afterwards")
	file.wantWholeTrail()
}
