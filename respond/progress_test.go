package respond

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
)

var progressNow = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func watchedPlan() *Plan {
	return &Plan{ID: "pln_1", Playbook: "forensics", Target: Target{Kind: finding.KindInstance, ID: "i-0f3c", Name: "payments-api-3", Account: "111111111111", Region: "eu-west-1"},
		ShortestSeconds: 540, LongestSeconds: 1500, CostCents: 3100, Steps: []Step{
			{ID: "record/i-0f3c", Stage: "record", Title: "instance, interfaces", Effect: NoChange},
			{ID: "snapshot/vol-1", Stage: "snapshot", Title: "vol-1 (100 GiB)", Effect: Creates},
			{ID: "snapshot/vol-2", Stage: "snapshot", Title: "vol-2 (500 GiB)", Effect: Creates, Approval: "many"},
			{ID: "attach/vol-1", Stage: "attach", Title: "attach the copy of vol-1", Effect: Creates, Needs: []string{"snapshot/vol-1"}},
		}}
}

func watchedRow() PlanRow {
	return PlanRow{ID: "pln_1", Incident: 42, Playbook: "forensics", Digest: "7b3e91c4aabbccdd", State: PlanApproved, Requester: "ana", Needed: 1,
		Approvals: []Approval{{Who: "raj", At: progressNow, Reason: "confirmed"}}, ExpiresAt: progressNow.Add(30 * time.Minute)}
}

func TestProgressIsOneModelForEverySurface(t *testing.T) {
	t.Parallel()
	run := RunRow{ID: "run_1", Plan: "pln_1", Incident: 42, Playbook: "forensics", Target: "t", Account: "111111111111", State: RunRunning, StartedAt: progressNow}
	at := func(d time.Duration) time.Time { return progressNow.Add(d) }
	rec := func(name string, state playbook.State, p playbook.Progress, message string) playbook.Record {
		r := playbook.Record{Name: name, State: state, Attempt: 1, Started: progressNow, Progress: p, Message: message}
		if state.Ended() {
			r.Ended = at(72 * time.Second)
		}
		return r
	}
	failed := rec("snapshot/vol-2", playbook.Failed, playbook.Progress{}, "")
	failed.Error = &playbook.Failure{Message: "AWS refused ec2:CreateSnapshot (UnauthorizedOperation)", Safe: "vol-1 is snapshotted", Hint: "add it"}
	percent := func(n int64) playbook.Progress {
		return playbook.Progress{Done: n, Unit: "percent", ShortestSeconds: 540, LongestSeconds: 1500}
	}
	for name, c := range map[string]struct {
		state   RunState
		undo    bool
		records []playbook.Record
		after   time.Duration
		want    []string // run line, stages, then steps
	}{
		"nothing was begun": {RunQueued, false, nil, 0, []string{"- waiting 0/4", "- record 0/1", "- snapshot 0/2", "- attach 0/1",
			"- waiting record/i-0f3c|", "- waiting snapshot/vol-1|", "- waiting snapshot/vol-2|", "- waiting attach/vol-1|"}},
		"a percent that AWS gives is shown, with the range": {RunRunning, false, []playbook.Record{rec("record/i-0f3c", playbook.Completed, playbook.Progress{}, "kept"),
			rec("snapshot/vol-1", playbook.Running, percent(62), ""), rec("snapshot/vol-2", playbook.Running, playbook.Progress{}, "")}, 3 * time.Minute,
			[]string{"> running 1/4 vol-1 (100 GiB): 62 %, about 9 to 25 min; vol-2 (500 GiB)", "+ record 1/1", "> snapshot 0/2 62 %", "- attach 0/1",
				"+ completed record/i-0f3c|kept, 1 m 12 s", "> running snapshot/vol-1|62 %, about 9 to 25 min", "> running snapshot/vol-2|", "- waiting attach/vol-1|"}},
		"bytes done of bytes known": {RunRunning, false, []playbook.Record{rec("snapshot/vol-1", playbook.Running, playbook.Progress{Done: 25, Total: 100, Unit: "GiB"}, "")}, time.Second,
			[]string{"> running 0/4 vol-1 (100 GiB): 25 of 100 GiB", "- record 0/1", "> snapshot 0/2 25 %", "- attach 0/1",
				"- waiting record/i-0f3c|", "> running snapshot/vol-1|25 of 100 GiB", "- waiting snapshot/vol-2|", "- waiting attach/vol-1|"}},
		"twice as long as the longest is slow, and no error": {RunRunning, false, []playbook.Record{rec("snapshot/vol-1", playbook.Running, percent(99), "")}, 51 * time.Minute,
			[]string{"> running 0/4 vol-1 (100 GiB): 99 %, slower than usual (51 m)", "- record 0/1", "> snapshot 0/2 99 %", "- attach 0/1",
				"- waiting record/i-0f3c|", "> running snapshot/vol-1|99 %, slower than usual (51 m)", "- waiting snapshot/vol-2|", "- waiting attach/vol-1|"}},
		"a failed step says so, and what it stopped": {RunPartFailed, false, []playbook.Record{rec("record/i-0f3c", playbook.Completed, playbook.Progress{}, ""),
			rec("snapshot/vol-1", playbook.Completed, percent(100), "snap-1"), failed, rec("attach/vol-1", playbook.Skipped, playbook.Progress{}, "not needed")}, time.Hour,
			[]string{"! part failed 4/4", "+ record 1/1", "! snapshot 2/2", "= attach 1/1",
				"+ completed record/i-0f3c|1 m 12 s", "+ completed snapshot/vol-1|snap-1, 1 m 12 s",
				"! failed snapshot/vol-2|AWS refused ec2:CreateSnapshot (UnauthorizedOperation), 1 m 12 s", "= skipped attach/vol-1|not needed"}},
		"an undo undoes": {RunRunning, true, []playbook.Record{rec("record/i-0f3c", playbook.Completed, playbook.Progress{}, ""), rec("snapshot/vol-1", playbook.Completed, playbook.Progress{}, ""),
			rec("snapshot/vol-2", playbook.Running, playbook.Progress{}, "")}, 0,
			[]string{"> running 2/4 vol-2 (500 GiB)", "+ record 1/1", "< snapshot 1/2", "- attach 0/1",
				"+ completed record/i-0f3c|1 m 12 s", "< undone snapshot/vol-1|1 m 12 s", "< undoing snapshot/vol-2|", "- waiting attach/vol-1|"}},
		"what was never begun is not waited for": {RunAborted, false, []playbook.Record{rec("record/i-0f3c", playbook.Completed, playbook.Progress{}, "")}, 0,
			[]string{"= aborted 4/4", "+ record 1/1", "= snapshot 2/2", "= attach 1/1",
				"+ completed record/i-0f3c|1 m 12 s", "= skipped snapshot/vol-1|not begun", "= skipped snapshot/vol-2|not begun", "= skipped attach/vol-1|not begun"}},
		"guardroom's own steps stand where they are done": {RunRunning, false, []playbook.Record{rec(StepWorld, playbook.Completed, playbook.Progress{}, "it is"), rec(StepSeal, playbook.Running, playbook.Progress{}, "")}, 0,
			[]string{"> running 0/4 the evidence manifest", "+ check 1/1", "- record 0/1", "- snapshot 0/2", "- attach 0/1", "> seal 0/1", "+ completed guardroom/world|it is, 1 m 12 s",
				"- waiting record/i-0f3c|", "- waiting snapshot/vol-1|", "- waiting snapshot/vol-2|", "- waiting attach/vol-1|", "> running guardroom/seal|"}},
		"what is not in the plan is shown behind it": {RunRunning, false, []playbook.Record{rec("world", playbook.Unknown, playbook.Progress{}, "no answer")}, 0,
			[]string{"> running 0/4", "- record 0/1", "- snapshot 0/2", "- attach 0/1", "! world 1/1",
				"- waiting record/i-0f3c|", "- waiting snapshot/vol-1|", "- waiting snapshot/vol-2|", "- waiting attach/vol-1|", "! unknown world|no answer, 1 m 12 s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, p := run, watchedPlan()
			r.State = c.state
			if c.undo {
				r.UndoOf, p.UndoOf = "run_0", "run_0"
			}
			g := ProgressOf(r, watchedRow(), p, c.records, at(c.after))
			got := []string{strings.TrimSpace(g.State.Glyph() + " " + string(g.State) + " " + fraction(g.Done, g.Total) + " " + g.Waits)}
			for _, s := range g.Stages {
				line := s.State.Glyph() + " " + s.Stage + " " + fraction(s.Done, s.Total)
				if s.Percent >= 0 {
					line += fmt.Sprintf(" %d %%", s.Percent)
				}
				got = append(got, line)
			}
			for _, s := range g.Steps {
				text := s.Text()
				if s.State.Ended() && s.State != WordSkipped && s.Took != "" { // which surfaces show beside it
					text = strings.TrimPrefix(text+", "+s.Took, ", ")
				}
				got = append(got, s.State.Glyph()+" "+string(s.State)+" "+s.ID+"|"+text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func fraction(a, b int) string { return fmt.Sprintf("%d/%d", a, b) }

func TestProgressTellsWhatPeopleAskFor(t *testing.T) {
	t.Parallel()
	items, err := json.Marshal([]evidence.Item{{ID: "a", Kind: evidence.Snapshot, Location: "snap-1"}, {ID: "w", Kind: evidence.Workstation, Location: "i-0bbb", Region: "eu-west-1"}})
	if err != nil {
		t.Fatal(err)
	}
	gaps := json.RawMessage(`[{"what":"memory","why":"no SSM"}]`)
	rec := playbook.Record{Name: "snapshot/vol-1", State: playbook.Completed, Saved: map[string]json.RawMessage{savedEvidence: items, savedGaps: gaps}}
	run := RunRow{ID: "run_1", Plan: "pln_1", State: RunCompleted, Contained: true, StartedAt: progressNow, EndedAt: progressNow.Add(2*time.Hour + 5*time.Minute)}
	g := ProgressOf(run, watchedRow(), watchedPlan(), []playbook.Record{rec}, progressNow.Add(100*time.Hour))
	want := []string{"Forensic preparation", "payments-api-3 (i-0f3c)", "2 h 5 m", "about 9 to 25 min", "about 31 USD a month until released",
		"aws ssm start-session --target i-0bbb --region eu-west-1", "guardroom run undo run_1", "7b3e91c4"}
	if diff := cmp.Diff(want, []string{g.What, g.Target, g.Took, g.Expected, g.Cost, g.Connect, g.Next, g.Digest}); diff != "" {
		t.Error(diff)
	}
	if len(g.Evidence) != 2 || len(g.Gaps) != 1 || g.Gaps[0].Why != "no SSM" {
		t.Errorf("evidence %+v, gaps %+v", g.Evidence, g.Gaps)
	}
	plan := watchedPlan()
	plan.ShortestSeconds, plan.LongestSeconds = 0, 0
	run.State = RunRunning
	if g := ProgressOf(run, watchedRow(), plan, nil, progressNow); g.Expected != "first time here: no estimate" || g.Next != "guardroom run watch run_1" {
		t.Errorf("without an estimate: %q, next %q", g.Expected, g.Next)
	}
	if g := ProgressOf(run, PlanRow{}, nil, []playbook.Record{rec}, progressNow); g.Total != 1 || g.Steps[0].Title != "snapshot/vol-1" {
		t.Errorf("without its plan: %+v", g)
	}
}

func TestAnItemThatALaterStepSpeaksOfAgainIsShownOnce(t *testing.T) {
	t.Parallel()
	saved := func(items string) map[string]json.RawMessage {
		return map[string]json.RawMessage{savedEvidence: json.RawMessage(items)}
	}
	g := ProgressOf(RunRow{ID: "run_1", State: RunCompleted}, PlanRow{}, nil, []playbook.Record{
		{Name: "volume/vol-1", State: playbook.Completed, Saved: saved(`[{"id":"v","kind":"evidence volume","location":"vol-9"}]`)},
		{Name: "attach/vol-1", State: playbook.Completed, Saved: saved(`[{"id":"v","kind":"evidence volume","location":"vol-9","device":"/dev/sdf"}]`)},
	}, progressNow)
	if len(g.Evidence) != 1 || g.Evidence[0].Device != "/dev/sdf" {
		t.Errorf("%+v", g.Evidence)
	}
}

func TestAPlanThatWaitsNamesWhatItNeeds(t *testing.T) {
	t.Parallel()
	row := watchedRow()
	row.State, row.Approvals, row.Needed = PlanWaiting, nil, 2
	g := ProgressOfPlan(row, watchedPlan(), progressNow)
	if g.State != WordNeedsApproval || g.State.Glyph() != "?" || g.Waits != "2 approvals until 10:30 UTC" ||
		g.Next != "guardroom plan approve pln_1 --digest 7b3e91c4 --reason …" || g.Steps[2].State != WordNeedsApproval || g.Steps[1].State != WordWaiting {
		t.Errorf("%+v", g)
	}
	if err := row.Reject("raj", "not now", progressNow); err != nil {
		t.Fatal(err)
	}
	if g := ProgressOfPlan(row, watchedPlan(), progressNow); g.State != WordSkipped || g.Summary != "rejected: not now" || g.Next != "" {
		t.Errorf("rejected: %+v", g)
	}
}

func TestExpectedTimesAreRanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to int64
		want     string
	}{{0, 0, ""}, {10, 40, "about 10 to 40 s"}, {30, 30, "about 30 s"}, {540, 1500, "about 9 to 25 min"}, {20, 300, "up to 5 min"}, {3600, 4 * 3600, "about 1 to 4 h"},
		{0, 60, "about 60 s"}, {600, 0, "about 10 min"}, {61, 121, "about 1 to 3 min"}} {
		if got := span(c.from, c.to); got != c.want {
			t.Errorf("%d to %d: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 45 * time.Second: "45 s", 192 * time.Second: "3 m 12 s", 2 * time.Hour: "2 h", 50 * time.Hour: "2 d"} {
		if got := Length(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestTheTargetIsOneOfThePartsOfItsPlan(t *testing.T) {
	t.Parallel()
	one, two := Target{ID: "ci-bot"}, Target{ID: "i-1"}
	for n, want := range map[int]string{1: "ci-bot", 2: "ci-bot and 1 more"} {
		p := &Plan{Target: one, Parts: []Target{one, two}[:n]}
		if got := ProgressOfPlan(PlanRow{}, p, time.Now()).Target; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
