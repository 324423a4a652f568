package slack

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/guardroom/guardroom/notify/message"
)

const (
	maxRunHead    = 300
	maxRunStages  = 1200 // all lines of stages
	maxRunResult  = 2000 // all lines about what came of it
	maxRunNames   = 3    // running steps that a stage names
	maxRunName    = 90
	maxRunOutcome = 320 // one line
	maxRunItems   = 8   // items of evidence
)

// runColour is by the state of the run.
func runColour(s message.RunState) string {
	switch s {
	case message.RunRunning, message.RunUndoing:
		return amber
	case message.RunCompleted, message.RunUndone:
		return green
	case message.RunFailed, message.RunPartFailed, message.RunUnknown:
		return red
	}
	return grey
}

// glyphs are the signs of states; the word stands beside them.
var glyphs = map[message.RunState]string{
	message.RunNeedsApproval: "?", message.RunRunning: ">", message.RunCompleted: "+", message.RunFailed: "!", message.RunUnknown: "!",
	message.RunPartFailed: "!", message.RunSkipped: "=", message.RunAborted: "=", message.RunUndoing: "<", message.RunUndone: "<",
}

// runCard lays out a run: the headline above, the stages and what came of them
// beside a bar of colour.
func (n *Notifier) runCard(x message.Run, ageless bool) card {
	now := n.now()
	head := "*" + mrkdwn(x.Headline(), maxRunHead) + "*\n" + mrkdwn(x.Pace(now, ageless), maxRunHead)
	rest := attachment{Color: runColour(x.State)}
	add := func(lines []string) {
		if len(lines) > 0 {
			rest.Blocks = append(rest.Blocks, section(strings.Join(lines, "\n")))
		}
	}
	stages, outcome := runStages(x), runOutcome(x, n)
	add(stages)
	add(outcome)
	small := mrkdwn(x.Authority(now), maxContext) + " · " + mrkdwn(message.Value(x.ID), maxLine)
	if x.Next != "" {
		small += " · " + mrkdwn(x.Command(), maxLine)
	}
	rest.Blocks = append(rest.Blocks, block{Type: "context", Elements: []textObject{markup(small, maxSectionText)}})
	text := plain(x.Headline().Words(". ").Join(x.Pace(now, ageless)), maxSentence)
	simple := strings.Join(append([]string{head}, append(stages, outcome...)...), "\n")
	return card{text: text, simple: simple, blocks: []block{section(head)}, attachments: []attachment{rest}}
}

// runStages is a line for each stage, with what it waits for.
func runStages(x message.Run) []string {
	var lines []string
	room := maxRunStages
	for i, s := range x.Stages {
		l := runStage(x, s)
		if room -= utf8.RuneCountInString(l) + 1; room < 20 && i < len(x.Stages)-1 {
			return append(lines, fmt.Sprintf("and %d more", len(x.Stages)-i))
		}
		lines = append(lines, l)
	}
	return lines
}

func runStage(x message.Run, s message.RunStage) string {
	glyph := "-"
	if g, ok := glyphs[s.State]; ok {
		glyph = g
	}
	l := "`" + entities(glyph) + "` " + line(s.Name, maxLabel) + ", " + line(string(s.State), maxLabel)
	if c := s.Count(); c != "" && s.State != message.RunWaiting {
		l += ", " + c
	}
	if s.State != message.RunRunning && s.State != message.RunUndoing {
		return l
	}
	named := 0
	for _, st := range x.Steps {
		if st.Stage != s.Name || st.State != s.State {
			continue
		}
		if named++; named > maxRunNames {
			continue
		}
		l += separator(named) + mrkdwn(st.Name(), maxRunName)
		if st.Percent >= 0 {
			l += fmt.Sprintf(" %d %%", st.Percent)
		}
	}
	if named > maxRunNames {
		l += fmt.Sprintf(" and %d more", named-maxRunNames)
	}
	return l
}

func separator(n int) string {
	if n == 1 {
		return ": "
	}
	return ", "
}

// runOutcome is what came of it, and the items of evidence once it has ended.
func runOutcome(x message.Run, n *Notifier) []string {
	var lines []string
	for _, t := range x.Outcome(n.now()) {
		lines = append(lines, mrkdwn(t, maxRunOutcome))
	}
	if !x.State.Ended() {
		return cutLines(lines, maxRunResult)
	}
	for i, e := range x.Evidence {
		if i == maxRunItems {
			lines = append(lines, fmt.Sprintf("and %d more items", len(x.Evidence)-i))
			break
		}
		if s := mrkdwn(e.Line(), maxLine); s != "" {
			lines = append(lines, "• "+s)
		}
	}
	return cutLines(lines, maxRunResult)
}

// cutLines keeps whole lines within a limit.
func cutLines(lines []string, room int) []string {
	for i, l := range lines {
		if room -= utf8.RuneCountInString(l) + 1; room < 0 {
			return append(lines[:i:i], "…")
		}
	}
	return lines
}
