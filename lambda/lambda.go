// Package lambda puts an [http.Handler] behind AWS Lambda: it turns the events
// of an API Gateway HTTP API or REST API, a function URL or an Application Load
// Balancer into requests, and answers back. A schedule's event does the periodic
// work. Any other event fails.
//
// The four kinds of request events differ in what is encoded, split, joined and
// left out; where the documentation and captured events disagree, this package
// follows the events.
package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// What is left of the function's time when work of each kind must end.
const (
	answerMargin = 500 * time.Millisecond // so that the answer of a request that ran out of time still gets out
	lateMargin   = 250 * time.Millisecond // for a request that does not even notice that it ran out of time
	workMargin   = time.Second            // so that what was done is written down
)

// afterTime is how long work after an answer may take: the client has its
// answer, but the next request to this environment waits, and each second costs.
const afterTime = 5 * time.Second

// Handler answers invocations. All its fields are needed but BasePath. It keeps
// nothing between them, and may be used concurrently.
type Handler struct {
	// HTTP answers the requests. Their context ends 500 ms before the
	// function's deadline, and RemoteAddr is the client's address as AWS saw it.
	HTTP http.Handler

	// Tick does the periodic work once, when a schedule asks for it. Its error
	// fails the invocation. Its context ends a second before the deadline.
	Tick func(context.Context) error

	// After is called after each answer was sent, before the environment is
	// frozen. Its context ends after 5 s, at the latest a second before the
	// deadline; there may be no time left at all.
	After func(context.Context)

	// BasePath is cut off the front of paths that begin with it: the path of a
	// custom domain's mapping, such as "/practice".
	BasePath string

	Log *slog.Logger
}

var errEvent = errors.New("this event is neither an HTTP request of API Gateway, a function URL or a load balancer, nor a schedule's; see what invokes this function")

// Invoke answers one event; it is what aws-lambda-go calls. The answer to a
// request is an [io.Reader] of the answer's JSON, whose Close does what comes
// after; that to a schedule is nil. An event of any other kind is an error.
func (h *Handler) Invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	e := new(event)
	if err := json.Unmarshal(payload, e); err != nil {
		return nil, errEvent // the decoder's own words may quote the event
	}
	switch k := e.kind(); k {
	case unknown:
		return nil, errEvent
	case scheduled:
		return nil, h.tick(ctx)
	default:
		return newReply(h.answer(ctx, e, k), func() { h.after(ctx) }), nil
	}
}

func (h *Handler) tick(ctx context.Context) error {
	ctx, cancel := endEarly(ctx, workMargin)
	defer cancel()
	return h.Tick(ctx)
}

// answer returns the JSON that answers a request.
func (h *Handler) answer(ctx context.Context, e *event, k kind) []byte {
	w := h.respond(ctx, e, k)
	answer := w.encode(e, k)
	if w.tooLarge || len(answer) > k.limit() {
		h.Log.ErrorContext(ctx, "an answer is too large for AWS Lambda", "limit", k.limit())
		w.fail(http.StatusInternalServerError, tooLarge)
		answer = w.encode(e, k)
	}
	return answer
}

// respond returns what the handler answers, or that there was no time for an
// answer: a handler that hangs is left alone.
func (h *Handler) respond(ctx context.Context, e *event, k kind) *recorder {
	early, cancel := endEarly(ctx, answerMargin)
	defer cancel()
	late, cancelLate := endEarly(ctx, lateMargin)
	defer cancelLate()
	w := newRecorder(e.method(k), k.limit())
	r, err := e.request(early, k, h.BasePath)
	if err != nil {
		w.fail(http.StatusBadRequest, malformed)
		return w
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		h.serve(w, r)
	}()
	select {
	case <-answered:
		return w
	case <-late.Done():
		h.Log.ErrorContext(ctx, "a request was not answered in time")
		own := newRecorder(r.Method, k.limit()) // the other is still the handler's
		own.fail(http.StatusServiceUnavailable, noTime)
		return own
	}
}

// serve runs the handler. As net/http's server does, it survives a panic, and
// says nothing of one with [http.ErrAbortHandler].
func (h *Handler) serve(w *recorder, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			h.Log.ErrorContext(r.Context(), "panic", "stack", string(debug.Stack()))
		}
		w.fail(http.StatusInternalServerError, broken)
	}()
	h.HTTP.ServeHTTP(w, r)
	if w.finish(); w.status == http.StatusSwitchingProtocols || w.cutShort() {
		w.fail(http.StatusInternalServerError, broken)
	}
}

// after does what comes after an answer. A panic here would end the process.
func (h *Handler) after(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			h.Log.ErrorContext(ctx, "panic after an answer", "stack", string(debug.Stack()))
		}
	}()
	end := time.Now().Add(afterTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-workMargin).Before(end) {
		end = deadline.Add(-workMargin)
	}
	// The invocation's own context may be at its end, as the answer is out.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	h.After(ctx)
}

// endEarly returns a context that ends d before ctx does.
func endEarly(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-d))
}
