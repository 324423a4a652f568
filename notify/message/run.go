package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
)

// RunState is the state of a run or of one of its steps, in the words that
// people see, the same on every surface.
type RunState string

// The states.
const (
	RunWaiting       RunState = "waiting"
	RunNeedsApproval RunState = "needs approval"
	RunRunning       RunState = "running"
	RunCompleted     RunState = "completed"
	RunFailed        RunState = "failed"
	RunSkipped       RunState = "skipped"
	RunUndoing       RunState = "undoing"
	RunUndone        RunState = "undone"
	RunUnknown       RunState = "unknown"
	RunPartFailed    RunState = "part failed"
	RunAborted       RunState = "aborted"
)

// Ended reports whether nothing more is to come.
func (s RunState) Ended() bool {
	return s != RunWaiting && s != RunNeedsApproval && s != RunRunning && s != RunUndoing
}

// Bad reports whether a person must look.
func (s RunState) Bad() bool { return s == RunFailed || s == RunUnknown || s == RunPartFailed }

// Run is a response that is carried out, or a plan that waits for one: the
// progress that package respond computed, as plain values. What comes from
// outside is marked as untrusted; renderers get Texts from the methods.
type Run struct {
	ID     string // run_…; empty: the plan waits
	Plan   string // pln_…
	Digest string // the first 8 hex digits
	What   string // ours: Forensic preparation, Containment, Response, Undo
	Target string // untrusted
	State  RunState
	UndoOf string

	Simulated bool
	DryRun    bool

	Requester string // untrusted
	Approvals []RunApproval
	ExpiresAt time.Time // of a plan that waits
	Needed    int       // approvals that a plan still needs

	Started  time.Time
	Ended    time.Time
	Took     string // ours: 3 m 12 s
	Expected string // ours: about 9 to 25 min
	Slow     string // ours: slower than usual (38 m)

	Done, Total int // steps
	Stages      []RunStage
	Steps       []RunStep

	Contained bool
	InPart    bool     // of what is contained: StillOpen says what is left
	StillOpen []string // untrusted: what the isolation could not close
	Drift     []string // untrusted: what is not so any more
	Evidence  []RunEvidence
	Gaps      []RunGap
	Connect   string // untrusted: the command that opens a shell on the workstation
	Cost      string // ours: about 31 USD a month until released
	AbortedBy string // untrusted
	AbortWhy  string // untrusted
	Summary   string // untrusted
	Next      string // ours: the one command that helps now
}

// RunApproval is one person's consent.
type RunApproval struct {
	Who, Reason string // untrusted
	At          time.Time
}

// RunStage is the steps of a stage together.
type RunStage struct {
	Name        string // ours
	State       RunState
	Done, Total int
	Failed      int // steps that a person must look at
	Percent     int // -1: AWS gives none
}

// Count is how many of its steps have ended, or failed: 1 of 4 failed. It is
// empty for a single step.
func (s RunStage) Count() string {
	switch {
	case s.Total <= 1:
		return ""
	case s.Failed > 0:
		return fmt.Sprintf("%d of %d failed", s.Failed, s.Total)
	}
	return fmt.Sprintf("%d of %d", s.Done, s.Total)
}

// RunStep is one step.
type RunStep struct {
	ID, Stage string // ours, but for the name of the resource in the id
	Title     string // untrusted
	State     RunState
	Preserves bool   // it was to preserve evidence
	Contains  bool   // the containment is not whole without it
	Percent   int    // -1: AWS gives none
	Message   string // untrusted
	Safe      string // untrusted
	Hint      string // untrusted
	Took      string // ours
}

// RunEvidence is one item of evidence.
type RunEvidence struct {
	Kind     string // ours: snapshot, evidence volume, workstation, …
	Title    string // untrusted
	Location string // untrusted
	SHA256   string // hex; empty: Gap says why
	Gap      string // untrusted
	Gone     string // ours: removed by run_… at …
}

// Line is the item in one line: kind, where it is, and its hash or why there is none.
func (e RunEvidence) Line() Text {
	t := Words(e.Kind)
	if e.Location != "" {
		t = t.Words(" ").Join(name(e.Location))
	} else if e.Title != "" {
		t = t.Words(" ").Join(name(e.Title))
	}
	switch {
	case e.SHA256 != "":
		t = t.Words(", SHA-256 ").Join(Value(e.SHA256))
	case e.Gone != "":
		t = t.Words(", ").Join(value(e.Gone, maxSentence))
	case e.Gap != "":
		t = t.Words(", no hash: ").Join(value(e.Gap, maxSentence))
	}
	return t
}

// RunGap is what could not be preserved.
type RunGap struct{ What, Why string } // untrusted

// Prepares reports whether the run prepares an examination: it is announced as
// running, completed or failed whatever else it does.
func (r Run) Prepares() bool {
	for _, e := range r.Evidence {
		if e.Kind == "workstation" {
			return true
		}
	}
	return r.What == "Forensic preparation"
}

// Headline is what runs on what, and how it stands: Forensic preparation of
// payments-api-3 (i-0f3c9d2a1b): running.
func (r Run) Headline() Text {
	return Words(r.prefix()).Join(r.name()).Words(": " + string(r.State))
}

// name is what is done, and to what.
func (r Run) name() Text {
	t := Words(r.what())
	if r.Target != "" {
		t = t.Words(" of ").Join(name(r.Target))
	}
	return t
}

// plan is which plan it is, and of what.
func (r Run) plan() Text { return Words("plan ").Join(name(r.Digest)).Words(": ").Join(r.name()) }

// began says that it began, and how long it will take.
func (r Run) began() Text {
	t := Words(r.prefix()).Join(r.name()).Words(" began: " + count(r.Total, "step", "steps"))
	if r.Expected != "" {
		t = t.Words(", " + r.Expected)
	}
	return t.Words(".")
}

func (r Run) what() string {
	if r.What == "" {
		return "Response"
	}
	return r.What
}

func (r Run) prefix() string {
	switch {
	case r.DryRun && r.Simulated:
		return "Dry run, simulated: "
	case r.DryRun:
		return "Dry run: "
	case r.Simulated:
		return "Simulated: "
	}
	return ""
}

// Pace is how far it is and how long it takes. Without ageless it also says for
// how long a slow run has been running, which changes by itself.
func (r Run) Pace(now time.Time, ageless bool) Text {
	done := r.Done
	if r.State.Bad() || r.State == RunAborted {
		// Those that were not begun have ended as well.
		done = 0
		for _, s := range r.Steps {
			if (s.State == RunCompleted || s.State == RunUndone) && !strings.HasPrefix(s.ID, "guardroom/") {
				done++
			}
		}
	}
	t := Words(fmt.Sprintf("%d of %s", min(done, r.Total), count(r.Total, "step", "steps")))
	if r.State.Bad() || r.State == RunAborted {
		t = t.Words(" completed")
	}
	if r.State.Ended() {
		if r.Took != "" {
			t = t.Words(", took " + r.Took)
		}
		return t
	}
	if !r.Started.IsZero() {
		t = t.Words(", since " + clock(r.Started, now))
	}
	switch {
	case r.Slow != "" && ageless:
		t = t.Words(", slower than usual")
	case r.Slow != "":
		t = t.Words(", " + r.Slow)
	case r.Expected != "":
		t = t.Words(", " + r.Expected)
	}
	return t
}

// Authority is what allows it: the plan, who asked for it, who approved it.
func (r Run) Authority(now time.Time) Text {
	t := Words("plan ").Join(name(r.Digest))
	if r.Requester != "" {
		t = t.Words(", requested by ").Join(who(r.Requester))
	}
	for i, a := range r.Approvals {
		if i == 0 {
			t = t.Words(", approved by ")
		} else {
			t = t.Words(" and ")
		}
		t = t.Join(who(a.Who)).Words(" " + clock(a.At, now))
	}
	return t
}

// Outcome is what people ask for once it has ended, or has failed in part: a few
// lines, the most important first.
func (r Run) Outcome(now time.Time) []Text {
	var out []Text
	if t := r.verdict(); !t.IsEmpty() {
		out = append(out, t)
	}
	said := map[string]bool{"": true} // what holds for several steps is said once
	for _, s := range r.failures(maxFailures) {
		t := Words("Failed: ").Join(value(s.Title, maxName)).Words(": ").Join(value(s.Message, maxSentence))
		out = append(out, t)
		if !said[s.Safe] {
			out = append(out, Words("Safe: ").Join(value(s.Safe, maxSentence)))
		}
		if !said[s.Hint] {
			out = append(out, Words("Next: ").Join(value(s.Hint, maxSentence)))
		}
		said[s.Safe], said[s.Hint] = true, true
	}
	if r.AbortedBy != "" && !r.State.Ended() {
		out = append(out, r.aborted())
	}
	if r.Contained {
		out = append(out, r.containment())
	}
	if t := r.workstation(); !t.IsEmpty() && r.State != RunUndone {
		out = append(out, t)
	}
	if t := r.Preserved(); !t.IsEmpty() {
		out = append(out, t)
	}
	for i, g := range r.Gaps {
		if i == maxFailures {
			out = append(out, Words(fmt.Sprintf("and %d more that could not be preserved", len(r.Gaps)-i)))
			break
		}
		out = append(out, Words("Not preserved: ").Join(value(g.What, maxName)).Words(", because ").Join(value(g.Why, maxSentence)))
	}
	if r.State.Ended() && r.State != RunUndone && r.Cost != "" && len(r.Evidence) > 0 {
		out = append(out, Words("It costs "+r.Cost+"."))
	}
	return out
}

const maxFailures = 3

func (r Run) failures(most int) []RunStep {
	var out []RunStep
	for _, s := range r.Steps {
		if s.State.Bad() && len(out) < most {
			out = append(out, s)
		}
	}
	return out
}

// containment is what holds, and honestly what does not.
func (r Run) containment() Text {
	if r.State == RunUndone {
		return Words("It was contained, and the containment was undone")
	}
	if len(r.Drift) > 0 {
		return Words("It was contained, and does not hold any more: ").Join(r.drift())
	}
	t := Words("Contained, looked at again in AWS")
	if r.InPart {
		t = Words("Contained in part, looked at again in AWS")
	}
	if len(r.StillOpen) > 0 {
		t = t.Words("; still open: ").Join(join(some(r.StillOpen, 3, func(s string) Text { return value(s, 120) }), ", "))
	}
	return t
}

// drift is what is not so any more.
func (r Run) drift() Text {
	return join(some(r.Drift, 3, func(s string) Text { return value(s, 120) }), ", ")
}

// workstation is where the evidence can be examined, and how to get there.
func (r Run) workstation() Text {
	volumes := 0
	var t Text
	for _, e := range r.Evidence {
		switch e.Kind {
		case "evidence volume":
			volumes++
		case "workstation":
			t = Words("Workstation ").Join(name(e.Location))
		}
	}
	if t.IsEmpty() {
		return t
	}
	if volumes > 0 {
		t = t.Words(", " + count(volumes, "evidence volume", "evidence volumes") + " attached")
	}
	if r.Connect != "" {
		t = t.Words("; connect: ").Join(Value(escape.CutEnd(r.Connect, maxSentence)))
	}
	return t
}

// Preserved counts the evidence: 5 items of evidence, 3 with a hash.
func (r Run) Preserved() Text {
	if len(r.Evidence) == 0 {
		return Text{}
	}
	hashed := 0
	for _, e := range r.Evidence {
		if e.SHA256 != "" {
			hashed++
		}
	}
	return Words(fmt.Sprintf("%s, %d with a hash", count(len(r.Evidence), "item of evidence", "items of evidence"), hashed))
}

// Note is what came of the step; empty where there is nothing to say.
func (s RunStep) Note() Text {
	if s.State.Ended() && s.Message != "" {
		return value(s.Message, maxSentence)
	}
	return Text{}
}

// Name is the step in a few characters.
func (s RunStep) Name() Text {
	if s.Title == "" {
		return name(s.ID)
	}
	return value(s.Title, maxTitle)
}

// Waits says that a plan waits for people, and how they approve it.
func (r Run) Waits(now time.Time) Text {
	t := Words(r.prefix() + "plan ").Join(name(r.Digest)).Words(" waits for " + count(max(r.Needed, 1), "approval", "approvals"))
	if !r.ExpiresAt.IsZero() {
		t = t.Words(" until " + clock(r.ExpiresAt, now))
	}
	t = t.Words(": " + r.what())
	if r.Target != "" {
		t = t.Words(" of ").Join(name(r.Target))
	}
	return t
}

// Command is the one command that helps now.
func (r Run) Command() Text { return Value(r.Next) }
