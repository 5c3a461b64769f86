package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// postgres is what is said to PostgreSQL alone. Nothing of it outlives a
// transaction, so that a pooler may stand between.
func postgres(timeout time.Duration) *dialect {
	const readOnly = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
	return &dialect{
		beginSetup:    fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(%d, %d)", lockClass, setupLock),
		beginRead:     readOnly + fmt.Sprintf("; SET LOCAL statement_timeout = %d; "+planning, timeout.Milliseconds()),
		beginReadLong: readOnly,
		tableExists:   "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1",
		encoding:      "SELECT current_setting('server_encoding')",
		listTables:    "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
		analyze:       "ANALYZE",
		clean:         "VACUUM accounts, assignments, notes, note_versions, outbox, records, record_versions, sessions",
		share:         " FOR SHARE",
		// Text sorts and compares by its bytes, as in SQLite.
		indexEvery: 64,
		behindIndex: "audit_indexed CROSS JOIN LATERAL " +
			"(SELECT * FROM audit b WHERE b.lane = audit_indexed.lane AND b.seq > audit_indexed.seq OFFSET 0) a WHERE 1 = 1",
		adapt:          strings.NewReplacer(" TEXT", ` TEXT COLLATE "C"`, " INTEGER", " BIGINT", " WITHOUT ROWID", "").Replace,
		waitForActions: "LOCK TABLE schema_steps IN EXCLUSIVE MODE", // see attempts
		besides:        map[int]string{1: appendOnlyPostgres},
		newWriter:      func(s *Store, c *conn) writer { return newTransactor(s, c) },
	}
}

// planning keeps the planner from what it does where it takes a table for small, or
// what is asked for for most of it: all that the service asks has an index, and
// comes to few rows.
const planning = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off"

// Advisory locks of transactions: lockClass and a lane of the trail, or
// setupLock.
const (
	lockClass = 0x68726563
	setupLock = lanes
)

// appendOnlyPostgres makes the database itself refuse to change the trail.
const appendOnlyPostgres = `
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'the audit trail is only ever added to'; END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
	FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
`

// openPostgres makes the pool. Nothing is connected yet.
func openPostgres(o Options) (*sql.DB, *dialect, error) {
	p, password, err := parsePostgres(o.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("the database URL is not right: %w", err)
	}
	connector, err := pq.NewConnectorConfig(p.driverConfig(password))
	if err != nil {
		return nil, nil, err
	}
	connector.Dialer(&dialer{net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         limitSilence(o.Timeout),
	}})
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(o.MaxConnections)
	db.SetMaxIdleConns(o.MaxConnections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute)
	return db, postgres(o.Timeout), nil
}

// UnsafeSettings returns the settings of a PostgreSQL server that are off although
// what it has acknowledged can be lost then; none of SQLite.
func (s *Store) UnsafeSettings(ctx context.Context) (names []string, err error) {
	if s.dialect == &sqlite {
		return nil, nil
	}
	err = s.read(ctx, func(t *tx) error {
		rows, err := t.rows(`SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name`)
		if err == nil {
			names, err = collect(rows, scanText)
		}
		return err
	})
	return names, err
}

// dialer is net.Dialer with the one method more that the driver asks for.
type dialer struct{ net.Dialer }

func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// storable replaces what PostgreSQL takes in no text, neither to keep nor to
// compare with: NUL, and bytes that are no UTF-8. It comes from filters, where it
// finds nothing either way, and from what other servers say.
func storable(args []any) []any {
	for i, v := range args {
		text := reflect.ValueOf(v)
		if text.Kind() == reflect.String && (strings.Contains(text.String(), "\x00") || !utf8.ValidString(text.String())) {
			args[i] = strings.ToValidUTF8(strings.ReplaceAll(text.String(), "\x00", "\uFFFD"), "\uFFFD")
		}
	}
	return args
}

// isLost tells whether a connection is gone, or leads to a server that takes no
// writes any more since another was promoted in its place.
func isLost(err error) bool {
	var network *net.OpError
	var p *pq.Error
	switch {
	case errors.As(err, &p):
		return p.Fatal() || p.Code.Class() == pqerror.ClassConnectionException || p.Code == pqerror.ReadOnlySQLTransaction
	case errors.As(err, &network):
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isPostgresDown tells whether PostgreSQL, or the way to it, is at fault.
func isPostgresDown(err error) bool {
	var p *pq.Error
	return isLost(err) || isInsecure(err) || errors.As(err, &p) && (slices.Contains(downClasses, p.Code.Class()) || remedies[p.Code] != "")
}

// remedies are what to do about the refusals that a server gives to those who set
// it up.
var remedies = map[pqerror.Code]string{
	pqerror.InvalidCatalogName:                "there is no such database; make it with CREATE DATABASE … OWNER … ENCODING 'UTF8' TEMPLATE template0",
	pqerror.InvalidPassword:                   "user or password is wrong",
	pqerror.InvalidAuthorizationSpecification: "the server does not let this user in from here; look at the user in DATABASE_URL, at pg_hba.conf and at TLS",
	pqerror.InsufficientPrivilege:             notOwner,
	pqerror.InvalidSchemaName:                 notOwner, // none that the user may look into
}

const notOwner = "the user may not make tables there; it must own the database"

// isInsecure tells whether TLS was asked for and the server cannot give it.
func isInsecure(err error) bool {
	var unverified *tls.CertificateVerificationError
	return errors.Is(err, pq.ErrSSLNotSupported) || errors.As(err, &unverified)
}

func insecureRemedy(err error) string {
	if errors.Is(err, pq.ErrSSLNotSupported) {
		return "set up TLS on the server, or write sslmode=disable if clear text is meant"
	}
	return "call the server by the name in its certificate, and name the authority's file, if it is not a public one, with sslrootcert=FILE"
}

var downClasses = []pqerror.Class{
	pqerror.ClassInsufficientResources, pqerror.ClassOperatorIntervention, pqerror.ClassSystemError,
	pqerror.ClassInternalError, pqerror.ClassTransactionRollback, pqerror.ClassObjectNotInPrerequisiteState,
}

// isConflict tells whether an action met others that ran beside it, and would
// find another database if it ran again. Its own checks let no row be made
// twice and none refer to what is not there: somebody else was quicker.
func isConflict(err error) bool {
	var p *pq.Error
	return errors.Is(err, errNoLane) || errors.As(err, &p) && slices.Contains(conflicts, p.Code)
}

var conflicts = []pqerror.Code{
	pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.UniqueViolation, pqerror.ForeignKeyViolation,
}
