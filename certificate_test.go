package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair writes a new certificate for name and its key into dir, over those
// that are there, and returns the files' names.
func writePair(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	replace(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return certFile, keyFile
}

// replace puts a new file in the place of path, as renewing programs do.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// servedPair is a certificate with a clock and a log of the test's own.
type servedPair struct {
	*certificate
	dir  string
	time time.Time
	log  bytes.Buffer
}

func serveTLS(t *testing.T, name string) *servedPair {
	t.Helper()
	p := &servedPair{dir: t.TempDir(), time: time.Unix(1_700_000_000, 0)}
	certFile, keyFile := writePair(t, p.dir, name)
	c, err := openCertificate(certFile, keyFile, func() time.Time { return p.time }, slog.New(slog.NewTextHandler(&p.log, nil)))
	if err != nil {
		t.Fatalf("openCertificate error = %v, want nil", err)
	}
	p.certificate = c
	return p
}

// wantName checks which certificate a client gets now.
func (p *servedPair) wantName(t *testing.T, when, want string) {
	t.Helper()
	pair, err := p.config().GetCertificate(nil)
	if err != nil {
		t.Fatalf("%s: GetCertificate error = %v, want nil", when, err)
	}
	if got := pair.Leaf.DNSNames[0]; got != want {
		t.Errorf("%s: the certificate is of %s, want of %s", when, got, want)
	}
}

func (p *servedPair) wantWarnings(t *testing.T, when string, want int) {
	t.Helper()
	if got := strings.Count(p.log.String(), "level=WARN"); got != want {
		t.Errorf("%s: %d warnings, want %d:\n%s", when, got, want, p.log.String())
	}
}

func TestCertificateIsReplaced(t *testing.T) {
	p := serveTLS(t, "old.example.org")
	writePair(t, p.dir, "new.example.org")
	p.wantName(t, "at once", "old.example.org")
	p.time = p.time.Add(time.Second)
	p.wantName(t, "a second later", "new.example.org")
	p.wantWarnings(t, "after a good replacement", 0)
}

func TestCertificateIsReplacedAfterTheClockWentBack(t *testing.T) {
	p := serveTLS(t, "old.example.org")
	writePair(t, p.dir, "new.example.org")
	p.time = p.time.Add(-time.Hour)
	p.wantName(t, "an hour earlier", "new.example.org")
}

func TestBrokenReplacement(t *testing.T) {
	p := serveTLS(t, "old.example.org")
	later := func() { p.time = p.time.Add(2 * time.Second) }

	replace(t, p.certFile, []byte("-----BEGIN CERTIFICATE-----\nbroken"))
	for range 3 {
		later()
		p.wantName(t, "broken", "old.example.org")
	}
	p.wantWarnings(t, "broken", 1)

	if err := os.Remove(p.keyFile); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		later()
		p.wantName(t, "gone", "old.example.org")
	}
	p.wantWarnings(t, "gone", 2)

	writePair(t, p.dir, "new.example.org")
	later()
	p.wantName(t, "repaired", "new.example.org")
	p.wantWarnings(t, "repaired", 2)
	if strings.Contains(p.log.String(), p.dir) {
		t.Errorf("log = %s, want no path in it", p.log.String())
	}
}

// TestHalfReplacement writes the certificate, then its key.
func TestHalfReplacement(t *testing.T) {
	p := serveTLS(t, "old.example.org")
	certFile, keyFile := writePair(t, t.TempDir(), "new.example.org")
	for _, step := range []struct{ from, to, want string }{
		{certFile, p.certFile, "old.example.org"},
		{keyFile, p.keyFile, "new.example.org"},
	} {
		if err := os.Rename(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		p.time = p.time.Add(time.Second)
		p.wantName(t, filepath.Base(step.to)+" written", step.want)
	}
}

func TestOpenCertificateRefusesWhatIsNoPair(t *testing.T) {
	certFile, keyFile := writePair(t, t.TempDir(), "a.example.org")
	_, other := writePair(t, t.TempDir(), "b.example.org")
	for _, c := range []struct{ name, cert, key string }{
		{"another's key", certFile, other},
		{"no key", certFile, keyFile + ".gone"},
		{"exchanged", keyFile, certFile},
	} {
		if got, err := openCertificate(c.cert, c.key, time.Now, slog.Default()); err == nil || got != nil {
			t.Errorf("%s: openCertificate = %v, %v, want an error", c.name, got, err)
		}
	}
}

func TestHandshakeNeedsTLS12(t *testing.T) {
	p := serveTLS(t, "a.example.org")
	for _, c := range []struct {
		version uint16
		want    bool
	}{{tls.VersionTLS11, false}, {tls.VersionTLS12, true}, {tls.VersionTLS13, true}} {
		serverEnd, clientEnd := net.Pipe()
		done := make(chan error, 1)
		go func() {
			defer serverEnd.Close()
			done <- tls.Server(serverEnd, p.config()).Handshake()
		}()
		client := tls.Client(clientEnd, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: c.version})
		err := client.Handshake()
		_ = clientEnd.Close()
		<-done
		if (err == nil) != c.want {
			t.Errorf("handshake with %s error = %v, want success %t", tls.VersionName(c.version), err, c.want)
		}
	}
}
