package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"healthrecords/auth"
)

// The world of these tests: a secret, and a moment at which tokens are issued.
var (
	secret = []byte("Wm8sP1qv0aYtJ4xKzR7nHcE5gLbU2dTf9iOoXyQeV6hNrMkS")
	issued = time.Unix(1_800_000_000, 0).UTC()
)

const (
	accessLifetime  = 5 * time.Minute
	refreshLifetime = 24 * time.Hour
)

func newTokens() *auth.Tokens {
	return auth.NewTokens(secret, accessLifetime, refreshLifetime)
}

// claims returns what a token of the kind says that lives as long as it may.
func claims(kind auth.Kind) auth.Claims {
	c := auth.Claims{
		Kind:    kind,
		User:    "01920000-0000-7000-8000-000000000001",
		Session: "01920000-0000-7000-8000-000000000002",
		ID:      "01920000-0000-7000-8000-000000000003",
		Issued:  issued,
		Expires: issued.Add(accessLifetime),
	}
	switch kind {
	case auth.Refresh:
		c.Expires = issued.Add(refreshLifetime)
	case auth.Device:
		c.Expires = issued.Add(auth.DeviceLifetime)
	}
	return c
}

const (
	goodHeader  = `{"alg":"HS256","typ":"JWT"}`
	goodPayload = `{"token_type":"access","user_id":"u","sid":"s","jti":"j","iat":1800000000,"exp":1800000300}`
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a token as the holder of the key could who does not keep to the
// form: whatever its parts hold, the signature is right.
func sign(purpose auth.Purpose, parts ...string) string {
	key := auth.Key(secret, purpose)
	mac := hmac.New(sha256.New, key[:])
	text := strings.Join(parts, ".")
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func forge(header, payload string) string {
	return sign(auth.AccessTokens, b64(header), b64(payload))
}

// checkRefused expects that Parse says no, and no more than that.
func checkRefused(t *testing.T, token string) {
	t.Helper()
	c, err := newTokens().Parse(auth.Access, token, issued)
	if err != auth.ErrToken || c != (auth.Claims{}) {
		t.Errorf("Parse = %v, %v, want no claims and ErrToken", c, err)
	}
}

func TestParseReturnsWhatWasSigned(t *testing.T) {
	tokens := newTokens()
	for _, kind := range []auth.Kind{auth.Access, auth.Refresh, auth.Device} {
		want := claims(kind)
		got, err := tokens.Parse(kind, tokens.Sign(want), issued)
		if got != want || err != nil {
			t.Errorf("Parse(%s) = %+v, %v, want %+v", kind, got, err, want)
		}
	}
}

func TestSignKeepsWholeSeconds(t *testing.T) {
	c := claims(auth.Access)
	c.Issued = c.Issued.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
	got, err := newTokens().Parse(auth.Access, newTokens().Sign(c), issued)
	if err != nil || got.Issued != issued {
		t.Errorf("Issued = %v, %v, want %v", got.Issued, err, issued)
	}
}

func TestTokenHasTheDeclaredForm(t *testing.T) {
	parts := strings.Split(newTokens().Sign(claims(auth.Access)), ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts, want 3", len(parts))
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if string(header) != goodHeader || err != nil {
		t.Errorf("header = %s, %v, want %s", header, err, goodHeader)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	want := `{"token_type":"access","user_id":"01920000-0000-7000-8000-000000000001",` +
		`"sid":"01920000-0000-7000-8000-000000000002","jti":"01920000-0000-7000-8000-000000000003",` +
		`"iat":1800000000,"exp":1800000300}`
	if string(payload) != want || err != nil {
		t.Errorf("payload = %s, %v, want %s", payload, err, want)
	}
}

// The token as a whole, so that one that was issued before an upgrade is known
// after it. It was computed with HKDF and HMAC of another implementation.
func TestSignFixedVector(t *testing.T) {
	c := auth.Claims{Kind: auth.Access, User: "u", Session: "s", ID: "j", Issued: issued, Expires: issued.Add(accessLifetime)}
	const want = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." +
		"eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwidXNlcl9pZCI6InUiLCJzaWQiOiJzIiwianRpIjoiaiIsImlhdCI6MTgwMDAwMDAwMCwiZXhwIjoxODAwMDAwMzAwfQ." +
		"Gb08kX3TN2YtJvv5IbLXe9AUGn6liDh0DALof1nntsU"
	if got := newTokens().Sign(c); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

// A device keeps its proof for a year, and through upgrades.
func TestDeviceFixedVector(t *testing.T) {
	c := auth.Claims{Kind: auth.Device, User: "u", Session: "s", ID: "j", Issued: issued, Expires: issued.Add(auth.DeviceLifetime)}
	const want = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." +
		"eyJ0b2tlbl90eXBlIjoiZGV2aWNlIiwidXNlcl9pZCI6InUiLCJzaWQiOiJzIiwianRpIjoiaiIsImlhdCI6MTgwMDAwMDAwMCwiZXhwIjoxODMxNTM2MDAwfQ." +
		"1rbb6TggjJ_0mEwWxKGbfFRD-3gyOCR5KBJUpdMnwtY"
	if got := newTokens().Sign(c); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

// RFC 7515, A.1: the signature is computed as there, and the token, whose
// header and claims are others, is refused.
func TestRFC7515(t *testing.T) {
	key, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	const input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." +
		"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	const want = input + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	if got := auth.AppendSignature(key, input); got != want {
		t.Errorf("signed = %s, want %s", got, want)
	}
	tokens := auth.NewTokens(key, accessLifetime, refreshLifetime)
	if _, err := tokens.Parse(auth.Access, want, time.Unix(1300819379, 0)); err != auth.ErrToken {
		t.Errorf("Parse error = %v, want ErrToken", err)
	}
}

func TestTokenOfOneKindIsNotOfAnother(t *testing.T) {
	tokens := newTokens()
	access, refresh := tokens.Sign(claims(auth.Access)), tokens.Sign(claims(auth.Refresh))
	refreshPayload := strings.Replace(goodPayload, "access", "refresh", 1)
	devicePayload := strings.Replace(goodPayload, "access", "device", 1)
	for _, test := range []struct {
		name  string
		kind  auth.Kind
		token string
	}{
		{"access as refresh", auth.Refresh, access},
		{"refresh as access", auth.Access, refresh},
		{"access claims under the refresh key, as refresh", auth.Refresh, sign(auth.RefreshTokens, b64(goodHeader), b64(goodPayload))},
		{"access claims under the refresh key, as access", auth.Access, sign(auth.RefreshTokens, b64(goodHeader), b64(goodPayload))},
		{"refresh claims under the access key, as refresh", auth.Refresh, forge(goodHeader, refreshPayload)},
		{"refresh claims under the access key, as access", auth.Access, forge(goodHeader, refreshPayload)},
		{"device as access", auth.Access, tokens.Sign(claims(auth.Device))},
		{"device as refresh", auth.Refresh, tokens.Sign(claims(auth.Device))},
		{"refresh as device", auth.Device, refresh},
		{"device claims under the access key, as device", auth.Device, forge(goodHeader, devicePayload)},
		{"access claims under the device key, as device", auth.Device, sign(auth.DeviceProofs, b64(goodHeader), b64(goodPayload))},
		{"access claims under the device key, as access", auth.Access, sign(auth.DeviceProofs, b64(goodHeader), b64(goodPayload))},
		{"under the cursor key", auth.Access, sign(auth.Cursors, b64(goodHeader), b64(goodPayload))},
		{"as an unknown kind", "reset", access},
		{"as no kind", "", access},
	} {
		if _, err := tokens.Parse(test.kind, test.token, issued); err != auth.ErrToken {
			t.Errorf("%s: Parse error = %v, want ErrToken", test.name, err)
		}
	}
}

func TestTokenOfAnotherSecretIsRefused(t *testing.T) {
	other := append([]byte("x"), secret[1:]...)
	checkRefused(t, auth.NewTokens(other, accessLifetime, refreshLifetime).Sign(claims(auth.Access)))
}

// forge and sign are as good as the package's own: the tests below refuse what
// they refuse for its content and not for its signature.
func TestForgedTokenWithGoodPartsPasses(t *testing.T) {
	for name, payload := range map[string]string{
		"in our order":   goodPayload,
		"in another":     `{"exp":1800000300,"iat":1800000000,"jti":"j","sid":"s","token_type":"access","user_id":"u"}`,
		"of other texts": strings.Replace(goodPayload, `"u"`, `"<&>{}:, ~"`, 1),
	} {
		if _, err := newTokens().Parse(auth.Access, forge(goodHeader, payload), issued); err != nil {
			t.Errorf("claims %s: Parse error = %v, want nil", name, err)
		}
	}
}

func TestHeaderIsConstant(t *testing.T) {
	for _, header := range []string{
		`{"alg":"none","typ":"JWT"}`, `{"alg":"None","typ":"JWT"}`, `{"alg":"","typ":"JWT"}`, `{"typ":"JWT"}`, `{"alg":"HS256"}`,
		`{"alg":"HS384","typ":"JWT"}`, `{"alg":"HS512","typ":"JWT"}`, `{"alg":"RS256","typ":"JWT"}`, `{"alg":"hs256","typ":"JWT"}`,
		`{"typ":"JWT","alg":"HS256"}`, `{"alg":"HS256", "typ":"JWT"}`, `{"alg":"HS256","typ":"jwt"}`, `{"alg":"HS256","typ":"at+jwt"}`,
		`{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}`, `{"alg":"HS256","typ":"JWT","kid":"' OR 1=1 --"}`,
		`{"alg":"HS256","typ":"JWT","crit":["x"],"x":1}`, `{"alg":"HS256","typ":"JWT","jwk":{}}`, `{"alg":"HS256","typ":"JWT","zip":"DEF"}`,
		`{"alg":"HS256","typ":"JWT","alg":"none"}`, `{"ALG":"HS256","typ":"JWT"}`, `{}`, ``, `null`,
	} {
		t.Run(header, func(t *testing.T) { checkRefused(t, forge(header, goodPayload)) })
	}
	t.Run("none without a signature", func(t *testing.T) {
		checkRefused(t, b64(`{"alg":"none","typ":"JWT"}`)+"."+b64(goodPayload)+".")
	})
}

func TestClaimsAreExact(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(goodPayload, old) {
			t.Fatalf("payload does not hold %s", old)
		}
		return strings.Replace(goodPayload, old, new, 1)
	}
	for name, payload := range map[string]string{
		"one more":                    replace(`}`, `,"role":"staff"}`),
		"one more, without a value":   replace(`"exp"`, `"role":,"exp"`),
		"nbf":                         replace(`}`, `,"nbf":0}`),
		"token_type missing":          replace(`"token_type":"access",`, ``),
		"user_id missing":             replace(`"user_id":"u",`, ``),
		"sid missing":                 replace(`"sid":"s",`, ``),
		"jti missing":                 replace(`"jti":"j",`, ``),
		"iat missing":                 replace(`"iat":1800000000,`, ``),
		"exp missing":                 replace(`,"exp":1800000300`, ``),
		"exp twice":                   replace(`"exp":1800000300`, `"exp":1800000300,"exp":1800000300`),
		"exp twice, one differs":      replace(`"exp":1800000300`, `"exp":1700000000,"exp":1800000300`),
		"exp and EXP":                 replace(`"exp":1800000300`, `"exp":1700000000,"EXP":1800000300`),
		"EXP for exp":                 replace(`"exp"`, `"EXP"`),
		"User_ID for user_id":         replace(`"user_id"`, `"User_ID"`),
		"long s in sid":               replace(`"sid"`, `"ſid"`),
		"Kelvin sign in token_type":   replace(`"token_type"`, `"toKen_type"`),
		"exp with an escape":          replace(`"exp"`, `"\u0065xp"`),
		"an empty name":               replace(`"exp"`, `""`),
		"user_id twice":               replace(`"sid":"s"`, `"sid":"s","user_id":"other"`),
		"user_id a number":            replace(`"u"`, `1`),
		"user_id null":                replace(`"u"`, `null`),
		"user_id empty":               replace(`"u"`, `""`),
		"user_id a list":              replace(`"u"`, `["u"]`),
		"user_id with an escape":      replace(`"u"`, `"\u0075"`),
		"user_id with NUL":            replace(`"u"`, "\"u\x00\""),
		"user_id beyond ASCII":        replace(`"u"`, `"ü"`),
		"token_type Access":           replace(`"access"`, `"Access"`),
		"token_type a list":           replace(`"access"`, `["access"]`),
		"exp a text":                  replace(`1800000300`, `"1800000300"`),
		"exp with a fraction":         replace(`1800000300`, `1800000300.0`),
		"exp with an exponent":        replace(`1800000300`, `18000003e2`),
		"exp 2^63":                    replace(`1800000300`, `9223372036854775808`),
		"exp 2^64 and a second":       replace(`1800000300`, `18446744075509551616`),
		"exp 2^63 - 1":                replace(`1800000300`, `9223372036854775807`),
		"exp of 13 digits":            replace(`1800000300`, `1800000300000`),
		"exp negative":                replace(`1800000300`, `-1800000300`),
		"exp with a sign":             replace(`1800000300`, `+1800000300`),
		"exp with a leading zero":     replace(`1800000300`, `01800000300`),
		"exp hexadecimal":             replace(`1800000300`, `0x6B49D32C`),
		"exp with an underscore":      replace(`1800000300`, `1_800_000_300`),
		"exp null":                    replace(`1800000300`, `null`),
		"exp empty":                   replace(`1800000300`, ``),
		"a space":                     replace(`:`, `: `),
		"a space before":              " " + goodPayload,
		"a line feed behind":          goodPayload + "\n",
		"an object behind":            goodPayload + goodPayload,
		"a comma behind the last":     replace(`}`, `,}`),
		"no braces":                   strings.Trim(goodPayload, "{}"),
		"no closing brace":            strings.TrimSuffix(goodPayload, "}"),
		"a byte order mark":           "\ufeff" + goodPayload,
		"nested":                      `{"claims":` + goodPayload + `}`,
		"a list":                      `[` + goodPayload + `]`,
		"no claims":                   `{}`,
		"nothing":                     ``,
		"null":                        `null`,
		"a brace only":                `{`,
		"an unfinished name":          `{"token_type`,
		"an unfinished text":          `{"token_type":"access`,
		"a name without its value":    `{"token_type":`,
		"a name without its colon":    replace(`"exp":`, `"exp"`),
		"single quotes":               strings.ReplaceAll(goodPayload, `"`, `'`),
		"a lifetime beyond its limit": replace(`1800000300`, `1800000301`),
		"a life from 1970 on":         replace(`"iat":1800000000`, `"iat":0`),
		"no lifetime":                 replace(`1800000300`, `1800000000`),
		"an end before its beginning": replace(`1800000300`, `1799999999`),
		"an issue in the future":      replace(`"iat":1800000000`, `"iat":1800000001`),
	} {
		t.Run(name, func(t *testing.T) { checkRefused(t, forge(goodHeader, payload)) })
	}
}

func TestExpiry(t *testing.T) {
	tokens := newTokens()
	short := claims(auth.Access)
	short.Expires = issued.Add(time.Second)
	for _, test := range []struct {
		name   string
		claims auth.Claims
		at     time.Time
		want   error
	}{
		{"a nanosecond before its issue", claims(auth.Access), issued.Add(-1), auth.ErrToken},
		{"at its issue", claims(auth.Access), issued, nil},
		{"a nanosecond before its end", claims(auth.Access), issued.Add(accessLifetime - 1), nil},
		{"at its end", claims(auth.Access), issued.Add(accessLifetime), auth.ErrToken},
		{"long after", claims(auth.Access), issued.AddDate(100, 0, 0), auth.ErrToken},
		{"a refresh token before its end", claims(auth.Refresh), issued.Add(refreshLifetime - 1), nil},
		{"a refresh token at its end", claims(auth.Refresh), issued.Add(refreshLifetime), auth.ErrToken},
		{"a device's proof before its end", claims(auth.Device), issued.Add(auth.DeviceLifetime - 1), nil},
		{"a device's proof at its end", claims(auth.Device), issued.Add(auth.DeviceLifetime), auth.ErrToken},
		{"a short life", short, issued.Add(time.Second - 1), nil},
		{"a short life at its end", short, issued.Add(time.Second), auth.ErrToken},
		{"in another zone", claims(auth.Access), issued.In(time.FixedZone("", -7*3600)), nil},
	} {
		if _, err := tokens.Parse(test.claims.Kind, tokens.Sign(test.claims), test.at); err != test.want {
			t.Errorf("%s: Parse error = %v, want %v", test.name, err, test.want)
		}
	}
}

// What Parse refuses of itself must not come from Sign unnoticed: the lifetime
// is the kind's own.
func TestLifetimeIsOfTheKind(t *testing.T) {
	tokens := newTokens()
	c := claims(auth.Refresh)
	c.Kind = auth.Access
	if _, err := tokens.Parse(auth.Access, tokens.Sign(c), issued); err != auth.ErrToken {
		t.Errorf("Parse error = %v, want ErrToken", err)
	}
	c.Kind, c.Expires = auth.Refresh, c.Expires.Add(time.Second)
	if _, err := tokens.Parse(auth.Refresh, tokens.Sign(c), issued); err != auth.ErrToken {
		t.Errorf("Parse error = %v, want ErrToken", err)
	}
}

func TestTokenHasOneSpelling(t *testing.T) {
	token := newTokens().Sign(claims(auth.Access))
	parts := strings.Split(token, ".")
	last := strings.IndexByte(base64URL, token[len(token)-1])
	for name, text := range map[string]string{
		"empty":                       "",
		"dots":                        "..",
		"two parts":                   parts[0] + "." + parts[1],
		"four parts":                  token + ".",
		"encrypted form":              token + "." + parts[1] + "." + parts[2],
		"no signature":                parts[0] + "." + parts[1] + ".",
		"no payload":                  parts[0] + ".." + parts[2],
		"padding":                     token + "=",
		"a space before":              " " + token,
		"a space behind":              token + " ",
		"a line feed behind":          token + "\n",
		"a line feed in the header":   parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1] + "." + parts[2],
		"a return in the payload":     parts[0] + "." + parts[1][:4] + "\r" + parts[1][4:] + "." + parts[2],
		"a line feed in the MAC":      parts[0] + "." + parts[1] + "." + parts[2][:4] + "\n" + parts[2][4:],
		"an unused bit in the MAC":    token[:len(token)-1] + base64URL[last^1:last^1+1],
		"the other base64 alphabet":   strings.NewReplacer("-", "+", "_", "/").Replace(token) + "+",
		"upper case":                  strings.ToUpper(token),
		"a signature of zeros":        parts[0] + "." + parts[1] + "." + strings.Repeat("A", 43),
		"a signature cut short":       token[:len(token)-1],
		"a signature of another":      parts[0] + "." + b64(goodPayload) + "." + parts[2],
		"signed line feed":            sign(auth.AccessTokens, b64(goodHeader), b64(goodPayload)+"\n"),
		"signed returns":              sign(auth.AccessTokens, b64(goodHeader), b64(goodPayload)[:8]+"\r\n"+b64(goodPayload)[8:]),
		"signed padding":              sign(auth.AccessTokens, b64(goodHeader), base64.URLEncoding.EncodeToString([]byte(goodPayload))+"="),
		"signed unused bit":           sign(auth.AccessTokens, b64(goodHeader), withUnusedBit(t)),
		"signed with a part too many": sign(auth.AccessTokens, b64(goodHeader), b64(goodPayload), ""),
		"signed with a dot too many":  sign(auth.AccessTokens, b64(goodHeader), "", b64(goodPayload)),
		"signed without a header":     sign(auth.AccessTokens, "", b64(goodPayload)),
		"signed without a payload":    sign(auth.AccessTokens, b64(goodHeader)),
	} {
		t.Run(name, func(t *testing.T) { checkRefused(t, text) })
	}
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// withUnusedBit returns a good payload in base64url with a bit set that stands
// for nothing, which a lenient decoder takes for the same payload.
func withUnusedBit(t *testing.T) string {
	t.Helper()
	payload := goodPayload
	for len(payload)%3 != 1 { // so that the last character has unused bits
		payload = strings.Replace(payload, `"u`, `"uu`, 1)
	}
	text := b64(payload)
	last := strings.IndexByte(base64URL, text[len(text)-1])
	text = text[:len(text)-1] + base64URL[last|1:last|1+1]
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || string(decoded) != payload {
		t.Fatalf("a lenient decoder returns %v, want the payload", err)
	}
	return text
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	token := newTokens().Sign(claims(auth.Access))
	for i := range len(token) {
		for _, c := range []byte{'A', '.', token[i] ^ 1, token[i] ^ 0x20, 0} {
			changed := token[:i] + string(rune(c)) + token[i+1:]
			if changed == token {
				continue
			}
			if _, err := newTokens().Parse(auth.Access, changed, issued); err != auth.ErrToken {
				t.Errorf("character %d changed: Parse error = %v, want ErrToken", i, err)
			}
		}
	}
}

// A long token is refused before anything is done with it, even a genuine one.
func TestLongTokenCostsNothing(t *testing.T) {
	tokens := newTokens()
	c := claims(auth.Access)
	c.User = strings.Repeat("u", 1000)
	for name, token := range map[string]string{
		"genuine": tokens.Sign(c),
		"dots":    goodHeader + strings.Repeat(".", 1<<20),
	} {
		if _, err := tokens.Parse(auth.Access, token, issued); err != auth.ErrToken {
			t.Errorf("%s: Parse error = %v, want ErrToken", name, err)
		}
		if n := testing.AllocsPerRun(10, func() { tokens.Parse(auth.Access, token, issued) }); n != 0 {
			t.Errorf("%s: Parse allocates %v times, want 0", name, n)
		}
	}
}

// Sign makes JSON of whatever it is given, so that nothing can be smuggled in.
func TestSignAlwaysMakesJSON(t *testing.T) {
	for _, text := range []string{"", `"`, `\`, "\x00", "\xff", "ü", `u","exp":9`, "\u2028", `</script>`} {
		c := claims(auth.Access)
		c.User = text
		token := newTokens().Sign(c)
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Errorf("Sign with user %q: payload is not JSON: %v", text, err)
			continue
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); got["user_id"] != want || len(got) != 6 {
			t.Errorf("Sign with user %q: user_id = %q among %d claims, want %q among 6", text, got["user_id"], len(got), want)
		}
	}
}

func TestSignPanicsWithoutKind(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Sign did not panic")
		}
	}()
	c := claims(auth.Access)
	c.Kind = "reset"
	newTokens().Sign(c)
}

func TestTokensAreSafeForConcurrentUse(t *testing.T) {
	tokens := newTokens()
	failed := make(chan error)
	const workers = 8
	for i := range workers {
		go func() {
			c := claims(auth.Access)
			c.User = fmt.Sprint("user ", i)
			var errs []error
			for range 100 {
				if got, err := tokens.Parse(auth.Access, tokens.Sign(c), issued); got != c || err != nil {
					errs = append(errs, fmt.Errorf("Parse = %v, %v, want %v", got, err, c))
				}
			}
			failed <- errors.Join(errs...)
		}()
	}
	for range workers {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// Nothing verifies but what we signed, whatever kind it is taken for: a text
// that passes is the text that Sign makes of the claims it holds.
func FuzzParse(f *testing.F) {
	tokens := newTokens()
	signed := make(map[auth.Kind]string)
	for _, kind := range []auth.Kind{auth.Access, auth.Refresh, auth.Device} {
		signed[kind] = tokens.Sign(claims(kind))
		f.Add(signed[kind])
	}
	token := signed[auth.Access]
	f.Add(forge(`{"alg":"none","typ":"JWT"}`, goodPayload))
	f.Add(b64(goodHeader) + "." + b64(goodPayload) + ".")
	f.Add(token[:len(token)-2] + "\n" + token[len(token)-2:])
	f.Fuzz(func(t *testing.T, text string) {
		for kind, token := range signed {
			c, err := tokens.Parse(kind, text, issued)
			if err == nil && text != token {
				t.Errorf("Parse(%s, %q) = %v, want ErrToken", kind, text, c)
			}
			if err != nil && (err != auth.ErrToken || c != (auth.Claims{})) {
				t.Errorf("Parse(%s, %q) = %v, %v, want no claims and ErrToken", kind, text, c, err)
			}
		}
	})
}

// Behind a right signature, too, a payload passes only if encoding/json reads
// the same six claims in it.
func FuzzPayload(f *testing.F) {
	f.Add(goodPayload)
	f.Add(strings.Replace(goodPayload, "exp", "EXP", 1))
	f.Add(strings.Replace(goodPayload, "}", `,"exp":1}`, 1))
	f.Add(strings.Replace(goodPayload, `"u"`, `"\u0075"`, 1))
	f.Fuzz(func(t *testing.T, payload string) {
		c, err := newTokens().Parse(auth.Access, forge(goodHeader, payload), issued)
		if err != nil {
			return
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(payload), &got); err != nil {
			t.Fatalf("Parse accepts what is not JSON: %q", payload)
		}
		want := map[string]any{"token_type": string(c.Kind), "user_id": c.User, "sid": c.Session, "jti": c.ID,
			"iat": float64(c.Issued.Unix()), "exp": float64(c.Expires.Unix())}
		if fmt.Sprint(got) != fmt.Sprint(want) || c.Kind != auth.Access {
			t.Errorf("claims of %q = %v, want %v", payload, want, got)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	tokens, c := newTokens(), claims(auth.Access)
	b.ReportAllocs()
	for b.Loop() {
		tokens.Sign(c)
	}
}

func BenchmarkParse(b *testing.B) {
	tokens := newTokens()
	token := tokens.Sign(claims(auth.Access))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.Parse(auth.Access, token, issued); err != nil {
			b.Fatal(err)
		}
	}
}
