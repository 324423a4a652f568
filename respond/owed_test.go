package respond

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
)

func TestWhatARunOwesIsSaidWithWhenItIsTriedAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := func(t time.Time) string { return t.Format("15:04:05") }
	o := Owed{ID: "run_1/x", Kind: "ec2.passage", Why: "eni-1 is open", OpenedAt: now.Add(-time.Minute), Due: now.Add(-time.Second), Params: []byte(`{"secret":1}`)}
	for name, c := range map[string]struct {
		state  Word
		change func(o *Owed)
		want   string
	}{
		"its run closes it":            {WordRunning, func(o *Owed) { o.Due = now.Add(time.Minute) }, "eni-1 is open, since 11:59:00; the run closes it, at 12:01:00 at the latest"},
		"its run has left it open":     {WordAborted, func(*Owed) {}, "eni-1 is open, since 11:59:00; closed now"},
		"its run ended before its due": {WordFailed, func(o *Owed) { o.Due = now.Add(time.Minute) }, "eni-1 is open, since 11:59:00; closed now"},
		"it is late":                   {WordRunning, func(*Owed) {}, "eni-1 is open, since 11:59:00; closed now"},
		"AWS refused":                  {WordFailed, func(o *Owed) { o.Attempts, o.Error, o.RetryAt = 3, "AWS refused", now.Add(20*time.Second) }, "eni-1 is open, since 11:59:00; tried 3 times to close it: AWS refused; tried again at 12:00:20"},
		"it is being tried":            {WordFailed, func(o *Owed) { o.Attempts, o.RetryAt = 1, now.Add(-time.Second) }, "eni-1 is open, since 11:59:00; tried 1 time to close it; tried again now"},
		"it is meant to stay for long": {WordCompleted, func(o *Owed) { o.Expires, o.Due = true, now.Add(time.Hour) }, "eni-1 is open, since 11:59:00; closed at 13:00:00"},
		"and then AWS refused": {WordCompleted, func(o *Owed) { o.Expires, o.Attempts, o.RetryAt = true, 1, now.Add(5*time.Second) },
			"eni-1 is open, since 11:59:00; tried 1 time to close it; tried again at 12:00:05"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := o
			c.change(&one)
			g := Progress{State: c.state}
			g.Owes([]Owed{one}, now)
			if got := g.Owed[0].Words(now, clock); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
			if strings.Contains(g.Owed[0].What, "secret") {
				t.Error("what the closing keeps for itself is shown")
			}
		})
	}
}

func TestWhatAnyPlaybookCouldNotKeepIsAGapOfItsRunOnceThatIsSealed(t *testing.T) {
	t.Parallel()
	p := &Plan{Playbook: "lambda", Steps: []Step{{ID: "code", Stage: "preserve", Title: "keep the code of resize"}, {ID: "stop", Stage: "contain", Title: "concurrency 0", Contains: true}}}
	row := PlanRow{Digest: "7b3e91c4"}
	records := []playbook.Record{{Name: "code", State: playbook.Failed, Error: &playbook.Failure{Message: "AWS refused lambda:GetFunction"}, Message: "AWS refused lambda:GetFunction"}, {Name: "stop", State: playbook.Completed}}
	if g := ProgressOf(RunRow{ID: "run_1", State: RunRunning}, row, p, records, time.Now()); len(g.Gaps) != 0 {
		t.Errorf("it is said before the end: %+v", g.Gaps)
	}
	records = append(records, playbook.Record{Name: StepSeal, State: playbook.Completed})
	g := ProgressOf(RunRow{ID: "run_1", State: RunPartFailed}, row, p, records, time.Now())
	want := []evidence.Gap{{What: "the code of resize", Why: "AWS refused lambda:GetFunction"}}
	if diff := cmp.Diff(want, g.Gaps); diff != "" {
		t.Error(diff)
	}
}

func TestAStageTakesFromItsFirstStepToItsLast(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Date(2026, 11, 24, 12, 0, s, 0, time.UTC) }
	steps := []StepProgress{{Stage: "snapshot", State: WordCompleted, Started: at(5), Ended: at(9)}, {Stage: "snapshot", State: WordCompleted, Started: at(2), Ended: at(6)},
		{Stage: "hash", State: WordRunning, Started: at(6)}, {Stage: "hash", State: WordCompleted, Started: at(4), Ended: at(5)}, {Stage: "attach", State: WordWaiting}}
	got := map[string]string{}
	for _, g := range stages(steps, at(20)) {
		got[g.Stage] = g.Took
	}
	if diff := cmp.Diff(map[string]string{"snapshot": "7 s", "hash": "16 s", "attach": ""}, got); diff != "" {
		t.Error(diff)
	}
}
