package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	wafv2types "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond/awscalls"
)

var responseRoles = cloud.ResponseRoles{Read: "guardroom-read", Act: "security/guardroom-act", Forensics: "guardroom-forensics"}

func place(role awscalls.Role, incident string) awscalls.Place {
	return awscalls.Place{Account: second, Region: region, Role: role, Incident: incident}
}

// assumed are the AssumeRole requests that reached AWS.
func assumed(t *testing.T, w world) []url.Values {
	t.Helper()
	var out []url.Values
	for _, c := range w.fake.Calls() {
		if c.Operation != "AssumeRole" {
			continue
		}
		v, err := url.ParseQuery(c.Body)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func describe(t *testing.T, r awscalls.AWS, p awscalls.Place) {
	t.Helper()
	client, err := r.STS(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.Account) != p.Account {
		t.Errorf("the call for account %s landed in %s", p.Account, aws.ToString(out.Account))
	}
}

func TestEachRoleIsAssumedInTheSessionOfItsIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ExternalID: config.NewSecret("x-1")}, nil, fakeguardduty.Options{ExternalID: "x-1"})
	r := w.cloud.Responses(responseRoles)
	for _, p := range []awscalls.Place{place(awscalls.Read, "INC-42"), place(awscalls.Act, "INC-42"), place(awscalls.Act, "INC-43"), place(awscalls.Forensics, "INC-42")} {
		for range 3 {
			describe(t, r, p)
		}
	}
	got := map[string]int{}
	for _, v := range assumed(t, w) {
		got[strings.Join([]string{v.Get("RoleArn"), v.Get("RoleSessionName"), v.Get("SourceIdentity"), v.Get("ExternalId")}, " ")]++
	}
	want := map[string]int{
		"arn:aws:iam::222222222222:role/guardroom-read INC-42 INC-42 x-1":         1,
		"arn:aws:iam::222222222222:role/security/guardroom-act INC-42 INC-42 x-1": 1,
		"arn:aws:iam::222222222222:role/security/guardroom-act INC-43 INC-43 x-1": 1,
		"arn:aws:iam::222222222222:role/guardroom-forensics INC-42 INC-42 x-1":    1,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r.Simulated() {
		t.Error("the real AWS calls itself simulated")
	}
}

// codeOf is the error code of AWS; an error without one is told as it is.
func codeOf(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

func TestEveryServiceAnswersInTheAccountOfThePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	r, ctx, p := w.cloud.Responses(responseRoles), t.Context(), place(awscalls.Act, "INC-42")
	for _, c := range []struct {
		service, code string
		call          func() error
	}{
		{"EC2", "InvalidInstanceID.NotFound", func() error {
			client, err := r.EC2(ctx, p)
			if err == nil {
				_, err = client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
			}
			return err
		}},
		{"AutoScaling", "", func() error {
			client, err := r.AutoScaling(ctx, p)
			if err == nil {
				_, err = client.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
			}
			return err
		}},
		{"ELB", "LoadBalancerNotFound", func() error {
			client, err := r.ELB(ctx, p)
			if err == nil {
				_, err = client.DescribeLoadBalancers(ctx, &elasticloadbalancing.DescribeLoadBalancersInput{LoadBalancerNames: []string{"none"}})
			}
			return err
		}},
		{"ELBv2", "TargetGroupNotFound", func() error {
			client, err := r.ELBv2(ctx, p)
			if err == nil {
				_, err = client.DescribeTargetGroups(ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{Names: []string{"none"}})
			}
			return err
		}},
		{"IAM", "NoSuchEntity", func() error {
			client, err := r.IAM(ctx, p)
			if err == nil {
				_, err = client.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("none")})
			}
			return err
		}},
		{"SSM", "ParameterNotFound", func() error {
			client, err := r.SSM(ctx, p)
			if err == nil {
				_, err = client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("none")})
			}
			return err
		}},
		{"S3", "NoSuchBucket", func() error {
			client, err := r.S3(ctx, p)
			if err == nil {
				_, err = client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("there-is-none-of-this-name")})
			}
			return err
		}},
		{"KMS", "NotFoundException", func() error {
			client, err := r.KMS(ctx, p)
			if err == nil {
				_, err = client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("11111111-2222-3333-4444-555555555555")})
			}
			return err
		}},
		{"Lambda", "ResourceNotFoundException", func() error {
			client, err := r.Lambda(ctx, p)
			if err == nil {
				_, err = client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("none")})
			}
			return err
		}},
		{"RDS", "DBInstanceNotFound", func() error {
			client, err := r.RDS(ctx, p)
			if err == nil {
				_, err = client.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("none")})
			}
			return err
		}},
		{"WAF", "WAFNonexistentItemException", func() error {
			client, err := r.WAF(ctx, p)
			if err == nil {
				_, err = client.GetIPSet(ctx, &wafv2.GetIPSetInput{Id: aws.String("11111111-2222-3333-4444-555555555555"), Name: aws.String("none"), Scope: wafv2types.ScopeRegional})
			}
			return err
		}},
	} {
		if got := codeOf(c.call()); got != c.code {
			t.Errorf("%s answers %q, not %q", c.service, got, c.code)
		}
	}
	if n := len(assumed(t, w)); n != 1 {
		t.Errorf("one place took %d sessions", n)
	}
}

func TestWithoutARoleOnlyTheOwnAccountIsReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	r := w.cloud.Responses(cloud.ResponseRoles{Act: "guardroom-act"})
	own := awscalls.Place{Account: fakeguardduty.Home, Region: region, Role: awscalls.Read, Incident: "INC-42"}
	for range 3 {
		if _, err := r.EC2(t.Context(), own); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.EC2(t.Context(), place(awscalls.Forensics, "INC-42"))
	f := fault.Of(err)
	if err == nil || f.Code != fault.Denied || !strings.Contains(f.Message, fakeguardduty.Home) || !strings.Contains(f.Hint, "respond.forensics_role") || !strings.Contains(f.Hint, second) {
		t.Errorf("%+v", f)
	}
	if n := w.calls.count("STS.GetCallerIdentity"); n != 1 {
		t.Errorf("AWS was asked %d times whose the credentials are", n)
	}
	if n := w.calls.count("STS.AssumeRole"); n != 0 {
		t.Errorf("%d roles were assumed", n)
	}
	describe(t, r, place(awscalls.Act, "INC-42"))
}

func TestWhoTheCredentialsBelongToIsAskedAgainAfterAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	w.fake.Fail(fakeguardduty.Fault{Operation: "GetCallerIdentity", Times: 1, Status: http.StatusForbidden, Code: "AccessDenied", Message: "no"})
	r := w.cloud.Responses(cloud.ResponseRoles{})
	own := awscalls.Place{Account: fakeguardduty.Home, Region: region, Role: awscalls.Read, Incident: "INC-42"}
	if _, err := r.EC2(t.Context(), own); err == nil {
		t.Fatal("an unknown owner was taken for the right one")
	}
	if _, err := r.EC2(t.Context(), own); err != nil {
		t.Error(err)
	}
}

func TestAPlaceThatIsNotCompleteIsRefusedBeforeAnyCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	r := w.cloud.Responses(responseRoles)
	good := place(awscalls.Act, "INC-42")
	for name, change := range map[string]func(*awscalls.Place){
		"no account":                func(p *awscalls.Place) { p.Account = "" },
		"an account that is a name": func(p *awscalls.Place) { p.Account = "22222222222x" },
		"no incident":               func(p *awscalls.Place) { p.Incident = "" },
		"an incident with a space":  func(p *awscalls.Place) { p.Incident = "INC 42" },
		"a long incident":           func(p *awscalls.Place) { p.Incident = strings.Repeat("x", 65) },
		"no role":                   func(p *awscalls.Place) { p.Role = "" },
		"an unknown role":           func(p *awscalls.Place) { p.Role = "admin" },
	} {
		p := good
		change(&p)
		client, err := r.IAM(t.Context(), p)
		if err == nil || fault.CodeOf(err) != fault.Usage || client != nil {
			t.Errorf("%s: %v, %v", name, client, err)
		}
	}
	if len(w.fake.Calls()) != 0 {
		t.Errorf("calls: %+v", w.fake.Calls())
	}
}

func TestAnAddressIsSignedByASessionThatLivesLongEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	r, p := w.cloud.Responses(responseRoles), place(awscalls.Forensics, "INC-42")
	describe(t, r, p)
	for range 2 {
		signer, err := r.Presign(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		u, err := signer.PresignUploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String("evidence"), Key: aws.String("INC-42/memory"), UploadId: aws.String("u"), PartNumber: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		if q, err := url.Parse(u.URL); err != nil || q.Path != "/evidence/INC-42/memory" || q.Query().Get("X-Amz-Security-Token") == "" {
			t.Errorf("%s, %v", u.URL, err)
		}
	}
	list := assumed(t, w)
	if len(list) != 2 {
		t.Fatalf("%d sessions, not one that calls and one that signs", len(list))
	}
	for _, v := range list {
		if v.Get("DurationSeconds") != "3600" {
			t.Errorf("a session of %s s", v.Get("DurationSeconds"))
		}
	}
}

func TestRememberedSessionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	r := w.cloud.Responses(responseRoles)
	first, kept := place(awscalls.Act, "INC-1"), place(awscalls.Act, "INC-2")
	describe(t, r, first)
	describe(t, r, kept)
	for i := range 999 {
		if _, err := r.STS(t.Context(), kept); err != nil { // stays the latest used
			t.Fatal(err)
		}
		if _, err := r.STS(t.Context(), place(awscalls.Act, fmt.Sprintf("INC-%d", 1000+i))); err != nil {
			t.Fatal(err)
		}
	}
	describe(t, r, kept)
	if n := len(assumed(t, w)); n != 2 {
		t.Errorf("%d sessions after one that is in use and many that made no call", n)
	}
	describe(t, r, first)
	if n := len(assumed(t, w)); n != 3 {
		t.Errorf("%d sessions: the oldest was not forgotten", n)
	}
}

// forward sends everything on to a base URL.
func forward(t *testing.T, base string) http.Handler {
	t.Helper()
	to, err := url.Parse(base)
	if err != nil {
		t.Error(err)
		return http.NotFoundHandler()
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
}

func TestCallsThatActNeverWaitBehindThoseThatReadADisk(t *testing.T) {
	t.Parallel()
	var w world
	var blocksRead atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/snapshots/") {
			blocksRead.Add(1)
			_, _ = io.WriteString(rw, `{"VolumeSize":1,"BlockSize":524288,"Blocks":[]}`)
			return
		}
		forward(t, w.fake.URL).ServeHTTP(rw, req)
	}))
	t.Cleanup(server.Close)
	w = newWorld(t, config.AWS{EndpointURL: server.URL}, nil, fakeguardduty.Options{})
	roles := responseRoles
	roles.Pace = map[cloud.PaceClass]cloud.Pace{cloud.Hashing: {PerSecond: 0.0001, AtOnce: 1}}
	r, p := w.cloud.Responses(roles), place(awscalls.Act, "INC-42")
	blocks, err := r.EBS(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	list := func() error {
		_, err := blocks.ListSnapshotBlocks(ctx, &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-0123456789abcdef0")})
		return err
	}
	if err := list(); err != nil {
		t.Fatalf("the first did not get its turn: %v", err)
	}
	if err := list(); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hashing calls in "+second+"/"+region) {
		t.Errorf("the second was not held back: %v", err)
	}
	client, err := r.EC2(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: aws.String("sg-0123456789abcdef0")})
	if code := codeOf(err); code != "InvalidGroup.NotFound" {
		t.Errorf("a call that changes was held back: %v", err)
	}
	other := p
	other.Region = "us-east-1"
	if blocks, err = r.EBS(ctx, other); err != nil {
		t.Fatal(err)
	}
	if err := list(); err != nil {
		t.Errorf("another region was held back: %v", err)
	}
	if n := blocksRead.Load(); n != 2 {
		t.Errorf("%d reads were sent", n)
	}
}

func TestEveryAttemptWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	roles := responseRoles
	roles.Pace = map[cloud.PaceClass]cloud.Pace{cloud.Looking: {PerSecond: 0.0001, AtOnce: 2}}
	client, err := w.cloud.Responses(roles).STS(t.Context(), place(awscalls.Act, "INC-42"))
	if err != nil {
		t.Fatal(err)
	}
	w.fake.Fail(fakeguardduty.Fault{Operation: "GetCallerIdentity", Times: -1, Status: http.StatusServiceUnavailable, Code: "Throttling"})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the third attempt had a turn: %v", err)
	}
	sent := 0
	for _, c := range w.fake.Calls() {
		if c.Operation == "GetCallerIdentity" {
			sent++
		}
	}
	if sent != 2 {
		t.Errorf("%d attempts were sent", sent)
	}
}
