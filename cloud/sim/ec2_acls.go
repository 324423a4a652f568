package sim

import (
	"context"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// lastEntry is the number of the default denies, which nobody can take away.
const lastEntry = 32767

// shown are the entries of an ACL with the default denies, in their order.
func (s *scope) entries(n *acl) []aclEntry {
	out := slices.Clone(n.Entries)
	for _, egress := range []bool{true, false} {
		out = append(out, aclEntry{Number: lastEntry, Egress: egress, Protocol: "-1", CIDR: "0.0.0.0/0"})
		if v := s.VPCs[n.VPC]; v != nil && v.CIDR6 != "" {
			out = append(out, aclEntry{Number: lastEntry + 1, Egress: egress, Protocol: "-1", CIDR6: "::/0"})
		}
	}
	sort.SliceStable(out, func(a, b int) bool {
		if out[a].Egress != out[b].Egress {
			return out[a].Egress
		}
		return out[a].Number < out[b].Number
	})
	return out
}

// subnetsOf are the subnets that an ACL is associated with.
func (s *scope) subnetsOf(aclID string) []*subnet {
	var out []*subnet
	for _, n := range inOrder(s.Subnets) {
		if n.ACL == aclID {
			out = append(out, n)
		}
	}
	return out
}

func (s *scope) aclFilters() filters[*acl] {
	subnets := func(f func(*subnet) string) func(*acl) []string {
		return func(n *acl) []string {
			var out []string
			for _, sub := range s.subnetsOf(n.ID) {
				out = append(out, f(sub))
			}
			return out
		}
	}
	return filters[*acl]{
		"network-acl-id":             func(n *acl) []string { return one(n.ID) },
		"vpc-id":                     func(n *acl) []string { return one(n.VPC) },
		"default":                    func(n *acl) []string { return yes(n.Default) },
		"owner-id":                   func(*acl) []string { return one(s.a.ID) },
		"association.subnet-id":      subnets(func(n *subnet) string { return n.ID }),
		"association.association-id": subnets(func(n *subnet) string { return n.Association }),
		"association.network-acl-id": func(n *acl) []string { return one(n.ID) },
	}
}

// DescribeNetworkAcls implements awscalls.EC2.
func (c *ec2Client) DescribeNetworkAcls(ctx context.Context, in *ec2.DescribeNetworkAclsInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkAclsOutput, error) {
	return ec2Do(ctx, c, "DescribeNetworkAcls", false, in, func(s *scope) (*ec2.DescribeNetworkAclsOutput, error) {
		all, err := list(s, s.ACLs, kindACL, in.NetworkAclIds)
		if err != nil {
			return nil, err
		}
		if all, err = s.aclFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.NetworkAclIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeNetworkAclsOutput{NextToken: next}
		for _, n := range all {
			out.NetworkAcls = append(out.NetworkAcls, s.showACL(n))
		}
		return out, nil
	})
}

func (s *scope) showACL(n *acl) types.NetworkAcl {
	out := types.NetworkAcl{NetworkAclId: aws.String(n.ID), VpcId: aws.String(n.VPC), IsDefault: aws.Bool(n.Default), OwnerId: aws.String(s.a.ID), Tags: tagList(n.Tags)}
	for _, sub := range s.subnetsOf(n.ID) {
		out.Associations = append(out.Associations, types.NetworkAclAssociation{NetworkAclAssociationId: aws.String(sub.Association), NetworkAclId: aws.String(n.ID), SubnetId: aws.String(sub.ID)})
	}
	for _, e := range s.entries(n) {
		shown := types.NetworkAclEntry{RuleNumber: aws.Int32(e.Number), Egress: aws.Bool(e.Egress), Protocol: aws.String(e.Protocol), RuleAction: types.RuleActionDeny}
		if e.Allow {
			shown.RuleAction = types.RuleActionAllow
		}
		if e.CIDR != "" {
			shown.CidrBlock = aws.String(e.CIDR)
		}
		if e.CIDR6 != "" {
			shown.Ipv6CidrBlock = aws.String(e.CIDR6)
		}
		if e.Protocol == "6" || e.Protocol == "17" {
			shown.PortRange = &types.PortRange{From: aws.Int32(e.From), To: aws.Int32(e.To)}
		}
		out.Entries = append(out.Entries, shown)
	}
	return out
}

// CreateNetworkAcl implements awscalls.EC2. The ACL denies everything.
func (c *ec2Client) CreateNetworkAcl(ctx context.Context, in *ec2.CreateNetworkAclInput, _ ...func(*ec2.Options)) (*ec2.CreateNetworkAclOutput, error) {
	return ec2Do(ctx, c, "CreateNetworkAcl", true, in, func(s *scope) (*ec2.CreateNetworkAclOutput, error) {
		v, err := get(s, s.VPCs, kindVPC, in.VpcId)
		if err != nil {
			return nil, err
		}
		if err := onlyKinds(in.TagSpecifications, types.ResourceTypeNetworkAcl); err != nil {
			return nil, err
		}
		t, err := tagsFor(in.TagSpecifications, types.ResourceTypeNetworkAcl)
		if err != nil {
			return nil, err
		}
		used, err := s.once("CreateNetworkAcl", in.ClientToken, in)
		if err != nil {
			return nil, err
		}
		for _, id := range used.IDs {
			if n := s.ACLs[id]; n != nil {
				shown := s.showACL(n)
				return &ec2.CreateNetworkAclOutput{NetworkAcl: &shown, ClientToken: in.ClientToken}, nil
			}
		}
		n := keep(&s.ACLs, &acl{made: s.born("CreateNetworkAcl", "acl-", t), VPC: v.ID})
		used.IDs = []string{n.ID}
		shown := s.showACL(n)
		return &ec2.CreateNetworkAclOutput{NetworkAcl: &shown, ClientToken: in.ClientToken}, nil
	})
}

// CreateNetworkAclEntry implements awscalls.EC2.
func (c *ec2Client) CreateNetworkAclEntry(ctx context.Context, in *ec2.CreateNetworkAclEntryInput, _ ...func(*ec2.Options)) (*ec2.CreateNetworkAclEntryOutput, error) {
	return ec2Do(ctx, c, "CreateNetworkAclEntry", true, in, func(s *scope) (*ec2.CreateNetworkAclEntryOutput, error) {
		n, err := get(s, s.ACLs, kindACL, in.NetworkAclId)
		if err != nil {
			return nil, err
		}
		e, err := entryOf(in)
		if err != nil {
			return nil, err
		}
		count := 1 // the default deny counts
		for _, have := range n.Entries {
			if have.Egress != e.Egress {
				continue
			}
			count++
			if have.Number == e.Number {
				return nil, fail("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", e.Number)
			}
		}
		if count >= s.w.quotas().EntriesPerACL {
			return nil, fail("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached.")
		}
		n.Entries = append(n.Entries, e)
		return &ec2.CreateNetworkAclEntryOutput{}, nil
	})
}

func entryOf(in *ec2.CreateNetworkAclEntryInput) (aclEntry, error) {
	e := aclEntry{Number: aws.ToInt32(in.RuleNumber), Egress: aws.ToBool(in.Egress), Allow: in.RuleAction == types.RuleActionAllow, Protocol: aws.ToString(in.Protocol)}
	if in.RuleNumber == nil || in.Egress == nil || in.RuleAction == "" || in.Protocol == nil {
		return e, fail("MissingParameter", "The request must contain the parameters ruleNumber, egress, ruleAction and protocol")
	}
	if e.Number < 1 || e.Number >= lastEntry {
		return e, fail("InvalidParameterValue", "Invalid value '%d' for ruleNumber. Must be between 1 and 32766.", e.Number)
	}
	switch strings.ToLower(e.Protocol) {
	case "tcp":
		e.Protocol = "6"
	case "udp":
		e.Protocol = "17"
	case "all":
		e.Protocol = "-1"
	}
	if (in.CidrBlock == nil) == (in.Ipv6CidrBlock == nil) {
		return e, fail("InvalidParameterCombination", "Specify either an IPv4 or an IPv6 CIDR block")
	}
	block := aws.ToString(in.CidrBlock) + aws.ToString(in.Ipv6CidrBlock)
	p, err := netip.ParsePrefix(block)
	if err != nil || p.Addr().Is4() != (in.CidrBlock != nil) {
		return e, fail("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", block)
	}
	if in.CidrBlock != nil {
		e.CIDR = p.Masked().String()
	} else {
		e.CIDR6 = p.Masked().String()
	}
	if e.Protocol != "6" && e.Protocol != "17" {
		return e, nil
	}
	if in.PortRange == nil {
		return e, fail("MissingParameter", "The request must contain the parameter portRange")
	}
	e.From, e.To = aws.ToInt32(in.PortRange.From), aws.ToInt32(in.PortRange.To)
	return e, nil
}

// DeleteNetworkAclEntry implements awscalls.EC2.
func (c *ec2Client) DeleteNetworkAclEntry(ctx context.Context, in *ec2.DeleteNetworkAclEntryInput, _ ...func(*ec2.Options)) (*ec2.DeleteNetworkAclEntryOutput, error) {
	return ec2Do(ctx, c, "DeleteNetworkAclEntry", true, in, func(s *scope) (*ec2.DeleteNetworkAclEntryOutput, error) {
		n, err := get(s, s.ACLs, kindACL, in.NetworkAclId)
		if err != nil {
			return nil, err
		}
		k := slices.IndexFunc(n.Entries, func(e aclEntry) bool {
			return e.Number == aws.ToInt32(in.RuleNumber) && e.Egress == aws.ToBool(in.Egress)
		})
		if k < 0 {
			return nil, fail("InvalidNetworkAclEntry.NotFound", "The network acl entry with rule number '%d' in network acl '%s' does not exist", aws.ToInt32(in.RuleNumber), n.ID)
		}
		n.Entries = slices.Delete(n.Entries, k, k+1)
		return &ec2.DeleteNetworkAclEntryOutput{}, nil
	})
}

// ReplaceNetworkAclAssociation implements awscalls.EC2. The association gets a
// new id; the old one is gone.
func (c *ec2Client) ReplaceNetworkAclAssociation(ctx context.Context, in *ec2.ReplaceNetworkAclAssociationInput, _ ...func(*ec2.Options)) (*ec2.ReplaceNetworkAclAssociationOutput, error) {
	return ec2Do(ctx, c, "ReplaceNetworkAclAssociation", true, in, func(s *scope) (*ec2.ReplaceNetworkAclAssociationOutput, error) {
		n, err := get(s, s.ACLs, kindACL, in.NetworkAclId)
		if err != nil {
			return nil, err
		}
		for _, sub := range inOrder(s.Subnets) {
			if sub.Association != aws.ToString(in.AssociationId) {
				continue
			}
			if sub.VPC != n.VPC {
				return nil, fail("InvalidParameterValue", "The network acl %s and the subnet %s belong to different networks", n.ID, sub.ID)
			}
			sub.ACL, sub.Association = n.ID, s.w.id("aclassoc-")
			return &ec2.ReplaceNetworkAclAssociationOutput{NewAssociationId: aws.String(sub.Association)}, nil
		}
		return nil, fail("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", aws.ToString(in.AssociationId))
	})
}

// DeleteNetworkAcl implements awscalls.EC2. One in use, or a default one, stays.
func (c *ec2Client) DeleteNetworkAcl(ctx context.Context, in *ec2.DeleteNetworkAclInput, _ ...func(*ec2.Options)) (*ec2.DeleteNetworkAclOutput, error) {
	return ec2Do(ctx, c, "DeleteNetworkAcl", true, in, func(s *scope) (*ec2.DeleteNetworkAclOutput, error) {
		n, err := get(s, s.ACLs, kindACL, in.NetworkAclId)
		if err != nil {
			return nil, err
		}
		if n.Default {
			return nil, fail("InvalidParameterValue", "cannot delete default network ACL %s", n.ID)
		}
		if len(s.subnetsOf(n.ID)) > 0 {
			return nil, fail("DependencyViolation", "The networkAcl '%s' has dependencies and cannot be deleted.", n.ID)
		}
		delete(s.ACLs, n.ID)
		return &ec2.DeleteNetworkAclOutput{}, nil
	})
}
