package respond

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/playbook"
)

// Holds reports whether a run contained something, by how its steps that contain
// have ended: all well, or all looks at the result well and another failed, which is
// in part, see LeftOver. It is false while one has not ended, and for an undo.
func Holds(p *Plan, state func(step string) playbook.State) bool {
	looks, did, failed := 0, 0, 0
	for _, s := range p.Steps {
		if !s.Contains {
			continue
		}
		switch is := state(s.ID); {
		case is == playbook.Completed && s.Effect == NoChange:
			looks++
		case is == playbook.Completed:
			did++
		case (is == playbook.Failed || is == playbook.Unknown) && s.Effect != NoChange:
			failed++
		default:
			return false
		}
	}
	return p.UndoOf == "" && looks+did > 0 && (failed == 0 || looks > 0 && did > 0)
}

// LeftOver is the line, as Verdict.String makes it, about a step that was to contain
// and failed, where the rest holds. It is empty for any other step, and for one that
// saved such a line itself.
func LeftOver(s Step, rec playbook.Record) string {
	if !s.Contains || s.Effect == NoChange || rec.State != playbook.Failed && rec.State != playbook.Unknown {
		return ""
	}
	var own []string
	if rec.Load(SavedStillOpen, &own); len(InPart(own)) > 0 {
		return ""
	}
	why := "this was not done"
	if m := strings.Trim(strings.TrimPrefix(rec.Message, s.Title), " :"); m != "" {
		why += ": " + m
	}
	return Verdict{What: s.Title, Word: Partly(why)}.String()
}

// InPart returns those lines of what is still open, as Verdict.String makes them,
// that say of something that it is isolated but in part: where there are any, the
// run has contained in part, and people must be told so.
func InPart(stillOpen []string) []string {
	var out []string
	for _, line := range stillOpen {
		if strings.Contains(line, " is "+partly) {
			out = append(out, line)
		}
	}
	return out
}

// ContainedWords is the line about a containment for people, short enough for a
// telephone: whether it is whole, or in part and what is left, whether it is proven,
// and what works all the same. target is what people call the resource.
func ContainedWords(target string, run RunID, stillOpen []string) string {
	text := target + " is contained, as a second look at AWS showed"
	if left := InPart(stillOpen); len(left) > 0 {
		for i, line := range left {
			what, why, _ := strings.Cut(line, " is "+partly)
			why, _, _ = strings.Cut(why, ": ")
			left[i] = what + ": " + clause(why)
		}
		text = target + " is contained in part: " + few(left)
	}
	var unproven, works []string
	proofs := ": "
	for _, line := range stillOpen {
		_, why, is := strings.Cut(line, " is "+notYet)
		switch {
		case strings.Contains(line, " is "+partly):
		case is:
			yet, why, _ := strings.Cut(strings.TrimSuffix(why, ")"), ": ")
			if yet != "" {
				proofs = yet + ": " // it may come
			}
			if why = clause(why); !slices.Contains(unproven, why) {
				unproven = append(unproven, why)
			}
		default:
			works = append(works, clause(line))
		}
	}
	if len(unproven) > 0 {
		text += "; not proven" + proofs + few(unproven)
	}
	if len(works) > 0 {
		text += "; what still works: " + few(works)
	}
	return fmt.Sprintf("%s (%s)", text, run)
}

// few names at most three things, and counts the others.
func few(list []string) string {
	more := ""
	if n := len(list) - 3; n > 0 {
		list, more = list[:3], fmt.Sprintf("; and %d more", n)
	}
	return strings.Join(list, "; ") + more
}

// clause is the first clause of a line, cut where that is long.
func clause(line string) string {
	if i := strings.IndexAny(line, ",;"); i > 0 {
		line = line[:i]
	}
	return escape.CutEnd(line, 80)
}
