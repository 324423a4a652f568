package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// runs carries out approved plans. A run is a row, its journal, and a work item
// of the durable engine; whoever takes the item takes the row, which fences
// every worker before.
type runs struct {
	*desk
	worker   string
	clock    playbook.Clock
	call     time.Duration // deadline of one call of AWS; it ends before the lease does
	patience time.Duration // for looking for the proof of one containment
	// stopping is closed when the process is to stop, and life ends a little later.
	stopping chan struct{}
	once     sync.Once
	life     context.Context //nolint:containedctx // it is the lifetime of the runs of this process
	end      context.CancelFunc
	hand     runsInHand
	// fresh reads a finding anew from GuardDuty into the store; nil: nothing does.
	fresh func(ctx context.Context, f store.Finding) (bool, error)
	// kept is told each record of a run after it was committed; nil: nobody.
	kept func(playbook.Record)
}

// The steps that every run has beside those of its plan.
const (
	stepWorld = respond.StepWorld // is the world still what was approved?
	stepSeal  = respond.StepSeal  // the evidence manifest
)

// carryOut is the handler of a run's work item. It returns an error only when
// the item must be worked on again.
func (r *runs) carryOut(ctx context.Context, item durable.RunItem) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)() //nolint:contextcheck // a run ends with the service as well as with its work item
	if r.stops() {
		return durable.ErrLeft
	}
	run, plan, err := r.take(ctx, item)
	if err != nil || plan == nil {
		return err
	}
	log := r.log.With("run", string(run.ID), "incident", run.Incident.String())
	if run.Epoch > 1 {
		// An earlier life of this run may have left something open.
		r.closeOwed(ctx, run.ID)
	}
	p := &progress{runs: r, run: run, plan: plan, states: map[string]playbook.State{}, left: map[string][]string{}}
	known, err := r.store.Steps(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, rec := range known {
		p.note(rec)
	}
	runner := &playbook.Runner{Journal: r.store.Journal(run.ID, run.Epoch, p.after(ctx)), Clock: r.clock, CallLimit: r.call,
		Wake: r.news.wait, Stopping: r.stopping, Changed: r.kept, Log: log}
	leaves := r.hand.take(run.ID)
	err = runner.Run(ctx, func(c playbook.Context) error { return r.play(ctx, c, run, plan) })
	leaves(err != nil && !errors.Is(err, playbook.ErrFenced))
	switch {
	case err == nil, errors.Is(err, playbook.ErrFenced):
		return nil
	case r.stops():
		return durable.ErrLeft
	case ctx.Err() != nil:
		return ctx.Err()
	}
	log.Error("a run could not be carried out and is taken up again", "error", err, "hint", "guardroom run show "+string(run.ID))
	return err
}

// runGrace is how long what a run has begun may take to come to its end when the
// process is to stop: time enough to close what was opened for seconds.
const runGrace = 6 * time.Second

func (r *runs) stops() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}

// stop tells the runs of this process that it is to stop: they begin nothing more,
// and end their waits. The next start goes on with them. It may be repeated.
func (r *runs) stop() {
	r.once.Do(func() {
		close(r.stopping)
		r.news.ring()
		time.AfterFunc(runGrace, r.end)
	})
}

// take takes the run of an item for this worker. plan is nil where the item is void.
func (r *runs) take(ctx context.Context, item durable.RunItem) (run respond.RunRow, plan *respond.Plan, err error) {
	id := respond.RunID(item.Run)
	void := false
	err = r.store.Write(ctx, func(tx *store.Tx) error {
		void = false
		run, err = tx.LockRun(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			void = true
			return nil
		}
		if err != nil {
			return err
		}
		if void = run.State.Ended() || run.Generation != item.Generation; void {
			return nil
		}
		first := run.State == respond.RunQueued
		if run, err = tx.TakeRun(ctx, id, r.worker); err != nil {
			return err
		}
		action := "run.taken"
		if first {
			run.State, run.StartedAt, action = respond.RunRunning, tx.Now(), "run.started"
			if err := tx.PutRun(ctx, run); err != nil {
				return err
			}
		}
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: action, Object: "run/" + string(id), After: fmt.Sprintf("worker %s, epoch %d", r.worker, run.Epoch)})
		if !first {
			return nil
		}
		return r.tell(ctx, tx, run.Incident, incident.KindRunStarted, incident.Guardroom, startedWords(run))
	})
	if err != nil || void {
		return run, nil, err
	}
	row, err := r.store.GetPlan(ctx, run.Plan)
	if err != nil {
		return run, nil, err
	}
	if plan, err = openPlan(row); err != nil {
		// Nothing is done by a plan that is not what was approved.
		return run, nil, r.finish(ctx, run, nil, respond.RunFailed, false, nil, fault.Of(err).Error())
	}
	return run, plan, nil
}

// play is the run itself: look whether the world is what was approved, do the
// steps of the plan, seal the evidence, and say how it ended.
func (r *runs) play(ctx context.Context, c playbook.Context, run respond.RunRow, plan *respond.Plan) error {
	changed, since, err := r.changed(c, plan)
	if err != nil || len(changed) > 0 {
		if err != nil {
			return err
		}
		if err := r.changedWorld(ctx, run, changed); err != nil {
			return err
		}
		r.again(ctx, plan)
		return nil
	}
	if plan.DryRun {
		return r.finish(ctx, run, plan, respond.RunFailed, false, nil, "it is a dry run, and is never carried out; nothing was changed")
	}
	row, err := r.store.GetPlan(ctx, run.Plan)
	if err != nil {
		return err
	}
	e := respond.Executor{Actions: r.actions, AWS: r.aws, Owed: owing{r.desk}, Policy: r.policy, Beside: r.beside(plan), Tool: r.tool, Digest: row.Digest}
	records, err := e.Execute(c, run.ID, plan)
	if playbook.IsPermanent(err) {
		// No other try goes better: what this program does not know it cannot do.
		return r.finish(ctx, run, plan, respond.RunFailed, false, nil, fault.Of(err).Error())
	}
	if err != nil {
		return err
	}
	sealed, err := r.sealRun(c, run, plan, records)
	if err != nil {
		return err
	}
	now, err := r.store.GetRun(ctx, run.ID)
	if err != nil {
		return err
	}
	state, contained, open, summary := respond.Result(plan, records, !now.AbortedAt.IsZero())
	if sealed.State == playbook.Failed {
		summary += "; the evidence manifest is not sealed: " + sealed.Message
		if state == respond.RunCompleted {
			state = respond.RunPartFailed
		}
	}
	why := troubles(plan, records)
	if len(since) > 0 {
		why = append([]string{sinceWords(since)}, why...)
	}
	return r.finish(ctx, run, plan, state, contained, open, summary, why...)
}

// longestTrouble is how much of a reason the timeline shows; the run has all of it.
const longestTrouble = 300

// troubles say of each step that failed why, in the order of the plan.
func troubles(plan *respond.Plan, records map[string]playbook.Record) []string {
	var out []string
	for _, s := range plan.Steps {
		rec := records[s.ID]
		if rec.Message == "" || rec.State != playbook.Failed && rec.State != playbook.Unknown {
			continue
		}
		why := []rune(rec.Message)
		if len(why) > longestTrouble {
			why = append(why[:longestTrouble], '…')
		}
		out = append(out, s.ID+": "+string(why))
	}
	return out
}

// finish stores how a run ended, with all that follows from it. The incident
// tells why too, for the first few things that went wrong.
func (r *runs) finish(ctx context.Context, run respond.RunRow, plan *respond.Plan, state respond.RunState, contained bool, open []string, summary string, why ...string) error {
	return r.store.Write(ctx, func(tx *store.Tx) error {
		now, err := tx.LockRun(ctx, run.ID)
		if err != nil {
			return err
		}
		if now.Epoch != run.Epoch || now.State.Ended() {
			return nil
		}
		told := now.Contained // when it was verified, and may have been let out since
		now.State, now.EndedAt, now.Summary, now.Contained = state, tx.Now(), summary, contained
		now.StillOpen = respond.Restate(open, now.Verdicts)
		if contained && now.NextCheck.IsZero() {
			r.watch(&now, tx.Now())
		}
		if err := tx.PutRun(ctx, now); err != nil {
			return err
		}
		if err := r.leave(ctx, tx, run.ID); err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.ended", Object: "run/" + string(run.ID), Before: string(respond.RunRunning), After: string(state), Why: summary})
		released, freed, loose := false, "", ""
		switch {
		case now.UndoOf != "" && state == respond.RunCompleted:
			if released, err = r.undone(ctx, tx, now); err != nil {
				return err
			}
			if freed, err = r.isReleased(ctx, tx, plan, now); err != nil {
				return err
			}
		case now.UndoOf != "" && plan != nil:
			if loose, err = r.loosen(ctx, tx, plan, now); err != nil {
				return err
			}
		}
		return r.change(ctx, tx, run.Incident, true, func(i *incident.Incident, at time.Time) []incident.Entry {
			what := run.Playbook
			if now.UndoOf != "" {
				what = "UNDO of " + string(now.UndoOf)
			}
			text := fmt.Sprintf("%s (%s) %s: %s", run.ID, what, state, summary)
			if len(why) > 0 {
				text += ". " + joinShort(why)
			}
			entries := i.Responded(incident.KindRunEnded, incident.Guardroom, simulated(now.Simulated)+text, at)
			switch {
			case contained && !told:
				entries = append(entries, i.Contain(simulated(now.Simulated)+isContained(plan, run.ID, open), at)...)
			case released:
				entries = append(entries, i.Release(simulated(now.Simulated)+freed, at)...)
			case loose != "":
				entries = append(entries, i.Loosen(loose, at)...)
			}
			return entries
		})
	})
}

func nameOf(p *respond.Plan) string {
	if p == nil {
		return "the resource"
	}
	return respond.Subject(p)
}

// isContained says that a containment was verified, and what goes on all the same.
func isContained(p *respond.Plan, id respond.RunID, open []string) string {
	text := respond.ContainedWords(nameOf(p), id, open)
	if p == nil {
		return text
	}
	if on := respond.GoesOn(p); on != "" {
		text += "; " + on
	}
	return text
}

// progress is told each record of a run in the transaction that keeps it.
type progress struct {
	*runs
	run  respond.RunRow
	plan *respond.Plan

	mu     sync.Mutex
	told   time.Time
	states map[string]playbook.State
	left   map[string][]string // by step that contains: what is still open
}

// tellEvery is how often destinations are shown a run's progress at most; they
// space their edits themselves as well.
const tellEvery = 2 * time.Second

func (p *progress) after(ctx context.Context) func(tx *store.Tx, rec playbook.Record) error {
	return func(tx *store.Tx, rec playbook.Record) error {
		items, gaps, custody := respond.EvidenceOf(rec)
		if len(items) > 0 {
			if err := tx.PutEvidence(ctx, p.run.Incident, p.run.ID, items); err != nil {
				return err
			}
		}
		if len(gaps) > 0 {
			if err := tx.PutGaps(ctx, p.run.Incident, p.run.ID, gaps); err != nil {
				return err
			}
		}
		if len(custody) > 0 {
			if err := tx.AddCustody(ctx, p.run.Incident, p.run.ID, custody); err != nil {
				return err
			}
		}
		if rec.State.Ended() {
			tx.Audit(stepRecord(p.run.ID, rec))
		}
		if p.contains(rec) {
			return p.contained(ctx, tx)
		}
		if why := p.failedToContain(rec); why != "" {
			return p.notContained(ctx, tx, why)
		}
		if !p.due(tx.Now(), rec.State.Ended()) {
			return nil
		}
		return p.change(ctx, tx, p.run.Incident, false, func(i *incident.Incident, now time.Time) []incident.Entry {
			i.Progressed(now)
			return nil
		})
	}
}

// note keeps what a record says of its step.
func (p *progress) note(rec playbook.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[rec.Name] = rec.State
	s, ok := p.plan.Step(rec.Name)
	if !ok || !s.Contains || !rec.State.Ended() {
		return
	}
	var open []string
	rec.Load(respond.SavedStillOpen, &open)
	if left := respond.LeftOver(s, rec); left != "" {
		open = append(open, left)
	}
	p.left[rec.Name] = open
}

// contains reports whether the record completes the containment, whole or in part:
// evidence may take hours more, and people must know at once.
func (p *progress) contains(rec playbook.Record) bool {
	p.note(rec)
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.plan.Step(rec.Name); !ok || !s.Contains || !rec.State.Ended() {
		return false
	}
	return respond.Holds(p.plan, func(step string) playbook.State { return p.states[step] })
}

// open is what the steps that contain left open, in the order of the plan.
func (p *progress) open() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, s := range p.plan.Steps {
		out = append(out, p.left[s.ID]...)
	}
	return out
}

func (p *progress) contained(ctx context.Context, tx *store.Tx) error {
	open := p.open()
	run, err := tx.LockRun(ctx, p.run.ID)
	if err != nil || run.Contained {
		return err
	}
	run.Contained = true
	p.watch(&run, tx.Now())
	if err := tx.PutRun(ctx, run); err != nil {
		return err
	}
	tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.contained", Object: "run/" + string(run.ID), After: run.Target})
	return p.change(ctx, tx, run.Incident, true, func(i *incident.Incident, at time.Time) []incident.Entry {
		return i.Contain(simulated(run.Simulated)+isContained(p.plan, run.ID, open), at)
	})
}

// failedToContain says what is open where the record ends the containment without
// success while the run goes on; empty: it does not, or the run ends with it, which
// then says so itself.
func (p *progress) failedToContain(rec playbook.Record) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.plan.Step(rec.Name)
	if p.plan.UndoOf != "" || !ok || !last.Contains || !rec.State.Ended() {
		return ""
	}
	open, left, verified := "", 0, true
	for _, s := range p.plan.Steps {
		state := p.states[s.ID]
		switch {
		case !state.Ended() && s.Contains:
			return ""
		case !state.Ended():
			left++
		case s.Contains && s.Effect == respond.NoChange && state != playbook.Completed:
			verified = false
		}
		for _, line := range p.left[s.ID] {
			if strings.Contains(line, " is open: ") && !strings.Contains(open, line) {
				open += "; " + line
			}
		}
	}
	if verified || left < 2 {
		return "" // it holds, or the run is about to end
	}
	if open == "" {
		open = "; " + rec.Message
	}
	return nameOf(p.plan) + " is NOT contained: " + strings.TrimPrefix(open, "; ")
}

// notContained tells people at once that nothing holds: the end of the run may be
// hours away. After an abort the run ends soon, and says it itself.
func (p *progress) notContained(ctx context.Context, tx *store.Tx, why string) error {
	run, err := tx.LockRun(ctx, p.run.ID)
	if err != nil || !run.AbortedAt.IsZero() {
		return err
	}
	return p.change(ctx, tx, run.Incident, true, func(i *incident.Incident, at time.Time) []incident.Entry {
		return i.Responded(incident.KindNotContained, incident.Guardroom, simulated(run.Simulated)+why+" ("+string(run.ID)+" goes on)", at)
	})
}

// due reports whether destinations should be shown what is new.
func (p *progress) due(now time.Time, ended bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := p.tempo.Scale(tellEvery)
	if !ended {
		every *= 5
	}
	if now.Sub(p.told) < every {
		return false
	}
	p.told = now
	return true
}

// bell wakes those that wait for something that was sent to a run of this process.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBell() *bell { return &bell{ch: make(chan struct{})} }

func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

// takeUp gives the runs of lost workers to whoever comes next.
func (r *runs) takeUp(ctx context.Context, list []respond.RunRow) error {
	for _, run := range list {
		err := r.store.Write(ctx, func(tx *store.Tx) error {
			now, err := tx.LockRun(ctx, run.ID)
			if err != nil || now.State.Ended() || now.Generation != run.Generation || now.Worker != run.Worker {
				return err
			}
			now.Generation++
			now.Epoch++ // the one that had it touches nothing any more
			now.Worker = ""
			if err := tx.PutRun(ctx, now); err != nil {
				return err
			}
			tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.taken_over", Object: "run/" + string(run.ID), Before: "worker " + run.Worker, After: fmt.Sprintf("epoch %d", now.Epoch)})
			return r.engine.enqueueRun(ctx, tx, durable.RunItem{Run: string(run.ID), Generation: now.Generation})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
