// Package kittest runs a playbook on the simulated AWS, in virtual time and on a
// journal in memory, and breaks it at every place where it can break.
//
// Comes in: a playbook with its actions and a world. Goes out: records of runs,
// and dumps of the world to compare. It is for tests only. Read Bench.
package kittest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
)

// Bench is a world with a playbook in front of it.
type Bench struct {
	T        testing.TB
	Clock    *playbook.Virtual
	World    *sim.World // nil where it is another AWS
	AWS      awscalls.AWS
	Playbook respond.Playbook
	Actions  respond.Actions
	Closings []respond.Closing
	Policy   respond.Policy
	Target   respond.Target
	Others   []respond.Target // of a plan over several resources
	Type     string
	// Ended, when set, is told each step once it has ended.
	Ended func(playbook.Record)

	Owed    *Owed
	Journal *playbook.Memory

	mu   sync.Mutex
	hook sim.Hook
	deny map[awscalls.Role][]string
}

// New returns a bench: build makes the world.
func New(t testing.TB, pb respond.Playbook, actions []respond.Action, closings []respond.Closing, build func(e *sim.Editor)) *Bench {
	t.Helper()
	b := On(t, nil, pb, actions, closings)
	w, err := sim.New(sim.Options{Clock: b.Clock, Deny: b.deny, Hook: func(p sim.Phase, c sim.Call) error {
		b.mu.Lock()
		h := b.hook
		b.mu.Unlock()
		if h == nil {
			return nil
		}
		return h(p, c)
	}})
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
	return &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01test", Incident: 42, Playbook: b.Playbook.Name(), Target: d.Target, Steps: d.Steps,
		WillNot: d.WillNot, AlsoHits: d.AlsoHits, Guards: d.Guards, Irreversible: d.Irreversible, Manual: d.Manual, Undo: d.Undo}
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
	e := respond.Executor{Actions: b.Actions, AWS: b.AWS, Owed: b.Owed, Policy: b.Policy}
	r := playbook.Runner{Journal: j, Clock: b.Clock, Spread: func() float64 { return 0.5 }, Changed: func(rec playbook.Record) {
		if b.Ended != nil && rec.State.Ended() {
			b.Ended(rec)
		}
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

// Completed fails the test where a step is not.
func (b *Bench) Completed(records map[string]playbook.Record) {
	b.T.Helper()
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if r := records[id]; r.State != playbook.Completed {
			b.T.Fatalf("step %s is %s: %s", id, r.State, r.Message)
		}
	}
}

// Result derives how a run ended.
func (b *Bench) Result(p *respond.Plan, records map[string]playbook.Record) (state respond.RunState, contained bool, open []string) {
	state, contained, open, _ = respond.Result(p, records, false)
	return state, contained, open
}

// Dump is the world without the evidence bucket and the counter of ids.
func (b *Bench) Dump() string {
	b.T.Helper()
	raw, err := b.World.Dump()
	if err != nil {
		b.T.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		b.T.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", " ")
	if err := enc.Encode(without(tree, map[string]bool{"seq": true, Evidence: true, "changed": true, "lock": true})); err != nil {
		b.T.Fatal(err)
	}
	return out.String()
}

// without drops keys, and lists and objects that hold nothing.
func without(v any, keys map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if x = without(x, keys); keys[k] || empty(x) {
				delete(v, k)
				continue
			}
			v[k] = x
		}
	case []any:
		for i := range v {
			v[i] = without(v[i], keys)
		}
	}
	return v
}

func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		_, named := v["name"] // a region that was only asked
		return len(v) == 0 || len(v) == 1 && named
	case []any:
		return len(v) == 0
	}
	return v == nil
}

// errCrash is what a call answers when the process dies around it.
var errCrash = errors.New("the process died")

// Crash is a place at which the process dies: at the nth event of its kind.
type Crash struct {
	Kind string // put, before, after
	N    int
}

func (c Crash) String() string { return fmt.Sprintf("%s-%d", c.Kind, c.N) }

// Crashes runs a playbook with a crash at every place where one may happen, and
// then takes the run up again on the same journal: check sees the world and the
// records at the end of each. fresh makes a bench for each crash.
func Crashes(t *testing.T, fresh func(t *testing.T) *Bench, check func(t *testing.T, b *Bench, p *respond.Plan, records map[string]playbook.Record)) {
	t.Helper()
	for _, kind := range []string{"put", "before", "after"} {
		for n := 1; ; n++ {
			c, was := Crash{kind, n}, false
			t.Run(c.String(), func(t *testing.T) { was = crashOnce(t, c, fresh, check) })
			if !was {
				break
			}
			if n > 500 {
				t.Fatal("no end of places to crash at")
			}
		}
	}
}

// crashOnce reports whether there was such a place.
func crashOnce(t *testing.T, c Crash, fresh func(t *testing.T) *Bench, check func(t *testing.T, b *Bench, p *respond.Plan, records map[string]playbook.Record)) (was bool) {
	t.Helper()
	b := fresh(t)
	p := b.Plan()
	died := b.dieAt(c)
	_, err := b.Execute(Run, p, b.Journal)
	if !died() {
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		return false
	}
	if err != nil && !errors.Is(err, playbook.ErrFenced) { // after the last record there is nothing to stop
		t.Fatalf("%s: the run went on after the process died: %v", c, err)
	}
	b.Hook(nil)
	b.Journal.OnPut = nil
	b.Journal.Set(playbook.Standing{})
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		t.Fatalf("%s: %v", c, err)
	}
	for id, r := range records {
		if r.State != playbook.Completed {
			t.Fatalf("%s: step %s is %s: %s", c, id, r.State, r.Message)
		}
	}
	check(t, b, p, records)
	return true
}

// dieAt arranges the crash. A dead process writes nothing: its journal is fenced.
func (b *Bench) dieAt(c Crash) (died func() bool) {
	var mu sync.Mutex
	n, dead := 0, false
	hit := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return true
		}
		n++
		dead = n == c.N
		return dead
	}
	fence := func() { b.Journal.Set(playbook.Standing{Fenced: true}) }
	if c.Kind == "put" {
		b.Journal.OnPut = func(playbook.Record) {
			if hit() {
				fence()
			}
		}
	}
	b.Hook(func(p sim.Phase, _ sim.Call) error {
		mu.Lock()
		gone := dead
		mu.Unlock()
		if p == sim.Before && gone {
			return errCrash // a dead process calls nothing
		}
		if c.Kind == string(phaseName(p)) && hit() {
			fence()
			return errCrash
		}
		return nil
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return dead
	}
}

func phaseName(p sim.Phase) string {
	if p == sim.Before {
		return "before"
	}
	return "after"
}

// Owed keeps what must be closed, in memory.
type Owed struct {
	mu     sync.Mutex
	rows   map[string]respond.Owed
	closed map[string]bool
}

var _ respond.Owing = (*Owed)(nil)

// Owe implements respond.Owing.
func (o *Owed) Owe(_ context.Context, row respond.Owed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed[row.ID] {
		o.rows[row.ID] = row
	}
	return nil
}

// Settle implements respond.Owing.
func (o *Owed) Settle(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.rows, id)
	o.closed[id] = true
	return nil
}

// Rows are what is owed, in the order of their ids.
func (o *Owed) Rows() []respond.Owed {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []respond.Owed
	for _, id := range slices.Sorted(maps.Keys(o.rows)) {
		out = append(out, o.rows[id])
	}
	return out
}

// Sweep closes what is due, as the sweeper does.
func (b *Bench) Sweep() error {
	var errs []error
	for _, row := range b.Owed.Rows() {
		if b.Clock.Now().Before(row.Due) {
			continue
		}
		i := slices.IndexFunc(b.Closings, func(c respond.Closing) bool { return c.Kind == row.Kind })
		if i < 0 {
			return fmt.Errorf("nobody closes %s", row.Kind)
		}
		if err := b.Closings[i].Close(context.Background(), b.AWS, row, b.Clock.Now()); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := b.Owed.Settle(context.Background(), row.ID); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Pass lets virtual time pass.
func (b *Bench) Pass(d time.Duration) {
	b.T.Helper()
	if err := b.Clock.Sleep(context.Background(), d, nil); err != nil {
		b.T.Fatal(err)
	}
}

// Guard returns the answer of a guard by its name.
func Guard(t testing.TB, d respond.Draft, name string) respond.Guard {
	t.Helper()
	for _, g := range d.Guards {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("no guard %q among %v", name, d.Guards)
	return respond.Guard{}
}

// Has reports whether a text of the list holds the words.
func Has(list []string, words string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, words) })
}

// DeniedOnce runs the playbook once for each change that it makes, with just
// that permission missing, and wants a step that failed and names the call.
func DeniedOnce(t *testing.T, fresh func(t *testing.T) *Bench, action map[string]string) {
	t.Helper()
	for _, call := range slices.Sorted(maps.Keys(action)) {
		t.Run(call, func(t *testing.T) {
			b := fresh(t)
			p := b.Plan()
			b.Deny(awscalls.Act, action[call])
			records, err := b.Execute(Run, p, b.Journal)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if r.State == playbook.Failed && r.Error != nil && r.Error.Code == "denied" && strings.Contains(r.Error.Hint, call) {
					if _, contained, _ := b.Result(p, records); contained {
						t.Fatal("the incident counts as contained although a containing step failed")
					}
					return
				}
			}
			t.Fatalf("no step failed and names %s: %+v", call, records)
		})
	}
}

// SameCalls carries out the plan of each bench and undoes it, and compares what
// actions say that they call with what was called. rare are calls that need not
// have been made: they are for a crash, or for a world that is otherwise.
func SameCalls(t testing.TB, actions []respond.Action, benches []*Bench, rare ...string) {
	t.Helper()
	made := map[awscalls.Role]map[string]bool{awscalls.Read: {}, awscalls.Act: {}, awscalls.Forensics: {}}
	for _, b := range benches {
		p := b.Plan()
		planning := len(b.World.Calls())
		records, err := b.Execute(Run, p, b.Journal)
		if err != nil {
			t.Fatal(err)
		}
		b.Undo(p, records)
		for _, c := range b.World.Calls()[planning:] {
			made[c.Place.Role][strings.Replace(c.String(), "WAFV2.", "WAF.", 1)] = true // as the table of permissions has it
		}
	}
	for _, role := range []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics} {
		said := map[string]bool{}
		for _, a := range actions {
			for _, c := range a.Calls[role] {
				said[c] = true
			}
		}
		for _, c := range slices.Sorted(maps.Keys(made[role])) {
			if !said[c] {
				t.Errorf("%s is called as %s, and no action says so", c, role)
			}
		}
		for _, c := range slices.Sorted(maps.Keys(said)) {
			if !made[role][c] && !slices.Contains(rare, c) {
				t.Errorf("an action says that it calls %s as %s, and nothing did", c, role)
			}
		}
	}
}

// Aborts runs a playbook with an abort after every record that is kept, and
// undoes what was done by then: nothing may be changed after the abort but what
// was under way, and the world must be what it was before.
func Aborts(t *testing.T, fresh func(t *testing.T) *Bench, check func(t *testing.T, b *Bench)) {
	t.Helper()
	for n := 1; ; n++ {
		last := false
		t.Run(fmt.Sprint("abort-", n), func(t *testing.T) { last = abortOnce(t, n, fresh, check) })
		if last || t.Failed() {
			return
		}
	}
}

// abortOnce reports whether the run had ended before the nth record.
func abortOnce(t *testing.T, n int, fresh func(t *testing.T) *Bench, check func(t *testing.T, b *Bench)) (last bool) {
	t.Helper()
	b := fresh(t)
	before := b.Dump()
	p := b.Plan()
	var puts, after atomic.Int64
	b.Journal.OnPut = func(playbook.Record) {
		if puts.Add(1) == int64(n) {
			b.Journal.Send(playbook.AbortTopic, nil)
		}
	}
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && puts.Load() >= int64(n) && c.Place.Role == awscalls.Act && c.Service != "STS" {
			after.Add(1)
		}
		return nil
	})
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Hook(nil)
	b.Journal.OnPut = nil
	if k := after.Load(); k > 0 {
		t.Fatalf("%d changing calls after the abort", k)
	}
	b.Undo(p, records)
	if now := b.Dump(); now != before {
		t.Fatalf("the undo of an aborted run gives another world:\n%s\n%s", before, now)
	}
	if check != nil {
		check(t, b)
	}
	return puts.Load() < int64(n)
}
