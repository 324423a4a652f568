package triage

import (
	"fmt"
	"slices"
	"strings"
)

// Step is one step of the way to a decision, kept with the finding's revision.
type Step struct {
	Stage    string            `json:"stage"`    // enrich, suppress, merge, route
	Decision string            `json:"decision"` // one word or two
	Reason   string            `json:"reason"`
	Details  map[string]string `json:"details,omitempty"`
}

// Explain writes the steps for people, one line each.
func Explain(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "%-9s %-14s %s\n", s.Stage, s.Decision, s.Reason)
	}
	return b.String()
}

// Diff says what is different in b compared with a, in one line each; none if
// nothing is.
func Diff(a, b Decision) []string {
	var out []string
	switch {
	case a.Suppressed != b.Suppressed && b.Suppressed:
		out = append(out, "would be suppressed by "+b.SuppressedBy)
	case a.Suppressed != b.Suppressed:
		out = append(out, "would no longer be suppressed by "+a.SuppressedBy)
	case a.SuppressedBy != b.SuppressedBy:
		out = append(out, fmt.Sprintf("would be suppressed by %s instead of %s", b.SuppressedBy, a.SuppressedBy))
	}
	for _, name := range b.Destinations {
		if !slices.Contains(a.Destinations, name) {
			out = append(out, "would go to "+name)
		}
	}
	for _, name := range a.Destinations {
		if !slices.Contains(b.Destinations, name) {
			out = append(out, "would no longer go to "+name)
		}
	}
	return out
}
