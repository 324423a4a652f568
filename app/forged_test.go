package app

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
)

// forger is an app that takes findings of a queue that anybody may write to.
type forger struct {
	*App
	t *testing.T
}

func newForger(t *testing.T) forger {
	return forger{testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}}), t}
}

func (a forger) take(body []byte) { a.takeIn(source.Input{Source: "queue", Body: body}) }

func (a forger) takeIn(in source.Input) {
	a.t.Helper()
	if _, err := a.Take(a.t.Context(), in); err != nil {
		a.t.Fatal(err)
	}
}

// of returns the incident of a finding; nil: it has none.
func (a forger) of(id int) *incident.Incident {
	a.t.Helper()
	f, ok, err := a.db.GetFinding(a.t.Context(), finding.ID(fmt.Sprintf("%032x", id)))
	if err != nil || !ok {
		a.t.Fatalf("finding %d: %v %v", id, ok, err)
	}
	if f.Incident == 0 {
		return nil
	}
	i, err := a.db.GetIncident(a.t.Context(), f.Incident)
	if err != nil {
		a.t.Fatal(err)
	}
	return i
}

func archived(body []byte) []byte {
	return bytes.Replace(body, []byte(`"archived":false`), []byte(`"archived":true`), 1)
}

func sample(body []byte) []byte {
	return bytes.Replace(body, []byte(`"archived":false`), []byte(`"archived":false,"additionalInfo":{"sample":true}`), 1)
}

func TestARevisionOfTheFutureHidesNoRealOne(t *testing.T) {
	now := time.Now()
	a := newForger(t)
	a.take(testFinding(1, 1, 2, now.Add(-time.Hour)))
	a.take(testFinding(1, 2, 2, now.AddDate(10, 0, 0))) // forged
	if _, err := a.command.CloseIncident(t.Context(), 1, incident.Benign, "", "ana"); err != nil {
		t.Fatal(err)
	}
	a.take(testFinding(1, 3, 8, time.Now().Add(time.Second)))
	if i := a.of(1); i == nil || i.State != incident.Open || i.Severity != 8 {
		t.Errorf("after the real one: %+v", i)
	}
}

func TestAForgedArchivedRevisionHidesNoRealOne(t *testing.T) {
	now := time.Now()
	a := newForger(t)
	a.take(archived(testFinding(1, 9, 2, now)))
	if a.of(1) != nil {
		t.Fatal("an archived finding opened an incident")
	}
	a.take(testFinding(1, 1, 9, now.Add(-time.Minute))) // older than the forged one
	if i := a.of(1); i == nil || i.Severity != 9 {
		t.Errorf("after the real one: %+v", i)
	}
}

func TestASampleAndARealFindingAreNeverOne(t *testing.T) {
	now := time.Now()
	t.Run("the sample first", func(t *testing.T) {
		a := newForger(t)
		a.take(sample(testFinding(1, 1, 5, now)))
		a.take(testFinding(1, 1, 9, now.Add(-time.Minute)))
		if i := a.of(1); i == nil || i.Sample || i.Severity != 9 || i.Number == 1 {
			t.Errorf("after the real one: %+v", i)
		}
	})
	t.Run("the sample later", func(t *testing.T) {
		a := newForger(t)
		a.take(testFinding(1, 1, 9, now.Add(-time.Minute)))
		a.take(sample(testFinding(1, 2, 2, now)))
		a.take(testFinding(1, 3, 9, now.Add(time.Minute)))
		if i := a.of(1); i == nil || i.Sample || i.Number != 1 || i.FindingCount != 1 || i.Occurrences != 3 {
			t.Errorf("after the next real one: %+v", i)
		}
	})
}

func TestWhatGuardDutySaysOutranksWhatSomebodySaid(t *testing.T) {
	now := time.Now()
	a := newForger(t)
	a.take(testFinding(1, 50, 2, now)) // forged
	a.takeIn(source.Input{Source: "guardduty", Confirmed: true, Body: testFinding(1, 2, 8, now.Add(-time.Hour))})
	f, _, err := a.db.GetFinding(t.Context(), finding.ID(fmt.Sprintf("%032x", 1)))
	if err != nil || f.Count != 2 || f.Severity != 8 || !f.Confirmed {
		t.Errorf("the newest is %+v, %v", f, err)
	}
}

func TestASequenceOfAnotherAccountClosesNothing(t *testing.T) {
	now := time.Now()
	a := newForger(t)
	victim := testFinding(1, 1, 9.5, now)
	a.take(victim)
	forged := bytes.ReplaceAll(testFinding(2, 1, 9.5, now), []byte("111111111111"), []byte("999988887777"))
	forged = bytes.Replace(forged, []byte("UnauthorizedAccess:EC2/SSHBruteForce"), []byte("AttackSequence:EC2/CompromisedInstanceGroup"), 1)
	forged = bytes.Replace(forged, []byte(`"count":1`), fmt.Appendf(nil, `"detection":{"sequence":{"uid":"s","signals":[{"type":"FINDING","uid":"arn:aws:guardduty:eu-west-1:111111111111:detector/12abc/finding/%032x"}]}},"count":1`, 1), 1)
	a.take(forged)
	if i := a.of(1); i == nil || i.State != incident.Open || i.MergedInto != 0 {
		t.Errorf("the real incident is %+v", i)
	}
	// Nor does a later finding of the victim join it.
	a.take(testFinding(1, 2, 9.5, now.Add(time.Minute)))
	if i := a.of(1); i.Number != 1 {
		t.Errorf("the real finding went to %s", i.Number)
	}
}

func TestARealRevisionReopensAlthoughTheIncidentWasWorseOnce(t *testing.T) {
	now := time.Now()
	a := newForger(t)
	a.take(testFinding(1, 1, 4, now.Add(-time.Hour)))
	worse := bytes.Replace(testFinding(2, 1, 9.5, now.Add(-time.Hour)), []byte("i-00000000000000002"), []byte("i-00000000000000001"), 1)
	a.take(worse)
	if _, err := a.command.CloseIncident(t.Context(), 1, incident.FalsePositive, "", "ana"); err != nil {
		t.Fatal(err)
	}
	a.take(testFinding(1, 2, 8, now.Add(time.Minute)))
	if i := a.of(1); i == nil || i.State != incident.Open {
		t.Errorf("the finding rose from 4 to 8, and its incident is %+v", i)
	}
}

func TestASmallInputFillsNoStore(t *testing.T) {
	a := newForger(t)
	body := append(append([]byte("["), bytes.Repeat([]byte("{},"), 5000)...), testFinding(1, 1, 5, time.Now())...)
	receipt, err := a.Take(t.Context(), source.Input{Source: "queue", Body: append(body, ']')})
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Accepted != 1 || receipt.Rejected != 5000 {
		t.Errorf("receipt %+v", receipt)
	}
	list, err := a.db.RejectedInputs(t.Context(), "", 500)
	if err != nil || len(list) != mostRejected+1 {
		t.Errorf("%d rejected inputs are kept, %v", len(list), err)
	}
}

// refusing is an engine that takes nothing.
type refusing struct{}

func (refusing) Enqueue(context.Context, *sql.Tx, string, durable.Item, time.Duration) error {
	return errRefused
}

func TestWhatIsRefusedBesideHidesNoFailure(t *testing.T) {
	a := newForger(t)
	a.flow.engine = refusing{}
	body := bytes.Repeat([]byte("{}\n"), 2*mostRejected)
	for i := range chunk + 1 {
		body = append(append(body, testFinding(i, 1, 5, time.Now())...), '\n')
	}
	if receipt, err := a.Take(t.Context(), source.Input{Source: "queue", Body: body}); !errors.Is(err, errRefused) {
		t.Errorf("a source would acknowledge what was not stored: %+v, %v", receipt, err)
	}
}
