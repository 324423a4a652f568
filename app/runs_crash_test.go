package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// A mortal is this test's program run once more, as a service that carries out a
// run on a simulated AWS in a file, and kills itself with SIGKILL where it is told to:
// before a call that changes something, after AWS has acted and before the
// answer, or after a record was committed.

const mortalEnv = "GUARDROOM_TEST_MORTAL"

// mortalOrder is what a mortal is told.
type mortalOrder struct {
	Store, World, Worker string
	Kill                 string // before, after, record, or empty: live on
	At                   int64  // the how manieth of these
	Until                string // the run that must have ended
	Speed                float64
	Lease                time.Duration // of the worker; 0: that of the tests
	// Deck are the places that are still to be killed at, and Met the file that
	// the one is written to; where there is a deck, Kill says nothing.
	Deck []deathAt
	Met  string
}

// deathAt is where a mortal dies: at a moment of a step.
type deathAt struct{ Step, Moment string }

// deck is what is left of one, in a mortal.
type deck struct {
	mu   sync.Mutex
	left []deathAt
	met  string
	// called are the steps that asked AWS for a change.
	called map[string]bool
}

// at dies where the place is in the deck.
func (d *deck) at(step, moment string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if moment == "before" {
		d.called[step] = true
	}
	if slices.Contains(d.left, deathAt{step, moment}) {
		d.die(deathAt{step, moment})
	}
}

// record dies where a record of a step was kept after its call, or its last one:
// what is left of a step that has ended has no other moment. It notes which have ended.
func (d *deck) record(r playbook.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.met == "" {
		return
	}
	var here []deathAt
	for _, p := range d.left {
		if p.Step == r.Name && (r.State.Ended() || p.Moment == "record" && d.called[r.Name]) {
			here = append(here, p)
		}
	}
	if len(here) > 0 {
		d.die(here...)
	}
	if r.State.Ended() {
		d.write(d.met+".ended", r.Name+"\n", os.O_APPEND)
	}
}

// die writes down where it is and dies. Nobody else goes on: the lock is held.
func (d *deck) die(p ...deathAt) {
	raw, _ := json.Marshal(p)
	d.write(d.met, string(raw), os.O_TRUNC)
	die()
}

func (d *deck) write(file, text string, how int) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	_ = f.Close()
}

const speed = 300

func respondConfig(storeURL, worker string) *config.Config {
	c := config.Default()
	c.Store = config.NewSecret(storeURL)
	c.Worker.ID, c.Worker.TimeScale, c.Worker.Lease = worker, speed, config.Duration(2*time.Hour) // 24 s at that speed, and 12 s for a call
	c.Respond.Forensics.Subnets, c.Respond.Forensics.SecurityGroups = []string{benchSubnet}, []string{benchGroup}
	c.Respond.Forensics.Hash = "never" // of images: that is tested where it is done, and takes the time of the processor
	c.Respond.Evidence.URL = "s3://evidence-of-tests/g"
	c.Respond.Caps.Isolations, c.Respond.Caps.All = 1000, 1000
	c.Respond.Approval.Within = config.Duration(100 * time.Hour)
	c.Audit.Head.Log = true
	return c
}

func mortalMain() int {
	var o mortalOrder
	if err := json.Unmarshal([]byte(os.Getenv(mortalEnv)), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := mortal(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func mutating(operation string) bool {
	return !slices.ContainsFunc([]string{"Describe", "Get", "List", "Head"}, func(p string) bool { return strings.HasPrefix(operation, p) })
}

func mortal(ctx context.Context, o mortalOrder) error {
	var n atomic.Int64
	count := func(what string) {
		if o.Kill == what && n.Add(1) == o.At {
			die()
		}
	}
	d := &deck{left: o.Deck, met: o.Met, called: map[string]bool{}}
	clock := playbook.Real{Scale: o.Speed}
	w, err := sim.New(sim.Options{Clock: clock, File: o.World, Speed: o.Speed, Hook: func(phase sim.Phase, c sim.Call) error {
		if mutating(c.Operation) {
			count(string(phase))
			d.at(c.Step, string(phase))
		}
		return nil
	}})
	if err != nil {
		return err
	}
	cfg := respondConfig(o.Store, o.Worker)
	if o.Lease > 0 {
		cfg.Worker.Lease = config.Duration(o.Lease)
	}
	a, err := New(ctx, cfg, Options{Mode: ModeServe, Responses: w.AWS(), Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	defer a.Close(ctx)
	a.runs.kept = func(r playbook.Record) {
		count("record")
		d.record(r)
	}
	if err := a.Deliver(ctx); err != nil {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = a.watch.run(inner) }()
	defer carryingOut(inner, a)()
	for deadline := time.Now().Add(10 * time.Minute); ; {
		run, err := a.db.GetRun(ctx, respond.RunID(o.Until))
		if err != nil {
			return err
		}
		if run.State.Ended() {
			owed, err := a.db.OwedOf(ctx, "")
			if err != nil || len(owed) == 0 {
				return err
			}
		}
		if time.Now().After(deadline) {
			list, _ := a.db.Steps(ctx, run.ID)
			for _, r := range list {
				if !r.State.Ended() {
					fmt.Fprintf(os.Stderr, "%s %s attempt %d %s %+v\n", r.Name, r.State, r.Attempt, r.Message, r.Progress)
				}
			}
			return fmt.Errorf("the run is %s and does not end", run.State)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

const (
	victimAccount = "222222222222"
	victimRegion  = "eu-central-1"
	victimID      = "i-0123456789abcdef0"
	benchSubnet   = "subnet-0be0c4000000000a1"
	benchGroup    = "sg-0be0c4000000000a1"
)

// attackedWorld is an instance with two interfaces and three volumes, in an Auto
// Scaling group behind a target group, and what forensics needs.
func attackedWorld(t testing.TB, file string) *sim.World {
	t.Helper()
	return simWorld(t, sim.Options{File: file}, attackWorld)
}

// attackWorld builds that world.
func attackWorld(e *sim.Editor) { attackWorldWith(e, true) }

// attackWorldByIPv4 is that world where nothing is reached by IPv6, so that each
// interface passes through the group that opens everything.
func attackWorldByIPv4(e *sim.Editor) { attackWorldWith(e, false) }

func attackWorldWith(e *sim.Editor, ipv6 bool) {
	const a, r = victimAccount, victimRegion
	e.AddVPC(a, r, sim.VPCSpec{ID: "vpc-0app", CIDR: "10.0.0.0/16", IPv6: ipv6})
	e.AddSubnet(a, r, sim.SubnetSpec{ID: "subnet-0app", VPC: "vpc-0app", AZ: "a", CIDR: "10.0.1.0/24"})
	e.AddSecurityGroup(a, r, sim.SecurityGroupSpec{ID: "sg-0web", VPC: "vpc-0app", Name: "web", Rules: []sim.RuleSpec{{Protocol: "tcp", From: 80, To: 80}, {Egress: true}}})
	e.AddSecurityGroup(a, r, sim.SecurityGroupSpec{ID: "sg-0admin", VPC: "vpc-0app", Name: "admin"})
	target := e.AddTargetGroup(a, r, sim.TargetGroupSpec{Name: "payments", VPC: "vpc-0app", Port: 80})
	e.AddInstance(a, r, sim.InstanceSpec{ID: victimID, Type: "m5.large", Subnet: "subnet-0app", Profile: "payments", Tags: map[string]string{"Name": "payments-api-3"},
		Interfaces: []sim.InterfaceSpec{{Subnet: "subnet-0app", Groups: []string{"sg-0web", "sg-0admin"}, ElasticIP: true}, {Subnet: "subnet-0app", Groups: []string{"sg-0admin"}}},
		Volumes:    []sim.VolumeSpec{{Device: "/dev/xvda", GiB: 1}, {Device: "/dev/sdb", GiB: 1}, {Device: "/dev/sdc", GiB: 2}}})
	e.AddAutoScalingGroup(a, r, sim.AutoScalingGroupSpec{Name: "payments", Min: 1, Max: 4, Desired: 1, ELB: true, Targets: []string{target}, Subnets: []string{"subnet-0app"},
		Groups: []string{"sg-0web"}, Instances: []string{victimID}, Profile: "payments"})
	e.AddVPC(a, r, sim.VPCSpec{ID: "vpc-0bench", CIDR: "10.99.0.0/16"})
	e.AddSubnet(a, r, sim.SubnetSpec{ID: benchSubnet, VPC: "vpc-0bench", AZ: "a", CIDR: "10.99.1.0/24", Route: "none"})
	e.AddSecurityGroup(a, r, sim.SecurityGroupSpec{ID: benchGroup, VPC: "vpc-0bench", Name: "forensic"})
	ami := e.AddImage(a, r, sim.ImageSpec{Name: "al2023", Owner: "137112412989", Alias: "amazon", Public: true, RootSize: 8})
	e.AddParameter(a, r, sim.Parameter{Name: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Value: ami})
	e.AddBucket(a, sim.Bucket{Name: "evidence-of-tests", Region: r, Versioning: "Enabled"})
}

func minerFinding() []byte {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":%q,"region":%q,"partition":"aws","id":"0f1e2d3c4b5a69788796a5b4c3d2e1f0","arn":"arn:aws:guardduty:eu-central-1:222222222222:detector/d/finding/0f1e2d3c4b5a69788796a5b4c3d2e1f0",
		"type":"CryptoCurrency:EC2/BitcoinTool.B!DNS","severity":8,"title":"t","description":"d","createdAt":%q,"updatedAt":%q,"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":%q}},
		"service":{"serviceName":"guardduty","detectorId":"d","archived":false,"resourceRole":"ACTOR","count":1,"eventFirstSeen":%q,"eventLastSeen":%q}}`,
		victimAccount, victimRegion, now, now, victimID, now, now)
}

// planned opens a guardroom on the store, makes a plan of the instance, or the
// one that undoes a run, and approves it. It returns the run.
func planned(t *testing.T, storeURL, world, undo string) respond.RunID {
	t.Helper()
	w := simWorld(t, sim.Options{File: world}, nil)
	a, err := New(t.Context(), respondConfig(storeURL, "planner"), Options{Mode: ModeCommand, Responses: w.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(context.WithoutCancel(t.Context()))
	var p api.PlanDetail
	if undo != "" {
		p, err = a.desk.UndoRun(t.Context(), respond.RunID(undo), "kim")
	} else {
		if _, err := a.Take(t.Context(), source.Input{Source: "guardduty:x", Body: minerFinding(), Confirmed: true}); err != nil {
			t.Fatal(err)
		}
		p, err = a.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.Row.State != respond.PlanWaiting {
		t.Fatal(p.Row.State, p.Row.Why)
	}
	p, err = a.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "test", api.Approver{Name: "raj", How: "socket"})
	if err != nil {
		t.Fatal(err)
	}
	return p.Row.Run
}

// live runs a mortal. It reports whether it was killed.
func live(t *testing.T, o mortalOrder) (killed bool) {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), mortalEnv+"="+string(raw))
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("%+v: %v\n%s", o, err, out)
	}
	return false
}

// runKills is how many kills the test makes at least on each store; 0: each step
// is killed once, at one of its moments.
func runKills(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("GUARDROOM_RUN_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 0
}

var moments = []string{"before", "after", "record"}

// dealt are the places to be killed at: every moment of every step, or one of
// each step, dealt in turn.
func dealt(steps []string, all bool, turn int) []deathAt {
	var out []deathAt
	for i, s := range steps {
		for k, m := range moments {
			if all || (i+turn)%len(moments) == k {
				out = append(out, deathAt{s, m})
			}
		}
	}
	return out
}

// carryOut lets a run end. The worker is killed at every place of the deck: no
// chance says at which. It returns how often.
func carryOut(t *testing.T, o mortalOrder, left []deathAt) (kills int) {
	t.Helper()
	o.Met = filepath.Join(t.TempDir(), "met")
	for o.Deck = left; live(t, o); kills++ {
		raw, err := os.ReadFile(o.Met)
		if err != nil {
			t.Fatal(err)
		}
		var met []deathAt
		if err := json.Unmarshal(raw, &met); err != nil {
			t.Fatal(err)
		}
		was := len(o.Deck)
		o.Deck = slices.DeleteFunc(slices.Clone(o.Deck), func(p deathAt) bool { return slices.Contains(met, p) })
		if len(o.Deck) == was {
			t.Fatalf("it was killed at %v, which is not in the deck", met)
		}
	}
	// A step whose end was kept and noted by no life was killed in between, by the
	// kill of a step beside it: after the checkpoint.
	ended, err := os.ReadFile(o.Met + ".ended")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, p := range o.Deck {
		if slices.Contains(strings.Split(string(ended), "\n"), p.Step) {
			t.Errorf("step %s was never killed (%s)", p.Step, p.Moment)
		}
	}
	return kills
}

// stepsOf are the ids of the steps of a run's plan.
func stepsOf(t *testing.T, storeURL, file string, id respond.RunID) []string {
	t.Helper()
	a, _ := reopen(t, storeURL, file)
	defer a.Close(context.WithoutCancel(t.Context()))
	run, err := a.db.GetRun(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	row, err := a.db.GetPlan(t.Context(), run.Plan)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPlan(row)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range p.Steps {
		out = append(out, s.ID)
	}
	return out
}

// TestARunThatIsKilledEverywhereCompletes kills the worker of a run, and of the
// run that undoes it, at the boundaries of each step: before its call, after AWS
// acted, and after the checkpoint. By default each step once, its moment dealt in
// turn, and otherwise on each store; GUARDROOM_RUN_KILLS meets every moment of
// every step, on new worlds until so many kills were made.
func TestARunThatIsKilledEverywhereCompletes(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		mine := 0
		if strings.HasSuffix(t.Name(), "postgres") {
			mine = 1
		}
		for kills, least := 0, runKills(t); kills == 0 || kills < least; mine++ {
			kills += killedAtEveryStep(t, storeOf(), mine, least > 0)
			if t.Failed() {
				return
			}
			t.Logf("%d kills", kills)
		}
	})
}

func killedAtEveryStep(t *testing.T, storeURL string, turn int, all bool) (kills int) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "world.json")
	if storeURL == "" {
		storeURL = "sqlite:" + filepath.Join(dir, "g.db")
	}
	simWorld(t, sim.Options{File: file}, attackWorldByIPv4)
	before := canonicalWorld(t, file)
	o := mortalOrder{Store: storeURL, World: file, Worker: "mortal", Speed: speed}
	run := planned(t, storeURL, file, "")
	o.Until = string(run)
	kills += carryOut(t, o, dealt(stepsOf(t, storeURL, file, run), all, turn))
	checkContained(t, storeURL, file, run)
	checkOpened(t, storeURL, file, run)
	undo := planned(t, storeURL, file, string(run))
	o.Until = string(undo)
	kills += carryOut(t, o, dealt(stepsOf(t, storeURL, file, undo), all, turn))
	checkReleased(t, storeURL, file, undo, before)
	return kills
}

// canonicalWorld is the world as it can be restored, but for the evidence bucket.
func canonicalWorld(t *testing.T, file string) string {
	t.Helper()
	return worldOf(t, simWorld(t, sim.Options{File: file}, nil))
}

func withoutBuckets(t *testing.T, raw []byte) string {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	delete(tree, "s3")
	out, err := json.MarshalIndent(tree, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func reopen(t *testing.T, storeURL, file string) (*App, *sim.World) {
	t.Helper()
	w := simWorld(t, sim.Options{File: file}, nil)
	a, err := New(t.Context(), respondConfig(storeURL, "checker"), Options{Mode: ModeCommand, Responses: w.AWS(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a, w
}

func checkContained(t *testing.T, storeURL, file string, id respond.RunID) {
	t.Helper()
	a, w := reopen(t, storeURL, file)
	defer a.Close(context.WithoutCancel(t.Context()))
	ctx := t.Context()
	run, err := a.db.GetRun(ctx, id)
	if err != nil || run.State != respond.RunCompleted || !run.Contained {
		steps, _ := a.db.Steps(ctx, id)
		for _, s := range steps {
			if s.State != playbook.Completed {
				t.Logf("%s %s %s", s.Name, s.State, s.Message)
			}
		}
		t.Errorf("%s %v %s %v", run.State, run.Contained, run.Summary, err)
	}
	c, err := w.AWS().EC2(ctx, awscalls.Place{Account: victimAccount, Region: victimRegion, Role: awscalls.Read, Incident: "INC-1"})
	if err != nil {
		t.Fatal(err)
	}
	ours := []types.Filter{{Name: aws.String("tag:guardroom:run"), Values: []string{string(id)}}}
	snaps, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: ours})
	if err != nil || len(snaps.Snapshots) != 3 {
		t.Errorf("%d snapshots, %v", len(snaps.Snapshots), err)
	}
	volumes, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: append(ours, types.Filter{Name: aws.String("tag-key"), Values: []string{"guardroom:expires"}})})
	if err != nil {
		t.Fatal(err)
	}
	evidence := 0
	for _, v := range volumes.Volumes {
		if aws.ToString(v.SnapshotId) != "" && len(v.Attachments) == 1 && aws.ToString(v.Attachments[0].InstanceId) != victimID {
			for _, s := range snaps.Snapshots {
				if aws.ToString(s.SnapshotId) == aws.ToString(v.SnapshotId) {
					evidence++
				}
			}
		}
	}
	if evidence != 3 {
		t.Errorf("%d evidence volumes", evidence)
	}
	instances, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: append(ours, types.Filter{Name: aws.String("tag-key"), Values: []string{"guardroom:expires"}})})
	if err != nil {
		t.Fatal(err)
	}
	benches := 0
	for _, r := range instances.Reservations {
		benches += len(r.Instances)
	}
	if benches != 1 {
		t.Errorf("%d workstations", benches)
	}
	groups, err := c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("group-name"), Values: []string{"guardroom-*"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(groups.SecurityGroups) != 1 || aws.ToString(groups.SecurityGroups[0].GroupName) != "guardroom-contain" {
		for _, g := range groups.SecurityGroups {
			t.Errorf("group %s", aws.ToString(g.GroupName))
		}
	}
	nics, err := c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{victimID}}}})
	if err != nil || len(nics.NetworkInterfaces) != 2 {
		t.Fatal(err, nics)
	}
	for _, n := range nics.NetworkInterfaces {
		if len(n.Groups) != 1 || aws.ToString(n.Groups[0].GroupName) != "guardroom-contain" {
			t.Errorf("%s is in %v", aws.ToString(n.NetworkInterfaceId), n.Groups)
		}
	}
	checkProof(t, a)
}

// checkOpened wants that the run put each interface into the group that opens
// everything: what closes that group after a kill is tested only then.
func checkOpened(t *testing.T, storeURL, file string, id respond.RunID) {
	t.Helper()
	a, _ := reopen(t, storeURL, file)
	defer a.Close(context.WithoutCancel(t.Context()))
	list, err := a.db.Steps(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, r := range list {
		if strings.HasPrefix(r.Name, "isolate/") && !strings.Contains(r.Message, "in one pass") {
			opened++
		}
	}
	if opened == 0 {
		t.Errorf("no interface was opened for its connections to be cut: %+v", list)
	}
}

// checkProof verifies the audit chain and the evidence, and that nothing is owed.
func checkProof(t *testing.T, a *App) {
	t.Helper()
	audited, err := a.VerifyAudit(t.Context())
	if err != nil || !audited.OK() {
		t.Errorf("%+v %v", audited, err)
	}
	report, err := a.desk.VerifyEvidence(t.Context(), 1, "kim")
	if err != nil || !report.Good() {
		t.Errorf("%+v %v", report.Problems, err)
	}
	owed, err := a.db.OwedOf(t.Context(), "")
	if err != nil || len(owed) > 0 {
		t.Errorf("%+v %v", owed, err)
	}
}

func checkReleased(t *testing.T, storeURL, file string, id respond.RunID, before string) {
	t.Helper()
	a, _ := reopen(t, storeURL, file)
	defer a.Close(context.WithoutCancel(t.Context()))
	run, err := a.db.GetRun(t.Context(), id)
	if err != nil || run.State != respond.RunCompleted {
		steps, _ := a.db.Steps(t.Context(), id)
		for _, s := range steps {
			if s.State != playbook.Completed {
				t.Logf("%s %s %s", s.Name, s.State, s.Message)
			}
		}
		t.Errorf("%s %s %v", run.State, run.Summary, err)
	}
	if d := cmp.Diff(before, canonicalWorld(t, file)); d != "" {
		t.Errorf("the world is not what it was (- before, + after):\n%s", d)
	}
	checkProof(t, a)
	if _, err := a.db.Runs(t.Context(), store.RunFilter{}); err != nil {
		t.Error(err)
	}
}
