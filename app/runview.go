package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// shownRuns and shownPlans are how many runs of an incident, and plans that wait
// for one, its messages show.
const (
	shownRuns  = 10
	shownPlans = 5
)

// responses are the newest runs of an incident, the oldest first, and then the
// plans that wait for people.
func (v *views) responses(ctx context.Context, n incident.Number) ([]message.Run, error) {
	now := v.now()
	rows, err := v.store.Runs(ctx, store.RunFilter{Incident: n, Limit: shownRuns})
	if err != nil {
		return nil, err
	}
	var out []message.Run
	for _, r := range slices.Backward(rows) {
		p, err := progressOf(ctx, v.store, r, now)
		if err != nil {
			return nil, err
		}
		out = append(out, messageRun(p))
	}
	plans, err := v.store.Plans(ctx, store.PlanFilter{Incident: n, States: []respond.PlanState{respond.PlanWaiting}, Limit: shownPlans})
	if err != nil {
		return nil, err
	}
	for _, row := range slices.Backward(plans) {
		row, plan, err := storedPlan(ctx, v.store, row.ID)
		if err != nil {
			return nil, err
		}
		if row.State == respond.PlanWaiting {
			out = append(out, messageRun(respond.ProgressOfPlan(row, plan, now)))
		}
	}
	return out, nil
}

// progressOf is how a run stands now, for every surface.
func progressOf(ctx context.Context, db *store.DB, r respond.RunRow, now time.Time) (respond.Progress, error) {
	row, plan, err := storedPlan(ctx, db, r.Plan)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return respond.Progress{}, err
	}
	records, err := db.Steps(ctx, r.ID)
	if err != nil {
		return respond.Progress{}, err
	}
	return respond.ProgressOf(r, row, plan, records, now), nil
}

// storedPlan reads a plan. One whose bytes cannot be read, or are not those of its
// digest, is nil: nobody is shown what nobody approved, and what broke must not keep
// people from learning of the rest.
func storedPlan(ctx context.Context, db *store.DB, id respond.PlanID) (respond.PlanRow, *respond.Plan, error) {
	row, err := db.GetPlan(ctx, id)
	if err != nil {
		return row, nil, err
	}
	p, broken := openPlan(row)
	if broken != nil {
		p = nil
	}
	return row, p, nil
}

// messageRun is the same progress in the words of messages, which know nothing
// of responses.
func messageRun(p respond.Progress) message.Run {
	r := message.Run{
		ID: string(p.Run), Plan: string(p.Plan), Digest: p.Digest, What: p.What, Target: p.Target, State: message.RunState(p.State), UndoOf: string(p.UndoOf),
		Simulated: p.Simulated, DryRun: p.DryRun, Requester: p.Requester, ExpiresAt: p.ExpiresAt, Needed: max(p.Needed-len(p.Approvals), 0),
		Started: p.Started, Ended: p.Ended, Took: p.Took, Expected: p.Expected, Slow: p.Slow, Done: p.Done, Total: p.Total,
		Contained: p.Contained, InPart: len(respond.InPart(p.StillOpen)) > 0, StillOpen: p.StillOpen, Connect: p.Connect, Cost: p.Cost, AbortedBy: p.AbortedBy, AbortWhy: p.AbortWhy, Summary: p.Summary, Next: p.Next,
	}
	if respond.LetOut(p.Drift) {
		r.Drift = p.Drift
	}
	for _, a := range p.Approvals {
		r.Approvals = append(r.Approvals, message.RunApproval{Who: a.Who, Reason: a.Reason, At: a.At})
	}
	for _, s := range p.Stages {
		r.Stages = append(r.Stages, message.RunStage{Name: respond.StageWords(s.Stage), State: message.RunState(s.State), Done: s.Done, Total: s.Total, Failed: s.Failed, Percent: s.Percent})
	}
	for _, s := range p.Steps {
		r.Steps = append(r.Steps, message.RunStep{ID: s.ID, Stage: respond.PartWords(s.ID, s.Stage), Preserves: s.Preserves, Contains: s.Contains, Title: s.Title, State: message.RunState(s.State), Percent: s.Percent,
			Message: s.Message, Safe: s.Safe, Hint: s.Hint, Took: s.Took})
	}
	for _, i := range p.Evidence {
		e := message.RunEvidence{Kind: string(i.Kind), Title: i.Title, Location: i.Location, SHA256: i.SHA256, Gap: i.Gap}
		if evidence.IsRemoved(i.Gap) {
			e.Gone = i.Gap
		}
		r.Evidence = append(r.Evidence, e)
	}
	for _, g := range p.Gaps {
		r.Gaps = append(r.Gaps, message.RunGap{What: g.What, Why: g.Why})
	}
	return r
}
