package store

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"strconv"
)

// errSealed is a value that does not open: it was altered, moved from another
// row, or sealed with another key. It is never shown, and never mistaken for
// an empty value.
var errSealed = errors.New("a sealed value does not open")

// sealer seals and opens with one key: AES-256-GCM with a random nonce before
// the ciphertext.
type sealer struct{ aead cipher.AEAD }

// newSealer takes a key of 32 bytes.
func newSealer(key []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// seal returns the values sealed together, bound to a place (see [place]).
func (s sealer) seal(place []byte, values ...string) []byte {
	return s.aead.Seal(nil, nil, pack(values...), place)
}

// open returns the n values that were sealed at this place, or errSealed.
func (s sealer) open(place, sealed []byte, n int) ([]string, error) {
	plain, err := s.aead.Open(nil, nil, sealed, place)
	if err != nil {
		return nil, errSealed
	}
	return unpack(plain, n)
}

// place names where a sealed value belongs: table and column, row, version,
// and what else in the row must stay as it is. A value opens nowhere else.
func place(column, row string, version int, rest ...string) []byte {
	return pack(append([]string{column, row, strconv.Itoa(version)}, rest...)...)
}

// pack writes each text behind its length, so that no two lists of texts
// become the same bytes.
func pack(values ...string) []byte {
	size := 0
	for _, v := range values {
		size += binary.MaxVarintLen32 + len(v)
	}
	b := make([]byte, 0, size)
	for _, v := range values {
		b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	return b
}

func unpack(b []byte, n int) ([]string, error) {
	values, text := make([]string, n), string(b)
	for i := range values {
		size, used := binary.Uvarint(b)
		if used <= 0 || size > uint64(len(b)-used) {
			return nil, errSealed
		}
		at := len(text) - len(b) + used
		values[i] = text[at : at+int(size)]
		b = b[used+int(size):]
	}
	if len(b) > 0 {
		return nil, errSealed
	}
	return values, nil
}
