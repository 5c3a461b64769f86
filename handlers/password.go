package handlers

import (
	"errors"
	"net/http"

	"healthrecords/store"
)

// errOthers ends the proof of a password where it proves nothing.
var errOthers = errors.New("another's account")

// prove checks the password that a caller gives for an action on its own
// account, and lets the store know when it was right. It returns the stored hash
// that it matches, "" when it was wrong, none was given or the account is
// another's, and who the owner is.
func (a *api) prove(r *request, action store.Action, in *store.Input, secret *string) (proven string, owner store.User, err error) {
	if in.Err != nil || secret == nil {
		return "", owner, nil
	}
	var own store.Credentials
	right, _, err := a.Hasher.VerifyAfter(r.Context(), *secret, func() (_ string, err error) {
		own, err = a.Store.OwnCredentials(r.Context(), r.actor, action, r.PathValue("id"))
		if err == nil && own.Account == "" {
			err = errOthers
		}
		return own.Hash, err
	})
	if errors.Is(err, errOthers) {
		err = nil
	}
	if err != nil || !right {
		return "", owner, err
	}
	return own.Hash, own.User, a.Store.Proven(r.Context(), own)
}

type passwordInput struct {
	current, new *string
	store.PasswordInput
}

func passwordFields(in *passwordInput) []field {
	return []field{
		password("current_password", &in.current).required().like("nine lazy rivers of tin"),
		newPassword("new_password", &in.new).required().like("seven otters on a raft"),
	}
}

// changePassword takes a new password from an owner who knows the old one.
func (a *api) changePassword(r *request) (answer, error) {
	var in passwordInput
	r.decode(&in.Input, passwordFields(&in))
	proven, owner, err := a.prove(r, store.ChangePassword, &in.Input, in.current)
	if err != nil {
		return answer{}, err
	}
	if in.Proven = proven; proven != "" {
		if in.NewHash, err = a.hashGood(r, &in.Problems, "new_password", in.new, owner); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusNoContent}, a.Store.ChangePassword(r.Context(), r.actor, &in.PasswordInput)
}

// hashGood holds somebody's new password against the rules, notes at the named
// field what is wrong, and hashes it when nothing is wrong anywhere.
func (a *api) hashGood(r *request, p *store.Problems, name string, secret *string, owner store.User) (string, error) {
	if secret != nil && !p.Has(name) {
		judge(p, name, *secret, a.PasswordMinLength, owner)
	}
	if p.Err() != nil {
		return "", nil
	}
	return a.Hasher.Hash(r.Context(), *secret)
}
