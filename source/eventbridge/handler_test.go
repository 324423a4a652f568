package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/eventbridge"
	"github.com/guardroom/guardroom/source/sourcetest"
)

// record is one message of an SQS batch.
type record struct {
	id, body string
	receives int
}

func batch(t testing.TB, list ...record) []byte {
	t.Helper()
	var e events.SQSEvent
	for _, r := range list {
		e.Records = append(e.Records, events.SQSMessage{MessageId: r.id, Body: r.body, EventSource: "aws:sqs", ReceiptHandle: "h",
			EventSourceARN: "arn:aws:sqs:eu-central-1:111111111111:q", Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(max(1, r.receives))}})
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func failures(t *testing.T, answer any) []string {
	t.Helper()
	r, ok := answer.(events.SQSEventResponse)
	if !ok || r.BatchItemFailures == nil {
		t.Fatalf("answer %#v is no partial batch response", answer)
	}
	out := []string{}
	for _, f := range r.BatchItemFailures {
		out = append(out, f.ItemIdentifier)
	}
	return out
}

func broken(words ...string) func(context.Context, source.Input) error {
	return func(_ context.Context, in source.Input) error {
		for _, w := range words {
			if strings.Contains(string(in.Body), w) {
				if w == "panic" {
					panic("told to")
				}
				return errors.New("told to fail")
			}
		}
		return nil
	}
}

func TestEveryKindOfEventIsTaken(t *testing.T) {
	t.Parallel()
	sns := `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Type":"Notification","MessageId":"1","TopicArn":"t","Message":` + sourcetest.Quote(sourcetest.Event("sns")) + `}}]}`
	for name, c := range map[string]struct {
		payload string
		want    eventbridge.Receipt
	}{
		"an EventBridge event":        {sourcetest.Event("a"), eventbridge.Receipt{Accepted: 1}},
		"a bare finding":              {sourcetest.Finding("a"), eventbridge.Receipt{Accepted: 1}},
		"a list of findings":          {"[" + sourcetest.Finding("a") + "," + sourcetest.Finding("b") + "]", eventbridge.Receipt{Accepted: 2}},
		"a message of SNS":            {sns, eventbridge.Receipt{Accepted: 1}},
		"an event that is no finding": {`{"detail-type":"AWS API Call via CloudTrail","source":"aws.guardduty","detail":{"eventName":"ArchiveFindings"}}`, eventbridge.Receipt{Ignored: 1}},
		"something else":              {`{"key1":"value1"}`, eventbridge.Receipt{Rejected: 1}},
		"a pointer to an object":      {sourcetest.S3Event("b", "k"), eventbridge.Receipt{Accepted: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var in sourcetest.Intake
			h := &eventbridge.Handler{Intake: &in, Fetcher: fetcher(sourcetest.Finding("object"))}
			got, err := h.Handle(t.Context(), json.RawMessage(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Incidents = []string{}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

type fetcher string

func (f fetcher) Fetch(context.Context, source.Reference) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(f))), nil
}

func TestOnlyTheMessagesThatFailedComeAgain(t *testing.T) {
	t.Parallel()
	in := sourcetest.Intake{Before: broken("fail", "panic")}
	h := &eventbridge.Handler{Intake: &in}
	answer, err := h.Handle(t.Context(), batch(t, record{id: "1", body: sourcetest.Event("a")}, record{id: "2", body: "fail"},
		record{id: "3", body: sourcetest.Notification(sourcetest.Event("b"))}, record{id: "4", body: "panic"}, record{id: "5", body: "no finding"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2", "4"}, failures(t, answer)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Findings) != 2 || len(k.Rejected) != 1 || len(k.Parked) != 0 {
			t.Errorf("taken %v, rejected %d, parked %d", k.Findings, len(k.Rejected), len(k.Parked))
		}
	})
}

func TestPoisonOfABatchIsParkedAfterItsReceives(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		receives int
		park     func(context.Context, source.Input) error
		failures []string
		parked   int
	}{
		{"before the last receive it comes again", 2, nil, []string{"p"}, 0},
		{"at the last receive it is parked", 3, nil, []string{}, 1},
		{"what cannot be parked comes again", 9, broken("panic"), []string{"p"}, 0},
		{"what cannot be parked for lack of a store comes again", 9, func(context.Context, source.Input) error { return errors.New("down") }, []string{"p"}, 0},
	} {
		in := sourcetest.Intake{Before: broken("panic"), BeforePark: c.park}
		h := &eventbridge.Handler{Intake: &in, MaxReceives: 3}
		answer, err := h.Handle(t.Context(), batch(t, record{id: "g", body: sourcetest.Event("a")}, record{id: "p", body: "panic", receives: c.receives}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.failures, failures(t, answer)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
		in.Look(func(k sourcetest.Kept) {
			if len(k.Parked) != c.parked || k.Findings["a"] != 1 {
				t.Errorf("%s: %d parked, taken %v", c.name, len(k.Parked), k.Findings)
			}
		})
	}
}

func TestDeliveryThatFailsFailsItsRecordAndIsNeverParked(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	var calls atomic.Int64
	h := &eventbridge.Handler{Intake: &in, MaxReceives: 1, After: func(_ context.Context, r source.Receipt) error {
		if calls.Add(1); r.Accepted > 1 {
			return errors.New("slack is down")
		}
		if r.Ignored > 0 {
			panic("a defect")
		}
		return nil
	}}
	answer, err := h.Handle(t.Context(), batch(t, record{id: "1", body: sourcetest.Event("a")},
		record{id: "2", body: sourcetest.Event("b") + sourcetest.Event("c"), receives: 9}, record{id: "3", body: `{"detail-type":"x","detail":{}}`, receives: 9}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2", "3"}, failures(t, answer)); diff != "" || calls.Load() != 3 {
		t.Errorf("%d calls (-want +got)\n%s", calls.Load(), diff)
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Parked) > 0 {
			t.Error("a finding that was accepted was parked")
		}
	})
	if _, err := h.Handle(t.Context(), json.RawMessage("["+sourcetest.Event("d")+","+sourcetest.Event("e")+"]")); err == nil || !strings.Contains(err.Error(), "slack is down") {
		t.Errorf("error %v", err)
	}
}

func TestEventThatIsNotTakenIsAnError(t *testing.T) {
	t.Parallel()
	in := sourcetest.Intake{Before: broken("panic", "fail")}
	h := &eventbridge.Handler{Intake: &in}
	for _, id := range []string{"panic", "fail"} {
		if answer, err := h.Handle(t.Context(), json.RawMessage(sourcetest.Event(id))); err == nil || answer != nil {
			t.Errorf("%s: answer %v, error %v", id, answer, err)
		}
	}
}

func TestSlowRecordFailsBeforeTheDeadlineAndNotTheWholeBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // on a clock that only waiting moves
		in := sourcetest.Intake{Before: func(ctx context.Context, in source.Input) error {
			if strings.Contains(string(in.Body), "hang") {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		h := &eventbridge.Handler{Intake: &in, MaxReceives: 1}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		answer, err := h.Handle(ctx, batch(t, record{id: "1", body: "hang", receives: 9}, record{id: "2", body: sourcetest.Event("a")}))
		if err != nil || ctx.Err() != nil {
			t.Fatalf("error %v, deadline %v", err, ctx.Err())
		}
		if end, _ := ctx.Deadline(); time.Until(end) != 1500*time.Millisecond {
			t.Errorf("%s are left to answer", time.Until(end))
		}
		if diff := cmp.Diff([]string{"1"}, failures(t, answer)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		in.Look(func(k sourcetest.Kept) {
			if len(k.Parked) > 0 {
				t.Error("a message was parked because time ran out")
			}
		})
	})
}

func TestBatchWhoseMessagesCannotBeNamedIsTakenAsAWhole(t *testing.T) {
	t.Parallel()
	in := sourcetest.Intake{}
	h := &eventbridge.Handler{Intake: &in}
	for _, payload := range [][]byte{
		batch(t, record{id: "", body: sourcetest.Event("a")}),
		batch(t, record{id: "1", body: sourcetest.Event("a")}, record{id: "1", body: sourcetest.Event("b")}),
	} {
		answer, err := h.Handle(t.Context(), payload)
		if _, ok := answer.(eventbridge.Receipt); err != nil || !ok {
			t.Errorf("answer %#v, error %v", answer, err)
		}
	}
}

// FuzzHandle feeds arbitrary payloads: no panic, every message of a batch is
// either taken or named, and nothing is both lost and acknowledged.
func FuzzHandle(f *testing.F) {
	f.Add([]byte(sourcetest.Event("a")))
	f.Add(batch(f, record{id: "1", body: sourcetest.Event("a")}, record{id: "2", body: "fail"}))
	f.Add([]byte(`{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":1}]}`))
	f.Add([]byte(`{"records":[{"EventSource":"aws:sns","Sns":{"Message":"{}"}}]}`))
	f.Add([]byte(`{"Records":[{"eventSource":"aws:sqs"},{"eventSource":"aws:s3"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		in := sourcetest.Intake{Before: broken("fail")}
		h := &eventbridge.Handler{Intake: &in}
		answer, err := h.Handle(t.Context(), json.RawMessage(payload))
		if err != nil {
			return
		}
		if _, err := json.Marshal(answer); err != nil {
			t.Fatal(err)
		}
		switch a := answer.(type) {
		case events.SQSEventResponse:
			var e events.SQSEvent
			if err := json.Unmarshal(payload, &e); err != nil {
				t.Fatal(err)
			}
			named := map[string]bool{}
			for _, r := range e.Records {
				named[r.MessageId] = strings.Contains(r.Body, "fail")
			}
			for _, b := range a.BatchItemFailures {
				if !named[b.ItemIdentifier] {
					t.Errorf("%q was named without need", b.ItemIdentifier)
				}
				delete(named, b.ItemIdentifier)
			}
			for id, failed := range named {
				if failed {
					t.Errorf("%q failed and was not named", id)
				}
			}
		case eventbridge.Receipt:
			in.Look(func(k sourcetest.Kept) {
				if len(k.Inputs) != 1 {
					t.Errorf("%d inputs were taken", len(k.Inputs))
				}
			})
		default:
			t.Errorf("answer %#v", answer)
		}
	})
}
