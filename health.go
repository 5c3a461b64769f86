package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

// healthcheck asks the running service's /readyz, over its own address.
func healthcheck(p *program, args []string) error {
	if _, err := p.flags("healthcheck", args, nil, nil); err != nil {
		return err
	}
	if err := p.configure(); err != nil {
		return err
	}
	request, client, err := p.readiness()
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the service does not answer on %s", request.URL.Host)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the service is not ready: status %d; its log says why", answer.StatusCode)
	}
	fmt.Fprintln(p.out, "ready")
	return nil
}

// readiness makes the request. It goes to this machine, so the certificate is
// not looked up by name: it must be the one in TLS_CERT.
func (p *program) readiness() (*http.Request, *http.Client, error) {
	host, port, err := net.SplitHostPort(p.settings.Listen)
	if err != nil {
		return nil, nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // "localhost" is not known to every container
	}
	scheme, transport := "http", &http.Transport{}
	if p.settings.TLSCert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = p.ownCertificate(); err != nil {
			return nil, nil, err
		}
	}
	request, err := http.NewRequestWithContext(p.ctx, "GET", scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return nil, nil, err
	}
	request.Host = strings.TrimPrefix(p.settings.AllowedHosts[0], ".")
	return request, &http.Client{Transport: transport, Timeout: 5 * time.Second}, nil
}

func (p *program) ownCertificate() (*tls.Config, error) {
	pair, err := loadPair(p.settings.TLSCert, p.settings.TLSKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		InsecureSkipVerify: true, // in favour of the comparison below
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, pair.Certificate[0]) {
				return errors.New("the server has another certificate")
			}
			return nil
		},
	}, nil
}

// findings collects what check found; the worst decides the exit code.
type findings struct {
	p     *program
	worst int
}

const (
	good    = 0
	warning = 1
	bad     = 2
)

func (f *findings) add(level int, what, remedy string) {
	fmt.Fprintf(f.p.out, "%-8s %s\n", [...]string{"good", "warning", "BAD"}[level], what)
	if remedy != "" {
		fmt.Fprintf(f.p.out, "         %s\n", remedy)
	}
	f.worst = max(f.worst, level)
}

// check looks at everything that an operator can get wrong.
func check(p *program, args []string) error {
	if _, err := p.flags("check", args, nil, nil); err != nil {
		return err
	}
	f := &findings{p: p}
	if err := p.configure(); err != nil {
		f.add(bad, "the settings are not right", strings.ReplaceAll(err.Error(), "\n", "\n         "))
		return exit(f.worst)
	}
	f.add(good, "settings", "")
	f.permissions()
	f.database()
	f.transport()
	f.mail()
	if f.worst == good {
		return nil
	}
	return exit(f.worst)
}

// permissions looks at who else on this machine can read the data and the keys.
func (f *findings) permissions() {
	c := f.p.settings
	for _, path := range []string{c.DataDir, c.SQLitePath, c.DataKeyFile, filepath.Join(c.DataDir, "secret.key"), c.TLSKey} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			f.add(bad, path+" cannot be looked at", "Run this as the user that serves.")
		case info.Mode().Perm()&0o077 != 0:
			f.add(bad, fmt.Sprintf("%s is open to others (%v)", path, info.Mode().Perm()), "chmod go= "+path)
		default:
			f.add(good, path+" is closed to others", "")
		}
	}
	if len(c.DataKey) == 0 && c.SQLitePath != "" && filepath.Dir(c.SQLitePath) == filepath.Clean(c.DataDir) {
		f.add(warning, "the keys lie beside the database", "Whoever copies the directory has both. Set DATA_KEY_FILE and SECRET_KEY_FILE to another disk, or keep the directory out of backups.")
	}
}

func (f *findings) database() {
	if err := f.p.findDatabase(); err != nil {
		f.add(warning, err.Error(), "If there is none yet: healthrecords serve makes it.")
		return
	}
	if _, err := f.p.keys(false); err != nil {
		f.add(bad, err.Error(), "")
		return
	}
	s, err := store.Open(f.p.ctx, f.p.storeOptions())
	isNew := errors.Is(err, store.ErrNoDatabase) // an empty file
	if errors.Is(err, store.ErrSchema) {
		isNew, _ = f.p.isNew()
	}
	switch {
	case isNew:
		f.add(warning, "there is no database yet", "healthrecords serve makes it.")
		return
	case err != nil:
		f.add(bad, err.Error(), "")
		return
	}
	defer s.Close()
	f.add(good, "database, schema and keys", "")
	f.anchor()
	f.staff(s)
	f.outbox(s)
	if f.p.settings.SQLitePath == "" {
		f.server(s)
		return
	}
	f.backup(s)
}

// anchor looks whether checkpoints of the trail can be kept.
func (f *findings) anchor() {
	if f.p.settings.Lambda {
		return
	}
	if err := checkAnchor(f.p.settings.AuditCheckpoints, false); err != nil {
		f.add(bad, err.Error(), "Name a file in a directory that the service can write to.")
	}
}

// server looks at what PostgreSQL itself must see to.
func (f *findings) server(s *store.Store) {
	c := f.p.settings.Postgres
	if !c.Local && c.SSLMode != "verify-full" {
		f.add(warning, "the connection to PostgreSQL is not sure to reach the right server, or is in clear text (sslmode="+c.SSLMode+")",
			"Leave sslmode out of DATABASE_URL, or write verify-full, with sslrootcert=FILE if its certificate is not known to this machine.")
	}
	unsafe, err := s.UnsafeSettings(f.p.ctx)
	switch {
	case err != nil:
		f.add(bad, "the settings of PostgreSQL cannot be read", "")
	case len(unsafe) > 0:
		f.add(bad, "a power cut can destroy the database: off on the server is "+strings.Join(unsafe, " and "), "Switch it on in postgresql.conf.")
	}
	f.add(good, "backups are PostgreSQL's own: this program does not see them", "")
}

// backup looks at the age of the last one.
func (f *findings) backup(s *store.Store) {
	last, err := s.LastBackup(f.p.ctx)
	const remedy = "healthrecords backup FILE, every day, on another disk"
	switch age := s.Now().Sub(last.Time()); {
	case err != nil:
		f.add(bad, "the time of the last backup cannot be read", "")
	case last == "":
		f.add(warning, "there is no backup yet", remedy)
	case age > 7*24*time.Hour:
		f.add(bad, fmt.Sprintf("the last backup is %d days old", int(age.Hours()/24)), remedy)
	case age > 36*time.Hour:
		f.add(warning, fmt.Sprintf("the last backup is %d hours old", int(age.Hours())), remedy)
	default:
		f.add(good, "the last backup is from "+string(last), "")
	}
}

func (f *findings) staff(s *store.Store) {
	if ok, err := s.HasStaff(f.p.ctx); err == nil && !ok {
		f.add(warning, "there is no staff account", "healthrecords createsuperuser --username U --email E")
	}
}

// outbox looks for mail that does not leave.
func (f *findings) outbox(s *store.Store) {
	o, err := s.Outbox(f.p.ctx)
	switch {
	case err != nil:
		f.add(bad, "the outbox cannot be read: "+err.Error(), "")
	case o.Failed > 0:
		f.add(warning, fmt.Sprintf("%d mails were given up in the last 30 days", o.Failed), "The log says why; tell those doctors by other means.")
	case o.Waiting > 0 && s.Now().Sub(o.Oldest) > time.Hour:
		f.add(warning, fmt.Sprintf("%d mails wait, the oldest since %s", o.Waiting, o.Oldest.Format(time.RFC3339)), "Look at EMAIL_HOST and at the mail server.")
	default:
		f.add(good, fmt.Sprintf("mail: %d wait", o.Waiting), "")
	}
}

func (f *findings) transport() {
	c := f.p.settings
	switch {
	case c.TLSCert != "":
		f.certificate()
	case c.AllowInsecureHTTP:
		f.add(warning, "health data may travel in clear text (ALLOW_INSECURE_HTTP)", "Set TLS_CERT and TLS_KEY, or put a proxy with TLS before it and set TRUSTED_PROXIES.")
	default:
		f.add(good, "no clear text beyond this machine or its proxies", "")
	}
	for _, n := range c.TrustedProxies {
		if n.Bits() == 0 {
			f.add(warning, "TRUSTED_PROXIES trusts every address", "Name the proxy's own address, or anyone can pretend to be anywhere.")
		}
	}
	if c.RegistrationOpen {
		f.add(good, "registration is open to everyone (REGISTRATION=closed leaves it to staff)", "")
	}
}

func (f *findings) certificate() {
	pair, err := loadPair(f.p.settings.TLSCert, f.p.settings.TLSKey)
	if err != nil {
		f.add(bad, "the certificate does not load", "Look at TLS_CERT and TLS_KEY.")
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	switch left := time.Until(leaf.NotAfter); {
	case err != nil || left < 0:
		f.add(bad, "the certificate is expired", "Renew it; the new files are read without a restart.")
	case left < 14*24*time.Hour:
		f.add(warning, "the certificate expires in "+counted(int(left.Hours()/24), "day", "days"), "Renew it; the new files are read without a restart.")
	default:
		f.add(good, "TLS certificate", "")
	}
}

func (f *findings) mail() {
	if f.p.settings.EmailHost == "" {
		f.add(warning, "mail is only logged", "Set EMAIL_HOST and DEFAULT_FROM_EMAIL.")
		return
	}
	sender, err := f.p.sender()
	if err == nil {
		err = sender.(*notify.SMTP).Check(f.p.ctx)
	}
	if err != nil {
		f.add(bad, "the mail server does not take mail: "+err.Error(), "Look at EMAIL_HOST, EMAIL_PORT and the other EMAIL_ settings.")
		return
	}
	f.add(good, "mail server", "")
}
