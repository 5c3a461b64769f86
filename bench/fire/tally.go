package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"healthrecords/bench/drive"
)

// tally counts what became of all that was written.
type tally struct {
	mu           sync.Mutex
	acknowledged int
	unavailable  int            // 503
	unanswered   int            // no answer, or half of one
	others       map[string]int // what must not be answered, by deed and status
	lost         int            // what a look found wrong
}

func (t *tally) count(name string, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case acknowledged(status):
		t.acknowledged++
	case status == 503:
		t.unavailable++
	case status == 0:
		t.unanswered++
	default:
		if t.others == nil {
			t.others = make(map[string]int)
		}
		t.others[fmt.Sprintf("%s: %d", name, status)]++
	}
}

// work has all writers write until done says so or a request is not answered.
func (t *tally) work(ctx context.Context, writers []*writer, done func() bool) {
	var group sync.WaitGroup
	for _, w := range writers {
		group.Go(func() {
			for status := 1; status != 0 && !done(); {
				var name string
				name, status = w.any(ctx)
				t.count(name, status)
			}
		})
	}
	group.Wait()
}

// mostShown is how many wrong things are told one by one.
const mostShown = 20

// look has all writers look at what they wrote.
func (t *tally) look(ctx context.Context, writers []*writer, look func(*writer, context.Context) error) {
	_ = drive.Together(4, len(writers), func(i int) error { // what is wrong is counted, and the others look on
		if err := look(writers[i], ctx); err != nil {
			t.wrong(err)
		}
		return nil
	})
}

func (t *tally) wrong(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost++; t.lost <= mostShown {
		first, _, _ := strings.Cut(err.Error(), "\n") // of all that one look found
		fmt.Fprintln(os.Stderr, "fire:", first)
	}
}

// report prints what the tally says of writes; with answer, each must have one.
func (t *tally) report(r *report, answer bool) {
	r.row("writes acknowledged", t.acknowledged, "> 0", t.acknowledged > 0)
	r.row("answered 503", t.unavailable, "", true)
	r.row("not answered", t.unanswered, map[bool]any{true: 0, false: ""}[answer], !answer || t.unanswered == 0)
	others := 0
	for what, n := range t.others {
		fmt.Fprintf(os.Stderr, "fire: %s, %d times\n", what, n)
		others += n
	}
	r.none("answered anything else", others)
	r.none("looks that found a write lost, or half of one", t.lost)
}

// reportMail waits for the mail that must come, and prints what came.
func (p *practice) reportMail(r *report, writers []*writer, often int) {
	assignments := len(writers)
	for _, w := range writers {
		for _, t := range w.things {
			if t.kind == patients && t.id != "" {
				assignments++
			}
		}
	}
	for end := time.Now().Add(mailWait); time.Now().Before(end) && (p.mail.outstanding() > 0 || p.mail.assignments() < assignments); {
		time.Sleep(20 * time.Millisecond)
	}
	doubled, most := p.mail.judge()
	r.none("mails acknowledged that did not come", p.mail.outstanding())
	r.none("mails under more than one Message-ID", doubled)
	r.row("times that one mail came, at most", most, often, most <= often)
	r.row("mails that tell a doctor of a patient", p.mail.assignments(), assignments, p.mail.assignments() == assignments)
}

// mailWait is longer than the two minutes after which a mail is tried again
// whose sender was killed.
const mailWait = 150 * time.Second

// renew keeps everybody signed in.
func (p *practice) renew(ctx context.Context, writers []*writer) error {
	for _, u := range append([]*user{p.staff}, p.doctors...) {
		if err := u.renew(ctx); err != nil {
			return err
		}
	}
	return drive.Together(4, len(writers), func(i int) error { return writers[i].renew(ctx) })
}
