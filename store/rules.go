package store

import (
	"context"
	"fmt"
	"time"
)

// RuleUse is how often a suppression matched.
type RuleUse struct {
	Name      string    `json:"name"`
	Matches   int       `json:"matches"`
	LastMatch time.Time `json:"last_match,omitzero"`
}

// Suppressed counts a match of a suppression.
func (tx *Tx) Suppressed(ctx context.Context, name string) error {
	_, err := tx.exec(ctx, `INSERT INTO suppressions (name, matches, last_match) VALUES ($1, 1, $2)
		ON CONFLICT (name) DO UPDATE SET matches = suppressions.matches + 1, last_match = excluded.last_match`, name, micros(tx.now))
	if err != nil {
		return fmt.Errorf("count a match of %s: %w", name, err)
	}
	return nil
}

// RuleUses lists how often each suppression matched.
func (db *DB) RuleUses(ctx context.Context) (map[string]RuleUse, error) {
	rows, err := db.read().query(ctx, "SELECT name, matches, last_match FROM suppressions ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list uses of suppressions: %w", err)
	}
	defer rows.Close()
	out := map[string]RuleUse{}
	for rows.Next() {
		var r RuleUse
		var at int64
		if err := rows.Scan(&r.Name, &r.Matches, &at); err != nil {
			return nil, err
		}
		r.LastMatch = timeOf(at)
		out[r.Name] = r
	}
	return out, rows.Err()
}
