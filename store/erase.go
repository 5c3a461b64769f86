package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErasePatient destroys a patient's key, and every row of what the patient is
// and what was written about it, for good. That it was done, when and by which
// command, stays in the trail; the reason is kept sealed. It returns
// ErrNotFound when there is no patient with that id, deleted or not.
//
// Copies of the database from before still hold the key, wrapped by the data
// key of that time. When the rows are gone and the database could not be cleaned
// of their traces, the error says so; called again, it cleans it before it
// returns ErrNotFound. On PostgreSQL, the rows' bytes stay in the tables' files
// until others are written over them, and in the write-ahead log and its archive
// for as long as those are kept.
func (s *Store) ErasePatient(ctx context.Context, a Actor, id, reason string) error {
	gone, err := s.erasePatient(ctx, a, id, reason)
	if !gone {
		return err
	}
	if err := s.clean(ctx); err != nil {
		return fmt.Errorf("erased, but traces stay in the database; call this again when it is less in use: %w", err)
	}
	return err
}

// erasePatient is ErasePatient without the cleaning; gone tells that there is
// something to clean, from now or from before.
func (s *Store) erasePatient(ctx context.Context, a Actor, id, reason string) (gone bool, err error) {
	err = s.act(ctx, a, ErasePatient, id, func(t *tx) (err error) {
		if gone, err = t.exists(`SELECT 1 FROM erasures WHERE patient_id = $1`, id); err != nil {
			return err
		}
		isPatient, err := t.exists(`SELECT 1 FROM accounts WHERE id = $1 AND role = 'patient'`, id)
		if err == nil && !isPatient {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		t.concerns(id)
		if err := t.touchPartners(id); err != nil {
			return err
		}
		return t.erase(id, reason)
	})
	return gone || err == nil, err
}

func (t *tx) erase(id, reason string) error {
	for _, statement := range []string{
		`DELETE FROM note_versions WHERE note_id IN (SELECT id FROM notes WHERE patient_id = $1)`,
		`DELETE FROM notes WHERE patient_id = $1`,
		`DELETE FROM record_versions WHERE record_id IN (SELECT id FROM records WHERE patient_id = $1)`,
		`DELETE FROM records WHERE patient_id = $1`,
		`DELETE FROM assignments WHERE patient_id = $1`,
		`DELETE FROM sessions WHERE account_id = $1`,
		`DELETE FROM outbox WHERE account_id = $1`,
		`DELETE FROM one_use WHERE account_id = $1`,
		`DELETE FROM invitations WHERE account_id = $1`,
		`DELETE FROM recovery_codes WHERE account_id = $1`,
		`DELETE FROM limits WHERE account_id = $1`,
		`DELETE FROM accounts WHERE id = $1`,
	} {
		if err := t.exec(statement, id); err != nil {
			return err
		}
	}
	sealed := t.s.keys.general.seal(place("erasures.reason", id, 0), reason)
	return t.exec(`INSERT INTO erasures (patient_id, erased_at, reason) VALUES ($1, $2, $3)`, id, t.at(), sealed)
}

// erasure is a row of the table.
type erasure struct {
	patient string
	at      Instant
	reason  []byte // sealed
}

// erasuresIn returns the erasures that a database file knows of; none when it
// cannot be read.
func erasuresIn(ctx context.Context, file string) []erasure {
	db, err := openSQLite(file, false)
	if err != nil {
		return nil
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT patient_id, erased_at, reason FROM erasures ORDER BY patient_id`)
	if err != nil {
		return nil
	}
	list, _ := collect(rows, func(r rowScanner) (e erasure, err error) {
		err = r.Scan(&e.patient, &e.at, &e.reason)
		return e, err
	})
	return list
}

// eraseAgain repeats erasures of another copy of this database, and remembers
// those of patients who are not in this one. It returns how many it repeated.
// What was not sealed by this practice for this patient is passed over.
func (s *Store) eraseAgain(ctx context.Context, a Actor, erasures []erasure) (n int, err error) {
	for _, e := range erasures {
		reason, err := s.keys.general.open(place("erasures.reason", e.patient, 0), e.reason, 1)
		if err != nil {
			continue
		}
		there := false
		err = s.write(ctx, func(t *tx) (err error) {
			if there, err = t.exists(`SELECT 1 FROM accounts WHERE id = $1`, e.patient); err != nil || there {
				return err
			}
			return t.exec(`INSERT INTO erasures (patient_id, erased_at, reason) VALUES ($1, $2, $3) ON CONFLICT (patient_id) DO NOTHING`, e.patient, e.at, e.reason)
		})
		if err == nil && there {
			_, err = s.erasePatient(ctx, a, e.patient, reason[0])
			n++
		}
		if err != nil {
			return n, err
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, s.clean(ctx)
}

// clean makes the database forget what was deleted. SQLite overwrites deleted
// rows, but not the copies of them that it left where it split a page.
// PostgreSQL gives their room to others, and overwrites them then.
func (s *Store) clean(ctx context.Context) error {
	c, err := newConn(ctx, s.db, s.dialect)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.script(c.clean); err != nil {
		return err
	}
	return s.emptyLog(ctx)
}

// emptyLog moves all that is in SQLite's write-ahead log into the file.
func (s *Store) emptyLog(ctx context.Context) error {
	if s.dialect.emptyLog == "" {
		return nil
	}
	c, err := newConn(ctx, s.db, s.dialect)
	if err != nil {
		return err
	}
	defer c.close()
	for try := 1; ; try++ {
		var busy, frames, moved int
		err := c.row(c.emptyLog).Scan(&busy, &frames, &moved)
		if err != nil || busy == 0 {
			return err
		}
		if try == 10 {
			return errors.New("somebody is reading it")
		}
		time.Sleep(100 * time.Millisecond) // a service that tidies it is soon done
	}
}
