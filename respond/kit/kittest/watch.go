package kittest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// moment is a place in a run: the nth time that a step did something. It is the
// same in every run, whichever steps were quicker.
type moment struct {
	Step string
	What string // begins, keeps, looks, calls, called, sleeps, ended
	N    int
}

func (m moment) String() string { return fmt.Sprintf("%s %s %d", m.Step, m.What, m.N) }

// watch sees all that the steps of a run do, and does something at a moment.
type watch struct {
	at moment
	do func() // while no change is being begun

	// gate is held by a step from before the runner says that it may change
	// something until the change has begun, and by do.
	gate sync.RWMutex

	mu      sync.Mutex
	seen    []moment // in their order
	count   map[moment]int
	reached bool
	late    []string   // changes that were begun after the moment, and were not to be
	closed  []sim.Call // by which steps closed something after it
	loose   []string   // calls that change something and that no change was asked for
}

func newWatch(at moment, do func()) *watch {
	return &watch{at: at, do: do, count: map[moment]int{}}
}

// over lets the watch see what actions do.
func (w *watch) over(actions respond.Actions) respond.Actions {
	if w == nil {
		return actions
	}
	out := maps.Clone(actions)
	for name, a := range out {
		do, finishes := a.Do, a.Options.Finishes
		a.Do = func(x *respond.Exec) (playbook.Outcome, error) {
			x.Step = &watched{Step: x.Step, w: w, id: x.Def.ID, finishes: finishes}
			w.event(x.Def.ID, "begins")
			return do(x)
		}
		out[name] = a
	}
	return out
}

// kept is told of each record.
func (w *watch) kept(r playbook.Record) {
	if w != nil && r.State.Ended() {
		w.event(r.Name, "ended")
	}
}

// event counts a moment, and does what is to be done at it.
func (w *watch) event(step, what string) {
	w.mu.Lock()
	m := moment{Step: step, What: what}
	w.count[m]++
	m.N = w.count[m]
	w.seen = append(w.seen, m)
	now := m == w.at && !w.reached
	w.mu.Unlock()
	if !now {
		return
	}
	w.gate.Lock()
	defer w.gate.Unlock()
	w.do()
	w.mu.Lock()
	w.reached = true
	w.mu.Unlock()
}

func (w *watch) passed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reached
}

// pass is the leave to change something that a step got of the runner.
type pass struct {
	step    string
	closing bool // what it calls closes something
	late    bool // it was given after the moment
	calls   int
}

type passKey struct{}

// hook sees the calls that change something.
func (w *watch) hook(phase sim.Phase, c sim.Call) error {
	if !Changes(c) {
		return nil
	}
	p, _ := c.Context.Value(passKey{}).(*pass)
	if p == nil {
		w.mu.Lock()
		w.loose = append(w.loose, c.String())
		w.mu.Unlock()
		return nil
	}
	if phase == sim.After {
		w.event(p.step, "called")
		return nil
	}
	w.mu.Lock()
	p.calls++
	switch {
	case !w.reached:
	case p.closing:
		w.closed = append(w.closed, c)
	case p.late || p.calls > 1: // with the leave that was given before, one call may be under way
		w.late = append(w.late, fmt.Sprintf("%s by %s", c, p.step))
	}
	w.mu.Unlock()
	w.event(p.step, "calls")
	return nil
}

// Changes reports whether a call changes something in AWS.
func Changes(c sim.Call) bool {
	for _, prefix := range []string{"Describe", "Get", "List", "Head", "Filter", "Lookup", "Assume", "Simulate"} {
		if strings.HasPrefix(c.Operation, prefix) {
			return false
		}
	}
	in := reflect.Indirect(reflect.ValueOf(c.Input))
	if in.Kind() != reflect.Struct {
		return true
	}
	dry := in.FieldByName("DryRun")
	if dry.IsValid() && dry.Kind() == reflect.Pointer {
		dry = dry.Elem()
	}
	return !dry.IsValid() || dry.Kind() != reflect.Bool || !dry.Bool()
}

// watched is a step that is watched.
type watched struct {
	playbook.Step
	w        *watch
	id       string
	finishes bool
}

// Save implements playbook.Step.
func (s *watched) Save(key string, v any) error {
	err := s.Step.Save(key, v)
	s.w.event(s.id, "keeps")
	return err
}

// Look implements playbook.Step.
func (s *watched) Look(f func(ctx context.Context) error) error {
	return s.Step.Look(func(ctx context.Context) error {
		s.w.event(s.id, "looks")
		return f(ctx)
	})
}

// Sleep implements playbook.Step.
func (s *watched) Sleep(d time.Duration) error {
	s.w.event(s.id, "sleeps")
	return s.Step.Sleep(d)
}

// Change implements playbook.Step.
func (s *watched) Change(f func(ctx context.Context) error) error {
	return s.changing(s.Step.Change, s.finishes, f)
}

// Finish implements playbook.Step.
func (s *watched) Finish(f func(ctx context.Context) error) error {
	return s.changing(s.Step.Finish, true, f)
}

func (s *watched) changing(by func(func(ctx context.Context) error) error, closing bool, f func(ctx context.Context) error) error {
	s.w.gate.RLock()
	once := sync.OnceFunc(s.w.gate.RUnlock)
	defer once()
	return by(func(ctx context.Context) error {
		p := &pass{step: s.id, closing: closing, late: s.w.passed()}
		once()
		return f(context.WithValue(ctx, passKey{}, p))
	})
}
