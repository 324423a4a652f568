package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
)

func TestStoppingDoesNotWaitForARunThatWaits(t *testing.T) {
	t.Parallel()
	// At the pace of the world: a snapshot takes an hour.
	w, err := sim.New(sim.Options{Clock: playbook.Real{}, Speed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Edit(func(e *sim.Editor) {
		attackWorld(e)
		for _, v := range e.VolumesOf(victimAccount, victimRegion, victimID) {
			e.ScriptSnapshots(victimAccount, victimRegion, v, sim.SnapshotScript{Takes: time.Hour})
		}
	}); err != nil {
		t.Fatal(err)
	}
	cfg := respondConfig("sqlite:"+t.TempDir()+"/g.db", "one")
	cfg.Worker.TimeScale = 1
	begin := func() *App {
		a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: w.AWS(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	waits := func(a *App, id respond.RunID, epoch int64) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			run, err := a.db.GetRun(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := a.db.Steps(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				if run.Epoch == epoch && s.State == playbook.Running && strings.HasPrefix(s.Name, "snapshot") && s.Progress.Unit == "percent" {
					return
				}
			}
			if time.Now().After(deadline) || run.State.Ended() {
				t.Fatalf("it does not wait for a snapshot: %+v", run)
			}
		}
	}
	first := begin()
	if _, err := first.Take(t.Context(), source.Input{Source: "sqs:main", Body: minerFinding(), Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	p, err := first.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, Playbook: "forensics"}, "kim")
	if err != nil {
		t.Fatal(err)
	}
	out, err := first.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	waits(first, out.Row.Run, 1)
	at := time.Now()
	if err := first.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if took := time.Since(at); took > 5*time.Minute {
		t.Errorf("stopping took %s", took)
	}
	second := begin()
	waits(second, out.Row.Run, 2) // it goes on where it was
	if err := second.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}
