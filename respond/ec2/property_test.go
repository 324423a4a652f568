package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// notRestored is what a containment and its undo may leave behind. It is a
// constant of the test, not taken from any plan: the empty groups, which runs
// share; sessions that were ended; ids that AWS gives anew; and timeouts that were
// not set, which AWS cannot unset and are then set to what held.
var notRestored = []string{"security groups " + containName + " and " + throughName, "open sessions", "association ids", "timeouts that were not set"}

// whole is the world around the instance, as far as it is to come back.
type whole struct {
	Instances map[string]*World
	Groups    map[string]string // security groups: rules and tags
	ACLs      map[string]string
	Policies  map[string][]string // of roles
	Scaling   *Scaling
}

func (r *rig) whole(t *rapid.T, instances, roles []string, scaling string) whole {
	out := whole{Instances: map[string]*World{}, Groups: map[string]string{}, ACLs: map[string]string{}, Policies: map[string][]string{}}
	for _, id := range instances {
		w := lasting(r.world(id))
		w.Agent = Agent{}
		out.Instances[id] = w
	}
	ctx := context.Background()
	groups, err := listGroups(ctx, r.client(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		rules := fmt.Sprint(len(g.IpPermissions), len(g.IpPermissionsEgress), tagsOf(g.Tags))
		if (str(g.GroupName) == containName || str(g.GroupName) == throughName) && len(g.IpPermissions)+len(g.IpPermissionsEgress) == 0 {
			continue // notRestored
		}
		out.Groups[str(g.GroupId)] = rules
	}
	acls, err := listACLs(ctx, r.client())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range acls {
		var subnets []string
		for _, s := range a.Associations {
			subnets = append(subnets, str(s.SubnetId))
		}
		slices.Sort(subnets)
		out.ACLs[str(a.NetworkAclId)] = fmt.Sprint(readRules(a.Entries), subnets)
	}
	c, err := r.AWS.IAM(ctx, awscalls.Place{Account: acct, Region: rgn})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range roles {
		list, err := c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &role})
		if err != nil {
			t.Fatal(err)
		}
		out.Policies[role] = list.PolicyNames
	}
	if scaling != "" {
		a, err := r.AWS.AutoScaling(ctx, awscalls.Place{Account: acct, Region: rgn})
		if err != nil {
			t.Fatal(err)
		}
		if out.Scaling, err = readGroup(ctx, a, scaling, ""); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// drawn is a random world around an instance.
type drawn struct {
	instances, roles []string
	scaling          string
}

func draw(t *rapid.T, e *sim.Editor, d *drawn) string {
	vpcs := []string{e.AddVPC(acct, rgn, sim.VPCSpec{IPv6: rapid.Bool().Draw(t, "ipv6")})}
	if rapid.Bool().Draw(t, "two VPCs") {
		vpcs = append(vpcs, e.AddVPC(acct, rgn, sim.VPCSpec{}))
	}
	var subnets []string
	home := map[string]string{} // subnet to VPC
	for i := range rapid.IntRange(1, 4).Draw(t, "subnets") {
		vpc := vpcs[0]
		if i > 0 {
			vpc = rapid.SampledFrom(vpcs).Draw(t, "VPC")
		}
		id := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: rapid.SampledFrom([]string{"igw", "nat", "tgw", "none"}).Draw(t, "route")})
		subnets, home[id] = append(subnets, id), vpc
	}
	groups := map[string][]string{}
	for _, vpc := range vpcs {
		for range 3 {
			groups[vpc] = append(groups[vpc], e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: vpc}))
		}
	}
	spec := sim.InstanceSpec{Type: "m5.xlarge", Subnet: subnets[0], Groups: groups[vpcs[0]][:1], Protected: rapid.Bool().Draw(t, "protected"),
		Shutdown: rapid.SampledFrom([]string{"stop", "terminate"}).Draw(t, "shutdown"), Tags: map[string]string{"Name": "web"}}
	if rapid.Bool().Draw(t, "old tags") {
		spec.Tags[respond.TagIncident] = "INC-7"
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "interfaces") {
		n := sim.InterfaceSpec{IPs: rapid.IntRange(1, 3).Draw(t, "addresses"), ElasticIP: rapid.Bool().Draw(t, "elastic")}
		if i > 0 {
			n.Subnet = rapid.SampledFrom(subnets).Draw(t, "subnet")
		}
		spec.Interfaces = append(spec.Interfaces, n)
	}
	for range rapid.IntRange(1, 4).Draw(t, "volumes") {
		spec.Volumes = append(spec.Volumes, sim.VolumeSpec{Keep: rapid.Bool().Draw(t, "keep")})
	}
	if rapid.Bool().Draw(t, "profile") {
		e.AddRole(acct, sim.Role{Name: "the-role", Path: "/p/"})
		spec.Profile = e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "the-profile", Path: "/q/", Role: "the-role"}).ARN
		d.roles = append(d.roles, "the-role")
	}
	// Interfaces name no group, so each has that of the launch: those of another
	// VPC are put right, and some get several.
	for i := range spec.Interfaces {
		spec.Interfaces[i].Groups = []string{}
	}
	id := e.AddInstance(acct, rgn, spec)
	for i := range spec.Interfaces {
		at := spec.Interfaces[i].Subnet
		if at == "" {
			at = subnets[0]
		}
		n := rapid.IntRange(1, 3).Draw(t, "groups")
		eni := e.InterfaceOf(acct, rgn, id, int32(i)) //nolint:gosec // at most four
		e.SetGroups(acct, rgn, eni, groups[home[at]][:n]...)
		e.SetTracking(acct, rgn, eni, rapid.SampledFrom([]int32{0, 60, 350, 1000}).Draw(t, "TCP timeout"), rapid.SampledFrom([]int32{0, 45}).Draw(t, "UDP timeout"), rapid.SampledFrom([]int32{0, 60, 90}).Draw(t, "stream timeout"))
	}
	if rapid.Bool().Draw(t, "endpoints") {
		for _, service := range []string{"ssm", "ssmmessages", "ec2messages"} {
			g := e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: vpcs[0], Rules: []sim.RuleSpec{{Protocol: "tcp", From: 443, To: 443, CIDR: "10.0.0.0/8"}}})
			e.AddVPCEndpoint(acct, rgn, sim.EndpointSpec{VPC: vpcs[0], Service: service, Interface: true, Subnets: []string{rapid.SampledFrom(subnets).Draw(t, "endpoint")}, Groups: []string{g}})
		}
		e.AddVPCEndpoint(acct, rgn, sim.EndpointSpec{VPC: vpcs[0]})
		e.SetAgent(acct, rgn, sim.SSMAgent{Instance: id})
	}
	d.instances = []string{id}
	for range rapid.IntRange(0, 2).Draw(t, "neighbours") {
		d.instances = append(d.instances, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: rapid.SampledFrom(subnets).Draw(t, "neighbour"), Groups: nil, Profile: spec.Profile}))
	}
	d.surround(t, e, id, subnets[0], vpcs[0])
	return id
}

// surround puts load balancers and an Auto Scaling group around the instance.
func (d *drawn) surround(t *rapid.T, e *sim.Editor, id, subnet, vpc string) {
	if rapid.Bool().Draw(t, "target group") {
		e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{Name: "direct", VPC: vpc, Targets: []string{id}})
	}
	if rapid.Bool().Draw(t, "classic") {
		e.AddClassicELB(acct, rgn, sim.ClassicELBSpec{Name: "old", VPC: vpc, Instances: []string{id}})
	}
	if !rapid.Bool().Draw(t, "scaling") {
		return
	}
	d.scaling = "asg"
	members := []string{id}
	for range rapid.IntRange(0, 2).Draw(t, "members") {
		m := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: subnet})
		members = append(members, m)
		d.instances = append(d.instances, m)
	}
	size := int32(len(members)) //nolint:gosec // at most three
	spec := sim.AutoScalingGroupSpec{Name: "asg", Min: rapid.Int32Range(0, size).Draw(t, "min"), Max: size + rapid.Int32Range(0, 2).Draw(t, "spare"), Desired: size, Subnets: []string{subnet}, Instances: members,
		Lag: rapid.SampledFrom([]time.Duration{0, 30 * time.Second}).Draw(t, "lag")}
	if rapid.Bool().Draw(t, "group with targets") {
		spec.Targets = []string{e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{Name: "scaled", VPC: vpc})}
	}
	e.AddAutoScalingGroup(acct, rgn, spec)
}

func TestContainAndUndoGiveBackTheSameWorld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := &drawn{}
		r := newRig(t, func(e *sim.Editor) string { return draw(rt, e, d) })
		r.Policy.OpenWindow = rapid.SampledFrom([]string{"auto", "never"}).Draw(rt, "window")
		r.Policy.NACL = rapid.SampledFrom([]string{"auto", "always", "never"}).Draw(rt, "acl policy")
		r.Policy.OutOfService = rapid.SampledFrom([]string{howDetach, howStandby}).Draw(rt, "leave")
		r.Policy.ProtectStop = rapid.Bool().Draw(rt, "stop")
		r.Policy.IdleTimeouts = rapid.SampledFrom([]string{"auto", "never"}).Draw(rt, "idle")
		if rapid.Bool().Draw(rt, "memory after isolation") {
			r.Playbook = remembering{}
			r.Actions = respond.NewActions(Actions(), []respond.Action{asking(nil)})
		}
		before := r.whole(rt, d.instances, d.roles, d.scaling)
		p := r.Plan()
		if g, no := p.Refused(); no {
			rt.Fatalf("refused by %+v", g)
		}
		records := r.run(p)
		for id, rec := range records {
			if rec.State != playbook.Completed && rec.State != playbook.Skipped {
				rt.Fatalf("step %s is %s: %s", id, rec.State, rec.Message)
			}
		}
		r.isolated()
		r.Pass(time.Duration(rapid.IntRange(0, 900).Draw(rt, "seconds")) * time.Second)
		undone := r.undone(p, records)
		for _, id := range slices.Sorted(maps.Keys(undone)) {
			if rec := undone[id]; rec.State != playbook.Completed && rec.State != playbook.Skipped {
				rt.Fatalf("step %s is %s: %s", id, rec.State, rec.Message)
			}
		}
		if rows := r.Owed.Rows(); len(rows) > 0 {
			rt.Fatalf("owed: %+v", rows)
		}
		r.Pass(15 * time.Minute)
		after := r.whole(rt, d.instances, d.roles, d.scaling)
		if diff := cmp.Diff(plainJSON(before), plainJSON(after)); diff != "" {
			rt.Fatalf("beside %s the world differs (-before +after):\n%s", strings.Join(notRestored, ", "), diff)
		}
	})
}

// plainJSON makes empty and absent the same.
func plainJSON(w whole) any {
	raw, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}
