package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrToken is the one error of [Tokens.Parse]. It does not say what is wrong.
var ErrToken = errors.New("token is invalid or expired")

// A Kind says what a token is for.
type Kind string

// The kinds of tokens. Each is signed with a key of its own.
const (
	Access  Kind = "access"  // proves a session with a request
	Refresh Kind = "refresh" // is exchanged for a new pair of tokens, once
	Device  Kind = "device"  // proves, with a later sign-in, that one was done from this device
)

// DeviceLifetime is how long a proof of a device is good.
const DeviceLifetime = 365 * 24 * time.Hour

// Claims is what a token says. User, Session and ID are opaque texts, UUIDs in
// practice; ID is the token's own, or the device's, whose Session is the one
// that its last sign-in opened. Times are kept in whole seconds, rounded
// down, and are in UTC when they come from a token.
type Claims struct {
	Kind            Kind
	User            string
	Session         string
	ID              string
	Issued, Expires time.Time
}

// header is the first part of every token: {"alg":"HS256","typ":"JWT"}. It is
// compared and never decoded, so a token has no say in how it is checked.
const header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."

// maxToken bounds what is looked at. A token of ours has about 350 bytes.
const maxToken = 1024

// signatureLen is the length of "." and an HMAC-SHA256 in base64url.
const signatureLen = 1 + 43

// payloadEncoding refuses bits beyond the last byte. Carriage returns and line
// feeds, which it would skip, are refused before.
var payloadEncoding = base64.RawURLEncoding.Strict()

// Tokens makes and checks tokens: JWS in compact form (RFC 7515) with HS256
// and the claims token_type, user_id, sid, jti, iat and exp. It may be used by
// several goroutines at once.
type Tokens struct {
	access, refresh, device signer
}

// NewTokens derives the keys of all kinds from secret, which must have passed
// [CheckSecret]. The lifetimes, in whole seconds, are the longest that
// [Tokens.Parse] accepts from the issue of a token to its end; that of a
// device's proof is [DeviceLifetime].
func NewTokens(secret []byte, accessLifetime, refreshLifetime time.Duration) *Tokens {
	t := new(Tokens)
	t.access.init(Key(secret, AccessTokens), accessLifetime)
	t.refresh.init(Key(secret, RefreshTokens), refreshLifetime)
	t.device.init(Key(secret, DeviceProofs), DeviceLifetime)
	return t
}

// signer returns what signs a kind, nil for a kind that does not exist.
func (t *Tokens) signer(kind Kind) *signer {
	switch kind {
	case Access:
		return &t.access
	case Refresh:
		return &t.refresh
	case Device:
		return &t.device
	}
	return nil
}

// Sign returns the token for c. It signs whatever c says: that the lifetime is
// allowed is checked by [Tokens.Parse], which also refuses a User, Session or
// ID that is empty or is not printable ASCII without quotes and backslashes.
// Sign panics if c.Kind is no kind.
func (t *Tokens) Sign(c Claims) string {
	s := t.signer(c.Kind)
	if s == nil {
		panic("auth: no such kind of token")
	}
	token := make([]byte, 0, 512)
	token = append(token, header...)
	token = base64.RawURLEncoding.AppendEncode(token, appendClaims(nil, c))
	return string(s.appendSignature(token))
}

// Parse returns the claims of a token of the given kind that is valid at now,
// else [ErrToken]. A token is valid from the second of its issue until before
// the second of its expiry. Whether the session lives is not asked here.
func (t *Tokens) Parse(kind Kind, text string, now time.Time) (Claims, error) {
	s := t.signer(kind)
	if s == nil || len(text) > maxToken || len(text) < len(header)+signatureLen || text[:len(header)] != header {
		return Claims{}, ErrToken
	}
	end := len(text) - signatureLen
	// Signing again and comparing the texts of the signatures, rather than what
	// they stand for, leaves one spelling.
	signed := s.appendSignature(append(make([]byte, 0, len(text)), text[:end]...))
	if subtle.ConstantTimeCompare(signed[end:], []byte(text[end:])) != 1 {
		return Claims{}, ErrToken
	}
	payload := text[len(header):end]
	if strings.Contains(payload, "\r") || strings.Contains(payload, "\n") {
		return Claims{}, ErrToken
	}
	claims, err := payloadEncoding.DecodeString(payload)
	if err != nil {
		return Claims{}, ErrToken
	}
	c, ok := parseClaims(string(claims))
	if !ok || c.Kind != kind || !s.isCurrent(c, now) {
		return Claims{}, ErrToken
	}
	return c, nil
}

// A signer holds what belongs to one kind of token.
type signer struct {
	lifetime int64     // seconds
	macs     sync.Pool // of hash.Hash, the HMAC-SHA256 under the kind's key
}

func (s *signer) init(key [32]byte, lifetime time.Duration) {
	s.lifetime = int64(lifetime / time.Second)
	s.macs.New = func() any { return hmac.New(sha256.New, key[:]) }
}

// appendSignature appends "." and the signature of b to b (RFC 7515, 5.1).
func (s *signer) appendSignature(b []byte) []byte {
	mac := s.macs.Get().(hash.Hash)
	defer s.macs.Put(mac)
	mac.Reset()
	mac.Write(b)
	return base64.RawURLEncoding.AppendEncode(append(b, '.'), mac.Sum(nil))
}

// isCurrent reports whether now lies within the life of c, and that life
// within what the kind is allowed.
func (s *signer) isCurrent(c Claims, now time.Time) bool {
	issued, expires, second := c.Issued.Unix(), c.Expires.Unix(), now.Unix()
	return issued <= second && second < expires && expires-issued <= s.lifetime
}

// appendClaims appends c as JSON without white space.
func appendClaims(b []byte, c Claims) []byte {
	b = appendText(append(b, `{"token_type":`...), string(c.Kind))
	b = appendText(append(b, `,"user_id":`...), c.User)
	b = appendText(append(b, `,"sid":`...), c.Session)
	b = appendText(append(b, `,"jti":`...), c.ID)
	b = strconv.AppendInt(append(b, `,"iat":`...), c.Issued.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), c.Expires.Unix(), 10)
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	if isPlain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(s) // a string always has a JSON form
	return append(b, quoted...)
}

// isPlain reports whether s stands in JSON as it is: printable ASCII without
// quotes and backslashes, and not empty.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// parseClaims reads the claims that appendClaims writes. It is no JSON decoder
// on purpose: those take "EXP" for "exp" and the last of two. Here each claim
// is there exactly once, under its exact name, and nothing else is; there are
// no escapes and no white space. The order is free, as it is in JSON.
func parseClaims(text string) (c Claims, ok bool) {
	const all = 1<<6 - 1
	text, braces := strings.CutPrefix(text, "{")
	seen := 0
	for braces {
		name, rest, _ := cutText(text)
		rest, ok = strings.CutPrefix(rest, ":")
		if !ok {
			return c, false
		}
		claim := 0
		switch name {
		case "token_type":
			claim = 1 << 0
			var kind string
			kind, rest, ok = cutText(rest)
			c.Kind = Kind(kind)
		case "user_id":
			claim = 1 << 1
			c.User, rest, ok = cutText(rest)
		case "sid":
			claim = 1 << 2
			c.Session, rest, ok = cutText(rest)
		case "jti":
			claim = 1 << 3
			c.ID, rest, ok = cutText(rest)
		case "iat":
			claim = 1 << 4
			c.Issued, rest, ok = cutSeconds(rest)
		case "exp":
			claim = 1 << 5
			c.Expires, rest, ok = cutSeconds(rest)
		}
		if !ok || claim == 0 || seen&claim != 0 {
			return c, false
		}
		seen |= claim
		if rest == "}" {
			return c, seen == all
		}
		text, braces = strings.CutPrefix(rest, ",")
	}
	return c, false
}

// cutText cuts a plain, quoted text from the front of s.
func cutText(s string) (text, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, `"`)
	if !ok {
		return "", "", false
	}
	text, rest, ok = strings.Cut(s, `"`)
	return text, rest, ok && isPlain(text)
}

// cutSeconds cuts a time from the front of s: seconds since 1970, an integer
// of 63 bits without sign, fraction, exponent or leading zero.
func cutSeconds(s string) (t time.Time, rest string, ok bool) {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	if n == 0 || s[0] == '0' && n > 1 {
		return time.Time{}, "", false
	}
	seconds, err := strconv.ParseInt(s[:n], 10, 64)
	return time.Unix(seconds, 0).UTC(), s[n:], err == nil
}
