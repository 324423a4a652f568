package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
)

func TestTheIdentityOfThisProcessSaysWhatItLivesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, arn, machine, unknown string
		worker                      bool
	}{
		{"the role of an instance", "arn:aws:sts::111122223333:assumed-role/guardroom/i-0123456789abcdef0", "i-0123456789abcdef0", "", true},
		{"the role of a container", "arn:aws:sts::111122223333:assumed-role/guardroom/8f2c4e0a", "", whichMachine, true},
		{"a user", "arn:aws:iam::111122223333:user/guardroom", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := &ownThings{now: time.Now, asks: []*ownAsk{{ask: func(context.Context) (safety.Own, error) { return ownIdentity(c.arn), nil }}}}
			own := o.find(t.Context())
			if got := own.Has(respond.Target{ID: c.machine}); c.machine != "" && !strings.Contains(got, thisMachine) {
				t.Errorf("of the machine it says %q", got)
			}
			if got := strings.Join(own.Unknown, ""); got != c.unknown {
				t.Errorf("not known is %q, want %q", got, c.unknown)
			}
			for _, role := range []string{"arn:aws:iam::111122223333:role/guardroom", "arn:aws:iam::111122223333:role/ops/guardroom"} {
				g := safety.Worker(safety.Question{Own: own}, respond.Target{ID: "i-1"}, respond.World{WorksAs: role}, true)
				if (g.Answer == respond.Refuse) != c.worker {
					t.Errorf("%s is %+v", role, g)
				}
			}
			for role, w := range map[string]respond.World{
				"another role":       {WorksAs: "arn:aws:iam::111122223333:role/web"},
				"another account":    {WorksAs: "arn:aws:iam::444455556666:role/guardroom"},
				"no role":            {},
				"nothing is changed": {WorksAs: "arn:aws:iam::111122223333:role/guardroom", Untouched: true},
			} {
				if g := safety.Worker(safety.Question{Own: own}, respond.Target{ID: "i-1"}, w, true); g.Answer != respond.Pass {
					t.Errorf("%s: %+v", role, g)
				}
			}
		})
	}
	// What the metadata service answers is as good.
	o := &ownThings{now: time.Now, asks: []*ownAsk{
		{ask: func(context.Context) (safety.Own, error) {
			return ownIdentity("arn:aws:sts::111122223333:assumed-role/guardroom/8f2c4e0a"), nil
		}},
		{ask: func(context.Context) (safety.Own, error) {
			return safety.Own{Resources: []safety.Named{{Name: "i-0123456789abcdef0", What: thisMachine}}}, nil
		}},
	}}
	if own := o.find(t.Context()); len(own.Unknown) > 0 {
		t.Errorf("not known is %q", own.Unknown)
	}
}

func TestAHostThatWorksAsGuardroomItselfIsNotIsolated(t *testing.T) {
	t.Parallel()
	for role, refused := range map[string]bool{"guardroom": true, "web": false} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := simWorld(t, sim.Options{}, func(e *sim.Editor) {
				e.AddRole(victimAccount, sim.Role{Name: role})
				e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: victimID, Profile: e.AddInstanceProfile(victimAccount, sim.InstanceProfile{Name: "host", Role: role}).ARN,
					Subnet: e.AddSubnet(victimAccount, victimRegion, sim.SubnetSpec{VPC: e.AddVPC(victimAccount, victimRegion, sim.VPCSpec{})})})
				e.AddBucket(victimAccount, sim.Bucket{Name: "evidence-of-tests", Region: victimRegion, Versioning: "Enabled"})
			})
			r := startResponding(t, start{world: w, ready: func(a *App) {
				a.desk.own = func(context.Context) safety.Own {
					return ownIdentity("arn:aws:sts::" + victimAccount + ":assumed-role/guardroom/i-0fedcba9876543210")
				}
			}})
			r.take(t, true)
			for _, playbook := range []string{"ec2-contain", ""} { // the second is what is chosen
				p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, Playbook: playbook}, "kim")
				if err != nil {
					t.Fatal(err)
				}
				is := slices.ContainsFunc(p.Plan.Guards, func(g respond.Guard) bool {
					return g.Answer == respond.Refuse && g.Name == "guardroom's own" && strings.Contains(g.Why, victimID+" works as arn:aws:iam::"+victimAccount+":role/guardroom")
				})
				if is != refused {
					t.Errorf("%s: refused %v, the guards are %+v", p.Plan.Playbook, is, p.Plan.Guards)
				}
			}
		})
	}
}
