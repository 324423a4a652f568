package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/guardroom/guardroom/incident"
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
	list, err := r.owedForSeconds(ctx, id)
	if err == nil {
		err = r.closeAll(ctx, list)
	}
	if err != nil {
		r.log.Warn("what a run left open is not closed yet", "run", string(id), "error", err)
	}
}

// runsInHand are the runs that this process has taken up and not brought to their end.
// It is safe for concurrent use.
type runsInHand struct {
	mu   sync.Mutex
	runs map[respond.RunID]bool // is it at work?
}

// take notes that a run is taken up. What it returns is called when nothing of it
// is at work any more, and told whether the run goes on later.
func (h *runsInHand) take(id respond.RunID) func(later bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = map[respond.RunID]bool{}
	}
	h.runs[id] = true
	return func(later bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.runs[id] = false
		if !later {
			delete(h.runs, id)
		}
	}
}

func (h *runsInHand) list() map[respond.RunID]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.runs)
}

// leaveLimit bounds what a process that stops does about what its runs opened.
const leaveLimit = 8 * time.Second

// closeLeft closes, when the process stops, what its runs opened for seconds and
// did not come to close: the next start may be hours away. Each is tried once, all
// side by side. Where a call of the run hangs it may still open something, so what
// is closed stays owed.
func (r *runs) closeLeft(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	at := r.hand.list()
	var all []respond.Owed
	var errs []error
	for id := range at {
		list, err := r.owedForSeconds(ctx, id)
		all, errs = append(all, list...), append(errs, err)
	}
	errs = append(errs, r.closeEach(all, func(o respond.Owed) error { return r.closeWithin(ctx, o, !at[o.Run]) }))
	if err := errors.Join(errs...); err != nil {
		r.log.Error("what runs left open is not closed; the next start closes it", "error", err)
	}
}

// owedForSeconds is what a run owes that is open for a short while only.
func (r *runs) owedForSeconds(ctx context.Context, id respond.RunID) ([]respond.Owed, error) {
	list, err := r.store.OwedOf(ctx, id)
	return slices.DeleteFunc(list, func(o respond.Owed) bool { return o.Expires || o.Due.Sub(o.OpenedAt) > 10*time.Minute }), err
}

func (r *runs) closeAll(ctx context.Context, list []respond.Owed) error {
	return r.closeEach(list, func(o respond.Owed) error {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.call)
		defer cancel()
		return r.closeWithin(call, o, true)
	})
}

func (r *runs) closeEach(list []respond.Owed, closes func(respond.Owed) error) error {
	errs := make([]error, len(list))
	var g errgroup.Group
	g.SetLimit(16) // an account that does not answer holds up no other
	for i, o := range list {
		g.Go(func() error { errs[i] = closes(o); return nil })
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

// closeWithin closes one thing that is owed, by calls that end with ctx, and
// keeps what came of it. Settles says that it is not owed any more once it is
// closed.
func (r *runs) closeWithin(ctx context.Context, o respond.Owed, settles bool) error {
	c, known := r.closings[o.Kind]
	if !known {
		return fmt.Errorf("nobody knows how to close %s (%s)", o.ID, o.Kind)
	}
	if c.Expires && r.now().Before(o.Due) {
		return nil
	}
	err := c.Close(ctx, r.aws, o, r.now())
	ctx = context.WithoutCancel(ctx) // what came of it is kept
	if err == nil {
		if !settles {
			return nil
		}
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
	o.Error = respond.Reason(err)
	r.log.Warn("what a run opened could not be closed", "run", string(o.Run), "owed", o.ID, "attempt", o.Attempts, "error", err)
	return r.store.Write(ctx, func(tx *store.Tx) error { return tx.PutOwed(ctx, o) })
}
