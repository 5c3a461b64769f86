package notify

import (
	"errors"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"healthrecords/store"
)

// lineLimit is the longest line of a message without its CRLF (RFC 5322, section 2.1.1).
const lineLimit = 998

// addressLimit is the longest address that fits into a path of SMTP (RFC 5321, section 4.5.3.1.3).
const addressLimit = 254

// Message is a mail as it goes out: the envelope and the text.
type Message struct {
	From string // addr-spec for MAIL FROM, ASCII
	To   string // addr-spec for RCPT TO
	UTF8 bool   // To is not ASCII: only a server with SMTPUTF8 (RFC 6531) takes it
	Text []byte // RFC 5322 with CRLF line ends; 7-bit but for To
}

// Composer writes the messages of one service. It holds what they all share.
type Composer struct {
	from   string // the From header
	sender string // its addr-spec
	domain string // its domain, in which the Message-IDs are unique
	url    string
}

// NewComposer returns a Composer of mails from an address, which may have a
// display name ("Practice <mail@example.org>"), that point to the service's
// public address. It refuses a from whose address is not ASCII, for then every
// mail would depend on the server's SMTPUTF8, and a publicURL that is not an
// absolute http or https URL. Its errors quote neither.
func NewComposer(from, publicURL string) (*Composer, error) {
	a, err := mail.ParseAddress(from)
	if err != nil || !clean(a.Name) {
		return nil, errors.New("sender: not one e-mail address")
	}
	sender, err := addrSpec(a.Address)
	if err != nil || !ascii(sender) {
		return nil, errors.New("sender: its address must be ASCII, without quotes, in a named domain")
	}
	header := a.String()
	if len("From: ")+len(header) > lineLimit {
		return nil, errors.New("sender: too long")
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("public address: not an absolute http or https URL")
	}
	if !ascii(publicURL) || strings.Contains(publicURL, " ") || !clean(publicURL) || len(publicURL) > lineLimit-linkLimit {
		return nil, errors.New("public address: not plain ASCII, or too long")
	}
	return &Composer{header, sender, domain(sender), publicURL}, nil
}

// Compose returns the message of a mail. The same mail always makes the same
// bytes. The error is a [*Failure]: "bad address", "bad id" and "too late" for
// good, "unknown kind" for a kind that only a newer version of the service
// knows.
func (c *Composer) Compose(m store.Mail) (Message, error) {
	t, err := textOf(m)
	if err != nil {
		return Message{}, err
	}
	if !plainID(m.ID) {
		return Message{}, &Failure{"bad id", Never}
	}
	to, err := addrSpec(m.To)
	if err != nil {
		return Message{}, &Failure{"bad address", Never}
	}
	var b strings.Builder
	header := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	header("From", c.from)
	header("To", "<"+to+">")
	header("Subject", t.subject)
	header("Date", m.Queued.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+m.ID+"@"+c.domain+">")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "7bit") // the texts and the URL are ASCII
	header("Auto-Submitted", "auto-generated")  // RFC 3834: no out-of-office answers, please
	b.WriteString("\r\n" + strings.ReplaceAll(t.body, "\n", "\r\n") + "\r\n" + c.url + t.link(m) + "\r\n")
	return Message{c.sender, to, !ascii(to), []byte(b.String())}, nil
}

// addrSpec returns an address as it stands between angle brackets in a header
// and in an SMTP command, which comments, line ends or a second address could
// otherwise break.
func addrSpec(s string) (string, error) {
	if len(s) > addressLimit || !clean(s) {
		return "", errors.New("not an address")
	}
	a, err := mail.ParseAddress("<" + s + ">")
	if err != nil {
		return "", errors.New("not an address") // err quotes it
	}
	spec := (&mail.Address{Address: a.Address}).String()
	spec = spec[1 : len(spec)-1]
	if strings.ContainsAny(domain(spec), "[]") { // an address literal
		return "", errors.New("not an address in a named domain")
	}
	return spec, nil
}

func domain(spec string) string { return spec[strings.LastIndexByte(spec, '@')+1:] }

// plainID tells whether an id can stand in a Message-ID as it is.
func plainID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '-'
	})
}

// clean tells whether s is UTF-8 without control characters.
func clean(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
