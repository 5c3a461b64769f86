package handlers_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"healthrecords/handlers"
)

func TestParseJSON(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       any
	}{
		{"empty", "", map[string]any{}},
		{"white space", " \t\r\n", map[string]any{}},
		{"white space everywhere", " { \"a\" :\t[ 1 ,\r2 ] , \"b\" : { } }\n", map[string]any{"a": []any{json.Number("1"), json.Number("2")}, "b": map[string]any{}}},
		{"a bare string", `"x"`, "x"},
		{"null", "null", nil},
		{"words", "[true,false,null]", []any{true, false, nil}},
		{"numbers as they are written", "[0,-0,1.50,1E+2,1e-2,1e999999,12345678901234567890]", []any{json.Number("0"), json.Number("-0"), json.Number("1.50"), json.Number("1E+2"), json.Number("1e-2"), json.Number("1e999999"), json.Number("12345678901234567890")}},
		{"names that differ by case", `{"a":1,"A":2,"ſ":3,"s":4}`, map[string]any{"a": json.Number("1"), "A": json.Number("2"), "ſ": json.Number("3"), "s": json.Number("4")}},
		{"one name in two objects", `{"a":{"a":[{"a":1},{"a":2}]}}`, map[string]any{"a": map[string]any{"a": []any{map[string]any{"a": json.Number("1")}, map[string]any{"a": json.Number("2")}}}}},
		{"no name at all", `{"":""}`, map[string]any{"": ""}},
		{"escapes", `"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\u0000"`, "\"\\/\b\f\n\r\tAé€\x00"},
		{"text around escapes", `"ab\ncd\n\nef"`, "ab\ncd\n\nef"},
		{"a surrogate pair", `"x\uD83D\uDe00y"`, "x😀y"},
		{"the last code point", `"\udbff\udfff"`, "\U0010ffff"},
		{"a replacement character that was sent", `"�\ufffd"`, "\ufffd\ufffd"},
		{"other scripts", `"Zoë 漢字 😀"`, "Zoë 漢字 😀"},
		{"delete and line separators", "\"\x7f\u2028\"", "\x7f\u2028"},
		{"32 lists deep", strings.Repeat("[", 32) + strings.Repeat("]", 32), nested(32)},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := handlers.ParseJSON([]byte(test.body))
			if err != nil {
				t.Fatalf("ParseJSON(%.60q) error = %v, want nil", test.body, err)
			}
			if got := v.Plain(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("ParseJSON(%.60q) = %#v, want %#v", test.body, got, test.want)
			}
		})
	}
}

func nested(depth int) any {
	list := []any{}
	for range depth - 1 {
		list = []any{list}
	}
	return list
}

func TestParseJSONKeepsOrder(t *testing.T) {
	v, err := handlers.ParseJSON([]byte(`{"b":1,"a":2,"\u0063":3}`))
	if got, want := v.Names(), []string{"b", "a", "c"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("names = %q, %v, want %q, nil", got, err, want)
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"two values", `{} {}`, "something follows the value at byte 3"},
		{"trailing text", `{"a":1}x`, "something follows the value at byte 7"},
		{"trailing NUL", "{}\x00", "something follows the value at byte 2"},
		{"a comma after the last member", `{"a":1,}`, "a member name expected at byte 7"},
		{"a comma after the last item", `[1,]`, "a value expected at byte 3"},
		{"a comma before the first item", `[,1]`, "a value expected at byte 1"},
		{"no comma", `[1 2]`, "a comma or closing bracket expected at byte 3"},
		{"the wrong bracket", `{"a":1]`, "a comma or closing bracket expected at byte 6"},
		{"a list with a member", `["a":1]`, "a comma or closing bracket expected at byte 4"},
		{"no colon", `{"a" 1}`, "a colon expected at byte 5"},
		{"no value", `{"a":}`, "a value expected at byte 5"},
		{"no quotes around a name", `{a:1}`, "a member name expected at byte 1"},
		{"a number for a name", `{1:1}`, "a member name expected at byte 1"},
		{"single quotes", `{'a':1}`, "a member name expected at byte 1"},
		{"cut off in an object", `{"a":1`, "unexpected end at byte 6"},
		{"cut off in a list", `[1,`, "unexpected end at byte 3"},
		{"cut off in a string", `"ab`, "unexpected end at byte 3"},
		{"cut off in an escape", `"\`, "unexpected end at byte 2"},
		{"cut off in a word", `nul`, "a value expected at byte 0"},
		{"NaN", `NaN`, "a value expected at byte 0"},
		{"minus infinity", `-Infinity`, "a digit expected at byte 1"},
		{"a word in capitals", `True`, "a value expected at byte 0"},
		{"a word run on", `nullx`, "something follows the value at byte 4"},
		{"a leading zero", `01`, "something follows the value at byte 1"},
		{"a leading zero after minus", `-01`, "something follows the value at byte 2"},
		{"a leading plus", `+1`, "a value expected at byte 0"},
		{"a leading point", `.5`, "a value expected at byte 0"},
		{"a point at the end", `[1.]`, "a digit expected at byte 3"},
		{"an exponent without digits", `[1e]`, "a digit expected at byte 3"},
		{"two signs in the exponent", `[1e+-1]`, "a digit expected at byte 4"},
		{"hexadecimal", `0x1`, "something follows the value at byte 1"},
		{"an underscore", `1_0`, "something follows the value at byte 1"},
		{"other digits", `[１]`, "a value expected at byte 1"},
		{"a byte order mark", "\ufeff{}", "a value expected at byte 0"},
		{"a comment", `{/**/}`, "a member name expected at byte 1"},
		{"a no-break space", "\u00a0{}", "a value expected at byte 0"},
		{"a form feed", "\f{}", "a value expected at byte 0"},
		{"a line feed in a string", "\"a\nb\"", "a control character in a string at byte 2"},
		{"a NUL in a string", "\"a\x00b\"", "a control character in a string at byte 2"},
		{"the last control character", "\"\x1f\"", "a control character in a string at byte 1"},
		{"an unknown escape", `"\x41"`, "an unknown escape at byte 2"},
		{"an escape in capitals", `"\U0041"`, "an unknown escape at byte 2"},
		{"three hexadecimal digits", `"\u041"`, "four hexadecimal digits expected at byte 3"},
		{"a signed escape", `"\u+041"`, "four hexadecimal digits expected at byte 3"},
		{"an underscore in an escape", `"\u0_41"`, "four hexadecimal digits expected at byte 3"},
		{"an escape cut off", `"\u00`, "four hexadecimal digits expected at byte 3"},
		{"a high surrogate alone", `"ab\ud800"`, "an unpaired surrogate at byte 3"},
		{"a low surrogate alone", `"\udc00"`, "an unpaired surrogate at byte 1"},
		{"a high surrogate and a letter", `"\ud800\u0041"`, "an unpaired surrogate at byte 1"},
		{"a high surrogate and another escape", `"\ud800\n"`, "an unpaired surrogate at byte 1"},
		{"two high surrogates", `"\ud800\ud800\udc00"`, "an unpaired surrogate at byte 1"},
		{"surrogates the wrong way round", `"\udc00\ud800"`, "an unpaired surrogate at byte 1"},
		{"a surrogate in a name", `{"\ud800":1}`, "an unpaired surrogate at byte 2"},
		{"a surrogate in UTF-8", "\"\xed\xa0\x80\"", "not UTF-8 at byte 1"},
		{"an overlong slash", "\"\xc0\xaf\"", "not UTF-8 at byte 1"},
		{"Latin-1 in a name", "{\"a\xe9\":1}", "not UTF-8 at byte 3"},
		{"a sequence cut short by the quote", "\"\xe2\x82\"", "not UTF-8 at byte 1"},
		{"not UTF-8 outside strings", "{}\xff", "something follows the value at byte 2"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "a value expected at byte 0"},
		{"one name twice", `{"a":1,"b":2,"a":1}`, "a member name is given twice at byte 13"},
		{"one name twice, once escaped", `{"a":1,"\u0061":2}`, "a member name is given twice at byte 7"},
		{"one name twice, deep down", `[{"x":{"\/":1,"/":2}}]`, "a member name is given twice at byte 14"},
		{"33 lists deep", strings.Repeat("[", 33) + strings.Repeat("]", 33), "nested too deeply at byte 32"},
		{"33 objects deep", strings.Repeat(`{"a":`, 32) + "{}" + strings.Repeat("}", 32), "nested too deeply at byte 160"},
		{"deep and without end", strings.Repeat("[", 1<<20), "nested too deeply at byte 32"},
		{"32,768 items", "[0" + strings.Repeat(",0", 32_767) + "]", "too many values at byte 65535"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := "JSON parse error - " + test.want
			if _, err := handlers.ParseJSON([]byte(test.body)); err == nil || err.Error() != want {
				t.Errorf("ParseJSON(%.60q) error = %v, want %s", test.body, err, want)
			}
		})
	}
}

var fixedText = regexp.MustCompile(`^JSON parse error - [A-Za-z8 -]+ at byte \d+$`)

// Everything accepted is JSON and means what encoding/json says it means;
// everything refused is no JSON, or is refused for one of the reasons beyond it.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `{}`, `[1,-0.5e+3,"a\u00e9\ud83d\ude00",true,false,null,{"a":{"b":[]}}]`, `{"a":1,"a":2}`,
		`"\ud800"`, `{"a":1,}`, `01`, "\xff", "\ufeff{}", `"\u00zz"`, `{"\u0061":1,"a":2}`, `[[[[[[`, "\"\x00\"", `[1 2]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := handlers.ParseJSON(body)
		if err != nil {
			if !fixedText.MatchString(err.Error()) {
				t.Errorf("error = %q, want fixed words", err)
			}
			if json.Valid(body) && utf8.Valid(body) && !beyondGrammar(err) {
				t.Errorf("ParseJSON(%q) error = %v, want nil", body, err)
			}
			return
		}
		if len(bytes.Trim(body, " \t\r\n")) == 0 {
			body = []byte("{}")
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("ParseJSON(%q) error = nil, want one", body)
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if got := v.Plain(); !reflect.DeepEqual(got, want) {
			t.Errorf("ParseJSON(%q) = %#v, want %#v", body, got, want)
		}
	})
}

func beyondGrammar(err error) bool {
	for _, reason := range []string{"given twice", "unpaired surrogate", "nested too deeply", "too many values"} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}
