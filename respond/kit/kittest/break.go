package kittest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

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
		if phase == sim.Before && puts.Load() >= int64(n) && c.Place.Role == awscalls.Act && c.Service != "STS" && !c.DryRun() {
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
	if k := after.Load(); k > b.Parallel {
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
