package ec2

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
)

// refusesToShut refuses that an interface is given a group of ours without rules, once
// one was opened.
func refusesToShut(r *rig, also ...string) {
	opened := false
	r.Hook(func(p sim.Phase, c sim.Call) error {
		in, is := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput)
		if p != sim.Before || !is || len(in.Groups) == 0 || in.DryRun != nil && *in.DryRun {
			return nil
		}
		convert := slices.ContainsFunc(r.groupsNamed(convertName), func(id string) bool { return slices.Contains(in.Groups, id) })
		if convert {
			opened = true
			return nil
		}
		contain := slices.ContainsFunc(r.groupsNamed(containName), func(id string) bool { return slices.Contains(in.Groups, id) })
		if opened && (contain || slices.Contains(also, "before")) {
			return &smithy.OperationError{ServiceID: "EC2", OperationName: c.Operation, Err: &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "no"}}
		}
		return nil
	})
}

// TestAnInterfaceThatCannotBeShutGetsItsGroupsBack takes the permission away between
// opening and closing: nothing may stay in the group that lets everything through, and
// what looks at the result is not held up.
func TestAnInterfaceThatCannotBeShutGetsItsGroupsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	before := r.world(r.id)
	p := r.Plan()
	refusesToShut(r)
	start := r.Clock.Now()
	records := r.run(p)
	after := r.world(r.id)
	back := 0
	for i, n := range after.Interfaces {
		if !slices.Equal(n.Groups, before.Interfaces[i].Groups) {
			continue
		}
		back++
		rec := records[StageIsolate+"/"+n.ID]
		if rec.State != playbook.Failed || rec.Error == nil || !strings.Contains(rec.Error.Safe, "in the groups that it had before") {
			t.Errorf("%s: %s %s", rec.Name, rec.State, rec.Message)
		}
	}
	if back == 0 {
		t.Error("no interface was opened: the case proves nothing")
	}
	if left := r.groupsNamed(convertName); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if rec := records[StepVerify]; rec.State != playbook.Failed || !strings.Contains(rec.Message, "not contained") {
		t.Errorf("verify %s %s", rec.State, rec.Message)
	}
	if took := r.Clock.Now().Sub(start); took > 15*time.Minute {
		t.Errorf("it took %s", took)
	}
}

// TestWhatIsLeftOpenDoesNotHoldUpTheLook refuses the groups of before as well: it stays
// owed, is closed once it may be, and the run has told the result by then.
func TestWhatIsLeftOpenDoesNotHoldUpTheLook(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	refusesToShut(r, "before")
	start := r.Clock.Now()
	records := r.run(p)
	if rec := records[StepVerify]; rec.State != playbook.Failed || rec.Ended.Sub(start) > 15*time.Minute {
		t.Errorf("verify %s after %s: %s", rec.State, rec.Ended.Sub(start), rec.Message)
	}
	if left := r.groupsNamed(convertName); len(left) == 0 {
		t.Fatal("the group is deleted: the case proves nothing")
	}
	r.Hook(nil)
	r.Pass(time.Hour)
	r.sweepAll()
	if left := r.groupsNamed(convertName); len(left) > 0 {
		t.Errorf("%v is left once it may be closed", left)
	}
}

// TestIsolationDoesNotWaitForSystemsManager isolates while Systems Manager is out: what
// isolation does not need is asked for once, without a pause.
func TestIsolationDoesNotWaitForSystemsManager(t *testing.T) {
	t.Parallel()
	isolatedAfter := func(out bool) time.Duration {
		r := newRig(t, plain)
		p := r.Plan()
		start := r.Clock.Now()
		var first time.Time
		asked := 0
		r.Hook(func(at sim.Phase, c sim.Call) error {
			if at != sim.Before {
				return nil
			}
			if in, is := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput); is && len(in.Groups) > 0 && first.IsZero() {
				first = r.Clock.Now()
			}
			if c.Service != "SSM" {
				return nil
			}
			asked++
			if !out {
				return nil
			}
			return &smithy.OperationError{ServiceID: c.Service, OperationName: c.Operation, Err: &smithy.GenericAPIError{Code: "InternalServerError", Message: "out", Fault: smithy.FaultServer}}
		})
		r.run(p)
		if asked == 0 || first.IsZero() {
			t.Fatal("nothing was asked of Systems Manager: the case proves nothing")
		}
		return first.Sub(start)
	}
	if usual, out := isolatedAfter(false), isolatedAfter(true); out != usual {
		t.Errorf("the first interface was isolated after %s, and without the outage after %s", out, usual)
	}
}
