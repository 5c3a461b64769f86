package handlers_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
)

// world is the practice that the access tests ask about. Two patients have
// doctors, records and notes. The same people stand in it however often it is
// made, so that one request can change it and the next finds it unchanged.
//
//	patient    Ann: treated by treats and colleague, formerly by former
//	other      Ben: treated by stranger alone
//	treats     Dora: wrote a record and a note about Ann
//	colleague  Carl: treats Ann too, wrote nothing
//	stranger   Sten: treats Ben, wrote a record and a note about him
//	former     Fay: wrote a record and a note about Ann while she treated her
//	withdrawn  Wim: assigned to Ann, wrote both too, then his verification was withdrawn
//	staff      Stella; Sam is staff too
//	inactive   Ida, who treats Ann and wrote a record about her; Ian, a patient
//	           with a record of his own; Ivo, staff: all deactivated
//	deleted    Dan, who treated Ann and wrote a record and a note about her;
//	           Dee, a patient whom treats and colleague treated, with records and a note
//
// The tokens of all of them are from before they were deactivated, deleted,
// un-assigned or lost their verification.
type world struct {
	*practice
	people  map[string][]person // by the words on the left; nobody is one of them
	objects map[string][]string // ids, by kind and group: "health-records/by-treats"
}

// one returns the only person of a kind.
func (w *world) one(kind string) person { return w.people[kind][0] }

// template is a world that was made once: its database, and who is in it.
var template struct {
	sync.Mutex
	database map[string][]byte // by the suffix of the file's name
	people   map[string][]person
	objects  map[string][]string
}

// newWorld makes a world of its own for a test, from a copy of the template's
// database, a second after that was made.
func newWorld(t *testing.T, registrationClosed bool) *world {
	t.Helper()
	buildTemplate(t)
	p := newPractice(t, func(so *store.Options, _ *handlers.Options) {
		so.RegistrationClosed = registrationClosed
		for suffix, content := range template.database {
			if err := os.WriteFile(strings.TrimPrefix(so.URL, "sqlite:")+suffix, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
	p.clock.Advance(time.Second)
	return &world{p, template.people, template.objects}
}

// buildTemplate makes the template, unless it is there.
func buildTemplate(t *testing.T) {
	t.Helper()
	template.Lock()
	defer template.Unlock()
	if template.database != nil {
		return
	}
	w := &world{newPractice(t, nil), map[string][]person{"nobody": {nobody}}, map[string][]string{}}
	w.populate()
	database := make(map[string][]byte)
	for _, suffix := range []string{"", "-wal"} { // nothing writes now, so the two belong together
		content, err := os.ReadFile(w.file + suffix)
		if err != nil {
			t.Fatal(err)
		}
		database[suffix] = content
	}
	template.database, template.people, template.objects = database, w.people, w.objects
}

// must sends a request that makes the world.
func (w *world) must(who person, method, path, body string) {
	w.t.Helper()
	if r := w.do(who, method, path, body); r.status >= 300 {
		w.t.Fatalf("%s %s = %d %s, want success", method, path, r.status, r.body)
	}
}

func (w *world) add(kind, group string, ids ...string) {
	w.objects[kind+"/"+group] = append(w.objects[kind+"/"+group], ids...)
}

func (w *world) populate() {
	w.t.Helper()
	w.comeTogether()
	w.writes("patient", "patient", "all", "of-patient", "by-patient")
	w.writes("treats", "patient", "all", "of-patient", "by-treats")
	for _, kind := range []string{"former", "withdrawn", "inactive", "deleted"} {
		w.writes(kind, "patient", "all", "of-patient", "by-gone", "by-"+kind)
	}
	w.writes("other", "other", "all", "of-other", "by-other")
	w.writes("stranger", "other", "all", "of-other", "by-stranger")
	w.writes("inactive-patient", "inactive-patient", "all", "by-inactive-patient")
	w.writes("deleted-patient", "deleted-patient", "of-deleted-patient")
	w.writes("treats", "deleted-patient", "of-deleted-patient")
	w.partCompany()
	w.invites()
	w.openSessions()
	w.addAbsent()
}

// comeTogether makes the accounts, while all of them are in good standing.
func (w *world) comeTogether() {
	w.t.Helper()
	staff := w.staff("stella")
	w.people["staff"] = []person{staff}
	for _, d := range []struct{ kind, name, groups string }{
		{"treats", "dora", "all listed"}, {"colleague", "carl", "all listed"}, {"stranger", "sten", "all listed"}, {"former", "fay", "all listed"},
		{"withdrawn", "wim", "all"}, {"inactive", "ida", "all"}, {"deleted", "dan", ""},
	} {
		doctor := w.doctor(staff, d.name)
		w.people[d.kind] = []person{doctor}
		for group := range strings.FieldsSeq(d.kind + " " + d.groups) {
			w.add("doctors", group, doctor.id)
		}
	}
	treats, colleague := w.one("treats"), w.one("colleague")
	w.people["patient"] = []person{w.patient("ann", treats, colleague, w.one("former"), w.one("withdrawn"), w.one("inactive"), w.one("deleted"))}
	w.people["other"] = []person{w.patient("ben", w.one("stranger"))}
	w.people["inactive-patient"] = []person{w.patient("ian")}
	w.people["deleted-patient"] = []person{w.patient("dee", treats, colleague)}
	for _, kind := range []string{"patient", "other", "inactive-patient"} {
		w.add("patients", kind, w.one(kind).id)
	}
	w.add("patients", "deleted", w.one("deleted-patient").id)
	w.add("patients", "all", w.one("patient").id, w.one("other").id, w.one("inactive-patient").id)
	w.people["inactive"] = append(w.people["inactive"], w.one("inactive-patient"), w.staff("ivo"))
	w.add("staff", "another", w.staff("sam").id)
	w.people["deleted"] = append(w.people["deleted"], w.one("deleted-patient"))
}

// writes has somebody write a record, titled with the last of its groups, and,
// when it is a doctor, a note on it.
func (w *world) writes(by, about string, groups ...string) {
	w.t.Helper()
	record := w.record(w.one(by), w.one(about), groups[len(groups)-1])
	for _, group := range groups {
		w.add("health-records", group, record)
	}
	if w.objects["doctors/"+by] == nil {
		return
	}
	note := w.note(w.one(by), record, "remark")
	for _, group := range groups {
		w.add("doctor-notes", group, note)
	}
}

// partCompany deletes, deactivates, un-assigns, and withdraws a verification.
func (w *world) partCompany() {
	w.t.Helper()
	staff, patient, treats := w.one("staff"), w.one("patient"), w.one("treats")
	record := w.record(treats, patient, "deleted")
	withIt := w.note(treats, record, "deleted with its record")
	alone := w.note(treats, w.objects["health-records/by-treats"][0], "deleted")
	w.must(treats, "DELETE", "/api/health-records/"+record+"/", "")
	w.must(treats, "DELETE", "/api/doctor-notes/"+alone+"/", "")
	w.add("health-records", "deleted", record)
	w.add("doctor-notes", "deleted", withIt, alone)

	w.must(patient, "PATCH", "/api/patients/"+patient.id+"/", `{"doctors":["`+
		strings.Join([]string{treats.id, w.one("colleague").id, w.one("withdrawn").id, w.one("inactive").id, w.one("deleted").id}, `","`)+`"]}`)
	w.must(staff, "PATCH", "/api/doctors/"+w.one("withdrawn").id+"/", `{"verified":false}`)
	w.must(staff, "DELETE", "/api/doctors/"+w.one("deleted").id+"/", "")
	w.must(staff, "DELETE", "/api/patients/"+w.one("deleted-patient").id+"/", "")
	for _, name := range []string{"ida", "ian", "ivo"} {
		if err := w.store.SetActive(w.t.Context(), store.Command("test"), name, false); err != nil {
			w.t.Fatalf("SetActive error = %v, want nil", err)
		}
	}
}

// invites has one invitation waiting, and one withdrawn.
func (w *world) invites() {
	w.t.Helper()
	for _, group := range []string{"waiting", "deleted"} {
		r := w.do(w.one("staff"), "POST", "/api/invitations/", `{"role":"doctor","email":"`+group+`@example.test"}`).want(w.t, "POST invitations", 201, "")
		w.add("invitations", group, r.text(w.t, "id"))
	}
	for _, group := range []string{"all", "listed"} { // who is invited is a doctor already
		w.add("doctors", group, w.objects["invitations/waiting"]...)
	}
	w.must(w.one("staff"), "DELETE", "/api/invitations/"+w.objects["invitations/deleted"][0]+"/", "")
}

// openSessions gives everyone who can sign in a second session.
func (w *world) openSessions() {
	w.t.Helper()
	for kind, name := range map[string]string{
		"patient": "ann", "other": "ben", "treats": "dora", "colleague": "carl", "stranger": "sten", "former": "fay", "withdrawn": "wim", "staff": "stella",
	} {
		w.add("sessions", kind, w.signedIn(name).grant.Session)
	}
}

// addAbsent names the ids under which nothing can be reached. The first of each
// kind never was the id of anything; after them come those of what was deleted
// though its patient was not.
func (w *world) addAbsent() {
	for _, x := range []struct{ kind, living, ofAnotherKind string }{
		{"patients", "patients/patient", "doctors/treats"},
		{"doctors", "doctors/treats", "patients/patient"},
		{"health-records", "health-records/by-treats", "doctor-notes/by-treats"},
		{"doctor-notes", "doctor-notes/by-treats", "health-records/by-treats"},
	} {
		w.add(x.kind, "never", w.store.NewID(), "no-id", strings.ToUpper(w.objects[x.living][0]), w.objects[x.ofAnotherKind][0])
		w.add(x.kind, "never", w.objects[x.kind+"/of-deleted-patient"]...)
		w.add(x.kind, "absent", w.objects[x.kind+"/never"]...)
		w.add(x.kind, "absent", w.objects[x.kind+"/deleted"]...)
	}
	w.add("staff", "never", w.store.NewID(), "no-id", w.one("patient").id, w.one("treats").id)
	w.add("staff", "absent", w.objects["staff/never"]...)
	w.add("invitations", "never", w.store.NewID(), "no-id", w.one("patient").id, w.one("treats").id, w.one("staff").id)
	w.add("invitations", "absent", append(w.objects["invitations/never"], w.objects["invitations/deleted"]...)...)
	w.add("sessions", "never", w.store.NewID(), "no-id", w.one("patient").id)
	w.add("sessions", "absent", append(w.objects["sessions/never"], w.one("inactive").grant.Session, w.one("deleted").grant.Session)...)
}

// looker returns what shows whether a request on that route changed anything.
func (w *world) looker(route string) func() string {
	if strings.Contains(route, "/api/me/") {
		return w.selves
	}
	return w.everything
}

// selves is what everyone keeps of itself.
func (w *world) selves() string {
	w.t.Helper()
	var b strings.Builder
	for _, kind := range []string{"patient", "other", "treats", "colleague", "stranger", "former", "withdrawn", "staff"} {
		for _, path := range []string{"/api/me/", "/api/me/otp/", "/api/me/sessions/"} {
			w.look(&b, kind, path)
		}
	}
	return b.String()
}

func (w *world) look(b *strings.Builder, kind, path string) {
	w.t.Helper()
	r := w.do(w.one(kind), "GET", path, "")
	fmt.Fprintf(b, "%s %s: %d %s %s\n", kind, path, r.status, r.header.Get("ETag"), r.body)
}

// everything is all that the practice keeps, as those see it who may see most.
// When it is the same before and after a request, the request changed nothing.
func (w *world) everything() string {
	w.t.Helper()
	var b strings.Builder
	look := func(kind, path string) { w.look(&b, kind, path) }
	look("staff", "/api/staff/?page_size=100")
	look("staff", "/api/invitations/?page_size=100")
	look("staff", "/api/patients/?page_size=100")
	look("staff", "/api/doctors/?page_size=100")
	for _, kind := range []string{"patient", "other"} {
		look("staff", "/api/patients/"+w.one(kind).id+"/")
		look(kind, "/api/health-records/?page_size=100")
		look(kind, "/api/doctor-notes/?page_size=100")
	}
	return b.String()
}
