package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// Manifest lies beside a backup and says what must be in it.
type Manifest struct {
	Format   string           `json:"format"`
	Made     Instant          `json:"made_at"`
	Schema   int              `json:"schema"`    // the last step
	DataKeys []string         `json:"data_keys"` // ids of those that are needed to read it
	Rows     map[string]int64 `json:"rows"`      // by table
	Trail    Checkpoint       `json:"trail"`
	Lanes    []Checkpoint     `json:"lanes,omitempty"` // of the trail, beside the first
	Size     int64            `json:"size"`
	SHA256   string           `json:"sha256"`
	MAC      string           `json:"mac"` // over the rest
}

const manifestFormat = "healthrecords backup 1"

// ManifestName is where the manifest of a backup lies.
func ManifestName(backup string) string { return backup + ".manifest" }

// Checkpoints are how far the trail reached, lane by lane.
func (m Manifest) Checkpoints() []Checkpoint { return append([]Checkpoint{m.Trail}, m.Lanes...) }

// Entries is how many entries the trail had.
func (m Manifest) Entries() (n int64) {
	for _, c := range m.Checkpoints() {
		n += c.Count
	}
	return n
}

// ErrPostgres is returned for what PostgreSQL's own programs do. Its wrapping says
// which.
var ErrPostgres = errors.New("this is done by PostgreSQL's own programs")

// elsewhere returns ErrPostgres with the command line, which stands at the end
// to be copied from there, when the database is not SQLite's.
func elsewhere(url, where string, line func(Postgres) string) error {
	if !isPostgres(url) {
		return nil
	}
	p, err := ParsePostgres(url)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w; %srun: %s", ErrPostgres, where, line(p))
}

// ErrBackup is returned for a backup that is not what its manifest says, or
// has none.
var ErrBackup = errors.New("the backup is not good")

func (m Manifest) sum(key []byte) string {
	m.MAC = ""
	text, _ := json.Marshal(m) // strings and numbers always encode
	mac := hmac.New(sha256.New, key)
	mac.Write(pack("healthrecords manifest v1", string(text)))
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// Backup copies the database, as it is at this moment, into a new file, and
// writes its manifest. The service goes on meanwhile. No key is in the copy but
// wrapped. When it returns without an error, both files are on the disk. A file that exists is not replaced: fs.ErrExist.
// On PostgreSQL it returns ErrPostgres.
func (s *Store) Backup(ctx context.Context, a Actor, file string) (Manifest, error) {
	if err := elsewhere(s.options.URL, "", func(p Postgres) string { return p.Dump(file) }); err != nil {
		return Manifest{}, err
	}
	if err := s.peek(ctx, a, BackUp, func(*tx) error { return nil }); err != nil {
		return Manifest{}, err
	}
	for _, name := range []string{file, ManifestName(file)} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return Manifest{}, fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
	}
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-*") // mode 0600
	if err != nil {
		var cause *fs.PathError // which names the part
		errors.As(err, &cause)
		return Manifest{}, fmt.Errorf("no file can be made in %s: %w", filepath.Dir(file), cause.Err)
	}
	part.Close()
	defer removeDatabase(part.Name()) // nothing, once it is renamed
	m, err := s.copyInto(ctx, part.Name())
	if err != nil {
		return Manifest{}, err
	}
	if err := s.seal(part.Name(), &m); err != nil {
		return Manifest{}, err
	}
	// First the entry: nothing leaves without one.
	if err := s.act(ctx, a, BackUp, "", func(*tx) error { return nil }); err != nil {
		return Manifest{}, err
	}
	if err := publish(part.Name(), file, m); err != nil {
		return Manifest{}, err
	}
	return m, s.write(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO milestones (name, at) VALUES ('backup', $1) ON CONFLICT (name) DO UPDATE SET at = excluded.at`, m.Made)
	})
}

// copyInto copies the database and describes the copy.
func (s *Store) copyInto(ctx context.Context, file string) (Manifest, error) {
	db, err := openSQLite(file, false)
	if err != nil {
		return Manifest{}, err
	}
	defer db.Close()
	to, err := db.Conn(ctx)
	if err != nil {
		return Manifest{}, err
	}
	defer to.Close()
	from, err := s.db.Conn(ctx)
	if err != nil {
		return Manifest{}, err
	}
	defer from.Close()
	m := Manifest{Format: manifestFormat, Made: InstantOf(s.now()), Schema: len(steps)}
	if err := copyPages(to, from); err != nil {
		return m, fmt.Errorf("copy: %w", err)
	}
	var mode string
	err = to.QueryRowContext(ctx, leaveWAL).Scan(&mode)
	if err == nil && mode != "delete" {
		err = errors.New("the copy could not be made one file, without a log beside it")
	}
	if err != nil {
		return m, err
	}
	c := &conn{dialect: &sqlite, ctx: ctx, c: to, stmts: make(map[string]driver.Stmt)}
	defer c.closeStatements()
	t := &tx{conn: c, s: s, now: s.now()}
	return m, t.describe(&m)
}

func copyPages(to, from *sql.Conn) error {
	return to.Raw(func(target any) error {
		return from.Raw(func(source any) error {
			b, err := target.(*sqlite3.SQLiteConn).Backup("main", source.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			whole, err := b.Step(-1) // all pages, of one moment
			if err == nil && !whole {
				err = errors.New("the database is locked")
			}
			return errors.Join(err, b.Finish())
		})
	})
}

// describe fills in what the database that t reads holds.
func (t *tx) describe(m *Manifest) error {
	lanes, err := t.checkpoints(m.Made)
	if err != nil {
		return err
	}
	m.Trail = t.s.checkpoint(head{}, m.Made)
	if len(lanes) > 0 {
		m.Trail, m.Lanes = lanes[0], lanes[1:]
	}
	if m.Rows, err = t.countRows(); err != nil {
		return err
	}
	m.DataKeys, err = t.wantedDataKeys()
	return err
}

func (t *tx) countRows() (map[string]int64, error) {
	rows, err := t.rows(t.listTables)
	if err != nil {
		return nil, err
	}
	tables, err := collect(rows, scanText)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int64)
	for _, table := range tables {
		var n int64
		if err := t.row(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil {
			return nil, err
		}
		counts[table] = n
	}
	return counts, nil
}

// seal finishes the manifest of a copy that is on the disk.
func (s *Store) seal(part string, m *Manifest) error {
	if err := syncFile(part); err != nil {
		return err
	}
	var err error
	if m.SHA256, m.Size, err = digest(part, io.Discard); err != nil {
		return err
	}
	m.MAC = m.sum(s.keys.trail)
	return nil
}

// publish puts both files in place, the backup last, or neither.
func publish(part, file string, m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeDurably(ManifestName(file), append(text, '\n')); err != nil {
		return err
	}
	if err = os.Rename(part, file); err == nil {
		if err = syncFile(filepath.Dir(file)); err == nil {
			return nil
		}
		os.Remove(file)
	}
	os.Remove(ManifestName(file))
	return err
}

// digest returns the SHA-256 and size of a file, copying it on the way.
func digest(file string, to io.Writer) (sum string, size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(h, to), f)
	return fmt.Sprintf("%x", h.Sum(nil)), size, err
}

// writeDurably makes a file with this content, or none.
func writeDurably(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(file)
	}
	return err
}

// syncFile makes a file, or the names in a directory, outlive a power cut.
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// LastBackup returns when the last backup was made, or the zero time.
func (s *Store) LastBackup(ctx context.Context) (Instant, error) {
	var at Instant
	err := s.read(ctx, func(t *tx) (err error) {
		at, err = t.lastBackup()
		return err
	})
	return at, err
}

func (t *tx) lastBackup() (Instant, error) {
	var at Instant
	err := t.row(`SELECT at FROM milestones WHERE name = 'backup'`).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return at, err
}
