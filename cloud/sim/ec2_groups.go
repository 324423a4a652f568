package sim

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *scope) groupFilters() filters[*group] {
	rules := func(egress bool, f func(*rule) string) func(*group) []string {
		return func(g *group) []string {
			var out []string
			for _, r := range g.Rules {
				if r.Egress == egress {
					out = append(out, one(f(r))...)
				}
			}
			return out
		}
	}
	return filters[*group]{
		"group-id":                      func(g *group) []string { return one(g.ID) },
		"group-name":                    func(g *group) []string { return one(g.Name) },
		"vpc-id":                        func(g *group) []string { return one(g.VPC) },
		"description":                   func(g *group) []string { return one(g.Description) },
		"owner-id":                      func(*group) []string { return one(s.a.ID) },
		"ip-permission.cidr":            rules(false, func(r *rule) string { return r.CIDR }),
		"ip-permission.group-id":        rules(false, func(r *rule) string { return r.Group }),
		"egress.ip-permission.cidr":     rules(true, func(r *rule) string { return r.CIDR }),
		"egress.ip-permission.group-id": rules(true, func(r *rule) string { return r.Group }),
	}
}

func (s *scope) groupNames(ids []string) []string {
	var out []string
	for _, id := range ids {
		if g := s.Groups[id]; g != nil {
			out = append(out, g.Name)
		}
	}
	return out
}

func (s *scope) showGroupNames(ids []string) []types.GroupIdentifier {
	out := []types.GroupIdentifier{}
	for _, id := range ids {
		name := ""
		if g := s.Groups[id]; g != nil {
			name = g.Name
		}
		out = append(out, types.GroupIdentifier{GroupId: aws.String(id), GroupName: aws.String(name)})
	}
	return out
}

// DescribeSecurityGroups implements awscalls.EC2.
func (c *ec2Client) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return ec2Do(ctx, c, "DescribeSecurityGroups", false, in, func(s *scope) (*ec2.DescribeSecurityGroupsOutput, error) {
		all, err := list(s, s.Groups, kindGroup, in.GroupIds)
		if err != nil {
			return nil, err
		}
		if len(in.GroupNames) > 0 {
			all = slices.DeleteFunc(all, func(g *group) bool { return g.VPC != s.DefaultVPC || !slices.Contains(in.GroupNames, g.Name) })
		}
		if all, err = s.groupFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.GroupIds) + len(in.GroupNames), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeSecurityGroupsOutput{NextToken: next}
		for _, g := range all {
			out.SecurityGroups = append(out.SecurityGroups, types.SecurityGroup{GroupId: aws.String(g.ID), GroupName: aws.String(g.Name), Description: aws.String(g.Description),
				VpcId: aws.String(g.VPC), OwnerId: aws.String(s.a.ID), Tags: tagList(g.Tags), SecurityGroupArn: aws.String(s.arn("ec2", "security-group/"+g.ID)),
				IpPermissions: s.permissions(g, false), IpPermissionsEgress: s.permissions(g, true)})
		}
		return out, nil
	})
}

// arn is the name of a thing of this account and region.
func (s *scope) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + s.r.Name + ":" + s.a.ID + ":" + resource
}

var describable = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

// CreateSecurityGroup implements awscalls.EC2. The group is born with egress to
// everywhere, also by IPv6 where the VPC has it.
func (c *ec2Client) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error) {
	return ec2Do(ctx, c, "CreateSecurityGroup", true, in, func(s *scope) (*ec2.CreateSecurityGroupOutput, error) {
		name, description := aws.ToString(in.GroupName), aws.ToString(in.Description)
		if name == "" || description == "" {
			return nil, fail("MissingParameter", "The request must contain the parameters GroupName and GroupDescription")
		}
		if !describable.MatchString(name) || strings.HasPrefix(name, "sg-") {
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid.", name)
		}
		if !describable.MatchString(description) {
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", description)
		}
		v, err := get(s, s.VPCs, kindVPC, aws.String(orText(aws.ToString(in.VpcId), s.DefaultVPC)))
		if err != nil {
			return nil, err
		}
		if err := onlyKinds(in.TagSpecifications, types.ResourceTypeSecurityGroup); err != nil {
			return nil, err
		}
		t, err := tagsFor(in.TagSpecifications, types.ResourceTypeSecurityGroup)
		if err != nil {
			return nil, err
		}
		for _, g := range s.Groups {
			if g.VPC == v.ID && g.Name == name {
				return nil, fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.ID)
			}
		}
		if len(s.Groups) >= s.w.quotas().GroupsPerRegion {
			return nil, fail("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
		}
		g := s.newGroup("CreateSecurityGroup", v, name, description, t)
		return &ec2.CreateSecurityGroupOutput{GroupId: aws.String(g.ID), Tags: tagList(t), SecurityGroupArn: aws.String(s.arn("ec2", "security-group/"+g.ID))}, nil
	})
}

func (s *scope) newGroup(operation string, v *vpc, name, description string, t tags) *group {
	g := keep(&s.Groups, &group{made: s.born(operation, "sg-", t), Name: name, Description: description, VPC: v.ID})
	g.Rules = append(g.Rules, &rule{made: s.born("", "sgr-", nil), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: "0.0.0.0/0"})
	if v.CIDR6 != "" {
		g.Rules = append(g.Rules, &rule{made: s.born("", "sgr-", nil), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR6: "::/0"})
	}
	return g
}

// DeleteSecurityGroup implements awscalls.EC2. A group in use stays.
func (c *ec2Client) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	return ec2Do(ctx, c, "DeleteSecurityGroup", true, in, func(s *scope) (*ec2.DeleteSecurityGroupOutput, error) {
		g, err := get(s, s.Groups, kindGroup, in.GroupId)
		if err != nil {
			return nil, err
		}
		if g.Name == "default" {
			return nil, fail("CannotDelete", "the specified group: %q name: \"default\" cannot be deleted by a user", g.ID)
		}
		for _, n := range s.ENIs {
			if slices.Contains(n.Groups, g.ID) {
				return nil, fail("DependencyViolation", "resource %s has a dependent object", g.ID)
			}
		}
		for _, other := range s.Groups {
			for _, r := range other.Rules {
				if r.Group == g.ID && other.ID != g.ID {
					return nil, fail("DependencyViolation", "resource %s has a dependent object", g.ID)
				}
			}
		}
		delete(s.Groups, g.ID)
		return &ec2.DeleteSecurityGroupOutput{GroupId: aws.String(g.ID), Return: aws.Bool(true)}, nil
	})
}
