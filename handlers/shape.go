package handlers

import (
	"encoding/json"
	"reflect"
	"strings"

	"healthrecords/store"
)

// What examples hold.
const (
	sampleID      = "019cb3d2-6f3b-7c41-9a53-2f8e1d0c4b7a"
	sampleDate    = "1990-02-03"
	sampleInstant = store.Instant("2026-01-02T03:04:05.678901Z")
	sampleOneUse  = "q7J0mX2vT9bLr4sYcN8dKfWzHe1gPaUo6iQxBtVjMkR"
	sampleToken   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoi.4bJ1"
)

// describer makes schemas of fields, which say what a body may hold, and of
// the types of answers, which say what is encoded.
type describer struct {
	passwordMinLength int
}

// answered is the type of what the route answers, or nil.
func (r route) answered() reflect.Type {
	if r.answers == nil {
		return nil
	}
	return reflect.TypeOf(r.answers.example)
}

// schemas describes what is answered, each kind once.
func (d describer) schemas() schema {
	all := schema{
		"Error":       d.members(reflect.TypeFor[detail](), nil),
		"FieldErrors": fieldErrors,
	}
	for _, r := range routes {
		switch t := r.answered(); {
		case t == nil:
		case t.Kind() == reflect.Struct:
			all[r.answers.name] = d.members(t, r.answers.create)
		default:
			all[r.answers.name] = d.typed(t, nil)
		}
	}
	return all
}

// fieldErrors are the messages of bad fields by name; those of a field that is
// an object are nested.
var fieldErrors = schema{"type": "object", "additionalProperties": schema{"oneOf": []schema{
	{"type": "array", "items": schema{"type": "string"}}, refTo("schemas", "FieldErrors"),
}}}

// answer describes what a route answers when it is done.
func (d describer) answer(r route) schema {
	one := refTo("schemas", r.answers.name)
	if !r.list {
		return schema{"schema": one, "example": r.answers.example}
	}
	page := d.members(reflect.TypeFor[list[any]](), nil)
	page["properties"].(schema)["results"] = schema{"type": "array", "items": one}
	return schema{"schema": page, "example": list[any]{Results: []any{r.answers.example}}}
}

// typed describes how a type is encoded, or refers to the resource that it is.
// The fields are those of a struct, as in members.
func (d describer) typed(t reflect.Type, fields []field) schema {
	switch t {
	case reflect.TypeFor[store.Instant]():
		return schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[store.Role]():
		return schema{"type": "string", "enum": []store.Role{store.Nobody, store.PatientRole, store.DoctorRole, store.Staff, store.Operator}}
	case reflect.TypeFor[outgoing]():
		return schema{"type": "string", "enum": []outgoing{mailSent, mailLogged}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := d.typed(t.Elem(), nil)
		s["type"] = []any{s["type"], "null"}
		return s
	case reflect.Slice:
		return schema{"type": "array", "items": d.typed(t.Elem(), nil)}
	case reflect.Struct:
		for _, r := range routes {
			if r.answered() == t {
				return refTo("schemas", r.answers.name)
			}
		}
		return d.members(t, fields)
	case reflect.Map:
		return schema{"type": "object"}
	case reflect.Interface:
		return schema{}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int:
		return schema{"type": "integer"}
	case reflect.String:
		return schema{"type": "string"}
	}
	panic("handlers: an answer holds a " + t.String() + ", which the schema cannot describe")
}

// members describes an object that is encoded from a struct. Of its members
// that are fields it says their limits too.
func (d describer) members(t reflect.Type, fields []field) schema {
	properties, required := make(schema), []string{}
	for _, member := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(member.Tag.Get("json"), ",")
		if member.Anonymous || name == "-" {
			continue
		}
		held := member.Type
		if option != "omitempty" && option != "omitzero" {
			required = append(required, name)
		} else if held.Kind() == reflect.Pointer {
			held = held.Elem() // it is left out rather than null
		}
		f := named(fields, name)
		s := d.typed(held, f.fields)
		if f.fixed {
			s["readOnly"] = true
		}
		limits := d.holds(f)
		for _, key := range []string{"maxLength", "description"} {
			if limits[key] != nil {
				s[key] = limits[key]
			}
		}
		if f.kind == kindDate {
			s["format"] = "date"
		}
		properties[name] = s
	}
	return schema{"type": "object", "properties": properties, "required": required}
}

func named(fields []field, name string) field {
	for _, f := range fields {
		if f.name == name {
			return f
		}
	}
	return field{}
}

// body describes what a request may hold; in a partial change nothing is
// required.
func (d describer) body(fields []field, partial bool) schema {
	properties, required := make(schema), []string{}
	for _, f := range fields {
		switch {
		case f.fixed:
			properties[f.name] = schema{"readOnly": true}
		case f.kind == kindObject:
			properties[f.name] = d.body(f.fields, partial)
		default:
			properties[f.name] = d.holds(f)
		}
		if f.needed && !f.fixed && !partial {
			required = append(required, f.name)
		}
	}
	return schema{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// holds describes a field that is no object.
func (d describer) holds(f field) schema {
	s := schema{"type": "string"}
	switch f.kind {
	case kindPassword, kindNewPassword:
		s["format"], s["writeOnly"], s["minLength"] = "password", true, 1
	case kindDate:
		s["format"] = "date"
	case kindInstant:
		s["pattern"] = instantForm.String() // the seconds may be left out, unlike in date-time
	case kindBoolean:
		s["type"] = "boolean"
	case kindChoice:
		s["enum"] = f.choices
	case kindIDList:
		s["type"], s["items"] = "array", schema{"type": "string"}
	case kindText, kindUsername:
		if f.needed {
			s["minLength"] = 1
		}
	}
	if f.kind == kindNewPassword {
		s["minLength"] = d.passwordMinLength
	}
	if f.max > 0 {
		s["maxLength"] = f.max
	}
	if f.form != nil {
		s["pattern"] = "^$|" + f.form.String()
		if f.needed {
			s["pattern"] = f.form.String()
		}
	}
	if f.null {
		s["type"] = []any{s["type"], "null"}
	}
	if f.words != "" {
		s["description"] = f.words
	}
	return s
}

// sent is an example of a body that the route takes.
func (r route) sent() map[string]any {
	var answered map[string]any
	if r.answers != nil {
		if err := json.Unmarshal(encode(r.answers.example), &answered); err != nil {
			panic(err) // our own examples are objects
		}
	}
	return sent(r.fields(), answered)
}

// sent picks what fields take from an example of an answer, and where that has
// nothing, as of a password, from the fields' own examples.
func sent(fields []field, answered map[string]any) map[string]any {
	example := make(map[string]any)
	for _, f := range fields {
		shown, known := answered[f.name]
		switch nested, _ := shown.(map[string]any); {
		case f.fixed:
		case f.kind == kindObject:
			example[f.name] = sent(f.fields, nested)
		case known:
			example[f.name] = shown
		case f.example != nil:
			example[f.name] = f.example
		}
	}
	return example
}
