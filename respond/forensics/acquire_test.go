package forensics_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestDefect01ThreeVolumesThreeSnapshotsOfOneInstant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	records := b.run()
	b.completed(records)
	list := b.snapshots(victim)
	if len(list) != 3 {
		t.Fatalf("%d snapshots of 3 volumes", len(list))
	}
	of := map[string]bool{}
	for _, s := range list {
		of[aws.ToString(s.VolumeId)] = true
		if s.State != types.SnapshotStateCompleted {
			t.Errorf("%s is %s", *s.SnapshotId, s.State)
		}
	}
	for _, v := range b.volumes {
		if !of[v] {
			t.Errorf("there is no snapshot of %s", v)
		}
	}
	if n := len(b.calls("EC2.CreateSnapshots")); n != 1 {
		t.Errorf("%d calls for one set", n)
	}
}
