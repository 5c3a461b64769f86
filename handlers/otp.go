package handlers

import (
	"net/http"
	"net/url"

	"healthrecords/auth"
	"healthrecords/store"
)

type otpView struct {
	Enabled           bool `json:"enabled"`
	RecoveryCodesLeft int  `json:"recovery_codes_left"`
}

var otpResource = &resource{name: "SecondFactor", example: otpView{true, 10}}

func (a *api) readOTP(r *request) (answer, error) {
	state, err := a.Store.OTP(r.Context(), r.actor)
	return answer{status: http.StatusOK, body: otpView(state)}, err
}

type otpSecretView struct {
	Secret string `json:"secret"`
	URL    string `json:"otpauth_url"`
}

var otpSecretResource = &resource{name: "SecondFactorSecret", example: otpSecretView{
	"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", auth.OTPAuthURL("records.example.org", "ann", []byte("12345678901234567890")),
}}

// beginOTP makes a secret, which counts for nothing until a code made of it has
// come back.
func (a *api) beginOTP(r *request) (answer, error) {
	secret, name, err := a.Store.BeginOTP(r.Context(), r.actor)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: otpSecretView{auth.TOTPText(secret), auth.OTPAuthURL(a.issuer(r), name, secret)}}, nil
}

// issuer is what authenticator apps call this service: its host.
func (a *api) issuer(r *request) string {
	if base, err := url.Parse(a.base(r)); err == nil {
		return base.Host
	}
	return "healthrecords"
}

type recoveryView struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

var recoveryResource = &resource{name: "RecoveryCodes", example: recoveryView{[]string{"k3vq-7mzd-ow2x-p5hc"}}}

func confirmOTPFields(in *store.ConfirmOTPInput) []field {
	return []field{
		text("otp", &in.OTP, 0).required().like("287082"),
		password("password", &in.Password).about("Needed when the sign-in was 10 minutes ago or longer."),
	}
}

func (a *api) confirmOTP(r *request) (answer, error) {
	var in store.ConfirmOTPInput
	r.decode(&in.Input, confirmOTPFields(&in))
	var err error
	if in.Proven, _, err = a.prove(r, store.ConfirmOTP, &in.Input, in.Password); err != nil {
		return answer{}, err
	}
	codes, err := a.Store.ConfirmOTP(r.Context(), r.actor, &in)
	return answer{status: http.StatusOK, body: recoveryView{codes}}, err
}

type endOTPInput struct {
	secret *string
	store.EndOTPInput
}

func endOTPFields(in *endOTPInput) []field {
	return []field{
		password("password", &in.secret).required().like("nine lazy rivers of tin"),
		text("otp", &in.OTP, 0).like("287082"),
		text("recovery_code", &in.RecoveryCode, 0).about("In place of otp."),
	}
}

// endOTP takes the password and a code, for a session may be stolen.
func (a *api) endOTP(r *request) (answer, error) {
	var in endOTPInput
	r.decode(&in.Input, endOTPFields(&in))
	var err error
	if in.Proven, _, err = a.prove(r, store.EndOTP, &in.Input, in.secret); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, a.Store.EndOTP(r.Context(), r.actor, &in.EndOTPInput)
}
