package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

func (w *world) tag(t *testing.T, id string) error {
	t.Helper()
	_, err := w.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
	return err
}

func (w *world) tags(t *testing.T, id string) int {
	t.Helper()
	return len(w.describeVolume(t, id).Tags)
}

func TestFaultsHitTheCallsThatTheirRuleNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault proxy.Fault
		code  string
	}{
		{proxy.Throttled(), "RequestLimitExceeded"}, {proxy.Throttling(), "ThrottlingException"}, {proxy.Broken(), "InternalError"}, {proxy.NoCapacity(), "InsufficientInstanceCapacity"},
		{proxy.Unauthorized(), "UnauthorizedOperation"}, {proxy.Expired(), "RequestExpired"}, {proxy.NotYet("InvalidVolume.NotFound"), "InvalidVolume.NotFound"},
	} {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, proxy.Options{})
			id := w.volume(t, "a", ec2.CreateVolumeInput{})
			w.Add(proxy.Rule{Operation: "EC2.CreateTags", Nth: 2, Times: 2, Fault: c.fault,
				Match: func(call proxy.Call) bool { return call.Params.Get("ResourceId.1") == id }})
			if err := w.tag(t, w.volume(t, "a", ec2.CreateVolumeInput{})); err != nil {
				t.Errorf("another volume: %v", err)
			}
			if err := w.tag(t, id); err != nil {
				t.Errorf("the first: %v", err)
			}
			wantCode(t, w.tag(t, id), c.code)
			wantCode(t, w.tag(t, id), c.code)
			if err := w.tag(t, id); err != nil {
				t.Errorf("the fourth: %v", err)
			}
		})
	}
}

func TestAConnectionBreaksBeforeOrAfterItWasDone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault proxy.Fault
		tags  int
	}{
		{"before", proxy.Fault{Lost: proxy.BeforeIt}, 0},
		{"after", proxy.Fault{Lost: proxy.AfterIt}, 1},
		{"in the middle of the answer", proxy.Fault{Half: true}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, proxy.Options{})
			id := w.volume(t, "a", ec2.CreateVolumeInput{})
			w.Add(proxy.Rule{Operation: "EC2.CreateTags", Fault: c.fault})
			err := w.tag(t, id)
			var api smithy.APIError
			if err == nil && !c.fault.Half || errors.As(err, &api) {
				t.Errorf("the caller was answered: %v", err)
			}
			if n := w.tags(t, id); n != c.tags {
				t.Errorf("%d tags", n)
			}
		})
	}
}

func TestALostAnswerMakesNoSecondResourceWithAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	w.Add(proxy.Rule{Operation: "EC2.CreateVolume", Fault: proxy.Fault{Lost: proxy.AfterIt}})
	again := ec2.NewFromConfig(w.as(w.account), func(o *ec2.Options) {
		o.RetryMaxAttempts = 3
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts, s.Backoff = 3, retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	})
	in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), ClientToken: aws.String("gr-1")}
	made := must[*ec2.CreateVolumeOutput](t)(again.CreateVolume(ctx, in))
	repeated := must[*ec2.CreateVolumeOutput](t)(again.CreateVolume(ctx, in))
	all := must[*ec2.DescribeVolumesOutput](t)(w.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{}))
	if len(all.Volumes) != 1 || aws.ToString(all.Volumes[0].VolumeId) != aws.ToString(made.VolumeId) || aws.ToString(repeated.VolumeId) != aws.ToString(made.VolumeId) {
		t.Errorf("%d volumes", len(all.Volumes))
	}
	in.Size = aws.Int32(2)
	_, err := again.CreateVolume(ctx, in)
	wantCode(t, err, "IdempotentParameterMismatch")
	in.ClientToken = aws.String("gr-2")
	other := must[*ec2.CreateVolumeOutput](t)(again.CreateVolume(ctx, in))
	if aws.ToString(other.VolumeId) == aws.ToString(made.VolumeId) {
		t.Error("another token gave the same volume")
	}
}

// A process that is killed in the middle of a call, and asks again at its next
// start, is the caller that matters most.
func TestWhatHasComeIsCarriedOutOnceAlthoughItsCallerIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), ClientToken: aws.String("gr-1")}
	ctx, kill := context.WithCancel(t.Context())
	came, goOn := make(chan struct{}), make(chan struct{})
	w.Add(proxy.Rule{Operation: "EC2.CreateVolume", Fault: proxy.Fault{Acted: func(proxy.Call) { kill(); <-goOn }}},
		proxy.Rule{Operation: "EC2.CreateVolume", Fault: proxy.Fault{Hold: func(proxy.Call) { close(came) }}})
	if _, err := w.ec2.CreateVolume(ctx, in); err == nil {
		t.Fatal("it was answered")
	}
	var again sync.WaitGroup
	var made *ec2.CreateVolumeOutput
	var err error
	again.Go(func() { made, err = w.ec2.CreateVolume(t.Context(), in) })
	<-came
	close(goOn)
	again.Wait()
	if err != nil {
		t.Fatal(err)
	}
	all := must[*ec2.DescribeVolumesOutput](t)(w.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{}))
	if len(all.Volumes) != 1 || aws.ToString(all.Volumes[0].VolumeId) != aws.ToString(made.VolumeId) {
		t.Errorf("%d volumes", len(all.Volumes))
	}
}

// After a call has acted, a test may look at what it did before its caller knows.
func TestAMomentBetweenTheEffectAndTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	seen, fault := make(chan int, 1), proxy.Fault{Lost: proxy.AfterIt}
	fault.Acted = func(c proxy.Call) {
		all, err := w.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})
		if err != nil {
			t.Error(err)
			seen <- -1
			return
		}
		seen <- len(all.Volumes)
	}
	w.Add(proxy.Rule{Operation: "EC2.CreateVolume", Fault: fault})
	if _, err := w.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1)}); err == nil {
		t.Error("it was answered")
	}
	if n := <-seen; n != 1 {
		t.Errorf("%d volumes between the effect and the answer", n)
	}
}

func TestATokenIsReplayedForEveryCallThatHasOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	i := w.instance(t, "a")
	acl := func() string {
		return aws.ToString(must[*ec2.CreateNetworkAclOutput](t)(w.ec2.CreateNetworkAcl(t.Context(), &ec2.CreateNetworkAclInput{VpcId: i.VpcId, ClientToken: aws.String("gr-1")})).NetworkAcl.NetworkAclId)
	}
	launch := func() string {
		return aws.ToString(must[*ec2.RunInstancesOutput](t)(w.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-03cf127a"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: i.SubnetId, ClientToken: aws.String("gr-1")})).Instances[0].InstanceId)
	}
	if a, b := acl(), acl(); a != b {
		t.Errorf("two network ACLs: %s %s", a, b)
	}
	if a, b := launch(), launch(); a != b {
		t.Errorf("two instances: %s %s", a, b)
	}
}

func TestDescribesCanBeStaleAndInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	id := w.volume(t, "a", ec2.CreateVolumeInput{})
	w.tags(t, id)
	if err := w.tag(t, id); err != nil {
		t.Fatal(err)
	}
	w.Add(proxy.Rule{Operation: "EC2.DescribeVolumes", Fault: proxy.Fault{Stale: true}})
	if a, b := w.tags(t, id), w.tags(t, id); a != 0 || b != 1 {
		t.Errorf("%d, then %d tags", a, b)
	}
	for range 4 {
		w.volume(t, "a", ec2.CreateVolumeInput{})
	}
	w.Add(proxy.Rule{Operation: "EC2.DescribeVolumes", Times: -1, Fault: proxy.Fault{PageSize: 2}})
	var sizes []int
	seen := map[string]bool{}
	pages := ec2.NewDescribeVolumesPaginator(w.ec2, &ec2.DescribeVolumesInput{MaxResults: aws.Int32(500)})
	for pages.HasMorePages() {
		page := must[*ec2.DescribeVolumesOutput](t)(pages.NextPage(ctx))
		sizes = append(sizes, len(page.Volumes))
		for _, v := range page.Volumes {
			seen[aws.ToString(v.VolumeId)] = true
		}
	}
	if d := cmp.Diff([]int{2, 2, 1}, sizes); d != "" || len(seen) != 5 {
		t.Errorf("%s, %d different volumes", d, len(seen))
	}
}

func TestAnAnswerCanBeHeldAndItsClockBeWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	var held []string
	w.Add(proxy.Rule{Operation: "EC2.DescribeVolumes", Fault: proxy.Fault{Skew: -time.Hour, Hold: func(c proxy.Call) {
		held = append(held, c.String())
		if len(held) == 1 { // somebody else does something at this moment
			w.volume(t, "a", ec2.CreateVolumeInput{})
		}
	}}})
	out := must[*ec2.DescribeVolumesOutput](t)(w.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{}))
	if len(out.Volumes) != 1 || fmt.Sprint(held) != "[EC2.DescribeVolumes]" {
		t.Errorf("%d volumes, held %v", len(out.Volumes), held)
	}
	if at, ok := awsmiddleware.GetServerTime(out.ResultMetadata); !ok || time.Since(at) < 59*time.Minute {
		t.Errorf("the server's time is %s", at)
	}
}

func TestClearedRulesDoNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	w.Add(proxy.Rule{Times: -1, Fault: proxy.Broken()})
	_, err := w.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})
	if err == nil {
		t.Fatal("the rule does nothing")
	}
	w.ClearRules()
	if _, err := w.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{}); err != nil {
		t.Error(err)
	}
}
