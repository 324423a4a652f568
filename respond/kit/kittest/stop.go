package kittest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// Stop is a playbook that is aborted everywhere.
type Stop struct {
	// Fresh makes a bench with the world before the run.
	Fresh func(t *testing.T) *Bench
	// Closing are the calls that steps may still make after an abort, as
	// Service.Operation: they close what was opened, or say how the run stands.
	Closing []string
	// Opens says what one of those calls opens, although it may only close; empty:
	// nothing. It is asked when the run has ended; nil: none opens anything.
	Opens func(c sim.Call, records map[string]playbook.Record) string
	// Tells is the step that looks whether all is contained, and fails where not.
	Tells string
	// Check sees the world after the aborted run: what was contained is.
	Check func(t *testing.T, b *Bench, p *respond.Plan, records map[string]playbook.Record)
	// Stride is every how manieth of the moments is taken, beside the first of its
	// kind in each step, and every call that changes something; 0: each.
	Stride int
}

// Stops aborts a run at the moments that its steps come to: when a step begins,
// has kept something, looks, is about to change something, has changed it, sleeps,
// and has ended. After the abort nothing may be begun but what closes something;
// nothing may be owed in the end; and the undo of what was done by then gives back
// the world.
func Stops(t *testing.T, s Stop) {
	t.Helper()
	whole := s.Fresh(t)
	whole.watch = newWatch(moment{}, nil)
	whole.Hook(whole.watch.hook)
	p := whole.Plan()
	if _, err := whole.Execute(Run, p, whole.Journal); err != nil {
		t.Fatal(err)
	}
	if len(whole.watch.loose) > 0 {
		t.Fatalf("changes that nobody may hold up: %v", whole.watch.loose)
	}
	moments := choose(whole.watch.seen, s.Stride)
	begun := map[string]bool{}
	for _, m := range moments {
		begun[m.Step] = true
	}
	for _, st := range p.Steps { // each step, and so each stage
		if !begun[st.ID] {
			t.Errorf("no abort in step %s of stage %s", st.ID, st.Stage)
		}
	}
	t.Logf("%d of %d moments", len(moments), len(whole.watch.seen))
	const lanes = 4
	used := sync.Map{}
	t.Run("at", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for i := lane; i < len(moments) && !t.Failed(); i += lanes {
					s.once(t, moments[i], &used)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	for _, call := range s.Closing {
		if _, ok := used.Load(call); !ok {
			t.Errorf("%s was never called after an abort: take it off the list", call)
		}
	}
}

// choose takes the first moment of each kind of each step, every change, and of
// the others one in stride.
func choose(seen []moment, stride int) []moment {
	var out []moment
	for i, m := range seen {
		if m.N == 1 || m.What == "calls" || m.What == "called" || stride <= 1 || i%stride == 0 {
			out = append(out, m)
		}
	}
	return out
}

// once aborts at one moment. Where a run was otherwise this time and never came to
// it, there is nothing to see.
func (s Stop) once(t *testing.T, at moment, used *sync.Map) {
	t.Helper()
	b := s.Fresh(t)
	before := b.Same()
	p := b.Plan()
	w := newWatch(at, func() { b.Journal.Send(playbook.AbortTopic, nil) })
	b.watch = w
	b.Hook(w.hook)
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	b.watch = nil
	b.Hook(nil)
	if !w.reached {
		if at.N == 1 && at.What == "begins" {
			t.Fatalf("%s: the run never came to it", at)
		}
		return
	}
	for _, c := range w.closed {
		used.Store(c.String(), true)
		if !slices.Contains(s.Closing, c.String()) {
			t.Errorf("%s: after the abort %s was called to close something", at, c)
		}
		if s.Opens == nil {
			continue
		}
		if what := s.Opens(c, records); what != "" {
			t.Errorf("%s: after the abort %s was called: %s", at, c, what)
		}
	}
	if len(w.late) > 0 {
		t.Errorf("%s: begun after the abort: %v", at, w.late)
	}
	for _, st := range p.Steps {
		if r := records[st.ID]; r.State != playbook.Completed && r.State != playbook.Skipped && st.ID != s.Tells {
			t.Errorf("%s: step %s is %s: %s", at, st.ID, r.State, r.Message)
		}
	}
	b.closeAll(at)
	if s.Check != nil {
		s.Check(t, b, p, records)
	}
	b.Pass(time.Minute)
	undone, err := b.Execute(UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatalf("%s: undo: %v", at, err)
	}
	for id, r := range undone {
		if r.State != playbook.Completed && r.State != playbook.Skipped {
			t.Errorf("%s: the undo's step %s is %s: %s", at, id, r.State, r.Message)
		}
	}
	b.Pass(3 * time.Hour) // until AWS forgets what has ended
	if diff := cmp.Diff(before, b.Same()); diff != "" {
		t.Errorf("%s: the world differs (-before +after):\n%s", at, diff)
	}
}

// closeAll closes what an ended run owes, as the sweeper does; then nothing is owed.
func (b *Bench) closeAll(at fmt.Stringer) {
	b.T.Helper()
	for range 20 { // it is tried again every some seconds
		for _, row := range b.Owed.Rows() {
			i := slices.IndexFunc(b.Closings, func(c respond.Closing) bool { return c.Kind == row.Kind })
			if i < 0 {
				b.T.Fatalf("%s: nobody closes %s", at, row.Kind)
			}
			if b.Closings[i].Close(context.Background(), b.AWS, row, b.Clock.Now()) == nil {
				_ = b.Owed.Settle(context.Background(), row.ID)
			}
		}
		if len(b.Owed.Rows()) == 0 {
			return
		}
		b.Pass(5 * time.Second)
	}
	b.T.Fatalf("%s: owed for good: %+v", at, b.Owed.Rows())
}
