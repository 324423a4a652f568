package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// named finds a convert group again, whose id may have been lost.
type named struct {
	ID   string `json:"id,omitempty"` // where it was heard
	VPC  string `json:"vpc"`
	Name string `json:"name"`
	Run  string `json:"run"`
}

// convertOf is the name of the convert group of a run, in each VPC; again: of the
// second one.
func convertOf(x *respond.Exec, again bool) string {
	name := convertName + "-" + string(x.RunID)
	if x.Def.Part != "" {
		name += "-" + x.Def.Part
	}
	if again {
		name += "-again"
	}
	return name
}

// openGroup makes the group of this run that lets everything through. That it is
// deleted is owed from before it exists.
func openGroup(x *respond.Exec) (playbook.Outcome, error) {
	var p groupParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	n := named{VPC: p.VPC, Name: convertOf(x, p.Again), Run: string(x.RunID)}
	raw, err := json.Marshal(n)
	if err != nil {
		return playbook.Outcome{}, playbook.Permanent(err)
	}
	owedAs, err := nextOwed(x, "group")
	if err != nil {
		return playbook.Outcome{}, err
	}
	owed := respond.Owed{ID: owedAs, Run: x.RunID, Kind: closeGroup, Params: raw, Place: x.Place(), Due: x.Now().Add(30 * time.Minute),
		Why: n.Name + " in " + p.VPC + " lets everything through", OpenedAt: x.Now()}
	if err := x.Change(func(ctx context.Context) error { return x.Owed.Owe(ctx, owed) }); err != nil {
		return playbook.Outcome{}, err
	}
	id, foreign, err := ownGroup(x, p.VPC, n.Name, "Lets everything through, for seconds, so that connections can be cut. Made by guardroom.", savedMade)
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case foreign:
		return playbook.Outcome{}, conflict("a group named "+n.Name+" is not ours", "it was left as it is", "interfaces are isolated in one pass")
	}
	if err := x.Save(savedGroup, id); err != nil {
		return playbook.Outcome{}, err
	}
	v4 := types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}
	v6 := types.IpPermission{IpProtocol: aws.String("-1"), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}}
	rules := []struct {
		egress bool
		what   types.IpPermission
	}{{false, v4}, {false, v6}, {true, v4}, {true, v6}}
	errs := make([]error, len(rules))
	g := x.Group()
	for i, r := range rules {
		g.Go(func() {
			err := change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error { return allow(ctx, c, id, r.egress, r.what) })
			if !respond.Is(err, "InvalidPermission.Duplicate") {
				errs[i] = err
			}
		})
	}
	g.Wait()
	for _, err := range errs {
		if err != nil {
			return playbook.Outcome{}, fresh(x, err)
		}
	}
	return done(id + " in " + p.VPC + " is there until the interfaces are isolated")
}

func allow(ctx context.Context, c awscalls.EC2, id string, egress bool, p types.IpPermission) error {
	if egress {
		_, err := c.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &id, IpPermissions: []types.IpPermission{p}})
		return err
	}
	_, err := c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: []types.IpPermission{p}})
	return err
}

type closeParams struct {
	VPC  string `json:"vpc"`
	Open string `json:"open"` // the step that made it
	// Again: it is the second one of the run.
	Again bool `json:"again,omitempty"`
}

// closeOpenGroup deletes the convert group of this run. It runs after an abort too.
func closeOpenGroup(x *respond.Exec) (playbook.Outcome, error) {
	var p closeParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	rec, ok := x.Record(p.Open)
	if !ok || rec.Attempt == 0 {
		return skipped("no convert group was made")
	}
	n := named{VPC: p.VPC, Name: convertOf(x, p.Again), Run: string(x.RunID)}
	rec.Load(savedGroup, &n.ID)
	var asked bool
	rec.Load(savedMade, &asked)
	var hidden time.Time // until then
	if asked && rec.State != playbook.Completed && (rec.Error == nil || rec.Error.Code != fault.Denied) {
		hidden = rec.Ended.Add(appears)
	}
	err := x.Finish(func(ctx context.Context) error { return deleteGroup(ctx, x.AWS, x.Place(), n, x.Now().Before(hidden)) })
	if used := respond.Is(err, "DependencyViolation"); used || errors.Is(err, errUsed) {
		if x.Now().Sub(x.Started()) >= stillUsed {
			return playbook.Outcome{}, conflict(n.Name+" is still used, so it cannot be deleted: "+respond.Reason(err), "it is owed, and is deleted as soon as no interface is in it", "give the interface its groups by hand, if guardroom may not")
		}
		return playbook.Outcome{}, fault.Wrap(fault.Unavailable, respond.Worded(err), n.Name+" is still used", "it is owed and will be deleted", "it is asked again")
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := settle(x, x.RunID, rec, "group"); err != nil {
		return playbook.Outcome{}, err
	}
	return done(n.Name + " in " + p.VPC + " is deleted")
}

// stillUsed is how long the run waits for an interface to leave the group. What looks
// at the result, and tells it, waits too; the group stays owed.
const stillUsed = 2 * time.Minute

var errUsed = errors.New("an interface is in it")

// appears is how long a group that was made may stay invisible.
const appears = time.Minute

// deleteGroup deletes our convert group where there is one. Young says that one
// may have been made which AWS does not show yet: then none is no answer.
func deleteGroup(ctx context.Context, a awscalls.AWS, place awscalls.Place, n named, young bool) error {
	r, c, err := both(ctx, a, place, awscalls.AWS.EC2)
	if err != nil {
		return err
	}
	list, err := listGroups(ctx, r, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", n.VPC), filter("group-name", n.Name)}})
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(g types.SecurityGroup) bool {
		return str(g.GroupName) != n.Name || tagsOf(g.Tags)[respond.TagRun] != n.Run
	})
	if len(list) == 0 && n.ID == "" && young {
		return fault.New(fault.Unavailable, "AWS may not show "+n.Name+" yet", "it is owed, and asked again")
	}
	for _, g := range list {
		// AWS refuses to delete a group that is used; what stands in for AWS may not.
		used, err := listInterfaces(ctx, r, filter("group-id", str(g.GroupId)))
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(used, func(i types.NetworkInterface) bool { return slices.Contains(groupIDs(i.Groups), str(g.GroupId)) }); i >= 0 {
			return fault.Wrap(fault.Unavailable, errUsed, n.Name+" is still used by "+str(used[i].NetworkInterfaceId), "", "it is asked again")
		}
		_, err = c.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
		if err != nil && !respond.Gone(err) {
			return err
		}
	}
	return nil
}

// closeOwedGroup is the closing of a convert group.
func closeOwedGroup(ctx context.Context, a awscalls.AWS, o respond.Owed, now time.Time) error {
	var n named
	if err := json.Unmarshal(o.Params, &n); err != nil {
		return err
	}
	return deleteGroup(ctx, a, o.Place, n, now.Before(o.OpenedAt.Add(appears)))
}

// both gives the clients of the reader and of the actor.
func both[C any](ctx context.Context, a awscalls.AWS, place awscalls.Place, open opener[C]) (read, act C, err error) {
	if act, err = open(a, ctx, place); err != nil {
		return read, act, err
	}
	place.Role = awscalls.Read
	read, err = open(a, ctx, place)
	return read, act, err
}
