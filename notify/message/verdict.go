package message

import (
	"fmt"
	"slices"
	"strings"
)

// maxOpen is how many things that are not contained a sentence names, and how
// many steps that failed.
const maxOpen = 3

// verdict is what holds after a run that did not end well, in one sentence, the
// most important first: is the resource contained or not? It is empty for a run
// that ended well, and for one that was to contain nothing and was not aborted.
func (r Run) verdict() Text {
	aborted, contains := r.State == RunAborted, r.What == "Containment"
	if !aborted && (!contains || !r.State.Bad()) {
		return Text{}
	}
	t := Words(r.prefix())
	if aborted {
		t = t.Join(r.aborted()).Words(": ")
	}
	switch {
	case !contains:
		return t.Words(strings.ToLower(r.what()[:1]) + r.what()[1:] + " of ").Join(name(r.Target)).Words(" is not complete")
	case r.Contained && r.incomplete() > 0:
		return t.Join(name(r.Target)).Words(" is contained" + r.inPart() + ". Evidence is incomplete: ").Join(r.failed())
	case r.Contained:
		t = t.Join(name(r.Target)).Words(" is contained" + r.inPart())
		if n := r.failed(); !n.IsEmpty() {
			t = t.Words(", and ").Join(n)
		}
		return t
	}
	return t.Join(name(r.Target)).Words(" is NOT contained").Join(r.because(aborted))
}

// inPart is what must be added where the containment is not whole.
func (r Run) inPart() string {
	if r.InPart {
		return " in part"
	}
	return ""
}

// aborted says who stopped it, and why.
func (r Run) aborted() Text {
	t := Words("Aborted")
	if r.AbortedBy != "" {
		t = t.Words(" by ").Join(who(r.AbortedBy))
	}
	if r.AbortWhy != "" {
		t = t.Words(" (").Join(value(r.AbortWhy, maxName)).Words(")")
	}
	return t
}

// because says what is open, or else why nothing was contained.
func (r Run) because(aborted bool) Text {
	open := slices.Clone(r.StillOpen)
	open = slices.DeleteFunc(open, func(s string) bool { return !strings.Contains(s, " is open") })
	switch {
	case len(open) > 0:
		return Words(": ").Join(join(some(open, maxOpen, func(s string) Text { return value(s, maxName) }), ", "))
	case aborted:
		return Text{}
	}
	if bad := r.failures(len(r.Steps)); len(bad) > 0 {
		// What was only to mark or to protect is no reason, where something is.
		s := bad[max(0, slices.IndexFunc(bad, func(s RunStep) bool { return s.Contains }))]
		t := Words(": ").Join(value(s.Title, maxName))
		if s.Message != "" {
			t = t.Words(": ").Join(value(strings.TrimRight(s.Message, ". "), maxSentence))
		}
		return t
	}
	if r.Summary != "" {
		return Words(": ").Join(value(strings.TrimRight(r.Summary, ". "), maxSentence))
	}
	return Text{}
}

// incomplete counts the steps that were to preserve something and failed.
func (r Run) incomplete() int {
	n := 0
	for _, s := range r.Steps {
		if s.Preserves && s.State.Bad() {
			n++
		}
	}
	return n
}

// failed counts what failed and names the groups: 7 forensic steps failed
// (screenshot, snapshot locks).
func (r Run) failed() Text {
	n := 0
	var groups []string
	forensic := r.incomplete() > 0
	for _, s := range r.Steps {
		if !s.State.Bad() || forensic && !s.Preserves {
			continue
		}
		n++
		if !slices.Contains(groups, s.Stage) {
			groups = append(groups, s.Stage)
		}
	}
	if n == 0 {
		return Text{}
	}
	what := count(n, "step", "steps")
	if forensic {
		what = count(n, "forensic step", "forensic steps")
	}
	return Words(fmt.Sprintf("%s failed (", what)).Join(join(some(groups, 2*maxOpen, name), ", ")).Words(")")
}

// holdsData reports whether something was preserved beside the finding and
// descriptions of the resource, which prove how it was and not what it held.
func (r Run) holdsData() bool {
	return slices.ContainsFunc(r.Evidence, func(e RunEvidence) bool {
		return e.Kind != "finding" && e.Kind != "before image" && e.Kind != "metadata" && e.Kind != "configuration"
	})
}
