package handlers

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"healthrecords/store"
)

// decode reads the body into fields. What is wrong with it goes into the input,
// for the store to report once it knows that the caller may act.
func (r *request) decode(in *store.Input, fields []field) {
	body, err := r.readBody()
	if err != nil {
		in.Err = err
		return
	}
	decodeFields(body, fields, r.Method == "PATCH", &in.Problems)
}

// readBody reads one JSON value. Size is looked at first, then what the body
// says it is, then the body itself.
func (r *request) readBody() (value, error) {
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, r.found.limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return value{}, errTooLarge
	}
	if err != nil {
		return value{}, errBody
	}
	if len(body) > 0 {
		if err := checkMedia(r.Header); err != nil {
			return value{}, err
		}
	}
	return parseJSON(body)
}

func checkMedia(h http.Header) error {
	if e := strings.Join(h.Values("Content-Encoding"), ","); e != "" && !strings.EqualFold(e, "identity") {
		return errEncoding
	}
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return errMediaType
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || media != "application/json" {
		return errMediaType
	}
	for name, v := range parameters {
		if name != "charset" || !strings.EqualFold(v, "utf-8") {
			return errMediaType
		}
	}
	return nil
}

// match is the request's condition on the version of the object (RFC 9110,
// section 13.1.1), or nil when it has none. Weak tags match nothing.
func (r *request) match() store.Match {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return nil
	}
	tags := entityTags(values)
	return func(version string) bool {
		for _, tag := range tags {
			if tag == "*" || tag == `"`+version+`"` {
				return true
			}
		}
		return false
	}
}

// entityTags splits lists of tags at their commas. None of our tags has one
// inside.
func entityTags(values []string) []string {
	tags := strings.Split(strings.Join(values, ","), ",")
	for i := range tags {
		tags[i] = strings.TrimSpace(tags[i])
	}
	return tags
}
