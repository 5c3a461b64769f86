package lambda_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"healthrecords/lambda/lambdatest"
)

func TestAfterIsBoundedInTime(t *testing.T) {
	for _, c := range []struct{ left, want time.Duration }{
		{29 * time.Second, 5 * time.Second},
		{6 * time.Second, 5 * time.Second},
		{3 * time.Second, 2 * time.Second},
		{500 * time.Millisecond, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFunction(t, nil)
			var took time.Duration
			f.After = func(ctx context.Context) {
				began := time.Now()
				<-ctx.Done()
				took = time.Since(began)
			}
			ctx, cancel := context.WithTimeout(context.Background(), c.left)
			defer cancel()
			v, err := f.Invoke(ctx, []byte(get(lambdatest.HTTPAPI)))
			if err != nil {
				t.Fatalf("Invoke error = %v, want nil", err)
			}
			v.(io.Closer).Close()
			if took != c.want {
				t.Errorf("with %v left, After had %v, want %v", c.left, took, c.want)
			}
		})
	}
}

func TestAfterIsNotTheRequest(t *testing.T) {
	f := newFunction(t, nil)
	var after error
	f.After = func(ctx context.Context) { after = ctx.Err() }
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	v, err := f.Invoke(ctx, []byte(get(lambdatest.HTTPAPI)))
	if err != nil {
		t.Fatalf("Invoke error = %v, want nil", err)
	}
	cancel() // the answer is out
	v.(io.Closer).Close()
	if after != nil {
		t.Errorf("After's context: %v, want it alive", after)
	}
}

func TestAPanicAfterAnAnswerDoesNotEndTheProcess(t *testing.T) {
	f := newFunction(t, nil)
	f.After = func(context.Context) { panic("with health data") }
	f.answers(get(lambdatest.HTTPAPI))
	if log := f.log.String(); !strings.Contains(log, "after_test.go") || strings.Contains(log, "with health data") {
		t.Errorf("log = %s, want the stack alone", log)
	}
}
