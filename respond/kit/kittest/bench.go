// Package kittest runs a playbook on the simulated AWS, in virtual time and on a
// journal in memory, and breaks it at every place where it can break.
//
// Comes in: a playbook with its actions and a world. Goes out: records of runs,
// and dumps of the world to compare. It is for tests only. Read Bench.
package kittest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// The account, region and bucket of every bench.
const (
	Account  = "111122223333"
	Region   = "eu-west-1"
	Evidence = "guardroom-evidence"
)

// Start is when every bench begins.
var Start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Run is the id of the run of a bench, UndoRun of its undo.
const (
	Run     respond.RunID = "run_01test"
	UndoRun respond.RunID = "run_01undo"

	undoAgain respond.RunID = "run_02undo"
)

// Bench is a world with a playbook in front of it.
type Bench struct {
	T     testing.TB
	Clock *playbook.Virtual
	World *sim.World // nil where it is another AWS
	// Options are those that the world was made with.
	Options  sim.Options
	AWS      awscalls.AWS
	Playbook respond.Playbook
	Actions  respond.Actions
	Closings []respond.Closing
	Policy   respond.Policy
	Target   respond.Target
	Others   []respond.Target // of a plan over several resources
	// Parallel is how many changes may be under way beside the step that an abort
	// comes after.
	Parallel int64
	Type     string
	// Ended, when set, is told each step once it has ended.
	Ended func(playbook.Record)

	Owed    *Owed
	Journal *playbook.Memory

	mu    sync.Mutex
	hook  sim.Hook
	deny  map[awscalls.Role][]string
	watch *watch // of what its steps do; nil: nobody watches
}

// New returns a bench: build makes the world.
func New(t testing.TB, pb respond.Playbook, actions []respond.Action, closings []respond.Closing, build func(e *sim.Editor)) *Bench {
	t.Helper()
	b := On(t, nil, pb, actions, closings)
	b.Options = sim.Options{Clock: b.Clock, Deny: b.deny, Hook: b.Asked}
	w, err := sim.New(b.Options)
	if err != nil {
		t.Fatal(err)
	}
	b.World, b.AWS = w, w.AWS()
	if err := w.Edit(build); err != nil {
		t.Fatal(err)
	}
	return b
}

// On returns a bench in front of any AWS.
func On(t testing.TB, aws awscalls.AWS, pb respond.Playbook, actions []respond.Action, closings []respond.Closing) *Bench {
	return &Bench{T: t, AWS: aws, Clock: playbook.NewVirtual(Start), Playbook: pb, Actions: respond.NewActions(actions), Closings: closings,
		Policy: respond.DefaultPolicy(), Type: "UnauthorizedAccess:IAMUser/MaliciousIPCaller", deny: map[awscalls.Role][]string{},
		Owed: &Owed{rows: map[string]respond.Owed{}, closed: map[string]bool{}}, Journal: &playbook.Memory{}}
}

// Deny takes an IAM action from a role, before anything is called.
func (b *Bench) Deny(role awscalls.Role, action string) { b.deny[role] = append(b.deny[role], action) }

// Hook is asked before and after each call from now on.
func (b *Bench) Hook(h sim.Hook) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hook = h
}

// Asked asks the hook of the bench: it is the hook of its world.
func (b *Bench) Asked(p sim.Phase, c sim.Call) error {
	b.mu.Lock()
	h := b.hook
	b.mu.Unlock()
	if h == nil {
		return nil
	}
	return h(p, c)
}

// Request is what the plan is asked for.
func (b *Bench) Request() respond.Request {
	n := incident.Number(42)
	return respond.Request{Incident: &incident.Incident{Number: n, FirstSeen: Start.Add(-time.Hour)}, Type: b.Type, Target: b.Target, Others: b.Others, Policy: b.Policy, Requester: "ada", Now: b.Clock.Now()}
}

// Describe describes the target.
func (b *Bench) Describe() (respond.World, error) {
	return b.Playbook.Describe(context.Background(), b.AWS, b.Request())
}

// Draft describes and drafts; it must succeed.
func (b *Bench) Draft() respond.Draft {
	b.T.Helper()
	w, err := b.Describe()
	if err != nil {
		b.T.Fatal(err)
	}
	d, err := b.Playbook.Draft(w, b.Request())
	if err != nil {
		b.T.Fatal(err)
	}
	return d
}

// Plan makes the plan; it must succeed.
func (b *Bench) Plan() *respond.Plan {
	b.T.Helper()
	d := b.Draft()
	return &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01test", Incident: 42, Playbook: b.Playbook.Name(), Version: b.Playbook.Version(), Target: d.Target, Steps: d.Steps,
		WillNot: d.WillNot, AlsoHits: d.AlsoHits, Guards: d.Guards, Irreversible: d.Irreversible, Manual: d.Manual, LeftOut: d.LeftOut, Undo: d.Undo}
}

// UndoPlan is made from what a run recorded, as in production; without steps
// where nothing can be taken back.
func (b *Bench) UndoPlan(p *respond.Plan, records map[string]playbook.Record) *respond.Plan {
	b.T.Helper()
	u, err := respond.UndoPlan(p, Run, records, b.Actions)
	if err != nil && fault.CodeOf(err) == fault.Conflict {
		return &respond.Plan{UndoOf: Run}
	}
	if err != nil {
		b.T.Fatal(err)
	}
	u.ID = "pln_01undo"
	return u
}

// Execute carries out a plan on a journal.
func (b *Bench) Execute(run respond.RunID, p *respond.Plan, j *playbook.Memory) (map[string]playbook.Record, error) {
	e := respond.Executor{Actions: b.watch.over(b.Actions), AWS: b.AWS, Owed: b.Owed, Policy: b.Policy}
	r := playbook.Runner{Journal: j, Clock: b.Clock, Spread: func() float64 { return 0.5 }, Changed: func(rec playbook.Record) {
		if b.Ended != nil && rec.State.Ended() {
			b.Ended(rec)
		}
		b.watch.kept(rec)
	}}
	var records map[string]playbook.Record
	err := r.Run(context.Background(), func(c playbook.Context) (err error) {
		records, err = e.Execute(c, run, p)
		return err
	})
	return records, err
}

// Contain makes the plan and carries it out; every step must be completed.
func (b *Bench) Contain() (*respond.Plan, map[string]playbook.Record) {
	b.T.Helper()
	p := b.Plan()
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		b.T.Fatal(err)
	}
	b.Completed(records)
	return p, records
}

// Undo undoes a run; every step must be completed.
func (b *Bench) Undo(p *respond.Plan, records map[string]playbook.Record) {
	b.T.Helper()
	undone, err := b.Execute(UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		b.T.Fatal(err)
	}
	b.Completed(undone)
}

// Pass lets virtual time pass.
func (b *Bench) Pass(d time.Duration) {
	b.T.Helper()
	if err := b.Clock.Sleep(context.Background(), d, nil); err != nil {
		b.T.Fatal(err)
	}
}
