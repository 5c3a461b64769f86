package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// object is a JSON object, decoded or to be encoded.
type object = map[string]any

// client speaks to one server and counts what it sends.
type client struct {
	server   string // scheme and host
	http     *http.Client
	retries  int // of one request
	requests atomic.Int64
	retried  atomic.Int64
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

const (
	mostWait   = 2 * time.Minute // before one retry, whatever Retry-After says
	mostAnswer = 64 << 20        // bytes; a page of 100 of the longest records with notes is below
)

// newClient returns an error if server is more than a scheme and a host.
func newClient(server string, workers, retries int) (*client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("-server takes a scheme and a host, http://127.0.0.1:8000")
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: workers,
		// Below the server's 60 s, so that no POST goes out on a connection
		// that the server is just closing.
		IdleConnTimeout: 30 * time.Second,
	}
	return &client{
		server:  u.Scheme + "://" + u.Host,
		retries: retries,
		http: &http.Client{
			Transport:     transport,
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// want sends a request and returns its answer, or an error that names route,
// status and error code if the status is another than the wanted.
func (c *client) want(ctx context.Context, status int, s *session, method, path string, in any) (*answer, error) {
	a, err := c.do(ctx, s, method, path, in)
	if err != nil {
		return nil, err
	}
	if a.status != status {
		return nil, fmt.Errorf("%s %s: status %d, want %d: %s", method, route(path), a.status, status, reason(a.body))
	}
	return a, nil
}

// do sends a request, as nobody if s is nil, and again after each 429 and 503
// as long as the retries last. An error means that no answer came.
func (c *client) do(ctx context.Context, s *session, method, path string, in any) (*answer, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	for try := 1; ; try++ {
		a, err := c.once(ctx, s, method, path, body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, route(path), err)
		}
		busy := a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
		if !busy || try > c.retries {
			return a, nil
		}
		c.retried.Add(1)
		select {
		case <-time.After(pause(a.header, try)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *client) once(ctx context.Context, s *session, method, path string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the path does not parse") // url's own error quotes it
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if s != nil {
		token, err := s.token(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c.requests.Add(1)
	resp, err := c.http.Do(req)
	if err != nil {
		var withURL *url.Error // its text holds the query, and so words searched for
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	return &answer{resp.StatusCode, resp.Header, data}, err
}

// pause is what Retry-After says in seconds, else a growing delay.
func pause(h http.Header, try int) time.Duration {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n >= 0 {
		return min(time.Duration(n)*time.Second, mostWait)
	}
	return min(250*time.Millisecond<<min(try-1, 16), mostWait)
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// route is the path for messages: no query, {id} for every id.
func route(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return anyID.ReplaceAllString(path, "{id}")
}

var plainWord = regexp.MustCompile(`^[a-z_]{1,40}$`)

// reason says of an error answer its code, or the names of the members that it
// complains about, and nothing else of what it holds.
func reason(body []byte) string {
	var v object
	if json.Unmarshal(body, &v) != nil {
		return "no JSON object"
	}
	if code, _ := v["code"].(string); plainWord.MatchString(code) {
		return "code " + code
	}
	names := memberNames("", v)
	if len(names) == 0 {
		return "no code"
	}
	slices.Sort(names)
	return "members " + strings.Join(names, ", ")
}

func memberNames(prefix string, v object) []string {
	var names []string
	for name, below := range v {
		if !plainWord.MatchString(name) {
			name = "(another)"
		}
		if nested, ok := below.(object); ok {
			names = append(names, memberNames(prefix+name+".", nested)...)
		} else {
			names = append(names, prefix+name)
		}
	}
	return names
}

// object decodes an answer's body.
func (a *answer) object() (object, error) {
	var v object
	if !utf8.Valid(a.body) || json.Unmarshal(a.body, &v) != nil || v == nil {
		return nil, errors.New("the answer is no JSON object in UTF-8")
	}
	return v, nil
}

// session is a signed-in user. Several goroutines may use it.
type session struct {
	client *client

	mu              sync.Mutex
	access, refresh string
	renewAt         time.Time
}

// signIn opens a session, or returns an error that does not hold the password.
func (c *client) signIn(ctx context.Context, username, password string) (*session, error) {
	s := &session{client: c}
	return s, s.open(ctx, "/api/token/", object{"username": username, "password": password})
}

// token returns an access token, a new one when a fifth of its life is left.
// Under the lock, because a refresh token is used once.
func (s *session) token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.renewAt) {
		return s.access, nil
	}
	err := s.open(ctx, "/api/token/refresh/", object{"refresh": s.refresh})
	return s.access, err
}

func (s *session) open(ctx context.Context, path string, in object) error {
	asked := time.Now()
	a, err := s.client.want(ctx, http.StatusOK, nil, http.MethodPost, path, in)
	if err != nil {
		return err
	}
	v, err := a.object()
	if err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	s.access, _ = v["access"].(string)
	s.refresh, _ = v["refresh"].(string)
	life, err := lifetime(s.access)
	if err != nil || s.refresh == "" {
		return fmt.Errorf("POST %s: the answer has no usable tokens", path)
	}
	// A second less, because the token counts in whole seconds.
	s.renewAt = asked.Add(life*4/5 - time.Second)
	return nil
}

// lifetime reads from an access token how long it lives. It compares the
// token's own two instants, so that the clocks of client and server may differ.
func lifetime(token string) (time.Duration, error) {
	var claims struct{ Iat, Exp int64 }
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return 0, errors.New("not a token of three parts")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(data, &claims) != nil || claims.Exp <= claims.Iat {
		return 0, errors.New("a token without its times")
	}
	return time.Duration(claims.Exp-claims.Iat) * time.Second, nil
}
