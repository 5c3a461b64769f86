package storetest

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Pooled returns the URL of a database of PostgreSQL through PgBouncer, which
// hands each transaction to whichever of a few connections is free. It skips the
// test, saying why, where there is no PgBouncer.
func Pooled(t testing.TB, database string, connections int) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in everybody's PATH
	}
	if _, err := os.Stat(program); err != nil {
		Missing(t, "no PgBouncer: "+err.Error())
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Query().Get("host")
	if server == "" {
		t.Skip("TEST_DATABASE_URL names no directory of a Unix socket")
	}
	dir, err := os.MkdirTemp("", "healthrecords-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	startPgBouncer(t, program, dir, fmt.Sprintf(`[databases]
* = host=%s
[pgbouncer]
listen_port = 5432
unix_socket_dir = %s
auth_type = trust
auth_file = %s/users
pool_mode = transaction
default_pool_size = %d
`, server, dir, dir, connections))
	u.RawQuery = url.Values{"host": {dir}}.Encode()
	return u.String()
}

// startPgBouncer starts it until the end of the test, or of the tests.
func startPgBouncer(t testing.TB, program, dir, configuration string) {
	t.Helper()
	for name, text := range map[string]string{"pgbouncer.ini": configuration, "users": "\"tester\" \"\"\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("/bin/sh", "-c", `"$1" -q "$2/pgbouncer.ini" >"$2/log" 2>&1 & read -r line; kill $!; wait`, "keeper", program, dir)
	if err := unprivileged(c, dir); err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { io.WriteString(in, "\n"); c.Wait() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		// Its socket is there a moment before anybody listens.
		if there, err := net.Dial("unix", filepath.Join(dir, ".s.PGSQL.5432")); err == nil {
			there.Close()
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("PgBouncer does not start: %s", log)
		}
	}
}
