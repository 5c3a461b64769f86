package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"healthrecords/bench/drive"
)

// readers are patients with records, who ask for them and add to them.
type readers struct {
	p       *practice
	list    []*user
	records [][]string // ids, of each reader
	rand    *rand.Rand
}

// newReaders makes some patients with as many records each.
func newReaders(ctx context.Context, p *practice, seed uint64, some, records int) (*readers, error) {
	list, err := p.enrolPatients(ctx, some)
	if err != nil {
		return nil, err
	}
	rs := &readers{p: p, list: list, records: make([][]string, some), rand: rand.New(rand.NewPCG(seed, 0))}
	return rs, drive.Together(some, some, func(i int) error {
		for range records {
			var made struct{ ID string }
			if err := list[i].want(ctx, "POST", "/api/health-records/", newRecord, &made); err != nil {
				return err
			}
			rs.records[i] = append(rs.records[i], made.ID)
		}
		return nil
	})
}

const newRecord = `{"title":"Check-up","description":"Blood pressure 128 over 82, pulse regular. Blood pressure 128 over 82, pulse regular. Seen again in a year, or when something changes; until then as before."}`

// load sends reads, and one write to some reads, for a while on some
// connections; at a rate, or as fast as it goes when that is 0. It returns how
// long each took, the quickest first.
func (rs *readers) load(ctx context.Context, connections int, rate, writes float64, span time.Duration) ([]time.Duration, error) {
	scripts := make([]drive.Script, connections)
	for i := range scripts {
		n := i % len(rs.list)
		if err := rs.list[n].renew(ctx); err != nil {
			return nil, err
		}
		scripts[i] = rs.script(n, writes, pace(connections, i, rate))
	}
	return drive.Run(ctx, rs.p.address, acknowledgedText, scripts, span)
}

func acknowledgedText(status string) bool { return status[0] == '2' }

// script reads a reader's records, and writes one now and then.
func (rs *readers) script(n int, writes float64, wait func()) drive.Script {
	random := rand.New(rand.NewPCG(rs.rand.Uint64(), 0))
	u := rs.list[n]
	return func([]byte) []byte {
		wait()
		if random.Float64() < writes {
			return u.request("POST", "/api/health-records/", newRecord)
		}
		return u.request("GET", "/api/health-records/"+rs.records[n][random.IntN(len(rs.records[n]))]+"/", "")
	}
}

// pace returns what waits for the turn of one of some connections, which share a
// rate.
func pace(connections, i int, rate float64) func() {
	if rate == 0 {
		return func() {}
	}
	every := time.Duration(float64(connections) / rate * float64(time.Second))
	turn := time.Now().Add(every * time.Duration(i) / time.Duration(connections))
	return func() {
		time.Sleep(time.Until(turn))
		turn = turn.Add(every)
		if late := time.Since(turn); late > 0 {
			turn = turn.Add(late) // what was missed is not made up for
		}
	}
}

// request returns the bytes of a request.
func (u *user) request(method, path, body string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, u.p.address, u.from, u.access, len(body), body)
}

// late is the time that one in a hundred exceeds, in milliseconds.
func late(took []time.Duration) float64 { return milliseconds(took[len(took)*99/100]) }
