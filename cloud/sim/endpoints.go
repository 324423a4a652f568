package sim

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// EndpointSpec is a VPC endpoint; the zero value is for S3, a gateway.
type EndpointSpec struct {
	VPC, Service string
	Interface    bool
	// Subnets and Groups are of an interface endpoint.
	Subnets []string
	Groups  []string
	// NoNames leaves the name of the service where it was: private DNS is off.
	NoNames bool
}

// PrefixList is the managed prefix list of S3 in each simulated region, and
// ServiceOfS3 an address in it.
const (
	PrefixList  = "pl-63a5400a"
	ServiceOfS3 = "52.216.0.9"
)

// listed are the addresses of the prefix lists.
var listed = map[string]string{PrefixList: "52.216.0.0/15"}

// AddVPCEndpoint adds an endpoint and returns its id. Service is short: ssm, s3.
// An endpoint with interfaces has one in each of its subnets; a gateway has a
// route in each route table that the VPC has so far.
func (e *Editor) AddVPCEndpoint(accountID, regionName string, spec EndpointSpec) string {
	s := e.scope(accountID, regionName)
	p := &endpoint{made: s.past("vpce-", "", nil), VPC: orText(spec.VPC, s.DefaultVPC), Service: "com.amazonaws." + regionName + "." + orText(spec.Service, "s3"), Type: "Gateway",
		Subnets: spec.Subnets, Groups: spec.Groups, NoNames: spec.NoNames}
	if spec.Interface {
		p.Type = "Interface"
		for _, id := range spec.Subnets {
			n := s.newENI("", s.Subnets[id], spec.Groups, "VPC Endpoint Interface "+p.ID)
			n.Type, n.Managed, n.Requester = "vpc_endpoint", true, "amazon-vpce"
			p.ENIs = append(p.ENIs, n.ID)
		}
		return keep(&s.Endpoints, p).ID
	}
	p.List = PrefixList
	for _, t := range inOrder(s.Tables) {
		if t.VPC == p.VPC {
			p.Tables = append(p.Tables, t.ID)
			t.Routes = append(t.Routes, route{To: p.List, Via: p.ID})
		}
	}
	return keep(&s.Endpoints, p).ID
}

// DescribeVpcEndpoints implements awscalls.EC2.
func (c *ec2Client) DescribeVpcEndpoints(ctx context.Context, in *ec2.DescribeVpcEndpointsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointsOutput, error) {
	return ec2Do(ctx, c, "DescribeVpcEndpoints", false, in, func(s *scope) (*ec2.DescribeVpcEndpointsOutput, error) {
		all, err := list(s, s.Endpoints, kindEndpoint, in.VpcEndpointIds)
		if err != nil {
			return nil, err
		}
		table := filters[*endpoint]{
			"vpc-id":             func(e *endpoint) []string { return one(e.VPC) },
			"vpc-endpoint-id":    func(e *endpoint) []string { return one(e.ID) },
			"vpc-endpoint-type":  func(e *endpoint) []string { return one(e.Type) },
			"service-name":       func(e *endpoint) []string { return one(e.Service) },
			"vpc-endpoint-state": func(*endpoint) []string { return one("available") },
		}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.VpcEndpointIds), Least: 1, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeVpcEndpointsOutput{NextToken: next}
		for _, e := range all {
			shown := types.VpcEndpoint{VpcEndpointId: aws.String(e.ID), VpcId: aws.String(e.VPC), ServiceName: aws.String(e.Service), VpcEndpointType: types.VpcEndpointType(e.Type),
				State: types.StateAvailable, SubnetIds: e.Subnets, RouteTableIds: e.Tables, NetworkInterfaceIds: e.ENIs, OwnerId: aws.String(s.a.ID), Tags: tagList(e.Tags),
				PrivateDnsEnabled: aws.Bool(e.Type == "Interface" && !e.NoNames)}
			for _, g := range s.showGroupNames(e.Groups) {
				shown.Groups = append(shown.Groups, types.SecurityGroupIdentifier{GroupId: g.GroupId, GroupName: g.GroupName})
			}
			out.VpcEndpoints = append(out.VpcEndpoints, shown)
		}
		return out, nil
	})
}

// throughEndpoint reports whether an interface reaches a service by an endpoint of
// its VPC: by the name of the service, through its own groups and those of the
// endpoint, and through the network ACLs between them.
func (s *scope) throughEndpoint(n *eni, service string) bool {
	for _, e := range inOrder(s.Endpoints) {
		if e.VPC != n.VPC || e.Type != "Interface" || e.NoNames || e.Service != "com.amazonaws."+s.r.Name+"."+service {
			continue
		}
		for _, id := range e.ENIs {
			if far := s.ENIs[id]; far != nil && s.meet(n, far) {
				return true
			}
		}
	}
	return false
}

// modelled reports whether a rule leads to endpoints that are in the world; a rule
// to another group stands for endpoints that are not.
func (s *scope) modelled(n *eni, r *rule) bool {
	for _, e := range s.Endpoints {
		if e.VPC == n.VPC && slices.Contains(e.Groups, r.Group) {
			return true
		}
	}
	return false
}

// meet reports whether an interface can open a connection to port 443 of another.
func (s *scope) meet(n, far *eni) bool {
	to, err := netip.ParseAddr(far.IPs[0])
	from, bad := netip.ParseAddr(n.IPs[0])
	if err != nil || bad != nil {
		return false
	}
	f := &flow{ENI: n.ID, Protocol: "tcp", Port: 443, Remote: far.IPs[0], Local: n.IPs[0]}
	in := &flow{ENI: far.ID, Protocol: "tcp", Port: 443, Remote: n.IPs[0], Local: far.IPs[0], Inbound: true}
	return s.groupsAllow(n, f, false, to) && s.groupsAllow(far, in, true, from) && s.aclsAllow(n, f, to) && s.aclsAllow(far, in, from)
}

// reachesS3 reports whether an instance can send to S3: to the internet, or by a
// gateway endpoint.
func (s *scope) reachesS3(instanceID string) bool {
	to := netip.MustParseAddr(ServiceOfS3)
	for _, n := range s.enisOf(instanceID) {
		f := &flow{ENI: n.ID, Protocol: "tcp", Port: 443, Remote: ServiceOfS3}
		open := slices.ContainsFunc(n.Groups, func(id string) bool {
			g := s.Groups[id]
			return g != nil && slices.ContainsFunc(g.Rules, func(r *rule) bool { return r.List == "" && r.Group == "" && letsHTTPSOut(r) })
		})
		switch {
		case s.Subnets[n.Subnet] != nil && !s.aclsAllow(n, f, to):
		case open: // by whatever way the subnet has
			return true
		case s.route(f, n, to) && f.Via == "vpce" && s.groupsAllow(n, f, false, to):
			return true
		}
	}
	return false
}
