package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Problems collects what is wrong with an input, field by field, so that one
// answer can name every bad field at once. A field inside an object is named
// with a dot ("user.username"). The zero value is empty and ready to use.
type Problems struct {
	declared []string
	names    []string
	messages map[string][]string
}

// Declare says in which order fields are reported; names that were not
// declared follow in the order in which they came.
func (p *Problems) Declare(names ...string) { p.declared = append(p.declared, names...) }

// Add notes a message for a field.
func (p *Problems) Add(field, message string) {
	if p.messages == nil {
		p.messages = make(map[string][]string)
	}
	if _, ok := p.messages[field]; !ok {
		p.names = append(p.names, field)
	}
	p.messages[field] = append(p.messages[field], message)
}

// Has tells whether a field has a message already.
func (p *Problems) Has(field string) bool { return len(p.messages[field]) > 0 }

// Forget drops all messages for a field.
func (p *Problems) Forget(field string) {
	delete(p.messages, field)
	p.names = slices.DeleteFunc(p.names, func(name string) bool { return name == field })
}

// clone returns a copy that shares nothing with p.
func (p *Problems) clone() Problems {
	c := Problems{declared: p.declared, names: slices.Clone(p.names), messages: maps.Clone(p.messages)}
	for name, messages := range c.messages {
		c.messages[name] = slices.Clip(messages)
	}
	return c
}

// Err returns nil when nothing was noted, else an *[Invalid].
func (p *Problems) Err() error {
	if len(p.names) == 0 {
		return nil
	}
	return &Invalid{*p}
}

// Invalid is the error of an input that breaks rules. Its text names no field
// and quotes no value; its JSON is the answer to the client.
type Invalid struct{ problems Problems }

func (*Invalid) Error() string { return "invalid input" }

// Each calls f with every message, in declared order.
func (e *Invalid) Each(f func(field, message string)) {
	for _, name := range e.problems.sorted() {
		for _, message := range e.problems.messages[name] {
			f(name, message)
		}
	}
}

// MarshalJSON writes {"field":["message",…],"object":{"field":[…]}} in declared order.
func (e *Invalid) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e.problems.encode(&b, "", e.problems.sorted())
	return b.Bytes(), nil
}

func (p *Problems) sorted() []string {
	rank := func(name string) int {
		if i := slices.Index(p.declared, name); i >= 0 {
			return i
		}
		return len(p.declared) + slices.Index(p.names, name)
	}
	names := slices.Clone(p.names)
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// encode writes the fields below prefix as one object, each nested object
// where the first of its fields stands.
func (p *Problems) encode(b *bytes.Buffer, prefix string, names []string) {
	b.WriteByte('{')
	done := make(map[string]bool)
	for _, name := range names {
		rest, below := strings.CutPrefix(name, prefix)
		key, _, nested := strings.Cut(rest, ".")
		if !below || done[key] {
			continue
		}
		if len(done) > 0 {
			b.WriteByte(',')
		}
		done[key] = true
		writeJSON(b, key)
		b.WriteByte(':')
		if nested {
			p.encode(b, prefix+key+".", names)
		} else {
			writeJSON(b, p.messages[name])
		}
	}
	b.WriteByte('}')
}

func writeJSON(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // strings always encode
	b.Truncate(b.Len() - 1)
}
