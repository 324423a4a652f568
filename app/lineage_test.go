package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/respond"
)

// A lineage is a number of workers on one store, each of which is lost in the middle
// of its work; the next has another name, and waits for the lease.
type lineage struct {
	t       *testing.T
	order   mortalOrder
	workers int
}

func newLineage(t *testing.T) *lineage {
	return &lineage{t: t, order: mortalOrder{Store: postgresURL(t), World: filepath.Join(t.TempDir(), "world.json"), Speed: speed, Lease: 30 * time.Minute}}
}

// next lets a worker live until it is killed at a moment, the how manieth; where
// that is empty, until the run has ended.
func (l *lineage) next(run respond.RunID, kill string, at int64) {
	l.t.Helper()
	o := l.order
	o.Until, o.Worker, o.Kill, o.At = string(run), fmt.Sprintf("worker-%d", l.workers), kill, at
	l.workers++
	if killed := live(l.t, o); killed != (kill != "" || len(o.Deck) > 0) {
		l.t.Fatalf("%s was killed: %v", o.Worker, killed)
	}
}

// inStep lets a worker live until it is killed in the first step whose id contains a
// text. It returns the id.
func (l *lineage) inStep(run respond.RunID, stage, moment string) string {
	l.t.Helper()
	steps := stepsOf(l.t, l.order.Store, l.order.World, run)
	i := slices.IndexFunc(steps, func(id string) bool { return strings.Contains(id, stage) })
	if i < 0 {
		l.t.Fatalf("no step of %s among %q", stage, steps)
	}
	l.order.Deck, l.order.Met = []deathAt{{steps[i], moment}}, filepath.Join(l.t.TempDir(), "met")
	l.next(run, "", 0)
	l.order.Deck, l.order.Met = nil, ""
	return steps[i]
}

func TestAnotherWorkerTakesARunOver(t *testing.T) {
	t.Parallel()
	l := newLineage(t)
	attackedWorld(t, l.order.World)
	run := planned(t, l.order.Store, l.order.World, "")
	for _, kill := range []string{"record", "after", "before", ""} {
		l.next(run, kill, 9)
	}
	checkContained(t, l.order.Store, l.order.World, run)
}

// A run is aborted while its worker is lost: the next one ends it. The run that
// undoes it loses its workers as well, and all is as it was.
func TestAnotherWorkerEndsAnAbortedRunAndUndoesIt(t *testing.T) {
	t.Parallel()
	l := newLineage(t)
	storeURL, file := l.order.Store, l.order.World
	attackedWorld(t, file)
	before := canonicalWorld(t, file)
	run := planned(t, storeURL, file, "")
	isolated := l.inStep(run, "isolate/", "after")
	a, _ := reopen(t, storeURL, file)
	_, err := a.desk.AbortRun(t.Context(), run, "enough", "kim")
	if err = errors.Join(err, a.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	l.next(run, "record", 1)
	l.next(run, "", 0)
	a, w := reopen(t, storeURL, file)
	row, err := a.db.GetRun(t.Context(), run)
	if err = errors.Join(err, a.Close(t.Context())); err != nil || row.State != respond.RunAborted {
		t.Errorf("the run is %s: %s %v", row.State, row.Summary, err)
	}
	if worldOf(t, w) == before {
		t.Error("nothing is isolated: the case proves nothing")
	}
	undo := planned(t, storeURL, file, string(run))
	for _, moment := range moments { // the other interface may never have been isolated
		l.inStep(undo, "undo/"+isolated, moment)
	}
	l.next(undo, "", 0)
	checkReleased(t, storeURL, file, undo, before)
}
