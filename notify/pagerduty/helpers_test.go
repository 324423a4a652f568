package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

const (
	ulid    = "01jd8x7k3m0000000000000042"
	mainKey = "guardroom/" + ulid
	critKey = mainKey + "/critical"
)

var clock = time.Date(2026, 11, 24, 10, 2, 0, 0, time.UTC)

// sampleView is a High incident as message.Build would describe it.
func sampleView() *message.View {
	return &message.View{
		Kind: message.KindIncident, Delivery: "d-1", Incident: ulid, Number: "INC-42", Revision: 1,
		Link: "https://guardroom.example/i/INC-42", Severity: 8, Band: finding.High, OpeningBand: finding.High, State: incident.Open,
		Headline: message.Words("Bitcoin mining from ").Value("payments-api-3"),
		Sentence: message.Words("HIGH: Bitcoin mining from ").Value("payments-api-3"),
		Meaning:  message.Words("The instance talks to a pool that mines Bitcoin."),
		Why:      message.Words("Somebody may run programs on it."),
		DoNext:   []message.Text{message.Words("Look at the process that makes the connection."), message.Words("Contain the instance.")},
		Facts: []message.Fact{
			{Label: "Resource", Value: message.Value("payments-api-3 (i-0f3c9d2a1b)")},
			{Label: "Actor", Value: message.Value("203.0.113.7, pool.evil.example")},
			{Label: "Exposure", Value: message.Words("public ").Value("198.51.100.4")},
		},
		Context: []message.Text{message.Words("Open"), message.Words("3 findings")},
		Type:    "CryptoCurrency:EC2/BitcoinTool.B!DNS", AccountID: "111111111111", AccountName: "payments-prod", Region: "eu-west-1",
		ResourceARN: "arn:aws:ec2:eu-west-1:111111111111:instance/i-0f3c9d2a1b", ResourceKind: finding.KindInstance, FindingID: "f-1",
		GuardDutyURL: "https://eu-west-1.console.aws.amazon.com/guardduty/home#f-1",
		LastSeen:     clock, UpdatedAt: clock,
		Elsewhere: []message.Reference{{Destination: "jira", Type: "jira", Label: "SEC-88", URL: "https://jira.example/browse/SEC-88"}},
		Events:    []message.Event{{Seq: 1, Kind: incident.KindOpened, At: clock}},
	}
}

// story changes a view step by step as the life of an incident does.
type story struct{ v *message.View }

func newStory() *story { return &story{sampleView()} }

func (s *story) happens(k incident.Kind) *story {
	v := *s.v
	v.Events = append(append([]message.Event{}, v.Events...), message.Event{
		Seq: int64(len(v.Events) + 1), Kind: k, At: clock.Add(time.Duration(len(v.Events)) * time.Minute),
		Text: message.Words("It was " + string(k) + "."), Who: message.Value("ana"),
	})
	v.Revision++
	s.v = &v
	return s
}

func (s *story) acknowledge() *story {
	s.happens(incident.KindAcknowledged).v.State = incident.Acknowledged
	return s
}

func (s *story) close() *story {
	s.happens(incident.KindClosed).v.State = incident.Closed
	return s
}

func (s *story) reopen() *story {
	s.happens(incident.KindReopened).v.State = incident.Open
	return s
}

func (s *story) raise(to finding.Severity) *story {
	s.happens(incident.KindSeverityRaised)
	s.v.Severity, s.v.Band = to, to.Band()
	return s
}

// room is a notifier with its fake and the state that it saved.
type room struct {
	t     testing.TB
	fake  *fakepagerduty.Server
	n     *Notifier
	cfg   Config
	state json.RawMessage
	saves int
	// failSave makes that save fail, counted from 1.
	failSave int
}

var errSave = errors.New("the store is away")

func newRoom(t testing.TB, opts fakepagerduty.Options, change ...func(*Config)) *room {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return clock }
	}
	fake, err := fakepagerduty.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	r := &room{t: t, fake: fake, cfg: Config{
		PagerDuty: config.PagerDuty{
			RoutingKey: config.NewSecret(fakepagerduty.DefaultRoutingKey), APIURL: fake.URL(),
			APIToken: config.NewSecret(fakepagerduty.DefaultToken), From: fakepagerduty.DefaultUser, ServiceID: fakepagerduty.DefaultService,
		},
		Destination: "pager", Timeout: 5 * time.Second,
	}}
	r.configure(change...)
	return r
}

func (r *room) configure(change ...func(*Config)) {
	r.t.Helper()
	for _, c := range change {
		c(&r.cfg)
	}
	n, err := New(r.cfg, Deps{Now: func() time.Time { return clock }})
	if err != nil {
		r.t.Fatal(err)
	}
	r.n = n
}

func incidents(c *Config) { c.Mode = "incidents" }

func (r *room) try(v *message.View) (notify.Outcome, error) {
	return r.n.Reconcile(context.Background(), notify.Request{View: v, State: r.state, Save: func(_ context.Context, s any) error {
		r.saves++
		if r.saves == r.failSave {
			return errSave
		}
		raw, err := json.Marshal(s)
		r.state = raw
		return err
	}})
}

// show reconciles and expects success.
func (r *room) show(v *message.View) notify.Outcome {
	r.t.Helper()
	out, err := r.try(v)
	if err != nil {
		r.t.Fatalf("reconcile revision %d: %v", v.Revision, err)
	}
	return out
}

// alerts returns "key status severity" for each alert.
func (r *room) alerts() []string {
	var out []string
	for _, a := range r.fake.Alerts() {
		out = append(out, a.DedupKey+" "+string(a.Status)+" "+a.Severity)
	}
	return out
}

// actions returns the event actions that arrived, for the key named.
func (r *room) actions() []string {
	var out []string
	for _, ex := range r.fake.Transcript() {
		var e struct {
			Action string `json:"event_action"`
			Key    string `json:"dedup_key"`
		}
		if json.Unmarshal([]byte(ex.Body), &e) == nil && e.Action != "" {
			if e.Key == critKey {
				e.Action += " critical"
			}
			out = append(out, e.Action)
		}
	}
	return out
}

func (r *room) noViolations() {
	r.t.Helper()
	for _, v := range r.fake.Violations() {
		r.t.Errorf("violation: %s", v)
	}
}
