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
	for _, l := range e.wrapped(planHead(row, p, g)) {
		e.printf("%s\n", l)
	}
	if p == nil {
		return
	}
	e.printf("\n")
	if len(p.Steps) > 0 {
		e.steps(p)
		e.printf("\n")
	}
	e.items("refused", guards(p, respond.Refuse), "")
	e.items("left out", p.LeftOut, "")
	if row.State != respond.PlanRefused { // whom it needs is of no use where nobody can approve it
		e.items("mind", guards(p, respond.Warn), "")
	}
	e.items("checked", checked(p), "")
	e.items("will not", p.WillNot, "")
	e.items("also hits", p.AlsoHits, "nothing")
	e.items("for ever", p.Irreversible, "")
	e.items("by hand", p.Manual, "")
	e.block("takes", g.Expected)
	e.block("undo", p.Undo)
	cost := g.Cost
	if p.CostWhy != "" {
		cost = strings.TrimPrefix(cost+", "+p.CostWhy, ", ")
	}
	e.block("cost", cost)
	e.block("evidence", p.Keeping.String())
	e.decisions(row)
}

// guards are the words of those that gave this answer.
func guards(p *respond.Plan, answer respond.Answer) []string {
	var out []string
	for _, g := range p.Guards {
		if g.Answer == answer {
			out = append(out, guardWords(g))
		}
	}
	return out
}

// checked are the words of guards that found what a person may want to know.
func checked(p *respond.Plan) []string {
	var out []string
	for _, g := range p.Guards {
		if g.Answer == respond.Pass && g.Why != "" {
			out = append(out, guardWords(g))
		}
	}
	return out
}

// wrapped puts parts on one line, and on more where a terminal is too narrow.
func (e *env) wrapped(parts []string) []string {
	lines := []string{parts[0]}
	for _, p := range parts[1:] {
		last := &lines[len(lines)-1]
		if longer := *last + "   " + p; e.width == 0 || width.Of(longer) <= e.width {
			*last = longer
			continue
		}
		lines = append(lines, indent+p)
	}
	return lines
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
		if n := len(p.Parts) - 1; n > 0 { // the target is one of them
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
		r := [4]string{strconv.Itoa(turn[s.ID]), oneLine(s.Stage), oneLine(respond.StepTitle(p, s)), oneLine(string(s.Effect))}
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
	under := strings.Repeat(" ", len(lead)+2+widths[0]+2+widths[1]+2)
	for n, r := range rows {
		titles, effect := []string{r[2]}, r[3]
		if e.width > 0 {
			titles = breakLines(r[2], widths[2])
		}
		if a := oneLine(list[n].Approval); a != "" && e.width == 0 {
			effect += "   APPROVAL: " + a
		} else if a != "" {
			titles = append(titles, breakLines("APPROVAL: "+a, e.width-len(under))...)
		}
		e.printf("%s\n", strings.TrimRight(fmt.Sprintf("%s  %s%s  %s  %s  %s", lead, strings.Repeat(" ", widths[0]-len(r[0])), r[0], pad(r[1], widths[1]), pad(titles[0], widths[2]), effect), " "))
		for _, t := range titles[1:] {
			e.printf("%s%s\n", under, t)
		}
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

// block prints a label and its text, broken to the width of a terminal; nothing
// where there is none.
func (e *env) block(label, text string) { e.labelled(label, text, "") }

// command prints a label and a command, never broken: it is there to be copied.
func (e *env) command(label, command string) {
	if command != "" {
		e.printf("%s%s\n", pad(label, labelled), oneLine(command))
	}
}

// items prints a label and its texts, each on a line of its own; none stands for
// none of them.
func (e *env) items(label string, texts []string, none string) {
	first := true
	for _, t := range texts {
		if e.labelled(label, t, indent) && first {
			label, first = "", false
		}
	}
	if first {
		e.block(label, none)
	}
}

// labelled prints a text behind a label, and what does not fit below it, indented.
// It reports whether there was one.
func (e *env) labelled(label, text, in string) bool {
	text = strings.TrimSpace(oneLine(text))
	if text == "" {
		return false
	}
	lines := []string{text}
	if e.width > 0 {
		lines = breakLines(text, max(e.width-labelled-len(in), wrapAt))
	}
	for i, l := range lines {
		if i > 0 {
			label, l = "", in+l
		}
		e.printf("%s%s\n", pad(label, labelled), l)
	}
	return true
}

// decisions prints what people decided, or until when they can.
func (e *env) decisions(row respond.PlanRow) {
	e.block("asked by", row.Requester)
	for _, a := range row.Approvals {
		words := fmt.Sprintf("by %s %s: %q", a.Who, clock(a.At), a.Reason)
		if a.Rule != "" {
			words = fmt.Sprintf("by the rule %s %s: %q", a.Rule, clock(a.At), a.Reason)
		}
		e.block("approved", words)
	}
	if row.Replaces != "" {
		e.block("replaces", "guardroom plan show "+string(row.Replaces))
	}
	switch row.State {
	case respond.PlanWaiting:
		left := row.ExpiresAt.Sub(e.now())
		when := clock(row.ExpiresAt) + " (in " + span(left) + ")"
		if left < 0 {
			when = clock(row.ExpiresAt) + ", which is over"
		}
		e.block("expires", when)
		e.command("approve", fmt.Sprintf("guardroom plan approve %s --digest %s --reason …", row.ID, short(row.Digest)))
	case respond.PlanApproved:
		e.command("run", "guardroom run watch "+string(row.Run))
	case respond.PlanRefused: // the guards say why
		e.block("so", "it cannot be approved; nothing was changed")
	default:
		why := string(row.State)
		if row.DecidedBy != "" {
			why += " by " + row.DecidedBy + " " + clock(row.DecidedAt)
		}
		if row.Why != "" {
			why += ": " + row.Why
		}
		e.block("so", why+"; nothing was changed")
	}
}
