package app

import (
	"context"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

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
