package app

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/source"
)

// strange is a response to a finding in a world that is not as it should be.
type strange struct {
	responding
	t *testing.T
}

func newStrange(t *testing.T, o sim.Options, build func(e *sim.Editor), change func(c *config.Config)) strange {
	t.Helper()
	w := simWorld(t, o, func(e *sim.Editor) {
		attackWorld(e)
		if build != nil {
			build(e)
		}
	})
	cfg := respondConfig(ownStore(t), "one")
	if change != nil {
		change(cfg)
	}
	return strange{startResponding(t, start{config: cfg, world: w, log: slog.New(slog.DiscardHandler)}), t}
}

// timeline is what people read in the incident.
func (s strange) timeline() string {
	s.t.Helper()
	list, err := s.db.Timeline(s.t.Context(), 1, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s %s\n", e.Kind, e.Text)
	}
	return b.String()
}

// shown is the run as people see it everywhere: run show, Slack, Jira.
func (s strange) shown(run respond.RunID) string {
	s.t.Helper()
	row, err := s.db.GetRun(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := progressOf(s.t.Context(), s.db.DB, row, s.now())
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n%s\n", row.State, p.Summary, p.Next)
	for _, x := range p.Steps {
		fmt.Fprintf(&b, "%s %s %s | %s | %s\n", x.ID, x.State, x.Text(), x.Safe, x.Hint)
	}
	for _, open := range p.StillOpen {
		fmt.Fprintf(&b, "still open: %s\n", open)
	}
	for _, g := range p.Gaps {
		fmt.Fprintf(&b, "lacks %s: %s\n", g.What, g.Why)
	}
	return b.String()
}

func TestWhatCannotBeDescribedIsToldInTheIncident(t *testing.T) {
	t.Parallel()
	refused := &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeInstances", Err: fmt.Errorf("get credentials: %w",
		&smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized to perform sts:AssumeRole", Fault: smithy.FaultClient}})}
	for _, c := range []struct {
		name     string
		options  sim.Options
		build    func(e *sim.Editor)
		old, new string // in the finding
		says     []string
	}{
		{"an instance that is gone", sim.Options{}, nil, victimID, "i-0aaaaaaaaaaaaaaaa", []string{"i-0aaaaaaaaaaaaaaaa", "there is no instance", "account " + victimAccount, victimRegion}},
		{"an id of another region", sim.Options{}, nil, `"region":"` + victimRegion, `"region":"eu-west-1`, []string{victimID, "eu-west-1", "there is no instance"}},
		{"somebody else's account", sim.Options{Hook: func(p sim.Phase, c sim.Call) error {
			if c.Place.Account == "999999999999" && p == sim.Before {
				return refused
			}
			return nil
		}}, nil, `"accountId":"` + victimAccount, `"accountId":"999999999999`, []string{"999999999999", "STS.AssumeRole", "AccessDenied"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStrange(t, c.options, c.build, nil)
			body := bytes.Replace(minerFinding(), []byte(c.old), []byte(c.new), 1)
			if _, err := s.Take(t.Context(), source.Input{Source: "sqs:main", Body: body}); err != nil {
				t.Fatal(err)
			}
			_, err := s.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
			if err == nil {
				t.Fatal("a plan was made")
			}
			for _, text := range []string{err.Error(), s.timeline()} {
				for _, want := range c.says {
					if !strings.Contains(text, want) {
						t.Errorf("it does not say %q: %s", want, text)
					}
				}
				if strings.Contains(text, "operation error") || strings.Contains(text, "StatusCode") {
					t.Errorf("it speaks as the SDK does: %s", text)
				}
			}
			for _, call := range s.world.Calls() {
				if mutating(call.Operation) {
					t.Errorf("%s was called", call)
				}
				// The look at the evidence bucket, which has a region of its own, goes on beside.
				if strings.Contains(c.new, "region") && call.Place.Region != "eu-west-1" && call.Service != "S3" {
					t.Errorf("%s was asked in %s", call, call.Place.Region)
				}
			}
		})
	}
}

// otherVictim is another instance of the attacked account.
const otherVictim = "i-0123456789abcdef1"

// forensicLab is where evidence is examined, in an account of its own.
func forensicLab(e *sim.Editor, account string) {
	e.AddVPC(account, victimRegion, sim.VPCSpec{ID: "vpc-0bench", CIDR: "10.99.0.0/16"})
	e.AddSubnet(account, victimRegion, sim.SubnetSpec{ID: benchSubnet, VPC: "vpc-0bench", AZ: "a", CIDR: "10.99.1.0/24", Route: "none"})
	e.AddSecurityGroup(account, victimRegion, sim.SecurityGroupSpec{ID: benchGroup, VPC: "vpc-0bench", Name: "forensic"})
	ami := e.AddImage(account, victimRegion, sim.ImageSpec{Name: "al2023", Owner: "137112412989", Alias: "amazon", Public: true, RootSize: 8})
	e.AddParameter(account, victimRegion, sim.Parameter{Name: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Value: ami})
	e.AddBucket(account, sim.Bucket{Name: "evidence-of-the-lab", Region: victimRegion, Versioning: "Enabled"})
}

// answers is an error of AWS.
func answers(c sim.Call, code, message string) error {
	return &smithy.OperationError{ServiceID: c.Service, OperationName: c.Operation, Err: &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}}
}

// everyTime refuses an operation of the run.
func everyTime(operation, code, message string) func(w *sim.World, c sim.Call) error {
	return func(_ *sim.World, c sim.Call) error {
		if c.String() == operation {
			return answers(c, code, message)
		}
		return nil
	}
}

func TestTroubleOnTheWayIsNamedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	volumes := func(e *sim.Editor) []string { return e.VolumesOf(victimAccount, victimRegion, victimID) }
	const image = "ami-0guardroom"
	for _, c := range []struct {
		name      string
		id        string // of the instance; empty: the usual one
		options   sim.Options
		build     func(e *sim.Editor)
		change    func(c *config.Config)
		meanwhile func(e *sim.Editor)                     // between the plan and its approval
		during    func(w *sim.World, call sim.Call) error // before each call of the run
		plan      []string                                // in the plan
		state     respond.RunState
		open      bool     // the containment is not whole
		says      []string // in the run as people see it
		told      []string // in the timeline of the incident
		done      []string // steps that must be completed all the same; * stands for an id
	}{
		{name: "no permission half-way", options: sim.Options{Deny: map[awscalls.Role][]string{awscalls.Act: {"autoscaling:DetachInstances", "iam:PutRolePolicy"}}},
			state: respond.RunPartFailed, told: []string{"AutoScaling.DetachInstances", "IAM.PutRolePolicy", "is contained in part"}, says: []string{"AutoScaling.DetachInstances", "IAM.PutRolePolicy", "guardroom iam policy", "ReplaceUnhealthy"},
			done: []string{"isolate/*", "credentials/profile", "verify", "snapshot/*", "attach/*", "guardroom/seal"}},
		{name: "an instance that goes between the plan and its approval", meanwhile: func(e *sim.Editor) { e.TerminateInstance(victimAccount, victimRegion, victimID) },
			state: respond.RunFailed, open: true, told: []string{"nothing was changed"}, says: []string{"nothing was changed"}},
		{name: "an instance that goes half-way", during: vanishing(), state: respond.RunPartFailed, open: true, told: []string{"there is no instance"}, says: []string{victimID}, done: []string{"protect/*", "guardroom/seal"}},
		{name: "no agent of Systems Manager", state: respond.RunCompleted, says: []string{"lacks memory of " + victimID}, done: []string{"isolate/*", "attach/*"}},
		{name: "a snapshot that ends in an error", build: func(e *sim.Editor) {
			e.ScriptSnapshots(victimAccount, victimRegion, volumes(e)[1], sim.SnapshotScript{Message: "Client error on snapshot"}, sim.SnapshotScript{Message: "Client error on snapshot"})
		}, state: respond.RunPartFailed, told: []string{"Client error on snapshot"}, says: []string{"Client error on snapshot"}, done: []string{"isolate/*", "verify", "workstation/ready", "guardroom/seal"}},
		{name: "an image that is missing", change: func(c *config.Config) { c.Respond.Forensics.Image = "ssm:/guardroom/none" }, plan: []string{"/guardroom/none"}, state: respond.RunCompleted,
			says: []string{"/guardroom/none"}, done: []string{"isolate/*", "verify", "snapshot/*", "guardroom/seal"}},
		{name: "an image that goes after the plan was made", during: everyTime("EC2.RunInstances", "InvalidAMIID.NotFound", "The image id '["+image+"]' does not exist"), state: respond.RunPartFailed,
			told: []string{"does not exist"}, says: []string{image, "does not exist"}, done: []string{"isolate/*", "verify", "snapshot/*", "guardroom/seal"}},
		{name: "a quota of processors that is reached", build: func(e *sim.Editor) {
			for _, typ := range config.Default().Respond.Forensics.Types {
				e.ShortCapacity(victimAccount, victimRegion, typ, victimRegion+"a", 1000, "VcpuLimitExceeded")
			}
		}, state: respond.RunPartFailed, told: []string{"VcpuLimitExceeded"}, says: []string{"VcpuLimitExceeded", "quota"}, done: []string{"isolate/*", "verify", "snapshot/*", "guardroom/seal"}},
		{name: "a quota of security groups that is reached", during: everyTime("EC2.CreateSecurityGroup", "SecurityGroupLimitExceeded", "The maximum number of security groups has been reached."),
			state: respond.RunPartFailed, open: true, told: []string{"SecurityGroupLimitExceeded"}, says: []string{"SecurityGroupLimitExceeded"}, done: []string{"protect/*", "credentials/*", "snapshot/*", "attach/*", "guardroom/seal"}},
		{name: "a quota of volumes that is reached", during: everyTime("EC2.CreateVolume", "VolumeLimitExceeded", "Maximum number of volumes exceeded."),
			state: respond.RunPartFailed, told: []string{"VolumeLimitExceeded"}, says: []string{"VolumeLimitExceeded"}, done: []string{"isolate/*", "verify", "snapshot/*", "workstation/ready", "guardroom/seal"}},
		{name: "a quota of snapshots that is reached", during: func(w *sim.World, call sim.Call) error {
			if strings.HasPrefix(call.Operation, "CreateSnapshot") {
				return answers(call, "SnapshotLimitExceeded", "You have exceeded your maximum number of snapshots.")
			}
			return nil
		}, state: respond.RunPartFailed, told: []string{"SnapshotLimitExceeded"}, says: []string{"SnapshotLimitExceeded"}, done: []string{"isolate/*", "verify", "volatile/console", "guardroom/seal"}},
		{name: "volumes that are not encrypted and one with the key that AWS manages, with a forensic account and no key for the way", id: otherVictim, build: func(e *sim.Editor) {
			e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: otherVictim, Subnet: "subnet-0app",
				Volumes: []sim.VolumeSpec{{ID: "vol-0aaaaaaaaaaaaaaa1", Device: "/dev/xvda", GiB: 1}, {ID: "vol-0aaaaaaaaaaaaaaa2", Device: "/dev/sdb", GiB: 1, Encrypted: true}}})
			forensicLab(e, "333333333333")
		}, change: func(c *config.Config) {
			c.Respond.Forensics.Account, c.Respond.Evidence.URL = "333333333333", "s3://evidence-of-the-lab/g"
		}, state: respond.RunCompleted, says: []string{"transfer_key", "vol-0aaaaaaaaaaaaaaa2"},
			done: []string{"isolate/*", "copy/vol-0aaaaaaaaaaaaaaa1", "lock-copy/vol-0aaaaaaaaaaaaaaa1", "snapshot/vol-0aaaaaaaaaaaaaaa2"}},
		{name: "throttled", options: sim.Options{Throttle: 4}, state: respond.RunCompleted, done: []string{"isolate/*", "verify", "attach/*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var world atomic.Pointer[sim.World]
			if c.during != nil {
				c.options.Hook = func(p sim.Phase, call sim.Call) error {
					if w := world.Load(); w != nil && p == sim.Before {
						return c.during(w, call)
					}
					return nil
				}
			}
			s := newStrange(t, c.options, c.build, c.change)
			if _, err := s.Take(t.Context(), source.Input{Source: "sqs:main", Body: bytes.ReplaceAll(minerFinding(), []byte(victimID), []byte(cmp.Or(c.id, victimID)))}); err != nil {
				t.Fatal(err)
			}
			p, err := s.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
			if err != nil || p.Row.State != respond.PlanWaiting {
				t.Fatal(p.Row.State, p.Row.Why, err)
			}
			mustSay(t, "the plan", p.Canonical, c.plan)
			if c.meanwhile != nil {
				if err := s.world.Edit(c.meanwhile); err != nil {
					t.Fatal(err)
				}
			}
			world.Store(s.world)
			p, err = s.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
			if err != nil {
				t.Fatal(err)
			}
			run := s.ended(t, p.Row.Run)
			shown, timeline := s.shown(run.ID), s.timeline()
			if run.State != c.state || run.Contained == c.open {
				t.Errorf("%s, contained %v\n%s", run.State, run.Contained, shown)
			}
			mustSay(t, "the run", shown, c.says)
			mustSay(t, "the incident", timeline, c.told)
			list, err := s.db.Steps(t.Context(), run.ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.options.Throttle > 0 && !slices.ContainsFunc(s.world.Calls(), func(c sim.Call) bool { return respond.Is(c.Err, "RequestLimitExceeded") }) {
				t.Error("nothing was throttled: the case proves nothing")
			}
			for _, id := range c.done {
				stage, all := strings.CutSuffix(id, "*")
				if !slices.ContainsFunc(list, func(r playbook.Record) bool {
					return r.State == playbook.Completed && (r.Name == id || all && strings.HasPrefix(r.Name, stage))
				}) {
					t.Errorf("%s was not completed:\n%s", id, shown)
				}
			}
		})
	}
}

// vanishing has somebody else terminate the instance before it is isolated.
func vanishing() func(w *sim.World, c sim.Call) error {
	var once sync.Once
	return func(w *sim.World, c sim.Call) (err error) {
		if in, ok := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput); ok && len(in.Groups) > 0 && !aws.ToBool(in.DryRun) {
			once.Do(func() {
				err = w.Edit(func(e *sim.Editor) { e.TerminateInstance(victimAccount, victimRegion, victimID) })
			})
		}
		return err
	}
}

// mustSay wants all of some words in what a person reads, and not the SDK's.
func mustSay(t *testing.T, where, text string, words []string) {
	t.Helper()
	for _, want := range words {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", where, want, text)
		}
	}
	for _, never := range []string{"operation error", "StatusCode", "RequestID"} {
		if strings.Contains(text, never) {
			t.Errorf("%s speaks as the SDK does:\n%s", where, text)
		}
	}
}
