package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

// pruneResponses removes the plans and runs of at most max incidents that were
// closed before a moment, with all that belongs to them. What has evidence is
// kept, and so is what can still be undone: a run that contains something or
// changed it and was not undone, that has not ended, or that owes a closing. The
// audit chain has what happened.
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
	var out []int64
	for after := int64(0); ; {
		page, err := tx.endedIncidents(ctx, before, after, max)
		if err != nil {
			return nil, err
		}
		for _, n := range page {
			after = n
			holds, err := tx.canUndo(ctx, incident.Number(n))
			if err != nil {
				return nil, err
			}
			if !holds {
				out = append(out, n)
			}
			if len(out) == max {
				return out, nil
			}
		}
		if len(page) == 0 || len(page) < max {
			return out, nil
		}
	}
}

// endedIncidents are the next incidents after a number of whose responses nothing
// is under way, owed, contained or kept as evidence.
func (tx *Tx) endedIncidents(ctx context.Context, before time.Time, after int64, max int) ([]int64, error) {
	rows, err := tx.query(ctx, `SELECT DISTINCT p.incident FROM plans p JOIN incidents i ON i.number = p.incident
		WHERE i.closed_at > 0 AND i.closed_at < $1 AND p.incident > $2
		AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.incident = p.incident)
		AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.incident = p.incident)
		AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.incident = p.incident
			AND (r.state IN ('queued', 'running') OR r.contained = 1 AND r.state <> 'undone' OR EXISTS (SELECT 1 FROM owed o WHERE o.run = r.id)))
		ORDER BY p.incident LIMIT $3`, micros(before), after, max)
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

// canUndo reports whether a run of an incident may have changed something that
// nobody took back: then an undo needs its records. An undo is never undone.
func (tx *Tx) canUndo(ctx context.Context, n incident.Number) (bool, error) {
	runs, err := bodies[respond.RunRow](ctx, tx.q, "ended runs", "SELECT body FROM runs WHERE incident = $1 ORDER BY id", int64(n))
	if err != nil {
		return false, err
	}
	for _, r := range runs {
		if r.UndoOf != "" || r.State == respond.RunUndone {
			continue
		}
		changed, err := tx.changed(ctx, r)
		if changed || err != nil {
			return changed, err
		}
	}
	return false, nil
}

// changed reports whether a step of a run that changes the world kept anything:
// it does so before it changes it, also where it failed or was aborted then. A
// step whose plan cannot be read counts as one that changes.
func (tx *Tx) changed(ctx context.Context, r respond.RunRow) (bool, error) {
	names, err := tx.savers(ctx, r.ID)
	if err != nil || len(names) == 0 {
		return false, err
	}
	row, err := tx.GetPlan(ctx, r.Plan)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var plan respond.Plan
	if err := json.Unmarshal(row.Bytes, &plan); err != nil {
		return true, nil //nolint:nilerr // what cannot be judged is kept
	}
	looks := map[string]bool{}
	for _, s := range plan.Steps {
		looks[s.ID] = s.Effect == respond.NoChange
	}
	return slices.ContainsFunc(names, func(name string) bool { return !looks[name] }), nil
}

// savers are the steps of a run that saved something. A quotation mark within a
// text of the record has a backslash before it, so only the field itself matches.
func (tx *Tx) savers(ctx context.Context, run respond.RunID) ([]string, error) {
	rows, err := tx.query(ctx, `SELECT name FROM steps WHERE run = $1 AND body LIKE '%"saved":{%'`, string(run))
	if err != nil {
		return nil, fmt.Errorf("list the steps of run %s that saved something: %w", run, err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list the steps of run %s that saved something: %w", run, err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
