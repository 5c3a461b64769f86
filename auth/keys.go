package auth

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A Purpose names what a key is for. It is the info of the derivation, so two
// purposes have unrelated keys.
type Purpose string

// The purposes of this package and its callers. A changed text is a changed
// key: everything signed before becomes invalid.
const (
	AccessTokens  Purpose = "healthrecords access token v1"
	RefreshTokens Purpose = "healthrecords refresh token v1"
	DeviceProofs  Purpose = "healthrecords device proof v1"
	Cursors       Purpose = "healthrecords cursor v1"
)

// Key derives the key for one purpose: HKDF-SHA256 (RFC 5869) of the secret's
// bytes as they are, without salt. Whoever holds it learns neither the secret
// nor the key of another purpose. The secret must have passed [CheckSecret].
func Key(secret []byte, purpose Purpose) [32]byte {
	key, err := hkdf.Key(sha256.New, secret, nil, string(purpose), 32)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return [32]byte(key)
}

// neededBits is what a secret must hold: the strength of HMAC-SHA256.
const neededBits = 256

// judgedBytes bounds the work of CheckSecret, which is quadratic. What stands
// behind it can only make a secret better.
const judgedBytes = 1024

// CheckSecret returns nil if secret may hold 32 bytes of randomness, else an
// error that says why not and what to do, without quoting the secret.
//
// Randomness cannot be measured, only its absence. CheckSecret counts what the
// alphabet allows (4 bits for a character of hexadecimal text, 6 for one of
// base64, 8 for a raw byte), takes off what is repeated, and refuses text that
// uses its alphabet unevenly, goes up or down in steps, holds words known from
// examples, or is itself a published example. A random value of 32 bytes, raw
// or as hexadecimal or base64 text, passes but for one in some millions.
func CheckSecret(secret []byte) error {
	if reason := weakness(secret); reason != "" {
		return fmt.Errorf("%s; make a new one with: openssl rand -base64 48", reason)
	}
	return nil
}

// weakness says what is wrong with a secret, "" if nothing is.
func weakness(secret []byte) string {
	text := secret[:min(len(secret), judgedBytes)]
	if isText(text) {
		text = bytes.TrimRight(bytes.Join(bytes.Fields(text), nil), "=")
	}
	if isKnown(text) {
		return "it is or holds what is known from examples"
	}
	if words := decode(text); isText(words) {
		return weakness(words) // encoding adds no randomness
	}
	size, bits := alphabet(text)
	if held := fresh(text, 40/bits+1) * bits; held < neededBits {
		return fmt.Sprintf("it holds at most %d bits of randomness and %d are needed", held, neededBits)
	}
	if !looksRandom(text, size) {
		return "it follows a pattern"
	}
	return ""
}

// isText reports whether b is non-empty printable ASCII and white space.
// A random value of 32 bytes practically never is.
func isText(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && !strings.ContainsRune("\t\r\n", rune(c)) {
			return false
		}
	}
	return len(b) > 0
}

// markers stand in secrets that were typed or left over from an example. They
// have six letters or more, so that a random text holds one of them but once
// in some millions.
var markers = []string{
	"secret", "s3cr3t", "changeme", "change-me", "change_me", "change-this", "change_this", "changethis", "replace-me", "replace_me",
	"replaceme", "password", "passw0rd", "passphrase", "insecure", "your-256-bit", "your_256_bit", "256-bit", "at-least-32",
	"example", "default", "django-", "private-key", "private_key", "privatekey", "signing-key", "signing_key",
	"signingkey", "jwt-key", "jwt_key", "jwtkey", "jwttoken", "jwt-token", "jwt_token",
	"qwerty", "asdfgh", "zxcvbn", "01234567", "12345678",
}

// published are random in themselves and worth nothing, because they stand in
// documents that many have copied from.
var published = []string{
	"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", // RFC 7515, A.1
	"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",                                            // RFC 7520, 3.5
	"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",                       // FastAPI's tutorial
	"db3OIsj+BXE9NZDy0t8W3TcNekrF+2d/1sFnWG4HnV8TZY30iTOdtVWJG8abWvB1GlOgJuQZdcF2Luqm/hccMw", // answers about ASP.NET
}

func isKnown(text []byte) bool {
	lower := strings.ToLower(string(text))
	return slices.Contains(published, string(text)) ||
		slices.ContainsFunc(markers, func(m string) bool { return strings.Contains(lower, m) })
}

// decode returns what hexadecimal or base64 text stands for, else nil.
func decode(text []byte) []byte {
	if b, err := hex.DecodeString(string(text)); err == nil {
		return b
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(string(text))
	if b, err := base64.RawStdEncoding.DecodeString(standard); err == nil {
		return b
	}
	return nil
}

// alphabet guesses from how many symbols each of text was drawn, and returns
// with it how many bits one of them is worth. Text of small letters with few
// other characters, or of letters of one case alone, is taken for words, at 2
// bits a letter.
func alphabet(text []byte) (size, bits int) {
	if !isText(text) {
		return 256, 8
	}
	var digits, lower, upper, beyondF, others int
	for _, c := range text {
		if 'f' < c && c <= 'z' || 'F' < c && c <= 'Z' {
			beyondF++
		}
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z':
			lower++
		case 'A' <= c && c <= 'Z':
			upper++
		default:
			others++
		}
	}
	switch mixed := lower > 0 && upper > 0; {
	case mixed && beyondF > 0 && lower*5 < len(text)*4:
		return 64, 6 // base64 and the like
	case !mixed && others > 0:
		return 50, 6 // as Django makes them
	case digits == len(text):
		return 10, 3
	case beyondF == 0 && others == 0:
		return 16, 4
	case !mixed && digits > 0:
		return 32, 5
	}
	return 26, 2
}

// fresh counts the symbols of text that are not part of a repetition: a run of
// at least n symbols that begins earlier as well.
func fresh(text []byte, n int) int {
	count := 0
	for i := 0; i < len(text); {
		longest := 0
		for j := range i {
			length := 0
			for i+length < len(text) && text[i+length] == text[j+length] {
				length++
			}
			longest = max(longest, length)
		}
		if longest >= n {
			i += longest
			continue
		}
		count++
		i++
	}
	return count
}

// looksRandom reports whether the symbols of text, and the steps from one to
// those that follow it at short distances, are as varied as chance would make
// them. Sequences have equal steps; some generators of "random" keys have
// equal steps at every other place.
func looksRandom(text []byte, size int) bool {
	if !isEven(text, size) {
		return false
	}
	for distance := 1; distance <= 4; distance++ {
		steps := make([]byte, len(text)-distance)
		for i := range steps {
			steps[i] = text[i+distance] - text[i]
		}
		if !isEven(steps, size) {
			return false
		}
	}
	return true
}

// isEven reports whether values holds no more than about twice as many pairs
// of equal ones as when each is drawn from size by chance. The 22 pairs more
// let even short random values pass (measured: all but one in some millions).
func isEven(values []byte, size int) bool {
	var counts [256]int
	for _, v := range values {
		counts[v]++
	}
	pairs := 0
	for _, c := range counts {
		pairs += c * (c - 1) / 2
	}
	n := len(values)
	return pairs <= n*(n-1)/size+22
}
