package handlers

import (
	"net/http"

	"healthrecords/store"
)

func resetFields(name, mail **string) []field {
	return []field{
		text("username", name, 150).about("Or email; one of them.").like("ann"),
		email("email", mail).about("All active accounts with this address are written to."),
	}
}

// requestReset has a one-use token mailed to the owner. The answer is the same
// whoever is asked for, and mail leaves later, so that nobody waits for it.
func (a *api) requestReset(r *request) (answer, error) {
	var name, mail *string
	var in store.Input
	r.decode(&in, resetFields(&name, &mail))
	if in.Err == nil && in.Problems.Err() == nil && (orEmpty(name) == "") == (orEmpty(mail) == "") {
		in.Problems.Add(noField, "Give either username or email.")
	}
	if in.Err != nil {
		return answer{}, in.Err
	}
	if err := in.Problems.Err(); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: struct{}{}}, a.Store.RequestReset(r.Context(), r.nobody(), orEmpty(name), orEmpty(mail))
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func confirmResetFields(token, secret **string) []field {
	return []field{text("token", token, 0).required().like(sampleOneUse), newPassword("password", secret).required()}
}

// confirmReset sets the password of whose one-use token it is given.
func (a *api) confirmReset(r *request) (answer, error) {
	var token, secret *string
	if err := r.decodeAll(confirmResetFields(&token, &secret)); err != nil {
		return answer{}, err
	}
	owner, err := a.Store.CheckReset(r.Context(), r.nobody(), *token)
	if err != nil {
		return answer{}, err
	}
	var p store.Problems
	hash, err := a.hashGood(r, &p, "password", secret, owner)
	if err == nil {
		err = p.Err()
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, a.Store.ConfirmReset(r.Context(), r.nobody(), *token, hash)
}
