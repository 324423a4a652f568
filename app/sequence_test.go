package app

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// testSequence is an attack sequence that names the findings of testFinding
// with these numbers.
func testSequence(id, count int, at time.Time, members ...int) []byte {
	var signals []string
	for _, m := range members {
		signals = append(signals, fmt.Sprintf(`{"uid":"arn:aws:guardduty:eu-west-1:111111111111:detector/12abc/finding/%032x","type":"FINDING","name":"x"}`, m))
	}
	return fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":"111111111111","region":"eu-west-1","partition":"aws","id":"%032x","arn":"arn:aws:guardduty:eu-west-1:111111111111:detector/12abc/finding/%032x","type":"AttackSequence:EC2/CompromisedInstanceGroup","resource":{"resourceType":"AttackSequence"},"service":{"serviceName":"guardduty","detectorId":"12abc","count":%d,"eventFirstSeen":"%[5]s","eventLastSeen":"%[5]s","archived":false,"detection":{"sequence":{"uid":"s","description":"d","signals":[%[4]s]}}},"severity":9.2,"createdAt":"%[5]s","updatedAt":"%[5]s","title":"sequence","description":"x"}`,
		id, id, count, strings.Join(signals, ","), at.UTC().Format(time.RFC3339Nano))
}

// world is an App with short ways to use it.
type world struct {
	*App
	t *testing.T
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	return &world{App: testApp(t, testConfig(t, url), map[string]notify.Notifier{"chat": &recorder{}}), t: t}
}

func (w *world) take(body []byte, change ...func(*source.Input)) source.Receipt {
	w.t.Helper()
	in := source.Input{Source: "test", Body: body}
	for _, c := range change {
		c(&in)
	}
	r, err := w.Take(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Rejected > 0 {
		w.t.Fatalf("rejected: %v", r.Reasons)
	}
	return r
}

func (w *world) incident(n incident.Number) *incident.Incident {
	w.t.Helper()
	i, err := w.db.GetIncident(w.t.Context(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// opened are the incidents that are not closed.
func (w *world) opened() []*incident.Incident {
	w.t.Helper()
	list, err := w.db.Incidents(w.t.Context(), store.IncidentFilter{States: []incident.State{incident.Open, incident.Acknowledged}, Limit: 10000})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) close(n incident.Number, v incident.Verdict) {
	w.t.Helper()
	if _, err := w.command.CloseIncident(w.t.Context(), n, v, "", "eve"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) audited() {
	w.t.Helper()
	if r, err := w.VerifyAudit(w.t.Context()); err != nil || !r.OK() {
		w.t.Errorf("audit: %+v %v", r, err)
	}
}

func TestAttackSequencesAbsorbTheirFindings(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	onBoth(t, func(t *testing.T, url func() string) {
		t.Run("the findings come first", func(t *testing.T) {
			w := newWorld(t, url())
			w.take(testFinding(1, 3, 5, at))
			w.take(testFinding(2, 4, 5, at))
			w.take(testFinding(3, 1, 5, at))
			w.take(testSequence(100, 1, at, 1, 2))
			if i := w.incident(4); i.FindingCount != 3 || i.Occurrences != 8 || i.Lead.FindingID != "00000000000000000000000000000064" {
				t.Errorf("the sequence's incident: %+v", i)
			}
			for _, n := range []incident.Number{1, 2} {
				if i := w.incident(n); i.Verdict != incident.Merged || i.MergedInto != 4 {
					t.Errorf("%s: %s %d", n, i.Verdict, i.MergedInto)
				}
			}
			w.take(testFinding(1, 5, 5, at.Add(time.Minute)))
			if i := w.incident(4); i.FindingCount != 3 || i.Occurrences != 10 {
				t.Errorf("after a new revision of a member: %d findings, %d occurrences", i.FindingCount, i.Occurrences)
			}
			w.take(testSequence(100, 2, at.Add(time.Hour), 1, 2, 3)) // it names one more
			if open := w.opened(); len(open) != 1 || open[0].FindingCount != 4 {
				t.Errorf("%d open, %+v", len(open), open)
			}
			w.audited()
		})
		t.Run("the sequence comes first", func(t *testing.T) {
			w := newWorld(t, url())
			w.take(testSequence(100, 1, at, 1, 2))
			w.take(testFinding(2, 1, 5, at))
			w.take(testFinding(1, 1, 5, at))
			if open := w.opened(); len(open) != 1 || open[0].FindingCount != 3 || open[0].Occurrences != 3 {
				t.Errorf("%d open, %+v", len(open), open)
			}
		})
		t.Run("a finding that has its own incident is counted once", func(t *testing.T) {
			w := newWorld(t, url())
			w.take(testSequence(100, 1, at, 1))
			w.close(1, incident.Malicious)
			w.take(testFinding(1, 2, 5, at)) // the sequence is closed: its own incident
			if _, err := w.command.Reopen(t.Context(), 1, "", "eve"); err != nil {
				t.Fatal(err)
			}
			w.take(testFinding(1, 3, 5, at.Add(time.Minute)))
			if i := w.incident(1); i.FindingCount != 2 || i.Occurrences != 4 || len(i.Findings) != 2 {
				t.Errorf("%d findings, %d occurrences, %+v", i.FindingCount, i.Occurrences, i.Findings)
			}
			if i := w.incident(2); i.MergedInto != 1 {
				t.Errorf("its own: %+v", i)
			}
			w.audited()
		})
	})
}

// A sequence and its findings meet in all orders, several at once, by two
// workers where the database has room for two.
func TestASequenceAndItsFindingsMeetInOneIncident(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	onBoth(t, func(t *testing.T, url func() string) {
		address := url()
		apps := []*world{newWorld(t, address)}
		if address != "" {
			apps = append(apps, newWorld(t, address))
		}
		const rounds, members = 8, 8
		var bodies [][]byte
		for r := range rounds {
			base := (r + 1) * 1000
			var ids []int
			for m := range members {
				ids = append(ids, base+m)
				bodies = append(bodies, testFinding(base+m, 1, 5, at))
			}
			bodies = append(bodies, testSequence(base+900, 1, at, ids...))
		}
		random := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // a fixed order
		random.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		queue := make(chan []byte)
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for b := range queue {
					if _, err := apps[n%len(apps)].Take(t.Context(), source.Input{Source: "test", Body: b}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, b := range bodies {
			queue <- b
		}
		close(queue)
		wg.Wait()
		open := apps[0].opened()
		if len(open) != rounds {
			t.Errorf("%d incidents are open for %d sequences", len(open), rounds)
		}
		for _, i := range open {
			if i.FindingCount != members+1 || i.Occurrences != members+1 {
				t.Errorf("%s has %d findings and %d occurrences", i.Number, i.FindingCount, i.Occurrences)
			}
		}
		apps[0].audited()
	})
}

func TestOnlyGuardDutysOwnWordClosesAnIncident(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	archived := func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"archived":false`, `"archived":true`, 1))
	}
	confirmed := func(in *source.Input) { in.Confirmed, in.Refresh = true, true }
	onBoth(t, func(t *testing.T, url func() string) {
		w := newWorld(t, url())
		// Two findings about one instance: one incident.
		first, second := testFinding(1, 1, 5, at), []byte(strings.ReplaceAll(string(testFinding(2, 1, 5, at)), fmt.Sprintf("i-%017x", 2), fmt.Sprintf("i-%017x", 1)))
		w.take(first)
		w.take(second)
		if i := w.incident(1); i.FindingCount != 2 {
			t.Fatalf("%d findings", i.FindingCount)
		}
		forged := func(b []byte, count int) []byte {
			var f map[string]any
			if err := json.Unmarshal(archived(b), &f); err != nil {
				t.Fatal(err)
			}
			f["updatedAt"] = at.Add(time.Minute).UTC().Format(time.RFC3339Nano)
			f["service"].(map[string]any)["count"] = count
			out, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		w.take(forged(first, 2))
		w.take(forged(second, 2))
		if i := w.incident(1); i.State == incident.Closed {
			t.Fatal("who may write to a queue closed an incident")
		}
		w.take(forged(first, 2), confirmed) // the same revision, now from GuardDuty itself
		if i := w.incident(1); i.State == incident.Closed {
			t.Fatal("it closed with one of two")
		}
		w.take(forged(second, 2), confirmed)
		if i := w.incident(1); i.State != incident.Closed || i.Verdict != incident.Unknown {
			t.Fatalf("all are archived and it is %s", i.State)
		}

		// Our own archiving is no event. Only what GuardDuty confirmed is archived.
		w.take(testFinding(7, 1, 5, at), confirmed)
		n := incident.Number(2)
		if err := w.db.Write(t.Context(), func(tx *store.Tx) error {
			list, err := tx.FindingsOf(t.Context(), n, 0)
			if err == nil {
				err = tx.MarkArchivedByUs(t.Context(), list[0].ID)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		w.take(testFinding(7, 2, 5, at.Add(time.Minute))) // before the archiving is done
		w.take(archived(testFinding(7, 2, 5, at.Add(time.Minute))), confirmed)
		if i := w.incident(n); i.State == incident.Closed {
			t.Error("our own archiving closed an incident")
		}
		w.audited()
	})
}

func TestARevisionAfterClosing(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	onBoth(t, func(t *testing.T, url func() string) {
		w := newWorld(t, url())
		now := time.Now()
		for n, v := range []incident.Verdict{incident.Malicious, incident.FalsePositive, incident.Benign} {
			w.take(testFinding(n+1, 1, 5, at))
			w.close(incident.Number(n+1), v)
			w.take(testFinding(n+1, 2, 5, now))
			want := incident.Closed
			if v == incident.Malicious {
				want = incident.Open
			}
			if i := w.incident(incident.Number(n + 1)); i.State != want {
				t.Errorf("closed as %s, then a new revision: %s", v, i.State)
			}
			w.take(testFinding(n+1, 3, 8, now.Add(time.Minute)))
			if i := w.incident(incident.Number(n + 1)); i.State != incident.Open || i.Severity != 8 {
				t.Errorf("closed as %s, then more severe: %s at %s", v, i.State, i.Severity)
			}
			// What is older changes nothing any more.
			w.close(incident.Number(n+1), incident.Benign)
			w.take(testFinding(n+1, 1, 9, at.Add(time.Second)))
			if i := w.incident(incident.Number(n + 1)); i.State != incident.Closed {
				t.Errorf("an older revision opened it again")
			}
		}
		w.audited()
	})
}
