package main

import (
	"bufio"
	"fmt"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"time"
)

// mailbox is a mail server (RFC 5321) that takes everything, and remembers to
// whom and about what how often under which Message-ID.
type mailbox struct {
	listener net.Listener
	mu       sync.Mutex
	arrived  map[letter]map[string]int // times of each Message-ID
	tokens   map[letter]string         // of the newest
	promised map[letter]bool           // that must arrive
}

// letter is what is to arrive under one Message-ID. To one address the same
// subject is never sent for two reasons here.
type letter struct{ to, subject string }

func openMailbox() (*mailbox, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &mailbox{listener: l, arrived: make(map[letter]map[string]int), tokens: make(map[letter]string), promised: make(map[letter]bool)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go m.serve(c)
		}
	}()
	return m, nil
}

func (m *mailbox) settings() []string {
	_, port, _ := net.SplitHostPort(m.listener.Addr().String())
	return []string{"EMAIL_HOST=127.0.0.1", "EMAIL_PORT=" + port, "EMAIL_USE_TLS=0", "DEFAULT_FROM_EMAIL=practice@example.org"}
}

func (m *mailbox) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	var to string
	fmt.Fprint(c, "220 here\r\n")
	for in.Scan() {
		reply, line := "250 good\r\n", in.Text()
		switch word, _, _ := strings.Cut(strings.ToUpper(line), " "); word {
		case "RCPT":
			_, rest, _ := strings.Cut(line, "<")
			to, _, _ = strings.Cut(rest, ">")
		case "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			if !m.take(to, in) {
				return // the sender was killed: nothing has arrived
			}
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		}
		fmt.Fprint(c, reply)
	}
}

var tokenInLink = regexp.MustCompile(`/#/[a-z-]+/(\S+)`)

// take reads a message to its end, and tells whether that came.
func (m *mailbox) take(to string, in *bufio.Scanner) bool {
	var text strings.Builder
	for in.Scan() {
		if in.Text() != "." {
			text.WriteString(in.Text() + "\n")
			continue
		}
		message, err := mail.ReadMessage(strings.NewReader(text.String()))
		if err != nil {
			return false
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		l := letter{to, message.Header.Get("Subject")}
		if m.arrived[l] == nil {
			m.arrived[l] = make(map[string]int)
		}
		m.arrived[l][message.Header.Get("Message-ID")]++
		if found := tokenInLink.FindStringSubmatch(text.String()); found != nil {
			m.tokens[l] = found[1]
		}
		return true
	}
	return false
}

// token returns the one-use token of a letter, "" when that has not arrived.
func (m *mailbox) token(l letter) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens[l]
}

// promise notes that a letter must arrive, because what causes it was
// acknowledged.
func (m *mailbox) promise(l letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.promised[l] = true
}

// forget takes the token of a letter, or a letter that need not arrive any more,
// out of mind.
func (m *mailbox) forget(l letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.promised, l)
	delete(m.tokens, l)
}

// outstanding returns how many letters must arrive and have not.
func (m *mailbox) outstanding() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for l := range m.promised {
		if len(m.arrived[l]) == 0 {
			n++
		}
	}
	return n
}

// wait waits until all letters have arrived that must, but no longer than d.
func (m *mailbox) wait(d time.Duration) {
	for end := time.Now().Add(d); m.outstanding() > 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
}

// judge returns how many letters came under several Message-IDs, and the most
// often that one came under its own. Letters to those who were there from the
// beginning have more than one reason.
func (m *mailbox) judge() (doubled, often int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for l, ids := range m.arrived {
		if strings.HasPrefix(l.to, "new") && len(ids) > 1 {
			doubled++
		}
		for _, n := range ids {
			often = max(often, n)
		}
	}
	return doubled, often
}

// assignments returns how many mails tell a doctor of a patient.
func (m *mailbox) assignments() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for l, ids := range m.arrived {
		if l.subject == aboutAssignment {
			n += len(ids)
		}
	}
	return n
}
