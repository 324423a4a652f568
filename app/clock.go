package app

import (
	"context"
	"log/slog"
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
	n := 0
	err := c.store.Write(ctx, func(tx *store.Tx) error {
		list, err := tx.Waiting(ctx, wall, 10_000)
		if err != nil {
			return err
		}
		n = len(list)
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "clock.jumped", Object: "worker", Before: c.lastWall.Format(time.RFC3339),
			After: wall.Format(time.RFC3339), Why: "the clock moved by " + jump.Round(time.Second).String() + " against the time that passed"})
		return c.rearm(ctx, tx, list)
	})
	if err != nil {
		return err // the next look sees the jump again
	}
	c.lastWall, c.lastMono = wall, mono
	c.log.Warn("the clock jumped; deliveries that waited for their time are tried now", "by", jump.Round(time.Second).String(), "count", n,
		"hint", "set the clock by NTP: windows, times in messages and AWS signatures depend on it")
	return nil
}
