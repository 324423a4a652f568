package cloud_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/fault"
)

func bucket(t *testing.T, name string) *s3.Client {
	t.Helper()
	client := s3.NewFromConfig(unobserved(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}}); err != nil {
		t.Fatal(err)
	}
	return client
}

func put(t *testing.T, client *s3.Client, bucket, key, body string) {
	t.Helper()
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

func keeper(t *testing.T, url string) *cloud.S3Keeper {
	t.Helper()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	k, err := cloud.NewS3Keeper(w.cloud, url)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func head(seq int64) audit.Head {
	return audit.Head{Seq: seq, Hash: strings.Repeat(string("0123456789abcdef"[seq%16]), 64), At: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
}

func TestHeadsAreKeptOnceAndReadBack(t *testing.T) {
	t.Parallel()
	bucket(t, "heads")
	k := keeper(t, "s3://heads/audit/")
	if got, err := k.Heads(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("before: %v, %v", got, err)
	}
	for _, seq := range []int64{9, 10, 123456, 10} { // the last is a repetition
		if err := k.Keep(t.Context(), head(seq)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := k.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b audit.Head) int { return int(a.Seq - b.Seq) })
	if len(got) != 3 {
		t.Fatalf("%d heads", len(got))
	}
	for i, seq := range []int64{9, 10, 123456} {
		if got[i].Seq != seq || got[i].Hash != head(seq).Hash || got[i].At.IsZero() {
			t.Errorf("%+v", got[i])
		}
	}
	if k.String() != "s3://heads/audit/" {
		t.Error(k.String())
	}
}

func TestTwoHeadsOfOneSequenceNumberAreBothKept(t *testing.T) {
	t.Parallel()
	bucket(t, "forked")
	k := keeper(t, "s3://forked")
	a, b := head(7), head(7)
	b.Hash = strings.Repeat("f", 64) // the chain was rewritten
	for _, h := range []audit.Head{a, b} {
		if err := k.Keep(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := k.Heads(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatIsNoHeadIsTold(t *testing.T) {
	t.Parallel()
	client := bucket(t, "strange")
	k := keeper(t, "s3://strange/p")
	put(t, client, "strange", "p/other.txt", "x") // not ours to judge
	if _, err := k.Heads(t.Context()); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	h := head(5)
	put(t, client, "strange", "p/head-00000000000000000005-"+h.Hash+".json", `{"seq":5,"hash":"another"}`)
	if err := k.Keep(t.Context(), h); fault.CodeOf(err) != fault.Corrupt {
		t.Errorf("an object that lies: %v", err)
	}
	put(t, client, "strange", "p/head-5.json", "x")
	if _, err := k.Heads(t.Context()); fault.CodeOf(err) != fault.Corrupt {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestABucketThatIsNotThereIsAFaultWithAHint(t *testing.T) {
	t.Parallel()
	k := keeper(t, "s3://nothing-here/p")
	if err := k.Keep(t.Context(), head(1)); fault.CodeOf(err) != fault.NotFound || fault.Of(err).Hint == "" {
		t.Errorf("%+v", fault.Of(err))
	}
	for _, bad := range []string{"", "heads/p", "https://heads/p", "s3://", "s3://heads/p?x=1"} {
		if _, err := cloud.NewS3Keeper(nil, bad); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q is taken", bad)
		}
	}
}
