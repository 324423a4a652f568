package webhook

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// guard refuses addresses inside the network. It looks at the address that is
// about to be connected to, after every name was resolved, so that a name that
// changes its address between look and use gains nothing.
type guard struct{ allowPrivate bool }

// blockedError names a refused address.
type blockedError struct {
	addr netip.Addr
	why  string
}

func (e *blockedError) Error() string { return fmt.Sprintf("%s is %s", e.addr, e.why) }

// inside are ranges that allow_private opens, beside those that netip knows.
var inside = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),  // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments, RFC 6890
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks, RFC 2544
	netip.MustParsePrefix("fec0::/10"),      // site-local, RFC 3879
	netip.MustParsePrefix("64:ff9b:1::/48"), // local NAT64, RFC 8215
}

// never are ranges that nothing opens.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("fd00:ec2::/32"), // metadata and other services of EC2
}

// embedding are ranges of IPv6 that lead to the IPv4 address inside them, with
// the offset of its bytes.
var embedding = []struct {
	prefix netip.Prefix
	offset int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64, RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible, RFC 4291
}

// check returns a *blockedError where addr must not be called.
func (g guard) check(addr netip.Addr) error {
	a := addr.WithZone("").Unmap()
	if a.Is6() && !a.IsLoopback() && !a.IsUnspecified() {
		for _, e := range embedding {
			if e.prefix.Contains(a) {
				b := a.As16()
				if err := g.check(netip.AddrFrom4([4]byte(b[e.offset : e.offset+4]))); err != nil {
					return &blockedError{addr, "an address that leads to an internal one"}
				}
			}
		}
	}
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || contains(never, a):
		return &blockedError{addr, "not an address to call"}
	case a.IsLinkLocalUnicast():
		return &blockedError{addr, "a link-local address"}
	case g.allowPrivate:
		return nil
	case a.IsLoopback():
		return &blockedError{addr, "a loopback address"}
	case a.IsPrivate() || contains(inside, a):
		return &blockedError{addr, "a private address"}
	}
	return nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// control is called by the dialer with the address in numbers.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %q: %w", address, err)
	}
	return g.check(ap.Addr())
}

func (g guard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, Control: g.control}
}

// transport never uses a proxy: behind one, the guard would see the proxy's
// address only.
func (g guard) transport() *http.Transport {
	return &http.Transport{
		DialContext: g.dialer().DialContext, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 60 * time.Second, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
}
