package handlers

import (
	"net/http"

	"healthrecords/store"
)

type sessionView struct {
	ID        string        `json:"id"`
	CreatedAt store.Instant `json:"created_at"`
	LastUsed  store.Instant `json:"last_used_at"`
	ExpiresAt store.Instant `json:"expires_at"`
	Address   string        `json:"address"`
	UserAgent string        `json:"user_agent"`
	Current   bool          `json:"current"`
}

var sessionResource = &resource{name: "Session", example: sessionView{
	sampleID, sampleInstant, sampleInstant, sampleInstant, "192.0.2.1", "Mozilla/5.0", true,
}}

func viewSession(s store.Session) sessionView {
	return sessionView{s.ID, store.InstantOf(s.Created), store.InstantOf(s.LastUsed), store.InstantOf(s.Expires), s.Address, s.Agent, s.Current}
}

func (a *api) listMySessions(r *request) (answer, error) {
	q := r.query()
	if err := q.problems.Err(); err != nil {
		return answer{}, err
	}
	sessions, err := a.Store.MySessions(r.Context(), r.actor)
	if err != nil {
		return answer{}, err
	}
	return listAnswer(a, r, q, store.Page[store.Session]{Items: sessions}, viewSession), nil
}

func (a *api) endMySession(r *request) (answer, error) {
	return answer{status: http.StatusNoContent}, a.Store.EndMySession(r.Context(), r.actor, r.PathValue("id"))
}

func (a *api) endOtherSessions(r *request) (answer, error) {
	return answer{status: http.StatusNoContent}, a.Store.EndOtherSessions(r.Context(), r.actor)
}
