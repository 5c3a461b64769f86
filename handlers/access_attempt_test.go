package handlers_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"healthrecords/handlers"
	"healthrecords/lambda/lambdatest"
	"healthrecords/store/storetest"
)

// accessLine is a line of the table.
type accessLine struct {
	route  string // "GET /api/patients/{id}/"
	object string
	status map[string]int // by the kind of person
}

// readAccessTable reads the table and returns its columns too.
func readAccessTable(t *testing.T) (columns []string, lines []accessLine) {
	t.Helper()
	route := ""
	for text := range strings.Lines(accessTable) {
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
			continue
		case columns == nil:
			columns = words[2:]
			continue
		case strings.Contains(text, "/"):
			route, words = words[0]+" "+words[1], words[2:]
		}
		if len(words) != 1+len(columns) {
			t.Fatalf("the line %q has %d columns, want %d", strings.TrimSpace(text), len(words)-1, len(columns))
		}
		line := accessLine{route, words[0], make(map[string]int)}
		for i, column := range columns {
			status, err := strconv.Atoi(words[1+i])
			if err != nil {
				t.Fatalf("the line %q has a status that is no number", strings.TrimSpace(text))
			}
			line.status[column] = status
		}
		lines = append(lines, line)
	}
	return columns, lines
}

func TestAccessTableNamesEveryRoute(t *testing.T) {
	_, lines := readAccessTable(t)
	objects := make(map[string][]string)
	for _, line := range lines {
		objects[line.route] = append(objects[line.route], line.object)
	}
	for _, route := range handlers.Routes() {
		if objects[route] == nil {
			t.Errorf("the table does not say who may %s", route)
		}
	}
	for route, tried := range objects {
		if !slices.Contains(handlers.Routes(), route) {
			t.Errorf("the table names %s, which is no route", route)
		}
		if strings.Contains(route, "{id}") && !slices.Contains(tried, "absent") && !slices.Contains(tried, "never") {
			t.Errorf("the table does not say what %s answers for what does not exist", route)
		}
	}
}

func TestAccess(t *testing.T) {
	columns, lines := readAccessTable(t)
	for _, line := range lines {
		t.Run(line.route+" "+line.object, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, line.object == "closed")
			look := w.looker(line.route)
			before := look()
			for _, column := range columns {
				for _, who := range w.people[column] {
					for _, object := range line.objects(w) {
						a := attempt{line, column, who, object}
						if a.refused() || a.method() == "GET" {
							a.leavesAll(t, w)
						} else {
							a.changes(t)
						}
					}
				}
				if !strings.HasPrefix(line.route, "GET ") && look() != before {
					t.Fatalf("%s on %s by %s changed something", line.route, line.object, column)
				}
			}
			if look() != before {
				t.Errorf("%s on %s changed something", line.route, line.object)
			}
		})
	}
}

// TestAccessOnLambda tries every cell of the table once more, through each kind
// of event.
func TestAccessOnLambda(t *testing.T) {
	if storetest.OnPostgres() {
		t.Skip("TestAccess tries the table on PostgreSQL; to the events the database makes no difference")
	}
	columns, lines := readAccessTable(t)
	for _, line := range lines {
		t.Run(line.route+" "+line.object, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, line.object == "closed")
			before := w.everything()
			for _, column := range columns {
				for _, who := range w.people[column] {
					for _, object := range line.objects(w) {
						attempt{line, column, who, object}.onLambda(t, w)
					}
				}
			}
			if w.everything() != before {
				t.Errorf("%s on %s changed something", line.route, line.object)
			}
		})
	}
}

// attempts counts those of TestAccessOnLambda.
var attempts atomic.Int64

// onLambda makes an attempt through each kind of event, or with the race
// detector through one, in turn. One that changes something has a world of its
// own each time.
func (a attempt) onLambda(t *testing.T, w *world) {
	t.Helper()
	kinds := lambdatest.Kinds
	if raceDetector {
		n := int(attempts.Add(1)) % len(kinds)
		kinds = kinds[n : n+1]
	}
	for _, kind := range kinds {
		there := w
		if !a.refused() && a.method() != "GET" {
			there = newWorld(t, a.object == "closed")
		}
		practice := *there.practice
		practice.Handler = lambdatest.Behind(kind, practice.Handler)
		a.send(&world{&practice, w.people, w.objects}).want(t, a.String()+" through "+string(kind), a.want(), a.wantBody())
	}
}

// kind is the kind of object that a line is about.
func (l accessLine) kind() string {
	switch l.route {
	case "POST /api/health-records/":
		return "patients"
	case "POST /api/doctor-notes/":
		return "health-records"
	case "DELETE /api/me/sessions/{id}/":
		return "sessions"
	}
	return strings.Split(l.route, "/")[2]
}

// objects returns the ids of a line's objects, or "" alone when it has none.
func (l accessLine) objects(w *world) []string {
	if slices.Contains([]string{"-", "open", "closed", "none"}, l.object) {
		return []string{""}
	}
	ids := w.objects[l.kind()+"/"+l.object]
	if len(ids) == 0 {
		w.t.Fatalf("the world has no %s that are %s", l.kind(), l.object)
	}
	return ids
}

// attempt is one request of one person about one object.
type attempt struct {
	accessLine
	column string
	who    person
	about  string // the object's id
}

func (a attempt) want() int      { return a.status[a.column] }
func (a attempt) refused() bool  { return a.want() >= 400 }
func (a attempt) method() string { return strings.Fields(a.route)[0] }
func (a attempt) path() string {
	return strings.Replace(strings.Fields(a.route)[1], "{id}", url.PathEscape(a.about), 1)
}

func (a attempt) body() string {
	body := accessBodies[a.route]
	if a.object == "none" {
		body = strings.Replace(body, `,"patient":"{object}"`, "", 1)
	}
	return strings.Replace(body, "{object}", a.about, 1)
}

// String says who tried what, in the table's words.
func (a attempt) String() string { return a.route + " on " + a.object + " by " + a.column }

func (a attempt) send(w *world) response { return w.do(a.who, a.method(), a.path(), a.body()) }

// leavesAll makes an attempt that must not change anything, in all its forms.
func (a attempt) leavesAll(t *testing.T, w *world) {
	t.Helper()
	got := a.send(w).want(t, a.String(), a.want(), a.wantBody())
	if got.status != a.want() {
		return
	}
	if got.status == http.StatusOK && strings.HasSuffix(a.route, "{id}/") && got.text(t, "id") != a.about {
		t.Errorf("%v shows another object", a)
	}
	a.sameInOtherForms(t, w, got)
	if a.about != "" && a.refused() {
		// What may not be seen cannot be told from what never was.
		unknown := a
		unknown.about = w.objects[a.kind()+"/never"][0]
		if never := unknown.send(w); never.status == got.status && (a.want() > http.StatusBadRequest || len(a.about) == len(unknown.about)) {
			never.body = strings.Replace(never.body, unknown.about, a.about, 1)
			got.same(t, a.String()+", the same of an unknown id", never)
		}
	}
}

// showsTrail tells that the answer has one entry more whenever it is asked for.
func (a attempt) showsTrail() bool {
	return strings.HasSuffix(a.route, "/access-log/") || strings.HasSuffix(a.route, "/audit-events/")
}

// wantBody is the whole body of an answer where that is always the same, else "".
func (a attempt) wantBody() string {
	switch {
	case a.want() == http.StatusNotFound:
		return `{"detail":"Not found.","code":"not_found"}`
	case a.want() == http.StatusForbidden && a.object == "closed" && a.column == "nobody":
		return `{"detail":"Registration is closed.","code":"registration_closed"}`
	case a.want() == http.StatusForbidden:
		return `{"detail":"You do not have permission to perform this action.","code":"permission_denied"}`
	case a.want() == http.StatusBadRequest && a.object == "none":
		return `{"patient":["This field is required."]}`
	case a.want() == http.StatusBadRequest && a.about != "":
		field := map[string]string{"patients": "patient", "health-records": "health_record"}[a.kind()]
		return `{"` + field + `":["Invalid pk \"` + a.about + `\" - object does not exist."]}`
	}
	return ""
}

// sameInOtherForms asks again in ways that must make no difference: without
// the trailing slash, with HEAD, and, to who is refused, with conditions and a
// body that would be wrong.
func (a attempt) sameInOtherForms(t *testing.T, w *world, got response) {
	t.Helper()
	if a.showsTrail() && !a.refused() {
		got.body = ""
		got.header.Del("Content-Length")
	}
	again := func(form, method, path, body string, headers ...string) {
		t.Helper()
		other := w.do(a.who, method, path, body, headers...)
		if a.showsTrail() && !a.refused() {
			other.body = ""
			other.header.Del("Content-Length")
		}
		want := got
		if method == "HEAD" {
			want.body = ""
		}
		want.same(t, a.String()+form, other)
	}
	bare := strings.TrimSuffix(a.path(), "/")
	again(" without the slash", a.method(), bare, a.body())
	if a.method() == "GET" {
		again(", HEAD", "HEAD", a.path(), "")
		again(", HEAD without the slash", "HEAD", bare, "")
	}
	if a.want() > http.StatusBadRequest {
		again(" with bad input", a.method(), a.path(), `{"`, `If-Match: "v999"`, "If-None-Match: *")
	}
}

// same checks that two answers are the same byte for byte, but for the names
// of the requests and the time.
func (r response) same(t *testing.T, call string, other response) {
	t.Helper()
	if r.status != other.status || r.body != other.body {
		t.Errorf("%s = %d %s\nwant %d %s", call, other.status, other.body, r.status, r.body)
	}
	for _, h := range []http.Header{r.header, other.header} {
		h.Del("X-Request-Id")
		h.Del("Date")
	}
	if !maps.EqualFunc(r.header, other.header, slices.Equal) {
		t.Errorf("%s: headers = %v, want %v", call, other.header, r.header)
	}
}

// changes makes an attempt that must change something, with and without the
// trailing slash, each in a world of its own.
func (a attempt) changes(t *testing.T) {
	t.Helper()
	for _, path := range []string{a.path(), strings.TrimSuffix(a.path(), "/")} {
		w := newWorld(t, a.object == "closed")
		look := w.looker(a.route)
		before := look()
		got := w.do(a.who, a.method(), path, a.body()).want(t, a.String(), a.want(), "")
		if look() == before {
			t.Errorf("%v changed nothing", a)
		}
		switch location := got.header.Get("Location"); {
		case a.about == "" && got.status != http.StatusCreated: // a route about the caller itself
		case got.status == http.StatusOK && got.text(t, "id") != a.about:
			t.Errorf("%v answers with another object", a)
		case got.status == http.StatusCreated && location != strings.Fields(a.route)[1]+got.text(t, "id")+"/":
			t.Errorf("%v: Location = %q, want the new object's path", a, location)
		case got.status == http.StatusNoContent && w.do(a.who, "GET", path, "").status == http.StatusOK:
			t.Errorf("%v: the object is still there", a)
		}
	}
}
