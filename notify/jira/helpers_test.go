package jira

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

const (
	ulid  = "01jd8x7k3m0000000000000042"
	label = "gr-" + ulid
)

var start = time.Date(2026, 11, 24, 10, 2, 0, 0, time.UTC)

// clock is a clock that only the test moves; the fake and the notifier share it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

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
		},
		Findings:  []message.Text{message.Words("HIGH 8.0 ").Value("CryptoCurrency:EC2/BitcoinTool.B!DNS")},
		AccountID: "111111111111", AccountName: "payments-prod", Region: "eu-west-1",
		LastSeen: start, UpdatedAt: start, RawFinding: []byte("{\n  \"id\": \"f-1\"\n}"),
		Events: []message.Event{{Seq: 1, Kind: incident.KindOpened, At: start}},
	}
}

// story changes a view step by step as the life of an incident does.
type story struct{ v *message.View }

func newStory() *story { return &story{sampleView()} }

func (s *story) happens(k incident.Kind) *story {
	v := *s.v
	v.Events = append(append([]message.Event{}, v.Events...), message.Event{
		Seq: int64(len(v.Events) + 1), Kind: k, At: start.Add(time.Duration(len(v.Events)) * time.Minute),
		Text: message.Value("ana").Words(": " + string(k) + "."), Who: message.Value("ana"),
	})
	v.Revision++
	v.Facts = append(append([]message.Fact{}, sampleView().Facts...), message.Fact{Label: "Last event", Value: message.Words(string(k)).Value(time.Duration(v.Revision).String())})
	s.v = &v
	return s
}

func (s *story) acknowledge() *story {
	s.happens(incident.KindAcknowledged).v.State = incident.Acknowledged
	return s
}

func (s *story) close() *story {
	s.happens(incident.KindClosed).v.State = incident.Closed
	s.v.Verdict = incident.FalsePositive
	return s
}

func (s *story) reopen() *story {
	s.happens(incident.KindReopened).v.State = incident.Open
	s.v.Verdict = incident.NoVerdict
	return s
}

func (s *story) raise(to finding.Severity) *story {
	s.happens(incident.KindSeverityRaised)
	s.v.Severity, s.v.Band = to, to.Band()
	return s
}

// room is a notifier with its fake, the clock of both, and the state that was
// saved.
type room struct {
	t     testing.TB
	clock *clock
	fake  *fakejira.Server
	n     *Notifier
	cfg   Config
	state json.RawMessage
	saves int
	// failSave makes that save fail, counted from 1, and every later one.
	failSave int
}

var errSave = errors.New("the store is away")

func newRoom(t testing.TB, opts fakejira.Options, change ...func(*Config)) *room {
	t.Helper()
	c := &clock{now: start}
	opts.Now = c.Now
	fake, err := fakejira.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	r := &room{t: t, clock: c, fake: fake, cfg: Config{
		Jira: config.Jira{
			APIURL: fake.URL(), API: string(opts.Dialect), Email: fakejira.DefaultEmail,
			APIToken: config.NewSecret(fakejira.DefaultToken), Token: config.NewSecret(fakejira.DefaultToken),
			Project: fakejira.DefaultProject, IssueType: fakejira.DefaultIssueType,
			CloseTransition: "Done", ReopenTransition: "Reopen",
		},
		Destination: "tickets", Timeout: 5 * time.Second,
	}}
	if opts.Dialect == "" {
		r.cfg.API = "cloud"
	}
	r.configure(change...)
	return r
}

func (r *room) configure(change ...func(*Config)) {
	r.t.Helper()
	for _, c := range change {
		c(&r.cfg)
	}
	n, err := New(r.cfg, Deps{Now: r.clock.Now})
	if err != nil {
		r.t.Fatal(err)
	}
	r.n = n
}

// try reconciles once.
func (r *room) try(v *message.View) (notify.Outcome, error) {
	return r.n.Reconcile(context.Background(), notify.Request{View: v, State: r.state, Save: func(_ context.Context, s any) error {
		r.saves++
		if r.failSave > 0 && r.saves >= r.failSave {
			return errSave
		}
		raw, err := json.Marshal(s)
		r.state = raw
		return err
	}})
}

// show reconciles as often as is asked for, letting the time pass that is asked
// for, and expects success.
func (r *room) show(v *message.View) notify.Outcome {
	r.t.Helper()
	out, err := r.settle(v)
	if err != nil {
		r.t.Fatalf("reconcile revision %d: %v", v.Revision, err)
	}
	return out
}

// settle is show for those who expect a failure in the end.
func (r *room) settle(v *message.View) (notify.Outcome, error) {
	r.t.Helper()
	for range 200 {
		out, err := r.try(v)
		if err == nil {
			return out, nil
		}
		e := notify.AsError(err)
		if e.Class != notify.Retry {
			return out, err
		}
		r.clock.pass(max(e.After, time.Second))
	}
	r.t.Fatal("does not come to an end")
	return notify.Outcome{}, nil
}

// only returns the one issue that there must be.
func (r *room) only() fakejira.Issue {
	r.t.Helper()
	issues := r.fake.Issues()
	if len(issues) != 1 {
		r.t.Fatalf("%d issues, want 1: %+v", len(issues), issues)
	}
	return issues[0]
}

func (r *room) noViolations() {
	r.t.Helper()
	for _, v := range r.fake.Violations() {
		r.t.Errorf("violation: %s", v)
	}
}

func asError(t testing.TB, err error) *notify.Error {
	t.Helper()
	if err == nil {
		t.Fatal("it succeeded")
	}
	return notify.AsError(err)
}

// dialects runs a test against both.
func dialects(t *testing.T, f func(t *testing.T, d fakejira.Dialect)) {
	for _, d := range []fakejira.Dialect{fakejira.Cloud, fakejira.DataCenter} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			f(t, d)
		})
	}
}
