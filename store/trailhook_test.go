package store

import (
	"context"
	"fmt"
)

// What tests of the trail need from inside.

// TrailEntry is an entry of the trail as its MAC covers it.
type TrailEntry struct {
	Lane     int      `json:"lane"`
	Seq      int64    `json:"seq"`
	At       Instant  `json:"at"`
	Actor    string   `json:"actor"`
	Role     Role     `json:"role"`
	Session  string   `json:"session"`
	Action   Action   `json:"action"`
	Object   string   `json:"object"`
	Version  int      `json:"version"`
	Patients []string `json:"patients"`
	Fields   []string `json:"fields"`
	Outcome  Outcome  `json:"outcome"`
	Address  string   `json:"address"`
	Request  string   `json:"request"`
}

// EntryMAC is the MAC of an entry behind one with the previous MAC.
func EntryMAC(key, previous []byte, e TrailEntry) []byte {
	inner := entry{e.At, e.Actor, e.Role, e.Session, e.Action, e.Object, e.Version, e.Patients, e.Fields, e.Outcome, e.Address, e.Request}
	return inner.mac(trailMAC(key), previous, e.Lane, e.Seq)
}

// CheckpointMAC is the MAC of a checkpoint.
func CheckpointMAC(key []byte, c Checkpoint) string { return c.sum(key) }

// TrailQueries are what VerifyTrail asks beside the walk along the trail.
func TrailQueries() []string {
	var queries []string
	for _, c := range trailChecks() {
		queries = append(queries, c.query)
	}
	return queries
}

// FillTrail adds n entries of a practice of some size: of ten, seven read a
// record, two list 25 patients, and one makes a record. It keeps 500 at a time,
// so that no action meets its limit on a slow database.
func (s *Store) FillTrail(ctx context.Context, patient string, n int) error {
	defer s.IndexEvery(s.indexEvery)
	s.IndexEvery(s.dialect.indexEvery)
	var others []string
	for range 25 {
		others = append(others, s.NewID())
	}
	record := s.NewID()
	for n > 0 {
		batch := min(n, 500)
		err := s.write(ctx, func(t *tx) error {
			for i := range batch {
				e := entry{actor: patient, role: PatientRole, session: record, action: ReadRecord, object: record,
					patients: []string{patient}, outcome: Done, address: "192.0.2.7", request: s.NewID()}
				switch i % 10 {
				case 3, 6:
					e.action, e.object, e.patients = ListPatients, "", others
				case 9:
					record = s.NewID()
					e.action, e.object, e.version = CreateRecord, record, 1
					if err := t.exec(`INSERT INTO records (id, patient_id, author_id, date, content, version, noted, created_at, updated_at)
						VALUES ($1, $2, $2, $3, $4, 1, 0, $3, $3)`, record, patient, t.at(), []byte("sealed")); err != nil {
						return err
					}
				}
				if err := t.append(e); err != nil {
					return fmt.Errorf("entry %d: %w", i, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		n -= batch
	}
	return nil
}
