package message

import (
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
)

// response is the sentence about an entry that a response made. Where the entry
// names a plan or a run that the view has, the sentence is made of what it is.
func (s *speaker) response(e incident.Entry) (Text, bool) {
	r, known := s.runOf(e)
	switch e.Kind {
	case incident.KindPlanWaits:
		if known && r.State == RunNeedsApproval {
			return upper(r.Waits(s.now)).Words(". Approve: ").Join(r.Command()), true
		}
		return told("A plan waits for approval", e.Text), true
	case incident.KindPlanDecided:
		return told("Plan", e.Text), true
	case incident.KindRunStarted:
		return told("Run", e.Text), true
	case incident.KindRunEnded:
		if known && r.State.Ended() {
			return s.ended(r), true
		}
		return told("Run", e.Text), true
	case incident.KindEvidenceReady:
		if known && r.State != "" {
			return s.evidence(r), true
		}
		return s.workstations(told("Evidence", e.Text)), true
	case incident.KindDrift:
		if strings.HasPrefix(e.Text, containment) {
			return told("", e.Text), true
		}
		return told("The containment no longer holds", e.Text), true
	case incident.KindProven:
		return told(strings.TrimSpace(containment), e.Text), true
	case incident.KindRunLate:
		return told("Run", e.Text), true
	case incident.KindLeftOpen:
		return told("Left open", e.Text), true
	case incident.KindClosedAgain:
		return told("Closed again", e.Text), true
	}
	return Text{}, false
}

// containment begins the entries that are sentences about one.
const containment = "The containment "

// calls reports a run that failed or was aborted, which people must learn of who
// do not look: they may have read that it was approved.
func (s *speaker) calls(e incident.Entry) bool {
	if e.Kind != incident.KindRunEnded {
		return false
	}
	if r, known := s.runOf(e); known && r.State.Ended() {
		return r.State.Bad() || r.State == RunAborted
	}
	return RunState(e.To).Bad() || RunState(e.To) == RunAborted
}

// runOf finds the run or the plan that an entry is about: the one whose id it
// names.
func (s *speaker) runOf(e incident.Entry) (Run, bool) {
	names := func(id string) bool { return id != "" && (e.To == id || e.From == id || strings.Contains(e.Text, id)) }
	for _, byRun := range []bool{true, false} {
		for _, r := range slices.Backward(s.runs) {
			if byRun && names(r.ID) || !byRun && (names(r.Plan) || names(r.Digest)) {
				return r, true
			}
		}
	}
	return Run{}, false
}

func (s *speaker) ended(r Run) Text {
	if t := r.verdict(); !t.IsEmpty() {
		return t.Words(".")
	}
	t := r.Headline()
	failed := r.failures(1)
	if len(failed) == 0 {
		return t.Words(".")
	}
	t = t.Words(", at ").Join(value(failed[0].Title, maxName))
	if failed[0].Message != "" {
		t = t.Words(": ").Join(value(failed[0].Message, maxSentence))
	}
	return stop(failed[0].Message, t)
}

func (s *speaker) evidence(r Run) Text {
	t := r.Preserved()
	switch {
	case r.UndoOf != "" && !r.holdsData():
		return Words(r.prefix() + "What became of the evidence is in a new manifest; snapshots and objects stay.")
	case t.IsEmpty() && len(r.Gaps) == 0:
		return Words(r.prefix() + "No evidence was preserved.")
	case t.IsEmpty():
		return Words(r.prefix() + "No evidence was preserved: ").Join(ended(r.Gaps[0].Why, maxSentence))
	case !r.holdsData() && len(r.Gaps) > 0:
		t = Words(r.prefix() + "No evidence but how the resource was: ").Join(t)
	case r.incomplete() > 0:
		t = Words(r.prefix() + "Evidence is incomplete: ").Join(t)
	default:
		t = Words(r.prefix() + "Evidence is ready: ").Join(t)
	}
	if n := len(r.Gaps); n > 0 {
		t = t.Words(", " + count(n, "gap", "gaps"))
	}
	if w := r.workstation(); !w.IsEmpty() {
		t = t.Words(". ").Join(w)
	}
	return t.Words(".")
}

// workstations adds where the newest evidence can be examined.
func (s *speaker) workstations(t Text) Text {
	for _, r := range slices.Backward(s.runs) {
		if w := r.workstation(); !w.IsEmpty() {
			return t.Words(" ").Join(w).Words(".")
		}
	}
	return t
}

// upper is t with a capital at its beginning, where that is a word of ours.
func upper(t Text) Text {
	if len(t.parts) == 0 || t.parts[0].untrusted {
		return t
	}
	first := t.parts[0].s
	parts := slices.Clone(t.parts)
	parts[0].s = strings.ToUpper(first[:1]) + first[1:]
	return Text{parts: parts}
}

const maxResponses = 3

// responses says which plans wait, what is under way, and how the last one ended.
func responses(runs []Run, now time.Time) Text {
	var items []Text
	ended := false
	for _, r := range slices.Backward(runs) {
		if len(items) == maxResponses {
			break
		}
		switch {
		case r.ID == "" && r.State == RunNeedsApproval:
			items = append(items, r.Waits(now))
		case r.ID == "":
		case !r.State.Ended():
			t := r.Headline()
			if !r.Started.IsZero() {
				t = t.Words(" since " + clock(r.Started, now))
			}
			items = append(items, t)
		case !ended:
			ended = true
			t := r.Headline()
			if !r.Ended.IsZero() {
				t = t.Words(" " + clock(r.Ended, now))
			}
			items = append(items, t)
		}
	}
	return join(items, "; ")
}

// contained is the line about what holds now. It is there only where a second
// look at AWS said so, and nobody has undone it.
func contained(runs []Run, now time.Time) Text {
	for _, r := range slices.Backward(runs) {
		if !r.Contained || r.State == RunUndone {
			continue
		}
		t := Words(r.prefix() + "yes")
		if r.InPart {
			t = Words(r.prefix() + "in part")
		}
		if !r.Ended.IsZero() {
			t = t.Words(", " + clock(r.Ended, now))
		}
		if len(r.StillOpen) > 0 {
			t = t.Words("; still open: ").Join(join(some(r.StillOpen, 3, func(s string) Text { return value(s, 120) }), ", "))
		}
		return t
	}
	return Text{}
}

// preserved is the line about the evidence of all runs together.
func preserved(runs []Run) Text {
	var all Run
	for _, r := range runs {
		all.Evidence, all.Gaps = append(all.Evidence, r.Evidence...), append(all.Gaps, r.Gaps...)
	}
	t := all.Preserved()
	if len(all.Gaps) == 0 {
		return t
	}
	if !t.IsEmpty() {
		t = t.Words("; ")
	}
	return t.Words("not preserved: ").Join(join(some(what(all.Gaps), 3, name), ", "))
}

func what(gaps []RunGap) []string {
	var out []string
	for _, g := range gaps {
		if !slices.Contains(out, g.What) {
			out = append(out, g.What)
		}
	}
	return out
}
