// Fire treats the service badly and sees whether it keeps what it promises: slow
// clients, a disk that is full or fails, kill -9 in the middle of writes, hours
// of work in short, a PostgreSQL server that goes away.
//
//	go run ./bench/fire slow|full|kill|soak|postgres [flags]
//
// It builds the service, starts it in a temporary directory, prints a table of
// figures with what is asked of each, and exits 1 when one does not hold. It
// needs Go, a C compiler and Linux. What else a trial needs it says when that is
// missing, and exits 2.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	seed    uint64
	clients int
	cycles  int
	span    time.Duration
}

// trials are the subcommands, with what their flags are when not given. A flag
// that means nothing to a trial is zero here, and is not taken.
var trials = []struct {
	name     string
	defaults options
	run      func(context.Context, *options, *report) error
}{
	{"slow", options{clients: 1000, span: 15 * time.Second}, slow},
	{"full", options{cycles: 3}, full},
	{"kill", options{clients: 64, cycles: 200}, kill},
	{"soak", options{clients: 64, span: 10 * time.Minute}, soak},
	{"postgres", options{clients: 64, cycles: 10}, postgres},
}

// missing is the error of a trial that this machine cannot do.
type missing struct{ what string }

func (m missing) Error() string { return "this trial needs " + m.what }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	for _, t := range trials {
		if len(args) == 0 || args[0] != t.name {
			continue
		}
		o, err := parse(t.name, t.defaults, args[1:])
		if err != nil {
			return 2
		}
		r := newReport()
		err = t.run(ctx, o, r)
		if m := (missing{}); errors.As(err, &m) {
			fmt.Fprintln(os.Stderr, "fire: nothing was tried:", m)
			return 2
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "fire:", err)
			return 1
		}
		return r.end()
	}
	fmt.Fprintln(os.Stderr, "usage: fire slow|full|kill|soak|postgres [flags]")
	return 2
}

func parse(name string, defaults options, args []string) (*options, error) {
	o, f := defaults, flag.NewFlagSet("fire "+name, flag.ContinueOnError)
	f.Uint64Var(&o.seed, "seed", 1, "`number` that all that is random comes from")
	if o.clients > 0 {
		f.IntVar(&o.clients, "clients", o.clients, "`number` of clients at a time")
	}
	if o.cycles > 0 {
		f.IntVar(&o.cycles, "cycles", o.cycles, "how often it is done")
	}
	if o.span > 0 {
		f.DurationVar(&o.span, "span", o.span, "how long it is measured")
	}
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = errors.New("an argument too many")
		fmt.Fprintln(os.Stderr, "fire:", err)
	}
	return &o, err
}

// report prints the table and remembers whether all of it held.
type report struct {
	begun time.Time
	bad   int
}

func newReport() *report {
	fmt.Printf("%-58s %12s %12s\n", "", "measured", "asked")
	return &report{begun: time.Now()}
}

// row prints a figure, and what is asked of it.
func (r *report) row(what string, got, asked any, holds bool) {
	verdict := ""
	if !holds {
		r.bad++
		verdict = "  DOES NOT HOLD"
	}
	fmt.Printf("%-58s %12v %12v%s\n", what, got, asked, verdict)
}

// most is a row of a figure that must not be above a limit.
func (r *report) most(what string, got, limit float64) {
	r.row(what, fmt.Sprintf("%.1f", got), fmt.Sprintf("≤ %.1f", limit), got <= limit)
}

// none is a row of a count of what must not be.
func (r *report) none(what string, n int) { r.row(what, n, 0, n == 0) }

// end prints the outcome and returns the exit code.
func (r *report) end() int {
	took := time.Since(r.begun).Round(time.Second)
	if r.bad > 0 {
		fmt.Printf("%d figures do not hold, after %v\n", r.bad, took)
		return 1
	}
	fmt.Printf("all holds, after %v\n", took)
	return 0
}
