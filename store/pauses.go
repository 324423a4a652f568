package store

import (
	"context"
	"fmt"
	"time"
)

// Pause is why a destination is paused.
type Pause struct {
	Destination string    `json:"destination"`
	At          time.Time `json:"at"`
	Who         string    `json:"who"`
	Reason      string    `json:"reason"`
	Hint        string    `json:"hint,omitempty"`
}

// PauseDestination pauses a destination. One that is paused already keeps its
// first reason; it reports whether it was not.
func (tx *Tx) PauseDestination(ctx context.Context, p Pause) (bool, error) {
	tx.pauses = nil
	n, err := tx.exec(ctx, `INSERT INTO destinations (name, paused_at, who, reason, hint) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING`,
		p.Destination, micros(tx.now), p.Who, p.Reason, p.Hint)
	if err != nil {
		return false, fmt.Errorf("pause %s: %w", p.Destination, err)
	}
	return n > 0, nil
}

// ResumeDestination ends a pause. It reports whether there was one.
func (tx *Tx) ResumeDestination(ctx context.Context, name string) (bool, error) {
	tx.pauses = nil
	n, err := tx.exec(ctx, "DELETE FROM destinations WHERE name = $1", name)
	if err != nil {
		return false, fmt.Errorf("resume %s: %w", name, err)
	}
	return n > 0, nil
}

// Pauses lists the paused destinations. It must not be changed.
func (tx *Tx) Pauses(ctx context.Context) (map[string]Pause, error) {
	if tx.pauses == nil {
		var err error
		if tx.pauses, err = tx.q.Pauses(ctx); err != nil {
			return nil, err
		}
	}
	return tx.pauses, nil
}

// Pauses lists the paused destinations.
func (c q) Pauses(ctx context.Context) (map[string]Pause, error) {
	rows, err := c.query(ctx, "SELECT name, paused_at, who, reason, hint FROM destinations ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list paused destinations: %w", err)
	}
	defer rows.Close()
	out := map[string]Pause{}
	for rows.Next() {
		var p Pause
		var at int64
		if err := rows.Scan(&p.Destination, &at, &p.Who, &p.Reason, &p.Hint); err != nil {
			return nil, err
		}
		p.At = timeOf(at)
		out[p.Destination] = p
	}
	return out, rows.Err()
}

// Pauses lists the paused destinations.
func (db *DB) Pauses(ctx context.Context) (map[string]Pause, error) { return db.read().Pauses(ctx) }
