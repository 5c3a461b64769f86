package store

import (
	"context"
	"encoding/base32"
	"strings"

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
		own.otpSecret, username = string(secret), own.user.Username
		return t.updateAccount(own)
	})
	return secret, username, err
}

// CodeInput is a body with a code.
type CodeInput struct {
	Input
	OTP *string
}

const wrongOTP = "The one-time code is not right."

// ConfirmOTP turns the actor's second factor on when the code is one of the
// secret that BeginOTP made, and returns recovery codes, which nothing shows
// again. A wrong code counts among the owner's failures: [Throttled]. It returns
// ErrOTPOn when the second factor is on.
func (s *Store) ConfirmOTP(ctx context.Context, a Actor, in *CodeInput) ([]string, error) {
	var made attempt
	err := s.peek(ctx, a, ConfirmOTP, func(t *tx) (err error) {
		made, err = t.reserve(t.ownLimit(t.who.id), t.who.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	var codes []string
	err = s.actOnSelf(ctx, a, ConfirmOTP, func(t *tx, own *account) error {
		in := copyOf(in)
		if own.otpOn {
			return ErrOTPOn
		}
		if in.Err != nil {
			return in.Err
		}
		good := false
		if in.OTP != nil && own.otpSecret != "" {
			if good, err = t.useOTP(own, *in.OTP); err != nil {
				return err
			}
		}
		if !good && !in.Problems.Has("otp") {
			in.Problems.Add("otp", wrongOTP)
			t.refuse("wrong otp")
		}
		if err := in.Problems.Err(); err != nil {
			return err
		}
		own.otpOn = true
		if err := t.updateAccount(own); err != nil {
			return err
		}
		if codes, err = t.makeRecoveryCodes(own.id); err != nil {
			return err
		}
		if err := t.forget(made.subject); err != nil {
			return err
		}
		return t.tell(own, MailOTPOn)
	})
	return codes, err
}

// EndOTPInput is what turns a second factor off: the password, which the caller
// has checked against what [Store.OwnCredentials] returned, and a code.
type EndOTPInput struct {
	Input
	Proven       string // the stored hash that the password was found to match
	OTP          *string
	RecoveryCode *string
}

// EndOTP turns the actor's second factor off. It returns ErrNotFound when there
// is none.
func (s *Store) EndOTP(ctx context.Context, a Actor, in *EndOTPInput) error {
	return s.actOnSelf(ctx, a, EndOTP, func(t *tx, own *account) error {
		in := copyOf(in)
		if !own.otpOn {
			return ErrNotFound
		}
		if in.Err != nil {
			return in.Err
		}
		if err := t.proveTwice(own, in); err != nil {
			return err
		}
		if err := in.Problems.Err(); err != nil {
			return err
		}
		if err := t.forget(t.ownLimit(own.id)); err != nil {
			return err
		}
		return t.dropOTP(own)
	})
}

// proveTwice notes what is wrong with the proofs. No code is used up beside a
// wrong password.
func (t *tx) proveTwice(own *account, in *EndOTPInput) error {
	if in.Problems.Err() != nil {
		return nil
	}
	if in.Proven == "" || in.Proven != own.password {
		in.Problems.Add("password", wrongPassword)
		t.refuse("wrong password")
		return nil
	}
	err := t.useCode(own, in.OTP, in.RecoveryCode)
	if err != ErrOTP {
		return err
	}
	if in.OTP == nil && in.RecoveryCode != nil {
		in.Problems.Add("recovery_code", "The recovery code is not right.")
	} else {
		in.Problems.Add("otp", wrongOTP)
	}
	t.refuse("wrong otp")
	return nil
}

// dropOTP takes the second factor from an account and tells its owner.
func (t *tx) dropOTP(own *account) error {
	own.otpOn, own.otpSecret = false, ""
	if err := t.updateAccount(own); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM recovery_codes WHERE account_id = $1`, own.id); err != nil {
		return err
	}
	return t.tell(own, MailOTPOff)
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
	step, ok := auth.TOTPStep([]byte(own.otpSecret), code, t.now)
	if !ok {
		return false, nil
	}
	n, err := t.exec(`UPDATE accounts SET otp_step = $1 WHERE id = $2 AND otp_step < $1`, step, own.id)
	return n == 1, err
}

func (t *tx) useRecoveryCode(account, code string) (bool, error) {
	n, err := t.exec(`DELETE FROM recovery_codes WHERE account_id = $1 AND hash = $2`, account, t.s.keys.recoveryHash(account, code))
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
	if _, err := t.exec(`DELETE FROM recovery_codes WHERE account_id = $1`, account); err != nil {
		return nil, err
	}
	codes := make([]string, recoveryCodes)
	for i := range codes {
		var random [10]byte
		mustRead(t.s.options.Random, random[:])
		c := strings.ToLower(base32.StdEncoding.EncodeToString(random[:])) // 16 letters and digits
		codes[i] = c[:4] + "-" + c[4:8] + "-" + c[8:12] + "-" + c[12:]
		if _, err := t.exec(`INSERT INTO recovery_codes (account_id, hash) VALUES ($1, $2)`, account, t.s.keys.recoveryHash(account, codes[i])); err != nil {
			return nil, err
		}
	}
	return codes, nil
}
