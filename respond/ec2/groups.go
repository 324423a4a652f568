package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

type groupParams struct {
	VPC string `json:"vpc"`
	// Again: a run has a second group that lets everything through, later.
	Again bool `json:"again,omitempty"`
}

// containGroup sees to it that the VPC has a group of ours without any rule, and
// saves its id. It stays when the run is undone: other runs share it, and it
// lets nothing through.
func containGroup(x *respond.Exec) (playbook.Outcome, error) {
	var p groupParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	id, err := sharedGroup(x, p.VPC, containName, "Lets nothing through. Made by guardroom; do not add rules.", "they were left as they are")
	if err != nil {
		return playbook.Outcome{}, err
	}
	var made bool
	x.Load(savedMade, &made)
	err = emptyGroup(x, id, made)
	if made && errors.Is(err, playbook.ErrAborted) {
		if err := takeBirthRules(x, id); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err != nil {
		return playbook.Outcome{}, fresh(x, err)
	}
	return done(id + " in " + p.VPC + " has no rules")
}

// takeBirthRules takes the rules away that AWS gives to a group that is made, for a
// step that made one and was aborted before it came to that: a group that is named
// so, and stays, lets nothing through. Where AWS does not show them yet, they are
// taken away by what they say.
func takeBirthRules(x *respond.Exec, id string) error {
	rules, err := rulesOf(x, id)
	if err != nil {
		return err
	}
	asks := []*ec2.RevokeSecurityGroupEgressInput{{GroupId: &id}}
	for _, r := range rules {
		if aws.ToBool(r.IsEgress) {
			asks[0].SecurityGroupRuleIds = append(asks[0].SecurityGroupRuleIds, str(r.SecurityGroupRuleId))
		}
	}
	if len(asks[0].SecurityGroupRuleIds) == 0 {
		asks = []*ec2.RevokeSecurityGroupEgressInput{
			{GroupId: &id, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}},
			{GroupId: &id, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}}}},
		}
	}
	for _, in := range asks {
		err := finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.RevokeSecurityGroupEgress(ctx, in)
			return err
		})
		if err != nil && !respond.Gone(err) { // gone: the rule, as it was to be
			return err
		}
	}
	return nil
}

// sharedGroup returns the id of our group of a name that runs share, and saves it.
// Where somebody else's group has the name, the run has one of its own beside it.
func sharedGroup(x *respond.Exec, vpc, name, description, safe string) (id string, err error) {
	if x.Load(savedGroup, &id) {
		return id, nil
	}
	for _, n := range []string{name, name + "-" + string(x.RunID)} {
		got, foreign, err := ownGroup(x, vpc, n, description, savedMade)
		if err != nil {
			return "", err
		}
		if !foreign {
			return got, x.Save(savedGroup, got)
		}
	}
	return "", conflict("groups named "+name+" in "+vpc+" are not ours", safe, "rename them, then make the plan again")
}

// ownGroup returns the id of our group with the name, made when there is none.
// A group of the name without our tag is foreign and never adopted.
// That it was made here is saved under a key.
func ownGroup(x *respond.Exec, vpc, name, description, key string) (id string, foreign bool, err error) {
	id, foreign, err = findGroup(x, vpc, name)
	if err != nil || id != "" || foreign {
		return id, foreign, err
	}
	if err := x.Save(key, true); err != nil {
		return "", false, err
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		out, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &description, VpcId: &vpc,
			TagSpecifications: tagSpecs(types.ResourceTypeSecurityGroup, x.Tags(time.Time{}), name)})
		if err == nil {
			id = str(out.GroupId)
		}
		return err
	})
	if respond.Is(err, "InvalidGroup.Duplicate") { // another run was quicker, or our own answer was lost
		if err := x.Save(key, false); err != nil {
			return "", false, err
		}
		ok, lookErr := seen(x, func() (bool, error) {
			id, foreign, err = findGroup(x, vpc, name)
			return id != "" || foreign, err
		})
		if lookErr == nil && !ok {
			lookErr = unseen(x, name+" in "+vpc)
		}
		return id, foreign, lookErr
	}
	return id, false, err
}

// findGroup looks for a group by VPC and name.
func findGroup(x *respond.Exec, vpc, name string) (id string, foreign bool, err error) {
	list, err := see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) ([]types.SecurityGroup, error) {
		return listGroups(ctx, c, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", vpc), filter("group-name", name)}})
	})
	if err != nil {
		return "", false, err
	}
	for _, g := range list {
		if str(g.GroupName) != name || str(g.VpcId) != vpc {
			continue
		}
		if !isOurs(g) {
			return "", true, nil
		}
		return str(g.GroupId), false, nil
	}
	return "", false, nil
}

// isOurs reports whether a run of ours made the group.
func isOurs(g types.SecurityGroup) bool { return tagsOf(g.Tags)[respond.TagRun] != "" }

// emptyGroup takes every rule away from a group of ours, of both directions and
// both families, and looks that none is left. A group that this step made is
// born with rules: as long as none was seen, none being there is not believed.
func emptyGroup(x *respond.Exec, id string, made bool) error {
	for asked := false; ; {
		rules, err := rulesOf(x, id)
		if err != nil {
			return err
		}
		if len(rules) > 0 && asked { // AWS shows the old rules for a while
			if err := x.Sleep(time.Second); err != nil {
				return err
			}
			asked = false
			continue
		}
		var revoked bool
		x.Load(savedRevoked, &revoked)
		young := made && !revoked && x.Now().Sub(x.Started()) < seenWait
		switch {
		case len(rules) == 0 && !young:
			return visible(x, id)
		case len(rules) == 0:
			if err := x.Sleep(time.Second); err != nil {
				return err
			}
			continue
		}
		var in, out []string
		for _, r := range rules {
			if aws.ToBool(r.IsEgress) {
				out = append(out, str(r.SecurityGroupRuleId))
			} else {
				in = append(in, str(r.SecurityGroupRuleId))
			}
		}
		err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error { return revoke(ctx, c, id, in, out) })
		if err != nil && !respond.Is(err, "InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound") {
			return err
		}
		if err := x.Save(savedRevoked, true); err != nil {
			return err
		}
		if x.Now().Sub(x.Started()) > 5*time.Minute {
			return unseen(x, fmt.Sprintf("%s still has %d rules", id, len(rules)))
		}
		asked = true // looked at at once: isolation waits for it
	}
}

// visible fails while AWS does not show the group: what is not shown has no
// rules either.
func visible(x *respond.Exec, id string) error {
	list, err := see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) ([]types.SecurityGroup, error) {
		return listGroups(ctx, c, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	})
	switch {
	case err != nil:
		return err
	case len(list) != 1 || len(list[0].IpPermissions)+len(list[0].IpPermissionsEgress) > 0:
		return unseen(x, id+" without rules")
	}
	return nil
}

func revoke(ctx context.Context, c awscalls.EC2, id string, in, out []string) error {
	if len(out) > 0 {
		if _, err := c.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &id, SecurityGroupRuleIds: out}); err != nil {
			return err
		}
	}
	if len(in) > 0 {
		if _, err := c.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &id, SecurityGroupRuleIds: in}); err != nil {
			return err
		}
	}
	return nil
}

// rulesOf returns all rules of a group.
func rulesOf(x *respond.Exec, id string) ([]types.SecurityGroupRule, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) ([]types.SecurityGroupRule, error) {
		return listRules(ctx, c, id)
	})
}

func listRules(ctx context.Context, c awscalls.EC2, id string) ([]types.SecurityGroupRule, error) {
	var out []types.SecurityGroupRule
	in := &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("group-id", id)}}
	for {
		page, err := c.DescribeSecurityGroupRules(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.SecurityGroupRules...)
		if str(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

// tagSpecs are the tags of something that is made.
func tagSpecs(kind types.ResourceType, tags map[string]string, name string) []types.TagSpecification {
	list := tagList(tags)
	if name != "" {
		list = append(list, types.Tag{Key: aws.String("Name"), Value: &name})
	}
	return []types.TagSpecification{{ResourceType: kind, Tags: list}}
}

func tagList(tags map[string]string) []types.Tag {
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	list := make([]types.Tag, 0, len(keys))
	for _, k := range keys {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}
