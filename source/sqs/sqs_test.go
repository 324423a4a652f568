package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/goleak"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/moto"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/sourcetest"
	"github.com/guardroom/guardroom/source/sqs"
)

var server *moto.Server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if server, err = moto.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		server.Stop()
		http.DefaultClient.CloseIdleConnections()
		transport.CloseIdleConnections()
		err = goleak.Find()
		for until := time.Now().Add(time.Minute); err != nil && time.Now().Before(until); {
			err = goleak.Find() // a busy machine needs a moment
		}
		if err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

var transport = &http.Transport{MaxIdleConnsPerHost: 8}

func client(endpoint string) *awssqs.Client {
	return awssqs.New(awssqs.Options{Region: "eu-central-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

// api is the real client, with places for a test to look and to disturb.
type api struct {
	sqs.API
	receive func() error
	extend  func(*awssqs.ChangeMessageVisibilityBatchInput)
	delete  func(*awssqs.DeleteMessageBatchInput) (*awssqs.DeleteMessageBatchOutput, error)
}

func (a *api) ReceiveMessage(ctx context.Context, in *awssqs.ReceiveMessageInput, o ...func(*awssqs.Options)) (*awssqs.ReceiveMessageOutput, error) {
	if a.receive != nil {
		if err := a.receive(); err != nil {
			return nil, err
		}
	}
	return a.API.ReceiveMessage(ctx, in, o...)
}

func (a *api) ChangeMessageVisibilityBatch(ctx context.Context, in *awssqs.ChangeMessageVisibilityBatchInput, o ...func(*awssqs.Options)) (*awssqs.ChangeMessageVisibilityBatchOutput, error) {
	out, err := a.API.ChangeMessageVisibilityBatch(ctx, in, o...)
	if a.extend != nil {
		a.extend(in)
	}
	return out, err
}

func (a *api) DeleteMessageBatch(ctx context.Context, in *awssqs.DeleteMessageBatchInput, o ...func(*awssqs.Options)) (*awssqs.DeleteMessageBatchOutput, error) {
	if a.delete != nil {
		if out, err := a.delete(in); out != nil || err != nil {
			return out, err
		}
	}
	return a.API.DeleteMessageBatch(ctx, in, o...)
}

var names atomic.Int64

// queue makes a queue of the test's own.
func queue(t *testing.T) (string, *awssqs.Client) {
	t.Helper()
	c := client(server.URL)
	out, err := c.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("findings-%d", names.Add(1)))})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl, c
}

func send(t *testing.T, c *awssqs.Client, url string, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		if _, err := c.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: &b}); err != nil {
			t.Fatal(err)
		}
	}
}

// left counts the messages of a queue, those in flight apart.
func left(t *testing.T, c *awssqs.Client, url string) (visible, inFlight string) {
	t.Helper()
	out, err := c.GetQueueAttributes(context.WithoutCancel(t.Context()), &awssqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func wantEmpty(t *testing.T, c *awssqs.Client, url string) {
	t.Helper()
	if visible, inFlight := left(t, c, url); visible != "0" || inFlight != "0" {
		t.Errorf("the queue holds %s messages and %s in flight, want none", visible, inFlight)
	}
}

// run starts a source; the returned function stops it and waits.
func run(t *testing.T, url string, a sqs.API, in source.Intake, change func(*config.SQSSource, *sqs.Deps)) func() {
	t.Helper()
	cfg := config.SQSSource{Name: "test", QueueURL: url, Visibility: config.Duration(30 * time.Second), MaxReceives: 3}
	deps := sqs.Deps{TimeScale: 1000, Poll: time.Second}
	if change != nil {
		change(&cfg, &deps)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sqs.New(cfg, a, in, deps).Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run ended with %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func TestEveryKindOfBodyIsTakenAndThenDeleted(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	for i := range 12 {
		send(t, c, url, sourcetest.Event(fmt.Sprintf("event-%d", i)), sourcetest.Finding(fmt.Sprintf("bare-%d", i)))
	}
	send(t, c, url, sourcetest.Notification(sourcetest.Event("wrapped")), "not a finding at all",
		`{"detail-type":"GuardDuty Malware Protection Object Scan Result","detail":{}}`)
	var in sourcetest.Intake
	stop := run(t, url, c, &in, nil)
	in.Await(t, "25 findings", func(k sourcetest.Kept) bool {
		return len(k.Findings) == 25 && len(k.Rejected) == 1 && k.Ignored["GuardDuty Malware Protection Object Scan Result"] == 1
	})
	stop()
	wantEmpty(t, c, url)
	in.Look(func(k sourcetest.Kept) {
		for _, i := range k.Inputs {
			if i.Source != "sqs:test" || i.Position == "" || i.LookBack || i.Confirmed {
				t.Fatalf("input %+v, want source sqs:test, a message id, neither look-back nor confirmed", i)
			}
		}
	})
}

// sns calls SNS on moto as its query API.
func sns(t *testing.T, values url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261101/eu-central-1/sns/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("sns answered %s: %s (%v)", resp.Status, body, err)
	}
	return string(body)
}

func TestSubscriptionOfATopicIsUnwrappedWithAndWithoutRawDelivery(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"false", "true"} {
		queueURL, c := queue(t)
		arn := func() string {
			out, err := c.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: &queueURL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
			if err != nil {
				t.Fatal(err)
			}
			return out.Attributes["QueueArn"]
		}()
		answer := sns(t, url.Values{"Action": {"CreateTopic"}, "Name": {"findings-raw-" + raw}})
		_, topic, _ := strings.Cut(answer, "<TopicArn>")
		topic, _, _ = strings.Cut(topic, "</TopicArn>")
		sns(t, url.Values{"Action": {"Subscribe"}, "TopicArn": {topic}, "Protocol": {"sqs"}, "Endpoint": {arn},
			"Attributes.entry.1.key": {"RawMessageDelivery"}, "Attributes.entry.1.value": {raw}})
		sns(t, url.Values{"Action": {"Publish"}, "TopicArn": {topic}, "Message": {sourcetest.Event("by-sns")}})
		var in sourcetest.Intake
		stop := run(t, queueURL, c, &in, nil)
		in.Await(t, "the published finding", func(k sourcetest.Kept) bool { return k.Findings["by-sns"] == 1 })
		stop()
		wantEmpty(t, c, queueURL)
		in.Look(func(k sourcetest.Kept) {
			if wrapped := strings.Contains(string(k.Inputs[0].Body), `"TopicArn"`); wrapped == (raw == "true") {
				t.Errorf("raw delivery %s gave a body wrapped=%v", raw, wrapped)
			}
		})
	}
}

func TestPoisonIsParkedAfterItsReceivesAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]func() error{
		"a take that fails":  func() error { return errors.New("no room for this one") },
		"a take that panics": func() error { panic("index out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, c := queue(t)
			send(t, c, url, "poison", sourcetest.Event("a"), sourcetest.Event("b"))
			var tries atomic.Int64
			in := sourcetest.Intake{Before: func(_ context.Context, in source.Input) error {
				if string(in.Body) == "poison" {
					tries.Add(1)
					return poison()
				}
				return nil
			}}
			stop := run(t, url, c, &in, nil)
			in.Await(t, "the parked message and its neighbours", func(k sourcetest.Kept) bool { return len(k.Parked) == 1 && len(k.Findings) == 2 })
			stop()
			wantEmpty(t, c, url)
			if n := tries.Load(); n != 3 {
				t.Errorf("the message was tried %d times, want 3", n)
			}
			in.Look(func(k sourcetest.Kept) {
				if p := k.Parked[0]; string(p.Input.Body) != "poison" || !strings.Contains(p.Reason, "3 receives") {
					t.Errorf("parked %q because %q", p.Input.Body, p.Reason)
				}
			})
		})
	}
}

func TestNothingIsParkedWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.Event("a"), sourcetest.Event("b"), sourcetest.Event("c"))
	down := errors.New("the store is down")
	var up atomic.Bool
	fail := func(context.Context, source.Input) error {
		if up.Load() {
			return nil
		}
		return down
	}
	in := sourcetest.Intake{Before: fail, BeforePark: fail}
	stop := run(t, url, c, &in, nil)
	in.Await(t, "far more tries than receives are allowed", func(k sourcetest.Kept) bool { return k.Tries >= 18 })
	in.Look(func(k sourcetest.Kept) {
		if len(k.Parked) > 0 {
			t.Errorf("%d messages were parked while the store was down", len(k.Parked))
		}
	})
	up.Store(true)
	in.Await(t, "all findings", func(k sourcetest.Kept) bool { return len(k.Findings) == 3 })
	stop()
	wantEmpty(t, c, url)
	in.Look(func(k sourcetest.Kept) {
		if len(k.Parked) > 0 {
			t.Errorf("%d messages were parked after the store came back", len(k.Parked))
		}
	})
}

func TestVisibilityIsExtendedWhileAMessageIsWorkedOn(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.Event("slow"))
	const visibility = time.Second
	goOn := make(chan struct{})
	var extended atomic.Int64
	a := &api{API: c, extend: func(in *awssqs.ChangeMessageVisibilityBatchInput) {
		if in.Entries[0].VisibilityTimeout != 1 {
			t.Errorf("visibility was set to %d s, want 1", in.Entries[0].VisibilityTimeout)
		}
		if extended.Add(1) == 10 { // each a quarter of the visibility
			close(goOn)
		}
	}}
	in := sourcetest.Intake{Before: func(context.Context, source.Input) error { <-goOn; return nil }}
	stop := run(t, url, a, &in, func(cfg *config.SQSSource, _ *sqs.Deps) { cfg.Visibility = config.Duration(visibility) })
	in.Await(t, "the slow finding", func(k sourcetest.Kept) bool { return k.Findings["slow"] == 1 })
	stop()
	wantEmpty(t, c, url)
	in.Look(func(k sourcetest.Kept) {
		if k.Tries != 1 {
			t.Errorf("the message was received %d times during %d quarters of its visibility, want once", k.Tries, extended.Load())
		}
	})
}

func TestStopFinishesWhatIsInHandAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.Event("quick"), sourcetest.Event("endless"))
	stopping := make(chan struct{})
	in := sourcetest.Intake{Before: func(ctx context.Context, in source.Input) error {
		if strings.Contains(string(in.Body), "endless") {
			<-ctx.Done()
			return ctx.Err()
		}
		<-stopping // finishes only after the stop has begun
		return nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	s := sqs.New(config.SQSSource{Name: "test", QueueURL: url}, c, &in, sqs.Deps{Poll: time.Second, Grace: 3 * time.Second})
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	in.Await(t, "both in hand", func(k sourcetest.Kept) bool { return k.Tries == 2 })
	cancel()
	close(stopping)
	if err := <-ended; err != nil {
		t.Fatalf("Run ended with %v", err)
	}
	in.Look(func(k sourcetest.Kept) {
		if k.Findings["quick"] != 1 || len(k.Findings) != 1 {
			t.Errorf("taken were %v, want quick only", k.Findings)
		}
	})
	if visible, inFlight := left(t, c, url); visible != "1" || inFlight != "0" {
		t.Errorf("the queue holds %s messages and %s in flight, want the endless one at once", visible, inFlight)
	}
}

func TestDeadQueueIsTriedForEverAndToldOnce(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.Event("a"))
	dead := client("http://127.0.0.1:1") // nothing listens there
	var receives atomic.Int64
	a := &api{API: c, receive: func() error {
		if receives.Add(1) > 20 {
			return nil
		}
		_, err := dead.ReceiveMessage(context.Background(), &awssqs.ReceiveMessageInput{QueueUrl: &url})
		return err
	}}
	var log strings.Builder
	var mu sync.Mutex
	var looks []string
	var in sourcetest.Intake
	stop := run(t, url, a, &in, func(_ *config.SQSSource, d *sqs.Deps) {
		d.TimeScale = 1e5
		d.Log = slog.New(slog.NewTextHandler(&log, nil))
		d.Looked = func(_ context.Context, name, trouble string) error {
			mu.Lock()
			defer mu.Unlock()
			looks = append(looks, name+" "+trouble)
			return nil
		}
	})
	in.Await(t, "the finding", func(k sourcetest.Kept) bool { return k.Findings["a"] == 1 })
	stop()
	wantEmpty(t, c, url)
	if n := strings.Count(log.String(), "cannot be read"); n != 1 {
		t.Errorf("the trouble was told %d times, want once:\n%s", n, log.String())
	}
	if n := strings.Count(log.String(), "can be read again"); n != 1 {
		t.Errorf("the end of the trouble was told %d times, want once:\n%s", n, log.String())
	}
	if len(looks) != 2 || !strings.Contains(looks[0], "refused") || looks[1] != "sqs:test " {
		t.Errorf("noted looks are %q, want the trouble and its end", looks)
	}
}

func TestFailedDeletesAreRepeatedEntryByEntry(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.Event("a"), sourcetest.Event("b"), sourcetest.Event("c"))
	var calls atomic.Int64
	a := &api{API: c, delete: func(in *awssqs.DeleteMessageBatchInput) (*awssqs.DeleteMessageBatchOutput, error) {
		switch calls.Add(1) {
		case 1:
			return nil, errors.New("connection reset")
		case 2:
			return &awssqs.DeleteMessageBatchOutput{Failed: []types.BatchResultErrorEntry{{Id: in.Entries[0].Id, Code: aws.String("InternalError")}}}, nil
		}
		return nil, nil
	}}
	var in sourcetest.Intake
	stop := run(t, url, a, &in, func(_ *config.SQSSource, d *sqs.Deps) { d.Concurrency = 1 })
	in.Await(t, "all findings", func(k sourcetest.Kept) bool { return len(k.Findings) == 3 })
	stop()
	wantEmpty(t, c, url)
}

// objects is a fetcher whose objects are not there at first.
type objects struct {
	tries atomic.Int64
	body  string
}

func (o *objects) Fetch(context.Context, source.Reference) (io.ReadCloser, error) {
	if o.tries.Add(1) < 3 {
		return nil, errors.New("AccessDenied")
	}
	return io.NopCloser(strings.NewReader(o.body)), nil
}

func TestMessageThatPointsToAnObjectIsDeletedOnlyAfterTheObjectIsTaken(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.S3Event("exports", "a.jsonl.gz"))
	o := &objects{body: sourcetest.Finding("x") + "\n" + sourcetest.Finding("y") + "\n"}
	var in sourcetest.Intake
	stop := run(t, url, c, &in, func(_ *config.SQSSource, d *sqs.Deps) { d.Fetcher = o })
	in.Await(t, "the object's findings", func(k sourcetest.Kept) bool { return len(k.Findings) == 2 })
	stop()
	wantEmpty(t, c, url)
	in.Look(func(k sourcetest.Kept) {
		if last := k.Inputs[len(k.Inputs)-1]; last.Position != "s3://exports/a.jsonl.gz" || last.Source != "sqs:test" {
			t.Errorf("the object was taken as %q from %q", last.Position, last.Source)
		}
	})
}

func TestReferenceWithoutAWayToS3IsParked(t *testing.T) {
	t.Parallel()
	url, c := queue(t)
	send(t, c, url, sourcetest.S3Event("exports", "a.jsonl.gz"))
	var in sourcetest.Intake
	stop := run(t, url, c, &in, nil)
	in.Await(t, "the parked message", func(k sourcetest.Kept) bool {
		return len(k.Parked) == 1 && strings.Contains(k.Parked[0].Reason, "s3://exports/a.jsonl.gz")
	})
	stop()
	wantEmpty(t, c, url)
}
