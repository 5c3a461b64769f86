package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is all that was measured, and where.
type report struct {
	Date         string        `json:"date"`
	Machine      string        `json:"machine"`
	Go           string        `json:"go"`
	Command      string        `json:"command"`
	Records      int           `json:"records"`
	Measurements []measurement `json:"measurements"`
}

// measurement is the rounds of one operation on some connections.
type measurement struct {
	Operation   string   `json:"operation"`
	Connections int      `json:"connections"`
	Service     []result `json:"service"`
	Yardstick   []result `json:"yardstick"`
}

func (m *measurement) of(target string) *[]result {
	if target == "service" {
		return &m.Service
	}
	return &m.Yardstick
}

func newReport(o *options) *report {
	fmt.Printf("%-8s %5s | %21s | %15s | %15s | %15s | %11s | %s\n", "", "", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "MiB", "load µs")
	fmt.Printf("%-8s %5s | %7s %7s %5s | %7s %7s | %7s %7s | %7s %7s | %5s %5s |\n", "", "conns", "service", "bare", "ratio", "service", "bare", "service", "bare", "service", "bare", "serv.", "bare")
	return &report{
		Date: time.Now().UTC().Format(time.DateOnly), Machine: machine(), Go: runtime.Version(),
		Command: strings.Join(os.Args[1:], " "), Records: o.records,
	}
}

// machine is the processor's name and how many cores there are.
func machine() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return fmt.Sprintf("%d × %s", runtime.NumCPU(), name)
}

// add keeps a measurement and prints its medians.
func (r *report) add(m measurement) {
	r.Measurements = append(r.Measurements, m)
	s, y := medians(m.Service), medians(m.Yardstick)
	fmt.Printf("%-8s %5d | %7.0f %7.0f %5.2f | %7.2f %7.2f | %7.2f %7.2f | %7.0f %7.0f | %5.0f %5.0f | %.0f\n", m.Operation, m.Connections,
		s.Rate, y.Rate, s.Rate/y.Rate, s.P50, y.P50, s.P99, y.P99, s.CPU, y.CPU, s.Memory, y.Memory, s.Generator)
}

func medians(rounds []result) result {
	return result{
		Rate:      median(rounds, func(r result) float64 { return r.Rate }),
		P50:       median(rounds, func(r result) float64 { return r.P50 }),
		P99:       median(rounds, func(r result) float64 { return r.P99 }),
		CPU:       median(rounds, func(r result) float64 { return r.CPU }),
		Generator: median(rounds, func(r result) float64 { return r.Generator }),
		Memory:    median(rounds, func(r result) float64 { return r.Memory }),
	}
}

func median(rounds []result, of func(result) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	return middle(values)
}

// middle is the median of some values.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
