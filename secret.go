package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"unicode"
)

// secret holds bytes that no log, message or JSON shows; it prints as
// "[secret]", or as nothing when it is empty. It is assignable to []byte.
type secret []byte

func (s secret) String() string {
	if len(s) == 0 {
		return ""
	}
	return "[secret]"
}

// Format writes String for every verb: %d and %#v would show the bytes.
func (s secret) Format(f fmt.State, verb rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is for a secret that is logged itself.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is for a secret within something that is logged or encoded.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// secretLimit is above any key, password or URL, and stops a file that never ends.
const secretLimit = 64 << 10

// secret returns the bytes of a variable as given, or of the file that NAME_FILE
// names less one newline at its end; none when neither is set or it is wrong.
func (e *environment) secret(name string) secret {
	value, file := e.values[name], e.values[name+"_FILE"]
	if file == "" {
		return secret(value)
	}
	if known, ok := e.secrets[name]; ok {
		return known
	}
	e.secrets[name] = nil
	if value != "" {
		e.mistake(name, "contradicts %s_FILE; set one of them", name)
		return nil
	}
	content, err := readLimited(file, secretLimit)
	if err == nil && len(content) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		e.mistake(name+"_FILE", "the file cannot be used: %v", err)
		e.wrong[name] = true
		return nil
	}
	e.secrets[name] = content
	return content
}

// readLimited returns a file's content less one newline at its end. Its error
// does not name the file: what was meant as a path may be a secret itself.
func readLimited(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(content) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return trimNewline(content), nil
}

// withoutPath returns the cause of a file's error.
func withoutPath(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// trimNewline removes one newline, "\n" or "\r\n", from the end.
func trimNewline(text []byte) []byte {
	if trimmed, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		return bytes.TrimSuffix(trimmed, []byte("\r"))
	}
	return text
}

// decodeKey returns the 32 bytes that text gives as base64 or base64url, with
// or without padding, or as hex. Its errors quote nothing.
func decodeKey(text []byte) ([]byte, error) {
	key, ok := decode32(string(text))
	if !ok {
		return nil, errors.New("it is not 32 bytes as base64, base64url or hex")
	}
	if bytes.Count(key, key[:1]) == len(key) {
		return nil, errors.New("it is one byte repeated")
	}
	return key, nil
}

// decodeKeys returns the keys of a text that holds one or more, with commas or
// white space between. Its errors quote nothing.
func decodeKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		key, err := decodeKey([]byte(word))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key")
	}
	return keys, nil
}

// decode32 tells the encodings apart by length. Go's base64 skips line breaks,
// so 43 characters with one in them are fewer bytes and no key.
func decode32(text string) ([]byte, bool) {
	if len(text) == 64 {
		key, err := hex.DecodeString(text)
		return key, err == nil
	}
	if len(text) == 44 {
		text = strings.TrimSuffix(text, "=")
	}
	if len(text) != 43 {
		return nil, false
	}
	key, err := base64.RawURLEncoding.Strict().DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(text))
	return key, err == nil && len(key) == 32
}
