package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// conn is one connection to the database with the statements it has prepared.
// One goroutine at a time uses it.
type conn struct {
	ctx   context.Context
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{ctx: ctx, c: c, stmts: make(map[string]*sql.Stmt)}, nil
}

func (c *conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	c.c.Close()
}

func (c *conn) prepared(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.c.PrepareContext(c.ctx, query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

// exec returns how many rows were changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	s, err := c.prepared(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(c.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *conn) rows(query string, args ...any) (*sql.Rows, error) {
	s, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(c.ctx, args...)
}

// row is the first row of a query; its Scan reports every error.
func (c *conn) row(query string, args ...any) rowScanner {
	s, err := c.prepared(query)
	if err != nil {
		return failedRow{err}
	}
	return s.QueryRowContext(c.ctx, args...)
}

// script runs statements that take no arguments and are run once.
func (c *conn) script(text string) error {
	_, err := c.c.ExecContext(c.ctx, text)
	return err
}

// rowScanner is a row of a result, be it *sql.Row or *sql.Rows.
type rowScanner interface{ Scan(...any) error }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// collect scans all rows and closes them. Without rows it returns an empty,
// not a nil, slice.
func collect[T any](rows *sql.Rows, scan func(rowScanner) (T, error)) ([]T, error) {
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
			q.args = append(q.args, values[i-1])
			q.text.WriteString("$" + strconv.Itoa(len(q.args)))
		}
		q.text.WriteString(part)
	}
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
