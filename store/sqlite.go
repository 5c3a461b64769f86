package store

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// sqlite is what is said to SQLite alone.
var sqlite = dialect{
	prepared:       true,
	beginSetup:     beginWrite,
	beginRead:      "BEGIN",
	beginReadLong:  "BEGIN",
	tableExists:    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
	listTables:     "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
	integrityCheck: "PRAGMA integrity_check(1)",
	strangers:      "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('view', 'trigger') AND INSTR($1, sql) = 0 LIMIT 1",
	clean:          "VACUUM",
	emptyLog:       "PRAGMA wal_checkpoint(TRUNCATE)",
	indexEvery:     512,
	behindIndex:    "audit_indexed CROSS JOIN audit a WHERE a.lane = audit_indexed.lane AND a.seq > audit_indexed.seq",
	adapt: strings.NewReplacer(
		"BYTEA", "BLOB",
		"\n);", "\n) STRICT;", // keeps text out of integer columns
		"\n) WITHOUT ROWID;", "\n) STRICT, WITHOUT ROWID;",
	).Replace,
	besides:   map[int]string{1: appendOnlySQLite, 4: "DROP TRIGGER IF EXISTS audit_insert"},
	newWriter: func(s *Store, c *conn) writer { return startCommitter(s, c) },
}

// openSQLite opens a database file. Settings stand in the DSN, because a
// PRAGMA sent through the pool reaches one of its connections only.
// FULL makes each commit wait for the disk: what was acknowledged survives a
// power cut. secure_delete overwrites what is deleted.
func openSQLite(path string, create bool) (*sql.DB, error) {
	path, err := filepath.Abs(path) // SQLite sees more in some others, such as ":memory:"
	if err != nil {
		return nil, err
	}
	if create {
		if err := makePrivate(path); err != nil {
			return nil, err
		}
	}
	settings := url.Values{
		"mode":                {"rw"},
		"_journal_mode":       {"WAL"},
		"_synchronous":        {"FULL"},
		"_foreign_keys":       {"on"},
		"_busy_timeout":       {"5000"},
		"_txlock":             {"immediate"},
		"_secure_delete":      {"on"},
		"_recursive_triggers": {"on"},    // see appendOnlySQLite
		"_cache_size":         {"-4000"}, // KiB: the upper pages of all indexes and the ends of the trail stay at hand
		"_mutex":              {"no"},    // one goroutine at a time uses a connection: database/sql sees to that
	}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: settings.Encode()}
	return sql.Open("sqlite3", file.String())
}

// makePrivate makes an empty file that nobody else may read, as SQLite itself
// would not; its -wal and -shm take the mode from it. A file that exists is
// not even opened: closing it would drop the locks that SQLite holds on it.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

const (
	beginWrite = "BEGIN IMMEDIATE"
	// Only who is alone with the database can leave the log mode.
	leaveWAL        = "PRAGMA journal_mode = DELETE"
	foreignKeyCheck = `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`
)

// Both take a database for one connection alone, or fail at once. lookOnly
// leaves the file as it is; takeOver moves the log into it, and leaves none. Who
// has opened the file meanwhile, and waits, cannot go back to the log mode when
// the file has got another name: SQLite refuses that.
var (
	lookOnly = []string{"PRAGMA busy_timeout = 0", "PRAGMA locking_mode = EXCLUSIVE", beginWrite}
	takeOver = []string{"PRAGMA busy_timeout = 0", leaveWAL, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"}
)

// appendOnlySQLite makes the database itself refuse to change the trail. What REPLACE
// removes is removed past the trigger, unless triggers are recursive. One before
// INSERT, which the first release had, would guard the trail against that in other
// programs too, at a tenth of the speed of reads: SQLite then prepares to undo
// each entry, and copies the pages it goes to.
const appendOnlySQLite = `
CREATE TRIGGER audit_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only ever added to'); END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only ever added to'); END;
`

// isSQLiteDown tells whether SQLite says that the database itself is at fault:
// locked, full, unreadable, gone. Some of these end the transaction on their own.
func isSQLiteDown(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrNomem, sqlite3.ErrReadonly, sqlite3.ErrIoErr,
		sqlite3.ErrFull, sqlite3.ErrCantOpen, sqlite3.ErrProtocol, sqlite3.ErrNotADB:
		return true
	}
	return false
}

// isBusy tells whether another process has the database locked.
func isBusy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}

// isDamaged tells whether a file is no database, or not a whole one.
func isDamaged(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrNotADB || e.Code == sqlite3.ErrCorrupt)
}

// SQLiteVersion is the version of the SQLite library in the binary.
func SQLiteVersion() string {
	version, _, _ := sqlite3.Version()
	return version
}
