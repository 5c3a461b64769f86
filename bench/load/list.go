package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// tally counts what was compared and prints what does not hold. Its lines say
// who read, which route, which line of the folder and which member, and quote
// no value.
type tally struct {
	mu         sync.Mutex
	out        io.Writer
	objects    int // shown as wanted or not
	refusals   int // that were asked for
	mismatches int
}

// mostLines ends the printing, not the counting.
const mostLines = 50

func (t *tally) mismatch(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mismatches++
	if t.mismatches <= mostLines {
		fmt.Fprintf(t.out, format+"\n", args...)
	}
}

func (t *tally) count(objects, refusals int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects += objects
	t.refusals += refusals
}

// reader is a user who reads back.
type reader struct {
	client  *client
	tally   *tally
	session *session
	as      string          // for messages
	before  map[string]bool // ids of accounts of others, which lists may show too
}

func (r *reader) mismatch(path, format string, args ...any) {
	r.tally.mismatch("as %s: GET %s: %s", r.as, route(path), fmt.Sprintf(format, args...))
}

func (r *reader) get(ctx context.Context, path string) (*answer, error) {
	return r.client.want(ctx, http.StatusOK, r.session, http.MethodGet, path, nil)
}

// list reads a whole list and holds it against what it must show, in that
// order if ordered. An error means that it could not be read; what it shows
// wrongly is a mismatch.
func (r *reader) list(ctx context.Context, path string, query url.Values, want []expected, ordered bool) error {
	got, err := r.walk(ctx, path, query)
	if err == nil {
		r.compare(path, got, want, ordered)
	}
	return err
}

// walk reads a whole list by following next.
func (r *reader) walk(ctx context.Context, path string, query url.Values) ([]object, error) {
	size := 25
	if n, err := strconv.Atoi(query.Get("page_size")); err == nil {
		size = n
	}
	var all []object
	seen := make(map[string]bool)
	at := path
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	for at != "" {
		results, next, err := r.page(ctx, at, len(all) == 0)
		if err != nil {
			return nil, err
		}
		if len(results) > size || next != "" && len(results) < size || len(all) > 0 && len(results) == 0 {
			r.mismatch(path, "a page of %d where page_size is %d", len(results), size)
		}
		for _, v := range results {
			id, _ := v["id"].(string)
			if seen[id] {
				// Perhaps without end, so no further.
				r.mismatch(path, "an object comes twice")
				return all, nil
			}
			seen[id] = true
			all = append(all, v)
		}
		if len(results) == 0 {
			break
		}
		at = next
	}
	return all, nil
}

// page reads one page of a list and returns the path and query of the next, ""
// after the last.
func (r *reader) page(ctx context.Context, at string, first bool) (results []object, next string, err error) {
	a, err := r.get(ctx, at)
	if err != nil {
		return nil, "", err
	}
	v, err := a.object()
	if err != nil {
		return nil, "", fmt.Errorf("GET %s: %w", route(at), err)
	}
	list, ok := v["results"].([]any)
	_, hasNext := v["next"]
	previous, hasPrevious := v["previous"]
	if !ok || !hasNext || !hasPrevious || len(v) != 3 {
		r.mismatch(at, "not the members of a page")
	}
	if (previous == nil) != first {
		r.mismatch(at, "previous is null, or not, on the wrong page")
	}
	for _, item := range list {
		o, _ := item.(object) // what is none matches nothing later
		results = append(results, o)
	}
	return results, r.nextOf(at, v["next"]), nil
}

// nextOf takes path and query out of a next link, whose host is the server's
// public one and need not be the one that is asked here.
func (r *reader) nextOf(at string, link any) string {
	if link == nil {
		return ""
	}
	text, _ := link.(string)
	u, err := url.Parse(text)
	path, _, _ := strings.Cut(at, "?")
	if err != nil || !u.IsAbs() || u.Host == "" || u.Path != path {
		r.mismatch(at, "next is not a whole URL of this list")
		return ""
	}
	return u.RequestURI()
}

// compare holds what a list shows against what it must show.
func (r *reader) compare(path string, got []object, want []expected, ordered bool) {
	missing := make(map[string]expected, len(want))
	var wantOrder, gotOrder []string
	for _, e := range want {
		missing[e.id] = e
		wantOrder = append(wantOrder, e.id)
	}
	for _, v := range got {
		id, _ := v["id"].(string)
		e, ok := missing[id]
		if !ok {
			if !r.before[id] {
				r.mismatch(path, "an object that does not belong there")
			}
			continue
		}
		delete(missing, id)
		gotOrder = append(gotOrder, id)
		r.same(path, v, e)
	}
	for _, e := range missing {
		r.mismatch(path, "%s: missing", e.place)
	}
	if ordered && len(missing) == 0 && !slices.Equal(gotOrder, wantOrder) {
		r.mismatch(path, "not in order")
	}
}

func (r *reader) same(path string, got object, want expected) {
	r.tally.count(1, 0)
	if names := differences("", got, want.object()); len(names) > 0 {
		r.mismatch(path, "%s: differs in %s", want.place, strings.Join(names, ", "))
	}
}

// one reads a single object, which must have a strong ETag.
func (r *reader) one(ctx context.Context, path string, want expected) error {
	a, err := r.get(ctx, path)
	if err != nil {
		return err
	}
	v, err := a.object()
	if err != nil {
		return fmt.Errorf("GET %s: %w", route(path), err)
	}
	r.same(path, v, want)
	if !strings.HasPrefix(a.header.Get("ETag"), `"`) {
		r.mismatch(path, "%s: no strong ETag", want.place)
	}
	return nil
}
