package jira

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify/message"
)

func hostileView(value string) *message.View {
	return &message.View{
		Kind: message.KindIncident, Number: "INC-42", State: incident.Open, Severity: 8, Band: 3,
		Meaning: message.Words("GuardDuty reports ").Value(value), Why: message.Value(value),
		DoNext:   []message.Text{message.Value(value)},
		Facts:    []message.Fact{{Label: "Resource", Value: message.Value(value)}},
		Findings: []message.Text{message.Value(value)}, RawFinding: []byte(value),
		Link: "https://guardroom.example/i/42", MergedInto: "INC-7", MergedLink: value, Runs: []message.Run{hostileRun(value), hostileRun(value)},
	}
}

func FuzzDescribeADF(f *testing.F) {
	for _, s := range []string{"", "i-0f3c", "[~admin]", `{"type":"doc"}`, "\x00\xff", strings.Repeat("x", 40000)} {
		f.Add(s)
	}
	cloud := &Notifier{cloud: true}
	f.Fuzz(func(t *testing.T, s string) {
		v := hostileView(s)
		desc := cloud.describe(v, []follow{{key: visibleKey(s), url: s, reason: whyGone}})
		w := &work{Notifier: cloud, v: v, state: state{People: true}}
		for _, doc := range []any{desc.value, w.commentBody(w.marker("7"), message.Value(s), incident.KindClosed), w.commentBody(w.marker("8"), message.Value(s), incident.KindEvidenceReady)} {
			raw, err := encode(doc)
			if err != nil {
				t.Fatal(err)
			}
			if err := fakejira.CheckADF(raw); err != nil {
				t.Errorf("value %q: %v", s, err)
			}
			if n := len(raw); n > 32767 {
				t.Errorf("value of %d bytes makes a document of %d", len(s), n)
			}
			if strings.Contains(string(raw), `"type":"mention"`) && !strings.Contains(s, "mention") {
				t.Errorf("value %q makes a mention", s)
			}
		}
		if whole, text := cloud.returned(must(t, desc.value)); whole == "" || text != desc.text {
			t.Errorf("value %q does not read back as it was written", s)
		}
	})
}

func must(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func FuzzDescribeWiki(f *testing.F) {
	for _, s := range []string{"[~admin]{noformat}{panel}", "https://x.example/|y]", strings.Repeat("{", 40000), "\r\nh1. x"} {
		f.Add(s)
	}
	server := &Notifier{}
	f.Fuzz(func(t *testing.T, s string) {
		v := hostileView(s)
		desc := server.describe(v, []follow{{key: visibleKey(s), url: s, reason: whyClosed}})
		got, _ := desc.value.(string)
		if n := strings.Count(got, "{noformat}"); n != 0 && n != 2 {
			t.Errorf("value %q makes %d noformat marks", s, n)
		}
		if n := strings.Count(got, "{panel}"); n != 2 {
			t.Errorf("value %q makes %d panel marks", s, n)
		}
		if strings.Contains(got, "[~") || utf8.RuneCountInString(got) > 32767 {
			t.Errorf("value %q makes a mention or %d characters", s, utf8.RuneCountInString(got))
		}
		w := &work{Notifier: server, v: v}
		if body, _ := w.commentBody(w.marker("7"), message.Value(s), incident.KindClosed).(string); strings.Contains(body, "[~") || strings.Contains(body, "{") || !w.holds(must(t, body), w.marker("7")) {
			t.Errorf("value %q makes the comment %q", s, body)
		}
	})
}

func FuzzSummaryAndLabel(f *testing.F) {
	f.Add("payments-api-3", "01JD8X7K3M")
	f.Add("a\r\nb\x00\u202e", "A b\"' \\")
	f.Add(strings.Repeat("ü", 400), strings.Repeat("x", 400))
	f.Fuzz(func(t *testing.T, headline, id string) {
		v := &message.View{Headline: message.Value(headline), Number: "INC-42", Band: 3, Incident: incident.ID(id)}
		if s := summary(v); s == "" || utf8.RuneCountInString(s) > maxSummary || strings.ContainsAny(s, "\r\n") || strings.TrimSpace(s) != s {
			t.Errorf("summary %q", s)
		}
		if l := idLabel(v); len(l) > maxLabel || strings.ContainsAny(l, " \t\r\n\"\\") {
			t.Errorf("label %q", l)
		}
	})
}
