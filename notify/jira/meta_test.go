package jira

import (
	"testing"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fakejira"
)

// Where Jira does not tell what a project demands, what is configured is sent as
// it is.
func TestAnIssueLivesWithoutMetadata(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d, NoMeta: true})
		s := newStory()
		r.show(s.v)
		i := r.only()
		if i.Project != fakejira.DefaultProject || i.Type != fakejira.DefaultIssueType || i.Priority != "High" || len(i.Labels) == 0 {
			t.Errorf("created: project %s, type %s, priority %s, labels %v", i.Project, i.Type, i.Priority, i.Labels)
		}
		r.show(s.raise(9.5).v)
		if p := r.only().Priority; s.v.Band == finding.Critical && p != "Highest" {
			t.Errorf("raised: priority %s", p)
		}
		r.show(s.close().v)
		if st := r.only().Status; st != "Done" {
			t.Errorf("closed: status %s", st)
		}
		r.noViolations()
		for _, f := range r.n.Check(t.Context()) {
			if !f.OK {
				t.Errorf("check %s: %s", f.What, f.Message)
			}
		}
	})
}

func TestAPriorityThatTheProjectLacksIsLeftOutWithoutMetadata(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{NoMeta: true}, func(c *Config) { c.Priorities = map[string]string{"high": "P2"} })
	out := r.show(newStory().v)
	if r.only().Key == "" || len(out.Warnings) == 0 {
		t.Errorf("warnings %q", out.Warnings)
	}
}
