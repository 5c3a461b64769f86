package store_test

import (
	"fmt"
	"testing"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// Behind a pooler that gives each transaction another connection all actions do
// what they do without one.
func TestBehindAPooler(t *testing.T) {
	direct := storetest.Postgres(t)
	p := onPostgres(t, func(o *store.Options) { o.URL = storetest.Pooled(t, direct, 3) })
	p.other = storetest.Open(t, direct) // the tests' own questions are not made for one
	t.Cleanup(func() { p.other.Close() })
	w := settle(t, p)
	for i, d := range w.deeds() {
		if d.action != store.BackUp {
			t.Run(d.name, func(t *testing.T) { w.wantEntry(t, i, d) })
		}
	}
	together(8, func(i int) {
		a := p.patient(fmt.Sprint("pooled", i))
		r := p.record(a, "Cough")
		for n := range 10 {
			if _, err := p.ChangeRecord(t.Context(), a, r.ID, nil, &store.RecordInput{Title: ptr(fmt.Sprint("Cough ", n))}); err != nil {
				t.Errorf("ChangeRecord error = %v, want nil", err)
			}
			if _, err := p.Records(t.Context(), a, store.RecordFilter{}, searchPage("cough")); err != nil {
				t.Errorf("Records error = %v, want nil", err)
			}
		}
	})
	p.wantTrail()
	if n := p.count(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()`); n > 4 {
		t.Errorf("%d connections are open, want those of the pooler, 3, and this one", n)
	}
}
