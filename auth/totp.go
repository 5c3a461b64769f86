package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// What every authenticator app takes for granted of one-time codes (RFC 6238):
// SHA-1, six digits, a new code every 30 seconds.
const (
	otpDigits  = 6
	otpModulus = 1_000_000
	otpPeriod  = 30 // seconds
)

// TOTPSecretSize is how many bytes the secret of one-time codes has: as many as
// the sum of SHA-1, which RFC 4226, section 4, recommends.
const TOTPSecretSize = 20

// TOTPStep returns the time step that a one-time code belongs to, if it is that
// of now or of the step before or after, which allows for the time of typing
// and for a clock that is wrong (RFC 6238, section 5.2). The step counts 30
// seconds since 1970. The code must be refused unless its step is later than
// every step used before, or it would work twice.
//
// The code is compared in constant time, and exactly: six ASCII digits.
func TOTPStep(secret []byte, code string, now time.Time) (step int64, ok bool) {
	current := now.Unix() / otpPeriod
	for s := current - 1; s <= current+1; s++ {
		if subtle.ConstantTimeCompare([]byte(hotp(secret, s)), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// TOTPCode returns the one-time code of a moment, as an authenticator app shows
// it.
func TOTPCode(secret []byte, at time.Time) string {
	return hotp(secret, at.Unix()/otpPeriod)
}

// hotp returns the code of a counter (RFC 4226, section 5.3).
func hotp(secret []byte, counter int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(counter)))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", otpDigits, number%otpModulus)
}

// TOTPText returns a secret as it is typed into an authenticator app: base32
// (RFC 4648, section 6) without padding.
func TOTPText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// OTPAuthURL returns what an authenticator app reads from a QR code: the secret,
// with the service's and the account's name to show, and the parameters, which
// apps know but some want to see. The form is the one of Google Authenticator's
// "Key Uri Format".
func OTPAuthURL(issuer, account string, secret []byte) string {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") } // apps show a + as it is
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		escape(issuer), escape(account), TOTPText(secret), escape(issuer), otpDigits, otpPeriod)
}
