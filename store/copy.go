package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ErrNotEmpty is returned by [Copy] when there is something in the target.
var ErrNotEmpty = errors.New("the target is not empty")

// Copied is what [Copy] did.
type Copied struct {
	Rows    map[string]int64 // by table
	Entries int64            // in the trail
}

// Copy copies a practice from one database to another, on either engine: every
// row as it is, sealed values as they are sealed. The data keys are the same
// for both; the options of the target are not looked at but for where it is. That
// it was done stands in the trail of both.
//
// Before the target is committed, all that was read from the source is compared
// with what the target gives back, and the target's trail is verified. When
// anything is wrong the target is left as it was. Copy returns ErrNotEmpty when
// it is not empty, and ErrInUse when the source was written to meanwhile: its
// service must be stopped first.
func Copy(ctx context.Context, from, to Options, a Actor) (Copied, error) {
	from.Create, from.Migrate = false, false
	source, err := Open(ctx, from)
	if err != nil {
		return Copied{}, err
	}
	defer source.Close()
	done := false
	target, undo, err := openTarget(ctx, to)
	if err != nil {
		return Copied{}, err
	}
	defer func() {
		target.close()
		undo(done)
	}()
	if err := source.act(ctx, a, CopyDatabase, "", func(*tx) error { return nil }); err != nil {
		return Copied{}, err
	}
	c, err := source.copyTo(ctx, target)
	done = err == nil
	return c, unavailable(err)
}

// openTarget begins a transaction in an empty database. undo closes it, and
// takes it away again where there was none and nothing was done.
func openTarget(ctx context.Context, o Options) (c *conn, undo func(done bool), err error) {
	path, there := "", true
	if !isPostgres(o.URL) {
		path = strings.TrimPrefix(o.URL, "sqlite:")
		_, err := os.Stat(path)
		there = !errors.Is(err, os.ErrNotExist)
	}
	db, d, err := openURL(withDefaults(o), true)
	if err != nil {
		return nil, nil, err
	}
	undo = func(done bool) {
		db.Close()
		if !done && !there {
			removeDatabase(path)
		}
	}
	if c, err = newConn(ctx, db, d); err == nil {
		if err = c.beginCopy(); err != nil {
			c.close()
		}
	}
	if err == nil && !there {
		err = KeepOwner(filepath.Dir(path), path)
	}
	if err != nil {
		undo(false)
		return nil, nil, fmt.Errorf("open %s: %w", DatabaseName(o.URL), unavailable(err))
	}
	return c, undo, nil
}

func (c *conn) beginCopy() error {
	if err := c.script(c.beginSetup); err != nil {
		return err
	}
	pending, err := pendingSteps(c)
	if err == nil && (len(pending) == 0 || pending[0] > 1) {
		err = ErrNotEmpty
	}
	if err != nil {
		c.abort()
	}
	return err
}

// copyTo copies everything, as of one moment, into a target in which a
// transaction was begun, and commits it.
func (s *Store) copyTo(ctx context.Context, target *conn) (Copied, error) {
	result := Copied{Rows: make(map[string]int64)}
	err := s.readLong(ctx, func(from *tx) error {
		to := &tx{conn: target, s: s, now: s.now()}
		pending, err := pendingSteps(target)
		if err != nil {
			return err
		}
		if err := to.applySteps(pending); err != nil {
			return err
		}
		if err := to.script(`DELETE FROM audit_indexed`); err != nil { // which step 4 filled
			return err
		}
		for _, table := range tables() {
			if result.Rows[table], err = copyTable(from.conn, target, table); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
		}
		result.Entries, err = s.verifyCopy(ctx, from, to)
		return err
	})
	if err != nil {
		target.script("ROLLBACK")
		return Copied{}, err
	}
	return result, target.script("COMMIT")
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tables returns the names of all tables but that of the steps, those first that
// others refer to.
func tables() []string {
	var names []string
	for _, found := range createTable.FindAllStringSubmatch(schema, -1) {
		if !slices.Contains(names, found[1]) { // a later step may make it anew
			names = append(names, found[1])
		}
	}
	return names
}

// Rows are written in batches: SQLite looks for every value among all of its
// statement, and none is to take much memory.
const (
	copyValues = 800
	copyBytes  = 4 << 20
)

// copyTable copies a table, compares what was read with what can be read then,
// and returns how many rows there are.
func copyTable(from, to *conn, table string) (n int64, err error) {
	var b batch
	n, sum, err := from.eachRow(table, func(columns []string, row []any) error {
		if b.full(row) {
			if err := b.insert(to, table); err != nil {
				return err
			}
		}
		b.columns, b.rows = columns, append(b.rows, slices.Clone(row))
		return nil
	})
	if err == nil {
		err = b.insert(to, table)
	}
	if err != nil {
		return n, err
	}
	copied, copiedSum, err := to.eachRow(table, func([]string, []any) error { return nil })
	if err == nil && (copied != n || copiedSum != sum) {
		err = fmt.Errorf("%d rows were read, and %d others came out of the copy", n, copied)
	}
	return n, err
}

// batch is rows that are written at once.
type batch struct {
	columns []string
	rows    [][]any
	bytes   int
}

// full tells whether a row is too much for the batch, and counts its bytes.
func (b *batch) full(row []any) bool {
	size := 0
	for _, v := range row {
		switch v := v.(type) {
		case []byte:
			size += len(v)
		case string:
			size += len(v)
		}
	}
	b.bytes += size
	return len(b.rows) > 0 && ((len(b.rows)+1)*len(row) > copyValues || b.bytes > copyBytes)
}

func (b *batch) insert(to *conn, table string) error {
	if len(b.rows) == 0 {
		return nil
	}
	var q statement
	q.add("INSERT INTO " + table + " (" + strings.Join(b.columns, ", ") + ") VALUES ")
	row := "($" + strings.Repeat(", $", len(b.columns)-1) + ")"
	for i, values := range b.rows {
		if i > 0 {
			q.add(", ")
		}
		q.add(row, values...)
	}
	*b = batch{}
	_, err := to.c.ExecContext(to.ctx, q.text.String(), q.args...)
	return err
}

// eachRow calls f with every row of a table, whose values it may not keep. The
// sum is over all values, in whatever order the rows are.
func (c *conn) eachRow(table string, f func(columns []string, row []any) error) (n int64, sum uint64, err error) {
	rows, err := c.c.QueryContext(c.ctx, "SELECT * FROM "+table)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, 0, err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, sum, err
		}
		n++
		sum += rowSum(columns, row)
		if err := f(columns, row); err != nil {
			return n, sum, err
		}
	}
	return n, sum, rows.Err()
}

// rowSum is a sum over a row: every value by its column, with its type.
func rowSum(columns []string, row []any) uint64 {
	values := make([]string, 0, 2*len(row))
	for i, v := range row {
		text := fmt.Sprint(v)
		if b, ok := v.([]byte); ok {
			text = string(b)
		}
		values = append(values, columns[i], fmt.Sprintf("%T", v), text)
	}
	sum := sha256.Sum256(pack(values...))
	return binary.BigEndian.Uint64(sum[:])
}

// verifyCopy checks the target's trail, and that nobody has added to the source's
// since. It returns how many entries there are.
func (s *Store) verifyCopy(ctx context.Context, from, to *tx) (int64, error) {
	if to.analyze != "" {
		if err := to.script(to.analyze); err != nil {
			return 0, err
		}
	}
	then, err := from.checkpoints(from.at())
	if err != nil {
		return 0, err
	}
	report, err := to.verifyTrail(then)
	if err != nil {
		return 0, fmt.Errorf("the audit trail does not hold: %w", err)
	}
	var now []head
	err = s.read(ctx, func(t *tx) (err error) {
		now, err = t.heads()
		return err
	})
	if err != nil {
		return 0, err
	}
	var entries int64
	for _, h := range now {
		entries += h.seq
	}
	if entries != report.Entries {
		return 0, fmt.Errorf("%w: %d entries were added to the trail of the source meanwhile", ErrInUse, entries-report.Entries)
	}
	return entries, nil
}
