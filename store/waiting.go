package store

import (
	"context"
	"time"

	"github.com/guardroom/guardroom/notify"
)

// Waiting returns deliveries that are armed and wait for a time after now, at
// most max of them, the soonest first.
func (tx *Tx) Waiting(ctx context.Context, now time.Time, max int) ([]notify.Delivery, error) {
	return tx.deliveries(ctx, "WHERE armed = 1 AND worker = '' AND next_at > $1 ORDER BY next_at, id LIMIT $2", micros(now), limit(max))
}
