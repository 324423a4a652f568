package jira

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/internal/fakejira"
)

func TestALifeFromOpeningToClosing(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		out := r.show(s.v)
		if out.Reference != "SEC-1" || out.URL != r.fake.URL()+"/browse/SEC-1" || len(out.Warnings) != 0 {
			t.Errorf("outcome %+v", out)
		}
		i := r.only()
		if i.Summary != "[HIGH] Bitcoin mining from payments-api-3 (INC-42)" || i.Priority != "High" || i.Status != "To Do" {
			t.Errorf("issue %+v", i)
		}
		if got, want := strings.Join(i.Labels, " "), "aws-111111111111 "+label+" guardroom"; got != want {
			t.Errorf("labels %q, want %q", got, want)
		}
		r.show(s.acknowledge().v)
		r.show(s.raise(9.5).v)
		i = r.only()
		if i.Summary != "[CRITICAL] Bitcoin mining from payments-api-3 (INC-42)" || i.Priority != "Highest" {
			t.Errorf("after the raise: %+v", i)
		}
		r.show(s.close().v)
		i = r.only()
		if i.Status != "Done" || len(i.Comments) != 3 || !strings.Contains(i.Text, "closed") {
			t.Errorf("after the end: %+v", i)
		}
		r.show(s.reopen().v)
		if i = r.only(); i.Status != "To Do" || len(i.Comments) != 3 {
			t.Errorf("after the reopening: %+v", i)
		}
		r.noViolations()
	})
}
