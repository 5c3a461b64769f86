package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"hash"
	"strconv"
	"strings"
	"time"
)

// conn is one connection to the database, with the statements it has prepared
// where the dialect keeps them. One goroutine at a time uses it.
type conn struct {
	*dialect
	ctx    context.Context
	c      *sql.Conn
	stmts  map[string]driver.Stmt
	values []driver.NamedValue // of the statement that is run

	trailMAC hash.Hash // nil until an entry is added to the trail
}

func newConn(ctx context.Context, db *sql.DB, d *dialect) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{dialect: d, ctx: ctx, c: c, stmts: make(map[string]driver.Stmt)}, nil
}

func (c *conn) close() {
	c.closeStatements()
	c.c.Close()
}

// abort undoes the transaction and gives the connection back. One that does not
// take that is closed: whoever got it next would go on in the transaction.
func (c *conn) abort() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), abortTimeout)
	defer cancel()
	if _, err := c.c.ExecContext(ctx, "ROLLBACK"); err != nil {
		c.discard()
	}
	c.close()
}

const abortTimeout = 5 * time.Second

// discard makes the pool close the connection.
func (c *conn) discard() {
	c.closeStatements()
	c.c.Raw(func(any) error { return driver.ErrBadConn })
}

// exec runs a statement that answers no rows.
func (c *conn) exec(query string, args ...any) error {
	if !c.prepared {
		_, err := c.c.ExecContext(c.ctx, query, storable(args)...)
		return err
	}
	rows, err := c.query(query, args) // SQLite's driver hands all values over at once only where rows may come back
	if err != nil {
		return err
	}
	return rows.Close()
}

// changed is exec for who asks how many rows were changed.
func (c *conn) changed(query string, args ...any) (int64, error) {
	if c.prepared {
		return c.execute(query, args)
	}
	result, err := c.c.ExecContext(c.ctx, query, storable(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *conn) rows(query string, args ...any) (rowScanners, error) {
	if c.prepared {
		return c.query(query, args)
	}
	return c.c.QueryContext(c.ctx, query, storable(args)...)
}

// row is the first row of a query; its Scan reports every error.
func (c *conn) row(query string, args ...any) rowScanner {
	if c.prepared {
		rows, err := c.query(query, args)
		return oneRow{rows, err}
	}
	return c.c.QueryRowContext(c.ctx, query, storable(args)...)
}

// script runs statements that take no arguments and are run once.
func (c *conn) script(text string) error {
	_, err := c.c.ExecContext(c.ctx, text)
	return err
}

// rowScanner is a row of a result.
type rowScanner interface{ Scan(...any) error }

// rowScanners are the rows of a result, be it *sql.Rows or *driverRows.
type rowScanners interface {
	rowScanner
	Next() bool
	Err() error
	Close() error
}

// collect scans all rows and closes them. Without rows it returns an empty,
// not a nil, slice.
func collect[T any](rows rowScanners, scan func(rowScanner) (T, error)) ([]T, error) {
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// flag is a truth as an INTEGER column has it.
func flag(is bool) int {
	if is {
		return 1
	}
	return 0
}

// orNull is NULL in place of an empty value. PostgreSQL's driver takes an empty
// []byte for a value.
func orNull[T string | []byte](v T) any {
	if len(v) == 0 {
		return nil
	}
	return v
}

func scanText(r rowScanner) (text string, err error) {
	err = r.Scan(&text)
	return text, err
}

// statement is a query in the making: pieces of constant text, and the values
// bound to them. Each $ of a piece takes the next number, so that numbers
// stand in order of first use, as both drivers bind them alike only then.
type statement struct {
	text strings.Builder
	args []any
}

func (q *statement) add(piece string, values ...any) {
	for i, part := range strings.Split(piece, "$") {
		if i > 0 {
			q.args = append(q.args, findable(values[i-1]))
			q.text.WriteString("$" + strconv.Itoa(len(q.args)))
		}
		q.text.WriteString(part)
	}
}

// findable is a value as it can be looked for. What no database keeps as text,
// NUL and what is no UTF-8, becomes U+FFFD, which no id holds, nor anything else
// that is looked for.
func findable(value any) any {
	if text, ok := value.(string); ok {
		return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\ufffd"), "\ufffd")
	}
	return value
}

// in adds the values, commas between. The last is repeated up to a power of
// two: few different texts mean few statements to keep prepared.
func (q *statement) in(values []string) {
	size := 1
	for size < len(values) {
		size *= 2
	}
	for i := range size {
		q.add([]string{"$", ", $"}[min(i, 1)], values[min(i, len(values)-1)])
	}
}
