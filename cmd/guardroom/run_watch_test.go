package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/width"
	"github.com/guardroom/guardroom/respond"
)

func progress(steps ...respond.StepProgress) respond.Progress {
	g := respond.Progress{Run: "run_1", What: "Containment", Target: "web \x1b[2J(i-1)", State: respond.WordRunning, Total: len(steps), Steps: steps,
		Stages: []respond.StageProgress{{Stage: "contain", State: respond.WordRunning, Done: 1, Total: len(steps), Percent: 40}}}
	return g
}

func stepAt(id string, state respond.Word) respond.StepProgress {
	return respond.StepProgress{ID: id, Title: "step " + id, State: state, Percent: -1}
}

func TestARunIsRedrawnInPlace(t *testing.T) {
	t.Parallel()
	e, out := screen(60)
	v := &screenView{e: e, height: 24}
	if err := v.show(progress(stepAt("a", respond.WordRunning), stepAt("b", respond.WordWaiting))); err != nil {
		t.Fatal(err)
	}
	first := out.String()
	if !strings.HasPrefix(first, "\r\x1b[J") || strings.Contains(first, "\x1b[2J") {
		t.Errorf("%q", first)
	}
	lines := strings.Count(first, "\n")
	out.Reset()
	if err := v.show(progress(stepAt("a", respond.WordCompleted), stepAt("b", respond.WordRunning))); err != nil {
		t.Fatal(err)
	}
	second := out.String()
	// Up by as many lines as were drawn, and clear from there.
	if !strings.HasPrefix(second, fmt.Sprintf("\x1b[%dA\r\x1b[J", lines)) || !strings.Contains(second, "+ completed  step a\n") || !strings.Contains(second, "> running    step b\n") {
		t.Errorf("%q", second)
	}
}

func TestWhatIsDrawnFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, height := range []int{5, 10, 24, 200} {
		e, out := screen(40)
		v := &screenView{e: e, height: height}
		var steps []respond.StepProgress
		for i := range 60 {
			steps = append(steps, stepAt(fmt.Sprintf("%d with a title that is far too long for so narrow a terminal", i), respond.WordRunning))
		}
		g := progress(steps...)
		g.Waits = strings.Repeat("something that takes long; ", 10)
		if err := v.show(g); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n >= height {
			t.Errorf("%d lines on a terminal of %d", n, height)
		}
		for l := range strings.Lines(strings.TrimPrefix(out.String(), "\r\x1b[J")) {
			if w := width.Of(strings.TrimSuffix(l, "\n")); w >= 40 {
				t.Errorf("%d columns: %q", w, l)
			}
		}
		if height == 24 && !strings.Contains(out.String(), "> containment  1 of 60  running, 40 %") {
			t.Errorf("the stages do not stand for the steps:\n%s", out)
		}
	}
}

func TestALongRunIsShownByItsStagesAndTimesHaveAColumn(t *testing.T) {
	t.Parallel()
	g := progress()
	g.State, g.Total, g.Done, g.Stages = respond.WordPartFailed, 13, 13, []respond.StageProgress{
		{Stage: "isolate", State: respond.WordCompleted, Done: 12, Total: 12, Percent: -1, Took: "3 s"},
		{Stage: "snapshot", State: respond.WordFailed, Done: 1, Total: 1, Failed: 1, Percent: -1, Took: "12 m 10 s"}}
	for i := range 12 {
		s := stepAt(fmt.Sprint(i), respond.WordCompleted)
		s.Title, s.Took = "termination protection of a resource with a long name: off -> on", "0 s"
		g.Steps = append(g.Steps, s)
	}
	bad := stepAt("snapshot", respond.WordFailed)
	bad.Title, bad.Took, bad.Message = "vol-0a1: wait until its snapshot is complete", "12 m 10 s", "AWS says that the snapshot is in error, and that nobody can mend it"
	g.Steps = append(g.Steps, bad)
	show := func(wide int, all bool) string {
		e, out := screen(wide)
		e.run(g, all)
		return out.String()
	}
	want := `! part failed  containment of web \x1b[2J(i-1)
run_1
13 of 13 steps (1 failed)

+ completed        3 s  12 of 12       isolation
! failed     12 m 10 s  1 of 1 failed  snapshots

! failed  12 m 10 s  vol-0a1: wait until its snapshot is
                     complete

all steps  guardroom run show run_1 --steps
`
	if diff := cmp.Diff(want, show(60, false)); diff != "" {
		t.Error(diff)
	}
	for _, wide := range []int{60, 80} {
		for l := range strings.Lines(show(wide, true)) {
			if w := width.Of(strings.TrimSuffix(l, "\n")); w > wide {
				t.Errorf("%d columns: %q", w, l)
			}
		}
	}
	if all := show(0, true); strings.Count(all, "+ completed        0 s  termination protection of a resource with a long name: off -> on\n") != 12 || strings.Contains(all, "--steps") {
		t.Errorf("not every step is shown:\n%s", all)
	}
}

func TestThatTimePassesIsNoChange(t *testing.T) {
	t.Parallel()
	e, out := screen(0)
	v := &lineView{changes: changes{}, e: e}
	a := stepAt("a", respond.WordRunning)
	for _, took := range []string{"1 s", "2 s", "3 s"} {
		a.Took = took
		if err := v.show(progress(a)); err != nil {
			t.Fatal(err)
		}
	}
	a.Percent = 50
	if err := v.show(progress(a)); err != nil {
		t.Fatal(err)
	}
	want := "12:00:00Z  > running      step a\n12:00:00Z  > running      run_1, 0 of 1 step\n12:00:00Z  > running      step a: 50 %\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestStepsHaveTheTurnInWhichTheyCanBegin(t *testing.T) {
	t.Parallel()
	p := &respond.Plan{Steps: []respond.Step{
		{ID: "d", Needs: []string{"b", "c"}}, {ID: "a"}, {ID: "b", After: []string{"a"}}, {ID: "c", Needs: []string{"a"}}, {ID: "e", After: []string{"gone"}},
		{ID: "x", After: []string{"y"}}, {ID: "y", After: []string{"x"}}, // a circle, which no runner accepts, must not hang
	}}
	got := turns(p)
	for id, want := range map[string]int{"a": 1, "b": 2, "c": 2, "d": 3, "e": 1} {
		if got[id] != want {
			t.Errorf("%s has the turn %d, want %d", id, got[id], want)
		}
	}
}

func TestAPlanOnANarrowTerminalKeepsItsLines(t *testing.T) {
	t.Parallel()
	e, out := screen(80)
	s := &responseService{now: func() time.Time { return e.now() }}
	s.fill()
	d, err := s.detail(s.plans["pln_terminal"])
	if err != nil {
		t.Fatal(err)
	}
	d.Plan.WillNot = append(d.Plan.WillNot, strings.Repeat("do anything else that comes to mind ", 5))
	d.Plan.Steps[0].Title = strings.Repeat("very ", 30) + "long"
	d.Plan.LeftOut = []string{"s3 bucket cards: refused by break-glass list: it is empty"}
	e.plan(d)
	for l := range strings.Lines(out.String()) {
		// A command is never broken, so that it can be copied.
		if l = strings.TrimSuffix(l, "\n"); width.Of(l) > 80 && !strings.Contains(l, "guardroom plan approve") {
			t.Errorf("%d columns: %q", width.Of(l), l)
		}
		if strings.Contains(l, "…") && !strings.Contains(l, "guardroom plan approve") {
			t.Errorf("something is left out: %q", l)
		}
		if strings.Contains(l, "\x1b") {
			t.Errorf("%q", l)
		}
	}
	words := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"dry run  1  record    very", "left out   s3 bucket cards: refused by break-glass list"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Count(words, "very") != 30 || !strings.Contains(words, "APPROVAL: last healthy target of payments") {
		t.Errorf("titles are not whole:\n%s", out)
	}
}

func TestPlansThatUndoAreKnownOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	e, out := screen(80)
	tab := plansTable()
	tab.row("pln_01m8a4m6f61j33bsny7rzxned0", "50a94456", "waiting", "INC-10", playbookWords("ec2-respond", ""), "i-0ee00000000000001 in 111111111111", "ana", e.moment(e.now()), "")
	tab.row("pln_01m8a4qmzhcppnps2g6cdxrcfj", "c32789e2", "waiting", "INC-10", playbookWords("ec2-respond", "run_01m8a4n7t74q0ayf5nsmj4205z"), "i-0ee00000000000001 in 111111111111", "ana", e.moment(e.now()), "")
	tab.print(e)
	for _, want := range []string{"ec2-respond  i-0ee00000000000001 in 111111111111", "undo of run_01m8a4n7t74q0ayf5nsmj4205z"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestALineHasTheTimeAtWhichItHappened(t *testing.T) {
	t.Parallel()
	e, out := screen(0)
	v := &lineView{changes: changes{}, e: e}
	old, late := stepAt("old", respond.WordCompleted), stepAt("late", respond.WordRunning)
	old.Started, old.Ended = e.now().Add(-3*time.Hour), e.now().Add(-2*time.Hour)
	late.Started = e.now().Add(-26 * time.Hour)
	if err := v.show(progress(old, late)); err != nil {
		t.Fatal(err)
	}
	late.Percent = 50
	g := progress(old, late)
	if err := v.show(g); err != nil {
		t.Fatal(err)
	}
	g.State, g.Ended = respond.WordCompleted, e.now().Add(-time.Minute)
	if err := v.show(g); err != nil {
		t.Fatal(err)
	}
	want := "2026-05-05 10:00:00Z  > running      step late\n10:00:00Z  + completed    step old\n12:00:00Z  > running      run_1, 0 of 2 steps\n" +
		"12:00:00Z  > running      step late: 50 %\n11:59:00Z  + completed    run_1, 0 of 2 steps\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestEvidenceIsNamedOnceAsItWasSaidLast(t *testing.T) {
	t.Parallel()
	got := latest([]evidence.Item{{ID: "a", Location: "snap-1"}, {ID: "b"}, {ID: "c"}, {ID: "hash/a", Location: "snap-1", SHA256: "aa"}})
	want := []evidence.Item{{ID: "hash/a", Location: "snap-1", SHA256: "aa"}, {ID: "b"}, {ID: "c"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
