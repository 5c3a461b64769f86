// Run measures the service against bench/bare, which does the same work with
// nothing else, over the same rows on the same machine: both are driven in
// turn, round by round, and what is compared is the medians. It prints a table
// and, with -json, everything it measured; -plot draws that.
//
// It needs Go and a C compiler, and Linux, whose /proc tells what a process
// uses.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
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
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	o, err := parse()
	if err == nil && o.plot != "" {
		err = plotFile(os.Stdout, o.plot)
	} else if err == nil {
		err = run(ctx, o)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func parse() (*options, error) {
	o := new(options)
	var names, counts string
	flag.IntVar(&o.records, "records", 10_000, "how many records both have")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement")
	flag.DurationVar(&o.span, "span", 2*time.Second, "how long one round lasts")
	flag.StringVar(&names, "ops", strings.Join(operationNames(), ","), "`operations`, commas between")
	flag.StringVar(&counts, "conns", "1,16,64,256", "`numbers` of connections")
	flag.StringVar(&o.dir, "dir", "", "`folder` for the data, used again when it has them; else a temporary one")
	flag.StringVar(&o.json, "json", "", "`file` for all figures")
	flag.StringVar(&o.plot, "plot", "", "draw the figures in this `file` as SVG on standard output, and measure nothing")
	flag.StringVar(&o.database, "db", "sqlite", "the service's database: sqlite, or the postgres:// `URL` of an empty one")
	flag.Parse()
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(operationNames(), name) {
			return nil, fmt.Errorf("there is no operation %q", name)
		}
		o.operations = append(o.operations, name)
	}
	for count := range strings.SplitSeq(counts, ",") {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-conns: %q is no number of connections", count)
		}
		o.connections = append(o.connections, n)
	}
	return o, nil
}

func run(ctx context.Context, o *options) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	service, yardstick, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer service.stop()
	defer yardstick.stop()
	report := newReport(o)
	for _, name := range o.operations {
		for _, n := range o.connections {
			m := measurement{Operation: name, Connections: n}
			for range o.rounds {
				for _, t := range []*target{service, yardstick} {
					r, err := t.round(ctx, name, n, o.span)
					if err != nil {
						return fmt.Errorf("%s, %d connections, %s: %w", name, n, t.name, err)
					}
					*m.of(t.name) = append(*m.of(t.name), r)
				}
			}
			report.add(m)
		}
	}
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o644)
}
