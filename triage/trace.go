package triage

import (
	"fmt"
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
