package auth

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
)

// commonText holds words that passwords are commonly made of, four code points
// or longer, in small letters.
//
//go:embed common.txt
var commonText string

// common is commonText as words. It is never changed.
var common = func() (words [][]rune) {
	for _, w := range strings.Fields(commonText) {
		words = append(words, []rune(w))
	}
	return words
}()

// value returns what a code point adds to a password when it belongs to
// nothing known. Digits and separators are what people put around words to
// please a rule, and add half.
func value(r rune) int {
	if unicode.IsDigit(r) || isSeparator(r) {
		return 1
	}
	return 2
}

// enough is what must be left of a password besides what is known: six letters
// or a dozen digits.
const enough = 12

// isCommon reports whether text, which is folded, is made of common words,
// sequences and repetitions, with digits and separators between and around
// them. Text in which there is nothing known is not common, however short.
func isCommon(text []rune) bool {
	whole := 0
	for _, r := range text {
		whole += value(r)
	}
	left := remainder(text, common)
	return left < enough && left < whole || isShortUnitRepeated(text)
}

// isShortUnitRepeated reports whether text is the same few code points, fewer
// than a shortest password has, twice or over and over.
func isShortUnitRepeated(text []rune) bool {
	for period := 1; period < 8 && 2*period <= len(text); period++ {
		if slices.Equal(text[period:], text[:len(text)-period]) {
			return true
		}
	}
	return false
}

// remainder returns the value of what is left of text when words, sequences
// and repetitions are taken out as well as may be. It takes time quadratic in
// the length of text.
func remainder(text []rune, words [][]rune) int {
	// left[i] is the least that can be left of text[:i].
	left := make([]int, len(text)+1)
	for i := range text {
		left[i+1] = left[i] + value(text[i])
	}
	repeats := repetitions(text)
	for i := range text {
		known := func(end int) { left[end] = min(left[end], left[i]) }
		left[i+1] = min(left[i+1], left[i]+value(text[i]))
		for _, w := range words {
			if end := match(text, i, w); end > 0 {
				known(end)
			}
		}
		for n := run(text[i:]); n >= shortestRun; n-- {
			known(i + n)
		}
		known(i + repeats[i])
	}
	return left[len(text)]
}

// holdsAny reports whether one of words begins somewhere in text.
func holdsAny(text []rune, words [][]rune) bool {
	for i := range text {
		for _, w := range words {
			if match(text, i, w) > 0 {
				return true
			}
		}
	}
	return false
}

// match returns where word ends if it begins at text[i], else 0: as it is, or
// with substitutes for its letters, and either way with separators in between.
// Not both in one, for an @ may stand for an a or before one.
func match(text []rune, i int, word []rune) (end int) {
	if !isSubstitute(text[i], word[0]) {
		return 0 // most words, most of the time
	}
	equal := func(r, letter rune) bool { return r == letter }
	return max(spell(text, i, word, equal), spell(text, i, word, isSubstitute))
}

func spell(text []rune, i int, word []rune, isFor func(r, letter rune) bool) (end int) {
	n := 0
	for ; i < len(text) && n < len(word); i++ {
		switch {
		case isFor(text[i], word[n]):
			n++
		case n == 0 || !isSeparator(text[i]):
			return 0
		}
	}
	if n < len(word) {
		return 0
	}
	return i
}

// isSubstitute reports whether r is letter or is commonly written for it.
func isSubstitute(r, letter rune) bool {
	if r == letter {
		return true
	}
	switch letter {
	case 'a':
		return r == '@' || r == '4'
	case 'e':
		return r == '3' || r == '€'
	case 'i':
		return r == '1' || r == '!' || r == '|'
	case 'l':
		return r == '1' || r == '|' || r == '!'
	case 'o':
		return r == '0'
	case 's':
		return r == '$' || r == '5'
	case 't':
		return r == '7' || r == '+'
	}
	return false
}

// shortestRun is from how many code points on a run counts.
const shortestRun = 4

// rows are what runs run along, in both directions: alphabets, numbers, the
// rows and the columns of keyboards.
var rows = [][]rune{
	[]rune("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"),
	[]rune("0123456789012345678901234567890123456789"),
	[]rune("1234567890-="), []rune("!@#$%^&*()_+"), []rune("1357924680"), []rune("2468013579"),
	[]rune("qwertyuiop[]"), []rune("asdfghjkl;'"), []rune("zxcvbnm,./"),
	[]rune("qwertzuiopü"), []rune("asdfghjklöä"), []rune("yxcvbnm,.-"),
	[]rune("azertyuiop"), []rune("qsdfghjklm"), []rune("wxcvbn"),
	[]rune("qwertyuiopasdfghjklzxcvbnm"),
	[]rune("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/"), []rune("qazwsxedcrfvtgbyhnujmikolp"),
	[]rune("1q2w3e4r5t6y7u8i9o0p"), []rune("qawsedrftgyhujikolp"), []rune("zaq12wsxcde34rfvbgt56yhnmju78ik,"),
	[]rune("абвгдеёжзийклмнопрстуфхцчшщъыьэюя"), []rune("йцукенгшщзхъ"), []rune("фывапролджэ"), []rune("ячсмитьбю"),
	[]rune("αβγδεζηθικλμνξοπρστυφχψω"),
}

// run returns how many code points at the front of text follow one of rows.
func run(text []rune) int {
	longest := 0
	for _, row := range rows {
		for start := range row {
			longest = max(longest, along(text, row, start, +1), along(text, row, start, -1))
		}
	}
	return longest
}

// along returns how many code points text has in common with row, read from
// start in steps of step.
func along(text, row []rune, start, step int) int {
	n := 0
	for at := start; n < len(text) && 0 <= at && at < len(row) && text[n] == row[at]; at += step {
		n++
	}
	return n
}

// repetitions returns for each place in text how many code points from there
// on repeat what stands directly before it, at least once as a whole. A letter
// twice or a syllable is no repetition: it has six code points with what it
// repeats.
func repetitions(text []rune) []int {
	longest := make([]int, len(text))
	for period := 1; 2*period <= len(text); period++ {
		n := 0
		for i := len(text) - 1; i >= period; i-- {
			if text[i] != text[i-period] {
				n = 0
				continue
			}
			n++
			if n >= period && n+period >= 6 {
				longest[i] = max(longest[i], n)
			}
		}
	}
	return longest
}
