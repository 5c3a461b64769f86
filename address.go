package main

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ownPort is the port that a URL of each scheme leaves out.
var ownPort = map[string]string{"http": "80", "https": "443"}

// parseOrigin takes an origin as browsers write it (RFC 6454, section 6.2), for
// only such a one can ever match.
func parseOrigin(text string) (origin, problem string) {
	const form = "write it as browsers do: https://host or https://host:port, lower case, nothing after it"
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || !isAuthority(u) || text != u.Scheme+"://"+u.Host || text != strings.ToLower(text) {
		return "", form
	}
	if u.Port() != "" && u.Port() == ownPort[u.Scheme] {
		return "", "leave out the port that the scheme has anyway; browsers do"
	}
	return text, ""
}

// parseNetwork takes a network, or an address as a network of one.
func parseNetwork(text string) (network netip.Prefix, problem string) {
	const form = "write a network such as 10.0.0.0/8, or an address"
	network, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return network, form
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	if network.Addr().Is4In6() {
		return network, "write the IPv4 form, without ::ffff:"
	}
	if network != network.Masked() {
		return network, "the address has bits beyond its prefix length; write the network's first address"
	}
	return network, ""
}

// parseAllowedHost takes a host without port, or a domain that begins with a dot.
func parseAllowedHost(text string) (host, problem string) {
	text = strings.ToLower(text)
	if strings.Contains(text, "*") {
		return "", "a wildcard is refused; write each name, or .example.org for a domain with all names below it"
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil && addr.Is6() {
		return "[" + addr.WithZone("").String() + "]", ""
	}
	if !isName(strings.TrimPrefix(text, ".")) {
		return "", "write a host name or address without scheme, port and path"
	}
	return text, ""
}

// isAuthority tells whether a URL has a host, and nothing odd as host or port.
func isAuthority(u *url.URL) bool {
	host, port := u.Hostname(), u.Port()
	if strings.HasSuffix(u.Host, ":") || port != "" && !isPort(port) || strings.Contains(host, "%") {
		return false
	}
	return isHost(host)
}

// isHost tells whether host is a name, or an address without brackets.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return isName(strings.ToLower(host))
}

// isName tells whether host is a DNS name in lower case (RFC 1123, section 2.1,
// and the underscore that container networks use) or an IPv4 address.
func isName(host string) bool {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" { // a number at the end makes it an address
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return len(host) <= 253
}

// isPort tells whether text is a port number in its usual spelling.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}

// loopback tells whether host never leaves this machine. A name other than
// localhost may resolve to anything.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// defaultHosts returns the hosts answered when LISTEN's host is the given one.
// An unspecified address names no host.
func defaultHosts(host string) []string {
	hosts := []string{"localhost", "127.0.0.1", "[::1]"}
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		return hosts
	}
	own, problem := parseAllowedHost(host)
	if problem == "" && !slices.Contains(hosts, own) {
		hosts = append(hosts, own)
	}
	return hosts
}

// defaultPublicURL returns the address at which a client on this machine, or
// one that knows the host, finds the service.
func defaultPublicURL(host, port string, tls bool) string {
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "localhost"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(strings.ToLower(host), port)}
	if tls {
		u.Scheme = "https"
	}
	return strings.TrimSuffix(u.String(), ":"+ownPort[u.Scheme])
}
