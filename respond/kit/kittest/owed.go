package kittest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/guardroom/guardroom/respond"
)

// Owed keeps what must be closed, in memory.
type Owed struct {
	mu     sync.Mutex
	rows   map[string]respond.Owed
	closed map[string]bool
}

var _ respond.Owing = (*Owed)(nil)

// Owe implements respond.Owing.
func (o *Owed) Owe(_ context.Context, row respond.Owed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed[row.ID] {
		o.rows[row.ID] = row
	}
	return nil
}

// Settle implements respond.Owing.
func (o *Owed) Settle(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.rows, id)
	o.closed[id] = true
	return nil
}

// Rows are what is owed, in the order of their ids.
func (o *Owed) Rows() []respond.Owed {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []respond.Owed
	for _, id := range slices.Sorted(maps.Keys(o.rows)) {
		out = append(out, o.rows[id])
	}
	return out
}

// Sweep closes what is due, as the sweeper does.
func (b *Bench) Sweep() error {
	var errs []error
	for _, row := range b.Owed.Rows() {
		if b.Clock.Now().Before(row.Due) {
			continue
		}
		i := slices.IndexFunc(b.Closings, func(c respond.Closing) bool { return c.Kind == row.Kind })
		if i < 0 {
			return fmt.Errorf("nobody closes %s", row.Kind)
		}
		if err := b.Closings[i].Close(context.Background(), b.AWS, row, b.Clock.Now()); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := b.Owed.Settle(context.Background(), row.ID); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
