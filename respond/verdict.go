package respond

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Verdict is what is known about one thing that a run cut off, such as a network
// interface.
type Verdict struct {
	What string `json:"what"` // eni-0c1
	// Word is isolated, "isolated (not proven: …)" with the reason, or begins with
	// "partly: " or "open: ".
	Word string `json:"word"`
	// Traffic is what goes through it although nothing should, at most a few lines,
	// made of addresses and numbers only.
	Traffic []string `json:"traffic,omitempty"`
	// By names the logs that show the Word, and until when they do, as in
	// "fl-0c1 until 12:00:00 UTC"; empty: there is none.
	By string `json:"by,omitempty"`
	// Until is until when the records of its traffic were looked at.
	Until time.Time `json:"until,omitzero"`
	// ProvenAt is when it was first proven that nothing goes through.
	ProvenAt time.Time `json:"proven_at,omitzero"`
	// Pending says that a proof may come: look again.
	Pending bool `json:"pending,omitempty"`
}

// Words of verdicts.
const (
	// Isolated is proven: the description says so, and the records of what went
	// through say nothing else.
	Isolated = "isolated"
	notYet   = "isolated (not proven"
	partly   = "partly: "
	open     = "open: "
)

// SavedVerdicts is the key under which a step keeps its []Verdict.
const SavedVerdicts = "verdicts"

// NotProven is the word for what is isolated by its description only.
func NotProven(why string) string { return notYet + ": " + why + ")" }

// NotYetProven is that word where the proof may come.
func NotYetProven(why string) string { return notYet + " yet: " + why + ")" }

// Partly is the word for what is isolated but for something.
func Partly(why string) string { return partly + why }

// Open is the word for what is not isolated.
func Open(why string) string { return open + why }

// IsOpen reports whether it is not isolated.
func (v Verdict) IsOpen() bool { return strings.HasPrefix(v.Word, open) }

// IsPartly reports whether it is isolated but for something.
func (v Verdict) IsPartly() bool { return strings.HasPrefix(v.Word, partly) }

// IsProven reports whether it is isolated, and proven to be.
func (v Verdict) IsProven() bool { return v.Word == Isolated }

// String is the verdict as a line: eni-0c1 is isolated.
func (v Verdict) String() string { return v.What + " is " + v.Word }

// VerdictsOf are those that the steps of a run gave, in the order of the plan.
func VerdictsOf(p *Plan, records map[string]playbook.Record) []Verdict {
	var out []Verdict
	for _, s := range p.Steps {
		var list []Verdict
		if records[s.ID].Load(SavedVerdicts, &list) {
			out = append(out, list...)
		}
	}
	return out
}

// Prove looks for proof that a containment holds: it asks the Prove of every
// action that has one, as Check does. now is the time of the look, and last what
// the look before found; what that knew and this does not ask about is left out.
// It changes nothing and may be repeated.
func Prove(ctx context.Context, a awscalls.AWS, actions Actions, p *Plan, records map[string]playbook.Record, now time.Time, last []Verdict) ([]Verdict, error) {
	var out []Verdict
	for _, s := range p.Steps {
		prove, rec := actions[s.Action].Prove, records[s.ID]
		if prove == nil || rec.State != playbook.Completed {
			continue
		}
		list, err := prove(lookingAt(ctx, a, s, p, records, now), last)
		if err != nil {
			return out, Explain(err, "look for proof at "+s.ID, "nothing was changed")
		}
		for i := range list {
			list[i].ProvenAt = provenAt(list[i], last, now)
		}
		out = append(out, list...)
	}
	return out, nil
}

func provenAt(v Verdict, last []Verdict, now time.Time) time.Time {
	if i := slices.IndexFunc(last, func(l Verdict) bool { return l.What == v.What }); i >= 0 && !last[i].ProvenAt.IsZero() {
		return last[i].ProvenAt
	}
	if v.IsProven() {
		return now
	}
	return time.Time{}
}

// Restate replaces, in what is still open, the lines of earlier verdicts by those
// of later ones. What is proven is no line.
func Restate(stillOpen []string, later []Verdict) []string {
	var out []string
	for _, v := range later {
		if !v.IsProven() {
			out = append(out, v.String())
		}
	}
	for _, line := range stillOpen {
		old := slices.ContainsFunc(later, func(v Verdict) bool {
			rest, ok := strings.CutPrefix(line, v.What+" is ")
			return ok && (strings.HasPrefix(rest, notYet) || strings.HasPrefix(rest, partly) || strings.HasPrefix(rest, open))
		})
		if !old {
			out = append(out, line)
		}
	}
	return out
}
