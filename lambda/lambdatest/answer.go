package lambdatest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Answer writes a function's answer as the client gets it. It fails when a
// kind would not take it, or would leave out part of it.
func Answer(kind Kind, answer []byte, w http.ResponseWriter) error {
	var a struct {
		StatusCode        int                 `json:"statusCode"`
		StatusDescription *string             `json:"statusDescription"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
		Cookies           []string            `json:"cookies"`
		Body              string              `json:"body"`
		IsBase64Encoded   bool                `json:"isBase64Encoded"`
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return err
	}
	payload2, multi := kind == HTTPAPI || kind == FunctionURL, kind == HTTPAPI1 || kind == RESTAPI || kind == ALBMultiValue
	balancer := kind == ALB || kind == ALBMultiValue
	switch {
	case multi && a.Headers != nil || !multi && a.MultiValueHeaders != nil:
		return errors.New("the headers are in the wrong map")
	case !payload2 && a.Cookies != nil:
		return errors.New("cookies are nothing that this kind knows")
	case balancer != (a.StatusDescription != nil):
		return errors.New("a load balancer, and nobody else, wants a status description")
	case balancer && *a.StatusDescription != strings.TrimSpace(fmt.Sprint(a.StatusCode, " ", http.StatusText(a.StatusCode))):
		return errors.New("the status description is not the status")
	}
	for name, value := range a.Headers {
		w.Header().Add(name, value)
	}
	for name, values := range a.MultiValueHeaders {
		for _, value := range values {
			w.Header().Add(name, value)
		}
	}
	for _, cookie := range a.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	body := []byte(a.Body)
	if a.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			return err
		}
	}
	w.WriteHeader(a.StatusCode)
	_, err := w.Write(body)
	if len(body) == 0 {
		err = nil // where there may be no body, there is none
	}
	return err
}
