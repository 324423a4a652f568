package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
func (o owing) Settle(ctx context.Context, id string) error { return o.d.store.Settle(ctx, id) }

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
		return r.store.Write(ctx, func(tx *store.Tx) error { _, err := tx.SettleSeen(ctx, o); return err })
	}
	o.Attempts++
	o.Error = fault.Of(err).Error()
	r.log.Warn("what a run opened could not be closed", "run", string(o.Run), "owed", o.ID, "attempt", o.Attempts, "error", err)
	return r.store.Write(ctx, func(tx *store.Tx) error { return tx.PutOwed(ctx, o) })
}
