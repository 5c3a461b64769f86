package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// Event is an entry of the trail as it is shown.
type Event struct {
	ID        string // lane and number
	At        Instant
	Actor     string // account id; "" for nobody, or the operator
	ActorName string // only in a patient's access log
	Role      Role
	Action    Action
	Object    string
	Version   int
	Patients  []string
	Fields    []string
	Outcome   Outcome
	Address   string
	Request   string

	lane int
	seq  int64
}

// eventID names an entry, the same wherever it is told: LANE-NUMBER.
func eventID(lane int, seq int64) string {
	return strconv.Itoa(lane) + "-" + strconv.FormatInt(seq, 10)
}

func (l *link) event() Event {
	return Event{
		ID: eventID(l.lane, l.seq), At: l.at, Actor: l.actor, Role: l.role, Action: l.action,
		Object: l.object, Version: l.version, Patients: l.patients, Fields: l.fields, Outcome: l.outcome,
		Address: l.address, Request: l.request, lane: l.lane, seq: l.seq,
	}
}

func scanEvent(row rowScanner) (Event, error) {
	l, err := scanLink(row)
	if err != nil {
		return Event{}, err
	}
	return l.event(), nil
}

// AccessLog lists all that touched a patient's data, newest first, with the
// name of who did it: to the patient itself and to staff.
func (s *Store) AccessLog(ctx context.Context, a Actor, patient string, p Paging) (Page[Event], error) {
	var list Page[Event]
	err := s.act(ctx, a, ReadAccessLog, patient, func(t *tx) error {
		if _, err := t.reachPatient(patient); err != nil {
			return err
		}
		var err error
		list, err = page(p, func(from Position, limit int) ([]Event, error) {
			return t.events(EventFilter{Patient: patient}, from, limit)
		}, func(e Event) Position { return Position{Key: string(e.At), ID: e.ID} }, nil)
		if err != nil {
			return err
		}
		return t.nameActors(list.Items, patient)
	})
	return list, err
}

// eventPlace takes an event's id apart.
func eventPlace(id string) (lane int, seq int64) {
	l, n, _ := strings.Cut(id, "-")
	lane, _ = strconv.Atoi(l) // both were numbers when event made the id
	seq, _ = strconv.ParseInt(n, 10, 64)
	return lane, seq
}

// nameActors adds the names of those who acted, and takes out another patient
// who tried to: that somebody is a patient here is for nobody else to know. One
// entry may have touched others too; a patient's log shows the patient alone.
func (t *tx) nameActors(events []Event, patient string) error {
	var actors []string
	for i := range events {
		e := &events[i]
		e.Patients = []string{patient}
		if e.Role == PatientRole && e.Actor != patient {
			e.Actor = ""
		}
		if e.Actor != "" {
			actors = append(actors, e.Actor)
		}
	}
	err := t.meet(actors...)
	for i := range events {
		if a := t.met[events[i].Actor]; a != nil {
			events[i].ActorName = a.user.Name()
		}
	}
	return err
}

// EventFilter narrows the list of events; a zero field narrows nothing.
type EventFilter struct {
	Actor, Patient string
	Action         Action
	Outcome        Outcome
	After, Before  Instant // inclusive
	Ordering       string  // a name in EventOrders, or "-" and one; "" is "-at"
}

// eventColumns are what events can be ordered by, with their places in
// linkColumns.
var eventColumns = map[string]string{
	"at": "3", "actor": "4", "role": "5", "action": "7", "object": "8", "patient": "10", "outcome": "13", "address": "14", "request": "15",
}

// EventOrders returns the names of the fields that events can be ordered by.
func EventOrders() []string {
	var names []string
	for name := range eventColumns {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Events lists the trail to staff: ids and actions only.
func (s *Store) Events(ctx context.Context, a Actor, f EventFilter, p Paging) (Page[Event], error) {
	var list Page[Event]
	err := s.actAside(ctx, a, ListEvents, "", func(t *tx) error {
		name := strings.TrimPrefix(f.Ordering, "-")
		at := func(e Event) Position { return Position{Key: e.field(name), ID: e.ID} }
		var err error
		list, err = page(p, func(from Position, limit int) ([]Event, error) { return t.events(f, from, limit) }, at, nil)
		return err
	})
	return list, err
}

func (e Event) field(name string) string {
	switch name {
	case "actor":
		return e.Actor
	case "role":
		return string(e.Role)
	case "action":
		return string(e.Action)
	case "object":
		return e.Object
	case "patient":
		if len(e.Patients) == 1 {
			return e.Patients[0]
		}
		return ""
	case "outcome":
		return string(e.Outcome)
	case "address":
		return e.Address
	case "request":
		return e.Request
	}
	return string(e.At)
}

func (t *tx) events(f EventFilter, from Position, limit int) ([]Event, error) {
	if f.Patient != "" && !isID(f.Patient) { // which is a pattern, perhaps
		return nil, nil
	}
	q := t.eventsQuery(f, from, limit)
	rows, err := t.rows(q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanEvent)
}

func (t *tx) eventsQuery(f EventFilter, from Position, limit int) *statement {
	q := new(statement)
	name, descending := f.order()
	first := func() { q.add(order{eventColumns[name] + ", 1, 2", descending}.by(from)+" LIMIT $", limit) }
	narrow := func(table string) {
		f.narrow(q, table, from)
		first()
	}
	switch {
	case f.Patient != "":
		t.touching(q, f.Patient, narrow)
	case f.Actor != "":
		t.doneBy(q, f.Actor, narrow)
	case name == "at" && !f.isSeldom():
		t.byTime(q, narrow)
	default:
		q.add(`SELECT ` + linkColumns + ` FROM audit a WHERE 1 = 1`)
		narrow("a")
		return q
	}
	first()
	return q
}

// isSeldom tells whether few entries have the action or the outcome, to which an
// index of their own leads.
func (f EventFilter) isSeldom() bool {
	return f.Action != "" && f.Action.seldom() != "" || f.Outcome != "" && f.Outcome.seldom() != ""
}

// order returns what the events are ordered by, a name in eventColumns.
func (f EventFilter) order() (name string, descending bool) {
	name, descending = strings.CutPrefix(f.Ordering, "-")
	if eventColumns[name] == "" {
		return "at", true
	}
	return name, descending
}

// narrow adds the conditions of the filter but for the patient, and that of the
// place where the list begins. The table is that which has at, lane and seq.
func (f EventFilter) narrow(q *statement, table string, from Position) {
	for _, c := range []struct{ condition, value string }{
		{" AND a.actor = $", f.Actor},
		{" AND a.action = $" + f.Action.seldom(), string(f.Action)},
		{" AND a.outcome = $" + f.Outcome.seldom(), string(f.Outcome)},
		{" AND " + table + ".at >= $", string(f.After)},
		{" AND " + table + ".at <= $", string(f.Before)},
	} {
		if c.value != "" {
			q.add(c.condition, c.value)
		}
	}
	name, descending := f.order()
	column := "a." + name
	if name == "at" {
		column = table + ".at"
	}
	lane, seq := eventPlace(from.ID)
	q.behind(order{column + ", " + table + ".lane, " + table + ".seq", descending}, from, from.Key, lane, seq)
}

// everyday leaves out the actions that the index audit_by_action leaves out, as it
// says so. What both seldom methods return lets the databases use an index of theirs.
const everyday = `a.action <> 'record.read' AND a.action <> 'record.list' AND a.action <> 'patient.records' AND a.action <> 'self.read' AND a.action <> 'session.refresh' AND a.action <> 'note.list' AND a.action <> 'patient.list' AND a.action <> 'patient.read' AND a.action <> 'doctor.list'`

func (a Action) seldom() string {
	if strings.Contains(everyday, "'"+string(a)+"'") {
		return ""
	}
	return " AND " + everyday
}

func (o Outcome) seldom() string {
	if o == Done {
		return ""
	}
	return " AND a.outcome <> 'done'"
}

// exportBatch is how many entries are read at once: whoever writes them may be
// slow, and a reader that stays keeps SQLite's log from being emptied.
const exportBatch = 1000

// ExportTrail calls write with every entry, lane by lane, oldest first, and
// returns the first error of write.
func (s *Store) ExportTrail(ctx context.Context, a Actor, write func(Event) error) error {
	if err := s.act(ctx, a, ExportTrail, "", func(*tx) error { return nil }); err != nil {
		return err
	}
	var last Event
	for {
		var events []Event
		err := s.read(ctx, func(t *tx) error {
			rows, err := t.rows(`SELECT `+linkColumns+` FROM audit a WHERE (a.lane, a.seq) > ($1, $2)
				ORDER BY a.lane, a.seq LIMIT $3`, last.lane, last.seq, exportBatch)
			if err == nil {
				events, err = collect(rows, scanEvent)
			}
			return err
		})
		if err != nil || len(events) == 0 {
			return err
		}
		for _, last = range events {
			if err := write(last); err != nil {
				return err
			}
		}
	}
}
