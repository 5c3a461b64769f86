package lambda_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"healthrecords/lambda/lambdatest"
)

const (
	ruleEvent      = `{"version":"0","id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","time":"2026-01-01T00:00:00Z","region":"eu-central-1","resources":["arn:aws:events:eu-central-1:123456789012:rule/f"],"detail":{}}`
	schedulerEvent = `{"version":"0","id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.scheduler","account":"123456789012","time":"2026-01-01T00:00:00Z","region":"eu-central-1","resources":["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/f"],"detail":"{}"}`
)

func TestEachKindOfRequestEventIsKnownByItsShape(t *testing.T) {
	for _, c := range []struct{ name, event, path string }{
		{"HTTP API", `{"version":"2.0","rawPath":"/a","requestContext":{"http":{"method":"GET","path":"/a"}}}`, "/a"},
		{"HTTP API without a version", `{"rawPath":"/a","requestContext":{"http":{"method":"GET","path":"/a"}}}`, "/a"},
		{"HTTP API without rawPath", `{"requestContext":{"http":{"method":"GET","path":"/a"}}}`, "/a"},
		{"REST API", `{"httpMethod":"GET","path":"/a","requestContext":{"stage":"prod"}}`, "/a"},
		{"REST API with a version", `{"version":"1.0","httpMethod":"GET","path":"/a","requestContext":{"stage":"$default"}}`, "/a"},
		{"REST API without a context", `{"httpMethod":"GET","path":"/a"}`, "/a"},
		{"ALB", `{"httpMethod":"GET","path":"/a","requestContext":{"elb":{"targetGroupArn":"arn"}}}`, "/a"},
		{"elb is null", `{"httpMethod":"GET","path":"/a","requestContext":{"elb":null}}`, "/a"},
	} {
		if r := asked(t, c.event); r.URL.Path != c.path || r.Method != "GET" {
			t.Errorf("%s: %s %s, want GET %s", c.name, r.Method, r.URL.Path, c.path)
		}
	}
	if a := newFunction(t, nil).answers(get(lambdatest.ALB)); a.StatusDescription != "200 OK" {
		t.Errorf("an ALB is answered %+v, want a status description", a)
	}
}

func TestAScheduleRunsThePeriodicWorkOnceAndIsAnsweredNull(t *testing.T) {
	for _, event := range []string{ruleEvent, schedulerEvent, strings.Replace(ruleEvent, `"detail":{}`, `"detail":null`, 1)} {
		f := newFunction(t, nil)
		answer, err := f.send(event)
		if err != nil || string(answer) != "null" || f.ticks != 1 || f.request != nil {
			t.Errorf("Invoke(%s) = %s, %v after %d ticks and request %v, want null after one tick", event, answer, err, f.ticks, f.request)
		}
	}
}

func TestAnyOtherEventFails(t *testing.T) {
	for _, event := range []string{
		`{}`, `null`, `[]`, `"text"`, `1`, `true`,
		`{"Records":[{"eventSource":"aws:sqs","body":"x"}]}`,
		`{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"x"}}]}`,
		`{"version":"0","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{}}`,
		`{"version":"0","detail-type":"Scheduled Event","source":"my.own","detail":{}}`,
		`{"version":"0","detail-type":"Other","source":"aws.events","detail":{}}`,
		`{"httpMethod":"GET","path":"/","requestContext":{"eventType":"CONNECT","connectionId":"x"}}`,
		`{"requestContext":{"eventType":"MESSAGE","routeKey":"$default","connectionId":"x"},"body":"x","isBase64Encoded":false}`,
		`{"type":"REQUEST","methodArn":"arn","httpMethod":"GET","path":"/","requestContext":{"stage":"prod"}}`,
		`{"version":"2.0","type":"REQUEST","routeArn":"arn","rawPath":"/","requestContext":{"http":{"method":"GET","path":"/"}}}`,
		`{"path":"/","headers":{"host":"x"}}`,
		`{"requestContext":{"elb":{"targetGroupArn":"arn"}}}`,
		`{"headers":7,"httpMethod":"GET","path":"/"}`,
	} {
		f := newFunction(t, nil)
		answer, err := f.send(event)
		if err == nil || strings.Contains(err.Error(), "\n") || f.ticks != 0 || f.request != nil {
			t.Errorf("Invoke(%s) = %s, %v, %d ticks and request %v, want one clear line alone", event, answer, err, f.ticks, f.request)
		}
	}
}

func TestWhatAClientWritesNeverMakesAnEvent(t *testing.T) {
	for _, kind := range lambdatest.Kinds {
		r := httptest.NewRequest("POST", "/?source=aws.events&detail-type=Scheduled+Event", strings.NewReader(ruleEvent))
		r.Header.Set("Source", "aws.events")
		r.Header.Set("Detail-Type", "Scheduled Event")
		f := newFunction(t, nil)
		f.answers(of(kind, r))
		if f.ticks != 0 || string(f.body) != ruleEvent {
			t.Errorf("%s: %d ticks and body %q, want none and what was sent", kind, f.ticks, f.body)
		}
	}
}

func TestUnknownKeysNullsAndAuthorizersNeverFail(t *testing.T) {
	for _, event := range []string{
		`{"version":null,"rawPath":"/","rawQueryString":null,"cookies":null,"headers":null,"body":null,"isBase64Encoded":null,"routeKey":null,
			"requestContext":{"stage":null,"domainName":null,"authorizer":{"jwt":{"claims":null,"scopes":[1,{}]}},"http":{"method":"GET","path":"/","sourceIp":null}}}`,
		`{"httpMethod":"GET","path":null,"headers":null,"multiValueHeaders":null,"queryStringParameters":null,"multiValueQueryStringParameters":null,
			"pathParameters":null,"stageVariables":null,"body":null,"requestContext":{"identity":null,"authorizer":{"principalId":7,"nested":[{}]}}}`,
		`{"httpMethod":"GET","path":"/","headers":{"a":null},"multiValueHeaders":{"b":null,"c":[null]},"multiValueQueryStringParameters":{"q":null,"p":[null]},
			"queryStringParameters":{"r":null},"cookies":[null],"requestContext":{"elb":{"targetGroupArn":null}},"new":{"thing":[]}}`,
		`{"httpMethod":"GET","path":"/","requestContext":null}`,
	} {
		wantStatus(t, event, http.StatusOK)
	}
}

// sdkEvents returns the events that aws-lambda-go's own tests use, by the names
// of their files. They lie beside its source, as the module cache has it.
func sdkEvents(t *testing.T) map[string]string {
	t.Helper()
	file, _ := runtime.FuncForPC(reflect.ValueOf(lambdacontext.FromContext).Pointer()).FileLine(0)
	dir := filepath.Join(filepath.Dir(filepath.Dir(file)), "events", "testdata")
	names, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	events := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		events[filepath.Base(name)] = string(content)
	}
	if len(events) == 0 {
		t.Skipf("the source of aws-lambda-go is not at %s", dir)
	}
	return events
}

func TestEventsOfTheSDKsOwnTests(t *testing.T) {
	requests := map[string]string{
		"alb-lambda-target-request-headers-only.json":       "GET /?key=hello from 25.12.198.67:0",
		"alb-lambda-target-request-multivalue-headers.json": "GET /?key=hello from 72.21.198.67:0",
		"apigw-request.json":                                "POST /hello/world?name=me from 192.168.196.186:0",
		"apigw-restapi-openapi-request.json":                "POST /hello/world?name=me from 192.168.196.186:0",
		"apigw-v2-request-iam.json":                         "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value from :0",
		"apigw-v2-request-jwt-authorizer.json":              "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value from :0",
		"apigw-v2-request-lambda-authorizer.json":           "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value from :0",
		"apigw-v2-request-no-authorizer.json":               "GET / from 1.2.3.4:0",
		"lambda-urls-request.json":                          "POST /my/path?parameter1=value1&parameter1=value2&parameter2=value from 123.123.123.123:0",
	}
	events := sdkEvents(t)
	for name, event := range events {
		f := newFunction(t, nil)
		_, err := f.send(event)
		want, ok := requests[name]
		switch {
		case !ok && !json.Valid([]byte(event)): // one is broken on purpose
		case !ok && err == nil:
			t.Errorf("%s: asks %v and ticks %d times, want a failure", name, f.request, f.ticks)
		case ok && err != nil:
			t.Errorf("%s: error = %v, want %s", name, err, want)
		case ok:
			if got := f.request.Method + " " + f.request.RequestURI + " from " + f.request.RemoteAddr; got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	for name := range requests {
		if events[name] == "" {
			t.Errorf("%s is not there", name)
		}
	}
}
