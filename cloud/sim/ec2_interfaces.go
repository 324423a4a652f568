package sim

import (
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *scope) eniFilters() filters[*eni] {
	attached := func(f func(*eni) string) func(*eni) []string {
		return func(n *eni) []string {
			if n.Instance == "" {
				return nil
			}
			return one(f(n))
		}
	}
	return filters[*eni]{
		"network-interface-id":             func(n *eni) []string { return one(n.ID) },
		"attachment.instance-id":           attached(func(n *eni) string { return n.Instance }),
		"attachment.attachment-id":         attached(func(n *eni) string { return n.Attachment }),
		"attachment.instance-owner-id":     attached(func(*eni) string { return s.a.ID }),
		"attachment.device-index":          attached(func(n *eni) string { return strconv.Itoa(int(n.Index)) }),
		"attachment.status":                attached(func(*eni) string { return "attached" }),
		"attachment.delete-on-termination": attached(func(n *eni) string { return strconv.FormatBool(n.Delete) }),
		"subnet-id":                        func(n *eni) []string { return one(n.Subnet) },
		"vpc-id":                           func(n *eni) []string { return one(n.VPC) },
		"availability-zone":                func(n *eni) []string { return one(n.AZ) },
		"group-id":                         s.groupsOf,
		"group-name":                       func(n *eni) []string { return s.groupNames(s.groupsOf(n)) },
		"private-ip-address":               func(n *eni) []string { return n.IPs[:1] },
		"addresses.private-ip-address":     func(n *eni) []string { return n.IPs },
		"ipv6-addresses.ipv6-address":      func(n *eni) []string { return n.IP6s },
		"association.public-ip":            s.publicOf,
		"addresses.association.public-ip":  s.publicOf,
		"association.allocation-id": func(n *eni) []string {
			return s.elastics(n, func(a *address) string { return a.ID })
		},
		"association.association-id": func(n *eni) []string {
			return s.elastics(n, func(a *address) string { return a.Association })
		},
		"requester-id":      func(n *eni) []string { return one(n.Requester) },
		"requester-managed": func(n *eni) []string { return yes(n.Managed) },
		"operator.managed":  func(n *eni) []string { return yes(n.Operator != "") },
		"interface-type":    func(n *eni) []string { return one(n.Type) },
		"description":       func(n *eni) []string { return one(n.Description) },
		"owner-id":          func(*eni) []string { return one(s.a.ID) },
		"status": func(n *eni) []string {
			if n.Instance == "" && !n.Managed {
				return one("available")
			}
			return one("in-use")
		},
	}
}

// publicOf are the public addresses of an interface.
func (s *scope) publicOf(n *eni) []string {
	out := s.elastics(n, func(a *address) string { return a.IP })
	if n.Public != "" && s.elastic(n, n.IPs[0]) == nil {
		out = append(out, n.Public)
	}
	return out
}

func (s *scope) elastics(n *eni, f func(*address) string) []string {
	var out []string
	for _, ip := range n.IPs {
		if a := s.elastic(n, ip); a != nil {
			out = append(out, f(a))
		}
	}
	return out
}

// DescribeNetworkInterfaces implements awscalls.EC2.
func (c *ec2Client) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	return ec2Do(ctx, c, "DescribeNetworkInterfaces", false, in, func(s *scope) (*ec2.DescribeNetworkInterfacesOutput, error) {
		all, err := list(s, s.ENIs, kindENI, in.NetworkInterfaceIds)
		if err != nil {
			return nil, err
		}
		if all, err = s.eniFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.NetworkInterfaceIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeNetworkInterfacesOutput{NextToken: next}
		for _, n := range all {
			out.NetworkInterfaces = append(out.NetworkInterfaces, s.showENI(n))
		}
		return out, nil
	})
}

// showENI is an interface as the SDK has it.
func (s *scope) showENI(n *eni) types.NetworkInterface {
	out := types.NetworkInterface{NetworkInterfaceId: aws.String(n.ID), SubnetId: aws.String(n.Subnet), VpcId: aws.String(n.VPC),
		AvailabilityZone: aws.String(n.AZ), Description: aws.String(n.Description), InterfaceType: types.NetworkInterfaceType(n.Type),
		Groups: s.showGroupNames(s.groupsOf(n)), OwnerId: aws.String(s.a.ID), PrivateIpAddress: aws.String(n.IPs[0]),
		SourceDestCheck: aws.Bool(n.Sources), RequesterManaged: aws.Bool(n.Managed), Status: types.NetworkInterfaceStatusAvailable,
		MacAddress: aws.String(mac(n.ID)), TagSet: tagList(n.Tags), Operator: showOperator(n.Operator)}
	if n.Requester != "" {
		out.RequesterId = aws.String(n.Requester)
	}
	if n.Instance != "" {
		out.Attachment = &types.NetworkInterfaceAttachment{AttachmentId: aws.String(n.Attachment), InstanceId: aws.String(n.Instance),
			InstanceOwnerId: aws.String(s.a.ID), DeviceIndex: aws.Int32(n.Index), DeleteOnTermination: aws.Bool(n.Delete),
			AttachTime: aws.Time(n.Attached), Status: types.AttachmentStatusAttached}
	}
	if n.Instance != "" || n.Managed {
		out.Status = types.NetworkInterfaceStatusInUse
	}
	for k, ip := range n.IPs {
		shown := types.NetworkInterfacePrivateIpAddress{PrivateIpAddress: aws.String(ip), Primary: aws.Bool(k == 0), Association: s.association(n, k)}
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, shown)
	}
	out.Association = out.PrivateIpAddresses[0].Association
	for _, ip := range n.IP6s {
		out.Ipv6Addresses = append(out.Ipv6Addresses, types.NetworkInterfaceIpv6Address{Ipv6Address: aws.String(ip)})
	}
	if n.TCP != 0 || n.Stream != 0 || n.UDP != 0 {
		out.ConnectionTrackingConfiguration = &types.ConnectionTrackingConfiguration{TcpEstablishedTimeout: set(n.TCP), UdpStreamTimeout: set(n.Stream), UdpTimeout: set(n.UDP)}
	}
	return out
}

// set is a number, or nil when it is not set.
func set(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(n)
}

func (s *scope) association(n *eni, k int) *types.NetworkInterfaceAssociation {
	if a := s.elastic(n, n.IPs[k]); a != nil {
		return &types.NetworkInterfaceAssociation{AllocationId: aws.String(a.ID), AssociationId: aws.String(a.Association), IpOwnerId: aws.String(s.a.ID), PublicIp: aws.String(a.IP)}
	}
	if k == 0 && n.Public != "" {
		return &types.NetworkInterfaceAssociation{IpOwnerId: aws.String("amazon"), PublicIp: aws.String(n.Public)}
	}
	return nil
}

func mac(id string) string {
	out := "02"
	for k := 5; k > 0; k-- {
		out += ":" + id[max(0, len(id)-2*k):max(0, len(id)-2*k)+2]
	}
	return out
}

// ModifyNetworkInterfaceAttribute implements awscalls.EC2: one attribute a call.
func (c *ec2Client) ModifyNetworkInterfaceAttribute(ctx context.Context, in *ec2.ModifyNetworkInterfaceAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	return ec2Do(ctx, c, "ModifyNetworkInterfaceAttribute", true, in, func(s *scope) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
		n, err := get(s, s.ENIs, kindENI, in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		count := 0
		for _, set := range []bool{in.Groups != nil, in.AssociatePublicIpAddress != nil, in.Attachment != nil, in.Description != nil, in.SourceDestCheck != nil, in.ConnectionTrackingSpecification != nil} {
			if set {
				count++
			}
		}
		if count != 1 {
			return nil, fail("InvalidParameterCombination", "Exactly one attribute must be modified in a call; there are %d", count)
		}
		if n.Managed || n.Operator != "" {
			return nil, fail("OperationNotPermitted", "You do not have permission to modify the network interface %s: it is managed by %s", n.ID, orText(n.Operator, n.Requester))
		}
		return &ec2.ModifyNetworkInterfaceAttributeOutput{}, s.modifyENI(n, in)
	})
}

func (s *scope) modifyENI(n *eni, in *ec2.ModifyNetworkInterfaceAttributeInput) error {
	switch {
	case in.Groups != nil:
		return s.setGroups(n, in.Groups)
	case in.AssociatePublicIpAddress != nil:
		return s.setPublic(n, *in.AssociatePublicIpAddress)
	case in.Attachment != nil:
		if n.Instance == "" || aws.ToString(in.Attachment.AttachmentId) != n.Attachment {
			return fail("InvalidAttachmentID.NotFound", "The attachment '%s' does not exist on %s", aws.ToString(in.Attachment.AttachmentId), n.ID)
		}
		if in.Attachment.DeleteOnTermination == nil {
			return fail("MissingParameter", "The request must contain the parameter attachment.deleteOnTermination")
		}
		n.Delete = *in.Attachment.DeleteOnTermination
	case in.Description != nil:
		n.Description = aws.ToString(in.Description.Value)
	case in.SourceDestCheck != nil:
		n.Sources = aws.ToBool(in.SourceDestCheck.Value)
		if i := s.Instances[n.Instance]; i != nil && n.Index == 0 {
			i.Sources = n.Sources
		}
	default:
		return n.setTracking(in.ConnectionTrackingSpecification)
	}
	return nil
}

// groupsOf are the groups of an interface, and those that its instance keeps.
func (s *scope) groupsOf(n *eni) []string {
	i := s.Instances[n.Instance]
	if i == nil || len(i.Groups) == 0 {
		return n.Groups
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(n.Groups, i.Groups))))
}

// setGroups puts exactly these groups on an interface.
func (s *scope) setGroups(n *eni, groups []string) error {
	if len(groups) == 0 {
		return fail("InvalidParameterValue", "You must specify at least one security group")
	}
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	if most := s.w.quotas().GroupsPerInterface; len(groups) > most {
		return fail("SecurityGroupsPerInterfaceLimitExceeded", "You have exceeded the maximum number of security groups per network interface (%d)", most)
	}
	for _, id := range groups {
		g, err := get(s, s.Groups, kindGroup, &id)
		if err != nil {
			return err
		}
		if g.VPC != n.VPC {
			return fail("InvalidParameterValue", "Security group %s and network interface %s belong to different networks.", id, n.ID)
		}
	}
	n.Groups = groups
	return nil
}

// setPublic gives or takes the automatic address, of a primary interface only.
func (s *scope) setPublic(n *eni, on bool) error {
	if n.Instance == "" || n.Index != 0 {
		return fail("InvalidParameterCombination", "The associatePublicIPAddress parameter can only be used with the primary network interface")
	}
	if !on {
		n.Public, n.Auto = "", false
		return nil
	}
	n.Auto = true
	if n.Public == "" && s.elastic(n, n.IPs[0]) == nil {
		n.Public = s.publicAddress()
	}
	return nil
}

func (n *eni) setTracking(in *types.ConnectionTrackingSpecificationRequest) error {
	for _, f := range []struct {
		name        string
		v           *int32
		least, most int32
	}{{"TcpEstablishedTimeout", in.TcpEstablishedTimeout, 60, 432000}, {"UdpStreamTimeout", in.UdpStreamTimeout, 60, 180}, {"UdpTimeout", in.UdpTimeout, 30, 60}} {
		if f.v != nil && (*f.v < f.least || *f.v > f.most) {
			return fail("InvalidParameterValue", "Value (%d) for parameter %s is invalid. Expecting a value between %d and %d.", *f.v, f.name, f.least, f.most)
		}
	}
	for _, f := range []struct {
		to   *int32
		from *int32
	}{{&n.TCP, in.TcpEstablishedTimeout}, {&n.Stream, in.UdpStreamTimeout}, {&n.UDP, in.UdpTimeout}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return nil
}
