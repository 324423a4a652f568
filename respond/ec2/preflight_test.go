package ec2

import (
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
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
