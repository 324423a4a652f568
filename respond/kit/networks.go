package kit

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/guardroom/guardroom/respond"
)

// The widest networks that are blocked.
const (
	widest4 = 24
	widest6 = 48
)

// Network reads an address or a network: one address is a network of its own.
func Network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil || n.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address", s)
	}
	return n.Masked(), nil
}

// reserved are networks that no actor comes from, beside those that netip knows.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
}

// NotToBlock says why nobody may be shut off from a network, whatever a finding
// says of it; empty: it may be blocked. A list of own networks with an error in it
// spares everything.
func NotToBlock(n netip.Prefix, p respond.Policy) string {
	a := n.Addr()
	switch {
	case n.Bits() < widest4 && a.Is4() || n.Bits() < widest6 && a.Is6():
		return fmt.Sprintf("it is wider than /%d", map[bool]int{true: widest4, false: widest6}[a.Is4()])
	case a.IsPrivate():
		return "it is a private network"
	case a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsUnspecified():
		return "it is a local network"
	}
	for _, r := range reserved {
		if r.Overlaps(n) {
			return "it is in the reserved network " + r.String()
		}
	}
	for _, own := range p.Own {
		o, err := Network(strings.TrimSpace(own))
		if err != nil {
			return fmt.Sprintf("the list of own networks holds %q, which is none: nothing is blocked until that is mended", own)
		}
		if o.Overlaps(n) {
			return "it is in our own network " + o.String()
		}
	}
	return ""
}
