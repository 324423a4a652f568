package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/respond"
)

// onEvidence is the guard about the evidence bucket of a plan.
func onEvidence(p *respond.Plan) []respond.Guard {
	var out []respond.Guard
	for _, g := range p.Guards {
		if g.Name == respond.GuardEvidence {
			out = append(out, g)
		}
	}
	return out
}

func TestAPlanSaysBeforehandWhatTheEvidenceBucketIsLike(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	bucket := r.desk.policy.Evidence.Bucket
	for _, c := range []struct {
		name   string
		change func(e *sim.Editor)
		bucket string
		answer respond.Answer
		why    string
	}{
		{"all is well", func(e *sim.Editor) { e.Bucket(bucket).ObjectLock = true }, bucket, respond.Pass, "Object Lock is on"},
		{"it locks nothing", func(e *sim.Editor) { e.Bucket(bucket).ObjectLock = false }, bucket, respond.Warn, "sealed evidence is not locked"},
		{"it is not there", nil, "nobody-has-it", respond.Warn, "it is not there"},
	} {
		if c.change != nil {
			if err := r.world.Edit(c.change); err != nil {
				t.Fatal(err)
			}
		}
		r.desk.policy.Evidence.Bucket = c.bucket
		p := r.plan(t)
		got := onEvidence(p.Plan)
		if len(got) != 1 || got[0].Answer != c.answer || !strings.Contains(got[0].Why, c.why) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if p.Row.State != respond.PlanWaiting {
			t.Errorf("%s: the plan is %s: %s", c.name, p.Row.State, p.Row.Why)
		}
	}
	r.desk.policy.Evidence.Bucket = ""
	if got := onEvidence(r.plan(t).Plan); got != nil {
		t.Errorf("no bucket is configured: %+v", got)
	}
}

func TestAPlanThatKeepsNothingIsNotToldOfTheEvidenceBucket(t *testing.T) {
	t.Parallel()
	all := actions(nil)
	step := func(action string) *respond.Plan { return &respond.Plan{Steps: []respond.Step{{Action: action}}} }
	if keeps(all, step("ec2.isolate-interface")) || keeps(all, &respond.Plan{}) {
		t.Error("what keeps nothing is said to keep something")
	}
	if !slices.ContainsFunc(playbookSteps(t), func(s respond.Step) bool { return keeps(all, step(s.Action)) }) {
		t.Error("an EC2 plan keeps evidence, and is said not to")
	}
}

// playbookSteps are the steps of a whole EC2 response.
func playbookSteps(t *testing.T) []respond.Step {
	t.Helper()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	return r.plan(t).Plan.Steps
}

func TestAWordAboutTheEvidenceBucketHoldsNoPreAuthorizedContainmentUp(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Respond.PreAuthorize = []config.PreAuthorization{{Name: "night", When: `severity >= 7`, Playbooks: []string{"forensics"}, Owner: "soc", Reason: "nobody is awake"}}
	}, nil)
	if err := r.world.Edit(func(e *sim.Editor) { e.Bucket(r.desk.policy.Evidence.Bucket).ObjectLock = false }); err != nil {
		t.Fatal(err)
	}
	r.take(t, true)
	p, err := r.desk.create(t.Context(), api.PlanRequest{Incident: 1, Playbook: "forensics"}, "kim", false)
	if err != nil {
		t.Fatal(err)
	}
	if g := onEvidence(p.plan); len(g) != 1 || g[0].Answer != respond.Warn {
		t.Fatalf("%+v", g)
	}
	if err := r.desk.preAuthorize(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	row, err := r.db.GetPlan(t.Context(), p.row.ID)
	if err != nil || len(row.Approvals) != 1 || row.Approvals[0].Rule != "night" {
		t.Fatalf("%+v %v", row, err)
	}
	r.ended(t, row.Run)
}
