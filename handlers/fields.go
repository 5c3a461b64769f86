package handlers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"healthrecords/store"
)

// field is one member of a resource: what it is called, what it may hold and
// where it goes. A resource is a list of them in the order in which they are
// shown, as in
//
//	id("id", nil).readOnly(), text("title", &in.Title, 200).required(), instant("date", &in.Date)
//
// A target points to a pointer, which stays nil when the body has no such member.
type field struct {
	name   string
	kind   kind
	max    int     // code points of a text, or 0 for no limit
	fields []field // of an object, or of each object of a list

	needed, null, fixed bool // see required, orNull, readOnly

	choices []string       // of a choice
	form    *regexp.Regexp // of a text that is not ""
	words   string         // for the schema, see about
	example any            // for the schema, where the resource's own has none

	// read puts a value where it goes, or says what is wrong with it. It is given
	// null only where null is allowed.
	read func(f field, v value) []string
}

// kind is what a field holds.
type kind string

const (
	kindText        kind = "text"         // trimmed of white space
	kindPassword    kind = "password"     // write-only text, never trimmed, never blank
	kindNewPassword kind = "new password" // a password that is long enough to be set
	kindUsername    kind = "username"
	kindEmail       kind = "email"
	kindDate        kind = "date"    // a day of the calendar
	kindInstant     kind = "instant" // a moment with its offset
	kindBoolean     kind = "boolean"
	kindChoice      kind = "choice" // one of a few words
	kindID          kind = "id"
	kindIDList      kind = "list of ids"
	kindObject      kind = "object"
	kindObjectList  kind = "list of objects" // always read-only
)

// required says that the field must be given, except in a partial change, and
// that its text may not be blank.
func (f field) required() field { f.needed = true; return f }

// orNull allows null, which a date keeps as "".
func (f field) orNull() field { f.null = true; return f }

// readOnly says that the field is accepted with any value and ignored, so that
// what was read can be sent back. Its target may be nil.
func (f field) readOnly() field { f.fixed = true; return f }

// readOnlyUnless is readOnly for callers who may not write the field.
func (f field) readOnlyUnless(writable bool) field { f.fixed = f.fixed || !writable; return f }

// about adds what the schema says of the field in words.
func (f field) about(words string) field { f.words = words; return f }

// like gives the schema an example.
func (f field) like(example any) field { f.example = example; return f }

// Messages of more than one kind, and the name for what is no field's fault.
const (
	notString = "Not a valid string."
	notNull   = "This field may not be null."
	noField   = "non_field_errors"
)

func text(name string, to **string, max int) field {
	return characters(kindText, name, to, max, nil, "")
}

func password(name string, to **string) field {
	return characters(kindPassword, name, to, 1024, nil, "")
}

// newPassword is a password that is to be set. Whether it is good enough, the
// caller has to ask [auth.CheckPassword].
func newPassword(name string, to **string) field {
	f := password(name, to)
	f.kind = kindNewPassword
	return f.about("Neither common, nor all digits, nor like the user's names or e-mail address.").like("nine lazy rivers of tin")
}

func username(name string, to **string) field {
	return characters(kindUsername, name, to, 150, usernameForm,
		"Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.")
}

func email(name string, to **string) field {
	return characters(kindEmail, name, to, 254, emailForm, "Enter a valid email address.")
}

// characters is what the texts above have in common; wrong is the message for a
// text that has not the form. A text that is not required may be "".
func characters(k kind, name string, to **string, max int, form *regexp.Regexp, wrong string) field {
	return field{name: name, kind: k, max: max, form: form, read: func(f field, v value) (found []string) {
		if v.kind != jsonString {
			return []string{notString}
		}
		s := v.text
		if k != kindPassword {
			s = strings.TrimSpace(s)
		}
		*to = &s
		if s == "" && (f.needed || k == kindPassword) {
			return []string{"This field may not be blank."}
		}
		if max > 0 && utf8.RuneCountInString(s) > max {
			found = append(found, fmt.Sprintf("Ensure this field has no more than %d characters.", max))
		}
		if strings.ContainsRune(s, 0) {
			found = append(found, "Null characters are not allowed.")
		}
		// A text that is far too long is not searched to its end.
		if form != nil && s != "" && len(s) <= 1000 && !form.MatchString(s) {
			found = append(found, wrong)
		}
		return found
	}}
}

// date takes a day as it is written; null, where allowed, becomes "".
func date(name string, to **string) field {
	return field{name: name, kind: kindDate, read: func(_ field, v value) []string {
		if v.kind != jsonNull && (v.kind != jsonString || !isDate(v.text)) {
			return []string{"Date has wrong format. Use one of these formats instead: YYYY-MM-DD."}
		}
		*to = &v.text
		return nil
	}}
}

func instant(name string, to **store.Instant) field {
	return field{name: name, kind: kindInstant, read: func(_ field, v value) []string {
		t, ok := parseInstant(v.text)
		if v.kind != jsonString || !ok {
			return []string{"Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."}
		}
		*to = &t
		return nil
	}}
}

func boolean(name string, to **bool) field {
	return field{name: name, kind: kindBoolean, read: func(_ field, v value) []string {
		if v.kind != jsonBool {
			return []string{"Must be a valid boolean."}
		}
		yes := v.text == "true"
		*to = &yes
		return nil
	}}
}

func choice[T ~string](name string, to *T, words ...T) field {
	choices := make([]string, len(words))
	for i, w := range words {
		choices[i] = string(w)
	}
	return field{name: name, kind: kindChoice, choices: choices, read: func(f field, v value) []string {
		if v.kind != jsonString || !slices.Contains(f.choices, v.text) {
			return []string{"Not a valid choice. Choose one of: " + strings.Join(f.choices, ", ") + "."}
		}
		*to = T(v.text)
		return nil
	}}
}

// id takes any text as it is; whether it is the id of something, the store says.
func id(name string, to **string) field {
	return field{name: name, kind: kindID, read: func(_ field, v value) []string {
		if v.kind != jsonString {
			return []string{notString}
		}
		*to = &v.text
		return nil
	}}
}

func idList(name string, to **[]string) field {
	return field{name: name, kind: kindIDList, read: func(_ field, v value) []string {
		if v.kind != jsonList {
			return []string{fmt.Sprintf(`Expected a list of items but got type "%s".`, v.typeName())}
		}
		ids := make([]string, len(v.items))
		for i, item := range v.items {
			if item.kind == jsonNull {
				return []string{notNull}
			} else if item.kind != jsonString {
				return []string{notString}
			}
			ids[i] = item.text
		}
		*to = &ids
		return nil
	}}
}

// object is a resource inside another.
func object(name string, fields ...field) field {
	return field{name: name, kind: kindObject, fields: fields}
}

// objectList is a list of resources, which can only be read.
func objectList(name string, fields ...field) field {
	return field{name: name, kind: kindObjectList, fields: fields, fixed: true}
}

// decodeFields puts the members of an object where the fields say, and adds to
// p all that is wrong, in the order of the fields; then the targets are not to
// be used. In a partial change no field is required. A member that is no field
// is wrong too: a silently dropped one is lost data.
func decodeFields(v value, fields []field, partial bool, p *store.Problems) {
	decodeMembers(v, fields, partial, "", p)
}

// decodeMembers is decodeFields for an object whose members p calls prefix+name.
func decodeMembers(v value, fields []field, partial bool, prefix string, p *store.Problems) {
	if v.kind != jsonObject {
		p.Declare(prefix + noField)
		p.Add(prefix+noField, fmt.Sprintf("Invalid data. Expected a dictionary, but got %s.", v.typeName()))
		return
	}
	for _, f := range fields {
		name := prefix + f.name
		p.Declare(name)
		member, given := v.member(f.name)
		switch {
		case f.fixed || !given && (partial || !f.needed):
		case !given:
			p.Add(name, "This field is required.")
		case member.kind == jsonNull && !f.null:
			p.Add(name, notNull)
		case f.kind == kindObject:
			decodeMembers(member, f.fields, partial, name+".", p)
		default:
			for _, message := range f.read(f, member) {
				p.Add(name, message)
			}
		}
	}
	refuseUnknown(v, fields, prefix, p)
}

// refuseUnknown names the members that are no fields, but repeats no name that
// would read as a nested one, or that is not plain to see.
func refuseUnknown(v value, fields []field, prefix string, p *store.Problems) {
	const most = 20 // looked at and named one by one
	unknown := 0
	for _, m := range v.items {
		if slices.ContainsFunc(fields, func(f field) bool { return f.name == m.name }) {
			continue
		}
		unknown++
		name := prefix + noField
		if unknown <= most && plainName.MatchString(m.name) && !strings.Contains(m.name, ".") {
			name = prefix + m.name
		}
		if !p.Has(name) {
			p.Declare(name)
			p.Add(name, "Unknown field.")
		}
	}
}

var plainName = regexp.MustCompile(`^[\pL\pM\pN\pP\pS ]{1,64}$`)

// Letters and numbers are those of any script; combining marks are neither.
var usernameForm = regexp.MustCompile(`^[\p{L}\p{N}@.+_-]+$`)

// One addr-spec (RFC 5322, section 3.4.1) of two dot-atoms, the second a host
// name with a dot (RFC 1123, section 2.1) whose last label begins with a
// letter: 192.0.2.1 is no domain.
var emailForm = regexp.MustCompile("^" + atom + `(\.` + atom + `)*@(` + label + `\.)+[A-Za-z](` + labelRest + `)?$`)

const (
	atom      = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
	label     = "[A-Za-z0-9](" + labelRest + ")?"
	labelRest = "[A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)

// isDate tells whether s is a day of the calendar, written 1990-02-03.
func isDate(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && t.Year() >= 1
}

// time.Parse alone takes a comma before the fraction, hours of one digit and
// offsets of 24 hours.
var instantForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseInstant reads a moment with its offset (RFC 3339, but the seconds may be
// left out), and tells whether s is one, in the years 0001 to 9999 of UTC.
func parseInstant(s string) (store.Instant, bool) {
	if !instantForm.MatchString(s) {
		return "", false
	}
	layout := time.RFC3339
	if s[len("2006-01-02T15:04")] != ':' {
		layout = "2006-01-02T15:04Z07:00"
	}
	t, err := time.Parse(layout, s)
	if year := t.UTC().Year(); err != nil || year < 1 || year > 9999 {
		return "", false
	}
	return store.InstantOf(t), true
}

// typeName is what the messages of Django REST framework call a value.
func (v value) typeName() string {
	if v.kind == jsonNumber && !strings.ContainsAny(v.text, ".eE") {
		return "int"
	}
	return [...]string{"NoneType", "bool", "float", "str", "list", "dict"}[v.kind]
}
