package respond

import (
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
)

// RunState is where a run stands.
type RunState string

// The states of a run.
const (
	RunQueued     RunState = "queued"
	RunRunning    RunState = "running"
	RunCompleted  RunState = "completed"
	RunPartFailed RunState = "part failed"
	RunFailed     RunState = "failed"
	RunAborted    RunState = "aborted"
	RunUndone     RunState = "undone" // an undo plan of it was carried out
)

// Ended reports whether nothing happens in the run any more.
func (s RunState) Ended() bool { return s != RunQueued && s != RunRunning }

// Class is what a run counts as for the hourly caps.
type Class string

// The classes.
const (
	Isolation  Class = "isolation"
	Revocation Class = "revocation"
	Block      Class = "block"
	Other      Class = "other" // preserves, or has no cap of its own
	Release    Class = "release"
)

// RunRow is a plan that is being carried out, or was.
type RunRow struct {
	ID       RunID           `json:"id"`
	Plan     PlanID          `json:"plan"`
	Incident incident.Number `json:"incident"`
	Playbook string          `json:"playbook"`
	Target   string          `json:"target"` // Target.Key
	Account  string          `json:"account"`
	Class    Class           `json:"class"`
	// Counts is what it counts as for the hourly caps; empty: one of Class. A
	// plan over several resources counts each of them.
	Counts map[Class]int `json:"counts,omitempty"`
	State  RunState      `json:"state"`

	// Worker has the run in hand; Epoch rises with every worker that takes it,
	// and fences the one before.
	Worker     string `json:"worker,omitempty"`
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"` // of its work item

	AbortedBy string    `json:"aborted_by,omitempty"`
	AbortWhy  string    `json:"abort_why,omitempty"`
	AbortedAt time.Time `json:"aborted_at,omitzero"`
	UndoOf    RunID     `json:"undo_of,omitempty"`
	UndoneBy  RunID     `json:"undone_by,omitempty"`
	UndoneAt  time.Time `json:"undone_at,omitzero"`
	// LoosenedBy is the undo that took a part of the containment back and did not
	// come to its end.
	LoosenedBy RunID  `json:"loosened_by,omitempty"`
	Summary    string `json:"summary,omitempty"`
	// Contained says that the isolation was verified; StillOpen is what it could not close.
	Contained bool      `json:"contained,omitempty"`
	StillOpen []string  `json:"still_open,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// LateAt is when people were told that it takes much longer than its plan said.
	LateAt time.Time `json:"late_at,omitzero"`
	// NextCheck is when the containment is looked at for drift; zero: never.
	NextCheck time.Time `json:"next_check,omitzero"`
	Checks    int       `json:"checks,omitempty"`
	// Drift is what was not so any more at the last look.
	Drift []string `json:"drift,omitempty"`
	// Through says that flow records have shown traffic through what was cut off.
	Through bool `json:"through,omitempty"`
	// Unseen is how many looks at the containment have failed since the last that did not.
	Unseen int `json:"unseen,omitempty"`
	// ContainedAt is when the isolation was verified; Verdicts are what later looks
	// said about each thing that was cut off, by its description and by the records
	// of its traffic.
	ContainedAt time.Time `json:"contained_at,omitzero"`
	Verdicts    []Verdict `json:"verdicts,omitempty"`
	// TalkingAt is when people were told that GuardDuty still saw activity.
	TalkingAt time.Time `json:"talking_at,omitzero"`
	Simulated bool      `json:"simulated,omitempty"`
}

// Result derives how a run ended from its plan and its records.
func Result(p *Plan, records map[string]playbook.Record, aborted bool) (state RunState, contained bool, stillOpen []string, summary string) {
	counts := map[playbook.State]int{}
	critical, criticalDone, changed := 0, 0, 0
	var failed []string
	for _, s := range p.Steps {
		r := records[s.ID]
		counts[r.State]++
		if r.State == playbook.Failed || r.State == playbook.Unknown {
			failed = append(failed, s.ID)
		}
		if r.State == playbook.Completed && s.Effect != NoChange {
			changed++
		}
		if s.Contains {
			critical++
			if r.State == playbook.Completed {
				criticalDone++
			}
		}
		var open []string
		if r.Load(SavedStillOpen, &open) {
			stillOpen = append(stillOpen, open...)
		}
	}
	contained = Holds(p, func(step string) playbook.State { return records[step].State })
	for _, s := range p.Steps {
		if left := LeftOver(s, records[s.ID]); contained && left != "" {
			stillOpen = append(stillOpen, left)
		}
	}
	bad := counts[playbook.Failed] + counts[playbook.Unknown]
	switch {
	case aborted:
		state = RunAborted
	case bad == 0:
		state = RunCompleted
	case counts[playbook.Completed] > 0 && changed > 0:
		state = RunPartFailed
	default:
		state = RunFailed
	}
	stays := "what was done stays"
	switch {
	case contained:
		stays = "what is contained stays contained"
	case critical > 0 && criticalDone == 0 && p.UndoOf == "":
		stays = "nothing was contained"
	case critical > 0 && p.UndoOf == "":
		stays = "it is not contained; what was isolated stays so"
	}
	return state, contained, stillOpen, summarize(state, len(p.Steps), counts, failed, stays)
}

// harmless begins what a look says of a change that lets nothing out. It does not end
// it: lines may end with the name of an Auto Scaling group, which others choose.
const harmless = "nothing is open by it: "

// Harmless is what a look says of a change that lets nothing out.
func Harmless(said string) string { return harmless + said }

// LetOut reports whether something was let out again that the run contained, as far
// as the last look showed.
func (r RunRow) LetOut() bool { return LetOut(r.Drift) }

// LetOut reports whether that is among what a look said.
func LetOut(drift []string) bool {
	return slices.ContainsFunc(drift, func(s string) bool { return !strings.HasPrefix(s, harmless) })
}
