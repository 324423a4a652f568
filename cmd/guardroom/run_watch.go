package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/respond"
)

// RunWatchCmd follows a run.
type RunWatchCmd struct {
	ID string `arg:"" help:"Run."`
}

// Help says how it ends.
func (RunWatchCmd) Help() string {
	return "Redraws in place on a terminal, else prints a line for each change. Ctrl-C ends the watching only.\nExits with 1 when the run failed, part failed or was aborted."
}

// Run watches a run.
func (c *RunWatchCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error { return e.watch(ctx, cl, respond.RunID(c.ID)) })
}

// waitSeconds is how long one question about a run may wait for its answer.
const waitSeconds = "4"

// watch follows a run to its end, or until Ctrl-C.
func (e *env) watch(ctx context.Context, cl *api.Client, id respond.RunID) error {
	v := e.view()
	for version := int64(0); ; {
		var ev api.RunEvent
		err := cl.Do(ctx, "GET", runPath(string(id))+"/events", query("since", strconv.FormatInt(version, 10), "wait", waitSeconds), nil, &ev)
		if ctx.Err() != nil {
			if !e.JSON {
				e.say("the run goes on; guardroom run watch %s follows it again", clean(string(id)))
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.show(ev.Progress); err != nil {
			return err
		}
		version = ev.Version
		if ev.Run.State.Ended() {
			v.end(ev.Progress)
			if g := ev.Progress.State; g.Bad() || g == respond.WordAborted {
				e.failed = exitFailed
			}
			return nil
		}
	}
}

// view is a way to show a run as it goes on.
type view interface {
	show(g respond.Progress) error
	end(g respond.Progress)
}

func (e *env) view() view {
	switch {
	case e.JSON:
		return &jsonView{changes: changes{}, e: e}
	case e.width > 0 && os.Getenv("TERM") != "dumb":
		return &screenView{e: e, height: height(e)}
	}
	return &lineView{changes: changes{}, e: e}
}

// changes remembers what was shown of each step.
type changes map[string]respond.StepProgress

// of are the steps that stand otherwise than they were shown. That time passes
// is no change.
func (c changes) of(g respond.Progress) []respond.StepProgress {
	var out []respond.StepProgress
	for _, s := range g.Steps {
		same := s
		if !s.State.Ended() {
			same.Took, same.Slow = "", ""
		}
		if c[s.ID] == same {
			continue
		}
		_, shown := c[s.ID]
		c[s.ID] = same
		if shown || s.State != respond.WordWaiting {
			out = append(out, s)
		}
	}
	return out
}

// lineView prints one line for each change, with a time.
type lineView struct {
	changes
	e     *env
	state respond.Word
}

func (v *lineView) show(g respond.Progress) error {
	now := v.e.now().Format("15:04:05Z")
	lead := ""
	if g.DryRun {
		lead = "dry run  "
	}
	if g.Simulated {
		lead += "simulated  "
	}
	for _, s := range v.of(g) {
		line := fmt.Sprintf("%s  %s%s %s  %s", now, lead, s.State.Glyph(), pad(string(s.State), len("part failed")), s.Title)
		if t := s.Text(); t != "" {
			line += ": " + t
		}
		v.e.printf("%s\n", oneLine(line))
	}
	if g.State != v.state {
		v.state = g.State
		v.e.printf("%s\n", oneLine(fmt.Sprintf("%s  %s%s %s  %s, %s", now, lead, g.State.Glyph(), pad(string(g.State), len("part failed")), g.Run, summaryOf(g))))
	}
	return nil
}

func (v *lineView) end(g respond.Progress) { v.e.runEnd(g) }

// jsonView prints an object for each change: steps, and the run.
type jsonView struct {
	changes
	e     *env
	state respond.Word
}

// stepEvent and runEvent are the lines of run watch --json.
type stepEvent struct {
	Type string        `json:"type"` // step
	Run  respond.RunID `json:"run"`
	respond.StepProgress
}

type runEvent struct {
	Type string `json:"type"` // run
	respond.Progress
}

func (v *jsonView) show(g respond.Progress) error {
	for _, s := range v.of(g) {
		if err := v.e.object(stepEvent{Type: "step", Run: g.Run, StepProgress: s}); err != nil {
			return err
		}
	}
	if g.State == v.state {
		return nil
	}
	v.state = g.State
	return v.e.object(runEvent{Type: "run", Progress: g})
}

func (v *jsonView) end(respond.Progress) {}

// screenView redraws a run in place.
type screenView struct {
	e      *env
	height int
	drawn  int
}

// height is how many lines a terminal has.
func height(e *env) int {
	if f, ok := e.stdout.(*os.File); ok {
		if _, h, err := term.GetSize(int(f.Fd())); err == nil && h > 0 { //nolint:gosec // a descriptor
			return h
		}
	}
	return 24
}

func (v *screenView) show(g respond.Progress) error {
	lines := v.e.runLines(g)
	if !g.State.Ended() {
		lines = v.fit(lines, g)
		if g.Waits != "" {
			lines = append(lines, "", oneLine("waits for  "+g.Waits))
		}
	}
	v.draw(lines)
	return nil
}

// fit leaves out steps where the terminal is too low: what was drawn must not
// scroll away, or it could not be drawn over. Steps are then shown by stage.
func (v *screenView) fit(lines []string, g respond.Progress) []string {
	if len(lines)+3 < v.height {
		return lines
	}
	lines = slices.Clone(lines[:len(lines)-len(g.Steps)])
	for _, s := range g.Stages {
		line := fmt.Sprintf("%s %s  %d of %d  %s", s.State.Glyph(), s.Stage, s.Done, s.Total, s.State)
		if s.Percent >= 0 && !s.State.Ended() {
			line += fmt.Sprintf(", %d %%", s.Percent)
		}
		lines = append(lines, oneLine(line))
	}
	return lines[:min(len(lines), max(v.height-4, 1))]
}

func (v *screenView) draw(lines []string) {
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	b.WriteString("\r\x1b[J")
	for _, l := range lines {
		b.WriteString(cutMiddle(l, v.e.width-1) + "\n")
	}
	v.e.printf("%s", b.String())
	v.drawn = len(lines)
}

func (v *screenView) end(g respond.Progress) { v.e.runEnd(g) }
