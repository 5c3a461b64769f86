package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// practice is the content of a folder, with every name resolved.
type practice struct {
	doctors  []*doctor
	patients []*patient
	records  []*record
	notes    []*note
}

// account is what a doctor and a patient have in common. The members without
// a tag are filled in later: place when the file is read, the others when the
// account is made and signs in.
type account struct {
	Username  string `json:"username"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Email     string `json:"email"`

	place    string // file and line, which messages say instead of a name
	password string
	id       string // of the patient or doctor
	session  *session
}

type doctor struct {
	account
	Specialization string `json:"specialization"`
	LicenseNumber  string `json:"license_number"`

	patients []*patient
}

type patient struct {
	account
	DateOfBirth string   `json:"date_of_birth"`
	PhoneNumber string   `json:"phone_number"`
	Address     string   `json:"address"`
	DoctorNames []string `json:"doctors"`

	doctors []*doctor
	records []*record // in the order of the file
}

type record struct {
	PatientName string `json:"patient"`
	AuthorName  string `json:"author"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Date        string `json:"date"`

	place   string
	id      string
	date    time.Time
	patient *patient
	author  *doctor // nil where the patient wrote it
	notes   []*note // in the order of the file
}

type note struct {
	RecordLine *int   `json:"record"`
	DoctorName string `json:"doctor"`
	Note       string `json:"note"`

	place  string
	id     string
	record *record
	doctor *doctor
}

// name is the name that others see: the full name, else the user name.
func (a *account) name() string {
	if full := strings.TrimSpace(a.FirstName + " " + a.LastName); full != "" {
		return full
	}
	return a.Username
}

// byPatient is the author of a record that its patient wrote.
const byPatient = "patient"

// readPractice reads doctors.jsonl, patients.jsonl, records.jsonl and
// notes.jsonl of a folder. Its errors say file, line and member and quote no
// text. It refuses what the service would not give back as it was: white space
// at the ends, damaged characters, fractions below a microsecond.
func readPractice(dir string) (*practice, error) {
	p := new(practice)
	doctors := make(map[string]*doctor)
	patients := make(map[string]*patient)
	taken := make(map[string]bool)
	err := readLines(dir, "doctors.jsonl", func(d *doctor, place string) error {
		d.place = place
		p.doctors = append(p.doctors, d)
		doctors[d.Username] = d
		return d.check(taken)
	})
	if err != nil {
		return nil, err
	}
	err = readLines(dir, "patients.jsonl", func(a *patient, place string) error {
		a.place = place
		p.patients = append(p.patients, a)
		patients[a.Username] = a
		return a.check(taken, doctors)
	})
	if err != nil {
		return nil, err
	}
	err = readLines(dir, "records.jsonl", func(r *record, place string) error {
		r.place = place
		p.records = append(p.records, r)
		return r.check(patients, doctors)
	})
	if err != nil {
		return nil, err
	}
	err = readLines(dir, "notes.jsonl", func(n *note, place string) error {
		n.place = place
		p.notes = append(p.notes, n)
		return n.check(p.records, doctors)
	})
	return p, err
}

// readLines decodes each line of a file into a T and hands it to use with its
// place, "records.jsonl line 12". It stops at the first bad line.
func readLines[T any](dir, name string, use func(v *T, place string) error) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		place := fmt.Sprintf("%s line %d", name, number)
		v := new(T)
		if err := decodeLine(line, v); err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		if err := use(v, place); err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
	}
	return nil
}

// decodeLine does not wrap the decoder's errors, which quote the text.
func decodeLine(line []byte, v any) error {
	if !utf8.Valid(line) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if dec.Decode(v) != nil {
		return errors.New("not an object with the members of this file")
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one object")
	}
	return nil
}

func (a *account) check(taken map[string]bool) error {
	key := strings.ToLower(a.Username)
	if taken[key] {
		return errors.New("username: not the first of this name, regardless of case")
	}
	taken[key] = true
	if a.Username == byPatient {
		return errors.New("username: this word marks the author of a record")
	}
	return errors.Join(
		checkText("username", a.Username, 1, 150),
		checkText("first_name", a.FirstName, 0, 150),
		checkText("last_name", a.LastName, 0, 150),
		checkText("email", a.Email, 0, 254),
	)
}

func (d *doctor) check(taken map[string]bool) error {
	return errors.Join(
		d.account.check(taken),
		checkText("specialization", d.Specialization, 0, 100),
		checkText("license_number", d.LicenseNumber, 0, 50),
	)
}

func (a *patient) check(taken map[string]bool, doctors map[string]*doctor) error {
	err := errors.Join(
		a.account.check(taken),
		checkText("phone_number", a.PhoneNumber, 0, 15),
		checkText("address", a.Address, 0, 500),
	)
	if a.DateOfBirth != "" {
		if _, bad := time.Parse(time.DateOnly, a.DateOfBirth); bad != nil {
			err = errors.Join(err, errors.New("date_of_birth: not a date"))
		}
	}
	for _, name := range a.DoctorNames {
		d := doctors[name]
		if d == nil || slices.Contains(a.doctors, d) {
			return errors.Join(err, errors.New("doctors: unknown, or there twice"))
		}
		a.doctors = append(a.doctors, d)
		d.patients = append(d.patients, a)
	}
	return err
}

func (r *record) check(patients map[string]*patient, doctors map[string]*doctor) error {
	r.patient = patients[r.PatientName]
	if r.patient == nil {
		return errors.New("patient: unknown")
	}
	r.patient.records = append(r.patient.records, r)
	if r.AuthorName != byPatient {
		r.author = doctors[r.AuthorName]
		if !slices.Contains(r.patient.doctors, r.author) {
			return errors.New("author: not a doctor of this patient")
		}
	}
	var err error
	r.date, err = time.Parse(time.RFC3339, r.Date)
	if err != nil || r.date.Nanosecond()%1000 != 0 {
		return errors.New("date: not an instant of whole microseconds with its offset")
	}
	return errors.Join(
		checkText("title", r.Title, 1, 200),
		checkText("description", r.Description, 1, 20000),
	)
}

func (n *note) check(records []*record, doctors map[string]*doctor) error {
	if n.RecordLine == nil || *n.RecordLine < 0 || *n.RecordLine >= len(records) {
		return errors.New("record: no such line")
	}
	n.record = records[*n.RecordLine]
	n.record.notes = append(n.record.notes, n)
	n.doctor = doctors[n.DoctorName]
	if !slices.Contains(n.record.patient.doctors, n.doctor) {
		return errors.New("doctor: not a doctor of this patient")
	}
	return checkText("note", n.Note, 1, 20000)
}

// checkText takes lengths in code points. A replacement character is what the
// decoder makes of an unpaired surrogate, so it is refused as damage.
func checkText(member, text string, least, most int) error {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		return fmt.Errorf("%s: missing", member)
	case n > most:
		return fmt.Errorf("%s: longer than %d characters", member, most)
	case text != strings.TrimSpace(text):
		return fmt.Errorf("%s: white space at an end", member)
	case strings.ContainsAny(text, "\x00\uFFFD"):
		return fmt.Errorf("%s: a NUL or a replacement character", member)
	}
	return nil
}
