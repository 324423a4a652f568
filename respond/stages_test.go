package respond

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
)

// endedRun is a run whose forensic steps AWS did not answer.
func endedRun(state RunState) Progress {
	p := watchedPlan()
	p.Incident, p.Playbook = 42, "ec2-respond"
	for i := range p.Steps[1:] {
		p.Steps[i+1].Action = "forensics.lock"
	}
	refused := func(s Step, hint string) playbook.Record {
		return playbook.Record{Name: s.ID, State: playbook.Failed, Message: s.Title + ": EC2.LockSnapshot: no answer", Ended: progressNow,
			Error: &playbook.Failure{Code: fault.Unavailable, Message: s.Title + ": " + s.Title + ": EC2.LockSnapshot: no answer", Hint: hint}}
	}
	records := []playbook.Record{refused(p.Steps[1], hintAgain), {Name: p.Steps[2].ID, State: playbook.Completed, Ended: progressNow}, refused(p.Steps[3], "add it")}
	return ProgressOf(RunRow{ID: "run_1", Plan: "pln_1", Incident: 42, State: state, StartedAt: progressNow}, watchedRow(), p, records, progressNow)
}

func TestAStepSaysItsTitleOnceAndWhatHelpsNow(t *testing.T) {
	t.Parallel()
	for state, want := range map[RunState]string{RunRunning: hintAgain,
		RunPartFailed: "the run has ended, and AWS is not asked again; a new plan does what is missing: guardroom plan create --incident INC-42 --playbook forensics --resource i-0f3c"} {
		g := endedRun(state)
		s := g.Steps[1]
		if s.Message != "EC2.LockSnapshot: no answer" || s.Hint != want || !s.Preserves {
			t.Errorf("%s: %q with the hint %q, preserves %t", state, s.Message, s.Hint, s.Preserves)
		}
		if g.Steps[3].Hint != "add it" {
			t.Errorf("another hint became %q", g.Steps[3].Hint)
		}
	}
}

// A step that keeps something is named by what it keeps, also as a part of a larger plan.
func TestAPartIsNamedByWhatItKeeps(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"preserve/trail": "events of CloudTrail", "i-1/preserve/code": "the code", "preserve/else": "evidence"} {
		if got := PartWords(id, "preserve"); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	if got := PartWords("isolate/eni-1", "isolate"); got != "isolation" {
		t.Error(got)
	}
}

func TestAfterAnUndoNoProgressShowsAWorkingCopyAsThere(t *testing.T) {
	t.Parallel()
	items, err := json.Marshal([]evidence.Item{{ID: "a", Kind: evidence.Snapshot, Location: "snap-1"}, {ID: "w", Kind: evidence.Workstation, Location: "i-0bbb", Region: "eu-west-1", Working: true}})
	if err != nil {
		t.Fatal(err)
	}
	run := RunRow{ID: "run_1", State: RunUndone, UndoneBy: "run_2", UndoneAt: progressNow}
	g := ProgressOf(run, watchedRow(), watchedPlan(), []playbook.Record{{Name: "attach/vol-1", State: playbook.Completed, Saved: map[string]json.RawMessage{savedEvidence: items}}}, progressNow)
	if g.Evidence[0].Gap != "" || g.Evidence[1].Gap != "removed by run_2 at 2026-03-01 10:00 UTC" || g.Evidence[1].Working || g.Connect != "" || g.Cost != "" {
		t.Errorf("evidence %+v, connect %q, cost %q", g.Evidence, g.Connect, g.Cost)
	}
}

func TestAStageCountsWhatFailedOfIt(t *testing.T) {
	t.Parallel()
	for _, s := range endedRun(RunPartFailed).Stages {
		if want := map[string]int{"record": 0, "snapshot": 1, "attach": 1}[s.Stage]; s.Failed != want {
			t.Errorf("%s: %d failed, want %d", s.Stage, s.Failed, want)
		}
	}
}

func TestAnAbortedRunClaimsNoContainmentThatThereIsNot(t *testing.T) {
	t.Parallel()
	p := &Plan{Steps: []Step{{ID: "mark", Effect: Reversible}, {ID: "isolate/eni-1", Contains: true, Effect: Reversible}, {ID: "verify", Contains: true, Effect: NoChange}}}
	for want, done := range map[string][]string{
		"aborted, nothing was contained":                           {"mark"},
		"aborted, it is not contained; what was isolated stays so": {"mark", "isolate/eni-1"},
		"aborted, what is contained stays contained":               {"isolate/eni-1", "verify"},
	} {
		records := map[string]playbook.Record{}
		for _, s := range p.Steps {
			records[s.ID] = playbook.Record{Name: s.ID, State: playbook.Skipped}
		}
		for _, id := range done {
			records[id] = playbook.Record{Name: id, State: playbook.Completed}
		}
		if _, _, _, summary := Result(p, records, true); !strings.HasSuffix(summary, want) {
			t.Errorf("after %v: %q, want %q", done, summary, want)
		}
	}
}

func TestEveryStageHasWordsThatPeopleKnow(t *testing.T) {
	t.Parallel()
	for stage, want := range map[string]string{"open": "passage for the switch", "lock": "snapshot locks", "memory": "memory", "": ""} {
		if got := StageWords(stage); got != want {
			t.Errorf("%s is %q, want %q", stage, got, want)
		}
	}
}

func TestNoHintOfAnEndedRunPromisesAnotherTry(t *testing.T) {
	t.Parallel()
	for hint, want := range map[string]bool{hintAgain: true, "it is asked again": true, "it is asked again with a new address": true, "look at who may read it": false} {
		if promises(hint) != want {
			t.Errorf("%q: %t", hint, promises(hint))
		}
	}
}

// What AWS refused is said once: neither the title of the step nor the code of AWS
// stands there twice.
func TestAStepThatAWSRefusedSaysItsTitleAndTheCodeOnce(t *testing.T) {
	t.Parallel()
	p := watchedPlan()
	s := p.Steps[1]
	err := Explain(&smithy.OperationError{ServiceID: "EC2", OperationName: "CreateSnapshot", Err: &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "no", Fault: smithy.FaultClient}}, s.Title, "safe")
	text := fault.Of(err).Error()
	g := ProgressOf(RunRow{ID: "run_1", Plan: "pln_1", State: RunPartFailed, StartedAt: progressNow}, watchedRow(), p,
		[]playbook.Record{{Name: s.ID, State: playbook.Failed, Message: text, Ended: progressNow, Error: &playbook.Failure{Message: text}}}, progressNow)
	if got := g.Steps[1].Title + ": " + g.Steps[1].Text(); got != s.Title+": AWS answered EC2.CreateSnapshot with UnauthorizedOperation: no" {
		t.Error(got)
	}
}

// The key of an object is as somebody wrote it, and a command is there to be copied.
func TestACommandForANewPlanIsOneCommand(t *testing.T) {
	t.Parallel()
	p := &Plan{Incident: 7, Playbook: "s3-object", Target: Target{ID: "b/$(reboot); 'x'"}}
	for _, got := range []string{containing(p, Step{Action: "s3.tag-object"}), missing(p, Step{Action: "s3.tag-object"})} {
		if want := `--resource 'b/$(reboot); '\''x'\'''`; !strings.HasSuffix(got, want) {
			t.Errorf("%s, want it to end with %s", got, want)
		}
	}
}
