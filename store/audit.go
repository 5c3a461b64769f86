package store

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Outcome is how an action ended, as the trail names it.
type Outcome string

// Done is the outcome of an action that was carried out; the others stand in
// the table of refusals.
const Done Outcome = "done"

// entry is one line of the audit trail: who, in which role, did what, to whose
// data, with which outcome, when, from where. It holds ids and the names of
// fields, never a value.
type entry struct {
	at       Instant
	actor    string
	role     Role
	session  string
	action   Action
	object   string
	version  int
	patients []string
	fields   []string
	outcome  Outcome
	address  string
	request  string
}

// head is the end of a lane of the trail: how many entries there are and the
// MAC of the last. Each lane is a chain of its own.
type head struct {
	lane int
	seq  int64
	mac  []byte
}

func readHead(c *conn) (head, error) {
	var h head
	err := c.row(`SELECT seq, mac FROM audit WHERE lane = $1 ORDER BY seq DESC LIMIT 1`, h.lane).Scan(&h.seq, &h.mac)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	return h, err
}

// heads returns the ends of all lanes that have entries, stepping from lane to
// lane in the index.
func (c *conn) heads() ([]head, error) {
	rows, err := c.rows(`WITH RECURSIVE lanes (lane) AS (
			SELECT MIN(lane) FROM audit
			UNION ALL SELECT (SELECT MIN(a.lane) FROM audit a WHERE a.lane > l.lane) FROM lanes l WHERE l.lane IS NOT NULL)
		SELECT a.lane, a.seq, a.mac FROM lanes l JOIN audit a ON a.lane = l.lane
			AND a.seq = (SELECT MAX(b.seq) FROM audit b WHERE b.lane = l.lane)
		ORDER BY a.lane`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r rowScanner) (h head, err error) {
		err = r.Scan(&h.lane, &h.seq, &h.mac)
		return h, err
	})
}

// mac chains an entry to the one before it: HMAC-SHA256, as trailMAC makes it, over
// the previous MAC, the entry's place and each of its values, every one behind its
// length.
func (e *entry) mac(m hash.Hash, previous []byte, lane int, seq int64) []byte {
	m.Reset()
	m.Write(pack("healthrecords audit v1", hex.EncodeToString(previous),
		strconv.Itoa(lane), strconv.FormatInt(seq, 10), string(e.at), e.actor, string(e.role), e.session,
		string(e.action), e.object, strconv.Itoa(e.version), strings.Join(e.patients, " "),
		strings.Join(e.fields, " "), string(e.outcome), e.address, e.request))
	return m.Sum(nil)
}

// trailMAC makes the MACs of the trail, one after the other.
func trailMAC(key []byte) hash.Hash { return hmac.New(sha256.New, key) }

// columns are the texts that lists are stored as: the patient, when it is one;
// several patients; the fields.
func (e *entry) columns() [3]string {
	patients, fields := strings.Join(e.patients, " "), strings.Join(e.fields, " ")
	if len(e.patients) == 1 {
		return [3]string{patients, "", fields}
	}
	return [3]string{"", patients, fields}
}

// append adds the entry to the trail and moves the head. When it cannot, the
// error is ErrUnavailable: what leaves no trace is not done.
func (t *tx) append(e entry) error {
	e.at = t.at()
	seq := t.head.seq + 1
	if t.conn.trailMAC == nil {
		t.conn.trailMAC = trailMAC(t.s.keys.trail)
	}
	mac := e.mac(t.conn.trailMAC, t.head.mac, t.head.lane, seq)
	c := e.columns()
	err := t.conn.exec(`INSERT INTO audit (lane, seq, at, actor, role, session, action, object, version,
			patient, patients, fields, outcome, address, request, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		t.head.lane, seq, string(e.at), e.actor, string(e.role), e.session, string(e.action), e.object, e.version,
		c[0], c[1], c[2], string(e.outcome), e.address, e.request, mac)
	if err == nil {
		err = t.indexTrail(e, seq)
	}
	if err != nil {
		return fmt.Errorf("%w: no entry in the audit trail: %w", ErrUnavailable, err)
	}
	t.head.seq, t.head.mac = seq, mac
	return nil
}

// concerns notes whose data the action touches.
func (t *tx) concerns(patients ...string) {
	if t.concerned == nil {
		t.concerned = make(map[string]bool)
	}
	for _, p := range patients {
		if !t.concerned[p] {
			t.concerned[p] = true
			t.entry.patients = append(t.entry.patients, p)
		}
	}
}

// trace writes the entry of an action that was carried out.
func (t *tx) trace() error {
	t.entry.outcome = cmp.Or(t.entry.outcome, Done)
	return t.append(t.entry)
}

// traceRefusal writes the entry of an action that was refused, after all it
// may have done has been undone.
func (t *tx) traceRefusal() error {
	if !t.refused {
		return nil
	}
	return t.append(t.entry)
}
