package block

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/guardroom/guardroom/respond"
)

// The widest networks that are blocked, and how many of them at once.
const (
	widest4 = 24
	widest6 = 48
	most    = 20
)

// refusal is an address that is not blocked, and why.
type refusal struct{ address, why string }

// addressesOf reads the addresses of a target and leaves out those that must not
// be blocked.
func addressesOf(t respond.Target, p respond.Policy) (good []netip.Prefix, bad []refusal) {
	seen := map[netip.Prefix]bool{}
	for word := range strings.SplitSeq(t.Parts[respond.PartRemoteIPs], ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		n, err := parse(word)
		switch {
		case err != nil:
			bad = append(bad, refusal{word, "it is no address"})
		case seen[n]:
		case len(good) >= most:
			bad = append(bad, refusal{word, fmt.Sprintf("at most %d are blocked at once", most)})
		default:
			seen[n] = true
			if why := forbidden(n, p); why != "" {
				bad = append(bad, refusal{n.String(), why})
			} else {
				good = append(good, n)
			}
		}
	}
	return good, bad
}

// parse reads an address or a network.
func parse(s string) (netip.Prefix, error) {
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

// forbidden says why a network must not be blocked; empty: it may.
func forbidden(n netip.Prefix, p respond.Policy) string {
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
		o, err := parse(strings.TrimSpace(own))
		if err != nil {
			return fmt.Sprintf("the list of own networks holds %q, which is none: nothing is blocked until that is mended", own)
		}
		if o.Overlaps(n) {
			return "it is in our own network " + o.String()
		}
	}
	return ""
}

func texts(list []netip.Prefix) []string {
	out := make([]string, 0, len(list))
	for _, n := range list {
		out = append(out, n.String())
	}
	return out
}
