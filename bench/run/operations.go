package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"healthrecords/bench/drive"
)

// operation is what is measured, and the status it is answered with.
type operation struct {
	status int
	make   func(ctx context.Context, t *target, u *user) (drive.Script, error)
}

// operations are what people do all day. In mixed nine of ten requests read
// and one writes, which is answered 201 like all others: the script tells.
var operations = map[string]operation{
	"sign-in": {200, func(_ context.Context, t *target, u *user) (drive.Script, error) {
		request := t.request("POST", t.path("/api/token/", "/token"), "", credentials(u))
		return func([]byte) []byte { return request }, nil
	}},
	"refresh": {200, refresh},
	"get":     {200, get},
	"list":    {200, list("/api/patients/%s/health-records/", "/records?patient=%s")},
	"doctor":  {200, listOfDoctor},
	"create":  {201, create},
	"mixed":   {0, mixed},
}

// operationNames returns the names in the order of the table.
func operationNames() []string {
	return []string{"get", "list", "doctor", "create", "mixed", "refresh", "sign-in"}
}

// script makes the script of one connection.
func (t *target) script(ctx context.Context, name string, connection int) (drive.Script, error) {
	u := t.users[connection%len(t.users)]
	if err := errors.Join(t.signIn(ctx, u), t.signIn(ctx, t.doctor)); err != nil {
		return nil, err
	}
	return operations[name].make(ctx, t, u)
}

// request returns the bytes of a request.
func (t *target) request(method, path, access, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, t.address)
	if access != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", access)
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

func get(_ context.Context, t *target, u *user) (drive.Script, error) {
	var requests [][]byte
	for _, id := range u.records {
		requests = append(requests, t.request("GET", t.path("/api/health-records/"+id+"/", "/records/"+id), u.access, ""))
	}
	return func([]byte) []byte { return requests[rand.IntN(len(requests))] }, nil
}

func list(service, yardstick string) func(context.Context, *target, *user) (drive.Script, error) {
	return func(_ context.Context, t *target, u *user) (drive.Script, error) {
		request := t.request("GET", t.path(fmt.Sprintf(service, u.id), fmt.Sprintf(yardstick, u.id)), u.access, "")
		return func([]byte) []byte { return request }, nil
	}
}

func listOfDoctor(_ context.Context, t *target, _ *user) (drive.Script, error) {
	request := t.request("GET", t.path("/api/health-records/", "/records?doctor="+t.doctor.name), t.doctor.access, "")
	return func([]byte) []byte { return request }, nil
}

func create(_ context.Context, t *target, u *user) (drive.Script, error) {
	body := `{"title":"` + recordTitle(0) + `","description":"` + recordText + `"}`
	request := t.request("POST", t.path("/api/health-records/", "/records"), u.access, body)
	return func([]byte) []byte { return request }, nil
}

func mixed(ctx context.Context, t *target, u *user) (drive.Script, error) {
	read, _ := get(ctx, t, u)
	write, _ := create(ctx, t, u) // neither ever fails
	return func(answer []byte) []byte {
		if rand.IntN(10) == 0 {
			return write(answer)
		}
		return read(answer)
	}, nil
}

// refresh renews the tokens of a session of its own, each time with the token
// of the answer before.
func refresh(ctx context.Context, t *target, u *user) (drive.Script, error) {
	path := t.path("/api/token/refresh/", "/token")
	var first struct{ Refresh string }
	if err := t.call(ctx, "POST", t.path("/api/token/", "/token"), "", credentials(u), &first); err != nil {
		return nil, err
	}
	return func(answer []byte) []byte {
		token := first.Refresh
		if answer != nil {
			_, rest, _ := strings.Cut(string(answer), `"refresh":"`)
			token, _, _ = strings.Cut(rest, `"`)
		}
		return t.request("POST", path, "", `{"refresh":"`+token+`"}`)
	}, nil
}

// answered tells whether a status is the operation's.
func (o operation) answered(status string) bool {
	return slices.Contains(map[int][]string{0: {"200", "201"}, 200: {"200"}, 201: {"201"}}[o.status], status)
}
