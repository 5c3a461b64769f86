package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// mostReady is how soon the service must be ready again.
const mostReady = 2 * time.Second

// kill kills the service again and again in the middle of writes.
func kill(ctx context.Context, o *options, r *report) error {
	s, err := newService(ctx, "")
	if err != nil {
		return err
	}
	p, err := openPractice(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	writers, err := newWriters(ctx, p, o.seed, o.clients)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	var t tally
	var slowest time.Duration
	broken := 0
	for cycle := range o.cycles {
		if err := p.renew(ctx, writers); err != nil {
			return fmt.Errorf("cycle %d: %w", cycle, err)
		}
		late := time.AfterFunc(50*time.Millisecond+time.Duration(random.IntN(400))*time.Millisecond, func() { _ = s.command.Process.Kill() })
		t.work(ctx, writers, func() bool { return ctx.Err() != nil })
		late.Stop()
		s.kill()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		took, err := s.start()
		if err != nil {
			return fmt.Errorf("cycle %d: %w", cycle, err)
		}
		slowest = max(slowest, took)
		t.look(ctx, writers, (*writer).look)
		if err := s.verify(ctx); err != nil {
			broken++
			t.wrong(err)
		}
	}
	t.look(ctx, writers, (*writer).lookAtAll)
	r.row("kills", o.cycles, "", true)
	t.report(r, false)
	r.none("trails that did not verify", broken)
	r.most("slowest start, ms", milliseconds(slowest), milliseconds(mostReady))
	p.reportMail(r, writers, 2)
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
