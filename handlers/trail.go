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

func viewAccess(e store.Event) accessView {
	return accessView{e.ID, e.At, e.Action, e.Outcome, e.Role, orNull(e.Actor), e.ActorName, orNull(e.Object), e.Fields}
}

func (a *api) listAccesses(r *request) (answer, error) {
	q := parseQuery(r.URL.RawQuery)
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

func viewEvent(e store.Event) eventView {
	return eventView{e.ID, e.At, e.Action, e.Outcome, e.Role, orNull(e.Actor), orNull(e.Object), orNull(e.Version), e.Patients, e.Fields, e.Address, e.Request}
}

// ViewEvent returns an entry of the trail as staff read it, for an export.
func ViewEvent(e store.Event) any { return viewEvent(e) }

func (a *api) listEvents(r *request) (answer, error) {
	q := parseQuery(r.URL.RawQuery, "actor", "patient", "action", "outcome", "date_after", "date_before", "ordering")
	f := store.EventFilter{
		Actor: q.values.Get("actor"), Patient: q.values.Get("patient"),
		Action: store.Action(q.values.Get("action")), Outcome: store.Outcome(q.values.Get("outcome")),
		Ordering: q.values.Get("ordering"),
	}
	f.After, f.Before = q.period()
	if orders := store.EventOrders(); q.values.Has("ordering") && !slices.Contains(orders, strings.TrimPrefix(f.Ordering, "-")) {
		q.problems.Add("ordering", "Choose one of "+strings.Join(orders, ", ")+", with or without a - before it.")
	}
	page, err := a.Store.Events(r.Context(), r.actor, f, a.page(r, q))
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, page, viewEvent), nil
}
