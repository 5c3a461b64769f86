package store_test

import (
	"time"

	"healthrecords/auth"
	"healthrecords/store"
)

// The deeds that are about accounts themselves: staff, invitations, resets, and
// what everybody does to its own.

// owner is a doctor, signed in twice, with tokens made for it.
type owner struct {
	store.Actor
	other store.Actor // its other session
	reset string      // a token for another doctor's password
	of    string      // that doctor

	colleague string // a staff account
}

func (w *town) newOwner() owner {
	w.t.Helper()
	o := owner{Actor: w.doctor(w.admin, "zz-owner"), other: w.actor("zz-owner"), of: w.doctor(w.admin, "zz-forgetful").Account,
		colleague: w.staff("zz-colleague").Account}
	var err error
	if o.reset, err = w.NewReset(w.t.Context(), w.operator, "zz-forgetful"); err != nil {
		w.t.Fatalf("NewReset error = %v, want nil", err)
	}
	return o
}

func (w *town) staffDeeds() []deed {
	ctx := w.t.Context()
	colleague := w.owner.colleague
	list := func(a store.Actor) (string, error) { _, err := w.StaffList(ctx, a, wholePage); return "", err }
	read := func(a store.Actor) (string, error) {
		_, err := w.StaffMember(ctx, a, colleague)
		return colleague, err
	}
	change := func(id string, in store.UserInput) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.ChangeStaff(ctx, a, id, nil, &store.StaffInput{User: in})
			return id, err
		}
	}
	remove := func(a store.Actor) (string, error) { return colleague, w.DeleteStaff(ctx, a, colleague, nil) }
	forbidden := func(name string, action store.Action, do func(store.Actor) (string, error)) deed {
		return deed{name: name, action: action, by: w.doc, role: store.DoctorRole, do: do, err: store.ErrForbidden, outcome: "forbidden"}
	}
	return []deed{
		{name: "staff lists staff", action: store.ListStaff, by: w.admin, role: store.Staff, do: list},
		forbidden("a doctor lists staff", store.ListStaff, list),
		{name: "staff reads a colleague", action: store.ReadStaff, by: w.admin, role: store.Staff, do: read},
		forbidden("a doctor reads staff", store.ReadStaff, read),
		{name: "staff renames a colleague", action: store.ChangeStaff, by: w.admin, role: store.Staff, do: change(colleague, store.UserInput{FirstName: ptr("zz-f")}), version: 2, fields: "first_name"},
		{name: "staff deactivates a patient", action: store.ChangePatient, by: w.admin, role: store.Staff, version: 2, fields: "deactivated", touched: []string{w.loner.Account},
			do: func(a store.Actor) (string, error) {
				_, err := w.ChangePatient(ctx, a, w.loner.Account, nil, &store.PatientInput{User: store.UserInput{Active: ptr(false)}})
				return w.loner.Account, err
			}},
		forbidden("a doctor renames staff", store.ChangeStaff, change(colleague, store.UserInput{FirstName: ptr("zz-g")})),
		{name: "staff deletes a colleague", action: store.DeleteStaff, by: w.admin, role: store.Staff, do: remove, version: 2},
		forbidden("a doctor deletes staff", store.DeleteStaff, remove),
	}
}

func (w *town) invitations() []deed {
	ctx := w.t.Context()
	var made store.Invitation
	invite := func(role store.Role) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			i, err := w.Invite(ctx, a, &store.InvitationInput{Role: role, Email: ptr("zz@example.test")})
			if err == nil {
				made = i
			}
			return i.ID, err
		}
	}
	list := func(a store.Actor) (string, error) { _, err := w.Invitations(ctx, a, wholePage); return "", err }
	read := func(a store.Actor) (string, error) { _, err := w.Invitation(ctx, a, made.ID); return made.ID, err }
	resend := func(a store.Actor) (string, error) {
		i, err := w.ResendInvitation(ctx, a, made.ID)
		if err == nil {
			made = i
		}
		return made.ID, err
	}
	withdraw := func(a store.Actor) (string, error) { return made.ID, w.WithdrawInvitation(ctx, a, made.ID) }
	accept := func(a store.Actor) (string, error) {
		done, err := w.AcceptInvitation(ctx, a, &store.AcceptInput{Token: made.Token, Username: ptr("zz-invited"), PasswordHash: "hash"})
		return done.ID, err
	}
	forbidden := func(name string, action store.Action, do func(store.Actor) (string, error)) deed {
		return deed{name: name, action: action, by: w.doc, role: store.DoctorRole, do: do, err: store.ErrForbidden, outcome: "forbidden"}
	}
	return []deed{
		{name: "staff invites a patient", action: store.Invite, by: w.admin, role: store.Staff, do: invite(store.PatientRole), version: 1, touched: []string{newOne}},
		{name: "staff withdraws it", action: store.WithdrawInvitation, by: w.admin, role: store.Staff, do: withdraw, version: 1, touched: []string{newOne}},
		{name: "staff invites a doctor", action: store.Invite, by: w.admin, role: store.Staff, do: invite(store.DoctorRole), version: 1},
		forbidden("a doctor invites", store.Invite, func(a store.Actor) (string, error) { _, err := invite(store.PatientRole)(a); return "", err }),
		{name: "staff lists invitations", action: store.ListInvitations, by: w.admin, role: store.Staff, do: list},
		forbidden("a doctor lists invitations", store.ListInvitations, list),
		{name: "staff reads an invitation", action: store.ReadInvitation, by: w.admin, role: store.Staff, do: read},
		forbidden("a doctor reads an invitation", store.ReadInvitation, read),
		{name: "staff sends an invitation again", action: store.ResendInvitation, by: w.admin, role: store.Staff, do: resend},
		forbidden("a doctor sends an invitation again", store.ResendInvitation, resend),
		forbidden("a doctor withdraws an invitation", store.WithdrawInvitation, withdraw),
		{name: "the invited accepts", action: store.AcceptInvitation, by: w.nobody, role: store.Nobody, do: accept, version: 2, fields: "username password"},
		{name: "somebody accepts again", action: store.AcceptInvitation, by: w.nobody, role: store.Nobody, do: accept, err: store.ErrOneUse, outcome: "bad token"},
	}
}

func (w *town) resets() []deed {
	ctx := w.t.Context()
	o := w.owner
	request := func(name, object string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return object, w.RequestReset(ctx, a, name, "") }
	}
	confirm := func(object string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) { return object, w.ConfirmReset(ctx, a, o.reset, "hash") }
	}
	check := func(a store.Actor) (string, error) { _, err := w.CheckReset(ctx, a, "zz"); return "", err }
	newReset := func(a store.Actor) (string, error) { _, err := w.NewReset(ctx, a, "zz-owner"); return o.Account, err }
	unlock := func(a store.Actor) (string, error) { return o.Account, w.Unlock(ctx, a, "zz-owner") }
	resetOTP := func(a store.Actor) (string, error) { return o.Account, w.ResetOTP(ctx, a, "zz-owner") }
	forbidden := func(name string, action store.Action, do func(store.Actor) (string, error)) deed {
		return deed{name: name, action: action, by: w.admin, role: store.Staff, do: func(a store.Actor) (string, error) {
			_, err := do(a)
			return "", err
		}, err: store.ErrForbidden, outcome: "forbidden"}
	}
	return []deed{
		{name: "a patient's new password is asked for", action: store.RequestReset, by: w.nobody, role: store.Nobody, do: request("zz-pat", w.pat.Account), touched: []string{w.pat.Account}},
		{name: "the new password of nobody known is asked for", action: store.RequestReset, by: w.nobody, role: store.Nobody, do: request("zz-nobody", ""), outcome: "not found"},
		{name: "somebody signed in asks for a new password", action: store.RequestReset, by: w.pat, role: store.PatientRole, do: request("zz-pat", ""), err: store.ErrForbidden, outcome: "forbidden"},
		{name: "a doctor gives itself a new password", action: store.ConfirmReset, by: w.nobody, role: store.Nobody, do: confirm(o.of), version: 2, fields: "password"},
		{name: "somebody does it again", action: store.ConfirmReset, by: w.nobody, role: store.Nobody, do: confirm(""), err: store.ErrOneUse, outcome: "bad token"},
		{name: "somebody tries another token", action: store.ConfirmReset, by: w.nobody, role: store.Nobody, do: check, err: store.ErrOneUse, outcome: "bad token"},
		{name: "the operator makes a reset", action: store.NewReset, by: w.operator, role: store.Operator, do: newReset},
		forbidden("staff makes a reset", store.NewReset, newReset),
		{name: "the operator unlocks a doctor", action: store.Unlock, by: w.operator, role: store.Operator, do: unlock},
		forbidden("staff unlocks a doctor", store.Unlock, unlock),
		{name: "the operator resets a second factor that is none", action: store.ResetOTP, by: w.operator, role: store.Operator, do: resetOTP, version: 1},
		forbidden("staff resets a second factor", store.ResetOTP, resetOTP),
	}
}

func (w *town) ownDeeds() []deed {
	ctx := w.t.Context()
	o := w.owner
	var secret []byte
	const hash = "hash of zz-owner"
	code := func(ahead time.Duration) *string { return ptr(auth.TOTPCode(secret, w.clock.Now().Add(ahead))) }
	readOTP := func(a store.Actor) (string, error) { _, err := w.OTP(ctx, a); return o.Account, err }
	begin := func(a store.Actor) (string, error) {
		made, _, err := w.BeginOTP(ctx, a)
		if err == nil {
			secret = made
		}
		return o.Account, err
	}
	confirm := func(wrong bool) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			in := &store.ConfirmOTPInput{OTP: code(0)}
			if wrong {
				in.OTP = ptr("zz")
			}
			_, err := w.ConfirmOTP(ctx, a, in)
			return o.Account, err
		}
	}
	end := func(proven string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			return o.Account, w.EndOTP(ctx, a, &store.EndOTPInput{Proven: proven, OTP: code(30 * time.Second)})
		}
	}
	signIn := func(otp *string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			_, err := w.SignIn(ctx, a, store.Credentials{Account: o.Account, Hash: hash}, store.SignInInput{Right: true, OTP: otp})
			return o.Account, err
		}
	}
	password := func(proven string) func(store.Actor) (string, error) {
		return func(a store.Actor) (string, error) {
			return o.Account, w.ChangePassword(ctx, a, &store.PasswordInput{Proven: proven, NewHash: "another hash"})
		}
	}
	sessions := func(a store.Actor) (string, error) { _, err := w.MySessions(ctx, a); return o.Account, err }
	endSession := func(a store.Actor) (string, error) {
		return o.other.Session, w.EndMySession(ctx, a, o.other.Session)
	}
	endOthers := func(a store.Actor) (string, error) { return o.Account, w.EndOtherSessions(ctx, a) }
	forbidden := func(name string, action store.Action, do func(store.Actor) (string, error)) deed {
		return deed{name: name, action: action, by: w.nobody, role: store.Nobody, do: func(a store.Actor) (string, error) {
			_, err := do(a)
			return "", err
		}, err: store.ErrForbidden, outcome: "forbidden"}
	}
	by := func(d deed) deed {
		d.by, d.role = o.Actor, store.DoctorRole
		return d
	}
	return []deed{
		by(deed{name: "a doctor looks at its second factor", action: store.ReadOTP, do: readOTP}),
		forbidden("nobody looks at its second factor", store.ReadOTP, readOTP),
		by(deed{name: "a doctor confirms a second factor that it has not begun", action: store.ConfirmOTP, do: confirm(true), invalid: true, outcome: "wrong otp"}),
		by(deed{name: "a doctor begins a second factor", action: store.BeginOTP, do: begin, version: 2}),
		by(deed{name: "a doctor ends its other session", action: store.EndMySession, do: endSession}),
		by(deed{name: "a doctor ends it again", action: store.EndMySession, do: func(a store.Actor) (string, error) {
			_, err := endSession(a)
			return o.Account, err
		}, err: store.ErrNotFound, outcome: "not found"}),
		by(deed{name: "a doctor confirms it", action: store.ConfirmOTP, do: confirm(false), version: 3}),
		by(deed{name: "a doctor begins another", action: store.BeginOTP, do: begin, err: store.ErrOTPOn, outcome: "otp is on"}),
		{name: "a doctor signs in without a code", action: store.SignIn, by: w.nobody, role: store.DoctorRole, do: signIn(nil), account: o.Account, err: store.ErrOTPRequired, outcome: "otp required"},
		{name: "a doctor signs in with a wrong code", action: store.SignIn, by: w.nobody, role: store.DoctorRole, do: signIn(ptr("zz")), account: o.Account, err: store.ErrOTP, outcome: "wrong otp"},
		by(deed{name: "a doctor ends its second factor with a wrong password", action: store.EndOTP, do: end("zz"), invalid: true, outcome: "wrong password"}),
		by(deed{name: "a doctor ends its second factor", action: store.EndOTP, do: end(hash), version: 4}),
		by(deed{name: "a doctor ends it again", action: store.EndOTP, do: end(hash), err: store.ErrNotFound, outcome: "not found"}),
		by(deed{name: "a doctor lists its sessions", action: store.ListMySessions, do: sessions}),
		forbidden("nobody lists its sessions", store.ListMySessions, sessions),
		by(deed{name: "a doctor ends all its other sessions", action: store.EndOtherSessions, do: endOthers}),
		forbidden("nobody ends its other sessions", store.EndOtherSessions, endOthers),
		by(deed{name: "a doctor changes its password", action: store.ChangePassword, do: password(hash), version: 5, fields: "password"}),
		by(deed{name: "a doctor changes its password with a wrong one", action: store.ChangePassword, do: password(hash), invalid: true, outcome: "wrong password"}),
	}
}
