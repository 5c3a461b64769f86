package handlers

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// value is one JSON value (RFC 8259). The members of an object keep their
// order and their exact names, of which no two are equal.
type value struct {
	name  string // as a member of an object, else ""
	kind  jsonKind
	text  string  // the content of a string, the digits of a number, or the word true or false
	items []value // the items of a list or the members of an object
}

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonList
	jsonObject
)

// member returns the member of an object with that name, if it has one.
func (v value) member(name string) (value, bool) {
	for _, m := range v.items {
		if m.name == name {
			return m, true
		}
	}
	return value{}, false
}

// parseError says what is wrong with a body and where, in words that never
// quote it.
type parseError struct {
	what string
	at   int // bytes before the mistake
}

func (e *parseError) Error() string {
	return fmt.Sprintf("JSON parse error - %s at byte %d", e.what, e.at)
}

// What one body may hold, so that a small body cannot cost much memory: a body
// of 1 MiB that consists of ids holds 27,000 values.
const (
	maxDepth  = 32
	maxValues = 1 << 15
)

// parseJSON reads a body that is one JSON value in UTF-8 and nothing more; one
// of nothing but white space counts as an empty object. It also refuses what
// encoding/json bends: of two members with one name, however escaped, that takes
// the last, and for half a surrogate pair U+FFFD. Every error is a *parseError.
func parseJSON(body []byte) (value, error) {
	p := parser{text: string(body)}
	if p.space(); p.at == len(p.text) {
		return value{kind: jsonObject}, nil
	}
	v, err := p.value(0)
	if err != nil {
		return value{}, err
	}
	if p.space(); p.at < len(p.text) {
		return value{}, p.fail("something follows the value")
	}
	return v, nil
}

// parser stands before the byte at of text. Its methods each read one piece of
// the grammar and leave the parser behind it.
type parser struct {
	text   string
	at     int
	values int // so far
}

// fail returns the error that the text is wrong where the parser stands.
func (p *parser) fail(what string) error {
	if p.at == len(p.text) {
		what = "unexpected end"
	}
	return &parseError{what, p.at}
}

// next returns the byte that comes, or 0, which is good nowhere, at the end.
func (p *parser) next() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// skip passes over s, if it comes.
func (p *parser) skip(s string) bool {
	if !strings.HasPrefix(p.text[p.at:], s) {
		return false
	}
	p.at += len(s)
	return true
}

func (p *parser) space() {
	for p.skip(" ") || p.skip("\n") || p.skip("\r") || p.skip("\t") {
	}
}

// value reads the value that comes, which lies in depth lists and objects.
func (p *parser) value(depth int) (value, error) {
	if p.values++; p.values > maxValues {
		return value{}, p.fail("too many values")
	}
	switch c := p.next(); {
	case c == '{':
		return p.inside(jsonObject, "}", depth)
	case c == '[':
		return p.inside(jsonList, "]", depth)
	case c == '"':
		s, err := p.string()
		return value{kind: jsonString, text: s}, err
	case c == '-' || isDigit(c):
		return p.number()
	case p.skip("null"):
		return value{kind: jsonNull}, nil
	case p.skip("true"):
		return value{kind: jsonBool, text: "true"}, nil
	case p.skip("false"):
		return value{kind: jsonBool, text: "false"}, nil
	}
	return value{}, p.fail("a value expected")
}

// inside reads an object or a list, from its opening to its closing bracket.
func (p *parser) inside(kind jsonKind, end string, depth int) (value, error) {
	if depth == maxDepth {
		return value{}, p.fail("nested too deeply")
	}
	p.at++
	v := value{kind: kind}
	if p.space(); p.skip(end) {
		return v, nil
	}
	names := make(map[string]bool)
	for {
		var name string
		var err error
		if kind == jsonObject {
			if name, err = p.name(names); err != nil {
				return v, err
			}
		}
		p.space()
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		item.name = name
		v.items = append(v.items, item)
		if p.space(); p.skip(end) {
			return v, nil
		}
		if !p.skip(",") {
			return v, p.fail("a comma or closing bracket expected")
		}
	}
}

// name reads a member's name, which is not among those seen, and the colon.
func (p *parser) name(seen map[string]bool) (string, error) {
	p.space()
	start := p.at
	if p.next() != '"' {
		return "", p.fail("a member name expected")
	}
	name, err := p.string()
	if err != nil {
		return "", err
	}
	if seen[name] {
		return "", &parseError{"a member name is given twice", start}
	}
	seen[name] = true
	if p.space(); !p.skip(":") {
		return "", p.fail("a colon expected")
	}
	return name, nil
}

// number keeps the number as it is written: no range and no precision is lost.
func (p *parser) number() (value, error) {
	start := p.at
	p.skip("-")
	ok := p.skip("0") || p.digits()
	if ok && p.skip(".") {
		ok = p.digits()
	}
	if ok && (p.skip("e") || p.skip("E")) {
		_ = p.skip("+") || p.skip("-")
		ok = p.digits()
	}
	if !ok {
		return value{}, p.fail("a digit expected")
	}
	return value{kind: jsonNumber, text: p.text[start:p.at]}, nil
}

// digits passes over one digit or more, and tells whether there was any.
func (p *parser) digits() bool {
	start := p.at
	for isDigit(p.next()) {
		p.at++
	}
	return p.at > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// string reads a string and returns its content.
func (p *parser) string() (string, error) {
	p.at++ // the opening quote
	var unescaped strings.Builder
	start := p.at // of what is not yet in unescaped
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			rest := p.text[start:p.at]
			p.at++
			if unescaped.Len() == 0 {
				return rest, nil // no copy
			}
			unescaped.WriteString(rest)
			return unescaped.String(), nil
		case c == '\\':
			unescaped.WriteString(p.text[start:p.at])
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			unescaped.WriteRune(r)
			start = p.at
		case c < ' ':
			return "", p.fail("a control character in a string")
		case c < utf8.RuneSelf:
			p.at++
		default:
			r, size := utf8.DecodeRuneInString(p.text[p.at:])
			if r == utf8.RuneError && size == 1 {
				return "", p.fail("not UTF-8")
			}
			p.at += size
		}
	}
	return "", p.fail("a string without end")
}

// escape reads an escape sequence, or two of them for a surrogate pair.
func (p *parser) escape() (rune, error) {
	start := p.at
	p.at++ // the backslash
	if i := strings.IndexByte(`"\/bfnrt`, p.next()); i >= 0 {
		p.at++
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := p.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if p.skip("\\") {
		low, err := p.unit()
		if r = utf16.DecodeRune(r, low); err == nil && r != utf8.RuneError {
			return r, nil
		}
	}
	return 0, &parseError{"an unpaired surrogate", start}
}

// unit reads u and four hexadecimal digits: one unit of UTF-16.
func (p *parser) unit() (rune, error) {
	if !p.skip("u") {
		return 0, p.fail("an unknown escape")
	}
	end := min(p.at+4, len(p.text))
	n, err := strconv.ParseUint(p.text[p.at:end], 16, 16)
	if err != nil || end < p.at+4 {
		return 0, p.fail("four hexadecimal digits expected")
	}
	p.at = end
	return rune(n), nil
}
