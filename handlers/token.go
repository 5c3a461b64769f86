package handlers

import (
	"errors"
	"net/http"
	"time"

	"healthrecords/auth"
	"healthrecords/store"
)

type tokensView struct {
	Refresh string `json:"refresh"`
	Access  string `json:"access"`
	Device  string `json:"device,omitempty"` // only to who asked for it
}

// tokens makes the texts of what the store granted. The same grant makes the
// same refresh token.
func (a *api) tokens(g store.Grant) tokensView {
	issued := g.Now.Truncate(time.Second)
	device := ""
	if g.DeviceID != "" {
		device = a.Tokens.Sign(auth.Claims{Kind: auth.Device, User: g.Account, Session: g.Session, ID: g.DeviceID, Issued: issued, Expires: issued.Add(auth.DeviceLifetime)})
	}
	expires := issued.Add(a.AccessLifetime)
	if expires.After(g.SessionExpires) {
		expires = g.SessionExpires
	}
	return tokensView{
		Refresh: a.Tokens.Sign(auth.Claims{Kind: auth.Refresh, User: g.Account, Session: g.Session, ID: g.Refresh, Issued: g.RefreshIssued, Expires: g.RefreshExpires}),
		Access:  a.Tokens.Sign(auth.Claims{Kind: auth.Access, User: g.Account, Session: g.Session, ID: a.Store.NewID(), Issued: issued, Expires: expires}),
		Device:  device,
	}
}

// decodeAll decodes a body that no rule of the store looks at.
func (r *request) decodeAll(fields []field) error {
	var in store.Input
	r.decode(&in, fields)
	if in.Err != nil {
		return in.Err
	}
	return in.Problems.Err()
}

var tokensResource = &resource{name: "Tokens", example: tokensView{Refresh: sampleToken, Access: sampleToken}}

// nothing is the answer {}.
var nothing = &resource{name: "Nothing", example: struct{}{}}

type signInInput struct {
	name, secret, device *string
	store.SignInInput
}

func signInFields(in *signInInput) []field {
	return []field{
		text("username", &in.name, 0).required().like("ann"),
		password("password", &in.secret).required().like("nine lazy rivers of tin"),
		text("otp", &in.OTP, 0).about("A one-time code, for an account with a second factor."),
		text("recovery_code", &in.RecoveryCode, 0).about("In place of otp. Each works once."),
		text("device", &in.device, 0).about(`The proof of this device from a sign-in before, or "". The answer has a new one then.`),
	}
}

func refreshFields(to **string) []field {
	return []field{text("refresh", to, 0).required().like(sampleToken)}
}

func verifyFields(to **string) []field {
	return []field{text("token", to, 0).required().about("An access or a refresh token.").like(sampleToken)}
}

// signIn spends one hash on every attempt that is not too early, whatever is
// wrong with it. The attempt is counted when its turn at the hasher has come.
func (a *api) signIn(r *request) (answer, error) {
	var in signInInput
	if err := r.decodeAll(signInFields(&in)); err != nil {
		return answer{}, err
	}
	in.Agent, in.NewDevice = r.UserAgent(), in.device != nil
	device := a.device(in.device)
	if err := a.Store.MayTry(r.Context(), r.actor, *in.name, device); err != nil {
		return answer{}, err
	}
	var made store.Credentials
	right, weak, err := a.Hasher.VerifyAfter(r.Context(), *in.secret, func() (_ string, err error) {
		made, err = a.Store.BeginSignIn(r.Context(), r.actor, *in.name, device)
		return made.Hash, err
	})
	if err != nil {
		return answer{}, err
	}
	in.Right = right
	if right && weak {
		if in.NewHash, err = a.Hasher.Hash(r.Context(), *in.secret); err != nil {
			return answer{}, err
		}
	}
	grant, err := a.Store.SignIn(r.Context(), r.actor, made, in.SignInInput)
	if err != nil {
		return answer{}, err
	}
	r.actor.Account = grant.Account // for the log
	return answer{status: http.StatusOK, body: a.tokens(grant)}, nil
}

// device reads the proof of a device. One that is not good counts for nothing,
// as none does: who sends it is a stranger.
func (a *api) device(proof *string) store.Device {
	if proof == nil {
		return store.Device{}
	}
	c, err := a.Tokens.Parse(auth.Device, *proof, a.Store.Now())
	if err != nil {
		return store.Device{}
	}
	return store.Device{Account: c.User, ID: c.ID, Issued: c.Issued}
}

// refreshClaims reads the body's refresh token, which must be genuine.
func (a *api) refreshClaims(r *request) (auth.Claims, error) {
	var token *string
	if err := r.decodeAll(refreshFields(&token)); err != nil {
		return auth.Claims{}, err
	}
	c, err := a.Tokens.Parse(auth.Refresh, *token, a.Store.Now())
	if err != nil {
		return c, errRefreshToken
	}
	r.actor.Account = c.User // for the log
	return c, nil
}

// nobody is the request's actor on routes that ignore who is signed in.
func (r *request) nobody() store.Actor {
	return store.Actor{Address: r.actor.Address, Request: r.actor.Request}
}

func (a *api) refreshToken(r *request) (answer, error) {
	c, err := a.refreshClaims(r)
	if err != nil {
		return answer{}, err
	}
	grant, err := a.Store.Refresh(r.Context(), r.nobody(), c.User, c.Session, c.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: a.tokens(grant)}, nil
}

func (a *api) blacklistToken(r *request) (answer, error) {
	c, err := a.refreshClaims(r)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: struct{}{}}, a.Store.EndSession(r.Context(), r.nobody(), c.User, c.Session)
}

// verifyToken takes either kind of token and says whether it could be used.
func (a *api) verifyToken(r *request) (answer, error) {
	var token *string
	if err := r.decodeAll(verifyFields(&token)); err != nil {
		return answer{}, err
	}
	ok, now := answer{status: http.StatusOK, body: struct{}{}}, a.Store.Now()
	if c, err := a.Tokens.Parse(auth.Access, *token, now); err == nil {
		r.actor.Account, r.actor.Session = c.User, c.Session
		err := a.Store.CheckSession(r.Context(), r.actor)
		if errors.Is(err, store.ErrSession) {
			err = errRefreshToken // one answer to every bad token
		}
		return ok, err
	}
	c, err := a.Tokens.Parse(auth.Refresh, *token, now)
	if err != nil {
		return answer{}, errRefreshToken
	}
	return ok, a.Store.CheckRefresh(r.Context(), r.nobody(), c.User, c.Session, c.ID)
}
