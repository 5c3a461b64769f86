package store

import "context"

const wrongPassword = "The password is not correct."

// PasswordInput is what changes a password: the one so far, which the caller has
// checked against what [Store.OwnCredentials] returned, and the new one, hashed.
type PasswordInput struct {
	Input
	Proven  string // the stored hash that the current password was found to match
	NewHash string
}

// ChangePassword gives the actor's own account a new password, ends all its
// other sessions and tells the owner by mail.
func (s *Store) ChangePassword(ctx context.Context, a Actor, in *PasswordInput) error {
	return s.actOnSelf(ctx, a, ChangePassword, func(t *tx, own *account) error {
		in := copyOf(in)
		if in.Err != nil {
			return in.Err
		}
		if (in.Proven == "" || in.Proven != own.secrets.password) && !in.Problems.Has("current_password") {
			in.Problems.Add("current_password", wrongPassword)
			t.refuse("wrong password")
		}
		if err := t.tested(in.Proven, in.Problems.Err()); err != nil {
			return err
		}
		if err := t.endOtherSessions(own.id); err != nil {
			return err
		}
		return t.setPassword(own, in.NewHash)
	})
}

// tested lets an invalid input leave an entry when a right password came with
// it, as a wrong one does: who tests passwords in another's session is seen.
func (t *tx) tested(proven string, invalid error) error {
	if invalid != nil && proven != "" && !t.refused {
		t.refuse("invalid")
	}
	return invalid
}

// setPassword stores a new password. What was sent or counted for the one before
// is void (NIST SP 800-63B, section 3.2.2, for the counts), and so are the proofs
// of devices, for who once knew the password may have collected many; what was
// counted for the second factor is not. The next sign-in of a device makes it
// known again; it is told of by mail only from somewhere new.
func (t *tx) setPassword(own *account, hash string) error {
	if err := t.readSecrets(own); err != nil {
		return err
	}
	own.secrets.password, own.secrets.devicesSince = hash, t.at()
	t.entry.fields = append(t.entry.fields, "password")
	if err := t.updateAccount(own); err != nil {
		return err
	}
	if err := t.voidTokens(own.id); err != nil {
		return err
	}
	if err := t.forgetFailures(own.id); err != nil {
		return err
	}
	return t.tell(own, MailPassword)
}
