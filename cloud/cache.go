package cloud

import (
	"context"
	"sync"
	"time"
)

const maxCached = 10_000

// cache remembers answers for as long as each says, and asks once when several
// want the same. It is safe for concurrent use.
type cache[V any] struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[string]*cached[V]
}

type cached[V any] struct {
	done  chan struct{} // closed when the answer is there
	value V
	err   error
	until time.Time
}

// get returns the remembered answer or asks. ask says for how long its answer,
// which may be an error, holds; 0 is not remembered.
func (c *cache[V]) get(ctx context.Context, key string, ask func(ctx context.Context) (V, time.Duration, error)) (V, error) {
	for {
		c.mu.Lock()
		e, ok := c.entries[key]
		if ok {
			select {
			case <-e.done:
				ok = c.now().Before(e.until)
			default:
			}
		}
		if !ok {
			if c.entries == nil || len(c.entries) >= maxCached {
				c.entries = map[string]*cached[V]{}
			}
			e = &cached[V]{done: make(chan struct{})}
			c.entries[key] = e
			c.mu.Unlock()
			return c.fill(ctx, e, ask)
		}
		c.mu.Unlock()
		select {
		case <-e.done:
			if e.until.IsZero() {
				continue // who asked gave up: ask ourselves
			}
			return e.value, e.err
		case <-ctx.Done():
			var zero V
			return zero, ctx.Err()
		}
	}
}

func (c *cache[V]) fill(ctx context.Context, e *cached[V], ask func(ctx context.Context) (V, time.Duration, error)) (V, error) {
	defer close(e.done)
	value, holds, err := ask(ctx)
	e.value, e.err = value, err
	if holds > 0 {
		e.until = c.now().Add(holds)
	}
	return value, err
}
