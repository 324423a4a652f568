package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// throughStep names the step of the group within the stage of groups.
const throughStep = "endpoints"

type throughParams struct {
	VPC   string        `json:"vpc"`
	Rules []throughRule `json:"rules"`
}

// throughGroup sees to it that the VPC has a group of ours with exactly these
// rules, and saves its id. Like the one without rules it is shared by runs, so that
// the groups of endpoints can name it.
func throughGroup(x *respond.Exec) (playbook.Outcome, error) {
	var p throughParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	id, err := sharedGroup(x, p.VPC, throughName, "Lets out what the agent needs to take memory. Made by guardroom; do not add rules.", "they were left as they are; memory is not taken")
	if err != nil {
		return playbook.Outcome{}, err
	}
	var made bool
	x.Load(savedMade, &made)
	if err := p.fill(x, id, made); err != nil {
		return playbook.Outcome{}, fresh(x, err)
	}
	return done(fmt.Sprintf("%s in %s lets port 443 out to %s, and nothing else", id, p.VPC, kit.Join(p.to())))
}

func (p throughParams) to() []string {
	var out []string
	for _, r := range p.Rules {
		out = append(out, r.to())
	}
	return out
}

// fill takes away every rule that is not wanted, of both directions and families,
// and adds those that are missing, until AWS shows exactly them. A group that this
// step made is born with rules: until they were seen, their absence is not believed.
func (p throughParams) fill(x *respond.Exec, id string, made bool) error {
	for {
		rules, err := rulesOf(x, id)
		if err != nil {
			return err
		}
		missing, in, out := compare(p.Rules, rules)
		var revoked bool
		x.Load(savedRevoked, &revoked)
		young := made && !revoked && x.Now().Sub(x.Started()) < seenWait
		switch {
		case len(in)+len(out) > 0:
			err := change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error { return revoke(ctx, c, id, in, out) })
			if err != nil && !respond.Is(err, "InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound") {
				return err
			}
			if err := x.Save(savedRevoked, true); err != nil {
				return err
			}
		case young:
			if err := x.Sleep(time.Second); err != nil {
				return err
			}
		case len(missing) == 0:
			return nil
		default:
			err := change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error { return allow(ctx, c, id, true, permission(missing)) })
			if err != nil && !respond.Is(err, "InvalidPermission.Duplicate") {
				return err
			}
			if err := x.Sleep(time.Second); err != nil {
				return err
			}
		}
		if x.Now().Sub(x.Started()) > 5*time.Minute {
			return unseen(x, id+" with its rules")
		}
	}
}

// compare says which wanted rules a group lacks, and the ids of those that it has
// besides.
func compare(want []throughRule, have []types.SecurityGroupRule) (missing []throughRule, in, out []string) {
	missing = slices.Clone(want)
	for _, r := range have {
		k := -1
		if port := aws.ToInt32(r.FromPort); aws.ToBool(r.IsEgress) && str(r.IpProtocol) == "tcp" && port == httpsPort && port == aws.ToInt32(r.ToPort) && r.ReferencedGroupInfo == nil {
			k = slices.Index(missing, throughRule{CIDR: str(r.CidrIpv4) + str(r.CidrIpv6), List: str(r.PrefixListId)})
		}
		switch {
		case k >= 0:
			missing = slices.Delete(missing, k, k+1)
		case aws.ToBool(r.IsEgress):
			out = append(out, str(r.SecurityGroupRuleId))
		default:
			in = append(in, str(r.SecurityGroupRuleId))
		}
	}
	return missing, in, out
}

// permission is what lets port 443 out to addresses and prefix lists.
func permission(rules []throughRule) types.IpPermission {
	p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(httpsPort), ToPort: aws.Int32(httpsPort)}
	for _, r := range rules {
		switch {
		case r.List != "":
			p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: aws.String(r.List)})
		case strings.Contains(r.CIDR, ":"):
			p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: aws.String(r.CIDR)})
		default:
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String(r.CIDR)})
		}
	}
	return p
}

// exactly reports whether a group has these rules and no other.
func exactly(x *respond.Exec, id string, want []throughRule) (bool, error) {
	rules, err := rulesOf(x, id)
	if respond.Gone(err) {
		return false, nil
	}
	missing, in, out := compare(want, rules)
	return len(missing)+len(in)+len(out) == 0, err
}

type emptyParams struct {
	VPC   string `json:"vpc"`
	Group string `json:"group"` // the step that made it
}

// emptyThrough takes the rules away again, unless an interface of another run is in
// the group: nothing that is not needed leads anywhere, and the groups of the
// endpoints can be deleted.
func emptyThrough(x *respond.Exec) (playbook.Outcome, error) {
	var p emptyParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	rec, _ := x.Record(p.Group)
	var id string
	if !rec.Load(savedGroup, &id) {
		return skipped("no group was made")
	}
	used, err := see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) ([]types.NetworkInterface, error) {
		return listInterfaces(ctx, c, filter("group-id", id))
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	if i := slices.IndexFunc(used, func(n types.NetworkInterface) bool { return slices.Contains(groupIDs(n.Groups), id) }); i >= 0 {
		return skipped(id + " is used by " + str(used[i].NetworkInterfaceId) + " and stays as it is")
	}
	err = emptyGroup(x, id, false)
	if respond.Gone(err) {
		return done(id + " does not exist any more")
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done(id + " has no rules any more")
}
