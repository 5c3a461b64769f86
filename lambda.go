package main

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"healthrecords/handlers"
	"healthrecords/lambda"
	"healthrecords/notify"
	"healthrecords/store"
)

// serveLambda answers AWS Lambda's invocations and does not return: the
// environment ends the process. Before the first invocation it waits for
// nothing and writes no file.
func (p *program) serveLambda() error {
	if err := p.configure(); err != nil {
		return err
	}
	sender, err := p.sender()
	if err != nil {
		return err
	}
	public, err := url.Parse(p.settings.PublicURL)
	if err != nil {
		return err
	}
	f := &function{p: p, sender: sender, opening: make(chan struct{}, 1)}
	l := &lambda.Handler{HTTP: f, Tick: f.tick, After: f.after, BasePath: public.Path, Log: p.log}
	log.SetFlags(0) // aws-lambda-go's own lines are of the same form
	log.SetOutput(slog.NewLogLogger(p.log.Handler(), slog.LevelError).Writer())
	awslambda.StartWithOptions(l.Invoke, awslambda.WithEnableSIGTERM(f.end))
	return nil
}

// function is the program on AWS Lambda, which has the service once a first
// invocation has found the database.
type function struct {
	p       *program
	sender  notify.Sender
	opening chan struct{} // full while an invocation opens the store
	service atomic.Pointer[service]
}

// service is what an open store makes possible.
type service struct {
	store   *store.Store
	handler http.Handler
	upkeep  *upkeep
}

// errAway fails the invocation of a schedule; what is wrong was logged.
var errAway = errors.New("the database cannot be used now; the log says why")

// open returns the service, made by the first call that finds the database
// usable. It returns errAway when that is not so before ctx ends: the database
// may be slow to say no, and the invocation must still be answered.
func (f *function) open(ctx context.Context) (*service, error) {
	if s := f.service.Load(); s != nil {
		return s, nil
	}
	select {
	case f.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, errAway
	}
	opened := make(chan struct{})
	go func() {
		defer func() { <-f.opening; close(opened) }()
		f.start(context.WithoutCancel(ctx))
	}()
	select {
	case <-opened:
	case <-ctx.Done():
	}
	if s := f.service.Load(); s != nil {
		return s, nil
	}
	return nil, errAway
}

// start makes the service, unless it is there, or logs why it cannot.
func (f *function) start(ctx context.Context) {
	if f.service.Load() != nil {
		return
	}
	s, err := store.Open(ctx, f.p.storeOptions())
	if err != nil {
		f.p.log.ErrorContext(ctx, "the database cannot be used; the next invocation tries again", "cause", err.Error())
		return
	}
	h, err := f.p.handler(s)
	if err != nil {
		f.p.log.ErrorContext(ctx, "the service cannot be made", "cause", errors.Join(err, s.Close()).Error())
		return
	}
	f.service.Store(&service{s, h, f.p.upkeep(s, f.sender)})
}

// ServeHTTP answers 503 while the database is away.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, err := f.open(r.Context())
	if err != nil {
		handlers.Unavailable(w)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// tick does, on a schedule, what a server does all the time.
func (f *function) tick(ctx context.Context) error {
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	return s.upkeep.once(ctx)
}

// after sends, once a request was answered, the mail that was queued. What it
// has no time for the next schedule sends: the outbox has it.
func (f *function) after(ctx context.Context) {
	s := f.service.Load()
	if s == nil || ctx.Err() != nil {
		return
	}
	select {
	case <-s.store.MailQueued():
		_ = s.upkeep.mail.Drain(ctx) // which logs what it cannot do
	default:
	}
}

// endTime is how long closing may take: SIGKILL comes half a second after
// SIGTERM.
const endTime = 300 * time.Millisecond

// end closes the database's connections and ends the process.
func (f *function) end() {
	closed := make(chan struct{})
	go func() {
		if s := f.service.Load(); s != nil {
			_ = s.store.Close() // nothing that was acknowledged waits for it
		}
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(endTime):
	}
	os.Exit(exitDone)
}

// invocationLog adds to each line the id by which Lambda calls the invocation.
type invocationLog struct{ slog.Handler }

func (h invocationLog) Handle(ctx context.Context, r slog.Record) error {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("requestId", lc.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h invocationLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return invocationLog{h.Handler.WithAttrs(attrs)}
}

func (h invocationLog) WithGroup(name string) slog.Handler {
	return invocationLog{h.Handler.WithGroup(name)}
}
