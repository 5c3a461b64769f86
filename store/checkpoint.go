package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Checkpoint says how far a lane of the trail reached at a moment. Kept outside the
// database, it shows later whether entries were cut off, or the database was
// put back to an earlier state.
type Checkpoint struct {
	Lane  int     `json:"lane"`
	Count int64   `json:"count"` // of entries
	Head  string  `json:"head"`  // the last entry's MAC, in hexadecimal
	Time  Instant `json:"time"`
	MAC   string  `json:"mac"` // over the rest
}

func (c Checkpoint) sum(key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write(pack("healthrecords checkpoint v1", strconv.Itoa(c.Lane), strconv.FormatInt(c.Count, 10), c.Head, string(c.Time)))
	return fmt.Sprintf("%x", m.Sum(nil))
}

func (c Checkpoint) genuine(key []byte) bool { return hmac.Equal([]byte(c.MAC), []byte(c.sum(key))) }

// Checkpoints returns how far each lane of the trail that has entries reaches,
// all as of one moment. SQLite has one lane; on PostgreSQL each action that runs
// beside others writes in a lane of its own.
func (s *Store) Checkpoints(ctx context.Context) ([]Checkpoint, error) {
	var list []Checkpoint
	err := s.read(ctx, func(t *tx) (err error) {
		list, err = t.checkpoints(t.at())
		return err
	})
	return list, err
}

func (t *tx) checkpoints(at Instant) ([]Checkpoint, error) {
	heads, err := t.heads()
	list := make([]Checkpoint, len(heads))
	for i, h := range heads {
		list[i] = t.s.checkpoint(h, at)
	}
	return list, err
}

func (s *Store) checkpoint(h head, at Instant) Checkpoint {
	c := Checkpoint{Lane: h.lane, Count: h.seq, Head: fmt.Sprintf("%x", h.mac), Time: at}
	c.MAC = c.sum(s.keys.trail)
	return c
}

// checkpointEntries is after how many entries a checkpoint is due.
const checkpointEntries = 1000

// TrailGrown receives when this process has added 1,000 entries since it last
// did.
func (s *Store) TrailGrown() <-chan struct{} { return s.grown }

// grow counts the entries that were added.
func (s *Store) grow(entries int64) {
	if s.entries.Add(entries) >= checkpointEntries {
		s.entries.Store(0)
		announce(s.grown)
	}
}

// ReadCheckpoints reads checkpoints, one JSON object a line. A line that breaks
// off, as a crash or a full disk leaves it, is passed over; any other line that
// is not a checkpoint is an error.
func ReadCheckpoints(r io.Reader) ([]Checkpoint, error) {
	var list []Checkpoint
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		end := err != nil
		line = bytes.Trim(line, "\x00\n") // a crash may leave zeros
		var c Checkpoint
		switch err := json.Unmarshal(line, &c); {
		case err == nil && c.MAC != "":
			list = append(list, c)
		case !breaksOff(line):
			return nil, fmt.Errorf("line %d is no checkpoint", n)
		}
		if end {
			return list, nil
		}
	}
}

// breaksOff tells whether a line is the beginning of a JSON value, or nothing.
func breaksOff(line []byte) bool {
	err := json.NewDecoder(bytes.NewReader(line)).Decode(new(json.RawMessage))
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
