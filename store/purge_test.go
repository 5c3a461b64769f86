package store_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
)

func (p *practice) purge() {
	p.t.Helper()
	if err := p.Purge(p.t.Context()); err != nil {
		p.t.Fatalf("Purge error = %v, want nil", err)
	}
}

// fillLimits makes rows of limits that belong to nobody, a second between each,
// the first at the clock's time. The number is a multiple of 50.
func (p *practice) fillLimits(n int) {
	p.t.Helper()
	const batch = 50
	var values []string
	for i := range batch {
		values = append(values, fmt.Sprintf("($%d, 1, 1, $%d)", 2*i+1, 2*i+2))
	}
	tx, err := p.beside().Begin()
	if err != nil {
		p.t.Fatal(err)
	}
	defer tx.Rollback()
	for i := 0; i < n; i += batch {
		var args []any
		for j := range batch {
			subject := sha256.Sum256(fmt.Append(nil, i+j))
			args = append(args, subject[:], store.InstantOf(p.clock.Now().Add(time.Duration(i+j)*time.Second)))
		}
		if _, err := tx.Exec(`INSERT INTO limits (subject, failures, recent, at) VALUES `+strings.Join(values, ", "), args...); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		p.t.Fatal(err)
	}
}

func TestPurgeOfLimits(t *testing.T) {
	p := newPractice(t)
	p.staff("admin")
	p.try("198.51.100.1", "admin", store.Device{}, false)
	p.try("198.51.100.1", "nobody", store.Device{}, false)
	p.clock.Advance(23 * time.Hour)
	p.purge()
	if n := p.count(`SELECT COUNT(*) FROM limits`); n != 4 { // two names, two addresses
		t.Errorf("%d limits are kept within a day, want 4", n)
	}
	p.clock.Advance(time.Hour + time.Minute)
	p.purge()
	if n := p.count(`SELECT COUNT(*) FROM limits WHERE account_id IS NOT NULL`); n != 1 {
		t.Errorf("%d limits of an account are kept after a day, want 1", n)
	}
	if n := p.count(`SELECT COUNT(*) FROM limits`); n != 1 {
		t.Errorf("%d limits are kept after a day, want 1", n)
	}
	p.fillLimits(1500)
	p.clock.Advance(48 * time.Hour)
	p.purge()
	if n := p.count(`SELECT COUNT(*) FROM limits`); n != 1 {
		t.Errorf("%d limits are kept of many old ones, want 1", n)
	}
}

// However many names are tried in a day, what is kept of them is bounded.
func TestLimitsOfNobodyAreBounded(t *testing.T) {
	p := newPractice(t)
	p.fillLimits(101_500)
	newest := p.texts(`SELECT MAX(at) FROM limits`)
	p.purge()
	if n := p.count(`SELECT COUNT(*) FROM limits`); n != 100_000 {
		t.Errorf("%d limits are kept, want 100000", n)
	}
	if got := p.texts(`SELECT MAX(at) FROM limits`); !slices.Equal(got, newest) {
		t.Errorf("the newest is of %q, want %q", got, newest)
	}
}

func TestPurgeOfWhatIsOver(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	pat := p.patient("pat")
	p.clock.Advance(time.Second)
	again := p.actor("pat")
	wantErr(t, "EndMySession", p.EndMySession(ctx, again, pat.Session), nil)
	p.clock.Advance(time.Second)
	live := p.actor("pat")
	wantErr(t, "RequestReset", p.RequestReset(ctx, store.Actor{}, "pat", ""), nil)
	p.mails()
	counts := func(when string, sessions, tokens, mails int) {
		t.Helper()
		p.purge()
		for table, want := range map[string]int{"sessions": sessions, "one_use": tokens, "outbox": mails} {
			if n := p.count(`SELECT COUNT(*) FROM ` + table); n != want {
				t.Errorf("%s %d rows of %s are kept, want %d", when, n, table, want)
			}
		}
	}
	counts("at first", 3, 1, 1)
	p.clock.Advance(10 * time.Minute)
	counts("after ten minutes", 3, 0, 1)
	p.clock.Advance(29 * 24 * time.Hour)
	counts("after 29 days", 3, 0, 1)
	if _, err := p.Me(ctx, live); err != nil {
		t.Errorf("Me in a session that is not over: error = %v, want nil", err)
	}
	p.clock.Advance(2 * 24 * time.Hour)
	counts("after 31 days", 2, 0, 1) // the two others ended a day ago
	p.clock.Advance(59 * 24 * time.Hour)
	counts("after 90 days", 1, 0, 0)
	if got := p.texts(`SELECT id FROM sessions`); !slices.Equal(got, []string{live.Session}) {
		t.Error("not the newest session is kept")
	}
	p.wantTrail()
}
