package handlers_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"healthrecords/handlers"
	"healthrecords/store"
)

// benchPractice is a practice of 10 doctors, 100 patients and 5,000 records,
// every third of which has a note.
type benchPractice struct {
	*practice
	doctors  []person
	patients []person
	records  []benchRecord
}

// benchRecord is a record and the doctor who may read it.
type benchRecord struct {
	path   string
	doctor person
}

func newBenchPractice(b *testing.B) *benchPractice {
	b.Helper()
	p := &benchPractice{practice: newPractice(b, func(so *store.Options, ho *handlers.Options) {
		ho.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
		so.Log = ho.Log
	})}
	staff := p.staff("admin")
	for i := range 10 {
		p.doctors = append(p.doctors, p.doctor(staff, fmt.Sprintf("doctor%d", i)))
	}
	for i := range 100 {
		p.patients = append(p.patients, p.patient(fmt.Sprintf("patient%d", i), p.doctors[i%10]))
	}
	p.records = make([]benchRecord, 5000)
	together(50, func(worker int) {
		random := rand.New(rand.NewPCG(1, uint64(worker)))
		for i := range 100 {
			n := 100*worker + i
			p.records[n] = p.addRecord(random, n)
		}
	})
	return p
}

// addRecord writes the n-th record, and a note to every third.
func (p *benchPractice) addRecord(random *rand.Rand, n int) benchRecord {
	patient, doctor := p.patients[n%100], p.doctors[n%10]
	actor := store.Actor{Account: doctor.id, Session: doctor.grant.Session}
	title, text := prose(random, 4), prose(random, 20+random.IntN(130))
	at := store.InstantOf(p.clock.Now().AddDate(0, 0, -random.IntN(3000)))
	r, err := p.store.CreateRecord(p.t.Context(), actor, &store.RecordInput{Title: &title, Description: &text, Date: &at, Patient: &patient.id})
	if err != nil {
		p.t.Errorf("CreateRecord error = %v, want nil", err)
	}
	if n%3 == 0 {
		note := prose(random, 15)
		if _, err := p.store.CreateNote(p.t.Context(), actor, &store.NoteInput{Text: &note, Record: &r.ID}); err != nil {
			p.t.Errorf("CreateNote error = %v, want nil", err)
		}
	}
	return benchRecord{"/api/health-records/" + r.ID + "/", doctor}
}

var vocabulary = strings.Fields(`morning evening walk stairs knee shoulder better worse since Monday slept badly well
	cough dry after dinner tea light dull ache left right side rested twice daily no fever bright weather long day
	garden work mild swelling gone today came back with rain took it slowly felt steady asked about next week`)

// prose makes a text of so many words.
func prose(random *rand.Rand, words int) string {
	text := make([]string, words)
	for i := range text {
		text[i] = vocabulary[random.IntN(len(vocabulary))]
	}
	return strings.Join(text, " ")
}

// BenchmarkService measures requests through the whole handler, down to the
// disk, on a practice of 5,000 records. "healthz" is what the benchmark itself
// costs: a request made, routed, logged and its answer kept.
func BenchmarkService(b *testing.B) {
	p := newBenchPractice(b)
	pat, body := p.patients[0], `{"title":"Cough since Monday","description":"dry, worse in the evening, no fever; slept badly, better after tea"}`

	p.one(b, "healthz", http.StatusOK, func() response { return p.do(nobody, "GET", "/healthz", "") })
	check := asJSON(map[string]string{"token": pat.token})
	p.one(b, "check a token", http.StatusOK, func() response { return p.do(nobody, "POST", "/api/token/verify/", check) })
	p.patientWithHash("erika", goodHash)
	p.one(b, "sign in", http.StatusOK, func() response { return p.signIn("erika", goodPassword) })
	token := p.opened("erika").refresh
	p.one(b, "refresh", http.StatusOK, func() response {
		r := p.tokenRoute("refresh", token)
		token = r.text(b, "refresh")
		return r
	})
	n := 0
	p.one(b, "get a record", http.StatusOK, func() response { n++; return p.get(n) })
	p.one(b, "list 25 records of a doctor", http.StatusOK, func() response { n++; return p.do(p.doctors[n%10], "GET", "/api/health-records/", "") })
	p.one(b, "list 25 records of a patient", http.StatusOK, func() response { n++; return p.do(p.patients[n%100], "GET", "/api/health-records/", "") })
	p.one(b, "create a record", http.StatusCreated, func() response { return p.do(pat, "POST", "/api/health-records/", body) })

	p.many(b, "get a record", func(n int) response { return p.get(n) })
	p.many(b, "create a record", func(n int) response { return p.do(p.patients[n%100], "POST", "/api/health-records/", body) })
	p.many(b, "mixed 90-10", func(n int) response {
		if n%10 == 0 {
			return p.do(p.patients[n/10%100], "POST", "/api/health-records/", body)
		}
		return p.get(n)
	})
}

// get reads one of the records, each time another.
func (p *benchPractice) get(n int) response {
	r := p.records[n*7919%len(p.records)]
	return p.do(r.doctor, "GET", r.path, "")
}

// one measures a request after the other.
func (p *benchPractice) one(b *testing.B, name string, status int, call func() response) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r := call(); r.status != status {
				b.Fatalf("%s = %d, want %d", name, r.status, status)
			}
		}
	})
}

// many measures 64 clients at once.
func (p *benchPractice) many(b *testing.B, name string, call func(n int) response) {
	b.Run(name+", 64 at once", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism((63 + runtime.GOMAXPROCS(0)) / runtime.GOMAXPROCS(0))
		var next, failed atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if r := call(int(next.Add(1))); r.status != http.StatusOK && r.status != http.StatusCreated {
					failed.Add(1)
				}
			}
		})
		if n := failed.Load(); n > 0 {
			b.Errorf("%d requests failed, want none", n)
		}
	})
}
