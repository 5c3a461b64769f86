package handlers

import (
	"net/http"

	"healthrecords/store"
)

// outgoing says what becomes of mail.
type outgoing string

const (
	mailSent   outgoing = "sent"
	mailLogged outgoing = "logged" // there is no mail server
)

// statusView is the practice at a glance.
type statusView struct {
	Patients    int            `json:"patients"`
	Doctors     int            `json:"doctors"`
	Unverified  int            `json:"doctors_unverified"`
	Staff       int            `json:"staff"`
	Invitations int            `json:"invitations"`
	Mail        outgoing       `json:"mail"`
	Waiting     int            `json:"mail_waiting"`
	Oldest      *store.Instant `json:"mail_oldest"` // when the oldest that waits was queued
	Failed      int            `json:"mail_failed"` // given up in the last 30 days
	LastBackup  *store.Instant `json:"last_backup"`
}

var statusResource = &resource{name: "Status", example: statusView{412, 6, 1, 3, 2, mailSent, 0, nil, 0, new(sampleInstant)}}

func (a *api) readStatus(r *request) (answer, error) {
	s, err := a.Store.Status(r.Context(), r.actor)
	v := statusView{s.Patients, s.Doctors, s.Unverified, s.Staff, s.Invitations, mailSent, s.Outbox.Waiting, nil, s.Outbox.Failed, orNull(s.LastBackup)}
	if a.NoMail {
		v.Mail = mailLogged
	}
	if !s.Outbox.Oldest.IsZero() {
		v.Oldest = new(store.InstantOf(s.Outbox.Oldest))
	}
	return answer{status: http.StatusOK, body: v}, err
}
