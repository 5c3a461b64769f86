package handlers_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// listTable says whose objects somebody finds in a list: a group of objects as
// in [accessTable], several with a + between, - for none, or the status of a
// refusal. {treats} is the id of that person.
const listTable = `
list                                     patient    other    treats     colleague  stranger former withdrawn        staff

/api/patients/                           patient    other    patient    patient    other    -      -                all
/api/doctors/                            listed     listed   listed     listed     listed   listed listed+withdrawn all
/api/health-records/                     of-patient of-other of-patient of-patient of-other -      -                403
/api/doctor-notes/                       of-patient of-other of-patient of-patient of-other -      -                403

/api/patients/{patient}/health-records/  of-patient 404      of-patient of-patient 404      404    404              403
/api/patients/{other}/health-records/    404        of-other 404        404        of-other 404    404              403
/api/doctors/{treats}/patients/          403        403      patient    403        403      403    403              patient
/api/doctors/{stranger}/patients/        403        403      403        403        other    403    403              other
/api/doctors/{former}/patients/          403        403      403        403        403      -      403              -
/api/doctors/{withdrawn}/patients/       404        404      404        404        404      404    -                -
`

// listFilters say which objects of all the practice a filter is for. What
// somebody finds with it are those of them that it finds without.
var listFilters = []struct{ kind, query, matches string }{
	{"patients", "search=ann", "patient"},
	{"patients", "search=BEN", "other"},
	{"patients", "search=of", "all"},
	{"patients", "search=dee", "-"},
	{"patients", "search=dora", "-"},
	{"doctors", "search=dora", "treats"},
	{"doctors", "search=wim", "withdrawn"},
	{"doctors", "search=dan", "-"},
	{"doctors", "search=ann", "-"},

	{"health-records", "patient={patient}", "of-patient"},
	{"health-records", "patient={other}", "of-other"},
	{"health-records", "patient={patients/never}", "-"},
	{"health-records", "patient={patients/deleted}", "-"},
	{"health-records", "patient={doctors/treats}", "-"},
	{"health-records", "patient=%25", "-"},
	{"health-records", "author={patient}", "by-patient"},
	{"health-records", "author={other}", "by-other"},
	{"health-records", "author={treats}", "by-treats"},
	{"health-records", "author={stranger}", "by-stranger"},
	{"health-records", "author={former}", "by-former"},
	{"health-records", "author={withdrawn}", "by-withdrawn"},
	{"health-records", "author={deleted}", "by-deleted"},
	{"health-records", "author={colleague}", "-"},
	{"health-records", "search=by", "all"},
	{"health-records", "search=BY-STRANGER", "by-stranger"},
	{"health-records", "search=what+by-other", "by-other"},
	{"health-records", "search=remark", "-"},
	{"health-records", "date_after=2000-01-01", "all"},
	{"health-records", "date_before=2100-01-01&ordering=date", "all"},
	{"health-records", "date_before=2000-01-01", "-"},
	{"health-records", "updated_after=2000-01-01", "all"},
	{"health-records", "updated_after=2100-01-01", "-"},
	{"health-records", "patient={patient}&author={stranger}", "-"},
	{"health-records", "patient={other}&search=by-stranger", "by-stranger"},
	{"health-records", "patient={patient}&author={former}&search=by&ordering=date", "by-former"},

	{"doctor-notes", "health_record={health-records/by-treats}", "by-treats"},
	{"doctor-notes", "health_record={health-records/by-stranger}", "by-stranger"},
	{"doctor-notes", "health_record={health-records/by-patient}", "-"},
	{"doctor-notes", "health_record={health-records/deleted}", "-"},
	{"doctor-notes", "health_record={health-records/never}", "-"},
	{"doctor-notes", "updated_after=2000-01-01", "all"},
	{"doctor-notes", "updated_after=2100-01-01", "-"},
	{"doctor-notes", "doctor={treats}", "by-treats"},
	{"doctor-notes", "doctor={stranger}", "by-stranger"},
	{"doctor-notes", "doctor={former}", "by-former"},
	{"doctor-notes", "doctor={withdrawn}", "by-withdrawn"},
	{"doctor-notes", "doctor={deleted}", "by-deleted"},
	{"doctor-notes", "doctor={patient}", "-"},
	{"doctor-notes", "health_record={health-records/by-treats}&doctor={stranger}", "-"},
}

// listLine is a line of the table.
type listLine struct {
	path string
	who  string
	cell string
}

func readListTable(t *testing.T) []listLine {
	t.Helper()
	var lines []listLine
	var columns []string
	for text := range strings.Lines(listTable) {
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
			continue
		case columns == nil:
			columns = words
			continue
		case len(words) != len(columns):
			t.Fatalf("the line %q has %d columns, want %d", strings.TrimSpace(text), len(words), len(columns))
		}
		for i, cell := range words[1:] {
			lines = append(lines, listLine{words[0], columns[1+i], cell})
		}
	}
	return lines
}

// kind is the kind of object in the list.
func (l listLine) kind() string {
	segments := strings.Split(l.path, "/")
	return segments[len(segments)-2]
}

// fill puts ids for names in braces: of a person, or the first of a group.
func (w *world) fill(text string) string {
	w.t.Helper()
	for {
		before, rest, found := strings.Cut(text, "{")
		if !found {
			return text
		}
		name, after, _ := strings.Cut(rest, "}")
		id := ""
		if people := w.people[name]; people != nil {
			id = people[0].id
		} else if objects := w.objects[name]; objects != nil {
			id = objects[0]
		} else {
			w.t.Fatalf("the world has no %s", name)
		}
		text = before + id + after
	}
}

// group returns the ids of the groups in a cell.
func (w *world) group(kind, cell string) []string {
	w.t.Helper()
	ids := []string{}
	for name := range strings.SplitSeq(cell, "+") {
		if name == "-" {
			continue
		}
		found := w.objects[kind+"/"+name]
		if found == nil {
			w.t.Fatalf("the world has no %s that are %s", kind, name)
		}
		ids = append(ids, found...)
	}
	return ids
}

// listed returns the ids in a list, in its order, and the next page's URL.
func (r response) listed(t *testing.T) (ids []string, next string) {
	t.Helper()
	var body struct {
		Next    *string
		Results []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || r.status != http.StatusOK {
		t.Fatalf("status = %d, want 200 and a list", r.status)
	}
	for _, row := range body.Results {
		ids = append(ids, row.ID)
	}
	if body.Next != nil {
		next = *body.Next
	}
	return ids, next
}

func sameIDs(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestListsShowWhatMayBeSeen(t *testing.T) {
	w := newWorld(t, false)
	for _, line := range readListTable(t) {
		t.Run(line.who+" "+line.path, func(t *testing.T) {
			path, who := w.fill(line.path), w.one(line.who)
			got := w.do(who, "GET", path, "")
			if status, err := strconv.Atoi(line.cell); err == nil {
				got.want(t, "GET "+line.path, status, "")
				line.staysRefused(t, w, got)
				return
			}
			visible := w.group(line.kind(), line.cell)
			ids, _ := got.listed(t)
			if !sameIDs(ids, visible) {
				t.Errorf("GET %s shows %d objects, want the %d that are %s, and those alone", line.path, len(ids), len(visible), line.cell)
			}
			line.staysNarrow(t, w, visible)
			line.turnsPages(t, w, ids)
		})
	}
}

// staysRefused checks that no query makes a difference to who may not list.
func (l listLine) staysRefused(t *testing.T, w *world, refusal response) {
	t.Helper()
	queries := []string{"color=red", "page_size=0", "cursor=x", "search=a&search=b"}
	for _, f := range listFilters {
		if f.kind == l.kind() {
			queries = append(queries, w.fill(f.query))
		}
	}
	for _, query := range queries {
		refusal.same(t, "GET "+l.path+"?"+query, w.do(w.one(l.who), "GET", w.fill(l.path)+"?"+query, ""))
	}
}

// staysNarrow checks that every filter shows what it is for, of what is visible.
func (l listLine) staysNarrow(t *testing.T, w *world, visible []string) {
	t.Helper()
	for _, f := range listFilters {
		if f.kind != l.kind() {
			continue
		}
		matching := w.group(f.kind, f.matches)
		want := slices.DeleteFunc(slices.Clone(visible), func(id string) bool { return !slices.Contains(matching, id) })
		got, _ := w.do(w.one(l.who), "GET", w.fill(l.path)+"?"+w.fill(f.query), "").listed(t)
		if !sameIDs(got, want) {
			t.Errorf("GET %s?%s shows %d objects, want the %d that are %s, of those that are %s", l.path, f.query, len(got), len(want), f.matches, l.cell)
		}
	}
}

// turnsPages checks that pages of one object show the same list, and that
// nobody else can use their cursors.
func (l listLine) turnsPages(t *testing.T, w *world, whole []string) {
	t.Helper()
	var got []string
	for next := w.fill(l.path) + "?page_size=1"; next != ""; {
		var ids []string
		ids, next = w.do(w.one(l.who), "GET", next, "").listed(t)
		got = append(got, ids...)
		if len(got) > len(whole) {
			break
		}
		link, err := url.Parse(next)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"patient", "other", "treats", "colleague", "stranger", "former", "withdrawn", "staff"} {
			if next == "" || kind == l.who {
				continue
			}
			if r := w.do(w.one(kind), "GET", link.RequestURI(), ""); r.status < 400 {
				t.Errorf("GET %s with the cursor of %s by %s = %d, want a refusal", l.path, l.who, kind, r.status)
			}
		}
	}
	if !slices.Equal(got, whole) {
		t.Errorf("GET %s in pages of one shows %d objects, want the same %d in the same order", l.path, len(got), len(whole))
	}
}

func TestRecordsShowTheirLivingNotesAlone(t *testing.T) {
	w := newWorld(t, false)
	for _, group := range []string{"by-patient", "by-treats", "by-former", "by-withdrawn", "by-deleted"} {
		for _, kind := range []string{"patient", "treats", "colleague"} {
			record := w.ask(kind, "GET /api/health-records/{health-records/"+group+"}/", "")
			var got []string
			for i := 0; record.field(t, "doctor_notes."+strconv.Itoa(i)) != nil; i++ {
				got = append(got, record.text(t, "doctor_notes."+strconv.Itoa(i)+".id"))
			}
			if want := w.objects["doctor-notes/"+group]; !slices.Equal(got, want) {
				t.Errorf("%s sees %d notes on the record %s, want the %d that were not deleted", kind, len(got), group, len(want))
			}
		}
	}
}
