package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// mistakes are all that is wrong with the settings, a line each: the name of
// the variable and what to do. No line quotes a value, so that no secret shows
// even when it was put into the wrong variable.
type mistakes []string

func (m mistakes) Error() string { return strings.Join(m, "\n") }

// environment gives the values of variables and collects what is wrong with
// them. An empty variable is an unset one.
type environment struct {
	values   map[string]string
	secrets  map[string]secret // those read so far: a file is read once
	mistakes mistakes
	wrong    map[string]bool // names with a mistake
}

func parseEnvironment(environ []string) *environment {
	e := &environment{values: map[string]string{}, secrets: map[string]secret{}, wrong: map[string]bool{}}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" {
			e.values[name] = value
		}
	}
	return e
}

// mistake notes what to do about the named variable.
func (e *environment) mistake(name, format string, args ...any) {
	e.wrong[name] = true
	e.mistakes = append(e.mistakes, name+": "+fmt.Sprintf(format, args...))
}

// mistaken tells whether any of the names has a mistake, so that nothing that
// only follows from it is noted too.
func (e *environment) mistaken(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return e.wrong[name] })
}

// set tells whether any of the names is set.
func (e *environment) set(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return e.values[name] != "" })
}

// names returns the set names that begin with prefix, sorted.
func (e *environment) names(prefix string) []string {
	var names []string
	for name := range e.values {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// text returns the value of a variable, "" when it is unset or holds control
// characters: those would end up in log lines, mail headers and paths.
func (e *environment) text(name string) string {
	value := e.values[name]
	if strings.ContainsFunc(value, unicode.IsControl) {
		e.mistake(name, "holds a line break or another control character")
		return ""
	}
	return value
}

// boolean returns fallback when the variable is unset or wrong.
func (e *environment) boolean(name string, fallback bool) bool {
	switch strings.ToLower(e.text(name)) {
	case "1", "true":
		return true
	case "0", "false":
		return false
	case "":
		return fallback
	}
	e.mistake(name, "write 1 or 0")
	return fallback
}

// integer returns fallback when the variable is unset or wrong.
func (e *environment) integer(name string, fallback, least, most int) int {
	text := e.text(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		e.mistake(name, "write a number from %d to %d", least, most)
		return fallback
	}
	return n
}

// lifetime returns fallback when the variable is unset or wrong. Tokens count
// whole seconds, so a part of one would be a promise not kept.
func (e *environment) lifetime(name string, fallback time.Duration) time.Duration {
	text := e.text(name)
	if text == "" {
		return fallback
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d%time.Second != 0 {
		e.mistake(name, "write whole seconds, minutes or hours above 0 with their unit, such as 300s, 5m or 24h")
		return fallback
	}
	return d
}

// choice returns the variable's value, the first of values when it is unset or
// none of them.
func (e *environment) choice(name string, values ...string) string {
	text := e.text(name)
	if text == "" {
		return values[0]
	}
	if !slices.Contains(values, text) {
		e.mistake(name, "write one of: %s", strings.Join(values, ", "))
		return values[0]
	}
	return text
}

// parseEach parses what stands between the commas of a variable, white space
// around it removed. parse says what is wrong with an entry, or "".
func parseEach[T any](e *environment, name string, parse func(string) (T, string)) []T {
	text := e.text(name)
	if text == "" {
		return nil
	}
	var list []T
	for i, entry := range strings.Split(text, ",") {
		value, problem := parse(strings.TrimSpace(entry))
		if problem != "" {
			e.mistake(name, "entry %d: %s", i+1, problem)
			continue
		}
		list = append(list, value)
	}
	return list
}
