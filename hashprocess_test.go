package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"healthrecords/auth"
)

var smallJob = auth.Job{Password: []byte("password"), Salt: []byte("somesalt"), Passes: 2, Memory: 256, Lanes: 1, Length: 32}

// mustCompute computes a hash in a process and compares it with one computed here.
func mustCompute(t *testing.T, h *hashProcesses, job auth.Job) {
	t.Helper()
	if got, err := h.compute(job); err != nil || !bytes.Equal(got, job.Sum()) {
		t.Errorf("compute = %x, %v, want %x", got, err, job.Sum())
	}
}

func TestHashProcessComputesWhatTheServiceDoes(t *testing.T) {
	h := newHashProcesses(1, slog.New(slog.DiscardHandler))
	for _, password := range []string{"violet tram", "", "behind a \x00", "no UTF-8 \xff", strings.Repeat("long", 1<<10)} {
		job := smallJob
		job.Password = []byte(password)
		mustCompute(t, h, job)
	}
	p := <-h.idle
	h.idle <- p
	mustCompute(t, h, smallJob)
	again := <-h.idle
	if again != p {
		t.Error("another process was started, want the one that was idle")
	}
	finishIdle(again)
	if code := again.cmd.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("without a reader the process ends with %d, want %d", code, exitDone)
	}
}

func TestHashProcessesComputeAtOnce(t *testing.T) {
	const most = 4
	h := newHashProcesses(most, slog.New(slog.DiscardHandler))
	for range 3 {
		var group sync.WaitGroup
		for range most {
			group.Go(func() { mustCompute(t, h, smallJob) })
		}
		group.Wait()
	}
	for len(h.idle) > 0 {
		finishIdle(<-h.idle)
	}
}

// finishIdle ends a process, unless its time without work has done that.
func finishIdle(p *hashProcess) {
	if p.end.Stop() {
		p.finish()
	}
}

// A process that was killed costs one failure, which the log tells without the
// password, and one that ended for want of work costs none.
func TestHashProcessThatIsGoneIsReplaced(t *testing.T) {
	var said buffer
	h := newHashProcesses(1, slog.New(slog.NewTextHandler(&said, nil)))
	mustCompute(t, h, smallJob)
	killed := <-h.idle
	killed.cmd.Process.Kill()
	h.idle <- killed
	if _, err := h.compute(smallJob); err == nil {
		t.Error("compute by a process that was killed error = nil, want one")
	}
	if text := said.String(); !strings.Contains(text, "a process for hashes failed") || strings.Contains(text, "password") || strings.Contains(text, "cGFzc3dvcmQ") {
		t.Errorf("the log says %q, want that a process failed, and no password", text)
	}
	mustCompute(t, h, smallJob)
	idle := <-h.idle
	finishIdle(idle)
	h.idle <- idle
	mustCompute(t, h, smallJob)
	finishIdle(<-h.idle)
}
