package store

import "time"

// Instant is a moment as it is stored and shown: RFC 3339 in UTC with
// microseconds, which sorts as text. "" is no moment.
type Instant string

const instantLayout = "2006-01-02T15:04:05.000000Z"

// InstantOf returns t, cut to microseconds.
func InstantOf(t time.Time) Instant { return Instant(t.UTC().Format(instantLayout)) }

// Time returns the moment, or the zero time when i is empty or not an instant.
func (i Instant) Time() time.Time {
	t, err := time.Parse(instantLayout, string(i))
	if err != nil {
		return time.Time{}
	}
	return t
}
