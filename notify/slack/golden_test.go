package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vendor "github.com/slack-go/slack"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hostile is a view of which every value was written by an attacker.
func hostile() *message.View {
	const bad = "<!channel> <!everyone> <!here> <@U0123> <http://evil.example|your bank> `*bold*` :skull: & a\r\nb\x1b[31m\x00 \u202egpj.exe\u202c \u200b\xff https://evil.example/x"
	v := mining()
	v.Headline = message.Words("Bitcoin mining from ").Value(bad)
	v.Sentence = message.Words("HIGH: Bitcoin mining from ").Value(bad).Words(". INC-42, open.")
	v.Meaning = message.Words("GuardDuty says: ").Value(bad)
	v.DoNext = []message.Text{message.Value(bad)}
	v.Facts = []message.Fact{
		{Label: "Resource", Value: message.Value(bad)}, {Label: "Actor", Value: message.Value("a`b").Value("`").Words("s of AS").Value("`")},
		{Label: "Owner", Value: message.Value(" ")}, {Label: "Seen", Value: message.Value(strings.Repeat("<&>", 3500))},
	}
	v.Context = []message.Text{message.Words("Open"), message.Value(bad), message.Value("SEC-88|<!here>")}
	v.Elsewhere = []message.Reference{{Type: "jira", Label: "SEC-88|<!here>", URL: "https://jira.example/"}, {Type: "jira", Label: bad, URL: "javascript:alert(1)"}}
	v.Link = "javascript:alert(1)"
	v.GuardDutyURL = "https://x.example/a|b>c <!channel>"
	v.AccountName, v.Type, v.Owner = bad, bad, bad
	return v
}

// hostileRun is a run on what an attacker named.
func hostileRun() message.Run {
	const bad = "<!channel> <http://evil.example|x> `*b*` :skull: \u202e\x00 & https://evil.example/x"
	r := forensic(message.RunPartFailed)
	r.Target, r.Requester, r.Connect, r.AbortedBy, r.AbortWhy = bad, bad, bad, bad, bad
	r.Approvals[0].Who, r.Contained, r.StillOpen = bad, true, []string{bad, strings.Repeat("<&>", 3500), bad, bad}
	for i := range r.Steps {
		r.Steps[i].Title, r.Steps[i].Message, r.Steps[i].Safe, r.Steps[i].Hint = bad+strings.Repeat("`<&>", 3000), bad+strings.Repeat("<&>", 3000), bad, bad
		r.Steps[i].State = message.RunFailed
	}
	for range 40 {
		r.Evidence = append(r.Evidence, message.RunEvidence{Kind: "configuration", Location: bad + strings.Repeat("<&>", 300), Gap: bad})
		r.Gaps = append(r.Gaps, message.RunGap{What: bad, Why: bad})
		r.Stages = append(r.Stages, message.RunStage{Name: "other", State: message.RunRunning, Total: 3})
	}
	return r
}

// long is a view whose every value has 10 kB.
func long() *message.View {
	name := strings.Repeat("ünï`<&>-", 1300)
	v := mining()
	v.Headline, v.Sentence, v.Meaning = message.Words("Mining from ").Value(name), message.Value(name), message.Words(name)
	v.DoNext = []message.Text{message.Value(name), message.Words(name), message.Value(name)}
	v.Facts, v.Context = nil, nil
	for i := range 30 {
		v.Facts = append(v.Facts, message.Fact{Label: "Resource " + name[:8*i], Value: message.Value(name).Words(" and ").Value(name)})
		v.Context = append(v.Context, message.Value(name))
	}
	v.Link = "https://guardroom.example/" + strings.Repeat("a", 5000)
	return v
}

func digest(t *testing.T) *message.View {
	t.Helper()
	var views []*message.View
	for i := range 25 {
		v := mining()
		if i == 3 {
			v.Severity, v.Band = 9.5, finding.Critical
			v.Headline = message.Words("Attack sequence in ").Value("<!channel> prod")
		}
		views = append(views, v)
	}
	return message.BuildDigest(message.DigestInput{Delivery: delivery, ID: "digest-1", Revision: 1, Incidents: views, Total: 37,
		Since: start.Add(-4 * time.Minute), Until: start, Link: "https://guardroom.example/incidents", Now: start})
}

func notice(resolved time.Time) *message.View {
	return message.BuildNotice(message.NoticeInput{Delivery: delivery, ID: "notice-1", Revision: 1, Topic: message.PausedDestination, Subject: "jira-sec",
		Message: "Jira refused the token (401)", Safe: "12 incidents wait", Hint: "set api_token, then: guardroom destination test jira-sec",
		Since: start.Add(-time.Hour), Resolved: resolved, Now: start})
}

// TestGolden pins everything that Slack is sent, as one file for each story.
func TestGolden(t *testing.T) {
	t.Parallel()
	step := func(f func(*story) *story) func(*story) *story { return f }
	for _, tt := range []struct {
		name  string
		view  func() *message.View
		steps []func(*story) *story
	}{
		{"open", mining, nil},
		{"acknowledged", mining, []func(*story) *story{step((*story).acknowledge)}},
		{"raised", mining, []func(*story) *story{(*story).acknowledge, func(s *story) *story { return s.raise(9.4) }}},
		{"contained", mining, []func(*story) *story{step((*story).contain)}},
		{"closed", mining, []func(*story) *story{step((*story).close)}},
		{"merged", mining, []func(*story) *story{step((*story).merge)}},
		{"reopened", mining, []func(*story) *story{(*story).close, (*story).reopen}},
		{"plan_waits", mining, []func(*story) *story{(*story).plans}},
		{"run_completed", mining, []func(*story) *story{(*story).begins, func(s *story) *story { return s.progresses(80) }, func(s *story) *story { return s.ends(message.RunCompleted) }}},
		{"run_part_failed", mining, []func(*story) *story{(*story).begins, func(s *story) *story { return s.ends(message.RunPartFailed) }}},
		{"run_hostile", mining, []func(*story) *story{func(s *story) *story { return s.responds(hostileRun()) }}},
		{"sample", func() *message.View {
			v := mining()
			v.Sample, v.Headline = true, message.Words("Sample: ").Join(v.Headline)
			return v
		}, nil},
		{"medium", func() *message.View {
			v := mining()
			v.Severity, v.Band = 5, finding.Medium
			return v
		}, nil},
		{"unknown_type", func() *message.View {
			v := mining()
			v.Headline = message.Value("Something new happened to i-0f3c9d2a1b")
			v.Meaning = message.Words("GuardDuty reports ").Value("NewPurpose:Moon/Landing.X&Y!Z").Words(", a type that guardroom cannot explain.")
			v.DoNext = []message.Text{message.Words("Read the finding in GuardDuty, then what the resource did at that time.")}
			return v
		}, nil},
		{"hostile", hostile, nil},
		{"long", long, nil},
		{"digest", func() *message.View { return digest(t) }, nil},
		{"notice", func() *message.View { return notice(time.Time{}) }, nil},
		{"notice_resolved", func() *message.View { return notice(start) }, nil},
		{"test", func() *message.View { return message.BuildTest("soc", start) }, nil},
		{"bare", func() *message.View { return &message.View{} }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakeslack.Options{})
			s := &story{tt.view()}
			r.show(s.v)
			for _, change := range tt.steps {
				r.show(change(s).v)
			}
			var got bytes.Buffer
			for _, ex := range r.fake.Transcript() {
				if !strings.HasPrefix(ex.Method, "chat.") {
					continue
				}
				got.WriteString("// " + ex.Method + "\n")
				if err := json.Indent(&got, []byte(ex.Body), "", "  "); err != nil {
					t.Fatal(err)
				}
				got.WriteString("\n")
				secondOpinion(t, []byte(ex.Body))
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
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./notify/slack -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// secondOpinion reads a message with another program's idea of Slack, which
// must find the same blocks in it and nothing wrong with them.
func secondOpinion(t testing.TB, body []byte) {
	t.Helper()
	var m vendor.Msg
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("slack-go cannot read the message: %v", err)
	}
	all := m.Blocks.BlockSet
	for _, a := range m.Attachments {
		all = append(all, a.Blocks.BlockSet...)
	}
	for _, b := range all {
		switch b := b.(type) {
		case *vendor.SectionBlock:
			texts := b.Fields
			if b.Text != nil {
				texts = append(texts, b.Text)
			}
			for _, o := range texts {
				validate(t, o)
			}
		case *vendor.ContextBlock:
			for _, e := range b.ContextElements.Elements {
				o, ok := e.(*vendor.TextBlockObject)
				if !ok {
					t.Fatalf("slack-go reads a context element as %T", e)
				}
				validate(t, o)
			}
		default:
			t.Errorf("slack-go reads a block as %T", b)
		}
	}
}

func validate(t testing.TB, o *vendor.TextBlockObject) {
	t.Helper()
	if err := o.Validate(); err != nil || o.Type != vendor.MarkdownType || !o.Verbatim {
		t.Errorf("slack-go objects to %+v: %v", o, err)
	}
}

// TestNoGoldenFileCallsEverybody greps what is sent, as a person would.
func TestNoGoldenFileCallsEverybody(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d golden files: %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<!channel", "<!everyone", `\u003c!channel`, `\u003c!everyone`} {
			if bytes.Contains(b, []byte(bad)) {
				t.Errorf("%s has %s", f, bad)
			}
		}
	}
}

func TestEveryStateHasItsColour(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		state incident.State
		sev   finding.Severity
		want  string
	}{
		{"informational is grey", incident.Open, 0.5, "#707070"}, {"low is grey", incident.Open, 2, "#707070"},
		{"medium is amber", incident.Open, 5, "#daa038"}, {"high is red", incident.Open, 8, "#a30200"},
		{"critical is violet, 10.0 too", incident.Open, 10, "#5b1a8e"}, {"acknowledged is amber", incident.Acknowledged, 9.5, "#daa038"},
		{"contained is blue", incident.Contained, 9.5, "#1264a3"}, {"closed is green", incident.Closed, 9.5, "#2eb886"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := colour(&message.View{State: tt.state, Severity: tt.sev}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
