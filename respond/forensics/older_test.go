package forensics_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
)

// backups adds snapshots of the first volume, the newest first.
func backups(n int) setting {
	return also(func(e *sim.Editor, volumes []string) {
		for k := range n {
			e.AddSnapshot(victim, region, sim.SnapshotSpec{ID: fmt.Sprintf("snap-%017d", k), Volume: volumes[0], Age: time.Duration(k+1) * time.Hour, Tags: map[string]string{"backup": "yes"}})
		}
	})
}

// lockShown is the lock of a snapshot as AWS shows it; nil: there is none.
func (b *bench) lockShown(id string) *types.LockedSnapshotsInfo {
	b.t.Helper()
	out, err := b.ec2(victim).DescribeLockedSnapshots(b.t.Context(), &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(out.Snapshots) == 0 {
		return nil
	}
	return &out.Snapshots[0]
}

func TestOlderSnapshotsAreMarkedAndLockedAndStayLockedAfterTheUndo(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, backups(12))
	b.draft()
	if s, ok := b.plan.Step(forensics.StepOlder); !ok || !strings.Contains(s.Title, "snap-00000000000000000, ") || !strings.Contains(s.Title, "and 5 more") {
		t.Errorf("the plan says %q", s.Title)
	}
	records := b.run()
	b.completed(records)
	for k := range 12 {
		l := b.lockShown(fmt.Sprintf("snap-%017d", k))
		if (l != nil) != (k < 10) || l != nil && (l.LockState != types.LockStateGovernance || l.LockExpiresOn.Before(noon.AddDate(0, 0, 29))) {
			t.Errorf("snapshot %d is locked: %+v", k, l)
		}
	}
	if why := b.gap(records, "locks of 2 older snapshots"); !strings.Contains(why, "only the newest 10") {
		t.Errorf("of those that are not locked it says %q", why)
	}
	items, _, custody := b.evidence(records)
	n := 0
	for _, i := range items {
		if strings.HasPrefix(i.ID, "older/") {
			n++
			if i.LockMode != "governance" || i.Gap == "" || !slices.ContainsFunc(custody, func(c evidence.Custody) bool { return c.Action == "locked" && c.To == i.Location }) {
				t.Errorf("the item is %+v", i)
			}
		}
	}
	if n != 10 {
		t.Errorf("%d older snapshots are among the evidence", n)
	}
	for id, r := range b.undo() {
		if r.State != playbook.Completed {
			t.Errorf("undo %s is %s: %s", id, r.State, r.Message)
		}
	}
	if l := b.lockShown("snap-00000000000000003"); l == nil || l.LockState != types.LockStateGovernance {
		t.Errorf("after the undo the lock is %+v", l)
	}
	out, err := b.ec2(victim).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-00000000000000003"}})
	if err != nil || !slices.ContainsFunc(out.Snapshots[0].Tags, func(t types.Tag) bool { return aws.ToString(t.Key) == "backup" }) {
		t.Errorf("its owner's tag is gone: %v", err)
	}
	// What carries the tag of a run may be shared by the role that acts.
	if slices.ContainsFunc(out.Snapshots[0].Tags, func(t types.Tag) bool { return aws.ToString(t.Key) == respond.TagRun }) {
		t.Error("it carries the tag of a run, as if we had made it")
	}
}

func TestAnOlderSnapshotThatCannotBeLockedIsAGapAndLeavesTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, backups(4))
	b.draft()
	at := "snap-00000000000000002"
	c := b.ec2(victim)
	// Somebody has a stronger lock, and another one is deleted after the plan.
	if _, err := c.LockSnapshot(t.Context(), &ec2.LockSnapshotInput{SnapshotId: &at, LockMode: types.LockModeCompliance, LockDuration: aws.Int32(1), CoolOffPeriod: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	if err := b.world.Edit(func(e *sim.Editor) { e.DeleteSnapshot(victim, region, "snap-00000000000000001") }); err != nil {
		t.Fatal(err)
	}
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if in, ok := c.Input.(*ec2.LockSnapshotInput); ok && phase == sim.Before && aws.ToString(in.SnapshotId) == "snap-00000000000000003" {
			return refusal("UnauthorizedOperation")
		}
		return nil
	}
	records := b.run()
	b.completed(records)
	if why := b.gap(records, "older snapshot snap-00000000000000001"); !strings.Contains(why, "does not exist any more") {
		t.Errorf("of the one that is gone it says %q", why)
	}
	if why := b.gap(records, "older snapshot snap-00000000000000003"); why == "" {
		t.Error("nothing is said of the one that may not be locked")
	}
	if l := b.lockShown(at); l.LockState != types.LockStateComplianceCooloff || aws.ToInt32(l.LockDuration) != 1 {
		t.Errorf("somebody's own lock is now %+v", l)
	}
	if l := b.lockShown("snap-00000000000000000"); l == nil {
		t.Error("the one that could be locked is not")
	}
}

func TestOlderSnapshotsAreOnlyListedWhereThePolicySaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, backups(2), with(func(p *respond.Policy) { p.Evidence.OlderSnapshots = "list" }))
	records := b.run()
	b.completed(records)
	if l := b.lockShown("snap-00000000000000000"); l != nil {
		t.Errorf("it is locked: %+v", l)
	}
	if why := b.gap(records, "locks of 2 older snapshots"); !strings.Contains(why, "listed only") {
		t.Errorf("the gap says %q", why)
	}
}

func TestAComplianceLockAlwaysHasACoolOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ policy, want int32 }{{24, 24}, {0, 24}, {72, 72}, {1, 1}, {100, 24}, {-3, 24}} {
		t.Run(fmt.Sprint(c.policy), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, quick, with(func(p *respond.Policy) { p.Evidence.LockMode, p.Evidence.CoolOffHours = "compliance", int(c.policy) }))
			plan := b.draft()
			for _, s := range plan.Steps {
				if s.Action == "forensics.lock" && (s.Effect != respond.Irreversible || !strings.Contains(s.Approval, fmt.Sprintf("it can be taken back for %d hour", c.want))) {
					t.Errorf("%s is approved by %q", s.ID, s.Approval)
				}
			}
			records := b.run()
			b.completed(records)
			for _, s := range b.snapshots(victim) {
				l := b.lockShown(*s.SnapshotId)
				if l == nil || l.LockState != types.LockStateComplianceCooloff || aws.ToInt32(l.CoolOffPeriod) != c.want {
					t.Errorf("%s is locked: %+v", *s.SnapshotId, l)
				}
			}
			if m := records["lock/"+b.volumes[0]].Message; !strings.Contains(m, "can be taken back until 2") {
				t.Errorf("the step says %q", m)
			}
		})
	}
}

func TestWhatCannotBeUndoneIsSaidWithItsDate(t *testing.T) {
	t.Parallel()
	p := policy()
	p.Evidence.LockMode = "compliance"
	r := request(p)
	r.Now = noon
	d, err := forensics.Steps(described(), r, forensics.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	until := noon.AddDate(0, 0, 30).Format("2006-01-02")
	if text := strings.Join(d.Irreversible, "\n"); !strings.Contains(text, "cannot be undone until "+until) || !strings.Contains(text, "S3 has no cool-off") {
		t.Errorf("the plan says %q", text)
	}
	if l := step(t, d, "lock/vol-a"); !strings.Contains(l.Approval, "cannot be undone until "+until) {
		t.Errorf("the approval says %q", l.Approval)
	}
}
