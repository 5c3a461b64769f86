package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// committer is the one goroutine that uses SQLite's writing connection. It
// runs the actions that wait in one transaction, commits once for all, and only
// then answers them: a fsync is shared by everyone who waits for it. An action that
// fails undoes itself alone. Few fail after they have written something, and
// SQLite copies every page that is written under a savepoint: so all are run
// without, and once more, each under a savepoint of its own, when one fails so. Some
// batches after it take savepoints at once: who makes actions fail, again and again,
// slows others by no more than these.
type committer struct {
	s    *Store
	conn *conn
	jobs chan *job
	quit chan struct{}
	done chan struct{} // closed when the goroutine has ended

	careful int // how many batches are run under savepoints, now that an action has failed that had written

	untidied int           // actions since the log was last to be tidied
	untidy   chan struct{} // receives when it is to be
	endTidy  func()
	tidied   chan struct{} // closed when nobody tidies any more
}

type job struct {
	ctx    context.Context
	action func(*tx) error
	queued bool // it left mail in the outbox
	err    error
	done   chan struct{}
}

const (
	maxWaiting = 1024 // jobs in the queue; beyond it, ErrUnavailable
	maxBatch   = 128  // jobs in one transaction
	yields     = 3    // how often others are let through before a batch ends
	tidyEvery  = 256  // jobs
	carefulFor = 100  // batches
)

func startCommitter(s *Store, c *conn) *committer {
	m := &committer{
		s: s, conn: c, jobs: make(chan *job, maxWaiting), quit: make(chan struct{}), done: make(chan struct{}),
		untidy: make(chan struct{}, 1), tidied: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(c.ctx)
	m.endTidy = cancel
	go m.run()
	go m.tidy(ctx)
	return m
}

// do runs an action and returns its error, once what it did is on the disk or
// undone. It returns ErrUnavailable when the queue is full or the store closed.
func (m *committer) do(ctx context.Context, action func(*tx) error) error {
	j := &job{ctx: ctx, action: action, done: make(chan struct{})}
	select {
	case m.jobs <- j:
	default:
		return fmt.Errorf("%w: %d actions wait", ErrUnavailable, maxWaiting)
	}
	select {
	case <-j.done:
		return j.err
	case <-m.done:
	}
	select {
	case <-j.done: // answered just before the end
		return j.err
	default:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	}
}

// stop finishes what waits, ends the goroutines and closes the connection.
func (m *committer) stop() {
	close(m.quit)
	<-m.done
	m.endTidy()
	<-m.tidied
	m.conn.close()
}

// tidy moves what was committed from SQLite's log into the file, while others go
// on: else one commit of many would do that for all before it, and whoever shares
// it would wait. What comes meanwhile is little enough to be moved so, at a commit,
// whereupon the log begins anew. When it fails, it will be tried again.
func (m *committer) tidy(ctx context.Context) {
	defer close(m.tidied)
	for {
		select {
		case <-m.untidy:
			_, _ = m.s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		case <-ctx.Done():
			return
		}
	}
}

func (m *committer) run() {
	defer close(m.done)
	for {
		select {
		case j := <-m.jobs:
			m.batch(j)
		case <-m.quit:
			for len(m.jobs) > 0 {
				m.batch(<-m.jobs)
			}
			return
		}
	}
}

// batch runs the first job and those that have come meanwhile in one
// transaction and answers them all.
func (m *committer) batch(first *job) {
	jobs := []*job{first}
	err := m.runAll(&jobs, m.careful > 0)
	m.careful = max(m.careful-1, 0)
	if errors.Is(err, errWritten) {
		m.careful = carefulFor
		err = m.runAll(&jobs, true)
	}
	if err != nil {
		m.s.log.ErrorContext(m.conn.ctx, "a transaction failed; nothing of it was kept", "actions", len(jobs), "cause", Describe(err))
	}
	queued := false
	for _, j := range jobs {
		if err != nil {
			j.err = fmt.Errorf("%w: %s", ErrUnavailable, Describe(err))
		}
		queued = queued || err == nil && j.queued
		close(j.done)
	}
	if queued {
		announce(m.s.mail)
	}
	if m.untidied += len(jobs); m.untidied >= tidyEvery {
		m.untidied = 0
		announce(m.untidy)
	}
}

// runAll runs the jobs in one transaction, and with them those that come meanwhile,
// which it adds.
func (m *committer) runAll(jobs *[]*job, savepoints bool) error {
	return m.transaction(func(head *head) error {
		for i := 0; i < len(*jobs); i++ {
			if err := m.runOne((*jobs)[i], head, savepoints); err != nil {
				return err
			}
			if j := m.next(len(*jobs)); j != nil {
				*jobs = append(*jobs, j)
			}
		}
		return nil
	})
}

// next returns a job that waits, or nil when none does or the batch is full. Who is
// about to ask is let through first: the larger a batch, the less of its fsync and
// of the pages that it writes falls to each.
func (m *committer) next(batched int) *job {
	if batched == maxBatch {
		return nil
	}
	for range yields + 1 {
		select {
		case j := <-m.jobs:
			return j
		default:
			runtime.Gosched()
		}
	}
	return nil
}

func (m *committer) transaction(f func(*head) error) (err error) {
	if err := m.conn.exec(beginWrite); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			m.conn.exec("ROLLBACK") // fails when SQLite has rolled back by itself, as it does when the disk is full
		}
	}()
	h, err := readHead(m.conn)
	if err != nil {
		return err
	}
	before := h.seq
	if err := f(&h); err != nil {
		return err
	}
	if err = m.conn.exec("COMMIT"); err == nil {
		m.s.grow(h.seq - before)
	}
	return err
}

// errWritten is what an action that fails has written and cannot undo alone.
var errWritten = errors.New("an action failed that had written something, without a savepoint")

// runOne runs a job, under a savepoint, if asked, once it writes more than its entry
// in the trail. It returns an error only when the whole transaction is spoilt, as it
// is when the entry cannot be written; the job's own error goes into the job.
func (m *committer) runOne(j *job, h *head, savepoints bool) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil // who asked has gone
	}
	t := &tx{conn: m.conn, s: m.s, now: m.s.now(), head: *h, savepoints: savepoints, trial: !savepoints}
	if j.err = guarded(t, j.action); j.err != nil {
		if isUnavailable(j.err) || errors.Is(j.err, ErrUnavailable) {
			return j.err
		}
		if t.trial && t.wrote {
			return errWritten
		}
		if err := t.undo(); err != nil {
			return err
		}
		t.head = *h
		if err := t.traceRefusal(); err != nil {
			return err
		}
	}
	if err := t.keep(); err != nil {
		return err
	}
	*h, j.queued = t.head, t.mailQueued && j.err == nil
	return nil
}
