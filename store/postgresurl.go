package store

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lib/pq"
)

// Postgres says where a PostgreSQL database is and how it is reached.
type Postgres struct {
	Hosts    []string // host:port each, or one directory of a Unix socket
	User     string
	Database string
	SSLMode  string // disable, require, verify-ca or verify-full
	Local    bool   // it is on this machine

	settings url.Values // as they were given
	config   pq.Config  // the hosts
}

func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// ParsePostgres reads postgres://user:password@host:port/database, where several
// hosts may stand, commas between: the first that takes writes is used. Behind
// it, ?sslmode=…&sslrootcert=FILE&sslcert=FILE&sslkey=FILE, and in place of a
// host ?host=DIRECTORY&port=… of a Unix socket. Without sslmode it is disable on
// this machine, and verify-full beyond it and where sslrootcert is given; prefer and allow are refused, as they
// silently fall back to clear text. No PG… environment variable is looked at.
// The errors say what is wrong and quote nothing: the URL can hold a password.
func ParsePostgres(text string) (Postgres, error) {
	p, _, err := parsePostgres(text)
	return p, err
}

func parsePostgres(text string) (p Postgres, password string, err error) {
	u, hosts, err := splitPostgres(text)
	if err != nil {
		return p, "", err
	}
	p = Postgres{User: u.User.Username(), Database: strings.TrimPrefix(u.Path, "/"), settings: u.Query()}
	password, _ = u.User.Password()
	if p.User == "" || p.Database == "" || strings.Contains(p.Database, "/") || strings.ContainsFunc(p.User+password+p.Database, unicode.IsControl) {
		return p, "", errPostgresForm
	}
	if err := p.checkSettings(); err != nil {
		return p, "", err
	}
	if err := p.addHosts(hosts); err != nil {
		return p, "", err
	}
	return p, password, p.secure()
}

func (p *Postgres) checkSettings() error {
	for name, values := range p.settings {
		if !slices.Contains(postgresSettings, name) || len(values) != 1 || values[0] == "" {
			return errors.New("behind the question mark, write each of " + strings.Join(postgresSettings, ", ") + " once at most, and nothing else; the service sets the rest")
		}
	}
	return nil
}

var (
	errPostgresForm  = errors.New("write postgres://user:password@host:port/database; what is no letter or digit in user, password and database as %XX")
	postgresSettings = []string{"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey"}
)

// splitPostgres takes a URL apart; net/url knows one host only.
func splitPostgres(text string) (u *url.URL, hosts []string, err error) {
	_, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if !isPostgres(text) || end < 0 || strings.Contains(rest, "#") {
		return nil, nil, errPostgresForm
	}
	at := strings.LastIndex(rest[:end], "@")
	if u, err = url.Parse("postgres://" + rest[:at+1] + "host" + rest[end:]); err != nil || u.User == nil {
		return nil, nil, errPostgresForm
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, nil, errPostgresForm
	}
	if rest[at+1:end] != "" {
		hosts = strings.Split(rest[at+1:end], ",")
	}
	return u, hosts, nil
}

// addHosts takes the hosts, or the directory of a socket.
func (p *Postgres) addHosts(hosts []string) error {
	p.Local = true
	port := p.settings.Get("port")
	if directory := p.settings.Get("host"); directory != "" {
		if len(hosts) > 0 || !filepath.IsAbs(directory) {
			return errors.New("?host= is for the directory of a Unix socket alone; other hosts stand before the database's name")
		}
		return p.addHost(directory, port)
	}
	if port != "" || len(hosts) == 0 {
		return errPostgresForm
	}
	for _, host := range hosts {
		u, err := url.Parse("postgres://" + host)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" || strings.HasSuffix(host, ":") {
			return errPostgresForm
		}
		if err := p.addHost(u.Hostname(), u.Port()); err != nil {
			return err
		}
		p.Local = p.Local && isLocal(u.Hostname())
	}
	return nil
}

// isLocal tells whether a host never leaves this machine. A name other than
// localhost may resolve to anything.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func (p *Postgres) addHost(host, port string) error {
	n := uint64(5432)
	if port != "" {
		var err error
		if n, err = strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errPostgresForm
		}
	}
	if len(p.Hosts) == 0 {
		p.config.Host, p.config.Port = host, uint16(n)
	} else {
		p.config.Multi = append(p.config.Multi, pq.ConfigMultihost{Host: host, Port: uint16(n)})
		p.config.TargetSessionAttrs = pq.TargetSessionAttrsReadWrite
	}
	if filepath.IsAbs(host) {
		p.Hosts = append(p.Hosts, host)
	} else {
		p.Hosts = append(p.Hosts, net.JoinHostPort(host, strconv.FormatUint(n, 10)))
	}
	return nil
}

// secure decides how the connection is protected.
func (p *Postgres) secure() error {
	p.SSLMode = p.settings.Get("sslmode")
	certified := p.settings.Get("sslrootcert") != ""
	switch {
	case p.SSLMode == "disable" && certified:
		return errors.New("sslrootcert does nothing with sslmode=disable; leave one of them out")
	case p.SSLMode == "" && p.Local && !certified:
		p.SSLMode = "disable"
	case p.SSLMode == "":
		p.SSLMode = "verify-full"
	case p.SSLMode == "prefer" || p.SSLMode == "allow":
		return errors.New("sslmode=" + p.SSLMode + " falls back to clear text without a word; write verify-full, or disable if clear text is meant")
	case !slices.Contains([]string{"disable", "require", "verify-ca", "verify-full"}, p.SSLMode):
		return errors.New("sslmode is one of disable, require, verify-ca, verify-full")
	}
	if filepath.IsAbs(p.Hosts[0]) && p.SSLMode != "disable" {
		return errors.New("a Unix socket has no TLS; leave sslmode out")
	}
	if (p.settings.Get("sslcert") == "") != (p.settings.Get("sslkey") == "") {
		return errors.New("sslcert and sslkey go together")
	}
	return nil
}

// driverConfig is what the driver is told, all of it: what it found in the
// environment could lead elsewhere.
func (p *Postgres) driverConfig(password string) pq.Config {
	c := p.config
	c.User, c.Password, c.Database = p.User, password, p.Database
	c.SSLMode, c.SSLSNI = pq.SSLMode(p.SSLMode), true
	c.SSLRootCert, c.SSLCert, c.SSLKey = p.settings.Get("sslrootcert"), p.settings.Get("sslcert"), p.settings.Get("sslkey")
	c.ApplicationName, c.ClientEncoding, c.Datestyle = "healthrecords", "UTF8", "ISO, MDY"
	c.MinProtocolVersion, c.MaxProtocolVersion = pq.ProtocolVersion30, pq.ProtocolVersion30
	c.ConnectTimeout = connectTimeout
	// One round trip a query, and no statement that stays on the connection: a
	// pooler may give the next transaction another one.
	c.BinaryParameters = true
	return c
}

const connectTimeout = 5 * time.Second

// Name is where the database is, for a message.
func (p Postgres) Name() string {
	return "postgres://" + strings.Join(p.Hosts, ",") + "/" + url.PathEscape(p.Database)
}

// Dump is the command that backs the database up. It asks for the password, or
// finds it where PostgreSQL's programs look for it.
func (p Postgres) Dump(file string) string {
	return "pg_dump --format=custom --file=" + quote(file) + " " + quote(p.url())
}

// Load is the command that puts such a backup into an empty database.
func (p Postgres) Load(file string) string {
	return "pg_restore --exit-on-error --no-owner --dbname=" + quote(p.url()) + " " + quote(file)
}

// url is the URL without the password, for PostgreSQL's own programs.
func (p Postgres) url() string {
	u := url.URL{Scheme: "postgres", User: url.User(p.User), Host: strings.Join(p.Hosts, ","), Path: "/" + p.Database}
	query := maps.Clone(p.settings)
	if filepath.IsAbs(p.Hosts[0]) {
		u.Host = ""
	} else {
		query.Set("sslmode", p.SSLMode)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// quote makes a text one word of a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
