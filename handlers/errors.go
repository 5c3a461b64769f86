package handlers

import (
	"context"
	"errors"
	"net/http"

	"healthrecords/auth"
	"healthrecords/store"
)

// detail is the body of an error that is not about fields.
type detail struct {
	Detail   string         `json:"detail"`
	Code     string         `json:"code"`
	Messages []tokenMessage `json:"messages,omitempty"`
}

type tokenMessage struct {
	TokenClass string `json:"token_class"`
	TokenType  string `json:"token_type"`
	Message    string `json:"message"`
}

// Failures that this package itself finds.
var (
	errMethod       = errors.New("method not allowed")
	errHost         = errors.New("host not allowed")
	errHeaders      = errors.New("headers too large")
	errNoToken      = errors.New("no token")
	errHeaderForm   = errors.New("malformed authorization header")
	errTooLarge     = errors.New("body too large")
	errMediaType    = errors.New("media type not supported")
	errEncoding     = errors.New("content encoding not supported")
	errBody         = errors.New("body could not be read")
	errCursor       = errors.New("cursor is not good")
	errRefreshToken = store.ErrToken
)

const tokenInvalid = "Token is invalid or expired"

// failures is the one table of what a failure looks like from outside. What is
// not in it is a 500.
var failures = []struct {
	err    error
	status int
	body   detail
}{
	{store.ErrNotFound, http.StatusNotFound, detail{Detail: "Not found.", Code: "not_found"}},
	{store.ErrForbidden, http.StatusForbidden, detail{Detail: "You do not have permission to perform this action.", Code: "permission_denied"}},
	{store.ErrClosed, http.StatusForbidden, detail{Detail: "Registration is closed.", Code: "registration_closed"}},
	{store.ErrPrecondition, http.StatusPreconditionFailed, detail{Detail: "The object has another version.", Code: "precondition_failed"}},
	{store.ErrSession, http.StatusUnauthorized, badAccess},
	{auth.ErrToken, http.StatusUnauthorized, badAccess},
	{errRefreshToken, http.StatusUnauthorized, detail{Detail: tokenInvalid, Code: "token_not_valid"}},
	{store.ErrCredentials, http.StatusUnauthorized, detail{Detail: "No active account found with the given credentials", Code: "no_active_account"}},
	{errNoToken, http.StatusUnauthorized, detail{Detail: "Authentication credentials were not provided.", Code: "not_authenticated"}},
	{errHeaderForm, http.StatusUnauthorized, detail{Detail: "Authorization header must contain two space-delimited values", Code: "bad_authorization_header"}},
	{errHost, http.StatusBadRequest, detail{Detail: "This host is not served here.", Code: "invalid_host"}},
	{errBody, http.StatusBadRequest, detail{Detail: "The body could not be read.", Code: "parse_error"}},
	{errCursor, http.StatusBadRequest, detail{Detail: "Invalid cursor.", Code: "invalid_cursor"}},
	{errTooLarge, http.StatusRequestEntityTooLarge, detail{Detail: "The body is too large.", Code: "too_large"}},
	{errMediaType, http.StatusUnsupportedMediaType, detail{Detail: "Only application/json is accepted.", Code: "unsupported_media_type"}},
	{errEncoding, http.StatusUnsupportedMediaType, detail{Detail: "Compressed bodies are not accepted.", Code: "unsupported_media_type"}},
	{errHeaders, http.StatusRequestHeaderFieldsTooLarge, detail{Detail: "The headers are too large.", Code: "headers_too_large"}},
	{store.ErrUnavailable, http.StatusServiceUnavailable, unavailable},
	{auth.ErrBusy, http.StatusServiceUnavailable, unavailable},
	{context.Canceled, http.StatusBadRequest, detail{Detail: "The request was cut off.", Code: "cut_off"}}, // the client has gone
	{context.DeadlineExceeded, http.StatusServiceUnavailable, unavailable},
}

var (
	internalError = detail{Detail: "Internal server error.", Code: "error"}
	unavailable   = detail{Detail: "The service is not available now. Try again.", Code: "unavailable"}
	badAccess     = detail{
		Detail: "Given token not valid for any token type", Code: "token_not_valid",
		Messages: []tokenMessage{{"AccessToken", "access", tokenInvalid}},
	}
)

// failure returns the status and body of an error, and tells the log what the
// client is not told.
func (a *api) failure(r *request, err error) (int, []byte) {
	var invalid *store.Invalid
	var parse *parseError
	switch {
	case errors.As(err, &invalid):
		return http.StatusBadRequest, encode(invalid)
	case errors.As(err, &parse):
		return http.StatusBadRequest, encode(detail{Detail: parse.Error(), Code: "parse_error"})
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed, encode(detail{Detail: `Method "` + r.Method + `" not allowed.`, Code: "method_not_allowed"})
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			a.explain(r, f.status, err)
			return f.status, encode(f.body)
		}
	}
	if !errors.Is(err, store.ErrPanic) { // which was logged with its stack
		a.Log.Error("request failed", "route", r.route, "request", r.actor.Request, "cause", store.Describe(err))
	}
	return http.StatusInternalServerError, encode(internalError)
}

// explain adds what a status asks for: the challenge of a 401, the pause and
// the cause of a 503.
func (a *api) explain(r *request, status int, err error) {
	switch status {
	case http.StatusUnauthorized:
		r.w.Header().Set("WWW-Authenticate", `Bearer realm="api"`)
	case http.StatusServiceUnavailable:
		r.w.Header().Set("Retry-After", "5")
		if r.Context().Err() == nil { // else the client has gone, which is no fault of ours
			a.Log.Warn("not available", "route", r.route, "request", r.actor.Request, "cause", store.Describe(err))
		}
	}
}
