package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/lambdahost"
	"github.com/guardroom/guardroom/internal/moto"
)

// awsServer starts a moto server when the first test asks for one.
var (
	awsServer = sync.OnceValues(moto.Start)
	usedAWS   atomic.Bool
)

func awsEnv(endpoint string) []string {
	return []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PROFILE=", "AWS_CA_BUNDLE="}
}

// TestServeTakesFromQueueHTTPAndAPI feeds one service in three ways at once.
func TestServeTakesFromQueueHTTPAndAPI(t *testing.T) {
	t.Parallel()
	m, err := awsServer()
	if err != nil {
		t.Fatal(err)
	}
	usedAWS.Store(true)
	double, err := fakeguardduty.Start(fakeguardduty.Options{Fallback: m.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(double.Close)
	detector := double.AddDetector(fakeguardduty.Home, "eu-west-1")
	queue := sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: &m.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	made, err := queue.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("findings-e2e")})
	if err != nil {
		t.Fatal(err)
	}
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20, env: awsEnv(double.URL), sources: fmt.Sprintf(`  sqs:
    - {name: findings, queue_url: %q, region: eu-west-1, visibility: 5s, max_receives: 2}
  guardduty:
    - {name: api, regions: [eu-west-1], interval: 1s}
`, aws.ToString(made.QueueUrl))})

	first := time.Now().Add(-time.Hour)
	sent := map[string]string{}
	body := func(n int) []byte {
		r := makeRevision(n, 1, 7, first, first)
		sent[r.id] = fmt.Sprint(n)
		return r.body
	}
	send := func(text string) {
		if _, err := queue.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: &text}); err != nil {
			t.Fatal(err)
		}
	}
	send(string(wrap(t, 1, body(10)))) // EventBridge
	send(string(wrap(t, 2, body(11)))) // SNS
	send("this is not a finding at all")
	send(string(body(12)))
	if err := double.Put(detector, body(13)); err != nil {
		t.Fatal(err)
	}
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	if ok, err := i.post(t.Context(), body(14)); !ok {
		t.Fatal(err)
	}
	await(t, i, "every finding is stored", func() bool {
		found := 0
		for _, f := range lines[findingLine](t, i.must("finding", "list", "--json")) {
			if sent[f.ID] != "" && f.Incident > 0 {
				found++
			}
		}
		return found == len(sent)
	})
	await(t, i, "the poison message is parked and the queue is empty", func() bool {
		out, err := queue.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["ApproximateNumberOfMessages"] == "0" && out.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0" &&
			strings.Contains(i.must("finding", "rejected", "list"), "sqs:findings")
	})
	i.settle()
	checkVendors(t, i, v)

	// Somebody archives the finding in GuardDuty: its incident closes by itself.
	var id string
	for f, n := range sent {
		if n == "13" {
			id = f
		}
	}
	if err := double.Archive(detector, id); err != nil {
		t.Fatal(err)
	}
	await(t, i, "the incident of the archived finding is closed", func() bool {
		for _, inc := range lines[incidentLine](t, i.must("incident", "list", "--all", "--json")) {
			if inc.Findings[0].ID == id {
				return inc.State == "closed"
			}
		}
		return false
	})
	if r := double.Refused(); len(r) > 0 {
		t.Errorf("GuardDuty refused %v", r)
	}
	if err := i.kill(syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "143") {
		t.Errorf("it ended with %v\n%s", err, i.out)
	}
}

// await polls until is holds.
func await(t testing.TB, i *instance, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain until %s\n%s", what, i.out)
		}
	}
}

// TestLambdaDeliversWithinTheInvocation runs the binary as a Lambda function
// without PostgreSQL: an EventBridge event, then an SQS batch with one poison
// message.
func TestLambdaDeliversWithinTheInvocation(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20})
	env := []string{"GUARDROOM_CONFIG=" + i.config}
	h := lambdahost.Start(t, lambdahost.Options{Program: binary, Env: env, Timeout: patience})
	first := time.Now().Add(-time.Hour)
	event := wrap(t, 1, makeRevision(20, 1, 8, first, first).body)
	a, err := h.Invoke(t.Context(), event)
	if err != nil || a.Error != "" {
		t.Fatalf("%v %+v\n%s", err, a, h.Output())
	}
	if len(slackRoots(v)) != 1 || len(jiraIssues(v)) != 1 || len(pagerAlerts(v)) != 1 {
		t.Errorf("after the invocation: %d roots, %d issues, %d alerts", len(slackRoots(v)), len(jiraIssues(v)), len(pagerAlerts(v)))
	}
	quote := func(b []byte) string {
		q, err := json.Marshal(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return string(q)
	}
	record := func(id, body string) string {
		return fmt.Sprintf(`{"messageId":%q,"receiptHandle":"r","body":%s,"attributes":{"ApproximateReceiveCount":"1"},"messageAttributes":{},"md5OfBody":"","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:111111111111:q","awsRegion":"eu-west-1"}`, id, body)
	}
	batch := `{"Records":[` + strings.Join([]string{
		record("good-1", quote(wrap(t, 1, makeRevision(21, 1, 8, first, first).body))),
		record("poison", quote([]byte("this is not a finding"))),
		record("good-2", quote(makeRevision(22, 1, 8, first, first).body)),
	}, ",") + `]}`
	a, err = h.Invoke(t.Context(), []byte(batch))
	if err != nil || a.Error != "" {
		t.Fatalf("%v %+v\n%s", err, a, h.Output())
	}
	if len(slackRoots(v)) != 3 || len(jiraIssues(v)) != 3 {
		t.Errorf("after the batch: %d roots, %d issues", len(slackRoots(v)), len(jiraIssues(v)))
	}
	t.Logf("answer to the batch: %s; init %s", a.Payload, h.Init)

	// A vendor's error fails the record, so that the queue repeats it.
	v.pager.Close()
	if err := h.Terminate(t.Context()); err != nil {
		t.Error(err)
	}
	h = lambdahost.Start(t, lambdahost.Options{Program: binary, Env: env, Timeout: 20 * time.Second, Grace: time.Minute})
	a, err = h.Invoke(t.Context(), []byte(`{"Records":[`+record("later", quote(makeRevision(23, 1, 8, first, first).body))+`]}`))
	if err != nil || a.Error != "" {
		t.Fatalf("%v %+v\n%s", err, a, h.Output())
	}
	if !strings.Contains(string(a.Payload), `"itemIdentifier":"later"`) {
		t.Errorf("with a dead vendor the answer was %s", a.Payload)
	}
	if err := h.Terminate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLambdaAcceptsAndAWorkerDelivers is Lambda with PostgreSQL.
func TestLambdaAcceptsAndAWorkerDelivers(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	store := postgresURL(t)
	i := newInstance(t, v, settings{scale: 20, store: store})
	i.edit("lease: 30s", "lease: 30m") // a heartbeat is that fresh on a busy machine too
	h := lambdahost.Start(t, lambdahost.Options{Program: binary, Env: []string{"GUARDROOM_CONFIG=" + i.config}, Timeout: patience})
	first := time.Now().Add(-time.Hour)
	a, err := h.Invoke(t.Context(), wrap(t, 1, makeRevision(20, 1, 8, first, first).body))
	if err != nil || a.Error != "" {
		t.Fatalf("%v %+v\n%s", err, a, h.Output())
	}
	if n := len(slackRoots(v)); n != 0 {
		t.Errorf("the function delivered by itself: %d roots", n)
	}
	if r := i.run("doctor"); r.code != 1 || !strings.Contains(r.out, "no worker has a heartbeat") {
		t.Errorf("doctor ended with %d\n%s%s", r.code, r.out, r.err)
	}
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	i.settle()
	checkVendors(t, i, v)
	if r := i.run("doctor"); r.code != 0 {
		t.Errorf("doctor ended with %d\n%s%s", r.code, r.out, r.err)
	}
	if err := h.Terminate(t.Context()); err != nil {
		t.Error(err)
	}
}
