package main

import (
	"fmt"
	"strings"
	"time"
)

const schema = `
CREATE TABLE sessions (id TEXT PRIMARY KEY, account_id TEXT NOT NULL, expires_at TEXT NOT NULL, refresh_id TEXT NOT NULL, ended_at TEXT) STRICT;
CREATE TABLE records (id TEXT PRIMARY KEY, patient_id TEXT NOT NULL, doctor_id TEXT NOT NULL, date TEXT NOT NULL, content BLOB NOT NULL, created_at TEXT NOT NULL) STRICT;
CREATE INDEX records_by_patient ON records (patient_id, date, id);
CREATE INDEX records_by_doctor ON records (doctor_id, date, id);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, mac BLOB NOT NULL) STRICT;
`

// Each patient has 50 records, and each doctor 40 patients, as bench/run makes
// them for the service.
const (
	perPatient = 50
	perDoctor  = 40
)

func patientID(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012x", n) }
func doctorOf(patient string) string {
	var n int
	fmt.Sscanf(patient[24:], "%x", &n)
	return fmt.Sprintf("00000000-0000-7000-9000-%012x", n/perDoctor)
}
func recordID(n int) string { return fmt.Sprintf("00000000-0000-7000-a000-%012x", n) }

// fill makes the tables and their rows in a database that has none.
func (s *server) fill(records int) error {
	var n int
	if err := s.db.QueryRow("SELECT COUNT(*) FROM sqlite_master").Scan(&n); err != nil || n > 0 {
		return err
	}
	tx, err := s.db.Begin()
	must(err)
	_, err = tx.Exec(schema)
	must(err)
	insert, err := tx.Prepare(insertRecord)
	must(err)
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	text := strings.Repeat("Blood pressure 128 over 82, pulse regular. ", 10)
	for i := range records {
		patient, id, at := patientID(i/perPatient), recordID(i), instant(begin.Add(time.Duration(i)*time.Minute))
		sealed := s.records.Seal(nil, nil, fmt.Appendf(nil, "Check-up %09d\n%s", i, text), []byte(id))
		_, err := insert.Exec(id, patient, doctorOf(patient), at, sealed, at)
		must(err)
	}
	return tx.Commit()
}
