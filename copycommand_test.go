package main

import (
	"path/filepath"
	"strings"
	"testing"

	"healthrecords/store/storetest"
)

func TestCopyCommand(t *testing.T) {
	m := newMachine(t)
	m.run(staffPassword, "createsuperuser", "--username", "admin", "--email", "admin@example.org", "--password-stdin")
	there, back := storetest.Postgres(t), "sqlite:"+filepath.Join(t.TempDir(), "back.db")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "give --from, --to or both"},
		{[]string{"--to", "mysql://localhost/health"}, exitUsage, "--to: write sqlite:PATH or postgres://"},
		{[]string{"--from", "postgres://u@localhost/health?sslmode=allow"}, exitUsage, "--from: sslmode=allow falls back"},
		{[]string{"--to", back, "more"}, exitUsage, "write: healthrecords copy --from URL --to URL"},
		{[]string{"--from", "sqlite:" + filepath.Join(t.TempDir(), "none.db"), "--to", back}, exitNo, "there is no database"},
		{[]string{"--to", there}, exitDone, "1 patients, doctors and staff, 0 records, 2 entries in the trail"},
		{[]string{"--to", there}, exitNo, "the target is not empty; a copy replaces nothing"},
		{[]string{"--from", there, "--to", back}, exitDone, "1 patients, doctors and staff, 0 records, 3 entries in the trail"},
	} {
		code, out, said := m.run("", append([]string{"copy"}, c.args...)...)
		if code != c.code || !strings.Contains(out+said, c.want) {
			t.Errorf("copy %q = exit %d, %s%s, want exit %d, %s", c.args, code, out, said, c.code, c.want)
		}
	}
	if _, _, said := m.run("", "copy", "--from", there, "--to", "sqlite:"+filepath.Join(t.TempDir(), "again.db")); !strings.HasSuffix(said, "If the service still runs, stop it and copy again, to an empty database: what it acknowledges now is not in this copy.\n") {
		t.Errorf("copy says %s, want that a service that still runs is stopped", said)
	}
	m.environ = append(m.environ, "DATABASE_URL="+back)
	if code, out, said := m.run("", "audit", "verify"); code != exitDone || !strings.Contains(out, "The trail holds: 3 entries") {
		t.Errorf("audit verify of the copy = exit %d, %s%s, want exit %d and 3 entries", code, out, said, exitDone)
	}
}

func TestPasswordOnTheCommandLineIsPointedOut(t *testing.T) {
	m := newMachine(t)
	const password = "xyzzyPassword"
	m.secrets = append(m.secrets, password)
	_, _, said := m.run("", "copy", "--to", "postgres://app:"+password+"@127.0.0.1:1/health")
	if !strings.Contains(said, "others on this machine can see the password in --to") {
		t.Errorf("copy with a password in --to says %s, want that others can see it", said)
	}
}

// What PostgreSQL's own programs do is said, without the password.
func TestBackupOfPostgres(t *testing.T) {
	m := newMachine(t)
	m.environ = append(m.environ, "DATABASE_URL=postgres://app:xyzzyPassword@127.0.0.1:1/health", "DATA_KEY="+strongSecret)
	m.secrets = append(m.secrets, "xyzzyPassword")
	code, out, said := m.run("", "restore", "monday")
	if want := "; with an empty database in its place, run: pg_restore --exit-on-error --no-owner --dbname='postgres://app@127.0.0.1:1/health?sslmode=disable' 'monday'\n"; code != exitNo || out != "" || !strings.HasSuffix(said, want) {
		t.Errorf("restore = exit %d, %s%s, want exit %d, %s", code, out, said, exitNo, want)
	}
}
