package notify_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a mailServer can do at a step instead of answering.
const (
	hang    = "hang"    // nothing, until the client leaves
	drop    = "drop"    // close the connection
	trickle = "trickle" // a reply that comes byte by byte and never ends
	flood   = "flood"   // one line without end, as fast as it goes
)

// mailServer is an SMTP server on loopback. It speaks properly, keeps what it
// is given, and misbehaves at the steps named in faults: "greeting", a verb,
// or "." for the answer to the final dot. There a fault is one of the words
// above, or the text to answer with.
type mailServer struct {
	faults   map[string]string
	offers   []string // keywords of EHLO; STARTTLS only before TLS
	forced   bool     // TLS from the first byte
	host     string
	cert     tls.Certificate
	user     string // that AUTH PLAIN must name
	password string

	t        *testing.T
	reached  chan struct{} // closed when the server begins to hang or trickle
	once     sync.Once
	listener net.Listener
	done     chan struct{}
	running  sync.WaitGroup
	mu       sync.Mutex
	heard    []string // verbs, in order, of all connections
	mails    []delivery
	conns    []net.Conn
}

// delivery is one mail that was answered for.
type delivery struct {
	from, to, data string // from and to as in the commands, with their options
	tls            bool
	user           string
	name           string // the client's, in EHLO
}

// serveMail starts a mailServer with a good certificate that offers STARTTLS
// and AUTH, after change has made another of it.
func serveMail(t *testing.T, change func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{
		t: t, faults: map[string]string{}, offers: []string{"STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME"},
		user: "clinic", password: "correct horse", host: "127.0.0.1", cert: certificate(t, authority, "127.0.0.1"),
		reached: make(chan struct{}), done: make(chan struct{}),
	}
	if change != nil {
		change(s)
	}
	var err error
	if s.listener, err = net.Listen("tcp", net.JoinHostPort(s.host, "0")); err != nil {
		t.Fatal(err)
	}
	s.running.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *mailServer) stop() {
	close(s.done)
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *mailServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.running.Go(func() {
			defer conn.Close()
			if s.forced {
				conn = tls.Server(conn, s.tls())
			}
			c := &dialogue{mailServer: s, conn: conn, in: bufio.NewReader(conn), tls: s.forced}
			c.run()
		})
	}
}

func (s *mailServer) tls() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.cert}}
}

func (s *mailServer) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *mailServer) received() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func (s *mailServer) verbs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// dialogue is one connection.
type dialogue struct {
	*mailServer
	conn net.Conn
	in   *bufio.Reader
	tls  bool
	mail delivery
}

func (c *dialogue) run() {
	if !c.say("greeting", "220 test ESMTP") {
		return
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "\x16") && !c.tls {
			return // a TLS handshake where the test has none
		}
		line, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			c.t.Errorf("a command does not end in CRLF")
		}
		verb, rest, _ := strings.Cut(line, " ")
		c.mu.Lock()
		c.heard = append(c.heard, verb)
		c.mu.Unlock()
		if !c.obey(verb, rest) {
			return
		}
	}
}

// obey answers one command. It returns false when the dialogue is over.
func (c *dialogue) obey(verb, rest string) bool {
	switch verb {
	case "EHLO", "HELO":
		c.mail.name = rest
		return c.say(verb, c.hello())
	case "STARTTLS":
		return c.say(verb, "220 go ahead") && c.startTLS()
	case "AUTH":
		return c.say(verb, c.auth(rest))
	case "MAIL":
		c.mail = delivery{from: rest, tls: c.tls, user: c.mail.user, name: c.mail.name}
		return c.say(verb, "250 ok")
	case "RCPT":
		c.mail.to = rest
		return c.say(verb, "250 ok")
	case "DATA":
		return c.data()
	case "QUIT":
		c.say(verb, "221 bye")
		return false
	}
	return c.say(verb, "500 what?")
}

func (c *dialogue) hello() string {
	offers := slices.DeleteFunc(slices.Clone(c.offers), func(o string) bool { return o == "STARTTLS" && c.tls })
	lines := append([]string{"test"}, offers...)
	for i := range lines {
		lines[i] = "250-" + lines[i]
	}
	lines[len(lines)-1] = strings.Replace(lines[len(lines)-1], "-", " ", 1)
	return strings.Join(lines, "\r\n")
}

func (c *dialogue) startTLS() bool {
	if c.faults["STARTTLS"] != "" {
		return true // refused; go on in clear
	}
	secure := tls.Server(c.conn, c.mailServer.tls())
	c.conn, c.in, c.tls = secure, bufio.NewReader(secure), true
	return secure.Handshake() == nil
}

func (c *dialogue) auth(rest string) string {
	c.mail.user = c.user
	want := base64.StdEncoding.EncodeToString([]byte("\x00" + c.user + "\x00" + c.password))
	if rest == "PLAIN "+want {
		return "235 welcome"
	}
	return "535 5.7.8 no such user"
}

func (c *dialogue) data() bool {
	if !c.say("DATA", "354 go on") {
		return false
	}
	if c.faults["DATA"] != "" {
		return true // refused
	}
	var b bytes.Buffer
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return false
		}
		if !strings.HasSuffix(line, "\r\n") {
			c.t.Errorf("a line of the message does not end in CRLF")
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	c.mail.data = b.String()
	if f := c.faults["."]; f == "" || f == drop { // the mail is taken also when the answer gets lost
		c.mu.Lock()
		c.mails = append(c.mails, c.mail)
		c.mu.Unlock()
	}
	return c.say(".", "250 taken")
}

// say answers at a step, as its fault has it. It returns false when the
// dialogue is over.
func (c *dialogue) say(step, reply string) bool {
	fault, ok := c.faults[step]
	if ok {
		reply = fault
	}
	switch fault {
	case hang:
		c.once.Do(func() { close(c.reached) })
		io.Copy(io.Discard, c.in)
		return false
	case drop:
		return false
	case flood:
		for junk := bytes.Repeat([]byte("2"), 1<<16); ; {
			if _, err := c.conn.Write(junk); err != nil {
				return false
			}
		}
	case trickle:
		return c.trickle()
	}
	_, err := io.WriteString(c.conn, reply+"\r\n")
	return err == nil
}

func (c *dialogue) trickle() bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return false
		case <-tick.C:
			if _, err := io.WriteString(c.conn, "2"); err != nil {
				return false
			}
			c.once.Do(func() { close(c.reached) })
		}
	}
}

// issuer is a certificate authority of the tests.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var authority, stranger = newIssuer(), newIssuer()

func (i issuer) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.cert)
	return p
}

func newIssuer() issuer {
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	cert, err3 := x509.ParseCertificate(der)
	if err := errors.Join(err1, err2, err3); err != nil {
		panic(err)
	}
	return issuer{cert, key}
}

// certificate returns one for a host from an authority, valid for an hour.
func certificate(t *testing.T, by issuer, host string) tls.Certificate {
	t.Helper()
	return certificateUntil(t, by, host, time.Now().Add(time.Hour))
}

func certificateUntil(t *testing.T, by issuer, host string, end time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: end, DNSNames: []string{host}}
	if ip := net.ParseIP(host); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
