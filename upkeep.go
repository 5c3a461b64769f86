package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

// upkeep is the work that no request asks for. What is added to one of run and
// once belongs into the other too.
type upkeep struct {
	mail   *notify.Worker
	anchor *anchor
	store  *store.Store
	log    *slog.Logger
}

func (p *program) upkeep(s *store.Store, sender notify.Sender) *upkeep {
	return &upkeep{notify.New(s, sender, p.log), &anchor{store: s, file: p.settings.AuditCheckpoints, log: p.log}, s, p.log}
}

// run does the work until ctx ends, each part at its own pace: a server's way.
func (u *upkeep) run(ctx context.Context) {
	var workers sync.WaitGroup
	workers.Go(func() { u.mail.Run(ctx) })
	workers.Go(func() { u.anchor.run(ctx) })
	workers.Go(func() { u.purgeAgainAndAgain(ctx) })
	workers.Wait()
}

// once does all of the work that is due: the way of AWS Lambda, which runs
// nothing between invocations and calls this on a schedule. The error, logged
// already, says that no mail can leave at the moment.
func (u *upkeep) once(ctx context.Context) error {
	u.anchor.take(ctx)
	u.purge(ctx)
	return u.mail.Drain(ctx)
}

// purgePause is how often what is over and of no use any more is deleted.
const purgePause = 10 * time.Minute

func (u *upkeep) purgeAgainAndAgain(ctx context.Context) {
	ticks := time.NewTicker(purgePause)
	defer ticks.Stop()
	for {
		u.purge(ctx)
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

func (u *upkeep) purge(ctx context.Context) {
	if err := u.store.Purge(ctx); err != nil && ctx.Err() == nil {
		u.log.Error("what is over could not be deleted; it is tried again", "cause", store.Describe(err))
	}
}
