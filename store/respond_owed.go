package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

var _ respond.Owing = (*DB)(nil)

// Owe writes down what must be closed again, in a transaction of its own.
func (db *DB) Owe(ctx context.Context, o respond.Owed) error {
	return db.Write(ctx, func(tx *Tx) error { return tx.Owe(ctx, o) })
}

// Settle says that what was owed is closed, in a transaction of its own.
func (db *DB) Settle(ctx context.Context, id string) error {
	return db.Write(ctx, func(tx *Tx) error { return tx.Settle(ctx, id) })
}

// Owe writes down what must be closed again, before it is opened. It may be
// repeated: the same id is owed once, and its OpenedAt is later with each call, so
// that a sweeper that closed what was there before does not settle what is opened
// now. What was settled is owed again. That people were told of it stays so.
func (tx *Tx) Owe(ctx context.Context, o respond.Owed) error {
	old, known, err := tx.oneOwed(ctx, o.ID)
	if err != nil {
		return err
	}
	o.OpenedAt, o.Attempts, o.Error, o.RetryAt, o.ToldAt = tx.now.Truncate(time.Microsecond), 0, "", time.Time{}, old.ToldAt
	if known && !o.OpenedAt.After(old.OpenedAt) {
		o.OpenedAt = old.OpenedAt.Add(time.Microsecond)
	}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("owe %s: %w", o.ID, err)
	}
	_, err = tx.exec(ctx, `INSERT INTO owed (id, run, due, expires, retry_at, opened_at, body) VALUES ($1, $2, $3, $4, 0, $5, $6)
		ON CONFLICT (id) DO UPDATE SET run = excluded.run, due = excluded.due, expires = excluded.expires, retry_at = 0, opened_at = excluded.opened_at, body = excluded.body`,
		o.ID, string(o.Run), micros(o.Due), bit(o.Expires), micros(o.OpenedAt), string(body))
	if err != nil {
		return fmt.Errorf("owe %s: %w", o.ID, err)
	}
	if !known {
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.owes", Object: "run/" + string(o.Run), After: o.ID, Why: o.Why})
	}
	return nil
}

// Settle says that what was owed is closed. One that is not owed is fine.
func (tx *Tx) Settle(ctx context.Context, id string) error {
	old, known, err := tx.oneOwed(ctx, id)
	if err != nil || !known {
		return err
	}
	return tx.settle(ctx, old)
}

// SettleSeen says that what was owed is closed, unless it was opened again after
// o was read. It reports whether it is settled. A sweeper uses it.
func (tx *Tx) SettleSeen(ctx context.Context, o respond.Owed) (bool, error) {
	old, known, err := tx.oneOwed(ctx, o.ID)
	if err != nil || !known {
		return err == nil, err
	}
	if !old.OpenedAt.Equal(o.OpenedAt) {
		return false, nil
	}
	return true, tx.settle(ctx, old)
}

func (tx *Tx) settle(ctx context.Context, o respond.Owed) error {
	if _, err := tx.exec(ctx, "DELETE FROM owed WHERE id = $1", o.ID); err != nil {
		return fmt.Errorf("settle %s: %w", o.ID, err)
	}
	tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.settled", Object: "run/" + string(o.Run), Before: o.ID, Why: o.Why})
	return nil
}

// The pauses of a sweeper after an attempt that did not close what is owed.
const (
	firstSweep = 5 * time.Second
	longSweep  = time.Minute
)

// PutOwed keeps the attempts and the error of an attempt to close what is owed.
// It comes due again 5 s after the first attempt, twice that after the second, at
// most a minute later. One that is settled meanwhile stays settled.
func (tx *Tx) PutOwed(ctx context.Context, o respond.Owed) error {
	old, known, err := tx.oneOwed(ctx, o.ID)
	if err != nil || !known || !old.OpenedAt.Equal(o.OpenedAt) {
		return err
	}
	o.ToldAt = old.ToldAt // a sweeper read it before they were told
	o.RetryAt = tx.now.Add(min(firstSweep<<min(max(o.Attempts-1, 0), 10), longSweep)).Truncate(time.Microsecond)
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("keep what is owed, %s: %w", o.ID, err)
	}
	_, err = tx.exec(ctx, "UPDATE owed SET due = $1, retry_at = $2, body = $3 WHERE id = $4", micros(o.Due), micros(o.RetryAt), string(body), o.ID)
	if err != nil {
		return fmt.Errorf("keep what is owed, %s: %w", o.ID, err)
	}
	return nil
}

// TellOwed notes that people are told that something is open still. It reports
// whether it is, and they were not told before.
func (tx *Tx) TellOwed(ctx context.Context, id string) (bool, error) {
	o, known, err := tx.oneOwed(ctx, id)
	if err != nil || !known || !o.ToldAt.IsZero() {
		return false, err
	}
	o.ToldAt = tx.now.Truncate(time.Microsecond)
	body, err := json.Marshal(o)
	if err != nil {
		return false, fmt.Errorf("tell what is owed, %s: %w", id, err)
	}
	if _, err := tx.exec(ctx, "UPDATE owed SET body = $1 WHERE id = $2", string(body), id); err != nil {
		return false, fmt.Errorf("tell what is owed, %s: %w", id, err)
	}
	return true, nil
}

// LockOwed is one thing that is owed, which nobody else changes until the
// transaction ends. It reports whether it is owed.
func (tx *Tx) LockOwed(ctx context.Context, id string) (respond.Owed, bool, error) {
	return tx.oneOwed(ctx, id)
}

func (tx *Tx) oneOwed(ctx context.Context, id string) (respond.Owed, bool, error) {
	var o respond.Owed
	if err := tx.lock(ctx, []string{"owed/" + id}); err != nil {
		return o, false, err // also one that is not there yet
	}
	var body string
	err := tx.row(ctx, "SELECT body FROM owed WHERE id = $1 FOR UPDATE", id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("read what is owed, %s: %w", id, err)
	}
	return o, true, json.Unmarshal([]byte(body), &o)
}

// OwedDue lists what a sweeper may close now, the longest open first, at most
// max: what is due although its run lives, and what a run owes which has ended,
// unless it expires by itself. What failed a moment ago is left out.
func (c q) OwedDue(ctx context.Context, now time.Time, max int) ([]respond.Owed, error) {
	return bodies[respond.Owed](ctx, c, "what is owed", `SELECT body FROM owed WHERE retry_at <= $1 AND (due <= $2 OR expires = 0
		AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = owed.run AND runs.state IN ('queued', 'running'))) ORDER BY opened_at, id LIMIT $3`,
		micros(now), micros(now), max)
}

// OwedDue lists what a sweeper may close now.
func (db *DB) OwedDue(ctx context.Context, now time.Time, max int) ([]respond.Owed, error) {
	return db.read().OwedDue(ctx, now, max)
}

// OwedOf lists what a run owes, the longest open first. No run is all that is owed.
func (c q) OwedOf(ctx context.Context, run respond.RunID) ([]respond.Owed, error) {
	if run == "" {
		return bodies[respond.Owed](ctx, c, "what is owed", "SELECT body FROM owed ORDER BY opened_at, id")
	}
	return bodies[respond.Owed](ctx, c, "what run "+string(run)+" owes", "SELECT body FROM owed WHERE run = $1 ORDER BY opened_at, id", string(run))
}

// OwedOf lists what a run owes, the longest open first. No run is all that is owed.
func (db *DB) OwedOf(ctx context.Context, run respond.RunID) ([]respond.Owed, error) {
	return db.read().OwedOf(ctx, run)
}
