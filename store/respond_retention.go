package store

import (
	"context"
	"time"
)

// pruneResponses removes the plans and runs of at most max incidents that were
// closed before a moment, with all that belongs to them. What has evidence is
// kept, and so is what can still be undone: a run that contains something, that
// has not ended, or that owes a closing. The audit chain has what happened.
func (tx *Tx) pruneResponses(ctx context.Context, before time.Time, max int) (int64, error) {
	numbers, err := tx.pruned(ctx, before, max)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, n := range numbers {
		for _, query := range []string{
			"DELETE FROM steps WHERE run IN (SELECT id FROM runs WHERE incident = $1)",
			"DELETE FROM run_messages WHERE run IN (SELECT id FROM runs WHERE incident = $1)",
			"DELETE FROM run_counts WHERE run IN (SELECT id FROM runs WHERE incident = $1)",
			"DELETE FROM gaps WHERE incident = $1",
			"DELETE FROM custody WHERE incident = $1",
			"DELETE FROM runs WHERE incident = $1",
			"DELETE FROM plans WHERE incident = $1",
		} {
			gone, err := tx.exec(ctx, query, n)
			if err != nil {
				return total, err
			}
			total += gone
		}
	}
	return total, nil
}

// pruned are the incidents whose plans and runs may go.
func (tx *Tx) pruned(ctx context.Context, before time.Time, max int) ([]int64, error) {
	rows, err := tx.query(ctx, `SELECT DISTINCT p.incident FROM plans p JOIN incidents i ON i.number = p.incident
		WHERE i.closed_at > 0 AND i.closed_at < $1
		AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.incident = p.incident)
		AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.incident = p.incident)
		AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.incident = p.incident
			AND (r.state IN ('queued', 'running') OR r.contained = 1 AND r.state <> 'undone' OR EXISTS (SELECT 1 FROM owed o WHERE o.run = r.id)))
		LIMIT $2`, micros(before), max)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var numbers []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, rows.Err()
}
