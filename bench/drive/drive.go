// Package drive makes requests at little cost and reads what a process uses: what
// the programs that measure share.
package drive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Script makes the requests of one connection, each out of the answer before
// (nil for the first). It may wait before it returns one, which does not count.
type Script func(answer []byte) (request []byte)

// Run sends requests on as many connections as there are scripts, one at a time
// on each, until the time is over, and returns how long each took, the quickest
// first. It costs little: requests are bytes made beforehand or nearly so,
// answers are read no further than to find their end. It fails when a status is
// not answered with, when a connection breaks, and when nothing is answered.
func Run(ctx context.Context, address string, answered func(string) bool, scripts []Script, span time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var all []time.Duration
	var failed error
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, next := range scripts {
		group.Go(func() {
			took, err := talk(ctx, address, answered, next)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	slices.Sort(all)
	if failed == nil && len(all) == 0 {
		failed = errors.New("nothing was answered")
	}
	return all, failed
}

func talk(ctx context.Context, address string, answered func(string) bool, next Script) (took []time.Duration, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	var answer []byte
	for ctx.Err() == nil {
		request := next(answer)
		begun := time.Now()
		if _, err := c.Write(request); err != nil {
			return nil, err
		}
		if answer, err = readAnswer(in, answered); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// readAnswer returns the body of an answer whose status is a good one.
func readAnswer(in *bufio.Reader, answered func(string) bool) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 12 || !answered(string(line[9:12])) {
		return nil, fmt.Errorf("answered %.12q", line)
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	body := make([]byte, length)
	_, err = io.ReadFull(in, body)
	return body, err
}

// Together runs work for 0 to n-1, some at a time, and returns the first error,
// after which no more is begun.
func Together(some, n int, work func(int) error) error {
	var next atomic.Int64
	var failed error
	var once sync.Once
	var group sync.WaitGroup
	for range min(some, n) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := work(int(i)); err != nil {
					once.Do(func() { failed = err })
					next.Store(int64(n))
				}
			}
		})
	}
	group.Wait()
	return failed
}
