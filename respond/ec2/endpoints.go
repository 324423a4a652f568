package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Endpoint is an endpoint in a VPC of the instance, of a service that taking
// memory needs.
type Endpoint struct {
	ID      string   `json:"id"`
	VPC     string   `json:"vpc"`
	Service string   `json:"service"` // ssm, ssmmessages, ec2messages or s3
	Gateway bool     `json:"gateway,omitempty"`
	Named   bool     `json:"named,omitempty"` // the name of the service leads to it
	State   string   `json:"state,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Subnets []string `json:"subnets,omitempty"`
	// Addresses are those of its network interfaces, each as a block of one.
	Addresses []string `json:"addresses,omitempty"`
	// Admits are who may come in to port 443 through its groups: CIDR blocks and
	// ids of security groups.
	Admits []string `json:"admits,omitempty"`
}

// Gateway is a route of a subnet to a gateway endpoint, for the addresses of a
// prefix list.
type Gateway struct {
	Endpoint string `json:"endpoint"`
	List     string `json:"list"`
}

const (
	serviceSSM      = "ssm"
	serviceMessages = "ssmmessages"
	serviceOlder    = "ec2messages"
	serviceS3       = "s3"
	httpsPort       = 443
)

// endpoints asks for the endpoints of the VPCs, and for whom their groups let in.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html
func (d *describer) endpoints(w *World) {
	if len(w.vpcs()) == 0 {
		return
	}
	list, err := ask(d, "ec2.DescribeVpcEndpoints", func(ctx context.Context) ([]types.VpcEndpoint, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listEndpoints(ctx, c, filter("vpc-id", w.vpcs()...))
	})
	if err != nil {
		return
	}
	var groups, ids []string
	at := map[string][]string{} // the interfaces of each
	for _, e := range list {
		p, ok := readEndpoint(e, w.Region)
		if !ok {
			continue
		}
		w.Endpoints = append(w.Endpoints, p)
		groups = join(groups, p.Groups...)
		at[p.ID], ids = e.NetworkInterfaceIds, join(ids, e.NetworkInterfaceIds...)
	}
	if len(ids) > 0 {
		d.endpointAddresses(w, at, ids)
	}
	slices.SortFunc(w.Endpoints, func(a, b Endpoint) int { return strings.Compare(a.Service+a.ID, b.Service+b.ID) })
	if len(groups) > 0 {
		d.admits(w, groups)
	}
}

// endpointAddresses asks for the addresses of the endpoints. Their groups say less: hosts
// may be in them too.
func (d *describer) endpointAddresses(w *World, at map[string][]string, ids []string) {
	list, err := ask(d, "ec2.DescribeNetworkInterfaces of the endpoints", func(ctx context.Context) ([]types.NetworkInterface, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listInterfaces(ctx, c, filter("network-interface-id", ids...))
	})
	if err != nil {
		return
	}
	for _, n := range readInterfaces(list) {
		for i, e := range w.Endpoints {
			if slices.Contains(at[e.ID], n.ID) {
				w.Endpoints[i].Addresses = join(e.Addresses, single(slices.Concat(n.IPv4, n.IPv6))...)
			}
		}
	}
}

// single are blocks of one address each, of both families.
func single(addresses []string) []string {
	var out []string
	for _, s := range addresses {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()).String())
		}
	}
	return out
}

func listEndpoints(ctx context.Context, c awscalls.EC2, filters ...types.Filter) ([]types.VpcEndpoint, error) {
	var out []types.VpcEndpoint
	in := &ec2.DescribeVpcEndpointsInput{Filters: filters}
	for {
		page, err := c.DescribeVpcEndpoints(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.VpcEndpoints...)
		if str(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

// readEndpoint reads an endpoint of a service that matters here, in the same
// region.
func readEndpoint(e types.VpcEndpoint, region string) (Endpoint, bool) {
	p := Endpoint{ID: str(e.VpcEndpointId), VPC: str(e.VpcId), Named: aws.ToBool(e.PrivateDnsEnabled), State: strings.ToLower(string(e.State)),
		Gateway: e.VpcEndpointType == types.VpcEndpointTypeGateway, Subnets: slices.Sorted(slices.Values(e.SubnetIds))}
	_, service, found := strings.Cut(str(e.ServiceName), "."+region+".")
	switch {
	case !found:
		return p, false
	case service == serviceS3 && p.Gateway, slices.Contains([]string{serviceSSM, serviceMessages, serviceOlder}, service) && e.VpcEndpointType == types.VpcEndpointTypeInterface:
		p.Service = service
	default:
		return p, false
	}
	for _, g := range e.Groups {
		p.Groups = join(p.Groups, str(g.GroupId))
	}
	return p, true
}

// admits asks whom the groups of endpoints let in, and for the group of ours that
// they may name.
func (d *describer) admits(w *World, ids []string) {
	list, err := ask(d, "ec2.DescribeSecurityGroups of the endpoints", func(ctx context.Context) ([]types.SecurityGroup, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listGroups(ctx, c, &ec2.DescribeSecurityGroupsInput{GroupIds: ids})
	})
	if err != nil {
		return
	}
	var named []string
	for i, e := range w.Endpoints {
		for _, g := range list {
			if slices.Contains(e.Groups, str(g.GroupId)) {
				w.Endpoints[i].Admits = join(w.Endpoints[i].Admits, admitted(g)...)
			}
		}
		for _, a := range w.Endpoints[i].Admits {
			if strings.HasPrefix(a, "sg-") {
				named = join(named, a)
			}
		}
	}
	if len(named) == 0 {
		return
	}
	own, err := ask(d, "ec2.DescribeSecurityGroups of ours", func(ctx context.Context) ([]types.SecurityGroup, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listGroups(ctx, c, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", w.vpcs()...), filter("group-name", throughName)}})
	})
	if err != nil {
		return
	}
	for _, g := range own {
		if str(g.GroupName) == throughName && isOurs(g) {
			w.Through = join(w.Through, str(g.GroupId))
		}
	}
}

// admitted are who may come in to port 443.
func admitted(g types.SecurityGroup) []string {
	var out []string
	for _, p := range g.IpPermissions {
		all := str(p.IpProtocol) == "-1"
		tcp := str(p.IpProtocol) == "tcp" || str(p.IpProtocol) == "6"
		if !all && (!tcp || aws.ToInt32(p.FromPort) > httpsPort || aws.ToInt32(p.ToPort) < httpsPort) {
			continue
		}
		for _, r := range p.IpRanges {
			out = join(out, str(r.CidrIp))
		}
		for _, r := range p.UserIdGroupPairs {
			out = join(out, str(r.GroupId))
		}
	}
	return out
}

// admit reports whether an endpoint lets an interface in that has none but our
// group.
func (e Endpoint) admit(w *World, n Interface) bool {
	return slices.ContainsFunc(e.Admits, func(who string) bool {
		if slices.Contains(w.Through, who) {
			return true
		}
		block, err := netip.ParsePrefix(who)
		if err != nil || len(n.IPv4) == 0 {
			return false
		}
		a, err := netip.ParseAddr(n.IPv4[0])
		return err == nil && block.Contains(a)
	})
}
