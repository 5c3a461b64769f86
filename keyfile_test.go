package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("mode of %s = %o, want %o", filepath.Base(path), got, want)
	}
}

func TestKeyFileIsMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	path := filepath.Join(dir, "data.key")
	key, made, err := keyFile(path)
	if err != nil || !made {
		t.Fatalf("keyFile, first time: made = %t, error = %v, want true, nil", made, err)
	}
	if decoded, err := decodeKey(key); err != nil || len(decoded) != 32 {
		t.Errorf("decodeKey of the new key = %d bytes, %v, want 32, nil", len(decoded), err)
	}
	wantMode(t, filepath.Dir(dir), 0o700)
	wantMode(t, dir, 0o700)
	wantMode(t, path, 0o600)
	if content, _ := os.ReadFile(path); string(content) != string(key)+"\n" {
		t.Errorf("the file holds %d bytes, want the key's %d and a newline", len(content), len(key))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("%d temporary files are left, want none", len(left))
	}

	again, made, err := keyFile(path)
	if err != nil || made || !bytes.Equal(again, key) {
		t.Errorf("keyFile, second time: made = %t, same = %t, error = %v, want false, true, nil", made, bytes.Equal(again, key), err)
	}
	other, _, err := keyFile(filepath.Join(dir, "secret.key"))
	if err != nil || bytes.Equal(other, key) {
		t.Errorf("keyFile of another path: same = %t, error = %v, want false, nil", bytes.Equal(other, key), err)
	}
}

func TestKeyFileTakesAKeyThatWasPutThere(t *testing.T) {
	key := bytes.Repeat([]byte{1, 2, 3, 4}, 8)
	for _, text := range []string{base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), strings.Repeat("01020304", 8)} {
		for _, newline := range []string{"", "\n", "\r\n"} {
			got, made, err := keyFile(writeFile(t, text+newline))
			if err != nil || made || string(got) != text {
				t.Errorf("keyFile of %d characters and %q: made = %t, same = %t, error = %v, want false, true, nil", len(text), newline, made, string(got) == text, err)
			}
		}
	}
}

// TestKeyFileOfManyStarts has many callers make one file; they must agree.
func TestKeyFileOfManyStarts(t *testing.T) {
	const callers = 16
	path := filepath.Join(t.TempDir(), "data", "secret.key")
	var keys [callers]string
	var made [callers]bool
	var errs [callers]error
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		wait.Go(func() {
			<-start
			var key []byte
			key, made[i], errs[i] = keyFile(path)
			keys[i] = string(key)
		})
	}
	close(start)
	wait.Wait()

	makers := 0
	for i := range callers {
		if errs[i] != nil || keys[i] != keys[0] {
			t.Errorf("caller %d: same key = %t, error = %v, want true, nil", i, keys[i] == keys[0], errs[i])
		}
		if made[i] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d callers made the file, want 1", makers)
	}
}

func TestKeyFileRefusesADamagedFile(t *testing.T) {
	good := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{1, 2, 3, 4}, 8))
	for _, c := range []struct{ name, content string }{
		{"empty", ""},
		{"newline alone", "\n"},
		{"truncated", good[:42]},
		{"a line cut off", good + "\n" + good[:42] + "\n"},
		{"two lines become one", good + good + "\n"},
		{"garbled", good[:20] + "\x00" + good[21:] + "\n"},
		{"zeros", strings.Repeat("A", 43) + "\n"},
		{"a long file", strings.Repeat(good, 100)},
	} {
		path := writeFile(t, c.content)
		key, made, err := keyFile(path)
		if err == nil || made || key != nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: made = %t, error = %v, want false and that it is damaged", c.name, made, err)
		}
		if err != nil && c.content != "" && strings.Contains(err.Error(), good[:20]) {
			t.Errorf("%s: the error quotes the key, want no part of it", c.name)
		}
		if after, _ := os.ReadFile(path); string(after) != c.content {
			t.Errorf("%s: the file has changed, want it as it was", c.name)
		}
	}
}

func TestKeyFileRefusesAFileOpenToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.key")
	if _, _, err := keyFile(path); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if key, _, err := keyFile(path); key != nil || err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("keyFile of mode %o error = %v, want one that says chmod 600", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keyFile(path); err != nil {
		t.Errorf("keyFile of mode 400 error = %v, want nil", err)
	}
}

func TestKeyFileRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if key, _, err := keyFile(dir); key != nil || err == nil {
		t.Errorf("keyFile of a directory error = %v, want one", err)
	}
	dangling := filepath.Join(dir, "dangling.key")
	if err := os.Symlink(filepath.Join(dir, "gone"), dangling); err != nil {
		t.Fatal(err)
	}
	if key, _, err := keyFile(dangling); key != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("keyFile of a link to nothing error = %v, want that it does not exist", err)
	}
}

func TestDecodeKeys(t *testing.T) {
	a, b := bytes.Repeat([]byte{1, 2, 3, 4}, 8), bytes.Repeat([]byte{5, 6, 7, 8}, 8)
	textA, textB := base64.RawURLEncoding.EncodeToString(a), base64.StdEncoding.EncodeToString(b)
	hexB := strings.Repeat("05060708", 8)
	for _, c := range []struct {
		text string
		want [][]byte
	}{
		{textA, [][]byte{a}},
		{textA + "," + textB, [][]byte{a, b}},
		{textB + "," + textA, [][]byte{b, a}},
		{textA + "\n" + hexB, [][]byte{a, b}},
		{textA + "\r\n" + hexB + "\r\n", [][]byte{a, b}},
		{"  " + textA + " ,\t" + textB + ", ", [][]byte{a, b}},
		{"", nil},
		{" ,\n, ", nil},
		{textA + ",x", nil},
		{"x," + textA, nil},
		{textA + textB, nil},
		{textA + ";" + textB, nil},
		{textA + "," + textB[:40], nil},
		{textA + "," + strings.Repeat("A", 43), nil},
	} {
		got, err := decodeKeys([]byte(c.text))
		if (err == nil) != (c.want != nil) || len(got) != len(c.want) {
			t.Errorf("decodeKeys of %d characters = %d keys, %v, want %d", len(c.text), len(got), err, len(c.want))
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], c.want[i]) {
				t.Errorf("key %d of %d characters is another, want them in order", i, len(c.text))
			}
		}
		if err != nil && (strings.Contains(err.Error(), textA[:8]) || strings.Contains(err.Error(), textB[:8])) {
			t.Errorf("the error about %d characters quotes a key, want no part of it", len(c.text))
		}
	}
}

// A key that is added stands before all others, which stay in their order.
func TestAddKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data.key")
	if _, _, err := keyFile(path); err != nil {
		t.Fatal(err)
	}
	var before [][]byte
	for range 40 { // more than anybody rotates
		text, err := readKeyFile(path)
		if err != nil {
			t.Fatalf("readKeyFile error = %v, want nil", err)
		}
		keys, err := decodeKeys(text)
		if err != nil || len(before) > 0 && len(keys) != len(before)+1 {
			t.Fatalf("the file holds %d keys, %v, want %d", len(keys), err, len(before)+1)
		}
		for i := range before {
			if !bytes.Equal(keys[i+1], before[i]) {
				t.Fatalf("key %d is not the one that was there", i+1)
			}
		}
		before = keys
		if err := addKey(path); err != nil {
			t.Fatalf("addKey error = %v, want nil", err)
		}
	}
	wantMode(t, path, 0o600)
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("%d temporary files are left, want none", len(left))
	}
}

func TestAddKeyKeepsALink(t *testing.T) {
	elsewhere, dir := t.TempDir(), t.TempDir()
	path, link := filepath.Join(elsewhere, "data.key"), filepath.Join(dir, "data.key")
	if _, _, err := keyFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := addKey(link); err != nil {
		t.Fatalf("addKey error = %v, want nil", err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is no link any more")
	}
	if text, err := readKeyFile(path); err != nil || bytes.Count(text, []byte("\n")) != 1 {
		t.Errorf("the file that the link leads to does not hold two keys: %v", err)
	}
}

// Where a key cannot be added nothing is changed.
func TestAddKeyRefuses(t *testing.T) {
	good := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{1, 2, 3, 4}, 8))
	damaged, open := writeFile(t, good[:42]), writeFile(t, good)
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{damaged: good[:42], open: good} {
		if err := addKey(path); err == nil {
			t.Errorf("addKey error = nil, want one")
		}
		if after, _ := os.ReadFile(path); string(after) != content {
			t.Errorf("the file has changed, want it as it was")
		}
	}
	missing := filepath.Join(t.TempDir(), "data.key")
	if err := addKey(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("addKey without a file: error = %v, want that it does not exist", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("addKey made a file, want none")
	}
}
