package store

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// kinds are the objects whose versions stand in the trail.
var kinds = []struct{ name, table, made, owner, deleted string }{
	{"the record", "records", `w.action LIKE 'record.%'`, "w.patient",
		`w.object = o.id AND w.action = 'record.delete'`},
	{"the note", "notes", `w.action LIKE 'note.%'`, "w.patient",
		`w.object IN (o.id, o.record_id) AND w.action IN ('note.delete', 'record.delete')`},
	{"the account", "accounts", `w.action NOT LIKE 'record.%' AND w.action NOT LIKE 'note.%'`, "w.object",
		`w.object = o.id AND w.action IN ('patient.delete', 'doctor.delete', 'staff.delete', 'invitation.withdraw')`},
}

// check finds what is not as the trail says: an object, and lane and number of
// the first entry that it does not fit, or 0.
type check struct{ name, query, how string }

// objectChecks are made for each kind, whose words stand for those in brackets.
// An entry with a version made that version, or hid it.
var objectChecks = []struct{ query, how string }{
	{`SELECT w.object, w.lane, w.seq FROM audit w WHERE w.version > 0 AND w.outcome = 'done' AND [made]
		AND NOT EXISTS (SELECT 1 FROM [table] o WHERE o.id = w.object)
		AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.patient_id = [owner])
		ORDER BY w.lane, w.seq LIMIT 1`, "is gone"},
	{`SELECT o.id, w.lane, w.seq FROM [table] o JOIN audit w ON w.object = o.id AND w.version > o.version
		WHERE w.version > 0 AND w.outcome = 'done'
		ORDER BY w.lane, w.seq LIMIT 1`, "is not as new as this entry made it: rolled back"},
	{`SELECT o.id, 0, (SELECT CASE WHEN COALESCE(MAX(lane), 0) > 0 THEN 0 ELSE COUNT(*) + 1 END FROM audit) FROM [table] o
		WHERE NOT EXISTS (SELECT 1 FROM audit w WHERE w.object = o.id AND w.version = o.version AND w.version > 0 AND w.outcome = 'done')
		ORDER BY o.id LIMIT 1`, "is of a version that no entry made: the trail was cut off, or the object put in"},
	{`SELECT o.id, w.lane, w.seq FROM [table] o JOIN audit w ON [deleted]
		WHERE w.version > 0 AND w.outcome = 'done' AND o.deleted_at IS NULL
		ORDER BY w.lane, w.seq LIMIT 1`, "is shown again, which this entry deleted"},
	{`SELECT o.id, 0, 0 FROM [table] o WHERE o.deleted_at IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM audit w WHERE [deleted] AND w.version > 0 AND w.outcome = 'done')
		ORDER BY o.id LIMIT 1`, "is deleted, and no entry did it"},
}

// trailChecks returns all checks, in an order in which what is found first
// explains what would be found later.
func trailChecks() []check {
	checks := []check{{"the patient", `SELECT w.patient, w.lane, w.seq FROM audit w
		WHERE w.action = 'patient.erase' AND w.outcome = 'done' AND (
			NOT EXISTS (SELECT 1 FROM erasures e WHERE e.patient_id = w.patient)
			OR EXISTS (SELECT 1 FROM accounts o WHERE o.id = w.patient))
		ORDER BY w.lane, w.seq LIMIT 1`, "is not erased as this entry did it: rolled back"}}
	for _, k := range kinds {
		words := strings.NewReplacer("[table]", k.table, "[made]", k.made, "[owner]", k.owner, "[deleted]", k.deleted)
		for _, c := range objectChecks {
			checks = append(checks, check{k.name, words.Replace(c.query), c.how})
		}
	}
	return append(checks,
		check{"the patient", `SELECT e.patient_id, 0, 0 FROM erasures e
			WHERE e.patient_id NOT IN (SELECT w.patient FROM audit w WHERE w.action = 'patient.erase' AND w.outcome = 'done')
			ORDER BY e.patient_id LIMIT 1`, "is said to be erased, and no entry did it"},
		check{"the record", `SELECT o.id, 0, 0 FROM records o
			WHERE o.version - 1 <> (SELECT COUNT(*) FROM record_versions v WHERE v.record_id = o.id)
			ORDER BY o.id LIMIT 1`, "has lost a version, or was given one"},
		check{"the note", `SELECT o.id, 0, 0 FROM notes o
			WHERE o.version - 1 <> (SELECT COUNT(*) FROM note_versions v WHERE v.note_id = o.id)
			ORDER BY o.id LIMIT 1`, "has lost a version, or was given one"})
}

// compareObjects holds accounts, records, notes and erasures against the
// trail, when all its entries have been found good.
func (t *tx) compareObjects() error {
	for _, c := range trailChecks() {
		var id string
		var lane int
		var seq int64
		err := t.row(c.query).Scan(&id, &lane, &seq)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		return &TrailError{lane, seq, c.name + " " + id + " " + c.how}
	}
	return nil
}

// indexedUpTo returns for each lane how far the indexes of patients and actors go.
func (t *tx) indexedUpTo() (map[int]int64, error) {
	rows, err := t.rows(`SELECT lane, seq FROM audit_indexed`)
	if err != nil {
		return nil, err
	}
	ends, err := collect(rows, func(r rowScanner) (h head, err error) {
		err = r.Scan(&h.lane, &h.seq)
		return h, err
	})
	indexed := make(map[int]int64)
	for _, h := range ends {
		indexed[h.lane] = h.seq
	}
	return indexed, err
}

// compareIndexed checks that the indexes go no further than the trail: what is said
// to be in them is not looked for elsewhere.
func (v *verifier) compareIndexed(t *tx) error {
	ends, err := t.heads()
	if err != nil {
		return err
	}
	for _, end := range ends {
		if indexed, ok := v.indexed[end.lane]; !ok || indexed > end.seq {
			return &TrailError{end.lane, end.seq, indexedEdited}
		}
		delete(v.indexed, end.lane)
	}
	for lane, indexed := range v.indexed {
		if indexed != 0 {
			return &TrailError{lane, 0, indexedEdited}
		}
	}
	return nil
}

const indexedEdited = "which of the entries are in the indexes of patients and actors was edited"

// trailIndexes lead to the entries by an id: how often to each, and what it means
// when one does not.
var trailIndexes = [2]struct{ table, id, often, entries, edited string }{
	{"audit_patients", "patient_id", `LENGTH(a.patients) - LENGTH(REPLACE(a.patients, ' ', '')) + 1`, `(a.patient <> '' OR a.patients <> '')`,
		"the index of patients was edited: somebody's access log does not tell the truth"},
	{"audit_actors", "actor", `CASE WHEN ` + toOthers + ` THEN 2 ELSE 1 END`, `1 = 1`,
		"the index of actors was edited: a list of what was done does not tell the truth"},
}

// compareIndex checks that an index leads to just the entries that it must, as far
// as it goes.
func (v *verifier) compareIndex(t *tx, i int) error {
	rows, err := t.rows(`SELECT ` + trailIndexes[i].id + `, at, lane, seq FROM ` + trailIndexes[i].table)
	if err != nil {
		return err
	}
	defer rows.Close()
	var sum uint64
	for rows.Next() {
		var id string
		var at Instant
		var lane int
		var seq int64
		if err := rows.Scan(&id, &at, &lane, &seq); err != nil {
			return err
		}
		sum += v.indexSum(id, at, lane, seq)
	}
	if err := rows.Err(); err != nil || sum == v.sums[i] {
		return err
	}
	bent, err := t.misled(i)
	if err != nil {
		return err
	}
	return &TrailError{bent.lane, bent.seq, trailIndexes[i].edited}
}

// indexSum is keyed, so that nobody can choose rows whose sum is that of
// others.
func (v *verifier) indexSum(id string, at Instant, lane int, seq int64) uint64 {
	v.mac.Reset()
	v.mac.Write(pack("healthrecords audit index v1", id, string(at), strconv.Itoa(lane), strconv.FormatInt(seq, 10)))
	return binary.BigEndian.Uint64(v.mac.Sum(nil))
}

// checkStructure finds indexes that do not lead to every row, and what stands in
// for a table or acts on one: what is asked of the trail, here and elsewhere, is
// answered out of them. PostgreSQL does not look for that by itself.
func (t *tx) checkStructure() error {
	if t.integrityCheck == "" {
		return nil
	}
	var found string
	err := t.row(t.integrityCheck).Scan(&found)
	if err == nil && found != "ok" {
		return &TrailError{0, 0, "the database is damaged, or its indexes were edited: " + found}
	}
	if err == nil {
		err = t.row(t.strangers, t.besides[1]).Scan(&found)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return &TrailError{0, 0, "somebody put the " + found + " into the database"}
}

// misled returns the first entry to which an index leads too seldom or too often,
// or none.
func (t *tx) misled(i int) (at head, err error) {
	x := trailIndexes[i]
	err = t.row(`SELECT lane, seq FROM (
			SELECT a.lane, a.seq, `+x.often+` AS n FROM audit a JOIN audit_indexed x ON x.lane = a.lane AND a.seq <= x.seq WHERE `+x.entries+`
			UNION ALL SELECT i.lane, i.seq, -COUNT(*) AS n FROM `+x.table+` i GROUP BY i.lane, i.seq) x
		GROUP BY lane, seq HAVING SUM(n) <> 0 ORDER BY lane, seq LIMIT 1`).Scan(&at.lane, &at.seq)
	if errors.Is(err, sql.ErrNoRows) {
		return at, nil
	}
	return at, err
}
