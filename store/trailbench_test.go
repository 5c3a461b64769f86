package store_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// BenchmarkVerifyTrail verifies trails of several lengths; MB-heap is the most
// that the heap held meanwhile, which must not grow with the length.
func BenchmarkVerifyTrail(b *testing.B) {
	for _, entries := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			if entries > 100_000 && testing.Short() {
				b.Skip("takes a minute")
			}
			s := filledStore(b, entries)
			most := watchHeap(b)
			for b.Loop() {
				if _, err := s.VerifyTrail(b.Context(), nil); err != nil {
					b.Fatalf("VerifyTrail error = %v, want nil", err)
				}
			}
			b.ReportMetric(float64(most())/1e6, "MB-heap")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(entries*b.N), "ns/entry")
		})
	}
}

// filledStore is a store with a trail of at least that many entries.
func filledStore(b *testing.B, entries int) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Options{
		URL:      storetest.URL(b),
		DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatalf("Open error = %v, want nil", err)
	}
	b.Cleanup(func() { s.Close() })
	p, err := s.CreatePatient(b.Context(), store.Actor{}, &store.PatientInput{User: user("pat")})
	if err != nil {
		b.Fatalf("CreatePatient error = %v, want nil", err)
	}
	if err := s.FillTrail(b.Context(), p.ID, entries); err != nil {
		b.Fatalf("FillTrail error = %v, want nil", err)
	}
	return s
}

// watchHeap samples the size of the heap until the function that it returns is
// called, which returns the largest.
func watchHeap(b *testing.B) (most func() uint64) {
	runtime.GC()
	end, largest := make(chan struct{}), make(chan uint64)
	go func() {
		var peak uint64
		ticks := time.NewTicker(20 * time.Millisecond)
		defer ticks.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-ticks.C:
			case <-end:
				largest <- peak
				return
			}
		}
	}()
	return func() uint64 {
		close(end)
		return <-largest
	}
}
