package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"healthrecords/auth"
)

// hashCommand is what the program calls itself with to compute hashes. It is not
// among the commands, because nobody else has a use for it.
const hashCommand = "compute-hashes"

const (
	hashIdle = 5 * time.Second  // how long a process is kept without work
	hashMost = 10 * time.Second // how long a hash may take there
)

// hashProcesses compute the hashes of passwords, one at a time each, in processes
// that go behind all others. Among the service's own goroutines a hash is as good
// as a request, and who reads a record waits until hashes of 30 ms have had their
// turns. And the collection after each hash, which bounds their memory, would look
// through all that the service has.
type hashProcesses struct {
	idle chan *hashProcess // with those that have ended since
	log  *slog.Logger
}

func newHashProcesses(most int, log *slog.Logger) *hashProcesses {
	return &hashProcesses{make(chan *hashProcess, most), log}
}

type hashProcess struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	jobs *json.Encoder
	sums *json.Decoder
	end  *time.Timer // runs while it is idle
}

// compute computes one hash. No more may be asked for at a time than there may be
// processes. Its errors hold nothing of the password.
func (h *hashProcesses) compute(job auth.Job) (sum []byte, err error) {
	p, err := h.take()
	if err == nil {
		sum, err = p.compute(job)
	}
	if err != nil {
		h.log.Warn("a process for hashes failed; the service computes this one itself", "cause", err.Error())
		return nil, err
	}
	p.end.Reset(hashIdle)
	h.idle <- p
	return sum, nil
}

// take returns a process that waits for work, or else a new one.
func (h *hashProcesses) take() (*hashProcess, error) {
	for {
		select {
		case p := <-h.idle:
			if p.end.Stop() {
				return p, nil
			}
		default:
			return startHashProcess()
		}
	}
}

// startHashProcess starts this program again, without the environment, which may
// hold keys. It is this program also where its file is another by now.
func startHashProcess() (*hashProcess, error) {
	program, err := "/proc/self/exe", error(nil)
	if runtime.GOOS != "linux" {
		program, err = os.Executable()
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Args = []string{os.Args[0], hashCommand} // as the list of processes shows it
	cmd.Env = []string{"GOMAXPROCS=1"}           // a second would have nothing to do
	setApart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &hashProcess{cmd: cmd, in: in, jobs: json.NewEncoder(in), sums: json.NewDecoder(out)}
	p.end = time.AfterFunc(hashIdle, p.finish)
	p.end.Stop()
	return p, nil
}

// compute has the process compute a hash, and ends it when that fails.
func (p *hashProcess) compute(job auth.Job) (sum []byte, err error) {
	late := time.AfterFunc(hashMost, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err = p.jobs.Encode(job); err == nil {
		err = p.sums.Decode(&sum)
	}
	if err == nil && len(sum) != int(job.Length) {
		err = errors.New("the sum has another length")
	}
	if err != nil {
		_ = p.cmd.Process.Kill() // it may have ended
		p.finish()
	}
	return sum, err
}

// finish closes what the process reads, upon which it ends.
func (p *hashProcess) finish() {
	p.in.Close()
	_ = p.cmd.Wait() // it has nothing more to say
}

// computeHashes is what such a process does until nobody is there to ask. What a
// hash took is freed before the next; there is nothing else to collect.
func computeHashes(in io.Reader, out io.Writer) error {
	goBehind()
	debug.SetGCPercent(-1)
	jobs, sums := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var job auth.Job
		if err := jobs.Decode(&job); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := sums.Encode(job.Sum()); err != nil {
			return err
		}
		runtime.GC()
	}
}
