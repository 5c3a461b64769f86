package handlers_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ask sends a request in the table's words: braces name people and groups.
func (w *world) ask(kind, request, body string, headers ...string) response {
	w.t.Helper()
	method, path, _ := strings.Cut(w.fill(request), " ")
	return w.do(w.one(kind), method, path, w.fillBody(body), headers...)
}

// fillBody is fill for JSON, where names stand in double braces.
func (w *world) fillBody(body string) string {
	w.t.Helper()
	for {
		before, rest, found := strings.Cut(body, "{{")
		if !found {
			return body
		}
		name, after, _ := strings.Cut(rest, "}}")
		body = before + w.fill("{"+name+"}") + after
	}
}

func TestFieldsThatTheCallerMayNotWriteAreIgnored(t *testing.T) {
	w := newWorld(t, false)
	before := w.everything()
	for _, test := range []struct{ kind, request, body string }{
		{"treats", "PATCH /api/doctors/{treats}/", `{"verified":false}`},
		{"treats", "PATCH /api/doctors/{treats}/", `{"patients":[]}`},
		{"treats", "PATCH /api/doctors/{treats}/", `{"patients":["{{patient}}","{{other}}"]}`},
		{"treats", "PATCH /api/doctors/{treats}/", `{"patients":["{{patients/never}}"]}`},
		{"treats", "PATCH /api/doctors/{treats}/", `{"patients":7,"verified":"certainly"}`},
		{"treats", "PUT /api/doctors/{treats}/", `{"patients":null,"verified":null}`},
		{"former", "PATCH /api/doctors/{former}/", `{"patients":["{{patient}}"],"verified":true}`},
		{"withdrawn", "PATCH /api/doctors/{withdrawn}/", `{"verified":true}`},
		{"withdrawn", "PUT /api/doctors/{withdrawn}/", `{"verified":true,"patients":["{{patient}}"]}`},
		{"staff", "PATCH /api/doctors/{treats}/", `{"id":"{{stranger}}","user":{"username":"another"}}`},
		{"patient", "PATCH /api/patients/{patient}/", `{"id":"{{other}}","user":{"username":"another"}}`},
		{"staff", "PUT /api/patients/{patient}/", `{"id":"{{other}}","user":{"username":"another"}}`},
		{"patient", "PATCH /api/health-records/{health-records/by-patient}/", `{"patient":"{{other}}"}`},
		{"treats", "PATCH /api/health-records/{health-records/by-treats}/", `{"patient":"{{other}}"}`},
		{"treats", "PATCH /api/health-records/{health-records/by-treats}/", `{"patient":"{{patients/never}}"}`},
		{"treats", "PATCH /api/health-records/{health-records/by-treats}/", `{"patient":7}`},
		{"treats", "PATCH /api/doctor-notes/{doctor-notes/by-treats}/", `{"health_record":null}`},
		{"patient", "PATCH /api/patients/{patient}/", `{"user":{"username":["x"]}}`},
		{"treats", "PATCH /api/health-records/{health-records/by-treats}/", `{"author":{"role":"doctor","id":"{{colleague}}","name":"x"}}`},
		{"treats", "PATCH /api/health-records/{health-records/by-treats}/", `{"id":"{{health-records/by-patient}}","doctor_notes":[],"created_at":"2020-01-01T00:00:00Z"}`},
		{"treats", "PATCH /api/doctor-notes/{doctor-notes/by-treats}/", `{"health_record":"{{health-records/by-patient}}"}`},
		{"treats", "PATCH /api/doctor-notes/{doctor-notes/by-treats}/", `{"health_record":"{{health-records/by-stranger}}"}`},
		{"treats", "PATCH /api/doctor-notes/{doctor-notes/by-treats}/", `{"doctor":"{{colleague}}","doctor_name":"x","date":"2020-01-01T00:00:00Z"}`},
	} {
		w.ask(test.kind, test.request, test.body).want(t, test.request+" "+test.body+" by "+test.kind, http.StatusOK, "")
		if w.everything() != before {
			t.Fatalf("%s %s by %s changed something", test.request, test.body, test.kind)
		}
	}
}

func TestNobodyMakesItselfSomeoneElse(t *testing.T) {
	w := newWorld(t, false)
	account := `"user":{"username":"newcomer","password":"nine lazy rivers of tin"}`
	made := w.ask("nobody", "POST /api/doctors/", `{`+account+`,"verified":true,"patients":["{{patient}}"]}`)
	made.want(t, "POST doctors with verified and patients", http.StatusCreated, "")
	if made.field(t, "verified") != false || len(made.field(t, "patients").([]any)) != 0 {
		t.Errorf("a doctor who registers has verified = %v, patients = %v, want false and none", made.field(t, "verified"), made.field(t, "patients"))
	}
	newcomer := w.signedIn("newcomer")
	for _, path := range []string{"/api/patients/", "/api/health-records/", "/api/doctor-notes/", "/api/doctors/" + newcomer.id + "/patients/"} {
		w.do(newcomer, "GET", path, "").want(t, "GET "+path+" by a doctor never verified", http.StatusOK, `{"next":null,"previous":null,"results":[]}`)
	}

	record := w.ask("patient", "POST /api/health-records/",
		`{"title":"new","description":"new","author":{"role":"doctor","id":"{{treats}}","name":"x"},"doctor_notes":[{"note":"x"}]}`)
	if record.text(t, "author.id") != w.one("patient").id || record.text(t, "author.role") != "patient" || record.field(t, "doctor_notes.0") != nil {
		t.Errorf("POST health-records in another's name = %d %s, want the patient's own record without notes", record.status, record.body)
	}
	note := w.ask("colleague", "POST /api/doctor-notes/", `{"note":"new","health_record":"{{health-records/by-treats}}","doctor":"{{treats}}","doctor_name":"x"}`)
	if note.text(t, "doctor") != w.one("colleague").id {
		t.Errorf("POST doctor-notes in another's name = %d %s, want the colleague's own note", note.status, note.body)
	}
}

func TestOnlyPatientsAndVerifiedDoctorsCanBePaired(t *testing.T) {
	w := newWorld(t, false)
	staff := w.one("staff")
	unverified := w.doctor(nobody, "newcomer")
	before := w.everything()
	user := `"user":{"username":"another","password":"nine lazy rivers of tin"}`
	noDoctor := append([]string{w.one("withdrawn").id, unverified.id, w.one("patient").id, staff.id, ""}, w.objects["doctors/absent"]...)
	noPatient := append([]string{w.one("treats").id, staff.id, ""}, w.objects["patients/absent"]...)
	for _, test := range []struct {
		kind, request, body, field string
		ids                        []string
	}{
		{"patient", "PATCH /api/patients/{patient}/", `{"doctors":["{{treats}}","ID"]}`, "doctors", noDoctor},
		{"patient", "PUT /api/patients/{patient}/", `{"doctors":["ID"]}`, "doctors", noDoctor},
		{"staff", "PATCH /api/patients/{patient}/", `{"doctors":["ID"],"address":"changed"}`, "doctors", noDoctor},
		{"nobody", "POST /api/patients/", `{` + user + `,"doctors":["ID"]}`, "doctors", noDoctor[:3]},
		{"staff", "PATCH /api/doctors/{treats}/", `{"patients":["{{patient}}","ID"]}`, "patients", noPatient},
		{"staff", "PATCH /api/doctors/{withdrawn}/", `{"patients":["ID"]}`, "patients", append(noPatient, w.one("patient").id, w.one("other").id)},
		{"staff", "PATCH /api/doctors/{treats}/", `{"verified":false,"patients":["ID"]}`, "patients", []string{w.one("other").id}},
		{"staff", "POST /api/doctors/", `{` + user + `,"patients":["ID"]}`, "patients", noPatient[:1]},
	} {
		for _, id := range test.ids {
			w.ask(test.kind, test.request, strings.ReplaceAll(test.body, "ID", id)).want(t, test.request+" "+test.body+" by "+test.kind,
				http.StatusBadRequest, `{"`+test.field+`":["Invalid pk \"`+id+`\" - object does not exist."]}`)
		}
		if w.everything() != before {
			t.Fatalf("%s %s by %s changed something", test.request, test.body, test.kind)
		}
	}
}

// related asks as a doctor for all that belongs to the patient and says whether
// everything was as for a doctor of the patient, or as for any other.
func (w *world) related(t *testing.T, kind string) bool {
	t.Helper()
	statuses := make(map[int]int)
	for _, request := range []string{
		"GET /api/patients/{patient}/",
		"GET /api/patients/{patient}/health-records/",
		"GET /api/patients/{patient}/health-records/?author={patient}",
		"GET /api/health-records/{health-records/by-patient}/",
		"GET /api/health-records/{health-records/by-former}/",
		"GET /api/health-records/{health-records/by-treats}/versions/",
		"GET /api/doctor-notes/{doctor-notes/by-treats}/",
		"GET /api/doctor-notes/{doctor-notes/by-former}/versions/",
	} {
		statuses[w.ask(kind, request, "").status]++
	}
	// A condition that does not hold is looked at only when all else is well.
	if w.objects["doctor-notes/by-"+kind] != nil {
		for _, request := range []string{"PUT /api/health-records/{health-records/by-" + kind + "}/", "DELETE /api/doctor-notes/{doctor-notes/by-" + kind + "}/"} {
			status := w.ask(kind, request, `{}`, `If-Match: "v0"`).status
			statuses[map[int]int{412: 200}[status]+map[int]int{404: 404}[status]]++
		}
	}
	shown := 0
	for _, path := range []string{"/api/patients/", "/api/patients/?search=ann", "/api/health-records/", "/api/health-records/?patient=" + w.one("patient").id,
		"/api/health-records/?search=by", "/api/doctor-notes/", "/api/doctors/" + w.one(kind).id + "/patients/"} {
		ids, _ := w.do(w.one(kind), "GET", path, "").listed(t)
		shown += min(len(ids), 1)
	}
	named := !strings.Contains(w.ask(kind, "POST /api/health-records/", `{"patient":"{{patient}}"}`).body, "Invalid pk")
	switch {
	case len(statuses) == 1 && statuses[200] > 0 && shown == 7 && named:
		return true
	case len(statuses) == 1 && statuses[404] > 0 && shown == 0 && !named:
		return false
	}
	t.Fatalf("%s gets statuses %v and finds something in %d of 7 lists (may name the patient: %v), want all or nothing", kind, statuses, shown, named)
	return false
}

func TestAccessEndsAndReturnsWithTheNextRequest(t *testing.T) {
	for _, test := range []struct{ what, kind, request, end, begin string }{
		{"the patient leaves the doctor out", "patient", "PATCH /api/patients/{patient}/", `{"doctors":["{{colleague}}"]}`, `{"doctors":["{{treats}}","{{colleague}}"]}`},
		{"staff leaves the doctor out", "staff", "PUT /api/patients/{patient}/", `{"doctors":["{{colleague}}"]}`, `{"doctors":["{{treats}}","{{colleague}}"]}`},
		{"staff leaves the patient out", "staff", "PATCH /api/doctors/{treats}/", `{"patients":[]}`, `{"patients":["{{patient}}"]}`},
		{"verification is withdrawn", "staff", "PATCH /api/doctors/{treats}/", `{"verified":false}`, `{"verified":true}`},
	} {
		t.Run(test.what, func(t *testing.T) {
			w := newWorld(t, false)
			for range 2 {
				if !w.related(t, "treats") || !w.related(t, "colleague") {
					t.Fatal("a doctor of the patient has no access")
				}
				w.ask(test.kind, test.request, test.end).want(t, test.request, http.StatusOK, "")
				if w.related(t, "treats") {
					t.Error("the doctor still has access")
				}
				if !w.related(t, "colleague") {
					t.Error("another doctor lost its access")
				}
				if strings.Contains(w.ask("patient", "GET /api/patients/{patient}/", "").body, w.one("treats").id) {
					t.Error("the patient still names the doctor")
				}
				w.ask(test.kind, test.request, test.begin).want(t, test.request, http.StatusOK, "")
			}
		})
	}
}

// A patient who sends back the doctors that it was shown does not end the pair
// that counted for nothing at that time.
func TestVerificationGivenBackRestoresAccess(t *testing.T) {
	w := newWorld(t, false)
	if w.related(t, "withdrawn") {
		t.Error("a doctor whose verification was withdrawn has access")
	}
	seen := w.ask("patient", "GET /api/patients/{patient}/", "")
	w.ask("patient", "PUT /api/patients/{patient}/", seen.body).want(t, "PUT of what was read", http.StatusOK, seen.body)
	w.ask("staff", "PATCH /api/doctors/{withdrawn}/", `{"verified":true}`).want(t, "PATCH verified", http.StatusOK, "")
	if !w.related(t, "withdrawn") {
		t.Error("a doctor whose verification was given back has no access")
	}
	if w.related(t, "former") {
		t.Error("a former doctor has access")
	}
}

func TestDirectoryHidesAddressesAndPatients(t *testing.T) {
	w := newWorld(t, false)
	for _, kind := range []string{"patient", "other", "treats", "colleague", "stranger", "former", "withdrawn", "staff"} {
		for _, doctor := range []string{"treats", "stranger"} {
			whole := kind == doctor || kind == "staff"
			one := w.ask(kind, "GET /api/doctors/{"+doctor+"}/", "")
			list := w.ask(kind, "GET /api/doctors/?search="+one.text(t, "user.username"), "")
			for _, shown := range []struct {
				r    response
				path string
			}{{one, ""}, {list, "results.0."}} {
				if shown.r.text(t, shown.path+"id") != w.one(doctor).id {
					t.Fatalf("%s does not find %s in the directory", kind, doctor)
				}
				if email, patients := shown.r.text(t, shown.path+"user.email"), shown.r.field(t, shown.path+"patients").([]any); (email != "") != whole || (len(patients) > 0) != whole {
					t.Errorf("%s sees an e-mail address (%v) and %d patients of %s, want that it sees them: %v", kind, email != "", len(patients), doctor, whole)
				}
			}
			if !whole && (strings.Contains(one.body+list.body, "@") || slices.ContainsFunc(w.objects["patients/all"], func(id string) bool { return strings.Contains(one.body+list.body, id) })) {
				t.Errorf("%s finds an address or a patient in the profile of %s", kind, doctor)
			}
		}
	}
}

// An id has one spelling; whatever else a server might take for it is nothing.
func TestOtherSpellingsOfAnIDAreNothing(t *testing.T) {
	w := newWorld(t, false)
	for _, object := range []struct{ kind, path, id string }{
		{"patient", "/api/patients/", w.one("patient").id},
		{"treats", "/api/doctors/", w.one("treats").id},
		{"patient", "/api/health-records/", w.objects["health-records/by-patient"][0]},
		{"treats", "/api/doctor-notes/", w.objects["doctor-notes/by-treats"][0]},
	} {
		w.do(w.one(object.kind), "GET", object.path+object.id+"/", "").want(t, "GET "+object.path+" as it is spelt", http.StatusOK, "")
		for _, spelling := range []string{
			strings.ToUpper(object.id), strings.ReplaceAll(object.id, "-", ""), "%7B" + object.id + "%7D", "urn:uuid:" + object.id, object.id + "0", object.id[:35],
			"%20" + object.id, object.id + "%20", object.id + "%00", object.id + "%0A", object.id + ";x", object.id + ".json", "%2500", "0", "-1", "null", "*", "%25",
		} {
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				w.do(w.one(object.kind), method, object.path+spelling+"/", "{}").want(t, method+" "+object.path+" with the id spelt "+spelling,
					http.StatusNotFound, `{"detail":"Not found.","code":"not_found"}`)
			}
		}
		w.do(w.one(object.kind), "GET", object.path+object.id+"/", "").want(t, "GET "+object.path+" after all these", http.StatusOK, "")
	}
}

// What an account may be is sealed: who changes that in the file makes nobody
// staff, but an account that nothing is answered to until it is put back.
func TestBentStandingShutsTheAccountOut(t *testing.T) {
	c := newClinic(t)
	other := c.patient("other", c.colleague)
	c.record(c.pat, c.pat, "Cough")
	c.record(other, other, "Fever")
	untouched := func() string {
		all := ""
		for _, who := range []person{other, c.colleague} {
			for _, path := range []string{"/api/me/", "/api/patients/", "/api/health-records/", patientPath(other.id)} {
				all += c.read(who, path).body
			}
		}
		return all
	}
	before := untouched()
	for _, bent := range []struct {
		name, role string
		who        person
		own        string
	}{
		{"pat", "staff", c.pat, patientPath(c.pat.id)},
		{"doc", "staff", c.doc, doctorPath(c.doc.id)},
		{"newcomer", "patient", c.newcomer, doctorPath(c.newcomer.id)},
		{"admin", "doctor", c.admin, patientPath(other.id)},
	} {
		role := c.query(`SELECT role FROM accounts WHERE id = $1`, bent.who.id)
		for _, flip := range []struct{ there, back string }{
			{`role = '` + bent.role + `'`, `role = '` + role + `'`},
			{`verified = 1 - verified`, `verified = 1 - verified`},
			{`active = 1 - active`, `active = 1 - active`},
		} {
			what := bent.name + " with " + flip.there
			c.do(bent.who, "GET", bent.own, "").want(t, what+", before: GET", 200, "")
			c.alter(`UPDATE accounts SET ` + flip.there + ` WHERE id = '` + bent.who.id + `'`)
			for _, request := range []struct{ method, path, body string }{
				{"GET", "/api/", ""}, {"GET", "/api/me/", ""}, {"GET", bent.own, ""}, {"PATCH", bent.own, `{}`}, {"DELETE", bent.own, ""},
				{"GET", "/api/patients/", ""}, {"GET", "/api/doctors/", ""}, {"GET", "/api/doctors/?search=doc", ""}, {"GET", "/api/health-records/", ""},
				{"POST", "/api/health-records/", `{"title":"t","description":"d"}`}, {"POST", "/api/doctors/", registration("another")}, {"GET", "/api/audit-events/", ""},
				{"POST", "/api/token/", asJSON(map[string]string{"username": bent.name, "password": goodPassword})},
				{"POST", "/api/token/verify/", asJSON(map[string]string{"token": bent.who.token})},
				{"POST", "/api/token/verify/", asJSON(map[string]string{"token": c.refresh(bent.who.grant)})},
				{"POST", "/api/token/refresh/", asJSON(map[string]string{"refresh": c.refresh(bent.who.grant)})},
			} {
				alerts := strings.Count(c.log.String(), `"level":"ERROR"`)
				c.do(bent.who, request.method, request.path, request.body).want(t, what+": "+request.method+" "+request.path, 500, `{"detail":"Internal server error.","code":"error"}`)
				if strings.Count(c.log.String(), `"level":"ERROR"`) == alerts {
					t.Errorf("%s: %s %s leaves no alert in the log", what, request.method, request.path)
				}
			}
			if !strings.Contains(c.log.String(), `"account":"`+bent.who.id+`"`) {
				t.Errorf("%s: the log does not name the account", what)
			}
			if untouched() != before {
				t.Errorf("%s: others are answered something else", what)
			}
			c.alter(`UPDATE accounts SET ` + flip.back + ` WHERE id = '` + bent.who.id + `'`)
			c.do(bent.who, "GET", bent.own, "").want(t, what+", put back: GET", 200, "")
		}
	}
	c.fileReader().wantWholeTrail()
}

// That somebody is a patient of the practice is for no other patient to know,
// not even for one whom it tried to look up.
func TestAccessLogDoesNotTellOfAnotherPatient(t *testing.T) {
	c := newClinic(t)
	other := c.patient("nosy")
	record := c.record(c.pat, c.pat, "Cough")
	log := patientPath(c.pat.id) + "access-log/"
	before := len(c.all(c.pat, log+"?page_size=100"))
	c.do(other, "GET", patientPath(c.pat.id), "").want(t, "GET of another patient", 404, "")
	c.do(other, "DELETE", recordPath(record), "").want(t, "DELETE of its record", 404, "")
	c.do(other, "GET", log, "").want(t, "GET of its access log", 404, "")
	c.do(other, "POST", "/api/health-records/", `{"title":"t","description":"d","patient":"`+c.pat.id+`"}`).want(t, "POST of a record", 400, "")
	c.read(c.doc, recordPath(record))
	for who, reader := range map[string]person{"the patient": c.pat, "staff": c.admin} {
		r := c.do(reader, "GET", log+"?page_size=100", "")
		if strings.Contains(r.body, other.id) || strings.Contains(r.body, "nosy") {
			t.Errorf("the access log tells %s who the other patient is", who)
		}
		tried := 0
		for i := range r.field(t, "results").([]any) {
			e := "results." + strconv.Itoa(i) + "."
			if role, outcome := r.text(t, e+"role"), r.text(t, e+"outcome"); role == "patient" && outcome == "not found" {
				tried++
				if actor, name := r.field(t, e+"actor"), r.text(t, e+"actor_name"); actor != nil || name != "" {
					t.Errorf("an entry tells %s of actor %v, %q, want null and no name", who, actor, name)
				}
			}
		}
		if tried != 4 {
			t.Errorf("the access log tells %s of %d attempts, want 4", who, tried)
		}
		if !strings.Contains(r.body, `"actor":"`+c.doc.id+`","actor_name":"doc Of-doc"`) {
			t.Errorf("the access log does not tell %s which doctor read the record", who)
		}
	}
	if after := len(c.all(c.pat, log+"?page_size=100")); after <= before+4 {
		t.Errorf("the access log grew from %d to %d entries, want 5 more and those of reading it", before, after)
	}
}
