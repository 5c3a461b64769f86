package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// DataKey is a data key as the database knows it.
type DataKey struct {
	ID      string
	Created time.Time // when the database first met it
	Retired time.Time // since when nothing is wrapped by it; zero while something is
	Held    bool      // whether this process has it
	Wraps   int       // how many keys
}

// DataKeys returns the data keys, newest first.
func (s *Store) DataKeys(ctx context.Context) ([]DataKey, error) {
	var list []DataKey
	err := s.read(ctx, func(t *tx) error {
		rows, err := t.rows(`SELECT k.id, k.created_at, COALESCE(k.retired_at, ''),
				(SELECT COUNT(*) FROM accounts a WHERE a.data_key_id = k.id) + (SELECT COUNT(*) FROM service_keys s WHERE s.data_key_id = k.id)
			FROM data_keys k ORDER BY k.created_at DESC, k.id DESC`)
		if err != nil {
			return err
		}
		list, err = collect(rows, func(r rowScanner) (DataKey, error) {
			var k DataKey
			var created, retired Instant
			err := r.Scan(&k.ID, &created, &retired, &k.Wraps)
			k.Created, k.Retired = created.Time(), retired.Time()
			_, k.Held = s.keys.dataKey(k.ID)
			return k, err
		})
		return err
	})
	return list, err
}

// rewrapBatch is how many keys are wrapped anew in one transaction, so that
// other writers never wait long.
const rewrapBatch = 200

// AddDataKey makes a new data key the one that wraps from now on, here and in
// every other process, unless there is one already that does not yet wrap
// everything. add puts the new key before those that Options.ReloadKeys reads,
// on the disk; while it does no other process adds one.
func (s *Store) AddDataKey(ctx context.Context, a Actor, add func() error) error {
	add = sync.OnceValue(add) // also when the action is run again
	return s.peek(ctx, a, RotateKeys, func(t *tx) error {
		if err := t.holdDataKeys(); err != nil {
			return err
		}
		unfinished, err := t.exists(`SELECT 1 FROM data_keys WHERE retired_at IS NULL LIMIT 1 OFFSET 1`)
		if err != nil || unfinished {
			return err
		}
		if s.keys.reload == nil {
			return errors.New("the data keys cannot be read again")
		}
		if err := add(); err != nil {
			return err
		}
		keys, err := s.keys.reload()
		if err != nil {
			return err
		}
		if err := s.keys.load(keys); err != nil {
			return err
		}
		return t.registerDataKey(s.keys.first())
	})
}

// RotateKeys wraps every key by the newest data key, a batch at a time beside
// all other work, and retires the other data keys when nothing is wrapped by
// them any more. It may be stopped at any moment and called again. It returns
// how many keys were wrapped anew.
//
// What the keys seal stays as it is, and so do those keys: who holds an old data
// key and an old copy of the database has the keys of the accounts that were in
// it, and could open with them what a later copy holds of those accounts.
func (s *Store) RotateKeys(ctx context.Context, a Actor) (int, error) {
	for total := 0; ; {
		done := 0
		err := s.act(ctx, a, RotateKeys, "", func(t *tx) (err error) {
			if done, err = t.rewrap(); err == nil && done == 0 {
				err = t.retireDataKeys()
			}
			return err
		})
		if err != nil || done == 0 {
			return total, err
		}
		total += done
	}
}

// retireDataKeys marks the data keys by which nothing is wrapped, but for the
// one that wraps from now on.
func (t *tx) retireDataKeys() error {
	newest, err := t.newestDataKey()
	if err != nil {
		return err
	}
	return t.exec(`UPDATE data_keys SET retired_at = $1 WHERE retired_at IS NULL AND id <> $2
		AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.data_key_id = data_keys.id)
		AND NOT EXISTS (SELECT 1 FROM service_keys k WHERE k.data_key_id = data_keys.id)`, t.at(), newest)
}

// rewrap wraps a batch of keys anew and returns how many there were.
func (t *tx) rewrap() (int, error) {
	newest, err := t.newestDataKey()
	if err != nil {
		return 0, err
	}
	done := 0
	for _, kind := range []struct{ find, update string }{
		{`SELECT name, data_key_id, wrapped FROM service_keys WHERE data_key_id <> $1 LIMIT $2`,
			`UPDATE service_keys SET data_key_id = $1, wrapped = $2 WHERE name = $3`},
		{`SELECT id, data_key_id, wrapped_key FROM accounts WHERE data_key_id <> $1 LIMIT $2`,
			`UPDATE accounts SET data_key_id = $1, wrapped_key = $2 WHERE id = $3`},
	} {
		n, err := t.rewrapSome(newest, kind.find, kind.update)
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

func (t *tx) rewrapSome(newest, find, update string) (int, error) {
	type wrappedKey struct {
		owner, dataKey string
		wrapped        []byte
	}
	rows, err := t.rows(find, newest, rewrapBatch)
	if err != nil {
		return 0, err
	}
	keys, err := collect(rows, func(r rowScanner) (k wrappedKey, err error) {
		err = r.Scan(&k.owner, &k.dataKey, &k.wrapped)
		return k, err
	})
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		key, err := t.s.keys.unwrap(k.owner, k.dataKey, k.wrapped)
		if err != nil {
			return 0, t.sealed(err, "owner of the key", k.owner)
		}
		id, wrapped, err := t.wrap(k.owner, key)
		if err != nil {
			return 0, err
		}
		if err := t.exec(update, id, wrapped, k.owner); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
