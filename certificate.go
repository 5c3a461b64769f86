package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate serves TLS from the files of TLS_CERT and TLS_KEY and takes a
// renewed pair without a restart. While the files on disk do not make a pair,
// as between the writing of one and of the other, the last good one is served.
type certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu     sync.Mutex
	looked time.Time
	seen   [2]os.FileInfo // the files as of the last attempt; nil for a missing one
	pair   *tls.Certificate
}

// lookEvery is how long a pair is served before the files are looked at again:
// two stats a second cost nothing beside the handshakes.
const lookEvery = time.Second

// openCertificate loads the pair of files. It fails when they do not make one.
func openCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, now: now, log: log}
	c.looked, c.seen = now(), c.look()
	pair, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c.pair = pair
	return c, nil
}

// config returns a configuration that serves the pair, with TLS 1.2 at least.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

// get is the GetCertificate of a [tls.Config]. It never fails.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if since := now.Sub(c.looked); since >= 0 && since < lookEvery {
		return c.pair, nil
	}
	c.looked = now
	// Looked at before they are read: what is written meanwhile is seen next time.
	if files := c.look(); c.changed(files) {
		c.seen = files
		c.reload()
	}
	return c.pair, nil
}

// reload takes the pair on disk, or keeps the one at hand and says so. It runs
// once for each change of the files, and so does the warning.
func (c *certificate) reload() {
	pair, err := loadPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("the new TLS certificate does not load, the old one is kept", "error", err)
		return
	}
	c.pair = pair
	c.log.Info("the new TLS certificate is loaded")
}

func (c *certificate) look() (files [2]os.FileInfo) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			files[i] = info
		}
	}
	return files
}

func (c *certificate) changed(files [2]os.FileInfo) bool {
	for i, now := range files {
		was := c.seen[i]
		if now == nil || was == nil {
			if now != was {
				return true
			}
			continue
		}
		if !os.SameFile(was, now) || !was.ModTime().Equal(now.ModTime()) || was.Size() != now.Size() {
			return true
		}
	}
	return false
}

// loadPair reads a certificate and its key. Its error names neither file.
func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, withoutPath(err)
	}
	return &pair, nil
}
