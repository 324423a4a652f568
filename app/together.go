package app

import (
	"context"
	"errors"
	"sync"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// call is one caller's chunk on its way into the store.
type call struct {
	ctx   context.Context //nolint:containedctx // it belongs to the caller who waits
	in    source.Input
	list  []judged
	items []finding.Item

	outcome source.Receipt
	numbers []incident.Number
	err     error

	done chan struct{} // closed when outcome and err are final
	lead chan struct{} // closed when it is this caller's turn to commit
}

// errUnfinished is what the callers of a group learn when it ends before its time.
var errUnfinished = errors.New("the commit was interrupted")

// together lets callers that come while another one commits share the next
// transaction: what a chunk asks of the store and writes into it costs little
// more for many findings than for one. Each caller stands as in a transaction of
// its own, one after the other; where one fails, all of them run alone.
//
// The callers do the work themselves, one at a time; there is no goroutine.
type together struct {
	mu      sync.Mutex
	waiting []*call
	busy    bool // somebody commits
}

// commit brings c into the store and returns when it is durable or has failed.
func (f *Flow) commit(c *call) {
	if f.store.Dialect() != store.SQLite {
		// Its transactions run side by side already.
		f.write(c.ctx, []*call{c})
		return
	}
	c.done, c.lead = make(chan struct{}), make(chan struct{})
	if !f.together.enter(c) {
		select {
		case <-c.done:
			return
		case <-c.lead:
		}
	}
	// This caller is the first of those who wait.
	group := f.together.take()
	defer f.together.leave(group)
	f.writeAll(group)
}

// enter queues a call. It reports whether the caller is to commit at once.
func (t *together) enter(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, c)
	first := !t.busy
	t.busy = true
	return first
}

// take returns the first call that waits and those behind it that fit into one
// transaction with it.
func (t *together) take() []*call {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, size := 1, len(t.waiting[0].items)
	for n < len(t.waiting) && size+len(t.waiting[n].items) <= chunk {
		size += len(t.waiting[n].items)
		n++
	}
	group := t.waiting[:n:n]
	t.waiting = t.waiting[n:]
	return group
}

// leave tells the others of a group and lets the next caller commit.
func (t *together) leave(group []*call) {
	t.mu.Lock()
	t.busy = len(t.waiting) > 0
	if t.busy {
		close(t.waiting[0].lead)
	}
	t.mu.Unlock()
	for _, c := range group {
		close(c.done)
	}
}

// writeAll writes the calls in one transaction, or each alone when that fails.
func (f *Flow) writeAll(group []*call) {
	var live []*call
	for _, c := range group {
		if c.err = c.ctx.Err(); c.err == nil {
			c.err = errUnfinished
			live = append(live, c)
		}
	}
	if len(live) > 1 {
		// No caller's end may be the end of the others.
		f.write(context.WithoutCancel(live[0].ctx), live)
		if live[0].err == nil {
			return
		}
	}
	for _, c := range live {
		f.write(c.ctx, []*call{c})
	}
}

// write runs the accept transaction for the calls; all of them share its outcome.
func (f *Flow) write(ctx context.Context, calls []*call) {
	var all []judged
	for _, c := range calls {
		all = append(all, c.list...)
	}
	err := f.store.Write(ctx, func(tx *store.Tx) error {
		if err := lock(ctx, tx, all); err != nil {
			return err
		}
		opened := map[string]int{}
		for _, c := range calls {
			c.outcome, c.numbers = source.Receipt{}, nil // the transaction may run again
			a := acceptance{flow: f, tx: tx, in: c.in, wants: map[incident.Number]*want{}, opened: opened}
			if err := a.run(ctx, c); err != nil {
				return err
			}
			c.outcome, c.numbers = a.receipt, a.touched
		}
		return nil
	})
	for _, c := range calls {
		c.err = err
	}
}

// run accepts what one caller brought.
func (a *acceptance) run(ctx context.Context, c *call) error {
	for _, j := range c.list {
		if err := a.finding(ctx, j); err != nil {
			return err
		}
	}
	if err := a.others(ctx, c.items); err != nil {
		return err
	}
	return a.deliveries(ctx)
}

// lock takes the locks of all findings of a transaction in the order that holds
// everywhere: finding ids, then merge keys and the ARNs by which attack sequences
// and their members name each other, then the incidents that hold them now.
func lock(ctx context.Context, tx *store.Tx, list []judged) error {
	ids := make([]finding.ID, 0, len(list))
	var keys, arns, actors []string
	for _, j := range list {
		ids = append(ids, j.finding.ID)
		for _, k := range j.decision.Keys {
			keys = append(keys, k.Value)
		}
		actors = append(actors, j.decision.ActorKeys...)
		for _, arn := range append(memberARNs(j.finding), j.finding.ARN, j.finding.AssociatedSequenceARN) {
			if arn != "" {
				arns = append(arns, arn)
			}
		}
	}
	if err := tx.LockFindings(ctx, ids); err != nil {
		return err
	}
	if err := tx.LockKeys(ctx, keys, arns); err != nil {
		return err
	}
	if err := tx.LockIncidents(ctx, ids, keys, arns); err != nil {
		return err
	}
	return tx.ReadAhead(ctx, store.Ahead{Findings: ids, ARNs: arns, Keys: keys, Actors: actors, Since: tx.Now().Add(-triage.ActorWindow)})
}
