package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/width"
	"github.com/guardroom/guardroom/respond"
)

// fewSteps is how many steps of a run are shown at once; of more there are the
// stages, and the steps that somebody should look at.
const fewSteps = 12

// leastText is how narrow the text of a step becomes.
const leastText = 24

// run prints how a run stands: the whole, its stages, and steps. runEnd follows.
func (e *env) run(g respond.Progress, all bool) {
	for _, l := range e.runHead(g) {
		for n, l := range e.broken(l, width.Of(indent)) {
			if n > 0 {
				l = indent + l
			}
			e.printf("%s\n", l)
		}
	}
	steps := g.Steps
	if len(steps) > fewSteps {
		e.printf("\n")
		e.lines(stageLines(g))
		if !all {
			steps = slices.DeleteFunc(slices.Clone(steps), unremarkable)
		}
	}
	if len(steps) > 0 {
		e.printf("\n")
		brief := slices.Clone(steps)
		for i, s := range brief {
			if s.State.Bad() {
				brief[i].Message = "" // runEnd has it, with what is safe and what to do
			}
		}
		e.lines(stepLines(g, brief))
	}
	if len(steps) < len(g.Steps) {
		e.printf("\n")
		e.command("all steps", "guardroom run show "+string(g.Run)+" --steps")
	}
}

// unremarkable reports a step that went as it should, or was not begun.
func unremarkable(s respond.StepProgress) bool {
	switch s.State {
	case respond.WordCompleted, respond.WordUndone, respond.WordWaiting:
		return true
	case respond.WordSkipped:
		return strings.HasPrefix(s.Message, "not begun")
	}
	return false
}

// runLines are a run and its steps, one a line.
func (e *env) runLines(g respond.Progress) []string {
	return append(append(e.runHead(g), ""), joined(stepLines(g, g.Steps))...)
}

func (e *env) runHead(g respond.Progress) []string {
	// The state and the resource come first: a narrow terminal cuts what is behind.
	head := fmt.Sprintf("%s %s  ", g.State.Glyph(), g.State)
	if g.Simulated {
		head += "SIMULATED  "
	}
	head += strings.ToLower(g.What[:min(1, len(g.What))]) + g.What[min(1, len(g.What)):] + " of " + g.Target
	if g.DryRun {
		head = "dry run  " + head
	}
	where := string(g.Run)
	if g.Account != "" {
		where += " in " + g.Account
	}
	if g.Region != "" {
		where += " " + g.Region
	}
	out := []string{oneLine(head), oneLine(where)}
	if len(g.Approvals) > 0 {
		var who []string
		for _, a := range g.Approvals {
			who = append(who, a.Who+" "+clock(a.At))
		}
		out = append(out, oneLine(fmt.Sprintf("plan %s, requested by %s, approved by %s", g.Digest, g.Requester, strings.Join(who, ", "))))
	}
	return append(out, oneLine(summaryOf(g)))
}

// line is a row about a stage or a step: how it stands and for how long, in columns,
// and what it is.
type line struct{ columns, text string }

// stageLines are the stages of a run, as far as they are, and how long they took.
func stageLines(g respond.Progress) []line {
	rows := make([][]string, len(g.Stages))
	for i, s := range g.Stages {
		count := fmt.Sprintf("%d of %d", s.Done, s.Total)
		if s.Failed > 0 {
			count = fmt.Sprintf("%d of %d failed", s.Failed, s.Total)
		}
		text := respond.StageWords(s.Stage)
		if s.Percent >= 0 && !s.State.Ended() {
			text += fmt.Sprintf(", %d %%", s.Percent)
		}
		rows[i] = []string{sign(g, s.State), s.Took, count, text}
	}
	return columns(rows)
}

// stepLines are steps, how long each took, and what came of it.
func stepLines(g respond.Progress, steps []respond.StepProgress) []line {
	rows := make([][]string, len(steps))
	for i, s := range steps {
		text := s.Title
		if t := s.Text(); t != "" {
			text += ": " + t
		}
		took := s.Took
		if s.State == respond.WordSkipped {
			took = ""
		}
		rows[i] = []string{sign(g, s.State), took, text}
	}
	return columns(rows)
}

func sign(g respond.Progress, w respond.Word) string {
	if g.DryRun {
		return "dry run  " + w.Glyph() + " " + string(w)
	}
	return w.Glyph() + " " + string(w)
}

// columns aligns all but the last cells of rows; the second, a time, at its right. A
// column that nothing is in is left out.
func columns(rows [][]string) []line {
	out := make([]line, len(rows))
	if len(rows) == 0 {
		return out
	}
	last := len(rows[0]) - 1
	for c := range last {
		widest := 0
		for _, r := range rows {
			widest = max(widest, width.Of(r[c]))
		}
		if widest == 0 {
			continue
		}
		for i, r := range rows {
			cell := r[c]
			if space := strings.Repeat(" ", widest-width.Of(cell)); c == 1 {
				cell = space + cell
			} else {
				cell += space
			}
			out[i].columns += cell + strings.Repeat(" ", gap)
		}
	}
	for i, r := range rows {
		out[i].text = oneLine(r[last])
	}
	return out
}

func joined(list []line) []string {
	out := make([]string, len(list))
	for i, l := range list {
		out[i] = l.columns + l.text
	}
	return out
}

// lines prints rows. On a terminal a text that is too long goes on below itself.
func (e *env) lines(list []line) {
	for _, l := range list {
		at := width.Of(l.columns)
		for n, t := range e.broken(l.text, at) {
			if n == 0 {
				e.printf("%s%s\n", l.columns, t)
				continue
			}
			e.printf("%s%s\n", strings.Repeat(" ", at), t)
		}
	}
}

// broken is a text in lines that fit behind so many columns of a terminal.
func (e *env) broken(text string, behind int) []string {
	if e.width == 0 {
		return []string{text}
	}
	return breakLines(text, max(e.width-behind, leastText))
}

// summaryOf says how far a run is: 3 of 7 steps, 12 s, expected about 9 to 25 min.
func summaryOf(g respond.Progress) string {
	s := fmt.Sprintf("%d of %s", g.Done, plural(g.Total, "step"))
	bad := 0
	for _, step := range g.Steps {
		if step.State.Bad() {
			bad++
		}
	}
	if bad > 0 {
		s += fmt.Sprintf(" (%d failed)", bad)
	}
	if g.Took != "" {
		s += ", " + g.Took
	}
	switch {
	case g.State.Ended():
	case g.Slow != "":
		s += ", " + g.Slow
	case g.Expected != "":
		s += ", expected " + g.Expected
	}
	return s
}

// runEnd prints what a run leaves behind, and what helps now.
func (e *env) runEnd(g respond.Progress) {
	e.printf("\n")
	e.items("waits for", strings.Split(g.Waits, "; "), "")
	if g.AbortedBy != "" {
		e.block("aborted", "by "+g.AbortedBy+": "+g.AbortWhy)
	}
	var safe, hints []string // what holds for several errors is said once
	once := func(list []string, text string) []string {
		if text == "" || slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, s := range g.Steps {
		if s.State.Bad() {
			e.block("error", s.Title+": "+s.Message)
			safe, hints = once(safe, s.Safe), once(hints, s.Hint)
		}
	}
	for _, t := range safe {
		e.block("safe", t)
	}
	for _, t := range hints {
		e.block("hint", t)
	}
	if g.Contained {
		words := "yes"
		if len(respond.InPart(g.StillOpen)) > 0 {
			words = "in part"
		}
		words += ", as a second look at AWS has shown"
		if respond.LetOut(g.Drift) {
			words += "; since then it was changed, and does not hold"
		}
		e.block("contained", words)
	}
	e.items("changed", g.Drift, "")
	e.items("still open", g.StillOpen, "")
	var owed []string
	for _, o := range g.Owed {
		owed = append(owed, o.Words(e.now(), e.at))
	}
	e.items("owed", owed, "")
	var kept, gaps []string
	for _, i := range slices.SortedStableFunc(slices.Values(latest(g.Evidence)), evidence.InOrder) {
		kept = append(kept, evidenceWords(i))
	}
	for _, x := range g.Gaps {
		gaps = append(gaps, x.What+": "+x.Why)
	}
	e.items("evidence", kept, "")
	e.items("lacks", gaps, "")
	e.command("connect", g.Connect)
	e.block("cost", g.Cost)
	e.block("result", g.Summary)
	e.block("undone by", string(g.UndoneBy))
	e.command("next", g.Next)
}

// latest leaves out what a later step said anew of the same thing: a snapshot is
// recorded when it is asked for, when it is complete, and when it is hashed.
func latest(list []evidence.Item) []evidence.Item {
	at := map[string]int{}
	var out []evidence.Item
	for _, i := range list {
		key := i.Location
		if key == "" {
			key = "item " + i.ID
		}
		if n, ok := at[key]; ok {
			out[n] = i
			continue
		}
		at[key] = len(out)
		out = append(out, i)
	}
	return out
}
