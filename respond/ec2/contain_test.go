package ec2

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestDefect17And33AContainmentIsolatesEveryInterfaceAndItsUndoGivesTheWorldBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	before := lasting(r.world(r.id))
	p, records := r.contained()
	state, contained, open := r.Result(p, records)
	if state != respond.RunCompleted || !contained {
		t.Fatalf("the run is %s, contained %v", state, contained)
	}
	if !kittest.Has(open, "resolver") || !kittest.Has(open, "isolated (not proven: no flow log sees it)") {
		t.Errorf("what stays open is not said: %v", open)
	}
	w := r.world(r.id)
	if len(w.Addresses) > 0 || w.Profile != nil || w.Metadata.Endpoint != "disabled" || w.Scaling != nil || len(w.Classic) > 0 || len(w.Targets) > 0 || len(w.Agent.Sessions) > 0 {
		t.Errorf("a door is open: %+v", w)
	}
	if !w.Attributes.DisableTermination || !w.Attributes.DisableStop || w.Attributes.ShutdownBehavior != "stop" {
		t.Errorf("it is not protected: %+v", w.Attributes)
	}
	for _, v := range w.Volumes {
		if v.DeleteOnTermination {
			t.Errorf("%s goes with the instance", v.ID)
		}
	}
	if w.Tags[respond.TagIncident] != "INC-42" || w.Tags[respond.TagRun] != string(kittest.Run) || w.Tags[respond.TagStatus] != "contained in part" {
		t.Errorf("its tags are %v", w.Tags)
	}
	undone := r.undone(p, records)
	r.well(undone)
	r.Pass(10 * time.Minute)
	if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
	if left := r.groupsNamed(convertName); len(left) > 0 {
		t.Errorf("groups are left: %v", left)
	}
}

func TestTheBeforeImageIsInTheBucketBeforeTheFirstChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	_, records := r.contained()
	items, gaps, _ := respond.EvidenceOf(records[StepRecord])
	if len(items) != 1 || len(gaps) > 0 || items[0].Kind != evidence.BeforeImage || items[0].LockMode != "governance" || items[0].SHA256 == "" {
		t.Fatalf("items %+v, gaps %+v", items, gaps)
	}
	list := r.mutations()
	if i := slices.Index(list, "PutObject"); i != 0 {
		t.Errorf("the before-image is change %d: %v", i, list)
	}
}

// plain is an instance in a public subnet with an Elastic IP, so that it gets
// the two-group pass.
func plain(e *sim.Editor) string {
	return e.AddInstance(acct, rgn, sim.InstanceSpec{ElasticIP: true})
}

func TestDefect41EveryInterfaceGetsTheGroupOfItsOwnVPC(t *testing.T) {
	t.Parallel()
	var ids []string
	r := newRig(t, func(e *sim.Editor) string {
		a, b := e.AddVPC(acct, rgn, sim.VPCSpec{}), e.AddVPC(acct, rgn, sim.VPCSpec{})
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Interfaces: []sim.InterfaceSpec{{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: a})}, {Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: b})}, {Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: b})}}})
		ids = []string{a, b}
		return id
	})
	r.contained()
	w := r.world(r.id)
	for _, n := range w.Interfaces {
		i := slices.IndexFunc(w.Groups, func(g SecurityGroup) bool { return g.ID == n.Groups[0] })
		if w.Groups[i].VPC != n.VPC {
			t.Errorf("%s of %s is in a group of %s", n.ID, n.VPC, w.Groups[i].VPC)
		}
	}
	if len(w.Interfaces) != 3 || len(w.Groups) != 2 || !slices.Contains(ids, w.Groups[0].VPC) {
		t.Errorf("%d interfaces, groups %+v", len(w.Interfaces), w.Groups)
	}
}

func TestDefect18AForeignGroupOfOurNameIsNotAdopted(t *testing.T) {
	t.Parallel()
	foreign := ""
	r := newRig(t, func(e *sim.Editor) string {
		id := plain(e)
		foreign = e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{Name: containName, Rules: []sim.RuleSpec{}})
		return id
	})
	r.contained()
	w := r.world(r.id)
	if w.Interfaces[0].Groups[0] == foreign {
		t.Error("the foreign group was used")
	}
	if !strings.HasPrefix(w.Groups[0].Name, containName+"-") {
		t.Errorf("the group is %s", w.Groups[0].Name)
	}
	list, err := listGroups(context.Background(), r.client(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{foreign}})
	if err != nil || len(list) != 1 || len(list[0].Tags) > 0 {
		t.Errorf("the foreign group was changed: %+v %v", list, err)
	}
}

func TestDefect19NoRuleIsLeftInAVPCWithIPv6(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		vpc := e.AddVPC(acct, rgn, sim.VPCSpec{IPv6: true})
		return e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "nat"})})
	})
	r.contained()
	w := r.world(r.id)
	if len(w.Interfaces[0].IPv6) == 0 {
		t.Fatal("the interface has no IPv6 address: the case proves nothing")
	}
	rules, err := listRules(context.Background(), r.client(), w.Interfaces[0].Groups[0])
	if err != nil || len(rules) != 0 {
		t.Errorf("the group has the rules %+v (%v)", rules, err)
	}
}

func TestDefect42And35ADeniedTagIsAVisibleFailureAndIsolatesAllTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	r.Deny(awscalls.Act, "ec2:CreateTags")
	p := r.Plan()
	records := r.run(p)
	r.isolated()
	if records[StepMark].State != playbook.Failed || !strings.Contains(records[StepMark].Error.Hint, "EC2.CreateTags") {
		t.Errorf("the step is %s: %+v", records[StepMark].State, records[StepMark].Error)
	}
	state, contained, _ := r.Result(p, records)
	if state != respond.RunPartFailed || !contained {
		t.Errorf("the run is %s, contained %v", state, contained)
	}
	if !strings.Contains(records[StepPreflight].Message, "EC2.CreateTags") {
		t.Errorf("preflight says %q", records[StepPreflight].Message)
	}
}

func TestAMissingPermissionStopsOnlyWhatNeedsIt(t *testing.T) {
	t.Parallel()
	// Each taken away by itself: whatever else fails, every interface is isolated.
	for action, step := range map[string]string{
		"ec2:ModifyInstanceAttribute": "protect/termination", "ec2:DisassociateAddress": "doors/", "autoscaling:DetachInstances": StepGroup,
		"elasticloadbalancing:DeregisterInstancesFromLoadBalancer": "service/classic/old-lb", "ec2:CreateNetworkAcl": "acl/", "ec2:CreateNetworkAclEntry": "acl/",
		"ec2:AuthorizeSecurityGroupIngress": "open/", "iam:PutRolePolicy": StepRevoke, "ec2:DisassociateIamInstanceProfile": StepProfile,
		"ec2:ModifyInstanceMetadataOptions": StepMetadata, "ssm:TerminateSession": StepSessions,
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fortress)
			p := r.Plan()
			r.Deny(awscalls.Act, action)
			records := r.run(p)
			r.isolated()
			failed := false
			for id, rec := range records {
				if rec.State == playbook.Failed && strings.HasPrefix(id, step) && rec.Error.Code == "denied" {
					failed = true
				}
			}
			if !failed {
				t.Errorf("no step %s failed for want of %s", step, action)
			}
			if left := r.groupsNamed(convertName); len(left) > 0 {
				t.Errorf("the convert group is left: %v", left)
			}
			for _, row := range r.Owed.Rows() {
				t.Errorf("owed: %+v", row)
			}
			r.undone(p, records)
		})
	}
}

func TestDefect20TheAddressIsOffBeforeTheInterfaceIsOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	r.contained()
	off, opened := -1, -1
	for i, c := range r.World.Calls() {
		if c.Err != nil {
			continue
		}
		switch in := c.Input.(type) {
		case *ec2.DisassociateAddressInput:
			off = i
		case *ec2.ModifyNetworkInterfaceAttributeInput:
			if len(in.Groups) > 0 && opened < 0 {
				opened = i
			}
		}
	}
	if off < 0 || opened < 0 || off > opened {
		t.Errorf("the address goes in call %d, the interface is opened in call %d", off, opened)
	}
}

func TestDefect30And40NeverTheGroupsOfTheInstanceAndNeverItsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p, records := r.contained()
	r.well(r.undone(p, records))
	for _, c := range r.World.Calls() {
		switch in := c.Input.(type) {
		case *ec2.ModifyInstanceAttributeInput:
			if len(in.Groups) > 0 {
				t.Error("ModifyInstanceAttribute with groups was called")
			}
			n := 0
			for _, set := range []bool{in.DisableApiStop != nil, in.DisableApiTermination != nil, in.InstanceInitiatedShutdownBehavior != nil, len(in.BlockDeviceMappings) > 0} {
				if set {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d attributes in one call", n)
			}
		case *ec2.TerminateInstancesInput:
			t.Error("an instance was terminated")
		}
	}
}

func TestDefect21And44OtherHoldersOfTheRoleGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	var bad, good sim.Principal
	r.edit(func(e *sim.Editor) {
		e.PutRolePolicy(acct, "payments-role", "own", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
		bad = e.AddSession(acct, "payments-role", r.id, r.Clock.Now())
		good = e.AddSession(acct, "payments-role", "i-0fedcba9876543210", r.Clock.Now())
	})
	if !r.World.Allowed(bad, "s3:GetObject") || !r.World.Allowed(good, "s3:GetObject") {
		t.Fatal("the sessions may do nothing to begin with")
	}
	p, records := r.contained()
	if r.World.Allowed(bad, "s3:GetObject") {
		t.Error("the session of the instance still gets in")
	}
	if !r.World.Allowed(good, "s3:GetObject") {
		t.Error("the session of another instance was hit")
	}
	r.well(r.undone(p, records))
	if !r.World.Allowed(bad, "s3:GetObject") {
		t.Error("the undo left the deny")
	}
}

func TestDefect49TheRoleIsThatOfTheProfileWhateverTheirNames(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	for _, s := range p.Steps {
		if s.ID != StepRevoke {
			continue
		}
		got, err := paramsOf[revokeParams](s)
		if err != nil || got.Role != "payments-role" || got.RoleID != "AROAPAYMENTS00000001" {
			t.Errorf("the plan revokes %+v (%v)", got, err)
		}
		return
	}
	t.Error("the plan revokes nothing")
}

func TestDefect45And46OnlyOurInterfacesChangeAndNoRuleOfOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	type shot struct {
		Rules  map[string]int
		Groups map[string][]string
	}
	look := func() shot {
		s := shot{map[string]int{}, map[string][]string{}}
		groups, err := listGroups(context.Background(), r.client(), &ec2.DescribeSecurityGroupsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if !strings.HasPrefix(str(g.GroupName), "guardroom-") {
				s.Rules[str(g.GroupId)] = len(g.IpPermissions) + 100*len(g.IpPermissionsEgress)
			}
		}
		list, err := listInterfaces(context.Background(), r.client())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			if n.Attachment == nil || str(n.Attachment.InstanceId) != r.id {
				s.Groups[str(n.NetworkInterfaceId)] = groupIDs(n.Groups)
			}
		}
		return s
	}
	r.edit(func(e *sim.Editor) {}) // a settled world
	before := look()
	r.contained()
	after := look()
	for id := range after.Groups {
		if _, was := before.Groups[id]; !was {
			delete(after.Groups, id) // the replacement's
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("others were changed (-before +after):\n%s", diff)
	}
}

func TestDefect51TheNetworkACLIsAssociatedAndDescribedBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		return e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{Route: "nat"})})
	})
	before := r.world(r.id).Subnets[0]
	p, records := r.contained()
	now := r.world(r.id).Subnets[0]
	if now.ACL == before.ACL || now.Association == before.Association {
		t.Errorf("the subnet has %s by %s, as before", now.ACL, now.Association)
	}
	for _, e := range now.Entries {
		if e.Action == "allow" {
			t.Errorf("the ACL allows: %+v", e)
		}
	}
	r.well(r.undone(p, records))
	if got := r.world(r.id).Subnets[0]; got.ACL != before.ACL {
		t.Errorf("the subnet has %s, not %s", got.ACL, before.ACL)
	}
	acls, err := listACLs(context.Background(), r.client())
	if err != nil || slices.ContainsFunc(acls, func(a types.NetworkAcl) bool { return tagsOf(a.Tags)[respond.TagRun] != "" }) {
		t.Errorf("our ACL is left (%v)", err)
	}
}

func TestDefect52And47VerificationFailsWhenARuleIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	p := r.Plan()
	var group string
	spoiled := false
	r.Bench.Ended = func(rec playbook.Record) {
		if strings.HasPrefix(rec.Name, StageGroups+"/") {
			rec.Load(savedGroup, &group)
		}
		if strings.HasPrefix(rec.Name, StageIsolate+"/") && !spoiled {
			spoiled = true
			r.edit(func(e *sim.Editor) { e.AddRule(acct, rgn, group, sim.RuleSpec{Protocol: "tcp", From: 22, To: 22}) })
		}
	}
	records := r.run(p)
	if v := records[StepVerify]; v.State != playbook.Failed || !strings.Contains(v.Message, "1 rules") {
		t.Errorf("verification is %s: %s", v.State, v.Message)
	}
	if _, contained, open := r.Result(p, records); contained || !kittest.Has(open, "open: ") {
		t.Errorf("contained %v, open %v", contained, open)
	}
	if got := r.world(r.id).Tags[respond.TagStatus]; got != "not contained" {
		t.Errorf("its tag says %q", got)
	}
}

func TestAManagedInterfaceIsReportedOpenAndNotTouched(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		return e.AddInstance(acct, rgn, sim.InstanceSpec{Interfaces: []sim.InterfaceSpec{{}, {Managed: "amazon-eks"}}})
	})
	managed := r.world(r.id).Interfaces[1]
	p := r.Plan()
	records := r.run(p)
	if got := r.world(r.id).Interfaces[1]; !slices.Equal(got.Groups, managed.Groups) {
		t.Errorf("%s was changed: %v", managed.ID, got.Groups)
	}
	_, contained, open := r.Result(p, records)
	if contained || !kittest.Has(open, managed.ID+" is open") {
		t.Errorf("contained %v, open %v", contained, open)
	}
	if !kittest.Has(p.WillNot, managed.ID) {
		t.Errorf("the plan does not say so: %v", p.WillNot)
	}
}

func TestConnectionsThatAreOpenAreCut(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		build  func(e *sim.Editor) string
		policy func(p *respond.Policy)
		alive  bool
	}{
		{"a tracked one by the two-group pass", plain, nil, false},
		{"one through a NAT gateway by the network ACL", func(e *sim.Editor) string {
			return e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{Route: "nat"})})
		}, nil, false},
		{"one of an automatic address by the network ACL", func(e *sim.Editor) string { return e.AddInstance(acct, rgn, sim.InstanceSpec{}) }, nil, false},
		{"without window and network ACL it lives on, and the run says so", func(e *sim.Editor) string {
			return e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{Route: "nat"})})
		}, func(p *respond.Policy) { p.NACL, p.OpenWindow = "never", "never" }, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.build)
			if c.policy != nil {
				c.policy(&r.Policy)
			}
			eni := r.world(r.id).Interfaces[0].ID
			flow := ""
			r.edit(func(e *sim.Editor) { flow = e.OpenFlow(acct, rgn, eni, sim.FlowSpec{Remote: "198.51.100.7"}) })
			if flow == "" {
				t.Fatal("no connection could be opened")
			}
			p, records := r.contained()
			r.Pass(5 * time.Second)
			for _, f := range r.World.Flows(eni) {
				if f.ID == flow && f.Alive != c.alive {
					t.Errorf("the connection: %+v", f)
				}
			}
			_, _, open := r.Result(p, records)
			if kittest.Has(open, "partly: ") != c.alive {
				t.Errorf("what is open: %v", open)
			}
		})
	}
}

func TestDefect28TheGroupDoesNotEndTheInstance(t *testing.T) {
	t.Parallel()
	for _, lag := range []time.Duration{0, 45 * time.Second} {
		t.Run(lag.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(e *sim.Editor) string {
				sub := e.AddSubnet(acct, rgn, sim.SubnetSpec{})
				id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: sub, Private: true})
				tg := e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{})
				e.AddAutoScalingGroup(acct, rgn, sim.AutoScalingGroupSpec{ELB: true, Min: 1, Max: 1, Targets: []string{tg}, Subnets: []string{sub}, Instances: []string{id}, Lag: lag})
				return id
			})
			before := lasting(r.world(r.id))
			p, records := r.contained()
			r.Pass(20 * time.Minute)
			w := r.world(r.id)
			if w.State != "running" {
				t.Fatalf("the instance is %s: the group ended it", w.State)
			}
			var suspended bool
			if records[StepGroup].Load(savedSuspended, &suspended); suspended != (lag > leaveWait) {
				t.Errorf("%s was suspended: %v", replaceUnhealthy, suspended)
			}
			r.well(r.undone(p, records))
			r.Pass(10 * time.Minute)
			if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
				t.Errorf("the world differs (-before +after):\n%s", diff)
			}
		})
	}
}

func TestStandbyByPolicyAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	r.Policy.OutOfService = howStandby
	before := lasting(r.world(r.id))
	p, records := r.contained()
	if w := r.world(r.id); w.Scaling == nil || w.Scaling.Lifecycle != "Standby" {
		t.Errorf("it is %+v", w.Scaling)
	}
	r.Pass(5 * time.Minute)
	r.well(r.undone(p, records))
	r.Pass(10 * time.Minute)
	if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}

func TestAMemberThatCannotLeaveIsKeptFromItsGroupAllTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	r.Deny(awscalls.Act, "autoscaling:DetachInstances")
	records := r.run(p)
	r.Pass(20 * time.Minute)
	if w := r.world(r.id); w.State != "running" {
		t.Fatalf("the instance is %s", w.State)
	}
	if _, _, open := r.Result(p, records); !kittest.Has(open, "suspended until the run is undone") {
		t.Errorf("open: %v", open)
	}
	r.well(r.undone(p, records))
	if w := r.world(r.id); len(w.Scaling.Suspended) > 0 {
		t.Errorf("suspended: %v", w.Scaling.Suspended)
	}
}

func TestEightVolumesAndFourInterfacesNeedFortyCallsInSequenceAtMost(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		sub := e.AddSubnet(acct, rgn, sim.SubnetSpec{Route: "nat"})
		vols := make([]sim.VolumeSpec, 8)
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Type: "m5.xlarge", Subnet: sub, Volumes: vols, Interfaces: make([]sim.InterfaceSpec, 4), Profile: "web"})
		tg := e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{})
		e.AddAutoScalingGroup(acct, rgn, sim.AutoScalingGroupSpec{ELB: true, Targets: []string{tg}, Subnets: []string{sub}, Instances: []string{id}})
		e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{Name: "direct", Targets: []string{id}})
		return id
	}, func(o *sim.Options) { o.Latency = time.Second })
	p := r.Plan()
	begun := r.Clock.Now()
	records := r.run(p)
	r.well(records)
	isolates, longest := 0, time.Duration(0)
	for _, s := range p.Steps {
		if !s.Contains || s.ID == StepVerify {
			continue
		}
		if s.Stage == StageIsolate {
			isolates++
		}
		// With a second a call, the time that passed is the calls in sequence and
		// the window.
		took := records[s.ID].Ended.Sub(begun) - time.Duration(r.Policy.WindowSeconds)*time.Second
		if took > 40*time.Second {
			t.Errorf("%s ended after %s", s.ID, took)
		}
		longest = max(longest, took)
	}
	t.Logf("the longest chain until all is contained: %d calls", longest/time.Second)
	if isolates != 4 {
		t.Errorf("%d interfaces", isolates)
	}
}

func TestThrottledCallsReachNoPerson(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress, func(o *sim.Options) { o.Throttle = 4 })
	w, err := r.Describe()
	for n := 0; err != nil && n < 20; n++ {
		r.Pass(time.Second)
		w, err = r.Describe()
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := Playbook().Draft(w, r.Request())
	if err != nil {
		t.Fatal(err)
	}
	records := r.run(&respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01test", Incident: 42, Playbook: Name, Target: d.Target, Steps: d.Steps})
	r.well(records)
	slow := 0
	for _, c := range r.World.Calls() {
		if respond.Is(c.Err, "RequestLimitExceeded", "ThrottlingException") {
			slow++
		}
	}
	if slow == 0 {
		t.Error("nothing was throttled")
	}
}

func TestWhatWasJustMadeMayBeInvisibleForAWhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress, func(o *sim.Options) {
		o.Invisible = map[string]time.Duration{"CreateSecurityGroup": 7 * time.Second, "CreateNetworkAcl": 5 * time.Second}
	})
	r.contained()
	if n := len(r.groupsNamed(containName)); n != 1 {
		t.Errorf("there are %d groups", n)
	}
}

func TestDefect53EveryPageIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress, func(o *sim.Options) { o.PageSize = 1 })
	w := r.world(r.id)
	if len(w.Interfaces) != 2 || len(w.Volumes) != 3 || len(w.Targets) != 1 || len(w.Classic) != 1 || len(w.Profile.Others) != 1 || len(w.Subnets) != 2 || len(w.Subnets[0].Others) != 2 {
		t.Errorf("%d interfaces, %d volumes, %d targets, %d balancers, %d holders, %+v", len(w.Interfaces), len(w.Volumes), len(w.Targets), len(w.Classic), len(w.Profile.Others), w.Subnets)
	}
	r.contained()
	for _, c := range r.World.Calls() {
		if c.Place.Region != "" && c.Place.Region != rgn && c.Service == "EC2" {
			t.Fatalf("%s was called in %s", c, c.Place.Region)
		}
	}
}

func TestActionsNameExactlyTheCallsThatAreMade(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p, records := r.contained()
	r.well(r.undone(p, records))
	short := strings.NewReplacer(" ", "", "Elastic Load Balancing v2", "ELBv2", "Elastic Load Balancing", "ELB")
	said := map[awscalls.Role][]string{}
	for _, a := range Actions() {
		for role, list := range a.Calls {
			said[role] = append(said[role], list...)
		}
	}
	for _, c := range r.World.Calls() {
		name := short.Replace(c.Service) + "." + c.Operation
		if c.Place.Role != "colleague" && name != "STS.GetCallerIdentity" && !slices.Contains(said[c.Place.Role], name) {
			t.Errorf("%s is called as %s, and no action says so", name, c.Place.Role)
		}
	}
}

func TestAnInstanceThatIsNotThereIsAClearMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	for id, want := range map[string]string{"i-0123456789abcdef0": "there is no instance", "i-../etc": "no instance id"} {
		_, err := Describe(t.Context(), r.AWS, awscalls.Place{Account: acct, Region: rgn, Role: awscalls.Read}, id)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	_, err := Describe(t.Context(), r.AWS, awscalls.Place{Account: acct, Region: "us-east-1", Role: awscalls.Read}, r.id)
	if err == nil || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("in another region: %v", err)
	}
}

func TestUserDataIsNotInTheBeforeImage(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		return e.AddInstance(acct, rgn, sim.InstanceSpec{UserData: "export PASSWORD=hunter2"})
	})
	w := r.world(r.id)
	raw, err := json.Marshal(w)
	if err != nil || strings.Contains(string(raw), "hunter2") || w.Attributes.UserDataSHA256 == "" {
		t.Errorf("the world is %s (%v)", raw, err)
	}
}
