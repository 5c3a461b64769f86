package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"healthrecords/store"
)

// anchorPause is how long entries of the trail may stay without a checkpoint.
const anchorPause = time.Minute

// anchor takes checkpoints of the audit trail out of the database: into a file
// that is only ever added to, and into the log.
type anchor struct {
	store *store.Store
	file  string // "" on AWS Lambda, where no file stays
	log   *slog.Logger

	taking sync.Mutex    // two schedules may come at once
	counts map[int]int64 // of entries at the last checkpoint of each lane
}

// run takes a checkpoint at the start, every minute or 1,000 entries when
// something was written, and at the end.
func (a *anchor) run(ctx context.Context) {
	ticks := time.NewTicker(anchorPause)
	defer ticks.Stop()
	for {
		a.take(context.WithoutCancel(ctx))
		select {
		case <-ticks.C:
		case <-a.store.TrailGrown():
		case <-ctx.Done():
			a.take(context.WithoutCancel(ctx))
			return
		}
	}
}

// take takes a checkpoint of each lane of the trail in which something was
// written since the last, which is tried again until it lies in the file.
func (a *anchor) take(ctx context.Context) {
	a.taking.Lock()
	defer a.taking.Unlock()
	list, err := a.store.Checkpoints(ctx)
	if err != nil {
		a.log.ErrorContext(ctx, "no checkpoint of the audit trail could be taken", "cause", store.Describe(err))
		return
	}
	if a.counts == nil {
		a.counts = make(map[int]int64)
	}
	for _, c := range list {
		if c.Count == a.counts[c.Lane] {
			continue
		}
		a.log.InfoContext(ctx, "checkpoint", "checkpoint", c)
		if err := a.keep(c); err != nil {
			a.log.ErrorContext(ctx, "a checkpoint of the audit trail could not be kept: look at AUDIT_CHECKPOINTS and its disk", "cause", err.Error())
			return
		}
		a.counts[c.Lane] = c.Count
	}
}

// keep adds a checkpoint to the file; without one, the log alone has it.
func (a *anchor) keep(c store.Checkpoint) error {
	if a.file == "" {
		return nil
	}
	return addLine(a.file, c)
}

// addLine adds a value as a line of JSON to a file, in one piece, and waits for
// the disk.
func addLine(file string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	size, broken := lastLine(f)
	if broken {
		line = append([]byte("\n"), line...)
	}
	_, err = f.Write(append(line, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if size == 0 && err == nil {
		err = syncDirectory(filepath.Dir(file))
	}
	return err
}

// lastLine returns a file's size, and whether its last line breaks off, as a
// crash or a full disk leaves it.
func lastLine(f *os.File) (size int64, broken bool) {
	if info, err := f.Stat(); err == nil {
		size = info.Size()
	}
	var last [1]byte
	_, err := f.ReadAt(last[:], size-1) // fails before the beginning
	return size, err == nil && last[0] != '\n'
}

// checkAnchor finds out whether checkpoints can be kept in a file. With create, one
// that is not there is made, as the first checkpoint would; else its directory
// must be there.
func checkAnchor(file string, create bool) error {
	flags := os.O_APPEND | os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(file, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) && !create {
		f, err = os.Open(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("AUDIT_CHECKPOINTS: the file cannot be added to: %w", err)
	}
	return f.Close()
}

// readCheckpoints reads a file of checkpoints.
func readCheckpoints(file string) ([]store.Checkpoint, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := store.ReadCheckpoints(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return list, err
}
