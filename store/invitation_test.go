package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"healthrecords/store"
)

// invite invites a patient of the given doctors.
func (p *practice) invite(admin store.Actor, doctors ...string) store.Invitation {
	p.t.Helper()
	i, err := p.Invite(p.t.Context(), admin, &store.InvitationInput{Role: store.PatientRole, Email: ptr("new@example.test"), FirstName: ptr("Erika"), Doctors: &doctors})
	if err != nil {
		p.t.Fatalf("Invite error = %v, want nil", err)
	}
	return i
}

func accepting(token, name string) *store.AcceptInput {
	return &store.AcceptInput{Token: token, Username: &name, LastName: ptr("Muster"), PasswordHash: "hash of " + name}
}

func TestInvitationIsAccepted(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	doc := p.doctor(admin, "doc")
	i := p.invite(admin, doc.Account)
	mails := p.mails()
	if m := mails[store.MailInvitation]; len(m) != 1 || m[0].Token != i.Token || m[0].To != "new@example.test" || len(mails[store.MailAssigned]) != 1 {
		t.Fatalf("%d invitations and %d mails to doctors are sent, want 1 of each, with the token", len(m), len(mails[store.MailAssigned]))
	}
	pat, err := p.Patient(ctx, doc, i.ID)
	if err != nil || pat.User.Username != "" || pat.User.FirstName != "Erika" {
		t.Errorf("Patient for its doctor: a nameless Erika %v, error = %v, want true, nil", pat.User.FirstName == "Erika", err)
	}
	for _, name := range []string{"", i.ID, "invited"} {
		if c, err := p.BeginSignIn(ctx, store.Actor{}, name, store.Device{}); err != nil || c.Account != "" {
			t.Errorf("BeginSignIn(%q) finds the invited: %v, error = %v, want nobody", name, c.Account != "", err)
		}
	}
	user, err := p.CheckInvitation(ctx, store.Actor{}, i.Token)
	if err != nil || user.FirstName != "Erika" || user.Email != "new@example.test" {
		t.Errorf("CheckInvitation knows who is invited: %v, %v, want true, nil", user.FirstName == "Erika", err)
	}
	var invalid *store.Invalid
	if _, err := p.AcceptInvitation(ctx, store.Actor{}, accepting(i.Token, "DOC")); !errors.As(err, &invalid) {
		t.Errorf("AcceptInvitation with a taken name: error = %v, want a problem", err)
	}
	done, err := p.AcceptInvitation(ctx, store.Actor{}, accepting(i.Token, "erika"))
	if want := (store.Accepted{ID: i.ID, Role: store.PatientRole, Username: "erika"}); err != nil || done != want {
		t.Fatalf("AcceptInvitation = %+v, %v, want %+v", done, err, want)
	}
	_, err = p.AcceptInvitation(ctx, store.Actor{}, accepting(i.Token, "again"))
	wantErr(t, "AcceptInvitation again", err, store.ErrOneUse)
	_, err = p.Invitation(ctx, admin, i.ID)
	wantErr(t, "Invitation when it is accepted", err, store.ErrNotFound)
	me, err := p.Me(ctx, p.actor("Erika"))
	if err != nil || me.ID != i.ID || me.User.Name() != "Erika Muster" {
		t.Errorf("the invited signs in as itself: %v, %v, want true, nil", me.ID == i.ID, err)
	}
	p.wantTrail()
}

// What ends an invitation, or its token.
func TestInvitationIsOver(t *testing.T) {
	for name, event := range map[string]func(*practice, store.Actor, store.Invitation) error{
		"after five days": func(p *practice, _ store.Actor, _ store.Invitation) error {
			p.clock.Advance(5 * 24 * time.Hour)
			return nil
		},
		"sent again": func(p *practice, admin store.Actor, i store.Invitation) error {
			_, err := p.ResendInvitation(p.t.Context(), admin, i.ID)
			return err
		},
		"withdrawn": func(p *practice, admin store.Actor, i store.Invitation) error {
			return p.WithdrawInvitation(p.t.Context(), admin, i.ID)
		},
		"deleted as a patient": func(p *practice, admin store.Actor, i store.Invitation) error {
			return p.DeletePatient(p.t.Context(), admin, i.ID, nil)
		},
		"with another address": func(p *practice, admin store.Actor, i store.Invitation) error {
			_, err := p.ChangePatient(p.t.Context(), admin, i.ID, nil, &store.PatientInput{User: store.UserInput{Email: ptr("right@example.test")}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPractice(t)
			admin := p.staff("admin")
			i := p.invite(admin)
			if err := event(p, admin, i); err != nil {
				t.Fatalf("error = %v, want nil", err)
			}
			_, err := p.CheckInvitation(t.Context(), store.Actor{}, i.Token)
			wantErr(t, "CheckInvitation", err, store.ErrOneUse)
			_, err = p.AcceptInvitation(t.Context(), store.Actor{}, accepting(i.Token, "erika"))
			wantErr(t, "AcceptInvitation", err, store.ErrOneUse)
			p.wantTrail()
		})
	}
}

// No mail invites to an account that was switched off.
func TestInvitationOfWhoIsShutOutIsNotSentAgain(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	i := p.invite(admin)
	set := func(active bool) {
		t.Helper()
		_, err := p.ChangePatient(ctx, admin, i.ID, nil, &store.PatientInput{User: store.UserInput{Active: &active}})
		wantErr(t, "ChangePatient", err, nil)
		p.mails()
	}
	set(false)
	_, err := p.ResendInvitation(ctx, admin, i.ID)
	wantErr(t, "ResendInvitation of who is shut out", err, store.ErrForbidden)
	if got := len(p.mails()); got != 0 {
		t.Errorf("%d kinds of mail are sent, want none", got)
	}
	set(true)
	i, err = p.ResendInvitation(ctx, admin, i.ID)
	wantErr(t, "ResendInvitation later", err, nil)
	_, err = p.AcceptInvitation(ctx, store.Actor{}, accepting(i.Token, "erika"))
	wantErr(t, "AcceptInvitation", err, nil)
}

func TestInvitationsAreListed(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	var ids []string
	for range 5 {
		p.clock.Advance(time.Minute)
		ids = append([]string{p.invite(admin).ID}, ids...)
	}
	p.clock.Advance(6 * 24 * time.Hour) // all are over, and are listed still
	admin = p.actor("admin")
	again, err := p.ResendInvitation(ctx, admin, ids[1])
	if want := store.InstantOf(p.clock.Now().Add(5 * 24 * time.Hour)); err != nil || again.Expires != want || again.Token == "" {
		t.Errorf("ResendInvitation expires %q, %v, want %q", again.Expires, err, want)
	}
	wantErr(t, "WithdrawInvitation", p.WithdrawInvitation(ctx, admin, ids[2]), nil)
	if _, err := p.AcceptInvitation(ctx, store.Actor{}, accepting(again.Token, "erika")); err != nil {
		t.Fatalf("AcceptInvitation error = %v, want nil", err)
	}
	wantErr(t, "WithdrawInvitation of an accepted one", p.WithdrawInvitation(ctx, admin, ids[1]), store.ErrNotFound)
	first, err := p.Invitations(ctx, admin, store.Paging{Size: 2})
	if err != nil || first.Next == nil {
		t.Fatalf("Invitations error = %v, want two and more behind them", err)
	}
	second, err := p.Invitations(ctx, admin, store.Paging{Size: 2, From: first.Next})
	var got []string
	for _, i := range slices.Concat(first.Items, second.Items) {
		got = append(got, i.ID)
		if i.Token != "" {
			t.Error("the list shows a token")
		}
	}
	if want := []string{ids[0], ids[3], ids[4]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Invitations = %q, %v, want %q", got, err, want)
	}
}

// Sending again is limited for each that is invited.
func TestInvitationIsNotSentAgainAndAgain(t *testing.T) {
	p := newPractice(t)
	admin := p.staff("admin")
	i, other := p.invite(admin), p.invite(admin)
	for range 3 {
		_, err := p.ResendInvitation(t.Context(), admin, i.ID)
		wantErr(t, "ResendInvitation", err, nil)
	}
	_, err := p.ResendInvitation(t.Context(), admin, i.ID)
	if got := p.wait(err); got != 20*time.Minute {
		t.Errorf("ResendInvitation for the fourth time waits %v, want 20m", got)
	}
	_, err = p.ResendInvitation(t.Context(), admin, other.ID)
	wantErr(t, "ResendInvitation of another", err, nil)
}

func TestInvitedDoctorIsVerified(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	pat := p.patient("pat")
	i, err := p.Invite(ctx, admin, &store.InvitationInput{Role: store.DoctorRole, Email: ptr("d@example.test"), License: ptr("L1"), Patients: &[]string{pat.Account}})
	if err != nil {
		t.Fatalf("Invite error = %v, want nil", err)
	}
	if _, err := p.AcceptInvitation(ctx, store.Actor{}, accepting(i.Token, "doc")); err != nil {
		t.Fatalf("AcceptInvitation error = %v, want nil", err)
	}
	if _, err := p.Patient(ctx, p.actor("doc"), pat.Account); err != nil {
		t.Errorf("Patient for the doctor that was invited with it: error = %v, want nil", err)
	}
	in := &store.InvitationInput{Role: store.DoctorRole, Email: ptr("d@example.test"), Patients: &[]string{p.NewID()}}
	var invalid *store.Invalid
	if _, err := p.Invite(ctx, admin, in); !errors.As(err, &invalid) {
		t.Errorf("Invite with a patient that does not exist: error = %v, want a problem", err)
	}
}

func TestInvitationIsAcceptedOnceInParallel(t *testing.T) {
	p := newPractice(t)
	i := p.invite(p.staff("admin"))
	errs := make([]error, 10)
	together(len(errs), func(n int) {
		_, errs[n] = p.AcceptInvitation(t.Context(), store.Actor{}, accepting(i.Token, "erika"+string(rune('a'+n))))
	})
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else {
			wantErr(t, "AcceptInvitation", err, store.ErrOneUse)
		}
	}
	if good != 1 {
		t.Errorf("an invitation was accepted %d times, want 1", good)
	}
}
