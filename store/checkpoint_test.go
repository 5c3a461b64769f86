package store_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"healthrecords/store"
)

// TestTrailEncoding holds the MACs against a file: a trail that was written
// once must hold for ever. A change of the encoding needs a new name in it, and
// a verifier that knows both.
func TestTrailEncoding(t *testing.T) {
	f, err := os.Open("testdata/trail.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	key, previous, n := dataKey("golden"), []byte(nil), 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var line struct {
			store.TrailEntry
			MAC        string            `json:"mac"`
			Checkpoint *store.Checkpoint `json:"checkpoint"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		if c := line.Checkpoint; c != nil {
			if got := store.CheckpointMAC(key, *c); got != c.MAC {
				t.Errorf("line %d: MAC of the checkpoint = %s, want %s", n+1, got, c.MAC)
			}
			continue
		}
		got := store.EntryMAC(key, previous, line.TrailEntry)
		if hex.EncodeToString(got) != line.MAC {
			t.Errorf("line %d: MAC of the entry = %x, want %s", n+1, got, line.MAC)
		}
		previous = got
	}
	if n != 8 {
		t.Errorf("%d lines, want 8", n)
	}
}

// reach is the checkpoint of a trail that has one lane.
func reach(t *testing.T, s *store.Store) store.Checkpoint {
	t.Helper()
	list, err := s.Checkpoints(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("Checkpoints = %+v, %v, want one lane", list, err)
	}
	return list[0]
}

func TestCheckpointsTellHowFarTheTrailReaches(t *testing.T) {
	p := newPractice(t)
	empty, err := p.Checkpoints(t.Context())
	if err != nil || len(empty) != 0 {
		t.Errorf("Checkpoints of an empty trail = %+v, %v, want none", empty, err)
	}
	p.staff("admin")
	p.clock.Advance(time.Hour)
	c := reach(t, p.Store)
	head := fmt.Sprintf("%x", p.texts(`SELECT mac FROM audit ORDER BY seq DESC LIMIT 1`)[0])
	if want := int64(p.count(`SELECT COUNT(*) FROM audit`)); c.Lane != 0 || c.Count != want || c.Head != head || c.Time != store.InstantOf(p.clock.Now()) {
		t.Errorf("Checkpoints = %+v, want lane 0, count %d, head %s and the time now", c, want, head)
	}
	if again := reach(t, p.Store); again != c {
		t.Errorf("Checkpoints once more = %+v, want the same: it writes nothing", again)
	}
	if _, err := p.VerifyTrail(t.Context(), []store.Checkpoint{c}); err != nil {
		t.Errorf("VerifyTrail error = %v, want nil", err)
	}
}

func TestCheckpointsOfAClosedStoreAreUnavailable(t *testing.T) {
	p := newPractice(t)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := p.Checkpoints(t.Context())
	p.Store = nil
	wantErr(t, "Checkpoints", err, store.ErrUnavailable)
}

func TestTrailGrownAfterAThousandEntries(t *testing.T) {
	p := newPractice(t)
	pat := p.patient("pat")
	for _, c := range []struct {
		entries int
		want    bool
	}{
		{999 - p.count(`SELECT COUNT(*) FROM audit`), false},
		{1, true},
		{999, false},
		{1, true},
		{2000, true},
		{999, false},
	} {
		if err := p.FillTrail(t.Context(), pat.Account, c.entries); err != nil {
			t.Fatalf("FillTrail error = %v, want nil", err)
		}
		got := false
		select {
		case <-p.TrailGrown():
			got = true
		default:
		}
		if got != c.want {
			t.Errorf("after %d entries: TrailGrown receives %t, want %t", p.count(`SELECT COUNT(*) FROM audit`), got, c.want)
		}
	}
}

func TestReadCheckpoints(t *testing.T) {
	line := func(count string) string {
		return `{"lane":0,"count":` + count + `,"head":"ab","time":"2026-03-01T09:00:00.000000Z","mac":"cd"}`
	}
	for _, c := range []struct {
		name, text string
		counts     []int64
		err        string
	}{
		{"nothing", "", nil, ""},
		{"lines", line("1") + "\n" + line("2") + "\n", []int64{1, 2}, ""},
		{"no newline at the end", line("1") + "\n" + line("2"), []int64{1, 2}, ""},
		{"Windows' newlines", line("1") + "\r\n" + line("2") + "\r\n", []int64{1, 2}, ""},
		{"a last line that breaks off", line("1") + "\n" + line("2")[:30], []int64{1}, ""},
		{"a last line that breaks off within a number", line("1") + "\n" + `{"lane":0,"count":2`, []int64{1}, ""},
		{"a last line of zeros", line("1") + "\n\x00\x00\x00", []int64{1}, ""},
		{"a line that broke off, and went on", line("1")[:40] + "\n" + line("2") + "\n", []int64{2}, ""},
		{"a line that broke off in zeros, and went on", line("1")[:40] + "\x00\x00\n" + line("2") + "\n", []int64{2}, ""},
		{"empty lines", "\n\n" + line("1") + "\n\n", []int64{1}, ""},
		{"a line of words", line("1") + "\nhello\n", nil, "line 2 is no checkpoint"},
		{"a last line of words", line("1") + "\nhello", nil, "line 2 is no checkpoint"},
		{"two on a line", line("1") + line("2") + "\n", nil, "line 1 is no checkpoint"},
		{"a list", "[]\n", nil, "line 1 is no checkpoint"},
		{"null", "null\n", nil, "line 1 is no checkpoint"},
		{"another object", `{"lane":0}` + "\n", nil, "line 1 is no checkpoint"},
		{"a count that is none", line(`"1"`) + "\n", nil, "line 1 is no checkpoint"},
		{"a count beyond 64 bits", line("9223372036854775808") + "\n", nil, "line 1 is no checkpoint"},
		{"another file", "SQLite format 3\x00\n", nil, "line 1 is no checkpoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := store.ReadCheckpoints(strings.NewReader(c.text))
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("ReadCheckpoints error = %v, want %s", err, c.err)
				}
				return
			}
			var counts []int64
			for _, checkpoint := range list {
				counts = append(counts, checkpoint.Count)
			}
			if err != nil || !slices.Equal(counts, c.counts) {
				t.Errorf("ReadCheckpoints = counts %v, %v, want %v, nil", counts, err, c.counts)
			}
		})
	}
}

func TestReadCheckpointsFailsWithItsReader(t *testing.T) {
	broken := errors.New("broken")
	_, err := store.ReadCheckpoints(io.MultiReader(strings.NewReader("\n"), iotest.ErrReader(broken)))
	wantErr(t, "ReadCheckpoints", err, broken)
}

func FuzzReadCheckpoints(f *testing.F) {
	f.Add(`{"lane":0,"count":1,"head":"ab","time":"2026-03-01T09:00:00.000000Z","mac":"cd"}` + "\n")
	f.Add("{\n\x00\nnull")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := store.ReadCheckpoints(strings.NewReader(text))
		if err != nil && list != nil {
			t.Errorf("ReadCheckpoints = %d checkpoints and an error, want one of them", len(list))
		}
		for _, c := range list {
			if c.MAC == "" {
				t.Error("ReadCheckpoints returned a checkpoint without a MAC")
			}
		}
	})
}
