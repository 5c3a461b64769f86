package store

import "errors"

// The outcomes of an action that are not success. A caller compares with
// errors.Is; everything else is a fault of the service itself.
var (
	ErrSession      = errors.New("session is over")            // the token's session or account is no more
	ErrForbidden    = errors.New("not permitted")              // may be seen, not done
	ErrClosed       = errors.New("registration is closed")     // nobody registers themselves
	ErrNotFound     = errors.New("not found")                  // does not exist, or may not be seen
	ErrPrecondition = errors.New("object has another version") // If-Match names another version
	ErrCredentials  = errors.New("no active account with those credentials")
	ErrToken        = errors.New("refresh token is not good")
	ErrOTPRequired  = errors.New("one-time code is required")          // the password was right
	ErrOTP          = errors.New("one-time code is not right")         // at sign-in
	ErrOTPSetup     = errors.New("second factor must be set up first") // Options.RequireOTP
	ErrOTPOn        = errors.New("second factor is on already")
	ErrOneUse       = errors.New("token is not good")         // of a reset or an invitation: used, void, too old
	ErrLastStaff    = errors.New("last active staff account") // stays, but for the operator
	ErrUnavailable  = errors.New("database is not available") // overloaded, locked, full, away: try again
	ErrPanic        = errors.New("panic")                     // a fault of the service, which was logged with its stack
)

// refusals are traced although nothing was done: each with the word that the
// trail has for it.
var refusals = []struct {
	err     error
	outcome Outcome
}{
	{ErrSession, "session over"},
	{ErrForbidden, "forbidden"},
	{ErrClosed, "registration closed"},
	{ErrNotFound, "not found"},
	{ErrPrecondition, "precondition failed"},
	{ErrCredentials, "wrong credentials"},
	{ErrToken, "bad token"},
	{ErrOTPRequired, "otp required"},
	{ErrOTP, "wrong otp"},
	{ErrOTPSetup, "otp setup required"},
	{ErrOTPOn, "otp is on"},
	{ErrOneUse, "bad token"},
	{ErrLastStaff, "last staff"},
}

func refusal(err error) (Outcome, bool) {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.outcome, true
		}
	}
	return "", false
}
