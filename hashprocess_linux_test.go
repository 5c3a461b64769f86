package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Every thread goes behind, and nothing of the environment is known there.
func TestHashProcessIsHumble(t *testing.T) {
	t.Setenv("SECRET_KEY", "of the service")
	h := newHashProcesses(1, slog.New(slog.DiscardHandler))
	mustCompute(t, h, smallJob)
	p := <-h.idle
	defer finishIdle(p)
	folder := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	threads, err := filepath.Glob(folder + "/task/*/stat")
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads = %v, %v, want some", threads, err)
	}
	for _, name := range threads {
		text, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(text), ") ")
		if nice, _ := strconv.Atoi(strings.Fields(rest)[16]); nice != 10 { // proc_pid_stat(5), field 19
			t.Errorf("%s has the nice value %d, want 10", name, nice)
		}
	}
	if environ, err := os.ReadFile(folder + "/environ"); err != nil || string(environ) != "GOMAXPROCS=1\x00" {
		t.Errorf("its environment is %q, %v, want GOMAXPROCS=1 alone", environ, err)
	}
}

// Hashes of the service are computed by its children, who do not outlive it.
func TestHashProcessEndsWithTheService(t *testing.T) {
	m := newMachine(t)
	m.staff("admin")
	p := m.process()
	p.signIn("admin")
	children := childrenOf(p.cmd.Process.Pid)
	if len(children) != 1 {
		t.Fatalf("after one sign-in the service has the children %v, want one", children)
	}
	p.cmd.Process.Kill()
	p.cmd.Process.Wait()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile("/proc/" + children[0] + "/stat")
		if err != nil || strings.Contains(string(text), ") Z ") { // nobody may wait for it here
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("10 s after the service was killed its child is still there")
		}
	}
}

func childrenOf(pid int) (ids []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		text, _ := os.ReadFile(name)
		ids = append(ids, strings.Fields(string(text))...)
	}
	return ids
}
