package cloudtest

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func networkCases() []Case {
	return []Case{
		{"an elastic address", elasticAddress},
		{"an instance profile is taken away", instanceProfile},
		{"a network ACL", networkACL},
		{"the association of a network ACL", networkACLAssociation},
		{"what surrounds an instance", surroundings},
	}
}

func elasticAddress(w *World) {
	ctx, c := w.Context(), w.EC2()
	h := w.host()
	eni := h.Interfaces[0]
	allocation, association := w.Address(eni)
	find := func() []types.Address {
		return got[*ec2.DescribeAddressesOutput](w, "addresses")(c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{filter("instance-id", h.ID)}})).Addresses
	}
	all := find()
	w.Is("found by instance", len(all), 1)
	w.Is("its allocation", str(all[0].AllocationId) == allocation, true)
	w.Is("its association", str(all[0].AssociationId) == association, true)
	w.Is("its interface", str(all[0].NetworkInterfaceId), eni)
	private := str(all[0].PrivateIpAddress)
	w.Is("its private address", private, str(w.eni(eni).PrivateIpAddress))
	w.Is("the interface shows it", w.eni(eni).Association != nil && str(w.eni(eni).Association.PublicIp) == str(all[0].PublicIp), true)
	take := func(id string) error {
		_, err := c.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: s(id)})
		return err
	}
	w.Code("take it away", take(association), "")
	w.Is("nobody has it", len(find()), 0)
	w.Code("take it away again", take(association), "InvalidAssociationID.NotFound")
	out, err := c.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: s(allocation), NetworkInterfaceId: s(eni), PrivateIpAddress: s(private)})
	w.Code("give it back", err, "")
	w.Is("by another association", out != nil && str(out.AssociationId) != association && str(out.AssociationId) != "", true)
	w.Is("the instance has it", len(find()), 1)
	other := w.host()
	_, err = c.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: s(allocation), NetworkInterfaceId: s(other.Interfaces[0]), AllowReassociation: aws.Bool(false)})
	w.Code("give it to another, without taking it away", err, "Resource.AlreadyAssociated")
}

func instanceProfile(w *World) {
	ctx, c := w.Context(), w.EC2()
	w.Role("web", "/service/")
	arn := w.Profile("web-profile", "web")
	h := w.Launch(Launch{Subnets: []string{w.Subnet(w.VPC(false), "a")}, Profile: "web-profile"})
	find := func() []types.IamInstanceProfileAssociation {
		out := got[*ec2.DescribeIamInstanceProfileAssociationsOutput](w, "associations")(c.DescribeIamInstanceProfileAssociations(ctx, &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: []types.Filter{filter("instance-id", h.ID)}}))
		return slices.DeleteFunc(out.IamInstanceProfileAssociations, func(a types.IamInstanceProfileAssociation) bool {
			return a.State == types.IamInstanceProfileAssociationStateDisassociated
		})
	}
	all := find()
	w.Is("one association", len(all), 1)
	w.Is("its profile", str(all[0].IamInstanceProfile.Arn) == arn, true)
	w.Is("the instance shows it", w.instance(h.ID).IamInstanceProfile != nil && str(w.instance(h.ID).IamInstanceProfile.Arn) == arn, true)
	byProfile := got[*ec2.DescribeInstancesOutput](w, "by profile")(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{filter("iam-instance-profile.arn", arn)}}))
	w.Is("instances by profile", len(byProfile.Reservations), 1)
	associate := func() error {
		_, err := c.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: s(h.ID), IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: s(arn)}})
		return err
	}
	w.Code("a second profile", associate(), "IncorrectState")
	_, err := c.DisassociateIamInstanceProfile(ctx, &ec2.DisassociateIamInstanceProfileInput{AssociationId: all[0].AssociationId})
	w.Code("take it away", err, "")
	w.Until("an instance without profile", func() bool { return len(find()) == 0 })
	w.Is("the instance has none", w.instance(h.ID).IamInstanceProfile == nil, true)
	_, err = c.DisassociateIamInstanceProfile(ctx, &ec2.DisassociateIamInstanceProfileInput{AssociationId: s("iip-assoc-0123456789abcdef0")})
	w.Code("take away what is not there", err, "InvalidAssociationID.NotFound")
	w.Code("give it back", associate(), "")
	w.Until("an instance with a profile", func() bool {
		list := find()
		return len(list) == 1 && list[0].State == types.IamInstanceProfileAssociationStateAssociated
	})
	w.Is("the same profile", str(find()[0].IamInstanceProfile.Arn) == arn, true)
}

// entries are the lines of an ACL without the last one of each direction.
func (w *World) entries(acl string) []string {
	w.Helper()
	out := got[*ec2.DescribeNetworkAclsOutput](w, "ACL")(w.EC2().DescribeNetworkAcls(w.Context(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{acl}}))
	list := []string{}
	for _, e := range out.NetworkAcls[0].Entries {
		if aws.ToInt32(e.RuleNumber) >= 32767 {
			continue
		}
		list = append(list, fmt.Sprintf("%d %v %s %s", aws.ToInt32(e.RuleNumber), aws.ToBool(e.Egress), e.RuleAction, str(e.CidrBlock)+str(e.Ipv6CidrBlock)))
	}
	slices.Sort(list)
	return list
}

func networkACL(w *World) {
	ctx, c := w.Context(), w.EC2()
	vpc := w.VPC(true)
	make := func(token string) string {
		out := got[*ec2.CreateNetworkAclOutput](w, "make")(c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: s(vpc), ClientToken: s(token), TagSpecifications: tagged(types.ResourceTypeNetworkAcl, "guardroom:run", "r1")}))
		return str(out.NetworkAcl.NetworkAclId)
	}
	id := make("gr-1")
	w.Is("the same token, the same ACL", make("gr-1") == id, true)
	w.Is("another token, another ACL", make("gr-2") != id, true)
	shown := got[*ec2.DescribeNetworkAclsOutput](w, "ACL")(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}}))
	w.Is("not the default", aws.ToBool(shown.NetworkAcls[0].IsDefault), false)
	w.Is("tagged at birth", tagOf(shown.NetworkAcls[0].Tags, "guardroom:run"), "r1")
	w.Is("born denying", w.entries(id), []string{})
	w.Is("both directions deny at the end, IPv6 too", len(shown.NetworkAcls[0].Entries), 4)
	add := func(number int32, egress bool, v4, v6 string) error {
		in := &ec2.CreateNetworkAclEntryInput{NetworkAclId: s(id), RuleNumber: aws.Int32(number), Egress: aws.Bool(egress), Protocol: s("-1"), RuleAction: types.RuleActionDeny}
		if v4 != "" {
			in.CidrBlock = s(v4)
		} else {
			in.Ipv6CidrBlock = s(v6)
		}
		_, err := c.CreateNetworkAclEntry(ctx, in)
		return err
	}
	w.Code("add", add(1, false, "10.0.1.4/32", ""), "")
	w.Code("add for the other direction", add(1, true, "10.0.1.4/32", ""), "")
	w.Code("add for IPv6", add(2, false, "", "2001:db8::4/128"), "")
	w.Code("add again", add(1, false, "10.0.1.4/32", ""), "NetworkAclEntryAlreadyExists")
	w.Is("the entries", w.entries(id), []string{"1 false deny 10.0.1.4/32", "1 true deny 10.0.1.4/32", "2 false deny 2001:db8::4/128"})
	drop := func() error {
		_, err := c.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: s(id), RuleNumber: aws.Int32(1), Egress: aws.Bool(true)})
		return err
	}
	w.Code("delete one", drop(), "")
	w.Code("delete it again", drop(), "InvalidNetworkAclEntry.NotFound")
	w.Is("the other entries", w.entries(id), []string{"1 false deny 10.0.1.4/32", "2 false deny 2001:db8::4/128"})
	_, err := c.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: s(id)})
	w.Code("delete the ACL", err, "")
	_, err = c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}})
	w.Code("it is gone", err, "InvalidNetworkAclID.NotFound")
}

func networkACLAssociation(w *World) {
	ctx, c := w.Context(), w.EC2()
	vpc := w.VPC(false)
	subnet, other := w.Subnet(vpc, "a"), w.Subnet(vpc, "a")
	find := func(subnet string) (acl, association string) {
		out := got[*ec2.DescribeNetworkAclsOutput](w, "ACL of the subnet")(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{filter("association.subnet-id", subnet)}}))
		for _, a := range out.NetworkAcls {
			for _, x := range a.Associations {
				if str(x.SubnetId) == subnet {
					return str(a.NetworkAclId), str(x.NetworkAclAssociationId)
				}
			}
		}
		return "", ""
	}
	standard, old := find(subnet)
	_, bystander := find(other)
	made := got[*ec2.CreateNetworkAclOutput](w, "make")(c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: s(vpc)}))
	ours := str(made.NetworkAcl.NetworkAclId)
	out, err := c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: s(old), NetworkAclId: s(ours)})
	w.Code("replace", err, "")
	now, association := find(subnet)
	w.Is("the subnet has ours", now == ours, true)
	w.Is("by a new association", association != old && association == str(out.NewAssociationId), true)
	_, still := find(other)
	w.Is("the other subnet is as it was", still == bystander, true)
	_, err = c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: s(old), NetworkAclId: s(standard)})
	w.Code("replace what is outdated", err, "InvalidAssociationID.NotFound")
	_, err = c.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: s(ours)})
	w.Code("delete what is in use", err, "DependencyViolation")
	_, err = c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: s(association), NetworkAclId: s(standard)})
	w.Code("put it back", err, "")
	now, _ = find(subnet)
	w.Is("the subnet has its own again", now == standard, true)
	_, err = c.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: s(ours)})
	w.Code("delete ours", err, "")
}

func surroundings(w *World) {
	ctx, c := w.Context(), w.EC2()
	vpc := w.VPC(false)
	subnet := w.Subnet(vpc, "b")
	subnets := got[*ec2.DescribeSubnetsOutput](w, "subnets")(c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}}))
	w.Is("the subnet's VPC", str(subnets.Subnets[0].VpcId) == vpc, true)
	w.Is("the subnet's zone", str(subnets.Subnets[0].AvailabilityZone), Region+"b")
	tables := got[*ec2.DescribeRouteTablesOutput](w, "route tables")(c.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{filter("vpc-id", vpc), filter("association.main", "true")}}))
	w.Is("one main route table", len(tables.RouteTables), 1)
	w.Is("it is the main one", slices.ContainsFunc(tables.RouteTables[0].Associations, func(a types.RouteTableAssociation) bool { return aws.ToBool(a.Main) }), true)
	w.Is("its local route", slices.ContainsFunc(tables.RouteTables[0].Routes, func(r types.Route) bool { return str(r.GatewayId) == "local" }), true)
	gateways := func() []types.NatGateway {
		return got[*ec2.DescribeNatGatewaysOutput](w, "NAT gateways")(c.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{filter("vpc-id", vpc)}})).NatGateways
	}
	w.Is("no NAT gateways", len(gateways()), 0)
	nat := w.NAT(subnet)
	all := gateways()
	w.Is("one NAT gateway", len(all), 1)
	w.Is("its id", str(all[0].NatGatewayId) == nat, true)
	w.Is("the subnet where it stands", str(all[0].SubnetId) == subnet, true)
	w.Is("its interface", len(all[0].NatGatewayAddresses) == 1 && str(all[0].NatGatewayAddresses[0].PrivateIp) != "", true)
	byID := got[*ec2.DescribeNatGatewaysOutput](w, "by id")(c.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{filter("nat-gateway-id", nat, "nat-0123456789abcdef0")}}))
	w.Is("by the ids of routes", len(byID.NatGateways), 1)
	endpoints := got[*ec2.DescribeVpcEndpointsOutput](w, "endpoints")(c.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{filter("vpc-id", vpc)}}))
	w.Is("no endpoints", len(endpoints.VpcEndpoints), 0)
	logs := got[*ec2.DescribeFlowLogsOutput](w, "flow logs")(c.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: []types.Filter{filter("resource-id", vpc)}}))
	w.Is("no flow logs", len(logs.FlowLogs), 0)
}
