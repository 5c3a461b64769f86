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
}

// New returns the handler of all routes. It fails when the cursor key has not
// 32 bytes.
func New(o Options) (http.Handler, error) {
	a := &api{Options: o, mux: http.NewServeMux()}
	var err error
	if a.cursors, err = newCursors(o.CursorKey); err != nil {
		return nil, err
	}
	methods := make(map[string]map[string]route)
	for _, r := range routes {
		if methods[r.path] == nil {
			methods[r.path] = make(map[string]route)
		}
		methods[r.path][r.method] = r
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

type route struct {
	method string
	path   string
	access access
	limit  int64 // of the body, in bytes
	handle func(*api, *request) (answer, error)
}

var routes = []route{
	{"GET", "/api/", tokenIfAny, 0, (*api).index},
	{"GET", "/api/me/", needsToken, 0, (*api).readMe},

	{"POST", "/api/token/", ignoreToken, smallBody, (*api).signIn},
	{"POST", "/api/token/refresh/", ignoreToken, smallBody, (*api).refreshToken},
	{"POST", "/api/token/verify/", ignoreToken, smallBody, (*api).verifyToken},
	{"POST", "/api/token/blacklist/", ignoreToken, smallBody, (*api).blacklistToken},

	{"GET", "/api/patients/", needsToken, 0, (*api).listPatients},
	{"POST", "/api/patients/", tokenIfAny, smallBody, (*api).createPatient},
	{"GET", "/api/patients/{id}/", needsToken, 0, (*api).readPatient},
	{"PUT", "/api/patients/{id}/", needsToken, smallBody, (*api).changePatient},
	{"PATCH", "/api/patients/{id}/", needsToken, smallBody, (*api).changePatient},
	{"DELETE", "/api/patients/{id}/", needsToken, 0, (*api).deletePatient},
	{"GET", "/api/patients/{id}/health-records/", needsToken, 0, (*api).listRecordsOf},
	{"GET", "/api/patients/{id}/access-log/", needsToken, 0, (*api).listAccesses},

	{"GET", "/api/doctors/", needsToken, 0, (*api).listDoctors},
	{"POST", "/api/doctors/", tokenIfAny, smallBody, (*api).createDoctor},
	{"GET", "/api/doctors/{id}/", needsToken, 0, (*api).readDoctor},
	{"PUT", "/api/doctors/{id}/", needsToken, smallBody, (*api).changeDoctor},
	{"PATCH", "/api/doctors/{id}/", needsToken, smallBody, (*api).changeDoctor},
	{"DELETE", "/api/doctors/{id}/", needsToken, 0, (*api).deleteDoctor},
	{"GET", "/api/doctors/{id}/patients/", needsToken, 0, (*api).listPatientsOf},

	{"GET", "/api/health-records/", needsToken, 0, (*api).listRecords},
	{"POST", "/api/health-records/", needsToken, largeBody, (*api).createRecord},
	{"GET", "/api/health-records/{id}/", needsToken, 0, (*api).readRecord},
	{"PUT", "/api/health-records/{id}/", needsToken, largeBody, (*api).changeRecord},
	{"PATCH", "/api/health-records/{id}/", needsToken, largeBody, (*api).changeRecord},
	{"DELETE", "/api/health-records/{id}/", needsToken, 0, (*api).deleteRecord},
	{"GET", "/api/health-records/{id}/versions/", needsToken, 0, (*api).listRecordVersions},

	{"GET", "/api/doctor-notes/", needsToken, 0, (*api).listNotes},
	{"POST", "/api/doctor-notes/", needsToken, largeBody, (*api).createNote},
	{"GET", "/api/doctor-notes/{id}/", needsToken, 0, (*api).readNote},
	{"PUT", "/api/doctor-notes/{id}/", needsToken, largeBody, (*api).changeNote},
	{"PATCH", "/api/doctor-notes/{id}/", needsToken, largeBody, (*api).changeNote},
	{"DELETE", "/api/doctor-notes/{id}/", needsToken, 0, (*api).deleteNote},
	{"GET", "/api/doctor-notes/{id}/versions/", needsToken, 0, (*api).listNoteVersions},

	{"GET", "/api/audit-events/", needsToken, 0, (*api).listEvents},

	{"GET", "/healthz", ignoreToken, 0, (*api).healthz},
	{"GET", "/readyz", ignoreToken, 0, (*api).readyz},
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
