package drive

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// CPU is what a process has used so far (proc(5), utime and stime), 0 when it
// is gone.
func CPU(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * tick
}

// Memory is what a process has in memory now, in MiB (proc(5), VmRSS), 0 when it
// is gone.
func Memory(pid int) float64 { return float64(status(pid, "VmRSS:")) / 1024 }

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
