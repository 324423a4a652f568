package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
)

// batch is how many deliveries one transaction changes, where there may be many:
// enough to share a commit, few enough that nobody waits long behind it.
const batch = 300

// What a destination missed for days may be a hundred thousand deliveries. They
// are changed a batch at a time, so that findings and deliveries get their turn
// in between.

// Resume ends a pause and takes up what waited for it. It returns how many
// deliveries that were. When it is cut short, the service or a repetition does
// the rest.
func (c *Commands) Resume(ctx context.Context, name, who string) (n int, err error) {
	if _, ok := c.types[name]; !ok {
		return 0, c.noDestination(name)
	}
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.ResumeDestination(ctx, name)
		if err != nil {
			return err
		}
		if was {
			tx.Audit(audit.Record{Who: who, Action: "destination.resumed", Object: "destination/" + name})
		}
		_, _, err = resolve(ctx, tx, raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}, "paused/"+name)
		return err
	})
	if err != nil {
		return 0, err
	}
	return c.takeUpPaused(ctx, name)
}

// takeUpPaused arms what a destination's pause has left, until nothing is left
// or the destination is paused again.
func (c *Commands) takeUpPaused(ctx context.Context, name string) (n int, err error) {
	for {
		done := 0
		err := c.store.Write(ctx, func(tx *store.Tx) error {
			done = 0
			if pauses, err := tx.Pauses(ctx); err != nil || pauses[name].Destination != "" {
				return err
			}
			list, err := tx.DeliveriesOfDestination(ctx, name, notify.Paused, batch)
			if err != nil {
				return err
			}
			done = len(list)
			r := raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}
			for _, d := range list {
				d.Failures, d.FailingSince = 0, time.Time{}
				d.Arm(tx.Now())
				if err := tx.PutDelivery(ctx, d, false); err != nil {
					return err
				}
				if err := r.enqueue(ctx, d); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += done
		if done < batch {
			return n, nil
		}
	}
}

// retriable are the statuses that RetryAll frees: the ones that wait for a
// person.
var retriable = []notify.Status{notify.Parked, notify.Unknown}

// RetryAll frees every delivery to a destination that has one of the statuses,
// the newest first; without statuses those that are parked. It returns how many
// that were. When it is cut short, a repetition does the rest.
func (c *Commands) RetryAll(ctx context.Context, destination string, statuses []notify.Status, who string) (n int, err error) {
	if _, ok := c.types[destination]; !ok {
		return 0, c.noDestination(destination)
	}
	if len(statuses) == 0 {
		statuses = []notify.Status{notify.Parked}
	}
	for _, s := range statuses {
		if !slices.Contains(retriable, s) {
			return 0, fault.New(fault.Usage, fmt.Sprintf("deliveries that are %q are not retried all at once", s), "use parked or unknown; paused ones go on with: guardroom destination resume "+destination)
		}
	}
	// By page and not by what is left: one that parks again at once must not
	// keep this going for ever.
	page := store.DeliveryFilter{Destination: destination, Statuses: statuses, Limit: batch}
	for {
		list, err := c.store.Deliveries(ctx, page)
		if err != nil || len(list) == 0 {
			return n, err
		}
		last := list[len(list)-1]
		page.After = store.Cursor{At: last.CreatedAt, ID: last.ID}
		done := 0
		err = c.store.Write(ctx, func(tx *store.Tx) (err error) {
			done, err = c.freeAll(ctx, tx, destination, list, statuses, who)
			return err
		})
		if err != nil {
			return n, err
		}
		n += done
		if len(list) < batch {
			return n, nil
		}
	}
}

// freeAll frees those of the list that still have one of the statuses.
func (c *Commands) freeAll(ctx context.Context, tx *store.Tx, destination string, list []notify.Delivery, statuses []notify.Status, who string) (n int, err error) {
	pauses, err := tx.Pauses(ctx)
	if err != nil {
		return 0, err
	}
	if p, paused := pauses[destination]; paused {
		return 0, fault.New(fault.Conflict, fmt.Sprintf("%s is paused: %s", destination, p.Reason), "guardroom destination resume "+destination)
	}
	for _, old := range list {
		d, err := tx.Delivery(ctx, old.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if !slices.Contains(statuses, d.Status) {
			continue
		}
		if err := c.free(ctx, tx, &d, who); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
