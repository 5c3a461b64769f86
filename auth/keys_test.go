package auth_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"healthrecords/auth"
)

// The keys as another implementation of HKDF derives them, which a gateway
// that checks access tokens would have.
func TestKeyFixedVectors(t *testing.T) {
	for _, test := range []struct {
		secret  []byte
		purpose auth.Purpose
		want    string
	}{
		{secret, auth.AccessTokens, "9824f7c00fb808a472622f084bc2c47950005be55f9cb47c2169dc0a49c936fe"},
		{secret, auth.RefreshTokens, "7ff342c681b2b2217ba63bb9646fd5c0a91e3f98d66af272fa87027608908b47"},
		{secret, auth.DeviceProofs, "cbde71b09f1d5a9b3038b201c2ed2341c1b4c9e07d491b54df5e4ace61308c36"},
		{secret, auth.Cursors, "344a69e297662017b2d254d5b39f85f7e4a88b192fa5c76931491ad552f60e0e"},
		// RFC 5869, A.3, which has no salt and no info: its first 32 bytes.
		{bytes.Repeat([]byte{0x0b}, 22), "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"},
	} {
		if got := auth.Key(test.secret, test.purpose); hex.EncodeToString(got[:]) != test.want {
			t.Errorf("Key(%q) = %x, want %s", test.purpose, got, test.want)
		}
	}
}

func TestKeyTakesBytesAsGiven(t *testing.T) {
	if auth.Key(secret, auth.Cursors) == auth.Key(append(secret[:len(secret):len(secret)], '\n'), auth.Cursors) {
		t.Error("Key of a secret with a line feed = Key without, want another")
	}
}

func TestCheckSecretAcceptsRandom(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1}) // the same in every run
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		random.Read(b)
		return b
	}
	from := func(alphabet string, n int) []byte {
		b := bytesOf(n)
		for i := range b {
			b[i] = alphabet[int(b[i])%len(alphabet)]
		}
		return b
	}
	for name, makeSecret := range map[string]func() []byte{
		"raw":                      func() []byte { return bytesOf(32) },
		"raw, 64 bytes":            func() []byte { return bytesOf(64) },
		"raw, 2,000 bytes":         func() []byte { return bytesOf(2000) },
		"hexadecimal":              func() []byte { return []byte(hex.EncodeToString(bytesOf(32))) },
		"hexadecimal, upper case":  func() []byte { return []byte(strings.ToUpper(hex.EncodeToString(bytesOf(32)))) },
		"hexadecimal, 64 bytes":    func() []byte { return []byte(hex.EncodeToString(bytesOf(64))) },
		"base64":                   func() []byte { return []byte(base64.StdEncoding.EncodeToString(bytesOf(32))) },
		"base64 without padding":   func() []byte { return []byte(base64.RawStdEncoding.EncodeToString(bytesOf(32))) },
		"base64url":                func() []byte { return []byte(base64.RawURLEncoding.EncodeToString(bytesOf(32))) },
		"base64, 48 bytes":         func() []byte { return []byte(base64.StdEncoding.EncodeToString(bytesOf(48))) },
		"base64 with a line feed":  func() []byte { return []byte(base64.StdEncoding.EncodeToString(bytesOf(32)) + "\n") },
		"base64 of base64":         func() []byte { return []byte(base64.StdEncoding.EncodeToString(from(base64URL, 44))) },
		"base32, 40 bytes":         func() []byte { return []byte(base32.StdEncoding.EncodeToString(bytesOf(40))) },
		"letters and digits":       func() []byte { return from(base64URL[:62], 50) },
		"small letters and digits": func() []byte { return from(base64URL[26:62], 64) },
		"as Django makes it":       func() []byte { return from("abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)", 50) },
	} {
		t.Run(name, func(t *testing.T) {
			n := 2000
			if name == "raw, 2,000 bytes" {
				n = 20
			}
			for range n {
				if s := makeSecret(); auth.CheckSecret(s) != nil {
					t.Errorf("CheckSecret(%q) = %v, want nil", s, auth.CheckSecret(s))
				}
			}
		})
	}
}

func TestCheckSecretRefuses(t *testing.T) {
	b64, hexa := base64.StdEncoding.EncodeToString, hex.EncodeToString
	random := make([]byte, 64) // random enough: see the last lines
	rand.NewChaCha8([32]byte{2}).Read(random)
	for name, s := range map[string]string{
		"nothing":                         "",
		"a letter":                        "x",
		"white space":                     strings.Repeat(" \n", 50),
		"31 random bytes":                 string(random[:31]),
		"31 random bytes in hexadecimal":  hexa(random[:31]),
		"31 random bytes in base64":       b64(random[:31]),
		"32 hexadecimal characters":       hexa(random[:16]),
		"32 upper case hexadecimal":       strings.ToUpper(hexa(random[:16])),
		"63 hexadecimal characters":       hexa(random[:32])[1:],
		"24 bytes in base64":              b64(random[:24]),
		"16 bytes in base64 of hex":       b64([]byte(hexa(random[:16]))),
		"16 bytes in hex of base64":       hexa([]byte(b64(random[:16]))),
		"a UUID":                          "0b9c7a0e-3a74-4a53-9d6c-0f2a1be7c5d1",
		"two UUIDs":                       "0b9c7a0e-3a74-4a53-9d6c-0f2a1be7c5d1-5e2f6a1c-8f0e-4c3b-a7d2-91c4e6b8f0a3",
		"40 digits":                       "8302749163052271940385610274493810572639",
		"70 digits":                       "8302749163052271940385610274493810572639" + "517204968335017264829105437698",
		"one byte":                        strings.Repeat("\x00", 64),
		"one letter":                      strings.Repeat("a", 64),
		"two letters":                     strings.Repeat("ab", 32),
		"16 bytes twice":                  string(random[:16]) + string(random[:16]),
		"16 bytes in hex twice":           hexa(random[:16]) + hexa(random[:16]),
		"16 bytes in base64 thrice":       strings.Repeat(b64(random[:16]), 3),
		"a pattern padded":                "24tngvzaictc" + strings.Repeat("0", 100),
		"counting bytes":                  "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
		"hexadecimal digits in order":     strings.Repeat("0123456789abcdef", 4),
		"and backwards":                   "0123456789abcdeffedcba98765432100123456789abcdeffedcba9876543210",
		"the alphabet":                    base64URL,
		"in steps of three":               "A?D(G+KbPeShVmYq3t6w9z$C&F)J@NcRfUjXn2r5u8x/A%D*",
		"the keyboard":                    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0pQAZWSXEDCRFVTGBYHNUJMIKOLP",
		"a word again and again":          strings.Repeat("violet", 12),
		"a word in base64":                b64([]byte(strings.Repeat("violet", 12))),
		"words":                           "violettrameatssevenmapswhilethecorporalwatchesthebarometerfallandrise",
		"a sentence":                      "We hold these truths to be self-evident, that all men are created",
		"a sentence of every letter":      "The quick brown fox jumps over the lazy dog, and then it runs away",
		"a sentence in base64":            b64([]byte("We hold these truths to be self-evident, that all men are created")),
		"a sentence in hexadecimal":       hexa([]byte("We hold these truths to be self-evident, that all men are created")),
		"a sentence with hyphens":         "i-am-a-really-long-key-that-nobody-will-ever-guess-42",
		"a sentence in Greek":             "μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος οὐλομένην",
		"Django's mark":                   "django-insecure-" + b64(random[:48]),
		"your-256-bit-secret":             "your-256-bit-secret",
		"the longer one":                  "a-string-secret-at-least-256-bits-long",
		"secret before randomness":        "secret" + b64(random[:48]),
		"SECRET in capitals":              "MY_SECRET_KEY_" + b64(random[:48]),
		"secrets":                         strings.Repeat("secret", 10),
		"changeme":                        "ChangeMe!" + b64(random[:48]),
		"a sequence of digits":            "12345678" + b64(random[:48]),
		"a hidden word":                   b64([]byte("my super secret key, and more words: Zebra & Quokka")),
		"RFC 7515's key":                  "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
		"RFC 7520's key":                  "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
		"a tutorial's key":                "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7\n",
		"a tutorial's key of 32 letters":  "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
		"an answer's key":                 "db3OIsj+BXE9NZDy0t8W3TcNekrF+2d/1sFnWG4HnV8TZY30iTOdtVWJG8abWvB1GlOgJuQZdcF2Luqm/hccMw==",
		"a zero byte behind a short text": "violet tram\x00" + strings.Repeat("\x00", 40),
	} {
		if auth.CheckSecret([]byte(s)) == nil {
			t.Errorf("%s: CheckSecret(%q) = nil, want an error", name, s)
		}
	}
	for _, s := range []string{string(random[:32]), hexa(random[:32]), b64(random[:32]), b64(random[:48])} {
		if err := auth.CheckSecret([]byte(s)); err != nil {
			t.Errorf("CheckSecret of what the others were made from = %v, want nil", err)
		}
	}
}

func TestCheckSecretErrorHelpsAndQuotesNothing(t *testing.T) {
	for _, s := range []string{"Zq7", "django-insecure-Zq7", strings.Repeat("Zq7", 30), base64URL, hex.EncodeToString([]byte(strings.Repeat("Zq7", 9)))} {
		err := auth.CheckSecret([]byte(s))
		if err == nil || strings.Contains(err.Error(), "Zq7") || !strings.HasSuffix(err.Error(), "openssl rand -base64 48") {
			t.Errorf("CheckSecret(%q) = %v, want what to do and nothing of the secret", s, err)
		}
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add(secret)
	f.Add([]byte(hex.EncodeToString(secret)))
	f.Add([]byte("==== \n"))
	f.Fuzz(func(t *testing.T, s []byte) {
		if auth.CheckSecret(s) == nil && len(s) < 32 {
			t.Errorf("CheckSecret of %d bytes = nil, want an error", len(s))
		}
	})
}
