package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/respond"
)

// plan reads a plan from the store and shows it in brief.
func (s *show) plan(ctx context.Context, id respond.PlanID) (respond.PlanRow, error) {
	row, p, err := s.storedPlan(ctx, id)
	if err != nil {
		return row, err
	}
	g := respond.ProgressOfPlan(row, p, s.clock.Now())
	words := "plan"
	if p.UndoOf != "" {
		words = "undo plan"
	}
	s.screen.line("plan", fmt.Sprintf("%s%s %s on %s, %s, sha256:%s", mark(p.Simulated), words, p.Playbook, g.Target, g.Account, g.Digest))
	for _, will := range changes(p) {
		s.screen.line("will", will)
	}
	s.screen.line("will not", few(p.WillNot, 3))
	if len(p.AlsoHits) > 0 {
		s.screen.line("also hits", few(p.AlsoHits, 2))
	}
	for _, x := range p.Guards {
		if x.Answer != respond.Pass {
			s.screen.line("mind", x.Name+": "+x.Why)
		}
	}
	s.screen.line("takes", "in AWS "+cmp.Or(g.Expected, "a time that is not known"))
	if g.Cost != "" {
		s.screen.line("costs", g.Cost)
	}
	s.screen.line("undo", firstSentence(p.Undo))
	s.screen.line("waits", "for "+g.Waits)
	return row, s.screen.err
}

// storedPlan is a plan as the store has it.
func (s *show) storedPlan(ctx context.Context, id respond.PlanID) (respond.PlanRow, *respond.Plan, error) {
	row, err := s.room.Reader().GetPlan(ctx, id)
	if err != nil {
		return row, nil, err
	}
	var p respond.Plan
	if err := json.Unmarshal(row.Bytes, &p); err != nil {
		return row, nil, fmt.Errorf("read the plan %s: %w", id, err)
	}
	return row, &p, nil
}

func mark(simulated bool) string {
	if simulated {
		return "SIMULATED  "
	}
	return ""
}

// changes are the stages of a plan that change anything, each by its first step.
func changes(p *respond.Plan) []string {
	var order []string
	steps := map[string][]respond.Step{}
	for _, st := range p.Steps {
		if st.Effect == respond.NoChange {
			continue
		}
		if steps[st.Stage] == nil {
			order = append(order, st.Stage)
		}
		steps[st.Stage] = append(steps[st.Stage], st)
	}
	var out []string
	for _, stage := range order {
		list := steps[stage]
		text := stage + ": " + list[0].Title
		if n := len(list) - 1; n > 0 {
			text += fmt.Sprintf(", and %d more", n)
		}
		out = append(out, text)
	}
	return out
}

func few(list []string, n int) string {
	if more := len(list) - n; more > 0 {
		return strings.Join(list[:n], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(list, "; ")
}

func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ": ")
	return first
}

// approve approves a plan by its digest, as a person who has read it.
func (s *show) approve(ctx context.Context, row respond.PlanRow, by, why string) (respond.RunID, error) {
	if _, err := s.room.Responses().ApprovePlan(ctx, row.ID, row.Digest, why, person(by)); err != nil {
		return "", err
	}
	row, err := s.room.Reader().GetPlan(ctx, row.ID)
	if err != nil {
		return "", err
	}
	for _, a := range row.Approvals {
		s.screen.line("approved", fmt.Sprintf("by %s, sha256:%s: %s", a.Who, a.Digest[:8], a.Reason))
	}
	if at := slices.IndexFunc(row.Approvals, func(a respond.Approval) bool { return a.Who == by }); at < 0 || row.Run == "" {
		return "", fmt.Errorf("the approval of plan %s by %s started no run", row.ID, by)
	}
	return row.Run, nil
}
