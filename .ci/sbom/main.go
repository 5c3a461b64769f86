// Sbom writes the bill of materials of a released program to standard output,
// as CycloneDX 1.6 in JSON (ECMA-424):
//
//	go run ./.ci/sbom FILE
//
// Modules and the Go release come from the build information in FILE, the
// compiler from its ELF section .comment; its own version and SQLite's are what
// FILE says when it is called with "version", so that it must run here. There
// is no date and no serial number in it: the same program has the same bill.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sbom FILE")
		os.Exit(2)
	}
	p, err := examine(os.Args[1])
	if err == nil {
		var text []byte
		if text, err = json.MarshalIndent(p.bill(), "", "  "); err == nil {
			_, err = os.Stdout.Write(append(text, '\n'))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// program is what is known of a built file.
type program struct {
	info     *debug.BuildInfo
	sum      [sha256.Size]byte
	compiler string            // of the C part
	says     map[string]string // the lines of its command version
}

func examine(file string) (*program, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := &program{sum: sha256.Sum256(content), says: map[string]string{}}
	if p.info, err = buildinfo.Read(bytes.NewReader(content)); err != nil {
		return nil, err
	}
	if p.compiler, err = staticCompiler(content); err != nil {
		return nil, err
	}
	out, err := exec.Command(file, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s version: %w", file, err)
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		p.says[name] = value
	}
	if p.says["healthrecords"] == "" || p.says["sqlite"] == "" {
		return nil, errors.New("it does not say its version and SQLite's")
	}
	return p, nil
}

// staticCompiler returns the C compiler's name for itself. A program that loads
// libraries is refused: which ones it will meet nobody can list.
func staticCompiler(content []byte) (string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	if f.Section(".interp") != nil {
		return "", errors.New("it is not static; build it with .ci/build")
	}
	comment := f.Section(".comment")
	if comment == nil {
		return "", errors.New("it does not say which compiler made it")
	}
	text, err := comment.Data()
	return strings.ReplaceAll(strings.Trim(string(text), "\x00"), "\x00", ", "), err
}

// bill is a CycloneDX document, the parts of it that are used here.
type bill struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type        string     `json:"type"`
	Ref         string     `json:"bom-ref"`
	Name        string     `json:"name"`
	Version     string     `json:"version,omitempty"`
	Description string     `json:"description,omitempty"`
	Hashes      []hash     `json:"hashes,omitempty"`
	PURL        string     `json:"purl"`
	Properties  []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

const sqliteModule = "github.com/mattn/go-sqlite3"

func (p *program) bill() bill {
	own := library("golang", p.info.Main.Path, p.says["healthrecords"])
	own.Type = "application"
	own.Hashes = []hash{{"SHA-256", hex.EncodeToString(p.sum[:])}}
	own.Properties = []property{{"revision", p.says["revision"]}, {"compiler", p.compiler}}
	for _, s := range p.info.Settings {
		own.Properties = append(own.Properties, property{"build " + s.Key, s.Value})
	}
	libc := library("generic", "glibc", "")
	libc.Description = "linked in statically; its version is that of the distribution that the compiler is from"
	sqlite := library("generic", "sqlite", p.says["sqlite"])
	b := bill{
		Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{own},
		Components: []component{library("golang", "stdlib", strings.TrimPrefix(p.info.GoVersion, "go")), libc, sqlite},
	}
	uses := dependency{Ref: own.Ref, On: []string{b.Components[0].Ref, libc.Ref}}
	for _, m := range p.info.Deps {
		c := module(m)
		b.Components = append(b.Components, c)
		uses.On = append(uses.On, c.Ref)
		if m.Path == sqliteModule {
			b.Dependencies = append(b.Dependencies, dependency{c.Ref, []string{sqlite.Ref}})
		}
	}
	b.Dependencies = append(b.Dependencies, uses)
	return b
}

// library returns a component under its package URL (ECMA-427), which is its
// reference too.
func library(kind, name, version string) component {
	url := "pkg:" + kind + "/" + strings.ToLower(name)
	if version != "" {
		url += "@" + strings.ReplaceAll(version, "+", "%2B")
	}
	return component{Type: "library", Ref: url, Name: name, Version: version, PURL: url}
}

// module is a Go module. Its hash is the "h1:" of go.sum: the SHA-256 of the
// list of its files' SHA-256 (golang.org/x/mod/sumdb/dirhash), not of an archive.
func module(m *debug.Module) component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := library("golang", m.Path, m.Version)
	if text, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
		if sum, err := base64.StdEncoding.DecodeString(text); err == nil {
			c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
		}
	}
	return c
}
