// Package lambdatest stands between the requests of tests and a
// [lambda.Handler], as API Gateway, a function URL and a load balancer do: it
// makes their events of requests and takes their answers apart.
package lambdatest

import (
	"context"
	"io"
	"net/http"

	"healthrecords/lambda"
)

// Kind is who stands before the function.
type Kind string

// All kinds whose events differ.
const (
	HTTPAPI       Kind = "HTTP API"
	HTTPAPI1      Kind = "HTTP API, payload 1.0"
	FunctionURL   Kind = "function URL"
	RESTAPI       Kind = "REST API"
	ALB           Kind = "ALB"
	ALBMultiValue Kind = "ALB, multi-value headers"
)

// Kinds are all of them.
var Kinds = []Kind{HTTPAPI, HTTPAPI1, FunctionURL, RESTAPI, ALB, ALBMultiValue}

// Gateway is an [http.Handler] that sends what it is asked through a function.
type Gateway struct {
	Kind   Kind
	Invoke func(ctx context.Context, event []byte) (answer []byte, err error)
}

// Behind returns h behind a function of that kind, which does nothing else.
func Behind(kind Kind, h http.Handler) *Gateway {
	return New(kind, &lambda.Handler{HTTP: h, After: func(context.Context) {}})
}

// New returns a gateway of that kind before a function, which it calls as
// aws-lambda-go does: the answer is read, then closed.
func New(kind Kind, l *lambda.Handler) *Gateway {
	return &Gateway{kind, func(ctx context.Context, event []byte) ([]byte, error) {
		v, err := l.Invoke(ctx, event)
		if err != nil {
			return nil, err
		}
		reply := v.(io.ReadCloser)
		defer reply.Close()
		return io.ReadAll(reply)
	}}
}

// ServeHTTP panics when the function fails or answers what this kind does not
// take, so that no test can pass over it.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := g.Invoke(r.Context(), Event(g.Kind, r))
	if err != nil {
		panic("the function failed: " + err.Error())
	}
	if err := Answer(g.Kind, answer, w); err != nil {
		panic("the function's answer is not good: " + err.Error())
	}
}
