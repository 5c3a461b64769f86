package handlers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

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
	errUnread       = errors.New("too many large answers wait for their readers")
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
	{store.ErrOTPSetup, http.StatusForbidden, detail{Detail: "Set up a one-time code first.", Code: "otp_setup_required"}},
	{store.ErrLastStaff, http.StatusConflict, detail{Detail: "The last active staff account stays.", Code: "conflict"}},
	{store.ErrOTPOn, http.StatusConflict, detail{Detail: "One-time codes are on already.", Code: "conflict"}},
	{store.ErrPrecondition, http.StatusPreconditionFailed, detail{Detail: "The object has another version.", Code: "precondition_failed"}},
	{store.ErrSession, http.StatusUnauthorized, badAccess},
	{auth.ErrToken, http.StatusUnauthorized, badAccess},
	{errRefreshToken, http.StatusUnauthorized, detail{Detail: tokenInvalid, Code: "token_not_valid"}},
	{store.ErrCredentials, http.StatusUnauthorized, detail{Detail: "No active account found with the given credentials", Code: "no_active_account"}},
	{store.ErrOTPRequired, http.StatusUnauthorized, detail{Detail: "A one-time code is required.", Code: "otp_required"}},
	{store.ErrOTP, http.StatusUnauthorized, detail{Detail: "The one-time code is not right.", Code: "otp_invalid"}},
	{errNoToken, http.StatusUnauthorized, detail{Detail: "Authentication credentials were not provided.", Code: "not_authenticated"}},
	{errHeaderForm, http.StatusUnauthorized, detail{Detail: "Authorization header must contain two space-delimited values", Code: "bad_authorization_header"}},
	{errHost, http.StatusBadRequest, detail{Detail: "This host is not served here.", Code: "invalid_host"}},
	{errBody, http.StatusBadRequest, detail{Detail: "The body could not be read.", Code: "parse_error"}},
	{errCursor, http.StatusBadRequest, detail{Detail: "Invalid cursor.", Code: "invalid_cursor"}},
	{errTooLarge, http.StatusRequestEntityTooLarge, detail{Detail: "The body is too large.", Code: "too_large"}},
	{errMediaType, http.StatusUnsupportedMediaType, detail{Detail: "Only application/json is accepted.", Code: "unsupported_media_type"}},
	{errEncoding, http.StatusUnsupportedMediaType, detail{Detail: "Compressed bodies are not accepted.", Code: "unsupported_media_type"}},
	{errHeaders, http.StatusRequestHeaderFieldsTooLarge, detail{Detail: "The headers are too large.", Code: "headers_too_large"}},
	{aMinuteEarly, http.StatusTooManyRequests, throttled(60)}, // an example: failure says how early it is
	{store.ErrUnavailable, http.StatusServiceUnavailable, unavailable},
	{auth.ErrBusy, http.StatusServiceUnavailable, unavailable},
	{errUnread, http.StatusServiceUnavailable, unavailable},
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

// aMinuteEarly stands for every [store.Throttled].
var aMinuteEarly = store.Throttled{Wait: time.Minute}

// throttled says in how many seconds to come again.
func throttled(seconds int) detail {
	unit := "seconds"
	if seconds == 1 {
		unit = "second"
	}
	return detail{Detail: fmt.Sprintf("Request was throttled. Expected available in %d %s.", seconds, unit), Code: "throttled"}
}

// badOneUse is the answer to a one-use token, whatever is wrong with it.
var badOneUse = map[string][]string{"token": {"The token is not valid or has expired."}}

// retryAfter is how many seconds a client is asked to wait when the service is
// not available.
const retryAfter = "5"

// Unavailable answers any request as the handler does while the database is
// away: for who has no store yet to make the handler with.
func Unavailable(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Retry-After", retryAfter)
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(encode(unavailable)) // who asked may have gone
}

// failure returns the status and body of an error, and tells the log what the
// client is not told.
func (a *api) failure(r *request, err error) (int, []byte) {
	var invalid *store.Invalid
	var parse *parseError
	var early store.Throttled
	switch {
	case errors.As(err, &invalid):
		return http.StatusBadRequest, encode(invalid)
	case errors.As(err, &parse):
		return http.StatusBadRequest, encode(detail{Detail: parse.Error(), Code: "parse_error"})
	case errors.As(err, &early):
		seconds := int(math.Ceil(early.Wait.Seconds()))
		r.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return http.StatusTooManyRequests, encode(throttled(seconds))
	case errors.Is(err, store.ErrOneUse):
		return http.StatusBadRequest, encode(badOneUse)
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
		a.Log.ErrorContext(r.Context(), "request failed", "route", r.route, "request", r.actor.Request, "cause", store.Describe(err))
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
		r.w.Header().Set("Retry-After", retryAfter)
		if r.Context().Err() == nil { // else the client has gone, which is no fault of ours
			a.Log.WarnContext(r.Context(), "not available", "route", r.route, "request", r.actor.Request, "cause", store.Describe(err))
		}
	}
}
