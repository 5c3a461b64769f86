package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// How often somebody may try is kept in the database, so that it holds for all
// processes, and is counted before a password is hashed. Each way in to an
// account is counted for itself: who guesses as a stranger does not keep the
// owner out who comes by another (NIST SP 800-63B, section 3.2.2). Rates of
// requests are kept as one instant each, by the generic cell rate algorithm
// (ITU-T I.371).

// Throttled is the error of who comes again too early. Nothing was done, and
// nothing was counted.
type Throttled struct{ Wait time.Duration }

func (e Throttled) Error() string { return fmt.Sprintf("too early by %v", e.Wait) }

// The limits on one way in to an account.
const (
	freeFailures = 5                // before there is a delay, for who mistypes
	firstDelay   = time.Second      // after the next failure; it doubles with each that follows
	longestDelay = 30 * time.Minute // which leaves some 60 attempts for a day
	maxFailures  = 100              // after so many in a row the password does not work by this way
	quietDay     = 24 * time.Hour   // without an attempt, after which delays begin anew
)

func delay(recent int) time.Duration {
	if recent <= freeFailures {
		return 0
	}
	return min(firstDelay<<min(recent-freeFailures-1, 20), longestDelay)
}

// rate is a limit on requests: so many at once, and then one in each interval.
type rate struct {
	kind  string
	burst int
	every time.Duration
}

var (
	strangers     = rate{"stranger", 14, 10 * time.Second} // at most 20 hashes in any minute for an address that fails
	registrations = rate{"registration", 10, time.Minute}
	resetRequests = rate{"reset", 10, time.Minute}
	confirmations = rate{"confirmation", 10, time.Minute}
	acceptances   = rate{"acceptance", 10, time.Minute}
	resetTargets  = rate{"reset of", 3, 20 * time.Minute}
	invited       = rate{"invitation of", 3, 20 * time.Minute}
)

// network is what counts as one address: an IPv4 address, or an IPv6 network of
// 64 bits, the least that a subscriber is given (RFC 6177, section 2); "" for what
// is no address.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.WithZone("").Prefix(64) // an IPv6 address has 128 bits
	return prefix.Masked().Addr().String() + "/64"
}

// limit is a row of the table.
type limit struct {
	failures, recent int
	at               Instant // "" when there is no row
}

// limit returns a row, the zero limit when there is none. Who only looks writes
// nothing: to refuse costs no disk.
func (t *tx) limit(subject string) (limit, error) {
	var l limit
	err := t.row(`SELECT failures, recent, at FROM limits WHERE subject = $1`, []byte(subject)).Scan(&l.failures, &l.recent, &l.at)
	if errors.Is(err, sql.ErrNoRows) {
		return limit{}, nil
	}
	return l, err
}

// setLimit keeps a limit, unless the action only looks.
func (t *tx) setLimit(subject, account string, l limit) error {
	if t.looking {
		return nil
	}
	return t.exec(`INSERT INTO limits (subject, account_id, failures, recent, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (subject) DO UPDATE SET account_id = excluded.account_id,
			failures = excluded.failures, recent = excluded.recent, at = excluded.at`,
		[]byte(subject), orNull(account), l.failures, l.recent, l.at)
}

// forget sets a count back to nothing, after a success.
func (t *tx) forget(subject string) error {
	return t.exec(`DELETE FROM limits WHERE subject = $1`, []byte(subject))
}

// forgetFailures is forget for every way in to an account by its password.
func (t *tx) forgetFailures(account string) error {
	return t.exec(`DELETE FROM limits WHERE account_id = $1 AND subject <> $2`, account, []byte(t.codeLimit(account)))
}

// codeLimit is what wrong codes of an account's second factor count for, however
// they come in. Only a right code or the operator takes them back: who got hold
// of the password, or of the mail that resets it, does not guess on for that.
func (t *tx) codeLimit(account string) string { return string(t.s.keys.hash("code", account)) }

// attempt is one that was counted as a failure before its outcome was known.
// The zero attempt was not counted.
type attempt struct {
	subject    string  // of the way in
	at, before Instant // when it was made, and the one before it
	peer       string  // subject of the address's share; "" when it took none
	exhausted  bool    // there were too many failures before it
}

// reserve counts an attempt by a way in. It returns Throttled when the delay
// after those before it is not over.
func (t *tx) reserve(subject, account string) (attempt, error) {
	l, err := t.limit(subject)
	if err != nil {
		return attempt{}, err
	}
	if l.at != "" {
		since := max(t.now.Sub(l.at.Time()), 0) // the clock may have been put back
		if since >= quietDay {
			l.recent = 0
		}
		if wait := delay(l.recent) - since; wait > 0 {
			return attempt{}, Throttled{wait}
		}
	}
	made := attempt{subject: subject, at: t.at(), before: l.at, exhausted: l.failures >= maxFailures}
	return made, t.setLimit(subject, account, limit{l.failures + 1, l.recent + 1, t.at()})
}

// settle takes an attempt that succeeded out of the counts: all failures before
// it by this way, and its share of what the address may.
func (t *tx) settle(made attempt) error {
	if err := t.forget(made.subject); err != nil {
		return err
	}
	return t.giveBack(strangers, made.peer)
}

// unmake takes an attempt that neither failed nor succeeded out of the counts,
// and leaves those before it.
func (t *tx) unmake(made attempt) error {
	err := t.exec(`UPDATE limits SET failures = failures - 1, recent = recent - 1, at = CASE WHEN at = $1 THEN $2 ELSE at END
		WHERE subject = $3 AND recent > 0`, made.at, made.before, []byte(made.subject))
	if err != nil {
		return err
	}
	return t.giveBack(strangers, made.peer)
}

// take counts a request of somebody, be it an address or an account. It returns
// Throttled when that has made too many.
func (t *tx) take(r rate, who string) error {
	subject, l, err := t.room(r, who)
	if err != nil {
		return err
	}
	return t.setLimit(subject, "", l)
}

// room returns the row of a rate as it is to be when one more request is let
// through, or Throttled.
func (t *tx) room(r rate, who string) (subject string, l limit, err error) {
	subject = string(t.s.keys.hash(r.kind, who))
	if l, err = t.limit(subject); err != nil {
		return "", l, err
	}
	full := t.now.Add(time.Duration(r.burst) * r.every)
	until := t.now
	if used := l.at.Time(); used.After(until) {
		until = used
	}
	if until.After(full) { // the clock was put back
		until = full
	}
	until = until.Add(r.every)
	if wait := until.Sub(full); wait > 0 {
		return "", l, Throttled{wait}
	}
	l.at = InstantOf(until)
	return subject, l, nil
}

// giveBack makes as if a request had not been made.
func (t *tx) giveBack(r rate, subject string) error {
	if subject == "" {
		return nil
	}
	l, err := t.limit(subject)
	if err != nil {
		return err
	}
	if l.at == "" {
		return nil // it was purged meanwhile
	}
	l.at = InstantOf(l.at.Time().Add(-r.every))
	return t.setLimit(subject, "", l)
}

// admitFrom counts a request from the actor's address in a transaction of its
// own, so that it stays counted when what follows is refused.
func (s *Store) admitFrom(ctx context.Context, a Actor, r rate) error {
	return s.write(ctx, func(t *tx) error { return t.admitFrom(a, r) })
}

func (t *tx) admitFrom(a Actor, r rate) error {
	return t.take(r, network(a.Address))
}
