package forensics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
)

// AWS shows no end of the lock of a snapshot that is pending: its days count from
// when it is completed.
func TestALockOfAPendingSnapshotCountsAndItsEndIsRecordedOnceAWSKnowsIt(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"governance", "compliance"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, with(func(p *respond.Policy) { p.Evidence.LockMode = mode }))
			records := b.run()
			b.completed(records)
			items, gaps, custody := b.evidence(records)
			for _, g := range gaps {
				if strings.HasPrefix(g.What, "lock of") {
					t.Errorf("a gap of what is locked: %+v", g)
				}
			}
			for _, v := range b.volumes {
				r := records["lock/"+v]
				if !strings.Contains(r.Message, "for 30 days from its completion on, until 2") || (mode == "compliance") != strings.Contains(r.Message, "can be taken back until") {
					t.Errorf("the lock of %s says %q", v, r.Message)
				}
				if m := records["snapshot/"+v].Message; !strings.Contains(m, "is complete; it is locked ("+mode+" until 2") {
					t.Errorf("the wait for %s says %q", v, m)
				}
			}
			for _, s := range b.snapshots(victim) {
				l, found, lines := b.lockShown(*s.SnapshotId), false, 0
				for _, i := range items {
					if i.Location == *s.SnapshotId {
						found = true
						if i.LockMode != mode || !i.LockUntil.Equal(aws.ToTime(l.LockExpiresOn)) {
							t.Errorf("%s: recorded as %s until %s, AWS says %s", i.ID, i.LockMode, i.LockUntil, aws.ToTime(l.LockExpiresOn))
						}
					}
				}
				for _, c := range custody {
					if c.Action == "locked" && c.To == *s.SnapshotId {
						lines++
					}
				}
				if !found || lines != 2 {
					t.Errorf("%s: an item %v, %d lines of custody that it was locked", *s.SnapshotId, found, lines)
				}
			}
			sealed, _ := b.seal(records)
			read := forensics.Reader{AWS: b.world.AWS(), Incident: "INC-42"}
			verify := func() string {
				t.Helper()
				report, err := evidence.Verify(t.Context(), sealed, read, read, evidence.Options{At: b.clock.Now(), Places: read})
				if err != nil {
					t.Fatal(err)
				}
				var out []string
				for _, p := range report.Problems {
					out = append(out, p.Why)
				}
				return strings.Join(out, "\n")
			}
			if got := verify(); got != "" {
				t.Errorf("as it is: %s", got)
			}
			if mode == "governance" { // which somebody may shorten
				id := b.snapshots(victim)[0].SnapshotId
				if _, err := b.ec2(victim).LockSnapshot(t.Context(), &ec2.LockSnapshotInput{SnapshotId: id, LockMode: types.LockModeGovernance, LockDuration: aws.Int32(2)}); err != nil {
					t.Fatal(err)
				}
				if got := verify(); !strings.HasPrefix(got, *id+" is locked until ") || strings.Contains(got, "\n") {
					t.Errorf("a lock that somebody made shorter: %q", got)
				}
			}
		})
	}
}

func TestALockThatIsLookedAtWhileItsSnapshotIsPendingHoldsFromNowOnAtLeast(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	out, err := b.ec2(victim).CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: aws.String(b.volumes[1])})
	if err != nil {
		t.Fatal(err)
	}
	for _, days := range []int32{30, 7} {
		if _, err := b.ec2(victim).LockSnapshot(t.Context(), &ec2.LockSnapshotInput{SnapshotId: out.SnapshotId, LockMode: types.LockModeGovernance, LockDuration: aws.Int32(days)}); err != nil {
			t.Fatal(err)
		}
		if l := b.lockShown(*out.SnapshotId); l.LockExpiresOn != nil || l.LockDurationStartTime != nil {
			t.Fatalf("the simulation shows an end: %+v", l)
		}
		s, err := forensics.Reader{AWS: b.world.AWS(), Incident: "INC-42"}.Stand(t.Context(), evidence.Item{Location: *out.SnapshotId, Account: victim, Region: region, LockMode: "governance"})
		if err != nil {
			t.Fatal(err)
		}
		if want := b.clock.Now().AddDate(0, 0, int(days)); s.LockMode != "governance" || s.State != "pending" || s.LockUntil.Before(want.Add(-time.Minute)) || s.LockUntil.After(want.Add(time.Minute)) {
			t.Errorf("%d days: it stands as %+v at %s", days, s, b.clock.Now())
		}
	}
}

func TestALockThatSomebodySetWhileTheSnapshotIsPendingIsMadeLongerAndNeverShorter(t *testing.T) {
	t.Parallel()
	for days, want := range map[int32]int32{7: 30, 30: 30, 90: 90} {
		b := newBench(t)
		b.draft()
		first := true
		b.journal.OnPut = func(r playbook.Record) {
			if r.Name != forensics.StepSnapshots || r.State != playbook.Completed || !first {
				return
			}
			first = false
			for _, s := range b.snapshots(victim) {
				if _, err := b.ec2(victim).LockSnapshot(t.Context(), &ec2.LockSnapshotInput{SnapshotId: s.SnapshotId, LockMode: types.LockModeGovernance, LockDuration: aws.Int32(days)}); err != nil {
					t.Error(err)
				}
			}
		}
		b.completed(b.run())
		for _, s := range b.snapshots(victim) {
			if l := b.lockShown(*s.SnapshotId); aws.ToInt32(l.LockDuration) != want {
				t.Errorf("%d days became %d, want %d", days, aws.ToInt32(l.LockDuration), want)
			}
		}
	}
}
