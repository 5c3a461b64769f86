package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"healthrecords/bench/drive"
)

// starts measures how soon the service answers on a practice that is there, and
// what it has in memory when nobody asks anything.
func starts(ctx context.Context, args []string) error {
	o := new(options)
	flags := newFlags("start", o)
	records := flags.Int("records", 100_000, "how many records the practice has")
	times := flags.Int("starts", 20, "how often it is started")
	idle := flags.Duration("idle", 5*time.Second, "how long it is left alone before its memory is read")
	limit := flags.Duration("limit", 100*time.Millisecond, "how soon a record must be read, half of the times")
	memory := flags.Float64("memory", 40, "how many `MiB` it may have")
	if err := parseAll(flags, args); err != nil {
		return err
	}
	remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	own, err := o.practice(ctx, *records)
	if err != nil {
		return err
	}
	u, err := own.reader(ctx)
	if err != nil {
		return err
	}
	var alive, read, resident []float64
	for range *times {
		s, err := own.startOnce(ctx, u, *idle)
		if err != nil {
			return err
		}
		alive, read, resident = append(alive, milliseconds(s.alive)), append(read, milliseconds(s.read)), append(resident, s.memory)
	}
	fmt.Printf("%-30s %8s %8s\n", fmt.Sprintf("%d records, %d starts", *records, *times), "median", "max")
	fmt.Printf("%-30s %8.1f %8.1f\n", "GET /healthz is answered, ms", middle(alive), slices.Max(alive))
	fmt.Printf("%-30s %8.1f %8.1f\n", "a record is read, ms", middle(read), slices.Max(read))
	fmt.Printf("%-30s %8.1f %8.1f\n", "resident when idle, MiB", middle(resident), slices.Max(resident))
	if middle(read) > milliseconds(*limit) || middle(resident) > *memory {
		return fmt.Errorf("more than %v or %g MiB", *limit, *memory)
	}
	return nil
}

// reader returns a patient with an access token that outlives the service's
// process.
func (o *options) reader(ctx context.Context) (*user, error) {
	t, err := launchService(o)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	if err := t.meet(ctx, o); err != nil {
		return nil, err
	}
	return t.users[0], nil
}

// started is what one start took.
type started struct {
	alive, read time.Duration // until the first answers
	memory      float64
}

func (o *options) startOnce(ctx context.Context, u *user, idle time.Duration) (s started, err error) {
	begun := time.Now()
	t, err := execService(o)
	if err != nil {
		return s, err
	}
	defer t.stop()
	if err := t.await("/healthz"); err != nil {
		return s, err
	}
	s.alive = time.Since(begun)
	var record struct{ ID string }
	err = t.call(ctx, "GET", "/api/health-records/"+u.records[0]+"/", u.access, "", &record)
	s.read = time.Since(begun)
	time.Sleep(idle)
	s.memory = drive.Memory(t.command.Process.Pid)
	return s, errors.Join(err, t.signIn(ctx, u)) // so that the next start finds a token that is good
}
