package handlers_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
	"healthrecords/store/storetest"
)

// twins are two practices, one on each engine, that live through the same.
type twins struct {
	t      *testing.T
	sides  [2]*twin
	random *rand.Rand
	played map[string]bool // routes that have answered well
	step   int

	// What the script knows, told by symbols.
	people  []string            // names of who may act, by their place in each twin's list
	objects map[string][]string // ids by the collection
	authors map[string]int      // who made an object, or is it
	tags    map[string]string   // the last ETag of a path
	links   []string            // paths of further pages, each with who may follow it
	readers []int
	refresh []string // tokens
	access  []string
}

// twin is one of them. What differs between the two by its nature, which is
// ids, tokens and cursors, is told by symbols in order of appearance.
type twin struct {
	*practice
	people  []person
	symbols map[string]string // of what was seen
	values  map[string]string // of symbols
}

// opaque are ids, tokens, and cursors, and the ids of entries in the trail.
var (
	opaque = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|cursor=[\w%-]+|"\d+-\d+"`)
	symbol = regexp.MustCompile(`<\d+>`)
)

func (w *twin) told(text string) string {
	return opaque.ReplaceAllStringFunc(text, func(found string) string {
		value := strings.Trim(found, `"`)
		if w.symbols[value] == "" {
			s := fmt.Sprintf("<%d>", len(w.symbols))
			w.symbols[value], w.values[s] = s, value
		}
		return strings.Replace(found, value, w.symbols[value], 1)
	})
}

func (w *twin) meant(text string) string {
	return symbol.ReplaceAllStringFunc(text, func(s string) string { return cmp.Or(w.values[s], s) })
}

// request makes a request and tells all of the answer, except the request's id.
func (w *twin) request(who int, fresh bool, method, path, body string, headers []string) response {
	by := nobody
	if who >= 0 {
		by = w.people[who]
		if fresh {
			by.token = w.access(by.grant)
		}
	}
	meant := make([]string, len(headers))
	for i, h := range headers {
		meant[i] = w.meant(h)
	}
	r := w.do(by, method, w.meant(path), w.meant(body), meant...)
	r.header.Del("X-Request-Id")
	r.header.Del("Content-Length") // of tokens
	for name, values := range r.header {
		told := make([]string, len(values)) // values may be shared with other answers
		for i, v := range values {
			told[i] = w.told(v)
		}
		r.header[name] = told
	}
	r.body = w.told(r.body)
	return r
}

func newTwins(t *testing.T, urls ...string) *twins {
	t.Helper()
	w := &twins{t: t, random: rand.New(rand.NewPCG(4, 2)), played: map[string]bool{}, objects: map[string][]string{}, authors: map[string]int{}, tags: map[string]string{}}
	for i, url := range urls {
		w.sides[i] = &twin{symbols: map[string]string{}, values: map[string]string{}}
		w.sides[i].practice = newPractice(t, func(so *store.Options, _ *handlers.Options) {
			so.URL, so.MaxConnections = url, 1 // and so the trail has one lane, as on SQLite
		})
	}
	for i := range 2 {
		w.join(fmt.Sprint("staff", i), func(s *twin, name string) person { return s.staff(name) })
	}
	for i := range 5 {
		by := i % 2 // the last makes itself, and so is not verified
		w.join(fmt.Sprint("doctor", i), func(s *twin, name string) person {
			if i == 4 {
				return s.doctor(nobody, name)
			}
			return s.doctor(s.people[by], name)
		})
	}
	for i := range 10 {
		w.join(fmt.Sprint("patient", i), func(s *twin, name string) person {
			return s.patient(name, s.people[2+i%3], s.people[3+i%3], s.people[2+(i+2)%3])
		})
	}
	return w
}

// join lets somebody act from now on.
func (w *twins) join(name string, enter func(*twin, string) person) {
	w.t.Helper()
	var ids [2]string
	for i, s := range w.sides {
		p := enter(s, name)
		s.people = append(s.people, p)
		ids[i] = s.told(p.id)
	}
	if ids[0] != ids[1] {
		w.t.Fatalf("%s is %s and %s", name, ids[0], ids[1])
	}
	w.authors[ids[0]] = len(w.people)
	w.people = append(w.people, name)
	if kind := strings.TrimRight(name, "0123456789"); kind != "staff" {
		w.objects[kind+"s"] = append(w.objects[kind+"s"], ids[0])
	}
}

// play makes one request on both sides and compares the answers.
func (w *twins) play(who int, method, path, body string, headers ...string) response {
	w.t.Helper()
	return w.playWith(true, who, method, path, body, headers...)
}

func (w *twins) playWith(fresh bool, who int, method, path, body string, headers ...string) response {
	w.t.Helper()
	w.step++
	var got [2]response
	var both sync.WaitGroup
	for i, s := range w.sides {
		both.Go(func() { got[i] = s.request(who, fresh, method, path, body, headers) })
	}
	both.Wait()
	all := func(r response) string { return fmt.Sprintf("%d %v %s", r.status, r.header, r.body) }
	if a, b := all(got[0]), all(got[1]); a != b {
		w.t.Fatalf("step %d: %s %s %s\nSQLite:     %s\nPostgreSQL: %s", w.step, method, path, body, a, b)
	}
	r := got[0]
	if r.status < 400 {
		w.played[w.route(method, path)] = true
	}
	if tag := r.header.Get("ETag"); tag != "" {
		w.tags[path] = tag
	}
	return r
}

// route is the route of a path.
func (w *twins) route(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	return method + " " + symbol.ReplaceAllString(path, "{id}")
}

func pick[T any](random *rand.Rand, list []T) (v T) {
	if len(list) > 0 {
		v = list[random.IntN(len(list))]
	}
	return v
}

func (w *twins) often(percent int) bool { return w.random.IntN(100) < percent }

// who is somebody: most often a patient or a doctor, now and then nobody.
func (w *twins) who(kind string) int {
	if w.often(4) {
		return -1
	}
	if w.often(10) {
		kind = ""
	}
	var all []int
	for i, name := range w.people {
		if strings.HasPrefix(name, kind) {
			all = append(all, i)
		}
	}
	return pick(w.random, all)
}

func (w *twins) id(collection string) string {
	if w.often(4) {
		return pick(w.random, []string{"019c0000-0000-7000-8000-000000000000", "no-id", "%00", "<1>"})
	}
	return pick(w.random, w.objects[collection])
}

// text is one to be entered; some are not good, or strange.
func (w *twins) text(words int) string {
	if w.often(4) {
		return pick(w.random, []string{`""`, `null`, `7`, `"\u0000"`, `"\ud800"`, `"  "`, `"Übelkeit, 腹痛 \ud83e\udd12 \"quoted\" % _ \\ '"`, `"` + strings.Repeat("x", 250) + `"`, `["a"]`})
	}
	return asJSON(prose(w.random, 1+w.random.IntN(words)))
}

func (w *twins) instant() string {
	if w.often(10) {
		return pick(w.random, []string{`"yesterday"`, `"2026-02-30T00:00:00Z"`, `"2999-01-01T00:00:00Z"`, `null`})
	}
	at := w.sides[0].clock.Now().Add(-time.Duration(w.random.IntN(1000)) * time.Hour)
	return asJSON(at.In(time.FixedZone("", 3600*w.random.IntN(5))).Format(time.RFC3339Nano))
}

// object is a JSON object of some of the members; "name" and its value take
// turns.
func (w *twins) object(members ...string) string {
	var some []string
	for i := 0; i < len(members); i += 2 {
		if w.often(94) {
			some = append(some, asJSON(members[i])+":"+members[i+1])
		}
	}
	if w.often(3) {
		some = append(some, `"unknown":1`)
	}
	return "{" + strings.Join(some, ",") + "}"
}

// seldom is the name of a member that is most often left out, for another that
// is ignored.
func (w *twins) seldom(name string) string {
	if w.often(20) {
		return name
	}
	return "id"
}

func (w *twins) ids(collection string) string {
	list := []string{}
	for range w.random.IntN(4) {
		list = append(list, w.id(collection))
	}
	return strings.Join([]string{"[", "]"}, strings.Join(quoted(list), ","))
}

func quoted(list []string) []string {
	for i, s := range list {
		list[i] = asJSON(s)
		list[i] = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(list[i])
	}
	return list
}

// condition is If-Match, now and then with a version that is no longer.
func (w *twins) condition(name, path string) []string {
	switch w.random.IntN(5) {
	case 0, 1:
		if tag := w.tags[path]; tag != "" {
			return []string{name + ": " + tag}
		}
	case 2:
		return []string{name + `: "v1"`}
	}
	return nil
}

func (w *twins) register(collection string) {
	name := fmt.Sprintf("%s-%d", strings.TrimSuffix(collection, "s"), w.step)
	if w.often(15) {
		name = pick(w.random, w.people)
	}
	user := w.object("username", asJSON(name), "password", asJSON(goodPassword), "first_name", w.text(2), "last_name", w.text(2), "email", asJSON(name+"@example.test"))
	body := w.object("user", user, "date_of_birth", `"1980-02-03"`, "phone_number", `"0123 4567"`, "doctors", w.ids("doctors"))
	by := pick(w.random, []int{-1, -1, 0, 1, w.who("")})
	if collection == "doctors" {
		body = w.object("user", user, "specialization", w.text(2), "license_number", w.text(1), "verified", "true", "patients", w.ids("patients"))
	}
	r := w.play(by, "POST", "/api/"+collection+"/", body)
	if r.status != http.StatusCreated {
		return
	}
	w.join(strings.TrimSuffix(collection, "s")+fmt.Sprint(w.step), func(s *twin, _ string) person { return s.signedIn(name) })
	tokens := w.play(-1, "POST", "/api/token/", asJSON(map[string]string{"username": name, "password": goodPassword}))
	w.keepTokens(tokens)
}

func (w *twins) keepTokens(r response) {
	if r.status == http.StatusOK {
		w.refresh = append(w.refresh, r.text(w.t, "refresh"))
		w.access = append(w.access, r.text(w.t, "access"))
	}
}

func (w *twins) create(collection string) {
	by, body := w.who("patient"), ""
	if collection == "doctor-notes" {
		by = w.who("doctor")
		body = w.object("note", w.text(30), "health_record", quoted([]string{w.id("health-records")})[0])
	} else {
		members := []string{"title", w.text(5), "description", w.text(60), "date", w.instant()}
		if w.often(50) {
			by = w.who("doctor")
			members = append(members, "patient", quoted([]string{w.id("patients")})[0])
		}
		body = w.object(members...)
	}
	r := w.play(by, "POST", "/api/"+collection+"/", body)
	if r.status == http.StatusCreated {
		id := r.text(w.t, "id")
		w.objects[collection] = append(w.objects[collection], id)
		w.authors[id] = by
	}
}

// owner is who made an object, or somebody else.
func (w *twins) owner(id, kind string) int {
	if by, ok := w.authors[id]; ok && w.often(60) {
		return by
	}
	return w.who(kind)
}

func (w *twins) change(collection string) {
	id := w.id(collection)
	path := "/api/" + collection + "/" + id + "/"
	var by int
	var body string
	switch collection {
	case "patients":
		by = pick(w.random, []int{0, 1, w.owner(id, "patient"), w.owner(id, "patient")})
		body = w.object("user", w.object("first_name", w.text(2), "last_name", w.text(2)), "phone_number", w.text(1), "address", w.text(6), w.seldom("doctors"), w.ids("doctors"))
	case "doctors":
		by = pick(w.random, []int{0, 1, w.owner(id, "doctor")})
		body = w.object("user", w.object("first_name", w.text(2)), "specialization", w.text(2), "verified", pick(w.random, []string{"true", "true", "true", "true", "false"}), w.seldom("patients"), w.ids("patients"))
	case "health-records":
		by = w.owner(id, "doctor")
		body = w.object("title", w.text(4), "description", w.text(40), "date", w.instant())
	case "doctor-notes":
		by = w.owner(id, "doctor")
		body = w.object("note", w.text(20))
	}
	w.play(by, pick(w.random, []string{"PUT", "PATCH", "PATCH"}), path, body, w.condition("If-Match", path)...)
}

func (w *twins) remove(collection string) {
	id := w.id(collection)
	path := "/api/" + collection + "/" + id + "/"
	w.play(w.owner(id, "doctor"), "DELETE", path, "", w.condition("If-Match", path)...)
}

func (w *twins) read(collection string) {
	id := w.id(collection)
	path := "/api/" + collection + "/" + id + "/"
	by := w.owner(id, pick(w.random, []string{"patient", "doctor", "staff"}))
	w.play(by, pick(w.random, []string{"GET", "GET", "GET", "HEAD"}), path, "", w.condition("If-None-Match", path)...)
}

func (w *twins) list() {
	path, id := pick(w.random, []string{"/api/patients/", "/api/doctors/", "/api/health-records/", "/api/health-records/", "/api/doctor-notes/", "/api/audit-events/"}), ""
	if w.often(50) {
		nested := pick(w.random, []string{"patients health-records", "patients access-log", "doctors patients", "health-records versions", "doctor-notes versions"})
		collection, part, _ := strings.Cut(nested, " ")
		id = w.id(collection)
		path = "/api/" + collection + "/" + id + "/" + part + "/"
	}
	var filters []string
	for _, f := range []string{
		"page_size=" + fmt.Sprint(1+w.random.IntN(6)), "search=" + pick(w.random, vocabulary), "ordering=" + pick(w.random, []string{"date", "-date"}),
		"patient=" + w.id("patients"), "patient=%00", "author=%ff", "author=" + w.id("doctors"), "doctor=" + w.id("doctors"), "health_record=" + w.id("health-records"),
		"date_after=2026-02-01", "date_before=2026-02-20T10:00:00Z", "page_size=0",
	} {
		if w.often(6) {
			filters = append(filters, f)
		}
	}
	by := w.owner(id, pick(w.random, []string{"patient", "doctor", "staff"}))
	w.follow(by, w.play(by, "GET", path+"?"+strings.Join(filters, "&"), ""))
}

// follow keeps the links of a page, to be followed later.
func (w *twins) follow(by int, r response) {
	if r.status != http.StatusOK {
		return
	}
	for _, name := range []string{"next", "previous"} {
		if link := r.text(w.t, name); link != "" {
			w.links, w.readers = append(w.links, strings.TrimPrefix(link, "http://example.com")), append(w.readers, by)
		}
	}
}

func (w *twins) turn() {
	if len(w.links) == 0 {
		return
	}
	i := max(0, len(w.links)-1-w.random.IntN(10))
	by := w.readers[i]
	if w.often(5) {
		by = w.who("")
	}
	w.follow(by, w.play(by, "GET", w.links[i], ""))
}

func (w *twins) tokens() {
	refresh := asJSON(map[string]string{"refresh": "x"})
	if len(w.refresh) > 0 {
		i := max(0, len(w.refresh)-1-w.random.IntN(4))
		refresh = `{"refresh":"` + w.refresh[i] + `"}`
	}
	switch w.random.IntN(8) {
	case 0, 1, 2, 3:
		w.keepTokens(w.play(-1, "POST", "/api/token/refresh/", refresh))
	case 4:
		w.play(-1, "POST", "/api/token/verify/", `{"token":"`+cmp.Or(pick(w.random, w.access), "x")+`"}`)
	case 5:
		if w.often(30) {
			w.play(-1, "POST", "/api/token/blacklist/", refresh)
		}
	case 6:
		w.play(-1, "GET", "/api/me/", "", "Authorization: Bearer "+cmp.Or(pick(w.random, w.access), "x"))
	case 7:
		name := pick(w.random, w.people)
		w.keepTokens(w.play(-1, "POST", "/api/token/", asJSON(map[string]string{"username": name, "password": pick(w.random, []string{goodPassword, "wrong", ""})})))
	}
}

// any calls some route with what does not fit it in particular.
func (w *twins) any() {
	method, path, _ := strings.Cut(pick(w.random, handlers.Routes()), " ")
	collection := pick(w.random, []string{"patients", "doctors", "health-records", "doctor-notes"})
	path = strings.ReplaceAll(path, "{id}", w.id(collection))
	if w.often(10) {
		method = pick(w.random, []string{"POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"})
	}
	if method == "DELETE" && w.often(80) {
		method = "GET"
	}
	body := pick(w.random, []string{"", "{}", "[]", `{"title":`, `{"title":"a","title":"b"}`, "null", `{"user":7}`, `{"note":"n","health_record":"\u0000"}`, `{"title":"t","description":"d","patient":"\u0000"}`, `{"doctors":["\u0000"]}`, strings.Repeat(" ", 70<<10)})
	headers := pick(w.random, [][]string{nil, nil, nil, {"Content-Type: text/plain"}, {"Authorization: Basic x"}, {"Host: evil.example"}, {"Origin: https://app.example.org"}})
	w.playWith(w.often(90), w.who(""), method, path, body, headers...)
}

// command does what an operator does, on both sides.
func (w *twins) command() {
	name, active := pick(w.random, w.people[2:]), w.often(80)
	erase := w.often(10)
	gone := w.id("patients")
	var errs [2]error
	for i, s := range w.sides {
		if errs[i] = s.store.SetActive(w.t.Context(), store.Command("user"), name, active); erase {
			errs[i] = s.store.ErasePatient(w.t.Context(), store.Command("erase"), s.meant(gone), "asked for it")
		}
	}
	if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
		w.t.Fatalf("step %d: a command: error = %v on SQLite, %v on PostgreSQL", w.step, errs[0], errs[1])
	}
}

// An hour of everybody's work, from a fixed seed, on both engines: every answer
// is the same, and so is what is left behind.
func TestBothEnginesAnswerAlike(t *testing.T) {
	sqlite, postgres := "sqlite:"+filepath.Join(t.TempDir(), "health.db"), storetest.Postgres(t)
	l := listener{statements: map[string]bool{}}
	w := newTwins(t, sqlite, l.between(t, postgres))
	l.write(true)
	steps := 2000
	if testing.Short() {
		steps = 300
	}
	collections := []string{"patients", "doctors", "health-records", "doctor-notes"}
	acts := []struct {
		weight int
		do     func()
	}{
		{2, func() { w.register("patients") }},
		{1, func() { w.register("doctors") }},
		{18, func() { w.create("health-records") }},
		{12, func() { w.create("doctor-notes") }},
		{16, func() { w.change(pick(w.random, collections)) }},
		{2, func() { w.remove(pick(w.random, collections[2:])) }},
		{1, func() { w.remove(pick(w.random, collections)) }},
		{15, func() { w.read(pick(w.random, collections)) }},
		{15, w.list},
		{8, w.turn},
		{4, w.tokens},
		{5, w.any},
		{1, func() { l.write(false); w.command(); l.write(true) }},
	}
	var total int
	for _, a := range acts {
		total += a.weight
	}
	for w.step < steps {
		if w.often(70) {
			by := time.Duration(w.random.IntN(3_000_000)) * time.Microsecond
			w.sides[0].clock.Advance(by)
			w.sides[1].clock.Advance(by)
		}
		n := w.random.IntN(total)
		for _, a := range acts {
			if n -= a.weight; n < 0 {
				a.do()
				break
			}
		}
	}
	for _, route := range []string{"GET /api/me/", "GET /readyz", "POST /api/token/refresh/", "GET /api/patients/{id}/access-log/", "PATCH /api/doctors/{id}/",
		"PUT /api/health-records/{id}/", "DELETE /api/health-records/{id}/", "GET /api/health-records/{id}/versions/", "GET /api/doctors/{id}/patients/", "GET /api/audit-events/"} {
		if steps == 2000 && !w.played[route] {
			t.Errorf("%s never went well: too little was proved", route)
		}
	}
	l.write(false)
	l.wantNoScans(t, sqlite, postgres)
	w.wantSameRemains()
}

// wantSameRemains compares the trails, the mail and the sizes of all tables.
func (w *twins) wantSameRemains() {
	w.t.Helper()
	var remains [2][]string
	for i, s := range w.sides {
		if _, err := s.store.VerifyTrail(w.t.Context(), nil); err != nil {
			w.t.Errorf("VerifyTrail error = %v, want nil", err)
		}
		f := s.fileReader()
		for _, table := range []string{"accounts", "assignments", "sessions", "records", "record_versions", "notes", "note_versions", "outbox", "audit", "erasures", "service_keys"} {
			remains[i] = append(remains[i], fmt.Sprint(table, f.count(`SELECT COUNT(*) FROM `+table)))
		}
		var entries []string
		for _, e := range f.texts(`SELECT at || ' ' || actor || ' ' || role || ' ' || action || ' ' || object || ' ' || version || ' ' || patient || ' ' ||
				fields || ' ' || outcome || ' ' || address FROM audit`) {
			entries = append(entries, s.told(e))
		}
		slices.Sort(entries)
		remains[i] = append(remains[i], entries...)
		for {
			mails, err := s.store.ClaimMail(w.t.Context(), 50, time.Hour)
			if err != nil {
				w.t.Fatalf("ClaimMail error = %v, want nil", err)
			}
			if len(mails) == 0 {
				break
			}
			for _, m := range mails {
				remains[i] = append(remains[i], fmt.Sprint("mail ", m.Kind, " to ", m.To))
			}
		}
	}
	for n := range min(len(remains[0]), len(remains[1])) {
		if a, b := remains[0][n], remains[1][n]; a != b {
			w.t.Fatalf("what is left differs:\nSQLite:     %s\nPostgreSQL: %s", a, b)
		}
	}
	if len(remains[0]) != len(remains[1]) {
		w.t.Errorf("%d lines are left on SQLite, %d on PostgreSQL", len(remains[0]), len(remains[1]))
	}
}
