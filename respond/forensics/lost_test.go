package forensics_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func TestWhatWasMadeWithoutAnAnswerBeforeAnAbortIsFoundByTheUndo(t *testing.T) {
	t.Parallel()
	for call, left := range map[string]func(b *bench) int{
		"EC2.RunInstances": func(b *bench) int { return len(b.workstations(victim)) },
		"EC2.CreateVolume": func(b *bench) int { return len(b.copies(victim)) },
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, quick)
			b.draft()
			lost := false
			b.life.script = func(phase sim.Phase, c sim.Call) error {
				if !lost && phase == sim.After && c.String() == call {
					lost = true
					b.journal.Send(playbook.AbortTopic, nil)
					return refusal("InternalError")
				}
				return nil
			}
			b.run()
			b.life.script = nil
			if !lost || left(b) == 0 {
				t.Fatal("nothing was made")
			}
			for id, r := range b.undo() {
				if r.State != playbook.Completed {
					t.Errorf("undo %s is %s: %s", id, r.State, r.Message)
				}
			}
			if n := left(b); n != 0 {
				t.Errorf("%d are left", n)
			}
		})
	}
}

func TestMoreThanElevenVolumesAreAttached(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, func(_ *sim.Options, _ *respond.Policy, e *edits) {
		e.instance.Volumes = nil
		for range 20 {
			e.instance.Volumes = append(e.instance.Volumes, sim.VolumeSpec{GiB: 1})
		}
	})
	records := b.run()
	at := map[string]bool{}
	for _, v := range b.volumes {
		r := records["attach/"+v]
		var device string
		if !r.Load("device", &device) || r.State != playbook.Completed || at[device] {
			t.Errorf("%s is %s at %q: %s", v, r.State, device, r.Message)
		}
		at[device] = true
	}
}

// locked are the lock of an object in the evidence bucket.
func (b *bench) locked(part string) (s3types.ObjectLockMode, bool) {
	b.t.Helper()
	c, err := b.world.AWS().S3(b.t.Context(), place(awscalls.Forensics, victim))
	if err != nil {
		b.t.Fatal(err)
	}
	list, err := c.ListObjectsV2(b.t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("evidence")})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range list.Contents {
		if strings.Contains(*o.Key, part) {
			h, err := c.HeadObject(b.t.Context(), &s3.HeadObjectInput{Bucket: aws.String("evidence"), Key: o.Key})
			if err != nil {
				b.t.Fatal(err)
			}
			return h.ObjectLockMode, true
		}
	}
	return "", false
}

func TestMemoryAndManifestsAreLockedWhereTheBucketCan(t *testing.T) {
	t.Parallel()
	for name, able := range map[string]bool{"a bucket with Object Lock": true, "a bucket without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, quick, also(func(e *sim.Editor, _ []string) { e.Bucket("evidence").ObjectLock = able }))
			records := b.run()
			b.completed(records)
			want := map[bool]s3types.ObjectLockMode{true: s3types.ObjectLockModeGovernance}[able]
			if mode, ok := b.locked(".lime"); !ok || mode != want {
				t.Errorf("the memory is locked %q, there %t", mode, ok)
			}
			if why := b.gap(records, "lock of the memory"); (why == "") != able {
				t.Errorf("the gap says %q", why)
			}
			items, _, _ := b.evidence(records)
			for _, i := range items {
				if i.Kind == evidence.Memory && (i.LockMode == "governance") != able {
					t.Errorf("the item is locked %q", i.LockMode)
				}
			}
			where, err := b.keep(evidence.Sealed{Revision: 1, Bytes: []byte("{}"), SHA256: evidence.Digest([]byte("{}"))})
			if err != nil || where == "" {
				t.Fatalf("%q, %v", where, err)
			}
			for _, part := range []string{"0001.json", "0001.sig.json"} {
				if mode, ok := b.locked(part); !ok || mode != want {
					t.Errorf("%s is locked %q, there %t", part, mode, ok)
				}
			}
		})
	}
}
