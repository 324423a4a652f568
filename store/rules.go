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
