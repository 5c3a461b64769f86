package lambdatest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

type object = map[string]any

// Event returns the event that a kind makes of a request.
func Event(kind Kind, r *http.Request) []byte {
	e := object{}
	switch kind {
	case HTTPAPI, FunctionURL:
		payload2(e, kind, r)
	case HTTPAPI1, RESTAPI:
		payload1(e, kind, r)
	default:
		balancer(e, kind, r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	e["isBase64Encoded"] = !utf8.Valid(body)
	e["body"] = string(body)
	if !utf8.Valid(body) {
		e["body"] = base64.StdEncoding.EncodeToString(body)
	}
	event, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return event
}

// client returns the address that asks, without a port.
func client(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // an address that is none is none here too
	return host
}

// headers returns what the client sent and what AWS adds.
func headers(r *http.Request) http.Header {
	h := r.Header.Clone()
	h.Set("Host", r.Host)
	h["X-Forwarded-For"] = []string{strings.Join(append(h.Values("X-Forwarded-For"), client(r)), ", ")}
	h.Set("X-Forwarded-Proto", "https")
	h.Set("X-Forwarded-Port", "443")
	return h
}

func payload2(e object, kind Kind, r *http.Request) {
	h := map[string]string{}
	for name, values := range headers(r) {
		h[strings.ToLower(name)] = strings.Join(values, ",")
	}
	if cookies, ok := h["cookie"]; ok {
		e["cookies"] = strings.Split(cookies, "; ")
		if kind == HTTPAPI {
			delete(h, "cookie")
		}
	}
	path, domain := r.URL.Path, "abc123.execute-api.eu-central-1.amazonaws.com"
	if kind == FunctionURL {
		path, domain = r.URL.EscapedPath(), "abc123.lambda-url.eu-central-1.on.aws"
	}
	e["version"], e["routeKey"], e["headers"] = "2.0", "$default", h
	e["rawPath"], e["rawQueryString"] = path, r.URL.RawQuery
	e["requestContext"] = object{
		"stage": "$default", "domainName": domain, "requestId": "id", "authorizer": object{"free": []any{1, nil}},
		"http": object{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto, "sourceIp": client(r), "userAgent": ""},
	}
}

func payload1(e object, kind Kind, r *http.Request) {
	path, stage := r.URL.EscapedPath(), "prod"
	if kind == HTTPAPI1 {
		path, stage = r.URL.Path, "$default"
		e["version"] = "1.0"
	}
	e["resource"], e["httpMethod"], e["path"] = "/{proxy+}", r.Method, path
	h := headers(r)
	e["headers"], e["multiValueHeaders"] = last(h), h
	q := r.URL.Query()
	e["queryStringParameters"], e["multiValueQueryStringParameters"] = last(q), q
	e["requestContext"] = object{
		"stage": stage, "path": "/" + stage + path, "httpMethod": r.Method, "domainName": "abc123.execute-api.eu-central-1.amazonaws.com",
		"identity": object{"sourceIp": client(r), "apiKey": nil}, "authorizer": nil,
	}
}

func balancer(e object, kind Kind, r *http.Request) {
	e["httpMethod"], e["path"] = r.Method, r.URL.EscapedPath()
	h := map[string][]string{}
	for name, values := range headers(r) {
		h[strings.ToLower(name)] = values
	}
	query := undecoded(r.URL.RawQuery)
	if kind == ALBMultiValue {
		e["multiValueHeaders"], e["multiValueQueryStringParameters"] = h, query
	} else {
		e["headers"], e["queryStringParameters"] = last(h), last(query)
	}
	e["requestContext"] = object{"elb": object{"targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/f/0"}}
}

// undecoded splits a query and decodes nothing.
func undecoded(query string) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(pair, "="); key != "" {
			values[key] = append(values[key], value)
		}
	}
	return values
}

func last(multi map[string][]string) map[string]string {
	single := map[string]string{}
	for key, values := range multi {
		if len(values) > 0 {
			single[key] = values[len(values)-1]
		}
	}
	return single
}
