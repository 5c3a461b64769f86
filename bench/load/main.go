// Load fills a practice through the HTTP API alone and reads it back.
//
// It takes a folder of doctors, patients, records and notes, has staff make
// the accounts, signs everyone in, posts every record and note as its author,
// and then reads everything as each of the users and compares it byte for byte
// with what went in. What a user must not see is asked for too.
//
// It prints how much each phase did and how long it took. Messages name files,
// lines, routes and members and never quote a name, a text, a password or a
// token. Exit status: 0 all there and as it was, 1 not, 2 wrong use.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options are what the command line and the environment say.
type options struct {
	dir, server, staff, passwords string
	workers, retries              int
	verify                        bool
	staffPassword, seed           string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	c, err := newClient(o.server, o.workers, o.retries)
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	t := &tally{out: stderr}
	b := &book{client: c}
	err = fill(ctx, o, c, b, t)
	b.print(stdout)
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 1
	}
	if o.verify {
		fmt.Fprintf(stdout, "\n%d objects and %d refusals compared, %d mismatches\n", t.objects, t.refusals, t.mismatches)
	}
	if t.mismatches > 0 {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.dir, "dir", "", "`folder` with doctors.jsonl, patients.jsonl, records.jsonl and notes.jsonl")
	f.StringVar(&o.server, "server", "http://127.0.0.1:8000", "scheme and host of the `server`")
	f.StringVar(&o.staff, "staff", "", "`user name` of the staff account that creates the others")
	passwordFile := f.String("password-file", "", "`file` with its password, if STAFF_PASSWORD is not set")
	f.StringVar(&o.passwords, "passwords", "", "new `file` for the passwords of doctors and patients, as JSON Lines")
	f.BoolVar(&o.verify, "verify", true, "read everything back")
	f.IntVar(&o.workers, "workers", 16, "requests at a time")
	f.IntVar(&o.retries, "retries", 10, "of one request, after 429 and 503")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, errors.New("an argument too many")
	case o.dir == "" || o.staff == "":
		return nil, errors.New("-dir and -staff are needed")
	case o.workers < 1 || o.retries < 0:
		return nil, errors.New("-workers is at least 1, -retries at least 0")
	}
	return o, o.secrets(*passwordFile)
}

// secrets takes the staff's password and the seed from the environment, where
// an empty variable is unset, or the password from a file.
func (o *options) secrets(passwordFile string) error {
	o.staffPassword, o.seed = os.Getenv("STAFF_PASSWORD"), os.Getenv("LOAD_SEED")
	if (o.staffPassword == "") == (passwordFile == "") {
		return errors.New("either STAFF_PASSWORD or -password-file is needed")
	}
	if passwordFile != "" {
		data, err := os.ReadFile(passwordFile)
		if err != nil {
			return err
		}
		o.staffPassword = strings.TrimSuffix(string(data), "\n")
	}
	if o.seed == "" {
		if o.passwords == "" {
			return errors.New("LOAD_SEED or -passwords is needed, or nobody could sign in afterwards")
		}
		o.seed = rand.Text()
	}
	return nil
}

// fill runs the phases. Its error ends the run.
func fill(ctx context.Context, o *options, c *client, b *book, t *tally) error {
	p, err := readPractice(o.dir)
	if err != nil {
		return err
	}
	staff, err := c.signIn(ctx, o.staff, o.staffPassword)
	if err != nil {
		return fmt.Errorf("staff: %w", err)
	}
	before, err := accountsOf(ctx, c, staff)
	if err != nil {
		return err
	}
	if err := givePasswords(p, o.seed, o.passwords); err != nil {
		return err
	}
	l := &loader{c, p, staff, o.workers}
	v := &verifier{client: c, practice: p, staff: staff, before: before, tally: t}
	phases := []phase{
		{"doctors", func(ctx context.Context) (int, error) { return len(p.doctors), l.doctors(ctx) }},
		{"patients", func(ctx context.Context) (int, error) { return len(p.patients), l.patients(ctx) }},
		{"sign-ins", func(ctx context.Context) (int, error) { return len(p.accounts()), l.signIns(ctx) }},
		{"records", func(ctx context.Context) (int, error) { return len(p.records), l.records(ctx) }},
		{"notes", func(ctx context.Context) (int, error) { return len(p.notes), l.notes(ctx) }},
	}
	if o.verify {
		phases = append(phases, phase{"read-back", func(ctx context.Context) (int, error) {
			err := v.verify(ctx, o.workers)
			return t.objects, err
		}})
	}
	for _, ph := range phases {
		if err := b.run(ctx, ph); err != nil {
			return err
		}
	}
	return nil
}

// accountsOf lists the ids of the accounts that are there already.
func accountsOf(ctx context.Context, c *client, staff *session) (map[string]bool, error) {
	r := &reader{client: c, tally: &tally{out: io.Discard}, session: staff, as: "staff"}
	found := make(map[string]bool)
	for _, path := range []string{patientsPath, doctorsPath} {
		list, err := r.walk(ctx, path, sized("100"))
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			id, _ := v["id"].(string)
			found[id] = true
		}
	}
	return found, nil
}

// phase is a part of the run; do returns how many objects it handled.
type phase struct {
	name string
	do   func(context.Context) (int, error)
}

// book keeps what each finished phase did.
type book struct {
	client *client
	rows   []row
}

type row struct {
	phase             string
	objects           int
	requests, retries int64
	took              time.Duration
}

func (b *book) run(ctx context.Context, ph phase) error {
	requests, retries, start := b.client.requests.Load(), b.client.retried.Load(), time.Now()
	objects, err := ph.do(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", ph.name, err)
	}
	b.rows = append(b.rows, row{
		phase:    ph.name,
		objects:  objects,
		requests: b.client.requests.Load() - requests,
		retries:  b.client.retried.Load() - retries,
		took:     time.Since(start),
	})
	return nil
}

func (b *book) print(w io.Writer) {
	fmt.Fprintf(w, "%-10s %8s %9s %8s %9s %11s\n", "phase", "objects", "requests", "retries", "seconds", "requests/s")
	for _, r := range b.rows {
		seconds := r.took.Seconds()
		fmt.Fprintf(w, "%-10s %8d %9d %8d %9.2f %11.0f\n",
			r.phase, r.objects, r.requests, r.retries, seconds, float64(r.requests)/seconds)
	}
}
