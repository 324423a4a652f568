package respond_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
)

func TestEachObjectOfAFindingIsATargetOfItsOwn(t *testing.T) {
	t.Parallel()
	b := &finding.Bucket{Name: "files", Objects: []finding.Object{{Key: "a.exe", VersionID: "v1"}, {Key: "b.exe", VersionID: "v2"}}}
	f := &finding.Finding{AccountID: "111122223333", Region: "eu-west-1", Resource: finding.Resource{Kind: finding.KindS3Object, ID: "files/a.exe", Name: "a.exe", Bucket: b},
		Context: []finding.Resource{{Kind: finding.KindS3Object, ID: "files/b.exe", Name: "b.exe", Bucket: b}}}
	list := respond.Targets(f)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for i, want := range []struct{ id, version string }{{"files/a.exe", "v1"}, {"files/b.exe", "v2"}} {
		if list[i].ID != want.id || list[i].Parts[respond.PartObjectVer] != want.version {
			t.Errorf("%+v", list[i])
		}
	}
}

func TestAResourceWhoseNameAWSWouldNotTakeIsNamedAndNotDroppedSilently(t *testing.T) {
	t.Parallel()
	f := &finding.Finding{AccountID: "111111111111", Region: "eu-west-1",
		Resource: finding.Resource{Kind: finding.KindInstance, ID: "i-0ee00000000000001"},
		Context:  []finding.Resource{{Kind: finding.KindEBSSnapshot, ID: "snap-9"}, {Kind: finding.KindAttackSequence, ID: "s"}}}
	want := []string{`ebs snapshot "snap-9": AWS has no such id, so it cannot be described`}
	if diff := cmp.Diff(want, respond.Unfit(f)); diff != "" {
		t.Error(diff)
	}
	if list := respond.Targets(f); len(list) != 1 {
		t.Error(list)
	}
	f.Region = "nowhere"
	if list := respond.Unfit(f); len(list) != 1 || len(respond.Targets(f)) != 0 {
		t.Error(list)
	}
}

func TestARunOnAnObjectHoldsItsBucketToo(t *testing.T) {
	t.Parallel()
	bucket := respond.Target{Kind: finding.KindS3Bucket, ID: "files", ARN: "arn:aws:s3:::files", Account: "111122223333", Region: "eu-west-1"}
	object := respond.Target{Kind: finding.KindS3Object, ID: "files/a/b.exe", ARN: "arn:aws:s3:::files/a/b.exe", Account: "111122223333", Region: "eu-west-1"}
	if diff := cmp.Diff([]string{"111122223333/eu-west-1/" + string(finding.KindS3Object) + "/files/a/b.exe", object.ARN, bucket.ARN}, object.Holds()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{bucket.Key(), bucket.ARN}, bucket.Holds()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"//EC2/i-1"}, respond.Target{Kind: "EC2", ID: "i-1"}.Holds()); diff != "" {
		t.Error(diff)
	}
}

func TestAResourceOfAnUnknownTypeIsNamedByTheTypeThatGuardDutyGave(t *testing.T) {
	t.Parallel()
	f := &finding.Finding{AccountID: "111111111111", Region: "eu-west-1", Resource: finding.Resource{Kind: finding.KindOther, Type: "BedrockAgent"}}
	if diff := cmp.Diff([]string{`guardroom does not know resources of the type "BedrockAgent"`}, respond.Unfit(f)); diff != "" {
		t.Error(diff)
	}
}

func TestAResourceWithoutAnIdIsNotBlamedForItsForm(t *testing.T) {
	t.Parallel()
	f := &finding.Finding{AccountID: "111111111111", Region: "eu-west-1", Resource: finding.Resource{Kind: finding.KindOther}}
	if diff := cmp.Diff([]string{"other: the finding names no id that guardroom can read, so it cannot be described"}, respond.Unfit(f)); diff != "" {
		t.Error(diff)
	}
}
