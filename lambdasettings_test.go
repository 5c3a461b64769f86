package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onLambda are the settings that AWS Lambda needs, but for the database.
var onLambda = []string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", "SECRET_KEY=" + strongSecret, "DATA_KEY=" + strings.Repeat("0123456789abcdef", 4), "ALLOWED_HOSTS=.example.org"}

func TestWhatLambdaNeeds(t *testing.T) {
	with := func(more ...string) []string { return append(append([]string{}, onLambda...), more...) }
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{onLambda[:1], "DATABASE_URL SECRET_KEY DATA_KEY ALLOWED_HOSTS"},
		{with(), "DATABASE_URL"},
		{with("DATABASE_URL=sqlite:/tmp/health.db"), "DATABASE_URL"},
		{with("DATABASE_URL=nonsense"), "DATABASE_URL"},
		{with("EMAIL_HOST=mail.example.org", "DEFAULT_FROM_EMAIL=a@example.org"), "DATABASE_URL PUBLIC_URL"},
		{with("EMAIL_HOST=mail.example.org", "DEFAULT_FROM_EMAIL=a@example.org", "PUBLIC_URL=https://example.org"), "DATABASE_URL"},
		{with("LISTEN=:8080"), "DATABASE_URL"}, // an image for servers too sets it
	} {
		if got, text := wrongNames(c.environ...); strings.Join(got, " ") != c.want {
			t.Errorf("mistakes of %q = %s, want of %s", c.environ, text, c.want)
		}
	}
}

func TestSettingsOnLambda(t *testing.T) {
	environ := append([]string{"DATABASE_URL=postgres://u:p@localhost/health", "LISTEN=:8080", "AUDIT_CHECKPOINTS=trail"}, onLambda...)
	s, notices, err := readSettings(environ, true)
	if err != nil || !s.Lambda || s.AuditCheckpoints != "" || s.LogFormat != "json" {
		t.Errorf("readSettings = Lambda %t, checkpoints in %q, log %s, error %v, want Lambda, no file, json", s.Lambda, s.AuditCheckpoints, s.LogFormat, err)
	}
	for most, want := range map[string]int{"": 2, "AWS_LAMBDA_MAX_CONCURRENCY=4": 8, "DATABASE_MAX_CONNECTIONS=5": 5} {
		if got := read(t, append([]string{most}, environ...)...).DatabaseMaxConnections; got != want {
			t.Errorf("connections with %q = %d, want %d", most, got, want)
		}
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "AUDIT_CHECKPOINTS is ignored") {
		t.Errorf("notices = %q, want one on AUDIT_CHECKPOINTS", notices)
	}
}

func TestSQLiteIsRefusedOnLambdaWithTheLineThatSaysWhatToSet(t *testing.T) {
	m := newMachine(t, append([]string{"DATABASE_URL="}, onLambda...)...) // none is set
	for _, args := range [][]string{nil, {"serve"}} {
		code, out, err := m.run("", args...)
		if code != exitUsage || out != "" || !strings.Contains(err, "DATABASE_URL: must be postgres://") || strings.Count(err, "\n") != 2 {
			t.Errorf("%q = exit %d, %s%s, want exit %d and a line on DATABASE_URL alone", args, code, out, err, exitUsage)
		}
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(m.dir), "*"))
	if err != nil || len(files) > 0 {
		t.Errorf("files = %q, %v, want none", files, err)
	}
	if _, err := os.Stat("data"); err == nil {
		t.Error("the directory data was made, want none")
	}
}
