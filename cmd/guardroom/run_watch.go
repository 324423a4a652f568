package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/guardroom/guardroom/respond"
)

// RunWatchCmd follows a run.
type RunWatchCmd struct {
	ID string `arg:"" help:"Run."`
}

// Help says how it ends.
func (RunWatchCmd) Help() string {
	return "Redraws in place on a terminal, else prints a line for each change. Ctrl-C ends the watching only.\nExits with 1 when the run failed, part failed or was aborted.\n\nExamples:\n  guardroom run watch run_01k2wxk7n5s6p4q3r2t1v0w9xy\n  guardroom run watch run_01k2wxk7n5s6p4q3r2t1v0w9xy --json"
}

// Run watches a run.
func (c *RunWatchCmd) Run(ctx context.Context, e *env) error {
	return e.watch(ctx, respond.RunID(c.ID))
}

// watch follows a run to its end, or until Ctrl-C. It connects by itself: a
// service that restarts meanwhile must find its store free.
func (e *env) watch(ctx context.Context, id respond.RunID) error {
	v := e.view()
	f := &follower{e: e, run: id, paused: v.paused, pause: 500 * time.Millisecond, patience: 10 * time.Minute}
	defer f.close()
	for version := int64(0); ; {
		ev, err := f.ask(ctx, version)
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
	// paused says that something else was printed.
	paused()
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

func (v *lineView) paused() {}

func (v *lineView) show(g respond.Progress) error {
	lead := ""
	if g.DryRun {
		lead = "dry run  "
	}
	if g.Simulated {
		lead += "simulated  "
	}
	known := map[string]bool{}
	for id := range v.changes {
		known[id] = true
	}
	list := v.of(g)
	at := func(s respond.StepProgress) time.Time { return happened(s, known[s.ID], v.e.now()) }
	slices.SortStableFunc(list, func(a, b respond.StepProgress) int { return at(a).Compare(at(b)) })
	for _, s := range list {
		line := fmt.Sprintf("%s  %s%s %s  %s", v.e.second(at(s)), lead, s.State.Glyph(), pad(string(s.State), len("part failed")), s.Title)
		if t := s.Text(); t != "" {
			line += ": " + t
		}
		if s.State.Ended() && s.State != respond.WordSkipped && s.Took != "" {
			line += ", " + s.Took
		}
		v.e.printf("%s\n", oneLine(line))
	}
	if g.State != v.state {
		v.state = g.State
		when := v.e.now()
		if !g.Ended.IsZero() {
			when = g.Ended
		}
		v.e.printf("%s\n", oneLine(fmt.Sprintf("%s  %s%s %s  %s, %s", v.e.second(when), lead, g.State.Glyph(), pad(string(g.State), len("part failed")), g.Run, summaryOf(g))))
	}
	return nil
}

// happened is when what a line says of a step happened: its end, its start, or now
// where it only went on.
func happened(s respond.StepProgress, known bool, now time.Time) time.Time {
	switch {
	case !s.Ended.IsZero():
		return s.Ended
	case !known && !s.Started.IsZero():
		return s.Started
	}
	return now
}

// second is a moment in the first column, with its date where it is not today's.
func (e *env) second(t time.Time) string {
	t = t.UTC()
	if !t.Truncate(24 * time.Hour).Equal(e.now().Truncate(24 * time.Hour)) {
		return t.Format("2006-01-02 15:04:05Z")
	}
	return t.Format("15:04:05Z")
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
func (v *jsonView) paused()              {}

// screenView redraws a run in place.
type screenView struct {
	e      *env
	height int
	drawn  int
}

// paused has the run be drawn anew below what was printed.
func (v *screenView) paused() { v.drawn = 0 }

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
		line := fmt.Sprintf("%s %s  %d of %d  %s", s.State.Glyph(), respond.StageWords(s.Stage), s.Done, s.Total, s.State)
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
