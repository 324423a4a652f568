package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// What lists of plans and runs can be narrowed to.
var (
	planStates = []respond.PlanState{respond.PlanWaiting, respond.PlanApproved, respond.PlanRejected, respond.PlanExpired, respond.PlanRefused, respond.PlanChanged, respond.PlanOvertaken}
	runStates  = []respond.RunState{respond.RunQueued, respond.RunRunning, respond.RunCompleted, respond.RunPartFailed, respond.RunFailed, respond.RunAborted, respond.RunUndone}
)

// PlaybookList is the answer of GET /v1/playbooks.
type PlaybookList struct {
	Playbooks []Playbook `json:"playbooks"`
}

func (h *handler) playbooks(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, PlaybookList{Playbooks: h.s.Responses().Playbooks()})
}

// PlanList is the answer of GET /v1/plans.
type PlanList struct {
	Plans []respond.PlanRow `json:"plans"`
}

func (h *handler) plans(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	f := store.PlanFilter{Incident: p.incident("incident"), States: among(&p, "state", planStates), Before: respond.PlanID(p.text("before")), Limit: int(p.number("limit"))}
	if p.err != nil {
		return p.err
	}
	list, err := h.s.Reader().Plans(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(w, PlanList{Plans: list})
}

func (h *handler) createPlan(w http.ResponseWriter, r *http.Request) error {
	var c PlanRequest
	if err := read(r, &c); err != nil {
		return err
	}
	if c.Incident <= 0 {
		return fault.New(fault.Usage, "a plan is for an incident", "guardroom incident list")
	}
	d, err := h.s.Responses().CreatePlan(r.Context(), c, identity(r))
	if err != nil {
		return missing(err, c.Incident.String(), "guardroom incident list")
	}
	return answer(w, d)
}

func planID(r *http.Request) respond.PlanID { return respond.PlanID(r.PathValue("id")) }
func runID(r *http.Request) respond.RunID   { return respond.RunID(r.PathValue("id")) }

// planDetail reads a plan as it is stored.
func planDetail(row respond.PlanRow) (PlanDetail, error) {
	d := PlanDetail{Row: row, Canonical: string(row.Bytes)}
	if got := respond.Digest(row.Bytes); got != row.Digest {
		return d, fault.Wrap(fault.Corrupt, nil, fmt.Sprintf("the stored bytes of plan %s have the digest %s and not %s", row.ID, got, row.Digest),
			"it is not shown, so that nobody approves what was not planned", "the store was changed by hand, or is damaged: guardroom audit verify; make the plan again")
	}
	if err := json.Unmarshal(row.Bytes, &d.Plan); err != nil {
		return d, fault.Wrap(fault.Corrupt, err, "read plan "+string(row.ID), "nothing was changed", "guardroom audit verify")
	}
	return d, nil
}

func (h *handler) plan(w http.ResponseWriter, r *http.Request) error {
	row, err := h.s.Reader().GetPlan(r.Context(), planID(r))
	if err != nil {
		return missing(err, "plan "+string(planID(r)), "guardroom plan list")
	}
	d, err := planDetail(row)
	if err != nil {
		return err
	}
	return answer(w, d)
}

// Approve is the body of POST /v1/plans/{id}/approve.
type Approve struct {
	// Digest is that of the plan that was read, its first eight digits or more.
	Digest string `json:"digest"`
	Reason string `json:"reason"`
}

// Reason is the body of commands that need one.
type Reason struct {
	Reason string `json:"reason"`
}

// reason reads one that is not empty.
func reason(r *http.Request) (string, error) {
	var c Reason
	if err := read(r, &c); err != nil {
		return "", err
	}
	if strings.TrimSpace(c.Reason) == "" {
		return "", fault.New(fault.Usage, "this needs a reason", "nothing was changed; say why, for those who ask later")
	}
	return c.Reason, readable(c.Reason)
}

func (h *handler) approvePlan(w http.ResponseWriter, r *http.Request) error {
	var c Approve
	if err := read(r, &c); err != nil {
		return err
	}
	if len(c.Digest) < 8 {
		return fault.New(fault.Usage, "an approval needs the digest of the plan, at least eight digits of it", "guardroom plan show "+string(planID(r)))
	}
	if strings.TrimSpace(c.Reason) == "" {
		return fault.New(fault.Usage, "an approval needs a reason", "say why, for those who ask later")
	}
	if err := readable(c.Reason); err != nil {
		return err
	}
	d, err := h.s.Responses().ApprovePlan(r.Context(), planID(r), c.Digest, c.Reason, identityOf(r).approver())
	if err != nil {
		return missing(err, "plan "+string(planID(r)), "guardroom plan list")
	}
	return answer(w, d)
}

func (h *handler) rejectPlan(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	d, err := h.s.Responses().RejectPlan(r.Context(), planID(r), why, identity(r))
	if err != nil {
		return missing(err, "plan "+string(planID(r)), "guardroom plan list")
	}
	return answer(w, d)
}

// RunList is the answer of GET /v1/runs.
type RunList struct {
	Runs []respond.RunRow `json:"runs"`
}

func (h *handler) runs(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	f := store.RunFilter{Incident: p.incident("incident"), States: among(&p, "state", runStates), Before: respond.RunID(p.text("before")), Limit: int(p.number("limit"))}
	if p.err != nil {
		return p.err
	}
	list, err := h.s.Reader().Runs(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(w, RunList{Runs: list})
}

// RunDetail is the answer of GET /v1/runs/{id}.
type RunDetail struct {
	Run  respond.RunRow `json:"run"`
	Plan *respond.Plan  `json:"plan"`
	// Progress is how the run stands, as people see it everywhere.
	Progress respond.Progress `json:"progress"`
	// Steps are those that were begun; what they saved is not shown.
	Steps []playbook.Record `json:"steps"`
	// Version rises with everything that happens in the run.
	Version int64 `json:"version"`
}

// RunEvent is the answer of GET /v1/runs/{id}/events.
type RunEvent struct {
	Run      respond.RunRow   `json:"run"`
	Progress respond.Progress `json:"progress"`
	// Steps are those that changed after the version that was asked for.
	Steps   []playbook.Record `json:"steps"`
	Version int64             `json:"version"`
}

// shown leaves out what steps keep for themselves: before-images hold user data
// and policies, which are evidence and no progress.
func shown(list []playbook.Record) []playbook.Record {
	out := make([]playbook.Record, len(list))
	for i, r := range list {
		r.Saved = nil
		out[i] = r
	}
	return out
}

func (h *handler) run(w http.ResponseWriter, r *http.Request) error {
	e, plan, err := h.runSince(r, 0)
	if err != nil {
		return err
	}
	return answer(w, RunDetail{Run: e.Run, Plan: plan, Progress: e.Progress, Steps: e.Steps, Version: e.Version})
}

// runSince reads the version first: what happens between the two is told again
// rather than not at all.
func (h *handler) runSince(r *http.Request, version int64) (e RunEvent, plan *respond.Plan, err error) {
	ctx, rd, id := r.Context(), h.s.Reader(), runID(r)
	steps, now, err := rd.StepsSince(ctx, id, version)
	if err != nil {
		return e, nil, missing(err, "run "+string(id), "guardroom run list")
	}
	row, err := rd.GetRun(ctx, id)
	if err != nil {
		return e, nil, missing(err, "run "+string(id), "guardroom run list")
	}
	all := steps
	if version > 0 {
		if all, err = rd.Steps(ctx, id); err != nil {
			return e, nil, err
		}
	}
	stored, err := rd.GetPlan(ctx, row.Plan)
	if err != nil {
		return e, nil, err
	}
	d, err := planDetail(stored)
	if err != nil {
		return e, nil, err
	}
	owed, err := rd.OwedOf(ctx, id)
	if err != nil {
		return e, nil, err
	}
	at := time.Now().UTC()
	progress := respond.ProgressOf(row, stored, d.Plan, all, at)
	progress.Owes(owed, at)
	return RunEvent{Run: row, Progress: progress, Steps: shown(steps), Version: now}, d.Plan, nil
}

// moved reports whether something is there beyond a version, or nothing will be.
func (h *handler) moved(r *http.Request, version int64) (bool, error) {
	_, now, err := h.s.Reader().StepsSince(r.Context(), runID(r), version)
	if err != nil {
		return false, missing(err, "run "+string(runID(r)), "guardroom run list")
	}
	row, err := h.s.Reader().GetRun(r.Context(), runID(r))
	return now != version || row.State.Ended(), missing(err, "run "+string(runID(r)), "guardroom run list")
}

const (
	// longestWait ends before an orderly stop of the service cuts requests off.
	longestWait = 4 * time.Second
	lookEvery   = 250 * time.Millisecond
)

func (h *handler) runEvents(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	since, wait := p.number("since"), time.Duration(p.number("wait"))*time.Second
	if p.err != nil {
		return p.err
	}
	ctx, over := r.Context(), false
	for until := time.Now().Add(min(wait, longestWait)); ; {
		moved, err := h.moved(r, since)
		if err != nil {
			return err
		}
		if moved || over || !time.Now().Before(until) {
			e, _, err := h.runSince(r, since)
			if err != nil {
				return err
			}
			return answer(w, e)
		}
		select {
		case <-time.After(lookEvery):
		case <-stopping(ctx):
			over = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *handler) abortRun(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	row, err := h.s.Responses().AbortRun(r.Context(), runID(r), why, identity(r))
	if err != nil {
		return missing(err, "run "+string(runID(r)), "guardroom run list")
	}
	return answer(w, row)
}

func (h *handler) undoRun(w http.ResponseWriter, r *http.Request) error {
	d, err := h.s.Responses().UndoRun(r.Context(), runID(r), identity(r))
	if err != nil {
		return missing(err, "run "+string(runID(r)), "guardroom run list")
	}
	return answer(w, d)
}

func (h *handler) respond(w http.ResponseWriter, r *http.Request) error {
	s, err := h.s.Responses().Switch(r.Context())
	if err != nil {
		return err
	}
	return answer(w, s)
}

func (h *handler) respondOff(w http.ResponseWriter, r *http.Request) error { return h.turn(w, r, true) }
func (h *handler) respondOn(w http.ResponseWriter, r *http.Request) error  { return h.turn(w, r, false) }

func (h *handler) turn(w http.ResponseWriter, r *http.Request, off bool) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	s, err := h.s.Responses().SetSwitch(r.Context(), off, why, identity(r))
	if err != nil {
		return err
	}
	return answer(w, s)
}

// incident reads a parameter such as INC-42; 0 where it is not there.
func (p *params) incident(name string) incident.Number {
	v := p.text(name)
	if v == "" {
		return 0
	}
	n, err := incident.ParseNumber(v)
	if err != nil && p.err == nil {
		p.err = fault.New(fault.Usage, err.Error(), "guardroom incident list")
	}
	return n
}

// among reads a list of words that must be known.
func among[T ~string](p *params, name string, known []T) []T {
	var out []T
	for _, s := range p.list(name) {
		if !slices.Contains(known, T(s)) && p.err == nil {
			p.err = fault.New(fault.Usage, fmt.Sprintf("%q is not a %s", s, name), "use "+either(known))
		}
		out = append(out, T(s))
	}
	return out
}

// either lists words: a, b or c.
func either[T ~string](list []T) string {
	w := words(list)
	return strings.Join(w[:len(w)-1], ", ") + " or " + w[len(w)-1]
}
