package jira

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hostile is a view of which every value was written by an attacker.
func hostile() *message.View {
	const bad = "[~admin] {noformat}{code}x{code}|h1. *b* _i_ !p.png! [l|https://evil.example]\n\\\\ #1 &#91; @all\r\n\x1b[31m\x00\u202egpj.exe <b> \xff"
	v := sampleView()
	v.Headline = message.Words("Bitcoin mining from ").Value(bad)
	v.Meaning, v.Why = message.Words("The instance talks to ").Value(bad), message.Value(bad)
	v.DoNext = []message.Text{message.Value(bad)}
	v.Facts = []message.Fact{{Label: "Resource", Value: message.Value(bad)}, {Label: "Actor", Value: message.Value("h1. " + bad)}}
	v.Findings = []message.Text{message.Value("* " + bad)}
	v.RawFinding = []byte("{noformat}\n{code}\n" + bad)
	v.AccountID, v.Incident = "11 11\n", "01JD 8X{}"
	v.Link = "https://guardroom.example/i/INC-42|x]"
	return v
}

func TestGoldenBodies(t *testing.T) {
	t.Parallel()
	digest := func() *message.View {
		v := sampleView()
		v.Kind, v.Number, v.Findings = message.KindDigest, "", []message.Text{message.Words("HIGH 8.0 INC-1 ").Value("Bitcoin mining"), message.Words("and 30 more")}
		v.RawFinding, v.Events = nil, nil
		return v
	}
	follow := func(steps ...func(*story) *story) []func(*story) *story {
		return append([]func(*story) *story{func(s *story) *story { return s }}, steps...)
	}
	for _, tt := range []struct {
		name   string
		view   func() *message.View
		stages []func(*story) *story
	}{
		{"opened", sampleView, follow()},
		{"acknowledged", sampleView, follow((*story).acknowledge)},
		{"raised", sampleView, follow(func(s *story) *story { return s.raise(9.5) })},
		{"closed", sampleView, follow((*story).close)},
		{"plan_waits", sampleView, follow((*story).plans)},
		{"run", sampleView, follow((*story).begins, func(s *story) *story { return s.ends(message.RunCompleted).happens(incident.KindEvidenceReady) })},
		{"run_part_failed", sampleView, follow(func(s *story) *story { return s.ends(message.RunPartFailed) })},
		{"hostile", hostile, follow((*story).acknowledge)},
		{"bare", func() *message.View {
			return &message.View{Kind: message.KindIncident, Incident: ulid, Severity: 5, Band: finding.Medium, State: incident.Open}
		}, follow()},
		{"digest", digest, follow()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d fakejira.Dialect) {
				r := newRoom(t, fakejira.Options{Dialect: d})
				s := &story{tt.view()}
				for _, stage := range tt.stages {
					r.show(stage(s).v)
				}
				golden(t, tt.name+"."+string(d)+".txt", r.writes())
				r.noViolations()
			})
		})
	}
}

// writes are the requests that changed something, for people to read.
func (r *room) writes() []byte {
	r.t.Helper()
	var b bytes.Buffer
	for _, ex := range r.fake.Transcript() {
		if ex.Method == "GET" {
			continue
		}
		fmt.Fprintf(&b, "%s %s -> %d %s\n", ex.Method, ex.Path, ex.Status, ex.Effect)
		if err := json.Indent(&b, []byte(ex.Body), "", "  "); err != nil {
			r.t.Fatal(err)
		}
		b.WriteString("\n")
	}
	return b.Bytes()
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
		t.Fatalf("%v; write it with: go test ./notify/jira -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestHugeValuesStayWithinTheLimits(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		for _, long := range []string{strings.Repeat("ünïcode-", 20000), strings.Repeat("[~*", 20000), strings.Repeat("\"\\\u202e", 20000)} {
			v := sampleView()
			v.Headline, v.Meaning, v.Why = message.Value(long), message.Value(long), message.Words(long)
			v.RawFinding, v.DoNext = []byte(long), []message.Text{message.Value(long), message.Value(long)}
			for range 60 {
				v.Facts = append(v.Facts, message.Fact{Label: "Resource", Value: message.Value(long)})
				v.Findings = append(v.Findings, message.Value(long))
			}
			v.Incident, v.AccountID = incident.ID(long), long
			v.Events = append(v.Events, message.Event{Seq: 2, Kind: incident.KindAcknowledged, Text: message.Value(long)})
			r := newRoom(t, fakejira.Options{Dialect: d})
			r.show(v)
			later := *v
			later.Events = append(later.Events, message.Event{Seq: 3, Kind: incident.KindContained, Text: message.Value(long)})
			r.show(&later)
			i := r.only()
			if !strings.HasSuffix(i.Summary, "(INC-42)") || utf8.RuneCountInString(i.Summary) > maxSummary {
				t.Errorf("summary %q", i.Summary)
			}
			if len(i.Comments) != 1 {
				t.Errorf("%d comments", len(i.Comments))
			}
			r.noViolations()
			r.fake.Close()
		}
	})
}

// TestHostileTextIsNoMarkup reads what arrived as Jira does.
func TestHostileTextIsNoMarkup(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{Dialect: fakejira.DataCenter})
	s := &story{hostile()}
	r.show(s.v)
	i := r.only()
	for _, bad := range []string{"[~", "{code}", "[l|", "!p", "<b>", "\x00", "\u202e"} {
		outside, _, _ := strings.Cut(i.Description, "{noformat}")
		if strings.Contains(outside, bad) {
			t.Errorf("%q is in the description: %s", bad, outside)
		}
	}
	if n := strings.Count(i.Description, "{noformat}"); n != 2 {
		t.Errorf("%d noformat marks", n)
	}
	cloud := newRoom(t, fakejira.Options{})
	cloud.show(s.v)
	for _, kind := range []string{`"mention"`, `"inlineCard"`, `"emoji"`} {
		if d := cloud.only().Description; strings.Contains(d, `"type":`+kind) {
			t.Errorf("a %s was made: %s", kind, d)
		}
	}
}
