package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// mayUndo refuses an undo whose run was taken back already, or one of whose
// resources was contained anew since, whole or in part: it would let out what that
// run holds.
func (d *desk) mayUndo(ctx context.Context, tx *store.Tx, plan *respond.Plan) error {
	old, err := tx.LockRun(ctx, plan.UndoOf)
	if err != nil {
		return err
	}
	if old.UndoneBy != "" {
		return fault.New(fault.Conflict, fmt.Sprintf("run %s was taken back by %s already", old.ID, old.UndoneBy), "guardroom run show "+string(old.UndoneBy))
	}
	mine := named(plan)
	page := store.RunFilter{Limit: 200}
	for {
		list, err := tx.Runs(ctx, page)
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.ID <= old.ID {
				return nil
			}
			holds, err := d.holds(ctx, tx, r, mine)
			if err != nil {
				return err
			}
			if holds == "" {
				continue
			}
			f := fault.New(fault.Conflict, fmt.Sprintf("run %s contained %s anew since", r.ID, holds), "undo that one first: guardroom run undo "+string(r.ID))
			if !r.Contained {
				f.Message = fmt.Sprintf("run %s (%s) contained %s in part since", r.ID, r.State, holds)
			}
			f.Safe = "nothing was changed"
			return f
		}
		if len(list) < page.Limit {
			return nil
		}
		page.Before = list[len(list)-1].ID
	}
}

// named are the names of each resource of a plan, with the resource. What a run
// holds beside them, as the bucket of an object, may be shared: each step takes
// back its own part of it.
func named(plan *respond.Plan) map[string]respond.Target {
	out := map[string]respond.Target{}
	for _, t := range append([]respond.Target{plan.Target}, plan.Parts...) {
		out[t.Key()] = t
		if t.ARN != "" {
			out[t.ARN] = t
		}
	}
	return out
}

// holds says which of the resources a run holds that has ended: it contained one,
// or isolated a part of it before it failed or was aborted, and nobody took that
// back. Empty: none.
func (d *desk) holds(ctx context.Context, tx *store.Tx, r respond.RunRow, mine map[string]respond.Target) (string, error) {
	if r.UndoOf != "" || r.UndoneBy != "" || !r.State.Ended() {
		return "", nil // one that goes on has its resources in hand
	}
	if r.State == respond.RunCompleted && !r.Contained && r.LoosenedBy == "" {
		return "", nil // it was about something else
	}
	row, err := tx.GetPlan(ctx, r.Plan)
	if err != nil {
		return "", err
	}
	plan, err := openPlan(row)
	if err != nil {
		return "", err
	}
	at := ""
	for name, t := range named(plan) {
		if _, same := mine[name]; same && (at == "" || t.ID < at) {
			at = t.ID
		}
	}
	if at == "" || r.Contained {
		return at, nil
	}
	records, err := tx.Steps(ctx, r.ID)
	if err != nil {
		return "", err
	}
	if !d.isolated(plan, byName(records)) {
		return "", nil
	}
	return at, nil
}

// isolated reports whether a run changed something that contains and that an undo
// would take back.
func (d *desk) isolated(plan *respond.Plan, records map[string]playbook.Record) bool {
	return slices.ContainsFunc(plan.Steps, func(s respond.Step) bool {
		rec, begun := records[s.ID]
		if !s.Contains || s.Effect != respond.Reversible || !begun || rec.State == playbook.Waiting {
			return false
		}
		a, known := d.actions[s.Action]
		if !known || a.Undo == nil {
			return !known // what nobody knows may hold something
		}
		steps, err := a.Undo(s, rec)
		return err != nil || len(steps) > 0
	})
}
