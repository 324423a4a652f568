package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Passage is a subnet that traffic of the instance passes next, after its own:
// that of a NAT gateway, of the attachment of a transit gateway, of an endpoint
// of a Gateway Load Balancer, or of a node of a load balancer. An entry of a
// network ACL names the source of what comes in and the destination of what goes
// out: so the address of the instance cuts there, and not in its own subnet.
// https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html
type Passage struct {
	Of      string `json:"of"` // as in Subnet.Tracked; or the name of a load balancer
	Subnet  string `json:"subnet"`
	ACL     string `json:"acl,omitempty"`
	Entries []Rule `json:"entries,omitempty"`
}

// ACL is a network ACL of a VPC of the instance.
type ACL struct {
	ID      string
	Subnets []string
	Entries []Rule
}

func readACLs(list []types.NetworkAcl) []ACL {
	out := make([]ACL, 0, len(list))
	for _, a := range list {
		out = append(out, readACL(a))
	}
	return out
}

func readACL(a types.NetworkAcl) ACL {
	n := ACL{ID: str(a.NetworkAclId), Entries: readRules(a.Entries)}
	for _, t := range a.Associations {
		n.Subnets = append(n.Subnets, str(t.SubnetId))
	}
	slices.Sort(n.Subnets)
	return n
}

// aclOf returns the network ACL of any subnet of the VPCs.
func (w *World) aclOf(subnet string) (ACL, bool) {
	i := slices.IndexFunc(w.ACLs, func(a ACL) bool { return slices.Contains(a.Subnets, subnet) })
	if i < 0 {
		return ACL{}, false
	}
	return w.ACLs[i], true
}

// passages finds the subnets that traffic passes next. What cannot be found is
// left out: the plan and the verdict say so.
func (d *describer) passages(w *World) {
	var nats, others, balancers []string
	add := func(list *[]string, id string) {
		if !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	for _, s := range w.Subnets {
		for _, id := range s.Tracked {
			switch {
			case strings.HasPrefix(id, "nat-"):
				add(&nats, id)
			case !strings.HasPrefix(id, egressOnly): // that stands in no subnet
				add(&others, id)
			}
		}
	}
	for _, t := range w.Targets {
		for _, lb := range t.Balancers {
			add(&balancers, lb)
		}
	}
	for _, c := range w.Classic {
		add(&balancers, c.Name)
	}
	d.side(func() { d.natPassages(w, nats) }, func() { d.otherPassages(w, others, balancers) })
	for i, p := range w.Passages {
		if a, ok := w.aclOf(p.Subnet); ok {
			w.Passages[i].ACL, w.Passages[i].Entries = a.ID, a.Entries
		}
	}
	slices.SortFunc(w.Passages, func(a, b Passage) int {
		if c := strings.Compare(a.Of, b.Of); c != 0 {
			return c
		}
		return strings.Compare(a.Subnet, b.Subnet)
	})
}

// pass notes a passage once.
func (d *describer) pass(w *World, of, subnet string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := slices.ContainsFunc(w.Passages, func(p Passage) bool { return p.Of == of && p.Subnet == subnet })
	if subnet != "" && !known {
		w.Passages = append(w.Passages, Passage{Of: of, Subnet: subnet})
	}
}

// natPassages asks where NAT gateways stand.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNatGateways.html
func (d *describer) natPassages(w *World, ids []string) {
	if len(ids) == 0 {
		return
	}
	list, err := ask(d, "ec2.DescribeNatGateways", func(ctx context.Context) ([]types.NatGateway, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		var out []types.NatGateway
		in := &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{filter("nat-gateway-id", ids...)}}
		for {
			page, err := c.DescribeNatGateways(ctx, in)
			if err != nil {
				return nil, err
			}
			out = append(out, page.NatGateways...)
			if str(page.NextToken) == "" {
				return out, nil
			}
			in.NextToken = page.NextToken
		}
	})
	if err != nil {
		return
	}
	for _, g := range list {
		if id := str(g.NatGatewayId); slices.Contains(ids, id) {
			d.pass(w, id, str(g.SubnetId))
		}
	}
}

// egressOnly begins the id of an egress-only internet gateway.
const egressOnly = "eigw-"

// How AWS describes the interfaces of what traffic passes.
const (
	transitInterface  = "Network Interface for Transit Gateway Attachment "
	endpointInterface = "VPC Endpoint Interface "
	balancerInterface = "ELB "
)

// otherPassages finds transit gateways, endpoints and load balancers by the
// interfaces that AWS keeps for them. An interface of a transit gateway does not
// name it: all those of the VPC are taken, which harms nobody.
func (d *describer) otherPassages(w *World, ids, balancers []string) {
	var names []string
	for _, id := range ids {
		if strings.HasPrefix(id, "tgw-") {
			names = append(names, transitInterface+"*")
		} else {
			names = append(names, endpointInterface+id)
		}
	}
	for _, lb := range balancers {
		names = append(names, balancerInterface+lb)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return
	}
	list, err := ask(d, "ec2.DescribeNetworkInterfaces of what traffic passes", func(ctx context.Context) ([]types.NetworkInterface, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listInterfaces(ctx, c, filter("vpc-id", w.vpcs()...), filter("description", names...))
	})
	if err != nil {
		return
	}
	for _, n := range list {
		name := str(n.Description)
		for _, id := range ids {
			if strings.HasPrefix(id, "tgw-") && strings.HasPrefix(name, transitInterface) || name == endpointInterface+id {
				d.pass(w, id, str(n.SubnetId))
			}
		}
		for _, lb := range balancers {
			if name == balancerInterface+lb {
				d.pass(w, lb, str(n.SubnetId))
			}
		}
	}
}

// denied reports whether entries deny everything between a subnet and an address
// beyond it, in both directions.
func denied(entries []Rule, block string) bool {
	return deniedOneWay(entries, block, false) && deniedOneWay(entries, block, true)
}

// deniedOneWay follows the entries in the order of their numbers. One that allows
// a part of it decides against it.
func deniedOneWay(entries []Rule, block string, egress bool) bool {
	want, err := netip.ParsePrefix(block)
	if err != nil {
		return false
	}
	for _, r := range entries { // readRules sorts them
		have, err := netip.ParsePrefix(r.CIDR)
		if r.Egress != egress || err != nil || !have.Overlaps(want) {
			continue
		}
		if r.Action == string(types.RuleActionAllow) {
			return false
		}
		if r.Protocol == "-1" && r.Ports == "" && have.Bits() <= want.Bits() {
			return true
		}
	}
	return true // the last entry of every ACL
}

// deniesAll reports whether nothing gets through a subnet's edge.
func deniesAll(entries []Rule) bool {
	return !slices.ContainsFunc(entries, func(r Rule) bool { return r.Action == string(types.RuleActionAllow) })
}

// path is a way on which AWS tracks connections of interfaces in a subnet of the
// instance, whatever the rules of groups say.
type path struct {
	Subnet  string   `json:"subnet"` // with the interfaces
	Of      string   `json:"of"`
	Through []string `json:"through,omitempty"` // the subnets that it passes next; none: not to be found
}

// title is what people call the path.
func (p path) title() string {
	if strings.HasPrefix(p.Of, "nat-") || strings.HasPrefix(p.Of, "tgw-") || strings.HasPrefix(p.Of, "vpce-") || strings.HasPrefix(p.Of, egressOnly) {
		return p.Of
	}
	return "load balancer " + p.Of
}

// cannot says why no network ACL cuts the path by the addresses of the instance;
// empty: one does.
func (p path) cannot(w *World) string {
	switch {
	case len(p.Through) == 0 && strings.HasPrefix(p.Of, "tgw-"):
		return "no attachment of " + p.Of + " is to be seen from this account"
	case strings.HasPrefix(p.Of, egressOnly):
		return "it stands at the edge of the VPC, where no network ACL is"
	case len(p.Through) == 0:
		return "where " + p.title() + " stands cannot be found"
	case slices.Contains(p.Through, p.Subnet):
		return "what goes through " + p.title() + " stays within " + p.Subnet + " until it has left, and a network ACL does not see that"
	}
	for _, s := range p.Through {
		if _, ok := w.aclOf(s); !ok {
			return "the network ACL of " + s + ", where " + p.title() + " stands, cannot be seen"
		}
	}
	return ""
}

// paths are those of one subnet.
func (w *World) paths(s Subnet, balanced bool) []path {
	var out []path
	for _, id := range s.Tracked {
		out = append(out, path{Subnet: s.ID, Of: id, Through: w.through(id)})
	}
	if !balanced {
		return out
	}
	var names []string
	for _, t := range w.Targets {
		if t.LB && len(t.Balancers) == 0 {
			names = append(names, "of "+t.Name)
		}
		names = append(names, t.Balancers...)
	}
	for _, c := range w.Classic {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	for _, lb := range slices.Compact(names) {
		out = append(out, path{Subnet: s.ID, Of: lb, Through: w.through(lb)})
	}
	return out
}

func (w *World) through(of string) []string {
	var out []string
	for _, p := range w.Passages {
		if p.Of == of {
			out = append(out, p.Subnet)
		}
	}
	return out
}

// cuts reports whether network ACLs cut a path for an interface, as they are now.
func (p path) cuts(w *World, n Interface) bool {
	if !n.uses(p.Of) {
		return true
	}
	if p.cannot(w) != "" {
		return false
	}
	for _, s := range p.Through {
		a, _ := w.aclOf(s)
		if slices.ContainsFunc(n.blocks(), func(b string) bool { return !denied(a.Entries, b) }) {
			return false
		}
	}
	return true
}
