package respond

import (
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
)

// Word is the state of a step or a run in the words that people see, the same
// on every surface.
type Word string

// The words.
const (
	WordWaiting       Word = "waiting"
	WordNeedsApproval Word = "needs approval"
	WordRunning       Word = "running"
	WordCompleted     Word = "completed"
	WordFailed        Word = "failed"
	WordSkipped       Word = "skipped"
	WordUndoing       Word = "undoing"
	WordUndone        Word = "undone"
	WordUnknown       Word = "unknown"
	WordPartFailed    Word = "part failed" // of a run only
	WordAborted       Word = "aborted"     // of a run only
)

// Glyph is the sign of a state on a terminal. The word is always beside it.
func (w Word) Glyph() string {
	switch w {
	case WordNeedsApproval:
		return "?"
	case WordRunning:
		return ">"
	case WordCompleted:
		return "+"
	case WordFailed, WordUnknown, WordPartFailed:
		return "!"
	case WordSkipped, WordAborted:
		return "="
	case WordUndoing, WordUndone:
		return "<"
	}
	return "-"
}

// Ended reports whether nothing more is to come.
func (w Word) Ended() bool {
	return w != WordWaiting && w != WordNeedsApproval && w != WordRunning && w != WordUndoing
}

// Bad reports whether a person must look.
func (w Word) Bad() bool { return w == WordFailed || w == WordUnknown || w == WordPartFailed }

// Progress is a run, or a plan that waits for one, as people see it. It is
// computed once; the terminal, Slack, Jira, PagerDuty and the console draw it and
// compute nothing. Texts may hold names that others chose: every sink escapes.
type Progress struct {
	Run      RunID           `json:"run,omitempty"` // empty: the plan waits
	Plan     PlanID          `json:"plan"`
	Digest   string          `json:"digest"` // the first 8 hex digits
	Incident incident.Number `json:"incident"`
	Playbook string          `json:"playbook"`
	// What is in our own words: Forensic preparation, Containment, Response, Undo.
	What string `json:"what"`
	// Target is what people call the resource: payments-api-3 (i-0f3c9d2a1b).
	Target  string `json:"target"`
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	State   Word   `json:"state"`
	UndoOf  RunID  `json:"undo_of,omitempty"`
	// UndoneBy is the run that undid this one.
	UndoneBy  RunID `json:"undone_by,omitempty"`
	Simulated bool  `json:"simulated,omitempty"`
	DryRun    bool  `json:"dry_run,omitempty"`

	Requester string     `json:"requester,omitempty"`
	Approvals []Approval `json:"approvals,omitempty"`
	Needed    int        `json:"approvals_needed,omitempty"`
	ExpiresAt time.Time  `json:"expires_at,omitzero"` // of a plan that waits
	AbortedBy string     `json:"aborted_by,omitempty"`
	AbortWhy  string     `json:"abort_why,omitempty"`

	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Took is the time so far, or in all: 3 m 12 s.
	Took string `json:"took,omitempty"`
	// Expected is the range of the whole: about 9 to 25 min.
	Expected string `json:"expected,omitempty"`
	// Slow says that it takes longer than usual: slower than usual (38 min).
	Slow string `json:"slow,omitempty"`

	Done   int             `json:"done"` // steps that have ended
	Total  int             `json:"total"`
	Stages []StageProgress `json:"stages"`
	Steps  []StepProgress  `json:"steps"`
	// Waits names what the run waits for now, never just that it waits.
	Waits string `json:"waits,omitempty"`

	// Owed is what the run opened and nobody has closed yet, where it was asked for.
	Owed []OpenClosing `json:"owed,omitempty"`

	Contained bool     `json:"contained,omitempty"`
	StillOpen []string `json:"still_open,omitempty"`
	// Drift is what was changed back since, as the last look showed.
	Drift    []string        `json:"drift,omitempty"`
	Evidence []evidence.Item `json:"evidence,omitempty"`
	Gaps     []evidence.Gap  `json:"gaps,omitempty"`
	// Connect is the command that opens a shell on the workstation.
	Connect string `json:"connect,omitempty"`
	// Cost is what the plan's result costs until released.
	Cost    string `json:"cost,omitempty"`
	Summary string `json:"summary,omitempty"`
	// Next is the one command that helps now.
	Next string `json:"next,omitempty"`
}

// StageProgress is the steps of a stage together, for where there is little room.
type StageProgress struct {
	Stage string `json:"stage"`
	State Word   `json:"state"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
	// Failed are those that a person must look at.
	Failed int `json:"failed,omitempty"`
	// Percent of the slowest running step; -1 where AWS gives none.
	Percent int `json:"percent"`
	// Took is from the beginning of its first step to the end of its last, or so far.
	Took string `json:"took,omitempty"`
}

// StepProgress is one step.
type StepProgress struct {
	ID    string `json:"id"`
	Stage string `json:"stage,omitempty"`
	Title string `json:"title"`
	State Word   `json:"state"`
	// Preserves says that it is there to preserve evidence.
	Preserves bool `json:"preserves,omitempty"`
	// Contains says that the containment is not whole without it.
	Contains bool `json:"contains,omitempty"`
	// Percent is -1 where AWS gives none and the size is not known.
	Percent int    `json:"percent"`
	DoneOf  string `json:"done_of,omitempty"` // 12 of 100 GiB
	// Approval is why the step has a line of its own in the approval.
	Approval string    `json:"approval,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Took     string    `json:"took,omitempty"`
	Expected string    `json:"expected,omitempty"`
	Slow     string    `json:"slow,omitempty"`
	// Message is what it made, what it waits for, or why it failed or was skipped.
	Message string `json:"message,omitempty"`
	Safe    string `json:"safe,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Text is all about the step behind its title, on one line, but for how long it took.
func (s StepProgress) Text() string {
	var out []string
	add := func(t string) {
		if t != "" {
			out = append(out, t)
		}
	}
	switch {
	case s.DoneOf != "":
		add(s.DoneOf)
	case s.Percent >= 0 && !s.State.Ended():
		add(fmt.Sprintf("%d %%", s.Percent))
	}
	switch {
	case s.Slow != "":
		add(s.Slow)
	case !s.State.Ended():
		add(s.Expected)
	}
	add(s.Message)
	return strings.Join(out, ", ")
}
