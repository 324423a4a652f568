package app

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

func TestAClockThatIsSetBackDelaysNoDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, url func() string) {
		var offset atomic.Int64
		now := func() time.Time { return time.Now().UTC().Add(time.Duration(offset.Load())).Truncate(time.Microsecond) }
		r := &recorder{fail: func(call int) error {
			if call == 1 {
				return &notify.Error{Class: notify.Retry, After: time.Hour, Reason: "rate_limited", Message: "not now"}
			}
			return nil
		}}
		a, err := New(t.Context(), testConfig(t, url()), Options{Mode: ModeServe, Now: now, Notifiers: map[string]notify.Notifier{"chat": r}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close(t.Context()) })
		if err := a.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		mono := time.Now()
		passed := time.Duration(0)
		c := &clockWatch{store: a.db.DB, wall: now, mono: func() time.Time { return mono.Add(passed) }, rearm: a.watch.rearm, log: slog.New(slog.DiscardHandler)}
		if err := c.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: testFinding(1, 1, 8, time.Now())}); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool {
			list, err := a.db.Deliveries(t.Context(), store.DeliveryFilter{Behind: true, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			return len(list) == 1 && list[0].Failures == 1
		}, "the first call has failed")
		offset.Store(int64(-24 * time.Hour))
		if err := c.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.WaitDelivered(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if r.calls != 2 {
			t.Errorf("%d calls", r.calls)
		}
		if report, err := a.VerifyAudit(t.Context()); err != nil || !report.OK() {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
