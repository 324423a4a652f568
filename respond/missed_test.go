package respond

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
)

func TestWhatIsMissedIsSaidOnceAndInWords(t *testing.T) {
	t.Parallel()
	gap := func(what string) map[string]json.RawMessage {
		raw, err := json.Marshal([]evidence.Gap{{What: what, Why: "w"}})
		if err != nil {
			t.Fatal(err)
		}
		return map[string]json.RawMessage{savedGaps: raw}
	}
	record := Step{ID: "record/function", Stage: "record", Title: "write down function f: policy"}
	code := Step{ID: "preserve/code", Stage: "preserve", Title: "keep the code of f (7 bytes) and compare its hash", Needs: []string{"record/function"}}
	snap := Step{ID: "snapshot/vol-1", Action: "forensics.snapshot", Stage: "snapshot", Title: "snapshot vol-1"}
	report := Step{ID: "report", Action: actionReport, Stage: "report", Title: "say what was preserved"}
	contain := Step{ID: "contain/x", Stage: "contain", Title: "x"}
	type records = map[string]playbook.Record
	done := playbook.Record{State: playbook.Completed}
	for name, c := range map[string]struct {
		plan    Plan
		records records
		want    []evidence.Gap
	}{
		"all was kept": {Plan{Steps: []Step{record, code, contain}}, records{record.ID: done, code.ID: done, contain.ID: {State: playbook.Failed}}, nil},
		"a step that failed": {Plan{Steps: []Step{record, code}}, records{record.ID: done, code.ID: {State: playbook.Failed, Message: code.Title + ": no answer"}},
			[]evidence.Gap{{What: "the code of f (7 bytes)", Why: "no answer"}}},
		"a step that failed after it stated half of it": {Plan{Steps: []Step{record, code}}, records{record.ID: done, code.ID: {State: playbook.Failed, Message: "no answer", Saved: gap("older")}},
			[]evidence.Gap{{What: "the code of f (7 bytes)", Why: "no answer"}}},
		"a skipped step that said so itself": {Plan{Steps: []Step{code}}, records{code.ID: {State: playbook.Skipped, Message: "no bucket", Saved: gap("the code of f")}}, nil},
		"a step that waited in vain": {Plan{Steps: []Step{record, code}}, records{record.ID: {State: playbook.Failed, Message: "AWS said no"}, code.ID: {State: playbook.Skipped, Message: "not begun: it needs record/function, which is failed"}},
			[]evidence.Gap{{What: "function f: policy, as it was before", Why: "AWS said no"}, {What: "the code of f (7 bytes)", Why: "it was not begun, for it needs this first: write down function f: policy: AWS said no"}}},
		"an abort": {Plan{Steps: []Step{record, code}}, records{record.ID: done, code.ID: {State: playbook.Skipped, Message: "not begun: the run was aborted"}},
			[]evidence.Gap{{What: "the code of f (7 bytes)", Why: "it was not begun: the run was aborted"}}},
		"a step without a record":                       {Plan{Steps: []Step{code}}, nil, []evidence.Gap{{What: "the code of f (7 bytes)", Why: "it was not begun"}}},
		"an acquisition that reported":                  {Plan{Steps: []Step{snap, report}}, records{report.ID: done, snap.ID: {State: playbook.Failed, Message: "no"}}, nil},
		"an acquisition that did not come to report it": {Plan{Steps: []Step{snap, report}}, records{report.ID: {State: playbook.Failed}, snap.ID: {State: playbook.Failed, Message: "no"}}, []evidence.Gap{{What: "snapshot vol-1", Why: "no"}}},
		"what GuardDuty said":                           {Plan{}, records{StepFinding: {State: playbook.Failed, Message: "no room"}}, []evidence.Gap{{What: "what GuardDuty said, as a copy in the evidence bucket", Why: "no room"}}},
		"an undo":                                       {Plan{UndoOf: "run_1", Steps: []Step{code}}, records{code.ID: {State: playbook.Failed, Message: "no"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Missed(&c.plan, c.records)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
