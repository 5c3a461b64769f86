package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
)

// The contract's words that several tests compare with.
const (
	notFoundBody  = `{"detail":"Not found.","code":"not_found"}`
	forbiddenBody = `{"detail":"You do not have permission to perform this action.","code":"permission_denied"}`
	noTokenBody   = `{"detail":"Authentication credentials were not provided.","code":"not_authenticated"}`
	badTokenBody  = `{"detail":"Given token not valid for any token type","code":"token_not_valid",` +
		`"messages":[{"token_class":"AccessToken","token_type":"access","message":"Token is invalid or expired"}]}`

	wrongDate    = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD."
	wrongInstant = "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)

// atStart is the time at which every practice begins.
const atStart = "2026-03-01T09:00:00.123456Z"

// absentID is an id of nothing.
const absentID = "019c0000-0000-7000-8000-000000000000"

// clinic is a small practice that most tests of the contract begin with: the
// patient is treated by the doctor and not by the colleague, the newcomer is a
// doctor who is not verified.
type clinic struct {
	*practice
	admin, doc, colleague, newcomer, pat person
}

func newClinic(t testing.TB) *clinic {
	t.Helper()
	c := &clinic{practice: newPractice(t, nil)}
	c.admin = c.staff("admin")
	c.doc, c.colleague = c.doctor(c.admin, "doc"), c.doctor(c.admin, "colleague")
	c.newcomer = c.doctor(nobody, "newcomer")
	c.pat = c.patient("pat", c.doc)
	return c
}

// The paths of objects.
func patientPath(id string) string { return "/api/patients/" + id + "/" }
func doctorPath(id string) string  { return "/api/doctors/" + id + "/" }
func recordPath(id string) string  { return "/api/health-records/" + id + "/" }
func notePath(id string) string    { return "/api/doctor-notes/" + id + "/" }

// invalidPK is the body of a refused id in that field.
func invalidPK(field, id string) string {
	return `{"` + field + `":["Invalid pk \"` + id + `\" - object does not exist."]}`
}

// read gets an object that must be there.
func (c *clinic) read(who person, path string) response {
	c.t.Helper()
	return c.do(who, "GET", path, "").want(c.t, "GET", 200, "")
}

// change sends a body that must be taken.
func (c *clinic) change(who person, method, path, body string) response {
	c.t.Helper()
	return c.do(who, method, path, body).want(c.t, method, 200, "")
}

func (c *clinic) remove(who person, path string) {
	c.t.Helper()
	c.do(who, "DELETE", path, "").want(c.t, "DELETE", 204, "")
}

const otterPassword = "seven-otters-on-a-raft"

func TestPatientIsShownWhole(t *testing.T) {
	c := newClinic(t)
	r := c.do(nobody, "POST", "/api/patients/", `{"doctors":["`+c.doc.id+`","`+c.doc.id+`"],"address":"\u2003Main <1> & \"Co\"\t",
		"phone_number":" 030 12 ","date_of_birth":"1990-02-03",
		"user":{"password":"`+otterPassword+`","last_name":"Lee\n","first_name":" Ann","email":"ann@example.test ","username":" ann "}}`)
	id := r.text(t, "id")
	body := `{"id":"` + id + `","user":{"username":"ann","email":"ann@example.test","first_name":"Ann","last_name":"Lee"},` +
		`"date_of_birth":"1990-02-03","phone_number":"030 12","address":"Main <1> & \"Co\"","doctors":["` + c.doc.id + `"]}`
	r.want(t, "POST patients", 201, body)
	if got := r.header.Get("Location"); got != patientPath(id) {
		t.Errorf("Location = %q, want %q", got, patientPath(id))
	}
	c.do(c.signedIn("ann"), "GET", patientPath(id), "").want(t, "GET as the patient", 200, body)
	c.do(c.doc, "GET", patientPath(id), "").want(t, "GET as its doctor", 200, body)
	c.do(c.admin, "GET", patientPath(id), "").want(t, "GET as staff", 200, asStaffSees(body))
}

// asStaffSees is what staff is shown of a patient or doctor whom others see so:
// that the account is active, too.
func asStaffSees(body string) string {
	return strings.Replace(body, `},"`, `,"is_active":true},"`, 1)
}

func TestPatientWithNothingOptional(t *testing.T) {
	c := newClinic(t)
	r := c.do(c.admin, "POST", "/api/patients", `{"user":{"username":"bo","password":"`+otterPassword+`"}}`)
	r.want(t, "POST patients", 201, `{"id":"`+r.text(t, "id")+`","user":{"username":"bo","email":"","first_name":"","last_name":"","is_active":true},`+
		`"date_of_birth":null,"phone_number":"","address":"","doctors":[]}`)
}

func TestDoctorIsShownWhole(t *testing.T) {
	c := newClinic(t)
	body := `{"user":{"username":"eve","email":"eve@example.test","first_name":"Eve","last_name":"","password":"` + otterPassword + `"},
		"specialization":"Skin","license_number":"L-1","verified":true,"patients":["` + c.pat.id + `"]}`
	shown := func(id, username, email, verified, patients string) string {
		return `{"id":"` + id + `","user":{"username":"` + username + `","email":"` + email + `","first_name":"Eve","last_name":""},` +
			`"specialization":"Skin","license_number":"L-1","verified":` + verified + `,"patients":[` + patients + `]}`
	}
	r := c.do(nobody, "POST", "/api/doctors/", body)
	id := r.text(t, "id")
	r.want(t, "POST doctors as nobody", 201, shown(id, "eve", "eve@example.test", "false", ""))
	if got := r.header.Get("Location"); got != doctorPath(id) {
		t.Errorf("Location = %q, want %q", got, doctorPath(id))
	}
	c.do(c.pat, "GET", doctorPath(id), "").want(t, "GET of an unverified doctor as a patient", 404, notFoundBody)
	c.do(c.signedIn("eve"), "GET", doctorPath(id), "").want(t, "GET of an unverified doctor as itself", 200, shown(id, "eve", "eve@example.test", "false", ""))

	r = c.do(c.admin, "POST", "/api/doctors/", strings.Replace(body, `"eve"`, `"eva"`, 1))
	id, patients := r.text(t, "id"), `"`+c.pat.id+`"`
	r.want(t, "POST doctors as staff", 201, asStaffSees(shown(id, "eva", "eve@example.test", "true", patients)))
	c.do(c.admin, "GET", doctorPath(id), "").want(t, "GET as staff", 200, asStaffSees(shown(id, "eva", "eve@example.test", "true", patients)))
	c.do(c.signedIn("eva"), "GET", doctorPath(id), "").want(t, "GET as itself", 200, shown(id, "eva", "eve@example.test", "true", patients))
	for who, reader := range map[string]person{"a patient": c.pat, "another doctor": c.doc, "an unverified doctor": c.newcomer} {
		c.do(reader, "GET", doctorPath(id), "").want(t, "GET as "+who, 200, shown(id, "eva", "", "true", ""))
		c.do(reader, "GET", "/api/doctors/?search=eva", "").
			want(t, "the directory of "+who, 200, `{"next":null,"previous":null,"results":[`+shown(id, "eva", "", "true", "")+`]}`)
	}
}

func TestRecordAndNoteAreShownWhole(t *testing.T) {
	c := newClinic(t)
	r := c.do(c.pat, "POST", "/api/health-records/", `{"title":" Cough <&> ","description":"dry\n\"at\" night "}`)
	id := r.text(t, "id")
	shown := func(notes string) string {
		return `{"id":"` + id + `","title":"Cough <&>","description":"dry\n\"at\" night","date":"` + atStart + `","patient":"` + c.pat.id + `",` +
			`"author":{"role":"patient","id":"` + c.pat.id + `","name":"pat Of-pat"},"doctor_notes":[` + notes + `],"created_at":"` + atStart + `","updated_at":"` + atStart + `"}`
	}
	r.want(t, "POST health-records", 201, shown(""))
	if got := r.header.Get("Location"); got != recordPath(id) {
		t.Errorf("Location = %q, want %q", got, recordPath(id))
	}
	c.clock.Advance(time.Minute + 543*time.Microsecond)
	r = c.do(c.doc, "POST", "/api/doctor-notes/", `{"note":" rest ","health_record":"`+id+`"}`)
	first := r.text(t, "id")
	note := `{"id":"` + first + `","note":"rest","date":"2026-03-01T09:01:00.123999Z","doctor_name":"doc Of-doc","doctor":"` + c.doc.id + `",` +
		`"health_record":"` + id + `","updated_at":"2026-03-01T09:01:00.123999Z"}`
	r.want(t, "POST doctor-notes", 201, note)
	if got := r.header.Get("Location"); got != notePath(first) {
		t.Errorf("Location = %q, want %q", got, notePath(first))
	}
	second := c.read(c.pat, notePath(c.note(c.doc, id, "drink"))).body
	c.do(c.pat, "GET", notePath(first), "").want(t, "GET of the note", 200, note)
	c.do(c.pat, "GET", recordPath(id), "").want(t, "GET of the record", 200, shown(note+","+second))
	list := `{"next":null,"previous":null,"results":[` + shown(note+","+second) + `]}`
	c.do(c.doc, "GET", "/api/health-records/", "").want(t, "GET health-records", 200, list)
	c.do(c.doc, "GET", patientPath(c.pat.id)+"health-records/", "").want(t, "GET the patient's records", 200, list)
	c.do(c.doc, "GET", "/api/doctor-notes/", "").want(t, "GET doctor-notes", 200, `{"next":null,"previous":null,"results":[`+second+","+note+`]}`)
}

func TestInstantsAreShownInUTC(t *testing.T) {
	c := newClinic(t)
	for given, shown := range map[string]string{
		"2026-02-01T00:30+01:00":           "2026-01-31T23:30:00.000000Z",
		"2026-02-01T00:30:01.5-05:30":      "2026-02-01T06:00:01.500000Z",
		"2026-02-01T00:30:01.123456Z":      "2026-02-01T00:30:01.123456Z",
		"2026-03-01T10:00:00.123456+01:00": atStart,
	} {
		r := c.do(c.doc, "POST", "/api/health-records/", `{"title":"t","description":"d","patient":"`+c.pat.id+`","date":"`+given+`"}`)
		if got := r.text(t, "date"); got != shown {
			t.Errorf("date %s is shown as %q, want %q", given, got, shown)
		}
		if role, author := r.text(t, "author.role"), r.text(t, "author.id"); role != "doctor" || author != c.doc.id {
			t.Errorf("author = %s %s, want the doctor", role, author)
		}
	}
}

func TestMe(t *testing.T) {
	c := newClinic(t)
	for _, test := range []struct {
		name, role, rest string
		who              person
	}{
		{"pat", "patient", `"patient":"` + c.pat.id + `","doctor":null,"verified":null`, c.pat},
		{"doc", "doctor", `"patient":null,"doctor":"` + c.doc.id + `","verified":true`, c.doc},
		{"newcomer", "doctor", `"patient":null,"doctor":"` + c.newcomer.id + `","verified":false`, c.newcomer},
		{"admin", "staff", `"patient":null,"doctor":null,"verified":null`, c.admin},
	} {
		n := test.name
		c.do(test.who, "GET", "/api/me/", "").want(t, "GET me as "+n, 200, `{"id":"`+test.who.id+`","role":"`+test.role+`",`+
			`"user":{"username":"`+n+`","email":"`+n+`@example.test","first_name":"`+n+`","last_name":"Of-`+n+`"},`+test.rest+`}`)
	}
}

func TestDoctorNameWithoutAName(t *testing.T) {
	c := newClinic(t)
	c.change(c.doc, "PATCH", doctorPath(c.doc.id), `{"user":{"first_name":"","last_name":" "}}`)
	id := c.record(c.doc, c.pat, "Cough")
	c.note(c.doc, id, "rest")
	r := c.read(c.pat, recordPath(id))
	if author, note := r.text(t, "author.name"), r.text(t, "doctor_notes.0.doctor_name"); author != "doc" || note != "doc" {
		t.Errorf("names = %q and %q, want the user name", author, note)
	}
}

// one is the answer to one bad field.
func one(field, message string) string { return `{"` + field + `":["` + message + `"]}` }

func inUser(field, message string) string { return `{"user":` + one(field, message) + `}` }

func noMore(n int) string { return fmt.Sprintf("Ensure this field has no more than %d characters.", n) }

const (
	fieldRequired = "This field is required."
	fieldNull     = "This field may not be null."
	fieldBlank    = "This field may not be blank."
	notText       = "Not a valid string."
	hasNull       = "Null characters are not allowed."
	unknownField  = "Unknown field."
	takenName     = "A user with that username already exists."
	wrongName     = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
	wrongEmail    = "Enter a valid email address."
	tooShort      = "This password is too short. It must contain at least 15 characters."
)

func TestRegistrationSaysWhatIsWrong(t *testing.T) {
	c := newClinic(t)
	c.remove(c.colleague, doctorPath(c.colleague.id))
	user := func(members string) string { return `{"user":{` + members + `}}` }
	secret := func(s string) string { return user(`"username":"heron","password":"` + s + `"`) }
	with := func(members string) string {
		return `{"user":{"username":"heron","password":"` + otterPassword + `"},` + members + `}`
	}
	good := `,"password":"` + otterPassword + `"`
	tests := []struct{ body, want string }{
		{``, one("user", fieldRequired)},
		{` {} `, one("user", fieldRequired)},
		{`{"user":null}`, one("user", fieldNull)},
		{`[]`, one("non_field_errors", "Invalid data. Expected a dictionary, but got list.")},
		{`"a"`, one("non_field_errors", "Invalid data. Expected a dictionary, but got str.")},
		{`1`, one("non_field_errors", "Invalid data. Expected a dictionary, but got int.")},
		{`{"user":[]}`, inUser("non_field_errors", "Invalid data. Expected a dictionary, but got list.")},
		{user(``), `{"user":{"username":["` + fieldRequired + `"],"password":["` + fieldRequired + `"]}}`},

		{user(`"username":" \u2003"` + good), inUser("username", fieldBlank)},
		{user(`"username":null` + good), inUser("username", fieldNull)},
		{user(`"username":12` + good), inUser("username", notText)},
		{user(`"username":"` + strings.Repeat("é", 151) + `"` + good), inUser("username", noMore(150))},
		{user(`"username":"a heron"` + good), inUser("username", wrongName)},
		{user(`"username":"DOC"` + good), inUser("username", takenName)},
		{user(`"username":"Colleague"` + good), inUser("username", takenName)}, // of a deleted account
		{user(`"Username":"heron"` + good), `{"user":{"username":["` + fieldRequired + `"],"Username":["` + unknownField + `"]}}`},
		{user(`"username":"heron","email":"heron"` + good), inUser("email", wrongEmail)},
		{user(`"username":"heron","email":"` + strings.Repeat("a", 242) + `@example.test"` + good), inUser("email", noMore(254))},
		{user(`"username":"heron","first_name":"` + strings.Repeat("é", 151) + `"` + good), inUser("first_name", noMore(150))},
		{user(`"username":"heron","last_name":"a\u0000"` + good), inUser("last_name", hasNull)},
		{user(`"username":"heron","current_password":"x"` + good), inUser("current_password", unknownField)},

		{secret(``), inUser("password", fieldBlank)},
		{user(`"username":"heron","password":null`), inUser("password", fieldNull)},
		{secret(strings.Repeat("é", 1025)), inUser("password", noMore(1024))},
		{secret(`otter raft lake`[:14]), inUser("password", tooShort)},
		{secret(`password`), `{"user":{"password":["` + tooShort + `","This password is too common."]}}`},
		{secret(`731908264417350`), inUser("password", "This password is entirely numeric.")},
		{user(`"username":"kingfisher-by-the-lake","password":"kingfisher-by-the-lake"`), inUser("password", "The password is too similar to the username.")},
		{user(`"username":"heron","email":"kingfisher.of.lakes@example.test","password":"kingfisher.of.lakes"`), inUser("password", "The password is too similar to the email address.")},
		{user(`"username":"heron","first_name":"Bartholomew-Augustus","password":"bartholomewaugustus"`), inUser("password", "The password is too similar to the first name.")},
		{user(`"username":"heron","last_name":"Featherstonehaugh","password":"Featherstonehaugh"`), inUser("password", "The password is too similar to the last name.")},

		{with(`"date_of_birth":"1990-2-3"`), one("date_of_birth", wrongDate)},
		{with(`"date_of_birth":" 1990-02-03"`), one("date_of_birth", wrongDate)},
		{with(`"date_of_birth":"1990-02-30"`), one("date_of_birth", wrongDate)},
		{with(`"date_of_birth":"1990-02-03T00:00:00Z"`), one("date_of_birth", wrongDate)},
		{with(`"phone_number":"` + strings.Repeat("1", 16) + `"`), one("phone_number", noMore(15))},
		{with(`"phone_number":30`), one("phone_number", notText)},
		{with(`"phone_number":null`), one("phone_number", fieldNull)},
		{with(`"address":"` + strings.Repeat("é", 501) + `"`), one("address", noMore(500))},
		{with(`"adress":"Main"`), one("adress", unknownField)},
		{with(`"password":"x"`), one("password", unknownField)},
		{with(`"doctors":null`), one("doctors", fieldNull)},
		{with(`"doctors":"x"`), one("doctors", `Expected a list of items but got type \"str\".`)},
		{with(`"doctors":["` + absentID + `"]`), invalidPK("doctors", absentID)},
		{with(`"doctors":["` + c.newcomer.id + `"]`), invalidPK("doctors", c.newcomer.id)},
		{with(`"doctors":["` + c.colleague.id + `"]`), invalidPK("doctors", c.colleague.id)},
		{with(`"doctors":["` + c.pat.id + `"]`), invalidPK("doctors", c.pat.id)},
		{with(`"doctors":["` + strings.ToUpper(c.doc.id) + `"]`), invalidPK("doctors", strings.ToUpper(c.doc.id))},
		{with(`"doctors":["<&>"]`), invalidPK("doctors", "<&>")},
	}
	for _, test := range tests {
		c.do(nobody, "POST", "/api/patients/", test.body).want(t, "POST patients "+test.body, 400, test.want)
	}
	if got := c.read(c.admin, "/api/patients/?search=heron").body; got != `{"next":null,"previous":null,"results":[]}` {
		t.Errorf("a refused registration left an account: %s", got)
	}
}

func TestAllBadFieldsAtOnceInDeclaredOrder(t *testing.T) {
	c := newClinic(t)
	c.do(nobody, "POST", "/api/patients/", `{"doctors":["x"],"zip":1,"address":5,"phone_number":null,"date_of_birth":"x",
		"user":{"password":"1","last_name":2,"first_name":null,"email":"x","username":"Pat","age":3}}`).
		want(t, "POST patients", 400, `{"user":{"username":["`+takenName+`"],"email":["`+wrongEmail+`"],"first_name":["`+fieldNull+`"],"last_name":["`+notText+`"],`+
			`"password":["`+tooShort+`","This password is entirely numeric."],"age":["`+unknownField+`"]},`+
			`"date_of_birth":["`+wrongDate+`"],"phone_number":["`+fieldNull+`"],"address":["`+notText+`"],`+
			`"doctors":["Invalid pk \"x\" - object does not exist."],"zip":["`+unknownField+`"]}`)
	c.do(c.doc, "POST", "/api/health-records/", `{"Title":"t","patient":"x","date":"2026-03-01","description":" "}`).
		want(t, "POST health-records", 400, `{"title":["`+fieldRequired+`"],"description":["`+fieldBlank+`"],"date":["`+wrongInstant+`"],`+
			`"patient":["Invalid pk \"x\" - object does not exist."],"Title":["`+unknownField+`"]}`)
	c.do(c.doc, "POST", "/api/doctor-notes/", `{"x":1}`).
		want(t, "POST doctor-notes", 400, `{"note":["`+fieldRequired+`"],"health_record":["`+fieldRequired+`"],"x":["`+unknownField+`"]}`)
	c.do(c.admin, "PATCH", doctorPath(c.doc.id), `{"patients":"x","verified":"yes","license_number":7,"specialization":null}`).
		want(t, "PATCH doctor", 400, `{"specialization":["`+fieldNull+`"],"license_number":["`+notText+`"],"verified":["Must be a valid boolean."],`+
			`"patients":["Expected a list of items but got type \"str\"."]}`)
}

func TestWhatIsWrongWithTheRest(t *testing.T) {
	c := newClinic(t)
	stranger := c.patient("stranger")
	hers := c.record(stranger, stranger, "Private")
	mine := c.record(c.pat, c.pat, "Cough")
	text := func(members string) string { return `{"title":"t","description":"d",` + members + `}` }
	tests := []struct {
		who          person
		method, path string
		body, want   string
	}{
		{c.pat, "POST", "/api/health-records/", `{"title":"` + strings.Repeat("é", 201) + `","description":"d"}`, one("title", noMore(200))},
		{c.pat, "POST", "/api/health-records/", `{"title":"t","description":"` + strings.Repeat("é", 20_001) + `"}`, one("description", noMore(20_000))},
		{c.pat, "POST", "/api/health-records/", text(`"date":"2026-01-02T03:04:05"`), one("date", wrongInstant)},
		{c.pat, "POST", "/api/health-records/", text(`"date":"2026-01-02T03:04:05Z "`), one("date", wrongInstant)},
		{c.pat, "POST", "/api/health-records/", text(`"date":"2026-01-02"`), one("date", wrongInstant)},
		{c.pat, "POST", "/api/health-records/", text(`"date":null`), one("date", fieldNull)},
		{c.pat, "POST", "/api/health-records/", text(`"patient":null`), one("patient", fieldNull)},
		{c.pat, "POST", "/api/health-records/", text(`"patient":"` + stranger.id + `"`), invalidPK("patient", stranger.id)},
		{c.doc, "POST", "/api/health-records/", `{"title":"t","description":"d"}`, one("patient", fieldRequired)},
		{c.doc, "POST", "/api/health-records/", text(`"patient":"` + stranger.id + `"`), invalidPK("patient", stranger.id)},
		{c.doc, "POST", "/api/health-records/", text(`"patient":"` + absentID + `"`), invalidPK("patient", absentID)},
		{c.doc, "POST", "/api/health-records/", text(`"patient":"` + c.doc.id + `"`), invalidPK("patient", c.doc.id)},
		{c.pat, "PATCH", recordPath(mine), `{"title":""}`, one("title", fieldBlank)},
		{c.doc, "POST", "/api/doctor-notes/", `{"note":"n","health_record":"` + hers + `"}`, invalidPK("health_record", hers)},
		{c.doc, "POST", "/api/doctor-notes/", `{"note":"n","health_record":"` + absentID + `"}`, invalidPK("health_record", absentID)},
		{c.doc, "POST", "/api/doctor-notes/", `{"note":"n","health_record":5}`, one("health_record", notText)},
		{c.doc, "POST", "/api/doctor-notes/", `{"note":"` + strings.Repeat("é", 20_001) + `","health_record":"` + mine + `"}`, one("note", noMore(20_000))},
		{c.doc, "PATCH", doctorPath(c.doc.id), `{"specialization":"` + strings.Repeat("é", 101) + `"}`, one("specialization", noMore(100))},
		{c.doc, "PATCH", doctorPath(c.doc.id), `{"license_number":"` + strings.Repeat("é", 51) + `"}`, one("license_number", noMore(50))},
		{c.doc, "PATCH", doctorPath(c.doc.id), `{"user":{"password":"x"}}`, inUser("password", unknownField)},
		{c.pat, "PATCH", patientPath(c.pat.id), `{"doctors":["` + c.newcomer.id + `"]}`, invalidPK("doctors", c.newcomer.id)},
		{c.pat, "PATCH", patientPath(c.pat.id), `{"doctors":["` + c.doc.id + `","` + absentID + `"]}`, invalidPK("doctors", absentID)},
		{c.pat, "PATCH", patientPath(c.pat.id), `{"user":{"email":"new@example.test"}}`, inUser("current_password", fieldRequired)},
		{c.pat, "PATCH", patientPath(c.pat.id), `[]`, one("non_field_errors", "Invalid data. Expected a dictionary, but got list.")},
		{c.admin, "PATCH", doctorPath(c.doc.id), `{"patients":["` + absentID + `"]}`, invalidPK("patients", absentID)},
		{c.admin, "PATCH", doctorPath(c.newcomer.id), `{"patients":["` + c.pat.id + `"]}`, invalidPK("patients", c.pat.id)},
		{c.admin, "PATCH", doctorPath(c.doc.id), `{"verified":1}`, one("verified", "Must be a valid boolean.")},
		{c.admin, "PATCH", doctorPath(c.doc.id), `{"verified":null}`, one("verified", fieldNull)},
	}
	for _, test := range tests {
		call := test.method + " " + test.path + " " + test.body[:min(len(test.body), 100)]
		c.do(test.who, test.method, test.path, test.body).want(t, call, 400, test.want)
	}
	future := c.do(c.pat, "POST", "/api/health-records/", text(`"date":"2026-03-01T09:00:00.123457Z"`)).want(t, "POST of a record from the future", 400, "")
	if future.field(t, "date.0") == nil {
		t.Errorf("POST of a record from the future = %s, want an error of date", future.body)
	}
}

func TestLongestTextsAreTaken(t *testing.T) {
	c := newClinic(t)
	r := c.do(c.pat, "POST", "/api/health-records/", `{"title":" `+strings.Repeat("é", 200)+` ","description":"`+strings.Repeat("\U0001F9D1", 20_000)+`"}`)
	r.want(t, "POST health-records", 201, "")
	if got := len([]rune(r.text(t, "description"))); got != 20_000 {
		t.Errorf("description has %d characters, want 20000", got)
	}
}

func TestMalformedJSON(t *testing.T) {
	c := newClinic(t)
	for _, body := range []string{
		`{`, `{"title":"marker"`, `{"title":"marker"}}`, `{"title":"marker"} {}`, `{title:"marker"}`, `{"title":'marker'}`, `{"title":"marker",}`,
		`{"title":"marker","title":"marker"}`, `{"title":"marker","\u0074itle":"marker"}`, `{"title":"marker\ud800"}`, "{\"title\":\"marker\xff\"}",
		"{\"title\":\"marker\n\"}", `{"title":marker}`, "\ufeff{}", strings.Repeat("[", 10_000),
	} {
		r := c.do(c.pat, "POST", "/api/health-records/", body).want(t, "POST of malformed JSON", 400, "")
		rest, ok := strings.CutPrefix(r.body, `{"detail":"JSON parse error - `)
		what, ok2 := strings.CutSuffix(rest, `","code":"parse_error"}`)
		if !ok || !ok2 || what == "" || strings.Contains(what, "marker") || strings.Contains(what, `"`) {
			t.Errorf("POST %.60q = %s, want a parse error that quotes nothing", body, r.body)
		}
	}
}

// Each line meets the check before it and fails at its own.
func TestOrderOfChecks(t *testing.T) {
	c := newClinic(t)
	stranger, forged := c.patient("stranger"), person{token: "x.y.z"}
	mine, whole := patientPath(c.pat.id), c.record(c.doc, c.pat, "Cough")
	const malformed, unknown, media = `{"a"`, `{"a":1}`, "Content-Type: text/plain"
	tooLarge := malformed + strings.Repeat(" ", 64<<10)
	stale := `If-Match: "stale"`
	for _, test := range []struct {
		what         string
		who          person
		method, path string
		body         string
		headers      []string
		status       int
		want         string
	}{
		{"unknown path", forged, "FETCH", "/api/patient/", tooLarge, []string{stale, media}, 404, notFoundBody},
		{"method", forged, "POST", mine, tooLarge, []string{stale, media}, 405, `{"detail":"Method \"POST\" not allowed.","code":"method_not_allowed"}`},
		{"token", forged, "PATCH", mine, tooLarge, []string{stale, media}, 401, badTokenBody},
		{"no token", nobody, "PATCH", mine, tooLarge, []string{stale, media}, 401, noTokenBody},
		{"role, seen object", c.doc, "PATCH", mine, tooLarge, []string{stale, media}, 403, forbiddenBody},
		{"role, new object", c.pat, "POST", "/api/doctor-notes/", malformed, []string{media}, 403, forbiddenBody},
		{"role, registration", c.pat, "POST", "/api/patients/", tooLarge, []string{media}, 403, forbiddenBody},
		{"role, clinical content", c.admin, "PATCH", recordPath(whole), malformed, []string{stale, media}, 403, forbiddenBody},
		{"role, clinical content, no object", c.admin, "PATCH", recordPath("x"), malformed, []string{stale, media}, 403, forbiddenBody},
		{"role, query", c.admin, "GET", "/api/health-records/?page_size=0&x=1", "", nil, 403, forbiddenBody},
		{"no object", c.pat, "PATCH", patientPath(absentID), tooLarge, []string{stale, media}, 404, notFoundBody},
		{"unseen object", stranger, "PATCH", mine, tooLarge, []string{stale, media}, 404, notFoundBody},
		{"object of another", c.pat, "PATCH", recordPath(whole), malformed, []string{stale, media}, 403, forbiddenBody},
		{"another doctor's patients", c.doc, "GET", doctorPath(c.colleague.id) + "patients/?x=1", "", nil, 403, forbiddenBody},
		{"version", c.pat, "PATCH", mine, tooLarge, []string{stale, media}, 412, ""},
		{"size", c.pat, "PATCH", mine, tooLarge, []string{media}, 413, ""},
		{"media type", c.pat, "PATCH", mine, malformed, []string{media}, 415, ""},
		{"malformed", c.pat, "PATCH", mine, malformed, nil, 400, ""},
		{"fields", c.pat, "PATCH", mine, unknown, nil, 400, one("a", unknownField)},
	} {
		r := c.do(test.who, test.method, test.path, test.body, test.headers...)
		r.want(t, test.what, test.status, test.want)
		code := map[int]string{412: "precondition_failed", 400: "parse_error"}[test.status]
		if test.want == "" && code != "" && r.text(t, "code") != code {
			t.Errorf("%s: code = %q, want %q", test.what, r.text(t, "code"), code)
		}
	}
}

func TestClosedRegistration(t *testing.T) {
	p := newPractice(t, func(so *store.Options, _ *handlers.Options) { so.RegistrationClosed = true })
	admin := p.staff("admin")
	for _, path := range []string{"/api/patients/", "/api/doctors/"} {
		r := p.do(nobody, "POST", path, `{"a"`).want(t, "POST "+path+" while registration is closed", 403, "")
		if got := r.text(t, "code"); got != "registration_closed" {
			t.Errorf("POST %s code = %q, want registration_closed", path, got)
		}
		p.do(admin, "POST", path, `{}`).want(t, "POST "+path+" as staff", 400, one("user", fieldRequired))
	}
}

func TestWhatMayNotBeSeenIsNothing(t *testing.T) {
	c := newClinic(t)
	stranger := c.patient("stranger")
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	without := func(r response) string {
		r.header.Del("X-Request-Id")
		return fmt.Sprint(r.status, r.header, r.body)
	}
	for _, object := range []struct {
		path func(string) string
		id   string
	}{{patientPath, c.pat.id}, {doctorPath, c.newcomer.id}, {recordPath, record}, {notePath, note}} {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			if method != "GET" && method != "HEAD" && object.id != c.pat.id && object.id != record {
				continue // another role's
			}
			want := without(c.do(stranger, method, object.path(absentID), "{}", "If-None-Match: *"))
			for _, id := range []string{object.id, strings.ToUpper(object.id), "x", "1"} {
				if got := without(c.do(stranger, method, object.path(id), "{}", "If-None-Match: *")); got != want {
					t.Errorf("%s %s = %s\nwant as for an id of nothing: %s", method, object.path(id), got, want)
				}
			}
		}
	}
}

func TestPutNeedsWhatIsRequired(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	c.do(c.pat, "PUT", recordPath(record), `{}`).want(t, "PUT record", 400, `{"title":["`+fieldRequired+`"],"description":["`+fieldRequired+`"]}`)
	c.do(c.pat, "PUT", recordPath(record), `{"title":"New"}`).want(t, "PUT record", 400, one("description", fieldRequired))
	c.do(c.doc, "PUT", notePath(note), ``).want(t, "PUT note", 400, one("note", fieldRequired))
}

func TestWhatIsLeftOutIsKept(t *testing.T) {
	c := newClinic(t)
	c.change(c.pat, "PATCH", patientPath(c.pat.id), `{"date_of_birth":"1990-02-03","phone_number":"030","address":"Main"}`)
	c.change(c.doc, "PATCH", doctorPath(c.doc.id), `{"specialization":"Skin","license_number":"L"}`)
	record := c.do(c.pat, "POST", "/api/health-records/", `{"title":"Cough","description":"dry","date":"2026-01-02T03:04:05.678901Z"}`).text(t, "id")
	note := c.note(c.doc, record, "rest")
	for _, test := range []struct {
		who  person
		path string
		body string // all that PUT needs, and one change
		old  string
		new  string
	}{
		{c.pat, patientPath(c.pat.id), `{"phone_number":"040"}`, `"phone_number":"030"`, `"phone_number":"040"`},
		{c.pat, patientPath(c.pat.id), `{"user":{"last_name":"Lee"}}`, `"last_name":"Of-pat"`, `"last_name":"Lee"`},
		{c.pat, patientPath(c.pat.id), `{"date_of_birth":null}`, `"date_of_birth":"1990-02-03"`, `"date_of_birth":null`},
		{c.pat, patientPath(c.pat.id), `{"address":"","doctors":[]}`, `"address":"Main","doctors":["` + c.doc.id + `"]`, `"address":"","doctors":[]`},
		{c.pat, patientPath(c.pat.id), `{"doctors":["` + c.doc.id + `"]}`, `"doctors":[]`, `"doctors":["` + c.doc.id + `"]`},
		{c.doc, doctorPath(c.doc.id), `{"license_number":" M "}`, `"license_number":"L"`, `"license_number":"M"`},
		{c.admin, doctorPath(c.doc.id), `{"user":{"email":"d@example.test"}}`, `"email":"doc@example.test"`, `"email":"d@example.test"`},
		{c.pat, recordPath(record), `{"title":"Cold","description":"dry"}`, `"title":"Cough"`, `"title":"Cold"`},
		{c.doc, notePath(note), `{"note":"sleep"}`, `"note":"rest"`, `"note":"sleep"`},
	} {
		before := c.read(test.who, test.path).body
		want := strings.Replace(before, test.old, test.new, 1)
		if want == before {
			t.Fatalf("GET %s = %s, want %s in it", test.path, before, test.old)
		}
		put := c.do(test.who, "PUT", test.path, test.body).want(t, "PUT "+test.body, 200, want)
		c.do(test.who, "GET", test.path, "").want(t, "GET after PUT", 200, want)
		if got := c.read(test.who, test.path).header.Get("ETag"); got != put.header.Get("ETag") {
			t.Errorf("PUT %s: ETag = %s, want %s as GET", test.path, put.header.Get("ETag"), got)
		}
		c.do(test.who, "PATCH", test.path, strings.ReplaceAll(strings.ReplaceAll(test.body, `"title":"Cold",`, ``), `"description":"dry"`, ``)).
			want(t, "PATCH to the same", 200, want)
		c.do(test.who, "PATCH", test.path, `{}`).want(t, "PATCH of nothing", 200, want)
		c.do(test.who, "PATCH", test.path, ``).want(t, "PATCH without a body", 200, want)
	}
}

func TestUpdatedAt(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	c.clock.Advance(time.Minute)
	const later = "2026-03-01T09:01:00.123456Z"
	r := c.change(c.pat, "PATCH", recordPath(record), `{"title":"Cold"}`)
	if r.text(t, "created_at") != atStart || r.text(t, "date") != atStart || r.text(t, "updated_at") != later {
		t.Errorf("PATCH record = %s, want updated_at alone to be %s", r.body, later)
	}
	r = c.change(c.doc, "PATCH", notePath(note), `{"note":"sleep"}`)
	if r.text(t, "date") != atStart || r.text(t, "updated_at") != later {
		t.Errorf("PATCH note = %s, want updated_at alone to be %s", r.body, later)
	}
}

func TestReadOnlyMembersAreIgnored(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	for _, test := range []struct {
		who  person
		path string
		body string
	}{
		{c.pat, patientPath(c.pat.id), `{"id":5,"user":{"username":"other"}}`},
		{c.admin, patientPath(c.pat.id), `{"id":null,"user":{"username":null}}`},
		{c.doc, doctorPath(c.doc.id), `{"id":[],"user":{"username":"a b"},"verified":false,"patients":[]}`},
		{c.doc, doctorPath(c.doc.id), `{"verified":"no","patients":"none"}`},
		{c.doc, doctorPath(c.doc.id), `{"verified":null,"patients":null}`},
		{c.doc, doctorPath(c.doc.id), `{"patients":["` + absentID + `"]}`},
		{c.newcomer, doctorPath(c.newcomer.id), `{"verified":true,"patients":["` + c.pat.id + `"]}`},
		{c.admin, doctorPath(c.doc.id), `{"id":"x","user":{"username":7}}`},
		{c.pat, recordPath(record), `{"id":1,"patient":"` + absentID + `","author":"me","doctor_notes":null,"created_at":"x","updated_at":0}`},
		{c.doc, notePath(note), `{"id":1,"date":"x","doctor_name":9,"doctor":"` + c.colleague.id + `","health_record":null,"updated_at":{}}`},
	} {
		before := c.read(test.who, test.path)
		c.do(test.who, "PATCH", test.path, test.body).want(t, "PATCH "+test.path+" "+test.body, 200, before.body)
		c.do(test.who, "GET", test.path, "").want(t, "GET after PATCH "+test.body, 200, before.body)
	}
	r := c.do(c.pat, "POST", "/api/health-records/", `{"title":"t","description":"d","id":"x","author":1,"doctor_notes":"x","created_at":[],"updated_at":null}`)
	r.want(t, "POST of a record with read-only members", 201, "")
	c.do(c.doc, "POST", "/api/doctor-notes/", `{"note":"n","health_record":"`+record+`","id":{},"date":1,"doctor":[],"doctor_name":null,"updated_at":"x"}`).
		want(t, "POST of a note with read-only members", 201, "")
	c.do(nobody, "POST", "/api/doctors/", `{"user":{"username":"eve","password":"`+otterPassword+`"},"id":1,"verified":"x","patients":{}}`).
		want(t, "POST of a doctor with read-only members", 201, "")
}

func TestWhatWasReadCanBeSentBack(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough <&>")
	doctors := c.record(c.doc, c.pat, "Visit")
	note := c.note(c.doc, record, "rest")
	c.note(c.doc, doctors, "sleep")
	for _, test := range []struct {
		as   string
		who  person
		path string
	}{
		{"itself", c.pat, patientPath(c.pat.id)},
		{"staff", c.admin, patientPath(c.pat.id)},
		{"itself", c.doc, doctorPath(c.doc.id)},
		{"staff", c.admin, doctorPath(c.doc.id)},
		{"itself, unverified", c.newcomer, doctorPath(c.newcomer.id)},
		{"staff, of an unverified doctor", c.admin, doctorPath(c.newcomer.id)},
		{"the patient who wrote it", c.pat, recordPath(record)},
		{"the doctor who wrote it", c.doc, recordPath(doctors)},
		{"the doctor who wrote it", c.doc, notePath(note)},
	} {
		for _, method := range []string{"PUT", "PATCH"} {
			before := c.read(test.who, test.path)
			r := c.do(test.who, method, test.path, before.body, "If-Match: "+before.header.Get("ETag"))
			r.want(t, method+" "+test.path+" by "+test.as, 200, before.body)
			c.do(test.who, "GET", test.path, "", "If-None-Match: "+r.header.Get("ETag")).want(t, "GET with the ETag of "+method, 304, "")
		}
	}
}

func TestDelete(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	for _, test := range []struct {
		who, reader person
		path        string
	}{
		{c.doc, c.pat, notePath(note)},
		{c.pat, c.doc, recordPath(record)},
		{c.pat, c.admin, patientPath(c.pat.id)},
		{c.admin, c.colleague, doctorPath(c.doc.id)},
	} {
		r := c.do(test.who, "DELETE", test.path, "ignored", "Content-Type: text/plain")
		r.want(t, "DELETE "+test.path, 204, "")
		if r.body != "" || r.header.Get("Content-Type") != "" {
			t.Errorf("DELETE %s has a body", test.path)
		}
		c.do(test.reader, "GET", test.path, "").want(t, "GET after DELETE", 404, notFoundBody)
	}
}

func TestDeletedRecordTakesItsNotesAlong(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	c.remove(c.pat, recordPath(record))
	c.do(c.doc, "GET", notePath(note), "").want(t, "GET of the note", 404, notFoundBody)
	c.do(c.doc, "PATCH", notePath(note), `{}`).want(t, "PATCH of the note", 404, notFoundBody)
	c.do(c.doc, "GET", "/api/doctor-notes/", "").want(t, "GET doctor-notes", 200, `{"next":null,"previous":null,"results":[]}`)
	c.do(c.doc, "POST", "/api/doctor-notes/", `{"note":"n","health_record":"`+record+`"}`).want(t, "POST of a note", 400, invalidPK("health_record", record))
}

func TestDeletedPatientTakesAllOutOfSight(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	c.remove(c.pat, patientPath(c.pat.id))
	for _, path := range []string{patientPath(c.pat.id), patientPath(c.pat.id) + "health-records/", recordPath(record), notePath(note)} {
		c.do(c.doc, "GET", path, "").want(t, "GET "+path+" as the doctor", 404, notFoundBody)
	}
	const empty = `{"next":null,"previous":null,"results":[]}`
	for _, path := range []string{"/api/patients/", "/api/health-records/", "/api/doctor-notes/", doctorPath(c.doc.id) + "patients/"} {
		c.do(c.doc, "GET", path, "").want(t, "GET "+path+" as the doctor", 200, empty)
	}
	c.do(c.admin, "GET", "/api/patients/", "").want(t, "GET patients as staff", 200, empty)
	if got := c.read(c.doc, doctorPath(c.doc.id)).body; !strings.HasSuffix(got, `"patients":[]}`) {
		t.Errorf("the doctor still shows the patient: %s", got)
	}
	c.do(c.admin, "POST", "/api/patients/", `{"user":{"username":"PAT","password":"`+otterPassword+`"}}`).
		want(t, "POST of the same user name", 400, inUser("username", takenName))
}

func TestDeletedDoctorLeavesItsWorkAndName(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.doc, c.pat, "Visit")
	note := c.note(c.doc, record, "rest")
	before, noteBefore := c.read(c.pat, recordPath(record)).body, c.read(c.pat, notePath(note)).body
	c.remove(c.doc, doctorPath(c.doc.id))
	c.do(c.pat, "GET", recordPath(record), "").want(t, "GET of the record", 200, before)
	c.do(c.pat, "GET", notePath(note), "").want(t, "GET of the note", 200, noteBefore)
	c.do(c.pat, "GET", "/api/health-records/?author="+c.doc.id, "").want(t, "GET ?author=", 200, `{"next":null,"previous":null,"results":[`+before+`]}`)
	if got := c.read(c.pat, patientPath(c.pat.id)).body; !strings.HasSuffix(got, `"doctors":[]}`) {
		t.Errorf("the patient still shows the doctor: %s", got)
	}
}

func TestWithdrawnVerification(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	own, of := doctorPath(c.doc.id), patientPath(c.pat.id)
	c.change(c.admin, "PATCH", own, `{"verified":false}`)
	c.do(c.doc, "GET", recordPath(record), "").want(t, "GET record as the unverified doctor", 404, notFoundBody)
	c.do(c.doc, "GET", of, "").want(t, "GET patient as the unverified doctor", 404, notFoundBody)
	c.do(c.pat, "GET", own, "").want(t, "GET of the unverified doctor", 404, notFoundBody)
	for who, reader := range map[string]person{"itself": c.doc, "staff": c.admin} {
		if got := c.read(reader, own).body; !strings.HasSuffix(got, `"verified":false,"patients":[]}`) {
			t.Errorf("the unverified doctor as %s = %s", who, got)
		}
	}
	// The patient does not see the pair, and what it sends back does not end it.
	shown := c.read(c.pat, of).body
	if !strings.HasSuffix(shown, `"doctors":[]}`) {
		t.Errorf("the patient shows the unverified doctor: %s", shown)
	}
	c.change(c.pat, "PUT", of, shown)
	c.do(c.pat, "PATCH", of, `{"doctors":["`+c.doc.id+`"]}`).want(t, "naming the unverified doctor", 400, invalidPK("doctors", c.doc.id))
	c.change(c.admin, "PATCH", own, `{"verified":true}`)
	c.read(c.doc, recordPath(record))
	if got := c.read(c.pat, of).text(t, "doctors.0"); got != c.doc.id {
		t.Errorf("doctors after the verification came back = %q, want the doctor", got)
	}
}

// Pairs that do not count, while the doctor is not verified, are not seen: what
// is sent neither ends them nor begins them anew.
func TestVerificationTogetherWithPatients(t *testing.T) {
	c := newClinic(t)
	stranger, own := c.patient("stranger"), doctorPath(c.doc.id)
	other := c.patient("other")
	patients := func(call, body string, want ...person) {
		t.Helper()
		shown := make([]string, len(want))
		for i, p := range want {
			shown[i] = p.id
		}
		if got := fmt.Sprint(c.change(c.admin, "PATCH", own, body).field(t, "patients")); got != fmt.Sprint(shown) {
			t.Errorf("%s: patients = %s, want %v", call, got, shown)
		}
	}
	patients("withdrawing it, all else as read", strings.Replace(c.read(c.admin, own).body, `"verified":true`, `"verified":false`, 1))
	patients("giving it, all else as read", strings.Replace(c.read(c.admin, own).body, `"verified":false`, `"verified":true`, 1), c.pat)
	patients("withdrawing it", `{"verified":false}`)
	patients("giving it with the patient of before", `{"verified":true,"patients":["`+c.pat.id+`"]}`, c.pat)
	patients("withdrawing it again", `{"verified":false}`)
	patients("giving it with a new patient", `{"verified":true,"patients":["`+stranger.id+`"]}`, c.pat, stranger)
	c.do(c.admin, "PATCH", own, `{"verified":false,"patients":["`+other.id+`"]}`).
		want(t, "withdrawing it with a new patient", 400, invalidPK("patients", other.id))
}

func TestStaffMakesAnUnverifiedDoctor(t *testing.T) {
	c := newClinic(t)
	body := `{"user":{"username":"eve","password":"` + otterPassword + `"},"verified":false,"patients":[`
	c.do(c.admin, "POST", "/api/doctors/", body+`"`+c.pat.id+`"]}`).want(t, "POST of an unverified doctor with a patient", 400, invalidPK("patients", c.pat.id))
	r := c.do(c.admin, "POST", "/api/doctors/", body+`]}`).want(t, "POST of an unverified doctor", 201, "")
	if got := r.field(t, "verified"); got != false {
		t.Errorf("verified = %v, want false", got)
	}
}

func TestOneMailForEachNewPair(t *testing.T) {
	c := newClinic(t)
	mails := func() (to []string) {
		t.Helper()
		claimed, err := c.store.ClaimMail(t.Context(), 100, time.Hour)
		if err != nil {
			t.Fatalf("ClaimMail error = %v, want nil", err)
		}
		for _, m := range claimed {
			to = append(to, strings.TrimSuffix(m.To, "@example.test"))
		}
		return to
	}
	want := func(after string, to ...string) {
		t.Helper()
		if got := mails(); fmt.Sprint(got) != fmt.Sprint(to) {
			t.Errorf("mails after %s go to %v, want %v", after, got, to)
		}
	}
	quoted := func(p person) string { return `"` + p.id + `"` }
	of, own := patientPath(c.pat.id), doctorPath(c.doc.id)
	want("a registration that names a doctor", "doc")
	c.change(c.pat, "PATCH", of, `{"doctors":[`+quoted(c.doc)+`,`+quoted(c.colleague)+`]}`)
	want("a patient adds a doctor", "colleague")
	c.change(c.pat, "PUT", of, c.read(c.pat, of).body)
	want("what stood before is sent back")
	c.do(c.pat, "PATCH", of, `{"phone_number":5,"doctors":[]}`).want(t, "PATCH with a bad field", 400, "")
	c.change(c.admin, "PATCH", of, `{"doctors":[]}`)
	want("staff ends all pairs")
	c.change(c.admin, "PATCH", own, `{"patients":[`+quoted(c.pat)+`,`+quoted(c.pat)+`]}`)
	want("staff adds a patient", "doc")
	c.change(c.doc, "PATCH", own, `{"patients":[]}`)
	want("the doctor itself sends patients")
	c.change(c.admin, "PATCH", own, `{"verified":false}`)
	c.change(c.admin, "PATCH", own, `{"verified":true,"patients":[`+quoted(c.pat)+`]}`)
	want("a pair counts again")
}

func TestETagChangesWithAllThatIsShown(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	of, own, added := patientPath(c.pat.id), doctorPath(c.doc.id), ""
	rename := func(who person, path, name string) func() {
		return func() { c.change(who, "PATCH", path, `{"user":{"first_name":"`+name+`"}}`) }
	}
	patch := func(who person, path, body string) func() { return func() { c.change(who, "PATCH", path, body) } }
	type shown struct {
		who  person
		path string
	}
	for _, step := range []struct {
		what   string
		change func()
		in     []shown
	}{
		{"record changed", patch(c.pat, recordPath(record), `{"title":"Cold"}`), []shown{{c.pat, recordPath(record)}, {c.doc, recordPath(record)}}},
		{"note changed", patch(c.doc, notePath(note), `{"note":"sleep"}`), []shown{{c.pat, notePath(note)}, {c.pat, recordPath(record)}}},
		{"note added", func() { added = c.note(c.doc, record, "drink") }, []shown{{c.pat, recordPath(record)}}},
		{"note deleted", func() { c.remove(c.doc, notePath(added)) }, []shown{{c.pat, recordPath(record)}}},
		{"patient renamed", rename(c.pat, of, "Ann"), []shown{{c.doc, of}, {c.doc, recordPath(record)}, {c.pat, "/api/me/"}}},
		{"doctor renamed", rename(c.doc, own, "Eve"), []shown{{c.pat, own}, {c.doc, own}, {c.pat, recordPath(record)}, {c.pat, notePath(note)}, {c.doc, "/api/me/"}}},
		{"doctor renamed again", rename(c.admin, own, "doc"), []shown{{c.pat, own}, {c.admin, own}, {c.pat, recordPath(record)}, {c.pat, notePath(note)}}},
		{"profile of the patient", patch(c.admin, of, `{"address":"Main"}`), []shown{{c.pat, of}, {c.doc, of}, {c.admin, of}}},
		{"profile of the doctor", patch(c.doc, own, `{"specialization":"Skin"}`), []shown{{c.pat, own}, {c.doc, own}, {c.admin, own}}},
		{"patient adds a doctor", patch(c.pat, of, `{"doctors":["`+c.doc.id+`","`+c.colleague.id+`"]}`), []shown{{c.pat, of}, {c.doc, of}, {c.colleague, doctorPath(c.colleague.id)}}},
		{"patient drops a doctor", patch(c.pat, of, `{"doctors":["`+c.doc.id+`"]}`), []shown{{c.pat, of}, {c.doc, of}, {c.admin, doctorPath(c.colleague.id)}}},
		{"staff adds a patient", patch(c.admin, doctorPath(c.colleague.id), `{"patients":["`+c.pat.id+`"]}`), []shown{{c.pat, of}, {c.colleague, doctorPath(c.colleague.id)}}},
		{"verification withdrawn", patch(c.admin, doctorPath(c.colleague.id), `{"verified":false}`), []shown{{c.pat, of}, {c.colleague, doctorPath(c.colleague.id)}, {c.colleague, "/api/me/"}}},
		{"verification given", patch(c.admin, doctorPath(c.colleague.id), `{"verified":true}`), []shown{{c.pat, of}, {c.colleague, doctorPath(c.colleague.id)}, {c.colleague, "/api/me/"}}},
		{"doctor deleted", func() { c.remove(c.colleague, doctorPath(c.colleague.id)) }, []shown{{c.pat, of}, {c.admin, of}}},
		{"patient deleted", func() { c.remove(c.pat, of) }, []shown{{c.doc, own}, {c.admin, own}}},
	} {
		before := make([]response, len(step.in))
		for i, s := range step.in {
			before[i] = c.read(s.who, s.path)
		}
		step.change()
		for i, s := range step.in {
			tag := before[i].header.Get("ETag")
			after := c.do(s.who, "GET", s.path, "", "If-None-Match: "+tag).want(t, "GET "+s.path+" after: "+step.what, 200, "")
			if after.body == before[i].body {
				t.Errorf("%s: GET %s shows nothing of it", step.what, s.path)
			}
			if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' || after.header.Get("ETag") == tag {
				t.Errorf("%s: ETag of %s = %s, then %s; want two strong tags", step.what, s.path, tag, after.header.Get("ETag"))
			}
		}
	}
}

// Else anyone could watch the directory to learn when a doctor gets a patient.
func TestDirectoryDoesNotTellOfPatients(t *testing.T) {
	c := newClinic(t)
	before := c.read(c.colleague, doctorPath(c.doc.id))
	c.patient("stranger", c.doc)
	after := c.read(c.colleague, doctorPath(c.doc.id)).want(t, "GET of the doctor", 200, before.body)
	if got, want := after.header.Get("ETag"), before.header.Get("ETag"); got != want {
		t.Errorf("ETag = %s after a patient came, want %s", got, want)
	}
}

func TestAnswersToWritesCarryTheETag(t *testing.T) {
	c := newClinic(t)
	r := c.do(c.pat, "POST", "/api/health-records/", `{"title":"t","description":"d"}`)
	path := r.header.Get("Location")
	for _, method := range []string{"PUT", "PATCH", ""} {
		if got, want := r.header.Get("ETag"), c.read(c.pat, path).header.Get("ETag"); got != want || got == "" {
			t.Errorf("ETag = %q before %s, want %q as of GET", got, method, want)
		}
		if method != "" {
			r = c.change(c.pat, method, path, `{"title":"by `+method+`","description":"d"}`)
		}
	}
}

// withTags sends one header line for each tag.
func (c *clinic) withTags(who person, method, path, body, header string, tags ...string) response {
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+who.token)
	r.Header[http.CanonicalHeaderKey(header)] = tags
	return c.send(r)
}

func TestIfMatch(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	objects := []struct {
		who  person
		path string
		body string
	}{
		{c.doc, notePath(note), `{"note":"%s"}`},
		{c.pat, recordPath(record), `{"title":"%s","description":"d"}`},
		{c.doc, doctorPath(c.doc.id), `{"specialization":"%s"}`},
		{c.pat, patientPath(c.pat.id), `{"address":"%s"}`},
	}
	for i, test := range []struct {
		tags []string // $ stands for the tag of now
		ok   bool
	}{
		{[]string{`$`}, true},
		{[]string{`*`}, true},
		{[]string{`"x", $`}, true},
		{[]string{`$ ,"x"`}, true},
		{[]string{`"x"`, `$`}, true},
		{[]string{`W/$`}, false},
		{[]string{`w/$`}, false},
		{[]string{`"x"`}, false},
		{[]string{`"x","y"`, `W/$`}, false},
		{[]string{``}, false},
	} {
		for _, o := range objects {
			for _, method := range []string{"PUT", "PATCH"} {
				before := c.read(o.who, o.path)
				tags := make([]string, len(test.tags))
				for j, tag := range test.tags {
					tags[j] = strings.ReplaceAll(tag, "$", before.header.Get("ETag"))
				}
				r := c.withTags(o.who, method, o.path, fmt.Sprintf(o.body, fmt.Sprint(method, i)), "If-Match", tags...)
				if after := c.read(o.who, o.path); test.ok && (r.status != 200 || after.body == before.body) ||
					!test.ok && (r.status != 412 || r.text(t, "code") != "precondition_failed" || after.body != before.body) {
					t.Errorf("%s %s with If-Match %q = %d %s, want it done: %v", method, o.path, test.tags, r.status, r.body, test.ok)
				}
			}
		}
	}
	for _, o := range objects {
		tag := c.read(o.who, o.path).header.Get("ETag")
		c.withTags(o.who, "DELETE", o.path, "", "If-Match", `"x"`, "W/"+tag).want(t, "DELETE of another version", 412, "")
		c.read(o.who, o.path)
		c.withTags(o.who, "DELETE", o.path, "", "If-Match", tag).want(t, "DELETE of this version", 204, "")
	}
	c.withTags(c.admin, "PATCH", patientPath(absentID), "{}", "If-Match", "*").want(t, "PATCH of nothing with If-Match *", 404, notFoundBody)
}

func TestStaleVersionAfterAnotherWrote(t *testing.T) {
	c := newClinic(t)
	path := recordPath(c.record(c.pat, c.pat, "Cough"))
	tag := c.read(c.pat, path).header.Get("ETag")
	first := c.withTags(c.pat, "PATCH", path, `{"title":"one"}`, "If-Match", tag).want(t, "the first", 200, "")
	c.withTags(c.pat, "PATCH", path, `{"title":"two"}`, "If-Match", tag).want(t, "the second", 412, "")
	c.do(c.pat, "GET", path, "").want(t, "GET", 200, first.body)
	c.change(c.pat, "PATCH", path, `{"title":"last"}`) // without If-Match
}

func TestIfNoneMatch(t *testing.T) {
	c := newClinic(t)
	record := c.record(c.pat, c.pat, "Cough")
	note := c.note(c.doc, record, "rest")
	for _, path := range []string{patientPath(c.pat.id), doctorPath(c.doc.id), recordPath(record), notePath(note), "/api/me/"} {
		whole := c.read(c.pat, path)
		tag := whole.header.Get("ETag")
		for _, test := range []struct {
			tags   []string
			status int
		}{
			{[]string{tag}, 304},
			{[]string{`*`}, 304},
			{[]string{`"x", ` + tag}, 304},
			{[]string{`"x"`, tag}, 304},
			{[]string{`W/` + tag}, 304}, // what a compressing proxy makes of it (RFC 9110, section 13.1.2)
			{[]string{`"x"`}, 200},
			{[]string{strings.Trim(tag, `"`)}, 200},
			{[]string{``}, 200},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				r := c.withTags(c.pat, method, path, "", "If-None-Match", test.tags...)
				call := fmt.Sprintf("%s %s with If-None-Match %q", method, path, test.tags)
				r.want(t, call, test.status, "")
				if r.header.Get("ETag") != tag {
					t.Errorf("%s: ETag = %q, want %q", call, r.header.Get("ETag"), tag)
				}
				if wantBody := method == "GET" && test.status == 200; wantBody != (r.body == whole.body) || !wantBody && r.body != "" {
					t.Errorf("%s: the body has %d bytes", call, len(r.body))
				}
			}
		}
	}
	stranger := c.patient("stranger")
	c.withTags(stranger, "GET", recordPath(record), "", "If-None-Match", "*").want(t, "GET by a stranger with If-None-Match", 404, notFoundBody)
	c.withTags(c.admin, "GET", recordPath(record), "", "If-None-Match", "*").want(t, "GET by staff with If-None-Match", 403, forbiddenBody)
	c.withTags(nobody, "GET", recordPath(record), "", "If-None-Match", "*").want(t, "GET by nobody with If-None-Match", 401, "")
}

func TestIndex(t *testing.T) {
	c := newClinic(t)
	const base = `http://example.com/api/`
	want := `{"patients":"` + base + `patients/","doctors":"` + base + `doctors/","health-records":"` + base + `health-records/","doctor-notes":"` + base + `doctor-notes/"}`
	c.do(nobody, "GET", "/api/", "").want(t, "GET /api/", 200, want)
	c.do(c.pat, "GET", "/api", "").want(t, "GET /api", 200, want)
}

// A name that is refused is not held against the password, however long it is
// and however much the password is made of it.
func TestRefusedNamesAreNotHeldAgainstThePassword(t *testing.T) {
	c := newClinic(t)
	name, secret := strings.Repeat("kingfisher-", 60_000/11), strings.Repeat("kingfisher", 102)+"wxyz"
	for field, most := range map[string]int{"username": 150, "email": 254, "first_name": 150, "last_name": 150} {
		user := map[string]string{"username": "heron", "password": secret}
		user[field] = name
		c.do(nobody, "POST", "/api/patients/", asJSON(map[string]any{"user": user})).want(t, "POST with a long "+field, 400, inUser(field, noMore(most)))
	}
	body := asJSON(map[string]any{"user": map[string]string{"username": "heron", "first_name": name[:10], "password": secret}})
	c.do(nobody, "POST", "/api/patients/", body).want(t, "POST with a first_name that is good", 400, inUser("password", "The password is too similar to the first name."))
}

// A deactivated doctor is looked up and named by nobody. Its pairs stay and are
// shown, and all is as before once it is activated again.
func TestDeactivatedDoctor(t *testing.T) {
	c := newClinic(t)
	stranger := c.patient("stranger")
	own, of := doctorPath(c.doc.id), patientPath(c.pat.id)
	setActive := func(active bool) {
		t.Helper()
		if err := c.store.SetActive(t.Context(), store.Command("test"), "doc", active); err != nil {
			t.Fatalf("SetActive error = %v, want nil", err)
		}
	}
	profile, patient, whole := c.read(c.pat, own).body, c.read(c.pat, of).body, c.read(c.admin, own).body
	setActive(false)
	for who, reader := range map[string]person{"its patient": c.pat, "a stranger": stranger, "a colleague": c.colleague} {
		c.do(reader, "GET", own, "").want(t, "GET by "+who, 404, notFoundBody)
		c.do(reader, "GET", "/api/doctors/?search=doc", "").want(t, "GET doctors by "+who, 200, emptyList)
	}
	c.do(c.admin, "GET", own, "").want(t, "GET by staff", 200, strings.Replace(whole, `"is_active":true`, `"is_active":false`, 1))
	c.do(c.pat, "GET", of, "").want(t, "GET of its patient", 200, patient)
	c.do(c.pat, "PUT", of, patient).want(t, "PUT of what was read", 200, patient)
	naming := `"doctors":["` + c.doc.id + `"]}`
	for _, test := range []struct {
		who                      person
		method, path, body, want string
	}{
		{stranger, "PATCH", patientPath(stranger.id), `{` + naming, invalidPK("doctors", c.doc.id)},
		{c.admin, "PATCH", patientPath(stranger.id), `{` + naming, invalidPK("doctors", c.doc.id)},
		{nobody, "POST", "/api/patients/", `{"user":{"username":"heron","password":"` + otterPassword + `"},` + naming, invalidPK("doctors", c.doc.id)},
		{c.admin, "PATCH", own, `{"patients":["` + c.pat.id + `","` + stranger.id + `"]}`, invalidPK("patients", stranger.id)},
	} {
		c.do(test.who, test.method, test.path, test.body).want(t, test.method+" "+test.path+" "+test.body, 400, test.want)
	}
	setActive(true)
	c.do(stranger, "GET", own, "").want(t, "GET of the doctor activated again", 200, profile)
	if got := c.all(stranger, "/api/doctors/?search=doc"); len(got) != 1 || got[0] != c.doc.id {
		t.Errorf("GET doctors = %v, want the doctor activated again", got)
	}
	c.change(stranger, "PATCH", patientPath(stranger.id), `{`+naming)
}
