package notify

import (
	"context"
	"log/slog"

	"healthrecords/store"
)

// Sender takes mails on their way.
type Sender interface {
	// Send sends one mail. It returns nil only when somebody else has taken
	// responsibility for it, soon after ctx ends at the latest. The error is a
	// [*Failure] that says whether it is worth another attempt.
	Send(ctx context.Context, m store.Mail) error
}

// Log is the [Sender] of a service without a mail server: it writes the
// recipient and the subject of each mail to a log, so that a trial needs none.
type Log struct{ log *slog.Logger }

// NewLog returns a Log that writes to log at level info.
func NewLog(log *slog.Logger) *Log { return &Log{log} }

// Send logs a mail, but not its token: whoever reads the log could use it.
func (l *Log) Send(ctx context.Context, m store.Mail) error {
	t, err := textOf(m)
	if err != nil {
		return err
	}
	l.log.InfoContext(ctx, "mail", "mail", m.ID, "to", m.To, "subject", t.subject)
	return nil
}
