// Package storetest gives a test a database of its own, on the engine that the
// environment chooses. Only tests import it.
//
// TEST_DATABASE is "sqlite", as when it is not set, or "postgres". A server is
// the one at TEST_DATABASE_URL, whose user is a superuser, or one that is
// started from the server's programs on this machine and ends with the tests.
// Where there is neither, tests that need PostgreSQL are skipped; with
// TEST_DATABASE=postgres they fail instead, so that nothing is passed over
// where PostgreSQL was asked for.
package storetest

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/lib/pq"
	_ "github.com/mattn/go-sqlite3"
)

// OnPostgres tells whether the tests run on PostgreSQL.
func OnPostgres() bool {
	switch engine := os.Getenv("TEST_DATABASE"); engine {
	case "", "sqlite":
		return false
	case "postgres":
		return true
	default:
		panic("TEST_DATABASE is sqlite or postgres, not " + engine)
	}
}

// NeedsSQLite skips a test that is about SQLite itself: the bytes of its file,
// its log, copies of it, who has it locked, the one who writes it.
func NeedsSQLite(t testing.TB) {
	t.Helper()
	if OnPostgres() {
		t.Skip("this is about SQLite's file, or its one writer")
	}
}

// URL returns the URL of an empty database on the engine that the environment
// chooses. It is gone when the test ends. On SQLite the file is not made yet.
func URL(t testing.TB) string {
	t.Helper()
	if OnPostgres() {
		return Postgres(t)
	}
	return "sqlite:" + filepath.Join(t.TempDir(), "health.db")
}

// Postgres returns the URL of an empty database on PostgreSQL, or skips the
// test, saying why.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := serverURL()
	if err != nil {
		Missing(t, "no PostgreSQL: "+err.Error())
	}
	return newDatabase(t, server)
}

// Missing skips a test for the want of a program, or fails it where the tests
// are to run on PostgreSQL.
func Missing(t testing.TB, why string) {
	t.Helper()
	if OnPostgres() {
		t.Fatal(why)
	}
	t.Skip(why)
}

// serverURL returns a URL of the server that all tests of this process use.
var serverURL = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("TEST_DATABASE_URL"); given != "" {
		return given, nil
	}
	s, err := startServer()
	if err != nil {
		return "", err
	}
	shared = s // its pipe stays open as long as this process lives
	return s.url("postgres"), nil
})

var shared *Server

// free are databases of the shared server that were used and are empty again:
// to empty one takes a tenth of the time that it takes to make one.
var free = make(chan string, 100)

// newDatabase returns the URL of an empty database on a server.
func newDatabase(t testing.TB, server string) string {
	t.Helper()
	name := ""
	select {
	case name = <-free:
	default:
		name = newName()
		run(t, server, "CREATE DATABASE "+name+" TEMPLATE template0")
	}
	database := renamed(t, server, name)
	t.Cleanup(func() {
		if shared == nil {
			run(t, server, "DROP DATABASE "+name+" WITH (FORCE)")
			return
		}
		run(t, database, `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
			DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
		select {
		case free <- name:
		default:
		}
	})
	return database
}

func run(t testing.TB, server, statement string) {
	t.Helper()
	db := Open(t, server)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Save keeps a database as it is, and returns what makes copies of it. Nobody
// may have it open. On a server that was given what was saved stays.
func Save(t testing.TB, database string) (restored func(testing.TB) string) {
	t.Helper()
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return func(t testing.TB) string {
			t.Helper()
			path := filepath.Join(t.TempDir(), "health.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			return "sqlite:" + path
		}
	}
	saved := copied(t, database)
	return func(t testing.TB) string {
		t.Helper()
		again := copied(t, saved)
		t.Cleanup(func() { onServer(t, again, `DROP DATABASE "%s" WITH (FORCE)`) })
		return again
	}
}

// copied returns the URL of a copy of a database of PostgreSQL.
func copied(t testing.TB, database string) string {
	t.Helper()
	name := newName()
	onServer(t, database, "CREATE DATABASE "+name+` TEMPLATE "%s"`)
	return renamed(t, database, name)
}

// onServer runs a statement about a database from beside it.
func onServer(t testing.TB, database, statement string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	run(t, renamed(t, database, "postgres"), fmt.Sprintf(statement, u.Path[1:]))
}

// renamed is a URL with another database in it.
func renamed(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

func newName() string { return "test_" + strings.ToLower(rand.Text()) }

// Open opens a database beside the store, as another process could. On SQLite
// the file must be there. The caller closes it; a connection that is not in use
// is not kept.
func Open(t testing.TB, database string) *sql.DB {
	t.Helper()
	driver := "postgres"
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		driver, database = "sqlite3", "file:"+path+"?mode=rw&_busy_timeout=5000&_foreign_keys=on"
	}
	db, err := sql.Open(driver, database)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(-1)
	return db
}
