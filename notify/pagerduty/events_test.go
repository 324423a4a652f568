package pagerduty

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify/message"
)

func TestEventsFollowTheIncident(t *testing.T) {
	t.Parallel()
	type stage func(*story) *story
	open := func(s *story) *story { return s }
	becomes := func(k incident.Kind, state incident.State) stage {
		return func(s *story) *story {
			s.happens(k).v.State = state
			s.v.Events[len(s.v.Events)-1].Became = state
			return s
		}
	}
	contain, release := becomes(incident.KindContained, incident.Contained), becomes(incident.KindReleased, incident.Open)
	letGo := becomes(incident.KindDrift, incident.Open)
	for _, tt := range []struct {
		name    string
		change  func(*Config)
		stages  []stage // one reconcile each
		actions []string
		alerts  []string
	}{
		{"an open incident triggers once, however often it is shown", nil, []stage{open, open, open},
			[]string{"trigger"}, []string{mainKey + " triggered error"}},
		{"acknowledged and closed become acknowledge and resolve", nil, []stage{open, (*story).acknowledge, (*story).close},
			[]string{"trigger", "acknowledge", "resolve"}, []string{mainKey + " resolved error"}},
		{"contained counts as acknowledged", nil, []stage{open, contain}, []string{"trigger", "acknowledge"}, []string{mainKey + " acknowledged error"}},
		{"released by an undo stays as it is while the incident is open", nil, []stage{open, contain, release, open, (*story).close}, []string{"trigger", "acknowledge", "resolve"}, []string{mainKey + " resolved error"}},
		{"what somebody let out pages again, once", nil, []stage{open, contain, letGo, func(s *story) *story { return s.happens(incident.KindDrift) }, open},
			[]string{"trigger", "acknowledge", "resolve", "trigger"}, []string{mainKey + " resolved error", mainKey + " triggered error"}},
		{"and whoever puts it back does not call that off", nil, []stage{open, contain, letGo, func(s *story) *story { return s.happens(incident.KindProven) }, open, (*story).close},
			[]string{"trigger", "acknowledge", "resolve", "trigger", "resolve"}, []string{mainKey + " resolved error", mainKey + " resolved error"}},
		{"let out again it pages again", nil, []stage{open, contain, letGo, letGo, open},
			[]string{"trigger", "acknowledge", "resolve", "trigger", "resolve", "trigger"},
			[]string{mainKey + " resolved error", mainKey + " resolved error", mainKey + " triggered error"}},
		{"also after somebody acknowledged it", nil, []stage{open, contain, letGo, (*story).acknowledge, letGo},
			[]string{"trigger", "acknowledge", "resolve", "trigger", "acknowledge", "resolve", "trigger"},
			[]string{mainKey + " resolved error", mainKey + " resolved error", mainKey + " triggered error"}},
		{"also where an undo had released it before", nil, []stage{open, contain, release, contain, letGo},
			[]string{"trigger", "acknowledge", "resolve", "trigger"}, []string{mainKey + " resolved error", mainKey + " triggered error"}},
		{"an undo of something else does not end that", nil, []stage{open, contain, letGo, func(s *story) *story { return s.happens(incident.KindReleased) }},
			[]string{"trigger", "acknowledge", "resolve", "trigger"}, []string{mainKey + " resolved error", mainKey + " triggered error"}},
		{"a new containment and its undo do", nil, []stage{open, contain, letGo, contain, release},
			[]string{"trigger", "acknowledge", "resolve", "trigger", "acknowledge"}, []string{mainKey + " resolved error", mainKey + " acknowledged error"}},
		{"a finding that only updates the incident sends nothing", nil,
			[]stage{open, func(s *story) *story { return s.happens(incident.KindFindingUpdated) }},
			[]string{"trigger"}, []string{mainKey + " triggered error"}},
		{"a resource that joins sends the trigger again", nil,
			[]stage{open, func(s *story) *story { return s.happens(incident.KindResourceJoined) }, open},
			[]string{"trigger", "trigger"}, []string{mainKey + " triggered error"}},
		{"a rise of severity while open sends the trigger again", nil,
			[]stage{open, func(s *story) *story { return s.raise(9.2) }},
			[]string{"trigger", "trigger"}, []string{mainKey + " triggered critical"}},
		{"a rise to critical while acknowledged pages once more and both end together", nil,
			[]stage{open, (*story).acknowledge, func(s *story) *story { return s.raise(9.2) }, open, func(s *story) *story { return s.raise(9.5) }, (*story).close},
			[]string{"trigger", "acknowledge", "trigger critical", "trigger", "trigger", "resolve", "resolve critical"},
			[]string{mainKey + " resolved critical", critKey + " resolved critical"}},
		{"a rise to critical pages nobody again where that is switched off", func(c *Config) { c.PageAgainAt = "never" },
			[]stage{open, (*story).acknowledge, func(s *story) *story { return s.raise(9.2) }},
			[]string{"trigger", "acknowledge", "trigger"}, []string{mainKey + " acknowledged critical"}},
		{"acknowledged and raised between two looks pages once more", nil,
			[]stage{open, func(s *story) *story { return s.acknowledge().raise(9.2) }},
			[]string{"trigger", "trigger critical", "trigger", "acknowledge"},
			[]string{mainKey + " acknowledged critical", critKey + " triggered critical"}},
		{"raised and then acknowledged between two looks does not", nil,
			[]stage{open, func(s *story) *story { return s.raise(9.2).acknowledge() }},
			[]string{"trigger", "trigger", "acknowledge"}, []string{mainKey + " acknowledged critical"}},
		{"whoever takes over after the second page ends it", nil,
			[]stage{open, (*story).acknowledge, func(s *story) *story { return s.raise(9.2) }, (*story).acknowledge},
			[]string{"trigger", "acknowledge", "trigger critical", "trigger", "acknowledge critical"},
			[]string{mainKey + " acknowledged critical", critKey + " acknowledged critical"}},
		{"reopened makes a new alert", nil, []stage{open, (*story).close, (*story).reopen},
			[]string{"trigger", "resolve", "trigger"}, []string{mainKey + " resolved error", mainKey + " triggered error"}},
		{"closed and reopened between two looks pages again after an acknowledgement", nil,
			[]stage{open, (*story).acknowledge, func(s *story) *story { return s.close().reopen() }},
			[]string{"trigger", "acknowledge", "resolve", "trigger"}, []string{mainKey + " resolved error", mainKey + " triggered error"}},
		{"closed before anything was sent sends nothing", nil, []stage{(*story).close}, nil, nil},
		{"below min_severity sends nothing until it rises", func(c *Config) { c.MinSeverity = "critical" },
			[]stage{open, (*story).close, (*story).reopen, func(s *story) *story { return s.raise(9) }},
			[]string{"trigger"}, []string{mainKey + " triggered critical"}},
		{"informational never pages by default", nil, []stage{func(s *story) *story {
			s.v.Severity, s.v.Band = 0.5, finding.Informational
			return s
		}}, nil, nil},
		{"a sample finding never pages", nil, []stage{func(s *story) *story { s.v.Sample = true; return s }, (*story).acknowledge, (*story).close}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var change []func(*Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			r := newRoom(t, fakepagerduty.Options{}, change...)
			s := newStory()
			for _, stage := range tt.stages {
				out := r.show(stage(s).v)
				if len(tt.actions) == 0 && out.Quiet == "" {
					t.Error("nothing was sent and nothing says why")
				}
			}
			if diff := cmp.Diff(tt.actions, r.actions()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.alerts, r.alerts()); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
			for _, ex := range r.fake.Transcript() {
				if strings.HasPrefix(ex.Effect, "dropped") {
					t.Errorf("an event had nothing to change: %s", ex.Body)
				}
			}
			r.noViolations()
		})
	}
}

func TestSeverityIsOneOfTheFourWords(t *testing.T) {
	t.Parallel()
	for s, want := range map[finding.Severity]string{
		0: "info", 0.9: "info", 1: "info", 3.9: "info", 4: "warning", 6.9: "warning", 7: "error", 8.9: "error", 9: "critical", 10: "critical",
	} {
		if got := severityOf(s.Band()); got != want {
			t.Errorf("severity %s is sent as %q, want %q", s, got, want)
		}
	}
}

func TestOtherKindsOfViews(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		kind    message.Kind
		states  []incident.State
		actions []string
		alert   string
	}{
		{"a digest is one alert", message.KindDigest, []incident.State{"", ""}, []string{"trigger"}, "guardroom/own-id triggered warning"},
		{"a notice warns, and is resolved with it", message.KindNotice, []incident.State{incident.Open, incident.Closed}, []string{"trigger", "resolve"}, "guardroom/own-id resolved warning"},
		{"a test begins and ends at once", message.KindTest, []incident.State{incident.Open, incident.Open}, []string{"trigger", "resolve"}, "guardroom/own-id resolved info"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakepagerduty.Options{})
			for i, st := range tt.states {
				r.show(&message.View{Kind: tt.kind, Delivery: "d-9", Incident: "own-id", Revision: int64(i + 1), State: st,
					Headline: message.Words("14 more incidents in 5 minutes"), UpdatedAt: clock})
			}
			if diff := cmp.Diff(tt.actions, r.actions()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{tt.alert}, r.alerts()); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
			r.noViolations()
		})
	}
}

func TestRotatedKey(t *testing.T) {
	t.Parallel()
	second := strings.Repeat("b", 32)
	rotate := func(c *Config) { c.RoutingKey = config.NewSecret(second) }
	for _, tt := range []struct {
		name     string
		before   func(*story) *story
		after    func(*story) *story
		byNewKey []string
		warns    bool
	}{
		{"an open incident is triggered anew", nil, nil, []string{"triggered"}, true},
		{"a closed one is not, and the old alert is named", nil, (*story).close, nil, true},
		{"an acknowledged one is not", (*story).acknowledge, nil, nil, true},
		{"an acknowledged one that rises to critical pages by the new key", (*story).acknowledge,
			func(s *story) *story { return s.raise(9.1) }, []string{"triggered"}, true},
		{"one that was resolved before leaves nothing behind", (*story).close, nil, nil, false},
		{"one that is reopened later gets its alert", (*story).close, (*story).reopen, []string{"triggered"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakepagerduty.Options{RoutingKeys: []string{fakepagerduty.DefaultRoutingKey, second}})
			s := newStory()
			r.show(s.v)
			if tt.before != nil {
				r.show(tt.before(s).v)
			}
			r.configure(rotate)
			if tt.after != nil {
				tt.after(s)
			}
			out := r.show(s.v)
			if (len(out.Warnings) > 0) != tt.warns {
				t.Errorf("warnings: %q, want some: %t", out.Warnings, tt.warns)
			}
			r.show(s.v) // and it stays so
			var got []string
			for _, a := range r.fake.Alerts() {
				if a.RoutingKey == second {
					got = append(got, string(a.Status))
				}
			}
			if diff := cmp.Diff(tt.byNewKey, got); diff != "" {
				t.Errorf("alerts by the new key (-want +got):\n%s", diff)
			}
			for _, ex := range r.fake.Transcript() {
				if strings.HasPrefix(ex.Effect, "dropped") {
					t.Errorf("an event had nothing to change: %s", ex.Body)
				}
			}
			if strings.Contains(string(r.state), second) || strings.Contains(string(r.state), fakepagerduty.DefaultRoutingKey) {
				t.Error("the state holds a routing key")
			}
		})
	}
}

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		cfg          config.PagerDuty
		events, rest string
	}{
		{"the default is the United States", config.PagerDuty{}, "https://events.pagerduty.com", "https://api.pagerduty.com"},
		{"the region holds for both APIs", config.PagerDuty{Region: "eu"}, "https://events.eu.pagerduty.com", "https://api.eu.pagerduty.com"},
		{"api_url stands for both", config.PagerDuty{Region: "eu", APIURL: "http://127.0.0.1:1/"}, "http://127.0.0.1:1", "http://127.0.0.1:1"},
		{"api_url may carry the path", config.PagerDuty{APIURL: "http://p/pd/v2/enqueue"}, "http://p/pd", "http://p/pd"},
		{"and a slash after it", config.PagerDuty{APIURL: "http://p/v2/enqueue/"}, "http://p", "http://p"},
		{"rest_url has its own say", config.PagerDuty{APIURL: "http://p", RESTURL: "http://r/"}, "http://p", "http://r"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := eventsBase(tt.cfg); got != tt.events {
				t.Errorf("events at %s, want %s", got, tt.events)
			}
			if got := restBase(tt.cfg); got != tt.rest {
				t.Errorf("REST at %s, want %s", got, tt.rest)
			}
		})
	}
	r := newRoom(t, fakepagerduty.Options{}, func(c *Config) { c.APIURL += "/v2/enqueue" })
	r.show(sampleView())
	if len(r.fake.Alerts()) != 1 {
		t.Error("an api_url with the path did not reach the API")
	}
}

func TestNewNamesEveryProblemAndNoSecret(t *testing.T) {
	t.Parallel()
	_, err := New(Config{PagerDuty: config.PagerDuty{RoutingKey: config.NewSecret("short-secret"), Region: "mars", PageAgainAt: "low",
		MinSeverity: "big", APIURL: "ftp://x", Priorities: map[string]string{"huge": "P0"}}}, Deps{})
	if err == nil {
		t.Fatal("taken")
	}
	for _, word := range []string{"routing_key", "region", "page_again_at", "min_severity", "api_url", "priorities"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not named in: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "short-secret") {
		t.Error("the error repeats the key")
	}
	if _, err = New(Config{PagerDuty: config.PagerDuty{Mode: "incidents", From: "Ana <a@example.com>"}}, Deps{}); err == nil ||
		!strings.Contains(err.Error(), "api_token") || !strings.Contains(err.Error(), "service_id") || !strings.Contains(err.Error(), "from") {
		t.Errorf("mode incidents: %v", err)
	}
}

func TestTestAndCheck(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{})
	said, err := r.n.Test(t.Context())
	if err != nil || !strings.Contains(said, "TEST test of destination pager") {
		t.Errorf("test says %q, %v", said, err)
	}
	if got := r.fake.Alerts(); len(got) != 1 || got[0].Status != fakepagerduty.Resolved || got[0].Severity != "info" {
		t.Errorf("alerts: %+v", got)
	}
	if got := r.n.Check(t.Context()); len(got) != 1 || !got[0].OK || !strings.Contains(got[0].Message, "only tried") {
		t.Errorf("check: %+v", got)
	}
	if n := len(r.fake.Transcript()); n != 2 {
		t.Errorf("%d requests, want 2: a check changes nothing", n)
	}

	r = newRoom(t, fakepagerduty.Options{}, incidents)
	if said, err = r.n.Test(t.Context()); err != nil || !strings.Contains(said, "#1") {
		t.Errorf("test says %q, %v", said, err)
	}
	for _, f := range r.n.Check(t.Context()) {
		if !f.OK {
			t.Errorf("check: %+v", f)
		}
	}
	r.noViolations()
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		opts   fakepagerduty.Options
		what   string
	}{
		{"the token", func(c *Config) { c.APIToken = config.NewSecret("other") }, fakepagerduty.Options{}, "token"},
		{"the service", func(c *Config) { c.ServiceID = "PNONE" }, fakepagerduty.Options{}, "service PNONE"},
		{"the sender", func(c *Config) { c.From = "gone@example.com" }, fakepagerduty.Options{}, "from gone@example.com"},
		{"the priorities", func(*Config) {}, fakepagerduty.Options{Priorities: []fakepagerduty.Priority{{ID: "X", Name: "P1"}}}, "priorities"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, tt.opts, incidents, tt.change)
			var bad []string
			for _, f := range r.n.Check(t.Context()) {
				if !f.OK {
					bad = append(bad, f.What)
					if f.Hint == "" {
						t.Errorf("%s has no hint", f.What)
					}
				}
			}
			if diff := cmp.Diff([]string{tt.what}, bad); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimeScaleDividesWaits(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{}, func(c *Config) { c.TimeScale = 100 })
	for _, want := range []time.Duration{300 * time.Millisecond, 600 * time.Millisecond, 1200 * time.Millisecond} {
		r.fake.Fail(fakepagerduty.RateLimited)
		_, err := r.try(sampleView())
		if e := asError(t, err); e.After != want || !e.DestinationWide || e.Reason != "rate_limited" {
			t.Errorf("after %v, wide %t, reason %s; want %v", e.After, e.DestinationWide, e.Reason, want)
		}
	}
	r.show(sampleView())
}
