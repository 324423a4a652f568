package slack

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

const (
	ulid     = "01jd8x7k3m0000000000000042"
	delivery = "dlv-1"
)

var start = time.Date(2026, 11, 24, 10, 54, 0, 0, time.UTC)

// hands is a clock that stands still until it is moved.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func newHands() *hands { return &hands{now: start} }

func (h *hands) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hands) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// mining is a High incident as message.Build would describe it.
func mining() *message.View {
	return &message.View{
		Kind: message.KindIncident, Delivery: delivery, Incident: ulid, Number: "INC-42", Revision: 1,
		Link: "https://guardroom.example/incidents/INC-42", Severity: 8, Band: finding.High, OpeningBand: finding.High, State: incident.Open,
		Headline: message.Words("Bitcoin mining from ").Value("payments-api-3"),
		Sentence: message.Words("HIGH: Bitcoin mining from ").Value("payments-api-3").Words(" (").Value("i-0f3c9d2a1b").
			Words(") in ").Value("payments-prod").Words(", ").Value("eu-west-1").Words(". INC-42, open."),
		Meaning: message.Words("The instance asked for the address of a mining pool."),
		Why:     message.Words("Somebody may run programs on it."),
		DoNext:  []message.Text{message.Words("Look at the processes of the instance."), message.Words("Look at the use of its role.")},
		Facts: []message.Fact{
			{Label: "Resource", Value: message.Value("payments-api-3").Words(" (").Value("i-0f3c9d2a1b").Words(")")},
			{Label: "Account", Value: message.Value("payments-prod").Words(" (").Value("111111111111").Words(")")},
			{Label: "Region", Value: message.Value("eu-west-1")},
			{Label: "Actor", Value: message.Value("203.0.113.7").Words(", AS").Value("64500").Words(" ").Value("Example Hosting")},
			{Label: "Owner", Value: message.Value("team-payments")},
			{Label: "Seen", Value: message.Words("7 times between 10:02 and 10:41 UTC")},
			{Label: "Exposure", Value: message.Value("public 203.0.113.4, role payments-api")},
		},
		Context:      []message.Text{message.Words("Open"), message.Words("unassigned"), message.Words("3 findings"), message.Value("SEC-88"), message.Words("PagerDuty"), message.Words("12 min")},
		Elsewhere:    []message.Reference{{Destination: "jira", Type: "jira", Label: "SEC-88", URL: "https://jira.example/browse/SEC-88", State: "delivered"}},
		GuardDutyURL: "https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3Df0e1",
		Type:         "CryptoCurrency:EC2/BitcoinTool.B!DNS", UpdatedAt: start,
	}
}

// story changes a view step by step as the life of an incident does. Each step
// leaves the earlier view as it was.
type story struct{ v *message.View }

func newStory() *story { return &story{mining()} }

func (s *story) happens(k incident.Kind, alerts bool, text message.Text) *story {
	v := *s.v
	seq := int64(2)
	if n := len(v.Events); n > 0 {
		seq = v.Events[n-1].Seq + 2
	}
	v.Events = append(slices.Clone(v.Events), message.Event{Seq: seq, Kind: k, At: start, Who: message.Value("ana"), Text: text, Alerts: alerts})
	v.Revision++
	s.v = &v
	return s
}

func (s *story) acknowledge() *story {
	s.happens(incident.KindAcknowledged, false, message.Value("ana").Words(" acknowledged the incident."))
	s.v.State, s.v.DoNext = incident.Acknowledged, nil
	s.v.Context = []message.Text{message.Words("Acknowledged by ").Value("ana").Words(" 10:44 UTC"), message.Words("3 findings"), message.Words("12 min")}
	return s
}

func (s *story) raise(to finding.Severity) *story {
	from := s.v.Severity
	s.happens(incident.KindSeverityRaised, to.Band() > from.Band(), message.Words("Severity rose from "+from.Label()+" "+from.String()+" to "+to.Label()+" "+to.String()+"."))
	s.v.Severity, s.v.Band = to, to.Band()
	return s
}

func (s *story) contain() *story {
	s.happens(incident.KindContained, true, message.Words("Contained: the security groups were looked at again and hold."))
	s.v.State, s.v.DoNext = incident.Contained, nil
	s.v.Context = []message.Text{message.Words("Contained 10:49 UTC"), message.Words("3 findings")}
	return s
}

func (s *story) close() *story {
	s.happens(incident.KindClosed, false, message.Value("ana").Words(" closed the incident as false positive: ").Value("our own test, see wiki.example.com").Words("."))
	s.v.State, s.v.Verdict, s.v.ClosingNote, s.v.DoNext = incident.Closed, incident.FalsePositive, "our own test, see wiki.example.com", nil
	s.v.Context = []message.Text{message.Words("Closed as false positive by ").Value("ana").Words(" 10:53 UTC"), message.Words("was open for 11 min")}
	return s
}

func (s *story) merge() *story {
	s.close()
	s.v.Verdict, s.v.ClosingNote, s.v.MergedInto, s.v.MergedLink = incident.Merged, "merged into INC-7", "INC-7", "https://guardroom.example/incidents/INC-7"
	s.v.Context = []message.Text{message.Words("Closed 10:53 UTC, merged into INC-7"), message.Words("was open for 11 min")}
	return s
}

func (s *story) reopen() *story {
	s.happens(incident.KindReopened, true, message.Words("guardroom reopened the incident: a new revision was higher."))
	m := mining()
	s.v.State, s.v.Verdict, s.v.ClosingNote, s.v.DoNext, s.v.Context = incident.Open, "", "", m.DoNext, m.Context
	return s
}

// update is a new revision that changes what is shown and is worth no line.
func (s *story) update(seen string) *story {
	v := *s.v
	v.Revision++
	v.Facts = slices.Clone(v.Facts)
	v.Facts[5].Value = message.Words(seen)
	s.v = &v
	return s
}

// room is a notifier with its fake and the state that it saved.
type room struct {
	t     testing.TB
	fake  *fakeslack.Server
	n     *Notifier
	cfg   Config
	clock *hands
	state json.RawMessage
	saves int
	// failSave makes that save fail, counted from 1; lateSave makes it fail
	// after it has been written.
	failSave, lateSave int
}

var errSave = errors.New("the store is away")

// newRoom has a fake whose limits do not matter, unless opts say so.
func newRoom(t testing.TB, opts fakeslack.Options, change ...func(*Config)) *room {
	t.Helper()
	r := &room{t: t, clock: newHands()}
	if opts.Now == nil {
		opts.Now = r.clock.Now
	}
	if opts.PostsPerSecond == 0 {
		opts.PostsPerSecond = -1
	}
	if opts.CallsPerMinute == 0 {
		opts.CallsPerMinute = -1
	}
	fake, err := fakeslack.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	r.fake = fake
	r.cfg = Config{
		Slack:       config.Slack{Token: config.NewSecret(fakeslack.DefaultToken), Channel: "#soc", APIURL: fake.URL()},
		Destination: "soc", Timeout: 5 * time.Second,
	}
	r.restart(change...)
	return r
}

// restart is a new process with the same state.
func (r *room) restart(change ...func(*Config)) {
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

func (r *room) byWebhook() func(*Config) {
	return func(c *Config) {
		c.Token, c.Channel, c.WebhookURL = config.Secret{}, "", config.NewSecret(r.fake.WebhookURL())
	}
}

func (r *room) try(v *message.View) (notify.Outcome, error) {
	return r.n.Reconcile(context.Background(), notify.Request{View: v, State: r.state, Save: func(_ context.Context, s any) error {
		r.saves++
		if r.saves == r.failSave {
			return errSave
		}
		raw, err := json.Marshal(s)
		r.state = raw
		if r.saves == r.lateSave {
			return errSave
		}
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

// settle reconciles until it succeeds, as the deliverer does: it comes again
// after the time that was asked for.
func (r *room) settle(v *message.View) notify.Outcome {
	r.t.Helper()
	for range 80 {
		out, err := r.try(v)
		if err == nil {
			return out
		}
		if errors.Is(err, errSave) {
			r.restart()
			continue
		}
		e := notify.AsError(err)
		if e.Class != notify.Retry {
			r.t.Fatalf("%s: %v", e.Class, err)
		}
		r.clock.pass(max(e.After, time.Second))
	}
	r.t.Fatal("does not come to an end")
	return notify.Outcome{}
}

// fails reconciles and expects an error of a class.
func (r *room) fails(v *message.View, class notify.Class) *notify.Error {
	r.t.Helper()
	_, err := r.try(v)
	var e *notify.Error
	if !errors.As(err, &e) {
		r.t.Fatalf("got %v, want a failure of class %s", err, class)
	}
	if e.Class != class {
		r.t.Fatalf("class %s, want %s: %v", e.Class, class, err)
	}
	return e
}

// only returns the one root message.
func (r *room) only() fakeslack.Message {
	r.t.Helper()
	all := r.fake.Messages()
	if len(all) != 1 {
		r.t.Fatalf("%d root messages, want 1: %+v", len(all), all)
	}
	return all[0]
}

func (r *room) replies() []fakeslack.Message {
	r.t.Helper()
	m := r.only()
	return r.fake.Replies(m.Channel, m.TS)
}

// calls counts the calls of a method.
func (r *room) calls(method string) int {
	n := 0
	for _, ex := range r.fake.Transcript() {
		if ex.Method == method {
			n++
		}
	}
	return n
}

func (r *room) noViolations() {
	r.t.Helper()
	for _, v := range r.fake.Violations() {
		r.t.Errorf("violation: %s", v)
	}
}
