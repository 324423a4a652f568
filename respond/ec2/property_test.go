package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// whole is the world around the instance, as far as it is to come back.
type whole struct {
	Instances map[string]*World
	Groups    map[string]group // security groups
	ACLs      map[string]string
	Policies  map[string][]string // of roles
	Scaling   *Scaling
}

// group is a security group, each of its rules in full.
type group struct {
	Name    string
	Rules   []string
	Tags    map[string]string
	Members []string // interfaces
}

func (r *rig) whole(t *rapid.T, instances, roles []string, scaling string) whole {
	out := whole{Instances: map[string]*World{}, Groups: map[string]group{}, ACLs: map[string]string{}, Policies: map[string][]string{}}
	for _, id := range instances {
		out.Instances[id] = r.world(id)
	}
	ctx := context.Background()
	groups, err := listGroups(ctx, r.client(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		out.Groups[str(g.GroupId)] = group{Name: str(g.GroupName), Rules: append(permissionsOf(t, "in", g.IpPermissions), permissionsOf(t, "out", g.IpPermissionsEgress)...), Tags: tagsOf(g.Tags)}
	}
	nics, err := r.client().DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nics.NetworkInterfaces {
		for _, id := range groupIDs(n.Groups) {
			g := out.Groups[id]
			g.Members = append(g.Members, str(n.NetworkInterfaceId))
			out.Groups[id] = g
		}
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
	for _, x := range notRestored {
		for _, w := range out.Instances {
			if x.instance != nil {
				x.instance(w)
			}
		}
		if x.group != nil {
			maps.DeleteFunc(out.Groups, func(_ string, g group) bool { return x.group(g) })
		}
	}
	return out
}

// permissionsOf are rules of a security group, in full and in one order.
func permissionsOf(t *rapid.T, direction string, list []types.IpPermission) []string {
	var out []string
	for _, p := range list {
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, direction+" "+string(raw))
	}
	slices.Sort(out)
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
		public := rapid.Bool().Draw(t, "public") // the first interface has an automatic address, unless it is given an Elastic IP
		id := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Public: &public, Route: rapid.SampledFrom([]string{"igw", "nat", "tgw", "none"}).Draw(t, "route")})
		subnets, home[id] = append(subnets, id), vpc
	}
	groups := map[string][]string{}
	for _, vpc := range vpcs {
		for range 3 {
			groups[vpc] = append(groups[vpc], e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: vpc, Rules: drawRules(t), Tags: drawTags(t, "group")}))
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

// drawRules are rules of a security group; none: those that AWS gives a new one.
func drawRules(t *rapid.T) []sim.RuleSpec {
	var out []sim.RuleSpec
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		from := rapid.Int32Range(1, 1000).Draw(t, "port")
		out = append(out, sim.RuleSpec{Egress: rapid.Bool().Draw(t, "egress"), Protocol: rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "protocol"), From: from, To: from + 1,
			CIDR: rapid.SampledFrom([]string{"0.0.0.0/0", "10.0.0.0/8"}).Draw(t, "block"), Description: rapid.SampledFrom([]string{"", "office"}).Draw(t, "description")})
	}
	return out
}

// drawTags are tags of a resource, some of which an earlier run of ours left.
func drawTags(t *rapid.T, what string) map[string]string {
	out := map[string]string{}
	for _, key := range []string{"team", respond.TagIncident, respond.TagStatus} {
		if rapid.IntRange(0, 3).Draw(t, key+" of "+what) == 0 {
			out[key] = "old"
		}
	}
	return out
}

// tagParts tags the interfaces and the volumes of the instance.
func (r *rig) tagParts(t *rapid.T) {
	w := r.world(r.id)
	var ids []string
	for _, n := range w.Interfaces {
		ids = append(ids, n.ID)
	}
	for _, v := range w.Volumes {
		ids = append(ids, v.ID)
	}
	for _, id := range ids {
		var tags []types.Tag
		for k, v := range drawTags(t, id) {
			tags = append(tags, types.Tag{Key: &k, Value: &v})
		}
		if len(tags) == 0 {
			continue
		}
		if _, err := r.client().CreateTags(context.Background(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tags}); err != nil {
			t.Fatal(err)
		}
	}
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
		r.tagParts(rt)
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
			rt.Fatalf("beside %s the world differs (-before +after):\n%s", leftOut(), diff)
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

// The property found it: taken back by a group that is full and has no minimum, the
// instance left the maximum raised, and that was owed for ever.
func TestAFullGroupWithoutAMinimumHasItsMaximumBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		sub := e.AddSubnet(acct, rgn, sim.SubnetSpec{})
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: sub})
		e.AddAutoScalingGroup(acct, rgn, sim.AutoScalingGroupSpec{Name: "asg", Max: 1, Desired: 1, Subnets: []string{sub}, Instances: []string{id}})
		return id
	})
	before := lasting(r.world(r.id))
	p, records := r.contained()
	undone := r.undone(p, records)
	raised := false
	for _, c := range r.World.Calls() {
		in, ok := c.Input.(*autoscaling.UpdateAutoScalingGroupInput)
		raised = raised || ok && in.MaxSize != nil && *in.MaxSize == 2
	}
	if !raised {
		t.Error("the group was not full: the case proves nothing")
	}
	r.well(undone)
	r.Pass(15 * time.Minute)
	if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}
