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
	label := "will"
	for _, will := range changes(p) {
		s.screen.line(label, will)
		label = ""
	}
	s.screen.line("will not", few(p.WillNot, 2))
	if len(p.AlsoHits) > 0 {
		s.screen.line("also hits", few(p.AlsoHits, 2))
	}
	for _, x := range p.Guards {
		if x.Answer != respond.Pass {
			s.screen.line("mind", x.Name+": "+x.Why)
		}
	}
	s.screen.line("takes", cmp.Or(g.Expected, "a time that is not known")+fmt.Sprintf(" in AWS; here it is simulated, %.0f times faster", s.tempo))
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

// parts of a plan, by what people call them. What is in none has a part of its own.
var parts = []struct {
	name, leading string // the stage whose first step stands for the part
	stages        []string
}{
	{"protect", "protect", []string{"mark", "protect"}},
	{"isolate", "isolate", []string{"service", "groups", "open", "isolate", "close", "acl"}},
	{"preserve", "snapshot", []string{"volatile", "memory", "snapshot", "lock", "hash", "seal"}},
	{"examine", "workstation", []string{"workstation", "volume", "attach"}},
}

// changes are what a plan will change, in a handful of lines, each with the step
// that matters most.
func changes(p *respond.Plan) []string {
	type part struct {
		name, title string
		steps       int
	}
	var order []*part
	byName := map[string]*part{}
	for _, st := range p.Steps {
		if st.Effect == respond.NoChange {
			continue
		}
		name, leads := st.Stage, true
		for _, x := range parts {
			if slices.Contains(x.stages, st.Stage) {
				name, leads = x.name, x.leading == st.Stage
			}
		}
		now := byName[name]
		if now == nil {
			now = &part{name: name}
			byName[name] = now
			order = append(order, now)
		}
		now.steps++
		if leads && now.title == "" {
			now.title = st.Title
		}
	}
	var out []string
	for _, x := range order {
		text := strings.TrimSuffix(x.name+": "+x.title, ": ")
		if x.steps > 1 {
			text += fmt.Sprintf("; %d steps", x.steps)
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
