// Run measures the service. By itself it holds it against bench/bare, which
// does the same work with nothing else, over the same rows on the same machine;
// its subcommands ask what the size of the practice costs (growth), how soon the
// service answers (start), and what signing in costs it and others (busy).
//
// What is compared is driven in turn, round by round, and its medians are held
// against each other, so that what the machine does meanwhile hits both.
//
// It needs Go and a C compiler, and Linux, whose /proc tells what a process
// uses.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	records, rounds int
	span            time.Duration
	operations      []string
	connections     []int
	dir, json, plot string
	database        string
	lively          bool // with notes, and a doctor who treats many patients
}

var subcommands = map[string]func(context.Context, []string) error{
	"growth": growth, "start": starts, "busy": busy,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	run, args := compare, os.Args[1:]
	if len(args) > 0 && subcommands[args[0]] != nil {
		run, args = subcommands[args[0]], args[1:]
	}
	err := run(ctx, args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func newFlags(name string, o *options) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.StringVar(&o.dir, "dir", "", "`folder` for the data, used again when it has them; else a temporary one")
	return flags
}

func roundFlags(flags *flag.FlagSet, o *options, rounds int, span time.Duration) {
	flags.IntVar(&o.rounds, "rounds", rounds, "rounds of each measurement")
	flags.DurationVar(&o.span, "span", span, "how long one round lasts")
}

func parseAll(flags *flag.FlagSet, args []string) error {
	_ = flags.Parse(args) // it ends the program itself
	if flags.NArg() > 0 {
		return fmt.Errorf("there is no %q", flags.Arg(0))
	}
	return nil
}

// numbers reads a list of numbers above nothing.
func numbers(name, list string) ([]int, error) {
	var read []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-%s: %q is no number above 0", name, text)
		}
		read = append(read, n)
	}
	return read, nil
}

// folder makes a temporary folder where none was given, and returns what
// removes it.
func (o *options) folder() (remove func(), err error) {
	if o.dir != "" {
		return func() {}, nil
	}
	o.dir, err = os.MkdirTemp("", "bench")
	return func() { os.RemoveAll(o.dir) }, err
}

// practice makes a lively practice of that many records in a folder of its own,
// unless it is there, and the program that serves it.
func (o *options) practice(ctx context.Context, records int) (*options, error) {
	own := *o
	own.dir, own.records, own.database, own.lively = filepath.Join(o.dir, strconv.Itoa(records)), records, "sqlite", true
	if err := build(ctx, &own, "healthrecords", ""); err != nil {
		return nil, err
	}
	return &own, fill(ctx, &own)
}
