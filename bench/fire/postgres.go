package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// poolSize is how many connections the service has to the server.
const poolSize = 8

// mostTrouble is how long after a restart a request may still fail.
const mostTrouble = 5 * time.Second

// postgres ends connections of the service under load, and kills and restarts
// its PostgreSQL server.
func postgres(ctx context.Context, o *options, r *report) error {
	db, err := openServer(ctx)
	if err != nil {
		return err
	}
	defer db.remove()
	s, err := newService(ctx, "", "DATABASE_URL="+db.url("health"), fmt.Sprint("DATABASE_MAX_CONNECTIONS=", poolSize))
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
	t := &troubleTrial{p: p, writers: writers}
	ended, err := t.meet(ctx, r, "connections ended", o.cycles, db.endConnections)
	if err != nil {
		return err
	}
	r.row("  failed by it, at most", ended, fmt.Sprint("≤ ", poolSize), ended <= poolSize)
	away, err := t.meet(ctx, r, "server killed", o.cycles, db.killAndStart)
	if err != nil {
		return err
	}
	r.row("  failed while it was away, at most", away, "", true)
	t.look(ctx, writers, (*writer).lookAtAll)
	t.report(r, true)
	r.none("deaths of the process", map[bool]int{true: 0, false: 1}[s.alive()])
	if err := s.verify(ctx); err != nil {
		t.wrong(err)
		r.none("trails that did not verify", 1)
	}
	p.reportMail(r, writers, 2)
	return nil
}

// troubleTrial is writers that go on while there is trouble.
type troubleTrial struct {
	tally
	p       *practice
	writers []*writer
	mu      sync.Mutex
	failed  []time.Time // when requests began that were answered 503
}

// meet has the writers write, makes trouble in the midst of it, several times,
// and prints how many requests failed that began when the database was there
// again. It returns the most that failed before, in one trouble.
func (t *troubleTrial) meet(ctx context.Context, r *report, name string, cycles int, trouble func(context.Context) error) (int, error) {
	worst, most, late := 0, 0, 0
	for range cycles {
		if err := t.p.renew(ctx, t.writers); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		t.failed = nil
		enough, stop := context.WithCancel(ctx)
		var group sync.WaitGroup
		for _, w := range t.writers {
			group.Go(func() { t.write(ctx, w, enough.Done()) })
		}
		time.Sleep(time.Second)
		err := trouble(ctx)
		well := time.Now()
		time.Sleep(mostTrouble + 2*time.Second)
		stop()
		group.Wait()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		meanwhile, after := 0, 0
		for _, began := range t.failed {
			switch {
			case began.After(well.Add(mostTrouble)):
				late++
			case began.After(well):
				after++
			default:
				meanwhile++
			}
		}
		worst, most = max(worst, meanwhile), max(most, after)
		t.look(ctx, t.writers, (*writer).look)
	}
	r.row(name+", times", cycles, "", true)
	r.row("  failed of those that began afterwards, at most", most, fmt.Sprint("≤ ", poolSize), most <= poolSize)
	r.none("  failed later than 5 s afterwards", late)
	return worst, nil
}

// write writes until it is told to stop. Who is told that the service is not
// available waits a little.
func (t *troubleTrial) write(ctx context.Context, w *writer, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		began := time.Now()
		name, status := w.any(ctx)
		t.count(name, status)
		if !acknowledged(status) {
			t.mu.Lock()
			t.failed = append(t.failed, began)
			t.mu.Unlock()
			time.Sleep(50 * time.Millisecond)
		}
	}
}
