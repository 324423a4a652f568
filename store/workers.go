package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Worker is a process that works on this store.
type Worker struct {
	// ID is never shared: NAME/RUN where the store has several processes, and
	// only a name where it has one.
	ID        string    `json:"id"`
	Mode      string    `json:"mode"` // serve, import, lambda
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Heartbeat time.Time `json:"heartbeat"`
}

// Name is what people call the worker; a restart has it again.
func (w Worker) Name() string {
	if i := strings.LastIndexByte(w.ID, '/'); i >= 0 {
		return w.ID[:i]
	}
	return w.ID
}

// Run is the part of the identity that no other process ever has, or empty.
func (w Worker) Run() string { return strings.TrimPrefix(w.ID[len(w.Name()):], "/") }

// Beat stores a worker's heartbeat.
func (db *DB) Beat(ctx context.Context, w Worker) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO workers (id, mode, version, started_at, heartbeat) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, version = excluded.version, started_at = excluded.started_at, heartbeat = excluded.heartbeat`,
			w.ID, w.Mode, w.Version, micros(w.StartedAt), micros(tx.now))
		if err != nil {
			return fmt.Errorf("store the heartbeat of %s: %w", w.ID, err)
		}
		return nil
	})
}

// Gone removes a worker that stopped in order.
func (db *DB) Gone(ctx context.Context, id string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, "DELETE FROM workers WHERE id = $1", id)
		return err
	})
}

// Claimants lists the workers that have armed deliveries in hand.
func (db *DB) Claimants(ctx context.Context) ([]string, error) {
	rows, err := db.read().query(ctx, "SELECT DISTINCT worker FROM deliveries WHERE armed = 1 AND worker > '' ORDER BY worker")
	if err != nil {
		return nil, fmt.Errorf("list who has deliveries in hand: %w", err)
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

// Workers lists the workers, newest heartbeat first.
func (db *DB) Workers(ctx context.Context) ([]Worker, error) {
	rows, err := db.read().query(ctx, "SELECT id, mode, version, started_at, heartbeat FROM workers ORDER BY heartbeat DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	defer rows.Close()
	out := []Worker{}
	for rows.Next() {
		var w Worker
		var started, beat int64
		if err := rows.Scan(&w.ID, &w.Mode, &w.Version, &started, &beat); err != nil {
			return nil, err
		}
		w.StartedAt, w.Heartbeat = timeOf(started), timeOf(beat)
		out = append(out, w)
	}
	return out, rows.Err()
}
