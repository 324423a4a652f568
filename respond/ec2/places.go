package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// mostRemotes is how many addresses of a finding are denied to a whole subnet.
const mostRemotes = 3

// place is a network ACL that gets entries of ours.
type place struct {
	acl     string
	subnets []string // those for which it is chosen
	blocks  []string // addresses of the instance
	remotes []string // addresses that the finding named
	on      []string // what it cuts, for people
}

// paths are all ways of the instance on which AWS tracks connections.
func (b *drafting) paths() []path {
	var out []path
	for _, s := range b.w.Subnets {
		here := b.here(s)
		if len(here) > 0 && b.w.State == "running" {
			for _, p := range b.w.paths(s, slices.ContainsFunc(here, b.balanced)) {
				if slices.ContainsFunc(here, func(n Interface) bool { return n.uses(p.Of) }) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// here are our interfaces in a subnet.
func (b *drafting) here(s Subnet) []Interface {
	return slices.DeleteFunc(b.ours(), func(n Interface) bool { return n.Subnet != s.ID })
}

// cannot says what of a subnet no network ACL cuts by the addresses of the
// instance.
func (b *drafting) cannot(s Subnet) []string {
	var out []string
	for _, p := range b.paths() {
		if p.Subnet != s.ID {
			continue
		}
		if why := p.cannot(b.w); why != "" {
			out = append(out, why)
		}
	}
	for _, n := range b.here(s) {
		if b.narrow[n.ID] != "" && b.w.State == "running" {
			out = append(out, n.ID+" is isolated "+b.narrow[n.ID]+", and others share "+s.ID)
		}
	}
	return out
}

// places are the network ACLs that get entries for subnets that the instance
// shares with others. An entry names the other end as the subnet sees it: the
// address of the instance therefore cuts in the subnets that its traffic passes
// next, in its own network ACL only where that is also the one of other subnets;
// and there the addresses that the finding named cut what nothing else does.
// https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html
func (b *drafting) places() []place {
	var out []place
	at := func(id, subnet string) *place {
		i := slices.IndexFunc(out, func(p place) bool { return p.acl == id })
		if i < 0 {
			out, i = append(out, place{acl: id}), len(out)
		}
		out[i].subnets = join(out[i].subnets, subnet)
		return &out[i]
	}
	for _, s := range b.w.Subnets {
		if b.whyACL(s) == "" || b.alone(s) || s.ACL == "" {
			continue
		}
		blocks := b.w.blocksOf(b.here(s))
		for _, p := range b.paths() {
			if p.Subnet != s.ID {
				continue
			}
			for _, through := range p.Through {
				if a, ok := b.w.aclOf(through); ok && through != s.ID {
					in := at(a.ID, through)
					in.blocks, in.on = join(in.blocks, blocks...), join(in.on, p.title())
				}
			}
		}
		if len(s.Sharers) > 0 {
			in := at(s.ACL, s.ID)
			in.blocks, in.on = join(in.blocks, blocks...), join(in.on, "other subnets with the same network ACL")
		}
		if remotes := b.remotes(s); len(remotes) > 0 && len(b.cannot(s)) > 0 {
			in := at(s.ACL, s.ID)
			in.remotes = join(in.remotes, remotes...)
		}
	}
	slices.SortFunc(out, func(a, b place) int { return strings.Compare(a.acl, b.acl) })
	return out
}

// join adds what is not there yet.
func join(list []string, more ...string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return list
}

// blocksOf are the addresses and prefixes of interfaces.
func (*World) blocksOf(list []Interface) []string {
	var out []string
	for _, n := range list {
		out = join(out, n.blocks()...)
	}
	return out
}

// remotes are a few addresses on the internet that the finding named: the denial
// hits everybody in the subnet, so none is taken that block-actor would not block
// either, such as one of a network of one's own.
func (b *drafting) remotes(s Subnet) []string {
	var out []string
	v6 := slices.ContainsFunc(b.here(s), func(n Interface) bool { return len(n.IPv6) > 0 })
	for word := range strings.SplitSeq(b.r.Target.Parts[respond.PartRemoteIPs], ",") {
		a, err := netip.ParseAddr(word)
		if err != nil || len(out) >= mostRemotes {
			continue
		}
		a = a.Unmap()
		spared := kit.NotToBlock(netip.PrefixFrom(a, a.BitLen()), b.r.Policy) != ""
		inside := slices.ContainsFunc(s.CIDR, func(c string) bool { p, err := netip.ParsePrefix(c); return err == nil && p.Contains(a) })
		ours := slices.ContainsFunc(b.w.Interfaces, func(n Interface) bool {
			return slices.Contains(n.publics(), a.String()) || slices.Contains(n.IPv6, a.String())
		})
		if spared || inside || ours || a.Is6() && !v6 {
			continue
		}
		out = join(out, netip.PrefixFrom(a, a.BitLen()).String())
	}
	return out
}

// title is the line of a place in the plan.
func (p place) title(why string) string {
	var parts []string
	if len(p.blocks) > 0 {
		parts = append(parts, fmt.Sprintf("%d entries deny %s, both ways, on the way through %s", 2*len(p.blocks), kit.Join(p.blocks), kit.Join(p.on)))
	}
	if len(p.remotes) > 0 {
		parts = append(parts, fmt.Sprintf("%d entries deny %s of the finding to all of %s", 2*len(p.remotes), kit.Join(p.remotes), kit.Join(p.subnets)))
	}
	return "network ACL " + p.acl + ": " + strings.Join(parts, "; ") + " (" + why + ")"
}

// params are what the step of a place needs.
func (p place) params() aclParams {
	return aclParams{ACL: p.acl, Subnets: p.subnets, Blocks: slices.Concat(p.blocks, p.remotes)}
}
