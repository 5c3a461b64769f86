package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
)

// TrailReport is what [Store.VerifyTrail] found when the trail holds.
type TrailReport struct {
	Entries  int64 // in the trail
	Anchored int64 // how many of them the newest checkpoint vouches for
}

// TrailError is the first place where the trail does not hold.
type TrailError struct {
	Lane int    // of the trail; 0 but where a database was served by PostgreSQL
	Seq  int64  // of the entry; 0 when what is wrong is none of the entries
	How  string // edited, missing, reordered, inserted, cut off or rolled back, …
}

func (e *TrailError) Error() string {
	if e.Seq == 0 {
		return e.How
	}
	return "entry " + eventID(e.Lane, e.Seq) + ": " + e.How
}

// link is an entry as it stands in the database, with its MAC.
type link struct {
	entry
	lane int
	seq  int64
	mac  []byte

	columns [3]string // as entry.columns returned them, unless they were edited
}

const linkColumns = `a.lane, a.seq, a.at, ` + linkContent

const linkContent = `a.actor, a.role, a.session, a.action, a.object, a.version,
	a.patient, a.patients, a.fields, a.outcome, a.address, a.request, a.mac`

func scanLink(row rowScanner) (*link, error) {
	l := new(link)
	err := row.Scan(&l.lane, &l.seq, &l.at, &l.actor, &l.role, &l.session, &l.action, &l.object, &l.version,
		&l.columns[0], &l.columns[1], &l.columns[2], &l.outcome, &l.address, &l.request, &l.mac)
	l.patients, l.fields = strings.Fields(l.columns[0]+" "+l.columns[1]), strings.Fields(l.columns[2])
	return l, err
}

// follows tells whether the entry was written with this number, behind an entry
// with this MAC, and stands as it was written.
func (l *link) follows(m hash.Hash, previous []byte, seq int64) bool {
	return hmac.Equal(l.mac, l.entry.mac(m, previous, l.lane, seq)) && l.columns == l.entry.columns()
}

// VerifyTrail checks every entry of the trail as it is now, each checkpoint
// against it, the indexes of patients and actors, and that every account, record and note
// is as the trail says. It reads a snapshot and changes nothing. The error is
// a *[TrailError] when the trail does not hold.
//
// Who can write to the database but has no key can still, unnoticed, put all of
// it back to what it was at the newest checkpoint or later, and edit what the
// trail does not tell, such as who treats whom.
func (s *Store) VerifyTrail(ctx context.Context, checkpoints []Checkpoint) (TrailReport, error) {
	var report TrailReport
	err := s.readLong(ctx, func(t *tx) (err error) {
		report, err = t.verifyTrail(checkpoints)
		return err
	})
	return report, err
}

func (t *tx) verifyTrail(checkpoints []Checkpoint) (TrailReport, error) {
	v := verifier{key: t.s.keys.trail, mac: trailMAC(t.s.keys.trail)}
	if err := v.take(checkpoints); err != nil {
		return TrailReport{}, err
	}
	var err error
	if v.indexed, err = t.indexedUpTo(); err != nil {
		return TrailReport{}, err
	}
	if err := v.walk(t); err != nil {
		return TrailReport{}, err
	}
	if err := v.compareIndexed(t); err != nil {
		return TrailReport{}, err
	}
	for i := range trailIndexes {
		if err := v.compareIndex(t, i); err != nil {
			return TrailReport{}, err
		}
	}
	if err := t.compareObjects(); err != nil {
		return TrailReport{}, err
	}
	return TrailReport{v.entries, v.anchored}, t.checkStructure()
}

// verifier walks along the trail, lane by lane.
type verifier struct {
	key      []byte
	anchors  map[int][]Checkpoint // by lane: those ahead, the next one first
	anchored int64                // entries behind the last checkpoint of each lane

	entries int64
	last    head          // the last entry that holds
	indexed map[int]int64 // by lane: the last entry that is in the indexes of patients and actors
	sums    [2]uint64     // over what must stand in each of trailIndexes
	mac     hash.Hash     // of the trail
}

// take puts the checkpoints in order.
func (v *verifier) take(checkpoints []Checkpoint) error {
	v.anchors = make(map[int][]Checkpoint)
	for _, c := range slices.SortedFunc(slices.Values(checkpoints), func(a, b Checkpoint) int { return cmp.Compare(a.Count, b.Count) }) {
		if !c.genuine(v.key) {
			return &TrailError{0, 0, fmt.Sprintf("a checkpoint of %d entries is forged, or the trail was begun anew under another key", c.Count)}
		}
		var before Checkpoint
		if lane := v.anchors[c.Lane]; len(lane) > 0 {
			before = lane[len(lane)-1]
			if before.Count == c.Count && before.Head != c.Head {
				return &TrailError{c.Lane, c.Count, "two checkpoints contradict each other: the trail was rolled back and written on"}
			}
		}
		v.anchors[c.Lane] = append(v.anchors[c.Lane], c)
		v.anchored += c.Count - before.Count
	}
	return nil
}

func (v *verifier) walk(t *tx) error {
	rows, err := t.rows(`SELECT ` + linkColumns + ` FROM audit a ORDER BY a.lane, a.seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		l, err := scanLink(rows)
		if err != nil {
			return &TrailError{v.last.lane, v.last.seq + 1, "edited: it holds what no entry can"}
		}
		if l.lane != v.last.lane {
			if err := v.reached(v.last); err != nil {
				return err
			}
			v.last = head{lane: l.lane}
		}
		if err := v.step(l, rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := v.reached(v.last); err != nil {
		return err
	}
	for _, lane := range slices.Sorted(maps.Keys(v.anchors)) { // what is left of lanes that are no more
		if err := v.reached(head{lane: lane}); err != nil {
			return err
		}
	}
	return nil
}

// reached checks, at the end of a lane, that no checkpoint lies beyond it.
func (v *verifier) reached(end head) error {
	if ahead := v.anchors[end.lane]; len(ahead) > 0 && ahead[len(ahead)-1].Count > end.seq {
		return &TrailError{end.lane, end.seq + 1, fmt.Sprintf("cut off or rolled back: a checkpoint counts %d entries", ahead[len(ahead)-1].Count)}
	}
	delete(v.anchors, end.lane)
	return nil
}

// step checks one entry against the one before in its lane; behind it are the
// rest.
func (v *verifier) step(l *link, behind rowScanners) error {
	expected := v.last.seq + 1
	switch {
	case l.seq < expected:
		return &TrailError{l.lane, l.seq, fmt.Sprintf("inserted under the number %d", l.seq)}
	case l.seq > expected:
		return &TrailError{l.lane, expected, upTo("missing", l.lane, expected, l.seq-1)}
	case !l.follows(v.mac, v.last.mac, l.seq):
		how, err := v.diagnose(l, behind)
		if err != nil {
			return err
		}
		return &TrailError{l.lane, l.seq, how}
	}
	v.last = head{l.lane, l.seq, l.mac}
	v.entries++
	if l.seq <= v.indexed[l.lane] {
		for _, p := range l.patients {
			v.sums[0] += v.indexSum(p, l.at, l.lane, l.seq)
		}
		v.sums[1] += v.indexSum("", l.at, l.lane, l.seq)
		if l.actor != "" && l.actor != l.columns[0] {
			v.sums[1] += v.indexSum(l.actor, l.at, l.lane, l.seq)
		}
	}
	return v.pass(l)
}

// pass checks an entry against the checkpoints that it has come to.
func (v *verifier) pass(l *link) error {
	ahead := v.anchors[l.lane]
	for ; len(ahead) > 0 && ahead[0].Count <= l.seq; ahead = ahead[1:] {
		if c := ahead[0]; c.Count == l.seq && c.Head != fmt.Sprintf("%x", l.mac) {
			return &TrailError{l.lane, l.seq, "not the entry that a checkpoint saw: the trail was rolled back and written on"}
		}
	}
	v.anchors[l.lane] = ahead
	return nil
}

// diagnose tells how the trail was bent at an entry that does not hold: it
// looks behind it for the one that belongs in its place.
func (v *verifier) diagnose(l *link, behind rowScanners) (string, error) {
	var next *link
	chained, previous := false, l
	for behind.Next() {
		x, err := scanLink(behind)
		if err != nil || x.lane != l.lane {
			break
		}
		if x.follows(v.mac, v.last.mac, l.seq) {
			return v.displaced(l, x, behind)
		}
		chained = chained || x.follows(v.mac, previous.mac, x.seq)
		next, previous = cmp.Or(next, x), x
	}
	switch {
	case behind.Err() != nil:
		return "", behind.Err()
	case next == nil:
		return "edited, or inserted at the end", nil
	case chained:
		return "edited", nil
	}
	for n := int64(1); n <= renumberedMost; n++ {
		if next.follows(v.mac, l.mac, next.seq+n) {
			return upTo("missing", l.lane, l.seq, l.seq+n-1) + ", and those behind renumbered", nil
		}
	}
	if previous == next {
		return "edited", nil // with its MAC, on which the one entry behind rests
	}
	return "rewritten, with all behind it", nil
}

// renumberedMost is how many missing entries are recognized when those behind
// took their numbers; to try them all takes 0.1 s.
const renumberedMost = 100_000

// displaced tells why the entry that belongs in the place of l stands further
// behind.
func (v *verifier) displaced(l, proper *link, behind rowScanners) (string, error) {
	reordered := l.follows(v.mac, proper.mac, l.seq+1)
	if !reordered && behind.Next() {
		after, err := scanLink(behind)
		reordered = err == nil && !after.follows(v.mac, proper.mac, l.seq+1)
	}
	if reordered {
		return fmt.Sprintf("reordered: entry %s belongs here", eventID(l.lane, proper.seq)), behind.Err()
	}
	return upTo("inserted", l.lane, l.seq, proper.seq-1), behind.Err()
}

func upTo(how string, lane int, first, last int64) string {
	if first == last {
		return how
	}
	return fmt.Sprintf("%s, with those up to entry %s", how, eventID(lane, last))
}
