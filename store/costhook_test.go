package store

import "context"

// What reading and writing would cost without an entry in the trail.

func (s *Store) UntracedRecord(ctx context.Context, a Actor, id string) error {
	return s.peek(ctx, a, ReadRecord, func(t *tx) error {
		_, err := t.reachRecord(id)
		return err
	})
}

func (s *Store) UntracedCreate(ctx context.Context, a Actor, in *RecordInput) error {
	return s.peek(ctx, a, CreateRecord, func(t *tx) error {
		_, err := t.createRecord(in)
		return err
	})
}

// SealedRecord is a text as it is sealed in a record, with what opens it.
type SealedRecord struct {
	key    sealer
	sealed []byte
}

func SealRecord(title, description string) (r SealedRecord) {
	r.key, _ = newSealer(make([]byte, 32))
	r.sealed = r.key.seal(place("records.content", "id", 1), title, description)
	return r
}

func (r SealedRecord) Seal(title, description string) {
	r.key.seal(place("records.content", "id", 1), title, description)
}

func (r SealedRecord) Open() error {
	_, err := r.key.open(place("records.content", "id", 1), r.sealed, 2)
	return err
}

// LiveSessions is what every attempt to sign in looks up.
const LiveSessions = liveSessions
