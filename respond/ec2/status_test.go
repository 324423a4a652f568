package ec2

import (
	"strings"
	"sync"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// aborted runs the plan and aborts it as the first call of an operation is over.
func (r *rig) aborted(p *respond.Plan, operation string) map[string]playbook.Record {
	r.T.Helper()
	var once sync.Once
	r.Hook(func(ph sim.Phase, c sim.Call) error {
		if ph == sim.After && c.Err == nil && strings.HasPrefix(c.Operation, operation) {
			once.Do(func() { r.Journal.Set(playbook.Standing{Aborted: true}) })
		}
		return nil
	})
	records := r.run(p)
	r.Hook(nil)
	return records
}

func TestTheTagSaysAfterAnAbortWhatTheSecondLookShowed(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, after, want string
	}{
		{"before anything is isolated", "CreateTags", statusOpen},
		{"after everything is isolated", "DisassociateIamInstanceProfile", statusContained},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(e *sim.Editor) string {
				e.AddRole(acct, sim.Role{Name: "web"})
				p := e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "web", Role: "web"})
				return e.AddInstance(acct, rgn, sim.InstanceSpec{Profile: p.ARN})
			})
			p := r.Plan()
			if c.want == statusContained { // the profile goes last
				for i := range p.Steps {
					if p.Steps[i].ID == StepProfile {
						for _, s := range p.Steps {
							if strings.HasPrefix(s.ID, StageIsolate) || s.ID == StepRevoke {
								p.Steps[i].After = append(p.Steps[i].After, s.ID)
							}
						}
					}
				}
			}
			records := r.aborted(p, c.after)
			if rec := records[StepMark]; len(rec.Saved) == 0 {
				t.Fatalf("the mark was not begun: %+v", rec)
			}
			w := r.world(r.id)
			for what, tags := range map[string]map[string]string{"the instance": w.Tags, "its interface": w.Interfaces[0].Tags, "its volume": w.Volumes[0].Tags} {
				if got := tags[respond.TagStatus]; got != c.want {
					t.Errorf("the tag of %s says %q, want %q (verify: %s)", what, got, c.want, records[StepVerify].State)
				}
			}
			r.undone(p, records)
			if got, ok := r.world(r.id).Tags[respond.TagStatus]; ok {
				t.Errorf("after the undo the tag says %q", got)
			}
		})
	}
}

func TestTheTagSaysInPartWhereConnectionsMayLiveOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	r.Policy.OpenWindow, r.Policy.NACL = "never", "never"
	p := r.Plan()
	records := r.run(p)
	r.well(records)
	if _, contained, open := r.Result(p, records); !contained || len(respond.InPart(open)) == 0 {
		t.Fatalf("contained %v, open %v: the case is none", contained, open)
	}
	if got := r.world(r.id).Tags[respond.TagStatus]; got != statusPartly {
		t.Errorf("the tag says %q", got)
	}
}
