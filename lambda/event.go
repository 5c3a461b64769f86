package lambda

import "strings"

// event has of every kind of event what tells the kinds apart and what a
// request is made of. What else an event holds is passed over.
type event struct {
	Version    string `json:"version"`
	Type       string `json:"type"` // only an authorizer's event has one
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`

	HTTPMethod       string              `json:"httpMethod"`
	Path             string              `json:"path"`
	RawPath          string              `json:"rawPath"`
	RawQuery         string              `json:"rawQueryString"`
	Query            map[string]string   `json:"queryStringParameters"`
	MultiValueQuery  map[string][]string `json:"multiValueQueryStringParameters"`
	Header           map[string]string   `json:"headers"`
	MultiValueHeader map[string][]string `json:"multiValueHeaders"`
	Cookies          []string            `json:"cookies"`
	Body             string              `json:"body"`
	IsBase64         bool                `json:"isBase64Encoded"`

	Context struct {
		ELB        *struct{} `json:"elb"`
		EventType  string    `json:"eventType"` // a WebSocket's event has one
		Stage      string    `json:"stage"`
		DomainName string    `json:"domainName"`
		HTTP       struct {
			Method   string `json:"method"`
			Path     string `json:"path"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
		Identity struct {
			SourceIP string `json:"sourceIp"`
		} `json:"identity"`
	} `json:"requestContext"`
}

// kind says who made an event.
type kind int

const (
	unknown   kind = iota
	scheduled      // EventBridge, by a rule or the scheduler
	payload2       // HTTP API and function URL: payload format 2.0
	payload1       // REST API, and HTTP API with payload format 1.0
	balancer       // Application Load Balancer
)

// kind goes by an event's shape: the version is missing from some that have one
// by the documentation. A client writes none of what is looked at.
func (e *event) kind() kind {
	switch {
	case e.DetailType == "Scheduled Event" && (e.Source == "aws.events" || e.Source == "aws.scheduler"):
		return scheduled
	case e.Type != "":
		return unknown
	case e.Context.ELB != nil && e.HTTPMethod != "":
		return balancer
	case e.Context.HTTP.Method != "":
		return payload2
	case e.HTTPMethod != "" && e.Context.EventType == "":
		return payload1
	}
	return unknown
}

// What Lambda takes as an answer is 6 MiB and 100 bytes; a load balancer takes
// 1 MiB. The limits are of the answer's JSON.
const (
	largestAnswer         = 6<<20 - 1<<10
	largestBalancerAnswer = 1<<20 - 1<<10
)

func (k kind) limit() int {
	if k == balancer {
		return largestBalancerAnswer
	}
	return largestAnswer
}

func (e *event) method(k kind) string {
	if k == payload2 {
		return e.Context.HTTP.Method
	}
	return e.HTTPMethod
}

// escapedPath returns the path as the event has it, and whether it is still
// escaped. An HTTP API has decoded it, into both of its places; a function URL
// only into one.
func (e *event) escapedPath(k kind) (path string, escaped bool) {
	switch {
	case k == payload2 && e.RawPath == "":
		return e.Context.HTTP.Path, false
	case k == payload2:
		return e.RawPath, strings.Contains(e.Context.DomainName, ".lambda-url.") || e.RawPath != e.Context.HTTP.Path
	}
	return e.Path, k == balancer || e.Version != "1.0"
}

// hasStage tells whether the path begins with the stage's name.
func (e *event) hasStage(k kind) bool {
	return e.Context.Stage != "" && e.Context.Stage != "$default" && (k == payload2 || k == payload1 && e.Version == "1.0")
}
