package app

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/store"
)

// tagged gives a resource of the attacked account a tag.
func (r responding) tagged(t *testing.T, id, key, value string) {
	t.Helper()
	if err := r.world.Edit(func(e *sim.Editor) { e.SetTag(victimAccount, victimRegion, id, key, value) }); err != nil {
		t.Fatal(err)
	}
}

// neverPay forbids what carries team=pay.
func neverPay(c *config.Config) {
	c.Respond.NeverTouch = []config.NeverTouch{{Name: "payments", When: `resource.tags.team == "pay"`}}
}

// touches are the steps of a plan that have to do with a resource.
func touches(p *respond.Plan, id string) (steps []string) {
	for _, s := range p.Steps {
		if strings.Contains(string(s.Params), id) {
			steps = append(steps, s.ID)
		}
	}
	return steps
}

func TestANeverTouchRuleIsAskedOfEachLiveResource(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", neverPay, nil)
	ids := r.hosts(t, 3)
	// No finding knows the tag.
	r.tagged(t, ids[0], "team", "pay")
	r.takeBody(t, minerOn(0xe1, ids[0]), true)
	p := r.planOf(t, api.PlanRequest{Incident: 1})
	if p.Row.State != respond.PlanRefused || !strings.Contains(p.Row.Why, "the rule payments forbids it") {
		t.Errorf("%s %s", p.Row.State, p.Row.Why)
	}
	r.takeBody(t, minerOn(0xe2, ids[1]), true)
	if p = r.planOf(t, api.PlanRequest{Incident: 2}); p.Row.State != respond.PlanWaiting {
		t.Errorf("a host without the tag: %s %s", p.Row.State, p.Row.Why)
	}
	// Of several it is left out, and said, whichever leads.
	r.takeBody(t, sequenceOf(0xe3, []string{ids[0], ids[1], ids[2]}, nil), true)
	p = r.planOf(t, api.PlanRequest{Incident: 3})
	if p.Row.State != respond.PlanWaiting || len(p.Plan.Parts) != 2 || len(touches(p.Plan, ids[0])) > 0 || !strings.Contains(strings.Join(p.Plan.LeftOut, "\n"), ids[0]+": refused by never touch: the rule payments forbids it") {
		t.Errorf("%s %s: %v %v", p.Row.State, p.Row.Why, p.Plan.Parts, p.Plan.LeftOut)
	}
	// One of it that a person names is judged by itself.
	for id, want := range map[string]respond.PlanState{ids[0]: respond.PlanRefused, ids[2]: respond.PlanWaiting} {
		if p = r.planOf(t, api.PlanRequest{Incident: 3, Resource: id}); p.Row.State != want {
			t.Errorf("%s: %s %s", id, p.Row.State, p.Row.Why)
		}
	}
}

func TestANeverTouchRuleOnTagsThatNobodyMayReadForbids(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		deny  []string
		state respond.PlanState
		why   string
	}{
		{nil, respond.PlanWaiting, ""},
		{[]string{"s3:GetBucketTagging"}, respond.PlanRefused, "those of ledger-of-tests could not be read"},
	} {
		w := simWorld(t, sim.Options{Deny: map[awscalls.Role][]string{awscalls.Read: c.deny}}, func(e *sim.Editor) {
			attackWorld(e)
			e.AddBucket(victimAccount, sim.Bucket{Name: "ledger-of-tests", Region: victimRegion})
		})
		cfg := respondConfig(ownStore(t), "one")
		neverPay(cfg)
		r := startResponding(t, start{config: cfg, world: w})
		r.takeBody(t, bucketFinding(0xe4, "ledger-of-tests"), true)
		if p := r.planOf(t, api.PlanRequest{Incident: 1}); p.Row.State != c.state || !strings.Contains(p.Row.Why, c.why) {
			t.Errorf("without %v: %s %s", c.deny, p.Row.State, p.Row.Why)
		}
	}
}

// begin approves a plan and waits for the end of its run, which must change nothing.
func (r responding) begin(t *testing.T, p api.PlanDetail) respond.RunRow {
	t.Helper()
	before := len(r.world.Calls())
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	run := r.ended(t, got.Row.Run)
	for _, c := range r.world.Calls()[before:] {
		if mutating(c.Operation) {
			t.Errorf("%s was called", c)
		}
	}
	return run
}

// overtaken checks that a plan ended as changed, for a reason.
func (r responding) overtaken(t *testing.T, p api.PlanDetail, run respond.RunRow, why string) {
	t.Helper()
	row, err := r.db.GetPlan(t.Context(), p.Row.ID)
	if err != nil || row.State != respond.PlanChanged || !strings.Contains(row.Why, why) || run.State != respond.RunFailed || !strings.Contains(run.Summary, "nothing was changed") {
		t.Errorf("%s: %s %q, run %s %q: %v", row.Target, row.State, row.Why, run.State, run.Summary, err)
	}
}

func TestWhatIsForbiddenAfterThePlanIsNotTouchedByItsRun(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", neverPay, nil)
	ids := r.hosts(t, 4)
	r.takeBody(t, minerOn(0xe5, ids[0]), true)
	r.takeBody(t, minerOn(0xe6, ids[1]), true)
	r.takeBody(t, sequenceOf(0xe7, ids[2:], nil), true)
	one, two, many := r.planOf(t, api.PlanRequest{Incident: 1}), r.planOf(t, api.PlanRequest{Incident: 2}), r.planOf(t, api.PlanRequest{Incident: 3})
	for _, p := range []api.PlanDetail{one, two, many} {
		if p.Row.State != respond.PlanWaiting {
			t.Fatalf("%s %s", p.Row.State, p.Row.Why)
		}
	}
	r.tagged(t, ids[0], respond.TagNever, "yes")
	r.tagged(t, ids[1], "team", "pay")
	r.tagged(t, ids[3], respond.TagNever, "yes")
	r.overtaken(t, one, r.begin(t, one), "never-touch: it carries the tag guardroom:never-touch")
	r.overtaken(t, two, r.begin(t, two), "never touch: the rule payments forbids it")
	r.overtaken(t, many, r.begin(t, many), ids[3]+": never-touch: it carries the tag")
	// What is made in its place leaves out what is forbidden, and waits.
	var list []respond.PlanRow
	until(t, func() bool {
		list = slices.DeleteFunc(r.plans(t, store.PlanFilter{Incident: 3}), func(p respond.PlanRow) bool { return p.Replaces != many.Row.ID })
		return len(list) > 0
	}, "another plan is made")
	row, err := r.db.GetPlan(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPlan(row)
	if err != nil || row.State != respond.PlanWaiting || len(p.Parts) != 1 || len(touches(p, ids[3])) > 0 {
		t.Errorf("%s %s %v %v", row.State, row.Why, p, err)
	}
}

// What AWS does not answer beside a refusal that is certain makes nobody wait.
func TestARunThatIsRefusedDoesNotWaitForWhatAWSDoesNotAnswer(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	w := simWorld(t, sim.Options{Hook: func(p sim.Phase, c sim.Call) error {
		if silent.Load() && p == sim.Before && c.String() == "EC2.DescribeSubnets" {
			return refuse("RequestLimitExceeded")
		}
		return nil
	}}, attackWorld)
	r := startResponding(t, start{world: w})
	ids := r.hosts(t, 1)
	r.takeBody(t, minerOn(0xe8, ids[0]), true)
	p := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: "ec2-contain"})
	r.tagged(t, ids[0], respond.TagNever, "yes")
	silent.Store(true)
	run := r.begin(t, p)
	r.overtaken(t, p, run, "never-touch: it carries the tag guardroom:never-touch")
	steps, err := r.db.Steps(t.Context(), run.ID)
	if err != nil || len(steps) != 1 || steps[0].Name != stepWorld || steps[0].Attempt != 1 {
		t.Errorf("it waited: %+v %v", steps, err)
	}
	if row, err := r.db.GetPlan(t.Context(), p.Row.ID); err != nil || strings.Contains(row.Why, "did not answer") || strings.Contains(row.Why, "subnet") {
		t.Errorf("what is not known is no difference: %q %v", row.Why, err)
	}
}

func TestAFindingArchivedAfterThePlanIsNotActedUpon(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p := r.plan(t)
	i, err := r.db.GetIncident(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	f, ok, err := r.db.GetFinding(t.Context(), i.Lead.FindingID)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	f.Archived, f.ArchivedConfirmed = true, true
	if err := r.db.Write(t.Context(), func(tx *store.Tx) error { return tx.PutFinding(t.Context(), f, false) }); err != nil {
		t.Fatal(err)
	}
	r.overtaken(t, p, r.begin(t, p), "sample or archived: the finding is archived in GuardDuty")
}
