package respond

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
)

// ProgressOf computes how a run stands from its row, its plan and the records of
// its steps. The plan may be nil where it cannot be read; there are the records
// then, in their order.
func ProgressOf(r RunRow, row PlanRow, p *Plan, records []playbook.Record, now time.Time) Progress {
	g := progressOf(row, p)
	g.Run, g.Plan, g.Incident, g.Playbook, g.Account = r.ID, r.Plan, r.Incident, r.Playbook, r.Account
	g.UndoOf, g.UndoneBy, g.Simulated = r.UndoOf, r.UndoneBy, g.Simulated || r.Simulated
	g.What = cmp.Or(g.What, what(r.Playbook, r.UndoOf, p))
	if g.Target == "" {
		g.Target = r.Target
	}
	g.State = runWord(r)
	g.AbortedBy, g.AbortWhy = r.AbortedBy, r.AbortWhy
	g.Contained, g.StillOpen, g.Drift, g.Summary = r.Contained, r.StillOpen, r.Drift, r.Summary
	g.Started, g.Ended = r.StartedAt, r.EndedAt
	g.Took = took(g.Started, g.Ended, now)
	if !g.State.Ended() && p != nil {
		g.Slow = slow(g.Started, p.LongestSeconds, now)
		if g.Expected == "" {
			g.Expected = noEstimate
		}
	}
	g.ExpiresAt = time.Time{}
	g.steps(p, records, r.UndoOf != "", r.State.Ended(), now)
	if g.State.Ended() {
		g.Waits = ""
	}
	g.missed(p, records)
	if r.UndoOf != "" || r.UndoneBy != "" {
		g.Cost, g.Connect = "", "" // the workstation is gone, and what it cost
		for i, e := range g.Evidence {
			if e.Working && r.UndoneBy != "" {
				g.Evidence[i].Working, g.Evidence[i].Gap = false, evidence.RemovedBy(string(r.UndoneBy), r.UndoneAt)
			}
		}
	}
	g.Next = r.next(g.State)
	return g
}

// ProgressOfPlan computes how a plan stands that has no run.
func ProgressOfPlan(row PlanRow, p *Plan, now time.Time) Progress {
	g := progressOf(row, p)
	g.State = WordNeedsApproval
	g.steps(p, nil, false, false, now)
	if row.State != PlanWaiting {
		g.State, g.Summary, g.ExpiresAt = WordSkipped, string(row.State), time.Time{}
		if row.Why != "" {
			g.Summary += ": " + row.Why
		}
		return g
	}
	for i := range g.Steps {
		if g.Steps[i].Approval != "" {
			g.Steps[i].State = WordNeedsApproval
		}
	}
	g.Stages = stages(g.Steps, now)
	left := max(row.Needed-len(row.Approvals), 1)
	g.Waits = fmt.Sprintf("%s until %s UTC", count(left, "approval"), row.ExpiresAt.UTC().Format("15:04"))
	g.Next = fmt.Sprintf("guardroom plan approve %s --digest %s --reason …", row.ID, g.Digest)
	return g
}

func progressOf(row PlanRow, p *Plan) Progress {
	g := Progress{Plan: row.ID, Digest: row.Digest[:min(len(row.Digest), 8)], Incident: row.Incident, Playbook: row.Playbook, UndoOf: row.UndoOf,
		Requester: row.Requester, Approvals: row.Approvals, Needed: row.Needed, ExpiresAt: row.ExpiresAt, Target: row.Target}
	if p == nil {
		return g
	}
	g.What = what(p.Playbook, p.UndoOf, p)
	g.Target, g.Account, g.Region = Subject(p), p.Target.Account, p.Target.Region
	g.Simulated, g.DryRun = p.Simulated, p.DryRun
	g.Expected = span(p.ShortestSeconds, p.LongestSeconds)
	if p.CostCents > 0 {
		g.Cost = fmt.Sprintf("about %s USD a month until released", dollars(p.CostCents))
	}
	return g
}

func dollars(cents int64) string {
	if cents < 1000 {
		return fmt.Sprintf("%d.%02d", cents/100, cents%100)
	}
	return fmt.Sprint((cents + 50) / 100)
}

func targetName(t Target) string {
	if t.Name == "" || t.Name == t.ID {
		return t.ID
	}
	return t.Name + " (" + t.ID + ")"
}

// what is the kind of response in our own words.
func what(name string, undoOf RunID, p *Plan) string {
	switch {
	case undoOf != "":
		return "Undo"
	case name == "forensics":
		return "Forensic preparation"
	case p != nil && slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Contains }):
		return "Containment"
	}
	return "Response"
}

// runWord is the word for a whole run. That of an undo is completed: undone is what
// it made of the other.
func runWord(r RunRow) Word {
	switch r.State {
	case RunQueued:
		return WordWaiting
	case RunRunning:
		return WordRunning
	case RunCompleted:
		return WordCompleted
	case RunPartFailed:
		return WordPartFailed
	case RunFailed:
		return WordFailed
	case RunAborted:
		return WordAborted
	case RunUndone:
		return WordUndone
	}
	return WordUnknown
}

func (r RunRow) next(state Word) string {
	switch {
	case !state.Ended():
		return "guardroom run watch " + string(r.ID)
	case state.Bad():
		return "guardroom run show " + string(r.ID)
	case r.UndoOf == "" && r.UndoneBy == "" && (r.Contained || r.LoosenedBy != "" || state == WordAborted):
		return "guardroom run undo " + string(r.ID)
	}
	return ""
}

// steps fills in the steps in the order of the plan, then what the run did beside it.
func (g *Progress) steps(p *Plan, records []playbook.Record, undo, ended bool, now time.Time) {
	byName := map[string]playbook.Record{}
	for _, rec := range records {
		byName[rec.Name] = rec
	}
	g.Steps = []StepProgress{}
	for _, rec := range records {
		if rec.Name == StepWorld || rec.Name == StepFinding { // they come before the plan's own steps
			g.Steps = append(g.Steps, beside(rec, undo, now))
		}
	}
	planned := map[string]bool{StepWorld: true, StepFinding: true}
	if p != nil {
		for _, s := range p.Steps {
			planned[s.ID] = true
			rec, begun := byName[s.ID]
			st := stepProgress(rec, undo && s.Effect != NoChange, now)
			st.ID, st.Stage, st.Title, st.Approval, st.Preserves, st.Contains = s.ID, s.Stage, StepTitle(p, s), s.Approval, s.preserves(), s.Contains
			st.Message = untitled(st.Message, s.Title, st.Title)
			if ended && promises(st.Hint) {
				st.Hint = missing(p, s)
			} else if ended && s.Contains && s.Effect != NoChange && p.UndoOf == "" && st.State.Bad() {
				st.Hint = joinHints(st.Hint, "then contain what is open by a new plan: "+containing(p, s))
			}
			if !begun && ended {
				st.State, st.Message = WordSkipped, "not begun"
			}
			g.Steps = append(g.Steps, st)
		}
	}
	for _, rec := range records {
		if !planned[rec.Name] {
			g.Steps = append(g.Steps, beside(rec, undo, now))
		}
		items, gaps, _ := EvidenceOf(rec)
		// A later step says more of the same item: that a volume is attached.
		g.Evidence, g.Gaps = evidence.MergeItems(g.Evidence, items...), evidence.MergeGaps(g.Gaps, gaps...)
	}
	var waits []string
	for _, s := range g.Steps {
		// What guardroom does beside the plan is shown, and no step of it: the
		// summary counts those that were approved.
		counts := p == nil || s.ID != StepWorld && s.ID != StepFinding && planned[s.ID]
		if counts {
			g.Total++
		}
		if counts && s.State.Ended() {
			g.Done++
		}
		if s.State == WordRunning || s.State == WordUndoing {
			waits = append(waits, waiting(s))
		}
	}
	g.Waits = strings.Join(waits[:min(len(waits), 3)], "; ")
	if n := len(waits); n > 3 {
		g.Waits += fmt.Sprintf("; and %d more", n-3)
	}
	g.Stages = stages(g.Steps, now)
	for _, i := range g.Evidence {
		if i.Kind == evidence.Workstation && i.Location != "" {
			g.Connect = "aws ssm start-session --target " + i.Location + " --region " + i.Region
		}
	}
}

// The steps that every run has beside those of its plan.
const (
	StepWorld   = "guardroom/world"   // is the world still what was approved?
	StepFinding = "guardroom/finding" // what GuardDuty said, as evidence
	StepSeal    = "guardroom/seal"    // the evidence manifest
)

// TitleFinding is what StepFinding does.
const TitleFinding = "keep what GuardDuty said"

// beside is a step that is not in the plan.
func beside(rec playbook.Record, undo bool, now time.Time) StepProgress {
	switch rec.Name {
	case StepWorld:
		s := stepProgress(rec, false, now)
		s.ID, s.Stage, s.Title = rec.Name, "check", "is the resource still as it was approved"
		return s
	case StepFinding:
		s := stepProgress(rec, false, now)
		s.ID, s.Stage, s.Title, s.Preserves = rec.Name, "finding", TitleFinding, true
		s.Message = untitled(s.Message, s.Title)
		return s
	case StepSeal:
		s := stepProgress(rec, false, now)
		s.ID, s.Stage, s.Title = rec.Name, "seal", "the evidence manifest"
		return s
	}
	s := stepProgress(rec, undo, now)
	s.ID, s.Title = rec.Name, rec.Name
	s.Stage, _, _ = strings.Cut(rec.Name, "/")
	return s
}

// missed adds what the run did not preserve, which is stated when its evidence is
// sealed.
func (g *Progress) missed(p *Plan, records []playbook.Record) {
	byName := map[string]playbook.Record{}
	for _, rec := range records {
		byName[rec.Name] = rec
	}
	if _, sealed := byName[StepSeal]; sealed && p != nil {
		g.Gaps = evidence.MergeGaps(g.Gaps, Missed(p, byName)...)
	}
}

func waiting(s StepProgress) string {
	if t := s.Text(); t != "" {
		return s.Title + ": " + t
	}
	return s.Title
}

func stepProgress(rec playbook.Record, undo bool, now time.Time) StepProgress {
	s := StepProgress{State: stepWord(rec.State, undo), Percent: -1, Started: rec.Started, Ended: rec.Ended, Message: rec.Message}
	s.Took = took(rec.Started, rec.Ended, now)
	pr := rec.Progress
	switch {
	case s.State.Ended():
	case pr.Unit == "percent" || pr.Unit == "%":
		s.Percent = int(min(max(pr.Done, 0), 100))
	case pr.Total > 0:
		s.Percent = int(min(max(pr.Done, 0)*100/pr.Total, 100))
		s.DoneOf = strings.TrimSpace(fmt.Sprintf("%d of %d %s", pr.Done, pr.Total, pr.Unit))
	}
	if !s.State.Ended() {
		s.Expected = span(pr.ShortestSeconds, pr.LongestSeconds)
		s.Slow = slow(rec.Started, pr.LongestSeconds, now)
		s.Message = cmp.Or(pr.Message, rec.Message)
	}
	if rec.Error != nil {
		s.Message, s.Safe, s.Hint = rec.Error.Message, rec.Error.Safe, rec.Error.Hint
	}
	return s
}

func stepWord(s playbook.State, undo bool) Word {
	switch s {
	case playbook.Running:
		if undo {
			return WordUndoing
		}
		return WordRunning
	case playbook.Completed:
		if undo {
			return WordUndone
		}
		return WordCompleted
	case playbook.Failed:
		return WordFailed
	case playbook.Skipped:
		return WordSkipped
	case playbook.Unknown:
		return WordUnknown
	}
	return WordWaiting
}

// stages puts steps together by their stage, in the order in which the stages
// come first.
func stages(steps []StepProgress, now time.Time) []StageProgress {
	list := []StageProgress{}
	at := map[string]int{}
	words := map[string]map[Word]int{}
	for _, s := range steps {
		name := cmp.Or(s.Stage, "other")
		i, ok := at[name]
		if !ok {
			i = len(list)
			at[name] = i
			list = append(list, StageProgress{Stage: name, Percent: -1})
			words[name] = map[Word]int{}
		}
		g := &list[i]
		g.Total++
		words[name][s.State]++
		if s.State.Bad() {
			g.Failed++
		}
		if s.State.Ended() {
			g.Done++
		} else if s.Percent >= 0 && (g.Percent < 0 || s.Percent < g.Percent) {
			g.Percent = s.Percent
		}
	}
	for i, g := range list {
		list[i].State = together(words[g.Stage], g)
		list[i].Took = tookTogether(steps, g.Stage, list[i].State.Ended(), now)
	}
	return list
}

// tookTogether is how long the steps of a stage took, or take so far.
func tookTogether(steps []StepProgress, stage string, ended bool, now time.Time) string {
	var first, last time.Time
	for _, s := range steps {
		if cmp.Or(s.Stage, "other") != stage || s.Started.IsZero() {
			continue
		}
		if first.IsZero() || s.Started.Before(first) {
			first = s.Started
		}
		last = later(last, s.Ended)
	}
	if !ended {
		last = time.Time{}
	}
	return took(first, last, now)
}

// together is the word for several steps: what a person must look at first, then
// what is under way, then how it ended.
func together(n map[Word]int, g StageProgress) Word {
	for _, w := range []Word{WordFailed, WordUnknown, WordNeedsApproval, WordRunning, WordUndoing} {
		if n[w] > 0 {
			return w
		}
	}
	switch {
	case g.Done == 0:
		return WordWaiting
	case g.Done < g.Total && n[WordUndone] > 0:
		return WordUndoing
	case g.Done < g.Total:
		return WordRunning
	case n[WordSkipped] == g.Total:
		return WordSkipped
	case n[WordUndone] > 0:
		return WordUndone
	}
	return WordCompleted
}
