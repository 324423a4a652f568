package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

func planOf(row *respond.PlanRow) (*respond.Plan, error) {
	var p respond.Plan
	return &p, json.Unmarshal(row.Bytes, &p)
}

// responseReader reads what responseService keeps.
type responseReader struct {
	api.Reader
	s *responseService
}

func (r responseReader) Plans(_ context.Context, f store.PlanFilter) ([]respond.PlanRow, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	out := []respond.PlanRow{}
	for _, id := range slices.Backward(r.s.order) {
		p := r.s.plans[id]
		if (len(f.States) == 0 || slices.Contains(f.States, p.State)) && (f.Incident == 0 || f.Incident == p.Incident) && f.Before == "" {
			out = append(out, *p)
		}
	}
	return out, nil
}

func (r responseReader) GetPlan(_ context.Context, id respond.PlanID) (respond.PlanRow, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if p, ok := r.s.plans[id]; ok {
		return *p, nil
	}
	return respond.PlanRow{}, fmt.Errorf("plan %s: %w", id, store.ErrNotFound)
}

func (r responseReader) Runs(_ context.Context, f store.RunFilter) ([]respond.RunRow, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	out := []respond.RunRow{}
	for _, x := range r.s.runs {
		if (len(f.States) == 0 || slices.Contains(f.States, x.row.State)) && f.Before == "" {
			out = append(out, x.row)
		}
	}
	return out, nil
}

func (r responseReader) GetRun(_ context.Context, id respond.RunID) (respond.RunRow, error) {
	row, _, _, err := r.s.look(id, -1)
	return row, err
}

func (r responseReader) Steps(_ context.Context, id respond.RunID) ([]playbook.Record, error) {
	_, steps, _, err := r.s.look(id, -1)
	return steps, err
}

func (r responseReader) StepsSince(_ context.Context, id respond.RunID, version int64) ([]playbook.Record, int64, error) {
	_, steps, now, err := r.s.look(id, version)
	return steps, now, err
}

func (r responseReader) GetIncident(_ context.Context, n incident.Number) (*incident.Incident, error) {
	if n != 7 && n != 8 {
		return nil, fmt.Errorf("incident %s: %w", n, store.ErrNotFound)
	}
	return &incident.Incident{Number: n}, nil
}

func (r responseReader) Evidence(_ context.Context, n incident.Number) ([]store.Preserved, error) {
	if n != 7 {
		return []store.Preserved{}, nil
	}
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	return []store.Preserved{
		{Incident: n, Run: "run_one", Item: evidence.Item{ID: "record/before.json", Kind: evidence.BeforeImage, Title: "instance before \x1b[2J", Location: "s3://evidence/before.json", SHA256: "aa11bb22cc33", HashOver: "the object's bytes", LockMode: "governance", LockUntil: at, CreatedAt: at, Account: "111111111111", Region: "eu-west-1"}},
		{Incident: n, Run: "run_one", Item: evidence.Item{ID: "snapshot/vol-0a1", Kind: evidence.Snapshot, Title: "snapshot of vol-0a1", Location: "snap-0d1", Gap: "EBS gives no hash", CreatedAt: at, Simulated: true}},
	}, nil
}

func (r responseReader) Gaps(_ context.Context, n incident.Number) ([]store.Lacking, error) {
	if n != 7 {
		return []store.Lacking{}, nil
	}
	return []store.Lacking{{Run: "run_one", Gap: evidence.Gap{What: "memory", Why: "the agent does not answer"}}}, nil
}

func (r responseReader) OwedOf(_ context.Context, id respond.RunID) ([]respond.Owed, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.owed[id], nil
}

func (r responseReader) Custody(context.Context, incident.Number) ([]evidence.Custody, error) {
	return []evidence.Custody{{At: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC), Who: "guardroom/run_one", Action: "acquired", Item: "record/before.json"}}, nil
}

func (r responseReader) Manifests(_ context.Context, n incident.Number) ([]store.Manifest, error) {
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	m, err := evidence.Build(nil, evidence.Parts{Case: evidence.Case{Incident: n.String()}, Run: "run_one", By: "guardroom/run_one", Approvals: []evidence.Approval{
		{Run: "run_one", Plan: "pln_one", Digest: "7b3e91c4aaaabbbb", Who: "ana", How: "token", At: at, Reason: "confirmed with \x1b[2J"},
		{Run: "run_one", Plan: "pln_one", Digest: "7b3e91c4aaaabbbb", Who: "guardroom", How: "rule", At: at, Rule: "mining in sandboxes", RuleSHA256: "ffff"}}}, at)
	if err != nil {
		return nil, err
	}
	sealed, err := evidence.Seal(m, nil, "a test has no key")
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(sealed)
	return []store.Manifest{{Incident: n, Revision: 1, At: at, Digest: "d1d2d3", Bytes: raw}}, err
}

func (r responseReader) Tokens(context.Context) ([]store.Token, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.s.tokens), nil
}
