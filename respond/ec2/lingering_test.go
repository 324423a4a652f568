package ec2

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
)

func TestGroupsThatAnInstanceKeepsBesideThoseOfItsInterfacesAreReplacedAndGivenBack(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(e *sim.Editor) string{
		"one interface":  func(e *sim.Editor) string { return e.AddInstance(acct, rgn, sim.InstanceSpec{}) },
		"two interfaces": fortress,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, build, func(o *sim.Options) { o.InstanceGroups = true })
			before := r.world(r.id)
			p, records := r.contained() // looks at the groups of each interface
			if n := groupsReplaced(r); n == 0 {
				t.Error("the groups of the instance were not replaced")
			}
			for id, rec := range r.undone(p, records) {
				if rec.State != playbook.Completed && rec.State != playbook.Skipped {
					t.Errorf("%s is %s: %s", id, rec.State, rec.Message)
				}
			}
			if d := cmp.Diff(lasting(before).Interfaces, lasting(r.world(r.id)).Interfaces, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("the undo left (-before +after):\n%s", d)
			}
		})
	}
}

func TestWhatAWSTakesAndDoesNotShowFailsWithinMinutesAndIsNotContained(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string { return e.AddInstance(acct, rgn, sim.InstanceSpec{}) }, func(o *sim.Options) { o.InstanceGroups = true })
	r.Hook(func(p sim.Phase, c sim.Call) error {
		if in, ok := c.Input.(*ec2.ModifyInstanceAttributeInput); ok && p == sim.Before && len(in.Groups) > 0 {
			return &smithy.GenericAPIError{Code: "InvalidParameterValue", Message: "not here"}
		}
		return nil
	})
	begun := r.Clock.Now()
	p := r.Plan()
	records := r.run(p)
	if took := r.Clock.Now().Sub(begun); took > 8*time.Minute {
		t.Errorf("it took %s", took)
	}
	for id, rec := range records {
		if strings.HasPrefix(id, StageIsolate+"/") && (rec.State != playbook.Failed || !strings.Contains(rec.Message, "does not show it") || !strings.Contains(rec.Message, "InvalidParameterValue") || rec.Ended.Sub(rec.Started) > 3*time.Minute) {
			t.Errorf("%s is %s after %s: %s", id, rec.State, rec.Ended.Sub(rec.Started), rec.Message)
		}
	}
	if v := records[StepVerify]; v.State != playbook.Failed || !strings.Contains(v.Message, "not contained") {
		t.Errorf("verify is %s: %s", v.State, v.Message)
	}
}

func TestWhereGroupsAreReplacedAsAWholeTheInstanceIsNotAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string { return e.AddInstance(acct, rgn, sim.InstanceSpec{}) })
	p, records := r.contained()
	for id, rec := range r.undone(p, records) {
		if rec.State != playbook.Completed && rec.State != playbook.Skipped {
			t.Errorf("%s is %s: %s", id, rec.State, rec.Message)
		}
	}
	if n := groupsReplaced(r); n > 0 {
		t.Errorf("ModifyInstanceAttribute with groups was called %d times", n)
	}
}

func TestGroupsOfAColleagueDoNotLinger(t *testing.T) {
	t.Parallel()
	l := lingering{want: []string{"sg-contain"}, ours: []string{"sg-web"}}
	for _, c := range []struct {
		groups []string
		want   bool
	}{
		{[]string{"sg-contain"}, false}, {[]string{"sg-web"}, false}, {[]string{"sg-contain", "sg-web"}, true},
		{[]string{"sg-contain", "sg-web", "sg-new"}, false}, {[]string{"sg-contain", "sg-new"}, false},
	} {
		if got := l.shows(Interface{Groups: c.groups}); got != c.want {
			t.Errorf("%v lingers: %v", c.groups, got)
		}
	}
}

// count says how often groups of an instance were replaced.
func groupsReplaced(r *rig) (n int) {
	for _, c := range r.World.Calls() {
		in, ok := c.Input.(*ec2.ModifyInstanceAttributeInput)
		if ok && len(in.Groups) > 0 {
			n++
		}
	}
	return n
}
