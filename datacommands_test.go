package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// patient registers one and returns the id.
func (m *machine) patient(name string) string {
	m.t.Helper()
	s := m.store()
	defer s.Close()
	p, err := s.CreatePatient(m.t.Context(), store.Actor{}, &store.PatientInput{User: store.UserInput{Username: &name, PasswordHash: "a hash"}})
	if err != nil {
		m.t.Fatalf("CreatePatient error = %v, want nil", err)
	}
	return p.ID
}

// copyTo copies files from one machine to another, or to another place.
func (m *machine) copyTo(dir string, names ...string) {
	m.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(m.path(name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

func TestBackupCommand(t *testing.T) {
	storetest.NeedsSQLite(t)
	m := newMachine(t)
	file := filepath.Join(t.TempDir(), "monday")
	m.want(exitNo, "", "there is no database at "+m.path("health.db"), "backup", file)
	m.wantSame(nil)
	m.staff("admin")
	m.want(exitNo, "", "no file can be made in "+m.path("none")+": no such file or directory\n", "backup", m.path("none/monday"))
	m.patient("pat")
	s := m.store() // as the service holds it
	out, said := m.want(exitDone, file+": ", "Keep "+file+".manifest beside it. To read them, data key ", "backup", file)
	s.Close()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`: \d+ bytes, 2 patients, doctors and staff, 0 records, \d+ entries in the trail\n$`).MatchString(out) {
		t.Errorf("backup = %q, want sizes and counts", out)
	}
	if !regexp.MustCompile(`data key [0-9a-f]{16} is needed; it is not in them.\n$`).MatchString(said) || info.Mode().Perm() != 0o600 {
		t.Errorf("backup = %q, mode %v, want the id of the data key, 600", said, info.Mode())
	}
	m.want(exitNo, "", "a backup replaces nothing", "backup", file)
	m.want(exitNo, "", "no such file", "backup", filepath.Join(t.TempDir(), "missing", "monday"))
}

func TestRestoreCommand(t *testing.T) {
	storetest.NeedsSQLite(t)
	m := newMachine(t)
	m.staff("admin")
	file := filepath.Join(t.TempDir(), "monday")
	m.run("", "backup", file)
	m.patient("later")
	if err := os.WriteFile(m.path("audit.checkpoints"), []byte("as the service wrote it"), 0o600); err != nil {
		t.Fatal(err)
	}

	s := m.store()
	m.want(exitNo, "", "the database is in use: stop the service first", "restore", file)
	s.Close()
	before := m.files()
	m.want(exitNo, "", "its manifest cannot be read", "restore", m.path("health.db"))
	spoilt := filepath.Join(t.TempDir(), "spoilt")
	content, _ := os.ReadFile(file)
	manifest, _ := os.ReadFile(file + ".manifest")
	os.WriteFile(spoilt, content[:len(content)-1], 0o600)
	os.WriteFile(spoilt+".manifest", manifest, 0o600)
	m.want(exitNo, "", "it is truncated", "restore", spoilt)
	m.wantSame(before)

	out, _ := m.want(exitDone, "The backup of 2", "", "restore", file)
	for _, line := range []string{
		`0 sessions were ended. 0 mails that waited will not be sent.`,
		`What was there before lies in ` + regexp.QuoteMeta(m.path("health.db.before-")) + `\d{8}T\d{12}Z\.`,
		`The checkpoints until now lie in ` + regexp.QuoteMeta(m.path("audit.checkpoints.before-")) + `\d{8}T\d{6}Z\.`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("restore = %q, want a line %q", out, line)
		}
	}
	m.want(exitNo, "", "nobody has that user name", "user", "sessions", "later")
	m.want(exitDone, "", "0 sessions are open", "user", "sessions", "admin")
	m.want(exitDone, "The trail holds", "", "audit", "verify")
}

// On PostgreSQL its own programs do it. The lines that the commands say, typed in
// as they stand, move a practice to another machine.
func TestBackupOnPostgres(t *testing.T) {
	bin, err := storetest.Programs()
	if err != nil {
		storetest.Missing(t, err.Error())
	}
	m := newMachine(t, "DATABASE_URL="+storetest.Postgres(t))
	other := newMachine(t, "DATABASE_URL="+storetest.Postgres(t))
	m.staff("admin")
	m.patient("pat")
	file := filepath.Join(t.TempDir(), "monday's")
	m.copyTo(other.dir, "data.key", "secret.key")
	typed := func(m *machine, command string) {
		t.Helper()
		_, said := m.want(exitNo, "", "run: pg_", command, file)
		_, line, _ := strings.Cut(strings.TrimSpace(said), "run: ")
		line, _, _ = strings.Cut(line, " (")
		c := exec.Command("/bin/sh", "-c", line)
		c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s error = %v, want nil: %s", line, err, out)
		}
	}
	typed(m, "backup")
	typed(other, "restore")
	other.want(exitDone, "The schema is up to date.\n", "", "migrate", "--check")
	other.want(exitDone, "", "0 sessions are open", "user", "sessions", "pat")
	other.want(exitDone, "The trail holds", "", "audit", "verify")
	db := storetest.Open(t, other.url)
	defer db.Close()
	if _, err := db.Exec(`UPDATE audit SET request = 'x'`); err == nil {
		t.Error("the restored database lets its trail be changed, want it refused")
	}
}

// The drill: another machine, where nothing is but the two files and the key.
func TestRestoreDrill(t *testing.T) {
	storetest.NeedsSQLite(t)
	m := newMachine(t)
	m.staff("admin")
	m.patient("pat")
	file := m.path("monday")
	m.run("", "backup", file)
	for _, c := range []struct {
		name string
		keys []string
		more []string
	}{
		{"both keys", []string{"data.key", "secret.key"}, nil},
		{"the data key alone", []string{"data.key"}, nil},
		{"the key in the environment", nil, []string{"DATA_KEY_FILE=" + m.path("data.key")}},
	} {
		other := newMachine(t, c.more...)
		safe := t.TempDir()
		m.copyTo(safe, "monday", "monday.manifest")
		if c.keys != nil {
			m.copyTo(other.dir, c.keys...)
		}
		out, _ := other.want(exitDone, "The backup of ", "", "restore", filepath.Join(safe, "monday"))
		if strings.Contains(out, "What was there before") {
			t.Errorf("%s: restore = %q, want nothing that was there before", c.name, out)
		}
		other.want(exitDone, "The trail holds", "", "audit", "verify")
		other.want(exitDone, "", "0 sessions are open", "user", "sessions", "pat")
		wantMode(t, other.path("health.db"), 0o600)
	}

	without := newMachine(t)
	without.want(exitNo, "", "data.key is not there: put it back, or set DATA_KEY", "restore", file)
	without.wantSame(nil)
}

// newest is the first key of the key file, with its id.
func (m *machine) newest() (text, id string) {
	m.t.Helper()
	content, err := os.ReadFile(m.path("data.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	text = strings.Fields(string(content))[0]
	key, _ := decode32(text)
	return text, store.DataKeyID(key)
}

func TestKeysCommand(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	m.patient("pat")
	_, one := m.newest()
	m.want(exitDone, one+"  since ", "", "keys", "status")
	m.want(exitDone, "(0 days)  wraps 5  current\n", "", "keys", "status")

	s := m.store() // as a service that goes on
	out, _ := m.want(exitDone, "wraps 5  current\n", "5 keys were wrapped anew", "keys", "rotate")
	s.Close()
	_, two := m.newest()
	if lines := strings.Split(out, "\n"); two == one || len(lines) != 3 || !strings.HasPrefix(lines[0], two) || !strings.HasPrefix(lines[1], one) || !strings.Contains(lines[1], "wraps 0  retired since ") {
		t.Errorf("keys rotate = %q, want the new key, then the old one, retired", out)
	}
	wantMode(t, m.path("data.key"), 0o600)
	m.want(exitDone, "", "0 sessions are open", "user", "sessions", "pat")

	// The old key's line is deleted, as the command told.
	text, _ := m.newest()
	if err := os.WriteFile(m.path("data.key"), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.want(exitDone, "not held here", "", "keys", "status")
	m.want(exitDone, "", "0 sessions are open", "user", "sessions", "pat")
	m.want(exitDone, "The trail holds", "", "audit", "verify")
}

// A rotation that was cut short when the new key was in the file goes on with
// that key.
func TestKeysRotateGoesOn(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	if err := addKey(m.path("data.key")); err != nil {
		t.Fatal(err)
	}
	_, two := m.newest()
	out, _ := m.want(exitDone, two+"  since ", "4 keys were wrapped anew", "keys", "rotate")
	if _, now := m.newest(); now != two || strings.Count(out, "\n") != 2 {
		t.Errorf("keys rotate made another key, want it to go on with the one that was there: %q", out)
	}
}

func TestKeysFromTheEnvironment(t *testing.T) {
	m := newMachine(t)
	keys := []string{base64.StdEncoding.EncodeToString([]byte("the first of the keys, 32 bytes!")), strings.Repeat("0123456789abcdef", 4)}
	m.secrets = append(m.secrets, keys...)
	ids := make([]string, 2)
	for i := range keys {
		key, _ := decode32(keys[i])
		ids[i] = store.DataKeyID(key)
	}
	set := func(value string) {
		m.environ = append(slices.DeleteFunc(m.environ, func(e string) bool { return strings.HasPrefix(e, "DATA_KEY=") }), "DATA_KEY="+value)
	}
	set(keys[0])
	m.staff("admin")
	if _, err := os.Stat(m.path("data.key")); err == nil {
		t.Error("data.key was made beside DATA_KEY")
	}
	m.want(exitNo, "", "set DATA_KEY to a new key, a comma and the old key", "keys", "rotate")
	set(keys[1] + "," + keys[0])
	m.want(exitDone, ids[1]+"  since ", "4 keys were wrapped anew", "keys", "rotate")
	m.want(exitNo, "", "DATA_KEY holds no newer key", "keys", "rotate")
	set(keys[1])
	m.want(exitDone, "retired since", "", "keys", "status")
	set(keys[0])
	before := m.files()
	for _, args := range [][]string{{"serve"}, {"user", "sessions", "admin"}, {"keys", "rotate"}, {"backup", m.path("b")}, {"audit", "verify"}} {
		m.want(exitNo, "", "wrong data key: it wants "+ids[1]+", and there is "+ids[0], args...)
	}
	m.wantSame(before)
}

// Without the key that a database wants nothing starts, and nothing is made.
func TestMissingDataKey(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	_, id := m.newest()
	for _, name := range []string{"data.key", "secret.key"} {
		if err := os.Rename(m.path(name), filepath.Join(t.TempDir(), name)); err != nil && name == "data.key" {
			t.Fatal(err)
		}
	}
	before := m.files()
	for _, args := range [][]string{
		{}, {"serve"}, {"createsuperuser", "--username", "u", "--email", "u@example.org", "--password-stdin"}, {"user", "sessions", "admin"},
		{"keys", "status"}, {"keys", "rotate"}, {"backup", m.path("b")}, {"audit", "verify"}, {"erase", "patient", "x", "--reason", "r"},
	} {
		m.want(exitNo, "", "data.key is not there: put it back, or set DATA_KEY; the database wants data key "+id, args...)
	}
	m.want(2, "the database wants data key "+id, "", "check")
	m.wantSame(before)
}

func TestEraseCommand(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	id := m.patient("pat")
	const reason = "asked for it on paper"
	m.secrets = append(m.secrets, reason)
	m.want(exitNo, "", "there is no patient with that id; if one was erased before, its last traces are gone now\n", "erase", "patient", "pat", "--reason", reason)
	file := filepath.Join(t.TempDir(), "monday")
	if !storetest.OnPostgres() {
		m.want(exitDone, "bytes", "Keep", "backup", file)
	}
	m.want(exitDone, "are destroyed; that this was done stays in the trail", "", "erase", "patient", id, "--reason", reason)
	m.want(exitNo, "", "there is no patient with that id; if one was erased before, its last traces are gone now\n", "erase", "--reason", reason, "patient", id)
	m.want(exitNo, "", "nobody has that user name", "user", "sessions", "pat")
	m.want(exitDone, "The trail holds", "", "audit", "verify")
	out, _ := m.want(exitDone, `"action":"patient.erase"`, "", "audit", "export")
	if strings.Contains(out, reason) {
		t.Error("the reason stands in the trail, want it sealed elsewhere")
	}
	for name, content := range m.files() {
		if strings.Contains(content, reason) {
			t.Errorf("the reason stands in %s, want it sealed", name)
		}
	}
	if storetest.OnPostgres() {
		return
	}
	m.want(exitDone, "1 patient had been erased since the backup was made, and erased again now.\n", "", "restore", file)
	m.want(exitNo, "", "nobody has that user name", "user", "sessions", "pat")
}

func TestAuditCommand(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	m.patient("pat")
	m.want(exitDone, "The trail holds: 2 entries", "", "audit", "verify")
	out, _ := m.want(exitDone, `"action":"staff.create"`, "", "audit", "export")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("line %q is not JSON", line)
		}
	}
	csv, _ := m.want(exitDone, ",staff.create,done,operator,", "", "audit", "export", "--format", "csv")
	if len(lines) < 2 || strings.Count(csv, "\n") < len(lines)+1 {
		t.Errorf("audit export = %d lines, as CSV %d, want a heading more and the export before", len(lines), strings.Count(csv, "\n"))
	}
	m.want(exitNo, "", "no such file", "audit", "verify", "--since", m.path("none"))
	m.bendTrail(`UPDATE audit SET request = 'x' WHERE action = 'staff.create'`)
	m.want(exitNo, "1: edited", "", "audit", "verify")
}

// serving is a service that runs until it is stopped.
type serving struct {
	m       *machine
	address string
	stop    context.CancelFunc
	said    *buffer
	code    chan int
}

func (m *machine) serve() *serving {
	m.t.Helper()
	ctx, stop := context.WithCancel(m.t.Context())
	s := &serving{m: m, stop: stop, said: &buffer{}, code: make(chan int, 1)}
	p := &program{ctx: ctx, environ: append(m.environ, "LISTEN=127.0.0.1:0"), out: &bytes.Buffer{}, err: s.said}
	go func() { s.code <- p.run(nil) }()
	address := regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)
	for s.address == "" {
		if found := address.FindStringSubmatch(s.said.String()); found != nil {
			s.address = found[1]
		}
		select {
		case code := <-s.code:
			m.t.Fatalf("serve = exit %d before it served: %s", code, s.said.String())
		default:
		}
	}
	m.t.Cleanup(func() { stop(); m.said.Write([]byte(s.said.String())) })
	return s
}

func (s *serving) end() {
	s.m.t.Helper()
	s.stop()
	if code := <-s.code; code != exitDone {
		s.m.t.Errorf("serve = exit %d, want %d", code, exitDone)
	}
}

func TestServe(t *testing.T) {
	m := newMachine(t)
	s := m.serve()
	database := m.path("health.db")
	if storetest.OnPostgres() {
		database = store.DatabaseName(m.url)
	}
	for _, line := range []string{"This is its first start here.", database, m.path("secret.key") + " and " + m.path("data.key"), "There is no staff account yet.", "createsuperuser"} {
		if !strings.Contains(s.said.String(), line) {
			t.Errorf("the first start does not say %q", line)
		}
	}
	for name := range m.files() {
		wantMode(t, m.path(name), fs.FileMode(0o600))
	}
	m.environ = append(m.environ, "LISTEN="+s.address)
	m.want(exitDone, "ready\n", "", "healthcheck")
	m.staff("admin")
	file := filepath.Join(t.TempDir(), "monday")
	if !storetest.OnPostgres() {
		m.want(exitDone, "bytes", "Keep", "backup", file)
	}
	m.want(exitDone, "current", "wrapped anew", "keys", "rotate")
	if !storetest.OnPostgres() {
		m.want(exitNo, "", "the database is in use: stop the service first", "restore", file)
	}
	m.want(exitDone, "ready\n", "", "healthcheck")
	s.end()
	m.want(exitNo, "", "the service does not answer on "+s.address, "healthcheck")
	if !storetest.OnPostgres() {
		m.want(exitDone, "The backup of ", "", "restore", file)
	}

	again := m.serve()
	if strings.Contains(again.said.String(), "first start") || strings.Contains(again.said.String(), "no staff") {
		t.Error("the second start welcomes again, want it not to")
	}
	again.end()
	m.want(exitDone, "The trail holds", "", "audit", "verify")
}

func TestCheck(t *testing.T) {
	m := newMachine(t)
	if storetest.OnPostgres() {
		m.want(2, "data.key is not there", "", "check")
	}
	m.wantSame(nil)
	m.staff("admin")
	if storetest.OnPostgres() { // on a server for tests, that waits for no disk
		out, _ := m.want(2, "fsync", "", "check")
		for _, line := range []string{"good     settings\n", "good     database, schema and keys\n", "warning  mail is only logged\n"} {
			if !strings.Contains(out, line) {
				t.Errorf("check does not say %q", line)
			}
		}
		return
	}
	m.want(exitNo, "", "no file can be made in "+m.path("none")+": no such file or directory\n", "backup", m.path("none/monday"))
	m.want(1, "there is no backup yet", "", "check")
	m.run("", "backup", filepath.Join(t.TempDir(), "monday"))
	out, _ := m.want(1, "good     the last backup is from ", "", "check")
	for _, line := range []string{"good     settings\n", "good     database, schema and keys\n", "warning  mail is only logged\n", "warning  the keys lie beside the database\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("check does not say %q", line)
		}
	}
	if err := os.Chmod(m.path("health.db"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.want(2, "BAD      "+m.path("health.db")+" is open to others", "", "check")
}

// A file that no checkpoint can go into is told at the start, not by the first.
func TestCheckpointsThatCannotBeKept(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	m.environ = append(m.environ, "LISTEN=127.0.0.1:0", "AUDIT_CHECKPOINTS="+m.dir) // a directory
	m.want(exitNo, "", "AUDIT_CHECKPOINTS: the file cannot be added to: ", "serve")
	m.want(2, "BAD      AUDIT_CHECKPOINTS: the file cannot be added to: ", "", "check")
}

// Browsers are told to come by TLS alone, where the service has it.
func TestServeWithTLSAsksForTLSAlone(t *testing.T) {
	for _, secure := range []bool{false, true} {
		m, scheme, want := newMachine(t), "http://", ""
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		if secure {
			certFile, keyFile := writePair(t, t.TempDir(), "localhost")
			m.environ = append(m.environ, "TLS_CERT="+certFile, "TLS_KEY="+keyFile)
			scheme, want = "https://", "max-age=31536000"
		}
		s := m.serve()
		answer, err := client.Get(scheme + s.address + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("over %s, Strict-Transport-Security = %q, want %q", scheme, got, want)
		}
		client.CloseIdleConnections()
		s.end()
	}
}
