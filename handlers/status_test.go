package handlers_test

import (
	"path/filepath"
	"testing"
	"time"

	"healthrecords/handlers"
	"healthrecords/store"
	"healthrecords/store/storetest"
)

func TestStatusCountsAccountsAndMail(t *testing.T) {
	p := newPractice(t, nil)
	admin := p.staff("admin")
	p.do(admin, "GET", "/api/status/", "").want(t, "GET /api/status/", 200,
		`{"patients":0,"doctors":0,"doctors_unverified":0,"staff":1,"invitations":0,"mail":"sent","mail_waiting":0,"mail_oldest":null,"mail_failed":0,"last_backup":null}`)

	doc := p.doctor(admin, "doc")
	p.do(nobody, "POST", "/api/doctors/", registration("unverified")).want(t, "POST /api/doctors/", 201, "")
	queued := string(store.InstantOf(p.store.Now()))
	p.patient("pat", doc)
	gone := p.patient("gone")
	p.do(gone, "DELETE", "/api/patients/"+gone.id+"/", "").want(t, "DELETE a patient", 204, "")
	p.do(admin, "POST", "/api/invitations/", `{"role":"patient","email":"lou@example.org"}`).want(t, "POST /api/invitations/", 201, "")
	p.do(admin, "GET", "/api/status/", "").want(t, "GET /api/status/", 200,
		`{"patients":2,"doctors":2,"doctors_unverified":1,"staff":1,"invitations":1,"mail":"sent","mail_waiting":2,"mail_oldest":"`+queued+`","mail_failed":0,"last_backup":null}`)

	mails, err := p.store.ClaimMail(t.Context(), 10, time.Minute)
	if err != nil || len(mails) != 2 {
		t.Fatalf("ClaimMail = %d mails, %v, want 2", len(mails), err)
	}
	for _, m := range mails {
		if err := p.store.MailFailed(t.Context(), m.ID, "no such mailbox"); err != nil {
			t.Fatalf("MailFailed error = %v, want nil", err)
		}
	}
	last := "null"
	if !storetest.OnPostgres() { // whose backups are made by its own programs
		last = `"` + string(store.InstantOf(p.store.Now())) + `"`
		if _, err := p.store.Backup(t.Context(), store.Command("test"), filepath.Join(t.TempDir(), "backup")); err != nil {
			t.Fatalf("Backup error = %v, want nil", err)
		}
	}
	p.do(admin, "GET", "/api/status/", "").want(t, "GET /api/status/", 200,
		`{"patients":2,"doctors":2,"doctors_unverified":1,"staff":1,"invitations":1,"mail":"sent","mail_waiting":0,"mail_oldest":null,"mail_failed":2,"last_backup":`+last+`}`)
}

func TestStatusSaysWhetherMailIsSent(t *testing.T) {
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.NoMail = true })
	p.do(p.staff("admin"), "GET", "/api/status/", "").want(t, "GET /api/status/ without a mail server", 200,
		`{"patients":0,"doctors":0,"doctors_unverified":0,"staff":1,"invitations":0,"mail":"logged","mail_waiting":0,"mail_oldest":null,"mail_failed":0,"last_backup":null}`)
}
