package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// responding is an app that carries out runs on a simulated world.
type responding struct {
	*App
	world *sim.World
}

// start is what is not usual about one.
type start struct {
	config  *config.Config
	world   *sim.World // that others may share; nil: the attacked one, of its own
	confirm Confirmer
	log     *slog.Logger
	ready   func(a *App) // is called before it begins to work
}

// startResponding starts an app that works until the end of the test.
func startResponding(t testing.TB, s start) responding {
	t.Helper()
	if s.config == nil {
		s.config = respondConfig(ownStore(t), "one")
	}
	if s.world == nil {
		s.world = simWorld(t, sim.Options{}, attackWorld)
	}
	a, err := New(t.Context(), s.config, Options{Mode: ModeServe, Responses: s.world.AWS(), Confirm: s.confirm, Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.ready != nil {
		s.ready(a)
	}
	ctx := context.WithoutCancel(t.Context())
	stop := carryingOut(ctx, a)
	t.Cleanup(func() {
		stop()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return responding{a, s.world}
}

// carryingOut lets an app carry out runs until it is stopped.
func carryingOut(ctx context.Context, a *App) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); a.respond(ctx) }()
	return func() {
		cancel()
		<-done
	}
}

// respondingApp is one in front of the attacked world, with another configuration.
func respondingApp(t testing.TB, storeURL string, change func(c *config.Config), confirm Confirmer) responding {
	t.Helper()
	if storeURL == "" {
		storeURL = ownStore(t)
	}
	cfg := respondConfig(storeURL, "one")
	if change != nil {
		change(cfg)
	}
	return startResponding(t, start{config: cfg, confirm: confirm})
}

// ownStore is the URL of a store that is the test's own.
func ownStore(t testing.TB) string { return "sqlite:" + t.TempDir() + "/g.db" }

// simWorld is a world that runs at the speed of the tests, unless another is
// named. Where build is nil it is as its file says.
func simWorld(t testing.TB, o sim.Options, build func(e *sim.Editor)) *sim.World {
	t.Helper()
	o.Speed = cmp.Or(o.Speed, speed)
	o.Clock = playbook.Real{Scale: o.Speed}
	w, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if build == nil {
		return w
	}
	if err := w.Edit(build); err != nil {
		t.Fatal(err)
	}
	return w
}

// until waits until something is so, for longer than any machine needs. What it
// says where that never is may be pointers to what was seen last.
func until(t testing.TB, is func() bool, otherwise ...any) {
	t.Helper()
	for deadline := time.Now().Add(8 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so in time: %s", fmt.Sprintln(otherwise...))
		}
	}
}

func (r responding) take(t testing.TB, confirmed bool) {
	t.Helper()
	if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: minerFinding(), Confirmed: confirmed}); err != nil {
		t.Fatal(err)
	}
}

func (r responding) plan(t testing.TB) api.PlanDetail {
	t.Helper()
	p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run is a run as it is now.
func (r responding) run(t testing.TB, id respond.RunID) respond.RunRow {
	t.Helper()
	run, err := r.db.GetRun(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// ended waits for the end of a run.
func (r responding) ended(t testing.TB, id respond.RunID) (run respond.RunRow) {
	t.Helper()
	until(t, func() bool { run = r.run(t, id); return run.State.Ended() }, "the run has ended", &run)
	return run
}

// plans lists plans, the newest first.
func (r responding) plans(t testing.TB, f store.PlanFilter) []respond.PlanRow {
	t.Helper()
	list, err := r.db.Plans(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// waitPlan waits for the first plan.
func (r responding) waitPlan(t testing.TB) respond.PlanRow {
	t.Helper()
	var list []respond.PlanRow
	until(t, func() bool { list = r.plans(t, store.PlanFilter{}); return len(list) > 0 }, "a plan was made")
	return list[0]
}

// noWish waits until guardroom wishes for no plan any more: what it makes or
// approves by itself is made and approved by then.
func (r responding) noWish(t testing.TB) {
	t.Helper()
	until(t, func() bool { return len(r.wishes(t)) == 0 }, "no plan is wished for")
}

// triedInVain waits until guardroom has looked twice at a plan that it wishes for
// and does not make.
func (r responding) triedInVain(t testing.TB) {
	t.Helper()
	var list []store.Wish
	until(t, func() bool { list = r.wishes(t); return len(list) == 1 && list[0].Tries >= 2 }, "two looks came to nothing", &list)
}

// wishes are the plans that guardroom wants to make by itself.
func (r responding) wishes(t testing.TB) []store.Wish {
	t.Helper()
	list, err := r.db.DueWishes(t.Context(), time.Now().Add(1000*time.Hour), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
