package pagerduty

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hostile is a view of which every value was written by an attacker.
func hostile() *message.View {
	const bad = "a\r\nb\x1b[31m\x00 \u202egpj.exe\u202c <script>@all</script> https://evil.example/x \xff"
	v := sampleView()
	v.Headline = message.Words("Bitcoin mining from ").Value(bad)
	v.Facts = []message.Fact{{Label: "Resource", Value: message.Value(bad)}, {Label: "Actor", Value: message.Value(strings.Repeat("x", 5000))}}
	v.AccountName, v.ResourceARN, v.Type, v.Owner, v.Region = bad, bad, bad, bad, "eu-west-1"
	v.Link = "javascript:alert(1)"
	v.GuardDutyURL = "https://x.example/a b"
	v.Elsewhere = []message.Reference{{Type: "slack", Label: bad, URL: "https://slack.example/1"}}
	return v
}

func huge() *message.View {
	long := strings.Repeat("ünïcode-", 20000)
	v := sampleView()
	v.Headline, v.Meaning, v.Why = message.Value(long), message.Value(long), message.Words(long)
	v.AccountName, v.ResourceARN, v.Type, v.Owner = long, long, long, long
	v.Link = "https://guardroom.example/" + strings.Repeat("a", 5000)
	for range 50 {
		v.Facts = append(v.Facts, message.Fact{Label: "Resource " + long[:len(v.Facts)+5], Value: message.Value(long)})
		v.Elsewhere = append(v.Elsewhere, message.Reference{Type: "jira", Label: long, URL: "https://jira.example/1"})
	}
	return v
}

func TestGoldenEvents(t *testing.T) {
	t.Parallel()
	open := func(s *story) *story { return s }
	for _, tt := range []struct {
		name   string
		view   func() *message.View
		stages []func(*story) *story
	}{
		{"opened", sampleView, []func(*story) *story{open}},
		{"acknowledged", sampleView, []func(*story) *story{open, (*story).acknowledge}},
		{"critical", sampleView, []func(*story) *story{open, (*story).acknowledge, func(s *story) *story { return s.raise(9.4) }}},
		{"resolved", sampleView, []func(*story) *story{open, (*story).close}},
		{"hostile", hostile, []func(*story) *story{open}},
		{"bare", func() *message.View {
			return &message.View{Kind: message.KindIncident, Incident: ulid, Severity: 5}
		}, []func(*story) *story{open}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakepagerduty.Options{})
			s := &story{tt.view()}
			for _, stage := range tt.stages {
				r.show(stage(s).v)
			}
			var got bytes.Buffer
			for _, ex := range r.fake.Transcript() {
				if err := json.Indent(&got, []byte(ex.Body), "", "  "); err != nil {
					t.Fatal(err)
				}
				got.WriteString("\n")
			}
			golden(t, tt.name+".json", got.Bytes())
			r.noViolations()
		})
	}
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
		t.Fatalf("%v; write it with: go test ./notify/pagerduty -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestHugeValuesStayWithinTheLimits(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"events", "incidents"} {
		r := newRoom(t, fakepagerduty.Options{}, func(c *Config) { c.Mode = mode })
		r.show(huge())
		r.noViolations()
		for _, ex := range r.fake.Transcript() {
			if len(ex.Body) > 40<<10 {
				t.Errorf("%s: a body of %d bytes is not read on a phone", mode, len(ex.Body))
			}
		}
		for _, a := range r.fake.Alerts() {
			if !strings.HasSuffix(a.Summary, "(INC-42)") {
				t.Errorf("the number was cut off: %q", a.Summary)
			}
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("payments-api-3", "payments-prod", "arn:aws:s3:::b", "CryptoCurrency:EC2/BitcoinTool.B!DNS", "https://x.example/1", 8.0)
	f.Add("a\r\nb\x00", "\u202e", "", "\xff\xfe", "javascript:x", 0.0)
	f.Add("", "", " ", "", "https://", 10.0)
	n, err := New(Config{PagerDuty: config.PagerDuty{RoutingKey: config.NewSecret(fakepagerduty.DefaultRoutingKey)}}, Deps{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, headline, account, arn, typ, link string, severity float64) {
		s, err := finding.CheckSeverity(severity)
		if err != nil {
			return
		}
		v := &message.View{Kind: message.KindIncident, Incident: ulid, Number: "INC-1", Severity: s, Headline: message.Value(headline),
			AccountName: account, ResourceARN: arn, Type: typ, Link: link, GuardDutyURL: link, UpdatedAt: time.Unix(0, 0),
			Facts: []message.Fact{{Label: account, Value: message.Value(arn)}}, Elsewhere: []message.Reference{{URL: link, Label: typ}}}
		body, err := n.port.(*events).trigger(dedupKey(v), n.content(v))
		if err != nil {
			t.Fatal(err)
		}
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatalf("not JSON: %v", err)
		}
		p := e.Payload
		if p.Summary == "" || utf8.RuneCountInString(p.Summary) > maxSummary || strings.TrimSpace(p.Source) == "" || len(body) > maxEvent {
			t.Errorf("outside of the limits: %s", body)
		}
		if strings.ContainsAny(p.Summary+p.Source+p.Class+p.Group, "\r\n\x00\x1b\u202e") {
			t.Errorf("hidden characters got through: %q", body)
		}
		for _, l := range e.Links {
			if !strings.HasPrefix(strings.ToLower(l.Href), "http") {
				t.Errorf("link %q", l.Href)
			}
		}
	})
}
