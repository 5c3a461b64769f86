package lambda_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"healthrecords/lambda/lambdatest"
)

// handlers are answered the same by net/http's server and by a function.
var handlers = map[string]http.HandlerFunc{
	"nothing":                 func(http.ResponseWriter, *http.Request) {},
	"text":                    write("hello"),
	"HTML is sniffed":         write("<!DOCTYPE html><p>hi"),
	"JSON is sniffed as text": write(`{"a":1}`),
	"PNG is sniffed":          write("\x89PNG\x0d\x0a\x1a\x0a" + strings.Repeat("x", 600)),
	"bytes":                   write("\x00\x01\xff\xfe"),
	"long":                    write(strings.Repeat("0123456789", 20000)),
	"in pieces": func(w http.ResponseWriter, _ *http.Request) {
		for range 1000 {
			io.WriteString(w, "<p>piece")
		}
	},
	"empty write":    func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) },
	"status alone":   status(http.StatusTeapot),
	"201":            status(http.StatusCreated),
	"204":            status(http.StatusNoContent),
	"304":            status(http.StatusNotModified),
	"404":            http.NotFound,
	"503":            status(http.StatusServiceUnavailable),
	"unknown status": status(599),
	"redirect": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere?a=<b>", http.StatusFound)
	},
	"error":             func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusConflict) },
	"first status wins": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); w.WriteHeader(500) },
	"status after body": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"); w.WriteHeader(500) },
	"early hints": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(103)
		w.WriteHeader(201)
	},
	"continue":                 func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(100); io.WriteString(w, "a") },
	"headers after the status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); w.Header().Set("X-Late", "1") },
	"headers after the body":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"); w.Header().Set("X-Late", "1") },
	"body with 204":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); report(w, "body") },
	"body with 304": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(304)
		report(w, "body")
	},
	"type with 204": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x")
		w.WriteHeader(204)
	},
	"type with 304": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x")
		w.WriteHeader(304)
	},
	"own type":   typed("application/json", `{"a":"<b>"}`),
	"empty type": typed("", "hello"),
	"no type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "hello")
	},
	"encoding without a type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "x")
		io.WriteString(w, "hello")
	},
	"gzip":                 zipped,
	"own length":           sized("5", "hello"),
	"more than its length": sized("3", "hello"),
	"exactly its length, twice": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		report(w, "ab")
		report(w, "c")
	},
	"a word is no length": sized("five", "hello"),
	"-1 is no length":     sized("-1", "hello"),
	"length with 204": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.WriteHeader(204)
	},
	"several values": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Many"] = []string{"a", "b, c", ""}
		io.WriteString(w, "a")
	},
	"several cookies": cookies,
	"name in small letters": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["x-small"] = []string{"a"}
		io.WriteString(w, "a")
	},
	"line break in a header": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-A", " a\r\nX-B: c\n")
		io.WriteString(w, "a")
	},
	"vary and challenge": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Vary", "A")
		w.Header().Add("Vary", "B")
		w.WriteHeader(401)
	},
	"flushed before the body": func(w http.ResponseWriter, _ *http.Request) { flush(w); io.WriteString(w, "<p>hello") },
	"flushed between": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<p>he")
		flush(w)
		w.Header().Set("X-Late", "1")
		io.WriteString(w, "llo")
	},
	"trailers": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "a")
		w.Header().Set(http.TrailerPrefix+"X", "1")
	},
	"from a reader": func(w http.ResponseWriter, _ *http.Request) {
		io.Copy(w, iotest.OneByteReader(strings.NewReader("<html>slow")))
	},
	"content":                   content,
	"its own request":           echo,
	"the body that it was sent": func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) },
	"a form": func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode([]any{r.FormValue("a"), r.PostFormValue("a"), r.Form["e"]})
	},
	"a mux's redirect":     mux().ServeHTTP,
	"panic":                func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "half"); panic("x") },
	"abort":                func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
	"invalid status":       status(7),
	"less than its length": sized("50", "hello"),
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func typed(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

func sized(length, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", length)
		report(w, body)
	}
}

// report writes a body, and in a header that is sent all the same what came of
// the next write.
func report(w http.ResponseWriter, body string) {
	n, err := io.WriteString(w, body)
	wrote[fmt.Sprint(n, err)]++
}

// wrote counts what became of writes, for the comparison; handlers run one
// after the other.
var wrote = map[string]int{}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

func zipped(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Type", "text/plain")
	z := gzip.NewWriter(w)
	io.WriteString(z, "hello")
	z.Close()
}

func cookies(w http.ResponseWriter, _ *http.Request) {
	for i := range 5 {
		http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("c", i), Value: "a b,c", Expires: time.Unix(1e9, 0), HttpOnly: true})
	}
	io.WriteString(w, "a")
}

func content(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "a.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
}

// echo says what it was asked, but for what the way there adds.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	cookie := r.CookiesNamed("c")
	fmt.Fprintln(w, r.Method, r.URL.Path, r.URL.RawPath, r.URL.Query(), r.Host, r.Proto, r.Header["X-Sent"], cookie, len(body), err, r.ContentLength)
}

func mux() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("POST /only", write("posted"))
	m.HandleFunc("/dir/{name}/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("name")) })
	return m
}

// comparable is what a client has got, but for what the way there adds.
type comparable struct {
	status int
	header http.Header
	body   string
	writes map[string]int
}

func (c comparable) String() string {
	return fmt.Sprintf("%d %q %.300q, writes %v", c.status, c.header, c.body, c.writes)
}

// ask sends a request to a server.
func ask(t *testing.T, server *httptest.Server, r *http.Request) comparable {
	t.Helper()
	clear(wrote)
	response, err := server.Client().Transport.RoundTrip(r)
	if err != nil {
		return comparable{status: 500} // the connection was cut off
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return comparable{status: 500}
	}
	return settled(response.StatusCode, response.Header, string(body), r.Method)
}

func settled(status int, h http.Header, body, method string) comparable {
	h = h.Clone()
	for _, name := range []string{"Date", "Connection", "Trailer"} {
		h.Del(name)
	}
	if method != "HEAD" { // where the server adds it by itself
		h.Del("Content-Length")
	}
	for name, values := range h {
		if name != "Set-Cookie" {
			h[name] = []string{strings.Join(values, ", ")} // the same (RFC 9110, section 5.2)
		}
	}
	if status == 500 {
		return comparable{status: 500} // the server cuts the connection off instead
	}
	c := comparable{status, h, body, map[string]int{}}
	for what, n := range wrote {
		c.writes[what] = n
	}
	return c
}

// same tells whether a function's answer is the server's.
func (c comparable) same(server comparable, kind lambdatest.Kind) bool {
	if c.header.Get("Content-Length") == "" { // also to HEAD the server finds out that of a short answer
		server.header = server.header.Clone()
		server.header.Del("Content-Length")
	}
	if kind == lambdatest.ALB { // where cookies have no order
		for _, h := range []http.Header{c.header, server.header} {
			slices.Sort(h["Set-Cookie"])
		}
	}
	return c.String() == server.String()
}

func TestAFunctionAnswersAsAServerDoes(t *testing.T) {
	for name, h := range handlers {
		server := httptest.NewUnstartedServer(h)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.Start()
		defer server.Close()
		server.Client().Transport.(*http.Transport).DisableKeepAlives = true // some handlers make the server close the connection
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			for _, target := range []string{"/dir/a%2Fb/?a=1&a=2&e=", "/only", "/dir/x"} {
				request := func(base string) *http.Request {
					r, _ := http.NewRequest(method, base+target, nil)
					if method == "POST" {
						r, _ = http.NewRequest(method, base+target, strings.NewReader("a=3&b=\xff"))
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					}
					r.Header.Set("X-Sent", "a, b;c")
					r.Header.Set("Accept-Encoding", "gzip") // else the client unpacks the answer
					r.Header.Set("Range", "bytes=2-4")
					r.Header.Set("Cookie", "c=1; d=2; c=3")
					return r
				}
				if method == "HEAD" && strings.HasSuffix(name, "no length") {
					continue // the server sends it on, and no client takes that
				}
				want := ask(t, server, request(server.URL))
				for _, kind := range lambdatest.Kinds {
					if (kind == lambdatest.HTTPAPI || kind == lambdatest.HTTPAPI1) && strings.Contains(target, "%2F") ||
						kind == lambdatest.ALB && strings.Contains(target, "?") {
						continue // they lose part of it
					}
					r := request(server.URL)
					if r.Body == nil {
						r.Body = http.NoBody
					}
					r.Host = r.URL.Host
					clear(wrote)
					w := httptest.NewRecorder()
					f := newFunction(t, nil)
					f.HTTP = h
					lambdatest.New(kind, &f.Handler).ServeHTTP(w, r)
					got := settled(w.Code, w.Header(), w.Body.String(), method)
					if !got.same(want, kind) {
						t.Errorf("%s, %s %s through %s = %v\nwant %v", name, method, target, kind, got, want)
					}
				}
			}
		}
	}
}
