package pagerduty

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// TestRandomLivesUnderRandomFaults lives through incidents with a third of all
// requests failing and some saves too. Whatever happens in between, in the end
// PagerDuty shows what the incident is, in one alert for each life of it and at
// most one more.
func TestRandomLivesUnderRandomFaults(t *testing.T) {
	t.Parallel()
	kinds := []fakepagerduty.Fault{fakepagerduty.RateLimited, fakepagerduty.ServerError, fakepagerduty.ServerErrorAfter,
		fakepagerduty.ResetBefore, fakepagerduty.ResetAfter, fakepagerduty.HalfResponse}
	for _, mode := range []string{"events", "incidents"} {
		for seed := range uint64(60) {
			t.Run(fmt.Sprintf("%s, seed %d", mode, seed), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, fakepagerduty.Options{Faults: fakepagerduty.Faults{Seed: seed, Rate: 0.35, Kinds: kinds}},
					func(c *Config) { c.Mode = mode })
				chance := rand.New(rand.NewPCG(seed, 1))
				s := newStory()
				for range 12 {
					live(s, chance)
					if chance.IntN(3) == 0 {
						continue // a revision that nobody looked at
					}
					if chance.IntN(4) == 0 {
						r.failSave = r.saves + 1 + chance.IntN(3)
					}
					if _, err := r.try(s.v); err != nil && chance.IntN(2) == 0 {
						continue // something newer comes before the next attempt
					}
				}
				r.failSave = 0
				for i := 0; ; i++ {
					_, err := r.try(s.v)
					if err == nil {
						break
					}
					if i > 60 {
						t.Fatalf("does not come to an end: %v", err)
					}
					if e := notify.AsError(err); e.Class != notify.Retry {
						t.Fatalf("%s: %v", e.Class, err)
					}
				}
				check(t, r, s.v)
			})
		}
	}
}

// live lets one thing happen that may happen to an incident in that state.
func live(s *story, chance *rand.Rand) {
	if s.v.State == incident.Closed {
		if chance.IntN(2) == 0 {
			s.reopen()
		}
		return
	}
	switch chance.IntN(6) {
	case 0:
		s.acknowledge()
	case 1:
		if s.v.Severity < 9.5 {
			s.raise(s.v.Severity + 0.5)
		}
	case 2:
		s.happens(incident.KindResourceJoined)
	case 3:
		s.close()
	default:
		s.happens(incident.KindFindingUpdated)
	}
}

func check(t *testing.T, r *room, v *message.View) {
	t.Helper()
	type seen struct {
		key    string
		status fakepagerduty.Status
	}
	var all []seen
	for _, a := range r.fake.Alerts() {
		all = append(all, seen{a.DedupKey, a.Status})
	}
	for _, in := range r.fake.Incidents() {
		all = append(all, seen{in.Key, in.Status})
	}
	lives := 1
	for _, e := range v.Events {
		if e.Kind == incident.KindReopened {
			lives++
		}
	}
	var open []seen
	mains, criticals := 0, 0
	for _, a := range all {
		switch a.key {
		case mainKey:
			mains++
		case critKey:
			criticals++
		default:
			t.Errorf("an alert with the key %q", a.key)
		}
		if a.status != fakepagerduty.Resolved {
			open = append(open, a)
		}
	}
	if mains > lives || criticals > 1 {
		t.Errorf("%d alerts and %d second ones for %d lives", mains, criticals, lives)
	}
	want := map[incident.State]fakepagerduty.Status{incident.Open: fakepagerduty.Triggered, incident.Acknowledged: fakepagerduty.Acknowledged}[v.State]
	mainOpen := 0
	for _, a := range open {
		switch {
		case a.key == mainKey && a.status == want:
			mainOpen++
		case a.key == critKey && v.State == incident.Acknowledged:
		default:
			t.Errorf("%s is %s while the incident is %s", a.key, a.status, v.State)
		}
	}
	if v.State != incident.Closed && mainOpen != 1 {
		t.Errorf("%d alerts show the incident, which is %s", mainOpen, v.State)
	}
	for _, a := range r.fake.Alerts() {
		if a.DedupKey == mainKey && a.Status != fakepagerduty.Resolved && a.Severity != severityOf(v.Band) {
			t.Errorf("severity %s, want %s", a.Severity, severityOf(v.Band))
		}
	}
	for _, in := range r.fake.Incidents() {
		once := map[string]bool{}
		for _, n := range in.Notes {
			if once[n] {
				t.Errorf("a note stands there twice: %q", n)
			}
			once[n] = true
		}
	}
	r.noViolations()
	if t.Failed() {
		for _, ex := range r.fake.Transcript() {
			t.Logf("%s %s %s -> %d %s (fault %q)", ex.Method, ex.Path, ex.Body[:min(len(ex.Body), 160)], ex.Status, ex.Effect, ex.Fault)
		}
	}
}

func TestAnAlertThatNeverAnswersIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents, func(c *Config) { c.Timeout = 2 * time.Second })
	r.fake.Fail(fakepagerduty.NoFault, fakepagerduty.TimeoutAfter)
	_, err := r.try(sampleView())
	if e := asError(t, err); e.Reason != "timeout" {
		t.Fatalf("reason %s: %v", e.Reason, err)
	}
	out := r.show(sampleView())
	if out.Reference != "#1" || len(r.fake.Incidents()) != 1 {
		t.Errorf("reference %q, incidents %+v", out.Reference, r.fake.Incidents())
	}
}
