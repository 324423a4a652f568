package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

const (
	runName  = "guardroom.run"
	runQueue = "respond"
	// runsAtOnce is how many runs one process has in hand. Most of them wait for
	// snapshots, and waiting costs a goroutine.
	runsAtOnce = 500
)

// RunItem is one piece of work: carry out this run, if it is still of this
// generation.
type RunItem struct {
	Run        string `json:"run"`
	Generation int64  `json:"generation"`
}

// RunHandler carries out a run until that has ended. It is called at least once
// for every item, also for items that are void by now, and returns an error only
// when the run must be taken up again: the store did not answer, ctx ended, or
// the process stops (ErrLeft).
type RunHandler func(ctx context.Context, item RunItem) error

// ErrLeft says that a run was left as it stands because the process stops. The
// item stays with this executor, for its next start.
var ErrLeft = errors.New("the run is left for the next start")

// EnqueueRun adds a run inside the caller's transaction.
func (e *Engine) EnqueueRun(_ context.Context, tx *sql.Tx, item RunItem) error {
	_, err := dbos.Enqueue[string](e.ctx, runQueue, runName, item, dbos.WithEnqueueTransaction(tx),
		dbos.WithEnqueueWorkflowID(runWorkflowID(item)), dbos.WithEnqueueApplicationVersion(Version))
	if err != nil {
		return fmt.Errorf("enqueue run %s: %w", item.Run, err)
	}
	return nil
}

// respond is the workflow of one run. It has no steps of the engine: the run's
// own journal, in the same database, is its checkpoint, found by the names of
// the steps and not by their order. So a new version goes on with the runs of an
// old one, and what people watch is what a restart goes on from.
func (e *Engine) respond(run dbos.Context, item RunItem) (string, error) {
	if e.runs == nil {
		// This process carries out no runs, and has the same executor as one that
		// left this here. The next one that does takes it up.
		<-run.Done()
		return "", context.Cause(run)
	}
	return e.until(run, func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				e.cfg.Logger.Error("the work on a run panicked", "run", item.Run, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = fmt.Errorf("panicked: %v", p)
			}
		}()
		return e.runs(e.base, item)
	}, "run", item.Run)
}

// AbandonedRun is a run whose executor left it.
type AbandonedRun struct {
	RunItem
	id string
}

// AbandonedRuns returns the runs that executors have in hand which are neither
// this one nor alive. The caller gives each that still counts a new generation,
// and discards all of them afterwards.
func (e *Engine) AbandonedRuns(alive func(executor string) bool) ([]AbandonedRun, error) {
	list, err := dbos.ListWorkflows(e.ctx, dbos.WithFilterName(runName), dbos.WithFilterStatus(dbos.WorkflowStatusPending),
		dbos.WithFilterLimit(10*runsAtOnce), dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, fmt.Errorf("list runs in hand: %w", err)
	}
	var out []AbandonedRun
	for _, w := range list {
		if w.ExecutorID == e.cfg.Executor || alive(w.ExecutorID) {
			continue
		}
		item, err := runItemOf(w.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, AbandonedRun{RunItem: item, id: w.ID})
	}
	return out, nil
}

// DiscardRuns ends abandoned runs' items, so that nobody finds them again.
func (e *Engine) DiscardRuns(list []AbandonedRun) error {
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i] = a.id
	}
	return e.discard(ids)
}

// runWorkflowID names an item. A generation is never used twice, so neither is
// an id.
func runWorkflowID(i RunItem) string { return fmt.Sprintf("run/%s/%d", i.Run, i.Generation) }

func runItemOf(id string) (RunItem, error) {
	parts := strings.Split(id, "/")
	if len(parts) == 3 && parts[0] == "run" {
		if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			return RunItem{Run: parts[1], Generation: n}, nil
		}
	}
	return RunItem{}, fmt.Errorf("%q is no run of guardroom", id)
}
