package cloudtest_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	respondec2 "github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
)

// play is a playbook on moto behind the proxy, by the real SDK, in virtual time.
type play struct {
	t       *testing.T
	clock   *playbook.Virtual
	account string
	aws     awscalls.AWS
	scene   *cloudtest.MotoScenery
	policy  respond.Policy
	owed    *owing
}

func newPlay(t *testing.T, account string) *play {
	t.Helper()
	p := &play{t: t, account: account, clock: playbook.NewVirtual(time.Now().UTC().Truncate(time.Second)), policy: respond.DefaultPolicy(), owed: &owing{rows: map[string]respond.Owed{}}}
	move := func(d time.Duration) { _ = p.clock.Sleep(context.Background(), d, nil) }
	p.aws, p.scene = cloudtest.OnMoto(t, motoURL, account, p.clock.Now, move, proxy.Options{Timing: cloudtest.Slow})
	return p
}

// owing keeps what is owed, in memory.
type owing struct {
	mu   sync.Mutex
	rows map[string]respond.Owed
	ever int
}

func (o *owing) Owe(_ context.Context, row respond.Owed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows[row.ID] = row
	o.ever++
	return nil
}

func (o *owing) Settle(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.rows, id)
	return nil
}

func (p *play) request(id string) respond.Request {
	return respond.Request{Incident: &incident.Incident{Number: 42, FirstSeen: p.clock.Now().Add(-time.Hour)}, Type: "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom",
		Target: respond.Target{Kind: finding.KindInstance, ID: id, Account: p.account, Region: cloudtest.Region}, Policy: p.policy, Requester: "ada", Now: p.clock.Now()}
}

func (p *play) plan(b respond.Playbook, id string) *respond.Plan {
	p.t.Helper()
	w, err := b.Describe(p.t.Context(), p.aws, p.request(id))
	if err != nil {
		p.t.Fatal(err)
	}
	d, err := b.Draft(w, p.request(id))
	if err != nil {
		p.t.Fatal(err)
	}
	plan := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_1", Incident: 42, Playbook: b.Name(), Version: b.Version(), Target: d.Target, Steps: d.Steps, WillNot: d.WillNot, Guards: d.Guards, Irreversible: d.Irreversible}
	if g, refused := plan.Refused(); refused {
		p.t.Fatalf("the plan is refused: %s: %s", g.Name, g.Why)
	}
	return plan
}

// run carries a plan out; all steps must end well.
func (p *play) run(id respond.RunID, plan *respond.Plan, actions ...[]respond.Action) map[string]playbook.Record {
	p.t.Helper()
	r := &playbook.Runner{Journal: &playbook.Memory{}, Clock: p.clock, Log: slog.New(slog.NewTextHandler(p.t.Output(), nil))}
	x := &respond.Executor{Actions: respond.NewActions(actions...), AWS: p.aws, Owed: p.owed, Policy: p.policy}
	var records map[string]playbook.Record
	err := r.Run(p.t.Context(), func(c playbook.Context) (err error) {
		records, err = x.Execute(c, id, plan)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, id := range slices.Sorted(maps.Keys(records)) {
		rec := records[id]
		if rec.State != playbook.Completed && rec.State != playbook.Skipped {
			p.t.Errorf("%s is %s: %s %+v", id, rec.State, rec.Message, rec.Error)
		}
	}
	if len(p.owed.rows) > 0 {
		p.t.Errorf("still owed: %+v", p.owed.rows)
	}
	return records
}

// seen is the attacked instance as it is described now, without the ids that
// AWS gives anew: a constant of this test, not taken from a plan.
func (p *play) seen(id string) *respondec2.World {
	p.t.Helper()
	w, err := respondec2.Describe(p.t.Context(), p.aws, awscalls.Place{Account: p.account, Region: cloudtest.Region, Role: awscalls.Read, Incident: "INC-42"}, id)
	if err != nil {
		p.t.Fatal(err)
	}
	raw, err := json.Marshal(w)
	if err != nil {
		p.t.Fatal(err)
	}
	out := &respondec2.World{}
	if err := json.Unmarshal(raw, out); err != nil {
		p.t.Fatal(err)
	}
	for i := range out.Addresses {
		out.Addresses[i].Association = ""
	}
	for i := range out.Subnets {
		out.Subnets[i].Association = ""
	}
	if out.Profile != nil {
		out.Profile.Association = ""
	}
	return out
}

// service is an instance in service, with a bystander in its group.
type service struct {
	host, bystander cloudtest.Host
	web             string // their group
}

// inService builds an instance with two interfaces, three volumes, an Elastic IP
// and a profile, in an Auto Scaling group behind a target group, with a shell open.
func (p *play) inService() service {
	t := p.t
	t.Helper()
	vpc := p.scene.VPC(true)
	front, back := p.scene.Subnet(vpc, "a"), p.scene.Subnet(vpc, "a")
	p.scene.Role("web", "/service/")
	p.scene.Profile("web-profile", "web")
	tg := p.scene.TargetGroup("payments", vpc)
	own := ec2.NewFromConfig(p.scene.Config)
	group, err := own.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("web"), VpcId: aws.String(vpc)})
	if err != nil {
		t.Fatal(err)
	}
	web := aws.ToString(group.GroupId)
	host := p.scene.Launch(cloudtest.Launch{Subnets: []string{front, back}, Groups: []string{web}, Disks: []cloudtest.Disk{{GiB: 2}, {GiB: 3}}, Profile: "web-profile"})
	bystander := p.scene.Launch(cloudtest.Launch{Subnets: []string{front}, Groups: []string{web}})
	p.scene.Address(host.Interfaces[0])
	p.scene.Group("payments", front, 1, 1, 4, tg)
	fleet := autoscaling.NewFromConfig(p.scene.Config)
	if _, err := fleet.AttachInstances(t.Context(), &autoscaling.AttachInstancesInput{AutoScalingGroupName: aws.String("payments"), InstanceIds: []string{host.ID}}); err != nil {
		t.Fatal(err)
	}
	p.scene.Agent(host.ID)
	p.scene.Shell("mallory-0123456789abcdef0", host.ID)
	return service{host: host, bystander: bystander, web: web}
}

func TestAnInstanceIsContainedAndReleasedOnMoto(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "444000000001")
	s := p.inService()
	host, bystander, web := s.host, s.bystander, s.web
	before, other := p.seen(host.ID), p.seen(bystander.ID)
	plan := p.plan(respondec2.Playbook(), host.ID)
	records := p.run("run_1", plan, respondec2.Actions())

	contained := p.seen(host.ID)
	for _, n := range contained.Interfaces {
		if len(n.Groups) != 1 || n.Groups[0] == web {
			t.Errorf("%s is in %v", n.ID, n.Groups)
			continue
		}
		for _, g := range contained.Groups {
			if g.ID == n.Groups[0] && g.Rules != 0 {
				t.Errorf("%s is in %s, which has %d rules", n.ID, g.Name, g.Rules)
			}
		}
	}
	if contained.Scaling != nil || len(contained.Targets) != 0 || len(contained.Addresses) != 0 || contained.Profile != nil {
		t.Errorf("it is still in service: %+v %+v %+v %+v", contained.Scaling, contained.Targets, contained.Addresses, contained.Profile)
	}
	for _, s := range p.scene.Proxy.Sessions() {
		if !s.Ended {
			t.Errorf("the shell %s is open", s.ID)
		}
	}
	if d := cmp.Diff(other.Interfaces, p.seen(bystander.ID).Interfaces); d != "" {
		t.Errorf("the bystander changed: %s", d)
	}
	p.convertGone()
	p.bans(t, host.ID)

	undo, err := respond.UndoPlan(plan, "run_1", records, respond.NewActions(respondec2.Actions()))
	if err != nil {
		t.Fatal(err)
	}
	p.run("run_2", undo, respondec2.Actions())
	if d := cmp.Diff(before, p.seen(host.ID), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("containment and its undo left: %s", d)
	}
	p.bans(t, host.ID)
}

// convertGone fails where the group that opens everything is left.
func (p *play) convertGone() {
	p.t.Helper()
	out, err := ec2.NewFromConfig(p.scene.Config).DescribeSecurityGroups(p.t.Context(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, g := range out.SecurityGroups {
		if strings.HasPrefix(aws.ToString(g.GroupName), "guardroom-convert") {
			p.t.Errorf("%s is left", aws.ToString(g.GroupName))
		}
	}
}

// bans fails where a call was made that no response makes.
func (p *play) bans(t *testing.T, victim string) {
	t.Helper()
	for _, c := range p.scene.Proxy.Calls() {
		switch {
		case c.String() == "EC2.ModifyInstanceAttribute" && c.Params.Get("GroupId.1") != "",
			c.String() == "EC2.TerminateInstances" && c.Params.Get("InstanceId.1") == victim,
			c.String() == "EC2.StopInstances", c.String() == "EC2.DeleteSnapshot", c.String() == "EC2.UnlockSnapshot",
			c.String() == "EC2.ModifySnapshotAttribute" && (c.Params.Get("CreateVolumePermission.Add.1.Group") != "" || c.Params.Get("UserGroup.1") != ""):
			t.Errorf("call %d is %s of %v", c.N, c, c.Params)
		case !c.DryRun && (c.String() == "EC2.CreateVolume" || c.String() == "EC2.CreateNetworkAcl") && !strings.HasPrefix(c.Token, "gr-"):
			t.Errorf("call %d, %s, has the token %q", c.N, c, c.Token)
		}
	}
}

// withLab builds a forensic account and the policy for it, and an instance with
// three volumes: not encrypted, with the key of AWS, with a key of the account.
func (p *play) withLab(lab string) (host cloudtest.Host, home *ec2.Client) {
	t := p.t
	t.Helper()
	away := p.scene.As(lab).(*cloudtest.MotoScenery)
	home = ec2.NewFromConfig(away.Config)
	vpc := away.VPC(false)
	subnet := away.Subnet(vpc, "b")
	group, err := home.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("lab"), Description: aws.String("lab"), VpcId: aws.String(vpc)})
	if err != nil {
		t.Fatal(err)
	}
	away.Bucket("guardroom-evidence-"+lab, true)
	p.policy.Evidence.Bucket, p.policy.Evidence.Region = "guardroom-evidence-"+lab, cloudtest.Region
	f := &p.policy.Forensics
	f.Account, f.Key, f.TransferKey = lab, away.Key(), p.scene.Key()
	f.Image, f.ImageOwners, f.Types = away.Image(), []string{lab}, []string{"m5.xlarge"}
	f.Subnets, f.SecurityGroups, f.Memory = []string{subnet}, []string{aws.ToString(group.GroupId)}, "never"

	host = p.scene.Launch(cloudtest.Launch{Subnets: []string{p.scene.Subnet(p.scene.VPC(false), "a")}, Disks: []cloudtest.Disk{{GiB: 2, Encrypted: true}, {GiB: 1, Encrypted: true, Key: p.scene.Key()}}})
	return host, home
}

func TestTheEvidenceOfAnInstanceIsPreservedOnMoto(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "444000000002")
	host, home := p.withLab("444000000003")
	plan := p.plan(forensics.Playbook(), host.ID)
	records := p.run("run_1", plan, forensics.Actions())
	p.preserved(home)
	var list []playbook.Record
	for _, s := range plan.Steps {
		list = append(list, records[s.ID])
	}
	items, gaps, _ := forensics.Collect(list)
	kinds := map[string]int{}
	for _, i := range items {
		kinds[string(i.Kind)]++
	}
	t.Logf("evidence: %v, gaps: %v", kinds, gaps)
	if kinds["snapshot"] < 3 || kinds["snapshot copy"] < 3 || kinds["block manifest"] < 3 {
		t.Errorf("evidence: %v", kinds)
	}
	p.unshared(host)
	p.bans(t, host.ID)
}

// preserved fails unless the forensic account has three locked copies under its
// own key, and three volumes of them at one workstation.
func (p *play) preserved(home *ec2.Client) {
	t := p.t
	t.Helper()
	byRun := []types.Filter{{Name: aws.String("tag:" + respond.TagRun), Values: []string{"run_1"}}}
	copies, err := home.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: byRun})
	if err != nil {
		t.Fatal(err)
	}
	if len(copies.Snapshots) != 3 {
		t.Errorf("%d copies in the forensic account", len(copies.Snapshots))
	}
	locks, err := home.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(locks.Snapshots) != 3 {
		t.Errorf("%d copies are locked", len(locks.Snapshots))
	}
	for _, s := range copies.Snapshots {
		if s.State != types.SnapshotStateCompleted || aws.ToString(s.KmsKeyId) != p.policy.Forensics.Key {
			t.Errorf("%+v", s)
		}
	}
	volumes, err := home.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: byRun})
	if err != nil {
		t.Fatal(err)
	}
	attached := map[string]int{}
	for _, v := range volumes.Volumes {
		if aws.ToString(v.SnapshotId) != "" {
			for _, a := range v.Attachments {
				attached[aws.ToString(a.InstanceId)+" "+string(a.State)]++
			}
		}
	}
	if len(attached) != 1 || slices.Max(slices.Collect(maps.Values(attached))) != 3 {
		t.Errorf("evidence volumes are attached so: %v", attached)
	}
	stations, err := home.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: byRun})
	if err != nil {
		t.Fatal(err)
	}
	if len(stations.Reservations) != 1 {
		t.Errorf("%d workstations", len(stations.Reservations))
	}
}

// unshared fails where a snapshot of the attacked account is still shared.
func (p *play) unshared(h cloudtest.Host) {
	p.t.Helper()
	own := ec2.NewFromConfig(p.scene.Config)
	out, err := own.DescribeSnapshots(p.t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{{Name: aws.String("tag:" + respond.TagRun), Values: []string{"run_1"}}}})
	if err != nil {
		p.t.Fatal(err)
	}
	if len(out.Snapshots) < len(h.Volumes) {
		p.t.Errorf("%d snapshots of %d volumes", len(out.Snapshots), len(h.Volumes))
	}
	taken := map[string]int{}
	for _, s := range out.Snapshots {
		step := ""
		for _, tag := range s.Tags {
			if aws.ToString(tag.Key) == respond.TagStep {
				step = aws.ToString(tag.Value)
			}
		}
		if taken[step+" "+aws.ToString(s.VolumeId)]++; taken[step+" "+aws.ToString(s.VolumeId)] > 1 {
			p.t.Errorf("step %s took more than one snapshot of %s", step, aws.ToString(s.VolumeId))
		}
		a, err := own.DescribeSnapshotAttribute(p.t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: s.SnapshotId, Attribute: types.SnapshotAttributeNameCreateVolumePermission})
		if err != nil {
			p.t.Fatal(err)
		}
		if len(a.CreateVolumePermissions) != 0 {
			p.t.Errorf("%s is still shared", aws.ToString(s.SnapshotId))
		}
	}
}

// loseAnswers lets the first answer to each change get lost, after it was done.
func (p *play) loseAnswers() (lost func() map[string]bool) {
	var mu sync.Mutex
	seen := map[string]bool{}
	p.scene.Proxy.Add(proxy.Rule{Times: -1, Fault: proxy.Fault{Lost: proxy.AfterIt}, Match: func(c proxy.Call) bool {
		for _, looks := range []string{"Describe", "Get", "List", "Head", "AssumeRole"} {
			if strings.HasPrefix(c.Operation, looks) {
				return false
			}
		}
		mu.Lock()
		defer mu.Unlock()
		first := !seen[c.String()] && !c.DryRun
		if first {
			seen[c.String()] = true
		}
		return first
	}})
	return func() map[string]bool {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(seen)
	}
}

func TestLostAnswersHinderNoContainmentOnMoto(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "444000000004")
	s := p.inService()
	before := p.seen(s.host.ID)
	plan := p.plan(respondec2.Playbook(), s.host.ID)
	lost := p.loseAnswers()
	records := p.run("run_1", plan, respondec2.Actions())
	for _, n := range p.seen(s.host.ID).Interfaces {
		if len(n.Groups) != 1 || n.Groups[0] == s.web {
			t.Errorf("%s is in %v", n.ID, n.Groups)
		}
	}
	p.convertGone()
	undo, err := respond.UndoPlan(plan, "run_1", records, respond.NewActions(respondec2.Actions()))
	if err != nil {
		t.Fatal(err)
	}
	p.run("run_2", undo, respondec2.Actions())
	if d := cmp.Diff(before, p.seen(s.host.ID), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("containment and its undo left: %s", d)
	}
	if !lost()["EC2.ModifyNetworkInterfaceAttribute"] || !lost()["AutoScaling.DetachInstances"] || len(lost()) < 10 {
		t.Errorf("only these answers were lost: %v", lost())
	}
}

func TestLostAnswersMakeNoEvidenceTwiceOnMoto(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "444000000005")
	host, home := p.withLab("444000000006")
	plan := p.plan(forensics.Playbook(), host.ID)
	lost := p.loseAnswers()
	p.run("run_1", plan, forensics.Actions())
	p.preserved(home)
	p.unshared(host)
	for _, call := range []string{"EC2.CreateSnapshots", "EC2.CopySnapshot", "EC2.CreateVolume", "EC2.RunInstances", "EC2.AttachVolume", "EC2.LockSnapshot", "EC2.ModifySnapshotAttribute"} {
		if !lost()[call] {
			t.Errorf("no answer to %s was lost", call)
		}
	}
}
