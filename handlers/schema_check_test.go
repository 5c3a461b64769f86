package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"healthrecords/handlers"
)

// document is the schema as a client reads it.
type document map[string]any

// documents are those read so far, by the least length of passwords.
var documents sync.Map

// patterns are those compiled so far, by their text.
var patterns sync.Map

func readDocument(t testing.TB, passwordMinLength int) document {
	t.Helper()
	if d, ok := documents.Load(passwordMinLength); ok {
		return d.(document)
	}
	var d document
	if err := json.Unmarshal(handlers.Schema(passwordMinLength), &d); err != nil {
		t.Fatalf("the schema is not JSON: %v", err)
	}
	documents.Store(passwordMinLength, d)
	return d
}

// in returns the object at a path of member names below v, with every $ref on
// the way followed, or nil.
func (d document) in(v any, path ...string) map[string]any {
	object, _ := v.(map[string]any)
	if ref, ok := object["$ref"].(string); ok {
		object = d.in(map[string]any(d), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	if len(path) == 0 || object == nil {
		return object
	}
	return d.in(object[path[0]], path[1:]...)
}

// text returns the member of an object that is a text, or "".
func (d document) text(v any, name string) string {
	s, _ := d.in(v)[name].(string)
	return s
}

// operations returns every operation, by "METHOD path".
func (d document) operations() map[string]map[string]any {
	all := make(map[string]map[string]any)
	for path, methods := range d.in(d["paths"]) {
		for method, operation := range d.in(methods) {
			all[strings.ToUpper(method)+" "+path] = d.in(operation)
		}
	}
	return all
}

// operation returns what is said of a request, or nil. A path that is spelt
// out comes before one with ids.
func (d document) operation(r *http.Request) map[string]any {
	method := map[string]string{"GET": "get", "HEAD": "get", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	parts := strings.Split(strings.TrimSuffix(r.URL.EscapedPath(), "/"), "/")
	var found map[string]any
	for path, methods := range d.in(d["paths"]) {
		names := strings.Split(strings.TrimSuffix(path, "/"), "/")
		same := slices.EqualFunc(names, parts, func(name, part string) bool { return name == part || name[:min(1, len(name))] == "{" && part != "" })
		if same && (found == nil || !strings.Contains(path, "{")) {
			found = d.in(methods)
		}
	}
	return d.in(found[method])
}

// checker holds values against JSON Schemas: those keywords that the document
// uses, and no others. In what is sent, texts count without the white space
// around them, as the document says; in what is answered, no member may be
// that is not described.
type checker struct {
	document
	sent bool
}

// check returns what is wrong with v, found at a path.
func (c checker) check(s map[string]any, v any, at string) (wrong []string) {
	s = c.in(s)
	if !slices.ContainsFunc(types(s["type"]), func(name string) bool {
		return name == "" || name == typeOf(v) || name == "number" && typeOf(v) == "integer"
	}) {
		return []string{fmt.Sprintf("%s is of type %s, not %v", at, typeOf(v), s["type"])}
	}
	for keyword, want := range s {
		switch keyword {
		case "type", "required", "description", "readOnly", "writeOnly", "example", "default":
		case "enum":
			if !slices.ContainsFunc(want.([]any), func(one any) bool { return reflect.DeepEqual(one, v) }) {
				wrong = append(wrong, at+" is none of those listed")
			}
		case "oneOf":
			good := 0
			for _, one := range want.([]any) {
				if len(c.check(c.in(one), v, at)) == 0 {
					good++
				}
			}
			if good != 1 {
				wrong = append(wrong, fmt.Sprintf("%s is as %d of the alternatives say, not as one", at, good))
			}
		case "minLength", "maxLength", "pattern", "format":
			if text, ok := v.(string); ok && !c.textGood(s, keyword, text) {
				wrong = append(wrong, at+" breaks "+keyword)
			}
		case "minimum", "maximum":
			if n, ok := v.(float64); ok && (keyword == "minimum") == (n < want.(float64)) && n != want.(float64) {
				wrong = append(wrong, at+" breaks "+keyword)
			}
		case "items":
			items, _ := v.([]any)
			for i, item := range items {
				wrong = append(wrong, c.check(c.in(want), item, fmt.Sprintf("%s.%d", at, i))...)
			}
		case "properties", "additionalProperties":
		default:
			wrong = append(wrong, "the checker does not know the keyword "+keyword)
		}
	}
	if object, ok := v.(map[string]any); ok {
		wrong = append(wrong, c.members(s, object, at)...)
	}
	return wrong
}

func (c checker) textGood(s map[string]any, keyword, text string) bool {
	if c.sent && s["format"] != "password" {
		text = strings.TrimSpace(text)
	}
	switch want := s[keyword].(type) {
	case float64:
		n := float64(utf8.RuneCountInString(text))
		return n == want || (keyword == "minLength") == (n > want)
	case string:
		layout, isTime := map[string]string{"date": time.DateOnly, "date-time": "2006-01-02T15:04:05.000000Z"}[want]
		if keyword == "pattern" {
			form, ok := patterns.Load(want)
			if !ok {
				form, _ = patterns.LoadOrStore(want, regexp.MustCompile(want))
			}
			return form.(*regexp.Regexp).MatchString(text)
		} else if isTime {
			_, err := time.Parse(layout, text)
			return err == nil
		}
		return want == "password"
	}
	return false
}

func (c checker) members(s, object map[string]any, at string) (wrong []string) {
	properties := c.in(s["properties"])
	for _, name := range list(s["required"]) {
		if _, given := object[name.(string)]; !given {
			wrong = append(wrong, fmt.Sprintf("%s.%s is not there", at, name))
		}
	}
	for name, v := range object {
		one, described := properties[name]
		rest := s["additionalProperties"]
		switch {
		case described && c.sent && strings.Contains(c.text(one, "description"), "from others it is ignored"):
			// who these others are, the schema says in words alone
		case described:
			wrong = append(wrong, c.check(c.in(one), v, at+"."+name)...)
		case c.in(rest) != nil:
			wrong = append(wrong, c.check(c.in(rest), v, at+"."+name)...)
		case rest == false || !c.sent && properties != nil:
			wrong = append(wrong, at+"."+name+" is not described")
		}
	}
	return wrong
}

func list(v any) []any { items, _ := v.([]any); return items }

func types(v any) (names []string) {
	if v == nil {
		return []string{""}
	}
	if name, ok := v.(string); ok {
		return []string{name}
	}
	for _, name := range list(v) {
		names = append(names, name.(string))
	}
	return names
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// record keeps what is read of a request's body.
func record(r *http.Request) *bytes.Buffer {
	sent := new(bytes.Buffer)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, sent), r.Body}
	return sent
}

// conforms holds a request and its answer against the schema: the answer
// always, the request when it was accepted.
func (d document) conforms(t testing.TB, r *http.Request, sent []byte, got response) {
	t.Helper()
	call := fmt.Sprintf("%s %s = %d", r.Method, r.URL.EscapedPath(), got.status)
	operation := d.operation(r)
	if operation == nil {
		isPage := got.header.Get("Content-Security-Policy") != "" // of the console, which is no part of the API
		if got.status < 400 && r.Method != "OPTIONS" && !isPage {
			t.Errorf("%s is an answer to what the schema does not have", call)
		}
		return
	}
	wrong := d.answerWrong(operation, r.Method, got)
	if got.status < 300 {
		wrong = append(wrong, d.requestWrong(operation, r.URL, sent)...)
	}
	for _, w := range wrong {
		t.Errorf("%s, but by the schema %s", call, w)
	}
}

func (d document) answerWrong(operation map[string]any, method string, got response) (wrong []string) {
	described := d.in(operation, "responses", strconv.Itoa(got.status))
	if described == nil {
		return []string{"there is no such status"}
	}
	for _, name := range []string{"ETag", "Location", "WWW-Authenticate", "Retry-After", "X-Request-Id"} {
		if given, want := got.header.Get(name) != "", d.in(described, "headers", name) != nil; given != want {
			wrong = append(wrong, fmt.Sprintf("the answer has the header %s: %t", name, want))
		}
	}
	content := d.in(described, "content", "application/json", "schema")
	if (content != nil) != (got.header.Get("Content-Type") == "application/json") {
		return append(wrong, fmt.Sprintf("the answer is JSON: %t", content != nil))
	}
	if content == nil || method == "HEAD" {
		return wrong
	}
	var v any
	if err := json.Unmarshal([]byte(got.body), &v); err != nil {
		return append(wrong, "the answer is JSON: "+err.Error())
	}
	return append(wrong, checker{d, false}.check(content, v, "the answer")...)
}

func (d document) requestWrong(operation map[string]any, u *url.URL, sent []byte) (wrong []string) {
	c := checker{d, true}
	if body := d.in(operation, "requestBody", "content", "application/json", "schema"); body != nil {
		var v any = map[string]any{}
		if len(bytes.TrimSpace(sent)) > 0 {
			if err := json.Unmarshal(sent, &v); err != nil {
				wrong = append(wrong, "the body is JSON: "+err.Error())
			}
		}
		wrong = append(wrong, c.check(body, v, "the body")...)
	}
	query := map[string]map[string]any{}
	for _, p := range list(operation["parameters"]) {
		if p := d.in(p); p["in"] == "query" {
			query[p["name"].(string)] = d.in(p["schema"])
		}
	}
	if len(query) == 0 {
		return wrong // nothing reads it
	}
	for name, given := range u.Query() {
		var v any = given[0]
		if n, err := strconv.ParseFloat(given[0], 64); err == nil && query[name]["type"] == "integer" {
			v = n
		}
		if query[name] == nil {
			wrong = append(wrong, "there is no parameter "+name)
		} else {
			wrong = append(wrong, c.check(query[name], v, "the parameter "+name)...)
		}
	}
	return wrong
}
