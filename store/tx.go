package store

import (
	"runtime/debug"
	"time"
)

// tx is what an action works with: a transaction, its moment, the trail's head
// and who acts.
type tx struct {
	*conn
	s      *Store
	now    time.Time
	moment Instant // now, once somebody asked; see at
	head   head

	who        caller
	entry      entry
	concerned  map[string]bool // the patients in the entry
	refused    bool
	mailQueued bool
	looking    bool // limits stay as they are
	wrote      bool // the action has written more than an entry in the trail
	trial      bool // it will be run again when it fails and has
	savepoints bool // the action is to undo itself alone
	saved      bool // it has a savepoint

	met    map[string]*account // those that the action has looked up
	asked  string              // a patient of whom it has asked whether the caller treats it
	treats bool                // the answer
}

// at is the moment of the action.
func (t *tx) at() Instant {
	if t.moment == "" {
		t.moment = InstantOf(t.now)
	}
	return t.moment
}

// exec is conn.exec for what the action can be undone of.
func (t *tx) exec(query string, args ...any) error {
	if err := t.save(); err != nil {
		return err
	}
	return t.conn.exec(query, args...)
}

// changed is exec for who asks how many rows were changed.
func (t *tx) changed(query string, args ...any) (int64, error) {
	if err := t.save(); err != nil {
		return 0, err
	}
	return t.conn.changed(query, args...)
}

// save makes the savepoint that the action is undone to. Most actions read, and
// need none.
func (t *tx) save() error {
	t.wrote = true
	if !t.savepoints || t.saved {
		return nil
	}
	t.saved = true
	return t.conn.exec("SAVEPOINT action")
}

func (t *tx) undo() error {
	if !t.saved {
		return nil
	}
	return t.conn.exec("ROLLBACK TO action")
}

func (t *tx) keep() error {
	if !t.saved {
		return nil
	}
	return t.conn.exec("RELEASE action")
}

// guarded turns a panic of the action into an error, so that it takes down
// neither the service nor the actions that share its transaction.
func guarded(t *tx, action func(*tx) error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = ErrPanic
		if !t.trial || !t.wrote { // else it will panic once more
			t.s.log.ErrorContext(t.ctx, "panic in an action", "action", string(t.entry.action), "request", t.entry.request, "stack", string(debug.Stack()))
		}
	}()
	return action(t)
}
