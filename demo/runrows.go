package demo

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/guardroom/guardroom/respond"
)

// follow shows a run until it ends, from what the store says of it.
func (s *show) follow(ctx context.Context, id respond.RunID) (respond.RunRow, error) {
	began := s.opts.Now()
	v := runRows{show: s, began: began, named: began, every: 4 * time.Second, done: map[string]bool{}}
	if s.opts.Fast {
		v.every = time.Second
	}
	until := v.began.Add(2 * patience)
	for {
		run, err := s.room.Reader().GetRun(ctx, id)
		if err != nil {
			return run, err
		}
		row, p, err := s.storedPlan(ctx, run.Plan)
		if err != nil {
			return run, err
		}
		records, err := s.room.Reader().Steps(ctx, id)
		if err != nil {
			return run, err
		}
		v.rows(respond.ProgressOf(run, row, p, records, s.clock.Now()))
		switch {
		case s.screen.err != nil:
			return run, s.screen.err
		case run.State.Ended():
			return run, nil
		case s.opts.Now().After(until):
			return run, fmt.Errorf("the run %s does not end", id)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return run, err
		}
	}
}

// runRows says of a run what people look for, and each thing once.
type runRows struct {
	*show
	began     time.Time
	every     time.Duration // between two rows that only say how far it is
	told      time.Time
	percent   string
	done      map[string]bool // stages
	brief     []string        // stages that are done and not yet named
	steps     int             // of them
	named     time.Time       // when the last ones were
	contained time.Time       // when that was shown
	news      bool            // what the vendors say of it was shown
}

// together is for how long stages that are only counted are gathered into a row.
const together = time.Second

// labels of stages that get a row of their own; the others are only counted.
var labels = map[string]string{"workstation": "booted", "snapshot": "snapshots", "hash": "hashed", "attach": "attached", "terminate": "terminated", "seal": "sealed"}

func (v *runRows) rows(g respond.Progress) {
	var telling []respond.StageProgress
	for _, st := range g.Stages {
		if v.done[st.Stage] || !st.State.Ended() {
			continue
		}
		v.done[st.Stage] = true
		if labels[st.Stage] != "" && st.State != respond.WordSkipped {
			telling = append(telling, st)
			continue
		}
		v.brief = append(v.brief, st.Stage)
		v.steps += st.Total
	}
	now := v.opts.Now()
	contained := g.Contained && v.contained.IsZero()
	if len(v.brief) > 0 && (contained || len(telling) > 0 || g.State.Ended() || now.Sub(v.named) > together) {
		v.line("done", fmt.Sprintf("%s (%s)", strings.Join(v.brief, ", "), count(v.steps, "step", "steps")))
		v.brief, v.steps, v.named = nil, 0, now
	}
	if contained {
		v.contained = now
		v.line("contained", g.Target+" is contained, as a second look at AWS has shown")
		for _, open := range g.StillOpen {
			v.screen.line("still open", open)
		}
	}
	for _, st := range telling {
		v.stage(g, st)
	}
	if !v.news && !v.contained.IsZero() && now.Sub(v.contained) > time.Second {
		v.news = true
		v.show.rows(v.vendors.news())
	}
	v.percents(g)
	if g.State.Ended() {
		v.line(string(g.State), g.Summary)
	}
}

// line is a row with the time since the approval.
func (v *runRows) line(label, text string) {
	passed := v.opts.Now().Sub(v.began).Seconds()
	v.screen.mark = fmt.Sprintf("+%.0f s", passed)
	if passed < 9.95 {
		v.screen.mark = fmt.Sprintf("+%.1f s", passed)
	}
	v.screen.line(label, text)
}

// stage is what came of a stage, by the messages of its steps.
func (v *runRows) stage(g respond.Progress, st respond.StageProgress) {
	var said []string
	for _, step := range g.Steps {
		if step.Stage != st.Stage || step.Message == "" {
			continue
		}
		first, _, _ := strings.Cut(step.Message, "; ")
		if step.State != respond.WordCompleted && step.State != respond.WordUndone {
			first = string(step.State) + ": " + first
		}
		said = append(said, digests.ReplaceAllString(first, "$1"))
	}
	if st.Stage == "snapshot" || st.Stage == "workstation" {
		said = said[min(1, len(said)-1):] // the first one asked for it, the others had to wait
	}
	v.line(labels[st.Stage], cmp.Or(strings.Join(said, "; "), st.Stage))
}

// digests are SHA-256 in hex, of which sixteen digits are enough to look at.
var digests = regexp.MustCompile(`\b([0-9a-f]{16})[0-9a-f]{48}\b`)

// percents say how far the snapshots are, from time to time.
func (v *runRows) percents(g respond.Progress) {
	var parts []string
	for _, st := range g.Steps {
		if st.Stage == "snapshot" && !st.State.Ended() && st.Percent > 0 {
			parts = append(parts, fmt.Sprintf("%s %d %%", strings.TrimPrefix(st.ID, "snapshot/"), st.Percent))
		}
	}
	text := strings.Join(parts, ", ")
	now := v.opts.Now()
	if text == "" || text == v.percent || now.Sub(v.told) < v.every {
		return
	}
	v.percent, v.told = text, now
	v.line("snapshots", fmt.Sprintf("simulated, %.0fx faster: %s", v.tempo, text))
}
