package handlers_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
)

const (
	emptyList     = `{"next":null,"previous":null,"results":[]}`
	invalidCursor = `{"detail":"Invalid cursor.","code":"invalid_cursor"}`
)

// listPage is a page of a list as a client reads it.
type listPage struct {
	next, previous string
	ids            []string
}

func (c *clinic) page(who person, url string) listPage {
	c.t.Helper()
	r := c.read(who, url)
	p := listPage{r.text(c.t, "next"), r.text(c.t, "previous"), []string{}}
	results, _ := r.field(c.t, "results").([]any)
	for i := range results {
		p.ids = append(p.ids, r.text(c.t, fmt.Sprintf("results.%d.id", i)))
	}
	return p
}

// all returns the ids of a list that fits on one page.
func (c *clinic) all(who person, url string) []string {
	c.t.Helper()
	p := c.page(who, url)
	if p.next != "" || p.previous != "" {
		c.t.Errorf("GET %s has other pages", url)
	}
	return p.ids
}

// wantPages walks through a list to its end and back, and wants the ids on
// pages of that size.
func (c *clinic) wantPages(who person, path string, size int, want []string) {
	c.t.Helper()
	pages := slices.Collect(slices.Chunk(want, size))
	if len(pages) == 0 {
		pages = [][]string{{}}
	}
	at := fmt.Sprintf("%s?page_size=%d", path, size)
	if strings.Contains(path, "?") {
		at = fmt.Sprintf("%s&page_size=%d", path, size)
	}
	var p listPage
	for i, ids := range pages {
		p = c.page(who, at)
		if !slices.Equal(p.ids, ids) || (p.next != "") != (i < len(pages)-1) || (p.previous != "") != (i > 0) {
			c.t.Errorf("%s, page %d of %d forwards = %v, next %v, previous %v; want %v", path, i+1, len(pages), p.ids, p.next != "", p.previous != "", ids)
			return
		}
		at = p.next
	}
	for i := len(pages) - 2; i >= 0; i-- {
		p = c.page(who, p.previous)
		if !slices.Equal(p.ids, pages[i]) || p.next == "" || (p.previous != "") != (i > 0) {
			c.t.Errorf("%s, page %d of %d backwards = %v, next %v, previous %v; want %v", path, i+1, len(pages), p.ids, p.next != "", p.previous != "", pages[i])
			return
		}
	}
	if len(pages) > 1 {
		if p = c.page(who, p.next); !slices.Equal(p.ids, pages[1]) {
			c.t.Errorf("%s, forwards again = %v, want %v", path, p.ids, pages[1])
		}
	}
}

func TestPagesForwardsAndBackwards(t *testing.T) {
	c := newClinic(t)
	noted := c.record(c.doc, c.patient("noted", c.doc), "Noted")
	doctors := []string{c.colleague.id, c.doc.id}
	var patients, records, notes []string // newest first
	for total := range 6 {
		for _, list := range []struct {
			who  person
			path string
			want []string
		}{
			{c.colleague, "/api/patients/", patients},
			{c.colleague, doctorPath(c.colleague.id) + "patients/", patients},
			{c.admin, doctorPath(c.colleague.id) + "patients/", patients},
			{c.pat, "/api/doctors/", doctors},
			{c.pat, "/api/health-records/", records},
			{c.doc, patientPath(c.pat.id) + "health-records/", records},
			{c.doc, "/api/doctor-notes/", notes},
		} {
			for _, size := range []int{1, 2, 3, 100} {
				c.wantPages(list.who, list.path, size, list.want)
			}
		}
		name := fmt.Sprint("number-", total)
		patients = slices.Insert(patients, 0, c.patient(name, c.colleague).id)
		doctors = slices.Insert(doctors, 0, c.doctor(c.admin, name+"-md").id)
		records = slices.Insert(records, 0, c.record(c.pat, c.pat, name))
		notes = slices.Insert(notes, 0, c.note(c.doc, noted, name))
		if total%2 == 0 { // else rows of one moment
			c.clock.Advance(time.Second)
		}
	}
}

func TestPageSize(t *testing.T) {
	c := newClinic(t)
	var records []string
	for i := range 101 {
		records = slices.Insert(records, 0, c.record(c.pat, c.pat, fmt.Sprintf("Visit %03d", i)))
	}
	for query, want := range map[string]int{"": 25, "?page_size=1": 1, "?page_size=25": 25, "?page_size=99": 99, "?page_size=100": 100} {
		if p := c.page(c.doc, "/api/health-records/"+query); len(p.ids) != want || p.next == "" {
			t.Errorf("GET health-records%s = %d rows of 101, want %d", query, len(p.ids), want)
		}
	}
	c.wantPages(c.doc, "/api/health-records/", 100, records)
	c.wantPages(c.doc, "/api/health-records/?search=visit", 100, records)
	c.wantPages(c.doc, "/api/health-records/?search=VISIT+00", 3, records[91:])
	c.wantPages(c.doc, "/api/health-records/?search=visit+100+what", 1, records[:1])
	c.wantPages(c.doc, "/api/health-records/?search=000&ordering=date", 1, records[100:])
	for _, size := range []string{"0", "101", "-1", "01", "%2B5", "+5", "5+", "1.0", "1e1", "", "x", "0x5", "99999999999999999999", "%D9%A5"} {
		for _, path := range []string{"/api/health-records/", "/api/patients/", "/api/doctors/", "/api/doctor-notes/"} {
			r := c.do(c.doc, "GET", path+"?page_size="+size, "").want(t, "GET "+path+"?page_size="+size, 400, "")
			if r.field(t, "page_size.0") == nil {
				t.Errorf("GET %s?page_size=%s = %s, want an error of page_size", path, size, r.body)
			}
		}
	}
}

// dated writes a record that happened at some time.
func (c *clinic) dated(date string) string {
	c.t.Helper()
	r := c.do(c.pat, "POST", "/api/health-records/", `{"title":"t","description":"d","date":"`+date+`"}`).want(c.t, "POST health-records", 201, "")
	return r.text(c.t, "id")
}

func TestRecordsAreOrderedByDateThenID(t *testing.T) {
	c := newClinic(t)
	const early, late = "2026-01-01T10:00:00Z", "2026-02-01T10:00:00Z"
	a, b, d := c.dated(late), c.dated(early), c.dated(late)
	e := c.dated("2026-01-01T11:00:00+01:00") // the same moment as early
	oldest := []string{b, e, a, d}
	newest := slices.Clone(oldest)
	slices.Reverse(newest)
	for _, path := range []string{"/api/health-records/", patientPath(c.pat.id) + "health-records/"} {
		for size := 1; size <= 5; size++ {
			c.wantPages(c.doc, path, size, newest)
			c.wantPages(c.doc, path+"?ordering=-date", size, newest)
			c.wantPages(c.doc, path+"?ordering=date", size, oldest)
		}
	}
}

func TestDateFilters(t *testing.T) {
	c := newClinic(t)
	first, last, next := c.dated("2026-01-01T00:00:00Z"), c.dated("2026-01-01T23:59:59.999999Z"), c.dated("2026-01-02T00:00:00Z")
	for query, want := range map[string][]string{
		"date_after=2026-01-01":                                         {next, last, first},
		"date_after=2026-01-02":                                         {next},
		"date_after=2026-01-03":                                         {},
		"date_before=2026-01-01":                                        {last, first},
		"date_before=2025-12-31":                                        {},
		"date_after=2026-01-01&date_before=2026-01-01":                  {last, first},
		"date_after=2026-01-02&date_before=2026-01-01":                  {},
		"date_after=2026-01-01T00:00:00Z":                               {next, last, first},
		"date_after=2026-01-01T00:00:00.000001Z":                        {next, last},
		"date_after=2026-01-01T23:59:59.999999Z":                        {next, last},
		"date_before=2026-01-01T23:59:59.999999Z":                       {last, first},
		"date_before=2026-01-01T23:59:59.999998Z":                       {first},
		"date_before=2026-01-02T00:00Z":                                 {next, last, first},
		"date_before=2026-01-02T01:00:00%2B01:00":                       {next, last, first},
		"date_before=2026-01-02T01:00:00+01:00":                         {next, last, first}, // the + not encoded
		"date_before=2026-01-01T18:59-05:00":                            {first},
		"date_after=2026-01-01T00:00:00Z&date_before=2026-01-01T00:00Z": {first},
		"ordering=date&date_after=2026-01-01T12:00Z&author=" + c.pat.id: {last, next},
	} {
		if got := c.all(c.doc, "/api/health-records/?"+query); !slices.Equal(got, want) {
			t.Errorf("GET ?%s = %v, want %v", query, got, want)
		}
	}
	c.wantPages(c.doc, "/api/health-records/?date_after=2026-01-01&date_before=2026-01-01", 1, []string{last, first})
	for _, value := range []string{"", "2026-1-1", "2026-02-30", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z+", "+2026-01-01", "2026-01-01%20", "2026-01-01T24:00Z", "x", "1767225600"} {
		for _, name := range []string{"date_after", "date_before"} {
			r := c.do(c.doc, "GET", "/api/health-records/?"+name+"="+value, "").want(t, "GET ?"+name+"="+value, 400, "")
			if r.field(t, name+".0") == nil {
				t.Errorf("GET ?%s=%s = %s, want an error of it", name, value, r.body)
			}
		}
	}
}

func TestUpdatedAfterFindsWhatIsNew(t *testing.T) {
	c := newClinic(t)
	old, changed, noted := c.dated("2026-01-01T00:00:00Z"), c.dated("2026-01-02T00:00:00Z"), c.dated("2026-01-03T00:00:00Z")
	note := c.note(c.doc, old, "n")
	c.clock.Advance(time.Second)
	since := "updated_after=" + string(store.InstantOf(c.store.Now()))
	c.do(c.pat, "PATCH", recordPath(changed), `{"title":"changed"}`).want(t, "PATCH a record", 200, "")
	second := c.note(c.doc, noted, "m")
	late := c.dated("2020-01-01T00:00:00Z") // happened long ago
	if got, want := c.all(c.doc, "/api/health-records/?"+since), []string{changed, late}; !slices.Equal(got, want) {
		t.Errorf("GET health-records/?updated_after = %v, want %v", got, want)
	}
	if got, want := c.all(c.doc, "/api/doctor-notes/?"+since), []string{second}; !slices.Equal(got, want) {
		t.Errorf("GET doctor-notes/?updated_after = %v, want %v", got, want)
	}
	c.do(c.doc, "PATCH", notePath(note), `{"note":"changed"}`).want(t, "PATCH a note", 200, "")
	if got, want := c.all(c.doc, "/api/doctor-notes/?"+since), []string{second, note}; !slices.Equal(got, want) {
		t.Errorf("GET doctor-notes/?updated_after after a change = %v, want %v", got, want)
	}
}

func TestFiltersByID(t *testing.T) {
	c := newClinic(t)
	other := c.patient("other", c.doc)
	stranger := c.patient("stranger", c.colleague)
	byPat, byDoc, ofOther := c.record(c.pat, c.pat, "one"), c.record(c.doc, c.pat, "two"), c.record(other, other, "three")
	hidden := c.record(stranger, stranger, "four")
	note, second := c.note(c.doc, byPat, "n"), c.note(c.doc, ofOther, "m")
	secret := c.note(c.colleague, hidden, "s")
	nested := patientPath(c.pat.id) + "health-records/"
	for _, test := range []struct {
		who  person
		url  string
		want []string
	}{
		{c.doc, "/api/health-records/", []string{ofOther, byDoc, byPat}},
		{c.doc, "/api/health-records/?patient=" + c.pat.id, []string{byDoc, byPat}},
		{c.doc, "/api/health-records/?author=" + c.doc.id, []string{byDoc}},
		{c.doc, "/api/health-records/?author=" + c.pat.id + "&patient=" + c.pat.id, []string{byPat}},
		{c.doc, "/api/health-records/?author=" + c.pat.id + "&patient=" + other.id, nil},
		{c.doc, "/api/health-records/?patient=" + stranger.id, nil},
		{c.doc, "/api/health-records/?author=" + stranger.id, nil},
		{c.doc, "/api/health-records/?author=" + c.colleague.id, nil},
		{c.pat, "/api/health-records/?patient=" + other.id, nil},
		{c.pat, "/api/health-records/?author=" + c.doc.id, []string{byDoc}},
		{c.doc, nested + "?author=" + c.doc.id, []string{byDoc}},
		{c.doc, nested + "?patient=" + c.pat.id, []string{byDoc, byPat}},
		{c.doc, nested + "?patient=" + other.id, nil},
		{c.doc, "/api/doctor-notes/", []string{second, note}},
		{c.doc, "/api/doctor-notes/?health_record=" + byPat, []string{note}},
		{c.doc, "/api/doctor-notes/?doctor=" + c.doc.id, []string{second, note}},
		{c.doc, "/api/doctor-notes/?doctor=" + c.colleague.id, nil},
		{c.doc, "/api/doctor-notes/?health_record=" + hidden, nil},
		{c.colleague, "/api/doctor-notes/?health_record=" + hidden, []string{secret}},
		{c.pat, "/api/doctor-notes/?health_record=" + ofOther, nil},
	} {
		if got := c.all(test.who, test.url); !slices.Equal(got, test.want) {
			t.Errorf("GET %s = %v, want %v", test.url, got, test.want)
		}
	}
	for _, id := range []string{absentID, strings.ToUpper(c.pat.id), "x", "1", "%00", "%ff", "%25", "'", c.newcomer.id} {
		for _, list := range []string{"/api/health-records/?patient=", "/api/health-records/?author=", nested + "?patient=", nested + "?author=",
			"/api/doctor-notes/?health_record=", "/api/doctor-notes/?doctor="} {
			c.do(c.doc, "GET", list+id, "").want(t, "GET "+list+id, 200, emptyList)
		}
	}
}

func TestSearchRecords(t *testing.T) {
	c := newClinic(t)
	write := func(title, description string) string {
		r := c.do(c.pat, "POST", "/api/health-records/", asJSON(map[string]string{"title": title, "description": description}))
		return r.want(t, "POST health-records", 201, "").text(t, "id")
	}
	cough := write("Dry Cough", "since Monday, at night")
	xray := write("X-ray of the chest", "50% shadow; école_verte (“Ünal”)")
	c.note(c.doc, cough, "unmentioned elsewhere")
	both := []string{xray, cough}
	for search, want := range map[string][]string{
		"cough":         {cough},
		"COUGH":         {cough},
		"cou":           {cough},
		"ough":          nil,
		"dry cough":     {cough},
		"cough dry":     {cough},
		"cough monday":  {cough}, // one word here, one there
		"dry ray":       nil,
		"co  \t since ": {cough},
		"ray":           {xray},
		"x-ray":         {xray},
		"ÉCOLE":         {xray},
		"verte":         {xray},
		"ünal":          {xray},
		"50":            {xray},
		"%":             both, // no word at all
		"":              both,
		" ":             both,
		"c%":            both, // a word begins with c in each
		"d_y":           nil,
		`cough" OR "x`:  nil,
		"cough*":        {cough},
		"unmentioned":   nil,
		"pat":           nil,
		"cough\x00":     {cough},
		"cough cough":   {cough},
	} {
		for _, path := range []string{"/api/health-records/", patientPath(c.pat.id) + "health-records/"} {
			if got := c.all(c.doc, path+"?search="+url.QueryEscape(search)); !slices.Equal(got, want) {
				t.Errorf("GET %s?search=%q = %v, want %v", path, search, got, want)
			}
		}
	}
	c.do(c.colleague, "GET", "/api/health-records/?search=cough", "").want(t, "a stranger's search", 200, emptyList)
}

func TestSearchPeople(t *testing.T) {
	c := newClinic(t)
	ann := c.patient("ann.lee", c.doc)
	c.change(ann, "PATCH", patientPath(ann.id), `{"user":{"first_name":"Änne","last_name":"van Dijk"},"address":"Mainstreet","phone_number":"030"}`)
	hidden := c.patient("anna")
	c.change(c.colleague, "PATCH", doctorPath(c.colleague.id), `{"user":{"first_name":"Änne","last_name":"Kol"},"specialization":"Skin"}`)
	for _, test := range []struct {
		who    person
		path   string
		search string
		want   []string
	}{
		{c.admin, "/api/patients/", "ann", []string{hidden.id, ann.id}},
		{c.admin, "/api/patients/", "LEE", []string{ann.id}},
		{c.admin, "/api/patients/", "änne dijk lee", []string{ann.id}},
		{c.admin, "/api/patients/", "example", nil}, // in an e-mail address only
		{c.admin, "/api/patients/", "mainstreet", nil},
		{c.admin, "/api/patients/", "doc", nil},
		{c.doc, "/api/patients/", "ann", []string{ann.id}},
		{c.doc, doctorPath(c.doc.id) + "patients/", "ann", []string{ann.id}},
		{c.pat, "/api/patients/", "ann", nil},
		{c.pat, "/api/doctors/", "ÄNNE", []string{c.colleague.id}},
		{c.pat, "/api/doctors/", "colleague", []string{c.colleague.id}},
		{c.pat, "/api/doctors/", "skin", nil},
		{c.pat, "/api/doctors/", "newcomer", nil},
		{c.newcomer, "/api/doctors/", "newcomer", []string{c.newcomer.id}},
		{c.admin, "/api/doctors/", "newcomer", []string{c.newcomer.id}},
	} {
		if got := c.all(test.who, test.path+"?search="+url.QueryEscape(test.search)); !slices.Equal(got, test.want) {
			t.Errorf("GET %s?search=%s = %v, want %v", test.path, test.search, got, test.want)
		}
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	c := newClinic(t)
	of, own := patientPath(c.pat.id), doctorPath(c.doc.id)
	for query, fields := range map[string][]string{
		"x=1":                         {"x"},
		"Page_size=1":                 {"Page_size"},
		"page=2":                      {"page"},
		"limit=5&offset=5":            {"limit", "offset"},
		"page_size=1&page_size=1":     {"page_size"},
		"cursor=&cursor=":             {"cursor"},
		"page_size=0&x=1&y=2&z=3&a=4": {"page_size", "x", "y", "z", "a"},
		"a.b=1":                       {"non_field_errors"},
		"page_size=%zz":               {"non_field_errors"},
		"page_size=1;x=2":             {"non_field_errors"},
	} {
		for _, path := range []string{"/api/patients/", "/api/doctors/", "/api/health-records/", "/api/doctor-notes/", of + "health-records/", own + "patients/"} {
			r := c.do(c.doc, "GET", path+"?"+query, "").want(t, "GET "+path+"?"+query, 400, "")
			for _, field := range fields {
				if r.field(t, field+".0") == nil {
					t.Errorf("GET %s?%s = %s, want an error of %s", path, query, r.body, field)
				}
			}
			for range 3 {
				c.do(c.doc, "GET", path+"?"+query, "").want(t, "the same again", 400, r.body)
			}
		}
	}
	for _, refused := range []struct{ path, query, field string }{
		{"/api/health-records/", "ordering=title", "ordering"},
		{"/api/health-records/", "ordering=", "ordering"},
		{"/api/health-records/", "ordering=-date,id", "ordering"},
		{"/api/health-records/", "ordering=date&ordering=date", "ordering"},
		{"/api/health-records/", "doctor=" + c.doc.id, "doctor"},
		{"/api/health-records/", "search=a&search=a", "search"},
		{"/api/doctor-notes/", "ordering=date", "ordering"},
		{"/api/doctor-notes/", "search=a", "search"},
		{"/api/patients/", "patient=" + c.pat.id, "patient"},
		{"/api/doctors/", "ordering=date", "ordering"},
	} {
		r := c.do(c.doc, "GET", refused.path+"?"+refused.query, "").want(t, "GET "+refused.path+"?"+refused.query, 400, "")
		if r.field(t, refused.field+".0") == nil {
			t.Errorf("GET %s?%s = %s, want an error of %s", refused.path, refused.query, r.body, refused.field)
		}
	}
}

// cursorOf takes the cursor out of a link.
func cursorOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("cursor") == "" {
		t.Fatalf("the link has no cursor")
	}
	return u.Query().Get("cursor")
}

func TestCursorsAreGoodForTheirListAlone(t *testing.T) {
	c := newClinic(t)
	for i := range 4 {
		record := c.record(c.pat, c.pat, "Visit")
		c.note(c.doc, record, "rest")
		c.patient(fmt.Sprint("patient-", i), c.doc)
	}
	second := c.patient("second", c.doc)
	c.record(second, second, "Visit")
	c.record(second, second, "Visit")
	const records = "/api/health-records/?page_size=1"
	nested := patientPath(c.pat.id) + "health-records/?page_size=1"
	of := func(who person, url string) string { return cursorOf(t, c.page(who, url).next) }
	backwards := cursorOf(t, c.page(c.doc, c.page(c.doc, records).next).previous)
	for _, test := range []struct {
		what, cursor string
		who          person
		url          string
	}{
		{"another list", of(c.doc, "/api/patients/?page_size=1"), c.doc, records},
		{"another list", of(c.doc, "/api/doctor-notes/?page_size=1"), c.doc, records},
		{"the nested list", of(c.doc, nested), c.doc, records},
		{"the list above", of(c.doc, records), c.doc, nested},
		{"the list above, filtered alike", of(c.doc, records+"&patient="+c.pat.id), c.doc, nested},
		{"another patient's nested list", of(c.doc, nested), c.doc, patientPath(second.id) + "health-records/?page_size=1"},
		{"another user", of(c.pat, records), c.doc, records},
		{"another user", of(c.doc, records), c.pat, records},
		{"another user, backwards", backwards, c.pat, records},
		{"no filter", of(c.doc, records), c.doc, records + "&patient=" + c.pat.id},
		{"a filter", of(c.doc, records+"&patient="+c.pat.id), c.doc, records},
		{"another filter", of(c.doc, records+"&patient="+c.pat.id), c.doc, records + "&author=" + c.pat.id},
		{"another patient", of(c.doc, records+"&patient="+c.pat.id), c.doc, records + "&patient=" + second.id},
		{"another search", of(c.doc, records+"&search=visit"), c.doc, records + "&search=vis"},
		{"another period", of(c.doc, records+"&date_after=2026-01-01"), c.doc, records + "&date_after=2026-01-02"},
		{"another ordering", of(c.doc, records), c.doc, records + "&ordering=date"},
		{"another ordering", of(c.doc, records+"&ordering=date"), c.doc, records + "&ordering=-date"},
	} {
		c.do(test.who, "GET", test.url+"&cursor="+test.cursor, "").want(t, "GET "+test.url+" with the cursor of "+test.what, 400, invalidCursor)
	}
	good := of(c.doc, records)
	for _, url := range []string{records, "/api/health-records?page_size=1", "/api/health-records/?page_size=2", "/api/health-records/"} {
		if got := c.page(c.doc, url+strings.Repeat("?", 1-strings.Count(url, "?"))+"&cursor="+good); len(got.ids) == 0 {
			t.Errorf("GET %s with its cursor is empty", url)
		}
	}
	again := c.signedIn("doc") // the same user in another session
	c.read(again, records+"&cursor="+good)
}

func TestAlteredCursorsAreRefused(t *testing.T) {
	c := newClinic(t)
	c.record(c.pat, c.pat, "one")
	c.record(c.pat, c.pat, "two")
	const list = "/api/health-records/?page_size=1"
	good := cursorOf(t, c.page(c.pat, list).next)
	c.read(c.pat, list+"&cursor="+good)
	altered := []string{"", "x", "=", good + "=", good + "A", "A" + good, good[1:], good[:len(good)-1], good + "\n", good[:9] + "\r\n" + good[9:], " " + good,
		good + good, strings.ToLower(good), strings.ToUpper(good), c.pat.id, "null", "0", strings.Repeat("A", len(good)), good + "\x00"}
	for i := range len(good) {
		next := (strings.IndexByte(cursorAlphabet, good[i]) + 1) % len(cursorAlphabet)
		altered = append(altered, good[:i]+cursorAlphabet[next:next+1]+good[i+1:], good[:i]+good[i+1:])
	}
	for _, cursor := range altered {
		if cursor != good {
			c.do(c.pat, "GET", list+"&cursor="+url.QueryEscape(cursor), "").want(t, "GET with an altered cursor", 400, invalidCursor)
		}
	}
}

const cursorAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// The last character of a text in base64 may have bits that mean nothing.
func TestCursorsHaveOneSpelling(t *testing.T) {
	h, list := cursorHandler(t), []byte("list")
	for length := range 4 {
		sealed := handlers.SealCursor(h, store.Position{ID: absentID, Key: strings.Repeat("k", length)}, list)
		for i := range cursorAlphabet {
			text := sealed[:len(sealed)-1] + cursorAlphabet[i:i+1]
			if _, err := handlers.OpenCursor(h, text, list); (err == nil) != (text == sealed) {
				t.Errorf("OpenCursor of a cursor with another end: error = %v", err)
			}
		}
	}
}

func TestCursorsTellNothing(t *testing.T) {
	c := newClinic(t)
	c.dated("2024-05-06T07:08:09Z")
	second := c.dated("2024-05-06T07:08:10Z")
	for _, cursor := range []string{cursorOf(t, c.page(c.pat, "/api/health-records/?page_size=1").next), cursorOf(t, c.page(c.pat, "/api/health-records/?page_size=1").next)} {
		if strings.Contains(cursor, "2024") || strings.Contains(cursor, second[:8]) {
			t.Errorf("the cursor shows the date or the id")
		}
	}
	h, list := cursorHandler(t), []byte("list")
	plain := handlers.SealCursor(h, store.Position{ID: absentID, Key: "2024-05-06"}, list)
	if again := handlers.SealCursor(h, store.Position{ID: absentID, Key: "2024-05-06"}, list); again == plain {
		t.Errorf("the same place makes the same cursor twice")
	}
}

// Whatever comes and goes, each row that stays is met exactly once.
func TestRowsComeAndGoWhilePaging(t *testing.T) {
	for _, query := range []string{"", "&ordering=date", "&search=visit"} {
		for _, along := range []string{"next", "previous"} {
			t.Run(along+query, func(t *testing.T) { comeAndGo(t, "/api/health-records/?page_size=2"+query, along) })
		}
	}
}

func comeAndGo(t *testing.T, list, along string) {
	c := newClinic(t)
	write := func(hour int) string {
		r := c.do(c.pat, "POST", "/api/health-records/", fmt.Sprintf(`{"title":"Visit","description":"d","date":"2026-01-01T%02d:00:00Z"}`, hour))
		return r.want(t, "POST health-records", 201, "").text(t, "id")
	}
	stays := map[string]bool{}
	for i := range 9 {
		stays[write(5+i/3)] = true // three rows of each moment
	}
	at := list
	if along == "previous" { // from the far end
		for p := c.page(c.pat, at); p.next != ""; p = c.page(c.pat, at) {
			at = p.next
		}
	}
	seen := map[string]int{}
	for pages := 0; at != ""; pages++ {
		if pages > 30 {
			t.Fatal("the list has no end")
		}
		p := c.page(c.pat, at)
		for _, id := range p.ids {
			seen[id]++
		}
		at = map[string]string{"next": p.next, "previous": p.previous}[along]
		if len(p.ids) == 0 || pages > 3 {
			continue
		}
		write(2)         // before all others
		write(5 + pages) // amid them
		write(8)         // behind them
		for _, id := range []string{p.ids[0], p.ids[len(p.ids)-1]} {
			c.do(c.pat, "DELETE", recordPath(id), "") // the ends of the page, of which its links are made
		}
		for id := range stays { // one that was not met yet
			if seen[id] == 0 {
				c.remove(c.pat, recordPath(id))
				delete(stays, id)
				break
			}
		}
	}
	for id := range stays {
		if seen[id] != 1 {
			t.Errorf("a row was met %d times, want once", seen[id])
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("row %s was met %d times, want once", id, n)
		}
	}
}

func TestLinks(t *testing.T) {
	c := newClinic(t)
	c.record(c.pat, c.pat, "Visit one")
	c.record(c.pat, c.pat, "Visit two")
	const path = "/api/health-records/"
	for _, test := range []struct {
		url     string
		headers []string
		want    string
	}{
		{path + "?page_size=1", nil, "http://example.com" + path},
		{"/api/health-records?page_size=1", nil, "http://example.com" + path},
		{path + "?page_size=1", []string{"Host: example.com:8000"}, "http://example.com:8000" + path},
		{path + "?page_size=1", []string{"Host: records.example.org"}, "http://records.example.org" + path},
		{path + "?page_size=1", []string{"X-Forwarded-Host: evil.example"}, "http://example.com" + path},
		{path + "?page_size=1", []string{"X-Forwarded-Proto: https"}, "http://example.com" + path},
		{path + "?page_size=1", []string{"Forwarded: host=evil.example;proto=https"}, "http://example.com" + path},
		{patientPath(c.pat.id) + "health-records?page_size=1", nil, "http://example.com" + patientPath(c.pat.id) + "health-records/"},
		{path + "?page_size=1&search=Visit+%26&ordering=date&date_after=2026-01-01T00:00+01:00&author=" + c.pat.id, nil, "http://example.com" + path},
	} {
		r := c.do(c.pat, "GET", test.url, "", test.headers...).want(t, "GET "+test.url, 200, "")
		link, err := url.Parse(r.text(t, "next"))
		if err != nil {
			t.Fatal(err)
		}
		_, raw, _ := strings.Cut(test.url, "?")
		want, _ := url.ParseQuery(raw)
		want.Set("cursor", link.Query().Get("cursor"))
		if got, query := (&url.URL{Scheme: link.Scheme, Host: link.Host, Path: link.Path}).String(), link.Query(); got != test.want || query.Encode() != want.Encode() {
			t.Errorf("GET %s %q: next = %s?%s, want %s?%s", test.url, test.headers, got, query.Encode(), test.want, want.Encode())
		}
		second := c.page(c.pat, link.String())
		if len(second.ids) != 1 || second.previous == "" {
			t.Errorf("GET %s: its next page has %d rows", test.url, len(second.ids))
		}
	}
}

func TestLinksBehindAProxy(t *testing.T) {
	c := newClinic(t)
	c.record(c.pat, c.pat, "one")
	c.record(c.pat, c.pat, "two")
	for _, test := range []struct{ peer, proto, want string }{
		{"10.1.2.3:999", "https", "https://example.com/"},
		{"10.1.2.3:999", "http", "http://example.com/"},
		{"[::ffff:10.1.2.3]:999", "https", "https://example.com/"},
		{"192.0.2.1:999", "https", "http://example.com/"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/health-records/?page_size=1", nil)
		r.RemoteAddr = test.peer
		r.Header.Set("Authorization", "Bearer "+c.pat.token)
		r.Header.Set("X-Forwarded-Proto", test.proto)
		if next := c.send(r).text(t, "next"); !strings.HasPrefix(next, test.want+"api/health-records/?") {
			t.Errorf("next from %s with X-Forwarded-Proto %s = %.40s…, want %s", test.peer, test.proto, next, test.want)
		}
	}
}

func TestLinksBeginWithThePublicURL(t *testing.T) {
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.PublicURL = "https://records.example.net/clinic" })
	c := &clinic{practice: p, pat: p.patient("pat")}
	c.record(c.pat, c.pat, "one")
	c.record(c.pat, c.pat, "two")
	const list = "/api/health-records/"
	next := c.read(c.pat, list+"?page_size=1").text(t, "next")
	query, ok := strings.CutPrefix(next, "https://records.example.net/clinic"+list+"?")
	if !ok {
		t.Fatalf("next does not begin with the public address")
	}
	previous := c.read(c.pat, list+"?"+query).text(t, "previous")
	if !strings.HasPrefix(previous, "https://records.example.net/clinic"+list+"?") {
		t.Errorf("previous does not begin with the public address")
	}
	if got := c.read(nobody, "/api/").text(t, "patients"); got != "https://records.example.net/clinic/api/patients/" {
		t.Errorf("index: patients = %s", got)
	}
}

// cursorHandler is a handler that needs nothing but the key of its cursors.
func cursorHandler(t testing.TB) http.Handler {
	t.Helper()
	key := sha256.Sum256([]byte("cursor key"))
	h, err := handlers.New(handlers.Options{CursorKey: key[:]})
	if err != nil {
		t.Fatalf("New error = %v, want nil", err)
	}
	return h
}

func TestCursorKeyMustHave32Bytes(t *testing.T) {
	for _, size := range []int{0, 1, 31, 33} {
		if _, err := handlers.New(handlers.Options{CursorKey: make([]byte, size)}); err == nil {
			t.Errorf("New with a cursor key of %d bytes: error = nil, want one", size)
		}
	}
}

// No text opens but one that was sealed, and that for its own list alone.
func FuzzCursor(f *testing.F) {
	f.Add(absentID, "2026-03-01T09:00:00.123456Z", true, "/api/health-records\nuser\n", "x", 3, 4, "")
	f.Add("0-17", "", false, "", "", 0, 0, "list")
	f.Add("", "\n", false, "a", "\n", 5, 5, "b")
	f.Add("5", "key", true, "list", "==", 1000, 1000, "list")
	h := cursorHandler(f)
	f.Fuzz(func(t *testing.T, id, key string, backward bool, list, piece string, from, to int, other string) {
		if strings.Contains(id, "\n") {
			return // no id has one
		}
		at := store.Position{ID: id, Key: key, Backward: backward}
		sealed := handlers.SealCursor(h, at, []byte(list))
		if got, err := handlers.OpenCursor(h, sealed, []byte(list)); err != nil || *got != at {
			t.Errorf("OpenCursor(SealCursor(%+v)) = %+v, %v", at, got, err)
		}
		if got, err := handlers.OpenCursor(h, sealed, []byte(other)); other != list && err == nil {
			t.Errorf("OpenCursor for another list = %+v, want an error", got)
		}
		from = max(0, min(from, len(sealed)))
		to = max(from, min(to, len(sealed)))
		for _, text := range []string{piece, sealed[:from] + piece + sealed[to:]} {
			if got, err := handlers.OpenCursor(h, text, []byte(list)); text != sealed && err == nil {
				t.Errorf("OpenCursor of an altered text = %+v, want an error", got)
			}
		}
		if strings.Trim(sealed, cursorAlphabet) != "" {
			t.Errorf("a cursor needs escaping in a URL")
		}
	})
}

// A search may cost only so much, whoever asks and whichever list.
func TestLongSearchesAreRefused(t *testing.T) {
	c := newClinic(t)
	const refused = `{"search":["Search for at most 10 words and 200 characters."]}`
	ten := strings.Repeat("zebra ", 10)
	for _, test := range []struct {
		what, search string
		status       int
		want         string
	}{
		{"10 words", ten, 200, emptyList},
		{"10 words and signs between them", strings.ReplaceAll(ten, " ", " -! "), 200, emptyList},
		{"11 words", ten + "zebra", 400, refused},
		{"11 words without a space", strings.Repeat("z-", 11), 400, refused},
		{"200 characters", strings.Repeat("ö", 200), 200, emptyList},
		{"200 characters and white space around them", " \t" + strings.Repeat("ö", 200) + " ", 200, emptyList},
		{"201 characters", strings.Repeat("ö", 201), 400, refused},
	} {
		for _, path := range []string{"/api/patients/", "/api/doctors/", "/api/health-records/", patientPath(c.pat.id) + "health-records/", doctorPath(c.doc.id) + "patients/"} {
			c.do(c.doc, "GET", path+"?search="+url.QueryEscape(test.search), "").want(t, "GET "+path+" with a search of "+test.what, test.status, test.want)
		}
	}
	c.do(c.admin, "GET", "/api/health-records/?search="+url.QueryEscape(ten+"zebra"), "").want(t, "GET by who may not search at all", 403, forbiddenBody)
}
