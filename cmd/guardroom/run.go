package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/respond"
)

// RunCmd is about plans that are carried out, or were.
type RunCmd struct {
	List  RunListCmd  `cmd:"" help:"List runs, newest first."`
	Show  RunShowCmd  `cmd:"" help:"Show how a run stands."`
	Watch RunWatchCmd `cmd:"" help:"Follow a run until it ends. Ctrl-C leaves it running."`
	Abort RunAbortCmd `cmd:"" help:"Stop a run before its next change; what is contained stays so."`
	Undo  RunUndoCmd  `cmd:"" help:"Make the plan that undoes a run; it is approved as any other."`
}

func runPath(id string) string { return "/v1/runs/" + url.PathEscape(id) }

// RunListCmd lists runs.
type RunListCmd struct {
	Incident string   `help:"Incident, as INC-42." group:"filter"`
	State    []string `help:"queued, running, completed, part failed, failed, aborted or undone." group:"filter" values:"queued,running,completed,part failed,failed,aborted,undone"`
	Limit    int      `help:"At most so many." default:"50" group:"filter"`
}

// Run lists runs.
func (c *RunListCmd) Run(ctx context.Context, e *env) error {
	q := query("incident", c.Incident, "state", strings.Join(c.State, ","))
	return e.withClient(ctx, func(cl *api.Client) error {
		t := newTable("run", "state", "incident", "playbook", "target", "begun", "result").
			wrap().below("result", "target", "playbook")
		fetch := func(q url.Values) ([]respond.RunRow, error) {
			var list api.RunList
			err := cl.Do(ctx, "GET", "/v1/runs", q, nil, &list)
			if n := len(list.Runs); n > 0 {
				q.Set("before", string(list.Runs[n-1].ID))
			}
			return list.Runs, err
		}
		n, err := pages(e, c.Limit, fetch, q, func(r respond.RunRow) error {
			if e.JSON {
				return e.object(r)
			}
			t.row(string(r.ID), runState(r), r.Incident.String(), playbookWords(r.Playbook, r.UndoOf), targetWords(r.Target), e.moment(r.CreatedAt), r.Summary)
			return nil
		})
		if err != nil {
			return err
		}
		return e.list(t, n, "no runs here: approving a plan starts one")
	})
}

func runState(r respond.RunRow) string {
	if r.Simulated {
		return string(r.State) + ", simulated"
	}
	return string(r.State)
}

// RunShowCmd shows one.
type RunShowCmd struct {
	ID string `arg:"" help:"Run."`
}

// Help shows examples.
func (RunShowCmd) Help() string {
	return "Examples:\n  guardroom run show run_01k2wxk7n5s6p4q3r2t1v0w9xy\n  guardroom run show run_01k2wxk7n5s6p4q3r2t1v0w9xy --json"
}

// Run shows a run.
func (c *RunShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d api.RunDetail
		if err := cl.Do(ctx, "GET", runPath(c.ID), nil, nil, &d); err != nil {
			return err
		}
		if e.JSON {
			return e.object(d)
		}
		if d.Progress.Next == "guardroom run show "+string(d.Run.ID) {
			d.Progress.Next = "" // it is what was just asked for
		}
		for _, l := range e.runLines(d.Progress) {
			e.printf("%s\n", l)
		}
		e.runEnd(d.Progress)
		if !d.Run.State.Ended() {
			e.whileOff(ctx, cl)
		}
		return nil
	})
}

// RunAbortCmd aborts.
type RunAbortCmd struct {
	ID     string `arg:"" help:"Run."`
	Reason string `required:"" help:"Reason, for those who ask later."`
}

// Help shows examples.
func (RunAbortCmd) Help() string {
	return "What is contained stays contained; what the run had opened is closed.\n\nExamples:\n  guardroom run abort run_01k2wxk7n5s6p4q3r2t1v0w9xy --reason \"wrong host\""
}

// Run aborts a run.
func (c *RunAbortCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var r respond.RunRow
		if err := cl.Do(ctx, "POST", runPath(c.ID)+"/abort", nil, api.Reason{Reason: c.Reason}, &r); err != nil {
			return err
		}
		if e.JSON {
			return e.object(r)
		}
		if r.State.Ended() {
			e.printf("%s is %s\n", clean(string(r.ID)), r.State)
			return nil
		}
		e.printf("%s stops before its next change; what is open is closed, what is contained stays so\n", clean(string(r.ID)))
		return nil
	})
}

// RunUndoCmd prepares the undo.
type RunUndoCmd struct {
	ID string `arg:"" help:"Run."`
}

// Help shows examples.
func (RunUndoCmd) Help() string {
	return "Snapshots and sealed evidence stay. What a colleague changed since is not overwritten.\n\nExamples:\n  guardroom run undo run_01k2wxk7n5s6p4q3r2t1v0w9xy"
}

// Run makes the plan that undoes a run, and prints it.
func (c *RunUndoCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d api.PlanDetail
		if err := cl.Do(ctx, "POST", runPath(c.ID)+"/undo", nil, nil, &d); err != nil {
			return err
		}
		if err := e.showPlan(ctx, cl, d); err != nil {
			return err
		}
		return refusal(d)
	})
}

// runLines are a run and its steps, one a line.
func (e *env) runLines(g respond.Progress) []string {
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
	out = append(out, oneLine(summaryOf(g)), "")
	widest := 0
	for _, s := range g.Steps {
		widest = max(widest, len(s.State))
	}
	for _, s := range g.Steps {
		line := s.State.Glyph() + " " + pad(string(s.State), widest) + "  " + s.Title
		if t := s.Text(); t != "" {
			line += ": " + t
		}
		if g.DryRun {
			line = "dry run  " + line
		}
		out = append(out, oneLine(line))
	}
	return out
}

// summaryOf says how far a run is: 3 of 7 steps, 12 s, expected about 9 to 25 min.
func summaryOf(g respond.Progress) string {
	s := fmt.Sprintf("%d of %s", g.Done, plural(g.Total, "step"))
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
		e.block("contained", words+", as a second look at AWS has shown")
	}
	e.items("still open", g.StillOpen, "")
	var kept, gaps []string
	for _, i := range latest(g.Evidence) {
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
