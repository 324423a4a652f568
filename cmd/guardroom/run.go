package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/guardroom/guardroom/api"
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

// Help shows examples.
func (RunListCmd) Help() string {
	return "Examples:\n  guardroom run list --incident INC-42\n  guardroom run list --state running --json"
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
	ID    string `arg:"" help:"Run."`
	Steps bool   `help:"Show every step also of a long run."`
}

// Help shows examples.
func (RunShowCmd) Help() string {
	return "A long run is shown by its stages, with the steps that somebody should look at.\n\nExamples:\n  guardroom run show run_01k2wxk7n5s6p4q3r2t1v0w9xy\n  guardroom run show run_01k2wxk7n5s6p4q3r2t1v0w9xy --steps\n  guardroom run show run_01k2wxk7n5s6p4q3r2t1v0w9xy --json"
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
		e.run(d.Progress, c.Steps)
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
	return "What is contained stays contained; what the run had opened is closed.\n\nExamples:\n  guardroom run abort run_01k2wxk7n5s6p4q3r2t1v0w9xy --reason \"wrong host\"\n  guardroom run abort run_01k2wxk7n5s6p4q3r2t1v0w9xy --reason \"wrong host\" --json"
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
	return "Snapshots and sealed evidence stay. What a colleague changed since is not overwritten.\n\nExamples:\n  guardroom run undo run_01k2wxk7n5s6p4q3r2t1v0w9xy\n  guardroom run undo run_01k2wxk7n5s6p4q3r2t1v0w9xy --json"
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
