package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

type (
	notifyStatus   = notify.Status
	notifyDelivery = notify.Delivery
)

func incidents(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	i := s.opened(func(i *incident.Incident) {
		i.Note, i.Owner, i.Family = hostile[2:20], "eve\x00", "\U0001F480"
		i.Lead.Title = "a\x00b"
		i.Resources = append(i.Resources, incident.Resource{Kind: "instance", ID: "i-1"})
	})
	if i.Number != 1 {
		t.Errorf("the first number is %d", i.Number)
	}
	got := must[*incident.Incident](t)(s.GetIncident(ctx, i.Number))
	same(t, "an incident", i, got)
	same(t, "by its id", i, must[*incident.Incident](t)(s.GetIncidentByID(ctx, i.ID)))
	_, err := s.GetIncident(ctx, 99)
	notFound(t, "an unknown number", err)
	_, err = s.GetIncidentByID(ctx, "none")
	notFound(t, "an unknown id", err)
	err = s.Write(ctx, func(tx *store.Tx) error { _, err := tx.Incident(ctx, 99); return err })
	notFound(t, "for a change", err)
	err = s.Write(ctx, func(tx *store.Tx) error { return tx.PutIncident(ctx, anIncident(99, at), false, nil) })
	notFound(t, "a change of what is not there", err)

	// A number is never used twice, also not after a transaction that failed.
	_ = s.Write(ctx, func(tx *store.Tx) error { _, _ = tx.NextNumber(ctx); return errMine })
	seen := map[incident.Number]bool{1: true}
	for range 20 {
		n := s.opened(nil).Number
		if seen[n] {
			t.Fatalf("%s was given twice", n)
		}
		seen[n] = true
	}

	entries := []incident.Entry{
		{Seq: 1, EventAt: at.Add(-time.Hour), RecordedAt: at, Kind: incident.KindOpened, Who: "guardroom", Text: hostile, From: hostile, To: hostile},
		{Seq: 2, RecordedAt: at, Kind: incident.KindNote, Who: "eve", Text: "n"},
		{Seq: 3, EventAt: at, RecordedAt: at, Kind: incident.KindNote, Who: "eve", Text: "m"},
	}
	i.State, i.Severity = incident.Acknowledged, 9.5
	s.write(func(tx *store.Tx) error { return tx.PutIncident(ctx, i, false, entries) })
	entries[0].Text, entries[0].From, entries[0].To = cleaned, cleaned, cleaned
	same(t, "the timeline", entries, must[[]incident.Entry](t)(s.Timeline(ctx, i.Number, 0)))
	same(t, "its newest two, in their order", entries[1:], must[[]incident.Entry](t)(s.Timeline(ctx, i.Number, 2)))
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.PutIncident(ctx, i, false, entries[:1]) }); err == nil {
		t.Error("one entry was written twice")
	}

	sample := true
	s.opened(func(i *incident.Incident) {
		i.Sample, i.Region, i.Account.ID, i.Owner = true, "us-east-1", "222222222222", "bob"
	})
	for _, c := range []struct {
		name string
		f    store.IncidentFilter
		n    int
	}{
		{"all", store.IncidentFilter{}, 22},
		{"open", store.IncidentFilter{States: []incident.State{incident.Open}}, 21},
		{"open or acknowledged", store.IncidentFilter{States: []incident.State{incident.Open, incident.Acknowledged}}, 22},
		{"closed", store.IncidentFilter{States: []incident.State{incident.Closed}}, 0},
		{"severe", store.IncidentFilter{MinSeverity: 9}, 1},
		{"of an account", store.IncidentFilter{Account: "222222222222"}, 1},
		{"of a region", store.IncidentFilter{Region: "us-east-1"}, 1},
		{"of an owner", store.IncidentFilter{Owner: "bob"}, 1},
		{"samples", store.IncidentFilter{Samples: &sample}, 1},
		{"since now", store.IncidentFilter{Since: at}, 22},
		{"since later", store.IncidentFilter{Since: at.Add(time.Second)}, 0},
		{"all of it at once", store.IncidentFilter{States: []incident.State{incident.Open}, Account: "222222222222", Region: "us-east-1", Owner: "bob", MinSeverity: 5, Since: at, Samples: &sample, Before: 1000, Limit: 5}, 1},
	} {
		if list := must[[]*incident.Incident](t)(s.Incidents(ctx, c.f)); len(list) != c.n {
			t.Errorf("%s: %d", c.name, len(list))
		}
	}
	same(t, "counts", map[incident.State]int{incident.Open: 21, incident.Acknowledged: 1}, must[map[incident.State]int](t)(s.CountIncidents(ctx)))
}

func mergeKeys(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	a, b, c := s.opened(nil), s.opened(nil), s.opened(nil)
	holder := func(key string) incident.Number {
		t.Helper()
		var n incident.Number
		s.write(func(tx *store.Tx) error {
			got, ok, err := tx.IncidentOfKey(ctx, key)
			if ok {
				n = got.Number
			}
			return err
		})
		return n
	}
	set := func(i *incident.Incident, when time.Time, keys ...string) {
		t.Helper()
		s.write(func(tx *store.Tx) error { return tx.SetKeys(ctx, i.Number, keys, nil, nil, when) })
	}
	if holder("k") != 0 {
		t.Error("a key that nobody has")
	}
	set(a, at, "k", "k"+hostile)
	if holder("k") != a.Number || holder("k"+hostile) != a.Number {
		t.Error("the first holder")
	}
	set(b, at.Add(-72*time.Hour), "k")
	if got := holder("k"); got != a.Number {
		t.Errorf("an old finding that came late drew the key to %s", got)
	}
	set(b, at.Add(time.Hour), "k")
	if holder("k") != b.Number {
		t.Error("a later incident takes the key")
	}
	b.State, b.Verdict, b.ClosedAt = incident.Closed, incident.Benign, at
	s.write(func(tx *store.Tx) error { return tx.PutIncident(ctx, b, false, nil) })
	set(c, at, "k")
	if holder("k") != c.Number {
		t.Error("a closed incident keeps its key from an open one")
	}

	// Merged incidents lead to the one that lives on.
	a.MergedInto, a.State, a.Verdict = b.Number, incident.Closed, incident.Merged
	b.MergedInto, b.Verdict = c.Number, incident.Merged
	f := aFinding("f", at)
	f.Incident = a.Number
	s.put(f)
	actorOf := map[string]incident.Number{"ip:1": a.Number, "ip:2": c.Number}
	s.write(func(tx *store.Tx) error {
		for _, i := range []*incident.Incident{a, b} {
			if err := tx.PutIncident(ctx, i, false, nil); err != nil {
				return err
			}
		}
		for key, n := range actorOf {
			if err := tx.SetKeys(ctx, n, nil, []string{key}, []string{"arn:" + key}, at); err != nil {
				return err
			}
		}
		return tx.SetKeys(ctx, b.Number, nil, []string{"ip:1"}, nil, at.Add(-time.Hour))
	})
	s.write(func(tx *store.Tx) error {
		for what, find := range map[string]func() (triage.Candidate, bool, error){
			"finding":  func() (triage.Candidate, bool, error) { return tx.IncidentOfFinding(ctx, "f") },
			"ARN":      func() (triage.Candidate, bool, error) { return tx.IncidentOfARN(ctx, "arn:f") },
			"sequence": func() (triage.Candidate, bool, error) { return tx.SequenceOf(ctx, "arn:ip:1") },
		} {
			if got, ok, err := find(); err != nil || !ok || got.Number != c.Number || got.State != incident.Open {
				t.Errorf("by its %s: %+v %v %v", what, got, ok, err)
			}
		}
		for what, find := range map[string]func() (triage.Candidate, bool, error){
			"finding":   func() (triage.Candidate, bool, error) { return tx.IncidentOfFinding(ctx, "none") },
			"ARN":       func() (triage.Candidate, bool, error) { return tx.IncidentOfARN(ctx, "none") },
			"sequence":  func() (triage.Candidate, bool, error) { return tx.SequenceOf(ctx, "none") },
			"empty ARN": func() (triage.Candidate, bool, error) { return tx.SequenceOf(ctx, "") },
		} {
			if got, ok, err := find(); err != nil || ok {
				t.Errorf("by an unknown %s: %+v %v %v", what, got, ok, err)
			}
		}
		list, err := tx.IncidentsOfActor(ctx, "ip:1", at.Add(-2*time.Hour))
		if err != nil || len(list) != 1 || list[0] != c.Number {
			t.Errorf("of an actor, each once: %+v %v", list, err)
		}
		if list, err := tx.IncidentsOfActor(ctx, "ip:1", at.Add(time.Second)); err != nil || len(list) != 0 {
			t.Errorf("of an actor long ago: %+v %v", list, err)
		}
		if err := tx.SetKeys(ctx, a.Number, []string{"moved"}, nil, nil, at); err != nil {
			return err
		}
		return tx.MoveKeys(ctx, a.Number, c.Number)
	})
	if holder("moved") != c.Number {
		t.Error("a moved key")
	}

	// A verdict and a sample are known of a candidate.
	d := s.opened(func(i *incident.Incident) {
		i.State, i.Verdict, i.ClosedAt, i.Severity, i.Sample = incident.Closed, incident.FalsePositive, at, 7.5, true
	})
	set(d, at, "d")
	s.write(func(tx *store.Tx) error {
		got, _, err := tx.IncidentOfKey(ctx, "d")
		same(t, "a candidate", triage.Candidate{ID: d.ID, Number: d.Number, State: incident.Closed, Severity: 7.5, Verdict: incident.FalsePositive,
			LastActivity: d.LastActivity, ClosedAt: at, Sample: true}, got)
		return err
	})
}

func deliveries(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	d := aDelivery("d1", "s1", "chat", at)
	d.Done, d.Attempts, d.Failures, d.DoneAt, d.NextAt, d.FailingSince, d.Worker, d.ClaimedAt = -1, 3, 2, at, at.Add(time.Minute), at, "w", at
	d.State, d.Reference, d.URL, d.Warnings, d.Spacing, d.Urgent = json.RawMessage(`{"ts":"1"}`), "r", "https://x", []string{"a", "b"}, 3*time.Second, true
	d.Fault = &notify.Fault{At: at, Class: notify.Park, Reason: "r", Message: hostile[1:10], Hint: "h"}
	s.write(func(tx *store.Tx) error { return tx.PutDelivery(ctx, d, true) })
	got := must[notify.Delivery](t)(s.GetDelivery(ctx, "d1"))
	d.UpdatedAt = at
	d.Fault.Message = got.Fault.Message // as JSON holds it
	same(t, "every field comes back", d, got)
	_, err := s.GetDelivery(ctx, "none")
	notFound(t, "an unknown delivery", err)
	err = s.Write(ctx, func(tx *store.Tx) error { _, err := tx.Delivery(ctx, "none"); return err })
	notFound(t, "for a change", err)
	err = s.Write(ctx, func(tx *store.Tx) error { return tx.PutDelivery(ctx, aDelivery("none", "x", "y", at), false) })
	notFound(t, "a change of what is not there", err)
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.PutDelivery(ctx, aDelivery("d2", "s1", "chat", at), true) }); err == nil {
		t.Error("one incident got two deliveries to one destination")
	}
	s.write(func(tx *store.Tx) error {
		for n, x := range []struct {
			id, subject, destination string
			status                   notify.Status
			armed                    bool
			done                     int64
			worker                   string
		}{
			{"e1", "s1", "tickets", notify.Parked, false, 0, ""},
			{"e2", "s2", "tickets", notify.Pending, true, 0, "alive"},
			{"e3", "s3", "tickets", notify.Pending, true, 0, "lost"},
			{"e4", "s4", "tickets", notify.Delivered, false, 1, ""},
			{"e5", "s5", "tickets", notify.Digested, false, 0, ""},
			{"e6", "s6", "tickets", notify.Paused, false, 0, ""},
		} {
			d := aDelivery(x.id, x.subject, x.destination, at.Add(time.Duration(n)*time.Second))
			d.Status, d.Armed, d.Done, d.Worker = x.status, x.armed, x.done, x.worker
			if x.worker != "" {
				d.ClaimedAt = at
			}
			if err := tx.PutDelivery(ctx, d, true); err != nil {
				return err
			}
		}
		return nil
	})
	s.clock.add(time.Second)
	if err := s.Beat(ctx, store.Worker{ID: "alive", Mode: "serve", StartedAt: at}); err != nil {
		t.Fatal(err)
	}
	s.write(func(tx *store.Tx) error {
		ids := func(list []notify.Delivery, err error) string {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
			out := ""
			for _, d := range list {
				out += d.ID + " "
			}
			return out
		}
		for what, x := range map[string][2]string{
			"of a subject, by destination": {"d1 e1 ", ids(tx.DeliveriesOf(ctx, "s1"))},
			"of a status":                  {"e2 e3 ", ids(tx.DeliveriesOfDestination(ctx, "tickets", notify.Pending, 9))},
			"of a status, one":             {"e2 ", ids(tx.DeliveriesOfDestination(ctx, "tickets", notify.Pending, 1))},
			"claimed by a worker":          {"e3 ", ids(tx.ClaimedBy(ctx, "lost"))},
			"orphans of a lost worker":     {"d1 e3 ", ids(tx.Orphans(ctx, at.Add(time.Nanosecond*1000), 10))},
			"no orphans before the lease":  {"", ids(tx.Orphans(ctx, at, 10))},
		} {
			if x[0] != x[1] {
				t.Errorf("%s: want %q, got %q", what, x[0], x[1])
			}
		}
		n, err := tx.CountNewDeliveries(ctx, "tickets", at.Add(3*time.Second), 100)
		if n != 3 || err != nil {
			t.Errorf("new deliveries: %d %v", n, err)
		}
		if n, err = tx.CountNewDeliveries(ctx, "tickets", at, 2); n != 2 || err != nil {
			t.Errorf("new deliveries, at most two: %d %v", n, err)
		}
		return nil
	})
	armed, stuck, err := s.Unfinished(ctx)
	if armed != 3 || stuck != 2 || err != nil {
		t.Errorf("unfinished: %d %d %v", armed, stuck, err)
	}
	same(t, "who has deliveries in hand", []string{"alive", "lost", "w"}, must[[]string](t)(s.Claimants(ctx)))
	s.write(func(tx *store.Tx) error {
		d := must[notify.Delivery](t)(tx.Delivery(ctx, "e2"))
		d.Worker, d.ClaimedAt, d.NextAt = "", time.Time{}, at.Add(time.Hour)
		return tx.PutDelivery(ctx, d, false)
	})
	same(t, "what waits for its time", []string{"e2"}, must[[]string](t)(s.Waiting(ctx, at)))
	same(t, "what waits for a later time", []string{}, must[[]string](t)(s.Waiting(ctx, at.Add(time.Hour))))
	behind := must[map[string]time.Time](t)(s.OldestBehind(ctx))
	if len(behind) != 2 || !behind["tickets"].Equal(at) {
		t.Errorf("behind: %v", behind)
	}
	counts := must[map[string]map[notify.Status]int](t)(s.CountDeliveries(ctx))
	if counts["tickets"][notify.Pending] != 2 || counts["tickets"][notify.Parked] != 1 || counts["chat"][notify.Pending] != 1 {
		t.Errorf("counts: %v", counts)
	}
	for want, f := range map[int]store.DeliveryFilter{7: {}, 3: {Statuses: []notify.Status{notify.Parked, notify.Pending}, Destination: "tickets"}, 2: {Subject: "s1"}, 5: {Behind: true}} {
		if list := must[[]notify.Delivery](t)(s.Deliveries(ctx, f)); len(list) != want {
			t.Errorf("%+v: %d", f, len(list))
		}
	}
	if list := must[[]notify.Delivery](t)(s.Deliveries(ctx, store.DeliveryFilter{Statuses: []notify.Status{notify.Unknown, notify.Dropped}})); list == nil || len(list) != 0 {
		t.Errorf("none is an empty list: %v", list)
	}
	s.write(func(tx *store.Tx) error {
		d, err := tx.PeekDelivery(ctx, "e4")
		if err != nil {
			return err
		}
		d.Fault, d.State, d.Warnings, d.Reference = nil, nil, nil, "new"
		return tx.PutDelivery(ctx, d, false)
	})
	all := must[[]notify.Delivery](t)(s.Deliveries(ctx, store.DeliveryFilter{Behind: true}))
	for n, status := range []notify.Status{notify.Digested, notify.Dropped} {
		s.write(func(tx *store.Tx) error {
			d := all[n]
			d.Status, d.Armed = status, false
			return tx.PutDelivery(ctx, d, false)
		})
		if list := must[[]notify.Delivery](t)(s.Deliveries(ctx, store.DeliveryFilter{Behind: true})); len(list) != len(all)-n-1 {
			t.Errorf("one that is %s counts as behind: %d of %d", status, len(list), len(all))
		}
	}
}
