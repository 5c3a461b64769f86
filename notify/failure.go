package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
)

// Fate says what a failure means for the mail and for those behind it.
type Fate int

const (
	Again         Fate = iota // this mail, another time
	Never                     // this mail, for good
	Outage                    // every mail, for a while
	Misconfigured             // every mail, until the operator changes something
)

// Failure is the error of a [Sender].
type Failure struct {
	// Reason is one of a few fixed words ("connect", "tls", "timeout"), or
	// "smtp" and a reply code. It quotes nobody and may be logged and kept.
	Reason string
	Fate   Fate
}

func (f *Failure) Error() string { return "mail not sent: " + f.Reason }

// setupFailure returns the failure of what comes before MAIL and so concerns
// every mail: one that the operator must mend when the server refuses for good
// or when TLS or AUTH fail, else one that passes. Where the error itself says
// little, word does.
func setupFailure(ctx context.Context, err error, word string) *Failure {
	reason, code := describe(ctx, err, word)
	if code/100 == 5 || reason == "tls" || reason == "auth" {
		return &Failure{reason, Misconfigured}
	}
	return &Failure{reason, Outage}
}

// mailFailure returns the failure of MAIL, RCPT or DATA: a reply in the five
// hundreds is for good. Only 530 is not about the mail: it asks for a user and
// a password (RFC 4954, section 6).
func mailFailure(ctx context.Context, err error) *Failure {
	reason, code := describe(ctx, err, "lost")
	switch {
	case code == 530:
		return &Failure{reason, Misconfigured}
	case code/100 == 5:
		return &Failure{reason, Never}
	}
	return &Failure{reason, Again}
}

// dotFailure returns the failure after the final dot: without a reply nobody
// knows whether the mail was taken.
func dotFailure(ctx context.Context, err error) *Failure {
	if reply := (*textproto.Error)(nil); errors.As(err, &reply) {
		return mailFailure(ctx, err)
	}
	return &Failure{"unconfirmed", Again}
}

// describe returns the code of a reply, or one of our own words for an error.
// It leaves the text of a reply out, for servers quote addresses in it.
func describe(ctx context.Context, err error, word string) (reason string, code int) {
	var reply *textproto.Error
	var garbled textproto.ProtocolError
	var network net.Error
	switch {
	case errors.As(err, &reply):
		return fmt.Sprintf("smtp %d", reply.Code), reply.Code
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout(): // before garbled: half a reply is garbled too
		return "timeout", 0
	case errors.As(err, &garbled):
		return "protocol", 0
	}
	return word, 0
}
