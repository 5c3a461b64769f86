package handlers_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"healthrecords/console"
)

func TestConsoleIsServed(t *testing.T) {
	p := newPractice(t, nil)
	for path, start := range map[string]string{"/": "<!doctype html>", "/api/docs/": "<!doctype html>", "/api/docs": "<!doctype html>", "/app.js": "// ", "/pages/door.js": "// ", "/style.css": "/* "} {
		r := p.do(nobody, "GET", path, "")
		if r.status != 200 || !strings.HasPrefix(r.body, start) {
			t.Errorf("GET %s = %d %.20q, want 200 and %q", path, r.status, r.body, start)
		}
		p.do(nobody, "POST", path, "{}").want(t, "POST "+path, 405, `{"detail":"Method \"POST\" not allowed.","code":"method_not_allowed"}`)
	}
	p.do(nobody, "GET", "/", "", "Host: evil.example").want(t, "GET /", 400, `{"detail":"This host is not served here.","code":"invalid_host"}`)
}

func TestConsoleFilesHaveTheirHeaders(t *testing.T) {
	p := newPractice(t, nil)
	types := regexp.MustCompile(`^(text/(html|css|javascript); charset=utf-8|image/svg\+xml)$`)
	for _, f := range console.Files() {
		r := p.do(nobody, "GET", f.Path, "")
		for name, want := range map[string]string{
			"Content-Security-Policy": console.Policy, "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("GET %s has %s: %q, want %q", f.Path, name, got, want)
			}
		}
		if got := r.header.Get("Content-Type"); !types.MatchString(got) {
			t.Errorf("GET %s has Content-Type: %q, want that of a page, style, script or drawing", f.Path, got)
		}
	}
}

// What the policy forbids would not run, and no page needs it.
func TestConsoleHasNothingInlineAndNothingFromElsewhere(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)<style|<script(>| [^>]*></script>.)|\sstyle=|\son[a-z]+="|javascript:|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage\.setItem\("tokens|document\.cookie|https?://`)
	svgNamespace := "http://www.w3.org/2000/svg"
	for _, f := range console.Files() {
		body := strings.ReplaceAll(string(f.Body), svgNamespace, "")
		if found := forbidden.FindString(body); found != "" {
			t.Errorf("%s has %q, want none", f.Path, found)
		}
	}
}

// What the trail calls an action, the console says in plain words.
func TestConsoleHasWordsForEveryAction(t *testing.T) {
	p := newPractice(t, nil)
	words := p.do(nobody, "GET", "/pages/words.js", "").body
	policy, err := os.ReadFile("../store/policy.go")
	if err != nil {
		t.Fatal(err)
	}
	actions := regexp.MustCompile(`Action += "([a-z.-]+)"`).FindAllSubmatch(policy, -1)
	if len(actions) < 40 {
		t.Fatalf("policy.go names %d actions, want all of them", len(actions))
	}
	for _, a := range actions {
		if !strings.Contains(words, `"`+string(a[1])+`": [`) {
			t.Errorf("the console has no words for %s", a[1])
		}
	}
}
