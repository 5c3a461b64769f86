package handlers_test

import (
	"strings"
	"testing"
)

func staffPath(id string) string { return "/api/staff/" + id + "/" }

const lastStaff = `{"detail":"The last active staff account stays.","code":"conflict"}`

func TestStaffAccounts(t *testing.T) {
	c := newClinic(t)
	r := c.do(c.admin, "POST", "/api/staff/", `{"user":{"username":"sam","email":"sam@example.test","password":"`+otterPassword+`"}}`)
	id := r.text(t, "id")
	body := `{"id":"` + id + `","user":{"username":"sam","email":"sam@example.test","first_name":"","last_name":"","is_active":true}}`
	r.want(t, "POST staff", 201, body)
	if got := r.header.Get("Location"); got != staffPath(id) || r.header.Get("ETag") == "" {
		t.Errorf("POST staff: Location = %q, ETag = %q", got, r.header.Get("ETag"))
	}
	c.signIn("sam", otterPassword).want(t, "POST token", 200, "")
	tag := c.read(c.admin, staffPath(id)).want(t, "GET staff", 200, body).header.Get("ETag")
	if list := c.all(c.admin, "/api/staff/"); len(list) != 2 || list[0] != id {
		t.Errorf("GET staff = %v, want the newest of two first", list)
	}
	if list := c.all(c.admin, "/api/staff/?search=sa"); len(list) != 1 || list[0] != id {
		t.Errorf("GET staff?search=sa = %v, want sam alone", list)
	}
	changed := strings.Replace(body, `"first_name":""`, `"first_name":"Sam"`, 1)
	c.do(c.admin, "PUT", staffPath(id), changed, "If-Match: "+tag).want(t, "PUT staff", 200, changed)
	c.do(c.admin, "PATCH", staffPath(id), `{}`, "If-Match: "+tag).want(t, "PATCH of another version", 412, "")
	c.do(c.admin, "POST", "/api/staff/", `{"user":{"username":"SAM","password":"short words"}}`).
		want(t, "POST staff", 400, `{"user":{"username":["`+takenName+`"],"password":["`+tooShort+`"]}}`)
	c.do(c.admin, "DELETE", staffPath(id), "", "If-Match: "+tag).want(t, "DELETE of another version", 412, "")
	c.remove(c.admin, staffPath(id))
	c.do(c.admin, "GET", staffPath(id), "").want(t, "GET deleted staff", 404, notFoundBody)
	c.do(c.admin, "GET", staffPath(c.pat.id), "").want(t, "GET staff of a patient's id", 404, notFoundBody)
}

func TestOwnStaffEmailNeedsThePassword(t *testing.T) {
	c := newClinic(t)
	c.do(c.admin, "POST", "/api/staff/", `{"user":{"username":"sam","password":"`+otterPassword+`"}}`).want(t, "POST staff", 201, "")
	sam := c.signedIn("sam")
	c.do(sam, "PATCH", staffPath(sam.id), `{"user":{"email":"sam@example.test"}}`).want(t, "PATCH without the password", 400, inUser("current_password", fieldRequired))
	c.do(sam, "PATCH", staffPath(sam.id), `{"user":{"email":"sam@example.test","current_password":"wrong"}}`).want(t, "PATCH with a wrong password", 400, inUser("current_password", wrongOwn))
	c.do(sam, "PATCH", staffPath(sam.id), `{"user":{"email":"sam@example.test","current_password":"`+otterPassword+`"}}`).want(t, "PATCH", 200, "")
	c.do(c.admin, "PATCH", staffPath(sam.id), `{"user":{"email":"samuel@example.test"}}`).want(t, "PATCH by other staff", 200, "")
}

// Somebody has to run the practice.
func TestLastStaffStays(t *testing.T) {
	c := newClinic(t)
	inactive := `{"user":{"is_active":false}}`
	c.do(c.admin, "PATCH", staffPath(c.admin.id), inactive).want(t, "PATCH of the last staff account", 409, lastStaff)
	c.do(c.admin, "DELETE", staffPath(c.admin.id), "").want(t, "DELETE of the last staff account", 409, lastStaff)
	sam := c.staff("sam")
	c.do(sam, "PATCH", staffPath(c.admin.id), inactive).want(t, "PATCH of one of two", 200, "")
	c.do(c.admin, "GET", "/api/me/", "").want(t, "GET me by who was deactivated", 401, answerBadAccess)
	c.do(sam, "DELETE", staffPath(sam.id), "").want(t, "DELETE of the last at work", 409, lastStaff)
	c.do(sam, "PATCH", staffPath(c.admin.id), `{"user":{"is_active":true}}`).want(t, "PATCH back", 200, "")
	admin := c.signedIn("admin")
	answers := make([]response, 2)
	together(2, func(i int) {
		answers[i] = c.do([]person{admin, sam}[i], "PATCH", staffPath([]person{sam, admin}[i].id), inactive)
	})
	if got := statuses(answers); got[200] != 1 {
		t.Errorf("two who deactivate each other at once = %v, want one 200", got)
	}
}

// is_active is for staff to see and to write; for others it is read-only, and
// what staff sees can be sent back.
func TestIsActiveIsForStaff(t *testing.T) {
	c := newClinic(t)
	for _, test := range []struct {
		who  person
		path string
	}{{c.pat, patientPath(c.pat.id)}, {c.doc, doctorPath(c.doc.id)}} {
		shown := c.read(test.who, test.path)
		if strings.Contains(shown.body, "is_active") {
			t.Errorf("GET %s as itself = %s, want no is_active", test.path, shown.body)
		}
		c.do(test.who, "PATCH", test.path, `{"user":{"is_active":false}}`).want(t, "PATCH is_active by the owner", 200, shown.body)
		c.do(test.who, "GET", "/api/me/", "").want(t, "GET me", 200, "")
		whole := c.read(c.admin, test.path).body
		c.change(c.admin, "PUT", test.path, whole)
		c.do(c.admin, "PATCH", test.path, `{"user":{"is_active":"no"}}`).want(t, "PATCH is_active by staff", 400, inUser("is_active", "Must be a valid boolean."))
		c.do(c.admin, "PATCH", test.path, `{"user":{"is_active":false}}`).want(t, "PATCH is_active by staff", 200, strings.Replace(whole, "true}", "false}", 1))
		c.do(test.who, "GET", "/api/me/", "").want(t, "GET me by who was deactivated", 401, answerBadAccess)
		c.tokenRoute("refresh", c.refresh(test.who.grant)).want(t, "refresh by who was deactivated", 401, answerBadToken)
		c.change(c.admin, "PATCH", test.path, `{"user":{"is_active":true}}`)
		c.do(test.who, "GET", "/api/me/", "").want(t, "GET me in the session of before", 401, answerBadAccess)
	}
	if list := c.read(c.admin, "/api/patients/").body; !strings.Contains(list, `"is_active":true`) {
		t.Errorf("GET patients by staff = %s, want is_active", list)
	}
	if me := c.read(c.admin, "/api/me/").body; strings.Contains(me, "is_active") {
		t.Errorf("GET me by staff = %s, want no is_active", me)
	}
}
