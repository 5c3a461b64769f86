package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
)

//go:embed schema.sql
var schema string

// steps are the numbered steps of schema.sql; step n is steps[n-1].
var steps = strings.Split(schema, "\n-- step ")[1:]

// pendingSteps returns the numbers of the steps that the database lacks. It
// returns ErrSchema when the database has a step that this program lacks.
func pendingSteps(c *conn) ([]int, error) {
	var applied int
	known := c.row(c.tableExists, "schema_steps").Scan(new(int)) == nil
	if known {
		if err := c.row(`SELECT COALESCE(MAX(step), 0) FROM schema_steps`).Scan(&applied); err != nil {
			return nil, err
		}
	} else if err := c.row(`SELECT 1`).Scan(new(int)); err != nil {
		return nil, err
	}
	if applied > len(steps) {
		return nil, fmt.Errorf("%w: the database is at step %d, this program knows %d; use a newer release", ErrSchema, applied, len(steps))
	}
	var pending []int
	for n := applied + 1; n <= len(steps); n++ {
		pending = append(pending, n)
	}
	return pending, nil
}

// checkEncoding returns an error when the database does not keep every text as it
// is: in LATIN1 some cannot be kept, in SQL_ASCII letters are bytes.
func (c *conn) checkEncoding() error {
	if c.encoding == "" {
		return nil
	}
	var name string
	if err := c.row(c.encoding).Scan(&name); err != nil || name == "UTF8" {
		return err
	}
	return fmt.Errorf("the database has the encoding %s; make it with ENCODING 'UTF8' TEMPLATE template0", name)
}

func (t *tx) applySteps(numbers []int) error {
	if len(numbers) > 0 && numbers[0] == 1 {
		if err := t.script(t.adapt("CREATE TABLE schema_steps (\n step INTEGER PRIMARY KEY,\n applied_at TEXT NOT NULL\n);")); err != nil {
			return err
		}
	}
	if len(numbers) > 0 && numbers[0] > 1 && t.waitForActions != "" {
		if err := t.script(t.waitForActions); err != nil {
			return err
		}
	}
	for _, n := range numbers {
		text := t.adapt("-- "+steps[n-1]) + t.besides[n]
		if err := t.script(text); err != nil {
			return fmt.Errorf("schema step %d: %w", n, err)
		}
		if err := t.exec(`INSERT INTO schema_steps (step, applied_at) VALUES ($1, $2)`, n, t.at()); err != nil {
			return err
		}
	}
	return nil
}

// emailHashStep is the step that made the column for the hashes of addresses.
const emailHashStep = 3

// hashEmails fills in the hashes of the addresses of accounts from before there
// were any. An account that does not open is left without.
func (t *tx) hashEmails() error {
	rows, err := t.rows(`SELECT id FROM accounts ORDER BY id`)
	if err != nil {
		return err
	}
	ids, err := collect(rows, scanText)
	if err != nil {
		return err
	}
	for _, id := range ids {
		clear(t.met) // none is asked for twice
		a, err := t.account(id)
		if errors.Is(err, errSealed) {
			continue // which the log has
		}
		if err != nil {
			return err
		}
		if err := t.exec(`UPDATE accounts SET email_hash = $1 WHERE id = $2`, orNull(t.s.keys.emailHash(a.user.Email)), id); err != nil {
			return err
		}
	}
	return nil
}

// PendingSteps tells how many steps of the schema a database lacks, changing
// nothing. Of the options it needs the URL alone.
func PendingSteps(ctx context.Context, o Options) (n int, err error) {
	err = look(ctx, o, func(c *conn) error {
		pending, err := pendingSteps(c)
		n = len(pending)
		return err
	})
	return n, err
}

// IsEmpty tells whether a database has nothing of this program in it yet. Of the
// options it needs the URL alone.
func IsEmpty(ctx context.Context, o Options) (empty bool, err error) {
	err = look(ctx, o, func(c *conn) error {
		pending, err := pendingSteps(c)
		empty = len(pending) > 0 && pending[0] == 1
		return err
	})
	return empty, err
}

// look runs f on a connection to a database that is not opened further.
func look(ctx context.Context, o Options, f func(*conn) error) error {
	db, d, err := openURL(withDefaults(o), false)
	if err != nil {
		return err
	}
	defer db.Close()
	c, err := newConn(ctx, db, d)
	if err != nil {
		return unavailable(err)
	}
	defer c.close()
	if err := c.checkEncoding(); err != nil {
		return unavailable(err)
	}
	return unavailable(f(c))
}
