package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
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
func (r responding) once(t *testing.T, id respond.RunID, what string, is func(respond.RunRow) bool) (run respond.RunRow) {
	t.Helper()
	until(t, func() bool { run = r.run(t, id); return is(run) }, what, &run)
	return run
}

// cutOff is a host whose interface a flow log sees, after a run contained it.
func cutOff(t *testing.T, hook sim.Hook, change func(a *App)) (r responding, eni string, id respond.RunID) {
	t.Helper()
	w := simWorld(t, sim.Options{Hook: hook}, func(e *sim.Editor) {
		vpc := e.AddVPC(victimAccount, victimRegion, sim.VPCSpec{})
		e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: victimID, Subnet: e.AddSubnet(victimAccount, victimRegion, sim.SubnetSpec{VPC: vpc})})
		eni = e.InterfaceOf(victimAccount, victimRegion, victimID, 0)
		e.AddFlowLog(victimAccount, victimRegion, vpc, "flows")
		e.AddBucket(victimAccount, sim.Bucket{Name: "evidence-of-tests", Region: victimRegion, Versioning: "Enabled"})
	})
	r = startResponding(t, start{world: w, ready: change})
	r.take(t, true)
	p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, Playbook: "ec2-contain"}, "kim")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	if run := r.ended(t, got.Row.Run); !run.Contained || run.ContainedAt.IsZero() {
		t.Fatalf("it is not contained: %+v", run)
	}
	return r, eni, got.Row.Run
}

func TestWhatWasPutBackIsToldAlthoughTheProofTakesTooLongOrFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prove func(x *respond.Exec, _ []respond.Verdict) ([]respond.Verdict, error)
		want  string
	}{
		"it takes too long": {func(x *respond.Exec, _ []respond.Verdict) ([]respond.Verdict, error) {
			return nil, x.Look(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}, "isolated (not proven: the records of its traffic could not be looked at within 10ms)"},
		"it fails": {func(*respond.Exec, []respond.Verdict) ([]respond.Verdict, error) {
			return nil, refuse("AccessDenied")
		}, "isolated (not proven: the records of its traffic could not be looked at (AccessDenied))"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, eni, id := cutOff(t, nil, func(a *App) {
				a.runs.patience = 10 * time.Millisecond
				for name, action := range a.desk.actions {
					if action.Prove != nil {
						action.Prove = c.prove
						a.desk.actions[name] = action
					}
				}
			})
			r.once(t, id, "the proof was looked for", func(run respond.RunRow) bool { return run.Checks > 0 })
			calls, err := r.world.AWS().EC2(t.Context(), awscalls.Place{Account: victimAccount, Region: victimRegion, Role: awscalls.Act})
			if err != nil {
				t.Fatal(err)
			}
			out, err := calls.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eni}})
			if err != nil {
				t.Fatal(err)
			}
			err = r.world.Edit(func(e *sim.Editor) {
				e.AddRule(victimAccount, victimRegion, *out.NetworkInterfaces[0].Groups[0].GroupId, sim.RuleSpec{CIDR: "0.0.0.0/0"})
			})
			if err != nil {
				t.Fatal(err)
			}
			run := r.once(t, id, "what was put back is seen", func(run respond.RunRow) bool { return len(run.Drift) > 0 })
			if lines := r.lines(t, incident.KindDrift); len(lines) != 1 || !strings.Contains(lines[0], "no longer holds: ") || !strings.Contains(lines[0], eni) {
				t.Errorf("people are told %q of %q", lines, run.Drift)
			}
			if len(run.Verdicts) != 1 || run.Verdicts[0].Word != c.want || !slices.Contains(run.StillOpen, eni+" is "+c.want) {
				t.Errorf("the verdicts are %+v, what is open %q", run.Verdicts, run.StillOpen)
			}
		})
	}
}

func TestLooksThatFailAreToldOnceAndTakenBack(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	r, _, id := cutOff(t, func(p sim.Phase, c sim.Call) error {
		if away.Load() && p == sim.Before && c.Operation == "DescribeInstances" {
			return refuse("UnauthorizedOperation")
		}
		return nil
	}, nil)
	away.Store(true)
	r.once(t, id, "five looks have failed", func(run respond.RunRow) bool { return run.Unseen >= 5 })
	lines := r.lines(t, incident.KindDrift)
	if len(lines) != 1 || !strings.Contains(lines[0], string(id)+" could not be looked at 3 times in a row, so nobody knows whether it holds: ") || !strings.Contains(lines[0], "UnauthorizedOperation") {
		t.Errorf("people are told %q", lines)
	}
	away.Store(false)
	r.once(t, id, "it is looked at again", func(run respond.RunRow) bool { return run.Unseen == 0 })
	again := slices.DeleteFunc(r.lines(t, incident.KindProven), func(l string) bool { return !strings.Contains(l, "can be looked at again, after ") })
	if len(again) != 1 || len(r.lines(t, incident.KindDrift)) != 1 {
		t.Errorf("people are told %q and %q", again, r.lines(t, incident.KindDrift))
	}
}

func TestAContainmentIsProvenLaterAndWhatStillTalksIsTold(t *testing.T) {
	t.Parallel()
	r, eni, id := cutOff(t, nil, nil)
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
	err := r.world.Edit(func(e *sim.Editor) {
		e.AddLogEvents(victimAccount, victimRegion, "flows", eni+"-all", at, fmt.Sprintf("2 1 %s 203.0.113.9 10.0.0.5 50000 22 6 1 1 %d %d ACCEPT OK", eni, at.Unix(), at.Unix()))
	})
	if err != nil {
		t.Fatal(err)
	}
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
