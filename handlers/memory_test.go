package handlers_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/store"
)

// memoryChild makes the test binary measure, in a process of its own.
const memoryChild = "HEALTHRECORDS_HANDLERS_TEST_MEMORY"

// A morning on which 500 people sign in at once costs what the hashes that run
// at once hold, and 64 MiB for all the rest; whoever reads goes on.
func TestManySignInsTakeLittleMemory(t *testing.T) {
	if os.Getenv(memoryChild) == "" {
		binary, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command(binary, "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), memoryChild+"=1")
		out, err := child.CombinedOutput()
		fmt.Fprintf(t.Output(), "%s", out)
		if err != nil {
			t.Errorf("the measurement failed: %v", err)
		}
		return
	}
	debug.SetGCPercent(300) // as the service does
	const people, slots = 500, 2
	p := newPractice(t, func(_ *store.Options, o *handlers.Options) { o.Hasher = auth.NewHasher(slots, people) })
	together(people, func(i int) {
		if _, err := p.store.CreatePatient(t.Context(), store.Actor{}, patientInput(fmt.Sprint("user", i), goodHash)); err != nil {
			t.Errorf("CreatePatient error = %v, want nil", err)
		}
	})
	reader := p.patient("reader")

	runtime.GC()
	before := held()
	done, stopped := make(chan struct{}), make(chan struct{})
	var peak uint64
	var reads atomic.Int64
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			if r := p.do(reader, "GET", "/api/me/", ""); r.status == http.StatusOK {
				reads.Add(1)
			}
			peak = max(peak, held())
			time.Sleep(time.Millisecond) // between two samples
		}
	}()
	answers := make([]response, people)
	together(people, func(i int) { answers[i] = p.signIn(fmt.Sprint("user", i), goodPassword) })
	close(done)
	<-stopped
	if got := statuses(answers); got[http.StatusOK] != people {
		t.Errorf("%d sign-ins = %v, want 200 for all", people, got)
	}
	const most = slots*19 + 64
	if grown := (peak - before) >> 20; grown > most {
		t.Errorf("%d sign-ins at once hold %d MiB more, want at most %d", people, grown, most)
	} else {
		t.Logf("%d sign-ins at once hold %d MiB more, at most %d are allowed; %d reads meanwhile", people, grown, most, reads.Load())
	}
	if reads.Load() < 10 {
		t.Errorf("%d reads were answered meanwhile, want that they go on", reads.Load())
	}
}

// held is the memory that the Go runtime has from the system.
func held() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
