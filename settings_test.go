package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"healthrecords/store"
)

// strongSecret is random, and made for these tests alone.
const strongSecret = "Jm0yXhVqUo1mT3gk6u5gQb7W2s9d0RzPfYcLxNvAeHo"

// read returns the settings of an environment that must be good.
func read(t *testing.T, environ ...string) settings {
	t.Helper()
	s, _, err := readSettings(environ, false)
	if err != nil {
		t.Fatalf("readSettings(%q) error = %v, want nil", environ, err)
	}
	return s
}

// wrongNames returns the names that the mistakes of an environment begin with,
// and their whole text.
func wrongNames(environ ...string) (names []string, text string) {
	_, _, err := readSettings(environ, false)
	if err == nil {
		return nil, ""
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		name, _, _ := strings.Cut(line, ": ")
		names = append(names, name)
	}
	return names, err.Error()
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsOfAnEmptyEnvironment(t *testing.T) {
	s := read(t)
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"Listen", s.Listen, "127.0.0.1:8000"},
		{"DataDir", s.DataDir, "data"},
		{"DatabaseURL", string(s.DatabaseURL), "sqlite:data/health.db"},
		{"SQLitePath", s.SQLitePath, "data/health.db"},
		{"SecretKey", len(s.SecretKey), 0},
		{"DataKey", len(s.DataKey), 0},
		{"AllowedHosts", s.AllowedHosts, []string{"localhost", "127.0.0.1", "[::1]"}},
		{"PublicURL", s.PublicURL, "http://127.0.0.1:8000"},
		{"PublicURLSet", s.PublicURLSet, false},
		{"CORSAllowedOrigins", len(s.CORSAllowedOrigins), 0},
		{"TrustedProxies", len(s.TrustedProxies), 0},
		{"TLSCert", s.TLSCert, ""},
		{"TLSKey", s.TLSKey, ""},
		{"AllowInsecureHTTP", s.AllowInsecureHTTP, false},
		{"RegistrationOpen", s.RegistrationOpen, true},
		{"PasswordMinLength", s.PasswordMinLength, 15},
		{"AccessTokenLifetime", s.AccessTokenLifetime, 5 * time.Minute},
		{"RefreshTokenLifetime", s.RefreshTokenLifetime, 24 * time.Hour},
		{"SessionLifetime", s.SessionLifetime, 720 * time.Hour},
		{"IdlePatients", s.IdlePatients, 24 * time.Hour},
		{"IdleOthers", s.IdleOthers, 12 * time.Hour},
		{"RequireOTP", len(s.RequireOTP), 0},
		{"EmailHost", s.EmailHost, ""},
		{"EmailPort", s.EmailPort, 587},
		{"EmailUseTLS", s.EmailUseTLS, true},
		{"EmailUseSSL", s.EmailUseSSL, false},
		{"DefaultFromEmail", s.DefaultFromEmail.Address, "healthrecords@localhost"},
		{"LogLevel", s.LogLevel, slog.LevelInfo},
		{"LogFormat", s.LogFormat, "json"},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestAnEmptyVariableIsUnset(t *testing.T) {
	environ := []string{"LISTEN=", "PORT=", "SECRET_KEY=", "SECRET_KEY_FILE=", "DATA_KEY=", "DATABASE_URL=", "ALLOWED_HOSTS=",
		"PUBLIC_URL=", "EMAIL_HOST=", "EMAIL_USE_TLS=", "LOG_LEVEL=", "HEALTHRECORDS_X=", "AWS_LAMBDA_RUNTIME_API=", "DJANGO_SETTINGS_MODULE="}
	s, notices, err := readSettings(environ, false)
	if err != nil || len(notices) != 0 {
		t.Fatalf("readSettings = %q, %v, want neither notice nor error", notices, err)
	}
	if want := read(t); !reflect.DeepEqual(s, want) {
		t.Errorf("settings of empty variables = %v, want those of none, %v", s, want)
	}
}

func TestListenAndPort(t *testing.T) {
	for _, c := range []struct{ listen, port, want string }{
		{"localhost:9000", "", "localhost:9000"},
		{"[::1]:9000", "", "[::1]:9000"},
		{"127.8.9.1:0", "", "127.8.9.1:0"},
		{"", "8080", ":8080"},
		{"127.0.0.1:8080", "8080", "127.0.0.1:8080"},
		{"0.0.0.0:80", "", "0.0.0.0:80"},
		{":80", "", ":80"},
		{"health.example.org:80", "", "health.example.org:80"},
	} {
		s := read(t, "LISTEN="+c.listen, "PORT="+c.port, "ALLOW_INSECURE_HTTP=1")
		if s.Listen != c.want {
			t.Errorf("Listen for LISTEN=%s PORT=%s = %s, want %s", c.listen, c.port, s.Listen, c.want)
		}
	}
}

func TestListeningBeyondLoopback(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "a.example.org")
	for _, listen := range []string{"LISTEN=0.0.0.0:8000", "LISTEN=[::]:8000", "LISTEN=:8000", "PORT=8000", "LISTEN=10.0.0.1:8000", "LISTEN=localhost.example.org:8000"} {
		for _, more := range [][]string{nil, {"ALLOW_INSECURE_HTTP=0"}, {"ALLOWED_HOSTS=example.org"}} {
			if got, _ := wrongNames(append(more, listen)...); !slices.Equal(got, []string{"LISTEN"}) {
				t.Errorf("mistakes of %s %q = %q, want LISTEN", listen, more, got)
			}
		}
		for _, more := range [][]string{{"ALLOW_INSECURE_HTTP=1"}, {"TRUSTED_PROXIES=10.0.0.0/8"}, {"TLS_CERT=" + cert, "TLS_KEY=" + key}} {
			if got, _ := wrongNames(append(more, listen)...); got != nil {
				t.Errorf("mistakes of %s %q = %q, want none", listen, more, got)
			}
		}
	}
	for _, listen := range []string{"localhost:8000", "127.0.0.2:8000", "[::1]:8000", "[::ffff:127.0.0.1]:8000"} {
		if got, _ := wrongNames("LISTEN=" + listen); got != nil {
			t.Errorf("mistakes of LISTEN=%s = %q, want none", listen, got)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    []string
	}{
		{[]string{"ALLOWED_HOSTS=Example.org, .example.NET,192.0.2.1,[2001:DB8:0::1],::1,a_b"},
			[]string{"example.org", ".example.net", "192.0.2.1", "[2001:db8::1]", "[::1]", "a_b"}},
		{[]string{"LISTEN=127.0.0.1:1"}, []string{"localhost", "127.0.0.1", "[::1]"}},
		{[]string{"LISTEN=127.0.0.5:1"}, []string{"localhost", "127.0.0.1", "[::1]", "127.0.0.5"}},
		{[]string{"LISTEN=[2001:db8::5]:1", "ALLOW_INSECURE_HTTP=1"}, []string{"localhost", "127.0.0.1", "[::1]", "[2001:db8::5]"}},
		{[]string{"LISTEN=Health.example.org:1", "ALLOW_INSECURE_HTTP=1"}, []string{"localhost", "127.0.0.1", "[::1]", "health.example.org"}},
		{[]string{"LISTEN=0.0.0.0:1", "ALLOW_INSECURE_HTTP=1"}, []string{"localhost", "127.0.0.1", "[::1]"}},
		{[]string{"PORT=1", "ALLOW_INSECURE_HTTP=1"}, []string{"localhost", "127.0.0.1", "[::1]"}},
	} {
		if got := read(t, c.environ...).AllowedHosts; !slices.Equal(got, c.want) {
			t.Errorf("AllowedHosts of %q = %q, want %q", c.environ, got, c.want)
		}
	}
}

func TestPublicURL(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "a.example.org")
	for _, c := range []struct {
		environ []string
		want    string
		set     bool
	}{
		{[]string{"PUBLIC_URL=https://Health.Example.org/"}, "https://health.example.org", true},
		{[]string{"PUBLIC_URL=HTTP://example.org:8080/Records//"}, "http://example.org:8080/Records", true},
		{[]string{"PUBLIC_URL=http://[::1]:80"}, "http://[::1]:80", true},
		{[]string{"LISTEN=localhost:80"}, "http://localhost", false},
		{[]string{"LISTEN=[::1]:8000"}, "http://[::1]:8000", false},
		{[]string{"PORT=8080", "ALLOW_INSECURE_HTTP=1"}, "http://localhost:8080", false},
		{[]string{"LISTEN=0.0.0.0:443", "TLS_CERT=" + cert, "TLS_KEY=" + key}, "https://localhost", false},
	} {
		if s := read(t, c.environ...); s.PublicURL != c.want || s.PublicURLSet != c.set {
			t.Errorf("PublicURL, PublicURLSet of %q = %s, %t, want %s, %t", c.environ, s.PublicURL, s.PublicURLSet, c.want, c.set)
		}
	}
}

func TestOriginsAndProxies(t *testing.T) {
	s := read(t, "CORS_ALLOWED_ORIGINS=https://app.example.org, http://localhost:3000,http://[::1]:5173,capacitor://localhost",
		"TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.7,2001:db8::/32,::1")
	origins := []string{"https://app.example.org", "http://localhost:3000", "http://[::1]:5173", "capacitor://localhost"}
	if !slices.Equal(s.CORSAllowedOrigins, origins) {
		t.Errorf("CORSAllowedOrigins = %q, want %q", s.CORSAllowedOrigins, origins)
	}
	var networks []netip.Prefix
	for _, text := range []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::1/128"} {
		networks = append(networks, netip.MustParsePrefix(text))
	}
	if !slices.Equal(s.TrustedProxies, networks) {
		t.Errorf("TrustedProxies = %v, want %v", s.TrustedProxies, networks)
	}
}

func TestDatabase(t *testing.T) {
	for _, c := range []struct{ environ, url, path string }{
		{"DATA_DIR=/var/lib/health", "sqlite:/var/lib/health/health.db", "/var/lib/health/health.db"},
		{"DATABASE_URL=sqlite:/srv/records.db", "sqlite:/srv/records.db", "/srv/records.db"},
		{"DATABASE_URL=sqlite:a b.db", "sqlite:a b.db", "a b.db"},
	} {
		if s := read(t, c.environ); string(s.DatabaseURL) != c.url || s.SQLitePath != c.path {
			t.Errorf("DatabaseURL, SQLitePath of %s = %s, %s, want %s, %s", c.environ, string(s.DatabaseURL), s.SQLitePath, c.url, c.path)
		}
	}
}

func TestDataKeySpellings(t *testing.T) {
	key := []byte("\xff\xfb\xef 32 bytes in every encoding.\xfe")
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key),
		base64.URLEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
		hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
	} {
		if got, err := decodeKeys(read(t, "DATA_KEY="+text).DataKey); err != nil || !bytes.Equal(got[0], key) {
			t.Errorf("DataKey of %d characters = %x, want %x", len(text), got, key)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{strongSecret, strongSecret},
		{strongSecret + "\n", strongSecret},
		{strongSecret + "\r\n", strongSecret},
		{strongSecret + "\n\n", strongSecret + "\n"},
		{strongSecret + "\r", strongSecret + "\r"},
		{" " + strongSecret + " \n", " " + strongSecret + " "},
	} {
		if got := read(t, "SECRET_KEY_FILE="+writeFile(t, c.content)).SecretKey; string(got) != c.want {
			t.Errorf("SecretKey of a file %q = %q, want %q", c.content, string(got), c.want)
		}
	}

	s := read(t, "DATABASE_URL_FILE="+writeFile(t, "sqlite:x.db\n"), "DATA_KEY_FILE="+writeFile(t, strings.Repeat("0f1e2d3c", 8)+"\n"),
		"EMAIL_HOST=mail.example.org", "EMAIL_HOST_USER=u", "EMAIL_HOST_PASSWORD_FILE="+writeFile(t, "p w\n"), "DEFAULT_FROM_EMAIL=a@example.org")
	if s.SQLitePath != "x.db" || len(s.DataKey) == 0 || string(s.EmailHostPassword) != "p w" {
		t.Errorf("database, data key's length, password from files = %q, %d, %q, want x.db, 32, p w", s.SQLitePath, len(s.DataKey), string(s.EmailHostPassword))
	}
}

func TestEmail(t *testing.T) {
	sender := "DEFAULT_FROM_EMAIL=Practice <practice@example.org>"
	for _, c := range []struct {
		environ  []string
		port     int
		tls, ssl bool
	}{
		{[]string{"EMAIL_HOST=mail.example.org"}, 587, true, false},
		{[]string{"EMAIL_HOST=mail.example.org", "EMAIL_USE_SSL=true"}, 465, false, true},
		{[]string{"EMAIL_HOST=mail.example.org", "EMAIL_USE_SSL=1", "EMAIL_USE_TLS=0", "EMAIL_PORT=2465"}, 2465, false, true},
		{[]string{"EMAIL_HOST=mail.example.org", "EMAIL_USE_TLS=True", "EMAIL_USE_SSL=FALSE"}, 587, true, false},
		{[]string{"EMAIL_HOST=localhost", "EMAIL_USE_TLS=0", "EMAIL_PORT=1025"}, 1025, false, false},
		{[]string{"EMAIL_HOST=::1", "EMAIL_USE_TLS=false"}, 587, false, false},
	} {
		s := read(t, append(c.environ, sender)...)
		if s.EmailPort != c.port || s.EmailUseTLS != c.tls || s.EmailUseSSL != c.ssl {
			t.Errorf("port, TLS, SSL of %q = %d, %t, %t, want %d, %t, %t", c.environ, s.EmailPort, s.EmailUseTLS, s.EmailUseSSL, c.port, c.tls, c.ssl)
		}
		if s.DefaultFromEmail.Name != "Practice" || s.DefaultFromEmail.Address != "practice@example.org" {
			t.Errorf("DefaultFromEmail = %v, want Practice <practice@example.org>", s.DefaultFromEmail)
		}
	}
}

func TestLog(t *testing.T) {
	for _, c := range []struct {
		environ  []string
		terminal bool
		level    slog.Level
		format   string
	}{
		{nil, true, slog.LevelInfo, "text"},
		{[]string{"LOG_FORMAT=json", "LOG_LEVEL=debug"}, true, slog.LevelDebug, "json"},
		{[]string{"LOG_FORMAT=text", "LOG_LEVEL=warn"}, false, slog.LevelWarn, "text"},
		{[]string{"LOG_LEVEL=error"}, false, slog.LevelError, "json"},
	} {
		s, _, err := readSettings(c.environ, c.terminal)
		if err != nil || s.LogLevel != c.level || s.LogFormat != c.format {
			t.Errorf("level, format of %q, terminal %t = %v, %s, %v, want %v, %s", c.environ, c.terminal, s.LogLevel, s.LogFormat, err, c.level, c.format)
		}
	}
}

func TestAccountSettings(t *testing.T) {
	s := read(t, "REGISTRATION=closed", "PASSWORD_MIN_LENGTH=8", "ACCESS_TOKEN_LIFETIME=90s", "REFRESH_TOKEN_LIFETIME=1m30s", "SESSION_LIFETIME=90s")
	if s.RegistrationOpen || s.PasswordMinLength != 8 {
		t.Errorf("RegistrationOpen, PasswordMinLength = %t, %d, want false, 8", s.RegistrationOpen, s.PasswordMinLength)
	}
	const want = 90 * time.Second
	if s.AccessTokenLifetime != want || s.RefreshTokenLifetime != want || s.SessionLifetime != want {
		t.Errorf("lifetimes = %v, %v, %v, want %v each", s.AccessTokenLifetime, s.RefreshTokenLifetime, s.SessionLifetime, want)
	}
}

func TestIdleTimeout(t *testing.T) {
	for _, c := range []struct {
		environ          []string
		patients, others time.Duration
	}{
		{[]string{"IDLE_TIMEOUT=8h"}, 8 * time.Hour, 8 * time.Hour},
		{[]string{"IDLE_TIMEOUT=1h, 10m"}, time.Hour, 10 * time.Minute},
		{[]string{"IDLE_TIMEOUT=0"}, 0, 0},
		{[]string{"IDLE_TIMEOUT=0,30m"}, 0, 30 * time.Minute},
		{[]string{"IDLE_TIMEOUT=2m", "ACCESS_TOKEN_LIFETIME=1m"}, 2 * time.Minute, 2 * time.Minute},
	} {
		s := read(t, c.environ...)
		if s.IdlePatients != c.patients || s.IdleOthers != c.others {
			t.Errorf("idle of %q = %v, %v, want %v, %v", c.environ, s.IdlePatients, s.IdleOthers, c.patients, c.others)
		}
	}
}

func TestRequireOTP(t *testing.T) {
	if got, want := read(t, "REQUIRE_OTP=staff, doctor").RequireOTP, []store.Role{store.Staff, store.DoctorRole}; !slices.Equal(got, want) {
		t.Errorf("RequireOTP = %q, want %q", got, want)
	}
}

// TestMistakes holds every rule that refuses a start: the environment, and the
// names that the lines of the error begin with.
func TestMistakes(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "a.example.org")
	_, otherKey := writePair(t, t.TempDir(), "b.example.org")
	mail := []string{"EMAIL_HOST=mail.example.org", "DEFAULT_FROM_EMAIL=a@example.org"}
	with := func(environ ...string) []string { return append(environ, mail...) }

	for _, c := range []struct {
		environ []string
		want    string
	}{
		{[]string{"LISTEN=8000"}, "LISTEN"},
		{[]string{"LISTEN=localhost"}, "LISTEN"},
		{[]string{"LISTEN=localhost:http"}, "LISTEN"},
		{[]string{"LISTEN=localhost:65536"}, "LISTEN"},
		{[]string{"LISTEN=::1:8000"}, "LISTEN"},
		{[]string{"LISTEN=http://localhost:8000"}, "LISTEN"},
		{[]string{"LISTEN=localhost:8000\n"}, "LISTEN"},
		{[]string{"LISTEN=local host:8000"}, "LISTEN"},
		{[]string{"LISTEN=256.0.0.1:8000"}, "LISTEN"},
		{[]string{"PORT=:8000"}, "PORT"},
		{[]string{"PORT=-1"}, "PORT"},
		{[]string{"LISTEN=127.0.0.1:8000", "PORT=8001"}, "PORT"},

		{[]string{"DATABASE_URL=data/health.db"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=sqlite:"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=sqlite:data/"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=sqlite:///data/health.db"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=sqlite::memory:"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=sqlite:a.db?mode=memory"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=mysql://localhost/health"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=postgres:health"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=postgres://localhost/health"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL=postgresql://localhost/health"}, "DATABASE_URL"},
		{[]string{"DATABASE_URL_FILE=" + writeFile(t, "postgres://localhost/health\n")}, "DATABASE_URL"},

		{[]string{"SECRET_KEY=short"}, "SECRET_KEY"},
		{[]string{"SECRET_KEY=" + strongSecret, "SECRET_KEY_FILE=" + writeFile(t, strongSecret)}, "SECRET_KEY"},
		{[]string{"SECRET_KEY_FILE=" + filepath.Join(t.TempDir(), "none")}, "SECRET_KEY_FILE"},
		{[]string{"SECRET_KEY_FILE=" + t.TempDir()}, "SECRET_KEY_FILE"},
		{[]string{"SECRET_KEY_FILE=" + writeFile(t, "\n")}, "SECRET_KEY_FILE"},
		{[]string{"SECRET_KEY_FILE=" + writeFile(t, strings.Repeat(strongSecret, 2000))}, "SECRET_KEY_FILE"},
		{[]string{"DATA_KEY=" + strongSecret[1:]}, "DATA_KEY"},
		{[]string{"DATA_KEY=" + strongSecret + "=="}, "DATA_KEY"},
		{[]string{"DATA_KEY=" + strongSecret[:42] + "\n"}, "DATA_KEY"},
		{[]string{"DATA_KEY=" + strongSecret[:42] + "p"}, "DATA_KEY"}, // bits that no byte holds
		{[]string{"DATA_KEY=" + strings.Repeat("0g", 32)}, "DATA_KEY"},
		{[]string{"DATA_KEY=" + strings.Repeat("ab", 31)}, "DATA_KEY"},
		{[]string{"DATA_KEY=" + strings.Repeat("ab", 32)}, "DATA_KEY"},

		{[]string{"ALLOWED_HOSTS=*"}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=*.example.org"}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=example.org:8000"}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=https://example.org"}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=a.example.org,,b.example.org"}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=."}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=example.org."}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=bücher.example"}, "ALLOWED_HOSTS"},
		{[]string{"ALLOWED_HOSTS=-a.example,1.2.3"}, "ALLOWED_HOSTS ALLOWED_HOSTS"},

		{[]string{"PUBLIC_URL=health.example.org"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=localhost:8000"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=//example.org"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=ftp://example.org"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://example.org:"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://example.org:99999"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://example.org/?"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://example.org/?a=b"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://example.org/#"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://user:word@example.org"}, "PUBLIC_URL"},
		{[]string{"PUBLIC_URL=https://example.org/\r\nBcc: x"}, "PUBLIC_URL"},

		{[]string{"CORS_ALLOWED_ORIGINS=*"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=null"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=https://*.example.org"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=https://example.org/"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=https://Example.org"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=HTTPS://example.org"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=https://example.org:443"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=https://u@example.org"}, "CORS_ALLOWED_ORIGINS"},
		{[]string{"CORS_ALLOWED_ORIGINS=example.org"}, "CORS_ALLOWED_ORIGINS"},

		{[]string{"TRUSTED_PROXIES=proxy.example.org"}, "TRUSTED_PROXIES"},
		{[]string{"TRUSTED_PROXIES=10.0.0.0/33"}, "TRUSTED_PROXIES"},
		{[]string{"TRUSTED_PROXIES=10.0.0.1/8"}, "TRUSTED_PROXIES"},
		{[]string{"TRUSTED_PROXIES=::ffff:10.0.0.1"}, "TRUSTED_PROXIES"},
		{[]string{"TRUSTED_PROXIES=fe80::1%eth0"}, "TRUSTED_PROXIES"},
		{[]string{"TRUSTED_PROXIES=x", "LISTEN=:80"}, "TRUSTED_PROXIES"},

		{[]string{"TLS_CERT=" + cert}, "TLS_KEY"},
		{[]string{"TLS_KEY=" + key}, "TLS_CERT"},
		{[]string{"TLS_CERT=" + cert, "TLS_KEY=" + otherKey}, "TLS_CERT"},
		{[]string{"TLS_CERT=" + cert, "TLS_KEY=" + key + ".gone"}, "TLS_CERT"},
		{[]string{"ALLOW_INSECURE_HTTP=yes", "LISTEN=:80"}, "ALLOW_INSECURE_HTTP"},

		{[]string{"REGISTRATION=invited"}, "REGISTRATION"},
		{[]string{"PASSWORD_MIN_LENGTH=7"}, "PASSWORD_MIN_LENGTH"},
		{[]string{"PASSWORD_MIN_LENGTH=1025"}, "PASSWORD_MIN_LENGTH"},
		{[]string{"PASSWORD_MIN_LENGTH=many"}, "PASSWORD_MIN_LENGTH"},
		{[]string{"ACCESS_TOKEN_LIFETIME=5m1s"}, "ACCESS_TOKEN_LIFETIME"},
		{[]string{"ACCESS_TOKEN_LIFETIME=300"}, "ACCESS_TOKEN_LIFETIME"},
		{[]string{"ACCESS_TOKEN_LIFETIME=0"}, "ACCESS_TOKEN_LIFETIME"},
		{[]string{"ACCESS_TOKEN_LIFETIME=-5m"}, "ACCESS_TOKEN_LIFETIME"},
		{[]string{"ACCESS_TOKEN_LIFETIME=1500ms"}, "ACCESS_TOKEN_LIFETIME"},
		{[]string{"REFRESH_TOKEN_LIFETIME=4m"}, "REFRESH_TOKEN_LIFETIME"},
		{[]string{"REFRESH_TOKEN_LIFETIME=30d"}, "REFRESH_TOKEN_LIFETIME"},
		{[]string{"SESSION_LIFETIME=23h"}, "SESSION_LIFETIME"},
		{[]string{"REFRESH_TOKEN_LIFETIME=721h"}, "SESSION_LIFETIME"},
		{[]string{"IDLE_TIMEOUT=9m59s"}, "IDLE_TIMEOUT"},
		{[]string{"IDLE_TIMEOUT=-1h"}, "IDLE_TIMEOUT"},
		{[]string{"IDLE_TIMEOUT=3600"}, "IDLE_TIMEOUT"},
		{[]string{"IDLE_TIMEOUT=1h,2h,3h"}, "IDLE_TIMEOUT"},
		{[]string{"IDLE_TIMEOUT=1h,"}, "IDLE_TIMEOUT"},
		{[]string{"REQUIRE_OTP=all"}, "REQUIRE_OTP"},
		{[]string{"REQUIRE_OTP=staff,operator,nobody"}, "REQUIRE_OTP REQUIRE_OTP"},

		{[]string{"EMAIL_HOST=mail.example.org"}, "DEFAULT_FROM_EMAIL"},
		{[]string{"DEFAULT_FROM_EMAIL=practice"}, "DEFAULT_FROM_EMAIL"},
		{[]string{"DEFAULT_FROM_EMAIL=a@example.org, b@example.org"}, "DEFAULT_FROM_EMAIL"},
		{[]string{"EMAIL_PORT=25"}, "EMAIL_PORT"},
		{[]string{"EMAIL_USE_TLS=1"}, "EMAIL_USE_TLS"},
		{[]string{"EMAIL_HOST_PASSWORD=" + strongSecret, "EMAIL_HOST_USER=u"}, "EMAIL_HOST_PASSWORD EMAIL_HOST_USER"},
		{[]string{"EMAIL_HOST_PASSWORD_FILE=" + writeFile(t, "p")}, "EMAIL_HOST_PASSWORD_FILE"},
		{[]string{"EMAIL_HOST=mail.example.org:25", mail[1]}, "EMAIL_HOST"},
		{with("EMAIL_PORT=0"), "EMAIL_PORT"},
		{with("EMAIL_USE_TLS=0"), "EMAIL_USE_TLS"},
		{with("EMAIL_USE_TLS=1", "EMAIL_USE_SSL=1"), "EMAIL_USE_TLS"},
		{with("EMAIL_USE_TLS=on"), "EMAIL_USE_TLS"},
		{with("EMAIL_HOST_USER=u"), "EMAIL_HOST_PASSWORD"},
		{with("EMAIL_HOST_PASSWORD=p"), "EMAIL_HOST_USER"},
		{with("EMAIL_HOST_USER=u", "EMAIL_HOST_PASSWORD=p", "EMAIL_HOST_PASSWORD_FILE="+writeFile(t, "p")), "EMAIL_HOST_PASSWORD"},

		{[]string{"LOG_LEVEL=info+1"}, "LOG_LEVEL"},
		{[]string{"LOG_FORMAT=xml"}, "LOG_FORMAT"},
		{[]string{"HEALTHRECORDS_DEBUG=1"}, `"HEALTHRECORDS_DEBUG"`},
		{[]string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001"}, "AWS_LAMBDA_RUNTIME_API"},

		{[]string{"LISTEN=x", "SECRET_KEY=short", "DATA_KEY=short", "REGISTRATION=x", "EMAIL_PORT=x", "LOG_LEVEL=x", "HEALTHRECORDS_B=1", "HEALTHRECORDS_A=1"},
			`LISTEN SECRET_KEY DATA_KEY REGISTRATION EMAIL_PORT EMAIL_PORT LOG_LEVEL "HEALTHRECORDS_A" "HEALTHRECORDS_B"`},
	} {
		if got, text := wrongNames(c.environ...); strings.Join(got, " ") != c.want {
			t.Errorf("mistakes of %q = %s, want of %s", c.environ, text, c.want)
		}
	}
}

// TestMistakesQuoteNoValue puts a marker into every variable in turn, as part of
// a value that is refused.
func TestMistakesQuoteNoValue(t *testing.T) {
	const marker = "xyzzymarker"
	for _, c := range []struct{ environ, want string }{
		{"SECRET_KEY=" + marker, "SECRET_KEY"},
		{"SECRET_KEY_FILE=/" + marker, "SECRET_KEY_FILE"},
		{"SECRET_KEY_FILE=" + writeFile(t, marker), "SECRET_KEY"},
		{"DATA_KEY=" + marker, "DATA_KEY"},
		{"DATA_KEY_FILE=" + writeFile(t, marker), "DATA_KEY"},
		{"EMAIL_HOST_PASSWORD=" + marker, "EMAIL_HOST_PASSWORD"},
		{"DATABASE_URL=postgres://u:" + marker + "@localhost/health", "DATABASE_URL"},
		{"DATABASE_URL=postgres://u:" + marker + "@local host/%zz", "DATABASE_URL"},
		{"DATABASE_URL=mysql://u:" + marker + "@localhost/health", "DATABASE_URL"},
		{"PUBLIC_URL=https://u:" + marker + "@example.org/%zz", "PUBLIC_URL"},
		{"CORS_ALLOWED_ORIGINS=https://u:" + marker + "@example.org", "CORS_ALLOWED_ORIGINS"},
		{"LISTEN=" + marker, "LISTEN"},
		{"PORT=" + marker, "PORT"},
		{"TLS_KEY=" + marker, "TLS_CERT"},
		{"SESSION_LIFETIME=" + marker, "SESSION_LIFETIME"},
		{"PASSWORD_MIN_LENGTH=" + marker, "PASSWORD_MIN_LENGTH"},
		{"DEFAULT_FROM_EMAIL=" + marker, "DEFAULT_FROM_EMAIL"},
		{"HEALTHRECORDS_KEY=" + marker, `"HEALTHRECORDS_KEY"`},
	} {
		got, text := wrongNames(c.environ)
		if !slices.Contains(got, c.want) {
			t.Errorf("mistakes of %s = %q, want %s", c.environ, got, c.want)
		}
		if strings.Contains(text, marker) {
			t.Errorf("mistakes of %s = %s, want no value in them", c.environ, text)
		}
	}
	_, text := wrongNames("TLS_CERT="+marker, "TLS_KEY="+marker)
	if text == "" || strings.Contains(text, marker) {
		t.Errorf("mistakes of files that are none = %q, want some without the value", text)
	}
}

func TestNotices(t *testing.T) {
	for _, environ := range [][]string{{"DJANGO_SETTINGS_MODULE=health.settings"}, {"DJANGO_SETTINGS_MODULE=health.settings", "PORT=x"}} {
		_, notices, _ := readSettings(environ, false)
		if len(notices) != 1 || !strings.HasPrefix(notices[0], "DJANGO_SETTINGS_MODULE is ignored") {
			t.Errorf("notices of %q = %q, want one of DJANGO_SETTINGS_MODULE", environ, notices)
		}
	}
}

// TestSettingsShowNoSecret writes settings in every way that could end in a log.
func TestSettingsShowNoSecret(t *testing.T) {
	const password = "xyzzyPassword"
	s := read(t, "SECRET_KEY="+strongSecret, "DATA_KEY="+strongSecret, "DATABASE_URL=sqlite:"+password,
		"EMAIL_HOST=localhost", "EMAIL_HOST_USER=u", "EMAIL_HOST_PASSWORD="+password, "DEFAULT_FROM_EMAIL=a@localhost")
	s.SQLitePath = "" // no secret by itself

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", s.EmailHostPassword)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "settings", s, "pointer", &s, "password", s.EmailHostPassword, "key", s.DataKey)
	}
	if err := json.NewEncoder(&out).Encode(s); err != nil {
		t.Fatal(err)
	}
	for _, value := range [][]byte{s.SecretKey, s.DataKey, s.EmailHostPassword} {
		decimal := strings.Trim(fmt.Sprint([]byte(value)), "[]")
		for _, shown := range []string{string(value), hex.EncodeToString(value), decimal, base64.StdEncoding.EncodeToString(value)} {
			if strings.Contains(strings.ToLower(out.String()), strings.ToLower(shown)) {
				t.Errorf("output holds a secret as %.12q…, want none", shown)
			}
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error(`output holds no "[secret]", want one for each secret`)
	}
	if empty := fmt.Sprint(secret(nil)); empty != "" {
		t.Errorf("Sprint(secret(nil)) = %q, want nothing", empty)
	}
}

func FuzzReadSettings(f *testing.F) {
	f.Add("LISTEN", "[::1]:8000")
	f.Add("PUBLIC_URL", "https://example.org/a/")
	f.Add("ALLOWED_HOSTS", ".example.org,[::1]")
	f.Add("CORS_ALLOWED_ORIGINS", "https://example.org")
	f.Add("TRUSTED_PROXIES", "10.0.0.0/8,::1")
	f.Add("DATABASE_URL", "sqlite:x.db")
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.HasSuffix(name, "_FILE") || strings.HasPrefix(name, "TLS_") {
			return // no files of a fuzzer's choice
		}
		s, _, err := readSettings([]string{name + "=" + value}, false)
		if err != nil {
			return
		}
		for _, host := range s.AllowedHosts {
			if again, problem := parseAllowedHost(host); again != host || problem != "" {
				t.Errorf("parseAllowedHost(%q) = %q, %q, want the same again", host, again, problem)
			}
		}
		if again, _, err := readSettings([]string{"PUBLIC_URL=" + s.PublicURL}, false); err != nil || again.PublicURL != s.PublicURL {
			t.Errorf("PUBLIC_URL=%q gives %q, %v, want the same again", s.PublicURL, again.PublicURL, err)
		}
		for _, network := range s.TrustedProxies {
			if !network.IsValid() {
				t.Errorf("TRUSTED_PROXIES=%q gives an invalid network", value)
			}
		}
	})
}
