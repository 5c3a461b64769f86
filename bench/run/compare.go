package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// compare holds the service against the yardstick. It prints a table and, with
// -json, everything it measured; -plot draws that.
func compare(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.plot != "" {
		return plotFile(os.Stdout, o.plot)
	}
	remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	return compareAll(ctx, o)
}

func parse(args []string) (*options, error) {
	o := new(options)
	var names, counts string
	flags := newFlags("run", o)
	roundFlags(flags, o, 5, 2*time.Second)
	flags.IntVar(&o.records, "records", 10_000, "how many records both have")
	flags.StringVar(&names, "ops", strings.Join(operationNames(), ","), "`operations`, commas between")
	flags.StringVar(&counts, "conns", "1,16,64,256", "`numbers` of connections")
	flags.StringVar(&o.json, "json", "", "`file` for all figures")
	flags.StringVar(&o.plot, "plot", "", "draw the figures in this `file` as SVG on standard output, and measure nothing")
	flags.StringVar(&o.database, "db", "sqlite", "the service's database: sqlite, or the postgres:// `URL` of an empty one")
	if err := parseAll(flags, args); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(operationNames(), name) {
			return nil, fmt.Errorf("there is no operation %q", name)
		}
		o.operations = append(o.operations, name)
	}
	var err error
	o.connections, err = numbers("conns", counts)
	return o, err
}

// mostSignIns is how many sign-ins are tried at once: of more the service, on one
// core, tells some to come back.
const mostSignIns = 64

func compareAll(ctx context.Context, o *options) error {
	service, yardstick, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer service.stop()
	defer yardstick.stop()
	report := newReport(o)
	for _, name := range o.operations {
		for _, n := range o.connections {
			if name == "sign-in" && n > mostSignIns {
				continue
			}
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
