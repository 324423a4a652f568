package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/store"
)

// batches counts what each transaction enqueues, and fails when it is told to.
type batches struct {
	enqueuer
	last  *sql.Tx
	sizes []int
	limit int // items until it fails; 0: never
	done  int
}

var errCut = errors.New("cut short")

func (b *batches) Enqueue(ctx context.Context, tx *sql.Tx, destination string, item durable.Item, after time.Duration) error {
	if b.limit > 0 && b.done >= b.limit {
		return errCut
	}
	if tx != b.last {
		b.last, b.sizes = tx, append(b.sizes, 0)
	}
	b.done++
	b.sizes[len(b.sizes)-1]++
	return b.enqueuer.Enqueue(ctx, tx, destination, item, after)
}

func (b *batches) check(t *testing.T, total int) {
	t.Helper()
	sum := 0
	for _, n := range b.sizes {
		sum += n
		if n > batch {
			t.Errorf("one transaction armed %d deliveries", n)
		}
	}
	if sum != total {
		t.Errorf("%d deliveries were armed, want %d", sum, total)
	}
	b.sizes = nil
}

// put stores n deliveries to chat, of which nothing is shown yet.
func put(t *testing.T, a *App, n int, set func(k int, d *notify.Delivery)) {
	t.Helper()
	err := a.db.Write(t.Context(), func(tx *store.Tx) error {
		r := raiser{store: a.db.DB, engine: a.engine, newID: a.ids.New, tx: tx}
		for k := range n {
			d := r.newDelivery(message.KindIncident, fmt.Sprintf("subject-%d", k), "chat")
			d.Wanted, d.WantedAt, d.CreatedAt = 1, tx.Now(), tx.Now().Add(time.Duration(k)*time.Microsecond)
			set(k, &d)
			if err := tx.PutDelivery(t.Context(), d, true); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func counts(t *testing.T, a *App) map[notify.Status]int {
	t.Helper()
	all, err := a.db.CountDeliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all["chat"]
}

func TestAResumeTakesUpAnyNumberInSmallTransactions(t *testing.T) {
	onBoth(t, func(t *testing.T, url func() string) {
		a := testApp(t, testConfig(t, url()), map[string]notify.Notifier{"chat": &recorder{}})
		engine := &batches{enqueuer: a.engine}
		a.command.engine = engine
		const many = 2*batch + 100
		put(t, a, many, func(_ int, d *notify.Delivery) { d.Status = notify.Paused })
		if err := a.command.Pause(t.Context(), "chat", "ana", "moving"); err != nil {
			t.Fatal(err)
		}
		if n, err := a.command.takeUpPaused(t.Context(), "chat"); n != 0 || err != nil {
			t.Fatalf("a paused destination goes on: %d %v", n, err)
		}
		n, err := a.command.Resume(t.Context(), "chat", "ana")
		if err != nil || n != many {
			t.Errorf("%d were taken up, want %d: %v", n, many, err)
		}
		engine.check(t, many)
		if c := counts(t, a); c[notify.Pending] != many {
			t.Errorf("%v", c)
		}
	})
}

func TestAResumeThatIsCutShortIsFinishedByTheWatch(t *testing.T) {
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	engine := &batches{enqueuer: a.engine, limit: batch + 10}
	a.command.engine = engine
	const many = 2*batch + 100
	put(t, a, many, func(_ int, d *notify.Delivery) { d.Status = notify.Paused })
	if err := a.command.Pause(t.Context(), "chat", "ana", "moving"); err != nil {
		t.Fatal(err)
	}
	if n, err := a.command.Resume(t.Context(), "chat", "ana"); n != batch || !errors.Is(err, errCut) {
		t.Fatalf("%d %v", n, err)
	}
	if c := counts(t, a); c[notify.Paused] != many-batch {
		t.Fatalf("%v", c)
	}
	engine.limit = 0
	if err := a.watch.lookDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := counts(t, a); c[notify.Pending] != many {
		t.Errorf("%v", c)
	}
}

func TestAJumpOfTheClockIsFollowedInSmallTransactions(t *testing.T) {
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	engine := &batches{enqueuer: a.engine}
	const many = 2*batch + 100
	put(t, a, many, func(_ int, d *notify.Delivery) { d.Armed, d.NextAt = true, time.Now().Add(48*time.Hour) })
	wall := time.Now()
	c := &clockWatch{store: a.db.DB, wall: func() time.Time { return wall }, mono: time.Now, log: slog.New(slog.DiscardHandler),
		rearm: func(ctx context.Context, tx *store.Tx, list []notify.Delivery) error {
			for _, d := range list {
				d.Arm(tx.Now())
				if err := tx.PutDelivery(ctx, d, false); err != nil {
					return err
				}
				if err := engine.Enqueue(ctx, tx.SQL(), d.Destination, durable.Item{Destination: d.Destination, Delivery: d.ID, Generation: d.Generation}, 0); err != nil {
					return err
				}
			}
			return nil
		}}
	if err := c.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	wall = wall.Add(time.Hour)
	if err := c.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	engine.check(t, many)
	wall = wall.Add(time.Second)
	if err := c.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	engine.check(t, 0)
}

func TestAllThatIsParkedAtADestinationIsRetriedAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, url func() string) {
		a := testApp(t, testConfig(t, url()), map[string]notify.Notifier{"chat": &recorder{}})
		engine := &batches{enqueuer: a.engine}
		a.command.engine = engine
		const many, unknown = 2*batch + 100, 7
		put(t, a, many+unknown+1, func(k int, d *notify.Delivery) {
			switch {
			case k < unknown:
				d.Status = notify.Unknown
			case k == unknown:
				d.Status = notify.Dropped
			default:
				d.Status, d.Failures, d.FailingSince = notify.Parked, 3, d.CreatedAt
			}
		})
		retry := func(want int, statuses ...notify.Status) {
			t.Helper()
			n, err := a.command.RetryAll(t.Context(), "chat", statuses, "ana")
			if err != nil || n != want {
				t.Errorf("%d were retried, want %d: %v", n, want, err)
			}
			engine.check(t, want)
		}
		for _, c := range []struct {
			destination string
			status      notify.Status
			want        fault.Code
		}{{"nope", notify.Parked, fault.NotFound}, {"chat", notify.Delivered, fault.Usage}, {"chat", notify.Paused, fault.Usage}, {"chat", "parkd", fault.Usage}} {
			if _, err := a.command.RetryAll(t.Context(), c.destination, []notify.Status{c.status}, "ana"); fault.CodeOf(err) != c.want {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if err := a.command.Pause(t.Context(), "chat", "ana", "moving"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.command.RetryAll(t.Context(), "chat", nil, "ana"); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("a paused destination: %v", err)
		}
		if _, err := a.command.Resume(t.Context(), "chat", "ana"); err != nil {
			t.Fatal(err)
		}
		retry(many) // what is unknown waits until it is asked for
		if c := counts(t, a); c[notify.Unknown] != unknown || c[notify.Pending] != many {
			t.Errorf("%v", c)
		}
		retry(0)
		retry(unknown, notify.Parked, notify.Unknown)
		if c := counts(t, a); c[notify.Dropped] != 1 || c[notify.Pending] != many+unknown {
			t.Errorf("%v", c)
		}
		list, err := a.db.Deliveries(t.Context(), store.DeliveryFilter{Limit: 1})
		if err != nil || list[0].Failures != 0 || !list[0].FailingSince.IsZero() || !list[0].Armed {
			t.Errorf("%+v %v", list, err)
		}
		if report, err := a.VerifyAudit(t.Context()); err != nil || !report.OK() {
			t.Errorf("%+v %v", report, err)
		}
	})
}
