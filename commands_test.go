package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

const staffPassword = "seven maps in a violet tram"

// machine is where the program runs: a directory, an environment, and all that
// it ever said there.
type machine struct {
	t       *testing.T
	dir     string
	url     string // of the database
	environ []string
	said    buffer
	secrets []string // that it may not say
}

// buffer may be written to while it is read.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newMachine is one where nothing is yet. What is secret on it is looked for
// in all that was said, at the end.
func newMachine(t *testing.T, environ ...string) *machine {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	m := &machine{t: t, dir: dir, url: "sqlite:" + filepath.Join(dir, "health.db"), secrets: []string{staffPassword}}
	m.environ = append([]string{"DATA_DIR=" + dir, "LOG_FORMAT=json"}, environ...)
	given := slices.IndexFunc(environ, func(e string) bool { return strings.HasPrefix(e, "DATABASE_URL=") })
	switch {
	case given >= 0:
		m.url = strings.TrimPrefix(environ[given], "DATABASE_URL=")
	case storetest.OnPostgres():
		m.url = storetest.URL(t)
		m.environ = append(m.environ, "DATABASE_URL="+m.url)
	}
	t.Cleanup(func() {
		for _, name := range []string{"data.key", "secret.key"} {
			text, _ := os.ReadFile(m.path(name))
			for word := range strings.FieldsSeq(string(text)) {
				m.secrets = append(m.secrets, word)
			}
		}
		for _, secret := range m.secrets {
			m.wantUnsaid(secret)
			if key, ok := decode32(secret); ok {
				m.wantUnsaid(string(key))
				m.wantUnsaid(hex.EncodeToString(key))
				m.wantUnsaid(base64.StdEncoding.EncodeToString(key))
			}
		}
	})
	return m
}

func (m *machine) wantUnsaid(secret string) {
	m.t.Helper()
	if strings.Contains(m.said.String(), secret) {
		m.t.Error("a secret was said, want none")
	}
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// run runs a command and returns what it says.
func (m *machine) run(in string, args ...string) (code int, out, err string) {
	m.t.Helper()
	var o, e bytes.Buffer
	p := &program{ctx: m.t.Context(), environ: m.environ, in: strings.NewReader(in), out: &o, err: &e}
	code = p.run(args)
	m.said.Write(o.Bytes())
	m.said.Write(e.Bytes())
	return code, o.String(), e.String()
}

// want runs a command and checks its exit code, and that standard output and
// standard error hold these texts; "" is none at all. It returns both.
func (m *machine) want(code int, out, err string, args ...string) (string, string) {
	m.t.Helper()
	return m.wantWith("", code, out, err, args...)
}

func (m *machine) wantWith(in string, code int, out, err string, args ...string) (string, string) {
	m.t.Helper()
	gotCode, gotOut, gotErr := m.run(in, args...)
	if gotCode != code {
		m.t.Errorf("%q = exit %d, want %d; it said %s%s", args, gotCode, code, gotOut, gotErr)
	}
	for _, c := range []struct{ stream, got, want string }{{"standard output", gotOut, out}, {"standard error", gotErr, err}} {
		if !strings.Contains(c.got, c.want) || c.want == "" && c.got != "" {
			m.t.Errorf("%q: %s = %q, want %q", args, c.stream, c.got, c.want)
		}
	}
	return gotOut, gotErr
}

// staff makes the first account.
func (m *machine) staff(name string) {
	m.t.Helper()
	code, out, said := m.run(staffPassword+"\n", "createsuperuser", "--username", name, "--email", name+"@example.org", "--password-stdin")
	if code != exitDone || !strings.Contains(out, "The staff account is made") || said != "" && !strings.HasPrefix(said, "Welcome") {
		m.t.Errorf("createsuperuser = exit %d, %s%s, want %d and the account made", code, out, said, exitDone)
	}
}

// store opens the database with the keys that are there.
func (m *machine) store() *store.Store {
	m.t.Helper()
	text, err := readKeyFile(m.path("data.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	keys, err := decodeKeys(text)
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := store.Open(m.t.Context(), store.Options{URL: m.url, DataKeys: keys})
	if err != nil {
		m.t.Fatalf("Open error = %v, want nil", err)
	}
	return s
}

// exec changes the database past the program.
func (m *machine) exec(statements string) {
	m.t.Helper()
	db := storetest.Open(m.t, m.url)
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		m.t.Fatal(err)
	}
}

// bendTrail changes the trail although the database itself refuses that.
func (m *machine) bendTrail(statement string) {
	m.t.Helper()
	allow := `DROP TRIGGER audit_update; DROP TRIGGER audit_delete; `
	if storetest.OnPostgres() {
		allow = `ALTER TABLE audit DISABLE TRIGGER ALL; `
	}
	m.exec(allow + statement)
}

// files are the names in the machine's directory with their content.
func (m *machine) files() map[string]string {
	m.t.Helper()
	all := make(map[string]string)
	entries, _ := os.ReadDir(m.dir) // none when it is not there
	for _, e := range entries {
		content, err := os.ReadFile(m.path(e.Name()))
		if err != nil {
			m.t.Fatal(err)
		}
		all[e.Name()] = string(content)
	}
	return all
}

// wantSame checks that no file was made, changed or removed since.
func (m *machine) wantSame(before map[string]string) {
	m.t.Helper()
	after := m.files()
	for name := range after {
		if before[name] != after[name] {
			m.t.Errorf("%s was made or changed, want it as it was", name)
		}
	}
	if len(after) != len(before) {
		m.t.Errorf("the files are %q, want %q", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

func TestHelp(t *testing.T) {
	m := newMachine(t)
	for _, args := range [][]string{{"help"}, {"--help"}, {"-help"}, {"-h"}} {
		out, _ := m.want(exitDone, "Exit code: 0 done, 1 no, 2 wrong use", "", args...)
		for _, c := range commands() {
			if !strings.Contains(out, "  "+c.name) || !strings.Contains(out, c.summary) {
				t.Errorf("%q does not name %s", args, c.name)
			}
		}
	}
	for _, c := range commands() {
		m.want(exitDone, "healthrecords "+c.name, "", c.name, "--help")
		m.want(exitDone, c.summary, "", c.name, "-h")
	}
	m.wantSame(nil)
}

func TestWrongUse(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		err  string
		args []string
	}{
		{"there is no command \"sing\"", []string{"sing"}},
		{"there is no command \"\"", []string{""}},
		{"there is no command \"--loud\"", []string{"--loud"}},
		{"write: healthrecords serve", []string{"serve", "now"}},
		{"not defined: -port", []string{"serve", "--port", "80"}},
		{"write: healthrecords createsuperuser", []string{"createsuperuser", "admin"}},
		{"not defined: -password", []string{"createsuperuser", "--username", "u", "--email", "e@example.org", "--password", "x"}},
		{"--username and --email must be given", []string{"createsuperuser", "--password-stdin"}},
		{"--username and --email must be given", []string{"createsuperuser", "--password-stdin", "--username", "u"}},
		{"write: healthrecords migrate", []string{"migrate", "up"}},
		{"write: healthrecords user activate|deactivate|sessions [--end]|unlock|reset-password|reset-otp USERNAME\n", []string{"user"}},
		{"write: healthrecords user", []string{"user", "activate"}},
		{"write: healthrecords user", []string{"user", "activate", "a", "b"}},
		{"say activate, deactivate, sessions, unlock, reset-password or reset-otp", []string{"user", "promote", "a"}},
		{"--end goes with sessions", []string{"user", "activate", "--end", "a"}},
		{"write: healthrecords backup", []string{"backup"}},
		{"write: healthrecords backup", []string{"backup", "a", "b"}},
		{"write: healthrecords restore", []string{"restore"}},
		{"write: healthrecords restore", []string{"restore", "a", "b"}},
		{"write: healthrecords keys", []string{"keys"}},
		{"say status or rotate", []string{"keys", "delete"}},
		{"write: healthrecords erase", []string{"erase"}},
		{"write: healthrecords erase", []string{"erase", "patient", "--reason", "r"}},
		{`say erase patient ID --reason "…"`, []string{"erase", "patient", "x"}},
		{`say erase patient ID --reason "…"`, []string{"erase", "patient", "x", "--reason", ""}},
		{`say erase patient ID --reason "…"`, []string{"erase", "doctor", "x", "--reason", "r"}},
		{"write: healthrecords audit", []string{"audit"}},
		{"say verify or export", []string{"audit", "delete"}},
		{"--format is ndjson or csv", []string{"audit", "export", "--format", "xml"}},
		{"write: healthrecords check", []string{"check", "all"}},
		{"write: healthrecords healthcheck", []string{"healthcheck", "x"}},
		{"write: healthrecords version", []string{"version", "x"}},
	} {
		m.want(exitUsage, "", c.err, c.args...)
	}
	m.wantSame(nil)
}

// Settings that are not right stop every command that needs them, all mistakes
// at once.
func TestWrongSettings(t *testing.T) {
	m := newMachine(t, "HEALTHRECORDS_DEBUG=1", "PASSWORD_MIN_LENGTH=3", "DATA_KEY=not-a-key-but-a-secret-all-the-same")
	m.secrets = append(m.secrets, "not-a-key-but-a-secret-all-the-same")
	for _, args := range [][]string{
		{}, {"serve"}, {"createsuperuser", "--username", "u", "--email", "e@example.org", "--password-stdin"}, {"migrate"}, {"user", "activate", "u"},
		{"backup", m.path("b")}, {"restore", m.path("b")}, {"keys", "status"}, {"erase", "patient", "x", "--reason", "r"}, {"audit", "verify"}, {"healthcheck"},
	} {
		_, err := m.want(exitUsage, "", "the settings are not right", args...)
		for _, name := range []string{"HEALTHRECORDS_DEBUG", "PASSWORD_MIN_LENGTH", "DATA_KEY"} {
			if !strings.Contains(err, name) {
				t.Errorf("%q does not name %s", args, name)
			}
		}
	}
	m.want(2, "the settings are not right", "", "check")
	m.wantSame(nil)
}

func TestVersion(t *testing.T) {
	m := newMachine(t)
	commit = "0123abc"
	t.Cleanup(func() { commit = "" })
	out, _ := m.want(exitDone, "healthrecords dev\n", "", "version")
	for _, what := range []string{"\nrevision 0123abc\n", "\ngo 1.", "\nsqlite " + store.SQLiteVersion() + "\n"} {
		if !strings.Contains(out, what) {
			t.Errorf("version = %q, want one with %q", out, what)
		}
	}
	m.wantSame(nil)
}

func TestCreateSuperuser(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	wantMode(t, m.dir, 0o700)
	for name := range m.files() {
		wantMode(t, m.path(name), 0o600)
	}
	for _, c := range []struct{ err, name, email, password string }{
		{"username: A user with that username already exists.\n", "admin", "admin@example.org", staffPassword},
		{"username: A user with that username already exists.\n", "ADMIN", "admin@example.org", staffPassword},
		{"password: This password is too short. It must contain at least 15 characters.\n", "second", "second@example.org", "fourteen chars"},
		{"password: This password is entirely numeric.\n", "second", "second@example.org", "71829364550192837465"},
		{"password: The password is too similar to the username.\n", "second-in-command", "second@example.org", "second-in-command"},
		{"email: Enter a valid email address.\n", "second", "second at example", staffPassword},
		{"username: Enter a valid username.", "second in command", "second@example.org", staffPassword},
	} {
		m.wantWith(c.password, exitNo, "", c.err, "createsuperuser", "--username", c.name, "--email", c.email, "--password-stdin")
	}
	m.secrets = append(m.secrets, "fourteen chars", "71829364550192837465")
	m.want(exitNo, "", "nobody has that user name", "user", "sessions", "second")

	s := m.store()
	defer s.Close()
	c, err := s.BeginSignIn(t.Context(), store.Actor{}, "admin", store.Device{})
	if err != nil || !strings.HasPrefix(c.Hash, "$argon2id$") {
		t.Errorf("BeginSignIn = a hash of %d bytes, %v, want one of argon2id", len(c.Hash), err)
	}
	if ok, err := s.HasStaff(t.Context()); !ok || err != nil {
		t.Errorf("HasStaff = %t, %v, want true, nil", ok, err)
	}
}

// Who makes the keys says so: the first start that follows does not.
func TestCreateSuperuserWelcomesWhereItMakesTheKeys(t *testing.T) {
	m := newMachine(t)
	create := []string{"createsuperuser", "--username", "admin", "--email", "admin@example.org", "--password-stdin"}
	m.wantWith("short\n", exitNo, "", "Copy both keys to a safe place now", create...)
	m.wantWith(staffPassword+"\n", exitDone, "The staff account is made", "", create...)
}

// In the wrong directory there is no key either, and that is not what is wrong.
func TestWrongDirectory(t *testing.T) {
	storetest.NeedsSQLite(t)
	m := newMachine(t)
	want := "there is no database at " + m.path("health.db") + ": run this in the directory of the service"
	for _, args := range [][]string{
		{"user", "sessions", "admin"}, {"keys", "status"}, {"backup", m.path("b")}, {"audit", "verify"}, {"erase", "patient", "x", "--reason", "r"},
		{"copy", "--to", "sqlite:" + m.path("copy.db")},
	} {
		m.want(exitNo, "", want, args...)
	}
	m.want(1, "warning  "+want, "", "check")
	m.wantSame(nil)
}

func TestUser(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	signIn := func() error {
		s := m.store()
		defer s.Close()
		c, err := s.BeginSignIn(t.Context(), store.Actor{}, "admin", store.Device{})
		if err == nil {
			_, err = s.SignIn(t.Context(), store.Actor{}, c, store.SignInInput{Right: true})
		}
		return err
	}
	for range 2 {
		if err := signIn(); err != nil {
			t.Fatalf("SignIn error = %v, want nil", err)
		}
	}
	if out, _ := m.want(exitDone, "  since 2", "2 sessions are open.\n", "user", "sessions", "admin"); strings.Count(out, "\n") != 2 {
		t.Errorf("sessions = %q, want two lines", out)
	}
	m.want(exitDone, "2 sessions were ended.\n", "", "user", "sessions", "--end", "admin")
	m.want(exitDone, "", "0 sessions are open.\n", "user", "sessions", "Admin")
	m.want(exitDone, "The account is deactivated.\n", "", "user", "deactivate", "admin")
	if err := signIn(); err != store.ErrCredentials {
		t.Errorf("SignIn of a deactivated account: error = %v, want ErrCredentials", err)
	}
	m.want(exitDone, "The account is activated.\n", "", "user", "activate", "admin")
	if err := signIn(); err != nil {
		t.Errorf("SignIn error = %v, want nil", err)
	}
	for _, what := range []string{"activate", "deactivate", "sessions", "unlock", "reset-password", "reset-otp"} {
		m.want(exitNo, "", "nobody has that user name\n", "user", what, "nobody")
	}
	m.want(exitDone, "The trail holds", "", "audit", "verify")
}

// Who forgot the password of a locked account gets in again, without any mail.
func TestUserResetPassword(t *testing.T) {
	m := newMachine(t, "PUBLIC_URL=https://records.example.org")
	m.staff("admin")
	const page = "https://records.example.org/#/password-reset/"
	reset := func() (token string) {
		out, _ := m.want(exitDone, page, "in the next 10 minutes", "user", "reset-password", "admin")
		return strings.TrimSuffix(strings.TrimPrefix(out, page), "\n")
	}
	old, token := reset(), reset()
	confirm := func(token string) error {
		s := m.store()
		defer s.Close()
		if _, err := s.CheckReset(t.Context(), store.Actor{}, token); err != nil {
			return err
		}
		return s.ConfirmReset(t.Context(), store.Actor{}, token, "$argon2id$")
	}
	if err := confirm(old); err != store.ErrOneUse {
		t.Errorf("ConfirmReset with the link of before: error = %v, want ErrOneUse", err)
	}
	if err := confirm(token); err != nil {
		t.Errorf("ConfirmReset with the link: error = %v, want nil", err)
	}
	m.want(exitDone, "The failed attempts are forgotten; the password works again.\n", "", "user", "unlock", "admin")
	m.want(exitDone, "One-time codes are off for the account.\n", "", "user", "reset-otp", "admin")
	m.want(exitDone, "The account is deactivated.\n", "", "user", "deactivate", "admin")
	m.want(exitNo, "", "the account is not active; activate it first\n", "user", "reset-password", "admin")
	m.want(exitDone, "The trail holds", "", "audit", "verify")
}

func TestMigrate(t *testing.T) {
	m := newMachine(t)
	if storetest.OnPostgres() { // where there is one, if an empty one
		m.want(exitNo, "The schema lacks ", "", "migrate", "--check")
		m.wantSame(nil)
		m.want(exitDone, "The schema is up to date now: ", "", "migrate")
	} else {
		for _, args := range [][]string{{"migrate"}, {"migrate", "--check"}} {
			m.want(exitNo, "", "there is no database", args...)
		}
		m.wantSame(nil)
	}
	m.staff("admin")
	for _, args := range [][]string{{"migrate"}, {"migrate", "--check"}} {
		m.want(exitDone, "The schema is up to date.\n", "", args...)
	}
	m.exec(`INSERT INTO schema_steps (step, applied_at) VALUES (1000, '')`)
	before := m.files()
	for _, args := range [][]string{{"migrate"}, {"migrate", "--check"}, {"serve"}, {"user", "activate", "admin"}, {"backup", m.path("b")}} {
		m.want(exitNo, "", "use a newer release", args...)
	}
	m.wantSame(before)
}

// A database without any step lacks them all.
func TestMigrateAnOlderSchema(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	empty := `PRAGMA journal_mode = WAL`
	if storetest.OnPostgres() {
		empty = `DROP SCHEMA public CASCADE; CREATE SCHEMA public`
	} else if err := os.Truncate(m.path("health.db"), 0); err != nil {
		t.Fatal(err)
	}
	m.exec(empty + `; CREATE TABLE something_older (id TEXT)`)
	before := m.files()
	m.want(exitNo, "The schema lacks ", "", "migrate", "--check")
	m.want(exitNo, "", " steps are missing; run: healthrecords migrate", "user", "activate", "admin")
	m.wantSame(before)
	m.want(exitDone, "The schema is up to date now: ", "", "migrate")
	m.want(exitDone, "The schema is up to date.\n", "", "migrate", "--check")
}

// Checkpoints tell of a database. Where it is gone, its disk perhaps, none is
// begun in its place.
func TestNothingIsBegunWhereADatabaseWas(t *testing.T) {
	create := []string{"createsuperuser", "--username", "admin", "--email", "admin@example.org", "--password-stdin"}
	disk := filepath.Join(t.TempDir(), "disk")
	why := "is its disk mounted?"
	databases := [][]string{nil, {"DATABASE_URL=sqlite:" + filepath.Join(disk, "health.db")}}
	if storetest.OnPostgres() {
		why, databases = "is DATABASE_URL the right one?", databases[:1]
	}
	for _, environ := range databases {
		m := newMachine(t, environ...)
		if err := os.MkdirAll(m.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		checkpoints := m.path("audit.checkpoints")
		if err := os.WriteFile(checkpoints, []byte("as the service wrote it\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := m.files()
		for _, args := range [][]string{create, {}, {"serve"}} {
			m.wantWith(staffPassword+"\n", exitNo, "", checkpoints+" tells of a database: "+why, args...)
			if t.Failed() {
				t.FailNow() // else the next would serve without end
			}
		}
		m.wantSame(before)
		if _, err := os.Stat(disk); err == nil {
			t.Error("the directory of the database was made, want nothing made")
		}
		if err := os.Rename(checkpoints, checkpoints+".old"); err != nil {
			t.Fatal(err)
		}
		m.staff("admin") // as the refusal told
	}
}

func TestOneIsCountedAsOne(t *testing.T) {
	for n, want := range []string{"0 sessions are", "1 session is", "2 sessions are"} {
		if got := counted(n, "session is", "sessions are"); got != want {
			t.Errorf("counted(%d) = %q, want %q", n, got, want)
		}
	}
}
