package store_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"

	"healthrecords/store"
)

func TestPackIsFixed(t *testing.T) {
	for _, test := range []struct {
		values []string
		packed string
	}{
		{nil, ""},
		{[]string{""}, "\x00"},
		{[]string{"", ""}, "\x00\x00"},
		{[]string{"a", "bc"}, "\x01a\x02bc"},
		{[]string{"ab", "c"}, "\x02ab\x01c"},
		{[]string{strings.Repeat("x", 300)}, "\xac\x02" + strings.Repeat("x", 300)},
	} {
		packed := store.Pack(test.values...)
		if string(packed) != test.packed {
			t.Errorf("Pack(%q) = %q, want %q", test.values, packed, test.packed)
		}
		got, err := store.Unpack(packed, len(test.values))
		if err != nil || !slices.Equal(got, test.values) {
			t.Errorf("Unpack(%q) = %q, %v, want %q, nil", packed, got, err, test.values)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		packed string
		n      int
	}{
		"too few":           {"\x01a", 2},
		"too many":          {"\x01a\x01b", 1},
		"any for none":      {"\x00", 0},
		"a length cut off":  {"\x80", 1},
		"a value cut off":   {"\x05abc", 1},
		"a length too long": {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1},
		"a length too wide": {strings.Repeat("\x80", 10) + "\x01", 1},
	} {
		if got, err := store.Unpack([]byte(test.packed), test.n); err == nil {
			t.Errorf("%s: Unpack = %d values, nil, want an error", name, len(got))
		}
	}
}

// No two lists pack alike, and what was packed is unpacked as it was, and as a
// list of no other length. A list is a text whose values stand between commas.
func FuzzPack(f *testing.F) {
	for _, seed := range [][2]string{{"", ""}, {"a,b", "ab"}, {"a,,b", "a,b,"}, {",", ""}, {"\x01a", "a"}, {strings.Repeat("x", 200), "x"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, other := strings.Split(a, ","), strings.Split(b, ",")
		packed := store.Pack(one...)
		if bytes.Equal(packed, store.Pack(other...)) != slices.Equal(one, other) {
			t.Errorf("Pack(%q) and Pack(%q) are alike: %v", one, other, !slices.Equal(one, other))
		}
		for n := range len(one) + 2 {
			got, err := store.Unpack(packed, n)
			if n == len(one) && (err != nil || !slices.Equal(got, one)) {
				t.Errorf("Unpack(Pack(%q), %d) = %q, %v", one, n, got, err)
			}
			if n != len(one) && err == nil {
				t.Errorf("Unpack(Pack(%q), %d) = %q, nil, want an error", one, n, got)
			}
		}
	})
}

// Whatever the bytes are, Unpack gives an error or values that they hold.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x01a\x02bc"), uint8(2))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), uint8(1))
	f.Add([]byte{}, uint8(0))
	f.Add([]byte("\x80\x00"), uint8(1))
	f.Fuzz(func(t *testing.T, packed []byte, n uint8) {
		values, err := store.Unpack(packed, int(n))
		if err != nil {
			return
		}
		if len(values) != int(n) {
			t.Errorf("Unpack(%q, %d) = %d values", packed, n, len(values))
		}
		if length := len(strings.Join(values, "")); length > len(packed) {
			t.Errorf("Unpack(%q, %d) = %d bytes out of %d", packed, n, length, len(packed))
		}
		again, err := store.Unpack(store.Pack(values...), int(n))
		if err != nil || !slices.Equal(again, values) {
			t.Errorf("Unpack(Pack(%q)) = %q, %v", values, again, err)
		}
	})
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		search string
		texts  []string
		want   bool
	}{
		{"cough", []string{"A dry cough"}, true},
		{"COU dr", []string{"A dry cough"}, true},
		{"ough", []string{"A dry cough"}, false},
		{"dry fever", []string{"A dry cough"}, false},
		{"dry fever", []string{"A dry cough", "high fever"}, true},
		{"dry-cough", []string{"cough; dry"}, true},
		{"größe", []string{"GRÖßE: 1,80"}, true},
		{"80", []string{"GRÖßE: 1,80"}, true},
		{"grosse", []string{"Größe"}, false},
		{"%", []string{"anything"}, true}, // no word at all narrows nothing
		{"a%", []string{"anything"}, true},
		{"_nything", []string{"anything"}, false},
		{"カル", []string{"カルテ"}, true},
		{"", nil, true},
		{"x", nil, false},
	} {
		if got := store.Matches(store.Words(test.search), test.texts...); got != test.want {
			t.Errorf("Matches(Words(%q), %q) = %v, want %v", test.search, test.texts, got, test.want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, seed := range []string{"", "A dry cough", "GRÖßE: 1,80", "o'brien-smith", "cafe\u0301", "\u212aelvin \u017f", "\xff\xfe", "カルテ\u3000x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := store.Words(text)
		for _, w := range words {
			if w == "" || strings.ContainsFunc(w, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) }) {
				t.Errorf("Words(%q) = %q, want words alone", text, words)
			}
		}
		if again := store.Words(strings.Join(words, " ")); !slices.Equal(again, words) {
			t.Errorf("Words of %q = %q, want the same", words, again)
		}
		if folded := store.Words(strings.Map(unicode.SimpleFold, text)); !slices.Equal(folded, words) {
			t.Errorf("Words of %q in another case = %q, want %q", text, folded, words)
		}
		if !store.Matches(words, text) || !store.Matches(words, "before", text, "behind") {
			t.Errorf("Matches(Words(%q), itself) = false, want true", text)
		}
	})
}
