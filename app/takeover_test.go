package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// A restart has the name of the earlier run, and takes up at once what that had
// taken from its queue without claiming it.
func TestARestartTakesUpWhatItsEarlierRunHadTaken(t *testing.T) {
	url := postgresURL(t)
	run := func() *App {
		t.Helper()
		cfg := testConfig(t, url)
		cfg.Worker.ID = "host"
		a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Notifiers: map[string]notify.Notifier{"chat": &recorder{}}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := run()
	first.deliver.Destinations["chat"].Gate.Block(time.Now().Add(time.Hour))
	if err := first.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Take(t.Context(), source.Input{Source: "test", Body: testFinding(1, 1, 5, time.Now())}); err != nil {
		t.Fatal(err)
	}
	other := run() // host-2
	defer func() {
		if err := other.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	until(t, func() bool {
		taken, err := other.engine.Abandoned(func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		return len(taken) == 1
	}, "the first run takes it")
	if err := other.watch.earlier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.engine.Shutdown(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := first.db.Beat(t.Context(), first.watch.worker); err != nil { // its heartbeat is fresh
		t.Fatal(err)
	}
	first.delivering = false // and its row stays, as after a kill
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	second := run()
	defer func() {
		if err := second.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if second.watch.worker.Name() != "host" || second.watch.worker.ID == first.watch.worker.ID {
		t.Fatalf("the restart is %s, the earlier run was %s", second.watch.worker.ID, first.watch.worker.ID)
	}
	if err := second.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	var list []notify.Delivery
	until(t, func() bool {
		// The server may need a moment to see that the sessions ended.
		if err := second.watch.earlier(t.Context()); err != nil {
			t.Fatal(err)
		}
		var err error
		if list, err = second.db.Deliveries(t.Context(), store.DeliveryFilter{}); err != nil {
			t.Fatal(err)
		}
		return list[0].Status == notify.Delivered
	}, "it is taken up", &list)
	workers, err := second.db.Workers(t.Context())
	if err != nil || len(workers) != 1 || workers[0].ID != second.watch.worker.ID || list[0].Generation != 2 {
		t.Errorf("%+v %+v %v", workers, list, err)
	}
}

// A worker that never comes back had taken an item from its queue and waited for
// the destination's pace: the delivery was not claimed yet, so its row names
// nobody.
func TestAnotherWorkerTakesOverWhatWasTakenButNotClaimed(t *testing.T) {
	url := postgresURL(t)
	worker := func(id string, r *recorder) *App {
		t.Helper()
		cfg := testConfig(t, url)
		cfg.Worker.ID = id
		a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Notifiers: map[string]notify.Notifier{"chat": r}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first, second := worker("first", &recorder{}), worker("second", &recorder{})
	defer func() {
		if err := second.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	first.deliver.Destinations["chat"].Gate.Block(time.Now().Add(time.Hour))
	if err := first.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Take(t.Context(), source.Input{Source: "test", Body: testFinding(1, 1, 5, time.Now())}); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		taken, err := second.engine.Abandoned(func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		return len(taken) == 1
	}, "the first worker takes it")
	if err := second.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	// While the first one lives nothing is taken from it.
	if err := second.watch.takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := second.db.Deliveries(t.Context(), store.DeliveryFilter{})
	if err != nil || len(list) != 1 || list[0].Generation != 1 || list[0].Worker != "" {
		t.Fatalf("%+v %v", list, err)
	}
	if err := first.engine.Shutdown(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := second.watch.takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stuck, err := second.WaitDelivered(t.Context(), nil); err != nil || stuck != 0 {
		t.Fatal(stuck, err)
	}
	list, err = second.db.Deliveries(t.Context(), store.DeliveryFilter{})
	if err != nil || list[0].Generation != 2 || list[0].Status != notify.Delivered {
		t.Errorf("%+v %v", list, err)
	}
	left, err := second.engine.Abandoned(func(string) bool { return false })
	if err != nil || len(left) != 0 {
		t.Errorf("it is found again: %+v %v", left, err)
	}
}

// A run is made, and taken from the queue by a worker that is lost, while another
// one looks for what lost workers left: it is neither begun twice nor forgotten.
func TestARunThatIsMadeDuringATakeoverIsNotForgotten(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	world := attackedWorld(t, "")
	cfg := respondConfig(url, "lost")
	cfg.Worker.Lease = config.Duration(1000 * time.Hour) // nobody else takes over on its own
	lost, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: world.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	// It takes runs from the queue and never begins them.
	err = lost.engine.Launch(func(context.Context, durable.Item) error { return nil }, func(ctx context.Context, _ durable.RunItem) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg = respondConfig(url, "other")
	other, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: world.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	dead := responding{lost, world}
	start := func(n incident.Number) respond.RunID {
		t.Helper()
		p := dead.planOf(t, api.PlanRequest{Incident: n, Playbook: ec2.Name})
		got, err := lost.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
		if err != nil {
			t.Fatal(err)
		}
		until(t, func() bool {
			taken, err := other.engine.AbandonedRuns(func(string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(taken, func(a durable.AbandonedRun) bool { return a.Run == string(got.Row.Run) })
		}, "the lost worker takes it")
		return got.Row.Run
	}
	dead.take(t, true)
	ids := dead.hosts(t, 1)
	dead.takeBody(t, bytes.ReplaceAll(bytes.ReplaceAll(minerFinding(), []byte(victimID), []byte(ids[0])), []byte("0f1e2d3c4b5a69788796a5b4c3d2e1f0"), fmt.Appendf(nil, "%032x", 0xc1)), true)
	first := start(1)
	// The row of the first one names its worker, as if it had been begun, so that
	// whoever looks asks whether that lives, in between.
	if err := lost.db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.TakeRun(t.Context(), first, lost.db.executor); return err }); err != nil {
		t.Fatal(err)
	}
	var second respond.RunID
	alive := func(executor string) bool {
		if second == "" {
			second = start(2)
		}
		return executor != lost.db.executor
	}
	if err := other.watch.takeOverRuns(t.Context(), alive); err != nil {
		t.Fatal(err)
	}
	if second == "" {
		t.Fatal("nothing happened in between: the case proves nothing")
	}
	if err := lost.engine.Shutdown(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := lost.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := other.watch.takeOverRuns(t.Context(), func(executor string) bool { return executor != lost.db.executor }); err != nil {
		t.Fatal(err)
	}
	if err := other.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []respond.RunID{first, second} {
		if run := (responding{other, world}).ended(t, id); run.State != respond.RunCompleted || run.Generation < 2 {
			t.Errorf("%+v", run)
		}
	}
	left, err := other.engine.AbandonedRuns(func(string) bool { return false })
	if err != nil || len(left) != 0 {
		t.Errorf("items are found again: %+v %v", left, err)
	}
}
