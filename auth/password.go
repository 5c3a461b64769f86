package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"runtime"

	"golang.org/x/crypto/argon2"
)

var (
	// ErrBusy says that as many callers wait for a hash as may.
	ErrBusy = errors.New("too many passwords are being checked")
	// ErrPHC says that a stored hash is not one that this package reads. It
	// does not quote it.
	ErrPHC = errors.New("stored password hash is malformed")
)

// A Hasher hashes passwords with argon2id (RFC 9106): 19 MiB, two passes, one
// lane, which takes a core some 20 to 40 ms. It bounds how many hashes run at
// once, for each holds its memory, and how many callers wait for that. It may
// be used by several goroutines at once.
type Hasher struct {
	slots  chan struct{} // one for each hash that runs
	places chan struct{} // one for each caller that hashes or waits
	apart  func(Job) (sum []byte, err error)
}

// A Job is the computation of one hash: the password and argon2id's parameters.
type Job struct {
	Password, Salt []byte
	Passes, Memory uint32 // memory in KiB
	Lanes          uint8
	Length         uint32 // of the sum
}

// Sum computes the hash. It panics without passes or lanes.
func (j Job) Sum() []byte {
	return argon2.IDKey(j.Password, j.Salt, j.Passes, j.Memory, j.Lanes, j.Length)
}

// NewHasher returns a Hasher that runs at most slots hashes at once (at least
// one), while at most queue further callers wait.
func NewHasher(slots, queue int) *Hasher {
	slots, queue = max(slots, 1), max(queue, 0)
	return &Hasher{slots: make(chan struct{}, slots), places: make(chan struct{}, slots+queue)}
}

// Hash returns the hash of a password under a new salt, as a PHC string of 97
// bytes: $argon2id$v=19$m=19456,t=2,p=1$salt$hash. Every byte of the password
// counts. Hash returns [ErrBusy] at once if all places are taken, and ctx's
// error if ctx ends before the hash begins; a hash that has begun is finished.
func (h *Hasher) Hash(ctx context.Context, password string) (phc string, err error) {
	release, err := h.wait(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	p := today()
	rand.Read(p.salt) // never fails
	p.sum = h.derive(p, password)
	return p.String(), nil
}

// Verify reports whether password is the one that phc was made from, and if
// so, whether phc is weaker than what [Hasher.Hash] makes today, so that the
// caller, who has the password at hand, should store a new one.
//
// An empty phc stands for an account that does not exist: the answer is no.
// Any other that cannot be read is [ErrPHC]. Both come only after a hash has
// been computed, in the time that a wrong password takes. Errors of waiting
// are those of [Hasher.Hash].
func (h *Hasher) Verify(ctx context.Context, phc, password string) (ok, weak bool, err error) {
	return h.VerifyAfter(ctx, password, func() (string, error) { return phc, nil })
}

// VerifyAfter is Verify of the phc that load returns, which is asked when the
// turn of this hash has come: what it counts as an attempt is then never more
// than the hashes that run. When load fails there is no hash, and its error is
// returned.
func (h *Hasher) VerifyAfter(ctx context.Context, password string, load func() (phc string, err error)) (ok, weak bool, err error) {
	release, err := h.wait(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	phc, err := load()
	if err != nil {
		return false, false, err
	}
	p, malformed := parsePHC(phc)
	if malformed != nil {
		p = today()
	}
	ok = subtle.ConstantTimeCompare(h.derive(p, password), p.sum) == 1
	switch {
	case phc == "":
		return false, false, nil
	case malformed != nil:
		return false, false, malformed
	}
	return ok, ok && p.isWeak(), nil
}

// ComputeApart has hashes computed by compute, as another process may; only one
// that fails is computed here. It comes before the first hash.
func (h *Hasher) ComputeApart(compute func(Job) (sum []byte, err error)) { h.apart = compute }

// derive computes the sum of password under the parameters and salt of p. What it
// takes in this process is freed before the slot is given away: left to itself,
// the collector lets as much of it pile up as the hashes hold that run, or more,
// and as much of anything else when they are over.
func (h *Hasher) derive(p hashed, password string) []byte {
	job := Job{[]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum))}
	if h.apart != nil {
		if sum, err := h.apart(job); err == nil {
			return sum
		}
	}
	defer runtime.GC()
	return job.Sum()
}

// wait takes a slot, which release gives back.
func (h *Hasher) wait(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case h.places <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; <-h.places }, nil
	case <-ctx.Done():
		<-h.places
		return nil, ctx.Err()
	}
}
