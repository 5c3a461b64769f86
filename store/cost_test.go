package store_test

import (
	"strings"
	"testing"

	"healthrecords/store"
)

// What the trail costs: the same read and the same write, with and without an
// entry, alone and by 64 at once.
func BenchmarkTrail(b *testing.B) {
	p := newBenchPractice(b)
	text := strings.Repeat("x", 1000)
	in := func() *store.RecordInput { return &store.RecordInput{Title: ptr("title"), Description: &text} }
	r, err := p.CreateRecord(b.Context(), p.pat, in())
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		do   func() error
	}{
		{"read/traced", func() error { _, err := p.Record(b.Context(), p.pat, r.ID); return err }},
		{"read/untraced", func() error { return p.UntracedRecord(b.Context(), p.pat, r.ID) }},
		{"write/traced", func() error { _, err := p.CreateRecord(b.Context(), p.pat, in()); return err }},
		{"write/untraced", func() error { return p.UntracedCreate(b.Context(), p.pat, in()) }},
	} {
		b.Run(bench.name+"/alone", func(b *testing.B) {
			for b.Loop() {
				if err := bench.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/64", func(b *testing.B) {
			b.SetParallelism(32) // by two cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bench.do(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// What sealing costs: a text of 1 KiB, sealed and opened.
func BenchmarkSealing(b *testing.B) {
	text := strings.Repeat("x", 1024)
	r := store.SealRecord("title", text)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			r.Seal("title", text)
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if err := r.Open(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type benchPractice struct {
	*store.Store
	pat store.Actor
}

func newBenchPractice(b *testing.B) benchPractice {
	b.Helper()
	s, err := store.Open(b.Context(), store.Options{
		URL: "sqlite:" + b.TempDir() + "/health.db", DataKeys: [][]byte{dataKey("one")}, Create: true, Migrate: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if _, err := s.CreatePatient(b.Context(), store.Actor{}, &store.PatientInput{User: user("pat")}); err != nil {
		b.Fatal(err)
	}
	c, err := s.BeginSignIn(b.Context(), store.Actor{}, "pat", store.Device{})
	if err != nil {
		b.Fatal(err)
	}
	g, err := s.SignIn(b.Context(), store.Actor{}, c, store.SignInInput{Right: true})
	if err != nil {
		b.Fatal(err)
	}
	return benchPractice{s, store.Actor{Account: g.Account, Session: g.Session}}
}
