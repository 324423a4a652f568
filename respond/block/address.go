package block

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// most is how many networks are blocked at once.
const most = 20

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
		n, err := kit.Network(word)
		switch {
		case err != nil:
			bad = append(bad, refusal{word, "it is no address"})
		case seen[n]:
		case len(good) >= most:
			bad = append(bad, refusal{word, fmt.Sprintf("at most %d are blocked at once", most)})
		default:
			seen[n] = true
			if why := kit.NotToBlock(n, p); why != "" {
				bad = append(bad, refusal{n.String(), why})
			} else {
				good = append(good, n)
			}
		}
	}
	return good, bad
}

func texts(list []netip.Prefix) []string {
	out := make([]string, 0, len(list))
	for _, n := range list {
		out = append(out, n.String())
	}
	return out
}
