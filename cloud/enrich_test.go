package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/triage"
)

// refused is a Cloud in front of a server that refuses every call.
type refused struct {
	cloud *cloud.Cloud
	asked *atomic.Int32
}

func refusing(t *testing.T, code string, status int) refused {
	t.Helper()
	r := refused{asked: &atomic.Int32{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r.asked.Add(1)
		w.Header().Set("X-Amzn-Errortype", code)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"not for you"}`, code)
	}))
	t.Cleanup(server.Close)
	r.cloud = cloud.New(config.AWS{Region: region, EndpointURL: server.URL, Organizations: true}, nil, cloud.Deps{MaxBackoff: time.Millisecond})
	return r
}

func TestAccountsGetTheirNamesFromOrganizations(t *testing.T) {
	t.Parallel()
	client := organizations.NewFromConfig(unobserved())
	if _, err := client.CreateOrganization(t.Context(), &organizations.CreateOrganizationInput{FeatureSet: orgtypes.OrganizationFeatureSetAll}); err != nil {
		t.Fatal(err)
	}
	made, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("payments"), Email: aws.String("p@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	id := aws.ToString(made.CreateAccountStatus.AccountId)
	w := newWorld(t, config.AWS{}, []config.Account{{ID: "333333333333", Name: "known"}}, fakeguardduty.Options{})
	names := cloud.NewAccountNames(w.cloud)
	for _, c := range []struct{ account, want string }{
		{id, "payments"}, {id, "payments"}, // asked once
		{"444444444444", ""}, {"444444444444", ""}, // not in the organization: also asked once
		{"333333333333", ""},  // named in the configuration: not asked for
		{"'; DROP TABLE", ""}, // no account
		{"", ""},
	} {
		var e triage.Enrichment
		if err := names.Enrich(t.Context(), &finding.Finding{AccountID: c.account}, &e); err != nil || e.Account.Name != c.want {
			t.Errorf("%s: %q, %v", c.account, e.Account.Name, err)
		}
	}
	if n := w.calls.count("Organizations.DescribeAccount"); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestARefusalDegradesAndIsRememberedForAnHour(t *testing.T) {
	t.Parallel()
	r := refusing(t, "AccessDeniedException", 400)
	names := cloud.NewAccountNames(r.cloud)
	for range 3 {
		var e triage.Enrichment
		err := names.Enrich(t.Context(), &finding.Finding{AccountID: second}, &e)
		if err == nil || !strings.Contains(err.Error(), "AccessDeniedException") || e.Account.Name != "" {
			t.Errorf("%v, %+v", err, e)
		}
	}
	if n := r.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestWhoGivesUpIsNotRemembered(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = w.Write([]byte(`{"Account":{"Name":"payments"}}`))
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	names := cloud.NewAccountNames(cloud.New(config.AWS{Region: region, EndpointURL: server.URL}, nil, cloud.Deps{MaxBackoff: time.Millisecond}))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		gone <- names.Enrich(ctx, &finding.Finding{AccountID: second}, &triage.Enrichment{})
	}()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("%v", err)
	}
	close(hold)
	var e triage.Enrichment
	if err := names.Enrich(t.Context(), &finding.Finding{AccountID: second}, &e); err != nil || e.Account.Name != "payments" {
		t.Errorf("%v, %+v", err, e)
	}
}

func instanceFinding(account, where, id string) *finding.Finding {
	return &finding.Finding{AccountID: account, Region: where, Resource: finding.Resource{Kind: finding.KindInstance, ID: id}}
}

func TestInstancesGetTheTagsThatTheyHaveNow(t *testing.T) {
	t.Parallel()
	accounts := []config.Account{{ID: second}}
	w := newWorld(t, config.AWS{ReadRole: "reader"}, accounts, fakeguardduty.Options{})
	there := unobserved()
	there.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(unobserved()), "arn:aws:iam::"+second+":role/owner"))
	direct := ec2.NewFromConfig(there)
	made, err := direct.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("payments")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	id := aws.ToString(made.Instances[0].InstanceId)
	tags := cloud.NewInstanceTags(w.cloud)
	for range 2 {
		var e triage.Enrichment
		if err := tags.Enrich(t.Context(), instanceFinding(second, region, id), &e); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]finding.Tag{{Key: "team", Value: "payments"}}, e.Tags); d != "" {
			t.Error(d)
		}
	}
	if n := w.calls.count("EC2.DescribeTags"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestAForgedFindingLeadsToNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ReadRole: "reader"}, []config.Account{{ID: second}}, fakeguardduty.Options{})
	tags := cloud.NewInstanceTags(w.cloud)
	sample := instanceFinding(second, region, "i-0123456789abcdef0")
	sample.Sample = true
	for name, f := range map[string]*finding.Finding{
		"an account that is not configured":        instanceFinding("666666666666", region, "i-0123456789abcdef0"),
		"a region that would become a host name":   instanceFinding(second, "evil.example.com/#", "i-0123456789abcdef0"),
		"an id that is none":                       instanceFinding(second, region, "i-99999999,*"),
		"an account that would become another ARN": instanceFinding(second+":role/admin", region, "i-0123456789abcdef0"),
		"a sample":    sample,
		"no instance": {AccountID: second, Region: region, Resource: finding.Resource{Kind: finding.KindS3Bucket, ID: "i-0123456789abcdef0"}},
	} {
		var e triage.Enrichment
		if err := tags.Enrich(t.Context(), f, &e); err != nil || len(e.Tags) != 0 {
			t.Errorf("%s: %v, %v", name, e.Tags, err)
		}
	}
	if n := w.calls.count("EC2.DescribeTags") + w.calls.count("STS.AssumeRole"); n != 0 {
		t.Errorf("%d calls", n)
	}
}
