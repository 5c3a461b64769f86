package main

import (
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"healthrecords/auth"
	"healthrecords/store"
)

// settings is everything that an operator can set, read once from the
// environment. Each field says its variable, its default, what it means and
// what is refused. A secret is also taken from a file named by NAME_FILE.
type settings struct {
	// Listen is LISTEN: the address to listen on, "host:port" with a numeric
	// port; PORT alone means ":PORT". Default 127.0.0.1:8000. Refused: a PORT
	// that is not LISTEN's own, and an address beyond loopback without TLS_CERT,
	// TRUSTED_PROXIES or ALLOW_INSECURE_HTTP=1.
	Listen string

	// DataDir is DATA_DIR: the directory of the key files and of the default
	// database. Default "data".
	DataDir string

	// DatabaseURL is DATABASE_URL as it was given: "sqlite:PATH" or
	// "postgres://…". Default sqlite:DATA_DIR/health.db. Secret, because it can
	// hold a password. Refused: any other scheme, a database in memory.
	DatabaseURL secret

	// SQLitePath is the PATH of DatabaseURL, "" when that is not SQLite's.
	SQLitePath string

	// SecretKey is SECRET_KEY: the root of the token keys, its bytes as given.
	// Default none: the text of DATA_DIR/secret.key is used. Refused: what
	// [auth.CheckSecret] refuses.
	SecretKey secret

	// DataKey is DATA_KEY: the keys that encrypt health data, 32 bytes each as
	// base64, base64url or hex, with commas or white space between; the first
	// encrypts, all decrypt. Default none: DATA_DIR/data.key is used.
	DataKey secret

	// DataKeyFile is where the data keys are read from: DATA_KEY_FILE, or
	// DATA_DIR/data.key; "" when DATA_KEY itself was set.
	DataKeyFile string

	// AuditCheckpoints is AUDIT_CHECKPOINTS: the file that checkpoints of the
	// audit trail are added to. Default DATA_DIR/audit.checkpoints.
	AuditCheckpoints string

	// AllowedHosts is ALLOWED_HOSTS: the host names that are answered, in lower
	// case, without ports, IPv6 addresses in brackets; ".example.org" stands
	// for example.org and all names below it. Default localhost, 127.0.0.1,
	// [::1] and LISTEN's own host. Refused: "*".
	AllowedHosts []string

	// PublicURL is PUBLIC_URL: what links begin with, http or https, without a
	// slash at the end. Default made from LISTEN. Refused: a user, query or
	// fragment.
	PublicURL string

	// PublicURLSet tells whether PUBLIC_URL was set, not made from LISTEN.
	PublicURLSet bool

	// CORSAllowedOrigins is CORS_ALLOWED_ORIGINS: the origins whose scripts may
	// call, exactly as browsers send them. Default none. Refused: "*", a path,
	// upper case, a scheme's own port.
	CORSAllowedOrigins []string

	// TrustedProxies is TRUSTED_PROXIES: the networks, or single addresses,
	// whose X-Forwarded-For is believed. Default none. Refused: an address with
	// bits beyond its prefix.
	TrustedProxies []netip.Prefix

	// TLSCert and TLSKey are TLS_CERT and TLS_KEY: the PEM files of certificate
	// and key. Default none: HTTP in clear text. Refused: one without the
	// other, a pair that does not load.
	TLSCert, TLSKey string

	// AllowInsecureHTTP is ALLOW_INSECURE_HTTP: serve clear text beyond loopback
	// all the same. Default 0.
	AllowInsecureHTTP bool

	// RegistrationOpen is REGISTRATION: "open", the default, lets anybody make a
	// patient's or doctor's account; with "closed" only staff do.
	RegistrationOpen bool

	// PasswordMinLength is PASSWORD_MIN_LENGTH: the code points that a new
	// password has at least, 8 to 1024. Default 15.
	PasswordMinLength int

	// AccessTokenLifetime is ACCESS_TOKEN_LIFETIME, whole seconds up to 5
	// minutes. Default 5m.
	AccessTokenLifetime time.Duration

	// RefreshTokenLifetime is REFRESH_TOKEN_LIFETIME, whole seconds, not below
	// AccessTokenLifetime. Default 24h.
	RefreshTokenLifetime time.Duration

	// SessionLifetime is SESSION_LIFETIME: how long refreshing goes on after
	// sign-in; whole seconds, not below RefreshTokenLifetime. Default 720h.
	SessionLifetime time.Duration

	// IdlePatients and IdleOthers are IDLE_TIMEOUT: after how long without a
	// refresh a session is over, of patients, and of doctors and staff; "24h,12h"
	// for each, "8h" for both, 0 for never. Whole seconds. Default 24h,12h.
	// Refused: less than twice ACCESS_TOKEN_LIFETIME, for clients refresh no
	// more often than that asks for.
	IdlePatients, IdleOthers time.Duration

	// RequireOTP is REQUIRE_OTP: the roles that reach nothing but their own
	// account until they have set up one-time codes, such as "staff,doctor".
	// Default none.
	RequireOTP []store.Role

	// EmailHost is EMAIL_HOST: the SMTP server, without a port. Default none:
	// mails are logged, and any other EMAIL_ variable is refused.
	EmailHost string

	// EmailPort is EMAIL_PORT. Default 587, or 465 with EMAIL_USE_SSL=1.
	EmailPort int

	// EmailHostUser and EmailHostPassword are EMAIL_HOST_USER and
	// EMAIL_HOST_PASSWORD. Default none: mail goes without signing in.
	// Refused: one without the other.
	EmailHostUser     string
	EmailHostPassword secret

	// EmailUseTLS is EMAIL_USE_TLS: STARTTLS, or no mail. Default 1, or 0 with
	// EMAIL_USE_SSL=1. Refused: 0 without EMAIL_USE_SSL for a host beyond
	// loopback.
	EmailUseTLS bool

	// EmailUseSSL is EMAIL_USE_SSL: TLS from the first byte. Default 0. Refused:
	// 1 together with EMAIL_USE_TLS=1.
	EmailUseSSL bool

	// DefaultFromEmail is DEFAULT_FROM_EMAIL: the sender of all mail. Needed
	// with EMAIL_HOST; default healthrecords@localhost for mail that is logged.
	DefaultFromEmail mail.Address

	// LogLevel is LOG_LEVEL: debug, info, warn or error. Default info.
	LogLevel slog.Level

	// LogFormat is LOG_FORMAT: "text" or "json". Default text when standard
	// error is a terminal, else json.
	LogFormat string
}

// readSettings reads every setting from environ, "NAME=value" each as in
// [os.Environ], checks them one by one and together, and reads the files that
// they name. terminal tells whether the log goes to a terminal.
//
// The notices are lines for the operator that stop nothing. An error is of type
// [mistakes], names all of them and quotes no value; there are no settings then.
func readSettings(environ []string, terminal bool) (settings, []string, error) {
	e := parseEnvironment(environ)
	var s settings
	s.readAddresses(e)
	s.readData(e)
	s.readAccounts(e)
	s.readEmail(e)
	s.readLog(e, terminal)
	e.refuseUnsupported()
	e.refuseUnknown()
	if len(e.mistakes) > 0 {
		return settings{}, e.notices(), e.mistakes
	}
	return s, e.notices(), nil
}

// refuseUnsupported notes what is set and known but not served by this release.
func (e *environment) refuseUnsupported() {
	if strings.HasPrefix(string(e.secret("DATABASE_URL")), "postgres") && !e.mistaken("DATABASE_URL") {
		e.mistake("DATABASE_URL", "PostgreSQL is not supported by this release; use sqlite:PATH")
	}
	if e.set("AWS_LAMBDA_RUNTIME_API") {
		e.mistake("AWS_LAMBDA_RUNTIME_API", "AWS Lambda is not supported by this release; run it as a server")
	}
}

// refuseUnknown notes names that look like settings and are none: a misspelt
// one would silently leave its default in place.
func (e *environment) refuseUnknown() {
	for _, name := range e.names("HEALTHRECORDS_") {
		e.mistake(strconv.Quote(name), "there is no such setting; unset it")
	}
}

func (e *environment) notices() []string {
	if e.set("DJANGO_SETTINGS_MODULE") {
		return []string{"DJANGO_SETTINGS_MODULE is ignored: every setting is an environment variable of its own"}
	}
	return nil
}

// readAddresses reads where the service listens, by which names it is called,
// and what stands between it and its clients.
func (s *settings) readAddresses(e *environment) {
	s.Listen = e.listen()
	s.TLSCert, s.TLSKey = e.certificate()
	s.TrustedProxies = parseEach(e, "TRUSTED_PROXIES", parseNetwork)
	s.CORSAllowedOrigins = parseEach(e, "CORS_ALLOWED_ORIGINS", parseOrigin)
	s.AllowInsecureHTTP = e.boolean("ALLOW_INSECURE_HTTP", false)

	host, port, _ := net.SplitHostPort(s.Listen)
	if !loopback(host) && !s.AllowInsecureHTTP && !e.mistaken("ALLOW_INSECURE_HTTP") &&
		!e.set("TLS_CERT", "TLS_KEY", "TRUSTED_PROXIES") {
		e.mistake("LISTEN", "beyond loopback it needs TLS_CERT and TLS_KEY, TRUSTED_PROXIES or ALLOW_INSECURE_HTTP=1")
	}

	s.AllowedHosts = parseEach(e, "ALLOWED_HOSTS", parseAllowedHost)
	if !e.set("ALLOWED_HOSTS") {
		s.AllowedHosts = defaultHosts(host)
	}
	s.PublicURLSet = e.set("PUBLIC_URL")
	s.PublicURL = defaultPublicURL(host, port, s.TLSCert != "")
	if s.PublicURLSet {
		s.PublicURL = e.publicURL()
	}
}

// listen returns LISTEN, or what PORT makes of it; the default when it is wrong.
func (e *environment) listen() string {
	const fallback = "127.0.0.1:8000"
	listen, port := e.text("LISTEN"), e.text("PORT")
	if port != "" && !isPort(port) {
		e.mistake("PORT", "write a number from 0 to 65535")
		port = ""
	}
	if listen == "" && port == "" {
		return fallback
	}
	if listen == "" {
		return ":" + port
	}
	host, own, err := net.SplitHostPort(listen)
	if err != nil || !isPort(own) || host != "" && !isHost(host) {
		e.mistake("LISTEN", "write host:port with a numeric port, IPv6 in brackets, such as 127.0.0.1:8000")
		return fallback
	}
	if port != "" && port != own {
		e.mistake("PORT", "contradicts the port of LISTEN; set one of them")
	}
	return listen
}

// certificate returns TLS_CERT and TLS_KEY, once they have loaded.
func (e *environment) certificate() (cert, key string) {
	cert, key = e.text("TLS_CERT"), e.text("TLS_KEY")
	switch {
	case cert == "" && key == "":
	case cert == "":
		e.mistake("TLS_CERT", "is needed beside TLS_KEY; name the certificate's file")
	case key == "":
		e.mistake("TLS_KEY", "is needed beside TLS_CERT; name the key's file")
	default:
		if _, err := loadPair(cert, key); err != nil {
			e.mistake("TLS_CERT", "with TLS_KEY does not load: %v", err)
		}
	}
	return cert, key
}

// publicURL returns PUBLIC_URL without its trailing slashes.
func (e *environment) publicURL() string {
	text := e.text("PUBLIC_URL")
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isAuthority(u) ||
		u.User != nil || strings.ContainsAny(text, "?#") {
		e.mistake("PUBLIC_URL", "write http://host or https://host, with a port or path if need be, no user, query or fragment")
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/")
}

// readData reads where data lies and the keys that protect it.
func (s *settings) readData(e *environment) {
	s.DataDir = "data"
	if dir := e.text("DATA_DIR"); dir != "" {
		s.DataDir = dir
	}
	s.SQLitePath = filepath.Join(s.DataDir, "health.db")
	s.DatabaseURL = secret("sqlite:" + s.SQLitePath)
	if given := e.secret("DATABASE_URL"); len(given) > 0 {
		path, problem := parseDatabaseURL(string(given))
		if problem != "" {
			e.mistake("DATABASE_URL", "%s", problem)
		}
		s.DatabaseURL, s.SQLitePath = given, path
	}

	s.SecretKey = e.secret("SECRET_KEY")
	if len(s.SecretKey) > 0 {
		if err := auth.CheckSecret(s.SecretKey); err != nil {
			e.mistake("SECRET_KEY", "%v", err)
		}
	}
	if text := e.secret("DATA_KEY"); len(text) > 0 {
		if _, err := decodeKeys(text); err != nil {
			e.mistake("DATA_KEY", "%v; make a new one with: openssl rand -base64 32", err)
		}
		s.DataKey = text
	}
	if !e.set("DATA_KEY") {
		s.DataKeyFile = filepath.Join(s.DataDir, "data.key")
		if file := e.values["DATA_KEY_FILE"]; file != "" {
			s.DataKeyFile = file
		}
	}
	s.AuditCheckpoints = filepath.Join(s.DataDir, "audit.checkpoints")
	if file := e.text("AUDIT_CHECKPOINTS"); file != "" {
		s.AuditCheckpoints = file
	}
}

// parseDatabaseURL returns the path of a SQLite database, "" for PostgreSQL,
// and what is wrong. It quotes nothing: the URL can hold a password.
func parseDatabaseURL(text string) (path, problem string) {
	const form = "write sqlite:PATH or postgres://user:password@host:port/database"
	path, sqlite := strings.CutPrefix(text, "sqlite:")
	switch {
	case !sqlite:
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || !strings.Contains(text, "://") {
			return "", form
		}
		return "", ""
	case path == "" || strings.HasSuffix(path, "/") || strings.ContainsFunc(path, unicode.IsControl):
		return "", form
	case strings.HasPrefix(path, "//"):
		// Some read sqlite:///x as x, others as /x: two databases.
		return "", "write sqlite:PATH without slashes before the path; an absolute one has a single slash"
	case strings.ContainsAny(path, "?#"):
		return "", "write sqlite:PATH without parameters; the service sets its own"
	case strings.Contains(path, ":memory:"):
		return "", "a database in memory loses what was answered; write sqlite:PATH of a file"
	}
	return path, ""
}

// readAccounts reads who may come in and for how long.
func (s *settings) readAccounts(e *environment) {
	s.RegistrationOpen = e.choice("REGISTRATION", "open", "closed") == "open"
	s.PasswordMinLength = e.integer("PASSWORD_MIN_LENGTH", 15, 8, 1024)

	const access, refresh, session = "ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME", "SESSION_LIFETIME"
	s.AccessTokenLifetime = e.lifetime(access, 5*time.Minute)
	s.RefreshTokenLifetime = e.lifetime(refresh, 24*time.Hour)
	s.SessionLifetime = e.lifetime(session, 720*time.Hour)
	if s.AccessTokenLifetime > 5*time.Minute {
		e.mistake(access, "must not be above 5m")
	}
	if s.RefreshTokenLifetime < s.AccessTokenLifetime && !e.mistaken(access, refresh) {
		e.mistake(refresh, "must not be below ACCESS_TOKEN_LIFETIME")
	}
	if s.SessionLifetime < s.RefreshTokenLifetime && !e.mistaken(refresh, session) {
		e.mistake(session, "must not be below REFRESH_TOKEN_LIFETIME (24h unless set)")
	}
	s.IdlePatients, s.IdleOthers = e.idle(2 * s.AccessTokenLifetime)
	s.RequireOTP = parseEach(e, "REQUIRE_OTP", parseRole)
}

// idle returns IDLE_TIMEOUT, of patients and of the others.
func (e *environment) idle(least time.Duration) (patients, others time.Duration) {
	const name = "IDLE_TIMEOUT"
	given := parseEach(e, name, func(text string) (time.Duration, string) {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil || d < 0 || d%time.Second != 0:
			return 0, "write whole seconds, minutes or hours with their unit, such as 30m or 12h, or 0 for never"
		case d > 0 && d < least:
			return 0, "must not be below twice ACCESS_TOKEN_LIFETIME (5m unless set), or sessions in use would end"
		}
		return d, ""
	})
	switch len(given) {
	case 0:
		return 24 * time.Hour, 12 * time.Hour
	case 1:
		return given[0], given[0]
	case 2:
		return given[0], given[1]
	}
	e.mistake(name, "write one time, or two: of patients, and of doctors and staff")
	return 0, 0
}

// parseRole takes the role of an account.
func parseRole(text string) (role store.Role, problem string) {
	role = store.Role(text)
	if !slices.Contains([]store.Role{store.PatientRole, store.DoctorRole, store.Staff}, role) {
		return "", "write patient, doctor or staff"
	}
	return role, ""
}

// readEmail reads how mail leaves.
func (s *settings) readEmail(e *environment) {
	s.EmailHost = e.text("EMAIL_HOST")
	s.EmailUseSSL = e.boolean("EMAIL_USE_SSL", false)
	s.EmailUseTLS = e.boolean("EMAIL_USE_TLS", !s.EmailUseSSL)
	port := 587
	if s.EmailUseSSL {
		port = 465
	}
	s.EmailPort = e.integer("EMAIL_PORT", port, 1, 65535)
	s.EmailHostUser = e.text("EMAIL_HOST_USER")
	s.EmailHostPassword = e.secret("EMAIL_HOST_PASSWORD")
	s.DefaultFromEmail = e.sender()

	if !e.set("EMAIL_HOST") {
		for _, name := range e.names("EMAIL_") {
			if slices.Contains(emailNames, name) {
				e.mistake(name, "does nothing without EMAIL_HOST; set that too, or unset this")
			}
		}
		return
	}
	s.checkEmail(e)
}

// emailNames are the variables that mean something with EMAIL_HOST only. Others
// that begin with EMAIL_ belong to somebody else.
var emailNames = []string{
	"EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "EMAIL_HOST_PASSWORD_FILE", "EMAIL_USE_TLS", "EMAIL_USE_SSL",
}

// checkEmail notes what cannot be together when mail goes to EMAIL_HOST.
func (s *settings) checkEmail(e *environment) {
	if s.EmailHost != "" && !isHost(s.EmailHost) {
		e.mistake("EMAIL_HOST", "write a host name or address alone; the port goes into EMAIL_PORT")
	}
	if s.EmailUseTLS && s.EmailUseSSL {
		e.mistake("EMAIL_USE_TLS", "contradicts EMAIL_USE_SSL; set one of them")
	}
	if !s.EmailUseTLS && !s.EmailUseSSL && !loopback(s.EmailHost) && !e.mistaken("EMAIL_HOST", "EMAIL_USE_SSL") {
		e.mistake("EMAIL_USE_TLS", "must not be 0 for a host beyond loopback, unless EMAIL_USE_SSL=1")
	}
	user, password := e.set("EMAIL_HOST_USER"), e.set("EMAIL_HOST_PASSWORD", "EMAIL_HOST_PASSWORD_FILE")
	if user && !password {
		e.mistake("EMAIL_HOST_PASSWORD", "is needed beside EMAIL_HOST_USER")
	}
	if password && !user {
		e.mistake("EMAIL_HOST_USER", "is needed beside EMAIL_HOST_PASSWORD")
	}
	if !e.set("DEFAULT_FROM_EMAIL") {
		e.mistake("DEFAULT_FROM_EMAIL", "is needed beside EMAIL_HOST; write the sender's address")
	}
}

// sender returns DEFAULT_FROM_EMAIL.
func (e *environment) sender() mail.Address {
	text := e.text("DEFAULT_FROM_EMAIL")
	if text == "" {
		return mail.Address{Address: "healthrecords@localhost"}
	}
	from, err := mail.ParseAddress(text)
	if err != nil {
		e.mistake("DEFAULT_FROM_EMAIL", "write one address, such as Practice <practice@example.org>")
		return mail.Address{}
	}
	return *from
}

// readLog reads how the log is written.
func (s *settings) readLog(e *environment, terminal bool) {
	// The choices are what UnmarshalText knows.
	_ = s.LogLevel.UnmarshalText([]byte(e.choice("LOG_LEVEL", "info", "debug", "warn", "error")))
	formats := []string{"json", "text"}
	if terminal {
		slices.Reverse(formats)
	}
	s.LogFormat = e.choice("LOG_FORMAT", formats...)
}
