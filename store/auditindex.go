package store

import (
	"cmp"
	"slices"
	"strings"
)

// touch says that an entry of a lane touched a patient.
type touch struct {
	patient string
	at      Instant
	seq     int64
}

// indexTrail brings the indexes of patients, actors and times up to date at every so
// many entries of the lane, seq being the last, or when those that are not in them
// yet touched as many patients, as far as this process has seen: many rows would take
// long all at once. Those behind are found without them (see notIndexed). What is
// there already, as a program from before step 4 may have written it, stays.
func (t *tx) indexTrail(e entry, seq int64) error {
	touched := t.s.touched[t.head.lane].Add(int64(len(e.patients)))
	if seq%t.s.indexEvery != 0 && touched < t.s.indexEvery {
		return nil
	}
	t.s.touched[t.head.lane].Store(0)
	for _, statement := range []string{
		`INSERT INTO audit_patients (patient_id, at, lane, seq) SELECT a.patient, a.at, a.lane, a.seq ` + notIndexed + `
			AND a.patient <> '' ORDER BY a.patient, a.at, a.seq ON CONFLICT (patient_id, at, lane, seq) DO NOTHING`,
		`INSERT INTO audit_actors (actor, at, lane, seq) SELECT '', a.at, a.lane, a.seq ` + notIndexed + `
			UNION ALL SELECT a.actor, a.at, a.lane, a.seq ` + notIndexed + ` AND ` + toOthers + `
			ORDER BY 1, 2, 4 ON CONFLICT (actor, at, lane, seq) DO NOTHING`,
	} {
		if err := t.conn.exec(statement, t.head.lane); err != nil {
			return err
		}
	}
	rows, err := t.rows(`SELECT a.patients, a.at, a.seq `+notIndexed+` AND a.patients <> ''`, t.head.lane)
	if err != nil {
		return err
	}
	entries, err := collect(rows, scanTouches)
	if err != nil {
		return err
	}
	if err := t.index(slices.Concat(entries...)); err != nil {
		return err
	}
	return t.conn.exec(`INSERT INTO audit_indexed (lane, seq) VALUES ($1, $2) ON CONFLICT (lane) DO UPDATE SET seq = excluded.seq`, t.head.lane, seq)
}

const notIndexed = `FROM audit a WHERE a.lane = $1 AND a.seq > COALESCE((SELECT i.seq FROM audit_indexed i WHERE i.lane = $1), 0)`

// toOthers is said of the entries that stand in the index of actors under who did
// it, and not only by time. What patients did to their own data is in that of
// patients.
const toOthers = `a.actor <> '' AND a.actor <> a.patient`

// scanTouches scans an entry that touched several patients.
func scanTouches(row rowScanner) (list []touch, err error) {
	var e touch
	var patients string
	err = row.Scan(&patients, &e.at, &e.seq)
	for _, e.patient = range strings.Fields(patients) {
		list = append(list, e)
	}
	return list, err
}

// index adds to the index in its own order, in statements of a few fixed sizes.
func (t *tx) index(list []touch) error {
	slices.SortFunc(list, func(a, b touch) int {
		return cmp.Or(cmp.Compare(a.patient, b.patient), cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
	})
	for len(list) > 0 {
		size := 1
		if len(list) >= 32 {
			size = 32
		}
		var q statement
		q.add(`INSERT INTO audit_patients (patient_id, at, lane, seq) VALUES `)
		for i, e := range list[:size] {
			q.add([]string{"($, $, $, $)", ", ($, $, $, $)"}[min(i, 1)], e.patient, e.at, t.head.lane, e.seq)
		}
		q.add(` ON CONFLICT (patient_id, at, lane, seq) DO NOTHING`)
		if err := t.conn.exec(q.text.String(), q.args...); err != nil {
			return err
		}
		list = list[size:]
	}
	return nil
}

// touching adds queries for the entries that touched a patient: those in the
// index, and those that are not in it yet. narrow adds conditions to each, by the
// name of the table that has at, lane and seq, and how many are wanted in what
// order: else PostgreSQL would put all of them in order first.
func (t *tx) touching(q *statement, patient string, narrow func(table string)) {
	q.indexed(`audit_patients p CROSS JOIN audit a WHERE p.patient_id = $`, patient, narrow)
	t.notIndexed(q, `(a.patient = $ OR ' ' || a.patients || ' ' LIKE $)`, narrow, patient, "% "+patient+" %")
}

// doneBy is touching for the entries of what an account did.
func (t *tx) doneBy(q *statement, actor string, narrow func(table string)) {
	q.indexed(`audit_actors p CROSS JOIN audit a WHERE p.actor = $`, actor, narrow)
	q.indexed(`audit_patients p CROSS JOIN audit a WHERE a.actor = a.patient AND p.patient_id = $`, actor, narrow)
	t.notIndexed(q, `a.actor = $`, narrow, actor)
}

// byTime is touching for all entries.
func (t *tx) byTime(q *statement, narrow func(table string)) {
	q.indexed(`audit_actors p CROSS JOIN audit a WHERE p.actor = $`, "", narrow)
	t.notIndexed(q, `1 = 1`, narrow)
}

// indexed adds a query for the entries to which an index leads. When a list is
// ordered by time, the index has the first of them first, and the rest need not be
// sorted. CROSS JOIN is how SQLite is told where to begin.
func (q *statement) indexed(from, id string, narrow func(table string)) {
	q.add(`SELECT * FROM (SELECT p.lane, p.seq, p.at, `+linkContent+` FROM `+from+` AND a.lane = p.lane AND a.seq = p.seq`, id)
	narrow("p")
	q.add(`) x UNION ALL `)
}

// notIndexed adds a query for the entries that are in no index yet. The databases
// would look for them all along the trail.
func (t *tx) notIndexed(q *statement, condition string, narrow func(table string), values ...any) {
	q.add(`SELECT * FROM (SELECT `+linkColumns+` FROM `+t.behindIndex+` AND `+condition, values...)
	narrow("a")
	q.add(`) x`)
}
