package store

import (
	"context"
	"fmt"
	"time"
)

// Waiting lists the ids of deliveries that are armed and wait for a time after
// now, the soonest first.
func (db *DB) Waiting(ctx context.Context, now time.Time) ([]string, error) {
	rows, err := db.read().query(ctx, "SELECT id FROM deliveries WHERE armed = 1 AND worker = '' AND next_at > $1 ORDER BY next_at, id", micros(now))
	if err != nil {
		return nil, fmt.Errorf("list what waits for its time: %w", err)
	}
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
