package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// schema is an object of an OpenAPI 3.1 document, most often a JSON Schema
// (draft 2020-12).
type schema map[string]any

// operation is what the schema says of a route beside what the table needs to
// serve it. The rest follows from the method, the access and the limit.
type operation struct {
	id      string // operationId: what a generated client calls it
	summary string
	who     string // may call it, in words
	status  int    // when it is done
	answers *resource
	list    bool        // it answers a page of them
	whole   bool        // a list that is never longer than one page
	body    []field     // where the resource's own fields are not what is sent
	query   []parameter // of a list, beside those of paging
	also    []int       // statuses of failures beside those which follow
	down    *resource   // what 503 answers where that is no error
}

// resource is what a body answers or takes.
type resource struct {
	name           string
	versioned      bool    // one of it has an ETag
	example        any     // an answer; its type says which members every answer has
	create, change []field // what POST, and PUT and PATCH, take
}

var schemaResource = &resource{name: "Schema", versioned: true, example: schema{"openapi": openAPI}}

// readSchema answers what Schema says, with a hash of it for the version.
func (a *api) readSchema(r *request) (answer, error) {
	text := a.schema()
	hash := sha256.Sum256(text)
	return answer{status: http.StatusOK, body: json.RawMessage(text), version: hex.EncodeToString(hash[:8])}, a.checkIfSignedIn(r)
}

const (
	openAPI      = "3.1.1"
	introduction = "Health records of a medical practice.\n\n" +
		"Every path is served without its last slash too. HEAD is answered as GET, OPTIONS with the methods in Allow, other methods with 405, unknown paths with 404.\n\n" +
		"Bodies are JSON in UTF-8, not compressed, at most %d levels deep and of at most %d values; request line and headers have at most %d KiB. White space around a text that is not a password is cut off; lengths are counted after that, in code points. " +
		"A member or query parameter that is not named here is refused with 400. What is read-only is ignored, so that what was read can be sent back.\n\n" +
		"An answer that is no success is an Error, or, with 400, the messages of every bad field. What the caller may not see is 404, as if it did not exist."
)

// Schema returns the OpenAPI document of all routes (OpenAPI Specification
// 3.1.1), in JSON. New passwords have at least passwordMinLength code points.
func Schema(passwordMinLength int) []byte {
	d := describer{passwordMinLength}
	paths, schemas := make(map[string]schema), d.schemas()
	var tags []schema
	for _, r := range routes {
		if paths[r.path] == nil {
			paths[r.path] = make(schema)
		}
		paths[r.path][strings.ToLower(r.method)] = d.describe(r)
		if !slices.ContainsFunc(tags, func(t schema) bool { return t["name"] == r.tag() }) {
			tags = append(tags, schema{"name": r.tag()})
		}
	}
	return encode(schema{
		"openapi": openAPI,
		"info":    schema{"title": "healthrecords", "version": "1", "description": fmt.Sprintf(introduction, maxDepth, maxValues, maxHeader>>10), "license": schema{"name": "MIT", "identifier": "MIT"}},
		"servers": []schema{{"url": "/"}},
		"tags":    tags,
		"paths":   paths,
		"components": schema{
			"schemas": schemas, "responses": failedAnswers(), "headers": headers,
			"securitySchemes": schema{"bearer": schema{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token that sign-in answers."}},
		},
	})
}

// tag is the group of a route: the collection that its path begins with.
func (r route) tag() string {
	if group, _, below := strings.Cut(strings.TrimPrefix(r.path, "/api/"), "/"); below && group != "" && group != "schema" {
		return group
	}
	return "service"
}

// fields are those that the body of a request has.
func (r route) fields() []field {
	switch {
	case r.limit == 0 || r.body != nil || r.answers == nil:
		return r.body
	case r.method == "POST":
		return r.answers.create
	}
	return r.answers.change
}

func (d describer) describe(r route) schema {
	o := schema{
		"operationId": r.id, "summary": r.summary, "description": "Who may: " + r.who, "tags": []string{r.tag()},
		"parameters": r.schemaParameters(), "responses": d.responses(r),
		"security": map[access][]schema{needsToken: {{"bearer": []string{}}}, tokenIfAny: {{}, {"bearer": []string{}}}, ignoreToken: {}}[r.access],
	}
	if r.limit > 0 {
		content := schema{"schema": d.body(r.fields(), r.method == "PATCH"), "example": r.sent()}
		o["requestBody"] = schema{
			"required": r.method != "PATCH", "description": fmt.Sprintf("At most %d KiB.", r.limit>>10),
			"content": schema{"application/json": content},
		}
	}
	return o
}

var placeholder = regexp.MustCompile(`{(\w+)}`)

// schemaParameters are those of path, query and headers.
func (r route) schemaParameters() []schema {
	list := []schema{}
	add := func(in string, p parameter) {
		list = append(list, schema{"name": p.name, "in": in, "required": in == "path", "description": p.about, "schema": p.holds})
	}
	for _, name := range placeholder.FindAllStringSubmatch(r.path, -1) {
		add("path", parameter{name[1], "An id, as an answer had it.", anyID})
	}
	for _, p := range r.parameters() {
		add("query", p)
	}
	switch {
	case !r.tagged():
	case r.method == "GET":
		add("header", parameter{"If-None-Match", "ETags: to one of them the answer is 304.", schema{"type": "string"}})
	case r.method != "POST":
		add("header", parameter{"If-Match", "ETags: what has none of them is left alone, with 412. Without, the last write wins.", schema{"type": "string"}})
	}
	return list
}

// tagged tells whether the route is about one object that has an ETag.
func (r route) tagged() bool { return r.answers != nil && r.answers.versioned && !r.list }

var headers = schema{
	"X-Request-Id":     header("The name of the request in the service's log."),
	"ETag":             header("The version of the object."),
	"Location":         header("The path of the new object."),
	"WWW-Authenticate": header("Bearer."),
	"Retry-After":      header("Seconds to wait before the next try."),
}

func header(words string) schema {
	return schema{"description": words, "schema": schema{"type": "string"}}
}

func headersOf(names ...string) schema {
	refs := make(schema)
	for _, name := range append(names, "X-Request-Id") {
		refs[name] = refTo("headers", name)
	}
	return refs
}

func refTo(kind, name string) schema { return schema{"$ref": "#/components/" + kind + "/" + name} }

// responses are all answers of a route by status.
func (d describer) responses(r route) schema {
	done := schema{"description": http.StatusText(r.status), "headers": headersOf()}
	switch {
	case r.status == http.StatusNoContent || r.answers == nil:
	case r.tagged() && r.status == http.StatusCreated:
		done["headers"] = headersOf("ETag", "Location")
	case r.status == http.StatusCreated && r.answers.create != nil:
		done["headers"] = headersOf("Location")
	case r.tagged():
		done["headers"] = headersOf("ETag")
	}
	if r.status != http.StatusNoContent && r.answers != nil {
		done["content"] = schema{"application/json": d.answer(r)}
	}
	all := schema{strconv.Itoa(r.status): done}
	for _, status := range r.failed() {
		all[strconv.Itoa(status)] = refTo("responses", responseName(status))
	}
	if r.tagged() && r.method == "GET" {
		all["304"] = schema{"description": http.StatusText(http.StatusNotModified), "headers": headersOf("ETag")}
	}
	if r.down != nil {
		all["503"] = schema{"description": http.StatusText(http.StatusServiceUnavailable), "headers": headersOf("Retry-After"),
			"content": schema{"application/json": schema{"schema": refTo("schemas", r.down.name)}}}
	}
	return all
}

// failed are the statuses of failures that the route may answer.
func (r route) failed() []int {
	list := append([]int{400, 431, 500, 503}, r.also...)
	if r.access != ignoreToken {
		list = append(list, 401)
	}
	if r.access == needsToken && !strings.HasPrefix(r.path, "/api/me/") {
		list = append(list, 403) // to who must have a second factor, if to nobody else
	}
	if placeholder.MatchString(r.path) {
		list = append(list, 404)
	}
	if r.limit > 0 {
		list = append(list, 413, 415)
	}
	if r.tagged() && r.method != "GET" && r.method != "POST" {
		list = append(list, 412)
	}
	return list
}

func responseName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// failedAnswers describes every status in the table of failures, with its
// bodies.
func failedAnswers() schema {
	examples := map[int]schema{
		400: {"fields": schema{"value": schema{"title": []string{notNull}, "user": schema{"username": []string{notString}}}}},
		500: {internalError.Code: schema{"value": internalError}},
	}
	for _, f := range failures {
		if examples[f.status] == nil {
			examples[f.status] = make(schema)
		}
		examples[f.status][f.body.Code+strings.Repeat("_of_access", len(f.body.Messages))] = schema{"value": f.body}
	}
	all := make(schema)
	for status, ex := range examples {
		body := schema{"schema": refTo("schemas", "Error"), "examples": ex}
		answer := schema{"description": http.StatusText(status), "headers": headersOf(), "content": schema{"application/json": body}}
		switch status {
		case 400:
			body["schema"] = schema{"oneOf": []schema{refTo("schemas", "Error"), refTo("schemas", "FieldErrors")}}
		case 401:
			answer["headers"] = headersOf("WWW-Authenticate")
		case 429, 503:
			answer["headers"] = headersOf("Retry-After")
		}
		all[responseName(status)] = answer
	}
	return all
}
