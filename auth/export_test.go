package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// AppendSignature signs with any key, as the vector of RFC 7515 has one of 64
// bytes.
func AppendSignature(key []byte, input string) string {
	var s signer
	s.macs.New = func() any { return hmac.New(sha256.New, key) }
	return string(s.appendSignature([]byte(input)))
}

// ReformatPHC returns what a PHC string is read as, written again.
func ReformatPHC(text string) (string, error) {
	p, err := parsePHC(text)
	return p.String(), err
}

// Occupy takes a slot as a hash that runs does, until release is called.
func (h *Hasher) Occupy() (release func()) {
	h.places <- struct{}{}
	h.slots <- struct{}{}
	return func() { <-h.slots; <-h.places }
}
