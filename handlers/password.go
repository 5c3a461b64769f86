package handlers

import (
	"errors"
	"net/http"

	"healthrecords/store"
)

// errOthers ends the proof of a password where it proves nothing.
var errOthers = errors.New("another's account")

// prove checks the password that a caller gives for an action on its own
// account, and returns what it was checked against. It is not right when none
// was given or the account is another's.
func (a *api) prove(r *request, action store.Action, in *store.Input, secret *string) (own store.Credentials, right bool, err error) {
	if in.Err != nil || secret == nil {
		return own, false, nil
	}
	right, _, err = a.Hasher.VerifyAfter(r.Context(), *secret, func() (_ string, err error) {
		own, err = a.Store.OwnCredentials(r.Context(), r.actor, action, r.PathValue("id"))
		if err == nil && own.Account == "" {
			err = errOthers
		}
		return own.Hash, err
	})
	if errors.Is(err, errOthers) {
		err = nil
	}
	return own, right, err
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
	own, right, err := a.prove(r, store.ChangePassword, &in.Input, in.current)
	if err != nil {
		return answer{}, err
	}
	if right {
		in.Proven = own.Hash
		if err := a.Store.Proven(r.Context(), own); err != nil {
			return answer{}, err
		}
		if in.NewHash, err = a.hashGood(r, &in.Problems, "new_password", in.new, own.User); err != nil {
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
