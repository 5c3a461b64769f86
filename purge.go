package main

import (
	"context"
	"log/slog"
	"time"

	"healthrecords/store"
)

// purgePause is how often what is over and of no use any more is deleted.
const purgePause = 10 * time.Minute

// purge deletes from the store what is over, at the start and every ten
// minutes, until ctx ends.
func purge(ctx context.Context, s *store.Store, log *slog.Logger) {
	ticks := time.NewTicker(purgePause)
	defer ticks.Stop()
	for {
		if err := s.Purge(ctx); err != nil && ctx.Err() == nil {
			log.Error("what is over could not be deleted; it is tried again", "cause", store.Describe(err))
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}
