// Package console holds the pages of the service: plain HTML, CSS and
// JavaScript, which use the API as any other client does.
package console

import (
	"embed"
	"io/fs"
	"path"
)

//go:embed *.html *.css *.svg *.js pages/*.js
var files embed.FS

// Policy is the Content-Security-Policy of every file: a page runs and shows
// only what came from this service, sends nothing elsewhere, stands in nobody's
// frame, and never makes code or markup of text.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// File is one file of the console, as it is answered.
type File struct {
	Path string // of its URL
	Type string // its media type
	Body []byte
}

// paths are the URLs of the files that are pages; all others have their name.
var paths = map[string]string{"index.html": "/", "docs.html": "/api/docs/"}

var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Files returns all files of the console.
func Files() []File {
	var list []File
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		url, ok := paths[name]
		if !ok {
			url = "/" + name
		}
		list = append(list, File{url, types[path.Ext(name)], body})
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return list
}
