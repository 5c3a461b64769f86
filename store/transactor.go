package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// transactor runs actions on PostgreSQL, each in a transaction of its own that
// sees the database as it was at its beginning (REPEATABLE READ): the tie, the
// policy and the data are of one moment, and a row that somebody else has
// changed since cannot be changed. Then the action is run again.
//
// Each transaction adds to a lane of the trail that it has for itself to its
// end. How many actions run at once is limited by the lanes of the process.
type transactor struct {
	s    *Store
	room chan struct{} // filled with as many as there are lanes in use
	quit chan struct{}

	mu    sync.Mutex
	lanes []int // that this process tries first, and that no action has; the last used last
}

const (
	lanes         = 64 // of the trail: how many transactions can write at once, of all processes
	maxAttempts   = 10 // of an action that meets others
	aloneAttempts = 7  // of those, the last, which begin when nobody else's action runs
	longestRest   = 100 * time.Millisecond
)

var (
	errNoLane   = errors.New("all lanes of the trail are in use")
	errNotBegun = errors.New("no transaction was begun") // and so nothing can be answered, whatever the cause
)

func newTransactor(s *Store, c *conn) *transactor {
	c.close()
	n := min(s.options.MaxConnections, lanes)
	return &transactor{
		s: s, room: make(chan struct{}, n), quit: make(chan struct{}),
		lanes: rand.Perm(lanes)[:n], // other processes most likely try others
	}
}

// stop waits for the actions under way. Those that come later are refused.
func (w *transactor) stop() {
	close(w.quit)
	for range cap(w.room) {
		w.room <- struct{}{}
	}
}

// do runs an action until it has met nobody. It returns ErrUnavailable when
// that takes longer than Options.Timeout or maxAttempts, and when the connection
// was lost: an action whose COMMIT was not answered may have been done.
func (w *transactor) do(ctx context.Context, action func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err // who asked has gone
	}
	limited, cancel := context.WithTimeout(ctx, w.s.options.Timeout)
	defer cancel()
	select {
	case <-w.quit:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	case <-limited.Done():
		return w.explain(ctx, limited.Err())
	case w.room <- struct{}{}:
	}
	lane := w.takeLane()
	defer w.leaveLane(lane)
	return w.explain(ctx, w.attempts(limited, lane, action))
}

func (w *transactor) takeLane() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.lanes) - 1
	lane := w.lanes[last]
	w.lanes = w.lanes[:last]
	return lane
}

func (w *transactor) leaveLane(lane int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lanes = append(w.lanes, lane)
	<-w.room
}

// explain turns trouble of the database into ErrUnavailable, or into what ctx
// says when who asked has gone.
func (w *transactor) explain(ctx context.Context, err error) error {
	trouble := errors.Is(err, errNotBegun) || isConflict(err) || isUnavailable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if ctx.Err() != nil && (trouble || errors.Is(err, ErrUnavailable)) {
		return ctx.Err()
	}
	if !trouble {
		return err
	}
	if !errors.Is(err, errNotBegun) { // else who answers has all there is to log
		w.s.log.ErrorContext(ctx, "a transaction failed; nothing of it was kept", "cause", Describe(err))
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, Describe(err))
}

// attempts runs an action again when it met others, after a rest that grows, and
// in the end alone: else those who change one row, such as a doctor whom many
// patients choose, could go on being in each other's way.
func (w *transactor) attempts(ctx context.Context, lane int, action func(*tx) error) error {
	rest := time.Millisecond
	for n := 1; ; n++ {
		mode := "ROW EXCLUSIVE"
		if n > maxAttempts-aloneAttempts {
			mode = "EXCLUSIVE"
		}
		err := w.attempt(ctx, begin{lane, mode, w.s.options.Timeout}, action)
		if !isConflict(err) || n == maxAttempts {
			return err
		}
		select {
		case <-time.After(rand.N(rest)):
			rest = min(2*rest, longestRest)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attempt runs an action once. A refusal is undone, and leaves its entry in a
// transaction of its own.
func (w *transactor) attempt(ctx context.Context, b begin, action func(*tx) error) error {
	tried, failed := w.transaction(ctx, b, func(t *tx) error { return guarded(t, action) })
	if failed == nil && tried.mailQueued {
		announce(w.s.mail)
	}
	if failed == nil || tried == nil || !tried.refused || isConflict(failed) || isUnavailable(failed) {
		return failed
	}
	_, err := w.transaction(ctx, b, func(t *tx) error { return t.append(tried.entry) })
	if err != nil {
		return err // what leaves no trace is not answered
	}
	return failed
}

// transaction runs f and commits. When f fails, all is undone. tx is nil when
// nothing was begun.
func (w *transactor) transaction(ctx context.Context, b begin, f func(*tx) error) (*tx, error) {
	var h head
	c, err := w.s.begin(ctx, func(c *conn) (err error) {
		h, err = c.begin(b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotBegun, err)
	}
	t := &tx{conn: c, s: w.s, now: w.s.now(), head: h}
	if err := f(t); err != nil {
		if isLost(err) {
			c.discard()
		}
		c.abort()
		return t, err
	}
	if err := c.commit(w.s.options.Timeout); err != nil {
		return t, err
	}
	w.s.grow(t.head.seq - h.seq)
	return t, nil
}

// begin says how a transaction begins.
type begin struct {
	lane    int    // of the trail, to be tried first
	mode    string // of the lock that every action has on a table that none changes
	timeout time.Duration
}

// begin begins a transaction, all in one round trip: it takes the first lane that
// is free, from the one given on, and reads its end. What it sees is the database
// at its first SELECT, so behind the wait for the table. Somebody may add to the
// lane between that moment and the next, in which the lane is free: then the
// number of the next entry is taken, and the action conflicts.
func (c *conn) begin(b begin) (head, error) {
	ms := b.timeout.Milliseconds()
	rows, err := c.c.QueryContext(c.ctx, fmt.Sprintf(`BEGIN ISOLATION LEVEL REPEATABLE READ;
		SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d; SET LOCAL synchronous_commit = on; `+planning+`;
		LOCK TABLE schema_steps IN %s MODE;
		WITH mine AS MATERIALIZED (SELECT (g + %d) %% %d AS lane FROM generate_series(0, %d) g
			WHERE pg_try_advisory_xact_lock(%d, (g + %d) %% %d) LIMIT 1)
		SELECT m.lane, a.seq, a.mac FROM mine m
			LEFT JOIN LATERAL (SELECT b.seq, b.mac FROM audit b WHERE b.lane = m.lane ORDER BY b.seq DESC LIMIT 1) a ON TRUE`,
		ms, ms, b.mode, b.lane, lanes, lanes-1, lockClass, b.lane, lanes))
	if err != nil {
		return head{}, err
	}
	heads, err := collect(rows, func(r rowScanner) (h head, err error) {
		var seq sql.NullInt64
		err = r.Scan(&h.lane, &seq, &h.mac)
		h.seq = seq.Int64
		return h, err
	})
	if err == nil && len(heads) == 0 {
		err = errNoLane
	}
	if err != nil {
		return head{}, err
	}
	return heads[0], nil
}

// commit ends the transaction, also when who asked has gone meanwhile. The
// SELECT fails where a statement failed before: COMMIT alone would undo all and
// say nothing. When the answer does not come, it is not known whether it was
// done, and the action must not be run again.
func (c *conn) commit(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), timeout)
	defer cancel()
	_, err := c.c.ExecContext(ctx, "SELECT 1; COMMIT")
	if err == nil {
		c.close()
		return nil
	}
	lost := isLost(err) || ctx.Err() != nil
	c.abort()
	if lost {
		return fmt.Errorf("%w: the connection was lost at COMMIT: %s", ErrUnavailable, Describe(err))
	}
	return err
}
