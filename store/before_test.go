package store_test

import (
	"slices"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// toStepOne makes the database one of the first release.
func (p *practice) toStepOne() {
	p.t.Helper()
	for _, statement := range []string{
		`DROP TABLE recovery_codes`, `DROP TABLE limits`, `DROP TABLE one_use`, `DROP TABLE invitations`,
		`DROP INDEX accounts_by_email`, `DROP INDEX sessions_live`, `DROP INDEX sessions_over`, `DROP INDEX outbox_done`,
		`ALTER TABLE accounts DROP COLUMN otp_on`, `ALTER TABLE accounts DROP COLUMN otp`, `ALTER TABLE accounts DROP COLUMN otp_step`,
		`ALTER TABLE accounts DROP COLUMN email_hash`, `ALTER TABLE accounts DROP COLUMN devices_since`,
		`ALTER TABLE sessions DROP COLUMN address`, `ALTER TABLE sessions DROP COLUMN agent`, `ALTER TABLE outbox DROP COLUMN recipient`,
		`DROP INDEX audit_by_outcome`, `DROP INDEX audit_by_action`, `DROP INDEX accounts_living`, `DROP INDEX outbox_unsent`,
		`CREATE INDEX audit_by_patient ON audit (patient, at, lane, seq) WHERE patient <> ''`, `DROP TABLE audit_indexed`, `DROP TABLE audit_actors`,
		`DELETE FROM audit_patients WHERE EXISTS (SELECT 1 FROM audit a WHERE a.lane = audit_patients.lane AND a.seq = audit_patients.seq AND a.patients = '')`,
		`DELETE FROM schema_steps WHERE step > 1`,
	} {
		p.exec(statement)
	}
	if !storetest.OnPostgres() {
		p.exec(`CREATE TRIGGER audit_insert BEFORE INSERT ON audit BEGIN SELECT 1; END`)
	}
}

// A database from before there were second factors, limits and resets is
// brought up to date with all that is in it.
func TestDatabaseOfTheFirstRelease(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin, doc := p.staff("admin"), p.doctor(p.staff("admin2"), "doc")
	pat := p.patient("pat", doc.Account)
	if _, err := p.Patients(ctx, admin, wholePage); err != nil {
		t.Fatal(err)
	}
	accesses := p.accesses(pat, pat.Account)
	p.Close()
	p.toStepOne()
	p.open()
	want := append([]string{"patient.access-log by patient: done"}, accesses...)
	if got := p.accesses(pat, pat.Account); !slices.Equal(got, want) {
		t.Errorf("AccessLog = %q, want %q", got, want)
	}
	if _, err := p.Patient(ctx, pat, pat.Account); err != nil {
		t.Errorf("Patient in a session from before: error = %v, want nil", err)
	}
	wantErr(t, "RequestReset", p.RequestReset(ctx, store.Actor{}, "", "PAT@example.test"), nil)
	if mails := p.mails()[store.MailReset]; len(mails) != 1 {
		t.Errorf("%d mails with a token for an address from before, want 1", len(mails))
	}
	p.secured(pat)
	wantErr(t, "sign-in without a code", p.signInWith("pat", nil, nil), store.ErrOTPRequired)
	p.wantTrail()
}

// A program from before step 4 that goes on for a while indexes some entries by
// itself, and may begin lanes of the trail.
func TestIndexGoesOnAfterAProgramFromBefore(t *testing.T) {
	p := newPractice(t)
	p.IndexEvery(1000)
	ctx := t.Context()
	admin := p.staff("admin")
	pat := p.patient("pat", p.doctor(admin, "doc").Account)
	p.patient("pat2")
	if _, err := p.Patients(ctx, admin, wholePage); err != nil {
		t.Fatal(err)
	}
	want := append([]string{"patient.access-log by patient: done"}, p.accesses(pat, pat.Account)...)
	p.exec(`INSERT INTO audit_patients SELECT p.id, a.at, a.lane, a.seq FROM audit a, accounts p WHERE a.patients LIKE '%' || p.id || '%'`)
	p.exec(`DELETE FROM audit_indexed`)
	p.IndexEvery(1)
	if _, err := p.Me(ctx, admin); err != nil {
		t.Fatalf("Me error = %v, want nil", err)
	}
	if got := p.accesses(pat, pat.Account); !slices.Equal(got, want) {
		t.Errorf("AccessLog = %q, want %q", got, want)
	}
	p.wantTrail()
}

// So is a backup of one.
func TestBackupOfTheFirstRelease(t *testing.T) {
	storetest.NeedsSQLite(t)
	p := newPractice(t)
	pat := p.patient("pat", p.doctor(p.staff("admin"), "doc").Account)
	p.record(pat, "before")
	p.IndexEvery(1000) // as there is nothing of step 4
	p.toStepOne()
	file, _ := p.backup()
	p.restore(file)
	if n := p.count(`SELECT COUNT(*) FROM records`); n != 1 {
		t.Errorf("%d records were restored, want 1", n)
	}
	p.wantTrail()
}
