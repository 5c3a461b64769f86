package store

import (
	"slices"
	"strings"
	"unicode"
)

// Position is a place in a list: just behind one of its rows, or, going
// backwards, just before it.
type Position struct {
	Key      string // what the list is ordered by, where that is not the id
	ID       string // of the row
	Backward bool
}

// Paging says which part of a list is wanted. Err is why the query could not be
// read; an action looks at it only after it knows that the caller may list.
type Paging struct {
	Err    error
	Size   int // 1 to 100
	From   *Position
	Search string // words, each of which must begin some word of the row
}

// Page is a part of a list, and where the parts before and after it begin; nil
// when there are none.
type Page[T any] struct {
	Items          []T
	Next, Previous *Position
}

// MaxPageSize is the most rows that a page may have.
const MaxPageSize = 100

// page reads one page: fetch returns at most limit rows from a position on, in
// the order of reading, and at names a row's place; the zero position is the
// beginning. With keep, rows that it
// refuses are passed over, and more are fetched until the page is full.
func page[T any](p Paging, fetch func(from Position, limit int) ([]T, error), at func(T) Position, keep func(T) bool) (Page[T], error) {
	if p.Err != nil {
		return Page[T]{}, p.Err
	}
	items, from := []T{}, Position{}
	if p.From != nil {
		from = *p.From
	}
	backward := from.Backward
	limit := p.Size + 1
	if keep != nil {
		limit = MaxPageSize
	}
	for len(items) <= p.Size {
		rows, err := fetch(from, limit) // ends when its context does
		if err != nil {
			return Page[T]{}, err
		}
		for _, row := range rows {
			if keep == nil || keep(row) {
				items = append(items, row)
			}
		}
		if keep == nil || len(rows) < limit {
			break
		}
		from = at(rows[len(rows)-1])
		from.Backward = backward
	}
	return cut(p, items, backward, at), nil
}

// cut makes a page of at most Size rows out of rows in the order of reading.
func cut[T any](p Paging, items []T, backward bool, at func(T) Position) Page[T] {
	more := len(items) > p.Size
	items = items[:min(len(items), p.Size)]
	if backward {
		slices.Reverse(items)
	}
	result := Page[T]{Items: items}
	if len(items) == 0 {
		return result
	}
	first, last := at(items[0]), at(items[len(items)-1])
	first.Backward = true
	// Where the reading came from there are rows, or were when the page was asked for.
	if more && !backward || backward {
		result.Next = &last
	}
	if more && backward || !backward && p.From != nil {
		result.Previous = &first
	}
	return result
}

// order is how a list is sorted: by columns, all in one direction, which turns
// round when the list is read backwards.
type order struct {
	columns    string
	descending bool
}

func newestFirst(column string) order { return order{column, true} }

// by is the clause that sorts.
func (o order) by(from Position) string {
	direction := " ASC"
	if o.descending != from.Backward {
		direction = " DESC"
	}
	return " ORDER BY " + strings.ReplaceAll(o.columns, ", ", direction+", ") + direction
}

// behind starts the list at a position, whose values of the columns are given.
func (q *statement) behind(o order, from Position, values ...any) {
	if from.ID == "" {
		return // from the beginning
	}
	than := " > "
	if o.descending != from.Backward {
		than = " < "
	}
	q.add(" AND ("+o.columns+")"+than+"($"+strings.Repeat(", $", len(values)-1)+")", values...)
}

// CountWords returns how many words a search has.
func CountWords(search string) int { return len(words(search)) }

// words splits a search into words, case folded.
func words(s string) []string {
	return strings.FieldsFunc(strings.Map(foldRune, s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
}

// matches tells whether each of the wanted words begins some word of the texts.
func matches(wanted []string, texts ...string) bool {
	var have []string
	for _, text := range texts {
		have = append(have, words(text)...)
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, w) }) {
			return false
		}
	}
	return true
}
