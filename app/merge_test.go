package app

import (
	"bytes"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
)

func TestAPersonMergesTwoIncidents(t *testing.T) {
	onBoth(t, func(t *testing.T, store func() string) {
		r := &recorder{}
		a := testApp(t, testConfig(t, store()), map[string]notify.Notifier{"chat": r})
		if err := a.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		take := func(body []byte) {
			t.Helper()
			if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		take(testFinding(1, 1, 5, now))
		take(testFinding(2, 3, 8, now))
		into, err := a.command.Merge(t.Context(), 2, 1, "the same intruder", "ana")
		if err != nil {
			t.Fatal(err)
		}
		if into.Number != 1 || into.Severity != 8 || into.FindingCount != 2 || into.Occurrences != 4 {
			t.Errorf("INC-1 is %+v", into)
		}
		other, err := a.db.GetIncident(t.Context(), 2)
		if err != nil || other.State != incident.Closed || other.Verdict != incident.Merged || other.MergedInto != 1 || other.ClosedBy != "ana" {
			t.Errorf("INC-2 is %+v, %v", other, err)
		}
		// What comes for the merged one goes where its finding is, and so does
		// another finding about its resource.
		take(testFinding(2, 4, 8, now.Add(time.Minute)))
		take(bytes.Replace(testFinding(3, 1, 5, now.Add(time.Minute)), []byte("i-00000000000000003"), []byte("i-00000000000000002"), 1))
		if into, err = a.db.GetIncident(t.Context(), 1); err != nil || into.FindingCount != 3 || into.Occurrences != 6 {
			t.Errorf("INC-1 is %+v, %v", into, err)
		}
		if stuck, err := a.WaitDelivered(t.Context(), nil); err != nil || stuck != 0 {
			t.Fatal(stuck, err)
		}
		r.mu.Lock()
		last := r.views[string(other.ID)]
		r.mu.Unlock()
		if v := last[len(last)-1]; v.State != incident.Closed || v.MergedInto != "INC-1" {
			t.Errorf("the destination shows INC-2 as %s, merged into %q", v.State, v.MergedInto)
		}
		if _, err := a.command.Merge(t.Context(), 2, 1, "", "ana"); err == nil {
			t.Error("a closed incident was merged")
		}
		if report, err := a.VerifyAudit(t.Context()); err != nil || !report.OK() {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
