package store

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"sync"
	"time"
)

// ids makes UUIDs of version 7 (RFC 9562, section 5.7), each greater than the
// one before: within a millisecond, or when the clock steps back, the random
// part is counted on (section 6.2, method 2).
type ids struct {
	random io.Reader

	mu     sync.Mutex
	millis uint64
	high   uint16 // rand_a, 12 bits
	low    uint64 // rand_b, 62 bits
}

const (
	maxHigh = 1<<12 - 1
	maxLow  = 1<<62 - 1
)

func (g *ids) next(now time.Time) string {
	var b [10]byte
	mustRead(g.random, b[:])
	high, low := binary.BigEndian.Uint16(b[:2])&maxHigh, binary.BigEndian.Uint64(b[2:])&maxLow

	g.mu.Lock()
	defer g.mu.Unlock()
	if millis := uint64(now.UnixMilli()); millis > g.millis {
		g.millis, g.high, g.low = millis, high, low
	} else {
		g.count(low>>30 + 1)
	}
	return formatID(g.millis, g.high, g.low)
}

// count moves on by step, at most 2^32, carrying upwards.
func (g *ids) count(step uint64) {
	g.low += step
	if g.low <= maxLow {
		return
	}
	g.low &= maxLow
	if g.high++; g.high > maxHigh {
		g.high = 0
		g.millis++
	}
}

func formatID(millis uint64, high uint16, low uint64) string {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], millis<<16|7<<12|uint64(high))
	binary.BigEndian.PutUint64(u[8:], 1<<63|low)
	var s [36]byte
	hex.Encode(s[0:], u[0:4])
	hex.Encode(s[9:], u[4:6])
	hex.Encode(s[14:], u[6:8])
	hex.Encode(s[19:], u[8:10])
	hex.Encode(s[24:], u[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// isID tells whether s is a UUIDv7 in canonical text: any other spelling is
// the id of nothing.
func isID(s string) bool {
	if len(s) != 36 || s[14] != '7' || !strings.Contains("89ab", s[19:20]) {
		return false
	}
	for i := range len(s) {
		c, dash := s[i], i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
