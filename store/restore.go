package store

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrInUse is returned by [Restore] when another process has the database open.
var ErrInUse = errors.New("the database is in use: stop the service first")

// Restored is what [Restore] did.
type Restored struct {
	Manifest Manifest
	Kept     string // where the database from before lies now; "" when there was none
	Sessions int64  // that were ended
	Mails    int64  // that will not be sent
	Erased   int    // patients in the backup that had been erased since, and were erased again
}

// Restore puts a backup in place of the database that the options name. First
// it checks a copy: manifest, checksum, schema, keys, SQLite's own structure,
// foreign keys, row counts and the trail; and when anything is wrong it returns
// ErrBackup, ErrSchema or ErrDataKey and has changed nothing. All sessions of
// the backup are ended, and its waiting mails are marked as not to be sent: they
// may have been sent since it was made. Patients who were erased since are
// erased again. On PostgreSQL it returns ErrPostgres.
func Restore(ctx context.Context, o Options, a Actor, file string) (Restored, error) {
	if err := elsewhere(o.URL, "with an empty database in its place, ", func(p Postgres) string { return p.Load(file) }); err != nil {
		return Restored{}, err
	}
	target := strings.TrimPrefix(o.URL, "sqlite:")
	var r Restored
	release, err := hold(ctx, target, lookOnly)
	release()
	if err != nil {
		return r, err
	}
	if r.Manifest, err = readManifest(file); err != nil {
		return r, err
	}
	candidate := target + ".restoring"
	defer removeDatabase(candidate)
	if err := copyChecked(file, candidate, r.Manifest); err != nil {
		return r, err
	}
	o.URL, o.Create, o.Migrate = "sqlite:"+candidate, false, true
	if err := r.examine(ctx, o, a, erasuresIn(ctx, target)); err != nil {
		return r, err
	}
	if err := KeepOwner(filepath.Dir(target), candidate); err != nil {
		return r, fmt.Errorf("the database must be its directory's owner's; run this as the user that serves: %w", err)
	}
	r.Kept, err = replace(ctx, target, candidate, InstantOf(withDefaults(o).Now()))
	return r, err
}

func readManifest(file string) (Manifest, error) {
	var m Manifest
	text, err := os.ReadFile(ManifestName(file))
	if err != nil {
		return m, fmt.Errorf("%w: its manifest cannot be read: %w", ErrBackup, err)
	}
	if json.Unmarshal(text, &m) != nil || m.Format != manifestFormat {
		return m, fmt.Errorf("%w: %s is not the manifest of a backup", ErrBackup, ManifestName(file))
	}
	if m.Schema > len(steps) {
		return m, fmt.Errorf("%w: the backup is at step %d, this program knows %d; use a newer release", ErrSchema, m.Schema, len(steps))
	}
	return m, nil
}

func copyChecked(file, candidate string, m Manifest) error {
	removeDatabase(candidate) // of a restore that was cut short
	f, err := os.OpenFile(candidate, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum, size, err := digest(file, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	switch {
	case size < m.Size:
		return fmt.Errorf("%w: it is truncated: %d bytes of %d", ErrBackup, size, m.Size)
	case sum != m.SHA256:
		return fmt.Errorf("%w: it was altered, or belongs to another manifest: the checksum differs", ErrBackup)
	}
	return nil
}

// examine opens the copy, looks at everything in it, and makes it fit to be
// gone on with.
func (r *Restored) examine(ctx context.Context, o Options, a Actor, erased []erasure) error {
	s, err := Open(ctx, o)
	if errors.Is(err, ErrDataKey) {
		return fmt.Errorf("the backup is not good for these keys: %w", errors.Unwrap(err)) // not the name of the copy
	}
	if err != nil && !errors.Is(err, ErrSchema) {
		return fmt.Errorf("%w: it cannot be opened: %w", ErrBackup, err)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if !hmac.Equal([]byte(r.Manifest.MAC), []byte(r.Manifest.sum(s.keys.trail))) {
		return fmt.Errorf("%w: the manifest was altered, or is another practice's", ErrBackup)
	}
	err = s.readLong(ctx, func(t *tx) error { return t.sound(r.Manifest) })
	if isDamaged(err) {
		err = fmt.Errorf("%w: its structure is damaged: %s", ErrBackup, Describe(err))
	}
	if err != nil {
		return err
	}
	if _, err := s.VerifyTrail(ctx, r.Manifest.Checkpoints()); err != nil {
		return fmt.Errorf("%w: the audit trail does not hold: %w", ErrBackup, err)
	}
	err = s.act(ctx, a, RestoreBackup, "", func(t *tx) error {
		var err error
		if r.Sessions, err = t.changed(`UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL`, t.at()); err != nil {
			return err
		}
		r.Mails, err = t.changed(`UPDATE outbox SET done_at = $1, outcome = 'not sent: restored' WHERE done_at IS NULL`, t.at())
		return err
	})
	if err != nil {
		return err
	}
	if r.Erased, err = s.eraseAgain(ctx, a, erased); err != nil {
		return err
	}
	return s.emptyLog(ctx) // all is in the one file that will be moved
}

// sound looks for damage that SQLite itself can see, and for missing rows, but
// for those that opening the copy may have added, as to the indexes of the trail,
// which are held against it later.
func (t *tx) sound(m Manifest) error {
	for _, check := range []struct{ query, what string }{
		{t.integrityCheck, "its structure is damaged"},
		{foreignKeyCheck, "it refers to rows that are not there"},
	} {
		rows, err := t.rows(check.query)
		if err != nil {
			return err
		}
		found, err := collect(rows, scanText)
		if err != nil {
			return err
		}
		if len(found) > 0 && found[0] != "ok" {
			return fmt.Errorf("%w: %s", ErrBackup, check.what)
		}
	}
	counts, err := t.countRows()
	if err != nil {
		return err
	}
	for table := range m.Rows {
		if !slices.Contains(addedTo, table) && counts[table] != m.Rows[table] {
			return fmt.Errorf("%w: the table %s has %d rows, not %d", ErrBackup, table, counts[table], m.Rows[table])
		}
	}
	return nil
}

// addedTo are the tables that get rows when a database is opened, or is brought up
// to date.
var addedTo = []string{"schema_steps", "data_keys", "audit_patients", "audit_actors", "audit_indexed"}

// hold runs statements on a database that nobody else has open. Until it is
// released, who else opens it finds it locked. It returns ErrInUse when somebody
// has it open. A database that is not there, or too damaged to be opened, is
// nobody's.
func hold(ctx context.Context, target string, statements []string) (release func(), err error) {
	nothing := func() {}
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		return nothing, nil
	}
	db, err := openSQLite(target, false)
	if err != nil {
		return nothing, err
	}
	c, err := db.Conn(ctx)
	for _, s := range statements {
		if err == nil {
			_, err = c.ExecContext(ctx, s)
		}
	}
	switch {
	case err == nil:
		return func() { c.Close(); db.Close() }, nil
	case isBusy(err):
		err = ErrInUse
	case isDamaged(err):
		err = nil
	default:
		err = fmt.Errorf("%w: %s", ErrUnavailable, Describe(err))
	}
	if c != nil {
		c.Close()
	}
	db.Close()
	return nothing, err
}

// replace puts the candidate in the target's place at one stroke: a crash at any
// moment leaves the one or the other there, whole. What was there is kept under
// another name; its log is moved into it before, or kept beside it when it is
// too damaged for that. Where nothing was, kept is "".
func replace(ctx context.Context, target, candidate string, now Instant) (kept string, err error) {
	release, err := hold(ctx, target, takeOver)
	if err != nil {
		return "", err
	}
	defer release()
	kept = target + ".before-" + strings.NewReplacer(":", "", "-", "", ".", "").Replace(string(now))
	there, err := keep(target, kept)
	if err != nil {
		return "", err
	}
	if there {
		err = os.Rename(candidate, target)
	} else if err = os.Link(candidate, target); errors.Is(err, fs.ErrExist) {
		err = ErrInUse // it was made meanwhile
	}
	if err == nil {
		err = syncFile(filepath.Dir(target))
	}
	if !there {
		kept = ""
	}
	return kept, err
}

// keep gives a database another name, beside its own, and takes away what a
// crash left of its logs: SQLite would take them for those of the next.
func keep(target, kept string) (there bool, err error) {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		err := os.Link(target+suffix, kept+suffix)
		there = there || err == nil && suffix == ""
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return there, err
		}
	}
	if err := syncFile(filepath.Dir(target)); err != nil {
		return there, err
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if err := os.Remove(target + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return there, err
		}
	}
	return there, nil
}

func removeDatabase(file string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		os.Remove(file + suffix)
	}
}
