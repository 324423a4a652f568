package message_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

const (
	runID  = "run_01jd8x7k3m0000000000000077"
	planID = "pln_01jd8x7k3m0000000000000076"
)

// waitingPlan is a plan that nobody has approved yet.
func waitingPlan() message.Run {
	return message.Run{Plan: planID, Digest: "7b3e91c4", What: "Containment", Target: "payments-api-3 (i-0f3c9d2a1b)", State: message.RunNeedsApproval, Requester: "ana",
		Needed: 1, ExpiresAt: clock("11:12"), Total: 9, Next: "guardroom plan approve " + planID + " --digest 7b3e91c4 --reason …"}
}

// aRun is a run of that plan.
func aRun(state message.RunState) message.Run {
	r := waitingPlan()
	r.ID, r.State, r.Needed, r.ExpiresAt, r.Next = runID, state, 0, time.Time{}, "guardroom run watch "+runID
	r.Approvals = []message.RunApproval{{Who: "raj", Reason: "confirmed", At: clock("10:47")}}
	r.Started, r.Expected, r.Done = clock("10:47"), "about 9 to 25 min", 3
	if !state.Ended() {
		return r
	}
	r.Done, r.Ended, r.Took = 9, clock("10:52"), "5 m 3 s"
	r.Contained, r.StillOpen = true, []string{"the VPC resolver answers"}
	r.Evidence = []message.RunEvidence{{Kind: "snapshot", Location: "snap-1", SHA256: "ab"}, {Kind: "snapshot", Location: "snap-2", Gap: "no permission"},
		{Kind: "workstation", Location: "i-0bbb"}, {Kind: "evidence volume", Location: "vol-9"}}
	r.Gaps = []message.RunGap{{What: "memory", Why: "the host is not in SSM"}}
	r.Connect, r.Cost = "aws ssm start-session --target i-0bbb --region eu-west-1", "about 31 USD a month until released"
	if state.Bad() {
		r.Contained = false
		r.Steps = []message.RunStep{{ID: "snapshot/vol-2", Title: "vol-2 (500 GiB)", State: message.RunFailed, Message: "AWS refused ec2:CreateSnapshot (UnauthorizedOperation)",
			Safe: "the instance is contained", Hint: "add ec2:CreateSnapshot to the act role"}}
	}
	return r
}

// abortedRun was stopped before anything was isolated.
func abortedRun() message.Run {
	r := aRun(message.RunAborted)
	r.Contained, r.Connect, r.AbortedBy, r.AbortWhy = false, "", "raj", "wrong host"
	r.StillOpen = []string{"eni-1 is open: it is in sg-1", "eni-2 is open: it is in sg-2", "the VPC resolver answers"}
	r.Evidence = []message.RunEvidence{{Kind: "before image", Title: "the instance as it was"}}
	r.Gaps = []message.RunGap{{What: "snapshots", Why: "the run was aborted"}}
	return r
}

// failedRun could change nothing, because AWS did not answer.
func failedRun() message.Run {
	r := aRun(message.RunFailed)
	r.StillOpen, r.Evidence, r.Connect = nil, nil, ""
	r.Gaps = []message.RunGap{{What: "snapshots", Why: "AWS did not answer"}}
	return r
}

// incompleteRun contained its target, and could not preserve all.
func incompleteRun() message.Run {
	r := aRun(message.RunPartFailed)
	r.Contained = true
	failed := func(stage, title, message string) {
		s := r.Steps[0]
		s.ID, s.Stage, s.Title, s.Message, s.Preserves = title, stage, title, message, true
		s.Hint = "make a new plan for what is missing"
		r.Steps = append(r.Steps, s)
	}
	s := r.Steps[0]
	r.Steps = []message.RunStep{s}
	failed("screenshot", "keep a picture of the console", "EC2.GetConsoleScreenshot: no answer (connection refused)")
	failed("snapshot locks", "vol-1: lock its snapshot", "EC2.LockSnapshot: no answer (connection refused)")
	failed("snapshot locks", "vol-2: lock its snapshot", "EC2.LockSnapshot: no answer (connection refused)")
	r.Steps = r.Steps[1:]
	r.Stages = []message.RunStage{{Name: "screenshot", State: message.RunFailed, Done: 1, Total: 1, Failed: 1}, {Name: "snapshot locks", State: message.RunFailed, Done: 4, Total: 4, Failed: 2}}
	return r
}

func TestWhatWasToContainIsTheReasonAndNotATag(t *testing.T) {
	t.Parallel()
	r := failedRun()
	tag := message.RunStep{ID: "mark", Title: "tag 6 resources", State: message.RunFailed, Message: "AWS answered EC2.CreateTags with UnauthorizedOperation"}
	r.Steps = []message.RunStep{tag, {ID: "verify", Title: "look again", State: message.RunFailed, Contains: true, Message: "not contained"}}
	if got := strings.ToUpper(raw(r.Outcome(clock("10:55"))[0])); !strings.HasSuffix(got, "IS NOT CONTAINED: LOOK AGAIN: NOT CONTAINED") {
		t.Errorf("it says %q", got)
	}
	r.Steps = []message.RunStep{tag}
	if got := strings.ToUpper(raw(r.Outcome(clock("10:55"))[0])); !strings.Contains(got, "IS NOT CONTAINED: TAG 6 RESOURCES: ") {
		t.Errorf("where nothing else is known it says %q", got)
	}
}

func TestAGroupSaysHowManyOfItsStepsFailed(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]message.RunStage{
		"1 of 4 failed": {Done: 4, Total: 4, Failed: 1}, "2 of 3": {Done: 2, Total: 3}, "": {Done: 1, Total: 1, Failed: 1}} {
		if got := s.Count(); got != want {
			t.Errorf("%+v says %q, want %q", s, got, want)
		}
	}
}

func TestResponsesAreTold(t *testing.T) {
	t.Parallel()
	about := func(seq int64, kind incident.Kind, text, to string) incident.Entry {
		return entry(seq, "10:50", kind, "guardroom", text, "", to)
	}
	// The texts are those of package app, whose TestPeopleAreToldWhatTheProgramWrites
	// tells real ones.
	const plan = "plan 7b3e91c4 (ec2-respond on payments-api-3 (i-0f3c9d2a1b), " + planID + ")"
	waits := about(3, incident.KindPlanWaits, plan+" waits for approval until 11:12 UTC", "")
	decided := entry(4, "10:47", incident.KindPlanDecided, "raj", "approved "+plan+", 1 of 1: confirmed", "", "")
	started := about(5, incident.KindRunStarted, runID+" began: ec2-respond on i-0f3c9d2a1b in 111111111111", "")
	for _, tt := range []struct {
		name     string
		runs     []message.Run
		timeline []incident.Entry
		change   func(i *incident.Incident)
	}{
		{"plan_waits", []message.Run{waitingPlan()}, []incident.Entry{waits}, nil},
		{"running", []message.Run{aRun(message.RunRunning)}, []incident.Entry{waits, decided, started}, nil},
		{"contained", []message.Run{aRun(message.RunCompleted)}, []incident.Entry{waits, decided, started,
			about(6, incident.KindContained, "payments-api-3 (i-0f3c9d2a1b) is contained, as a second look at AWS showed; what still works: names still resolve ("+runID+")", ""), about(7, incident.KindEvidenceReady, "evidence of "+runID+" sealed: 4 items, 1 gap, manifest 1, sha256:abababab", ""),
			about(8, incident.KindRunEnded, runID+" completed", "completed")}, func(i *incident.Incident) { i.State, i.ContainedAt = incident.Contained, clock("10:50") }},
		{"aborted", []message.Run{abortedRun()}, []incident.Entry{decided, started, entry(6, "10:49", incident.KindRunEnded, "raj", "aborted "+runID+": it stops before its next change, and what is contained stays so: wrong host", "", ""), about(7, incident.KindEvidenceReady, "evidence of "+runID+" sealed: 4 items, 1 gap, manifest 1, sha256:abababab", ""),
			about(8, incident.KindRunEnded, runID+" aborted", "")}, nil},
		{"aborted_contained", func() []message.Run {
			r := aRun(message.RunAborted)
			r.AbortedBy, r.AbortWhy = "raj", "enough"
			return []message.Run{r}
		}(), []incident.Entry{about(8, incident.KindRunEnded, runID+" aborted", "")}, nil},
		{"not_contained", []message.Run{failedRun()}, []incident.Entry{decided, started, about(7, incident.KindEvidenceReady, "evidence of "+runID+" sealed: 4 items, 1 gap, manifest 1, sha256:abababab", ""),
			about(8, incident.KindRunEnded, runID+" failed", "")}, nil},
		{"incomplete", []message.Run{incompleteRun()}, []incident.Entry{about(6, incident.KindContained, "payments-api-3 is contained", ""),
			about(7, incident.KindEvidenceReady, "evidence of "+runID+" sealed: 4 items, 1 gap, manifest 1, sha256:abababab", ""), about(8, incident.KindRunEnded, runID+" part failed", "")}, nil},
		{"part_failed", []message.Run{aRun(message.RunPartFailed)}, []incident.Entry{started, about(8, incident.KindRunEnded, runID+" part failed", "part failed")}, nil},
		{"released", func() []message.Run {
			r, undo := aRun(message.RunUndone), aRun(message.RunUndone)
			r.Evidence[2].Gone = "removed by run_02 at 2026-11-24 10:52 UTC"
			undo.ID, undo.What, undo.UndoOf, undo.Evidence, undo.Gaps, undo.Contained = "run_02", "Undo", runID, nil, nil, false
			return []message.Run{r, undo}
		}(), []incident.Entry{about(8, incident.KindEvidenceReady, "4 items of evidence stay sealed; 1 working copy was removed (run_02, manifest 2, sha256:cdcdcdcd)", ""),
			about(9, incident.KindRunEnded, "run_02 (UNDO of "+runID+") completed: 8 of 8 steps", ""),
			about(10, incident.KindReleased, "payments-api-3 (i-0f3c9d2a1b) is not contained any more; approved by raj (run_02 took back "+runID+")", "")}, nil},
		{"undo_waits", func() []message.Run {
			undo := waitingPlan()
			undo.Plan, undo.Digest, undo.What, undo.UndoOf, undo.Next = "pln_02", "c32789e2", "Undo", runID, "guardroom plan approve pln_02 --digest c32789e2 --reason …"
			return []message.Run{aRun(message.RunCompleted), undo}
		}(), []incident.Entry{about(9, incident.KindPlanWaits, "plan c32789e2 (UNDO of "+runID+" on payments-api-3 (i-0f3c9d2a1b), pln_02) waits for approval until 11:12 UTC; it replaces plan pln_01: eni-0c1 was sg-1 and is sg-2", ""),
			about(10, incident.KindPlanExpires, "the approval of plan c32789e2 (UNDO of "+runID+" on payments-api-3 (i-0f3c9d2a1b), pln_02) expires at 11:12 UTC", "")}, nil},
		{"rejected", nil, []incident.Entry{waits, entry(4, "10:47", incident.KindPlanDecided, "raj", "rejected "+plan+": it is a test host", "", ""),
			about(5, incident.KindPlanDecided, plan+" is expired", ""), about(6, incident.KindPlanDecided, "no plan could be made: AWS did not answer", "")}, nil},
		{"drift", []message.Run{aRun(message.RunCompleted)}, []incident.Entry{about(9, incident.KindDrift, "The containment by "+runID+" no longer holds: eni-0c1 has another security group; guardroom does not repair it by itself", ""),
			about(10, incident.KindProven, "The containment by "+runID+" holds again", "")}, nil},
		{"late_and_left_open", []message.Run{aRun(message.RunRunning)}, []incident.Entry{
			about(6, incident.KindRunLate, runID+" is late: it runs for 3 h, and its plan said at most 1 h", ""),
			about(7, incident.KindLeftOpen, "Left open by "+runID+": eni-0c1 is in the group that lets everything through; tried 5 times to close it: not authorized", ""),
			about(8, incident.KindClosedAgain, "Closed again what "+runID+" had left open: eni-0c1 is in the group that lets everything through", ""),
			about(9, incident.KindRunLate, "", ""), about(10, incident.KindLeftOpen, "", ""), about(11, incident.KindClosedAgain, "", "")}, nil},
		{"not_contained_and_goes_on", []message.Run{aRun(message.RunRunning)}, []incident.Entry{
			about(6, incident.KindNotContained, "payments-api-3 (i-0f3c9d2a1b) is NOT contained: eni-0c1 is open: it is in sg-web ("+runID+" goes on)", ""),
			about(7, incident.KindNotContained, "simulated: payments-api-3 (i-0f3c9d2a1b) is NOT contained: eni-0c1 is open: it is in sg-web (run_00 goes on)", ""),
			about(8, incident.KindNotContained, "", "")}, nil},
		{"without_runs", nil, []incident.Entry{waits, decided, started, about(6, incident.KindEvidenceReady, "5 items", ""), about(7, incident.KindRunEnded, runID+" failed", "failed"),
			about(8, incident.KindRunEnded, runID+" completed", "completed"), about(9, incident.KindDrift, "", "")}, nil},
		{"simulated", func() []message.Run {
			a, b, c := waitingPlan(), aRun(message.RunRunning), aRun(message.RunCompleted)
			a.Plan, a.Simulated, b.ID, b.DryRun, c.Simulated = "pln_02", true, "run_00", true, true
			return []message.Run{b, c, a}
		}(), func() []incident.Entry {
			list := []incident.Entry{waits, decided, started, about(6, incident.KindContained, "payments-api-3 is contained ("+runID+")", ""), about(7, incident.KindEvidenceReady, "evidence of "+runID+" sealed", ""),
				about(8, incident.KindRunEnded, runID+" completed", ""), about(9, incident.KindDrift, "The containment by "+runID+" no longer holds: x", ""),
				about(10, incident.KindRunLate, runID+" is late: x", ""), about(11, incident.KindReleased, "payments-api-3 is not contained any more", "")}
			for i := range list {
				list[i].Text = message.SimulatedEntry + list[i].Text
			}
			return list
		}(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := message.Build(mining(func(in *message.Input) {
				in.Runs = tt.runs
				in.Timeline = append(in.Timeline, tt.timeline...)
				if tt.change != nil {
					tt.change(in.Incident)
				}
			}))
			got := plain(v)
			for _, r := range v.Runs {
				got += "\n" + raw(r.Headline()) + "\n" + raw(r.Pace(now, false)) + "\n" + raw(r.Authority(now)) + "\n"
				for _, line := range r.Outcome(now) {
					got += "  " + raw(line) + "\n"
				}
				for _, e := range r.Evidence {
					got += "  * " + raw(e.Line()) + "\n"
				}
			}
			golden(t, "response_"+tt.name+".txt", got)
		})
	}
}

func raw(t message.Text) string {
	same := func(s string) string { return s }
	return t.Render(same, same)
}

// fill sets every text in v to s, but for those that are ours.
func fill(v reflect.Value, s string, ours map[string]bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !ours[f.Name] {
				fill(v.Field(i), s, ours)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 5, 5))
		for i := range v.Len() {
			fill(v.Index(i), s, ours)
		}
	case reflect.String:
		v.SetString(s)
	}
}

// TestRunsPutNoForeignTextIntoOurWords has a mark in every value that somebody
// else may have written, and looks for it in what counts as our own.
func TestRunsPutNoForeignTextIntoOurWords(t *testing.T) {
	t.Parallel()
	const mark = "MARK"
	ours := map[string]bool{"State": true, "What": true, "Took": true, "Expected": true, "Slow": true, "Cost": true, "Kind": true, "Stage": true}
	look := func(what string, text message.Text) {
		t.Helper()
		text.Render(func(s string) string {
			if strings.Contains(s, mark) {
				t.Errorf("%s takes a foreign text for our own words: %q", what, s)
			}
			return s
		}, func(s string) string { return s })
	}
	for _, state := range []message.RunState{message.RunNeedsApproval, message.RunRunning, message.RunCompleted, message.RunPartFailed, message.RunAborted} {
		var r message.Run
		fill(reflect.ValueOf(&r).Elem(), mark, ours)
		r.State, r.Contained, r.What = state, true, "Containment"
		for i := range r.Steps {
			r.Steps[i].State = message.RunFailed
		}
		for i := range r.Evidence {
			r.Evidence[i].Kind = "workstation"
			look("a line of evidence", r.Evidence[i].Line())
		}
		for what, text := range map[string]message.Text{"headline": r.Headline(), "pace": r.Pace(now, false), "authority": r.Authority(now), "waits": r.Waits(now),
			"command": r.Command(), "preserved": r.Preserved(), "a step": r.Steps[0].Name(), "a note": r.Steps[0].Note()} {
			look(what, text)
		}
		for _, text := range r.Outcome(now) {
			look("outcome", text)
		}
		v := message.Build(mining(func(in *message.Input) {
			in.Runs = []message.Run{r}
			if state == message.RunNeedsApproval {
				in.Runs[0].ID = ""
			}
			for n, kind := range []incident.Kind{incident.KindPlanWaits, incident.KindPlanExpires, incident.KindPlanDecided, incident.KindRunStarted, incident.KindRunEnded, incident.KindEvidenceReady, incident.KindDrift,
				incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain} {
				in.Timeline = append(in.Timeline, entry(int64(3+n), "10:50", kind, mark, mark, mark, mark))
			}
		}))
		for _, f := range v.Facts {
			look("fact "+f.Label, f.Value)
		}
		for _, e := range v.Events {
			look("event "+string(e.Kind), e.Text)
		}
	}
}
