package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// owing is the store's, with what the closings say about themselves.
type owing struct{ d *desk }

// Owe implements respond.Owing.
func (o owing) Owe(ctx context.Context, owed respond.Owed) error {
	c, known := o.d.closings[owed.Kind]
	if !known {
		return playbook.Permanent(fmt.Errorf("nobody knows how to close %s", owed.Kind))
	}
	owed.Expires = c.Expires
	return o.d.store.Owe(ctx, owed)
}

// Settle implements respond.Owing.
func (o owing) Settle(ctx context.Context, id string) error {
	return o.d.store.Write(ctx, func(tx *store.Tx) error {
		was, known, err := tx.LockOwed(ctx, id)
		if err != nil || !known {
			return err
		}
		if err := tx.Settle(ctx, id); err != nil {
			return err
		}
		return o.d.closedAgain(ctx, tx, was)
	})
}

// closedAgain tells those who were told that something is open that it is not.
func (d *desk) closedAgain(ctx context.Context, tx *store.Tx, was respond.Owed) error {
	if was.ToldAt.IsZero() {
		return nil
	}
	return d.tellOwed(ctx, tx, was, incident.KindClosedAgain, fmt.Sprintf("Closed again what %s had left open: %s", was.Run, was.Why))
}

// tellOwed says something of what is owed in the incident of its run.
func (d *desk) tellOwed(ctx context.Context, tx *store.Tx, o respond.Owed, kind incident.Kind, text string) error {
	run, err := tx.GetRun(ctx, o.Run)
	if errors.Is(err, store.ErrNotFound) {
		return nil // the incident is gone with it
	}
	if err != nil {
		return err
	}
	return d.tell(ctx, tx, run.Incident, kind, incident.Guardroom, text)
}

// sweep closes what is owed and due: after a crash, or when its time has come.
func (r *runs) sweep(ctx context.Context) error {
	list, err := r.store.OwedDue(ctx, r.now(), 100)
	if err != nil {
		return err
	}
	return r.closeAll(ctx, list)
}

// closeOwed closes what a run owes that it should not have left open.
func (r *runs) closeOwed(ctx context.Context, id respond.RunID) {
	list, err := r.store.OwedOf(ctx, id)
	if err == nil {
		list = slices.DeleteFunc(list, func(o respond.Owed) bool { return o.Expires || o.Due.Sub(o.OpenedAt) > 10*time.Minute })
		err = r.closeAll(ctx, list)
	}
	if err != nil {
		r.log.Warn("what a run left open is not closed yet", "run", string(id), "error", err)
	}
}

func (r *runs) closeAll(ctx context.Context, list []respond.Owed) error {
	errs := make([]error, len(list))
	var g errgroup.Group
	g.SetLimit(16) // an account that does not answer holds up no other
	for i, o := range list {
		g.Go(func() error { errs[i] = r.closeOne(ctx, o); return nil })
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

func (r *runs) closeOne(ctx context.Context, o respond.Owed) error {
	c, known := r.closings[o.Kind]
	if !known {
		return fmt.Errorf("nobody knows how to close %s (%s)", o.ID, o.Kind)
	}
	if c.Expires && r.now().Before(o.Due) {
		return nil
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.call)
	err := c.Close(call, r.aws, o, r.now())
	cancel()
	if err == nil {
		return r.store.Write(ctx, func(tx *store.Tx) error {
			was, known, err := tx.LockOwed(ctx, o.ID)
			if err != nil || !known {
				return err
			}
			if settled, err := tx.SettleSeen(ctx, o); err != nil || !settled {
				return err
			}
			return r.closedAgain(ctx, tx, was)
		})
	}
	o.Attempts++
	o.Error = fault.Of(err).Error()
	r.log.Warn("what a run opened could not be closed", "run", string(o.Run), "owed", o.ID, "attempt", o.Attempts, "error", err)
	return r.store.Write(ctx, func(tx *store.Tx) error { return tx.PutOwed(ctx, o) })
}
