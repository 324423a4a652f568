package app

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

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
	*App
	t     *testing.T
	world *sim.World
}

func newStrange(t *testing.T, o sim.Options, build func(e *sim.Editor), change func(c *config.Config)) strange {
	t.Helper()
	o.Clock, o.Speed = playbook.Real{Scale: speed}, speed
	w, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Edit(func(e *sim.Editor) {
		attackWorld(e)
		if build != nil {
			build(e)
		}
	}); err != nil {
		t.Fatal(err)
	}
	cfg := respondConfig("sqlite:"+t.TempDir()+"/g.db", "one")
	if change != nil {
		change(cfg)
	}
	a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: w.AWS(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); a.respond(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
		if err := a.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return strange{a, t, w}
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

// words are everything that a person is told of a run.
func (s strange) words(run respond.RunID) string {
	s.t.Helper()
	row, err := s.db.GetRun(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := s.db.Steps(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", row.State, row.Summary)
	for _, r := range list {
		fmt.Fprintf(&b, "%s %s %s\n", r.Name, r.State, r.Message)
		if r.Error != nil {
			fmt.Fprintf(&b, "   %s | %s | %s\n", r.Error.Message, r.Error.Safe, r.Error.Hint)
		}
		_, gaps, _ := respond.EvidenceOf(r)
		for _, g := range gaps {
			fmt.Fprintf(&b, "   lacks %s: %s\n", g.What, g.Why)
		}
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
				if strings.Contains(c.new, "region") && call.Place.Region != "eu-west-1" {
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

func TestTroubleOnTheWayIsNamedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	volumes := func(e *sim.Editor) []string { return e.VolumesOf(victimAccount, victimRegion, victimID) }
	for _, c := range []struct {
		name    string
		id      string // of the instance; empty: the usual one
		options sim.Options
		build   func(e *sim.Editor)
		change  func(c *config.Config)
		state   respond.RunState
		open    bool     // the containment is not whole
		says    []string // in what people read
		done    []string // steps that must be completed all the same; * stands for an id
	}{
		{name: "no permission half-way", options: sim.Options{Deny: map[awscalls.Role][]string{awscalls.Act: {"autoscaling:DetachInstances", "iam:PutRolePolicy"}}},
			state: respond.RunPartFailed, open: true, says: []string{"AutoScaling.DetachInstances", "IAM.PutRolePolicy", "guardroom iam policy", "ReplaceUnhealthy"},
			done: []string{"isolate/*", "credentials/profile", "verify", "snapshot/*", "attach/*", "guardroom/seal"}},
		{name: "no agent of Systems Manager", state: respond.RunCompleted, says: []string{"lacks memory of " + victimID}, done: []string{"isolate/*", "attach/*"}},
		{name: "a snapshot that ends in an error", build: func(e *sim.Editor) {
			e.ScriptSnapshots(victimAccount, victimRegion, volumes(e)[1], sim.SnapshotScript{Message: "Client error on snapshot"}, sim.SnapshotScript{Message: "Client error on snapshot"})
		}, state: respond.RunPartFailed, says: []string{"Client error on snapshot"}, done: []string{"isolate/*", "verify", "workstation/ready", "guardroom/seal"}},
		{name: "an image that is missing", change: func(c *config.Config) { c.Respond.Forensics.Image = "ssm:/guardroom/none" }, state: respond.RunCompleted,
			says: []string{"/guardroom/none"}, done: []string{"isolate/*", "verify", "snapshot/*", "guardroom/seal"}},
		{name: "a quota that is reached", build: func(e *sim.Editor) {
			for _, typ := range config.Default().Respond.Forensics.Types {
				e.ShortCapacity(victimAccount, victimRegion, typ, victimRegion+"a", 1000, "VcpuLimitExceeded")
			}
		}, state: respond.RunPartFailed, says: []string{"VcpuLimitExceeded", "quota"}, done: []string{"isolate/*", "verify", "snapshot/*", "guardroom/seal"}},
		{name: "volumes that are not encrypted and one with the key that AWS manages, with a forensic account and no key for the way", id: otherVictim, build: func(e *sim.Editor) {
			e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: otherVictim, Subnet: "subnet-0app",
				Volumes: []sim.VolumeSpec{{ID: "vol-0aaaaaaaaaaaaaaa1", Device: "/dev/xvda", GiB: 1}, {ID: "vol-0aaaaaaaaaaaaaaa2", Device: "/dev/sdb", GiB: 1, Encrypted: true}}})
			forensicLab(e, "333333333333")
		}, change: func(c *config.Config) {
			c.Respond.Forensics.Account, c.Respond.Evidence.URL = "333333333333", "s3://evidence-of-the-lab/g"
		}, state: respond.RunCompleted, says: []string{"transfer_key", "vol-0aaaaaaaaaaaaaaa2"},
			done: []string{"isolate/*", "copy/vol-0aaaaaaaaaaaaaaa1", "lock-copy/vol-0aaaaaaaaaaaaaaa1", "snapshot/vol-0aaaaaaaaaaaaaaa2"}},
		{name: "throttled", options: sim.Options{Throttle: 25}, state: respond.RunCompleted, done: []string{"isolate/*", "verify", "attach/*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStrange(t, c.options, c.build, c.change)
			if _, err := s.Take(t.Context(), source.Input{Source: "sqs:main", Body: bytes.ReplaceAll(minerFinding(), []byte(victimID), []byte(cmp.Or(c.id, victimID)))}); err != nil {
				t.Fatal(err)
			}
			p, err := s.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
			if err != nil || p.Row.State != respond.PlanWaiting {
				t.Fatal(p.Row.State, p.Row.Why, err)
			}
			p, err = s.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
			if err != nil {
				t.Fatal(err)
			}
			run := responding{s.App, s.world}.ended(t, p.Row.Run)
			words := s.words(run.ID)
			if run.State != c.state || run.Contained == c.open {
				t.Errorf("%s, contained %v\n%s", run.State, run.Contained, words)
			}
			for _, want := range c.says {
				if !strings.Contains(words, want) {
					t.Errorf("it does not say %q:\n%s", want, words)
				}
			}
			if strings.Contains(words, "operation error") || strings.Contains(words, "StatusCode") {
				t.Errorf("it speaks as the SDK does:\n%s", words)
			}
			if c.state == respond.RunPartFailed && !strings.Contains(s.timeline(), "part failed") {
				t.Errorf("the incident does not say it:\n%s", s.timeline())
			}
			list, err := s.db.Steps(t.Context(), run.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range c.done {
				stage, all := strings.CutSuffix(id, "*")
				if !slices.ContainsFunc(list, func(r playbook.Record) bool {
					return r.State == playbook.Completed && (r.Name == id || all && strings.HasPrefix(r.Name, stage))
				}) {
					t.Errorf("%s was not completed:\n%s", id, words)
				}
			}
		})
	}
}
