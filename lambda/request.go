package lambda

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

var errMalformed = errors.New("the request is malformed")

// request makes the request that an event tells of, as net/http's server would
// have read it from the client. The error says that the client sent nonsense.
func (e *event) request(ctx context.Context, k kind, basePath string) (*http.Request, error) {
	u, err := e.url(k, basePath)
	if err != nil {
		return nil, err
	}
	body := []byte(e.Body)
	if e.IsBase64 {
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, errMalformed
		}
	}
	r := &http.Request{
		Method: e.method(k), URL: u, RequestURI: u.RequestURI(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: e.header(k), Body: http.NoBody, ContentLength: int64(len(body)), RemoteAddr: net.JoinHostPort(e.client(k), "0"),
	}
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if r.Host = r.Header.Get("Host"); r.Host == "" {
		r.Host = e.Context.DomainName
	}
	if k != balancer || r.Header.Get("X-Forwarded-Proto") == "https" { // API Gateway and function URLs know nothing else
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	tidy(r)
	return r.WithContext(ctx), nil
}

// tidy takes out of the headers what net/http's server takes out, and what was
// true only between the client and AWS.
func tidy(r *http.Request) {
	for _, name := range []string{"Host", "Connection", "Transfer-Encoding"} {
		r.Header.Del(name)
	}
	if r.Header.Get("Content-Length") != "" {
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
}

// url makes the URL from its parts: parsed as one text, "//host", "?" and "#"
// in a decoded path would be something else.
func (e *event) url(k kind, basePath string) (*url.URL, error) {
	path, escaped := e.escapedPath(k)
	if e.hasStage(k) {
		path = cutSegments(path, "/"+e.Context.Stage)
	}
	path = cutSegments(path, basePath)
	if path == "" {
		path = "/"
	}
	u := &url.URL{Path: path, RawQuery: e.query(k)}
	if escaped {
		var err error
		if u.Path, err = url.PathUnescape(path); err != nil {
			return nil, errMalformed
		}
		if plain := u.EscapedPath(); plain != path {
			u.RawPath = path
			if u.EscapedPath() == plain { // it does not count, as it is no escaped path
				u.RawPath = ""
			}
		}
	}
	notURL := func(r rune) bool { return r <= ' ' || r == 0x7f }
	if u.Path[0] != '/' || strings.ContainsFunc(u.RawQuery, notURL) {
		return nil, errMalformed
	}
	return u, nil
}

// cutSegments cuts a prefix of whole segments off a path.
func cutSegments(path, prefix string) string {
	prefix = strings.TrimSuffix(prefix, "/")
	if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
		return rest
	}
	return path
}

// query returns the query string. A REST API decodes keys and values, a load
// balancer leaves them as the client sent them.
func (e *event) query(k kind) string {
	if k == payload2 {
		return e.RawQuery
	}
	values := url.Values(merge(e.Query, e.MultiValueQuery, func(key string) string { return key }))
	if k == payload1 {
		return values.Encode()
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[key] {
			pairs = append(pairs, key+"="+value)
		}
	}
	return strings.Join(pairs, "&")
}

// merge returns what two maps of an event say together. Where both have a key,
// multi has all of its values, and single the last.
func merge(single map[string]string, multi map[string][]string, name func(string) string) map[string][]string {
	merged := make(map[string][]string, len(multi)+len(single))
	for _, key := range slices.Sorted(maps.Keys(multi)) {
		if len(multi[key]) > 0 {
			merged[name(key)] = append(merged[name(key)], multi[key]...)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(single)) {
		if _, ok := merged[name(key)]; !ok {
			merged[name(key)] = []string{single[key]}
		}
	}
	return merged
}

// header returns the headers, with one Cookie header at most.
func (e *event) header(k kind) http.Header {
	h := http.Header(merge(e.Header, e.MultiValueHeader, http.CanonicalHeaderKey))
	cookies := h["Cookie"]
	if k == payload2 && len(e.Cookies) > 0 { // a function URL sends them both ways
		cookies = e.Cookies
	}
	if len(cookies) > 0 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	return h
}

// client returns the client's address as AWS saw it, "" when there is none. The
// load balancer adds it to X-Forwarded-For, as the last one, perhaps with a
// port; what stands before it anyone may have written.
func (e *event) client(k kind) string {
	text := e.Context.Identity.SourceIP
	switch k {
	case payload2:
		text = e.Context.HTTP.SourceIP
	case balancer:
		if hops := e.header(k)["X-Forwarded-For"]; len(hops) > 0 {
			text = hops[len(hops)-1]
		}
		text = strings.TrimSpace(text[strings.LastIndex(text, ",")+1:])
	}
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().String()
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return ""
	}
	return address.String()
}
