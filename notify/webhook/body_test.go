package webhook

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakewebhook"
	"github.com/guardroom/guardroom/notify/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// compiled returns the published schema, with every object closed, so that a
// field which it does not describe is found.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, w := range v {
			closeObjects(w)
		}
	case []any:
		for _, w := range v {
			closeObjects(w)
		}
	}
}

func valid(t testing.TB, s *jsonschema.Schema, body []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
}

func TestGoldenBodies(t *testing.T) {
	t.Parallel()
	bad := "a\r\nb\x1b[31m\x00 \u202egpj\u202c <script> \xff"
	first := sampleView()
	acked := after(first, incident.KindAcknowledged, state(incident.Acknowledged), func(v *message.View) { v.AcknowledgedBy = "ana" })
	for _, tt := range []struct {
		name  string
		raw   bool
		views []*message.View
	}{
		{"opened", false, []*message.View{first}},
		{"raw", true, []*message.View{after(first, "", func(v *message.View) { v.Data = map[string]any{"number": "INC-42"} })}},
		{"acknowledged", false, []*message.View{first, acked}},
		{"merged", false, []*message.View{first, after(acked, incident.KindClosed, state(incident.Closed), func(v *message.View) {
			v.Verdict, v.MergedInto, v.ClosingNote = incident.Merged, "INC-7", "absorbed"
		})}},
		{"run", false, []*message.View{first, after(first, incident.KindPlanWaits, responds(message.Run{Plan: "pln_1", Digest: "7b3e91c4", What: "Containment",
			Target: "payments-api-3 (i-0f3c9d2a1b)", State: message.RunNeedsApproval, Total: 9, Next: "guardroom plan approve pln_1 --digest 7b3e91c4 --reason …"})),
			after(after(first, incident.KindPlanWaits), incident.KindRunEnded, responds(message.Run{ID: "run_1", Plan: "pln_1", Digest: "7b3e91c4", What: "Containment", Target: bad,
				State: message.RunPartFailed, Done: 9, Total: 9, Contained: true, Evidence: make([]message.RunEvidence, 3), Simulated: true}))}},
		{"hostile", true, []*message.View{after(first, "", func(v *message.View) {
			v.Headline, v.AccountName, v.ResourceARN, v.Type, v.Owner = message.Value(bad), bad, bad, bad, bad
			v.RawFinding = []byte("{broken")
		})}},
		{"notice", false, []*message.View{{Kind: message.KindNotice, Delivery: "n-1", Revision: 1, UpdatedAt: clock, Headline: message.Words("Source sqs is silent")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHook(t, fakewebhook.Options{}, func(c *Config) { c.Raw = tt.raw })
			for _, v := range tt.views {
				h.show(v)
			}
			var got bytes.Buffer
			schema := compiled(t)
			for _, m := range h.fake.Messages() {
				valid(t, schema, m.Body)
				if err := json.Indent(&got, m.Body, "", "  "); err != nil {
					t.Fatal(err)
				}
				got.WriteString("\n")
			}
			golden(t, tt.name+".json", got.Bytes())
		})
	}
}

func responds(runs ...message.Run) func(*message.View) {
	return func(v *message.View) { v.Runs = runs }
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./notify/webhook -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestTheSchemaKnowsEveryTypeAndState(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	n := newHook(t, fakewebhook.Options{}).n
	for _, kind := range []string{TypeOpened, TypeUpdated, TypeAcknowledged, TypeSeverityRaised, TypeContained, TypeClosed, TypeReopened,
		TypeMerged, TypePlanWaits, TypePlanDecided, TypeRunStarted, TypeRunEnded, TypeEvidenceReady, TypeReleased, TypeDrift, TypeDigest, TypeNotice, TypeTest} {
		for _, st := range []incident.State{"", incident.Open, incident.Acknowledged, incident.Contained, incident.Closed} {
			for _, verdict := range []incident.Verdict{"", incident.Malicious, incident.Benign, incident.FalsePositive, incident.Test, incident.Unknown, incident.Merged} {
				v := after(sampleView(), "", state(st), func(v *message.View) { v.Verdict = verdict })
				body, _, err := n.body(v, msg{id: "x", kind: kind, at: clock, event: &v.Events[0]})
				if err != nil {
					t.Fatal(err)
				}
				valid(t, s, body)
			}
		}
	}
}

func TestBodiesStaySmall(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ünïcode-", 5000)
	v := sampleView()
	v.Headline, v.Meaning, v.Why, v.Sentence = message.Value(long), message.Value(long), message.Value(long), message.Value(long)
	v.AccountName, v.ResourceARN, v.ClosingNote = long, long, long
	v.Data = map[string]string{"x": long}
	for range 100 {
		v.Facts = append(v.Facts, message.Fact{Label: "l", Value: message.Value(long)})
		v.Findings = append(v.Findings, message.Value(long))
		v.Runs = append(v.Runs, message.Run{ID: long, Plan: long, Digest: long, What: long, Target: long, State: message.RunRunning, Next: long})
	}
	body, warnings, err := newHook(t, fakewebhook.Options{}).n.body(v, msg{id: "x", kind: TypeOpened})
	if err != nil || len(body) > 40<<10 || len(warnings) != 1 {
		t.Errorf("%d bytes, warnings %q, error %v", len(body), warnings, err)
	}
	valid(t, compiled(t), body)
}

func TestAnIndependentLibraryVerifiesTheSignature(t *testing.T) {
	t.Parallel()
	h := newHook(t, fakewebhook.Options{Now: time.Now}, func(c *Config) { c.PreviousSecret = config.NewSecret(secretB) })
	h.n.now = time.Now
	h.show(sampleView())
	m := h.fake.Messages()[0]
	for _, secret := range []string{secretA, secretB} {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Verify(m.Body, m.Header); err != nil {
			t.Errorf("while a secret rotates, both verify: %v", err)
		}
		if err := w.Verify(append(slices.Clip(m.Body), ' '), m.Header); err == nil {
			t.Error("a changed body verifies")
		}
	}
	if got := len(strings.Fields(m.Header.Get("webhook-signature"))); got != 2 {
		t.Errorf("%d signatures, want 2", got)
	}
}

func TestNewSecretIsTaken(t *testing.T) {
	t.Parallel()
	s, err := NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newSigner(s, ""); err != nil {
		t.Error(err)
	}
	if _, err := NewSecret(strings.NewReader("short")); err == nil {
		t.Error("too little randomness gives a secret")
	}
}

func FuzzSignature(f *testing.F) {
	f.Add([]byte(strings.Repeat("k", 24)), "id", int64(1700000000), []byte(`{}`))
	f.Add([]byte(strings.Repeat("\xff", 64)), "", int64(-1), []byte{0, '.'})
	f.Fuzz(func(t *testing.T, key []byte, id string, at int64, body []byte) {
		w, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		header.Set("webhook-id", id)
		header.Set("webhook-timestamp", strconv.FormatInt(at, 10))
		header.Set("webhook-signature", signer{keys: [][]byte{[]byte("other"), key}}.sign(id, time.Unix(at, 0), body))
		if id == "" {
			return // refused by every verifier
		}
		if err := w.VerifyIgnoringTimestamp(body, header); err != nil {
			t.Errorf("%v", err)
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add("payments-api-3", "payments-prod", "CryptoCurrency:EC2/BitcoinTool.B!DNS", []byte(`{"Id":"1"}`), 8.0, int64(3))
	f.Add("a\r\n\x00\u202e\xff", "\U000e0041", "", []byte("{"), 0.0, int64(-1))
	s := compiled(f)
	n, err := New(Config{Webhook: config.Webhook{URL: config.NewSecret("https://h.example"), Secret: config.NewSecret(secretA), Raw: true}}, Deps{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, headline, account, typ string, raw []byte, severity float64, revision int64) {
		sev, err := finding.CheckSeverity(severity)
		if err != nil || revision < 0 {
			return
		}
		v := &message.View{Kind: message.KindIncident, Delivery: "d", Revision: revision, Severity: sev, Headline: message.Value(headline),
			AccountName: account, Type: typ, RawFinding: raw, UpdatedAt: clock, Facts: []message.Fact{{Label: account, Value: message.Value(typ)}}}
		m, more := next(v, deliveryState{})
		if !more {
			t.Fatal("nothing to send")
		}
		one, _, err := n.body(v, m)
		if err != nil {
			t.Fatal(err)
		}
		two, _, _ := n.body(v, m)
		if !bytes.Equal(one, two) {
			t.Error("equal views give other bytes")
		}
		valid(t, s, one)
	})
}
