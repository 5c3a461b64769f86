package handlers_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

// needles are texts that must not be found, in all the forms in which they
// could lie hidden: as they are and in hexadecimal, whatever the case, and in
// both kinds of base64, however they are aligned. All are looked for at once,
// by how they begin.
type needles struct {
	folded, exact map[beginning][]needleForm
	begins        [1 << 16]bool // with these two bytes
}

type beginning [8]byte

type needleForm struct {
	name string
	text []byte
}

// add takes a text as it was entered. User names are kept with case folded to
// capital letters, so it is looked for in these too.
func (n *needles) add(name string, text []byte) {
	if n.folded == nil {
		n.folded, n.exact = make(map[beginning][]needleForm), make(map[beginning][]needleForm)
	}
	n.addForm(n.folded, name, foldASCII(text))
	for _, text := range [][]byte{text, bytes.ToUpper(text)} {
		n.addForm(n.folded, name, []byte(hex.EncodeToString(text)))
		for shift := range 3 {
			n.addForm(n.exact, name, base64Form(base64.RawStdEncoding, text, shift))
			n.addForm(n.exact, name, base64Form(base64.RawURLEncoding, text, shift))
		}
	}
}

func (n *needles) addForm(to map[beginning][]needleForm, name string, form []byte) {
	begin := beginning(form) // panics when it is too short to be told from chance
	to[begin] = append(to[begin], needleForm{name, form})
	n.begins[int(form[0])<<8|int(form[1])] = true
}

// base64Form is what is sure to stand in the encoding of any text that holds
// this one behind shift bytes, or 3 more, and so on.
func base64Form(encoding *base64.Encoding, text []byte, shift int) []byte {
	shifted := append(make([]byte, shift), text...)
	form := encoding.AppendEncode(nil, shifted)
	form = form[(8*shift+5)/6:] // what stands before has a part in these
	if len(shifted)%3 > 0 {
		form = form[:len(form)-1] // and what stands behind in this
	}
	return form
}

func foldASCII(b []byte) []byte {
	folded := bytes.Clone(b)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return folded
}

// in returns the names of what is found in a text, sorted.
func (n *needles) in(text []byte) []string {
	found := make(map[string]bool)
	n.find(n.exact, text, found)
	n.find(n.folded, foldASCII(text), found)
	return slices.Sorted(maps.Keys(found))
}

func (n *needles) find(forms map[beginning][]needleForm, text []byte, found map[string]bool) {
	for i := 0; i+len(beginning{}) <= len(text); i++ {
		if !n.begins[int(text[i])<<8|int(text[i+1])] {
			continue
		}
		for _, form := range forms[beginning(text[i:])] {
			if bytes.HasPrefix(text[i:], form.text) {
				found[form.name] = true
			}
		}
	}
}

func TestNeedlesAreFound(t *testing.T) {
	const text = "Invented Name 7"
	var n needles
	n.add("it", []byte(text))
	n.add("another", []byte("Invented Nurse"))
	std, url := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	for _, form := range []string{
		text, strings.ToUpper(text), hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
		hex.EncodeToString([]byte(strings.ToUpper(text))), std([]byte("\xff" + strings.ToUpper(text))),
		std([]byte("\xff" + text + "\xff")), url([]byte("\xff\xff" + text)), std([]byte("\xff\xff\xff" + text + "\xff\xff")), url([]byte(text + "\xff")),
	} {
		if got := n.in([]byte("before" + form + "behind")); !slices.Equal(got, []string{"it"}) {
			t.Errorf("in %q are found %q, want it", form, got)
		}
	}
	if got := n.in([]byte("Invented Name 8, " + hex.EncodeToString([]byte(text[1:])))); len(got) > 0 {
		t.Errorf("in another text are found %q, want none", got)
	}
}

// marker is a text that somebody entered, and who is shown it.
type marker struct {
	text   string
	seenBy []string
	echoed bool // a refusal may quote it to its sender
	seen   map[string]bool
}

// heard is what somebody was answered.
type heard struct {
	by, call, sent string
	response
}

// busyHour is a practice in which everything that is entered is distinctive.
// It has two phases; who asks in the second is called "doctor, later".
type busyHour struct {
	*practice
	phase   string
	people  map[string]person
	paths   map[string]string // of records and notes, by what they are called
	objects []string          // the paths of these, and of the accounts
	markers map[string]*marker
	hidden  needles // the markers, and secrets
	answers []heard
}

// mark makes a text that stands nowhere else. It must be shown to all who are
// named, and to nobody else.
func (h *busyHour) mark(name string, seenBy ...string) string {
	sum := sha256.Sum256([]byte(name))
	text := []byte("Mk")
	for _, b := range sum[:14] {
		text = append(text, 'a'+b%26)
	}
	return h.markText(name, string(text), seenBy...)
}

func (h *busyHour) markText(name, text string, seenBy ...string) string {
	if h.markers[name] != nil {
		h.t.Fatalf("there are two markers %q", name)
	}
	h.markers[name] = &marker{text, seenBy, false, make(map[string]bool)}
	h.hidden.add(name, []byte(text))
	return text
}

// echo makes a text of a kind that a refusal quotes to its sender.
func (h *busyHour) echo(name string) string {
	text := h.mark(name)
	h.markers[name].echoed = true
	return text
}

// secret names what nobody is shown, but for the tokens of who signs in.
func (h *busyHour) secret(name string, b []byte) { h.hidden.add(name, b) }

// ask sends a request as somebody, who need not have an account yet, and keeps
// the answer.
func (h *busyHour) ask(who, method, path, body string, headers ...string) response {
	h.t.Helper()
	return h.keep(who, method, path, body+strings.Join(headers, ""), h.do(h.people[who], method, path, body, headers...))
}

func (h *busyHour) keep(who, method, path, sent string, r response) response {
	route, _, _ := strings.Cut(path, "?")
	h.answers = append(h.answers, heard{who + h.phase, method + " " + route, method + path + sent, r})
	return r
}

// everyone is who may look into the directory.
var everyone = []string{"patient", "other patient", "doctor", "other doctor", "former doctor", "unverified doctor", "staff"}

// always names people in both phases.
func always(names ...string) []string {
	for _, name := range slices.Clone(names) {
		names = append(names, name+", later")
	}
	return names
}

// treating is who is shown what concerns the patient, in both phases: the
// former doctor is one no more in the second.
func treating(others ...string) []string {
	return append(always(append(others, "patient", "doctor")...), "former doctor")
}

// TestNothingLeaks lives through a busy hour and then looks for what was
// entered, and for what keeps it, wherever it must not be.
func TestNothingLeaks(t *testing.T) {
	h := &busyHour{practice: newPractice(t, nil), people: make(map[string]person), paths: make(map[string]string), markers: make(map[string]*marker)}
	h.keepKeys()
	h.register()
	h.treat()
	h.lookEverywhere()
	h.changeThings()
	h.phase = ", later"
	h.lookEverywhere()
	h.enterNonsense()
	h.forceFailures()

	h.checkAnswers()
	h.checkLog()
	h.checkFiles()
}

func (h *busyHour) keepKeys() {
	h.secret("the secret key", []byte(testSecret))
	h.secret("the data key, which is the cursors' here", h.options.CursorKey)
	for _, purpose := range []auth.Purpose{auth.AccessTokens, auth.RefreshTokens, auth.Cursors} {
		key := auth.Key([]byte(testSecret), purpose)
		h.secret("a key made of the secret key", key[:])
	}
	h.secret("a password hash", []byte("$argon2id$"))
}

// register makes an account for everyone.
func (h *busyHour) register() {
	h.t.Helper()
	user := h.user("staff", always("staff"), always("staff"))
	hash, err := h.options.Hasher.Hash(h.t.Context(), user["password"])
	if err != nil {
		h.t.Fatal(err)
	}
	username, first, last, email := user["username"], user["first_name"], user["last_name"], user["email"]
	staff, err := h.store.CreateStaff(h.t.Context(), store.Command("test"), &store.StaffInput{User: store.UserInput{
		Username: &username, FirstName: &first, LastName: &last, Email: &email, PasswordHash: hash}})
	if err != nil {
		h.t.Fatalf("CreateStaff error = %v, want nil", err)
	}
	h.signsIn("staff", staff.ID, user)
	for _, name := range []string{"doctor", "other doctor", "former doctor"} {
		h.registerDoctor(name, "staff", always(everyone...))
	}
	h.registerDoctor("unverified doctor", "unverified doctor", always("unverified doctor", "staff"))
	h.registerPatient("patient", "1911-03-29", "+4955501337421", treating("staff"), []string{"patient", "doctor", "former doctor", "staff"},
		h.people["doctor"].id, h.people["former doctor"].id)
	h.registerPatient("other patient", "1909-11-17", "+4955509081726", always("other patient", "staff"), always("other patient", "staff"))
}

// user is what every registration has. Not everyone who is shown the name is
// shown the e-mail address; and patients read the names of staff and doctors
// who looked at them, or tried to, but not those of other patients.
func (h *busyHour) user(name string, seenBy, emailSeenBy []string) map[string]string {
	namedTo := seenBy
	if name == "staff" || name == "unverified doctor" {
		namedTo = append([]string{"patient, later", "other patient, later"}, seenBy...)
	}
	return map[string]string{
		"username":   h.mark(name+": user name", seenBy...),
		"first_name": h.mark(name+": first name", namedTo...),
		"last_name":  h.mark(name+": last name", namedTo...),
		"email":      h.mark(name+": e-mail address", emailSeenBy...) + "@example.test",
		"password":   h.mark(name+": password") + " 4711",
	}
}

func (h *busyHour) registerDoctor(name, by string, seenBy []string) {
	h.t.Helper()
	user := h.user(name, seenBy, always(name, "staff"))
	r := h.ask(by, "POST", "/api/doctors/", asJSON(map[string]any{
		"user":           user,
		"specialization": h.mark(name+": specialization", seenBy...),
		"license_number": h.mark(name+": license", seenBy...),
	}))
	h.signsIn(name, r.want(h.t, "POST doctors", http.StatusCreated, "").text(h.t, "id"), user)
}

func (h *busyHour) registerPatient(name, born, phone string, seenBy, emailSeenBy []string, doctors ...string) {
	h.t.Helper()
	user := h.user(name, seenBy, emailSeenBy)
	r := h.ask(name, "POST", "/api/patients/", asJSON(map[string]any{
		"user":          user,
		"date_of_birth": h.markText(name+": date of birth", born, seenBy...),
		"phone_number":  h.markText(name+": phone number", phone, seenBy...),
		"address":       h.mark(name+": street", seenBy...) + " 7\n" + h.mark(name+": town", seenBy...),
		"doctors":       append([]string{}, doctors...),
	}))
	h.signsIn(name, r.want(h.t, "POST patients", http.StatusCreated, "").text(h.t, "id"), user)
}

// signsIn opens a session with a password. The tokens, and the pieces of the
// hash that the password was checked against, are secrets.
func (h *busyHour) signsIn(who, id string, user map[string]string) {
	h.t.Helper()
	r := h.ask("nobody", "POST", "/api/token/", asJSON(map[string]string{"username": user["username"], "password": user["password"]}))
	pair := r.pair(h.t, "POST token")
	r = h.ask("nobody", "POST", "/api/token/refresh/", asJSON(map[string]string{"refresh": pair.refresh}))
	renewed := r.pair(h.t, "POST token/refresh")
	h.people[who] = person{id: id, token: renewed.access}
	h.objects = append(h.objects, "/api/patients/"+id+"/", "/api/doctors/"+id+"/") // whichever it is

	hash := strings.Split(h.storedHash(user["username"]), "$")
	h.secret("a password's salt", decodeBase64(h.t, hash[len(hash)-2]))
	h.secret("a password's hash", decodeBase64(h.t, hash[len(hash)-1]))
	for _, token := range []string{pair.access, pair.refresh, renewed.access, renewed.refresh} {
		h.secret("a token", []byte(token))
		h.secret("a token's signature", decodeBase64(h.t, token[strings.LastIndex(token, ".")+1:]))
	}
}

func decodeBase64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(text))
	if err != nil {
		t.Fatal("a token or a hash is not base64")
	}
	return b
}

// treat writes records and notes. One text is longer than a page of the
// database, and full of its marker.
func (h *busyHour) treat() {
	h.t.Helper()
	write := func(by, about, name string, seenBy []string, more string) {
		h.t.Helper()
		h.create(by, name, "/api/health-records/", map[string]string{"patient": h.people[about].id,
			"title": h.mark(name+": title", seenBy...), "description": h.mark(name+": description", seenBy...) + more})
	}
	write("patient", "patient", "own record", treating(), "")
	write("doctor", "patient", "long record", treating(), strings.Repeat(" "+h.mark("long text", treating()...), 600))
	write("doctor", "patient", "changed record", treating(), "")
	mine := slices.DeleteFunc(treating(), func(who string) bool { return who == "doctor, later" })
	write("patient", "patient", "deleted record", mine, "") // its versions stay, for who wrote it
	write("other patient", "other patient", "another's record", always("other patient"), "")
	record := strings.Split(h.paths["changed record"], "/")[3]
	for name, by := range map[string]string{"changed note": "doctor", "former doctor's note": "former doctor"} {
		h.create(by, name, "/api/doctor-notes/", map[string]string{"health_record": record, "note": h.mark(name, treating()...)})
	}
}

func (h *busyHour) create(by, name, path string, members map[string]string) {
	h.t.Helper()
	id := h.ask(by, "POST", path, asJSON(members)).want(h.t, "POST "+path, http.StatusCreated, "").text(h.t, "id")
	h.paths[name] = path + id + "/"
	h.objects = append(h.objects, h.paths[name])
}

// lookEverywhere asks every route for everything there is, as everyone.
func (h *busyHour) lookEverywhere() {
	var paths []string
	for _, route := range handlers.Routes() {
		path, reads := strings.CutPrefix(route, "GET ")
		kind, _, one := strings.Cut(path, "{id}/")
		switch {
		case !reads:
		case !one:
			paths = append(paths, path)
		default:
			for _, object := range h.objects {
				if id, ok := strings.CutPrefix(object, kind); ok {
					paths = append(paths, strings.Replace(path, "{id}/", id, 1))
				}
			}
		}
	}
	for _, who := range everyone {
		id := h.people[who].id
		paths = append(paths, "/api/patients/?page_size=1&search="+h.markers[who+": first name"].text, "/api/doctors/?search="+h.markers[who+": last name"].text,
			"/api/health-records/?patient="+id, "/api/health-records/?author="+id, "/api/doctor-notes/?doctor="+id)
	}
	paths = append(paths, "/api/health-records/?search="+h.markers["own record: title"].text)
	for _, who := range append([]string{"nobody"}, everyone...) {
		for _, path := range paths {
			h.ask(who, "GET", path, "")
		}
	}
}

// changeThings changes and deletes some of them; the former doctor becomes one.
func (h *busyHour) changeThings() {
	h.t.Helper()
	change := func(who, path, body string) {
		h.t.Helper()
		h.ask(who, "PATCH", path, body).want(h.t, "PATCH "+path, http.StatusOK, "")
	}
	own := "/api/patients/" + h.people["patient"].id + "/"
	later := []string{"patient, later", "doctor, later"}
	change("patient", own, asJSON(map[string]any{"user": map[string]string{
		"email":            h.mark("new e-mail address", append(later, "patient", "staff, later")...) + "@example.test",
		"current_password": h.markers["patient: password"].text + " 4711"}}))
	change("patient", own, asJSON(map[string]any{"doctors": []string{h.people["doctor"].id}}))
	change("doctor", h.paths["changed record"], asJSON(map[string]string{"title": h.mark("new title", append(later, "doctor")...), "description": h.mark("new description", append(later, "doctor")...)}))
	change("doctor", h.paths["changed note"], asJSON(map[string]string{"note": h.mark("new note", append(later, "doctor")...)}))
	h.ask("patient", "DELETE", h.paths["deleted record"], "").want(h.t, "DELETE the record", http.StatusNoContent, "")
}

// enterNonsense enters bad input of every kind. Nobody is shown any of it, but
// for the names and ids that a refusal quotes.
func (h *busyHour) enterNonsense() {
	h.t.Helper()
	own, record := "/api/patients/"+h.people["patient"].id+"/", h.paths["own record"]
	m := func(name string) string { return h.mark("nonsense: " + name) }
	e := func(name string) string { return h.echo("nonsense: " + name) }
	for _, test := range []struct {
		who, method, path, body string
		headers                 []string
		status                  int
	}{
		{"patient", "PATCH", own, `{"address":"` + m("cut off"), nil, 400},
		{"patient", "PATCH", own, `{"address":` + m("no string") + `}`, nil, 400},
		{"patient", "PATCH", own, `{"address":"a"} ` + m("behind the body"), nil, 400},
		{"patient", "PATCH", own, `{"address":"` + m("twice") + `","address":"a"}`, nil, 400},
		{"patient", "PATCH", own, `{"address":"` + m("surrogate") + `\ud800"}`, nil, 400},
		{"patient", "PATCH", own, `{"address":"` + m("NUL") + `\u0000"}`, nil, 400},
		{"patient", "PATCH", own, `["` + m("list") + `"]`, nil, 400},
		{"patient", "PATCH", own, `"` + m("text") + `"`, nil, 400},
		{"patient", "PATCH", own, `{"date_of_birth":"1911-3-2` + m("date of birth") + `"}`, nil, 400},
		{"patient", "PATCH", own, `{"date_of_birth":"` + h.markText("nonsense: a date", "1907-8-19") + `"}`, nil, 400},
		{"patient", "PATCH", own, `{"phone_number":"` + m("phone number") + `"}`, nil, 400},
		{"patient", "PATCH", own, `{"address":["` + m("address") + `"]}`, nil, 400},
		{"patient", "PATCH", own, `{"address":"` + strings.Repeat(m("long address"), 40) + `"}`, nil, 400},
		{"patient", "PATCH", own, `{"doctors":"` + m("doctors") + `"}`, nil, 400},
		{"patient", "PATCH", own, `{"doctors":["` + e("doctor") + `"]}`, nil, 400},
		{"patient", "PATCH", own, `{"` + e("member") + `":"` + m("value") + `"}`, nil, 400},
		{"patient", "PATCH", own, `{"user":{"email":"` + m("bad e-mail") + `"}}`, nil, 400},
		{"patient", "PATCH", own, `{"user":{"email":"` + m("e-mail") + `@example.test","current_password":"` + m("current password") + `"}}`, nil, 400},
		{"patient", "PATCH", own, `{"user":{"username":"` + m("new user name") + `"}}`, nil, 200}, // ignored
		{"patient", "PATCH", own, `{"address":"` + m("If-Match address") + `"}`, []string{"If-Match: " + m("If-Match")}, 412},
		{"patient", "PATCH", own, `a=` + m("form"), []string{"Content-Type: text/" + m("media type")}, 415},
		{"patient", "PATCH", own, m("compressed"), []string{"Content-Encoding: " + m("encoding")}, 415},
		{"patient", "PATCH", own, strings.Repeat(m("large body"), 5000), nil, 413},
		{"other doctor", "PATCH", own, `{"address":"` + m("not permitted") + `"}`, nil, 404},
		{"patient", "PATCH", record, `{"title":"` + strings.Repeat(m("long title"), 20) + `"}`, nil, 400},
		{"patient", "PATCH", record, `{"title":"` + m("title") + `","date":"2190-01-01T00:00:00Z"}`, nil, 400},
		{"patient", "PATCH", record, `{"description":"` + m("description") + `","date":"` + m("date") + `"}`, nil, 400},
		{"patient", "POST", "/api/health-records/", `{"title":"` + m("another's") + `","description":"d","patient":"` + e("patient") + `"}`, nil, 400},
		{"doctor", "POST", "/api/doctor-notes/", `{"note":"` + m("note") + `","health_record":"` + e("record") + `"}`, nil, 400},
		{"staff", "POST", "/api/health-records/", `{"title":"` + m("staff") + `"}`, nil, 403},
		{"patient", "GET", "/api/patients/" + m("path") + "/", "", nil, 404},
		{"patient", "GET", "/api/" + m("unknown path"), "", nil, 404},
		{"patient", "GET", "/api//" + m("double slash"), "", nil, 404},
		{"patient", e("method"), "/api/patients/", "", nil, 405},
		{"patient", "GET", "/api/health-records/?page_size=" + m("page_size"), "", nil, 400},
		{"patient", "GET", "/api/health-records/?cursor=" + m("cursor"), "", nil, 400},
		{"patient", "GET", "/api/health-records/?date_after=" + m("date_after"), "", nil, 400},
		{"patient", "GET", "/api/health-records/?ordering=" + m("ordering"), "", nil, 400},
		{"patient", "GET", "/api/health-records/?search=" + m("search") + "&search=twice", "", nil, 400},
		{"patient", "GET", "/api/health-records/?" + e("parameter") + "=" + m("its value"), "", nil, 400},
		{"patient", "GET", "/api/health-records/?search=%zz" + m("escape"), "", nil, 400},
		{"patient", "GET", "/api/health-records/?patient=" + m("filter") + "&search=" + m("words"), "", nil, 200},
		{"staff", "GET", "/api/audit-events/?ordering=" + m("event ordering"), "", nil, 400},
		{"staff", "GET", "/api/audit-events/?actor=" + m("event actor") + "&action=" + m("event action") + "&outcome=" + m("event outcome"), "", nil, 200},
		{"patient", "GET", own, "", []string{"Host: " + m("host") + ".test"}, 400},
		{"patient", "GET", own, "", []string{"Authorization: Bearer " + m("token")}, 401},
		{"patient", "GET", own, "", []string{"Authorization: Bearer a " + m("two tokens")}, 401},
		{"patient", "GET", own, "", []string{"Authorization: Basic " + m("scheme")}, 401},
		{"patient", "GET", own, "", []string{"X-Forwarded-For: " + m("forwarded"), "User-Agent: " + m("agent"), "Cookie: a=" + m("cookie"),
			"X-Request-Id: " + m("request id"), "Origin: https://" + m("origin"), "Referer: https://" + m("referer"), "If-None-Match: " + m("If-None-Match")}, 200},
		{"nobody", "POST", "/api/patients/", `{"user":{"username":"` + m("bad user name") + `!","password":"` + goodPassword + `"}}`, nil, 400},
		{"nobody", "POST", "/api/patients/", `{"user":{"username":"` + h.markers["patient: user name"].text + `","password":"` + m("taken") + ` 4711"}}`, nil, 400},
		{"nobody", "POST", "/api/patients/", `{"user":{"username":"new","first_name":"` + m("first name") + `","password":"` + h.markText("nonsense: short password", "Xq7!vZ-Lw") + `"}}`, nil, 400},
		{"nobody", "POST", "/api/token/", asJSON(map[string]string{"username": h.markers["patient: user name"].text, "password": m("wrong password")}), nil, 401},
		{"nobody", "POST", "/api/token/", asJSON(map[string]string{"username": m("unknown user"), "password": m("password")}), nil, 401},
		{"nobody", "POST", "/api/token/", `{"username":"` + m("user without password") + `"}`, nil, 400},
		{"nobody", "POST", "/api/token/refresh/", `{"refresh":"` + m("refresh token") + `"}`, nil, 401},
		{"nobody", "POST", "/api/token/verify/", `{"token":"` + m("verified token") + `"}`, nil, 401},
		{"nobody", "POST", "/api/token/blacklist/", `{"refresh":"` + m("blacklisted token") + `"}`, nil, 401},
	} {
		h.ask(test.who, test.method, test.path, test.body, test.headers...).want(h.t, test.method+" "+test.path+" "+test.body, test.status, "")
	}
	for who, someone := range h.people {
		for _, token := range []string{changeSignature(someone.token), someone.token + "A", strings.ToLower(someone.token)} {
			h.secret("a token, tampered with", []byte(token))
			h.ask(who, "GET", own, "", "Authorization: Bearer "+token).want(h.t, "GET with a tampered token", http.StatusUnauthorized, answerBadAccess)
			h.ask(who, "POST", "/api/token/refresh/", asJSON(map[string]string{"refresh": token})).want(h.t, "refresh with a tampered token", http.StatusUnauthorized, answerBadToken)
		}
	}
}

// brokenBody is a body that cannot be read: it fails, or panics.
type brokenBody struct {
	text   string
	panics bool
}

func (b brokenBody) Read([]byte) (int, error) {
	if b.panics {
		panic(b.text)
	}
	return 0, errors.New(b.text)
}

// forceFailures makes the service fail in every way that a test can.
func (h *busyHour) forceFailures() {
	h.t.Helper()
	send := func(ctx context.Context, name string, body io.Reader, status int) {
		h.t.Helper()
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/health-records/?of="+h.mark(name+": query"), body)
		r.RemoteAddr = "10.1.2.3:4567" // a trusted proxy
		r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + h.people["patient"].token},
			"X-Forwarded-For": {h.mark(name + ": forwarded for")}, "X-Forwarded-Proto": {h.mark(name + ": protocol")}}
		h.keep("patient", "POST", "/api/health-records/", "", h.send(r)).want(h.t, name, status, "")
	}
	send(h.t.Context(), "a body that panics", brokenBody{h.mark("panic"), true}, http.StatusInternalServerError)
	send(h.t.Context(), "a body that fails", brokenBody{h.mark("failure"), false}, http.StatusBadRequest)
	gone, cancel := context.WithCancel(h.t.Context())
	cancel()
	send(gone, "a client that has gone", strings.NewReader(`{"title":"t","description":"`+h.mark("gone")+`"}`), http.StatusBadRequest)

	unreadable := h.mark("unreadable: user name")
	h.patientWithHash(unreadable, "$argon2id$"+h.mark("unreadable: hash"))
	h.ask("nobody", "POST", "/api/token/", asJSON(map[string]string{"username": unreadable, "password": h.mark("unreadable: password")})).
		want(h.t, "POST token with a stored hash that cannot be read", http.StatusInternalServerError, "")

	writer, err := sql.Open("sqlite3", "file:"+h.file+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		h.t.Fatal(err)
	}
	defer writer.Close()
	alter := func(query string, args ...any) {
		h.t.Helper()
		if _, err := writer.Exec(query, args...); err != nil {
			h.t.Fatalf("altering the database: %v", err)
		}
	}
	id := func(name string) string { return strings.Split(h.paths[name], "/")[3] }
	alter(`UPDATE records SET content = (SELECT content FROM records WHERE id = $1) WHERE id = $2`, id("changed record"), id("own record"))
	for _, path := range []string{h.paths["own record"] + "?of=" + h.mark("swapped"), "/api/health-records/?search=" + h.mark("swapped: search"), "/api/patients/" + h.people["patient"].id + "/health-records/"} {
		h.ask("doctor", "GET", path, "").want(h.t, "GET of a record with the content of another", http.StatusInternalServerError, "")
	}
	alter(`ALTER TABLE audit RENAME TO audit_away`)
	for _, path := range []string{h.paths["long record"], "/api/me/", "/api/patients/?search=" + h.mark("untraced: search"), "/api/doctors/"} {
		h.ask("doctor", "GET", path, "").want(h.t, "GET without a trail", http.StatusServiceUnavailable, "")
	}
	h.ask("patient", "POST", "/api/health-records/", `{"title":"`+h.mark("untraced")+`","description":"d"}`).want(h.t, "POST without a trail", http.StatusServiceUnavailable, "")
	alter(`ALTER TABLE audit_away RENAME TO audit`)
}

// checkAnswers holds what everyone was answered against who may be shown it.
func (h *busyHour) checkAnswers() {
	for _, a := range h.answers {
		var text bytes.Buffer
		a.header.Write(&text)
		text.WriteString(a.body)
		for _, name := range h.hidden.in(text.Bytes()) {
			if !h.mayHear(a, name) {
				h.t.Errorf("%s: the answer %d to %s holds %q", a.by, a.status, a.call, name)
			}
		}
	}
	for name, m := range h.markers {
		for _, who := range m.seenBy {
			if !m.seen[who] {
				h.t.Errorf("%s was never shown %q", who, name)
			}
		}
	}
}

// mayHear tells whether a marker or secret may be in an answer, and notes that
// who should be shown a marker was.
func (h *busyHour) mayHear(a heard, name string) bool {
	m, marked := h.markers[name]
	switch {
	case !marked:
		opens := a.call == "POST /api/token/" || a.call == "POST /api/token/refresh/"
		return opens && a.status == http.StatusOK && strings.HasPrefix(name, "a token")
	case a.status >= 400:
		return m.echoed && strings.Contains(a.sent, m.text)
	}
	m.seen[a.by] = true
	return slices.Contains(m.seenBy, a.by)
}

// wantNone looks for everything that was entered, and for every secret.
func (h *busyHour) wantNone(where string, text []byte) {
	h.t.Helper()
	if found := h.hidden.in(text); len(found) > 0 {
		h.t.Errorf("%s holds %q, want none of what was entered", where, found)
	}
}

func (h *busyHour) checkLog() {
	log := h.log.String()
	for _, line := range []string{`"status":200`, `"status":400`, `"status":401`, `"status":500`, `"status":503`, `"msg":"panic"`, `"msg":"request failed"`} {
		if !strings.Contains(log, line) {
			h.t.Errorf("the log has no line with %s", line)
		}
	}
	h.wantNone("the log", []byte(log))
}

// checkFiles reads the database as a thief would: while it is open, and again
// when the log was written back into it.
func (h *busyHour) checkFiles() {
	h.readFiles("the open database")
	db, err := sql.Open("sqlite3", "file:"+h.file+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		h.t.Fatal(err)
	}
	h.readFiles("the database after a checkpoint")
}

func (h *busyHour) readFiles(what string) {
	h.t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal", "-shm"} {
		content, err := os.ReadFile(h.file + suffix)
		if err != nil {
			h.t.Fatal(err)
		}
		h.wantNone(what+": the file"+suffix, content)
		all = append(all, content...)
	}
	// What is kept in the clear is found, so the files are the right ones.
	known := []string{h.people["patient"].id, "patient.change", "patient.create"}
	var n needles
	for _, text := range known {
		n.add(text, []byte(text))
	}
	if got := n.in(all); !slices.Equal(got, known) {
		h.t.Errorf("%s holds %q, want %q", what, got, known)
	}
}
