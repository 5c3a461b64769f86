package handlers

import (
	"net/http"

	"healthrecords/store"
)

// statusView is the practice at a glance.
type statusView struct {
	Patients    int            `json:"patients"`
	Doctors     int            `json:"doctors"`
	Unverified  int            `json:"doctors_unverified"`
	Staff       int            `json:"staff"`
	Invitations int            `json:"invitations"`
	Waiting     int            `json:"mail_waiting"`
	Oldest      *store.Instant `json:"mail_oldest"` // when the oldest that waits was queued
	Failed      int            `json:"mail_failed"` // given up in the last 30 days
	LastBackup  *store.Instant `json:"last_backup"`
}

var statusResource = &resource{name: "Status", example: statusView{412, 6, 1, 3, 2, 0, nil, 0, new(sampleInstant)}}

func (a *api) readStatus(r *request) (answer, error) {
	s, err := a.Store.Status(r.Context(), r.actor)
	v := statusView{s.Patients, s.Doctors, s.Unverified, s.Staff, s.Invitations, s.Outbox.Waiting, nil, s.Outbox.Failed, orNull(s.LastBackup)}
	if !s.Outbox.Oldest.IsZero() {
		v.Oldest = new(store.InstantOf(s.Outbox.Oldest))
	}
	return answer{status: http.StatusOK, body: v}, err
}
