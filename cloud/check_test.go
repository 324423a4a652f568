package cloud_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
)

// found returns the check about what begins so.
func found(t *testing.T, list []cloud.Check, what string) cloud.Check {
	t.Helper()
	for _, c := range list {
		if strings.HasPrefix(c.What, what) {
			return c
		}
	}
	t.Fatalf("nothing about %s in %+v", what, list)
	return cloud.Check{}
}

func TestNothingIsCheckedWhereNothingIsConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	if got := w.cloud.Checks(t.Context(), &config.Config{}); len(got) != 0 || len(w.calls.seen) != 0 {
		t.Errorf("%+v, %v", got, w.calls.seen)
	}
}

func TestEveryPartOfTheConfigurationIsLookedAt(t *testing.T) {
	t.Parallel()
	queue, err := sqs.NewFromConfig(unobserved()).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("findings")})
	if err != nil {
		t.Fatal(err)
	}
	bucket(t, "doctor-heads")
	w := newWorld(t, config.AWS{ReadRole: "reader", ExternalID: config.NewSecret("x-1"), InstanceTags: true},
		[]config.Account{{ID: "111111111111"}, {ID: second}}, fakeguardduty.Options{ExternalID: "x-1"})
	d := w.fake.AddDetector("111111111111", region)
	if err := w.fake.Put(d, json.RawMessage(`{"id":"a","updatedAt":"2026-11-20T12:00:00.000Z","severity":2}`)); err != nil {
		t.Fatal(err)
	}
	w.fake.AddDetector(second, region)
	w.fake.Fail(fakeguardduty.Fault{Operation: "ListFindings", Account: second, Times: -1, Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "User is not authorized to perform: guardduty:ListFindings"})
	cfg := &config.Config{Sources: config.Sources{
		GuardDuty: []config.GuardDutySource{{Name: "main", Accounts: []string{"111111111111", second}, Regions: []string{region, "us-east-1"}}},
		SQS:       []config.SQSSource{{Name: "good", QueueURL: aws.ToString(queue.QueueUrl)}, {Name: "bad", QueueURL: motoURL + "/123456789012/nothing"}},
		S3:        []config.S3Source{{Name: "export", URL: "s3://no-such-bucket/AWSLogs"}},
	}}
	cfg.Audit.Head.S3 = "s3://doctor-heads/p"
	got := w.cloud.Checks(t.Context(), cfg)
	for _, c := range []struct {
		what, message string
		ok, warning   bool
	}{
		{"credentials", "arn:aws", true, false},
		{"clock", "against AWS", true, false},
		{"guardduty main 111111111111/eu-central-1", "six hours", true, true},
		{"guardduty main 111111111111/us-east-1", "GuardDuty is off here", true, true},
		{"guardduty main " + second + "/eu-central-1", "guardduty:ListFindings", false, false},
		{"queue good", "0 messages wait", true, false},
		{"queue bad", "NonExistentQueue", false, false},
		{"bucket of export export", "NoSuchBucket", false, false},
		{"bucket of audit head", "can be listed", true, false},
		{"instance tags 111111111111", "can be read", true, false},
		{"instance tags " + second, "can be read", true, false},
	} {
		f := found(t, got, c.what)
		if f.OK != c.ok || f.Warning != c.warning || !strings.Contains(f.Message, c.message) {
			t.Errorf("%s: %+v", c.what, f)
		}
		if (!f.OK || f.Warning) && f.Hint == "" {
			t.Errorf("%s has no hint", c.what)
		}
	}
	if r := w.fake.Refused(); len(r) > 0 {
		t.Error(r)
	}
	for _, c := range w.fake.Calls() {
		if c.Operation == "ArchiveFindings" {
			t.Error("doctor changed something")
		}
	}
}

func TestARoleThatMayNotBeAssumedIsToldAsThat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ReadRole: "reader"}, nil, fakeguardduty.Options{ExternalID: "x-1"})
	cfg := &config.Config{Sources: config.Sources{GuardDuty: []config.GuardDutySource{{Name: "main", Accounts: []string{second}, Regions: []string{region}}}}}
	f := found(t, w.cloud.Checks(t.Context(), cfg), "guardduty main")
	if f.OK || !strings.Contains(f.Message, "AssumeRole: AccessDenied") || !strings.Contains(f.Hint, "aws.external_id") {
		t.Errorf("%+v", f)
	}
}

func TestAnAccountWithoutARoleIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	cfg := &config.Config{Sources: config.Sources{GuardDuty: []config.GuardDutySource{{Name: "main", Accounts: []string{second}, Regions: []string{region}}}}}
	f := found(t, w.cloud.Checks(t.Context(), cfg), "guardduty main")
	if f.OK || !strings.Contains(f.Message, fakeguardduty.Home) || !strings.Contains(f.Hint, "aws.read_role") {
		t.Errorf("%+v", f)
	}
}

func TestWithoutCredentialsOnlyThatIsTold(t *testing.T) {
	t.Parallel()
	r := refusing(t, "ExpiredToken", 403)
	cfg := &config.Config{Sources: config.Sources{SQS: []config.SQSSource{{Name: "q", QueueURL: "https://sqs.eu-west-1.amazonaws.com/1/q"}}}}
	got := r.cloud.Checks(t.Context(), cfg)
	if len(got) != 1 || got[0].OK || got[0].What != "credentials" || got[0].Hint == "" {
		t.Errorf("%+v", got)
	}
}

func TestAClockThatIsOffIsTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte(`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/x</Arn><UserId>x</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`))
	}))
	t.Cleanup(server.Close)
	c := cloud.New(config.AWS{Region: region, EndpointURL: server.URL}, nil, cloud.Deps{})
	cfg := &config.Config{}
	cfg.Audit.Head.S3 = "s3://x/y"
	f := found(t, c.Checks(t.Context(), cfg), "clock")
	if f.OK || !strings.HasPrefix(f.Message, "10m") || !strings.Contains(f.Hint, "NTP") {
		t.Errorf("%+v", f)
	}
}
