package handlers

import (
	"encoding/json"

	"healthrecords/store"
)

type (
	Value = value
	Field = field
)

var (
	ParseJSON = parseJSON

	TextField     = text
	PasswordField = password
	UsernameField = username
	EmailField    = email
	DateField     = date
	InstantField  = instant
	BooleanField  = boolean
	IDField       = id
	IDListField   = idList
	ObjectField   = object
	ObjectList    = objectList
)

func Required(f field) field                      { return f.required() }
func OrNull(f field) field                        { return f.orNull() }
func ReadOnly(f field) field                      { return f.readOnly() }
func ReadOnlyUnless(f field, writable bool) field { return f.readOnlyUnless(writable) }

// Decode parses a body and decodes it, as a handler does.
func Decode(body string, fields []field, partial bool, p *store.Problems) error {
	v, err := parseJSON([]byte(body))
	if err == nil {
		decodeFields(v, fields, partial, p)
	}
	return err
}

// Names returns the names of an object's members in their order.
func (v value) Names() (names []string) {
	for _, m := range v.items {
		names = append(names, m.name)
	}
	return names
}

// Plain returns v as a json.Decoder that uses json.Number would.
func (v value) Plain() any {
	switch v.kind {
	case jsonBool:
		return v.text == "true"
	case jsonNumber:
		return json.Number(v.text)
	case jsonString:
		return v.text
	case jsonList:
		list := []any{}
		for _, item := range v.items {
			list = append(list, item.Plain())
		}
		return list
	case jsonObject:
		object := map[string]any{}
		for _, m := range v.items {
			if _, twice := object[m.name]; twice {
				panic("a name is there twice")
			}
			object[m.name] = m.Plain()
		}
		return object
	}
	return nil
}
