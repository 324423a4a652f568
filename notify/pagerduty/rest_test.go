package pagerduty

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify"
)

func TestIncidentsFollowTheIncident(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents)
	s := newStory()
	out := r.show(s.v)
	if out.Reference != "#1" || !strings.HasPrefix(out.URL, r.fake.URL()) {
		t.Errorf("outcome %+v", out)
	}
	got := r.fake.Incidents()[0]
	if got.Key != mainKey || got.Urgency != "high" || got.PriorityID != "PRI0002" || got.ServiceID != fakepagerduty.DefaultService {
		t.Errorf("created as %+v", got)
	}
	if !strings.HasPrefix(got.Title, "HIGH Bitcoin mining from payments-api-3") || !strings.Contains(got.Details, "next_step: Look at the process") {
		t.Errorf("title %q, details %q", got.Title, got.Details)
	}
	r.show(s.acknowledge().v)
	r.show(s.raise(9.2).v)
	s.happens(incident.KindContained).v.State = incident.Contained
	r.show(s.v)
	r.show(s.close().v)
	var now []string
	for _, in := range r.fake.Incidents() {
		now = append(now, fmt.Sprintf("%s %s %s", in.Key, in.Status, in.PriorityID))
	}
	if diff := cmp.Diff([]string{mainKey + " resolved PRI0001", critKey + " resolved PRI0001"}, now); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
	want := []string{
		"It was acknowledged. (INC-42 2026-11-24 10:03:00 UTC)", "It was severity_raised. (INC-42 2026-11-24 10:04:00 UTC)",
		"It was contained. (INC-42 2026-11-24 10:05:00 UTC)", "It was closed. (INC-42 2026-11-24 10:06:00 UTC)",
	}
	if diff := cmp.Diff(want, r.fake.Incidents()[0].Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	r.noViolations()
}

func TestAnIncidentThatAPersonResolvedIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents)
	s := newStory()
	r.show(s.v)
	r.fake.SetIncident(r.fake.Incidents()[0].ID, fakepagerduty.Resolved)
	out := r.show(s.acknowledge().v)
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "resolved in PagerDuty") {
		t.Errorf("warnings %q", out.Warnings)
	}
	r.show(s.raise(8.5).v)
	if n := len(r.fake.Incidents()); n != 1 {
		t.Errorf("%d incidents, want 1", n)
	}
	r.show(s.close().v)
	r.show(s.reopen().v)
	if got := r.fake.Incidents(); len(got) != 2 || got[1].Status != fakepagerduty.Triggered {
		t.Errorf("reopened: %+v", got)
	}
}

func TestAnIncidentThatAPersonAcknowledgedStaysSo(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents)
	r.failSave = 2 // the creation is not recorded
	s := newStory()
	if _, err := r.try(s.v); err == nil {
		t.Fatal("saved")
	}
	r.fake.SetIncident(r.fake.Incidents()[0].ID, fakepagerduty.Acknowledged)
	r.show(s.v)
	r.show(s.happens(incident.KindResourceJoined).v)
	if got := r.fake.Incidents(); len(got) != 1 || got[0].Status != fakepagerduty.Acknowledged {
		t.Errorf("incidents %+v", got)
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   fakepagerduty.Options
		change func(*Config)
		want   string
		warns  int
	}{
		{"by severity", fakepagerduty.Options{}, func(*Config) {}, "PRI0002", 0},
		{"by the configured name, in any case", fakepagerduty.Options{}, func(c *Config) { c.Priorities = map[string]string{"High": "p5"} }, "PRI0005", 0},
		{"a name that the account does not have is left out", fakepagerduty.Options{}, func(c *Config) { c.Priorities = map[string]string{"high": "SEV1"} }, "", 1},
		{"an account without priorities", fakepagerduty.Options{Priorities: []fakepagerduty.Priority{}}, func(*Config) {}, "", 1},
		{"an empty name asks for none", fakepagerduty.Options{}, func(c *Config) { c.Priorities = map[string]string{"high": ""} }, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, tt.opts, incidents, tt.change)
			warnings := 0
			for i := range 3 {
				v := sampleView()
				v.Incident = incident.ID(fmt.Sprintf("i-%d", i))
				r.state = nil
				warnings += len(r.show(v).Warnings)
			}
			for _, in := range r.fake.Incidents() {
				if in.PriorityID != tt.want {
					t.Errorf("priority %q, want %q", in.PriorityID, tt.want)
				}
			}
			if warnings != tt.warns {
				t.Errorf("%d warnings, want %d", warnings, tt.warns)
			}
			lists := 0
			for _, ex := range r.fake.Transcript() {
				if strings.HasPrefix(ex.Path, "/priorities") {
					lists++
				}
			}
			if lists > 1 {
				t.Errorf("the list was read %d times within the hour", lists)
			}
		})
	}
}

func TestPrioritiesAreReadAgainAfterAnHour(t *testing.T) {
	t.Parallel()
	now, reads := clock, 0
	fail := false
	p := newPriorities(nil, func() time.Time { return now }, 1, func(context.Context) (map[string]string, error) {
		reads++
		if fail {
			return nil, &notify.Error{Class: notify.Retry, Message: "away"}
		}
		return map[string]string{"p1": "X"}, nil
	})
	ask := func() string { id, _ := p.of(t.Context(), finding.Critical); return id }
	ask()
	now = now.Add(59 * time.Minute)
	ask()
	now, fail = now.Add(2*time.Minute), true
	if id := ask(); id != "X" || reads != 2 {
		t.Errorf("id %q after %d reads, want the old one after 2", id, reads)
	}
}

func TestAPageIsNotHeldUpByThePriorities(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents)
	r.fake.Fail(fakepagerduty.ServerError)
	if out := r.show(sampleView()); len(out.Warnings) != 1 || len(r.fake.Incidents()) != 1 {
		t.Errorf("warnings %q, incidents %d", out.Warnings, len(r.fake.Incidents()))
	}
}

func TestARefusedCreationIsParkedWithTheVendorsWords(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents, func(c *Config) { c.From = "gone@example.com" })
	_, err := r.try(sampleView())
	if e := asError(t, err); e.Class != notify.Park || !strings.Contains(e.Message, "gone@example.com") {
		t.Errorf("%s: %v", e.Class, err)
	}
	r = newRoom(t, fakepagerduty.Options{}, incidents, func(c *Config) { c.APIToken = config.NewSecret("secret-token") })
	_, err = r.try(sampleView())
	if e := asError(t, err); e.Class != notify.Pause || e.Reason != "auth" || strings.Contains(e.Error(), "secret-token") {
		t.Errorf("%s: %v", e.Class, err)
	}
}

func TestASecondOpenIncidentIsFoundByItsKey(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents)
	r.show(sampleView())
	r.state = nil // a restored backup
	if out := r.show(sampleView()); out.Reference != "#1" || len(r.fake.Incidents()) != 1 {
		t.Errorf("reference %q, incidents %d", out.Reference, len(r.fake.Incidents()))
	}
}

func TestTheSearchIsForAllDatesAndTheService(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked <- req.URL.Query().Encode()
		_, _ = fmt.Fprint(w, `{"incidents":[]}`)
	}))
	defer srv.Close()
	r := newRoom(t, fakepagerduty.Options{}, incidents, func(c *Config) { c.RESTURL = srv.URL })
	if _, err := r.n.rest.find(t.Context(), mainKey, alert{BegunAt: clock}); err != nil {
		t.Fatal(err)
	}
	q := <-asked
	for _, part := range []string{"date_range=all", "service_ids%5B%5D=PSVC001", "incident_key=guardroom"} {
		if !strings.Contains(q, part) {
			t.Errorf("%s is missing in %s", part, q)
		}
	}
}

func TestAResponseIsToldInNotes(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, incidents)
	s := newStory()
	r.show(s.v)
	for _, k := range []incident.Kind{incident.KindPlanWaits, incident.KindRunStarted, incident.KindRunEnded, incident.KindEvidenceReady, incident.KindDrift, incident.KindReleased,
		incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain, incident.KindNotContained} {
		r.show(s.happens(k).v)
	}
	s.happens(incident.KindRunEnded)
	s.v.Events[len(s.v.Events)-1].Alerts = true // it failed
	r.show(s.v)
	r.show(s.v)
	want := []string{
		"It was plan_waits. (INC-42 2026-11-24 10:03:00 UTC)", "It was evidence_ready. (INC-42 2026-11-24 10:06:00 UTC)", "It was drift. (INC-42 2026-11-24 10:07:00 UTC)",
		"It was released. (INC-42 2026-11-24 10:08:00 UTC)", "It was run_late. (INC-42 2026-11-24 10:09:00 UTC)", "It was left_open. (INC-42 2026-11-24 10:10:00 UTC)",
		"It was closed_again. (INC-42 2026-11-24 10:11:00 UTC)", "It was not_contained. (INC-42 2026-11-24 10:12:00 UTC)",
		"It was run_ended. (INC-42 2026-11-24 10:13:00 UTC)",
	}
	if diff := cmp.Diff(want, r.fake.Incidents()[0].Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	r.noViolations()
}
