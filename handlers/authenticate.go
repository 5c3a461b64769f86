package handlers

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"healthrecords/auth"
)

// authenticate turns the access token into the request's actor. The token is
// only proven genuine here; that its session is live, the store finds out in
// the transaction that does the work.
func (a *api) authenticate(r *request, need access) error {
	token, err := bearer(r.Header)
	if err == errNoToken && need == tokenIfAny {
		return nil
	}
	if err != nil {
		return err
	}
	claims, err := a.Tokens.Parse(auth.Access, token, a.Store.Now())
	if err != nil {
		return err
	}
	r.actor.Account, r.actor.Session = claims.User, claims.Session
	return nil
}

// bearer returns the token of the one Authorization header (RFC 6750, section
// 2.1; RFC 9110, section 11.1: the scheme's case does not matter).
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) > 1 {
		return "", errHeaderForm
	}
	if len(values) == 0 {
		return "", errNoToken
	}
	parts := strings.Fields(values[0])
	if len(parts) == 0 || !strings.EqualFold(parts[0], "Bearer") {
		return "", errNoToken
	}
	if len(parts) != 2 {
		return "", errHeaderForm
	}
	return parts[1], nil
}

// clientAddress is where the request comes from: the connection's other end,
// or, behind trusted proxies, the last address of X-Forwarded-For that is not
// one of theirs. What stands further left anyone may have written.
func (a *api) clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	if !a.trusted(address) {
		return address.Unmap().String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = next
		if !a.trusted(address) {
			break
		}
	}
	return address.Unmap().WithZone("").String()
}

func (a *api) trusted(address netip.Addr) bool {
	return slices.ContainsFunc(a.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address.Unmap()) })
}

// hostAllowed tells whether a Host header names this service.
func (a *api) hostAllowed(host string) bool {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return false // "80@evil.example" would turn our links elsewhere
		}
		name = h
		if strings.Contains(h, ":") {
			name = "[" + h + "]"
		}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name != "" && slices.ContainsFunc(a.AllowedHosts, func(allowed string) bool {
		return name == allowed || strings.HasPrefix(allowed, ".") && (name == allowed[1:] || strings.HasSuffix(name, allowed))
	})
}

// base is what links begin with: the public address where one is set, else the
// allowed host that was asked.
func (a *api) base(r *request) string {
	if a.PublicURL != "" {
		return a.PublicURL
	}
	if r.TLS != nil || a.forwardedSecurely(r.Request) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (a *api) forwardedSecurely(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.trusted(peer.Addr()) && r.Header.Get("X-Forwarded-Proto") == "https"
}
