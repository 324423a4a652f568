package forensics_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// swollen is AWS where the parts that a host sent add up to so many MiB.
type swollen struct {
	awscalls.AWS
	mib int64
}

func (s swollen) S3(ctx context.Context, p awscalls.Place) (awscalls.S3, error) {
	c, err := s.AWS.S3(ctx, p)
	return swollenBucket{c, s.mib}, err
}

type swollenBucket struct {
	awscalls.S3
	mib int64
}

func (s swollenBucket) ListParts(ctx context.Context, in *s3.ListPartsInput, opts ...func(*s3.Options)) (*s3.ListPartsOutput, error) {
	out, err := s.S3.ListParts(ctx, in, opts...)
	if err == nil && len(out.Parts) > 0 {
		out.Parts[0].Size = aws.Int64(s.mib << 20)
	}
	return out, err
}

// The addresses that a host gets say nothing of how much it may send, and what is
// put together in the bucket is locked.
func TestMoreThanTheHostHasOfMemoryIsNeverPutTogether(t *testing.T) {
	t.Parallel()
	body := []byte("all that was in memory")
	for name, c := range map[string]struct {
		mib   int64
		takes time.Duration
		want  playbook.State
	}{
		"as much as it has":          {8 << 10, 2 * time.Minute, playbook.Completed},
		"a fifth more, with headers": {8 << 10 * 12 / 10, 2 * time.Minute, playbook.Completed},
		"more while it sends":        {8<<10*12/10 + 65, 2 * time.Minute, playbook.Failed},
		"more, seen at the end only": {5 << 20, time.Second, playbook.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, also(func(e *sim.Editor, _ []string) {
				e.AddDocument(victim, region, sim.Document{Name: "guardroom-memory", Hash: strings.Repeat("d", 64), Limit: 6 * time.Hour, Answer: sim.AgentAnswer{Takes: c.takes, Upload: body}})
			}))
			b.aws = swollen{b.world.AWS(), c.mib}
			records := b.run()
			b.completed(records, "memory")
			r := records["memory"]
			if r.State != c.want {
				t.Fatalf("memory is %s: %s", r.State, r.Message)
			}
			if n := len(b.calls("S3.CompleteMultipartUpload")); (n > 0) != (c.want == playbook.Completed) {
				t.Errorf("%d uploads were put together", n)
			}
			if c.want != playbook.Completed && (!strings.Contains(r.Message, "and has 8192 MiB of memory: nothing of it was kept") || !strings.Contains(b.gap(records, "memory of "+instance), "nothing of it was kept")) {
				t.Errorf("it says %q, the gap %q", r.Message, b.gap(records, "memory of "+instance))
			}
			if left := b.owed.left(); len(left) != 0 {
				t.Errorf("owed: %q", left)
			}
			err := b.world.Edit(func(e *sim.Editor) {
				if u := e.Bucket("evidence").Uploads; len(u) != 0 {
					t.Errorf("an upload is still open: %v", u)
				}
				for _, cmd := range e.Commands(victim, region) {
					for _, run := range cmd.Runs {
						if run.Ended.IsZero() {
							t.Error("the command still runs")
						}
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
