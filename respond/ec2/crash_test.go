package ec2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// point is a place at which a process dies, or a person aborts: the nth record
// that is kept, or the nth call that changes something, before or after AWS acts.
type point struct {
	kind string // record, before, after
	n    int
}

// at calls f once, when the point is reached, and reports whether it was. With
// dead true the process is gone from then on: it calls and keeps nothing more.
func (r *rig) at(p point, j *playbook.Memory, dead bool, f func()) (reached func() bool) {
	var mu sync.Mutex
	n, hit := 0, false
	count := func() (now, gone bool) {
		mu.Lock()
		defer mu.Unlock()
		if hit {
			return false, true
		}
		n++
		hit = n == p.n
		return hit, hit
	}
	j.OnPut = func(playbook.Record) {
		if p.kind != "record" {
			return
		}
		if now, _ := count(); now {
			f()
		}
	}
	r.Hook(func(phase sim.Phase, c sim.Call) error {
		mu.Lock()
		gone := hit && dead
		mu.Unlock()
		if gone && phase == sim.Before {
			return errDead
		}
		reads := strings.HasPrefix(c.Operation, "Describe") || strings.HasPrefix(c.Operation, "Get") || strings.HasPrefix(c.Operation, "List")
		if reads || p.kind == "record" || (p.kind == "before") != (phase == sim.Before) {
			return nil
		}
		if now, _ := count(); now {
			f()
			if dead {
				return errDead
			}
		}
		return nil
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return hit
	}
}

var errDead = errors.New("the process is dead")

// revive takes the hooks off.
func (r *rig) revive(j *playbook.Memory) {
	r.Hook(nil)
	j.OnPut = nil
}

// sweepAll closes whatever is owed, as the sweeper does for a run that nobody works on.
func (r *rig) sweepAll() {
	r.T.Helper()
	for _, row := range r.Owed.Rows() {
		closed := false
		for _, c := range r.Closings {
			if c.Kind != row.Kind {
				continue
			}
			closed = true
			if err := c.Close(context.Background(), r.AWS, row, r.Clock.Now()); err != nil {
				continue // it is tried again
			}
			if err := r.Owed.Settle(context.Background(), row.ID); err != nil {
				r.T.Fatal(err)
			}
		}
		if !closed {
			r.T.Fatalf("nobody closes %s", row.Kind)
		}
	}
}

// points runs f for each point of a kind until there is none, some at a time.
func points(t *testing.T, stride int, f func(t *testing.T, p point) (reached bool)) {
	t.Helper()
	for _, kind := range []string{"record", "before", "after"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			step := 1
			if kind == "record" {
				step = stride
			}
			for n := 1; ; n += step {
				if !f(t, point{kind, n}) {
					if n < 20 {
						t.Fatalf("there were only %d points", n)
					}
					return
				}
				if t.Failed() || n > 2000 {
					t.Fatalf("stopped at %s %d", kind, n)
				}
			}
		})
	}
}

// nothingOpen fails where an interface is in a convert group, or one is left.
func (r *rig) nothingOpen(p point) {
	r.T.Helper()
	if left := r.groupsNamed(convertName); len(left) > 0 {
		r.T.Fatalf("%v: the convert groups %v are left", p, left)
	}
	if rows := r.Owed.Rows(); len(rows) > 0 {
		r.T.Fatalf("%v: owed: %+v", p, rows)
	}
}

func TestDefect08And20ARunThatIsKilledAnywhereGoesOnAndLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	points(t, 5, func(t *testing.T, at point) bool {
		r := newRig(t, fortress)
		before := lasting(r.world(r.id))
		p := r.Plan()
		reached := r.at(at, r.Journal, true, func() { r.Journal.Set(playbook.Standing{Fenced: true}) })
		_, err := r.Execute(kittest.Run, p, r.Journal)
		if !reached() {
			return false
		}
		if err != nil && !errors.Is(err, playbook.ErrFenced) {
			t.Fatalf("%v: %v", at, err)
		}
		r.revive(r.Journal)
		r.Journal.Set(playbook.Standing{})
		if at.n%2 == 0 {
			r.sweepAll() // the sweeper may be quicker than the run
			for _, n := range r.world(r.id).Interfaces {
				for _, g := range r.world(r.id).Groups {
					if strings.HasPrefix(g.Name, convertName) {
						t.Fatalf("%v: %s is open after the sweep", at, n.ID)
					}
				}
			}
		}
		records := r.run(p)
		r.well(records)
		r.isolated()
		r.nothingOpen(at)
		if n := len(r.groupsNamed(containName)); n != 1 {
			t.Fatalf("%v: %d contain groups", at, n)
		}
		if _, contained, _ := r.Result(p, records); !contained {
			t.Fatalf("%v: not contained", at)
		}
		if at.n%5 == 0 {
			r.well(r.undone(p, records))
			r.Pass(10 * time.Minute)
			if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
				t.Fatalf("%v: the world differs (-before +after):\n%s", at, diff)
			}
		}
		return true
	})
}

func TestAnUndoThatIsKilledAnywhereGoesOn(t *testing.T) {
	t.Parallel()
	points(t, 5, func(t *testing.T, at point) bool {
		r := newRig(t, fortress)
		before := lasting(r.world(r.id))
		p, records := r.contained()
		r.Pass(2 * time.Minute)
		u, err := respond.UndoPlan(p, kittest.Run, records, r.Actions)
		if err != nil {
			t.Fatal(err)
		}
		j := &playbook.Memory{}
		reached := r.at(at, j, true, func() { j.Set(playbook.Standing{Fenced: true}) })
		_, err = r.Execute(kittest.UndoRun, u, j)
		if !reached() {
			return false
		}
		if err != nil && !errors.Is(err, playbook.ErrFenced) {
			t.Fatalf("%v: %v", at, err)
		}
		r.revive(j)
		j.Set(playbook.Standing{})
		undone, err := r.Execute(kittest.UndoRun, u, j)
		if err != nil {
			t.Fatalf("%v: %v", at, err)
		}
		r.well(undone)
		r.Pass(10 * time.Minute)
		if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
			t.Fatalf("%v: the world differs (-before +after):\n%s", at, diff)
		}
		return true
	})
}

func TestAnInterfaceThatIsOpenWhenTheProcessDiesIsClosedByTheSweeperAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	p := r.Plan()
	var mu sync.Mutex
	dead := false
	r.Hook(func(phase sim.Phase, c sim.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if dead && phase == sim.Before {
			return errDead
		}
		in, ok := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput)
		if ok && phase == sim.After && len(in.Groups) > 0 {
			dead = true // AWS acted, and the process died before it knew
			r.Journal.Set(playbook.Standing{Fenced: true})
			return errDead
		}
		return nil
	})
	if _, err := r.Execute(kittest.Run, p, r.Journal); !errors.Is(err, playbook.ErrFenced) {
		t.Fatalf("the run ended with %v", err)
	}
	r.revive(r.Journal)
	w := r.world(r.id)
	if len(w.Groups) != 1 || !strings.HasPrefix(w.Groups[0].Name, convertName) {
		t.Fatalf("the interface is in %+v: the case proves nothing", w.Groups)
	}
	r.sweepAll()
	r.isolated()
	r.sweepAll() // the group is deleted once nobody is in it
	r.nothingOpen(point{})
}
