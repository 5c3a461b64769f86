package main

import (
	"strings"
	"time"
	"unicode"

	"healthrecords/store"
)

// readDatabase reads where the database is.
func (s *settings) readDatabase(e *environment) {
	given := e.secret("DATABASE_URL")
	if strings.HasPrefix(string(given), "postgres") {
		s.readPostgres(e, given)
		return
	}
	if len(given) > 0 {
		path, problem := parseSQLite(string(given))
		if problem != "" {
			e.mistake("DATABASE_URL", "%s", problem)
		}
		s.DatabaseURL, s.SQLitePath = given, path
	}
	for _, name := range []string{"DATABASE_MAX_CONNECTIONS", "DATABASE_TIMEOUT"} {
		if e.set(name) && !e.mistaken("DATABASE_URL", "DATABASE_URL_FILE") {
			e.mistake(name, "does nothing with SQLite; unset it")
		}
	}
}

// readPostgres reads how PostgreSQL is reached.
func (s *settings) readPostgres(e *environment, given secret) {
	var err error
	if s.Postgres, err = store.ParsePostgres(string(given)); err != nil {
		e.mistake("DATABASE_URL", "%v", err)
	}
	s.DatabaseURL, s.SQLitePath = given, ""
	s.DatabaseMaxConnections = e.integer("DATABASE_MAX_CONNECTIONS", 8, 1, 1000)
	s.DatabaseTimeout = e.lifetime("DATABASE_TIMEOUT", 10*time.Second)
	if s.DatabaseTimeout > 50*time.Second {
		e.mistake("DATABASE_TIMEOUT", "must not be above 50s: the answer to a request ends after 60s")
	}
}

// parseSQLite returns the path of a SQLite database, and what is wrong. It
// quotes nothing: a URL can hold a password.
func parseSQLite(text string) (path, problem string) {
	const form = "write sqlite:PATH or postgres://user:password@host:port/database"
	path, sqlite := strings.CutPrefix(text, "sqlite:")
	switch {
	case !sqlite || path == "" || strings.HasSuffix(path, "/") || strings.ContainsFunc(path, unicode.IsControl):
		return "", form
	case strings.HasPrefix(path, "//"):
		// Some read sqlite:///x as x, others as /x: two databases.
		return "", "write sqlite:PATH without slashes before the path; an absolute one has a single slash"
	case strings.ContainsAny(path, "?#"):
		return "", "write sqlite:PATH without parameters; the service sets its own"
	case strings.Contains(path, ":memory:"):
		return "", "a database in memory loses what was answered; write sqlite:PATH of a file"
	}
	return path, ""
}
