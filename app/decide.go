package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/store"
)

// ApprovePlan adds an approval. The last one that is needed starts the run, in
// the same transaction, so that it starts once however often it is given.
func (d *desk) ApprovePlan(ctx context.Context, id respond.PlanID, digest, reason string, by api.Approver) (api.PlanDetail, error) {
	return d.approve(ctx, id, respond.Approval{Who: by.Name, How: by.How, Own: by.Own, Digest: digest, Reason: reason})
}

func (d *desk) approve(ctx context.Context, id respond.PlanID, a respond.Approval) (out api.PlanDetail, err error) {
	var expired error
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		expired = nil
		// Approvals one after the other: the caps count what others have started,
		// and each ends the plans beside it.
		if err := tx.LockCaps(ctx); err != nil {
			return err
		}
		row, plan, err := d.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if sw, err := tx.Switch(ctx); err != nil {
			return err
		} else if sw.Off {
			return offFault(sw)
		}
		if why := d.protected(tx.Now()); why != "" && row.UndoOf == "" && row.State == respond.PlanWaiting && row.Needed < 2 {
			row.Needed = 2 // the hours began after the plan was made
		}
		waited := row.State == respond.PlanWaiting
		before := len(row.Approvals)
		approved, err := row.Approve(a, d.rules, tx.Now())
		if err != nil {
			if waited && row.State == respond.PlanExpired {
				expired = err // what ended the plan is kept, and the approver told
				return d.ended(ctx, tx, row, incident.Guardroom)
			}
			return err
		}
		var beside []respond.PlanRow
		if approved {
			if beside, err = d.beside(ctx, tx, row); err != nil {
				return err
			}
			if err := d.start(ctx, tx, &row, plan); err != nil {
				return err
			}
		}
		out = api.PlanDetail{Row: row, Plan: plan, Canonical: string(row.Bytes)}
		if len(row.Approvals) == before {
			return nil
		}
		if err := tx.PutPlan(ctx, row); err != nil {
			return err
		}
		last := row.Approvals[len(row.Approvals)-1]
		tx.Audit(audit.Record{Who: a.Who, Action: "plan.approved", Object: "plan/" + string(id), After: approvalWords(row, last), Why: a.Reason})
		for _, o := range beside {
			if o.Overtake(row.ID, tx.Now()) {
				if err := d.ended(ctx, tx, o, incident.Guardroom); err != nil {
					return err
				}
			}
		}
		return d.tell(ctx, tx, row.Incident, incident.KindPlanDecided, a.Who, fmt.Sprintf("%sapproved %s, %d of %d: %s", simulated(plan.Simulated), planWords(row, plan), len(row.Approvals), row.Needed, a.Reason))
	})
	if err == nil {
		err = expired
	}
	return out, err
}

// beside locks the plans that wait beside one that is approved and do the same:
// by the same playbook to the same target, or the undo of the same run.
func (d *desk) beside(ctx context.Context, tx *store.Tx, row respond.PlanRow) ([]respond.PlanRow, error) {
	list, err := tx.Plans(ctx, store.PlanFilter{Target: row.Target, States: []respond.PlanState{respond.PlanWaiting}, Limit: 100})
	if err != nil {
		return nil, err
	}
	var out []respond.PlanRow
	for _, o := range list {
		if o.ID == row.ID || o.Playbook != row.Playbook || o.UndoOf != row.UndoOf {
			continue
		}
		locked, err := tx.LockPlan(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, locked)
	}
	return out, nil
}

func approvalWords(row respond.PlanRow, a respond.Approval) string {
	s := fmt.Sprintf("%d of %d by %s, sha256:%s", len(row.Approvals), row.Needed, a.How, a.Digest)
	if a.Rule != "" {
		s += ", rule " + a.Rule + " sha256:" + a.RuleSHA256
	}
	if row.Run != "" {
		s += ", " + string(row.Run)
	}
	return s
}

func offFault(sw store.Switch) error {
	f := fault.New(fault.Conflict, sw.String(), "guardroom respond on --reason …, when it is safe again")
	f.Safe = "nothing was changed"
	return f
}

func (d *desk) lock(ctx context.Context, tx *store.Tx, id respond.PlanID) (respond.PlanRow, *respond.Plan, error) {
	row, err := tx.LockPlan(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return row, nil, fault.New(fault.NotFound, fmt.Sprintf("there is no plan %q", id), "guardroom plan list")
	}
	if err != nil {
		return row, nil, err
	}
	plan, err := openPlan(row)
	return row, plan, err
}

// start stores the run of an approved plan and enqueues its work. The caps are
// asked once more: between the plan and its approval others were approved.
func (d *desk) start(ctx context.Context, tx *store.Tx, row *respond.PlanRow, plan *respond.Plan) error {
	if plan.DryRun {
		f := fault.New(fault.Conflict, fmt.Sprintf("plan %s is a dry run, and is never carried out", row.ID), "make it again without --dry-run, and without respond.dry_run")
		f.Safe = "nothing was changed"
		return f
	}
	if plan.UndoOf != "" {
		if err := d.mayUndo(ctx, tx, plan); err != nil {
			return err
		}
	} else if err := d.stillOpen(ctx, tx, row); err != nil {
		return err
	}
	class, counts := respond.Other, map[respond.Class]int(nil)
	if p, err := d.playbook(plan.Playbook); err == nil {
		class, counts = classOf(p), countsOf(p, plan)
	}
	if plan.UndoOf != "" {
		class, counts = respond.Release, nil
	}
	q := safety.Question{Target: plan.Target, Class: class, Counts: counts, Policy: d.policy, Now: tx.Now()}
	if err := d.ask(ctx, tx, &q, plan); err != nil {
		return err
	}
	if g := safety.Cap(q); g.Answer == respond.Refuse {
		f := fault.New(fault.Conflict, "the plan cannot be carried out now: "+g.Why, g.Hint)
		f.Safe = "nothing was changed; the plan waits until " + row.ExpiresAt.UTC().Format("15:04 UTC")
		return f
	}
	row.Run = respond.RunID("run_" + d.newID())
	run := respond.RunRow{ID: row.Run, Plan: row.ID, Incident: row.Incident, Playbook: row.Playbook, Target: row.Target, Account: plan.Target.Account,
		Class: class, Counts: counts, State: respond.RunQueued, Generation: 1, UndoOf: plan.UndoOf, CreatedAt: tx.Now(), Simulated: plan.Simulated}
	if err := tx.PutRun(ctx, run); err != nil {
		return err
	}
	if err := tx.HoldTargets(ctx, run.ID, held(plan)...); err != nil {
		return err
	}
	tx.Audit(audit.Record{Who: row.DecidedBy, Action: "run.queued", Object: "run/" + string(run.ID), After: string(run.State), Why: "plan " + string(row.ID) + " sha256:" + row.Digest})
	return d.engine.enqueueRun(ctx, tx, durable.RunItem{Run: string(run.ID), Generation: run.Generation})
}

// held are the names under which a run holds its resources, each once: what the
// finding calls them, and their ARNs. Two findings may name one user in two regions,
// or by two keys. A run on an object holds its bucket, for its policy.
func held(plan *respond.Plan) []string {
	var out []string
	for _, t := range append([]respond.Target{plan.Target}, plan.Parts...) {
		out = append(out, t.Holds()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// stillOpen refuses to begin a response to an incident that was closed since the
// plan was made.
func (d *desk) stillOpen(ctx context.Context, tx *store.Tx, row *respond.PlanRow) error {
	i, err := tx.Incident(ctx, row.Incident)
	if err != nil {
		return err
	}
	if i.State == incident.Closed {
		f := fault.New(fault.Conflict, fmt.Sprintf("%s is closed", i.Number), "guardroom incident reopen "+i.Number.String())
		f.Safe = "nothing was changed"
		return f
	}
	return nil
}

// RejectPlan ends a plan that waits.
func (d *desk) RejectPlan(ctx context.Context, id respond.PlanID, why, who string) (out api.PlanDetail, err error) {
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		row, plan, err := d.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := row.Reject(who, why, tx.Now()); err != nil {
			return err
		}
		out = api.PlanDetail{Row: row, Plan: plan, Canonical: string(row.Bytes)}
		return d.ended(ctx, tx, row, who)
	})
	return out, err
}

// ended stores a plan that was ended without a run.
func (d *desk) ended(ctx context.Context, tx *store.Tx, row respond.PlanRow, who string) error {
	if err := tx.PutPlan(ctx, row); err != nil {
		return err
	}
	tx.Audit(audit.Record{Who: who, Action: "plan." + string(row.State), Object: "plan/" + string(row.ID), After: string(row.State), Why: row.Why})
	return d.tell(ctx, tx, row.Incident, incident.KindPlanDecided, who, endedWords(row))
}

// expire ends the plans that nobody approved in time.
func (d *desk) expire(ctx context.Context) error {
	list, err := d.store.ExpiredPlans(ctx, d.now(), 100)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range list {
		errs = append(errs, d.store.Write(ctx, func(tx *store.Tx) error {
			row, err := tx.LockPlan(ctx, p.ID)
			if err != nil || !row.Expire(tx.Now()) {
				return err
			}
			return d.ended(ctx, tx, row, incident.Guardroom)
		}))
	}
	return errors.Join(errs...)
}

// AbortRun stops a run before its next change. What it opened is closed, and
// what is contained stays contained. Repeating it changes nothing.
func (d *desk) AbortRun(ctx context.Context, id respond.RunID, why, who string) (run respond.RunRow, err error) {
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		run, err = tx.LockRun(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.NotFound, fmt.Sprintf("there is no run %q", id), "guardroom run list")
		}
		if err != nil {
			return err
		}
		if run.State.Ended() {
			f := fault.New(fault.Conflict, fmt.Sprintf("run %s has ended: it is %s", id, run.State), "to take back what it did: guardroom run undo "+string(id))
			f.Safe = "nothing more is changed by it"
			return f
		}
		if !run.AbortedAt.IsZero() {
			return nil
		}
		run.AbortedBy, run.AbortWhy, run.AbortedAt = who, why, tx.Now()
		if err := tx.PutRun(ctx, run); err != nil {
			return err
		}
		body, err := json.Marshal(map[string]string{"who": who, "why": why})
		if err != nil {
			return err
		}
		if err := tx.SendMessage(ctx, id, playbook.AbortTopic, body); err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: who, Action: "run.aborted", Object: "run/" + string(id), Why: why})
		return d.tell(ctx, tx, run.Incident, incident.KindRunEnded, who, simulated(run.Simulated)+fmt.Sprintf("aborted %s: it stops before its next change, and what is contained stays so%s", id, because(why)))
	})
	if err == nil {
		d.news.ring()
	}
	return run, err
}

// Switch says whether responses are switched off.
func (d *desk) Switch(ctx context.Context) (api.Switch, error) {
	sw, err := d.store.Switch(ctx)
	return api.Switch(sw), err
}

// SetSwitch switches responses off or on.
func (d *desk) SetSwitch(ctx context.Context, off bool, why, who string) (out api.Switch, err error) {
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		before, err := tx.Switch(ctx)
		if err != nil {
			return err
		}
		sw, err := tx.SetSwitch(ctx, off, who, why)
		if err != nil {
			return err
		}
		out = api.Switch(sw)
		if before.Off == sw.Off {
			return nil
		}
		word := map[bool]string{true: "off", false: "on"}
		tx.Audit(audit.Record{Who: who, Action: "respond.switched", Object: "respond", Before: word[before.Off], After: word[off], Why: why})
		return nil
	})
	if err == nil {
		d.news.ring()
	}
	return out, err
}

// UndoRun prepares the plan that takes back what a run did, from what the run
// recorded. It compares before it restores, and waits for approval.
func (d *desk) UndoRun(ctx context.Context, id respond.RunID, who string) (api.PlanDetail, error) {
	var none api.PlanDetail
	run, err := d.store.GetRun(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return none, fault.New(fault.NotFound, fmt.Sprintf("there is no run %q", id), "guardroom run list")
	}
	if err != nil {
		return none, err
	}
	switch {
	case !run.State.Ended():
		return none, fault.New(fault.Conflict, fmt.Sprintf("run %s is %s", id, run.State), "wait for its end, or stop it: guardroom run abort "+string(id)+" --reason …")
	case run.UndoOf != "":
		return none, fault.New(fault.Conflict, fmt.Sprintf("run %s is itself the undo of %s", id, run.UndoOf), "to contain again: guardroom plan create --incident "+run.Incident.String())
	case run.UndoneBy != "":
		return none, fault.New(fault.Conflict, fmt.Sprintf("run %s was undone by %s", id, run.UndoneBy), "guardroom run show "+string(run.UndoneBy))
	}
	row, err := d.store.GetPlan(ctx, run.Plan)
	if err != nil {
		return none, err
	}
	plan, err := openPlan(row)
	if err != nil {
		return none, err
	}
	records, err := d.store.Steps(ctx, id)
	if err != nil {
		return none, err
	}
	if err := d.unchanged(ctx, id, records); err != nil {
		return none, err
	}
	undo, err := respond.UndoPlan(plan, id, byName(records), d.actions)
	if err != nil {
		return none, err
	}
	now := d.now().UTC().Truncate(time.Microsecond)
	undo.ID, undo.Requester, undo.Approvals = respond.PlanID("pln_"+d.newID()), who, max(1, d.policy.Approvals)
	undo.CreatedAt, undo.ExpiresAt = now, now.Add(d.tempo.Scale(d.policy.PlanAge))
	undo.DryRun = d.policy.DryRun
	q := safety.Question{Target: plan.Target, Class: respond.Release}
	if err := d.ask(ctx, d.store, &q, undo); err != nil {
		return none, err
	}
	undo.Guards = append([]respond.Guard{safety.Busy(q)}, d.asked(ctx, undo)...)
	kept, err := d.keep(ctx, undo, respond.World{Facts: undo.Facts, Before: []byte("{}")}, who, false)
	return api.PlanDetail{Row: kept, Plan: undo, Canonical: string(kept.Bytes)}, err
}

func byName(list []playbook.Record) map[string]playbook.Record {
	out := make(map[string]playbook.Record, len(list))
	for _, r := range list {
		out[r.Name] = r
	}
	return out
}

// Playbooks lists the responses that can be planned.
func (d *desk) Playbooks() []api.Playbook {
	out, table := []api.Playbook{}, cloud.Permissions()
	for _, p := range d.playbooks {
		o := outlineOf(p.Name())
		one := api.Playbook{Name: p.Name(), Version: p.Version(), Summary: sentence(p.Summary()), Of: o.of, Undo: o.undo, Guards: o.questions(), Never: slices.Concat(o.never, neverAll())}
		for _, does := range o.does {
			one.Does = append(one.Does, does.words)
		}
		one.Calls = callsOf(o.actions(), d.actions, table)
		out = append(out, one)
	}
	return out
}
