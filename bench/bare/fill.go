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

func doctorOf(patient string) string {
	var n int
	fmt.Sscanf(patient[24:], "%x", &n)
	return fmt.Sprintf("00000000-0000-7000-9000-%012x", n/perDoctor)
}

// fill makes the tables and their rows in a database that has none.
func (s *server) fill(w *writer, records int) {
	var n int
	must(w.stmt("SELECT COUNT(*) FROM sqlite_master").QueryRowContext(background).Scan(&n))
	if n > 0 {
		return
	}
	_, err := w.conn.ExecContext(background, "BEGIN IMMEDIATE;"+schema)
	must(err)
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	text := strings.Repeat("Blood pressure 128 over 82, pulse regular. ", 10)
	for i := range records {
		id, at := fmt.Sprintf("00000000-0000-7000-a000-%012x", i), instant(begin.Add(time.Duration(i)*time.Minute))
		patient := fmt.Sprintf("00000000-0000-7000-8000-%012x", i/perPatient)
		sealed := s.records.Seal(nil, nil, fmt.Appendf(nil, "Check-up %09d\n%s", i, text), []byte(id))
		must(w.exec(insertRecord, id, patient, doctorOf(patient), at, sealed, at))
	}
	must(w.exec("COMMIT"))
}
