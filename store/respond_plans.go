package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

// The order of locks among responses: plans, runs, then incidents and
// deliveries, so that a step that is recorded and a person who decides never
// wait for each other in a circle.

// PutPlan stores a plan, or what was decided about one. Its bytes and the
// description that it was made from are written with the first call and never
// changed by a later one.
func (tx *Tx) PutPlan(ctx context.Context, p respond.PlanRow) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store plan %s: %w", p.ID, err)
	}
	_, err = tx.exec(ctx, `INSERT INTO plans (id, incident, target, state, created_at, expires_at, body, canonical, image) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at, body = excluded.body`,
		string(p.ID), int64(p.Incident), p.Target, string(p.State), micros(p.CreatedAt), micros(p.ExpiresAt), string(body), blob(p.Bytes), blob(Pack(p.Before)))
	if err != nil {
		return fmt.Errorf("store plan %s: %w", p.ID, err)
	}
	return nil
}

// blob is bytes for a column that is never null.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// LockPlan loads a plan for a change, with its bytes and its description; it is
// locked until the end of the transaction.
func (tx *Tx) LockPlan(ctx context.Context, id respond.PlanID) (respond.PlanRow, error) {
	return tx.plan(ctx, id, " FOR UPDATE")
}

// GetPlan reads a plan with its bytes and its description. The error wraps
// ErrNotFound where there is none.
func (c q) GetPlan(ctx context.Context, id respond.PlanID) (respond.PlanRow, error) {
	return c.plan(ctx, id, "")
}

// GetPlan reads a plan with its bytes and its description.
func (db *DB) GetPlan(ctx context.Context, id respond.PlanID) (respond.PlanRow, error) {
	return db.read().GetPlan(ctx, id)
}

func (c q) plan(ctx context.Context, id respond.PlanID, lock string) (respond.PlanRow, error) {
	var p respond.PlanRow
	var body string
	var canonical, image []byte
	err := c.row(ctx, "SELECT body, canonical, image FROM plans WHERE id = $1"+lock, string(id)).Scan(&body, &canonical, &image)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("plan %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return p, fmt.Errorf("read plan %s: %w", id, err)
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return p, fmt.Errorf("read plan %s: %w", id, err)
	}
	p.Bytes = canonical
	if p.Before, err = Unpack(image); err != nil {
		return p, fmt.Errorf("read what plan %s was made from: %w", id, err)
	}
	return p, nil
}

// PlanFilter narrows a list of plans. Zero fields do not narrow.
type PlanFilter struct {
	Incident incident.Number
	States   []respond.PlanState
	Target   string
	Before   respond.PlanID // continues a list below this one
	Limit    int
}

// Plans lists plans, the newest first, without their bytes and descriptions.
func (c q) Plans(ctx context.Context, f PlanFilter) ([]respond.PlanRow, error) {
	query, args := listQuery("plans", int64(f.Incident), f.Target, texts(f.States), string(f.Before), f.Limit)
	return bodies[respond.PlanRow](ctx, c, "plans", query, args...)
}

// Plans lists plans, the newest first, without their bytes and descriptions.
func (db *DB) Plans(ctx context.Context, f PlanFilter) ([]respond.PlanRow, error) {
	return db.read().Plans(ctx, f)
}

// ExpiredPlans lists plans that wait for approvals although their time is over,
// the oldest first, at most max of them and without their bytes.
func (c q) ExpiredPlans(ctx context.Context, now time.Time, max int) ([]respond.PlanRow, error) {
	return bodies[respond.PlanRow](ctx, c, "expired plans",
		"SELECT body FROM plans WHERE state = 'waiting' AND expires_at <= $1 ORDER BY expires_at, id LIMIT $2", micros(now), max)
}

// ExpiredPlans lists plans that wait for approvals although their time is over.
func (db *DB) ExpiredPlans(ctx context.Context, now time.Time, max int) ([]respond.PlanRow, error) {
	return db.read().ExpiredPlans(ctx, now, max)
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

// listQuery lists plans or runs. Their ids rise with time; the inner part walks
// a small index in their order, and only the rows of the page itself are read.
func listQuery(table string, n int64, target string, states []string, before string, max int) (query string, args []any) {
	w, index := where{}, table+"_list"
	if target != "" {
		w.add("target = $?", target)
		index = table + "_target"
	}
	if n > 0 {
		w.add("incident = $?", n)
		index = table + "_incident"
	}
	if len(states) > 0 {
		in := ""
		for i, s := range states {
			if i > 0 {
				in += ", "
			}
			in += w.arg(s)
		}
		w.parts = append(w.parts, "state IN ("+in+")")
	}
	if before != "" {
		w.add("id < $?", before)
	}
	return "SELECT body FROM " + table + " WHERE id IN (SELECT id FROM " + table + " INDEXED BY " + index + " " + w.sql() +
		" ORDER BY id DESC LIMIT " + w.arg(limit(max)) + ") ORDER BY id DESC", w.args
}

// bodies reads a list of JSON bodies.
func bodies[T any](ctx context.Context, c q, what, query string, args ...any) ([]T, error) {
	rows, err := c.query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		var body string
		var v T
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return out, nil
}
