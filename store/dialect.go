package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"
)

// dialect holds what is said differently to the two databases. All other SQL is
// one text for both.
type dialect struct {
	prepared bool // statements are kept prepared on their connection

	beginSetup     string // begins a transaction that may change the schema; one at a time gets further
	beginRead      string // begins one that only reads, on the database as it is at its first query
	beginReadLong  string // the same without a limit of time
	tableExists    string
	encoding       string // answers how text is kept; "" where it is always UTF-8
	listTables     string
	integrityCheck string // answers "ok", or what is damaged; "" where there is none
	strangers      string // answers what stands beside the tables and not in besides, $1; "" where that is not looked for
	clean          string // gives up the room of what was deleted
	analyze        string // looks anew at what is in the tables, to find the best way to it; "" where that is not needed
	emptyLog       string // moves what is in the log beside the file into it; "" where there is none
	share          string // behind a SELECT: nobody else changes the row before the transaction ends

	// How many entries of a lane are indexed by patient at once. What is not
	// indexed yet is looked through, in all lanes together.
	indexEvery  int64
	behindIndex string // FROM audit_indexed and of audit, a, what is not indexed yet, WHERE

	adapt          func(schema string) string // turns the schema's common text into the database's
	waitForActions string                     // in a setup: nobody acts any more, also of a program from before
	besides        map[int]string             // by the number of a step of the schema: what follows it, and is not said alike

	newWriter func(*Store, *conn) writer // takes the connection over
}

// writer runs actions that may write.
type writer interface {
	// do runs an action in a transaction and returns its error, once what it did
	// is on the disk or undone. The action may be run several times: what it
	// did before counts for nothing then.
	do(ctx context.Context, action func(*tx) error) error
	// stop finishes what was asked.
	stop()
}

// isUnavailable tells whether the database itself, not what was asked of it,
// is at fault.
func isUnavailable(err error) bool {
	return errors.Is(err, sql.ErrConnDone) || isSQLiteDown(err) || isPostgresDown(err)
}

// unavailable turns an error that is the database's fault into ErrUnavailable
// with its description.
func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || !isUnavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, Describe(err))
}

// Describe names an error for the log. A driver's own text may quote values,
// so only its code is told.
func Describe(err error) string {
	var lite sqlite3.Error
	if errors.As(err, &lite) {
		return fmt.Sprintf("SQLite error %d (%d): %s", lite.Code, lite.ExtendedCode, lite.Code.Error())
	}
	var p *pq.Error
	if errors.As(err, &p) {
		text := fmt.Sprintf("PostgreSQL error %s: %s", p.Code, p.Code.Name())
		if remedy := remedies[p.Code]; remedy != "" {
			text += ": " + remedy
		}
		return text
	}
	if isInsecure(err) {
		return err.Error() + ": " + insecureRemedy(err)
	}
	return err.Error()
}
