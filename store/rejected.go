package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Rejected is an input that could not be used, kept where people can look.
type Rejected struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Source   string    `json:"source"`
	Position string    `json:"position,omitempty"`
	Reason   string    `json:"reason"`
	Size     int       `json:"size"`
	Body     []byte    `json:"-"`
}

// Reject keeps an input that could not be used.
func (tx *Tx) Reject(ctx context.Context, r Rejected) error {
	_, err := tx.exec(ctx, "INSERT INTO rejected (id, at, source, position, reason, size, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		r.ID, micros(r.At), r.Source, r.Position, r.Reason, r.Size, Pack(r.Body))
	if err != nil {
		return fmt.Errorf("keep a rejected input: %w", err)
	}
	return nil
}

// RejectedInputs lists rejected inputs without their bodies, newest first.
// before continues a list below this id.
func (db *DB) RejectedInputs(ctx context.Context, before string, max int) ([]Rejected, error) {
	w := where{}
	if before != "" {
		w.add("id < $?", before)
	}
	rows, err := db.read().query(ctx, "SELECT id, at, source, position, reason, size FROM rejected "+w.sql()+" ORDER BY id DESC LIMIT "+w.arg(limit(max)), w.args...)
	if err != nil {
		return nil, fmt.Errorf("list rejected inputs: %w", err)
	}
	defer rows.Close()
	out := []Rejected{}
	for rows.Next() {
		var r Rejected
		var at int64
		if err := rows.Scan(&r.ID, &at, &r.Source, &r.Position, &r.Reason, &r.Size); err != nil {
			return nil, err
		}
		r.At = timeOf(at)
		out = append(out, r)
	}
	return out, rows.Err()
}

// RejectedInput reads one rejected input with its body.
func (db *DB) RejectedInput(ctx context.Context, id string) (Rejected, error) {
	var r Rejected
	var at int64
	err := db.read().row(ctx, "SELECT id, at, source, position, reason, size, body FROM rejected WHERE id = $1", id).
		Scan(&r.ID, &at, &r.Source, &r.Position, &r.Reason, &r.Size, &r.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("rejected input %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("read rejected input %s: %w", id, err)
	}
	r.At = timeOf(at)
	if r.Body, err = Unpack(r.Body); err != nil {
		return r, fmt.Errorf("read rejected input %s: %w", id, err)
	}
	return r, nil
}

// Ignored is how many events of a kind were ignored from a source.
type Ignored struct {
	Source     string    `json:"source"`
	DetailType string    `json:"detail_type"`
	Count      int       `json:"count"`
	LastAt     time.Time `json:"last_at"`
}

// IgnoredEvents lists what was ignored.
func (db *DB) IgnoredEvents(ctx context.Context) ([]Ignored, error) {
	rows, err := db.read().query(ctx, "SELECT source, detail_type, count, last_at FROM ignored ORDER BY source, detail_type")
	if err != nil {
		return nil, fmt.Errorf("list ignored events: %w", err)
	}
	defer rows.Close()
	out := []Ignored{}
	for rows.Next() {
		var i Ignored
		var at int64
		if err := rows.Scan(&i.Source, &i.DetailType, &i.Count, &at); err != nil {
			return nil, err
		}
		i.LastAt = timeOf(at)
		out = append(out, i)
	}
	return out, rows.Err()
}
