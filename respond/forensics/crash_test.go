package forensics_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// TestDefect08AProcessThatIsKilledAnywhereGoesOnAndMakesNothingTwice kills the
// process after every put of the journal, before every call of AWS, and after
// AWS has acted but before the answer came, and starts it again each time.
func TestDefect08AProcessThatIsKilledAnywhereGoesOnAndMakesNothingTwice(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]setting{
		"in the attacked account": {quick},
		"to a forensic account":   {quick, toLab, awsKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := newBench(t, settings...)
			whole.completed(whole.run())
			want := whole.outcome()
			for when, n := range map[string]int{"put": whole.life.puts, "before": whole.life.calls, "after": whole.life.calls} {
				t.Run(when, func(t *testing.T) {
					t.Parallel()
					if n < 60 {
						t.Fatalf("only %d moments to die at", n)
					}
					for at := 1; at <= n; at++ {
						killed(t, when, at, want, settings)
					}
				})
			}
		})
	}
}

// quick has two small volumes and coarse times, so that a thousand runs take seconds.
func quick(o *sim.Options, p *respond.Policy, e *edits) {
	o.Times.SnapshotPerGiB, o.Times.CopyPerGiB = time.Second, time.Second
	e.instance.Type, e.instance.Volumes = "t3.micro", []sim.VolumeSpec{{GiB: 1}, {GiB: 2}}
	p.Forensics.Types = []string{"m7i.xlarge", "m6i.xlarge"}
	e.then = append(e.then, func(e *sim.Editor, _ []string) {
		home := victim
		if p.Forensics.Account != "" {
			home = p.Forensics.Account
		}
		e.ShortCapacity(home, region, "m7i.xlarge", "b", -1, "")
	})
}

// toLab brings the evidence to a forensic account.
func toLab(_ *sim.Options, p *respond.Policy, e *edits) {
	p.Forensics.Account, p.Forensics.Key = lab, "arn:aws:kms:"+region+":"+lab+":key/evidence"
	p.Forensics.TransferKey = "arn:aws:kms:" + region + ":" + victim + ":key/transfer"
	e.then = append(e.then, func(e *sim.Editor, _ []string) {
		e.AddKMSKey(lab, region, sim.KMSKey{ID: "evidence"})
		e.AddKMSKey(victim, region, sim.KMSKey{ID: "transfer"})
	})
}

// awsKey encrypts the first volume under the key that AWS manages.
func awsKey(_ *sim.Options, _ *respond.Policy, e *edits) { e.instance.Volumes[0].Encrypted = true }

// outcome is what a run leaves in the world, counted.
func (b *bench) outcome() map[string]int {
	b.t.Helper()
	out := map[string]int{"snapshots of the victim": len(b.snapshots(victim)), "owed": len(b.owed.left())}
	home := victim
	if b.policy.Forensics.Account != "" {
		home = b.policy.Forensics.Account
		out["snapshots of the lab"] = len(b.snapshots(home))
	}
	out["workstations"] = len(b.workstations(home))
	for _, v := range b.copies(home) {
		out["volumes"]++
		out["attached"] += len(v.Attachments)
	}
	err := b.world.Edit(func(e *sim.Editor) {
		out["commands"] = len(e.Commands(victim, region))
		out["uploads"] = len(e.Bucket("evidence").Uploads)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// killed runs until the process dies and again until the end.
func killed(t *testing.T, when string, at int, want map[string]int, settings []setting) {
	t.Helper()
	b := newBench(t, settings...)
	b.draft()
	b.life.calls = 0
	b.life.when, b.life.at = when, at
	_, err := b.execute()
	if err == nil {
		return // it came to its end before, or with its last breath
	}
	if !errors.Is(err, playbook.ErrFenced) {
		t.Fatalf("killed %s %d: %v", when, at, err)
	}
	b.life.dead, b.life.at = false, 0
	b.clock.Sleep(t.Context(), 20*time.Second, nil) // until another process is there
	records, err := b.execute()
	if err != nil {
		t.Fatalf("killed %s %d: %v", when, at, err)
	}
	for _, s := range b.plan.Steps {
		if r := records[s.ID]; r.State != playbook.Completed {
			t.Errorf("killed %s %d: %s is %s: %s", when, at, s.ID, r.State, r.Message)
		}
	}
	got := b.outcome()
	// An upload that AWS began and whose id never came back has no parts, and
	// nothing can be sent to it.
	if got["uploads"] == want["uploads"]+1 && when == "after" {
		got["uploads"]--
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("killed %s %d: the world holds %v, want %v", when, at, got, want)
	}
	items, _, _ := b.evidence(records)
	if !slices.ContainsFunc(items, func(i evidence.Item) bool { return i.Kind == evidence.Memory }) {
		t.Errorf("killed %s %d: the memory is not among the evidence", when, at)
	}
}
