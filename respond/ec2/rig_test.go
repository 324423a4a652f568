package ec2

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const (
	acct = kittest.Account
	rgn  = kittest.Region
)

// rig is a bench with an instance to be contained, and a world of its own.
type rig struct {
	*kittest.Bench
	id string

	deny map[awscalls.Role][]string
}

// newRig builds a world with f, which returns the id of the instance.
func newRig(t testing.TB, f func(e *sim.Editor) string, options ...func(o *sim.Options)) *rig {
	t.Helper()
	r := &rig{deny: map[awscalls.Role][]string{}}
	r.Bench = kittest.On(t, nil, Playbook(), Actions(), Closings())
	o := sim.Options{Clock: r.Clock, Deny: r.deny, Hook: r.Asked}
	for _, f := range options {
		f(&o)
	}
	w, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.World, r.AWS, r.Options = w, w.AWS(), o
	r.edit(func(e *sim.Editor) {
		e.AddBucket(acct, sim.Bucket{Name: kittest.Evidence, Region: rgn, ObjectLock: true})
		r.id = f(e)
	})
	r.Type = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
	r.Target = respond.Target{Kind: finding.KindInstance, ID: r.id, Account: acct, Region: rgn}
	r.Policy.Evidence.Bucket = kittest.Evidence
	return r
}

// Deny takes an IAM action from a role.
func (r *rig) Deny(role awscalls.Role, action string) {
	r.deny[role] = append(r.deny[role], action)
}

// world describes an instance as it is now, in a form for comparison.
func (r *rig) world(id string) *World {
	r.T.Helper()
	w, err := Describe(context.Background(), r.AWS, awscalls.Place{Account: acct, Region: rgn, Role: awscalls.Read, Incident: "INC-42"}, id)
	if err != nil {
		r.T.Fatal(err)
	}
	return w
}

// run carries a plan out.
func (r *rig) run(p *respond.Plan) map[string]playbook.Record {
	r.T.Helper()
	records, err := r.Execute(kittest.Run, p, r.Journal)
	if err != nil {
		r.T.Fatal(err)
	}
	return records
}

// contained makes a plan and carries it out; all must be well.
func (r *rig) contained() (*respond.Plan, map[string]playbook.Record) {
	r.T.Helper()
	p := r.Plan()
	records := r.run(p)
	r.well(records)
	r.isolated()
	return p, records
}

// well fails where a step is neither completed nor skipped, or something is owed.
func (r *rig) well(records map[string]playbook.Record) {
	r.T.Helper()
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if s := records[id].State; s != playbook.Completed && s != playbook.Skipped {
			r.T.Fatalf("step %s is %s: %s", id, s, records[id].Message)
		}
	}
	if rows := r.Owed.Rows(); len(rows) > 0 {
		r.T.Fatalf("still owed: %+v", rows)
	}
}

// undone undoes a run by the plan that guardroom makes of it.
func (r *rig) undone(p *respond.Plan, records map[string]playbook.Record) map[string]playbook.Record {
	r.T.Helper()
	u, err := respond.UndoPlan(p, kittest.Run, records, r.Actions)
	if err != nil {
		r.T.Fatal(err)
	}
	out, err := r.Execute(kittest.UndoRun, u, &playbook.Memory{})
	if err != nil {
		r.T.Fatal(err)
	}
	return out
}

// client is a client of a colleague's.
func (r *rig) client() awscalls.EC2 {
	r.T.Helper()
	c, err := r.AWS.EC2(context.Background(), awscalls.Place{Account: acct, Region: rgn, Role: "colleague"})
	if err != nil {
		r.T.Fatal(err)
	}
	return c
}

// edit changes the world as a colleague would.
func (r *rig) edit(f func(e *sim.Editor)) {
	r.T.Helper()
	if err := r.World.Edit(f); err != nil {
		r.T.Fatal(err)
	}
}

// isolated fails where an interface of ours is anything but isolated, as AWS
// shows it and not as a record says.
func (r *rig) isolated() {
	r.T.Helper()
	w := r.world(r.id)
	for _, n := range w.Interfaces {
		if n.Manager != "" {
			continue
		}
		if len(n.Groups) != 1 {
			r.T.Fatalf("%s is in %v", n.ID, n.Groups)
		}
		for _, g := range w.Groups {
			if g.ID == n.Groups[0] && (g.Rules != 0 || !strings.HasPrefix(g.Name, containName)) {
				r.T.Fatalf("%s is in %s with %d rules", n.ID, g.Name, g.Rules)
			}
		}
	}
}

// groupsNamed are the security groups whose name begins so.
func (r *rig) groupsNamed(prefix string) []string {
	r.T.Helper()
	list, err := listGroups(context.Background(), r.client(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		r.T.Fatal(err)
	}
	var out []string
	for _, g := range list {
		if strings.HasPrefix(str(g.GroupName), prefix) {
			out = append(out, str(g.GroupId))
		}
	}
	return out
}

// notRestored is what a containment and its undo may leave otherwise than they
// found it, and how that is taken out of a comparison. It is a constant of the
// tests, not taken from any plan: nothing else is left out.
var notRestored = []struct {
	what     string
	instance func(w *World)
	group    func(g group) bool // is left out
}{
	{what: "the empty groups " + containName + " and " + throughName + ", which runs share",
		group: func(g group) bool {
			return (g.Name == containName || g.Name == throughName) && len(g.Rules) == 0 && len(g.Members) == 0
		}},
	{what: "sessions that were ended", instance: func(w *World) { w.Agent.Sessions = nil }},
	{what: "ids of associations, which AWS gives anew", instance: func(w *World) {
		for i := range w.Addresses {
			w.Addresses[i].Association = ""
		}
		for i := range w.Subnets {
			w.Subnets[i].Association = ""
		}
		if w.Profile != nil {
			w.Profile.Association = ""
		}
	}},
	{what: "timeouts that were not set, which AWS cannot unset and are then set to what held", instance: func(w *World) {
		for i := range w.Interfaces {
			n := &w.Interfaces[i]
			if n.Tracking == nil {
				n.Tracking = &Tracking{}
			}
			*n.Tracking = n.Tracking.over(Tracking{TCP: 432000, UDP: 30, UDPStream: 180})
		}
	}},
}

// leftOut names what is not compared.
func leftOut() string {
	var out []string
	for _, x := range notRestored {
		out = append(out, x.what)
	}
	return strings.Join(out, "; ")
}

// lasting is a copy of what is kept of an instance, without what is not restored.
func lasting(w *World) *World {
	raw, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	var out World
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	for _, x := range notRestored {
		if x.instance != nil {
			x.instance(&out)
		}
	}
	return &out
}

// mutations are the calls so far that changed something, by operation.
func (r *rig) mutations() []string {
	var out []string
	for _, c := range r.World.Calls() {
		if c.Err == nil && !strings.HasPrefix(c.Operation, "Describe") && !strings.HasPrefix(c.Operation, "Get") && !strings.HasPrefix(c.Operation, "List") && !strings.HasPrefix(c.Operation, "Filter") && c.Place.Role != "colleague" {
			out = append(out, c.Operation)
		}
	}
	return out
}

// fortress is an instance with everything around it: two interfaces, an Elastic
// IP, three volumes, a profile in a path with a role of another name that others
// hold too, an Auto Scaling group with a target group, a target group of
// addresses, a classic load balancer, an open session, and a private subnet.
func fortress(e *sim.Editor) string {
	vpc := e.AddVPC(acct, rgn, sim.VPCSpec{})
	public := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, AZ: "a"})
	private := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, AZ: "a", Route: "nat"})
	e.AddRole(acct, sim.Role{Name: "payments-role", Path: "/app/", ID: "AROAPAYMENTS00000001"})
	profile := e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "web-profile", Path: "/web/", Role: "payments-role"})
	id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: public, Profile: profile.ARN, ElasticIP: true, Tags: map[string]string{"Name": "web-1", "team": "payments"},
		Shutdown: "terminate", Interfaces: []sim.InterfaceSpec{{ElasticIP: true, IPs: 2}, {Subnet: private}},
		Volumes: []sim.VolumeSpec{{}, {GiB: 20}, {GiB: 5, Keep: true, Encrypted: true}}})
	e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: public, Profile: profile.ARN, Tags: map[string]string{"Name": "web-2"}})
	tg := e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{Name: "payments", VPC: vpc, Targets: []string{}})
	e.AddAutoScalingGroup(acct, rgn, sim.AutoScalingGroupSpec{Name: "payments-asg", Min: 1, Max: 3, ELB: true, Targets: []string{tg}, Subnets: []string{public}, Instances: []string{id, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: public})}})
	e.AddClassicELB(acct, rgn, sim.ClassicELBSpec{Name: "old-lb", VPC: vpc, Instances: []string{id}})
	e.SetAgent(acct, rgn, sim.SSMAgent{Instance: id})
	e.AddSSMSession(acct, rgn, sim.ShellSession{Instance: id, Owner: "arn:aws:iam::111122223333:user/mallory"})
	return id
}

func diffWorlds(a, b *World) string { return cmp.Diff(a, b, cmpopts.EquateEmpty()) }
