// Package handlers is the HTTP side of the service: the route table, decoding,
// encoding, and what a failure looks like. It knows HTTP and no rules: what may
// be done, and by whom, the store decides.
//
// A request goes: allowed host, known path, known method, token, and then one
// call of the store, which is given the decoded body, or why it could not be
// decoded, so that a caller who may not act learns nothing about its input.
package handlers

import (
	"crypto/cipher"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"healthrecords/auth"
	"healthrecords/store"
)

// Options are what the handler works with; all but the slices are needed.
type Options struct {
	Store             *store.Store
	Tokens            *auth.Tokens
	Hasher            *auth.Hasher
	CursorKey         []byte         // 32 bytes
	AccessLifetime    time.Duration  // of access tokens
	PasswordMinLength int            // in code points
	NoMail            bool           // there is no mail server: who invites is given the token to hand over, and the status says so
	PublicURL         string         // begins links when set; else the request's host does
	AllowedHosts      []string       // names answered; ".example.org" stands for example.org and all below
	Origins           []string       // that browsers may call from
	TrustedProxies    []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto are believed
	Log               *slog.Logger
}

type api struct {
	Options
	cursors cipher.AEAD
	mux     *http.ServeMux
	schema  func() []byte // what Schema says of the table
	unread  atomic.Int64  // bytes of large answers that their readers have not taken
}

// New returns the handler of all routes. It fails when the cursor key has not
// 32 bytes.
func New(o Options) (http.Handler, error) {
	a := &api{Options: o, mux: http.NewServeMux()}
	var err error
	if a.cursors, err = newCursors(o.CursorKey); err != nil {
		return nil, err
	}
	a.schema = sync.OnceValue(func() []byte { return Schema(o.PasswordMinLength) })
	methods := make(map[string]map[string]*route)
	for _, r := range routes {
		if methods[r.path] == nil {
			methods[r.path] = make(map[string]*route)
		}
		methods[r.path][r.method] = &r
	}
	for path, byMethod := range methods {
		a.register(path, byMethod)
	}
	a.registerConsole()
	a.mux.HandleFunc("/", a.wrap("", func(*request) (answer, error) { return answer{}, store.ErrNotFound }))
	return a, nil
}

// access says what a route does with the Authorization header.
type access uint8

const (
	needsToken  access = iota
	tokenIfAny         // nobody may call it too, but a bad token is refused
	ignoreToken        // the header is not looked at
)

// A body is small where it makes an account or a token, and larger elsewhere.
const (
	smallBody = 64 << 10
	largeBody = 1 << 20
)

// route is a line of the table: everything that is true of one method of one
// path. What the schema says of it comes from here too.
type route struct {
	method string
	path   string
	access access
	limit  int64 // of the body, in bytes
	handle func(*api, *request) (answer, error)
	operation
}

var routes = []route{
	{"GET", "/api/", tokenIfAny, 0, (*api).index, operation{
		id: "listCollections", summary: "List the collections",
		who:    "Anybody.",
		status: 200, answers: indexResource}},
	{"GET", "/api/schema/", tokenIfAny, 0, (*api).readSchema, operation{
		id: "readSchema", summary: "Read this document",
		who:    "Anybody.",
		status: 200, answers: schemaResource}},
	{"GET", "/api/me/", needsToken, 0, (*api).readMe, operation{
		id: "readMe", summary: "Read who I am",
		who:    "Everybody who is signed in.",
		status: 200, answers: meResource}},
	{"POST", "/api/me/password/", needsToken, smallBody, (*api).changePassword, operation{
		id: "changePassword", summary: "Change my password",
		who:    "Everybody who is signed in.",
		status: 204, body: passwordFields(new(passwordInput)), also: []int{429}}},
	{"GET", "/api/me/otp/", needsToken, 0, (*api).readOTP, operation{
		id: "readSecondFactor", summary: "Read whether signing in takes a one-time code",
		who:    "Everybody who is signed in.",
		status: 200, answers: otpResource}},
	{"POST", "/api/me/otp/", needsToken, 0, (*api).beginOTP, operation{
		id: "beginSecondFactor", summary: "Make a secret for one-time codes",
		who:    "Everybody who is signed in.",
		status: 200, answers: otpSecretResource, also: []int{409}}},
	{"POST", "/api/me/otp/confirm/", needsToken, smallBody, (*api).confirmOTP, operation{
		id: "confirmSecondFactor", summary: "Turn one-time codes on",
		who:    "Everybody who is signed in, with a code of the new secret, and with the password when the sign-in was long ago. All other sessions end.",
		status: 200, answers: recoveryResource, body: confirmOTPFields(new(store.ConfirmOTPInput)), also: []int{409, 429}}},
	{"DELETE", "/api/me/otp/", needsToken, smallBody, (*api).endOTP, operation{
		id: "endSecondFactor", summary: "Turn one-time codes off",
		who:    "Everybody who is signed in and has them on, with the password and a code.",
		status: 204, body: endOTPFields(new(endOTPInput)), also: []int{404, 429}}},
	{"GET", "/api/me/sessions/", needsToken, 0, (*api).listMySessions, operation{
		id: "listSessions", summary: "List my sessions",
		who:    "Everybody who is signed in.",
		status: 200, answers: sessionResource, list: true, whole: true}},
	{"DELETE", "/api/me/sessions/", needsToken, 0, (*api).endOtherSessions, operation{
		id: "endOtherSessions", summary: "End my other sessions",
		who:    "Everybody who is signed in.",
		status: 204}},
	{"DELETE", "/api/me/sessions/{id}/", needsToken, 0, (*api).endMySession, operation{
		id: "endSession", summary: "End one of my sessions",
		who:    "Whose session it is.",
		status: 204}},

	{"POST", "/api/token/", ignoreToken, smallBody, (*api).signIn, operation{
		id: "signIn", summary: "Sign in",
		who:    "Anybody.",
		status: 200, answers: tokensResource, body: signInFields(new(signInInput)), also: []int{401, 429}}},
	{"POST", "/api/token/refresh/", ignoreToken, smallBody, (*api).refreshToken, operation{
		id: "refreshToken", summary: "Trade a refresh token for new tokens",
		who:    "Who holds the refresh token, once.",
		status: 200, answers: tokensResource, body: refreshFields(new(*string)), also: []int{401}}},
	{"POST", "/api/token/verify/", ignoreToken, smallBody, (*api).verifyToken, operation{
		id: "verifyToken", summary: "Ask whether a token is good",
		who:    "Who holds the token.",
		status: 200, answers: nothing, body: verifyFields(new(*string)), also: []int{401}}},
	{"POST", "/api/token/blacklist/", ignoreToken, smallBody, (*api).blacklistToken, operation{
		id: "blacklistToken", summary: "Sign out: end the session",
		who:    "Who holds its refresh token.",
		status: 200, answers: nothing, body: refreshFields(new(*string)), also: []int{401}}},

	{"POST", "/api/password-reset/", ignoreToken, smallBody, (*api).requestReset, operation{
		id: "requestPasswordReset", summary: "Have a link for a new password mailed to its owner",
		who:    "Anybody.",
		status: 202, answers: nothing, body: resetFields(new(*string), new(*string)), also: []int{429}}},
	{"POST", "/api/password-reset/confirm/", ignoreToken, smallBody, (*api).confirmReset, operation{
		id: "confirmPasswordReset", summary: "Set a new password",
		who:    "Who holds the token of the mail, once.",
		status: 204, body: confirmResetFields(new(*string), new(*string)), also: []int{429}}},

	{"GET", "/api/invitations/", needsToken, 0, (*api).listInvitations, operation{
		id: "listInvitations", summary: "List the invitations that were not accepted",
		who:    "Staff.",
		status: 200, answers: invitationResource, list: true}},
	{"POST", "/api/invitations/", needsToken, smallBody, (*api).invite, operation{
		id: "invite", summary: "Invite a patient or a doctor",
		who:    "Staff.",
		status: 201, answers: invitationResource}},
	{"POST", "/api/invitations/accept/", ignoreToken, smallBody, (*api).acceptInvitation, operation{
		id: "acceptInvitation", summary: "Choose a name and a password",
		who:    "Who holds the token of the invitation, once.",
		status: 201, answers: acceptedResource, body: acceptFields(new(acceptInput)), also: []int{429}}},
	{"GET", "/api/invitations/{id}/", needsToken, 0, (*api).readInvitation, operation{
		id: "readInvitation", summary: "Read an invitation",
		who:    "Staff.",
		status: 200, answers: invitationResource}},
	{"DELETE", "/api/invitations/{id}/", needsToken, 0, (*api).withdrawInvitation, operation{
		id: "withdrawInvitation", summary: "Withdraw an invitation and delete its account",
		who:    "Staff.",
		status: 204}},
	{"POST", "/api/invitations/{id}/resend/", needsToken, 0, (*api).resendInvitation, operation{
		id: "resendInvitation", summary: "Mail a new token to the invited",
		who:    "Staff.",
		status: 200, answers: invitationResource, also: []int{429}}},

	{"GET", "/api/staff/", needsToken, 0, (*api).listStaff, operation{
		id: "listStaff", summary: "List staff accounts",
		who:    "Staff.",
		status: 200, answers: staffResource, list: true, query: nameSearch}},
	{"POST", "/api/staff/", needsToken, smallBody, (*api).createStaff, operation{
		id: "createStaff", summary: "Make a staff account",
		who:    "Staff.",
		status: 201, answers: staffResource}},
	{"GET", "/api/staff/{id}/", needsToken, 0, (*api).readStaff, operation{
		id: "readStaff", summary: "Read a staff account",
		who:    "Staff.",
		status: 200, answers: staffResource}},
	{"PUT", "/api/staff/{id}/", needsToken, smallBody, (*api).changeStaff, operation{
		id: "replaceStaff", summary: "Change a staff account",
		who:    "Staff.",
		status: 200, answers: staffResource, also: []int{409, 429}}},
	{"PATCH", "/api/staff/{id}/", needsToken, smallBody, (*api).changeStaff, operation{
		id: "changeStaff", summary: "Change some of a staff account",
		who:    "Staff.",
		status: 200, answers: staffResource, also: []int{409, 429}}},
	{"DELETE", "/api/staff/{id}/", needsToken, 0, (*api).deleteStaff, operation{
		id: "deleteStaff", summary: "Delete a staff account",
		who:    "Staff.",
		status: 204, answers: staffResource, also: []int{409}}},

	{"GET", "/api/patients/", needsToken, 0, (*api).listPatients, operation{
		id: "listPatients", summary: "List patients",
		who:    "A patient sees itself, a doctor its patients, staff all.",
		status: 200, answers: patientResource, list: true, query: nameSearch}},
	{"POST", "/api/patients/", tokenIfAny, smallBody, (*api).createPatient, operation{
		id: "createPatient", summary: "Register a patient",
		who:    "Anybody without a token while registration is open; staff always.",
		status: 201, answers: patientResource, also: []int{403, 429}}},
	{"GET", "/api/patients/{id}/", needsToken, 0, (*api).readPatient, operation{
		id: "readPatient", summary: "Read a patient",
		who:    "The patient itself, its doctors, staff.",
		status: 200, answers: patientResource}},
	{"PUT", "/api/patients/{id}/", needsToken, smallBody, (*api).changePatient, operation{
		id: "replacePatient", summary: "Change a patient",
		who:    "The patient itself, staff.",
		status: 200, answers: patientResource, also: []int{429}}},
	{"PATCH", "/api/patients/{id}/", needsToken, smallBody, (*api).changePatient, operation{
		id: "changePatient", summary: "Change some of a patient",
		who:    "The patient itself, staff.",
		status: 200, answers: patientResource, also: []int{429}}},
	{"DELETE", "/api/patients/{id}/", needsToken, 0, (*api).deletePatient, operation{
		id: "deletePatient", summary: "Delete a patient",
		who:    "The patient itself, staff.",
		status: 204, answers: patientResource}},
	{"GET", "/api/patients/{id}/health-records/", needsToken, 0, (*api).listRecordsOf, operation{
		id: "listRecordsOfPatient", summary: "List the health records of a patient",
		who:    "The patient itself, its doctors.",
		status: 200, answers: recordResource, list: true, query: recordFilters}},
	{"GET", "/api/patients/{id}/access-log/", needsToken, 0, (*api).listAccesses, operation{
		id: "listAccesses", summary: "List who looked at a patient",
		who:    "The patient itself, staff.",
		status: 200, answers: accessResource, list: true}},

	{"GET", "/api/doctors/", needsToken, 0, (*api).listDoctors, operation{
		id: "listDoctors", summary: "List doctors",
		who:    "Everybody who is signed in; unverified doctors are shown to themselves and staff.",
		status: 200, answers: doctorResource, list: true, query: nameSearch}},
	{"POST", "/api/doctors/", tokenIfAny, smallBody, (*api).createDoctor, operation{
		id: "createDoctor", summary: "Register a doctor",
		who:    "Anybody without a token while registration is open, unverified; staff always.",
		status: 201, answers: doctorResource, also: []int{403, 429}}},
	{"GET", "/api/doctors/{id}/", needsToken, 0, (*api).readDoctor, operation{
		id: "readDoctor", summary: "Read a doctor",
		who:    "Everybody who is signed in; an unverified doctor is shown to itself and staff.",
		status: 200, answers: doctorResource}},
	{"PUT", "/api/doctors/{id}/", needsToken, smallBody, (*api).changeDoctor, operation{
		id: "replaceDoctor", summary: "Change a doctor",
		who:    "The doctor itself, staff.",
		status: 200, answers: doctorResource, also: []int{429}}},
	{"PATCH", "/api/doctors/{id}/", needsToken, smallBody, (*api).changeDoctor, operation{
		id: "changeDoctor", summary: "Change some of a doctor",
		who:    "The doctor itself, staff.",
		status: 200, answers: doctorResource, also: []int{429}}},
	{"DELETE", "/api/doctors/{id}/", needsToken, 0, (*api).deleteDoctor, operation{
		id: "deleteDoctor", summary: "Delete a doctor",
		who:    "The doctor itself, staff.",
		status: 204, answers: doctorResource}},
	{"GET", "/api/doctors/{id}/patients/", needsToken, 0, (*api).listPatientsOf, operation{
		id: "listPatientsOfDoctor", summary: "List the patients of a doctor",
		who:    "The doctor itself, staff.",
		status: 200, answers: patientResource, list: true, query: nameSearch}},

	{"GET", "/api/health-records/", needsToken, 0, (*api).listRecords, operation{
		id: "listRecords", summary: "List health records",
		who:    "A patient sees its own, a doctor those of its patients.",
		status: 200, answers: recordResource, list: true, query: recordFilters}},
	{"POST", "/api/health-records/", needsToken, largeBody, (*api).createRecord, operation{
		id: "createRecord", summary: "Write a health record",
		who:    "A patient about itself, a doctor about a patient of its own.",
		status: 201, answers: recordResource}},
	{"GET", "/api/health-records/{id}/", needsToken, 0, (*api).readRecord, operation{
		id: "readRecord", summary: "Read a health record",
		who:    "The patient whom it is about, its doctors.",
		status: 200, answers: recordResource}},
	{"PUT", "/api/health-records/{id}/", needsToken, largeBody, (*api).changeRecord, operation{
		id: "replaceRecord", summary: "Change a health record",
		who:    "Its author, a doctor while it treats the patient.",
		status: 200, answers: recordResource}},
	{"PATCH", "/api/health-records/{id}/", needsToken, largeBody, (*api).changeRecord, operation{
		id: "changeRecord", summary: "Change some of a health record",
		who:    "Its author, a doctor while it treats the patient.",
		status: 200, answers: recordResource}},
	{"DELETE", "/api/health-records/{id}/", needsToken, 0, (*api).deleteRecord, operation{
		id: "deleteRecord", summary: "Delete a health record with its notes",
		who:    "Its author, a doctor while it treats the patient.",
		status: 204, answers: recordResource}},
	{"GET", "/api/health-records/{id}/versions/", needsToken, 0, (*api).listRecordVersions, operation{
		id: "listRecordVersions", summary: "List the versions of a health record",
		who:    "The patient whom it is about, its doctors; of a deleted one the patient and the author.",
		status: 200, answers: recordVersionResource, list: true}},

	{"GET", "/api/doctor-notes/", needsToken, 0, (*api).listNotes, operation{
		id: "listNotes", summary: "List doctor notes",
		who:    "A patient sees those on its records, a doctor those on its patients' records.",
		status: 200, answers: noteResource, list: true, query: noteFilters}},
	{"POST", "/api/doctor-notes/", needsToken, largeBody, (*api).createNote, operation{
		id: "createNote", summary: "Write a doctor note",
		who:    "A doctor, on a record of a patient of its own.",
		status: 201, answers: noteResource}},
	{"GET", "/api/doctor-notes/{id}/", needsToken, 0, (*api).readNote, operation{
		id: "readNote", summary: "Read a doctor note",
		who:    "The patient whom it is about, its doctors.",
		status: 200, answers: noteResource}},
	{"PUT", "/api/doctor-notes/{id}/", needsToken, largeBody, (*api).changeNote, operation{
		id: "replaceNote", summary: "Change a doctor note",
		who:    "The doctor who wrote it, while it treats the patient.",
		status: 200, answers: noteResource}},
	{"PATCH", "/api/doctor-notes/{id}/", needsToken, largeBody, (*api).changeNote, operation{
		id: "changeNote", summary: "Change some of a doctor note",
		who:    "The doctor who wrote it, while it treats the patient.",
		status: 200, answers: noteResource}},
	{"DELETE", "/api/doctor-notes/{id}/", needsToken, 0, (*api).deleteNote, operation{
		id: "deleteNote", summary: "Delete a doctor note",
		who:    "The doctor who wrote it, while it treats the patient.",
		status: 204, answers: noteResource}},
	{"GET", "/api/doctor-notes/{id}/versions/", needsToken, 0, (*api).listNoteVersions, operation{
		id: "listNoteVersions", summary: "List the versions of a doctor note",
		who:    "The patient whom it is about, its doctors; of a deleted one the patient and the author.",
		status: 200, answers: noteVersionResource, list: true}},

	{"GET", "/api/audit-events/", needsToken, 0, (*api).listEvents, operation{
		id: "listEvents", summary: "List the audit trail",
		who:    "Staff.",
		status: 200, answers: eventResource, list: true, query: eventFilters}},

	{"GET", "/api/status/", needsToken, 0, (*api).readStatus, operation{
		id: "readStatus", summary: "Count accounts; see how mail and backup stand",
		who:    "Staff.",
		status: 200, answers: statusResource, also: []int{403}}},

	{"GET", "/healthz", ignoreToken, 0, (*api).healthz, operation{
		id: "readHealth", summary: "Ask whether the process lives",
		who:    "Anybody.",
		status: 200, answers: healthResource}},
	{"GET", "/readyz", ignoreToken, 0, (*api).readyz, operation{
		id: "readReadiness", summary: "Ask whether requests can be answered; 503 says what is in the way",
		who:    "Anybody.",
		status: 200, answers: healthResource, down: healthResource}},
}

// Routes returns every route as "METHOD path", for tests that hold the whole
// table against what was promised.
func Routes() []string {
	list := make([]string, len(routes))
	for i, r := range routes {
		list[i] = r.method + " " + r.path
	}
	return list
}
