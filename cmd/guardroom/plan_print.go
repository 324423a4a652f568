package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/width"
	"github.com/guardroom/guardroom/respond"
)

// short is the part of a digest that people see.
func short(digest string) string { return digest[:min(8, len(digest))] }

// clock is a time of the day.
func clock(t time.Time) string { return t.UTC().Format("15:04") + " UTC" }

// plan prints exactly what a plan would do, in the form of every surface.
func (e *env) plan(d api.PlanDetail) {
	row, p := d.Row, d.Plan
	g := respond.ProgressOfPlan(row, p, e.now())
	e.printf("%s\n", strings.Join(planHead(row, p, g), "   "))
	if p == nil {
		return
	}
	e.printf("\n")
	e.steps(p)
	e.printf("\n")
	e.block("will not", p.WillNot, "; ", "")
	e.block("also hits", p.AlsoHits, "; ", "nothing")
	for _, x := range p.Guards {
		if x.Answer != respond.Pass {
			e.block(map[respond.Answer]string{respond.Warn: "mind", respond.Refuse: "refused"}[x.Answer], []string{guardWords(x)}, "", "")
		}
	}
	e.block("for ever", p.Irreversible, "; ", "")
	for _, m := range p.Manual {
		e.block("by hand", []string{m}, "", "")
	}
	e.block("takes", []string{g.Expected}, "", "")
	e.block("undo", []string{p.Undo}, "", "")
	cost := g.Cost
	if p.CostWhy != "" {
		cost = strings.TrimPrefix(cost+", "+p.CostWhy, ", ")
	}
	e.block("cost", []string{cost}, "", "")
	e.decisions(row)
}

func planHead(row respond.PlanRow, p *respond.Plan, g respond.Progress) []string {
	word := "PLAN  "
	if p != nil && p.UndoOf != "" {
		word = "UNDO PLAN  "
	}
	head := []string{word + clean(string(row.ID)), "sha256:" + short(row.Digest)}
	if p != nil {
		target := p.Target.ID
		var more []string
		if p.Target.Name != "" && p.Target.Name != target {
			more = append(more, p.Target.Name)
		}
		if p.Target.Account != "" {
			more = append(more, p.Target.Account)
		}
		if len(more) > 0 {
			target += " (" + strings.Join(more, ", ") + ")"
		}
		if n := len(p.Parts); n > 0 {
			target += fmt.Sprintf(" and %d more", n)
		}
		head = append(head, "target "+clean(target))
	}
	if row.State == respond.PlanWaiting {
		head = append(head, plural(max(row.Needed, 1), "approval"))
	} else {
		head = append(head, string(row.State))
	}
	if g.DryRun {
		head[0] = "DRY RUN  " + head[0]
	}
	if g.Simulated {
		head[0] = "SIMULATED  " + head[0]
	}
	return head
}

func guardWords(g respond.Guard) string {
	s := g.Name
	if g.Why != "" {
		s += ": " + g.Why
	}
	if g.Hint != "" {
		s += " (" + g.Hint + ")"
	}
	return s
}

// steps prints the steps by the order in which they can begin: those with the
// same number go side by side.
func (e *env) steps(p *respond.Plan) {
	turn := turns(p)
	list := slices.Clone(p.Steps)
	slices.SortStableFunc(list, func(a, b respond.Step) int { return turn[a.ID] - turn[b.ID] })
	var rows [][4]string
	var widths [4]int
	for _, s := range list {
		r := [4]string{strconv.Itoa(turn[s.ID]), oneLine(s.Stage), oneLine(s.Title), oneLine(string(s.Effect))}
		if s.Approval != "" {
			r[3] += "   APPROVAL: " + oneLine(s.Approval)
		}
		for i := range r {
			widths[i] = max(widths[i], width.Of(r[i]))
		}
		rows = append(rows, r)
	}
	lead := ""
	if p.DryRun {
		lead = "dry run"
	}
	if e.width > 0 {
		room := e.width - len(lead) - 2 - widths[0] - 2 - widths[1] - 2 - widths[3] - 2
		widths[2] = min(widths[2], max(room, 30))
	}
	for _, r := range rows {
		title := r[2]
		if e.width > 0 {
			title = cutMiddle(title, widths[2])
		}
		e.printf("%s\n", strings.TrimRight(fmt.Sprintf("%s  %s%s  %s  %s  %s", lead, strings.Repeat(" ", widths[0]-len(r[0])), r[0], pad(r[1], widths[1]), pad(title, widths[2]), r[3]), " "))
	}
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width.Of(s))) }

// turns says which steps can begin at the same time: one more than the latest of
// those that a step comes after.
func turns(p *respond.Plan) map[string]int {
	out := map[string]int{}
	var turn func(s respond.Step, depth int) int
	turn = func(s respond.Step, depth int) int {
		if n, ok := out[s.ID]; ok || depth > len(p.Steps) {
			return n
		}
		n := 1
		for _, id := range slices.Concat(s.After, s.Needs) {
			if before, ok := p.Step(id); ok {
				n = max(n, turn(before, depth+1)+1)
			}
		}
		out[s.ID] = n
		return n
	}
	for _, s := range p.Steps {
		turn(s, 0)
	}
	return out
}

// labelled is how wide the labels below a plan or a run are.
const labelled = 11

// block prints a label and its texts, broken to the width of a terminal; nothing
// where there are none and nothing stands for none.
func (e *env) block(label string, texts []string, between, none string) {
	var parts []string
	for _, t := range texts {
		if t = strings.TrimSpace(oneLine(t)); t != "" {
			parts = append(parts, t)
		}
	}
	s := strings.Join(parts, between)
	if s == "" {
		s = none
	}
	if s == "" {
		return
	}
	lines := []string{s}
	if e.width > 0 {
		lines = breakLines(s, max(e.width-labelled, wrapAt))
	}
	for i, l := range lines {
		if i > 0 {
			label = ""
		}
		e.printf("%s%s\n", pad(label, labelled), l)
	}
}

// decisions prints what people decided, or until when they can.
func (e *env) decisions(row respond.PlanRow) {
	e.block("asked by", []string{row.Requester}, "", "")
	for _, a := range row.Approvals {
		words := fmt.Sprintf("by %s %s: %q", a.Who, clock(a.At), a.Reason)
		if a.Rule != "" {
			words = fmt.Sprintf("by the rule %s %s: %q", a.Rule, clock(a.At), a.Reason)
		}
		e.block("approved", []string{words}, "", "")
	}
	if row.Replaces != "" {
		e.block("replaces", []string{"guardroom plan show " + string(row.Replaces)}, "", "")
	}
	switch row.State {
	case respond.PlanWaiting:
		left := row.ExpiresAt.Sub(e.now())
		when := clock(row.ExpiresAt) + " (in " + span(left) + ")"
		if left < 0 {
			when = clock(row.ExpiresAt) + ", which is over"
		}
		e.block("expires", []string{when}, "", "")
		e.block("approve", []string{fmt.Sprintf("guardroom plan approve %s --digest %s --reason …", row.ID, short(row.Digest))}, "", "")
	case respond.PlanApproved:
		e.block("run", []string{"guardroom run watch " + string(row.Run)}, "", "")
	case respond.PlanRefused: // the guards say why
		e.block("so", []string{"it cannot be approved; nothing was changed"}, "", "")
	default:
		why := string(row.State)
		if row.DecidedBy != "" {
			why += " by " + row.DecidedBy + " " + clock(row.DecidedAt)
		}
		if row.Why != "" {
			why += ": " + row.Why
		}
		e.block("so", []string{why + "; nothing was changed"}, "", "")
	}
}
