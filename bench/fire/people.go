package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"healthrecords/bench/drive"
)

// practice is who uses the service, and the mail server that it hands mail to.
type practice struct {
	*service
	mail    *mailbox
	client  *http.Client
	staff   *user
	doctors []*user
	stamp   atomic.Int64 // of what is written, each once
}

// user is somebody who is signed in.
type user struct {
	p               *practice
	name, id, from  string // from is the address that its requests come from
	access, refresh string
	renewed         time.Time
}

const password = "a password of some length"

// openPractice starts the service for the first time, with staff and doctors and
// a mail server of the trial's own. It removes the service when it fails.
func openPractice(ctx context.Context, s *service) (*practice, error) {
	p := &practice{service: s, client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}}
	err := p.open(ctx)
	if err != nil {
		p.close()
	}
	return p, err
}

func (p *practice) open(ctx context.Context) (err error) {
	if p.mail, err = openMailbox(); err != nil {
		return err
	}
	p.environ = append(p.environ, p.mail.settings()...)
	if _, err := p.run(ctx, password, "createsuperuser", "--username", "admin", "--email", "admin@example.org", "--password-stdin"); err != nil {
		return err
	}
	if _, err := p.start(); err != nil {
		return err
	}
	if p.staff, err = p.signIn(ctx, "admin"); err != nil {
		return err
	}
	for range 2 {
		d, err := p.enrol(ctx, "doctor", `"specialization":"General"`)
		if err != nil {
			return err
		}
		p.doctors = append(p.doctors, d)
	}
	return nil
}

func (p *practice) close() {
	p.remove()
	if p.mail != nil {
		p.mail.listener.Close()
	}
}

// nextAddress is another address each time.
func (p *practice) nextAddress() string {
	n := p.stamp.Add(1)
	return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}

// enrol has staff make a patient or doctor with these members, and signs it in.
func (p *practice) enrol(ctx context.Context, role, members string) (*user, error) {
	name := fmt.Sprintf("%s%d", role, p.stamp.Add(1))
	body := fmt.Sprintf(`{"user":{"username":%q,"password":%q,"email":"%s@example.org"},%s}`, name, password, name, members)
	var made struct{ ID string }
	if err := p.staff.want(ctx, "POST", "/api/"+role+"s/", body, &made); err != nil {
		return nil, err
	}
	u, err := p.signIn(ctx, name)
	if err == nil {
		u.id = made.ID
	}
	return u, err
}

// enrolPatients makes patients of the doctors in turn.
func (p *practice) enrolPatients(ctx context.Context, n int) ([]*user, error) {
	list := make([]*user, n)
	return list, drive.Together(4, n, func(i int) (err error) {
		list[i], err = p.enrol(ctx, "patient", fmt.Sprintf(`"doctors":[%q]`, p.doctors[i%len(p.doctors)].id))
		return err
	})
}

func (p *practice) signIn(ctx context.Context, name string) (*user, error) {
	u := &user{p: p, name: name, from: p.nextAddress()}
	_, err := u.open(ctx, "/api/token/", credentials(name, password))
	return u, err
}

func credentials(name, password string) string {
	return fmt.Sprintf(`{"username":%q,"password":%q}`, name, password)
}

// open takes the tokens of a sign-in or a refresh, and returns the status.
func (u *user) open(ctx context.Context, path, body string) (int, error) {
	var tokens struct{ Access, Refresh string }
	status, text, err := u.call(ctx, "POST", path, body)
	if err == nil && !acknowledged(status) {
		err = fmt.Errorf("POST %s: answered %d", path, status)
	}
	if err == nil {
		err = json.Unmarshal(text, &tokens)
	}
	if err == nil {
		u.access, u.refresh, u.renewed = tokens.Access, tokens.Refresh, time.Now()
	}
	return status, err
}

// renew refreshes the tokens when they are no more young.
func (u *user) renew(ctx context.Context) error {
	if time.Since(u.renewed) < 2*time.Minute {
		return nil
	}
	_, err := u.open(ctx, "/api/token/refresh/", u.refreshBody())
	return err
}

func (u *user) refreshBody() string { return fmt.Sprintf(`{"refresh":%q}`, u.refresh) }

// want is call for a request that must be answered 2xx; it decodes the answer
// into out, unless that is nil.
func (u *user) want(ctx context.Context, method, path, body string, out any) error {
	status, text, err := u.call(ctx, method, path, body)
	if err == nil && !acknowledged(status) {
		err = fmt.Errorf("%s %s: answered %d", method, path, status)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	return err
}

func acknowledged(status int) bool { return status/100 == 2 }

// call sends a request and returns the whole answer. An error means that there
// was none, or not all of it.
func (u *user) call(ctx context.Context, method, path, body string) (status int, text []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+u.p.address+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Forwarded-For", u.from)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if u.access != "" && !strings.HasPrefix(path, "/api/token/") {
		r.Header.Set("Authorization", "Bearer "+u.access)
	}
	answer, err := u.p.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	if text, err = io.ReadAll(answer.Body); err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, text, nil
}
