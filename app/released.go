package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// isReleased says which resource is free again, and who approved that.
func (r *runs) isReleased(ctx context.Context, tx *store.Tx, plan *respond.Plan, undo respond.RunRow) (string, error) {
	row, err := tx.LockPlan(ctx, undo.Plan)
	if err != nil {
		return "", err
	}
	text := nameOf(plan) + " is not contained any more"
	for i, a := range row.Approvals {
		if i == 0 {
			text += "; approved by " + a.Who
		} else {
			text += " and " + a.Who
		}
	}
	return fmt.Sprintf("%s (%s took back %s)", text, undo.ID, undo.UndoOf), nil
}

// undone marks the run that was taken back. It reports whether that had contained
// something, and no other run of the incident holds anything.
func (r *runs) undone(ctx context.Context, tx *store.Tx, undo respond.RunRow) (released bool, err error) {
	old, err := tx.LockRun(ctx, undo.UndoOf)
	if err != nil {
		return false, err
	}
	released = old.Contained || old.LoosenedBy != ""
	old.State, old.UndoneBy, old.Contained, old.NextCheck = respond.RunUndone, undo.ID, false, time.Time{}
	old.UndoneAt = tx.Now()
	if err := removed(ctx, tx, old); err != nil {
		return false, err
	}
	tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.undone", Object: "run/" + string(old.ID), After: string(old.State), Why: "by " + string(undo.ID)})
	if err := tx.PutRun(ctx, old); err != nil || !released {
		return false, err
	}
	held, err := stillHeld(ctx, tx, undo.Incident)
	return !held, err
}

// stillHeld reports whether a run holds a resource of an incident, as far as the
// last look at it showed.
func stillHeld(ctx context.Context, tx *store.Tx, n incident.Number) (bool, error) {
	list, err := tx.Runs(ctx, store.RunFilter{Incident: n, Limit: 200})
	return slices.ContainsFunc(list, func(o respond.RunRow) bool { return o.Contained && o.UndoneBy == "" && !o.LetOut() }), err
}

// loosen ends the containment of a run of which an undo has taken back a part, and
// then failed or was aborted: what is open is not contained, whatever stays. It
// returns what people are told, empty where nothing was let out.
func (r *runs) loosen(ctx context.Context, tx *store.Tx, plan *respond.Plan, undo respond.RunRow) (string, error) {
	old, err := tx.LockRun(ctx, undo.UndoOf)
	if err != nil || !old.Contained {
		return "", err
	}
	row, err := tx.GetPlan(ctx, old.Plan)
	if err != nil {
		return "", err
	}
	was, err := openPlan(row)
	if err != nil {
		return "", nil //nolint:nilerr // a plan that was changed in the store has no steps to go by; audit verify names it
	}
	records, err := tx.Steps(ctx, undo.ID)
	if err != nil {
		return "", err
	}
	open, stays := takenBack(was, plan, byName(records))
	if len(open) == 0 {
		return "", nil
	}
	text := fmt.Sprintf("%s no longer holds: %s took back %s, and ended %s", subjectOf(&old), undo.ID, joinShort(open), undo.State)
	if len(stays) > 0 {
		text += "; not taken back: " + joinShort(stays)
	}
	old.Contained, old.LoosenedBy, old.NextCheck = false, undo.ID, time.Time{}
	tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.loosened", Object: "run/" + string(old.ID), After: strings.Join(open, "; "), Why: "by " + string(undo.ID)})
	return text, tx.PutRun(ctx, old)
}

// takenBack are the steps of an undo that let out what a step of the plan contained,
// by whether they did: those of which it is not known count as done.
func takenBack(was, undo *respond.Plan, records map[string]playbook.Record) (open, stays []string) {
	contains := func(id string) bool {
		return slices.ContainsFunc(was.Steps, func(s respond.Step) bool {
			return s.Contains && s.Effect == respond.Reversible && (id == "undo/"+s.ID || strings.HasPrefix(id, "undo/"+s.ID+"/"))
		})
	}
	for _, s := range undo.Steps {
		if !contains(s.ID) {
			continue
		}
		switch records[s.ID].State {
		case playbook.Completed, playbook.Unknown:
			open = append(open, s.Title)
		default:
			stays = append(stays, s.Title)
		}
	}
	return open, stays
}

// removed says of the working copies of a run that was undone that they are gone.
func removed(ctx context.Context, tx *store.Tx, old respond.RunRow) error {
	list, err := tx.Evidence(ctx, old.Incident)
	if err != nil {
		return err
	}
	var gone []evidence.Item
	for _, p := range list {
		if p.Run == old.ID && p.Working {
			p.Working, p.Gap = false, evidence.RemovedBy(string(old.UndoneBy), old.UndoneAt)
			gone = append(gone, p.Item)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return tx.PutEvidence(ctx, old.Incident, old.ID, gone)
}
