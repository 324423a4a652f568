package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/block"
	"github.com/guardroom/guardroom/respond/manual"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/rule"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// desk is where plans are made and decided, and runs are started, aborted and
// undone. Each decision is one transaction with its audit record, its timeline
// entry and the deliveries that must now show it.
type desk struct {
	tool    string // this guardroom with its version
	store   *store.DB
	engine  runEnqueuer
	raise   enqueuer
	newID   func() string
	now     func() time.Time
	log     *slog.Logger
	triager *triage.Triager

	playbooks []respond.Playbook
	actions   respond.Actions
	closings  map[string]respond.Closing
	aws       awscalls.AWS
	// simulation is what aws is where respond.simulate says so, else nil.
	simulation *sim.World
	policy     respond.Policy
	rules      respond.Rules
	never      []*rule.Rule
	before     []preAuthorization
	hours      []config.ProtectedHours
	freezes    []config.Freeze
	// own finds out what guardroom itself lives on.
	own   func(ctx context.Context) safety.Own
	news  *bell // rung when something was sent to a run
	tempo notify.Tempo
	seal  sealer
}

// runEnqueuer adds the work of a run inside a transaction.
type runEnqueuer interface {
	enqueueRun(ctx context.Context, tx *store.Tx, item durable.RunItem) error
}

// preAuthorization is a compiled rule that approves plans beforehand.
type preAuthorization struct {
	rule   *rule.Rule
	cfg    config.PreAuthorization
	hours  *config.Window
	sha256 string
}

// describeLimit is how long describing a live resource may take.
const describeLimit = 90 * time.Second

func (d *desk) playbook(name string) (respond.Playbook, error) {
	names := make([]string, 0, len(d.playbooks))
	for _, p := range d.playbooks {
		if p.Name() == name {
			return p, nil
		}
		names = append(names, p.Name())
	}
	return nil, fault.New(fault.NotFound, fmt.Sprintf("there is no playbook %q", name), "guardroom playbook list: "+strings.Join(names, ", "))
}

// CreatePlan describes the live resource and stores what would be done to it.
func (d *desk) CreatePlan(ctx context.Context, r api.PlanRequest, who string) (api.PlanDetail, error) {
	m, err := d.create(ctx, r, who, false)
	if err != nil {
		return api.PlanDetail{}, err
	}
	return api.PlanDetail{Row: m.row, Plan: m.plan, Canonical: string(m.row.Bytes)}, nil
}

// made is a plan that was made, and what it was made from.
type made struct {
	row  respond.PlanRow
	plan *respond.Plan
	q    safety.Question
	// parts are the resources as they were described.
	parts []part
}

type part struct {
	target respond.Target
	world  respond.World
}

func (d *desk) create(ctx context.Context, r api.PlanRequest, who string, byItself bool) (m made, err error) {
	q, p, req, err := d.question(ctx, r, who)
	if err != nil {
		return m, err
	}
	q.ByItself = byItself
	q.Protected = d.protected(q.Now)
	left := d.narrow(ctx, &q, &req, p)
	judge := req.Forbids
	req.Forbids = func(t respond.Target, w respond.World, changes bool) respond.Guard {
		m.parts = append(m.parts, part{t, w})
		return judge(t, w, changes)
	}
	look, cancel := context.WithTimeout(ctx, describeLimit)
	defer cancel()
	if err := d.furnish(look, req); err != nil {
		return m, err
	}
	vault := d.vault(look, req)
	world, err := p.Describe(look, d.aws, req)
	if err != nil {
		err = respond.Explain(err, fmt.Sprintf("describe %s in %s/%s", req.Target.ID, req.Target.Account, req.Target.Region), "nothing was changed")
		if c := fault.CodeOf(err); !byItself || c != fault.Unavailable && c != fault.Internal {
			d.noteFailure(ctx, r.Incident, who, err)
		}
		return m, err
	}
	draft, err := drafted(p, world, req)
	if err != nil {
		return m, err
	}
	if draft.World != nil {
		world = *draft.World
	}
	plan := d.plan(p, req, world, draft, who)
	if r.Resource == "" {
		plan.LeftOut = slices.Concat(respond.Unfit(q.Finding), plan.LeftOut, unplanned(r.Incident, plan, req.Others), unconfirmedLead(q))
	}
	plan.DryRun = r.DryRun || d.policy.DryRun
	plan.Manual = append(plan.Manual, left...)
	if q.Protected != "" {
		plan.Approvals = max(plan.Approvals, 2)
	}
	q.Target, q.Parts, q.Counts = plan.Target, plan.Parts, countsOf(p, plan)
	if err := d.ask(ctx, d.store, &q, plan); err != nil {
		return m, err
	}
	plan.Guards = slices.Concat(safety.Guards(q), draft.Guards, vault(plan), d.asked(ctx, plan))
	if plan.DryRun {
		plan.WillNot = append([]string{"change anything: this is a dry run"}, plan.WillNot...)
	}
	m.plan, m.q = plan, q
	m.row, err = d.keep(ctx, plan, world, who, byItself)
	return m, err
}

// question finds out what is asked: the incident, its leading finding, the
// target and the playbook.
func (d *desk) question(ctx context.Context, r api.PlanRequest, who string) (q safety.Question, p respond.Playbook, req respond.Request, err error) {
	i, err := d.store.GetIncident(ctx, r.Incident)
	if errors.Is(err, store.ErrNotFound) {
		return q, p, req, fault.New(fault.NotFound, "there is no "+r.Incident.String(), "guardroom incident list")
	}
	if err != nil {
		return q, p, req, err
	}
	f, confirmed, err := d.leading(ctx, i)
	if err != nil {
		return q, p, req, err
	}
	targets := respond.Targets(f)
	if r.Resource != "" {
		named := func(t respond.Target) bool { return t.ID == r.Resource || t.ARN == r.Resource }
		at := slices.IndexFunc(targets, named)
		if at < 0 && f.ID != i.Lead.FindingID {
			// What nobody has confirmed is for a person to judge, who names it.
			said, _, err := d.findingOf(ctx, i, i.Lead.FindingID)
			if err != nil {
				return q, p, req, err
			}
			if list := respond.Targets(said); slices.ContainsFunc(list, named) {
				f, confirmed, targets = said, false, list
				at = slices.IndexFunc(targets, named)
			}
		}
		if at < 0 {
			return q, p, req, fault.New(fault.NotFound, fmt.Sprintf("the leading finding of %s names no resource %q", i.Number, r.Resource), "it names "+targetWords(targets))
		}
		targets = targets[at : at+1]
	}
	if len(targets) == 0 {
		return q, p, req, fault.New(fault.Conflict, fmt.Sprintf("the leading finding of %s (%s) names no resource that can be described%s", i.Number, f.Type.Name, because(strings.Join(respond.Unfit(f), "; "))), "respond by hand: guardroom finding show "+string(f.ID)+" says what GuardDuty saw, and the console has the resource")
	}
	target, policy := targets[0], d.policy
	switch {
	case r.Playbook != "":
		if p, err = d.playbook(r.Playbook); err != nil {
			return q, p, req, err
		}
		if _, many := p.(respond.Sequence); !many {
			at := slices.IndexFunc(targets, p.Fits)
			if at < 0 {
				return q, p, req, fault.New(fault.Conflict, fmt.Sprintf("playbook %s fits none of the resources: %s", p.Name(), targetWords(targets)), "guardroom playbook list")
			}
			target = targets[at]
		}
	case f.Resource.Kind == finding.KindAttackSequence && r.Resource == "":
		if p, err = d.playbook(respond.Sequence{}.Name()); err != nil {
			return q, p, req, err
		}
	default:
		at := slices.IndexFunc(d.playbooks, func(p respond.Playbook) bool { return p.Fits(target) && suits(p, policy) })
		if at < 0 {
			return q, p, req, fault.New(fault.Conflict, fmt.Sprintf("no playbook fits %s %s", target.Kind, target.ID), "guardroom playbook list")
		}
		p = d.playbooks[at]
	}
	req = respond.Request{Incident: i, Finding: f.ID, Type: f.Type.Name, Role: f.Role, Target: target, Others: others(targets, target), Policy: policy, Requester: who, Now: d.now()}
	q = safety.Question{Incident: i, Finding: f, Confirmed: confirmed, Target: target, Class: classOf(p), Policy: policy, Env: d.triager.Env(ctx, f), Never: d.never, Now: d.now()}
	req.Forbids = forbids(q)
	return q, p, req, nil
}

// forbids asks about a resource that was described whether it may be guardroom's
// own, and the rules of the configuration.
func forbids(q safety.Question) func(respond.Target, respond.World, bool) respond.Guard {
	return func(t respond.Target, w respond.World, changes bool) respond.Guard {
		if g := safety.Worker(q, t, w, changes); g.Answer == respond.Refuse {
			return g
		}
		return safety.Never(q, t, w, changes)
	}
}

// drafted is what a playbook would do, with the answer whether the configuration
// forbids it. A plan over several resources asks that for each, and leaves out what
// is forbidden.
func drafted(p respond.Playbook, w respond.World, req respond.Request) (respond.Draft, error) {
	draft, err := p.Draft(w, req)
	if _, many := p.(respond.Sequence); many || err != nil {
		return draft, err
	}
	return respond.Judged(draft, w, req), nil
}

// mostParts is how many resources a plan is about at most: each is described by a
// few dozen calls, and a person must be able to read it.
const mostParts = 25

// narrow leaves out of a plan over several resources what guardroom lives on, and
// what is too much for one plan. It says what is left out.
func (d *desk) narrow(ctx context.Context, q *safety.Question, req *respond.Request, p respond.Playbook) (left []string) {
	q.Own = d.own(ctx)
	req.Forbids = forbids(*q)
	if _, many := p.(respond.Sequence); !many {
		return nil
	}
	var kept []respond.Target
	over := 0
	for _, t := range respond.InOrder(append([]respond.Target{req.Target}, req.Others...)) {
		switch what := q.Own.Has(t); {
		case what != "":
			left = append(left, fmt.Sprintf("not in this plan: %s %s: %s", t.Kind, t.ID, what))
		case len(kept) == mostParts:
			over++
		default:
			kept = append(kept, t)
		}
	}
	if over > 0 {
		left = append(left, fmt.Sprintf("not in this plan: %d more resources, because a plan is about %d at most; plan them one by one: --resource ID", over, mostParts))
	}
	if len(kept) > 0 {
		req.Target, req.Others, q.Target = kept[0], kept[1:], kept[0]
	}
	return left
}

// protected says in words why two people must approve what is done now; empty: it
// is not so.
func (d *desk) protected(now time.Time) string {
	for _, f := range d.freezes {
		if f.Contains(now) {
			return fmt.Sprintf("the freeze %s until %s (%s)", f.Name, f.To.UTC().Format("2006-01-02 15:04 UTC"), f.Reason)
		}
	}
	for _, p := range d.hours {
		if !p.Contains(now) {
			continue
		}
		words := strings.TrimSpace(strings.Join(p.Days, " ") + " " + p.Hours + " " + cmp.Or(p.TimeZone, "UTC"))
		if p.Reason != "" {
			words += "; " + p.Reason
		}
		return fmt.Sprintf("%s (%s)", p.Name, words)
	}
	return ""
}

func others(all []respond.Target, one respond.Target) []respond.Target {
	var out []respond.Target
	for _, t := range all {
		if t.Key() != one.Key() {
			out = append(out, t)
		}
	}
	return out
}

func targetWords(list []respond.Target) string {
	words := make([]string, len(list))
	for i, t := range list {
		words[i] = fmt.Sprintf("%s %s", t.Kind, t.ID)
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// suits reports whether a playbook is one to take where nobody named any: some
// need more of the configuration than others.
func suits(p respond.Playbook, policy respond.Policy) bool {
	s, asks := p.(interface{ Suits(respond.Policy) bool })
	// To block an address is a decision of its own.
	return p.Name() != block.Name && (!asks || s.Suits(policy))
}

// asker is what the guards' counts are read from: the store, or a transaction.
type asker interface {
	ActiveRun(ctx context.Context, target string) (respond.RunID, bool, error)
	Runs(ctx context.Context, f store.RunFilter) ([]respond.RunRow, error)
	CountRuns(ctx context.Context, account string, class respond.Class, since time.Time) (int, error)
}

// ask fills in what runs there are.
func (d *desk) ask(ctx context.Context, from asker, q *safety.Question, plan *respond.Plan) (err error) {
	for _, name := range held(plan) {
		active := false
		if q.Active, active, err = from.ActiveRun(ctx, name); err != nil {
			return err
		}
		if active {
			break
		}
	}
	runs, err := from.Runs(ctx, store.RunFilter{Target: q.Target.Key(), Limit: 50})
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Contained && r.UndoneBy == "" {
			if !r.LetOut() { // what was let out may be contained anew
				q.Contained = r.ID
			}
			break
		}
	}
	since := d.now().Add(-d.tempo.Scale(time.Hour))
	q.Recent = map[respond.Class]int{}
	for _, class := range []respond.Class{respond.Isolation, respond.Revocation, respond.Block} {
		if q.Recent[class], err = from.CountRuns(ctx, q.Target.Account, class, since); err != nil {
			return err
		}
	}
	q.RecentAll, err = from.CountRuns(ctx, "", "", since)
	return err
}

// countsOf says what a plan counts as for the hourly caps: each of its resources
// by the playbook that responds to it.
func countsOf(p respond.Playbook, plan *respond.Plan) map[respond.Class]int {
	out := map[respond.Class]int{}
	many, is := p.(interface {
		For(t respond.Target) (respond.Playbook, bool)
	})
	if !is || len(plan.Parts) == 0 {
		out[classOf(p)] = 1
		return out
	}
	for _, t := range plan.Parts {
		class := respond.Isolation // what nobody knows counts as the worst
		if one, ok := many.For(t); ok {
			if one.Name() == manual.Playbook().Name() {
				continue // people do it
			}
			class = classOf(one)
		}
		out[class]++
	}
	return out
}

// classOf says what a playbook counts as.
func classOf(p respond.Playbook) respond.Class {
	if c, ok := p.(interface{ Class() respond.Class }); ok {
		return c.Class()
	}
	switch name := p.Name(); {
	case strings.HasPrefix(name, "ec2"), name == "sequence", strings.HasPrefix(name, "lambda"):
		return respond.Isolation
	case strings.HasPrefix(name, "iam"):
		return respond.Revocation
	case strings.HasPrefix(name, "block"):
		return respond.Block
	case strings.HasPrefix(name, "s3"):
		return respond.Isolation
	}
	return respond.Other
}

// plan puts a draft into its final form.
func (d *desk) plan(p respond.Playbook, r respond.Request, w respond.World, draft respond.Draft, who string) *respond.Plan {
	now := d.now().UTC().Truncate(time.Microsecond)
	target := draft.Target
	if target.ID == "" {
		target = r.Target
	}
	return &respond.Plan{Schema: respond.SchemaVersion, ID: respond.PlanID("pln_" + d.newID()), Incident: r.Incident.Number, Finding: r.Finding, Playbook: p.Name(), Version: p.Version(),
		Target: target, Parts: draft.Parts, Steps: draft.Steps, WillNot: some(draft.WillNot), AlsoHits: some(draft.AlsoHits), Guards: some(draft.Guards),
		Irreversible: some(draft.Irreversible), Manual: draft.Manual, LeftOut: draft.LeftOut, Undo: draft.Undo, ShortestSeconds: draft.ShortestSeconds, LongestSeconds: draft.LongestSeconds,
		CostCents: draft.CostCents, CostWhy: draft.CostWhy, Facts: some(w.Facts), Watched: w.Watched, BeforeSHA256: respond.Digest(w.Before), Keeping: d.policy.Keeping(), Simulated: d.aws.Simulated(),
		Requester: who, Approvals: max(1, d.policy.Approvals), CreatedAt: now, ExpiresAt: now.Add(d.tempo.Scale(d.policy.PlanAge))}
}

// asked says whether the one who asked is known, where that one may not approve:
// the socket and a shared token prove no person, so one more must look.
func (d *desk) asked(ctx context.Context, plan *respond.Plan) []respond.Guard {
	plan.Proven = api.Proven(ctx)
	if d.rules.RequesterMayApprove || plan.Proven || plan.Requester == incident.Guardroom {
		return nil
	}
	plan.Approvals++
	return []respond.Guard{{Name: "who asked", Answer: respond.Warn, Why: plan.Requester + " asked without a personal token, and who asked may not approve: one more person must",
		Hint: "ask with a personal token: guardroom --server URL plan create --incident INC-…"}}
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// keep stores a plan. One that a guard refuses is stored too, so that people see why.
func (d *desk) keep(ctx context.Context, plan *respond.Plan, w respond.World, who string, byItself bool) (row respond.PlanRow, err error) {
	bytes, err := respond.Canonical(plan)
	if err != nil {
		return row, err
	}
	row = respond.PlanRow{ID: plan.ID, Incident: plan.Incident, Playbook: plan.Playbook, Target: plan.Target.Key(), Bytes: bytes, Before: w.Before,
		Digest: respond.Digest(bytes), World: respond.WorldDigest(plan.Facts), State: respond.PlanWaiting, Requester: who, Needed: plan.Approvals,
		Approvals: []respond.Approval{}, UndoOf: plan.UndoOf, CreatedAt: plan.CreatedAt, ExpiresAt: plan.ExpiresAt}
	if g, refused := plan.Refused(); refused {
		row.State, row.Why, row.DecidedBy, row.DecidedAt = respond.PlanRefused, g.Name+": "+g.Why, incident.Guardroom, plan.CreatedAt
	}
	if !changes(plan) && row.State == respond.PlanWaiting && len(plan.Steps) == 0 {
		row.State, row.Why, row.DecidedBy, row.DecidedAt = respond.PlanRefused, "there is nothing that guardroom can do here; see the manual steps", incident.Guardroom, plan.CreatedAt
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if byItself {
			if err := d.mayMake(ctx, tx, plan.Incident); err != nil {
				return err
			}
		}
		old, err := predecessor(ctx, tx, row)
		if err != nil {
			return err
		}
		row.Replaces = old.ID
		if err := tx.PutPlan(ctx, row); err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: who, Action: "plan.created", Object: "plan/" + string(row.ID), After: string(row.State) + " sha256:" + row.Digest,
			Why: fmt.Sprintf("%s for %s on %s", whatOf(plan), plan.Incident, row.Target) + because(row.Why)})
		kind, text := incident.KindPlanWaits, simulated(plan.Simulated)+fmt.Sprintf("%s waits for approval until %s", planWords(row, plan), row.ExpiresAt.UTC().Format("15:04 UTC"))
		if old.ID != "" {
			text += fmt.Sprintf("; it replaces plan %s%s", old.ID, because(old.Why))
		}
		if row.State != respond.PlanWaiting {
			kind, text = incident.KindPlanDecided, simulated(plan.Simulated)+fmt.Sprintf("%s was refused: %s", planWords(row, plan), row.Why)
		}
		return d.tell(ctx, tx, plan.Incident, kind, who, text)
	})
	return row, err
}

// predecessor is the plan in whose place a new one is made: the newest that did
// the same, where it ended because the world changed or nobody approved it.
func predecessor(ctx context.Context, tx *store.Tx, row respond.PlanRow) (old respond.PlanRow, err error) {
	list, err := tx.Plans(ctx, store.PlanFilter{Incident: row.Incident, Target: row.Target, Limit: 20})
	if err != nil {
		return old, err
	}
	for _, o := range list {
		if o.ID == row.ID || o.Playbook != row.Playbook || o.UndoOf != row.UndoOf {
			continue
		}
		if o.State == respond.PlanChanged || o.State == respond.PlanExpired {
			old = o
		}
		break
	}
	return old, nil
}

// whatOf says what a plan is: a tired approver must not take an undo for a
// containment.
func whatOf(p *respond.Plan) string {
	what := p.Playbook
	if p.UndoOf != "" {
		what = "UNDO of " + string(p.UndoOf)
	}
	if p.Simulated {
		what = "simulated " + what
	}
	return what
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func changes(p *respond.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s respond.Step) bool { return s.Effect != respond.NoChange })
}

// tell writes a timeline entry, its audit record, and raises the deliveries.
func (d *desk) tell(ctx context.Context, tx *store.Tx, n incident.Number, kind incident.Kind, who, text string) error {
	return d.change(ctx, tx, n, true, func(i *incident.Incident, now time.Time) []incident.Entry {
		return i.Responded(kind, who, text, now)
	})
}

// followed is an incident, or the one that it was merged into: that is where people
// read what happens. It is locked until the transaction ends.
func followed(ctx context.Context, tx *store.Tx, n incident.Number) (*incident.Incident, error) {
	for range 100 { // merged again and again
		i, err := tx.Incident(ctx, n)
		if err != nil || i.MergedInto == 0 {
			return i, err
		}
		n = i.MergedInto
	}
	return nil, fmt.Errorf("%s was merged without an end", n)
}

// change changes an incident, or the one that it was merged into, in a transaction
// and raises what shows it.
func (d *desk) change(ctx context.Context, tx *store.Tx, n incident.Number, urgent bool, do func(i *incident.Incident, now time.Time) []incident.Entry) error {
	i, err := followed(ctx, tx, n)
	if err != nil {
		return err
	}
	revision := i.Revision
	entries := do(i, tx.Now())
	if i.Revision == revision {
		return nil
	}
	if err := tx.PutIncident(ctx, i, false, entries); err != nil {
		return err
	}
	for _, e := range entries {
		tx.Audit(entryRecord(i, e, ""))
	}
	r := raiser{store: d.store, engine: d.raise, newID: d.newID, tx: tx}
	_, err = r.incident(ctx, i, urgent)
	return err
}

// noteFailure tells in the incident that a plan could not be made.
func (d *desk) noteFailure(ctx context.Context, n incident.Number, who string, cause error) {
	err := d.store.Write(ctx, func(tx *store.Tx) error {
		return d.tell(ctx, tx, n, incident.KindPlanDecided, who, "no plan could be made: "+fault.Of(cause).Error())
	})
	if err != nil {
		d.log.Warn("that a plan could not be made was not recorded", "incident", n.String(), "error", err)
	}
}

// openPlan reads a stored plan.
func openPlan(row respond.PlanRow) (*respond.Plan, error) {
	if got := respond.Digest(row.Bytes); got != row.Digest {
		return nil, fault.New(fault.Corrupt, fmt.Sprintf("the stored bytes of plan %s have the digest %s and not %s", row.ID, got, row.Digest), "guardroom audit verify; make the plan again")
	}
	var p respond.Plan
	if err := json.Unmarshal(row.Bytes, &p); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "read plan "+string(row.ID), "nothing was changed", "make the plan again")
	}
	return &p, nil
}
