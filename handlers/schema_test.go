package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"healthrecords/handlers"
	"healthrecords/store"
)

// passwordMinLength is that of a practice without other settings.
const passwordMinLength = 15

func TestSchemaIsServedToAll(t *testing.T) {
	p := newPractice(t, nil)
	got := p.do(nobody, "GET", "/api/schema/", "").want(t, "GET schema", http.StatusOK, string(handlers.Schema(passwordMinLength)))
	tag := got.header.Get("ETag")
	if len(tag) < 10 || strings.HasPrefix(tag, "W/") {
		t.Errorf("GET schema: ETag = %q, want a strong one", tag)
	}
	p.do(p.staff("stella"), "GET", "/api/schema/", "").want(t, "GET schema by staff", http.StatusOK, got.body)
	p.do(nobody, "GET", "/api/schema/", "", "If-None-Match: "+tag).want(t, "GET schema again", http.StatusNotModified, "")
	p.do(nobody, "GET", "/api/schema/", "", `If-None-Match: "other"`).want(t, "GET schema of another version", http.StatusOK, got.body)
	p.do(person{token: "bad"}, "GET", "/api/schema/", "").want(t, "GET schema with a bad token", http.StatusUnauthorized, "")

	longer := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.PasswordMinLength = 20 })
	other := longer.do(nobody, "GET", "/api/schema/", "").want(t, "GET schema, longer passwords", http.StatusOK, "")
	if other.header.Get("ETag") == tag || !strings.Contains(other.body, `"minLength":20`) {
		t.Error("GET schema does not say how long passwords have to be")
	}
}

func TestSchemaNamesEveryRouteAndNoOther(t *testing.T) {
	d := readDocument(t, passwordMinLength)
	operations := d.operations()
	ids := make(map[any]string)
	for _, route := range handlers.Routes() {
		o := operations[route]
		id, summary := o["operationId"], o["summary"]
		if id == "" || summary == "" || o["description"] == "Who may: " || d.in(o, "responses", "0") != nil {
			t.Errorf("the schema knows too little of %s: its line in the table needs operation{id, summary, who, status}", route)
		}
		if ids[id] != "" {
			t.Errorf("%s and %s have the same id %v in the schema", route, ids[id], id)
		}
		ids[id] = route
	}
	for route := range operations {
		if !slices.Contains(handlers.Routes(), route) {
			t.Errorf("the schema names %s, which is no route", route)
		}
	}
}

// TestSchemaStatusesAreThoseOfTheAccessTable: what somebody may be answered
// must be described, and who is never refused must not be told to expect it.
func TestSchemaStatusesAreThoseOfTheAccessTable(t *testing.T) {
	_, lines := readAccessTable(t)
	seen := make(map[string]map[int]bool)
	for _, line := range lines {
		if seen[line.route] == nil {
			seen[line.route] = make(map[int]bool)
		}
		for _, status := range line.status {
			seen[line.route][status] = true
		}
	}
	d := readDocument(t, passwordMinLength)
	for route, o := range d.operations() {
		described := d.in(o["responses"])
		for status := range seen[route] {
			if described[strconv.Itoa(status)] == nil {
				t.Errorf("%s may answer %d, which the schema does not say", route, status)
			}
		}
		for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
			if status == http.StatusForbidden && seen[route][http.StatusUnauthorized] && !strings.Contains(route, "/api/me/") {
				continue // who must have a second factor may be refused
			}
			if described[strconv.Itoa(status)] != nil && !seen[route][status] {
				t.Errorf("%s never answers %d to anybody, but the schema says so", route, status)
			}
		}
	}
}

// TestSchemaRefersToWhatItHas looks at every object of the document: what it
// refers to is there, and each example is as the schema beside it says.
func TestSchemaRefersToWhatItHas(t *testing.T) {
	d := readDocument(t, passwordMinLength)
	examples := 0
	check := func(s, example any, sent bool, at string) {
		examples++
		for _, wrong := range (checker{d, sent}).check(d.in(s), example, "the example") {
			t.Errorf("%s: %s", at, wrong)
		}
	}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		for i, item := range list(v) {
			walk(item, fmt.Sprintf("%s.%d", at, i))
		}
		object, _ := v.(map[string]any)
		if object["$ref"] != nil && d.in(object) == nil {
			t.Errorf("%s refers to %v, which is not there", at, object["$ref"])
		}
		if s, isMedia := object["schema"]; isMedia && object["example"] != nil {
			check(s, object["example"], strings.Contains(at, ".requestBody."), at)
		}
		for _, example := range d.in(object["examples"]) {
			check(object["schema"], d.in(example)["value"], false, at)
		}
		for name, member := range object {
			if name != "example" && name != "examples" {
				walk(member, at+"."+name)
			}
		}
	}
	walk(map[string]any(d), "schema")
	if routes := len(handlers.Routes()); examples < routes {
		t.Errorf("the schema has %d examples for %d routes", examples, routes)
	}
}

// TestSchemaTakesBackWhatItAnswers: but for what is only written, a change
// takes the members of its answer, of the same types, in every nested object.
func TestSchemaTakesBackWhatItAnswers(t *testing.T) {
	d := readDocument(t, passwordMinLength)
	for route, o := range d.operations() {
		taken := d.in(o, "requestBody", "content", "application/json", "schema")
		given := d.in(o, "responses", "200", "content", "application/json", "schema")
		if method, _, _ := strings.Cut(route, " "); (method == "PUT" || method == "PATCH") && given != nil {
			d.sameMembers(t, route, taken, given)
		}
	}
}

func (d document) sameMembers(t *testing.T, at string, taken, given map[string]any) {
	t.Helper()
	takes, gives := d.in(taken["properties"]), d.in(given["properties"])
	for name := range gives {
		if takes[name] == nil {
			t.Errorf("%s answers %s, which is no field of the body", at, name)
		}
	}
	for name, field := range takes {
		field, answered := d.in(field), d.in(gives[name])
		switch {
		case field["writeOnly"] == true && answered == nil:
		case answered == nil:
			t.Errorf("%s has the field %s, which is not answered", at, name)
		case field["properties"] != nil:
			d.sameMembers(t, at+" "+name, field, answered)
		case field["readOnly"] != true && fmt.Sprint(field["type"]) != fmt.Sprint(answered["type"]):
			t.Errorf("%s takes %s of type %v and answers %v", at, name, field["type"], answered["type"])
		}
	}
}

// TestSchemaSays holds parts of the document against what they were on the day
// when a validator of its own accepted it.
func TestSchemaSays(t *testing.T) {
	d := readDocument(t, passwordMinLength)
	for route, want := range map[string]map[string]string{
		"POST /api/token/": {
			"security": `[]`,
			"requestBody": `{"content":{"application/json":{"example":{"password":"nine lazy rivers of tin","username":"ann"},"schema":{"additionalProperties":false,"properties":{
				"device":{"description":"The proof of this device from a sign-in before, or \"\". The answer has a new one then.","type":"string"},
				"otp":{"description":"A one-time code, for an account with a second factor.","type":"string"},
				"password":{"format":"password","maxLength":1024,"minLength":1,"type":"string","writeOnly":true},
				"recovery_code":{"description":"In place of otp. Each works once.","type":"string"},"username":{"minLength":1,"type":"string"}},
				"required":["username","password"],"type":"object"}}},"description":"At most 64 KiB.","required":true}`,
		},
		"PATCH /api/doctor-notes/{id}/": {
			"operationId": `"changeNote"`, "security": `[{"bearer":[]}]`, "tags": `["doctor-notes"]`, "description": `"Who may: The doctor who wrote it, while it treats the patient."`,
			"parameters": `[{"description":"An id, as an answer had it.","in":"path","name":"id","required":true,"schema":{"example":"019cb3d2-6f3b-7c41-9a53-2f8e1d0c4b7a","type":"string"}},
				{"description":"ETags: what has none of them is left alone, with 412. Without, the last write wins.","in":"header","name":"If-Match","required":false,"schema":{"type":"string"}}]`,
			"requestBody": `{"content":{"application/json":{"example":{"note":"Drink a glass of water before getting up."},"schema":{"additionalProperties":false,"properties":{
				"date":{"readOnly":true},"doctor":{"readOnly":true},"doctor_name":{"readOnly":true},"health_record":{"readOnly":true},"id":{"readOnly":true},
				"note":{"maxLength":20000,"minLength":1,"type":"string"},"updated_at":{"readOnly":true}},"required":[],"type":"object"}}},"description":"At most 1024 KiB.","required":false}`,
		},
		"DELETE /api/patients/{id}/": {
			"responses": `{"204":{"description":"No Content","headers":{"X-Request-Id":{"$ref":"#/components/headers/X-Request-Id"}}},
				"400":{"$ref":"#/components/responses/BadRequest"},"401":{"$ref":"#/components/responses/Unauthorized"},"403":{"$ref":"#/components/responses/Forbidden"},
				"404":{"$ref":"#/components/responses/NotFound"},"412":{"$ref":"#/components/responses/PreconditionFailed"},"431":{"$ref":"#/components/responses/RequestHeaderFieldsTooLarge"},
				"500":{"$ref":"#/components/responses/InternalServerError"},"503":{"$ref":"#/components/responses/ServiceUnavailable"}}`,
		},
	} {
		for member, want := range want {
			var compact bytes.Buffer
			if err := json.Compact(&compact, []byte(want)); err != nil {
				t.Fatalf("%s of %s: %v", member, route, err)
			}
			if got, _ := json.Marshal(d.operations()[route][member]); string(got) != compact.String() {
				t.Errorf("%s of %s = %s\nwant %s", member, route, got, &compact)
			}
		}
	}
}

// TestSchemaChecker shows the checker what it must find wrong, so that its
// silence elsewhere says something.
func TestSchemaChecker(t *testing.T) {
	person := `{"type":"object","properties":{"name":{"type":"string","minLength":2,"maxLength":3,"pattern":"^[a-z ]+$"},"born":{"type":["string","null"],"format":"date"},
		"age":{"type":"integer","minimum":1,"maximum":100},"role":{"enum":["patient","doctor"]},"tags":{"type":"array","items":{"type":"string"}},
		"secret":{"type":"string","format":"password","maxLength":3},"either":{"oneOf":[{"type":"string"},{"type":"boolean"}]}},"required":["name"],"additionalProperties":false}`
	var s map[string]any
	if err := json.Unmarshal([]byte(person), &s); err != nil {
		t.Fatal(err)
	}
	for value, good := range map[string]bool{
		`{"name":"ann"}`: true, `{"name":" ann "}`: true, `{"name":"ann","born":null,"age":100,"role":"doctor","tags":["a"],"secret":"abc","either":true}`: true, `{"name":"ann","born":"1990-02-03"}`: true,
		`{}`: false, `[]`: false, `{"name":7}`: false, `{"name":null}`: false, `{"name":"a"}`: false, `{"name":"anna"}`: false, `{"name":"ANN"}`: false, `{"name":"ann","more":1}`: false,
		`{"name":"ann","born":"1990-2-3"}`: false, `{"name":"ann","born":7}`: false, `{"name":"ann","age":0}`: false, `{"name":"ann","age":101}`: false, `{"name":"ann","age":1.5}`: false,
		`{"name":"ann","role":"staff"}`: false, `{"name":"ann","tags":["a",1]}`: false, `{"name":"ann","tags":"a"}`: false, `{"name":"ann","secret":"abc "}`: false, `{"name":"ann","either":1}`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			t.Fatal(err)
		}
		if wrong := (checker{document{}, true}).check(s, v, "it"); (len(wrong) == 0) != good {
			t.Errorf("check(%s) = %q, want good: %t", value, wrong, good)
		}
	}
	if wrong := (checker{document{}, false}).check(map[string]any{"const": 1}, 2, "it"); wrong == nil {
		t.Error("check with a keyword that it does not know = nothing wrong")
	}
}

// TestSchemaCheckerSeesEveryPart shows it answers and requests that the schema
// does not describe.
func TestSchemaCheckerSeesEveryPart(t *testing.T) {
	d := readDocument(t, passwordMinLength)
	good := response{http.StatusOK, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"1"}}, `{"next":null,"previous":null,"results":[]}`}
	operation := d.operations()["GET /api/patients/"]
	if wrong := d.answerWrong(operation, "GET", good); wrong != nil {
		t.Fatalf("answerWrong of a good answer = %q", wrong)
	}
	for name, change := range map[string]func(r *response, h http.Header){
		"status":        func(r *response, _ http.Header) { r.status = http.StatusTeapot },
		"header":        func(_ *response, h http.Header) { h.Set("ETag", `"1"`) },
		"no header":     func(_ *response, h http.Header) { h.Del("X-Request-Id") },
		"media type":    func(_ *response, h http.Header) { h.Set("Content-Type", "text/plain") },
		"no JSON":       func(r *response, _ http.Header) { r.body = "{" },
		"member":        func(r *response, _ http.Header) { r.body = `{"next":null,"previous":null,"results":[],"count":0}` },
		"no member":     func(r *response, _ http.Header) { r.body = `{"next":null,"results":[]}` },
		"member's type": func(r *response, _ http.Header) { r.body = `{"next":null,"previous":null,"results":[7]}` },
	} {
		bad := response{good.status, maps.Clone(good.header), good.body}
		change(&bad, bad.header)
		if d.answerWrong(operation, "GET", bad) == nil {
			t.Errorf("answerWrong of an answer with another %s = nothing", name)
		}
	}
	for _, request := range []struct{ route, url, body string }{
		{"GET /api/patients/", "/api/patients/?page_size=0", ""},
		{"GET /api/patients/", "/api/patients/?page_size=x", ""},
		{"GET /api/patients/", "/api/patients/?surprise=1", ""},
		{"POST /api/doctor-notes/", "/api/doctor-notes/", ""},
		{"POST /api/doctor-notes/", "/api/doctor-notes/", `{"note":"n","health_record":"r","more":1}`},
	} {
		r, err := http.NewRequest("GET", request.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.requestWrong(d.operations()[request.route], r.URL, []byte(request.body)) == nil {
			t.Errorf("requestWrong of %s with %s = nothing", request.url, request.body)
		}
	}
}
