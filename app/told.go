package app

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/respond"
)

// The words of the entries that responses write into the timeline of an incident.
// Package message makes of them what Slack, Jira and PagerDuty say:
// TestPeopleAreToldWhatTheProgramWrites holds the two together.

// simulated begins the entry of a response that is simulated.
func simulated(is bool) string {
	if is {
		return message.SimulatedEntry
	}
	return ""
}

// sentence is a text with a capital at its beginning and a full stop at its end.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// planWords name a plan for people: by its digest, what it does and to what, and
// last by its id.
func planWords(row respond.PlanRow, p *respond.Plan) string {
	what := row.Playbook
	if row.UndoOf != "" {
		what = "UNDO of " + string(row.UndoOf)
	}
	target := row.Target
	if p != nil {
		target = respond.Subject(p)
	}
	return fmt.Sprintf("plan %s (%s on %s, %s)", row.Digest[:min(8, len(row.Digest))], what, target, row.ID)
}

// endedWords say how a plan ended without a run.
func endedWords(row respond.PlanRow) string {
	p, err := openPlan(row)
	if err != nil {
		p = nil // that it is broken is found where it is used
	}
	words := simulated(p != nil && p.Simulated)
	if row.State == respond.PlanRejected {
		return words + "rejected " + planWords(row, p) + because(row.Why)
	}
	return fmt.Sprintf("%s%s is %s%s", words, planWords(row, p), row.State, because(row.Why))
}

// expiresWords say that nobody has approved a plan yet, and soon nobody can.
func expiresWords(row respond.PlanRow) string {
	p, err := openPlan(row)
	if err != nil {
		p = nil
	}
	return fmt.Sprintf("%sthe approval of %s expires at %s", simulated(p != nil && p.Simulated), planWords(row, p), row.ExpiresAt.UTC().Format("15:04 UTC"))
}

// startedWords say that a run began.
func startedWords(run respond.RunRow) string {
	what := run.Playbook
	if run.UndoOf != "" {
		what = "UNDO of " + string(run.UndoOf)
	}
	return fmt.Sprintf("%s%s began: %s on %s", simulated(run.Simulated), run.ID, what, run.Target)
}

// sealedWords say what a manifest holds. Of an undo they say what stays: that run
// preserved nothing, and it gave up nothing but working copies.
func sealedWords(run respond.RunRow, m evidence.Manifest, sealed evidence.Sealed) string {
	manifest := fmt.Sprintf("manifest %d, sha256:%s", sealed.Revision, sealed.SHA256[:8])
	if run.UndoOf == "" {
		return fmt.Sprintf("evidence of %s sealed: %s, %s, %s", run.ID, respond.Count(len(m.Items), "item"), respond.Count(len(m.Gaps), "gap"), manifest)
	}
	gone := func(i evidence.Item) bool {
		return evidence.IsRemoved(i.Gap) || i.Location != "" && slices.ContainsFunc(m.Custody, func(c evidence.Custody) bool { return c.Action == "released" && c.From == i.Location })
	}
	stay, removed := 0, 0
	for _, i := range m.Items {
		if gone(i) {
			removed++
		} else {
			stay++
		}
	}
	verb := "stay"
	if stay == 1 {
		verb = "stays"
	}
	words := respond.Count(stay, "item of evidence", "items of evidence") + " " + verb + " sealed"
	if removed > 0 {
		words += "; " + respond.Count(removed, "working copy was removed", "working copies were removed")
	}
	return fmt.Sprintf("%s (%s, %s)", words, run.ID, manifest)
}
