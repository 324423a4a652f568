package message

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
)

// SimulatedEntry begins the text of an entry about a response that is simulated.
const SimulatedEntry = "simulated: "

// response is the sentence about an entry that a response made. Where the entry
// names a plan or a run that the view has, the sentence is made of what it is.
func (s *speaker) response(e incident.Entry) (Text, bool) {
	r, known := s.runOf(e)
	text, simulated := strings.CutPrefix(e.Text, SimulatedEntry)
	say := func(words string) Text {
		t := told(words, capital(text))
		if simulated {
			t = Words("Simulated: ").Join(t)
		}
		return t
	}
	switch e.Kind {
	case incident.KindPlanWaits:
		if known && r.ID == "" && r.State == RunNeedsApproval {
			return s.asks(r, e.Text), true
		}
		return say("Plan"), true
	case incident.KindPlanExpires:
		if known && r.ID == "" && r.State == RunNeedsApproval {
			return upper(Words(r.prefix() + "plan ").Join(name(r.Digest)).Words(" expires at " + clock(r.ExpiresAt, s.now) + ", and nobody has approved it: ").Join(r.name())).Words(". Approve: ").Join(r.Command()), true
		}
		return say("The approval"), true
	case incident.KindPlanDecided:
		return s.decided(e, r, known, say), true
	case incident.KindRunStarted:
		if known {
			return r.began(), true
		}
		return say("Run"), true
	case incident.KindRunEnded:
		switch {
		case asked(e) && known:
			return s.aborts(e, r), true
		case asked(e):
			return who(e.Who).Words(" ").Join(ended(text, maxSentence)), true
		case known && r.State.Ended():
			return s.ended(r), true
		}
		return say("Run"), true
	case incident.KindEvidenceReady:
		switch {
		case known && r.UndoOf != "":
			return say("Evidence"), true // of others: it says what stays
		case known && r.State != "":
			return s.evidence(r), true
		}
		return s.workstations(say("Evidence")), true
	case incident.KindDrift, incident.KindProven:
		if rest, is := strings.CutPrefix(text, containment+"by "+r.ID); is && known {
			return Words(r.prefix() + containment + "of ").Join(name(r.Target)).Words(" ").Join(ended(rest, maxSentence)), true
		}
		if strings.HasPrefix(text, containment) {
			return say("The containment"), true
		}
		return say(map[incident.Kind]string{incident.KindDrift: "The containment no longer holds", incident.KindProven: "The containment"}[e.Kind]), true
	case incident.KindRunLate:
		if rest, is := strings.CutPrefix(text, r.ID+" "); is && known {
			// People know the resource better than the run.
			return Words(r.prefix()).Join(r.name()).Words(" ").Join(ended(rest, maxSentence)), true
		}
		return say("Run"), true
	case incident.KindNotContained:
		return s.open(r, known, text, simulated), true
	case incident.KindLeftOpen:
		return say("Left open"), true
	case incident.KindClosedAgain:
		return say("Closed again"), true
	}
	return Text{}, false
}

// open says what is not contained while the run goes on, and how it is followed.
func (s *speaker) open(r Run, known bool, text string, simulated bool) Text {
	t := Words("")
	if simulated {
		t = Words("Simulated: ")
	}
	text, _, goesOn := strings.Cut(text, " ("+runPrefix)
	if text == "" {
		text = "The resource is NOT contained"
	}
	t = t.Join(ended(text, maxHeld))
	if !goesOn || !known || r.State.Ended() {
		return t
	}
	return t.Words(" The run goes on: ").Join(Value("guardroom run watch " + r.ID))
}

// runPrefix begins the id of a run.
const runPrefix = "run_"

// held says that something is contained, or is not any more.
func (s *speaker) held(word string, e incident.Entry) Text {
	if text, simulated := strings.CutPrefix(e.Text, SimulatedEntry); simulated {
		return Words("Simulated: ").Join(s.held(word, incident.Entry{Text: text}))
	}
	if e.Text == "" {
		return Words(word + ".")
	}
	if of, rest, part := strings.Cut(e.Text, " is contained in part: "); part {
		// The first words must not say that it is contained.
		return Words("Contained in part: ").Join(name(of)).Words("; open: ").Join(ended(rest, maxHeld))
	}
	return Words(word + ": ").Join(ended(e.Text, maxHeld))
}

// maxHeld has room for what is open and what still works.
const maxHeld = 400

// maxWhy is short, so that the command behind it is not cut off.
const maxWhy = 90

// containment begins the entries that are sentences about one.
const containment = "The containment "

// asks says that a plan waits, for whom, how it is approved, and in whose place it
// was made.
func (s *speaker) asks(r Run, text string) Text {
	t := upper(r.Waits(s.now))
	if _, old, is := strings.Cut(text, "; it replaces plan "); is {
		if _, why, is := strings.Cut(old, ": "); is {
			t = t.Words(". It replaces one that cannot be carried out: ").Join(value(strings.TrimRight(why, ". "), maxWhy))
		}
	}
	return t.Words(". Approve: ").Join(r.Command())
}

// decided says what came of a plan: above all who approved it, when and why.
func (s *speaker) decided(e incident.Entry, r Run, known bool, say func(string) Text) Text {
	text, simulated := strings.CutPrefix(e.Text, SimulatedEntry)
	person := e.Who != "" && e.Who != guardroomItself
	approved := strings.HasPrefix(text, "approved plan ")
	at := slices.IndexFunc(r.Approvals, func(a RunApproval) bool { return a.Who == e.Who })
	switch {
	case person && approved && known && at >= 0:
		t := Words(r.prefix() + "approved by ").Join(who(e.Who)).Words(" at " + clock(e.EventAt, s.now))
		if why := strings.TrimSpace(r.Approvals[at].Reason); why != "" {
			t = t.Words(": \"").Join(value(why, maxTitle)).Words("\"")
		}
		return upper(t).Words(fmt.Sprintf(", %d of %d. ", at+1, len(r.Approvals)+r.Needed)).Join(upper(r.plan())).Words(".")
	case person && (approved || strings.HasPrefix(text, "rejected plan ")):
		t := Words("")
		if simulated {
			t = Words("Simulated: ")
		}
		return t.Join(who(e.Who)).Words(" ").Join(ended(text, maxSentence))
	}
	return say(map[bool]string{true: "No plan", false: "Plan"}[strings.HasPrefix(text, "no plan")])
}

// asked reports the entry of a person who stops a run: it has not ended by that.
func asked(e incident.Entry) bool {
	return e.Kind == incident.KindRunEnded && e.Who != "" && e.Who != guardroomItself
}

func (s *speaker) aborts(e incident.Entry, r Run) Text {
	t := Words(r.prefix()).Join(who(e.Who)).Words(" aborts the " + strings.ToLower(r.what()[:1]) + r.what()[1:] + " of ").Join(name(r.Target))
	if r.AbortWhy != "" {
		t = t.Words(" (").Join(value(r.AbortWhy, maxName)).Words(")")
	}
	return t.Words(": it stops before its next change, and what is contained stays so.")
}

// calls reports a run that failed or was aborted, which people must learn of who
// do not look: they may have read that it was approved.
func (s *speaker) calls(e incident.Entry) bool {
	if e.Kind != incident.KindRunEnded || asked(e) {
		return false
	}
	if r, known := s.runOf(e); known && r.State.Ended() {
		return r.State.Bad() || r.State == RunAborted
	}
	return RunState(e.To).Bad() || RunState(e.To) == RunAborted
}

// runOf finds the run or the plan that an entry is about: the one whose id it
// names. What is said of a plan may name a run as well, which it is the undo of.
func (s *speaker) runOf(e incident.Entry) (Run, bool) {
	names := func(id string) bool { return id != "" && (e.To == id || e.From == id || strings.Contains(e.Text, id)) }
	runs := []func(r Run) bool{func(r Run) bool { return names(r.ID) }, func(r Run) bool { return names(r.Plan) || names(r.Digest) }}
	switch e.Kind {
	case incident.KindPlanWaits, incident.KindPlanExpires, incident.KindPlanDecided:
		runs = []func(r Run) bool{func(r Run) bool { return names(r.Plan) }, runs[1]}
	}
	for _, is := range runs {
		for _, r := range slices.Backward(s.runs) {
			if is(r) {
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
	case t.IsEmpty() && r.AbortedBy != "":
		return Words(r.prefix() + "No evidence was preserved: the run was aborted.")
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

// capital is a text of an entry with a capital at its beginning.
func capital(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || s[0] < 'a' || s[0] > 'z' || strings.HasPrefix(s, runPrefix) {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
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
		if len(r.Drift) > 0 {
			return Words(r.prefix() + "not any more: ").Join(r.drift())
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
