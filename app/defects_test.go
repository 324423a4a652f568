package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// GuardDuty repeats a finding whenever its count goes up: one incident, one plan,
// and nothing runs before somebody approves.
func TestDefect09TheSameFindingTwiceIsOnePlanAndStartsNothing(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Destinations = []config.Destination{}
		c.Routes = []config.Route{{Name: "hosts", When: `resource.kind == "instance"`, Stop: true, Playbook: "ec2-respond"}}
	}, func(context.Context, finding.ID) (bool, error) { return true, nil })
	r.take(t, true)
	r.waitPlan(t)
	for range 3 {
		r.take(t, true)
	}
	r.noWish(t)
	if list := r.plans(t, store.PlanFilter{}); len(list) != 1 || list[0].Run != "" {
		t.Errorf("%d plans: %+v", len(list), list)
	}
}

// A wait without an end is a run that hangs for days: every action has its time,
// and a step that would wait for ever fails when it is over, in words.
func TestDefect57EveryWaitHasADeadline(t *testing.T) {
	t.Parallel()
	const longest = 3 * 24 * time.Hour // a snapshot of the largest volume
	for name, a := range actions(nil) {
		if d := a.Options.Timeout; d < 0 || d > longest {
			t.Errorf("%s may take %s", name, d)
		}
	}
	forever := respond.NewActions([]respond.Action{{Name: "test.wait", Do: func(x *respond.Exec) (playbook.Outcome, error) {
		return playbook.Outcome{}, x.Poll(func() (bool, error) { return false, nil })
	}}})
	clock := playbook.NewVirtual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	run := playbook.Runner{Journal: &playbook.Memory{}, Clock: clock, Spread: func() float64 { return 0.5 }}
	begun := clock.Now()
	var records map[string]playbook.Record
	err := run.Run(t.Context(), func(c playbook.Context) (err error) {
		records, err = (&respond.Executor{Actions: forever}).Execute(c, "run_1", &respond.Plan{Steps: []respond.Step{{ID: "wait", Action: "test.wait", Title: "wait for what never comes"}}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := records["wait"]; r.State != playbook.Failed || !strings.Contains(r.Message, "without an end") || clock.Now().Sub(begun) > 2*time.Hour {
		t.Errorf("after %s it is %s: %s", clock.Now().Sub(begun), r.State, r.Message)
	}
}
