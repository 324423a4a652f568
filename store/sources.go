package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Cursor reads a named cursor; an unknown one is empty.
func (db *DB) Cursor(ctx context.Context, name string) (string, error) {
	var v string
	err := db.read().row(ctx, "SELECT value FROM cursors WHERE name = $1", name).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read cursor %s: %w", name, err)
	}
	return v, nil
}

// SetCursor stores a named cursor.
func (db *DB) SetCursor(ctx context.Context, name, value string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO cursors (name, value, updated_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, name, value, micros(tx.now))
		if err != nil {
			return fmt.Errorf("store cursor %s: %w", name, err)
		}
		return nil
	})
}

// Source is when a source last gave something, and looked.
type Source struct {
	Name      string    `json:"name"`
	FirstAt   time.Time `json:"first_at"`
	LastEvent time.Time `json:"last_event,omitzero"`
	LastLook  time.Time `json:"last_look,omitzero"`
	Error     string    `json:"error,omitempty"`
}

// Looked notes that a source looked for events, and the trouble that it had.
func (db *DB) Looked(ctx context.Context, name, trouble string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO sources (name, first_at, last_event, last_look, error) VALUES ($1, $2, 0, $3, $4)
			ON CONFLICT (name) DO UPDATE SET last_look = excluded.last_look, error = excluded.error`, name, micros(tx.now), micros(tx.now), trouble)
		if err != nil {
			return fmt.Errorf("note a look of %s: %w", name, err)
		}
		return nil
	})
}

// Sources lists the sources that were ever heard of.
func (db *DB) Sources(ctx context.Context) ([]Source, error) {
	rows, err := db.read().query(ctx, "SELECT name, first_at, last_event, last_look, error FROM sources ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	defer rows.Close()
	out := []Source{}
	for rows.Next() {
		var s Source
		var first, event, look int64
		if err := rows.Scan(&s.Name, &first, &event, &look, &s.Error); err != nil {
			return nil, err
		}
		s.FirstAt, s.LastEvent, s.LastLook = timeOf(first), timeOf(event), timeOf(look)
		out = append(out, s)
	}
	return out, rows.Err()
}
