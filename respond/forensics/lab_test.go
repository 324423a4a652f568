package forensics_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
)

const runID = respond.RunID("run_1")

// bench is a simulated AWS with an attacked instance of three volumes and what a
// workstation needs, and everything that a run works with.
type bench struct {
	t       *testing.T
	clock   *playbook.Virtual
	world   *sim.World
	aws     awscalls.AWS // that steps work with; nil: the world's
	policy  respond.Policy
	journal *playbook.Memory
	owed    *owing
	plan    *respond.Plan
	volumes []string // of the instance, by device
	life    *life
	spread  float64
}

// setting changes the bench before its world is made.
type setting func(o *sim.Options, p *respond.Policy, e *edits)

// edits are what is done to the world before and after the instance is there.
type edits struct {
	instance sim.InstanceSpec
	first    []func(e *sim.Editor)
	then     []func(e *sim.Editor, volumes []string)
	noAgent  bool
}

func newBench(t *testing.T, settings ...setting) *bench {
	t.Helper()
	b := &bench{t: t, clock: playbook.NewVirtual(noon), policy: policy(), journal: &playbook.Memory{}, owed: &owing{}, life: &life{}}
	b.policy.Forensics.Hash = "never" // tests of hashes turn it on
	tool := []byte("avml")
	b.policy.Forensics.MemoryToolSHA256 = map[string]string{"x86_64": evidence.Digest(tool)}
	b.policy.Evidence.Region = region
	o := sim.Options{Clock: b.clock, Latency: 50 * time.Millisecond, Hook: b.life.hook, SmallParts: true}
	e := &edits{instance: sim.InstanceSpec{ID: instance, Type: "m5.large", Profile: "web", UserData: "password=hunter2", Console: "login:",
		Volumes: []sim.VolumeSpec{{GiB: 8}, {GiB: 100}, {GiB: 1}}}}
	for _, s := range settings {
		s(&o, &b.policy, e)
	}
	w, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.world = w
	home := victim
	if b.policy.Forensics.Account != "" {
		home = b.policy.Forensics.Account
	}
	err = w.Edit(func(ed *sim.Editor) {
		ed.AddVPC(victim, region, sim.VPCSpec{})
		for _, f := range e.first {
			f(ed)
		}
		id := ed.AddInstance(victim, region, e.instance)
		b.volumes = ed.VolumesOf(victim, region, id)
		vpc := ed.AddVPC(home, region, sim.VPCSpec{ID: "vpc-lab"})
		ed.AddSubnet(home, region, sim.SubnetSpec{ID: "subnet-a", VPC: vpc, AZ: "b", Route: "none"})
		ed.AddSubnet(home, region, sim.SubnetSpec{ID: "subnet-b", VPC: vpc, AZ: "c", Route: "none"})
		ed.AddSecurityGroup(home, region, sim.SecurityGroupSpec{ID: "sg-lab", VPC: vpc, Name: "lab"})
		img := ed.AddImage(home, region, sim.ImageSpec{Owner: "amazon", Name: "al2023"})
		ed.AddParameter(home, region, sim.Parameter{Name: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Value: img})
		ed.AddBucket(home, sim.Bucket{Name: "evidence", Region: region, ObjectLock: true})
		ed.PutObject("evidence", "tools/avml-x86_64", sim.Object{Body: tool})
		ed.AddDocument(victim, region, sim.Document{Name: "guardroom-memory", Hash: strings.Repeat("d", 64), Limit: 6 * time.Hour,
			Parameters: []string{"Tool", "ToolSHA256", "Parts", "PartBytes"},
			Answer:     sim.AgentAnswer{Takes: 2 * time.Minute, Upload: []byte("all that was in memory"), Output: fmt.Sprintf(`{"sha256":%q,"bytes":22,"kernel":"Linux 6.1"}`, evidence.Digest([]byte("all that was in memory")))}})
		if !e.noAgent {
			ed.SetAgent(victim, region, sim.SSMAgent{Instance: id})
		}
		for _, f := range e.then {
			f(ed, b.volumes)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// with turns a setting of the policy.
func with(f func(p *respond.Policy)) setting {
	return func(_ *sim.Options, p *respond.Policy, _ *edits) { f(p) }
}

// also edits the world when the instance is there.
func also(f func(e *sim.Editor, volumes []string)) setting {
	return func(_ *sim.Options, _ *respond.Policy, e *edits) { e.then = append(e.then, f) }
}

func (b *bench) request() respond.Request {
	r := request(b.policy)
	return r
}

// draft describes the world and makes the plan.
func (b *bench) draft() *respond.Plan {
	b.t.Helper()
	r := b.request()
	w, err := forensics.Playbook().Describe(b.t.Context(), b.world.AWS(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := forensics.Playbook().Draft(w, r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.plan = &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_1", Incident: 42, Playbook: forensics.Name, Target: d.Target, Steps: d.Steps, WillNot: d.WillNot, Guards: d.Guards}
	return b.plan
}

// execute carries out the plan from what the journal knows.
func (b *bench) execute() (map[string]playbook.Record, error) {
	b.t.Helper()
	if b.plan == nil {
		b.draft()
	}
	return b.carryOut(b.plan, runID, mortal{Memory: b.journal, life: b.life})
}

func (b *bench) carryOut(p *respond.Plan, id respond.RunID, journal playbook.Journal) (map[string]playbook.Record, error) {
	r := &playbook.Runner{Journal: journal, Clock: b.clock, Spread: func() float64 { return b.spread }, Log: slog.New(slog.NewTextHandler(b.t.Output(), nil))}
	x := &respond.Executor{Actions: respond.NewActions(forensics.Actions()), AWS: b.world.AWS(), Owed: b.owed, Policy: b.policy}
	if b.aws != nil {
		x.AWS = b.aws
	}
	var records map[string]playbook.Record
	err := r.Run(b.t.Context(), func(c playbook.Context) error {
		var err error
		records, err = x.Execute(c, id, p)
		return err
	})
	return records, err
}

// run carries out the plan and fails the test unless it comes to its end.
func (b *bench) run() map[string]playbook.Record {
	b.t.Helper()
	records, err := b.execute()
	if err != nil {
		b.t.Fatal(err)
	}
	return records
}

// completed fails the test unless all steps but those named are completed.
func (b *bench) completed(records map[string]playbook.Record, but ...string) {
	b.t.Helper()
	for _, s := range b.plan.Steps {
		r := records[s.ID]
		if !slices.Contains(but, s.ID) && r.State != playbook.Completed {
			b.t.Errorf("%s is %s: %s", s.ID, r.State, r.Message)
		}
	}
}

func place(role awscalls.Role, account string) awscalls.Place {
	return awscalls.Place{Account: account, Region: region, Role: role, Incident: "INC-42"}
}

func (b *bench) ec2(account string) awscalls.EC2 {
	b.t.Helper()
	c, err := b.world.AWS().EC2(b.t.Context(), place("observer", account))
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func byRun() []types.Filter {
	return []types.Filter{{Name: aws.String("tag:" + respond.TagRun), Values: []string{string(runID)}}}
}

// snapshots are those that the run made in an account.
func (b *bench) snapshots(account string) []types.Snapshot {
	b.t.Helper()
	out, err := b.ec2(account).DescribeSnapshots(b.t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: byRun()})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Snapshots
}

// copies are the volumes that the run made, but for the workstation's own.
func (b *bench) copies(account string) []types.Volume {
	b.t.Helper()
	out, err := b.ec2(account).DescribeVolumes(b.t.Context(), &ec2.DescribeVolumesInput{Filters: byRun()})
	if err != nil {
		b.t.Fatal(err)
	}
	return slices.DeleteFunc(out.Volumes, func(v types.Volume) bool {
		return slices.ContainsFunc(v.Tags, func(t types.Tag) bool {
			return aws.ToString(t.Key) == respond.TagStep && strings.HasSuffix(aws.ToString(t.Value), forensics.StepWorkstation)
		})
	})
}

func (b *bench) workstations(account string) []types.Instance {
	b.t.Helper()
	out, err := b.ec2(account).DescribeInstances(b.t.Context(), &ec2.DescribeInstancesInput{Filters: append(byRun(), types.Filter{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopped"}})})
	if err != nil {
		b.t.Fatal(err)
	}
	var list []types.Instance
	for _, r := range out.Reservations {
		list = append(list, r.Instances...)
	}
	return list
}

// evidence is all that the run recorded.
func (b *bench) evidence(records map[string]playbook.Record) ([]evidence.Item, []evidence.Gap, []evidence.Custody) {
	var list []playbook.Record
	for _, s := range b.plan.Steps {
		list = append(list, records[s.ID])
	}
	return forensics.Collect(list)
}

func (b *bench) gap(records map[string]playbook.Record, what string) string {
	_, gaps, _ := b.evidence(records)
	for _, g := range gaps {
		if strings.Contains(g.What, what) {
			return g.Why
		}
	}
	return ""
}

// calls are the calls of an operation, but for dry runs.
func (b *bench) calls(operation string) []sim.Call {
	var list []sim.Call
	for _, c := range b.world.Calls() {
		if c.String() == operation && !c.DryRun() {
			list = append(list, c)
		}
	}
	return list
}

// owing keeps what is owed, in memory.
type owing struct {
	mu   sync.Mutex
	open map[string]respond.Owed
	ever int
}

func (o *owing) Owe(_ context.Context, row respond.Owed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[string]respond.Owed{}
	}
	o.open[row.ID] = row
	o.ever++
	return nil
}

func (o *owing) Settle(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, id)
	return nil
}

func (o *owing) left() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.open))
}

// sweep closes what is owed, as the sweeper does when a run has ended.
func (b *bench) sweep() {
	b.t.Helper()
	for _, id := range b.owed.left() {
		row := b.owed.open[id]
		for _, c := range forensics.Closings() {
			if c.Kind != row.Kind {
				continue
			}
			if err := c.Close(b.t.Context(), b.world.AWS(), row, b.clock.Now()); err != nil {
				b.t.Errorf("close %s: %v", id, err)
				continue
			}
			_ = b.owed.Settle(b.t.Context(), id)
		}
	}
}

// life is that of a process: when it ends, at a put of the journal or at a call
// of AWS, nothing that it does afterwards has any effect.
type life struct {
	mu    sync.Mutex
	dead  bool
	puts  int
	calls int
	// at is at which put or call it ends; 0: never. when says of what.
	at   int
	when string // put, before, after
	// script makes calls fail; nil: none.
	script func(phase sim.Phase, c sim.Call) error
}

var errKilled = errors.New("the process was killed")

func (l *life) hook(phase sim.Phase, c sim.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Place.Role == "observer" {
		return nil
	}
	if l.dead {
		if phase == sim.Before {
			return errKilled
		}
		return nil
	}
	if l.script != nil {
		if err := l.script(phase, c); err != nil {
			return err
		}
	}
	if phase == sim.Before {
		l.calls++
	}
	if l.at == l.calls && (l.when == "before" && phase == sim.Before || l.when == "after" && phase == sim.After) {
		l.dead = true
		return errKilled
	}
	return nil
}

func (l *life) put() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false
	}
	l.puts++
	if l.when == "put" && l.at == l.puts {
		l.dead = true
	}
	return true
}

func (l *life) gone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// mortal is a journal of a process that may end.
type mortal struct {
	*playbook.Memory
	life *life
}

func (m mortal) Put(ctx context.Context, r playbook.Record) error {
	if !m.life.put() {
		return playbook.ErrFenced
	}
	return m.Memory.Put(ctx, r)
}

func (m mortal) Standing(ctx context.Context) (playbook.Standing, error) {
	if m.life.gone() {
		return playbook.Standing{Fenced: true}, nil
	}
	return m.Memory.Standing(ctx)
}

// refusal is an error of AWS with a code.
func refusal(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "as the test says", Fault: smithy.FaultClient}
}
