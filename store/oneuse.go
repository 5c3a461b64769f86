package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"
)

// TokenKind is what a token for one use is for.
type TokenKind string

// The kinds of tokens for one use.
const (
	ResetToken      TokenKind = "reset"
	InvitationToken TokenKind = "invitation"
)

// How long tokens are good. For a reset, NIST SP 800-63B, section 4.2.1.2, allows
// a code in a mail 24 hours; who asked for it is waiting.
const (
	resetLifetime      = 10 * time.Minute
	invitationLifetime = 5 * 24 * time.Hour
)

// oneUseToken returns the token of a mail, 256 bits as text. It can be made
// again, by who has the key, when the mail is sent, and when it is used: who
// writes into the database can neither put a token in nor give one to another
// account.
func (k *keyring) oneUseToken(id, account string, kind TokenKind) string {
	return base64.RawURLEncoding.EncodeToString(k.hash("one-use token", id, account, string(kind)))
}

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// newToken makes a token for an account, in place of those before.
func (t *tx) newToken(id, account string, kind TokenKind, lifetime time.Duration) (token string, err error) {
	if err := t.holdAccount(account); err != nil { // of two made at once, one is in place of the other
		return "", err
	}
	if err := t.voidTokens(account); err != nil {
		return "", err
	}
	token = t.s.keys.oneUseToken(id, account, kind)
	err = t.exec(`INSERT INTO one_use (id, hash, account_id, kind, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		id, tokenHash(token), account, kind, InstantOf(t.now.Add(lifetime)))
	return token, err
}

// voidTokens makes the tokens of an account useless, of either kind.
func (t *tx) voidTokens(account string) error {
	return t.exec(`DELETE FROM one_use WHERE account_id = $1`, account)
}

// tokenOwner returns the account, at work and not deleted, that a token was made
// for, or ErrOneUse.
func (t *tx) tokenOwner(token string, kind TokenKind) (*account, error) {
	var mail, id string
	err := t.row(`SELECT id, account_id FROM one_use WHERE hash = $1 AND kind = $2 AND expires_at > $3`, tokenHash(token), kind, t.at()).Scan(&mail, &id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !hmac.Equal([]byte(token), []byte(t.s.keys.oneUseToken(mail, id, kind))) {
		return nil, ErrOneUse
	}
	if err != nil {
		return nil, err
	}
	t.entry.object = id
	own, err := t.account(id)
	if err != nil {
		return nil, err
	}
	if own.role == PatientRole {
		t.concerns(id)
	}
	if !own.active || own.deletedAt != "" {
		return nil, ErrOneUse
	}
	return own, nil
}

// useToken uses a token up. It returns ErrOneUse when somebody else just did.
func (t *tx) useToken(token string) error {
	n, err := t.changed(`DELETE FROM one_use WHERE hash = $1`, tokenHash(token))
	if err == nil && n == 0 {
		err = ErrOneUse
	}
	return err
}
