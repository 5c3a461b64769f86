package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

func TestBill(t *testing.T) {
	p := &program{
		info: &debug.BuildInfo{
			GoVersion: "go1.26.8",
			Main:      debug.Module{Path: "healthrecords"},
			Deps: []*debug.Module{
				{Path: sqliteModule, Version: "v1.14.53", Sum: "h1:mnTM0owzUMrKuLo+0w51NUiB0ir2Fo7kFXlPt/l3BGs="},
				{Path: "example.org/Old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/New", Version: "v2.0.0+incompatible"}},
			},
		},
		says: map[string]string{"healthrecords": "1.2.3", "sqlite": "3.54.1"},
	}
	b := p.bill()
	var urls []string
	for _, c := range append(b.Components, b.Metadata.Component) {
		urls = append(urls, c.PURL)
	}
	want := []string{"pkg:golang/stdlib@1.26.8", "pkg:generic/glibc", "pkg:generic/sqlite@3.54.1", "pkg:golang/github.com/mattn/go-sqlite3@v1.14.53",
		"pkg:golang/example.org/new@v2.0.0%2Bincompatible", "pkg:golang/healthrecords@1.2.3"}
	if !slices.Equal(urls, want) {
		t.Errorf("package URLs = %q, want %q", urls, want)
	}
	const sum = "9a74ccd28c3350cacab8ba3ed30e75354881d22af6168ee415794fb7f977046b"
	if got := b.Components[3].Hashes; len(got) != 1 || got[0] != (hash{"SHA-256", sum}) {
		t.Errorf("hashes of %s = %v, want %s", sqliteModule, got, sum)
	}
	for _, d := range b.Dependencies {
		for _, ref := range append(d.On, d.Ref) {
			if !slices.Contains(want, ref) {
				t.Errorf("a dependency names %q, which is no component", ref)
			}
		}
	}
}

// A program that is not what a release is has no bill: this test, for one, was
// not linked by a C compiler or needs libraries.
func TestExamineRefuses(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{own, text, text + "-missing"} {
		if p, err := examine(file); err == nil {
			t.Errorf("examine(%s) = %v, want an error", filepath.Base(file), p)
		}
	}
}
