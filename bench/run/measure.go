package main

import (
	"context"
	"syscall"
	"time"

	"healthrecords/bench/drive"
)

// result is one round.
type result struct {
	Rate      float64 `json:"requests_per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	CPU       float64 `json:"cpu_us_per_request"`  // of the server
	Generator float64 `json:"load_us_per_request"` // CPU of this program
	Memory    float64 `json:"resident_mib"`
}

// round drives a target for a while.
func (t *target) round(ctx context.Context, operation string, connections int, span time.Duration) (result, error) {
	scripts := make([]drive.Script, connections)
	for i := range scripts {
		var err error
		if scripts[i], err = t.script(ctx, operation, i); err != nil {
			return result{}, err
		}
	}
	return t.measure(ctx, operations[operation], scripts, span)
}

// measure is a round of these scripts.
func (t *target) measure(ctx context.Context, op operation, scripts []drive.Script, span time.Duration) (result, error) {
	cpu, own, begun := drive.CPU(t.command.Process.Pid), ownCPU(), time.Now()
	took, err := drive.Run(ctx, t.address, op.answered, scripts, span)
	if err != nil {
		return result{}, err
	}
	n := float64(len(took))
	return result{
		Rate:      n / time.Since(begun).Seconds(),
		P50:       milliseconds(took[len(took)/2]),
		P99:       milliseconds(took[len(took)*99/100]),
		CPU:       float64((drive.CPU(t.command.Process.Pid) - cpu).Microseconds()) / n,
		Generator: float64((ownCPU() - own).Microseconds()) / n,
		Memory:    drive.Memory(t.command.Process.Pid),
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
