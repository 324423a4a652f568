package app

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// lines are the entries of a kind in the timeline.
func (r responding) lines(t *testing.T, kind incident.Kind) []string {
	t.Helper()
	entries, err := r.db.Timeline(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.Kind == kind {
			out = append(out, e.Text)
		}
	}
	return out
}

// once waits until a run is as wanted.
func (r responding) once(t *testing.T, id respond.RunID, what string, is func(respond.RunRow) bool) respond.RunRow {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		run, err := r.db.GetRun(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if is(run) {
			return run
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not so that %s: %+v", what, run)
		}
	}
}

func TestAContainmentIsProvenLaterAndWhatStillTalksIsTold(t *testing.T) {
	t.Parallel()
	w, err := sim.New(sim.Options{Clock: playbook.Real{Scale: speed}, Speed: speed})
	if err != nil {
		t.Fatal(err)
	}
	eni := ""
	edit := func(f func(e *sim.Editor)) {
		t.Helper()
		if err := w.Edit(f); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(e *sim.Editor) {
		vpc := e.AddVPC(victimAccount, victimRegion, sim.VPCSpec{})
		e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: victimID, Subnet: e.AddSubnet(victimAccount, victimRegion, sim.SubnetSpec{VPC: vpc})})
		eni = e.InterfaceOf(victimAccount, victimRegion, victimID, 0)
		e.AddFlowLog(victimAccount, victimRegion, vpc, "flows")
		e.AddBucket(victimAccount, sim.Bucket{Name: "evidence-of-tests", Region: victimRegion, Versioning: "Enabled"})
	})
	r := respondingOn(t, respondConfig("sqlite:"+t.TempDir()+"/g.db", "one"), w, nil)
	r.take(t, true)
	p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, Playbook: "ec2-contain"}, "kim")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	id := got.Row.Run
	if run := r.ended(t, id); !run.Contained || run.ContainedAt.IsZero() {
		t.Fatalf("it is not contained: %+v", run)
	}
	run := r.once(t, id, "it is proven", func(run respond.RunRow) bool {
		return len(run.Verdicts) == 1 && run.Verdicts[0].Word == respond.Isolated
	})
	if slices.ContainsFunc(run.StillOpen, func(l string) bool { return strings.Contains(l, "not proven") }) || len(run.Drift) > 0 {
		t.Errorf("what is open is %q, the drift %q", run.StillOpen, run.Drift)
	}
	if lines := r.lines(t, incident.KindProven); len(lines) != 1 || !strings.Contains(lines[0], "is proven: "+eni) {
		t.Errorf("people are told %q", lines)
	}

	r.once(t, id, "GuardDuty should be quiet by now", func(run respond.RunRow) bool {
		return time.Since(run.ContainedAt) > 15*time.Minute/speed+time.Second
	})
	again := bytes.Replace(minerFinding(), []byte(`"count":1`), []byte(`"count":7`), 1)
	if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: again, Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	r.once(t, id, "GuardDuty's count is told", func(run respond.RunRow) bool { return !run.TalkingAt.IsZero() })
	at := time.Now()
	edit(func(e *sim.Editor) {
		e.AddLogEvents(victimAccount, victimRegion, "flows", eni+"-all", at, fmt.Sprintf("2 1 %s 203.0.113.9 10.0.0.5 50000 22 6 1 1 %d %d ACCEPT OK", eni, at.Unix(), at.Unix()))
	})
	run = r.once(t, id, "what talks is open", func(run respond.RunRow) bool { return len(run.Drift) > 0 })
	if !run.Verdicts[0].IsOpen() || !slices.Equal(run.Verdicts[0].Traffic, []string{"203.0.113.9 tcp 22 in"}) {
		t.Errorf("the verdict is %+v", run.Verdicts)
	}
	drift := r.lines(t, incident.KindDrift)
	if len(drift) != 2 || !strings.Contains(drift[0], "may not hold: GuardDuty still sees activity of "+victimID) || !strings.Contains(drift[0], "7 in all") ||
		!strings.Contains(drift[1], "no longer holds: "+eni+" is open: flow records since") {
		t.Errorf("people are told %q", drift)
	}
}

func TestGuardDutyIsTakenAtItsWordOnlyWhereTheActivityIsLater(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	r := &runs{desk: &desk{}}
	for _, c := range []struct {
		name string
		seen time.Time
		want string
	}{
		{"activity of before, reported later", at.Add(-time.Minute), ""},
		{"activity of then", at, ""},
		{"activity of later", at.Add(time.Second), "GuardDuty still sees activity of i-1: Trojan:EC2/DNSDataExfiltration, last at 2026-11-25 12:00:01 UTC, 9 in all"},
	} {
		f := store.Finding{Type: "Trojan:EC2/DNSDataExfiltration", ResourceID: "i-1", LastSeen: c.seen, UpdatedAt: at.Add(time.Hour), Count: 9}
		got, err := r.still(t.Context(), f, at)
		if err != nil || got != c.want {
			t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}
