package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// target is one of the two programs, running.
type target struct {
	name    string // "service" or "yardstick"
	address string
	command *exec.Cmd
	users   []*user // those that requests are made as
	doctor  *user
}

// user is who requests are made as.
type user struct {
	name, id string
	access   string
	renewed  time.Time
	records  []string // ids
}

// start builds both programs, makes their data where it is not there, and
// starts them.
func start(ctx context.Context, o *options) (service, yardstick *target, err error) {
	if err := errors.Join(build(ctx, o, "healthrecords", ""), build(ctx, o, "bare", "/bench/bare")); err != nil {
		return nil, nil, err
	}
	if err := fill(ctx, o); err != nil {
		return nil, nil, fmt.Errorf("the service's data: %w", err)
	}
	service, err = launchService(o)
	if err == nil {
		yardstick, err = launchYardstick(o)
	}
	if err == nil {
		err = errors.Join(service.meet(ctx, o), yardstick.meet(ctx, o))
	}
	return service, yardstick, err
}

func build(ctx context.Context, o *options, name, source string) error {
	c := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(o.dir, name), "healthrecords"+source)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", name, err, text)
	}
	return nil
}

// launchService starts the service and returns when it is ready.
func launchService(o *options) (*target, error) {
	t, err := execService(o)
	if err == nil {
		err = t.await("/readyz")
	}
	return t, err
}

// execService starts the service's program at an address where nobody listens.
func execService(o *options) (*target, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.Close()
	t := &target{name: "service", address: l.Addr().String(), command: exec.Command(filepath.Join(o.dir, "healthrecords"))}
	t.command.Env = append(o.environ(), "LISTEN="+t.address)
	return t, t.command.Start() // its log goes to /dev/null
}

// await asks until the answer is 200, and ends the program when it never is. A large
// practice may have to be brought up to date first.
func (t *target) await(path string) error {
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
		answer, err := http.Get("http://" + t.address + path)
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	t.stop()
	return errors.New("the service is not ready after a minute")
}

func launchYardstick(o *options) (*target, error) {
	c := exec.Command(filepath.Join(o.dir, "bare"), "-db", filepath.Join(o.dir, "bare.db"), "-records", fmt.Sprint(o.records))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return &target{name: "yardstick", command: c, address: strings.TrimSpace(line)}, err
}

func (t *target) stop() {
	_ = t.command.Process.Signal(syscall.SIGTERM) // it may have ended
	done := time.AfterFunc(5*time.Second, func() { _ = t.command.Process.Kill() })
	_ = t.command.Wait()
	done.Stop()
}

// meet finds the users that requests are made as, patients spread over all of
// them, and one doctor.
func (t *target) meet(ctx context.Context, o *options) error {
	patients := max(o.records/perPatient, 1)
	for i := range min(users, patients) {
		n := i * patients / min(users, patients)
		u := &user{name: patientName(n)}
		if t.name == "yardstick" {
			u.name = fmt.Sprintf("00000000-0000-7000-8000-%012x", n)
		}
		t.users = append(t.users, u)
	}
	t.doctor = &user{name: doctorName(0)}
	if t.name == "yardstick" {
		t.doctor.name = fmt.Sprintf("00000000-0000-7000-9000-%012x", 0)
	}
	for i, u := range append([]*user{t.doctor}, t.users...) {
		if err := t.signIn(ctx, u); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		if err := t.findRecords(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// users is how many patients the requests are spread over.
const users = 16

// signIn gives a user a fresh access token, unless the last will do.
func (t *target) signIn(ctx context.Context, u *user) error {
	if time.Since(u.renewed) < 3*time.Minute {
		return nil
	}
	var tokens struct{ Access string }
	if err := t.call(ctx, "POST", t.path("/api/token/", "/token"), "", credentials(u), &tokens); err != nil {
		return err
	}
	u.access, u.renewed = tokens.Access, time.Now()
	return nil
}

func credentials(u *user) string {
	return fmt.Sprintf(`{"username":"%s","password":"%s"}`, u.name, password)
}

// path is the service's path or the yardstick's.
func (t *target) path(service, yardstick string) string {
	if t.name == "service" {
		return service
	}
	return yardstick
}

func (t *target) findRecords(ctx context.Context, u *user) error {
	var list struct {
		Results []struct{ ID, Patient string }
	}
	if err := t.call(ctx, "GET", t.path("/api/health-records/?page_size=100", "/records?patient="+u.name), u.access, "", &list); err != nil {
		return err
	}
	if len(list.Results) == 0 {
		return errors.New("a patient has no records")
	}
	u.id = list.Results[0].Patient
	for _, r := range list.Results {
		u.records = append(u.records, r.ID)
	}
	return nil
}

// call sends one request, outside all measurements.
func (t *target) call(ctx context.Context, method, path, access, body string, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+t.address+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if access != "" {
		r.Header.Set("Authorization", "Bearer "+access)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: status %d", method, r.URL.Path, answer.StatusCode)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(text)).Decode(out)
}
