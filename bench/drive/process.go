package drive

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// CPU is what a process has used so far, with those that it started (proc(5): utime
// and stime, and of those that have ended cutime and cstime), 0 when it is gone.
func CPU(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	var ticks time.Duration
	for _, field := range bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])[11:15] {
		n, _ := strconv.Atoi(string(field))
		ticks += time.Duration(n)
	}
	used := ticks * tick
	for _, child := range children(pid) {
		used += CPU(child)
	}
	return used
}

// Memory is what a process has in memory now, with those that it started, in MiB
// (proc(5), VmRSS: the program's own pages count for each), 0 when it is gone.
func Memory(pid int) float64 {
	used := float64(status(pid, "VmRSS:")) / 1024
	for _, child := range children(pid) {
		used += Memory(child)
	}
	return used
}

func children(pid int) (ids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		text, _ := os.ReadFile(name)
		for _, field := range strings.Fields(string(text)) {
			id, _ := strconv.Atoi(field)
			ids = append(ids, id)
		}
	}
	return ids
}

// Threads is how many threads a process has, 0 when it is gone.
func Threads(pid int) int { return status(pid, "Threads:") }

func status(pid int, name string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "\n"+name)
	n, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return n
}

// Files is how many files and connections a process has open, 0 when it is gone.
func Files(pid int) int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(list)
}
