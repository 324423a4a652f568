package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
)

// clockStep is how far the wall clock may move against the monotonic one before
// it counts as a jump; what NTP does all the time is far below.
const clockStep = 30 * time.Second

// clockWatch notices jumps of the wall clock. Waits are kept as moments, so that
// a clock that is set back would make them last as much longer.
type clockWatch struct {
	store *store.DB
	wall  func() time.Time
	mono  func() time.Time // carries a monotonic reading
	rearm func(ctx context.Context, tx *store.Tx, list []notify.Delivery) error
	log   *slog.Logger

	lastWall, lastMono time.Time
}

// look compares the clocks with those of the last look. After a jump it calls
// forward everything that waits for its time, which does no harm: it is work
// that would come later.
func (c *clockWatch) look(ctx context.Context) error {
	wall, mono := c.wall().Round(0), c.mono()
	jump := wall.Sub(c.lastWall) - mono.Sub(c.lastMono)
	first := c.lastWall.IsZero()
	if first || jump.Abs() < clockStep {
		c.lastWall, c.lastMono = wall, mono
		return nil
	}
	n, err := c.callForward(ctx, wall, jump)
	if err != nil {
		return err // the next look sees the jump again, and what is left
	}
	c.lastWall, c.lastMono = wall, mono
	c.log.Warn("the clock jumped; deliveries that waited for their time are tried now", "by", jump.Round(time.Second).String(), "count", n,
		"hint", "set the clock by NTP: windows, times in messages and AWS signatures depend on it")
	return nil
}

// callForward arms what waits for a time after wall, a batch at a time, so that
// others get their turn in between. It returns how many deliveries that were.
func (c *clockWatch) callForward(ctx context.Context, wall time.Time, jump time.Duration) (n int, err error) {
	ids, err := c.store.Waiting(ctx, wall)
	if err != nil {
		return 0, err
	}
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "clock.jumped", Object: "worker", Before: c.lastWall.Format(time.RFC3339),
			After: wall.Format(time.RFC3339), Why: "the clock moved by " + jump.Round(time.Second).String() + " against the time that passed"})
		return nil
	})
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(ids, batch) {
		done := 0
		err := c.store.Write(ctx, func(tx *store.Tx) error {
			var list []notify.Delivery
			for _, id := range some {
				d, err := tx.Delivery(ctx, id)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if d.Armed && d.Worker == "" && d.NextAt.After(wall) { // else it was worked on meanwhile
					list = append(list, d)
				}
			}
			done = len(list)
			return c.rearm(ctx, tx, list)
		})
		if err != nil {
			return n, err
		}
		n += done
	}
	return n, nil
}
