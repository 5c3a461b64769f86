package handlers_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"healthrecords/store"
)

// mailed returns the mails that were queued since it last did.
func (p *practice) mailed() []store.Mail {
	p.t.Helper()
	mails, err := p.store.ClaimMail(p.t.Context(), 100, time.Hour)
	if err != nil {
		p.t.Fatalf("ClaimMail error = %v, want nil", err)
	}
	for _, m := range mails {
		if err := p.store.MailSent(p.t.Context(), m.ID); err != nil {
			p.t.Fatalf("MailSent error = %v, want nil", err)
		}
	}
	return mails
}

// wantMails checks the mails since the last look, as "kind to name".
func (p *practice) wantMails(after string, want ...string) []store.Mail {
	p.t.Helper()
	mails, got := p.mailed(), []string{}
	for _, m := range mails {
		got = append(got, string(m.Kind)+" to "+strings.TrimSuffix(m.To, "@example.test"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("after %s mails are %q, want %q", after, got, want)
	}
	return mails
}

// trailed returns what the trail says of an action, "outcome: fields" each.
func (p *practice) trailed(action store.Action) []string {
	p.t.Helper()
	admin := p.signedIn("admin")
	r := p.do(admin, "GET", "/api/audit-events/?ordering=at&page_size=100&action="+string(action), "").want(p.t, "GET audit-events", 200, "")
	var list []string
	for _, e := range r.field(p.t, "results").([]any) {
		entry := e.(map[string]any)
		list = append(list, fmt.Sprintf("%s: %v", entry["outcome"], entry["fields"]))
	}
	return list
}
