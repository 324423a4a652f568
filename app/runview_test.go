package app

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// TestMessagesShowRunsAndPlans stores a run and a plan of an incident, and reads
// what its destinations are given.
func TestMessagesShowRunsAndPlans(t *testing.T) {
	t.Parallel()
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Second)
	if _, err := a.Take(ctx, source.Input{Source: "test", Body: testFinding(1, 1, 8, now)}); err != nil {
		t.Fatal(err)
	}
	plan := respond.Plan{ID: "pln_1", Incident: 1, Playbook: "forensics", Target: respond.Target{Kind: finding.KindInstance, ID: "i-1", Name: "web-1", Account: "111111111111", Region: "eu-west-1"},
		ShortestSeconds: 540, LongestSeconds: 1500, Steps: []respond.Step{{ID: "snapshot/vol-1", Stage: "snapshot", Title: "vol-1 (100 GiB)", Effect: respond.Creates}}}
	bytes, err := respond.Canonical(plan)
	if err != nil {
		t.Fatal(err)
	}
	row := respond.PlanRow{ID: "pln_1", Incident: 1, Playbook: "forensics", Target: plan.Target.Key(), Bytes: bytes, Digest: respond.Digest(bytes), State: respond.PlanApproved,
		Requester: "ana", Needed: 1, Approvals: []respond.Approval{{Who: "raj", At: now, Reason: "r"}}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	waiting, broken := row, row
	waiting.ID, waiting.State, waiting.Approvals = "pln_2", respond.PlanWaiting, nil
	broken.ID, broken.State, broken.Bytes = "pln_3", respond.PlanWaiting, []byte("{")
	run := respond.RunRow{ID: "run_1", Plan: "pln_1", Incident: 1, Playbook: "forensics", Target: row.Target, State: respond.RunRunning, CreatedAt: now, StartedAt: now}
	items, err := json.Marshal([]evidence.Item{{ID: "s", Kind: evidence.Snapshot, Location: "snap-1", SHA256: "ab"}})
	if err != nil {
		t.Fatal(err)
	}
	rec := playbook.Record{Name: "snapshot/vol-1", State: playbook.Running, Started: now, Progress: playbook.Progress{Done: 62, Unit: "percent"},
		Saved: map[string]json.RawMessage{"evidence": items}}
	var i *incident.Incident
	err = a.db.Write(ctx, func(tx *store.Tx) (err error) {
		if i, err = tx.Incident(ctx, 1); err != nil {
			return err
		}
		return errors.Join(tx.PutPlan(ctx, row), tx.PutPlan(ctx, waiting), tx.PutPlan(ctx, broken), tx.PutRun(ctx, run), tx.PutStep(ctx, run.ID, 0, rec))
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := a.views.View(ctx, notify.Delivery{ID: "d", Kind: message.KindIncident, Subject: string(i.ID)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range v.Runs {
		got = append(got, strings.Join([]string{r.ID, r.Plan, string(r.State), r.What, r.Target, r.Expected}, "|"))
	}
	want := []string{"run_1|pln_1|running|Forensic preparation|web-1 (i-1)|about 9 to 25 min", "|pln_2|needs approval|Forensic preparation|web-1 (i-1)|about 9 to 25 min",
		"|pln_3|needs approval||" + row.Target + "|"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r := v.Runs[0]
	if len(r.Steps) != 1 || r.Steps[0].Percent != 62 || len(r.Stages) != 1 || len(r.Evidence) != 1 || r.Evidence[0].SHA256 != "ab" || len(r.Approvals) != 1 || r.Approvals[0].Who != "raj" {
		t.Errorf("the run: %+v", r)
	}
	if w := v.Runs[1]; w.Needed != 1 || !strings.HasPrefix(w.Next, "guardroom plan approve pln_2") {
		t.Errorf("the plan: %+v", w)
	}
}
