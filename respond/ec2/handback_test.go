package ec2

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
)

// A group ends a member that fails its health check, and the volumes with it
// where the protection is gone.
func TestAHostThatIsStillIsolatedIsNotHandedBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	w := r.world(r.id)
	p, records := r.contained()
	r.Pass(2 * time.Minute)
	r.edit(func(e *sim.Editor) {
		id := e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{ID: "sg-0c0ffee0000000001", VPC: w.VPC, Name: "colleague"})
		e.SetGroups(acct, rgn, w.Interfaces[0].ID, id)
	})
	undone := r.undone(p, records)
	stopped := 0
	for id, rec := range undone {
		switch {
		case id == "undo/isolate/"+w.Interfaces[0].ID:
			if rec.State != playbook.Failed {
				t.Errorf("%s: %s", id, rec.State)
			}
		case strings.HasPrefix(id, "undo/service/"), strings.HasPrefix(id, "undo/protect/"):
			stopped++
			if rec.State != playbook.Skipped {
				t.Errorf("%s: %s (%s), although an interface was not released", id, rec.State, rec.Message)
			}
		}
	}
	if stopped == 0 {
		t.Fatal("no step hands back or ends a protection: the test looks at nothing")
	}
	now := r.world(r.id)
	if now.Scaling != nil && now.Scaling.Lifecycle == inService {
		t.Errorf("the instance is %s in %s", now.Scaling.Lifecycle, now.Scaling.Group)
	}
}

func TestAnAddressThatWasTakenOffAsTheRunWasAbortedComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	before := len(r.world(r.id).Addresses)
	r.Hook(func(ph sim.Phase, c sim.Call) error {
		if ph == sim.After && c.Operation == "DisassociateAddress" {
			r.Journal.Send(playbook.AbortTopic, nil)
			return errors.New("connection reset by peer")
		}
		return nil
	})
	records := r.run(p)
	r.Hook(nil)
	r.Pass(2 * time.Minute)
	if n := len(r.world(r.id).Addresses); n != before-1 {
		t.Fatalf("%d addresses, %d before: the test takes none off", n, before)
	}
	r.undone(p, records)
	if n := len(r.world(r.id).Addresses); n != before {
		t.Errorf("%d addresses after the undo, %d before the run", n, before)
	}
}

func TestARehearsalWithoutAnAnswerDoesNotStopIsolation(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	r.Hook(func(ph sim.Phase, c sim.Call) error {
		if ph == sim.Before && c.DryRun() {
			return &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Fault: smithy.FaultServer}
		}
		return nil
	})
	records := r.run(p)
	r.Hook(nil)
	if rec := records["preflight"]; rec.State != playbook.Completed || !strings.Contains(rec.Message, "was not answered") {
		t.Errorf("%s: %s", rec.State, rec.Message)
	}
	for _, n := range r.world(r.id).Interfaces {
		if rec := records["isolate/"+n.ID]; rec.State != playbook.Completed {
			t.Errorf("%s: %s: %s", n.ID, rec.State, rec.Message)
		}
	}
}
