package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/respond"
)

func TestAPlanIsToldInAHandfulOfLinesThatHideNothing(t *testing.T) {
	t.Parallel()
	step := func(stage, title string, e respond.Effect) respond.Step {
		return respond.Step{Stage: stage, Title: title, Effect: e}
	}
	p := &respond.Plan{Steps: []respond.Step{
		step("preflight", "ask", respond.NoChange), step("mark", "tag it", respond.Reversible), step("protect", "protection: off -> on", respond.Reversible),
		step("groups", "a group", respond.Creates), step("isolate", "eni-1: web -> none", respond.Reversible), step("isolate", "eni-2: web -> none", respond.Reversible),
		step("unheard of", "something new", respond.Reversible), step("snapshot", "snapshots of 2 volumes", respond.Creates),
	}}
	want := []string{"protect: protection: off -> on; 2 steps", "isolate: eni-1: web -> none; 3 steps", "unheard of: something new", "preserve: snapshots of 2 volumes"}
	if diff := cmp.Diff(want, changes(p)); diff != "" {
		t.Error(diff)
	}
}

func TestARunIsToldOncePerStageWithTheTimeSinceItsApproval(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	now := monday
	s := &show{screen: newScreen(&b, 0, false), tempo: 180, opts: Options{Now: func() time.Time { return now }}, vendors: &vendors{}}
	v := runRows{show: s, began: now, every: 4 * time.Second, done: map[string]bool{}, news: true}
	g := respond.Progress{State: respond.WordRunning, Target: "web-1 (i-1)",
		Stages: []respond.StageProgress{{Stage: "protect", State: respond.WordCompleted, Total: 2}, {Stage: "isolate", State: respond.WordRunning, Total: 1}, {Stage: "snapshot", State: respond.WordRunning, Total: 2}},
		Steps: []respond.StepProgress{{ID: "snapshot/set", Stage: "snapshot", State: respond.WordCompleted, Percent: -1, Message: "1 snapshot"},
			{ID: "snapshot/vol-1", Stage: "snapshot", State: respond.WordRunning, Percent: 40}}}
	v.rows(g)
	now = now.Add(1500 * time.Millisecond)
	g.Stages[1].State, g.Contained, g.StillOpen = respond.WordCompleted, true, []string{"the resolver answers"}
	g.Steps[1].Percent = 55 // too soon to be told
	v.rows(g)
	now = now.Add(20 * time.Second)
	g.Stages[2].State, g.State, g.Summary = respond.WordCompleted, respond.WordCompleted, "all of it"
	g.Steps[1].State, g.Steps[1].Message = respond.WordCompleted, "snap-1 is complete, image "+strings.Repeat("ab", 32)+"; more"
	v.rows(g)
	want := `+0.0 s done       protect (2 steps)
+0.0 s snapshots  simulated, 180x faster: vol-1 40 %
+1.5 s done       isolate (1 step)
+1.5 s contained  web-1 (i-1) is contained, as a second look at AWS has shown
       still open the resolver answers
+22 s  snapshots  snap-1 is complete, image abababababababab
+22 s  completed  all of it
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAStepThatWentWrongIsToldWithItsState(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := &show{screen: newScreen(&b, 0, false), opts: Options{Now: func() time.Time { return monday }}}
	v := runRows{show: s, began: monday, done: map[string]bool{}}
	v.rows(respond.Progress{State: respond.WordRunning, Stages: []respond.StageProgress{{Stage: "attach", State: respond.WordFailed, Total: 2}},
		Steps: []respond.StepProgress{{Stage: "attach", State: respond.WordCompleted, Message: "vol-1 is attached"}, {Stage: "attach", State: respond.WordFailed, Message: "no device is free"}}})
	if got, want := b.String(), "+0.0 s attached   vol-1 is attached; failed: no device is free\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEvidenceIsToldWithItsHashOrWhyThereIsNone(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		name string
		item evidence.Item
		want string
	}{
		{"an object", evidence.Item{Title: "console output", Location: "s3://evidence/INC-1/console.txt", SHA256: hash}, "console output, sha256 0123456789abcdef"},
		{"a snapshot that is locked", evidence.Item{Title: "snapshot of vol-1", Location: "snap-1", SHA256: hash, LockMode: "governance", LockUntil: monday}, "snapshot of vol-1 is snap-1, sha256 0123456789abcdef, locked until 2026-01-05"},
		{"one without a hash", evidence.Item{Title: "snapshot of vol-2", Location: "snap-2", Gap: "it is not complete"}, "snapshot of vol-2 is snap-2, no hash: it is not complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := evidenceWords(c.item); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheSimulatedHostIsTheOneOfTheFindings(t *testing.T) {
	t.Parallel()
	s := &show{aws: t.TempDir() + "/" + awsFile, tempo: 1, clock: newDaylight(monday, func() time.Time { return monday })}
	if err := s.furnish(); err != nil {
		t.Fatal(err)
	}
	v, err := s.look(t.Context(), batch1)
	if err != nil {
		t.Fatal(err)
	}
	want := sight{State: "running", Profile: batch1.role, Metadata: "enabled", Groups: []string{batch1.role}, Tags: []string{"Name=" + batch1.name, "owner=" + batch1.owner}, IP: batch1.private}
	got := v
	got.DeletedWithIt, got.ACL = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(v.DeletedWithIt) != 3 || len(v.ACL) != 2 {
		t.Errorf("deleted with it %q, network ACL %q", v.DeletedWithIt, v.ACL)
	}
	if text := v.words(); !strings.Contains(text, "denied by 0 entries") {
		t.Errorf("%q", text)
	}
	if _, err := s.look(t.Context(), web1); err == nil {
		t.Error("it knows a host that nobody put there")
	}
}
