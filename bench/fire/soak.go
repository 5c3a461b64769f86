package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"healthrecords/bench/drive"
)

// window is what was measured in a part of the time.
type window struct{ p99, memory, files, threads, wal float64 }

const (
	windows = 20              // in the whole span
	goodbye = 2 * time.Second // until the connections of a window are closed on both sides
)

// soak lets nine of ten requests read and one write for long, at half of what
// the service can do, and sees whether anything grows.
func soak(ctx context.Context, o *options, r *report) error {
	s, err := newService(ctx, "")
	if err != nil {
		return err
	}
	p, err := openPractice(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	rs, err := newReaders(ctx, p, o.seed, 16, 50)
	if err != nil {
		return err
	}
	part := o.span / windows
	took, err := rs.load(ctx, o.clients, 0, 0.1, part)
	if err != nil {
		return err
	}
	rate := float64(len(took)) / part.Seconds() / 2
	if _, err := rs.load(ctx, o.clients, rate, 0.1, part); err != nil {
		return err
	}
	time.Sleep(goodbye)
	before, err := s.goroutines()
	if err != nil {
		return err
	}
	if _, err := s.start(); err != nil {
		return err
	}
	fmt.Printf("  %.0f requests a second; each of %d windows: p99 ms, MiB, files, threads, log MiB\n", rate, windows)
	list := make([]window, windows)
	for i := range list {
		if list[i], err = rs.window(ctx, o.clients, rate, part); err != nil {
			return err
		}
		fmt.Printf("  %.1f\n", list[i])
	}
	after, err := s.goroutines()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		slack float64 // that it may differ by anyway
		of    func(window) float64
	}{
		{"p99, ms", 1, func(w window) float64 { return w.p99 }},
		{"memory, MiB", 2, func(w window) float64 { return w.memory }},
		{"files and connections", 2, func(w window) float64 { return w.files }},
		{"threads", 2, func(w window) float64 { return w.threads }},
		{"log (WAL), MiB", 1, func(w window) float64 { return w.wal }},
	} {
		early, end := middle(list[windows/4:windows/2], f.of), middle(list[windows*3/4:], f.of)
		r.most(f.name+", in the last quarter; by the second", end, early*1.1+f.slack)
	}
	r.most("goroutines in the end; by a short run", float64(after), float64(before)+2)
	if err := s.verify(ctx); err != nil {
		r.row("the trail verifies", err, "", false)
	}
	return nil
}

func (rs *readers) window(ctx context.Context, clients int, rate float64, span time.Duration) (window, error) {
	took, err := rs.load(ctx, clients, rate, 0.1, span)
	if err != nil {
		return window{}, err
	}
	time.Sleep(goodbye)
	s := rs.p.service
	var wal float64
	if info, err := os.Stat(filepath.Join(s.data, "health.db-wal")); err == nil {
		wal = float64(info.Size()) / (1 << 20)
	}
	return window{late(took), drive.Memory(s.pid()), float64(drive.Files(s.pid())), float64(drive.Threads(s.pid())), wal}, nil
}

// middle is the median of a figure.
func middle(list []window, of func(window) float64) float64 {
	var values []float64
	for _, w := range list {
		values = append(values, of(w))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// goroutines ends the service and returns how many goroutines it had: at SIGQUIT
// the Go runtime writes down each.
func (s *service) goroutines() (int, error) {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return 0, err
	}
	old := len(text)
	if err := s.command.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	<-s.ended
	if text, err = os.ReadFile(s.log()); err != nil {
		return 0, err
	}
	return bytes.Count(text[old:], []byte("\ngoroutine ")), nil
}
