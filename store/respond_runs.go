package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// ErrTargetBusy is wrapped by errors about a target that another run has in hand.
var ErrTargetBusy = errors.New("another run has the target in hand")

// PutRun stores a run. A new one takes its target, and fails with an error that
// wraps ErrTargetBusy and names the run that has it; one that has ended gives
// back all that it holds. The epoch of a stored run never falls: a row from
// before a takeover is refused with playbook.ErrFenced.
func (tx *Tx) PutRun(ctx context.Context, r respond.RunRow) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("store run %s: %w", r.ID, err)
	}
	n, err := tx.exec(ctx, `INSERT INTO runs (id, plan, incident, target, account, class, state, worker, epoch, version, aborted_at, created_at, ended_at, next_check, contained, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, worker = excluded.worker, epoch = excluded.epoch, version = runs.version + 1,
		aborted_at = excluded.aborted_at, ended_at = excluded.ended_at, next_check = excluded.next_check, contained = excluded.contained, body = excluded.body
		WHERE runs.epoch <= excluded.epoch`,
		string(r.ID), string(r.Plan), int64(r.Incident), r.Target, r.Account, string(r.Class), string(r.State), r.Worker, r.Epoch,
		micros(r.AbortedAt), micros(r.CreatedAt), micros(r.EndedAt), micros(r.NextCheck), bit(r.Contained), string(body))
	if err != nil {
		return fmt.Errorf("store run %s: %w", r.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("store run %s of epoch %d: %w", r.ID, r.Epoch, playbook.ErrFenced)
	}
	if err := tx.countRun(ctx, r); err != nil {
		return err
	}
	if !r.State.Ended() {
		return tx.HoldTargets(ctx, r.ID, r.Target)
	}
	if _, err := tx.exec(ctx, "DELETE FROM run_targets WHERE run = $1", string(r.ID)); err != nil {
		return fmt.Errorf("give back the targets of run %s: %w", r.ID, err)
	}
	return nil
}

// countRun writes down, once, what a run counts as for the hourly caps.
func (tx *Tx) countRun(ctx context.Context, r respond.RunRow) error {
	counts := r.Counts
	if len(counts) == 0 {
		counts = map[respond.Class]int{r.Class: 1}
	}
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		_, err := tx.exec(ctx, "INSERT INTO run_counts (run, class, account, n, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (run, class) DO NOTHING",
			string(r.ID), string(class), r.Account, int64(counts[class]), micros(r.CreatedAt))
		if err != nil {
			return fmt.Errorf("count run %s: %w", r.ID, err)
		}
	}
	return nil
}

// HoldTargets takes targets for a run until it has ended. It fails with an error
// that wraps ErrTargetBusy where another run holds one of them; one that it
// holds itself is fine.
func (tx *Tx) HoldTargets(ctx context.Context, run respond.RunID, targets ...string) error {
	for _, target := range targets {
		if _, err := tx.exec(ctx, "INSERT INTO run_targets (target, run) VALUES ($1, $2) ON CONFLICT (target) DO NOTHING", target, string(run)); err != nil {
			return fmt.Errorf("take %s for run %s: %w", target, run, err)
		}
		holder, ok, err := tx.ActiveRun(ctx, target)
		if err != nil {
			return err
		}
		if !ok {
			// The one that held it ended between the two statements.
			if _, err := tx.exec(ctx, "INSERT INTO run_targets (target, run) VALUES ($1, $2) ON CONFLICT (target) DO NOTHING", target, string(run)); err != nil {
				return fmt.Errorf("take %s for run %s: %w", target, run, err)
			}
			if holder, ok, err = tx.ActiveRun(ctx, target); err != nil {
				return err
			}
		}
		if !ok || holder != run {
			f := fault.Wrap(fault.Conflict, ErrTargetBusy, fmt.Sprintf("%s has %s in hand", holder, target), "nothing was changed", "wait for its end: guardroom run watch "+string(holder))
			return f
		}
	}
	return nil
}

// ActiveRun returns the run that has a target in hand. It reports whether there is one.
func (c q) ActiveRun(ctx context.Context, target string) (respond.RunID, bool, error) {
	var id string
	err := c.row(ctx, "SELECT run FROM run_targets WHERE target = $1", target).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look who has %s in hand: %w", target, err)
	}
	return respond.RunID(id), true, nil
}

// ActiveRun returns the run that has a target in hand. It reports whether there is one.
func (db *DB) ActiveRun(ctx context.Context, target string) (respond.RunID, bool, error) {
	return db.read().ActiveRun(ctx, target)
}

// LockRun loads a run for a change; it is locked until the end of the transaction.
func (tx *Tx) LockRun(ctx context.Context, id respond.RunID) (respond.RunRow, error) {
	return tx.oneRun(ctx, id, " FOR UPDATE")
}

// TakeRun gives a run to a worker: its epoch rises by one, which fences the
// worker before. It returns the row as it is now.
func (tx *Tx) TakeRun(ctx context.Context, id respond.RunID, worker string) (respond.RunRow, error) {
	r, err := tx.LockRun(ctx, id)
	if err != nil {
		return r, err
	}
	r.Worker = worker
	r.Epoch++
	return r, tx.PutRun(ctx, r)
}

// GetRun reads a run. The error wraps ErrNotFound where there is none.
func (c q) GetRun(ctx context.Context, id respond.RunID) (respond.RunRow, error) {
	return c.oneRun(ctx, id, "")
}

// GetRun reads a run.
func (db *DB) GetRun(ctx context.Context, id respond.RunID) (respond.RunRow, error) {
	return db.read().GetRun(ctx, id)
}

func (c q) oneRun(ctx context.Context, id respond.RunID, lock string) (respond.RunRow, error) {
	var r respond.RunRow
	var body string
	err := c.row(ctx, "SELECT body FROM runs WHERE id = $1"+lock, string(id)).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, err)
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		return r, fmt.Errorf("read run %s: %w", id, err)
	}
	return r, nil
}

// RunFilter narrows a list of runs. Zero fields do not narrow.
type RunFilter struct {
	Incident incident.Number
	States   []respond.RunState
	Target   string
	Before   respond.RunID // continues a list below this one
	Limit    int
}

// Runs lists runs, the newest first.
func (c q) Runs(ctx context.Context, f RunFilter) ([]respond.RunRow, error) {
	query, args := listQuery("runs", int64(f.Incident), f.Target, texts(f.States), string(f.Before), f.Limit)
	return bodies[respond.RunRow](ctx, c, "runs", query, args...)
}

// Runs lists runs, the newest first.
func (db *DB) Runs(ctx context.Context, f RunFilter) ([]respond.RunRow, error) {
	return db.read().Runs(ctx, f)
}

// OpenRuns lists the runs that have not ended, the oldest first.
func (c q) OpenRuns(ctx context.Context) ([]respond.RunRow, error) {
	return bodies[respond.RunRow](ctx, c, "open runs", "SELECT body FROM runs WHERE state IN ('queued', 'running') ORDER BY id")
}

// OpenRuns lists the runs that have not ended, the oldest first.
func (db *DB) OpenRuns(ctx context.Context) ([]respond.RunRow, error) { return db.read().OpenRuns(ctx) }

// OrphanRuns lists the runs that have not ended and whose worker has had no
// heartbeat since a moment, the oldest first, at most max of them. They are
// locked until the end of the transaction.
func (tx *Tx) OrphanRuns(ctx context.Context, since time.Time, max int) ([]respond.RunRow, error) {
	return bodies[respond.RunRow](ctx, tx.q, "runs without a worker", `SELECT body FROM runs WHERE state IN ('queued', 'running') AND worker <> ''
		AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = runs.worker AND workers.heartbeat >= $1) ORDER BY id LIMIT $2 FOR UPDATE`, micros(since), max)
}

// CountRuns counts what the runs that were begun since a moment count as, of an
// account and a class: one over several resources counts each of them. No account
// is the whole installation; no class is every class but Release, which has no cap.
func (c q) CountRuns(ctx context.Context, account string, class respond.Class, since time.Time) (int, error) {
	w := where{}
	w.eq("account", account)
	if class != "" {
		w.eq("class", string(class))
	} else {
		w.add("class <> $?", string(respond.Release))
	}
	w.add("created_at >= $?", micros(since))
	var n int
	if err := c.row(ctx, "SELECT COALESCE(SUM(n), 0) FROM run_counts "+w.sql(), w.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count runs: %w", err)
	}
	return n, nil
}

// CountRuns counts what the runs that were begun since a moment count as.
func (db *DB) CountRuns(ctx context.Context, account string, class respond.Class, since time.Time) (int, error) {
	return db.read().CountRuns(ctx, account, class, since)
}

// DueChecks lists the runs whose containment is to be looked at now, the longest
// due first, at most max of them.
func (c q) DueChecks(ctx context.Context, now time.Time, max int) ([]respond.RunRow, error) {
	return bodies[respond.RunRow](ctx, c, "due checks", "SELECT body FROM runs WHERE next_check > 0 AND next_check <= $1 ORDER BY next_check, id LIMIT $2", micros(now), max)
}

// DueChecks lists the runs whose containment is to be looked at now.
func (db *DB) DueChecks(ctx context.Context, now time.Time, max int) ([]respond.RunRow, error) {
	return db.read().DueChecks(ctx, now, max)
}
