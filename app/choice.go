package app

import (
	"fmt"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/respond"
)

// unplanned names what else a finding is about, which a plan for one resource
// does nothing about, with the command for each.
func unplanned(n incident.Number, plan *respond.Plan, others []respond.Target) []string {
	if len(plan.Parts) > 0 {
		return nil // it is about all of them
	}
	out := make([]string, len(others))
	for i, t := range others {
		out[i] = fmt.Sprintf("%s %s: guardroom plan create --incident %s --resource %s", respond.KindWords(t.Kind), t.ID, n, escape.ShellWord(t.ID))
	}
	return out
}
