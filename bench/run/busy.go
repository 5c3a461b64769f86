package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"healthrecords/bench/drive"
)

// busy measures how many people can sign in, held against what argon2id alone
// takes, and what those who read meanwhile notice of it.
func busy(ctx context.Context, args []string) error {
	o := new(options)
	flags := newFlags("busy", o)
	roundFlags(flags, o, 5, 3*time.Second)
	records := flags.Int("records", 10_000, "how many records the practice has")
	c := &crowd{}
	flags.IntVar(&c.readers, "conns", 16, "`number` of connections that read")
	flags.IntVar(&c.signers, "sign-ins", 4*runtime.GOMAXPROCS(0), "`number` of connections that sign in, 16 at most")
	least := flags.Float64("least", 0.9, "what part of argon2id's own rate signing in must reach")
	most := flags.Float64("most", 2, "how many times as long 99 of 100 reads may take while people sign in")
	if err := parseAll(flags, args); err != nil {
		return err
	}
	remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	if c.options, err = o.practice(ctx, *records); err != nil {
		return err
	}
	if c.target, err = launchService(c.options); err != nil {
		return err
	}
	defer c.stop()
	if err := c.meet(ctx, c.options); err != nil {
		return err
	}
	for range o.rounds {
		if err := c.turn(ctx); err != nil {
			return err
		}
	}
	part, times := c.print()
	if part < *least || times > *most {
		return fmt.Errorf("less than %g of argon2id alone, or more than %g times as long", *least, *most)
	}
	return nil
}

// crowd is a service, those who read from it and those who sign in, and what
// was measured.
type crowd struct {
	*options
	*target
	readers, signers int // connections

	hashes                  []float64 // a second
	signing, alone, reading []result
}

// turn is one round of each: hashes, sign-ins, reads, and the last two together.
func (c *crowd) turn(ctx context.Context) error {
	c.hashes = append(c.hashes, hash(c.span))
	signing, err := c.signIns(ctx)
	if err != nil {
		return fmt.Errorf("sign-in: %w", err)
	}
	alone, err := c.round(ctx, "get", c.readers, c.span)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := c.signIns(ctx)
		failed <- err
	}()
	reading, err := c.round(ctx, "get", c.readers, c.span)
	if err := errors.Join(err, <-failed); err != nil {
		return fmt.Errorf("get beside sign-in: %w", err)
	}
	c.signing, c.alone, c.reading = append(c.signing, signing), append(c.alone, alone), append(c.reading, reading)
	return nil
}

// signIns is a round of sign-ins by others than those who read: who has many
// sessions loses the oldest.
func (c *crowd) signIns(ctx context.Context) (result, error) {
	var scripts []drive.Script
	for i := range min(c.signers, len(c.users)) {
		u := &user{name: patientName(i*c.records/perPatient/len(c.users) + 1)}
		request := c.request("POST", "/api/token/", "", credentials(u))
		scripts = append(scripts, func([]byte) []byte { return request })
	}
	return c.measure(ctx, operations["sign-in"], scripts, c.span)
}

// print returns what part of argon2id's rate signing in reaches, and how many
// times as long reads take meanwhile.
func (c *crowd) print() (part, times float64) {
	hashes, signing, alone, reading := middle(c.hashes), medians(c.signing), medians(c.alone), medians(c.reading)
	part, times = signing.Rate/hashes, reading.P99/alone.P99
	fmt.Printf("%-36s %8s %8s %8s\n", "", "alone", "sign-ins", "ratio")
	fmt.Printf("%-36s %8.1f %8.1f %8.2f\n", "argon2id and sign-ins, a second", hashes, signing.Rate, part)
	fmt.Printf("%-36s %8.2f %8.2f %8.2f\n", fmt.Sprintf("p99 of reads on %d connections, ms", c.readers), alone.P99, reading.P99, times)
	fmt.Printf("%-36s %8.0f %8.0f %8.2f\n", "reads, a second", alone.Rate, reading.Rate, reading.Rate/alone.Rate)
	return part, times
}

// hash returns how many passwords all cores hash in a second, with what the
// service asks for (auth.Hasher).
func hash(span time.Duration) float64 {
	var n atomic.Int64
	var group sync.WaitGroup
	begun := time.Now()
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for time.Since(begun) < span {
				argon2.IDKey([]byte(password), make([]byte, 16), 2, 19456, 1, 32)
				n.Add(1)
			}
		})
	}
	group.Wait()
	return float64(n.Load()) / time.Since(begun).Seconds()
}
