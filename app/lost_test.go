package app

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
)

// A worker's runs are one worker to people: the notice about a lost one names the
// worker, ends when any run of that name works, and with what is never seen again.
func TestALostWorkerIsToldByItsName(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time {
		return time.Now().UTC().Add(time.Duration(offset.Load())).Truncate(time.Microsecond)
	}
	a, err := New(t.Context(), testConfig(t, ""), Options{Mode: ModeServe, Now: now, Notifiers: map[string]notify.Notifier{"chat": &recorder{}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	look := func(want ...string) {
		t.Helper()
		if err := a.watch.lookWorkers(t.Context()); err != nil {
			t.Fatal(err)
		}
		open, err := a.db.OpenNotices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range open {
			got = append(got, n.Key+" "+n.Subject)
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("open are %q, want %q", got, want)
		}
	}
	beat := func(id string) {
		t.Helper()
		if err := a.db.Beat(t.Context(), store.Worker{ID: id, Mode: "serve", StartedAt: now()}); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(d time.Duration) { offset.Add(int64(d)) }

	beat("east/aa")
	beat("west/bb")
	look()
	pass(time.Hour)
	beat("west/bb")
	look("worker/east east")
	beat("east/cc") // the dead run's row is still there
	look()
	pass(time.Hour)
	look("worker/east east", "worker/west west")
	pass(22 * time.Hour)
	beat("west/dd")
	look("worker/east east")
	pass(2 * time.Hour)
	beat("west/dd")
	look() // east is spoken of no more
	workers, err := a.db.Workers(t.Context())
	if err != nil || len(workers) != 1 || workers[0].Name() != "west" || workers[0].Run() != "dd" {
		t.Errorf("%+v %v", workers, err)
	}
}
