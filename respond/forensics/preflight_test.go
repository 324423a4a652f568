package forensics_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/kit"
)

func deny(role awscalls.Role, actions ...string) setting {
	return func(o *sim.Options, _ *respond.Policy, _ *edits) {
		o.Deny = map[awscalls.Role][]string{role: actions}
	}
}

func TestWhatARoleMayNotIsToldBeforeTheFirstChange(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		settings []setting
		state    playbook.State
		says     []string
		made     int // snapshots
	}{
		{"nothing is refused", nil, playbook.Completed, []string{"4 calls would be allowed; not to be tried: ", "EC2.LockSnapshot", "EC2.AttachVolume of the forensics role", "SSM.SendCommand (no call of EC2)"}, 3},
		{"no workstation may be started", []setting{toLab, deny(awscalls.Forensics, "ec2:RunInstances")}, playbook.Completed,
			[]string{"the forensics role may not call EC2.RunInstances (compare the role with guardroom iam policy --role forensics); the acquisition goes on", "EC2.CopySnapshot of the forensics role"}, 3},
		{"older snapshots may not be marked", []setting{backups(2), deny(awscalls.Act, "ec2:CreateTags")}, playbook.Completed,
			[]string{"the act role may not call EC2.CreateTags (compare the role with guardroom iam policy --role act); the acquisition goes on"}, 3},
		{"no snapshots of one instant may be made", []setting{deny(awscalls.Act, "ec2:CreateSnapshots")}, playbook.Completed, []string{"the act role may not call EC2.CreateSnapshots ("}, 3},
		{"no snapshots may be made", []setting{deny(awscalls.Act, "ec2:CreateSnapshot*")}, playbook.Failed,
			[]string{"the act role may not call EC2.CreateSnapshot and EC2.CreateSnapshots, so no snapshot can be made"}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.settings...)
			records := b.run()
			rec := records[kit.StepPreflight]
			if rec.State != c.state {
				t.Errorf("it is %s: %s", rec.State, rec.Message)
			}
			for _, want := range c.says {
				if !strings.Contains(rec.Message, want) {
					t.Errorf("it does not say %q: %s", want, rec.Message)
				}
			}
			if rec.State == playbook.Failed && (rec.Error == nil || rec.Error.Code != "denied" || rec.Error.Hint != "compare the role with guardroom iam policy --role act") {
				t.Errorf("its error is %+v", rec.Error)
			}
			if n := len(b.snapshots(victim)); n != c.made {
				t.Errorf("%d snapshots were made, want %d", n, c.made)
			}
			for _, id := range []string{forensics.StepConsole, forensics.StepMemory, forensics.StepReport} {
				if records[id].State != playbook.Completed {
					t.Errorf("%s does not go on: %s: %s", id, records[id].State, records[id].Message)
				}
			}
			for _, call := range b.world.Calls() {
				home := call.Place.Account == victim
				if call.DryRun() && home != (call.Place.Role == awscalls.Act || b.policy.Forensics.Account == "") {
					t.Errorf("%s is tried in account %s as %s", call, call.Place.Account, call.Place.Role)
				}
			}
		})
	}
}

func TestTheFirstChangesWaitForTheDryRunsAndWhatLooksDoesNot(t *testing.T) {
	t.Parallel()
	w := described()
	w.Older = []forensics.OldSnapshot{{ID: "snap-1", Volume: "vol-a"}}
	p := policy()
	p.Evidence.OlderSnapshots = "lock"
	d := draft(t, w, p, forensics.Hooks{})
	if ids(d)[0] != kit.StepPreflight {
		t.Fatalf("the dry runs are not first: %q", ids(d))
	}
	for _, s := range d.Steps[1:] {
		looks := s.Role == awscalls.Read && s.ID != forensics.StepReport && !strings.HasPrefix(s.ID, "snapshot/")
		if before(d, kit.StepPreflight, s.ID) == looks {
			t.Errorf("%s waits for the dry runs: %v", s.ID, !looks)
		}
		if slices.Contains(s.Needs, kit.StepPreflight) {
			t.Errorf("%s needs the dry runs to be good", s.ID)
		}
	}
	for _, s := range draft(t, w, p, forensics.Hooks{Rehearsed: true}).Steps {
		if s.ID == kit.StepPreflight || slices.Contains(s.After, kit.StepPreflight) {
			t.Errorf("%s: a plan with dry runs of its own gets others", s.ID)
		}
	}
}

func TestDryRunsWithoutAnAnswerHoldTheAcquisitionUpForSecondsOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	b.life.script = func(p sim.Phase, c sim.Call) error {
		if p == sim.Before && c.DryRun() {
			return &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Fault: smithy.FaultServer}
		}
		return nil
	}
	records := b.run()
	b.completed(records)
	rec := records[kit.StepPreflight]
	if !strings.Contains(rec.Message, "EC2.CreateSnapshots was not answered") {
		t.Errorf("it says %q", rec.Message)
	}
	if late := records[forensics.StepSnapshots].Started.Sub(rec.Started); late > 30*time.Second {
		t.Errorf("the snapshots waited %s", late)
	}
}

// AWS carries no dry run out. What stands in for it may: then nothing of that is
// left. Snapshots are not among it, which nothing here may delete.
func TestDryRunsThatAreCarriedOutLeaveNoMachineAndNoVolume(t *testing.T) {
	t.Parallel()
	b := newBench(t, backups(1))
	p := b.draft()
	p.Steps = p.Steps[:1]
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.DryRun() && !strings.HasPrefix(c.Operation, "CreateSnapshot") {
			reflect.ValueOf(c.Input).Elem().FieldByName("DryRun").SetZero()
		}
		return nil
	}
	rec := b.run()[kit.StepPreflight]
	for _, call := range []string{kit.CallRun, kit.CallVolume, kit.CallTags} {
		if !strings.Contains(rec.Message, call+" took no notice of DryRun") {
			t.Errorf("%s: %s", call, rec.Message)
		}
	}
	if rec.State != playbook.Completed || len(b.calls("EC2.TerminateInstances")) != 1 || len(b.calls("EC2.RunInstances")) != 1 || len(b.calls("EC2.CreateVolume")) != 1 {
		t.Errorf("it is %s: %s", rec.State, rec.Message)
	}
	b.life.script = nil
	if err := b.clock.Sleep(t.Context(), 10*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	made := []types.Filter{{Name: aws.String("tag-key"), Values: []string{respond.TagRun}}}
	machines, err := b.ec2(victim).DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: made})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range machines.Reservations {
		for _, i := range r.Instances {
			if i.State.Name != types.InstanceStateNameTerminated {
				t.Errorf("%s is left, %s", *i.InstanceId, i.State.Name)
			}
		}
	}
	volumes, err := b.ec2(victim).DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: made})
	if err != nil || len(volumes.Volumes) != 0 {
		t.Errorf("volumes are left: %+v, %v", volumes.Volumes, err)
	}
}
