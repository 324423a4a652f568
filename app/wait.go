package app

import (
	"context"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
)

// WaitDelivered blocks until every delivery is done or waits for a person, or
// until ctx ends. It returns how many wait for a person. progress is called
// with every change of the counts.
func (a *App) WaitDelivered(ctx context.Context, progress func(armed, stuck int)) (stuck int, err error) {
	last := [2]int{-1, -1}
	for {
		armed, stuck, err := a.db.Unfinished(ctx)
		if err != nil {
			return 0, err
		}
		if now := [2]int{armed, stuck}; now != last && progress != nil {
			last = now
			progress(armed, stuck)
		}
		if armed == 0 {
			return stuck, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return stuck, ctx.Err()
		}
	}
}

// delivered blocks until the destinations of these incidents show them. A
// failure of any of them ends the wait with an error, so that the sender of the
// finding repeats it.
func (a *App) delivered(ctx context.Context, numbers []string) error {
	for _, s := range numbers {
		n, err := incident.ParseNumber(s)
		if err != nil {
			return err
		}
		i, err := a.db.GetIncident(ctx, n)
		if err != nil {
			return err
		}
		if err := a.deliveredIncident(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) deliveredIncident(ctx context.Context, i *incident.Incident) error {
	for {
		list, err := a.db.Deliveries(ctx, store.DeliveryFilter{Subject: string(i.ID), Behind: true, Limit: 100})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, d := range list {
			stuck := d.Status == notify.Parked || d.Status == notify.Unknown || d.Status == notify.Paused
			if d.Fault != nil && (stuck || d.Failures > 0) {
				return fault.New(fault.Unavailable, "tell "+d.Destination+" of "+i.Number.String()+": "+d.Fault.Message, d.Fault.Hint)
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
