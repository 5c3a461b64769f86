package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"healthrecords/store"
)

// Security says how the way to the mail server is protected.
type Security int

const (
	StartTLS  Security = iota // begins in clear and must turn to TLS (RFC 3207); the zero value
	ForcedTLS                 // TLS from the first byte (RFC 8314, section 3.3)
	Clear                     // none at all, to a server on this machine only
)

// Server is the mail server to hand mails to.
type Server struct {
	Host     string // its certificate must name it
	Port     int
	User     string // none: no AUTH
	Password string `json:"-"`
	Security Security

	Roots          *x509.CertPool // who may vouch for Host; the system's when nil
	ConnectTimeout time.Duration  // to reach it, and to take leave of it; 10 s when zero
	SendTimeout    time.Duration  // from dialling to the answer after the final dot; 60 s when zero
}

// Format prints no field, so that the password comes into no log.
func (Server) Format(f fmt.State, _ rune) { io.WriteString(f, "mail server") }

// SMTP is the [Sender] that hands mails to a mail server (RFC 5321). Each mail
// has a connection of its own, so that none can spoil it for the next. It may
// be used concurrently.
type SMTP struct {
	Server
	*Composer
}

// NewSMTP returns an SMTP that hands the messages of c to s. It refuses a
// server that cannot be spoken to as s says: above all Security [Clear] beyond
// loopback. It does not connect; [SMTP.Check] does.
func NewSMTP(s Server, c *Composer) (*SMTP, error) {
	switch {
	case s.Host == "" || !clean(s.Host):
		return nil, errors.New("mail server: no host name")
	case s.Port < 1 || s.Port > 65535:
		return nil, errors.New("mail server: port out of range")
	case s.Security < StartTLS || s.Security > Clear:
		return nil, errors.New("mail server: unknown kind of security")
	case s.Security == Clear && !loopback(s.Host):
		return nil, errors.New("mail server: only one on this machine may be used without TLS")
	case (s.User == "") != (s.Password == ""):
		return nil, errors.New("mail server: user and password must be given both or neither")
	case strings.Contains(s.User+s.Password, "\x00"): // the separator of AUTH PLAIN
		return nil, errors.New("mail server: NUL in user or password")
	}
	if s.ConnectTimeout == 0 {
		s.ConnectTimeout = 10 * time.Second
	}
	if s.SendTimeout == 0 {
		s.SendTimeout = 60 * time.Second
	}
	return &SMTP{s, c}, nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Send composes a mail and hands it to the server. nil means that the server
// has answered for it. "unconfirmed" means that no answer came after all was
// said: the recipient may see the mail twice, under one Message-ID.
func (s *SMTP) Send(ctx context.Context, m store.Mail) error {
	msg, err := s.Compose(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.SendTimeout)
	defer cancel()
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := transmit(ctx, c.Client, msg); err != nil {
		return err
	}
	s.quit(ctx, c)
	return nil
}

// Check connects, turns to TLS and signs in as for a mail, sends none, and
// returns the [*Failure] that a mail would have met.
func (s *SMTP) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.SendTimeout)
	defer cancel()
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	s.quit(ctx, c)
	return nil
}

// client is a connection on which a mail can be sent.
type client struct {
	*smtp.Client
	conn net.Conn
}

// open connects and brings the connection to where MAIL may be said. It ends
// in an error when ctx does, and so does everything on the connection.
func (s *SMTP) open(ctx context.Context) (*client, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, setupFailure(ctx, err, "connect")
	}
	expireWith(ctx, conn)
	if s.Security == ForcedTLS {
		secure := tls.Client(conn, s.tls())
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, setupFailure(ctx, err, "tls")
		}
		conn = secure
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		conn.Close()
		return nil, setupFailure(ctx, err, "connect")
	}
	if err := s.introduce(ctx, c, conn.LocalAddr()); err != nil {
		c.Close()
		return nil, err
	}
	return &client{c, conn}, nil
}

func (s *SMTP) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: s.ConnectTimeout}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, err
	}
	return &meteredConn{conn, readLimit}, nil
}

// introduce says EHLO, STARTTLS and AUTH. What the server offers before TLS is
// forgotten with it; a server that does not offer TLS, or somebody between who
// took the offer out, is told nothing more.
func (s *SMTP) introduce(ctx context.Context, c *smtp.Client, local net.Addr) error {
	if err := c.Hello(literal(local)); err != nil {
		return setupFailure(ctx, err, "connect")
	}
	if s.Security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return &Failure{"tls", Misconfigured}
		}
		if err := c.StartTLS(s.tls()); err != nil {
			return setupFailure(ctx, err, "tls")
		}
	}
	if s.User == "" {
		return nil
	}
	if ok, _ := c.Extension("AUTH"); !ok {
		return &Failure{"auth", Misconfigured}
	}
	// PlainAuth too refuses to send the password in clear beyond loopback.
	if err := c.Auth(smtp.PlainAuth("", s.User, s.Password, s.Host)); err != nil {
		return setupFailure(ctx, err, "auth")
	}
	return nil
}

func (s *SMTP) tls() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
}

// literal returns the name of this end for EHLO: its address, for the name
// that a container believes to have means nothing outside (RFC 5321, section 4.1.3).
func literal(a net.Addr) string {
	host, _, _ := net.SplitHostPort(a.String())
	host, _, _ = strings.Cut(host, "%") // a zone means nothing outside either
	if strings.Contains(host, ":") {
		host = "IPv6:" + host
	}
	return "[" + host + "]"
}

// transmit says MAIL, RCPT and DATA. The extensions are named only when they
// are needed, since the next server on the way may not have them.
func transmit(ctx context.Context, c *smtp.Client, msg Message) error {
	options := ""
	if msg.UTF8 {
		if ok, _ := c.Extension("SMTPUTF8"); !ok {
			return &Failure{"smtputf8", Never}
		}
		options = " BODY=8BITMIME SMTPUTF8"
	}
	if err := sayMail(c, msg.From, options); err != nil {
		return mailFailure(ctx, err)
	}
	if err := c.Rcpt(msg.To); err != nil {
		return mailFailure(ctx, err)
	}
	w, err := c.Data()
	if err != nil {
		return mailFailure(ctx, err)
	}
	if _, err := w.Write(msg.Text); err != nil {
		return mailFailure(ctx, err)
	}
	if err := w.Close(); err != nil { // the final dot, and the answer to it
		return dotFailure(ctx, err)
	}
	return nil
}

// sayMail says MAIL as [smtp.Client.Mail] does, but for its options.
func sayMail(c *smtp.Client, from, options string) error {
	id, err := c.Text.Cmd("MAIL FROM:<%s>%s", from, options)
	if err != nil {
		return err
	}
	c.Text.StartResponse(id)
	defer c.Text.EndResponse(id)
	_, _, err = c.Text.ReadResponse(250)
	return err
}

// quit takes leave. The mail is the server's by now, so that nothing which goes
// wrong here matters.
func (s *SMTP) quit(ctx context.Context, c *client) {
	ctx, cancel := context.WithTimeout(ctx, s.ConnectTimeout)
	defer cancel()
	expireWith(ctx, c.conn)
	c.Quit()
}

// expireWith lets every read and write on conn fail once ctx has ended.
func expireWith(ctx context.Context, conn net.Conn) {
	context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// readLimit is what a server may say during one mail, certificates included.
// An honest one says some 10 KiB.
const readLimit = 1 << 20

// errTalkative ends a connection whose server has said more than readLimit.
const errTalkative = textproto.ProtocolError("the server talks without end")

// meteredConn is a connection from which at most left bytes are read: the
// parser of replies takes lines of any length into memory.
type meteredConn struct {
	net.Conn
	left int
}

func (c *meteredConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errTalkative
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
