package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"healthrecords/store"
)

// filledMachine is a machine with a trail in which every column holds
// something.
func filledMachine(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.staff("admin")
	s := m.store()
	defer s.Close()
	register := func(name, address string) {
		t.Helper()
		a := store.Actor{Address: address, Request: s.NewID()}
		if _, err := s.CreatePatient(t.Context(), a, &store.PatientInput{User: store.UserInput{Username: &name, PasswordHash: "none"}}); err != nil {
			t.Fatalf("CreatePatient error = %v, want nil", err)
		}
	}
	register("pat", "192.0.2.7")
	register("pat2", "2001:db8::7")
	for _, formula := range []string{"=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", `="a,b"`} {
		register("f"+fmt.Sprintf("%x", formula), formula)
	}
	if err := s.SetActive(t.Context(), store.Command("user <deactivate> & co"), "pat", false); err != nil {
		t.Fatalf("SetActive error = %v, want nil", err)
	}
	return m
}

// events asks the API for the whole trail, oldest first, as the account admin.
func (m *machine) events() []json.RawMessage {
	m.t.Helper()
	p := &program{ctx: m.t.Context(), environ: append(m.environ, "LOG_LEVEL=error"), err: &m.said}
	s, _, err := p.open(false)
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Close()
	h, err := p.handler(s)
	if err != nil {
		m.t.Fatal(err)
	}
	ask := func(method, path, token, body string) []byte {
		m.t.Helper()
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			m.t.Fatalf("%s %s = %d, want 200", method, path, w.Code)
		}
		return w.Body.Bytes()
	}
	var token struct{ Access string }
	if err := json.Unmarshal(ask("POST", "/api/token/", "", `{"username":"admin","password":"`+staffPassword+`"}`), &token); err != nil {
		m.t.Fatal(err)
	}
	ask("GET", "/api/patients/", token.Access, "") // touches several patients
	var page struct {
		Next    *string
		Results []json.RawMessage
	}
	if err := json.Unmarshal(ask("GET", "/api/audit-events/?ordering=at&page_size=100", token.Access, ""), &page); err != nil {
		m.t.Fatal(err)
	}
	if page.Next != nil {
		m.t.Fatal("the trail is longer than a page")
	}
	return page.Results
}

// export runs audit export and returns what it prints.
func (m *machine) export(format string) string {
	m.t.Helper()
	code, out, err := m.run("", "audit", "export", "--format", format)
	if code != exitDone {
		m.t.Fatalf("audit export --format %s = exit %d, %s, want %d", format, code, err, exitDone)
	}
	return out
}

func TestTrailExportSaysWhatTheAPISays(t *testing.T) {
	m := filledMachine(t)
	events := m.events()
	lines := strings.Split(m.export("ndjson"), "\n")
	if len(lines) < len(events)+1 || lines[len(lines)-1] != "" {
		t.Fatalf("%d lines, want one for each of %d entries and that of the export, each ended", len(lines), len(events))
	}
	for i, e := range events {
		if lines[i] != string(e) {
			t.Errorf("line %d = %s, want as in the API: %s", i+1, lines[i], e)
		}
	}
	if last := lines[len(lines)-2]; !strings.Contains(last, `"action":"audit.export","outcome":"done","role":"operator","actor":null`) {
		t.Errorf("the last line = %s, want the entry of the export itself", last)
	}
}

func TestTrailExportAsCSVSaysTheSame(t *testing.T) {
	m := filledMachine(t)
	m.events()
	table, err := csv.NewReader(strings.NewReader(m.export("csv"))).ReadAll()
	if err != nil {
		t.Fatalf("ReadAll error = %v, want nil", err)
	}
	lines := strings.Split(strings.TrimSuffix(m.export("ndjson"), "\n"), "\n")
	if len(table) != len(lines) { // a header more, an export less
		t.Fatalf("%d rows, want a header and %d entries", len(table), len(lines)-1)
	}
	var several, versions int
	for i, row := range table[1:] {
		want := cells(t, lines[i], table[0])
		for c := range row {
			row[c] = strings.TrimPrefix(row[c], "'")
		}
		if !slices.Equal(row, want) {
			t.Errorf("row %d = %q, want %q", i+1, row, want)
		}
		several += strings.Count(row[8], " ")
		versions += len(row[7])
	}
	if several == 0 || versions == 0 {
		t.Error("no entry has several patients or a version: the test shows nothing")
	}
}

// cells returns the values of a line of JSON in the order of the names, which
// must be those of the line.
func cells(t *testing.T, line string, names []string) (row []string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		t.Fatal(err)
	}
	if len(values) != len(names) {
		t.Errorf("the table has %d columns, the API %d", len(names), len(values))
	}
	for _, name := range names {
		switch v := values[name].(type) {
		case nil:
			row = append(row, "")
		case []any:
			row = append(row, strings.Trim(fmt.Sprint(v), "[]"))
		default:
			row = append(row, fmt.Sprint(v))
		}
	}
	return row
}

func TestTrailExportAsCSVHoldsNoFormula(t *testing.T) {
	out := filledMachine(t).export("csv")
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	defused := 0
	for _, row := range table {
		for _, cell := range row {
			if cell != "" && strings.Contains("=+-@\t\r", cell[:1]) {
				t.Errorf("a cell = %q, want none that could be read as a formula", cell)
			}
			if strings.HasPrefix(cell, "'") {
				defused++
			}
		}
	}
	if defused != 7 {
		t.Errorf("%d cells were defused, want 7", defused)
	}
}

// fullDisk takes so many bytes and no more.
type fullDisk struct{ room int }

var errFull = errors.New("no room")

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return d.room, errFull
	}
	d.room -= len(p)
	return len(p), nil
}

func TestTrailExportFailsWhenItCannotBeWritten(t *testing.T) {
	m := filledMachine(t)
	for _, format := range []string{"ndjson", "csv"} {
		for _, room := range []int{0, 100} {
			t.Run(fmt.Sprintf("%s, room for %d bytes", format, room), func(t *testing.T) {
				var said bytes.Buffer
				p := &program{ctx: t.Context(), environ: m.environ, out: &fullDisk{room}, err: &said}
				if code := p.run([]string{"audit", "export", "--format", format}); code != exitNo || !strings.Contains(said.String(), "no room") {
					t.Errorf("audit export = exit %d, %q, want exit %d and why", code, said.String(), exitNo)
				}
			})
		}
	}
}

func TestTrailVerify(t *testing.T) {
	m := filledMachine(t)
	s := m.store()
	checkpoints, err := s.Checkpoints(t.Context())
	if err != nil || len(checkpoints) != 1 {
		t.Fatalf("Checkpoints = %+v, %v, want one lane", checkpoints, err)
	}
	c := checkpoints[0]
	s.Close()
	file := m.path("audit.checkpoints")
	verify := func(code int, want string, args ...string) {
		t.Helper()
		got, out, said := m.run("", append([]string{"audit", "verify"}, args...)...)
		if got != code || !strings.Contains(out+said, want) {
			t.Errorf("audit verify %v = exit %d, %s%s, want exit %d, %s", args, got, out, said, code, want)
		}
	}
	verify(exitDone, fmt.Sprintf("The trail holds: %d entries, the last %d not anchored: no checkpoint in %s reaches further.\n", c.Count, c.Count, file))
	if err := addLine(file, c); err != nil {
		t.Fatal(err)
	}
	verify(exitDone, fmt.Sprintf("The trail holds: %d entries.\n", c.Count))
	m.run("", "user", "sessions", "admin")
	verify(exitDone, fmt.Sprintf("The trail holds: %d entries, the last 1 not anchored: ", c.Count+1))

	elsewhere := filepath.Join(t.TempDir(), "copy")
	verify(exitNo, "copy: no such file", "--since", elsewhere)
	if err := os.WriteFile(elsewhere, []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	verify(exitNo, elsewhere+": line 1 is no checkpoint", "--since", elsewhere)
	c.Count++
	if err := os.WriteFile(elsewhere, fmt.Appendf(nil, `{"lane":0,"count":%d,"head":"%s","time":"%s","mac":"%s"}`, c.Count, c.Head, c.Time, c.MAC), 0o600); err != nil {
		t.Fatal(err)
	}
	verify(exitNo, "The trail does not hold. a checkpoint of", "--since", elsewhere)

	m.exec(`DROP TRIGGER audit_delete; DELETE FROM audit WHERE seq = 3`)
	verify(exitNo, "The trail does not hold. entry 3: missing\n")
}
