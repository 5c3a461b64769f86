package storetest_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"healthrecords/store/storetest"
)

// keepsServer makes the test binary start a server and wait to be killed.
const keepsServer = "HEALTHRECORDS_STORETEST_KEEPS_SERVER"

func TestDatabasesAreEmptyAndApart(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			one, other := storetest.Postgres, storetest.Postgres
			if engine == "sqlite" {
				storetest.NeedsSQLite(t)
				one, other = storetest.URL, storetest.URL
			}
			for _, url := range []string{one(t), other(t)} {
				if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				db := storetest.Open(t, url)
				defer db.Close()
				if _, err := db.Exec(`CREATE TABLE leftover (n INTEGER)`); err != nil {
					t.Errorf("CREATE TABLE error = %v, want nil", err)
				}
			}
		})
	}
}

func TestServerStopsAndStarts(t *testing.T) {
	s := storetest.NewServer(t)
	db := storetest.Open(t, s.Database(t))
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Errorf("Ping error = %v, want nil", err)
	}
	s.Stop(t)
	if err := db.Ping(); err == nil {
		t.Error("Ping of a stopped server error = nil, want one")
	}
	s.Start(t)
	if err := db.Ping(); err != nil {
		t.Errorf("Ping of a server that was started again error = %v, want nil", err)
	}
}

// The server ends with the tests that started it, also when they are killed.
func TestServerEndsWithItsTests(t *testing.T) {
	if os.Getenv(keepsServer) != "" {
		s := storetest.NewServer(t)
		os.Stdout.WriteString("\nserver " + s.Dir() + "\n")
		io.Copy(io.Discard, os.Stdin)
	}
	storetest.Postgres(t) // or skip
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), keepsServer+"=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "server ")
		if dir == lines.Text() {
			dir = ""
		}
	}
	if _, err := os.Stat(dir + "/data/postmaster.pid"); err != nil {
		t.Fatalf("there is no server: %v", err)
	}
	c.Process.Kill()
	c.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there, want nothing", dir)
		}
	}
}
