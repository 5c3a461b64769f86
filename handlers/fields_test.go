package handlers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"healthrecords/handlers"
	"healthrecords/store"
)

// sample has a target of every kind.
type sample struct {
	Title, Nickname, Username, Email *string
	Password, Current                *string
	Birth, Patient                   *string
	Date                             *store.Instant
	Verified                         *bool
	Doctors                          *[]string
}

func (s *sample) fields() []handlers.Field {
	return []handlers.Field{
		handlers.ReadOnly(handlers.IDField("id", nil)),
		handlers.Required(handlers.ObjectField("user",
			handlers.Required(handlers.UsernameField("username", &s.Username)),
			handlers.EmailField("email", &s.Email),
			handlers.Required(handlers.PasswordField("password", &s.Password)))),
		handlers.Required(handlers.TextField("title", &s.Title, 5)),
		handlers.TextField("nickname", &s.Nickname, 0),
		handlers.OrNull(handlers.DateField("birth", &s.Birth)),
		handlers.InstantField("date", &s.Date),
		handlers.BooleanField("verified", &s.Verified),
		handlers.IDField("patient", &s.Patient),
		handlers.IDListField("doctors", &s.Doctors),
		handlers.PasswordField("current", &s.Current),
		handlers.ObjectList("notes", handlers.TextField("note", nil, 5)),
	}
}

// decode returns what the body left in the targets and the answer to the
// client, both as JSON; the answer is "" when nothing is wrong.
func decode(t *testing.T, body string, partial bool) (got, answer string) {
	t.Helper()
	var s sample
	answer = problems(t, body, s.fields(), partial)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), answer
}

func problems(t *testing.T, body string, fields []handlers.Field, partial bool) string {
	t.Helper()
	var p store.Problems
	if err := handlers.Decode(body, fields, partial, &p); err != nil {
		t.Fatal(err)
	}
	invalid := p.Err()
	if invalid == nil {
		return ""
	}
	answer, err := invalid.(json.Marshaler).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestDecodeFields(t *testing.T) {
	body := `{"id":7,"user":{"username":" Zoë@x ","password":" secret "},"title":"\u2003a b\u00a0","nickname":"","birth":"2000-02-29",
		"date":"2026-01-02T05:04:05+02:00","verified":false,"patient":" any ","doctors":["a","b"],"notes":[{"note":1,"x":{}}]}`
	want := `{"Title":"a b","Nickname":"","Username":"Zoë@x","Email":null,"Password":" secret ","Current":null,"Birth":"2000-02-29","Patient":" any ",` +
		`"Date":"2026-01-02T03:04:05.000000Z","Verified":false,"Doctors":["a","b"]}`
	if got, answer := decode(t, body, false); got != want || answer != "" {
		t.Errorf("decode = %s, %s, want %s and no problem", got, answer, want)
	}
}

func TestDecodeFieldsKeepsWhatIsNotGiven(t *testing.T) {
	want := `{"Title":null,"Nickname":null,"Username":null,"Email":null,"Password":null,"Current":null,"Birth":null,"Patient":null,"Date":null,"Verified":null,"Doctors":null}`
	for _, body := range []string{``, `{}`, `{"user":{}}`, `{"id":"x","notes":null}`} {
		if got, answer := decode(t, body, true); got != want || answer != "" {
			t.Errorf("partial decode of %s = %s, %s, want %s and no problem", body, got, answer, want)
		}
	}
	want = strings.Replace(want, `"Birth":null`, `"Birth":""`, 1)
	if got, answer := decode(t, `{"birth":null}`, true); got != want || answer != "" {
		t.Errorf("partial decode of a null date = %s, %s, want %s and no problem", got, answer, want)
	}
}

// Each body is a partial change, so that nothing but its own fault is named.
func TestDecodeFieldsRefuses(t *testing.T) {
	const (
		notString = `["Not a valid string."]`
		notNull   = `["This field may not be null."]`
		notBlank  = `["This field may not be blank."]`
		noNUL     = `"Null characters are not allowed."`
		username  = `"Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."`
		email     = `"Enter a valid email address."`
		unknown   = `["Unknown field."]`
	)
	for _, test := range []struct{ name, body, want string }{
		{"a list for a body", `[]`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
		{"null for a body", `null`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got NoneType."]}`},
		{"a string for a body", `"{}"`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}`},
		{"a number for a body", `1`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got int."]}`},
		{"a fraction for a body", `1e2`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got float."]}`},
		{"a boolean for a body", `true`, `{"non_field_errors":["Invalid data. Expected a dictionary, but got bool."]}`},

		{"a number for text", `{"title":1}`, `{"title":` + notString + `}`},
		{"a boolean for text", `{"title":true}`, `{"title":` + notString + `}`},
		{"a list for text", `{"title":["a"]}`, `{"title":` + notString + `}`},
		{"an object for text", `{"title":{"a":1}}`, `{"title":` + notString + `}`},
		{"null for text", `{"title":null}`, `{"title":` + notNull + `}`},
		{"null for optional text", `{"nickname":null}`, `{"nickname":` + notNull + `}`},
		{"blank", `{"title":""}`, `{"title":` + notBlank + `}`},
		{"white space alone", `{"title":" \u3000\n"}`, `{"title":` + notBlank + `}`},
		{"six characters", `{"title":"éééééé"}`, `{"title":["Ensure this field has no more than 5 characters."]}`},
		{"NUL", `{"nickname":"a\u0000b"}`, `{"nickname":[` + noNUL + `]}`},
		{"long and NUL", `{"title":"abcde\u0000"}`, `{"title":["Ensure this field has no more than 5 characters.",` + noNUL + `]}`},

		{"a blank password", `{"user":{"password":""}}`, `{"user":{"password":` + notBlank + `}}`},
		{"a blank optional password", `{"current":""}`, `{"current":` + notBlank + `}`},
		{"a long password", `{"user":{"password":"` + strings.Repeat("é", 1025) + `"}}`, `{"user":{"password":["Ensure this field has no more than 1024 characters."]}}`},
		{"NUL in a password", `{"user":{"password":"a\u0000"}}`, `{"user":{"password":[` + noNUL + `]}}`},
		{"a number for a password", `{"user":{"password":123456789012345}}`, `{"user":{"password":` + notString + `}}`},
		{"a long user name", `{"user":{"username":"` + strings.Repeat("a", 151) + `"}}`, `{"user":{"username":["Ensure this field has no more than 150 characters."]}}`},
		{"a blank user name", `{"user":{"username":" "}}`, `{"user":{"username":` + notBlank + `}}`},
		{"a long and bad user name", `{"user":{"username":"` + strings.Repeat("!", 151) + `"}}`, `{"user":{"username":["Ensure this field has no more than 150 characters.",` + username + `]}}`},
		{"NUL in a user name", `{"user":{"username":"a\u0000"}}`, `{"user":{"username":[` + noNUL + `,` + username + `]}}`},
		{"a long e-mail address", `{"user":{"email":"` + strings.Repeat("a", 243) + `@example.org"}}`, `{"user":{"email":["Ensure this field has no more than 254 characters."]}}`},
		{"a long text for an e-mail address", `{"user":{"email":"` + strings.Repeat("a", 255) + `"}}`, `{"user":{"email":["Ensure this field has no more than 254 characters.",` + email + `]}}`},

		{"a far too long e-mail address", `{"user":{"email":"` + strings.Repeat("@", 1001) + `"}}`, `{"user":{"email":["Ensure this field has no more than 254 characters."]}}`},

		{"a number for a date", `{"birth":19900203}`, `{"birth":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}`},
		{"an empty date", `{"birth":""}`, `{"birth":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}`},
		{"a number for an instant", `{"date":0}`, `{"date":["Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."]}`},
		{"null for an instant", `{"date":null}`, `{"date":` + notNull + `}`},
		{"a word for a boolean", `{"verified":"true"}`, `{"verified":["Must be a valid boolean."]}`},
		{"a number for a boolean", `{"verified":1}`, `{"verified":["Must be a valid boolean."]}`},
		{"null for a boolean", `{"verified":null}`, `{"verified":` + notNull + `}`},
		{"a number for an id", `{"patient":1}`, `{"patient":` + notString + `}`},
		{"null for an id", `{"patient":null}`, `{"patient":` + notNull + `}`},

		{"text for a list", `{"doctors":"a"}`, `{"doctors":["Expected a list of items but got type \"str\"."]}`},
		{"an object for a list", `{"doctors":{}}`, `{"doctors":["Expected a list of items but got type \"dict\"."]}`},
		{"a number for a list", `{"doctors":-1}`, `{"doctors":["Expected a list of items but got type \"int\"."]}`},
		{"a fraction for a list", `{"doctors":1.0}`, `{"doctors":["Expected a list of items but got type \"float\"."]}`},
		{"a boolean for a list", `{"doctors":false}`, `{"doctors":["Expected a list of items but got type \"bool\"."]}`},
		{"null for a list", `{"doctors":null}`, `{"doctors":` + notNull + `}`},
		{"numbers in a list", `{"doctors":["a",1,2]}`, `{"doctors":` + notString + `}`},
		{"null in a list", `{"doctors":[null]}`, `{"doctors":` + notNull + `}`},

		{"text for an object", `{"user":"x"}`, `{"user":{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}}`},
		{"a list for an object", `{"user":[]}`, `{"user":{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}}`},
		{"null for an object", `{"user":null}`, `{"user":` + notNull + `}`},
		{"unknown in an object", `{"user":{"name":"x"}}`, `{"user":{"name":` + unknown + `}}`},

		{"unknown", `{"adress":"x"}`, `{"adress":` + unknown + `}`},
		{"another case", `{"Title":"x"}`, `{"Title":` + unknown + `}`},
		{"white space in the name", `{"title ":"x"}`, `{"title ":` + unknown + `}`},
		{"unknown in order", `{"z":1,"é":2,"a":3}`, `{"z":` + unknown + `,"é":` + unknown + `,"a":` + unknown + `}`},
		{"a dot", `{"user.username":"x"}`, `{"non_field_errors":` + unknown + `}`},
		{"a dot in an object", `{"user":{"a.b":"x"}}`, `{"user":{"non_field_errors":` + unknown + `}}`},
		{"no name", `{"":"x"}`, `{"non_field_errors":` + unknown + `}`},
		{"names not to be repeated", `{"\u0000":1,"a\nb":2,"\u202ea":3,"\u2028":4,"` + strings.Repeat("a", 65) + `":5}`, `{"non_field_errors":` + unknown + `}`},
		{"a name of 64", `{"` + strings.Repeat("é", 64) + `":1}`, `{"` + strings.Repeat("é", 64) + `":` + unknown + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, answer := decode(t, test.body, true); answer != test.want {
				t.Errorf("decode(%.80s) = %s, want %s", test.body, answer, test.want)
			}
		})
	}
}

func TestDecodeFieldsNamesAllAtOnce(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"nothing given", ``, `{"user":["This field is required."],"title":["This field is required."]}`},
		{"an empty object inside", `{"user":{}}`, `{"user":{"username":["This field is required."],"password":["This field is required."]},"title":["This field is required."]}`},
		{"in the order of the fields",
			`{"x":1,"doctors":1,"verified":1,"title":1,"user":{"y":1,"a.b":1,"password":1,"email":1,"username":1}}`,
			`{"user":{"username":["Not a valid string."],"email":["Not a valid string."],"password":["Not a valid string."],` +
				`"y":["Unknown field."],"non_field_errors":["Unknown field."]},` +
				`"title":["Not a valid string."],"verified":["Must be a valid boolean."],"doctors":["Expected a list of items but got type \"int\"."],"x":["Unknown field."]}`},
		{"an unknown member in an object that stands first", `{"title":1,"user":{"username":"a","password":"b","y":1}}`,
			`{"user":{"y":["Unknown field."]},"title":["Not a valid string."]}`},
		{"no object where one belongs", `{"title":1,"user":1}`,
			`{"user":{"non_field_errors":["Invalid data. Expected a dictionary, but got int."]},"title":["Not a valid string."]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, answer := decode(t, test.body, false); answer != test.want {
				t.Errorf("decode(%s) = %s, want %s", test.body, answer, test.want)
			}
		})
	}
}

func TestDecodeFieldsDeclaresOrder(t *testing.T) {
	var s sample
	var p store.Problems
	if err := handlers.Decode(`{"user":{}}`, s.fields(), true, &p); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"patient", "title", "user.email", "user.username"} { // as a store might find them
		p.Add(name, "no")
	}
	answer, err := p.Err().(json.Marshaler).MarshalJSON()
	want := `{"user":{"username":["no"],"email":["no"]},"title":["no"],"patient":["no"]}`
	if string(answer) != want || err != nil {
		t.Errorf("answer = %s, %v, want %s, nil", answer, err, want)
	}
}

func TestDecodeFieldsNamesTwentyUnknown(t *testing.T) {
	var body, want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `,"f%d":0`, i)
		if i < 20 {
			fmt.Fprintf(&want, `"f%d":["Unknown field."],`, i)
		}
	}
	_, answer := decode(t, "{"+body.String()[1:]+"}", true)
	if want := "{" + want.String() + `"non_field_errors":["Unknown field."]}`; answer != want {
		t.Errorf("answer = %s, want %s", answer, want)
	}
}

func TestReadOnlyUnless(t *testing.T) {
	for _, test := range []struct {
		writable   bool
		body, want string
	}{
		{true, `{"name":1}`, `{"name":["Not a valid string."]}`},
		{true, `{}`, `{"name":["This field is required."]}`},
		{false, `{"name":1}`, ``},
		{false, `{"name":null}`, ``},
		{false, `{}`, ``},
	} {
		var name *string
		fields := []handlers.Field{handlers.ReadOnlyUnless(handlers.Required(handlers.TextField("name", &name, 9)), test.writable)}
		if answer := problems(t, test.body, fields, false); answer != test.want || name != nil {
			t.Errorf("writable %t: decode(%s) = %s, want %s", test.writable, test.body, answer, test.want)
		}
	}
	var name *string
	readOnly := []handlers.Field{handlers.ReadOnlyUnless(handlers.ReadOnly(handlers.TextField("name", &name, 9)), true)}
	if answer := problems(t, `{"name":"x"}`, readOnly, false); answer != "" || name != nil {
		t.Errorf("read-only for everyone: answer = %s, name given %t, want none", answer, name != nil)
	}
}

// accepts tells whether a body of one member with that text is good.
func accepts(t *testing.T, f handlers.Field, text string) bool {
	t.Helper()
	body, err := json.Marshal(map[string]string{"f": text})
	if err != nil {
		t.Fatal(err)
	}
	return problems(t, string(body), []handlers.Field{f}, false) == ""
}

func TestLimits(t *testing.T) {
	var to *string
	for _, test := range []struct {
		name  string
		field handlers.Field
		text  string
	}{
		{"text of five", handlers.TextField("f", &to, 5), " \t😀😀😀😀😀 "},
		{"text without limit", handlers.TextField("f", &to, 0), strings.Repeat("a", 100_000)},
		{"password of 1,024", handlers.PasswordField("f", &to), strings.Repeat("漢", 1024)},
		{"password of white space", handlers.PasswordField("f", &to), " \t "},
		{"user name of 150", handlers.UsernameField("f", &to), strings.Repeat("漢", 150)},
		{"e-mail address of 254", handlers.EmailField("f", &to), strings.Repeat("a", 242) + "@example.org"},
		{"no e-mail address", handlers.EmailField("f", &to), " "},
	} {
		if !accepts(t, test.field, test.text) {
			t.Errorf("%s: refused, want accepted", test.name)
		}
	}
}

func TestUsername(t *testing.T) {
	for text, want := range map[string]bool{
		"anna.b+c-d_e@x": true, "Zoë": true, "Łukasz": true, "漢字": true, "Ⅷ½٣9": true, "ªß": true, "...": true,
		"Zoe\u0308": false, "a b": false, "a!": false, "a/b": false, "a\u200db": false, "😀": false, "a\u00adb": false, "a‿b": false, "a\nb": false,
	} {
		var to *string
		if got := accepts(t, handlers.UsernameField("f", &to), text); got != want {
			t.Errorf("user name %+q accepted = %t, want %t", text, got, want)
		}
	}
}

func TestEmail(t *testing.T) {
	for text, want := range map[string]bool{
		"a@example.org": true, "A.b+c@mail.EXAMPLE.org": true, "o'neil!#$%&*/=?^_`{|}~-@example.org": true, "a@x-1.example.co": true, "a@1.example.xn--p1ai": true,
		"a@" + strings.Repeat("b", 63) + ".org": true, "a@example.c": true, "  a@example.org\n": true,
		"a": false, "@example.org": false, "a@": false, "a@localhost": false, "a@b@example.org": false, "a@example.org.": false, "a@.example.org": false,
		"a@example..org": false, ".a@example.org": false, "a.@example.org": false, "a..b@example.org": false, "a b@example.org": false,
		"Anna <a@example.org>": false, "<a@example.org>": false, "a@example.org (Anna)": false, `"a"@example.org`: false, `"a b"@example.org`: false,
		"a@[192.0.2.1]": false, "a@192.0.2.1": false, "a@-x.example.org": false, "a@x-.example.org": false, "a@x_y.example.org": false,
		"a@" + strings.Repeat("b", 64) + ".org": false, "a@example.org,b@example.org": false, "a@example.org\r\nBcc: b@example.org": false,
		"a@exa\nmple.org": false, "ä@example.org": false, "a@müller.example": false, "a@example.org\u200b": false, "a\\@example.org": false,
	} {
		var to *string
		if got := accepts(t, handlers.EmailField("f", &to), text); got != want {
			t.Errorf("e-mail address %q accepted = %t, want %t", text, got, want)
		}
	}
}

func TestDate(t *testing.T) {
	for text, want := range map[string]bool{
		"1990-02-03": true, "2000-02-29": true, "0001-01-01": true, "9999-12-31": true,
		"1990-2-3": false, "1990-02-30": false, "1900-02-29": false, "1990-13-01": false, "1990-00-01": false, "1990-01-00": false, "0000-01-01": false,
		" 1990-02-03": false, "1990-02-03 ": false, "1990-02-03\n": false, "1990/02/03": false, "19900203": false, "90-02-03": false, "10000-01-01": false,
		"1990-02-03T00:00:00Z": false, "-990-02-03": false, "+1990-02-03": false, "１990-02-03": false, "1990-Feb-03": false,
	} {
		var to *string
		if got := accepts(t, handlers.DateField("f", &to), text); got != want {
			t.Errorf("date %q accepted = %t, want %t", text, got, want)
		}
		if want && (to == nil || *to != text) {
			t.Errorf("date %q is not kept as it was given", text)
		}
	}
}

func TestInstant(t *testing.T) {
	for text, want := range map[string]store.Instant{
		"2026-01-02T03:04Z":                "2026-01-02T03:04:00.000000Z",
		"2026-01-02T03:04:05Z":             "2026-01-02T03:04:05.000000Z",
		"2026-01-02T03:04:05.6Z":           "2026-01-02T03:04:05.600000Z",
		"2026-01-02T03:04:05.678901Z":      "2026-01-02T03:04:05.678901Z",
		"2026-01-01T23:34-03:30":           "2026-01-02T03:04:00.000000Z",
		"2026-01-02T03:04:05.999999+23:59": "2026-01-01T03:05:05.999999Z",
		"2024-02-29T00:00-00:00":           "2024-02-29T00:00:00.000000Z",
		"0001-01-01T00:00Z":                "0001-01-01T00:00:00.000000Z",
		"9999-12-31T23:59:59.999999Z":      "9999-12-31T23:59:59.999999Z",

		"0001-01-01T00:00+00:01": "", "9999-12-31T23:59:59-00:01": "", "0000-06-01T00:00Z": "", "10000-01-01T00:00Z": "",
		"2026-01-02T03:04:05": "", "2026-01-02": "", "2026-01-02T03Z": "", "2026-01-02T03:04:Z": "", "2026-01-02T03:04:05.Z": "",
		"2026-01-02T03:04:05.6789012Z": "", "2026-01-02T03:04:05,6Z": "", "2026-01-02T3:04:05Z": "", "2026-1-2T03:04:05Z": "",
		"2026-01-02t03:04:05Z": "", "2026-01-02T03:04:05z": "", "2026-01-02 03:04:05Z": "", " 2026-01-02T03:04:05Z": "", "2026-01-02T03:04:05Z\n": "",
		"2026-02-29T00:00Z": "", "2026-13-01T00:00Z": "", "2026-01-02T24:00Z": "", "2026-01-02T23:60Z": "", "2026-01-02T23:59:60Z": "",
		"2026-01-02T03:04+24:00": "", "2026-01-02T03:04+01:60": "", "2026-01-02T03:04+0100": "", "2026-01-02T03:04+01": "", "2026-01-02T03:04 UTC": "",
		"２026-01-02T03:04Z": "", "": "", "1767322800": "",
	} {
		var to *store.Instant
		if got := accepts(t, handlers.InstantField("f", &to), text); got != (want != "") {
			t.Errorf("instant %q accepted = %t, want %t", text, got, want != "")
		}
		if want != "" && (to == nil || *to != want) {
			t.Errorf("instant %q is not kept as %s", text, want)
		}
	}
}

// No answer repeats a value, whatever is wrong with it.
func TestDecodeFieldsQuotesNoValue(t *testing.T) {
	const marker = "Marker7"
	for _, shape := range []string{`"` + marker + `\u0000!!"`, `["` + marker + `"]`, `{"a":"` + marker + `"}`, `"` + strings.Repeat(marker, 300) + `"`} {
		var body strings.Builder
		for _, name := range []string{"user", "title", "birth", "date", "verified", "patient", "doctors", "unknown"} {
			fmt.Fprintf(&body, `,%q:%s`, name, shape)
		}
		fmt.Fprintf(&body, `,"nickname":{"username":%s}`, shape)
		if _, answer := decode(t, "{"+body.String()[1:]+"}", false); answer == "" || strings.Contains(answer, marker) {
			t.Errorf("answer to values like %.20s repeats them or is none", shape)
		}
	}
}

// Whatever is sent, the answer is JSON, and only what was decoded is there.
func FuzzDecodeFields(f *testing.F) {
	for _, seed := range []string{
		``, `[]`, `{"user":{"username":"a","password":"b"},"title":"c"}`, `{"user":{"a":1,"":2,"b.c":3},"user.username":4}`,
		`{"birth":null,"date":"2026-01-02T03:04Z","doctors":["a",null]}`, `{"user":{"email":"a@b.c"},"verified":true,"non_field_errors":1}`,
	} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, body string, partial bool) {
		var s sample
		var p store.Problems
		if err := handlers.Decode(body, s.fields(), partial, &p); err != nil {
			return
		}
		if invalid := p.Err(); invalid != nil {
			if b, err := invalid.(json.Marshaler).MarshalJSON(); err != nil || !json.Valid(b) {
				t.Errorf("answer to %q = %s, %v, want JSON", body, b, err)
			}
		} else if !partial && (s.Username == nil || *s.Username == "" || s.Password == nil || *s.Password == "" || s.Title == nil || *s.Title == "") {
			t.Errorf("decode(%q) found nothing wrong, want what is required", body)
		}
	})
}

func BenchmarkDecodeRecord(b *testing.B) {
	body := `{"title":"Blood pressure","description":"` + strings.Repeat("Measured at rest.\\n", 50) + `","date":"2026-01-02T03:04:05.678901Z","patient":"0198c7a0-0000-7000-8000-000000000000"}`
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var title, description, patient *string
		var date *store.Instant
		var p store.Problems
		err := handlers.Decode(body, []handlers.Field{
			handlers.ReadOnly(handlers.IDField("id", nil)),
			handlers.Required(handlers.TextField("title", &title, 200)),
			handlers.Required(handlers.TextField("description", &description, 20_000)),
			handlers.InstantField("date", &date),
			handlers.IDField("patient", &patient),
		}, false, &p)
		if err != nil || p.Err() != nil {
			b.Fatal("a good record is refused")
		}
	}
}
