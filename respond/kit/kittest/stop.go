package kittest

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	// Leaves is, by step, what another undo says where an undo that was aborted in that
	// step has left something which only a person can tell.
	Leaves map[string]string
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
	s.everywhere(t, whole, whole.Plan(), Run, s.once)
}

// UndoStops aborts the undo of a run, and not the run, at such moments. After the
// abort nothing may be begun but what closes something; nothing may be owed in the
// end; and another undo of the same run gives back the world. Tells, Check and Opens
// are not asked.
func UndoStops(t *testing.T, s Stop) {
	t.Helper()
	whole := s.Fresh(t)
	p, records := whole.ran()
	s.everywhere(t, whole, whole.UndoPlan(p, records), UndoRun, s.undoOnce)
}

// ran makes the plan and carries it out. What others did meanwhile may be skipped.
func (b *Bench) ran() (*respond.Plan, map[string]playbook.Record) {
	b.T.Helper()
	p := b.Plan()
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		b.T.Fatal(err)
	}
	return p, records
}

// everywhere carries a plan out, and then stops a new one of its kind at each of the
// moments that were seen.
func (s Stop) everywhere(t *testing.T, whole *Bench, p *respond.Plan, run respond.RunID, once func(t *testing.T, at moment, used *sync.Map)) {
	t.Helper()
	whole.watch = newWatch(moment{}, nil)
	whole.Hook(whole.watch.hook)
	if _, err := whole.Execute(run, p, &playbook.Memory{}); err != nil {
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
					once(t, moments[i], &used)
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

// stopped carries a plan out and aborts it at a moment. Where a run was otherwise
// this time and never came to it, there is nothing to see.
func (s Stop) stopped(b *Bench, at moment, run respond.RunID, p *respond.Plan, used *sync.Map) (records map[string]playbook.Record, reached bool) {
	b.T.Helper()
	journal := b.Journal
	if run == UndoRun {
		journal = &playbook.Memory{}
	}
	w := newWatch(at, func() { journal.Send(playbook.AbortTopic, nil) })
	b.watch = w
	b.Hook(w.hook)
	records, err := b.Execute(run, p, journal)
	if err != nil {
		b.T.Fatalf("%s: %v", at, err)
	}
	b.watch = nil
	b.Hook(nil)
	if !w.reached {
		if at.N == 1 && at.What == "begins" {
			b.T.Fatalf("%s: the run never came to it", at)
		}
		return records, false
	}
	for _, c := range w.closed {
		used.Store(c.String(), true)
		if !slices.Contains(s.Closing, c.String()) {
			b.T.Errorf("%s: after the abort %s was called to close something", at, c)
		}
		if s.Opens == nil || run == UndoRun {
			continue
		}
		if what := s.Opens(c, records); what != "" {
			b.T.Errorf("%s: after the abort %s was called: %s", at, c, what)
		}
	}
	if len(w.late) > 0 {
		b.T.Errorf("%s: begun after the abort: %v", at, w.late)
	}
	for _, st := range p.Steps {
		if r := records[st.ID]; r.State != playbook.Completed && r.State != playbook.Skipped && st.ID != s.Tells {
			b.T.Errorf("%s: step %s is %s: %s", at, st.ID, r.State, r.Message)
		}
	}
	b.closeAll(at)
	return records, true
}

// once aborts a run at one moment, and undoes what was done by then.
func (s Stop) once(t *testing.T, at moment, used *sync.Map) {
	t.Helper()
	b := s.Fresh(t)
	before := b.Same()
	p := b.Plan()
	records, reached := s.stopped(b, at, Run, p, used)
	if !reached {
		return
	}
	if s.Check != nil {
		s.Check(t, b, p, records)
	}
	s.gaveBack(b, at, before, p, records)
}

// undoOnce aborts an undo at one moment, and undoes again.
func (s Stop) undoOnce(t *testing.T, at moment, used *sync.Map) {
	t.Helper()
	b := s.Fresh(t)
	before := b.Same()
	p, records := b.ran()
	if _, reached := s.stopped(b, at, UndoRun, b.UndoPlan(p, records), used); reached {
		s.gaveBack(b, at, before, p, records)
	}
}

// gaveBack fails where the undo of a run does not give back the world.
func (s Stop) gaveBack(b *Bench, at moment, before string, p *respond.Plan, records map[string]playbook.Record) {
	b.T.Helper()
	b.Pass(time.Minute)
	undone, err := b.Execute(undoAgain, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		b.T.Fatalf("%s: undo: %v", at, err)
	}
	for id, r := range undone {
		if r.State != playbook.Completed && r.State != playbook.Skipped {
			b.T.Errorf("%s: the undo's step %s is %s: %s", at, id, r.State, r.Message)
		}
	}
	b.Pass(3 * time.Hour) // until AWS forgets what has ended
	if says := s.Leaves[at.Step]; says != "" && strings.Contains(undone[at.Step].Message, says) {
		return
	}
	if diff := cmp.Diff(before, b.Same()); diff != "" {
		b.T.Errorf("%s: the world differs (-before +after):\n%s", at, diff)
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
