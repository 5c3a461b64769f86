package store

import (
	"context"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"healthrecords/auth"
)

// The second factor: one-time codes (RFC 6238; NIST SP 800-63B, section 3.1.4)
// out of a secret that the owner's phone holds too, and codes on paper for the
// day when that is lost (section 4.2.1.1).

// recoveryCodes is how many codes for the day without a phone there are. Each
// has 80 bits and is good once.
const recoveryCodes = 10

// OTPState is how an account stands to the second factor.
type OTPState struct {
	Enabled           bool
	RecoveryCodesLeft int
}

// OTP returns how the actor's own account stands to the second factor.
func (s *Store) OTP(ctx context.Context, a Actor) (OTPState, error) {
	var state OTPState
	err := s.actOnSelf(ctx, a, ReadOTP, func(t *tx, own *account) error {
		state.Enabled = own.otpOn
		return t.row(`SELECT COUNT(*) FROM recovery_codes WHERE account_id = $1`, own.id).Scan(&state.RecoveryCodesLeft)
	})
	return state, err
}

// BeginOTP makes a new secret for the actor's second factor, which is of no use
// before a code of it has come back to ConfirmOTP, and returns it, 20 bytes, with
// the user name that an authenticator app is to show. It returns ErrOTPOn when
// there is a second factor.
func (s *Store) BeginOTP(ctx context.Context, a Actor) (secret []byte, username string, err error) {
	err = s.actOnSelf(ctx, a, BeginOTP, func(t *tx, own *account) error {
		if own.otpOn {
			return ErrOTPOn
		}
		secret = make([]byte, auth.TOTPSecretSize)
		mustRead(s.options.Random, secret)
		own.secrets.otp, username = string(secret), own.user.Username
		return t.updateAccount(own)
	})
	return secret, username, err
}

// ConfirmOTPInput is what turns a second factor on: a code, and the password,
// which the caller has checked against what [Store.OwnCredentials] returned.
type ConfirmOTPInput struct {
	Input
	OTP      *string
	Password *string // nil when none came, which is enough right after a sign-in
	Proven   string  // the stored hash that the password was found to match
}

// freshSignIn is how long a sign-in is a proof of its own: who has just given the
// password is not asked for it again.
const freshSignIn = 10 * time.Minute

const wrongOTP = "The one-time code is not right."

// ConfirmOTP turns the actor's second factor on when the code is one of the
// secret that BeginOTP made, and returns recovery codes, which nothing shows
// again. All other sessions end, for they were opened with less. Without the
// password, a stolen session would be enough to shut the owner out for good (NIST
// SP 800-63B, section 4.1.2). Wrong codes are counted: [Throttled]. It returns
// ErrOTPOn when the second factor is on.
func (s *Store) ConfirmOTP(ctx context.Context, a Actor, in *ConfirmOTPInput) ([]string, error) {
	var codes []string
	var refused error
	err := s.actOnSelf(ctx, a, ConfirmOTP, func(t *tx, own *account) (err error) {
		codes, refused = nil, nil
		in := copyOf(in)
		if own.otpOn {
			return ErrOTPOn
		}
		if in.Err != nil {
			return in.Err
		}
		if err := t.proveConfirmation(own, in); err != nil {
			return err
		}
		if err := t.tested(in.Proven, in.Problems.Err()); err != nil {
			return err
		}
		if refused, err = t.tryCode(own, in.OTP, nil); err != nil || refused != nil {
			return err
		}
		if err := t.endOtherSessions(own.id); err != nil {
			return err
		}
		own.otpOn = true
		if err := t.updateAccount(own); err != nil {
			return err
		}
		if codes, err = t.makeRecoveryCodes(own.id); err != nil {
			return err
		}
		return t.tell(own, MailOTPOn)
	})
	if err == nil {
		err = atField(refused, "otp", wrongOTP)
	}
	return codes, err
}

// proveConfirmation notes what is wrong with the password, or that it is missing.
func (t *tx) proveConfirmation(own *account, in *ConfirmOTPInput) error {
	if in.Problems.Has("password") {
		return nil
	}
	if in.Password == nil {
		fresh, err := t.exists(`SELECT 1 FROM sessions WHERE id = $1 AND created_at > $2`, t.who.session, InstantOf(t.now.Add(-freshSignIn)))
		if !fresh {
			in.Problems.Add("password", "This field is required.")
		}
		return err
	}
	if in.Proven == "" || in.Proven != own.secrets.password {
		in.Problems.Add("password", wrongPassword)
		t.refuse("wrong password")
	}
	return nil
}

// atField makes a wrong code a problem of the field that it came in.
func atField(refused error, field, message string) error {
	if refused != ErrOTP {
		return refused
	}
	var p Problems
	p.Add(field, message)
	return p.Err()
}

// EndOTPInput is what turns a second factor off: the password, which the caller
// has checked against what [Store.OwnCredentials] returned, and a code.
type EndOTPInput struct {
	Input
	Proven       string // the stored hash that the password was found to match
	OTP          *string
	RecoveryCode *string
}

// EndOTP turns the actor's second factor off. Wrong codes are counted:
// [Throttled]; none is used up beside a wrong password. It returns ErrNotFound
// when there is no second factor.
func (s *Store) EndOTP(ctx context.Context, a Actor, in *EndOTPInput) error {
	var refused error
	err := s.actOnSelf(ctx, a, EndOTP, func(t *tx, own *account) (err error) {
		refused = nil
		in := copyOf(in)
		if !own.otpOn {
			return ErrNotFound
		}
		if in.Err != nil {
			return in.Err
		}
		if in.Problems.Err() == nil && (in.Proven == "" || in.Proven != own.secrets.password) {
			in.Problems.Add("password", wrongPassword)
			t.refuse("wrong password")
		}
		if err := t.tested(in.Proven, in.Problems.Err()); err != nil {
			return err
		}
		if refused, err = t.tryCode(own, in.OTP, in.RecoveryCode); err != nil || refused != nil {
			return err
		}
		return t.dropOTP(own)
	})
	if err != nil {
		return err
	}
	if in.OTP == nil && in.RecoveryCode != nil {
		return atField(refused, "recovery_code", "The recovery code is not right.")
	}
	return atField(refused, "otp", wrongOTP)
}

// dropOTP takes the second factor from an account and tells its owner.
func (t *tx) dropOTP(own *account) error {
	if err := t.readSecrets(own); err != nil {
		return err
	}
	own.otpOn, own.secrets.otp = false, ""
	if err := t.updateAccount(own); err != nil {
		return err
	}
	if err := t.forget(t.codeLimit(own.id)); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM recovery_codes WHERE account_id = $1`, own.id); err != nil {
		return err
	}
	return t.tell(own, MailOTPOff)
}

// tryCode counts an attempt at an account's codes and uses one up, the one-time
// code when both came. Its refusals are ErrOTP and [Throttled], with the word for
// the trail: they are no errors of the action, which would undo the count. The
// caller returns them when that is kept.
func (t *tx) tryCode(own *account, otp, recovery *string) (refused, err error) {
	made, err := t.reserve(t.codeLimit(own.id), own.id)
	if errors.As(err, new(Throttled)) {
		t.entry.outcome = "throttled"
		return err, nil
	}
	if err == nil && !made.exhausted {
		err = t.useCode(own, otp, recovery)
	}
	switch {
	case err == ErrOTP || err == nil && made.exhausted:
		t.entry.outcome, _ = refusal(ErrOTP)
		return ErrOTP, nil
	case err != nil:
		return nil, err
	}
	return nil, t.forget(made.subject)
}

// useCode uses a code of an account's second factor up, the one-time code when
// both came. It returns ErrOTP when it is not good.
func (t *tx) useCode(own *account, otp, recovery *string) error {
	var good bool
	var err error
	switch {
	case otp != nil:
		good, err = t.useOTP(own, *otp)
	case recovery != nil:
		good, err = t.useRecoveryCode(own.id, *recovery)
	}
	if err == nil && !good {
		err = ErrOTP
	}
	return err
}

// useOTP tells whether a code is good and its time step is later than any that
// was used: a code is good once (RFC 6238, section 5.2), also for two who use it
// at the same moment.
func (t *tx) useOTP(own *account, code string) (bool, error) {
	if err := t.readSecrets(own); err != nil {
		return false, err
	}
	step, ok := auth.TOTPStep([]byte(own.secrets.otp), code, t.now)
	if !ok || own.secrets.otp == "" {
		return false, nil
	}
	n, err := t.changed(`UPDATE accounts SET otp_step = $1 WHERE id = $2 AND otp_step < $1`, step, own.id)
	return n == 1, err
}

func (t *tx) useRecoveryCode(account, code string) (bool, error) {
	n, err := t.changed(`DELETE FROM recovery_codes WHERE account_id = $1 AND hash = $2`, account, t.s.keys.recoveryHash(account, code))
	if n == 1 {
		t.entry.fields = append(t.entry.fields, "recovery_code")
	}
	return n == 1, err
}

// recoveryHash takes a code as somebody types it: blanks, dashes and case do
// not matter.
func (k *keyring) recoveryHash(account, code string) []byte {
	return k.hash("recovery code", account, strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code)))
}

// makeRecoveryCodes replaces an account's recovery codes.
func (t *tx) makeRecoveryCodes(account string) ([]string, error) {
	if err := t.exec(`DELETE FROM recovery_codes WHERE account_id = $1`, account); err != nil {
		return nil, err
	}
	codes := make([]string, recoveryCodes)
	for i := range codes {
		var random [10]byte
		mustRead(t.s.options.Random, random[:])
		c := strings.ToLower(base32.StdEncoding.EncodeToString(random[:])) // 16 letters and digits
		codes[i] = c[:4] + "-" + c[4:8] + "-" + c[8:12] + "-" + c[12:]
		if err := t.exec(`INSERT INTO recovery_codes (account_id, hash) VALUES ($1, $2)`, account, t.s.keys.recoveryHash(account, codes[i])); err != nil {
			return nil, err
		}
	}
	return codes, nil
}
