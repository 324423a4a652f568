package cloud_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
)

func TestNewAndClientsCallNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	c := cloud.New(config.AWS{Region: region, EndpointURL: server.URL, ReadRole: "reader"}, nil, cloud.Deps{})
	if _, err := c.GuardDuty(t.Context(), second, "", region); err != nil {
		t.Fatal(err)
	}
	if _, err := c.S3(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests before anybody asked for anything", n)
	}
}

func TestWithoutARegionItSaysWhatToSet(t *testing.T) {
	t.Parallel()
	c := cloud.New(config.AWS{}, nil, cloud.Deps{})
	if _, err := c.SQS(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no AWS region") {
		t.Errorf("%v", err)
	}
}

// Not parallel: it changes the environment.
func TestTheEnvironmentsEndpointStandsInForAWS(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", motoURL)
	c := cloud.New(config.AWS{Region: region}, nil, cloud.Deps{Observe: calls.observe})
	id, err := c.Caller(t.Context())
	if err != nil || id.Account != fakeguardduty.Home {
		t.Fatalf("%+v, %v", id, err)
	}
	client, err := c.S3(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	// A bucket in the host name would be looked for at a host that is not there.
	bucket(t, "in-the-path")
	if _, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("in-the-path")}); err != nil {
		t.Error(err)
	}
}

func TestEachAccountIsReachedThroughItsRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ReadRole: "reader", ExternalID: config.NewSecret("x-1")}, nil, fakeguardduty.Options{ExternalID: "x-1"})
	for _, account := range []string{"111111111111", second} {
		want := w.fake.AddDetector(account, region)
		for range 3 {
			client, err := w.cloud.GuardDuty(t.Context(), account, "", region)
			if err != nil {
				t.Fatal(err)
			}
			out, err := client.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
			if err != nil || len(out.DetectorIds) != 1 || out.DetectorIds[0] != want {
				t.Fatalf("account %s: %+v, %v", account, out, err)
			}
		}
	}
	if n := w.calls.count("STS.AssumeRole"); n != 2 {
		t.Errorf("two accounts took %d role sessions", n)
	}
	for _, c := range w.fake.Calls() {
		if c.Operation == "AssumeRole" && !strings.Contains(c.Body, "RoleSessionName=guardroom-read") {
			t.Errorf("the session is named otherwise: %s", c.Body)
		}
	}
}

func TestCredentialsOfARoleAreRenewedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	// Its sessions end within a minute of now, which is too soon to use them.
	fake, err := fakeguardduty.Start(fakeguardduty.Options{Now: func() time.Time { return time.Now().Add(-time.Hour + time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	fake.AddDetector(second, region)
	c := cloud.New(config.AWS{Region: region, EndpointURL: fake.URL, ReadRole: "reader"}, nil, cloud.Deps{})
	for range 2 {
		client, err := c.GuardDuty(t.Context(), second, "", region)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	sessions := 0
	for _, call := range fake.Calls() {
		if call.Operation == "AssumeRole" {
			sessions++
		}
	}
	if sessions != 2 {
		t.Errorf("%d sessions", sessions)
	}
}

func TestTheRoleOfASourceGoesBeforeTheReadRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ReadRole: "reader"}, nil, fakeguardduty.Options{})
	client, err := w.cloud.GuardDuty(t.Context(), second, "team/poller", "cn-north-1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range w.fake.Calls() {
		if c.Operation == "AssumeRole" && !strings.Contains(c.Body, "RoleArn=arn%3Aaws-cn%3Aiam%3A%3A222222222222%3Arole%2Fteam%2Fpoller") {
			t.Errorf("another role was assumed: %s", c.Body)
		}
	}
}

func TestPlacesAreAccountsTimesRegions(t *testing.T) {
	t.Parallel()
	accounts := []config.Account{{ID: "111111111111"}, {ID: second, Regions: []string{"us-east-1"}}}
	for _, c := range []struct {
		name   string
		source config.GuardDutySource
		want   []cloud.Place
	}{
		{"nothing said: our own account and region", config.GuardDutySource{}, []cloud.Place{{}}},
		{"regions only", config.GuardDutySource{Regions: []string{"a", "b", "a"}}, []cloud.Place{{Region: "a"}, {Region: "b"}}},
		{"an account's regions go before the source's", config.GuardDutySource{Accounts: []string{"111111111111", second}, Regions: []string{"a"}, Role: "r"},
			[]cloud.Place{{"111111111111", "r", "a"}, {second, "r", "us-east-1"}}},
	} {
		if d := cmp.Diff(c.want, cloud.Places(c.source, accounts)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestTheRegionOfAQueueStandsInItsURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/111111111111/q":     "eu-west-1",
		"https://sqs.us-gov-west-1.amazonaws.com/111111111111/q": "us-gov-west-1",
		"https://eu-west-1.queue.amazonaws.com/111111111111/q":   "eu-west-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/111111111111/q": "cn-north-1",
		"http://127.0.0.1:5000/111111111111/q":                   "",
		"://":                                                    "",
	} {
		if got := cloud.QueueRegion(in); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func TestACallThatIsThrottledIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	w.fake.Fail(fakeguardduty.Fault{Operation: "GetDetector", Times: 3, Status: http.StatusTooManyRequests, Code: "TooManyRequestsException"})
	client, err := w.cloud.GuardDuty(t.Context(), "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetDetector(t.Context(), &guardduty.GetDetectorInput{DetectorId: aws.String(d)}); err != nil {
		t.Error(err)
	}
	w.fake.Fail(fakeguardduty.Fault{Operation: "GetDetector", Times: -1, Status: http.StatusTooManyRequests, Code: "TooManyRequestsException"})
	if _, err := client.GetDetector(t.Context(), &guardduty.GetDetectorInput{DetectorId: aws.String(d)}); !cloud.Throttled(err) {
		t.Errorf("%v", err)
	}
}
