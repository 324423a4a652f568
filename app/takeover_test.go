package app

import (
	"context"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
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
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(10 * time.Millisecond) {
		taken, err := other.engine.Abandoned(func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if len(taken) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first run takes nothing")
		}
	}
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
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		// The server may need a moment to see that the sessions ended.
		if err := second.watch.earlier(t.Context()); err != nil {
			t.Fatal(err)
		}
		var err error
		if list, err = second.db.Deliveries(t.Context(), store.DeliveryFilter{}); err != nil {
			t.Fatal(err)
		}
		if list[0].Status == notify.Delivered {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not taken up: %+v", list)
		}
	}
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
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(10 * time.Millisecond) {
		taken, err := second.engine.Abandoned(func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if len(taken) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first worker takes nothing")
		}
	}
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
