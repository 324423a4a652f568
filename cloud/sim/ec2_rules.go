package sim

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// permissions are the rules of a group in the older form, one for each protocol
// and range of ports.
func (s *scope) permissions(g *group, egress bool) []types.IpPermission {
	out := []types.IpPermission{}
	for _, r := range g.Rules {
		if r.Egress != egress {
			continue
		}
		k := slices.IndexFunc(out, func(p types.IpPermission) bool {
			return aws.ToString(p.IpProtocol) == r.Protocol && (r.Protocol == "-1" || aws.ToInt32(p.FromPort) == r.From && aws.ToInt32(p.ToPort) == r.To)
		})
		if k < 0 {
			p := types.IpPermission{IpProtocol: aws.String(r.Protocol)}
			if r.Protocol != "-1" {
				p.FromPort, p.ToPort = aws.Int32(r.From), aws.Int32(r.To)
			}
			out, k = append(out, p), len(out)
		}
		out[k] = s.addPeer(out[k], r)
	}
	return out
}

func (s *scope) addPeer(p types.IpPermission, r *rule) types.IpPermission {
	var description *string
	if r.Description != "" {
		description = aws.String(r.Description)
	}
	switch {
	case r.CIDR != "":
		p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String(r.CIDR), Description: description})
	case r.CIDR6 != "":
		p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: aws.String(r.CIDR6), Description: description})
	case r.List != "":
		p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: aws.String(r.List), Description: description})
	case r.Group != "":
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{GroupId: aws.String(r.Group), UserId: aws.String(s.a.ID), Description: description})
	}
	return p
}

func (s *scope) showRule(g *group, r *rule) types.SecurityGroupRule {
	out := types.SecurityGroupRule{SecurityGroupRuleId: aws.String(r.ID), GroupId: aws.String(g.ID), GroupOwnerId: aws.String(s.a.ID),
		IsEgress: aws.Bool(r.Egress), IpProtocol: aws.String(r.Protocol), FromPort: aws.Int32(r.From), ToPort: aws.Int32(r.To), Tags: tagList(r.Tags),
		SecurityGroupRuleArn: aws.String(s.arn("ec2", "security-group-rule/"+r.ID))}
	if r.Description != "" {
		out.Description = aws.String(r.Description)
	}
	switch {
	case r.CIDR != "":
		out.CidrIpv4 = aws.String(r.CIDR)
	case r.CIDR6 != "":
		out.CidrIpv6 = aws.String(r.CIDR6)
	case r.List != "":
		out.PrefixListId = aws.String(r.List)
	case r.Group != "":
		out.ReferencedGroupInfo = &types.ReferencedSecurityGroup{GroupId: aws.String(r.Group), UserId: aws.String(s.a.ID)}
	}
	return out
}

// DescribeSecurityGroupRules implements awscalls.EC2.
func (c *ec2Client) DescribeSecurityGroupRules(ctx context.Context, in *ec2.DescribeSecurityGroupRulesInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	return ec2Do(ctx, c, "DescribeSecurityGroupRules", false, in, func(s *scope) (*ec2.DescribeSecurityGroupRulesOutput, error) {
		rules, of := map[string]*rule{}, map[string]*group{}
		for _, g := range s.Groups {
			for _, r := range g.Rules {
				if s.seen(g) {
					rules[r.ID], of[r.ID] = r, g
				}
			}
		}
		all, err := list(s, rules, kindRule, in.SecurityGroupRuleIds)
		if err != nil {
			return nil, err
		}
		table := filters[*rule]{
			"group-id":               func(r *rule) []string { return one(of[r.ID].ID) },
			"security-group-rule-id": func(r *rule) []string { return one(r.ID) },
		}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.SecurityGroupRuleIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeSecurityGroupRulesOutput{NextToken: next}
		for _, r := range all {
			out.SecurityGroupRules = append(out.SecurityGroupRules, s.showRule(of[r.ID], r))
		}
		return out, nil
	})
}

// protocols are the names that AWS gives to some numbers.
var protocols = map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}

// rulesOf takes permissions apart into single rules, and refuses bad ones.
func (s *scope) rulesOf(g *group, egress bool, in []types.IpPermission) ([]*rule, error) {
	var out []*rule
	for _, p := range in {
		protocol := strings.ToLower(aws.ToString(p.IpProtocol))
		if name, ok := protocols[protocol]; ok {
			protocol = name
		}
		base := rule{Egress: egress, Protocol: protocol, From: -1, To: -1}
		switch protocol {
		case "":
			return nil, fail("MissingParameter", "The request must contain the parameter ipProtocol")
		case "tcp", "udp":
			if p.FromPort == nil || p.ToPort == nil || *p.FromPort < 0 || *p.ToPort > 65535 || *p.FromPort > *p.ToPort {
				return nil, fail("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
			}
			base.From, base.To = *p.FromPort, *p.ToPort
		case "icmp", "icmpv6":
			if p.FromPort != nil {
				base.From, base.To = *p.FromPort, aws.ToInt32(p.ToPort)
			}
		}
		some, err := s.peersOf(base, g, p)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	if len(out) == 0 {
		return nil, fail("InvalidParameterValue", "There are no rules in the request")
	}
	return out, nil
}

func (s *scope) peersOf(base rule, g *group, p types.IpPermission) ([]*rule, error) {
	var out []*rule
	put := func(set func(*rule), description *string) {
		r := base
		r.Description = aws.ToString(description)
		set(&r)
		out = append(out, &r)
	}
	for _, ip := range p.IpRanges {
		at, err := netip.ParsePrefix(aws.ToString(ip.CidrIp))
		if err != nil || !at.Addr().Is4() {
			return nil, fail("InvalidParameterValue", "CIDR block %s is malformed", aws.ToString(ip.CidrIp))
		}
		put(func(r *rule) { r.CIDR = at.Masked().String() }, ip.Description)
	}
	for _, ip := range p.Ipv6Ranges {
		at, err := netip.ParsePrefix(aws.ToString(ip.CidrIpv6))
		if err != nil || !at.Addr().Is6() {
			return nil, fail("InvalidParameterValue", "CIDR block %s is malformed", aws.ToString(ip.CidrIpv6))
		}
		put(func(r *rule) { r.CIDR6 = at.Masked().String() }, ip.Description)
	}
	for _, l := range p.PrefixListIds {
		if !strings.HasPrefix(aws.ToString(l.PrefixListId), "pl-") {
			return nil, fail("InvalidPrefixListId.Malformed", "Invalid id: %q", aws.ToString(l.PrefixListId))
		}
		put(func(r *rule) { r.List = *l.PrefixListId }, l.Description)
	}
	for _, pair := range p.UserIdGroupPairs {
		other, err := get(s, s.Groups, kindGroup, pair.GroupId)
		if err != nil {
			return nil, err
		}
		if other.VPC != g.VPC {
			return nil, fail("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
		}
		put(func(r *rule) { r.Group = other.ID }, pair.Description)
	}
	return out, nil
}

func (r *rule) same(o *rule) bool {
	return r.Egress == o.Egress && r.Protocol == o.Protocol && r.From == o.From && r.To == o.To && r.CIDR == o.CIDR && r.CIDR6 == o.CIDR6 && r.List == o.List && r.Group == o.Group
}

func (s *scope) authorize(groupID *string, egress bool, in []types.IpPermission, specs []types.TagSpecification) ([]types.SecurityGroupRule, error) {
	g, err := get(s, s.Groups, kindGroup, groupID)
	if err != nil {
		return nil, err
	}
	t, err := tagsFor(specs, types.ResourceTypeSecurityGroupRule)
	if err != nil {
		return nil, err
	}
	added, err := s.rulesOf(g, egress, in)
	if err != nil {
		return nil, err
	}
	n := len(added)
	for _, have := range g.Rules {
		if have.Egress == egress {
			n++
		}
	}
	for k, r := range added {
		twice := slices.ContainsFunc(g.Rules, r.same) || slices.ContainsFunc(added[:k], r.same)
		if twice {
			return nil, fail("InvalidPermission.Duplicate", "the specified rule \"peer: %s\" already exists", r.CIDR+r.CIDR6+r.List+r.Group)
		}
	}
	if n > s.w.quotas().RulesPerGroup {
		return nil, fail("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	var out []types.SecurityGroupRule
	for _, r := range added {
		r.made = s.born("", "sgr-", t.copied())
		g.Rules = append(g.Rules, r)
		out = append(out, s.showRule(g, r))
	}
	return out, nil
}

// AuthorizeSecurityGroupIngress implements awscalls.EC2.
func (c *ec2Client) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	return ec2Do(ctx, c, "AuthorizeSecurityGroupIngress", true, in, func(s *scope) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
		perms := in.IpPermissions
		if in.CidrIp != nil {
			perms = append(slices.Clone(perms), types.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort, IpRanges: []types.IpRange{{CidrIp: in.CidrIp}}})
		}
		rules, err := s.authorize(in.GroupId, false, perms, in.TagSpecifications)
		return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(err == nil), SecurityGroupRules: rules}, err
	})
}

// AuthorizeSecurityGroupEgress implements awscalls.EC2.
func (c *ec2Client) AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2.AuthorizeSecurityGroupEgressInput, _ ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	return ec2Do(ctx, c, "AuthorizeSecurityGroupEgress", true, in, func(s *scope) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
		rules, err := s.authorize(in.GroupId, true, in.IpPermissions, in.TagSpecifications)
		return &ec2.AuthorizeSecurityGroupEgressOutput{Return: aws.Bool(err == nil), SecurityGroupRules: rules}, err
	})
}

func (s *scope) revoke(groupID *string, egress bool, ids []string, in []types.IpPermission) ([]types.RevokedSecurityGroupRule, error) {
	g, err := get(s, s.Groups, kindGroup, groupID)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 && len(in) > 0 {
		return nil, fail("InvalidParameterCombination", "Specify either security group rule ids or ip permissions")
	}
	var gone []int
	for _, id := range ids {
		k := slices.IndexFunc(g.Rules, func(r *rule) bool { return r.ID == id && r.Egress == egress })
		if k < 0 {
			return nil, kindRule.missing(id)
		}
		gone = append(gone, k)
	}
	if len(ids) == 0 {
		wanted, err := s.rulesOf(g, egress, in)
		if err != nil {
			return nil, err
		}
		for _, r := range wanted {
			k := slices.IndexFunc(g.Rules, r.same)
			if k < 0 {
				return nil, fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			gone = append(gone, k)
		}
	}
	var out []types.RevokedSecurityGroupRule
	var left []*rule
	for k, r := range g.Rules {
		if !slices.Contains(gone, k) {
			left = append(left, r)
			continue
		}
		shown := s.showRule(g, r)
		out = append(out, types.RevokedSecurityGroupRule{SecurityGroupRuleId: shown.SecurityGroupRuleId, GroupId: shown.GroupId, IsEgress: shown.IsEgress,
			IpProtocol: shown.IpProtocol, FromPort: shown.FromPort, ToPort: shown.ToPort, CidrIpv4: shown.CidrIpv4, CidrIpv6: shown.CidrIpv6, PrefixListId: shown.PrefixListId})
	}
	g.Rules = left
	return out, nil
}

// RevokeSecurityGroupIngress implements awscalls.EC2.
func (c *ec2Client) RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	return ec2Do(ctx, c, "RevokeSecurityGroupIngress", true, in, func(s *scope) (*ec2.RevokeSecurityGroupIngressOutput, error) {
		rules, err := s.revoke(in.GroupId, false, in.SecurityGroupRuleIds, in.IpPermissions)
		return &ec2.RevokeSecurityGroupIngressOutput{Return: aws.Bool(err == nil), RevokedSecurityGroupRules: rules}, err
	})
}

// RevokeSecurityGroupEgress implements awscalls.EC2.
func (c *ec2Client) RevokeSecurityGroupEgress(ctx context.Context, in *ec2.RevokeSecurityGroupEgressInput, _ ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	return ec2Do(ctx, c, "RevokeSecurityGroupEgress", true, in, func(s *scope) (*ec2.RevokeSecurityGroupEgressOutput, error) {
		rules, err := s.revoke(in.GroupId, true, in.SecurityGroupRuleIds, in.IpPermissions)
		return &ec2.RevokeSecurityGroupEgressOutput{Return: aws.Bool(err == nil), RevokedSecurityGroupRules: rules}, err
	})
}
