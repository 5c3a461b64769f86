package store

import (
	"context"
	"database/sql"
)

// What the tests look at from within.

var (
	Pack    = pack
	Unpack  = unpack
	Words   = words
	Matches = matches
)

// MaxWaiting is how many actions may wait.
const MaxWaiting = maxWaiting

// Everyday leaves out what the index of seldom actions leaves out.
const Everyday = everyday

// Waiting is how many actions wait now.
func (s *Store) Waiting() int { return len(s.writer.(*committer).jobs) }

// PreferFirstLane makes actions that come one after another add to the first
// lane of the trail, so that their entries are numbered in their order.
func (s *Store) PreferFirstLane() {
	w, ok := s.writer.(*transactor)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.lanes)
}

// IndexEvery makes so many entries of a lane be indexed by patient at once.
func (s *Store) IndexEvery(n int64) { s.indexEvery = n }

// Script runs statements on the writing connection.
func (s *Store) Script(ctx context.Context, text string) error {
	return s.write(ctx, func(t *tx) error { return t.script(text) })
}

// AllConns opens every connection that the store may have, and returns them
// with the writing one.
func (s *Store) AllConns(ctx context.Context) (conns []*sql.Conn, free func(), err error) {
	free = func() {
		for _, c := range conns {
			c.Close()
		}
	}
	for range maxReaders {
		c, err := s.db.Conn(ctx)
		if err != nil {
			free()
			return nil, nil, err
		}
		conns = append(conns, c)
	}
	return append([]*sql.Conn{s.writer.(*committer).conn.c}, conns...), free, nil
}

// Swallow is an action that takes no notice of a statement that failed.
func (s *Store) Swallow(ctx context.Context) error {
	return s.write(ctx, func(t *tx) error {
		t.exec(`SELECT nothing FROM nowhere`)
		return nil
	})
}

// CountRows counts the rows of all tables.
func (s *Store) CountRows(ctx context.Context) (counts map[string]int64, err error) {
	err = s.read(ctx, func(t *tx) (err error) {
		counts, err = t.countRows()
		return err
	})
	return counts, err
}

// Planning is how PostgreSQL is told to plan.
const Planning = planning

// LockClass is the first key of the advisory locks.
const LockClass = lockClass

// EventsQuery is what Events asks for the first page.
func (s *Store) EventsQuery(f EventFilter, limit int) (text string, args []any) {
	t := &tx{conn: &conn{dialect: s.dialect}}
	q := t.eventsQuery(f, Position{}, limit)
	return q.text.String(), q.args
}
