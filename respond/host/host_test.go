package host_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/host"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const (
	acct = kittest.Account
	rgn  = kittest.Region
	id   = "i-0123456789abcdef0"
)

// bench has an instance whose memory can be read, in a subnet without a way to the
// internet; endpoints says whether its VPC has those of Systems Manager and of S3.
func bench(t *testing.T, endpoints bool) *kittest.Bench {
	t.Helper()
	b := kittest.New(t, host.Playbook(), slices.Concat(ec2.Actions(), forensics.Actions()), slices.Concat(ec2.Closings(), forensics.Closings()), func(e *sim.Editor) {
		e.AddBucket(acct, sim.Bucket{Name: kittest.Evidence, Region: rgn, ObjectLock: true})
		vpc := e.AddVPC(acct, rgn, sim.VPCSpec{})
		subnet := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "none"})
		other := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "none"})
		e.AddRole(acct, sim.Role{Name: "host-role"})
		e.AddInstance(acct, rgn, sim.InstanceSpec{ID: id, Type: "t3.micro", Subnet: subnet, Volumes: []sim.VolumeSpec{{GiB: 1}}, Profile: e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "host", Role: "host-role"}).ARN})
		if endpoints {
			group := e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: vpc, Rules: []sim.RuleSpec{{Protocol: "tcp", From: 443, To: 443, CIDR: "10.0.0.0/8"}}})
			for _, service := range []string{"ssm", "ssmmessages", "ec2messages"} {
				e.AddVPCEndpoint(acct, rgn, sim.EndpointSpec{VPC: vpc, Service: service, Interface: true, Subnets: []string{other}, Groups: []string{group}})
			}
			e.AddVPCEndpoint(acct, rgn, sim.EndpointSpec{VPC: vpc})
		}
		e.SetAgent(acct, rgn, sim.SSMAgent{Instance: id, Version: "3.2.0.0"})
		e.PutObject(kittest.Evidence, "tools/avml", sim.Object{Body: []byte("avml")})
		body := []byte("all that was in memory")
		e.AddDocument(acct, rgn, sim.Document{Name: "guardroom-memory", Hash: strings.Repeat("d", 64), Limit: 6 * time.Hour, Parameters: []string{"Tool", "ToolSHA256", "Parts", "PartBytes"},
			Answer: sim.AgentAnswer{Takes: 4 * time.Minute, Upload: body, Output: `{"sha256":"` + evidence.Digest(body) + `","bytes":22,"kernel":"Linux 6.1"}`}})
	})
	b.Target = respond.Target{Kind: finding.KindInstance, ID: id, Account: acct, Region: rgn}
	b.Type = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
	b.Policy.Order, b.Policy.Evidence.Bucket = "isolate_first", kittest.Evidence
	f := &b.Policy.Forensics
	f.Hash = "never"
	f.MemoryDocument, f.MemoryDocVersion, f.MemoryDocHash = "guardroom-memory", "1", strings.Repeat("d", 64)
	f.MemoryTool, f.MemoryToolSHA256 = map[string]string{"x86_64": "tools/avml"}, map[string]string{"x86_64": evidence.Digest([]byte("avml"))}
	return b
}

// carryOut makes the plan and carries it out.
func carryOut(t *testing.T, b *kittest.Bench) (*respond.Plan, map[string]playbook.Record) {
	t.Helper()
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	for id, rec := range records {
		if rec.State == playbook.Failed || rec.State == playbook.Unknown {
			t.Errorf("step %s is %s: %s", id, rec.State, rec.Message)
		}
	}
	return p, records
}

func TestIsolationFirstStillTakesMemoryThroughTheEndpointsOfTheVPC(t *testing.T) {
	t.Parallel()
	b := bench(t, true)
	p, records := carryOut(t, b)
	memory := records[forensics.StepMemory]
	if memory.State != playbook.Completed {
		t.Fatalf("memory is %s: %s", memory.State, memory.Message)
	}
	for id, rec := range records {
		switch {
		case strings.HasPrefix(id, ec2.StageIsolate+"/") && rec.Ended.After(memory.Started):
			t.Errorf("%s ended after memory had begun", id)
		case (strings.HasPrefix(id, ec2.StageShut+"/") || id == ec2.StepRevoke || id == ec2.StepProfile || id == ec2.StepMetadata) && rec.Started.Before(memory.Ended):
			t.Errorf("%s began before memory had ended", id)
		}
	}
	if state, contained, _ := b.Result(p, records); state != respond.RunCompleted || !contained {
		t.Errorf("the run is %s, contained %v", state, contained)
	}
	if rows := b.Owed.Rows(); len(rows) > 0 {
		t.Errorf("owed: %+v", rows)
	}
}

func TestIsolationFirstWithoutEndpointsTakesNoMemoryAndSaysWhy(t *testing.T) {
	t.Parallel()
	b := bench(t, false)
	p, records := carryOut(t, b)
	if _, planned := p.Step(forensics.StepMemory); planned {
		t.Error("memory is planned after isolation, where the agent cannot answer")
	}
	const why = "has no endpoint of ssm, ssmmessages and ec2messages, and port 443 is never opened to the internet for it"
	if !kittest.Has(p.WillNot, why) {
		t.Errorf("the plan does not say why: %q", p.WillNot)
	}
	_, gaps, _ := respond.EvidenceOf(records[forensics.StepReport])
	if !slices.ContainsFunc(gaps, func(g evidence.Gap) bool { return strings.Contains(g.What, "memory") && strings.Contains(g.Why, why) }) {
		t.Errorf("the evidence does not say what lacks: %+v", gaps)
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Error("it does not count as contained")
	}
}

func TestMemoryFirstNeedsNoEndpoints(t *testing.T) {
	t.Parallel()
	b := bench(t, true)
	b.Policy.Order = "volatile_first"
	p, records := carryOut(t, b)
	if rec := records[forensics.StepMemory]; rec.State != playbook.Completed {
		t.Errorf("memory is %s: %s", rec.State, rec.Message)
	}
	if slices.ContainsFunc(p.Steps, func(s respond.Step) bool { return s.Stage == ec2.StageShut }) {
		t.Error("a way is left open although memory went first")
	}
}

// The agent is in the hands of the host: it may take the command and do nothing.
func TestAHostThatSendsNothingOfItsMemoryDelaysItsIsolationByAMinuteAndAHalf(t *testing.T) {
	t.Parallel()
	b := bench(t, false)
	b.Policy.Order = "volatile_first"
	err := b.World.Edit(func(e *sim.Editor) {
		e.AddDocument(acct, rgn, sim.Document{Name: "guardroom-memory", Hash: strings.Repeat("d", 64), Limit: 6 * time.Hour, Answer: sim.AgentAnswer{Takes: 5 * time.Hour}})
	})
	if err != nil {
		t.Fatal(err)
	}
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	memory := records[forensics.StepMemory]
	if memory.State != playbook.Failed || !strings.Contains(memory.Message, "sent nothing of its memory for 1m30s; isolation does not wait for it any longer") {
		t.Errorf("memory is %s: %s", memory.State, memory.Message)
	}
	if d := memory.Ended.Sub(memory.Started); d < 90*time.Second || d > 2*time.Minute {
		t.Errorf("it waited %s", d)
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Error("it does not count as contained")
	}
	err = b.World.Edit(func(e *sim.Editor) {
		if u := e.Bucket(kittest.Evidence).Uploads; len(u) != 0 {
			t.Errorf("an upload is still open: %v", u)
		}
		for _, cmd := range e.Commands(acct, rgn) {
			for _, run := range cmd.Runs {
				if run.Ended.IsZero() {
					t.Error("the command still runs")
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheBeforeImageIsInTheBucketBeforeTheFirstChange(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"isolate_first", "volatile_first"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			b := bench(t, true)
			b.Policy.Order = order
			p, records := carryOut(t, b)
			for _, first := range []string{ec2.StepPreflight, ec2.StepRecord} {
				for _, s := range p.Steps {
					if s.Role != awscalls.Read && s.ID != ec2.StepPreflight && records[s.ID].Started.Before(records[first].Ended) {
						t.Errorf("%s began before %s had ended", s.ID, first)
					}
				}
			}
			looked := false
			for _, c := range b.World.Calls() {
				if c.Operation == "PutObject" {
					looked = true
				}
				if c.Operation == "CreateSnapshots" && !c.DryRun() && !looked {
					t.Error("snapshots were made before anything was in the bucket")
				}
			}
			if m := records[ec2.StepPreflight].Message; strings.Contains(m, "EC2.CreateSnapshots") || !strings.Contains(m, "EC2.LockSnapshot") {
				t.Errorf("the dry runs say %q", m)
			}
			if s, _ := p.Step(ec2.StepPreflight); !strings.Contains(string(s.Params), `"call":"EC2.CreateSnapshots"`) {
				t.Errorf("snapshots are not tried: %s", s.Params)
			}
			if s, ok := p.Step(forensics.StepSnapshots); !ok || slices.Contains(s.Needs, ec2.StepRecord) || slices.Contains(s.Needs, ec2.StepPreflight) {
				t.Errorf("snapshots need more than order: %v", s.Needs)
			}
		})
	}
}
