package main

import (
	"context"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"

	"healthrecords/bench/drive"
)

// reading is a list, or one record, and who reads it: the doctor has 40
// patients, the chief every twentieth of the practice.
type reading struct {
	as   string
	path string // with {record}, {patient}, {doctor}, and {quiet} for a patient who did nothing lately
	size int    // of a page, so small that the small practice can fill it; 0 where that has nothing to say
	step int    // size of the pages on the way to the deep ones; 0 where there is but one page
}

var readings = []reading{
	{"patient", "/api/health-records/{record}/", 0, 0},
	{"patient", "/api/health-records/{record}/versions/", 0, 0},
	{"patient", "/api/health-records/", 25, 25},
	{"patient", "/api/patients/{patient}/health-records/", 25, 25},
	{"patient", "/api/patients/{patient}/access-log/", 25, 100},
	{"patient", "/api/doctor-notes/", 5, 5},
	{"patient", "/api/patients/", 0, 0},
	{"patient", "/api/doctors/", 5, 0},

	{"doctor", "/api/health-records/", 25, 100},
	{"doctor", "/api/health-records/?ordering=date", 25, 100},
	{"doctor", "/api/health-records/?patient={patient}", 25, 25},
	{"doctor", "/api/health-records/?author={patient}", 25, 25},
	{"doctor", "/api/health-records/?author={doctor}", 25, 0},
	{"doctor", "/api/health-records/?date_before=2000-01-01", 25, 0},
	{"doctor", "/api/health-records/?updated_after=2100-01-01", 25, 0},
	{"doctor", "/api/patients/{patient}/health-records/", 25, 25},
	{"doctor", "/api/doctor-notes/", 25, 100},
	{"doctor", "/api/doctor-notes/?health_record={record}", 25, 0},
	{"doctor", "/api/doctor-notes/?doctor={doctor}", 25, 100},
	{"doctor", "/api/patients/", 5, 5},
	{"doctor", "/api/doctors/{doctor}/patients/", 5, 5},

	{"chief", "/api/health-records/", 25, 50},
	{"chief", "/api/health-records/?ordering=date", 25, 50},
	{"chief", "/api/health-records/?date_before=2000-01-01", 25, 0},
	{"chief", "/api/health-records/?updated_after=2100-01-01", 25, 0},
	{"chief", "/api/doctor-notes/", 25, 25},
	{"chief", "/api/patients/", 5, 5},
	{"chief", "/api/doctors/{doctor}/patients/", 5, 5},
	{"chief", "/api/doctors/{doctor}/", 0, 0},

	{"staff", "/api/patients/", 25, 100},
	{"staff", "/api/doctors/", 5, 5},
	{"staff", "/api/doctors/{doctor}/patients/", 5, 5},
	{"staff", "/api/staff/", 0, 0},
	{"staff", "/api/invitations/", 0, 0},
	{"staff", "/api/status/", 0, 0},
	{"staff", "/api/patients/{quiet}/access-log/", 25, 25},
	{"staff", "/api/audit-events/", 25, 100},
	{"staff", "/api/audit-events/?ordering=at", 25, 100},
	{"staff", "/api/audit-events/?actor={doctor}", 25, 0},
	{"staff", "/api/audit-events/?actor={quiet}", 25, 25},
	{"staff", "/api/audit-events/?patient={patient}", 25, 25},
	{"staff", "/api/audit-events/?patient={quiet}", 25, 25},
	{"staff", "/api/audit-events/?action=record.create", 25, 100},
	{"staff", "/api/audit-events/?action=doctor.create", 5, 0},
	{"staff", "/api/audit-events/?action=patient.erase", 25, 0},
	{"staff", "/api/audit-events/?outcome=not+found", 25, 0},
	{"staff", "/api/audit-events/?date_before=2000-01-01", 25, 0},
	{"staff", "/api/audit-events/?ordering=actor", 25, 0},
}

// audience is the service and those who read from it.
type audience struct {
	*target
	readers map[string][]*user
	quiet   string
}

func gather(ctx context.Context, t *target, o *options) (*audience, error) {
	if err := t.meet(ctx, o); err != nil {
		return nil, err
	}
	staff, chief := &user{name: "admin"}, &user{name: chief}
	for _, u := range []*user{staff, chief, t.doctor} {
		if err := t.signIn(ctx, u); err != nil {
			return nil, err
		}
		var me struct{ ID string }
		if err := t.call(ctx, "GET", "/api/me/", u.access, "", &me); err != nil {
			return nil, err
		}
		u.id = me.ID
	}
	var list struct{ Results []struct{ ID string } }
	if err := t.call(ctx, "GET", "/api/patients/?page_size=2", t.doctor.access, "", &list); err != nil {
		return nil, err
	}
	a := &audience{t, map[string][]*user{"patient": t.users, "doctor": {t.doctor}, "chief": {chief}, "staff": {staff}}, list.Results[0].ID}
	if a.quiet == t.users[0].id {
		a.quiet = list.Results[1].ID
	}
	return a, nil
}

// paths returns the paths that a user chooses from. Who is no patient reads of
// the first.
func (a *audience) paths(r reading, u *user) []string {
	patient, doctor := a.users[0], a.doctor
	if r.as == "patient" {
		patient = u
	}
	if r.as == "chief" {
		doctor = u
	}
	var paths []string
	for _, record := range patient.records {
		path := strings.NewReplacer("{record}", record, "{patient}", patient.id, "{doctor}", doctor.id, "{quiet}", a.quiet).Replace(r.path)
		if paths = append(paths, path); !strings.Contains(r.path, "{record}") {
			break
		}
	}
	return paths
}

// places are where the pages begin that are measured: the first, one in the
// middle, and the deepest that is full.
type places [3]string

var placeNames = places{"first", "middle", "last"}

// maxWalk is how long next is followed at most.
const maxWalk = time.Minute

// walk follows next to the end of a list.
func (a *audience) walk(ctx context.Context, r reading, u *user) (places, error) {
	var full []string // cursors of pages with all their rows
	path, cursor := a.paths(r, u)[0], ""
	for begun := time.Now(); time.Since(begun) < maxWalk; {
		if err := a.signIn(ctx, u); err != nil {
			return places{}, err
		}
		var page struct {
			Next    string
			Results []struct{}
		}
		if err := a.call(ctx, "GET", with(path, r.step, cursor), u.access, "", &page); err != nil {
			return places{}, err
		}
		if len(page.Results) == r.step && cursor != "" {
			full = append(full, cursor)
		}
		next, err := url.Parse(page.Next)
		if err != nil {
			return places{}, err
		}
		if cursor = next.Query().Get("cursor"); cursor == "" {
			break
		}
	}
	if len(full) == 0 {
		return places{}, nil
	}
	return places{"", full[(len(full)-1)/2], full[len(full)-1]}, nil
}

// with adds to a path how many rows a page has and where it begins.
func with(path string, size int, cursor string) string {
	values := make(url.Values)
	if size > 0 {
		values.Set("page_size", strconv.Itoa(size))
	}
	if cursor != "" {
		values.Set("cursor", cursor)
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + values.Encode()
}

// readingScript asks for the page at a place again and again.
func (a *audience) readingScript(ctx context.Context, r reading, u *user, cursor string) (drive.Script, error) {
	if err := a.signIn(ctx, u); err != nil {
		return nil, err
	}
	var requests [][]byte
	for _, path := range a.paths(r, u) {
		requests = append(requests, a.request("GET", with(path, r.size, cursor), u.access, ""))
	}
	return func([]byte) []byte { return requests[rand.IntN(len(requests))] }, nil
}
