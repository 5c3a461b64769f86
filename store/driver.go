package store

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"
)

// What follows talks to SQLite's driver without database/sql in between, which
// guards every statement and row against others who use the same, and looks for
// the type of every value. Here one goroutine at a time uses a connection. It is
// for statements that stay prepared.

// statement returns a query prepared, which it stays until the connection closes.
func (c *conn) statement(query string, raw any) (driver.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := raw.(driver.ConnPrepareContext).PrepareContext(c.ctx, query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

func (c *conn) closeStatements() {
	c.c.Raw(func(any) error {
		for _, s := range c.stmts {
			s.Close()
		}
		clear(c.stmts)
		return nil
	})
}

// run has a statement used, with its values, and no one else use the connection
// meanwhile.
func (c *conn) run(query string, args []any, use func(driver.Stmt, []driver.NamedValue) error) error {
	return c.c.Raw(func(raw any) error {
		s, err := c.statement(query, raw)
		if err != nil {
			return err
		}
		c.values = c.values[:0]
		for i, arg := range args {
			v, err := driver.DefaultParameterConverter.ConvertValue(arg)
			if err != nil {
				return err
			}
			c.values = append(c.values, driver.NamedValue{Ordinal: i + 1, Value: v})
		}
		return use(s, c.values)
	})
}

// execute runs a statement and returns how many rows were changed.
func (c *conn) execute(query string, args []any) (changed int64, err error) {
	err = c.run(query, args, func(s driver.Stmt, values []driver.NamedValue) error {
		result, err := s.(driver.StmtExecContext).ExecContext(c.ctx, values)
		if err == nil {
			changed, err = result.RowsAffected()
		}
		return err
	})
	return changed, err
}

// query begins to read rows.
func (c *conn) query(query string, args []any) (*driverRows, error) {
	r := &driverRows{c: c.c}
	return r, c.run(query, args, func(s driver.Stmt, values []driver.NamedValue) (err error) {
		if r.rows, err = s.(driver.StmtQueryContext).QueryContext(c.ctx, values); err == nil {
			r.values = make([]driver.Value, len(r.rows.Columns()))
		}
		return err
	})
}

// driverRows are the rows of a query, as *sql.Rows are.
type driverRows struct {
	c      *sql.Conn
	rows   driver.Rows
	values []driver.Value // of the row
	err    error
}

func (r *driverRows) Next() bool {
	err := r.c.Raw(func(any) error { return r.rows.Next(r.values) })
	if err != nil && err != io.EOF {
		r.err = err
	}
	return err == nil
}

func (r *driverRows) Err() error { return r.err }

func (r *driverRows) Close() error { return r.c.Raw(func(any) error { return r.rows.Close() }) }

func (r *driverRows) Scan(into ...any) error {
	if len(into) != len(r.values) {
		return fmt.Errorf("%d columns, and places for %d", len(r.values), len(into))
	}
	for i, v := range r.values {
		if !assign(into[i], v) {
			return fmt.Errorf("column %d: there is no place in a %T for a %T", i, into[i], v)
		}
	}
	return nil
}

// assign puts a value where it belongs, and tells whether it does. It converts
// nothing but numbers to truths.
func assign(into any, value driver.Value) bool {
	switch v := value.(type) {
	case string:
		if p, ok := into.(*string); ok {
			*p = v
			return true
		}
		if p := reflect.ValueOf(into).Elem(); p.Kind() == reflect.String { // by another name
			p.SetString(v)
			return true
		}
	case int64:
		switch p := into.(type) {
		case *int:
			*p = int(v)
			return true
		case *int64:
			*p = v
			return true
		case *bool:
			*p = v == 1
			return v == 0 || v == 1
		}
	case []byte:
		if p, ok := into.(*[]byte); ok {
			*p = v
			return true
		}
	case nil:
		if p, ok := into.(*[]byte); ok {
			*p = nil
			return true
		}
	}
	return false
}

// oneRow is the first row of a query.
type oneRow struct {
	rows *driverRows
	err  error
}

// Scan returns sql.ErrNoRows when there is none.
func (r oneRow) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if r.rows.Next() {
		return r.rows.Scan(into...)
	}
	if r.rows.err != nil {
		return r.rows.err
	}
	return sql.ErrNoRows
}
