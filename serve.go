package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"healthrecords/auth"
	"healthrecords/handlers"
	"healthrecords/notify"
	"healthrecords/store"
)

// drainTime is how long requests under way may take when the service ends.
const drainTime = 25 * time.Second

// serve runs the service until it is told to end, then finishes the requests,
// the mail under way and the database, in this order: a mail that was sent must
// still be marked.
func serve(p *program, args []string) error {
	if _, err := p.flags("serve", args, nil, nil); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // who reads the log may go away
	p.collectSeldom()
	if parseEnvironment(p.environ).set("AWS_LAMBDA_RUNTIME_API") {
		return p.serveLambda()
	}
	s, madeKeys, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.Close()
	if madeKeys {
		p.welcome()
	}
	if err := checkAnchor(p.settings.AuditCheckpoints, true); err != nil {
		return err
	}
	if err := p.askForStaff(s); err != nil {
		return err
	}
	sender, err := p.sender()
	if err != nil {
		return err
	}
	h, err := p.handler(s)
	if err != nil {
		return err
	}
	server, listener, err := p.listen(h)
	if err != nil {
		return err
	}

	background, stop := context.WithCancel(context.WithoutCancel(p.ctx))
	var workers sync.WaitGroup
	workers.Go(func() { p.upkeep(s, sender).run(background) })
	defer workers.Wait()
	defer stop()
	return p.serveUntilDone(server, listener)
}

// collectSeldom lets four times what is in use fill the memory before the
// collector runs, unless GOGC says otherwise. A few MiB are in use: with the
// usual twice it runs some 50 times a second under load, which costs a fifteenth
// of all time and saves 10 MiB. What hashes took is freed by package auth.
func (p *program) collectSeldom() {
	if !parseEnvironment(p.environ).set("GOGC") {
		debug.SetGCPercent(300)
	}
}

func (p *program) serveUntilDone(server *http.Server, listener net.Listener) error {
	served, secure := make(chan error, 1), server.TLSConfig != nil // which serving changes
	go func() {
		if secure {
			served <- server.ServeTLS(listener, "", "")
		} else {
			served <- server.Serve(listener)
		}
	}()
	p.log.Info("serving", "address", listener.Addr().String(), "tls", secure)
	select {
	case err := <-served:
		return err
	case <-p.ctx.Done():
	}
	p.log.Info("ending: no new requests; those under way are finished")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("requests were cut off after %v: %w", drainTime, err)
	}
	return nil
}

// handler puts the HTTP side together.
func (p *program) handler(s *store.Store) (http.Handler, error) {
	c := p.settings
	publicURL := ""
	if c.PublicURLSet {
		publicURL = c.PublicURL
	}
	cursorKey := auth.Key(c.SecretKey, auth.Cursors)
	return handlers.New(handlers.Options{
		Store:             s,
		Tokens:            auth.NewTokens(c.SecretKey, c.AccessTokenLifetime, c.RefreshTokenLifetime),
		Hasher:            p.hasher(),
		CursorKey:         cursorKey[:],
		AccessLifetime:    c.AccessTokenLifetime,
		PasswordMinLength: c.PasswordMinLength,
		NoMail:            c.EmailHost == "",
		PublicURL:         publicURL,
		AllowedHosts:      c.AllowedHosts,
		Origins:           c.CORSAllowedOrigins,
		TrustedProxies:    c.TrustedProxies,
		Log:               p.log,
	})
}

// hasher bounds what passwords cost: a hash takes 19 MiB and one core for about
// 30 ms. Who waits behind 64 others for each core is told to come back. Attempts
// that hash are counted as failures until they are known to be none, 14 at most
// from one address, so that no more than 8 hash at once. On AWS Lambda there is
// nobody else whom a hash could delay.
func (p *program) hasher() *auth.Hasher {
	slots := min(runtime.GOMAXPROCS(0), 8)
	h := auth.NewHasher(slots, 64*slots)
	if !p.settings.Lambda {
		h.ComputeApart(newHashProcesses(slots, p.log).compute)
	}
	return h
}

// sender is the way mail leaves: the mail server, or the log where none is set.
func (p *program) sender() (notify.Sender, error) {
	c := p.settings
	if c.EmailHost == "" {
		return notify.NewLog(p.log), nil
	}
	composer, err := notify.NewComposer(c.DefaultFromEmail.String(), c.PublicURL)
	if err != nil {
		return nil, err
	}
	security := notify.Clear
	switch {
	case c.EmailUseSSL:
		security = notify.ForcedTLS
	case c.EmailUseTLS:
		security = notify.StartTLS
	}
	return notify.NewSMTP(notify.Server{
		Host: c.EmailHost, Port: c.EmailPort, User: c.EmailHostUser, Password: string(c.EmailHostPassword), Security: security,
	}, composer)
}

// listen opens the address. Slow clients are cut off: headers in 5 s, a body in
// 30 s, an answer in 60 s, an idle connection after 60 s.
func (p *program) listen(h http.Handler) (*http.Server, net.Listener, error) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    64 << 10, // handlers answers above 16 KiB, in JSON
		// Else the server itself answers OPTIONS *, without our headers.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	if p.settings.TLSCert != "" {
		c, err := openCertificate(p.settings.TLSCert, p.settings.TLSKey, time.Now, p.log)
		if err != nil {
			return nil, nil, err
		}
		server.TLSConfig = c.config()
		server.Handler = onlyTLS(h)
	}
	listener, err := net.Listen("tcp", p.settings.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot listen on %s: is another program there? LISTEN sets another address: %w", p.settings.Listen, errors.Unwrap(err))
	}
	return server, listener, nil
}

// onlyTLS tells browsers to come by TLS alone for a year, as the proxies in deploy
// do (RFC 6797).
func onlyTLS(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		h.ServeHTTP(w, r)
	})
}

// ownName is how this program is called from the same directory.
func ownName() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ." // which made a binary that will be gone
	}
	return os.Args[0]
}

// welcome says, the first time, where everything is.
func (p *program) welcome() {
	keys, _ := filepath.Abs(p.settings.DataDir)
	data := p.settings.Postgres.Name()
	if p.settings.SQLitePath != "" {
		data, _ = filepath.Abs(p.settings.SQLitePath)
	}
	fmt.Fprintf(p.err, `Welcome to healthrecords. This is its first start here.
  The data lies in  %s
  The keys lie in   %s and %s
  Copy both keys to a safe place now, apart from the backups: without data.key
  nobody can read the data again, and whoever has both has everything.
`, data, filepath.Join(keys, "secret.key"), filepath.Join(keys, "data.key"))
}

// askForStaff says what to do next where nobody can administer the practice.
func (p *program) askForStaff(s *store.Store) error {
	staffed, err := s.HasStaff(p.ctx)
	if err == nil && !staffed {
		fmt.Fprintf(p.err, `There is no staff account yet. In another terminal, in this directory:
  %s createsuperuser --username admin --email admin@example.org
`, ownName())
	}
	return err
}
