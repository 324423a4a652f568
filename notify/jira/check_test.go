package jira

import (
	"fmt"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

func findings(list []notify.Finding) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%v %s: %s (%s)\n", f.OK, f.What, f.Message, f.Hint)
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	team := fakejira.Field{ID: "customfield_10050", Name: "Team", Required: true, Allowed: []fakejira.Value{{ID: "5", Name: "Blue"}, {ID: "6", Name: "Red"}}}
	for _, tt := range []struct {
		name    string
		opts    fakejira.Options
		change  func(*Config)
		prepare func(*room)
		good    int
		words   []string
	}{
		{name: "all is well", good: 5, words: []string{"found: Security operations (SEC), Task", "no issue of this type yet"}},
		{name: "a wrong token", prepare: func(r *room) { r.fake.SetToken("other") }, good: 0, words: []string{"false credential", "check the token"}},
		{name: "a login page", prepare: func(r *room) { r.fake.LoginPage(true) }, good: 0, words: []string{"single sign-on"}},
		{name: "no such project", change: func(c *Config) { c.Project = "X" }, good: 1, words: []string{`there is no project "X"`}},
		{name: "a required field that is not configured", opts: withFields(team), good: 4, words: []string{"customfield_10050 (Team), one of: Blue, Red", "give them under fields"}},
		{name: "a required field that is configured", opts: withFields(team), change: func(c *Config) { c.Fields = map[string]any{"customfield_10050": 1} }, good: 5},
		{name: "priorities of other names", change: func(c *Config) { c.Priorities = map[string]string{"high": "P1"} }, good: 4, words: []string{"no priority P1 for High", "Highest, High, Medium"}},
		{name: "labels off the screen", opts: without("labels"), good: 4, words: []string{"the field labels is not on the create screen"}},
		{name: "transitions that an issue shows", prepare: func(r *room) {
			s := newStory()
			r.show(s.close().v)
		}, good: 5, words: []string{"the workflow has them"}},
		{name: "a transition that no issue shows", change: func(c *Config) { c.CloseTransition = "Vanish" }, prepare: func(r *room) { r.show(sampleView()) },
			good: 4, words: []string{`"Vanish" or "Reopen"`, "seen are: To Do, Start, In Progress, Resolve, Done"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d fakejira.Dialect) {
				change := tt.change
				if change == nil {
					change = func(*Config) {}
				}
				opts := tt.opts
				opts.Dialect = d
				r := newRoom(t, opts, change)
				if tt.prepare != nil {
					tt.prepare(r)
				}
				before := len(r.fake.Issues())
				list := r.n.Check(t.Context())
				good := 0
				for _, f := range list {
					if f.OK {
						good++
					} else if f.Hint == "" {
						t.Errorf("no hint: %+v", f)
					}
				}
				text := findings(list)
				if good != tt.good {
					t.Errorf("%d are good, want %d:\n%s", good, tt.good, text)
				}
				for _, w := range tt.words {
					if !strings.Contains(text, w) {
						t.Errorf("%q is not in:\n%s", w, text)
					}
				}
				if len(r.fake.Issues()) != before {
					t.Error("the check made an issue")
				}
			})
		})
	}
}

func TestTheTestMakesARealIssue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   fakejira.Options
		close  string
		left   int
		status string
		words  string
	}{
		{"and closes it", fakejira.Options{}, "Done", 1, "Done", "and closed"},
		{"and deletes it where no transition is configured", fakejira.Options{}, "", 0, "", "deleted again"},
		{"and says so where it may not delete", fakejira.Options{NoDelete: true}, "", 1, "To Do", "close it by hand"},
		{"and says so where the transition is missing", fakejira.Options{}, "Vanish", 1, "To Do", "it stays open: there is no transition"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d fakejira.Dialect) {
				opts := tt.opts
				opts.Dialect = d
				r := newRoom(t, opts, func(c *Config) { c.CloseTransition = tt.close })
				said, err := r.n.Test(t.Context())
				if err != nil || !strings.Contains(said, "SEC-1") || !strings.Contains(said, tt.words) {
					t.Errorf("%q, %v", said, err)
				}
				issues := r.fake.Issues()
				if len(issues) != tt.left {
					t.Fatalf("issues %+v", issues)
				}
				if tt.left == 1 && (issues[0].Status != tt.status || issues[0].Summary != "[TEST] Test message from guardroom") {
					t.Errorf("issue %+v", issues[0])
				}
				r.noViolations()
			})
		})
	}
	r := newRoom(t, fakejira.Options{})
	r.fake.SetToken("other")
	if _, err := r.n.Test(t.Context()); asError(t, err).Class != notify.Pause {
		t.Error(err)
	}
}

func TestANoticeIsAnIssueThatEndsWhenItIsResolved(t *testing.T) {
	t.Parallel()
	in := message.NoticeInput{Delivery: "d-9", ID: "01jd8x7k3m00000000000000n1", Revision: 1, Topic: message.SilentSource, Subject: "sqs", Message: "no event for 2 h", Since: start, Now: start}
	r := newRoom(t, fakejira.Options{})
	r.show(message.BuildNotice(in))
	if i := r.only(); i.Status != "To Do" || !strings.Contains(i.Summary, "hears nothing from source sqs") || !strings.Contains(strings.Join(i.Labels, " "), "gr-01jd8x7k3m00000000000000n1") {
		t.Errorf("issue %+v", i)
	}
	in.Revision, in.Resolved = 2, start.Add(1)
	r.show(message.BuildNotice(in))
	if i := r.only(); i.Status != "Done" {
		t.Errorf("issue %+v", i)
	}
	// One that was resolved before anybody heard of it needs no issue.
	other := newRoom(t, fakejira.Options{})
	if out := other.show(message.BuildNotice(in)); out.Quiet == "" || len(other.fake.Issues()) != 0 {
		t.Errorf("outcome %+v", out)
	}
	r.noViolations()
}

func TestAnIncidentThatWasShortLeavesItsRecord(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.acknowledge().close().v)
	if i := r.only(); i.Status != "Done" || len(i.Comments) != 0 || !strings.Contains(i.Text, string(incident.Closed)) {
		t.Errorf("issue %+v", i)
	}
}

func TestASampleIsMarked(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	v := sampleView()
	v.Sample, v.Headline = true, message.Words("Sample: ").Join(v.Headline)
	r.show(v)
	if i := r.only(); !strings.HasPrefix(i.Summary, "[HIGH] Sample: ") || !strings.Contains(i.Text, "sample") || !strings.Contains(strings.Join(i.Labels, " "), "sample") {
		t.Errorf("issue %+v", i)
	}
}
