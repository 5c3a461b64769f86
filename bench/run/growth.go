package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"healthrecords/bench/drive"
)

// growth measures what people read in a small practice and in a large one, and
// fails when that takes longer in the large one.
func growth(ctx context.Context, args []string) error {
	o := new(options)
	flags := newFlags("growth", o)
	roundFlags(flags, o, 5, 500*time.Millisecond)
	sizes := flags.String("records", "10000,1000000", "how many records the two practices have")
	counts := flags.String("conns", "1,16", "`numbers` of connections")
	only := flags.String("only", "", "measure the lists that this `expression` matches, as in ^doctor or audit-events; all if left out")
	limit := flags.Float64("limit", 1.3, "how many times as long it may take in the large practice")
	if err := parseAll(flags, args); err != nil {
		return err
	}
	records, err := numbers("records", *sizes)
	if err == nil && len(records) != 2 {
		err = fmt.Errorf("-records: %q are not two practices", *sizes)
	}
	if err != nil {
		return err
	}
	if o.connections, err = numbers("conns", *counts); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	c := &comparison{options: o, limit: *limit}
	for i, n := range records {
		own, err := o.practice(ctx, n)
		if err != nil {
			return fmt.Errorf("the practice of %d records: %w", n, err)
		}
		service, err := launchService(own)
		if err != nil {
			return err
		}
		defer service.stop()
		if c.sides[i], err = gather(ctx, service, own); err != nil {
			return err
		}
	}
	return c.run(ctx, wanted)
}

// comparison holds a large practice against a small one.
type comparison struct {
	*options
	limit float64
	sides [2]*audience
	grown int // measurements beyond the limit
}

func (c *comparison) run(ctx context.Context, wanted *regexp.Regexp) error {
	fmt.Printf("%-60s %-6s %5s | %26s | %25s |\n", "", "", "", "p50 ms", "CPU µs/request")
	fmt.Printf("%-60s %-6s %5s | %8s %8s %8s | %8s %8s %7s |\n", "", "page", "conns", "small", "large", "ratio", "small", "large", "ratio")
	for _, r := range readings {
		if !wanted.MatchString(r.as + " " + r.path) {
			continue
		}
		if err := c.reading(ctx, r); err != nil {
			return fmt.Errorf("%s %s: %w", r.as, r.path, err)
		}
	}
	small, large := drive.Memory(c.sides[0].command.Process.Pid), drive.Memory(c.sides[1].command.Process.Pid)
	fmt.Printf("resident memory: %.0f and %.0f MiB%s\n", small, large, c.count(large > c.limit*small))
	if c.grown > 0 {
		return fmt.Errorf("%d measurements grew by more than %g", c.grown, c.limit)
	}
	return nil
}

// reading measures one list at each place where both practices have a page.
func (c *comparison) reading(ctx context.Context, r reading) error {
	var found [2][]places // of each reader
	for i, a := range c.sides {
		for _, u := range a.readers[r.as] {
			var p places
			var err error
			if r.step > 0 {
				p, err = a.walk(ctx, r, u)
			}
			if err != nil {
				return err
			}
			found[i] = append(found[i], p)
		}
	}
	for place, name := range placeNames {
		if place > 0 && (found[0][0][place] == "" || found[1][0][place] == "") {
			break
		}
		for _, n := range c.connections {
			small, large, err := c.hold(ctx, r, found, place, n)
			if err == nil && c.grows(small, large) { // or the machine did something else
				small, large, err = c.hold(ctx, r, found, place, n)
			}
			if err != nil {
				return err
			}
			c.print(r, name, n, small, large)
		}
	}
	return nil
}

// hold measures a page in both practices, and returns the medians.
func (c *comparison) hold(ctx context.Context, r reading, found [2][]places, place, connections int) (small, large result, err error) {
	var rounds [2][]result
	for range c.rounds {
		for i, a := range c.sides {
			one, err := a.visit(ctx, r, found[i], place, connections, c.span)
			if err != nil {
				return small, large, err
			}
			rounds[i] = append(rounds[i], one)
		}
	}
	return medians(rounds[0]), medians(rounds[1]), nil
}

// visit is one round of a page on some connections.
func (a *audience) visit(ctx context.Context, r reading, found []places, place, connections int, span time.Duration) (result, error) {
	scripts := make([]drive.Script, connections)
	for i := range scripts {
		n := i % len(found)
		var err error
		if scripts[i], err = a.readingScript(ctx, r, a.readers[r.as][n], found[n][place]); err != nil {
			return result{}, err
		}
	}
	return a.measure(ctx, operation{status: 200}, scripts, span)
}

func (c *comparison) grows(small, large result) bool {
	return large.P50 > c.limit*small.P50 || large.CPU > c.limit*small.CPU
}

func (c *comparison) print(r reading, place string, connections int, small, large result) {
	fmt.Printf("%-60s %-6s %5d | %8.2f %8.2f %8.2f | %8.0f %8.0f %7.2f |%s\n", r.as+" "+r.path, place, connections,
		small.P50, large.P50, large.P50/small.P50, small.CPU, large.CPU, large.CPU/small.CPU, c.count(c.grows(small, large)))
}

// count counts what grew, and says so.
func (c *comparison) count(grew bool) string {
	if !grew {
		return ""
	}
	c.grown++
	return " grows"
}
