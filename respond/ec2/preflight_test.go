package ec2

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

func TestEveryChangeOfAPlanIsTriedOrSaidNotToBe(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		world func(e *sim.Editor) string
		tried []string
	}{
		{"a plain instance with an Elastic IP", plain, []string{kit.CallTags, kit.CallGroup, kit.CallDisassociate, kit.CallAttribute, kit.CallMetadata, kit.CallInterface}},
		{"one with everything around it", fortress, []string{kit.CallTags, kit.CallGroup, kit.CallDisassociate, kit.CallAttribute, kit.CallMetadata, kit.CallInterface, kit.CallACL, kit.CallTie}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.world)
			p := r.Plan()
			s, ok := p.Step(StepPreflight)
			if !ok {
				t.Fatal("no dry runs")
			}
			params, err := paramsOf[kit.Rehearsal](s)
			if err != nil {
				t.Fatal(err)
			}
			var changes, said, tries []string
			for _, s := range p.Steps {
				if s.ID != StepPreflight && s.ID != StepRecord {
					changes = join(changes, s.Calls...)
				}
			}
			for _, t := range params.Trials {
				tries = join(tries, t.Call)
			}
			for _, u := range params.Untried {
				said = join(said, u.Call)
			}
			said = join(said, tries...)
			if !slices.Equal(changes, said) {
				t.Errorf("the steps may call\n%v\ntried or said not to be are\n%v", changes, said)
			}
			want := join(nil, c.tried...)
			for _, call := range want {
				if !slices.Contains(tries, call) {
					t.Errorf("%s is not tried: %v", call, tries)
				}
			}
			records := r.run(p)
			if m := records[StepPreflight].Message; !strings.Contains(m, "would be allowed; not to be tried: ") || !strings.Contains(m, "RevokeSecurityGroupEgress") {
				t.Errorf("it says %q", m)
			}
		})
	}
}

func TestPreflightRefusesOnlyWhenIsolationItselfIsNotAllowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	r.Deny(awscalls.Act, "ec2:ModifyNetworkInterfaceAttribute")
	before := lasting(r.world(r.id))
	p := r.Plan()
	records := r.run(p)
	if records[StepPreflight].State != playbook.Failed || !strings.Contains(records[StepPreflight].Message, kit.CallInterface) {
		t.Errorf("preflight is %s: %s", records[StepPreflight].State, records[StepPreflight].Message)
	}
	if _, contained, _ := r.Result(p, records); contained {
		t.Error("it counts as contained")
	}
	after := lasting(r.world(r.id))
	if diff := cmp.Diff(before.Interfaces[0].Groups, after.Interfaces[0].Groups); diff != "" || after.Scaling == nil || len(after.Classic) == 0 || len(after.Addresses) == 0 {
		t.Error("the network was changed although nothing can be isolated")
	}
	if records[StepRevoke].State != playbook.Completed {
		t.Errorf("the sessions are not revoked, which needs nothing of that: %s", records[StepRevoke].Message)
	}
}

func TestPreflightChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	p.Steps = p.Steps[1:2] // the first records what is
	p.Steps[0].After = nil
	before := r.Dump()
	records := r.run(p)
	if p.Steps[0].ID != StepPreflight || records[StepPreflight].State != playbook.Completed {
		t.Fatalf("%+v", records)
	}
	if diff := cmp.Diff(before, r.Dump()); diff != "" {
		t.Error(diff)
	}
	tried := 0
	for _, c := range r.World.Calls() {
		if respond.Is(c.Err, "DryRunOperation") {
			tried++
		}
	}
	if tried < 8 {
		t.Errorf("only %d dry runs were answered", tried)
	}
}
