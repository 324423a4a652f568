package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakewebhook"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

var (
	clock   = time.Date(2026, 11, 24, 10, 2, 0, 0, time.UTC)
	secretA = secretPrefix + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 32)))
	secretB = secretPrefix + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("b", 32)))
)

func sampleView() *message.View {
	return &message.View{
		Kind: message.KindIncident, Delivery: "d-1", Incident: "01jd8x7k3m0000000000000042", Number: "INC-42", Revision: 1,
		Link: "https://guardroom.example/i/INC-42", Severity: 8, Band: finding.High, State: incident.Open,
		Headline: message.Words("Bitcoin mining from ").Value("payments-api-3"),
		Sentence: message.Words("HIGH: Bitcoin mining from ").Value("payments-api-3"),
		Meaning:  message.Words("The instance talks to a pool that mines Bitcoin."),
		DoNext:   []message.Text{message.Words("Look at the process.")},
		Facts:    []message.Fact{{Label: "Actor", Value: message.Value("203.0.113.7")}},
		Findings: []message.Text{message.Words("one finding")},
		Type:     "CryptoCurrency:EC2/BitcoinTool.B!DNS", AccountID: "111111111111", AccountName: "payments-prod", Region: "eu-west-1",
		ResourceARN: "arn:aws:ec2:eu-west-1:111111111111:instance/i-0f3c9d2a1b", ResourceKind: finding.KindInstance, FindingID: "f-1",
		OpenedAt: clock, UpdatedAt: clock, FirstSeen: clock, LastSeen: clock,
		Elsewhere:  []message.Reference{{Type: "jira", Label: "SEC-88", URL: "https://jira.example/browse/SEC-88", State: "delivered"}},
		Events:     []message.Event{{Seq: 1, Kind: incident.KindOpened, At: clock, Text: message.Words("Opened.")}},
		RawFinding: []byte(`{"Id":"f-1"}`),
	}
}

// after returns v one revision later, with an entry of kind k, if any.
func after(v *message.View, k incident.Kind, change ...func(*message.View)) *message.View {
	w := *v
	w.Revision++
	if k != "" {
		w.Events = append(append([]message.Event{}, v.Events...), message.Event{
			Seq: int64(len(v.Events) + 1), Kind: k, At: clock.Add(time.Duration(len(v.Events)) * time.Minute),
			Who: message.Value("ana"), Text: message.Words("It was ").Words(string(k)).Words("."),
		})
	}
	w.UpdatedAt = clock.Add(time.Duration(w.Revision) * time.Minute)
	for _, c := range change {
		c(&w)
	}
	return &w
}

// hook is a notifier with its receiver and the state that it saved.
type hook struct {
	t        testing.TB
	fake     *fakewebhook.Server
	n        *Notifier
	state    json.RawMessage
	saves    int
	failSave int
}

var errSave = errors.New("the store is away")

func newHook(t testing.TB, opts fakewebhook.Options, change ...func(*Config)) *hook {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return clock }
	}
	opts.Secret = secretA
	fake, err := fakewebhook.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	h := &hook{t: t, fake: fake}
	cfg := Config{Webhook: config.Webhook{URL: config.NewSecret(fake.URL()), Secret: config.NewSecret(secretA), Insecure: true, AllowPrivate: true},
		Destination: "siem", Timeout: 5 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	if h.n, err = New(cfg, Deps{Now: func() time.Time { return clock }}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hook) try(v *message.View) (notify.Outcome, error) {
	return h.n.Reconcile(context.Background(), notify.Request{View: v, State: h.state, Save: func(_ context.Context, s any) error {
		h.saves++
		if h.saves == h.failSave {
			return errSave
		}
		raw, err := json.Marshal(s)
		h.state = raw
		return err
	}})
}

func (h *hook) show(v *message.View) notify.Outcome {
	h.t.Helper()
	out, err := h.try(v)
	if err != nil {
		h.t.Fatalf("reconcile revision %d: %v", v.Revision, err)
	}
	return out
}

// got returns "id type" for each message taken.
func (h *hook) got() []string {
	var out []string
	for _, m := range h.fake.Messages() {
		out = append(out, m.ID+" "+m.Type)
	}
	return out
}

func (h *hook) noViolations() {
	h.t.Helper()
	for _, v := range h.fake.Violations() {
		h.t.Errorf("violation: %s", v)
	}
}

func asError(t *testing.T, err error) *notify.Error {
	t.Helper()
	var e *notify.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *notify.Error", err)
	}
	return e
}
