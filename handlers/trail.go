package handlers

import (
	"slices"
	"strings"

	"healthrecords/store"
)

// accessView is an entry of the trail as the patient reads it.
type accessView struct {
	ID        string        `json:"id"`
	At        store.Instant `json:"at"`
	Action    store.Action  `json:"action"`
	Outcome   store.Outcome `json:"outcome"`
	Role      store.Role    `json:"role"`
	Actor     *string       `json:"actor"`
	ActorName string        `json:"actor_name"`
	Object    *string       `json:"object"`
	Fields    []string      `json:"fields"`
}

var accessResource = &resource{name: "Access", example: accessView{
	sampleID, sampleInstant, store.ReadRecord, store.Done, store.DoctorRole, new(sampleID), "Dora Example", new(sampleID), []string{},
}}

func viewAccess(e store.Event) accessView {
	return accessView{e.ID, e.At, e.Action, e.Outcome, e.Role, orNull(e.Actor), e.ActorName, orNull(e.Object), e.Fields}
}

func (a *api) listAccesses(r *request) (answer, error) {
	q := r.query()
	page, err := a.Store.AccessLog(r.Context(), r.actor, r.PathValue("id"), a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewAccess), nil
}

// eventView is an entry of the trail as staff read it: ids and actions.
type eventView struct {
	ID       string        `json:"id"`
	At       store.Instant `json:"at"`
	Action   store.Action  `json:"action"`
	Outcome  store.Outcome `json:"outcome"`
	Role     store.Role    `json:"role"`
	Actor    *string       `json:"actor"`
	Object   *string       `json:"object"`
	Version  *int          `json:"version"`
	Patients []string      `json:"patients"`
	Fields   []string      `json:"fields"`
	Address  string        `json:"address"`
	Request  string        `json:"request"`
}

var eventResource = &resource{name: "AuditEvent", example: eventView{
	sampleID, sampleInstant, store.ChangeRecord, store.Done, store.DoctorRole, new(sampleID), new(sampleID), new(2), []string{sampleID}, []string{"title"}, "192.0.2.1", sampleID,
}}

// eventFilters are the parameters of the trail's list.
var eventFilters = []parameter{
	{"actor", "The id of who acted.", anyID},
	{"patient", "The id of a patient whom it was about.", anyID},
	{"action", "What was done, as in record.read.", schema{"type": "string"}},
	{"outcome", "How it ended: done, or why not.", schema{"type": "string"}},
	dateAfter,
	dateBefore,
	{"ordering", "The newest first if left out.", schema{"type": "string", "enum": eventOrders()}},
}

// eventOrders are the orders of the trail, upwards and downwards.
func eventOrders() []string {
	orders := store.EventOrders()
	for _, name := range store.EventOrders() {
		orders = append(orders, "-"+name)
	}
	return orders
}

func viewEvent(e store.Event) eventView {
	return eventView{e.ID, e.At, e.Action, e.Outcome, e.Role, orNull(e.Actor), orNull(e.Object), orNull(e.Version), e.Patients, e.Fields, e.Address, e.Request}
}

// ViewEvent returns an entry of the trail as staff read it, for an export.
func ViewEvent(e store.Event) any { return viewEvent(e) }

func (a *api) listEvents(r *request) (answer, error) {
	q := r.query()
	f := store.EventFilter{
		Actor: q.values.Get("actor"), Patient: q.values.Get("patient"),
		Action: store.Action(q.values.Get("action")), Outcome: store.Outcome(q.values.Get("outcome")),
		Ordering: q.values.Get("ordering"),
	}
	f.After, f.Before = q.period()
	if q.values.Has("ordering") && !slices.Contains(eventOrders(), f.Ordering) {
		q.problems.Add("ordering", "Choose one of "+strings.Join(store.EventOrders(), ", ")+", with or without a - before it.")
	}
	page, err := a.Store.Events(r.Context(), r.actor, f, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewEvent), nil
}
