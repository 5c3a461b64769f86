package auth

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// MaxPassword is the most code points that a password may have.
const MaxPassword = 1024

// A Person is what is known of the owner of a password, as far as it must not
// be the password. Fields may be empty.
type Person struct {
	Username, Email, FirstName, LastName string
}

// CheckPassword returns what is wrong with a new password, as messages for the
// one who chose it, none if nothing is. Its length, of at least min, is
// counted in code points; the password is neither trimmed nor normalized.
//
// It follows NIST SP 800-63B, 3.1.1.2: length counts, mixtures of characters
// do not, and what is commonly used or says who one is, is refused. A password
// longer than [MaxPassword] is judged no further.
func CheckPassword(password string, min int, who Person) []string {
	text := fold(password)
	if len(text) > MaxPassword {
		return []string{fmt.Sprintf("Ensure this field has no more than %d characters.", MaxPassword)}
	}
	var problems []string
	if len(text) < min {
		problems = append(problems, fmt.Sprintf("This password is too short. It must contain at least %d characters.", min))
	}
	if isCommon(text) {
		problems = append(problems, "This password is too common.")
	}
	for _, field := range similarTo(text, who) {
		problems = append(problems, "The password is too similar to the "+field+".")
	}
	if isNumeric(text) {
		problems = append(problems, "This password is entirely numeric.")
	}
	return problems
}

func isNumeric(text []rune) bool {
	return len(text) > 0 && !slices.ContainsFunc(text, func(r rune) bool { return !unicode.IsDigit(r) })
}

// similarTo returns the fields of who that text is made of, so that not enough
// is left of it besides them and common words, or that it nearly is.
func similarTo(text []rune, who Person) []string {
	fields := []struct {
		name  string
		words [][]rune
	}{
		{"username", namesIn(who.Username)},
		{"email address", namesIn(who.Email)},
		{"first name", namesIn(who.FirstName)},
		{"last name", namesIn(who.LastName)},
	}
	known := slices.Clip(common)
	for _, f := range fields {
		known = append(known, f.words...)
	}
	madeOfThem := remainder(text, known) < enough
	bare := keep(text, unicode.IsLetter)
	var similar []string
	for _, f := range fields {
		if madeOfThem && holdsAny(text, f.words) || isNearlyAny(bare, f.words) {
			similar = append(similar, f.name)
		}
	}
	return similar
}

// namesIn returns what a field gives away: the whole of it, its parts, and of
// an e-mail address the local part, each with and without its digits, forwards
// and backwards. Names of fewer than four code points stand in too many words
// to count.
func namesIn(field string) [][]rune {
	local, _, _ := strings.Cut(field, "@")
	parts := append(strings.FieldsFunc(field, isSeparator), field, local)
	slices.Sort(parts)
	var names [][]rune
	for _, c := range slices.Compact(parts) {
		folded := fold(c)
		names = append(names, keep(folded, unicode.IsLetter), keep(folded, func(r rune) bool { return !isSeparator(r) }))
	}
	names = slices.DeleteFunc(names, func(name []rune) bool { return len(name) < 4 })
	for _, name := range names {
		backwards := slices.Clone(name)
		slices.Reverse(backwards)
		names = append(names, backwards)
	}
	return names
}

// isNearlyAny reports whether text is one of names but for a few changed,
// missing or added code points, one in four.
func isNearlyAny(text []rune, names [][]rune) bool {
	return slices.ContainsFunc(names, func(name []rune) bool {
		few := len(name) / 4
		return max(len(text), len(name)) <= min(len(text), len(name))+few && distance(text, name) <= few
	})
}

// distance returns how many code points must be changed, left out or added to
// make b of a (Levenshtein).
func distance(a, b []rune) int {
	row := make([]int, len(b)+1) // from the part of a that was seen to each part of b
	for j := range row {
		row[j] = j
	}
	for i, r := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range b {
			changed := diagonal
			if r != s {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// fold returns the code points of s with case folded, each by itself (simple
// folding, as in strings.EqualFold), so that K and the Kelvin sign are one.
func fold(s string) []rune {
	text := []rune(s)
	for i, r := range text {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		text[i] = unicode.ToLower(least)
	}
	return text
}

// keep returns the code points of text that f is true for.
func keep(text []rune, f func(rune) bool) []rune {
	return slices.DeleteFunc(slices.Clone(text), func(r rune) bool { return !f(r) })
}

// isSeparator reports whether r is what stands between words: white space,
// punctuation, an ASCII symbol.
func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsPunct(r) || r < unicode.MaxASCII && unicode.IsSymbol(r)
}
