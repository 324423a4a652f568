package cloudtest

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func groupCases() []Case {
	return []Case{
		{"a security group is made and emptied", emptyGroup},
		{"a security group in a VPC with IPv6", emptyGroupV6},
		{"rules of a security group", groupRules},
		{"groups of an interface", interfaceGroups},
		{"a security group goes", deleteGroup},
	}
}

func (w *World) group(vpc, name string) (string, error) {
	out, err := w.EC2().CreateSecurityGroup(w.Context(), &ec2.CreateSecurityGroupInput{GroupName: s(name), Description: s("guardroom"), VpcId: s(vpc), TagSpecifications: tagged(types.ResourceTypeSecurityGroup, "guardroom:run", "r1")})
	if err != nil {
		return "", err
	}
	return str(out.GroupId), nil
}

// rules are those of a group: direction, protocol and other side, sorted, and
// their ids.
func (w *World) rules(group string) (list, ids []string) {
	w.Helper()
	out := got[*ec2.DescribeSecurityGroupRulesOutput](w, "rules")(w.EC2().DescribeSecurityGroupRules(w.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("group-id", group)}}))
	list = []string{}
	for _, r := range out.SecurityGroupRules {
		line := "in "
		if aws.ToBool(r.IsEgress) {
			line = "out "
		}
		line += str(r.IpProtocol) + " " + str(r.CidrIpv4) + str(r.CidrIpv6)
		if r.ReferencedGroupInfo != nil {
			line += "group"
		}
		list, ids = append(list, line), append(ids, str(r.SecurityGroupRuleId))
	}
	slices.Sort(list)
	return list, ids
}

func (w *World) revokeOut(group string, ids ...string) error {
	_, err := w.EC2().RevokeSecurityGroupEgress(w.Context(), &ec2.RevokeSecurityGroupEgressInput{GroupId: s(group), SecurityGroupRuleIds: ids})
	return err
}

func emptyGroup(w *World) {
	ctx, c := w.Context(), w.EC2()
	vpc, other := w.VPC(false), w.VPC(false)
	id, err := w.group(vpc, "guardroom-contain")
	w.Code("make", err, "")
	rules, ids := w.rules(id)
	w.Is("born with", rules, []string{"out -1 0.0.0.0/0"})
	_, err = w.group(vpc, "guardroom-contain")
	w.Code("make again", err, "InvalidGroup.Duplicate")
	elsewhere, err := w.group(other, "guardroom-contain")
	w.Code("make in another VPC", err, "")
	found := got[*ec2.DescribeSecurityGroupsOutput](w, "find")(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", vpc), filter("group-name", "guardroom-contain")}}))
	w.Is("found in its VPC", len(found.SecurityGroups) == 1 && str(found.SecurityGroups[0].GroupId) == id, true)
	w.Is("tagged at birth", tagOf(found.SecurityGroups[0].Tags, "guardroom:run"), "r1")
	w.Is("the other is another", elsewhere != id, true)
	w.Code("take its rules away", w.revokeOut(id, ids...), "")
	rules, _ = w.rules(id)
	w.Is("empty", rules, []string{})
	w.Code("take them away again", w.revokeOut(id, ids...), "InvalidSecurityGroupRuleId.NotFound")
	_, err = w.group("vpc-0123456789abcdef0", "x")
	w.Code("in no VPC", err, "InvalidVpcID.NotFound")
}

func emptyGroupV6(w *World) {
	vpc := w.VPC(true)
	id, err := w.group(vpc, "guardroom-contain")
	w.Code("make", err, "")
	rules, ids := w.rules(id)
	w.Is("born with", rules, []string{"out -1 0.0.0.0/0", "out -1 ::/0"})
	w.Code("take its rules away", w.revokeOut(id, ids...), "")
	rules, _ = w.rules(id)
	w.Is("empty", rules, []string{})
}

func everywhere() []types.IpPermission {
	return []types.IpPermission{{IpProtocol: s("-1"), IpRanges: []types.IpRange{{CidrIp: s("0.0.0.0/0")}}, Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: s("::/0")}}}}
}

func groupRules(w *World) {
	ctx, c := w.Context(), w.EC2()
	vpc := w.VPC(false)
	id, err := w.group(vpc, "guardroom-convert")
	w.Code("make", err, "")
	_, ids := w.rules(id)
	w.Code("empty it", w.revokeOut(id, ids...), "")
	in := func() error {
		_, err := c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: s(id), IpPermissions: everywhere()})
		return err
	}
	out := func() error {
		_, err := c.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: s(id), IpPermissions: everywhere()})
		return err
	}
	w.Code("let in", in(), "")
	w.Code("let out", out(), "")
	rules, ids := w.rules(id)
	w.Is("open", rules, []string{"in -1 0.0.0.0/0", "in -1 ::/0", "out -1 0.0.0.0/0", "out -1 ::/0"})
	w.Is("each rule has an id", len(slices.Compact(slices.Sorted(slices.Values(ids)))), 4)
	w.Code("let in again", in(), "InvalidPermission.Duplicate")
	w.Code("let out again", out(), "InvalidPermission.Duplicate")
	revoke := func() error {
		_, err := c.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: s(id), IpPermissions: everywhere()})
		return err
	}
	w.Code("close by what it says", revoke(), "")
	rules, _ = w.rules(id)
	w.Is("closed", rules, []string{"out -1 0.0.0.0/0", "out -1 ::/0"})
	w.Code("close again", revoke(), "InvalidPermission.NotFound")
	member, err := w.group(vpc, "members")
	w.Code("make another", err, "")
	_, err = c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: s(id), IpPermissions: []types.IpPermission{{IpProtocol: s("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: s(member)}}}}})
	w.Code("let a group in", err, "")
	rules, _ = w.rules(id)
	w.Is("a group is let in", rules[0], "in tcp group")
}

func (w *World) setGroups(eni string, groups ...string) error {
	_, err := w.EC2().ModifyNetworkInterfaceAttribute(w.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: s(eni), Groups: groups})
	return err
}

func (w *World) groupsOf(eni string) []string {
	w.Helper()
	ids := []string{}
	for _, g := range w.eni(eni).Groups {
		ids = append(ids, str(g.GroupId))
	}
	slices.Sort(ids)
	return ids
}

func interfaceGroups(w *World) {
	vpc := w.VPC(false)
	subnet := w.Subnet(vpc, "a")
	web, _ := w.group(vpc, "web")
	h := w.Launch(Launch{Subnets: []string{subnet, subnet}, Groups: []string{web}})
	neighbour := w.Launch(Launch{Subnets: []string{subnet}, Groups: []string{web}})
	convert, _ := w.group(vpc, "convert")
	contain, _ := w.group(vpc, "contain")
	foreign, _ := w.group(w.VPC(false), "foreign")
	eni := h.Interfaces[0]
	w.Is("born with its group", w.groupsOf(eni), []string{web})
	w.Code("the first pass", w.setGroups(eni, convert), "")
	w.Is("after the first pass", w.groupsOf(eni), []string{convert})
	w.Code("the second pass", w.setGroups(eni, contain), "")
	w.Is("after the second pass", w.groupsOf(eni), []string{contain})
	w.Code("the same again", w.setGroups(eni, contain), "")
	w.Is("the other interface is as it was", w.groupsOf(h.Interfaces[1]), []string{web})
	w.Is("the neighbour is as it was", w.groupsOf(neighbour.Interfaces[0]), []string{web})
	w.Code("a group that is not there", w.setGroups(eni, "sg-0123456789abcdef0"), "InvalidGroup.NotFound")
	w.Code("a group of another VPC", w.setGroups(eni, foreign), "InvalidParameterValue")
	w.Code("no interface", w.setGroups("eni-0123456789abcdef0", contain), "InvalidNetworkInterfaceID.NotFound")
	w.Is("still contained", w.groupsOf(eni), []string{contain})
	_, err := w.EC2().ModifyInstanceAttribute(w.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: s(h.ID), Groups: []string{contain}})
	w.Code("groups of an instance with two interfaces", err, "InvalidInstanceID")
	found := got[*ec2.DescribeNetworkInterfacesOutput](w, "who has the group")(w.EC2().DescribeNetworkInterfaces(w.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("group-id", contain)}}))
	w.Is("one has the group", len(found.NetworkInterfaces), 1)
	w.Code("back", w.setGroups(eni, web), "")
	w.Is("as it was", w.groupsOf(eni), []string{web})
}

func deleteGroup(w *World) {
	vpc := w.VPC(false)
	used, _ := w.group(vpc, "used")
	named, _ := w.group(vpc, "named")
	h := w.Launch(Launch{Subnets: []string{w.Subnet(vpc, "a")}, Groups: []string{used}})
	drop := func(id string) error {
		_, err := w.EC2().DeleteSecurityGroup(w.Context(), &ec2.DeleteSecurityGroupInput{GroupId: s(id)})
		return err
	}
	w.Code("one that an interface has", drop(used), "DependencyViolation")
	_, err := w.EC2().AuthorizeSecurityGroupIngress(w.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: s(used), IpPermissions: []types.IpPermission{{IpProtocol: s("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: s(named)}}}}})
	w.Code("let a group in", err, "")
	w.Code("one that a rule names", drop(named), "DependencyViolation")
	free, _ := w.group(vpc, "free")
	w.Code("move the interface", w.setGroups(h.Interfaces[0], free), "")
	w.Code("one that nobody has", drop(used), "")
	w.Code("one that no rule names", drop(named), "")
	w.Code("one that is gone", drop(used), "InvalidGroup.NotFound")
}
