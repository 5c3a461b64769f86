package store_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"healthrecords/store"
)

// source gives the bytes that a test sets, and random ones when none are left.
type source struct {
	mu    sync.Mutex
	fixed io.Reader
}

func (s *source) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fixed != nil {
		if n, err := io.ReadFull(s.fixed, b); err == nil {
			return n, nil
		}
		s.fixed = nil
	}
	return rand.Read(b)
}

func (s *source) set(fixed io.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fixed = fixed
}

// all is an endless run of one byte.
type all byte

func (a all) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(a)
	}
	return len(b), nil
}

func newPracticeWithSource(t *testing.T) (*practice, *source) {
	t.Helper()
	random := new(source)
	p := newPracticeWith(t, func(o *store.Options) { o.Random = random })
	return p, random
}

// version7 is the canonical text of a UUID of version 7 and the variant of
// RFC 9562, section 4.1.
var version7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// The example of RFC 9562, appendix A.6: Tuesday, February 22, 2022 2:22:22.00
// PM GMT-05:00, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
func TestIDHasTheLayoutOfTheRFC(t *testing.T) {
	p, random := newPracticeWithSource(t)
	p.clock.Set(time.Date(2022, 2, 22, 14, 22, 22, 0, time.FixedZone("", -5*60*60)))
	tests := []struct{ name, random string }{
		{"the example", "0CC3" + "18C4DC0C0C07398F"},
		{"bits that belong to version and variant", "FCC3" + "D8C4DC0C0C07398F"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p.reopen() // an id of this very moment was not made before
			bits, err := hex.DecodeString(test.random)
			if err != nil {
				t.Fatal(err)
			}
			random.set(bytes.NewReader(bits))
			if got, want := p.NewID(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"; got != want {
				t.Errorf("NewID() = %s, want %s", got, want)
			}
		})
	}
}

func TestIDsIncrease(t *testing.T) {
	const n = 2000
	tests := []struct {
		name   string
		random io.Reader
		tick   time.Duration
	}{
		{"while the clock stands", nil, 0},
		{"while the clock steps back", nil, -time.Minute},
		{"while the clock goes on", nil, 300 * time.Microsecond},
		{"where the random part is at its end", all(0xff), 0},
		{"where the random part is at its beginning", all(0), 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, random := newPracticeWithSource(t)
			random.set(test.random)
			ids := make([]string, n)
			for i := range ids {
				ids[i] = p.NewID()
				p.clock.Advance(test.tick)
			}
			wantIncreasing(t, ids)
		})
	}
}

func wantIncreasing(t *testing.T, ids []string) {
	t.Helper()
	for i, id := range ids {
		if !version7.MatchString(id) {
			t.Fatalf("NewID() = %s, want a UUID of version 7", id)
		}
		if i > 0 && id <= ids[i-1] {
			t.Fatalf("NewID() = %s after %s, want a greater one", id, ids[i-1])
		}
	}
}

func TestIDTellsTheMillisecond(t *testing.T) {
	p := newPractice(t)
	for range 100 {
		p.clock.Advance(1234 * time.Microsecond)
		id := strings.ReplaceAll(p.NewID(), "-", "")
		b, err := hex.DecodeString("0000" + id[:12])
		if err != nil {
			t.Fatal(err)
		}
		var millis int64
		for _, octet := range b {
			millis = millis<<8 | int64(octet)
		}
		if want := p.clock.Now().UnixMilli(); millis != want {
			t.Fatalf("NewID() is of %d ms, want %d", millis, want)
		}
	}
}

func TestIDsOfManyGoroutinesDiffer(t *testing.T) {
	p := newPractice(t)
	const goroutines, each = 16, 500
	made := make([][]string, goroutines)
	together(goroutines, func(i int) {
		for range each {
			made[i] = append(made[i], p.NewID())
		}
	})
	for _, ids := range made {
		wantIncreasing(t, ids)
	}
	everyone := slices.Concat(made...)
	slices.Sort(everyone)
	if n := len(slices.Compact(everyone)); n != goroutines*each {
		t.Errorf("%d calls of NewID gave %d ids", goroutines*each, n)
	}
}

func TestOtherSpellingIsTheIDOfNothing(t *testing.T) {
	p := newPractice(t)
	admin := p.staff("admin")
	id := p.patient("pat").Account
	if _, err := p.Patient(t.Context(), admin, id); err != nil {
		t.Fatalf("Patient error = %v, want nil", err)
	}
	for name, other := range map[string]string{
		"upper case":       strings.ToUpper(id),
		"braces":           "{" + id + "}",
		"urn":              "urn:uuid:" + id,
		"no dashes":        strings.ReplaceAll(id, "-", ""),
		"a blank":          id + " ",
		"a newline":        id + "\n",
		"a NUL":            id + "\x00",
		"another version":  id[:14] + "4" + id[15:],
		"another variant":  id[:19] + "0" + id[20:],
		"a pattern":        "%",
		"nothing":          "",
		"a digit too many": id + "0",
	} {
		if _, err := p.Patient(t.Context(), admin, other); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Patient error = %v, want ErrNotFound", name, err)
		}
	}
}
