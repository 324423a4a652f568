package s3_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// Whatever doors a bucket has, contain shuts them to all but the list, and contain
// followed by undo gives back the same bucket. What cannot be restored is that
// versioning was never on.
func TestContainAndUndoOfAnyBucketGivesTheSameWorld(t *testing.T) {
	t.Parallel()
	blocks := rapid.Custom(func(t *rapid.T) *sim.PublicBlock {
		if rapid.Bool().Draw(t, "absent") {
			return nil
		}
		// A block that refuses public policies beside a public policy is a world of
		// its own: TestABlockThatRefusesPublicPolicies.
		return &sim.PublicBlock{BlockACLs: rapid.Bool().Draw(t, "a"), IgnoreACLs: rapid.Bool().Draw(t, "b"), RestrictBucket: rapid.Bool().Draw(t, "c")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		b := bucketBench(t, rapid.SampledFrom([]string{"s3-bucket", "s3-public"}).Draw(rt, "playbook"))
		b.Type = rapid.SampledFrom([]string{"Policy:S3/BucketAnonymousAccessGranted", "Impact:S3/AnomalousBehavior.Delete"}).Draw(rt, "type")
		versioning := rapid.SampledFrom([]string{"", "Enabled", "Suspended"}).Draw(rt, "versioning")
		edit(b, func(k *sim.Bucket) {
			k.Policy = rapid.SampledFrom([]string{"", public}).Draw(rt, "policy")
			k.Block = blocks.Draw(rt, "block")
			k.Versioning = versioning
			k.Ownership = rapid.SampledFrom([]string{"", "BucketOwnerEnforced", "ObjectWriter"}).Draw(rt, "ownership")
			k.PublicACL = rapid.SampledFrom([][]string{nil, {"READ"}, {"READ", "WRITE"}}).Draw(rt, "ACL")
		})
		before := b.Dump()
		p, records := b.Contain()
		if reads(b, "") || b.Playbook.Name() == "s3-bucket" && reads(b, "app") || !reads(b, "break-glass") {
			rt.Fatal("the wrong ones are in")
		}
		b.Undo(p, records)
		edit(b, func(k *sim.Bucket) {
			if versioning == "" && k.Versioning == "Suspended" {
				k.Versioning = ""
			}
		})
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// AWS refuses to write a policy that is public beside a block that forbids it,
// also with our deny in it. The plan says so before, and the run as it happens.
func TestABlockThatRefusesPublicPolicies(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-bucket")
	edit(b, func(k *sim.Bucket) { k.Block = &sim.PublicBlock{BlockPolicy: true} })
	before := b.Dump()
	if g := kittest.Guard(t, b.Draft(), "public policy"); g.Answer != "warn" {
		t.Fatalf("%+v", g)
	}
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if _, contained, _ := b.Result(p, records); contained || records["contain/deny"].State != "failed" || records["contain/public-access"].State != "completed" || reads(b, "") {
		t.Fatalf("contained %t: %+v", contained, records["contain/deny"])
	}
	b.Undo(p, records)
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatal(diff)
	}
}

func TestAnAbortAnywhereBeginsNothingAndCanBeUndone(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(t *testing.T) *kittest.Bench{
		"bucket": func(t *testing.T) *kittest.Bench { return bucketBench(t, "s3-bucket") },
		"public": func(t *testing.T) *kittest.Bench { return bucketBench(t, "s3-public") },
		"object": func(t *testing.T) *kittest.Bench { return objectBench(t, true) },
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); kittest.Stops(t, kittest.Stop{Fresh: fresh}) })
		t.Run(name+"-undo", func(t *testing.T) { t.Parallel(); kittest.UndoStops(t, kittest.Stop{Fresh: fresh}) })
	}
}

func TestADriftOfABucketOrAnObjectIsFoundLater(t *testing.T) {
	t.Parallel()
	for _, b := range []*kittest.Bench{bucketBench(t, "s3-bucket"), objectBench(t, true)} {
		p, records := b.Contain()
		if d := b.Drift(p, records); len(d) != 0 {
			t.Fatal(d)
		}
		_ = b.World.Edit(func(e *sim.Editor) {
			k := e.Bucket("payments")
			k.Policy, k.Block = "", nil
			e.Object("payments", "index.html").Tags = nil
		})
		if d := b.Drift(p, records); len(d) != 2 {
			t.Fatal(d)
		}
	}
}
