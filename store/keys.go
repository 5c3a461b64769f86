package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// ErrDataKey is returned by [Open] when the data keys given do not open the
// database. Its wrapping says which key ids are wanted and which were given.
var ErrDataKey = errors.New("wrong data key")

// keyring holds what opens the database: the data keys, which wrap all other
// keys, and the service's own keys, which the database holds wrapped.
type keyring struct {
	reload func() ([][]byte, error) // reads the data keys again; may be nil

	mu   sync.RWMutex
	ids  []string // of the data keys, the one to use first
	data map[string]sealer

	trail   []byte // MACs of the audit trail
	names   []byte // hashes of user names and other things looked up; tokens for one use
	general sealer // what belongs to nobody
}

// newKeyring takes data keys of 32 bytes, the one that wraps new keys first.
func newKeyring(keys [][]byte, reload func() ([][]byte, error)) (*keyring, error) {
	k := &keyring{reload: reload}
	return k, k.load(keys)
}

func (k *keyring) load(keys [][]byte) error {
	if len(keys) == 0 {
		return fmt.Errorf("%w: none given", ErrDataKey)
	}
	var ids []string
	data := make(map[string]sealer)
	for _, key := range keys {
		if len(key) != 32 {
			return fmt.Errorf("%w: a key has %d bytes, not 32", ErrDataKey, len(key))
		}
		id := DataKeyID(key)
		ids = append(ids, id)
		var err error
		if data[id], err = newSealer(key); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids, k.data = ids, data
	return nil
}

// dataKey returns a data key by its id. One that is not known may have been
// made since: then the keys are read again.
func (k *keyring) dataKey(id string) (sealer, bool) {
	if s, ok := k.known(id); ok || k.reload == nil {
		return s, ok
	}
	if keys, err := k.reload(); err != nil || k.load(keys) != nil {
		return sealer{}, false
	}
	return k.known(id)
}

func (k *keyring) known(id string) (sealer, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	s, ok := k.data[id]
	return s, ok
}

// held returns the ids of the data keys, for a message.
func (k *keyring) held() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return strings.Join(k.ids, " and ")
}

func (k *keyring) first() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.ids[0]
}

// DataKeyID returns the public name of a data key: 16 hexadecimal digits that
// tell nothing of the key.
func DataKeyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("healthrecords data key id v1"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// wrap seals a key under the newest data key; owner is the account or service
// key that it belongs to.
func (t *tx) wrap(owner string, key []byte) (dataKeyID string, wrapped []byte, err error) {
	id, err := t.newestDataKey()
	if err != nil {
		return "", nil, err
	}
	data, ok := t.s.keys.dataKey(id)
	if !ok {
		return "", nil, fmt.Errorf("%w: data key %s is wanted", ErrDataKey, id)
	}
	return id, data.seal(place("key", owner, 0, id), string(key)), nil
}

// newestDataKey returns the id of the data key that wraps, which stays so to the
// end of the transaction (see holdDataKeys).
func (t *tx) newestDataKey() (id string, err error) {
	err = t.row(`SELECT id FROM data_keys ORDER BY created_at DESC, id DESC LIMIT 1` + t.share).Scan(&id)
	return id, err
}

// unwrap returns a key that wrap sealed, or errSealed.
func (k *keyring) unwrap(owner, dataKeyID string, wrapped []byte) ([]byte, error) {
	data, ok := k.dataKey(dataKeyID)
	if !ok {
		return nil, fmt.Errorf("%w: data key %s is wanted", errSealed, dataKeyID)
	}
	values, err := data.open(place("key", owner, 0, dataKeyID), wrapped, 1)
	if err != nil {
		return nil, err
	}
	return []byte(values[0]), nil
}

// nameHash is how a user name is looked up: a keyed hash of the name with
// case folded, so that names that differ by case alone are one.
func (k *keyring) nameHash(username string) []byte {
	mac := hmac.New(sha256.New, k.names)
	mac.Write([]byte(strings.Map(foldRune, username)))
	return mac.Sum(nil)
}

// nameHashOf is what is stored of an account's name. One that was invited and
// has no name yet has a hash that is no name's.
func (k *keyring) nameHashOf(a *account) []byte {
	if a.user.Username == "" {
		return k.hash("invited", a.id)
	}
	return k.nameHash(a.user.Username)
}

// emailHash is how an e-mail address is looked up; nil for none.
func (k *keyring) emailHash(address string) []byte {
	if address == "" {
		return nil
	}
	return k.hash("email", strings.Map(foldRune, address))
}

// hash is a keyed hash of values of one kind. It is the hash of no user name:
// folded names have no small Latin letters, and what is hashed here begins with
// some.
func (k *keyring) hash(kind string, values ...string) []byte {
	mac := hmac.New(sha256.New, k.names)
	mac.Write([]byte("healthrecords "))
	mac.Write(pack(append([]string{kind}, values...)...))
	return mac.Sum(nil)
}

// foldRune returns the least rune that simple folding makes equal to r.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

// loadKeys reads the service's keys, making them when the database is new. An
// older one without them cannot have lost them by itself.
func (t *tx) loadKeys(k *keyring, isNew bool) error {
	if err := t.registerDataKey(k.first()); err != nil {
		return err
	}
	var general []byte
	for _, own := range []struct {
		name string
		key  *[]byte
	}{{"trail", &k.trail}, {"names", &k.names}, {"general", &general}} {
		if isNew {
			if err := t.makeServiceKey(own.name); err != nil {
				return err
			}
		}
		var err error
		if *own.key, err = t.serviceKey(k, own.name); err != nil {
			return err
		}
	}
	var err error
	k.general, err = newSealer(general)
	return err
}

// holdDataKeys writes all data keys as they are. Where transactions run beside
// each other, it waits for those that wrap by them, and those that see them as
// they were before must begin anew: once this one is committed, nothing is
// wrapped any more by what was the newest until now.
func (t *tx) holdDataKeys() error {
	return t.exec(`UPDATE data_keys SET created_at = created_at`)
}

// registerDataKey makes a data key that is new to the database the one that
// wraps: it is the newest even when the clock was put back.
func (t *tx) registerDataKey(id string) error {
	known, err := t.exists(`SELECT 1 FROM data_keys WHERE id = $1`, id)
	if err != nil || known {
		return err
	}
	if err := t.holdDataKeys(); err != nil {
		return err
	}
	var last Instant
	if err := t.row(`SELECT COALESCE(MAX(created_at), '') FROM data_keys`).Scan(&last); err != nil {
		return err
	}
	at := max(t.at(), InstantOf(last.Time().Add(time.Microsecond)))
	return t.exec(`INSERT INTO data_keys (id, created_at) VALUES ($1, $2)`, id, at)
}

func (t *tx) makeServiceKey(name string) error {
	id, wrapped, err := t.wrap(name, t.s.randomKey())
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO service_keys (name, data_key_id, wrapped) VALUES ($1, $2, $3)`, name, id, wrapped)
}

func (t *tx) serviceKey(k *keyring, name string) ([]byte, error) {
	var id string
	var wrapped []byte
	err := t.row(`SELECT data_key_id, wrapped FROM service_keys WHERE name = $1`, name).Scan(&id, &wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: the key %s was taken out of the database; restore a backup", ErrDataKey, name)
	}
	if err != nil {
		return nil, err
	}
	return k.unwrap(name, id, wrapped)
}

// wantedDataKeys returns the ids of the data keys that may wrap something.
func (c *conn) wantedDataKeys() ([]string, error) {
	rows, err := c.rows(`SELECT id FROM data_keys WHERE retired_at IS NULL ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanText)
}

// WantedDataKeys returns the ids of the data keys that a database cannot be
// opened without, changing nothing. It needs no key, and of the options the URL
// alone.
func WantedDataKeys(ctx context.Context, o Options) (ids []string, err error) {
	err = look(ctx, o, func(c *conn) (err error) {
		ids, err = c.wantedDataKeys()
		return err
	})
	return ids, err
}

// checkDataKeys returns ErrDataKey when keys in the database are still wrapped
// by a data key that was not given.
func (t *tx) checkDataKeys(k *keyring) error {
	wanted, err := t.wantedDataKeys()
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(wanted, func(id string) bool { _, ok := k.dataKey(id); return ok })
	if len(missing) > 0 {
		return fmt.Errorf("%w: it wants %s, and there is %s; put the key of its time into the key file or DATA_KEY", ErrDataKey, strings.Join(missing, " and "), k.held())
	}
	return nil
}
