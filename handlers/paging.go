package handlers

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"healthrecords/store"
)

const (
	defaultPageSize = 25
	maxSearch       = 200 // code points
	maxWords        = 10  // of a search
)

// query is the query of a list: parameters that are known and given once.
type query struct {
	values   url.Values
	problems store.Problems
}

// parameter is one that a list takes in its query.
type parameter struct {
	name  string
	about string
	holds schema
}

// Parameters of more than one list. Every list takes those of paging.
var (
	paging = []parameter{
		{"page_size", "How many results a page has.", schema{"type": "integer", "minimum": 1, "maximum": store.MaxPageSize, "default": defaultPageSize}},
		{"cursor", "Where a page begins: taken from next or previous.", schema{"type": "string"}},
	}
	nameSearch = []parameter{searchIn("the name or user name")}
	anyID      = schema{"type": "string", "example": sampleID}
)

func searchIn(what string) parameter {
	about := fmt.Sprintf("Words that each begin a word of %s, in any case; at most %d.", what, maxWords)
	return parameter{"search", about, schema{"type": "string", "maxLength": maxSearch}}
}

// parameters are those of the query that the route takes.
func (o operation) parameters() []parameter {
	if !o.list || o.whole {
		return o.query
	}
	return slices.Concat(o.query, paging)
}

// query reads the query of a list.
func (r *request) query() *query {
	q := &query{}
	var known []string
	for _, p := range r.found.parameters() {
		known = append(known, p.name)
	}
	q.problems.Declare(known...)
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.problems.Add(noField, "The query is malformed.")
	}
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		given := q.values[name]
		switch {
		case !slices.Contains(known, name):
			if !plainName.MatchString(name) || strings.Contains(name, ".") {
				name = noField
			}
			q.problems.Add(name, "Unknown parameter.")
		case len(given) > 1:
			q.problems.Add(name, "This parameter may be given only once.")
		}
	}
	return q
}

// page reads what every list takes.
func (a *api) page(r *request, q *query) store.Paging {
	p := store.Paging{Size: defaultPageSize, Search: strings.TrimSpace(q.values.Get("search"))}
	if size, given := q.values["page_size"]; given {
		n, err := strconv.Atoi(size[0])
		if err != nil || n < 1 || n > store.MaxPageSize || strconv.Itoa(n) != size[0] {
			q.problems.Add("page_size", fmt.Sprintf("Ensure this value is a number from 1 to %d.", store.MaxPageSize))
		}
		p.Size = n
	}
	if tooMuch(p.Search) {
		q.problems.Add("search", fmt.Sprintf("Search for at most %d words and %d characters.", maxWords, maxSearch))
	}
	if p.Err = q.problems.Err(); p.Err != nil {
		return p
	}
	if cursor, given := q.values["cursor"]; given {
		p.From, p.Err = a.openCursor(cursor[0], r.listName(q))
	}
	return p
}

// tooMuch bounds what one search may cost: each word is held against each word
// of each row.
func tooMuch(search string) bool {
	return utf8.RuneCountInString(search) > maxSearch || store.CountWords(search) > maxWords
}

// list is the body of a page.
type list[T any] struct {
	Next     *string `json:"next"`
	Previous *string `json:"previous"`
	Results  []T     `json:"results"`
}

func listAnswer[S, T any](a *api, r *request, q *query, page store.Page[S], view func(S) T) answer {
	l := list[T]{Next: a.link(r, q, page.Next), Previous: a.link(r, q, page.Previous), Results: make([]T, len(page.Items))}
	for i, item := range page.Items {
		l.Results[i] = view(item)
	}
	return answer{status: 200, body: l}
}

// link is the URL of the page at a position, or nil.
func (a *api) link(r *request, q *query, at *store.Position) *string {
	if at == nil {
		return nil
	}
	values := url.Values{"cursor": {a.sealCursor(*at, r.listName(q))}}
	for name, v := range q.values {
		if name != "cursor" {
			values[name] = v
		}
	}
	link := a.base(r) + strings.TrimSuffix(r.URL.EscapedPath(), "/") + "/?" + values.Encode()
	return &link
}

// listName names the list that a cursor is good for: its path, its filters and
// ordering, and who reads it.
func (r *request) listName(q *query) []byte {
	filters := make(url.Values)
	for name, v := range q.values {
		if name != "cursor" && name != "page_size" {
			filters[name] = v
		}
	}
	return []byte(strings.TrimSuffix(r.URL.Path, "/") + "\n" + r.actor.Account + "\n" + filters.Encode())
}

func newCursors(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealCursor makes a text of a position that tells nothing, not even the date
// of a record, and is good for this list alone.
func (a *api) sealCursor(at store.Position, list []byte) string {
	direction := ">"
	if at.Backward {
		direction = "<"
	}
	sealed := a.cursors.Seal(nil, nil, []byte(direction+at.ID+"\n"+at.Key), list)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

func (a *api) openCursor(text string, list []byte) (*store.Position, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errCursor
	}
	plain, err := a.cursors.Open(nil, nil, sealed, list)
	if err != nil || len(plain) == 0 {
		return nil, errCursor
	}
	id, key, _ := strings.Cut(string(plain[1:]), "\n")
	return &store.Position{ID: id, Key: key, Backward: plain[0] == '<'}, nil
}
