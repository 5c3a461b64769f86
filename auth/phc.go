package auth

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// A hashed is a stored password hash, taken apart: argon2id's parameters, the
// salt, and the sum that came out.
type hashed struct {
	memory, passes uint32 // memory in KiB
	lanes          uint8
	salt, sum      []byte
}

// Bounds of what is read. They are far from what [Hasher.Hash] makes, so that
// it can change, and near enough that no row of a database can make the
// process crash, allocate without end, or compute for long.
const (
	minSalt, maxSalt = 8, 64
	minSum, maxSum   = 16, 64
	maxMemory        = 64 << 10 // KiB
	maxPasses        = 16
	maxLanes         = 4
	maxPHC           = 256 // bytes of the whole text
)

// today returns the parameters of new hashes, the first choice of OWASP's
// Password Storage Cheat Sheet for one lane, with room for salt and sum. As it
// is, it stands in where there is no hash to compare with.
func today() hashed {
	return hashed{memory: 19 << 10, passes: 2, lanes: 1, salt: make([]byte, 16), sum: make([]byte, 32)}
}

// isWeak reports whether anything in p is less than it is today.
func (p hashed) isWeak() bool {
	t := today()
	return p.memory < t.memory || p.passes < t.passes || len(p.salt) < len(t.salt) || len(p.sum) < len(t.sum)
}

// String returns p as the PHC string format has it: parameters in this order,
// base64 without padding.
func (p hashed) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.memory, p.passes, p.lanes, b64(p.salt), b64(p.sum))
}

// parsePHC reads what String writes, in no other spelling, within the bounds
// above. Its only error is [ErrPHC].
func parsePHC(text string) (hashed, error) {
	if len(text) > maxPHC {
		return hashed{}, ErrPHC
	}
	var p hashed
	fields := strings.Split(text, "$")
	if len(fields) != 6 {
		return hashed{}, ErrPHC
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return hashed{}, ErrPHC
	}
	var saltErr, sumErr error
	p.salt, saltErr = base64.RawStdEncoding.DecodeString(fields[4])
	p.sum, sumErr = base64.RawStdEncoding.DecodeString(fields[5])
	// Writing it again and comparing refuses everything else that differs:
	// another function or version, signs, leading zeros, line feeds.
	if saltErr != nil || sumErr != nil || !p.isSane() || p.String() != text {
		return hashed{}, ErrPHC
	}
	return p, nil
}

// isSane reports whether p is within bounds. argon2 panics without passes or
// lanes.
func (p hashed) isSane() bool {
	return 1 <= p.lanes && p.lanes <= maxLanes &&
		1 <= p.passes && p.passes <= maxPasses &&
		8*uint32(p.lanes) <= p.memory && p.memory <= maxMemory &&
		minSalt <= len(p.salt) && len(p.salt) <= maxSalt &&
		minSum <= len(p.sum) && len(p.sum) <= maxSum
}
