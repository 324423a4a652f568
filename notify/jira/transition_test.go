package jira

import (
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify/message"
)

func TestTransitionsGoByNameAtTheTimeOfTheCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, close, from string
		status            string
		warning           string
	}{
		{"by the name of the status", "Done", "To Do", "Done", ""},
		{"by the name of the transition", "Resolve", "To Do", "Done", ""},
		{"whatever the case", "rESOLVE", "To Do", "Done", ""},
		{"with another id from another status", "Done", "In Progress", "Done", ""},
		{"not where it is already", "Done", "Done", "Done", ""},
		{"not where people ended it otherwise", "Close it", "Done", "Done", ""},
		{"not where nothing is configured", "", "To Do", "To Do", ""},
		{"a missing name is a warning", "Vanish", "In Progress", "In Progress", `there is no transition "Vanish" from the status "In Progress" of SEC-1; there are: "Stop" to "To Do", "Resolve" to "Done"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakejira.Options{}, func(c *Config) { c.CloseTransition = tt.close })
			s := newStory()
			r.show(s.v)
			r.fake.SetStatus("SEC-1", tt.from)
			out := r.show(s.close().v)
			if i := r.only(); i.Status != tt.status || !strings.Contains(i.Text, "closed") {
				t.Errorf("issue %+v", i)
			}
			if got := strings.Join(out.Warnings, "|"); got != tt.warning {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
			r.noViolations()
		})
	}
}

// demanding is a workflow whose end asks for fields.
func demanding(fields ...fakejira.Field) *fakejira.Workflow {
	w := fakejira.DefaultWorkflow()
	w.Statuses[0].Transitions[1].Fields = fields
	return w
}

func TestATransitionThatDemandsFields(t *testing.T) {
	t.Parallel()
	one := []fakejira.Value{{ID: "7", Name: "Handled"}}
	two := []fakejira.Value{{ID: "7", Name: "Handled"}, {ID: "8", Name: "Ignored"}}
	for _, tt := range []struct {
		name       string
		fields     []fakejira.Field
		status     string
		resolution string
		warning    string
	}{
		{"the only value is taken", []fakejira.Field{{ID: "resolution", Name: "Resolution", Required: true, Allowed: one}}, "Done", "Handled", ""},
		{"a resolution called as the verdict is taken", []fakejira.Field{{ID: "resolution", Name: "Resolution", Required: true, Allowed: fakejira.Resolutions()}}, "Done", "False positive", ""},
		{"a default is left alone", []fakejira.Field{{ID: "resolution", Name: "Resolution", Required: true, HasDefault: true, Allowed: two}}, "Done", "", ""},
		{"several values are not guessed", []fakejira.Field{{ID: "resolution", Name: "Resolution", Required: true, Allowed: two}}, "To Do", "", "demands the field resolution, which has several values (Handled, Ignored)"},
		{"a text is not invented", []fakejira.Field{{ID: "customfield_1", Name: "Reason", Required: true}}, "To Do", "", "demands the field customfield_1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d fakejira.Dialect) {
				r := newRoom(t, fakejira.Options{Dialect: d, Workflow: demanding(tt.fields...)})
				s := newStory()
				r.show(s.v)
				out := r.show(s.close().v)
				if i := r.only(); i.Status != tt.status || i.Resolution != tt.resolution {
					t.Errorf("status %s, resolution %s", i.Status, i.Resolution)
				}
				if got := strings.Join(out.Warnings, "|"); tt.warning == "" && got != "" || !strings.Contains(got, tt.warning) {
					t.Errorf("warnings %q", got)
				}
				r.noViolations()
			})
		})
	}
}

func TestATransitionOfUnknownOutcomeIsReadBeforeItIsRepeated(t *testing.T) {
	t.Parallel()
	for _, f := range []fakejira.Fault{fakejira.ServerErrorAfter, fakejira.ServerError, fakejira.ResetAfter, fakejira.ResetBefore} {
		r := newRoom(t, fakejira.Options{})
		s := newStory()
		r.show(s.v)
		s.v.State = incident.Closed // without an event: neither comment nor title
		r.settleEdits(s.v)
		if _, err := r.n.metadata(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r.fake.Fail(fakejira.NoFault, fakejira.NoFault, f)
		if _, err := r.try(s.v); err == nil {
			t.Errorf("%s: it succeeded", f)
		}
		r.show(s.v)
		if i := r.only(); i.Status != "Done" {
			t.Errorf("%s: %s", f, i.Status)
		}
		r.noViolations()
	}
}

// settleEdits brings the description up to v while the status stays.
func (r *room) settleEdits(v *message.View) {
	r.t.Helper()
	name := r.cfg.CloseTransition
	before := r.state
	r.configure(func(c *Config) { c.CloseTransition = "" })
	r.show(v)
	s, err := decodeState(r.state)
	if err != nil {
		r.t.Fatal(err)
	}
	s.Closed = false
	if r.state = []byte(mustEncode(s)); string(before) == string(r.state) {
		r.t.Fatal("nothing was written")
	}
	r.configure(func(c *Config) { c.CloseTransition = name })
}

func TestReopening(t *testing.T) {
	t.Parallel()
	t.Run("goes back by the configured transition", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, fakejira.Options{}, func(c *Config) { c.ReopenTransition = "to do" })
		s := newStory()
		r.show(s.close().v)
		r.show(s.reopen().v)
		if i := r.only(); i.Status != "To Do" || !strings.Contains(i.Text, "open") {
			t.Errorf("issue %+v", i)
		}
	})
	t.Run("makes another issue that links the old one where none is configured", func(t *testing.T) {
		t.Parallel()
		dialects(t, func(t *testing.T, d fakejira.Dialect) {
			r := newRoom(t, fakejira.Options{Dialect: d}, func(c *Config) { c.ReopenTransition = "" })
			s := newStory()
			r.show(s.v)
			r.show(s.close().v)
			out := r.show(s.reopen().v)
			issues := r.fake.Issues()
			if len(issues) != 2 || out.Reference != "SEC-2" || issues[0].Status != "Done" || issues[1].Status != "To Do" {
				t.Fatalf("outcome %+v, issues %+v", out, issues)
			}
			if !strings.Contains(issues[1].Description, "/browse/SEC-1") {
				t.Errorf("the new one does not link the old one: %s", issues[1].Description)
			}
			if len(issues[1].Comments) != 0 {
				t.Errorf("the past is told again: %+v", issues[1].Comments)
			}
			r.show(s.happens(incident.KindFindingUpdated).v)
			r.show(s.close().v)
			r.show(s.reopen().v)
			if issues = r.fake.Issues(); len(issues) != 3 || issues[1].Status != "Done" {
				t.Errorf("issues %+v", issues)
			}
			r.noViolations()
		})
	})
	t.Run("stays with an issue that was never ended", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, fakejira.Options{}, func(c *Config) { c.CloseTransition, c.ReopenTransition = "", "" })
		s := newStory()
		r.show(s.close().v)
		r.show(s.reopen().v)
		r.only()
	})
	t.Run("before the end was shown changes nothing", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, fakejira.Options{})
		s := newStory()
		r.show(s.v)
		r.show(s.close().reopen().v)
		if i := r.only(); i.Status != "To Do" || len(i.Comments) != 1 {
			t.Errorf("issue %+v", i)
		}
	})
	t.Run("warns where the name is missing", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, fakejira.Options{}, func(c *Config) { c.ReopenTransition = "Rise" })
		s := newStory()
		r.show(s.close().v)
		out := r.show(s.reopen().v)
		if i := r.only(); i.Status != "Done" || len(out.Warnings) != 1 {
			t.Errorf("status %s, warnings %q", i.Status, out.Warnings)
		}
	})
}

func TestTheOldIssueIsNotTakenForTheNewOne(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		for _, f := range []fakejira.Fault{fakejira.ResetAfter, fakejira.ResetBefore} {
			r := newRoom(t, fakejira.Options{Dialect: d, IndexLag: 12 * time.Second}, func(c *Config) { c.ReopenTransition = "" })
			s := newStory()
			r.show(s.v)
			r.show(s.close().v)
			r.clock.pass(time.Minute)
			r.fake.Fail(fakejira.NoFault, f)
			out, err := r.settle(s.reopen().v)
			if n := len(r.fake.Issues()); n != 2 || err != nil || out.Reference != "SEC-2" {
				t.Fatalf("%s: %d issues, outcome %+v, %v", f, n, out, err)
			}
			r.noViolations()
		}
	})
}

func TestAMergedIncidentEndsWithALink(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		r.show(s.v)
		s.close()
		s.v.Verdict, s.v.MergedInto, s.v.MergedLink = incident.Merged, "INC-7", "https://guardroom.example/i/INC-7"
		r.show(s.v)
		i := r.only()
		if i.Status != "Done" || !strings.Contains(i.Description, "https://guardroom.example/i/INC-7") {
			t.Errorf("issue %+v", i)
		}
		if len(i.Comments) != 1 || !strings.Contains(i.Comments[0].Body, "https://guardroom.example/i/INC-7") {
			t.Errorf("comments %+v", i.Comments)
		}
	})
}
