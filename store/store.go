// Package store keeps the practice: accounts, assignments, health records,
// notes, sessions, mail to send, and the trail of who did what. It is the only
// package that knows SQL.
//
// Health data has one door. Every method that touches a patient, a record or a
// note takes an [Actor] and does, in one transaction: look up the actor's
// session and account, find its tie to the patient, ask the policy ([Allowed]),
// do the work, add the entry to the audit trail. When it returns without an
// error, all of it is on the disk; a refusal leaves an entry and nothing else;
// any other error leaves nothing.
//
// What identifies a person or describes health is sealed before it meets SQL.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Options say how a store is opened.
type Options struct {
	URL                string                   // "sqlite:" and a path, or see [ParsePostgres]
	MaxConnections     int                      // to PostgreSQL; 8 when zero
	Timeout            time.Duration            // of an action on PostgreSQL and of what only reads, waiting included; 20 s when zero
	DataKeys           [][]byte                 // 32 bytes each; the first seals, all open
	ReloadKeys         func() ([][]byte, error) // reads DataKeys again when a new one is met; may be nil
	Create             bool                     // make the database when there is none, or an empty one
	Migrate            bool                     // bring the schema up to date
	RegistrationClosed bool                     // staff alone create accounts
	SessionLifetime    time.Duration            // from sign-in to the absolute end; 720 h when zero
	RefreshLifetime    time.Duration            // of one refresh token; 24 h when zero
	IdlePatients       time.Duration            // without use, after which a patient's session is over; never when zero
	IdleOthers         time.Duration            // likewise, of doctors and staff
	RequireOTP         []Role                   // who needs a second factor for anything but what is its own
	Now                func() time.Time         // time.Now when nil
	Random             io.Reader                // crypto/rand when nil
	Log                *slog.Logger             // slog.Default when nil
}

// Store is an open database. Its methods may be called concurrently.
type Store struct {
	options Options
	db      *sql.DB
	dialect *dialect
	writer  writer
	keys    *keyring
	ids     ids
	log     *slog.Logger
	mail    chan struct{}
	grown   chan struct{}

	indexEvery int64               // entries of a lane are indexed by patient at once
	touched    [lanes]atomic.Int64 // patients, by the entries of a lane that are not indexed yet
	entries    atomic.Int64        // written since grown last received
}

// Errors of Open besides ErrDataKey and ErrUnavailable.
var (
	ErrNoDatabase = errors.New("there is no database")
	ErrSchema     = errors.New("the schema is not this program's")
)

// Open opens the database, checks its schema and keys and, as the options say,
// makes it or brings it up to date. It returns ErrNoDatabase, ErrSchema or
// ErrDataKey, wrapped in what was found, having changed nothing.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{options: withDefaults(o), mail: make(chan struct{}, 1), grown: make(chan struct{}, 1)}
	s.log, s.ids.random = s.options.Log, s.options.Random
	var err error
	if s.keys, err = newKeyring(o.DataKeys, o.ReloadKeys); err != nil {
		return nil, err
	}
	if s.db, s.dialect, err = openURL(s.options, o.Create); err != nil {
		return nil, err
	}
	s.indexEvery = s.dialect.indexEvery
	if err := s.start(ctx); err != nil {
		s.db.Close()
		return nil, fmt.Errorf("open %s: %w", DatabaseName(o.URL), unavailable(err))
	}
	return s, nil
}

func openURL(o Options, create bool) (*sql.DB, *dialect, error) {
	if isPostgres(o.URL) {
		return openPostgres(o)
	}
	path, ok := strings.CutPrefix(o.URL, "sqlite:")
	if !ok || path == "" {
		return nil, nil, errors.New("the database URL is neither sqlite:PATH nor postgres://…")
	}
	// SQLite takes an empty file for a database, and would write into it.
	if info, err := os.Stat(path); !create && (err != nil || info.Size() == 0) {
		return nil, nil, fmt.Errorf("%w at %s", ErrNoDatabase, path)
	}
	db, err := openSQLite(path, create)
	if err == nil {
		db.SetMaxOpenConns(1 + maxReaders)
	}
	return db, &sqlite, err
}

// DatabaseName is a database's URL without the password that may be in it.
func DatabaseName(url string) string {
	if !isPostgres(url) {
		return url
	}
	p, err := ParsePostgres(url)
	if err != nil {
		return "PostgreSQL"
	}
	return p.Name()
}

func withDefaults(o Options) Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.SessionLifetime == 0 {
		o.SessionLifetime = 720 * time.Hour
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 8
	}
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	if o.RefreshLifetime == 0 {
		o.RefreshLifetime = 24 * time.Hour
	}
	return o
}

func (s *Store) start(ctx context.Context) error {
	c, err := newConn(context.WithoutCancel(ctx), s.db, s.dialect)
	if err != nil {
		return err
	}
	if err := s.prepare(c); err != nil {
		c.close()
		return err
	}
	s.writer = s.dialect.newWriter(s, c)
	return nil
}

// prepare checks schema and keys and brings both up to date, in one
// transaction. Where nothing is to be done, as at most starts, nobody waits for
// anybody.
func (s *Store) prepare(c *conn) error {
	if err := c.checkEncoding(); err != nil {
		return err
	}
	pending, err := pendingSteps(c)
	if err == nil {
		err = s.mayApply(pending)
	}
	if err != nil {
		return err
	}
	begin := c.beginSetup
	if len(pending) == 0 && c.row(`SELECT 1 FROM data_keys WHERE id = $1`, s.keys.first()).Scan(new(int)) == nil {
		begin = c.beginRead
	}
	if err := c.script(begin); err != nil {
		return err
	}
	t := &tx{conn: c, s: s, now: s.now()}
	if err := t.prepare(); err != nil {
		c.script("ROLLBACK")
		return err
	}
	return c.script("COMMIT")
}

// mayApply tells whether the options allow these steps: to begin a database, or
// to bring one up to date.
func (s *Store) mayApply(pending []int) error {
	may := s.options.Migrate || len(pending) > 0 && pending[0] == 1 && s.options.Create
	if len(pending) == 0 || may {
		return nil
	}
	return fmt.Errorf("%w: %d steps are missing; run: healthrecords migrate", ErrSchema, len(pending))
}

func (t *tx) prepare() error {
	pending, err := pendingSteps(t.conn) // again: another process may have been first
	if err != nil {
		return err
	}
	if err := t.applySteps(pending); err != nil {
		return err
	}
	if err := t.checkDataKeys(t.s.keys); err != nil {
		return err
	}
	if err := t.loadKeys(t.s.keys, slices.Contains(pending, 1)); err != nil {
		return err
	}
	if slices.Contains(pending, emailHashStep) {
		return t.hashEmails()
	}
	return nil
}

// Close finishes what was asked and closes the database.
func (s *Store) Close() error {
	s.writer.stop()
	return s.db.Close()
}

// Now is the store's time.
func (s *Store) Now() time.Time { return s.now() }

func (s *Store) now() time.Time { return s.options.Now() }

// write runs f in a transaction; when it returns nil, what f did is on the disk.
// f may be run again when others were in its way: what it did before is undone
// then, and it must not build on what it left in its surroundings.
func (s *Store) write(ctx context.Context, f func(*tx) error) error {
	return s.writer.do(ctx, f)
}

// read runs f on a connection of its own, on the database as it is now. f may
// not write.
func (s *Store) read(ctx context.Context, f func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	return s.readIn(ctx, s.dialect.beginRead, f)
}

// readLong is read without a limit of time, for what an operator waits for.
func (s *Store) readLong(ctx context.Context, f func(*tx) error) error {
	return s.readIn(ctx, s.dialect.beginReadLong, f)
}

func (s *Store) readIn(ctx context.Context, begin string, f func(*tx) error) error {
	c, err := s.begin(ctx, func(c *conn) error { return c.script(begin) })
	if err != nil {
		return fmt.Errorf("%w: %s", ErrUnavailable, Describe(err))
	}
	defer c.abort()
	err = f(&tx{conn: c, s: s, now: s.now()})
	if isDamaged(err) {
		return err
	}
	return unavailable(err)
}

// begin begins a transaction on a connection of the pool. One that was lost
// while nobody used it is replaced: nothing was done on it yet.
func (s *Store) begin(ctx context.Context, begin func(*conn) error) (*conn, error) {
	for left := s.options.MaxConnections; ; left-- {
		c, err := newConn(ctx, s.db, s.dialect)
		if err != nil {
			return nil, err
		}
		if err = begin(c); err == nil {
			return c, nil
		}
		c.abort()
		if !isLost(err) || ctx.Err() != nil || left == 0 {
			return nil, err
		}
	}
}

const maxReaders = 4 // of SQLite, beside the one that writes

// NewID returns a new UUIDv7 in canonical text.
func (s *Store) NewID() string { return s.ids.next(s.now()) }

func (s *Store) randomKey() []byte {
	key := make([]byte, 32)
	mustRead(s.options.Random, key)
	return key
}

// mustRead fills b. A source of randomness that fails leaves nothing to go on
// with, as crypto/rand itself holds.
func mustRead(r io.Reader, b []byte) {
	if _, err := io.ReadFull(r, b); err != nil {
		panic("no randomness")
	}
}

// Ready tells whether the database, its schema and its keys are usable, and
// whether the database takes what is written. The
// error's text is a reason fit for anyone to read.
func (s *Store) Ready(ctx context.Context) error {
	err := s.write(ctx, func(t *tx) error {
		pending, err := pendingSteps(t.conn)
		if err == nil && len(pending) > 0 {
			err = ErrSchema
		}
		if err != nil {
			return err
		}
		if err := t.checkDataKeys(s.keys); err != nil {
			return err
		}
		// A disk that is full takes no entry in the trail, and so nothing is answered.
		return t.exec(`INSERT INTO milestones (name, at) VALUES ('ready', $1) ON CONFLICT (name) DO UPDATE SET at = excluded.at`, t.at())
	})
	switch {
	case errors.Is(err, ErrSchema):
		return errors.New("schema")
	case errors.Is(err, ErrDataKey):
		return errors.New("keys")
	case err != nil:
		return errors.New("database")
	}
	return nil
}
