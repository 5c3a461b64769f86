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

// Waiting is how many actions wait now.
func (s *Store) Waiting() int { return len(s.writer.(*committer).jobs) }

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
