package notify

import "healthrecords/store"

// A text is what a kind of mail says. Nothing of a patient, a doctor or a
// record is ever put in, and no name: mail is read by many machines on its way.
type text struct {
	subject string
	body    string // above the link

	// page is where the link leads, behind the service's address; the mail's
	// one-use token ends it. "" for the address alone.
	page string
}

// The pages of the service that take a one-use token, which ends the link to
// them. What stands behind a # is sent to no server, and so is in no server's
// log.
const (
	ResetPage      = "/#/password-reset/"
	InvitationPage = "/#/invitation/"
)

// linkLimit is the most that a page and its token add to the service's address.
const linkLimit = 98

// link is what stands behind the service's address.
func (t text) link(m store.Mail) string {
	if t.page == "" {
		return ""
	}
	return t.page + m.Token
}

// textOf returns the text of a mail. It fails for a kind that it does not know,
// and for a mail whose token is not good any more.
func textOf(m store.Mail) (text, error) {
	t, ok := texts[m.Kind]
	if !ok {
		return text{}, &Failure{"unknown kind", Again}
	}
	if t.page != "" && m.Token == "" {
		return text{}, &Failure{"too late", Never}
	}
	return t, nil
}

var texts = map[store.MailKind]text{
	store.MailAssigned: {
		subject: "New Patient Assigned",
		body:    "You have been assigned a new patient. Sign in to see who it is.",
	},
	store.MailPassword: {
		subject: "Your password was changed",
		body: `The password of your account was changed, and you are signed out everywhere else.
If it was not you, reset your password now and tell those who run the service.`,
	},
	store.MailEmail: {
		subject: "Your e-mail address was changed",
		body: `The e-mail address of your account was changed. Mail to you goes to another address from now on.
If it was not you, change your password now and tell those who run the service.`,
	},
	store.MailOTPOn: {
		subject: "One-time codes are on",
		body: `To sign in to your account takes a one-time code now, besides the password.
If it was not you, reset your password now and tell those who run the service.`,
	},
	store.MailOTPOff: {
		subject: "One-time codes are off",
		body: `To sign in to your account takes no one-time code any more, the password alone.
If it was not you, change your password now and tell those who run the service.`,
	},
	store.MailDevice: {
		subject: "New sign-in to your account",
		body: `Somebody signed in to your account from a device or a place that was not known.
If it was you, there is nothing to do. If not, change your password now: that signs everybody else out.`,
	},
	store.MailReset: {
		subject: "Reset your password",
		body: `Somebody asked for a new password for your account. This link lets you choose one; it works once, for 10 minutes.
If it was not you, there is nothing to do: your password is as it was.`,
		page: ResetPage,
	},
	store.MailInvitation: {
		subject: "An account was made for you",
		body:    "This link lets you choose a user name and a password for it. It works once, for 5 days.",
		page:    InvitationPage,
	},
}
