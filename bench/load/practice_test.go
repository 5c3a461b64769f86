package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	someDoctors = `{"username":"ada","first_name":"Ada","last_name":"Ames","email":"ada@example.test","specialization":"Family Medicine","license_number":"MD-1"}
{"username":"bo","first_name":"Bo","last_name":"","email":"","specialization":"","license_number":""}
`
	somePatients = `{"username":"pia","first_name":"Pía","last_name":"Ø","email":"pia@example.test","date_of_birth":"2000-02-29","phone_number":"555-1","address":"1 Road","doctors":["bo","ada"]}
{"username":"quin","first_name":"","last_name":"","email":"","date_of_birth":"","phone_number":"","address":"","doctors":[]}
`
	someRecords = `{"patient":"pia","author":"ada","title":"Visit","description":"Line\r\nline <b> & \"q\"","date":"2026-01-02T03:04:05.000001+02:00"}
{"patient":"quin","author":"patient","title":"Cough","description":"Since Monday","date":"2026-01-01T00:00:00Z"}
`
	someNotes = `{"record":0,"doctor":"bo","note":"First"}
{"record":0,"doctor":"ada","note":"Second"}
`
)

// folder writes the four files, with some replaced.
func folder(t *testing.T, replaced map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"doctors.jsonl":  someDoctors,
		"patients.jsonl": somePatients,
		"records.jsonl":  someRecords,
		"notes.jsonl":    someNotes,
	}
	for name, text := range replaced {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustRead(t *testing.T) *practice {
	t.Helper()
	p, err := readPractice(folder(t, nil))
	if err != nil {
		t.Fatalf("readPractice error = %v, want nil", err)
	}
	return p
}

func TestReadPractice(t *testing.T) {
	p := mustRead(t)
	if len(p.doctors) != 2 || len(p.patients) != 2 || len(p.records) != 2 || len(p.notes) != 2 {
		t.Fatalf("readPractice = %d doctors, %d patients, %d records, %d notes, want 2 of each",
			len(p.doctors), len(p.patients), len(p.records), len(p.notes))
	}
	ada, bo, pia, quin := p.doctors[0], p.doctors[1], p.patients[0], p.patients[1]
	if len(pia.doctors) != 2 || pia.doctors[0] != bo || len(ada.patients) != 1 || ada.patients[0] != pia {
		t.Error("doctors and patients are not tied as the file says")
	}
	visit, cough := p.records[0], p.records[1]
	if visit.author != ada || visit.patient != pia || cough.author != nil || cough.patient != quin {
		t.Error("records are not tied to author and patient as the file says")
	}
	if want := "Line\r\nline <b> & \"q\""; visit.Description != want {
		t.Errorf("description = %q, want %q", visit.Description, want)
	}
	if want := time.Date(2026, 1, 2, 1, 4, 5, 1000, time.UTC); !visit.date.Equal(want) {
		t.Errorf("date = %v, want %v", visit.date, want)
	}
	if len(visit.notes) != 2 || visit.notes[0].doctor != bo || visit.notes[1].Note != "Second" {
		t.Error("notes are not in the order of the file")
	}
	if got, want := cough.place, "records.jsonl line 2"; got != want {
		t.Errorf("place = %q, want %q", got, want)
	}
}

func TestReadPracticeWithoutFile(t *testing.T) {
	if _, err := readPractice(t.TempDir()); !os.IsNotExist(err) {
		t.Errorf("readPractice of an empty folder error = %v, want that a file does not exist", err)
	}
}

func TestReadPracticeRefusesBadLines(t *testing.T) {
	record := func(patient, author, title, description, date string) string {
		return `{"patient":"` + patient + `","author":"` + author + `","title":"` + title + `","description":"` +
			description + `","date":"` + date + `"}` + "\n"
	}
	const date = "2026-01-01T00:00:00Z"
	good := record("pia", "ada", "T", "D", date)
	tests := []struct{ name, file, text, want string }{
		{"no JSON", "records.jsonl", good + "Secret\n", "records.jsonl line 2: not an object"},
		{"an empty line", "records.jsonl", "\n" + good, "records.jsonl line 1: not an object"},
		{"another member", "records.jsonl", `{"Secret":1}`, "records.jsonl line 1: not an object"},
		{"a number for a text", "records.jsonl", `{"title":7}`, "records.jsonl line 1: not an object"},
		{"two objects", "notes.jsonl", `{"record":0,"doctor":"bo","note":"Secret"} {}`, "notes.jsonl line 1: more than one"},
		{"not UTF-8", "records.jsonl", record("pia", "ada", "Secret\xff", "D", date), "records.jsonl line 1: not UTF-8"},
		{"half a character", "records.jsonl", record("pia", "ada", `Secret\ud800`, "D", date), "line 1: title: a NUL or"},
		{"a NUL", "records.jsonl", record("pia", "ada", `Secret\u0000`, "D", date), "line 1: title: a NUL or"},
		{"white space at an end", "records.jsonl", record("pia", "ada", "T", `Secret\u00a0`, date), "line 1: description: white"},
		{"no title", "records.jsonl", good + record("pia", "ada", "", "Secret", date), "records.jsonl line 2: title: missing"},
		{"a title too long", "records.jsonl", record("pia", "ada", strings.Repeat("é", 201), "D", date), "title: longer than 200"},
		{"an unknown patient", "records.jsonl", record("Secret", "ada", "T", "D", date), "line 1: patient: unknown"},
		{"an unknown author", "records.jsonl", record("pia", "Secret", "T", "D", date), "line 1: author: not a doctor"},
		{"an author not assigned", "records.jsonl", record("quin", "ada", "Secret", "D", date), "line 1: author: not a doctor"},
		{"a date without offset", "records.jsonl", record("pia", "ada", "T", "D", "2026-01-01T00:00:00"), "line 1: date:"},
		{"nanoseconds", "records.jsonl", record("pia", "ada", "T", "D", "2026-01-01T00:00:00.0000001Z"), "line 1: date:"},
		{"a note on no record", "notes.jsonl", `{"record":2,"doctor":"bo","note":"Secret"}`, "notes.jsonl line 1: record:"},
		{"a note below zero", "notes.jsonl", `{"record":-1,"doctor":"bo","note":"Secret"}`, "notes.jsonl line 1: record:"},
		{"a note without record", "notes.jsonl", `{"doctor":"bo","note":"Secret"}`, "notes.jsonl line 1: record:"},
		{"a note by another doctor", "notes.jsonl", `{"record":1,"doctor":"bo","note":"Secret"}`, "notes.jsonl line 1: doctor:"},
		{"an empty note", "notes.jsonl", `{"record":0,"doctor":"bo","note":""}`, "notes.jsonl line 1: note: missing"},
		{"a user name twice", "patients.jsonl", `{"username":"ADA"}`, "patients.jsonl line 1: username:"},
		{"an author's mark as a name", "doctors.jsonl", `{"username":"patient"}`, "doctors.jsonl line 1: username:"},
		{"no user name", "doctors.jsonl", `{"first_name":"Secret"}`, "doctors.jsonl line 1: username: missing"},
		{"an unknown doctor", "patients.jsonl", `{"username":"pia","doctors":["Secret"]}`, "patients.jsonl line 1: doctors:"},
		{"a doctor twice", "patients.jsonl", `{"username":"pia","doctors":["bo","bo"]}`, "patients.jsonl line 1: doctors:"},
		{"no day of birth", "patients.jsonl", `{"username":"pia","date_of_birth":"2001-02-29"}`, "patients.jsonl line 1: date_of_birth:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := readPractice(folder(t, map[string]string{test.file: test.text}))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("readPractice error = %v, want one with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "Secret") {
				t.Error("the error quotes the file")
			}
		})
	}
}
