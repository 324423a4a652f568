package respond

import (
	"strings"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
)

// Missed states what the preserving steps of a run did not keep: one gap for each
// that failed, was skipped or never began, in the words of its title and with what
// it failed of. A skipped step that stated its own gap is not stated again, nor is
// what the report of an acquisition states. An undo preserves nothing.
func Missed(p *Plan, records map[string]playbook.Record) []evidence.Gap {
	if p.UndoOf != "" {
		return nil
	}
	reported := map[string]bool{} // parts of which the acquisition has said what it lacks
	for _, s := range p.Steps {
		if s.Action == actionReport && records[s.ID].State == playbook.Completed {
			reported[s.Part] = true
		}
	}
	var out []evidence.Gap
	for _, s := range p.Steps {
		acquires := strings.HasPrefix(s.Action, "forensics.")
		switch rec := records[s.ID]; {
		case !s.preserves() && s.Stage != "record", acquires && reported[s.Part]:
		case s.Action == actionReport, s.Stage == "withdraw": // they keep nothing themselves
		case rec.State == playbook.Completed, rec.State == playbook.Skipped && statesGap(rec):
		default:
			out = evidence.MergeGaps(out, evidence.Gap{What: lackOf(s.Title), Why: whyMissed(p, s, records)})
		}
	}
	if rec, is := records[StepFinding]; is && rec.State != playbook.Completed && !statesGap(rec) {
		out = evidence.MergeGaps(out, evidence.Gap{What: "what GuardDuty said, as a copy in the evidence bucket", Why: because(rec, TitleFinding)})
	}
	return out
}

// actionReport ends an acquisition, and states what it lacks.
const actionReport = "forensics.report"

func statesGap(rec playbook.Record) bool {
	_, gaps, _ := EvidenceOf(rec)
	return len(gaps) > 0
}

// lackOf turns what a step was to do into what is missing now: "keep the code of
// resize" into "the code of resize".
func lackOf(title string) string {
	title, _, _ = strings.Cut(title, " and compare its hash")
	if rest, is := strings.CutPrefix(title, "write down "); is {
		return rest + ", as it was before"
	}
	return strings.Replace(strings.TrimPrefix(title, "keep "), ": keep ", ": ", 1)
}

// whyMissed says why a step kept nothing; of one that waited for another in vain,
// why that one did not come to its end.
func whyMissed(p *Plan, s Step, records map[string]playbook.Record) string {
	rec := records[s.ID]
	if rec.State != "" && !strings.HasPrefix(rec.Message, notBegun) {
		return because(rec, s.Title)
	}
	for _, id := range s.Needs {
		need, is := p.Step(id)
		if r := records[id]; is && r.State != playbook.Completed {
			return "it was not begun, for it needs this first: " + need.Title + ": " + whyMissed(p, need, records)
		}
	}
	if why, is := strings.CutPrefix(rec.Message, notBegun); is {
		return "it was not begun: " + why
	}
	return "it was not begun"
}

// notBegun is how the graph of a run says that it left a step alone.
const notBegun = "not begun: "

func because(rec playbook.Record, title string) string {
	if why := strings.TrimPrefix(untitled(rec.Message, title), "cannot, because "); why != "" {
		return why
	}
	switch rec.State {
	case playbook.Skipped:
		return "it was skipped"
	case playbook.Failed, playbook.Unknown:
		return "it failed"
	}
	return "the run ended before it did"
}
