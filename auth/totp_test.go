package auth_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"healthrecords/auth"
)

// The secret of the vectors in RFC 4226 and RFC 6238.
var otpSecret = []byte("12345678901234567890")

// RFC 6238, appendix B: the rows of SHA-1. The codes there have eight digits,
// ours are their last six (RFC 4226, section 5.3).
func TestTOTPVectors(t *testing.T) {
	for _, test := range []struct {
		at   int64
		code string
	}{
		{59, "287082"},
		{1111111109, "081804"},
		{1111111111, "050471"},
		{1234567890, "005924"},
		{2000000000, "279037"},
		{20000000000, "353130"},
	} {
		at := time.Unix(test.at, 0)
		if got := auth.TOTPCode(otpSecret, at); got != test.code {
			t.Errorf("TOTPCode at %d = %s, want %s", test.at, got, test.code)
		}
		if step, ok := auth.TOTPStep(otpSecret, test.code, at); !ok || step != test.at/30 {
			t.Errorf("TOTPStep at %d = %d, %v, want %d", test.at, step, ok, test.at/30)
		}
	}
}

// RFC 4226, appendix D: the codes of the counters 0 to 9.
func TestHOTPVectors(t *testing.T) {
	for counter, code := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := auth.TOTPCode(otpSecret, time.Unix(30*int64(counter), 0)); got != code {
			t.Errorf("TOTPCode of step %d = %s, want %s", counter, got, code)
		}
	}
}

func TestCodeIsGoodOneStepEitherSide(t *testing.T) {
	code := auth.TOTPCode(otpSecret, issued)
	own := issued.Unix() / 30
	begin := time.Unix(30*own, 0)
	for _, test := range []struct {
		now  time.Time
		good bool
	}{
		{begin.Add(-30*time.Second - time.Nanosecond), false},
		{begin.Add(-30 * time.Second), true},
		{begin, true},
		{begin.Add(60*time.Second - time.Nanosecond), true},
		{begin.Add(60 * time.Second), false},
	} {
		step, ok := auth.TOTPStep(otpSecret, code, test.now)
		if ok != test.good || ok && step != own {
			t.Errorf("TOTPStep %v from the begin of the step = %d, %v, want %d, %v", test.now.Sub(begin), step, ok, own, test.good)
		}
	}
}

func TestCodeIsSixDigits(t *testing.T) {
	code := auth.TOTPCode(otpSecret, issued)
	for _, wrong := range []string{
		"", code[1:], "0" + code, code + "0", " " + code, code + "\n", code[:3] + " " + code[3:], code + "\x00",
		strings.Map(func(r rune) rune { return r - '0' + '٠' }, code), // Arabic-Indic digits
	} {
		if step, ok := auth.TOTPStep(otpSecret, wrong, issued); ok {
			t.Errorf("TOTPStep(%q) = %d, true, want false", wrong, step)
		}
	}
	if step, ok := auth.TOTPStep([]byte("another secret, also"), code, issued); ok {
		t.Errorf("TOTPStep under another secret = %d, true, want false", step)
	}
}

func TestOTPAuthURL(t *testing.T) {
	const want = "otpauth://totp/localhost%3A8000:a%20%2F%26%2Bb%40c?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=localhost%3A8000&algorithm=SHA1&digits=6&period=30"
	text := auth.OTPAuthURL("localhost:8000", "a /&+b@c", otpSecret)
	if text != want {
		t.Errorf("OTPAuthURL = %s, want %s", text, want)
	}
	u, err := url.Parse(text)
	if err != nil || u.Path != "/localhost:8000:a /&+b@c" || u.Query().Get("secret") != auth.TOTPText(otpSecret) {
		t.Errorf("OTPAuthURL reads %q, %v, want the label and the secret", u, err)
	}
}
