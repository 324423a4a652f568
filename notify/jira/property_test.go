package jira

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// TestRandomLivesUnderRandomFaults lives through incidents while requests and
// saves fail at random. In the end there is exactly one issue, at the newest
// revision; or the delivery is unknown, and then there is none.
func TestRandomLivesUnderRandomFaults(t *testing.T) {
	t.Parallel()
	kinds := []fakejira.Fault{fakejira.RateLimited, fakejira.RateLimitedBare, fakejira.ServerError, fakejira.ServerErrorAfter,
		fakejira.ResetBefore, fakejira.ResetAfter, fakejira.HalfResponse}
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		rapid.Check(t, func(rt *rapid.T) {
			r := newRoom(t, fakejira.Options{
				Dialect: d, IndexLag: time.Duration(rapid.IntRange(0, 60).Draw(rt, "lag")) * time.Second,
				Faults: fakejira.Faults{Seed: rapid.Uint64().Draw(rt, "seed"), Rate: 0.3, Kinds: kinds},
			})
			defer r.fake.Close()
			s := newStory()
			for range rapid.IntRange(1, 8).Draw(rt, "steps") {
				happen(s, rapid.IntRange(0, 7).Draw(rt, "what"))
				if rapid.IntRange(0, 3).Draw(rt, "crash") == 0 {
					r.failSave = r.saves + rapid.IntRange(1, 4).Draw(rt, "save")
				}
				for range rapid.IntRange(0, 3).Draw(rt, "tries") {
					if _, err := r.try(s.v); err != nil {
						r.clock.pass(max(notify.AsError(err).After, time.Second))
					}
				}
				if r.failSave > 0 {
					r.failSave = 0
					r.configure()
				}
			}
			_, err := r.settle(s.v)
			if err != nil {
				if e := notify.AsError(err); e.Class != notify.Undecided || len(r.fake.Issues()) != 0 {
					rt.Fatalf("%s with %d issues: %v", e.Class, len(r.fake.Issues()), err)
				}
				r.fake.SetFaults(fakejira.Faults{})
				r.state, _ = AllowCreate(r.state)
				if _, err := r.settle(s.v); err != nil {
					rt.Fatalf("after a person's word: %v", err)
				}
			}
			if problem := newest(r, s); problem != "" {
				for _, ex := range r.fake.Transcript() {
					rt.Logf("%s %s %.300s -> %d %s (fault %q)", ex.Method, ex.Path, ex.Body, ex.Status, ex.Effect, ex.Fault)
				}
				rt.Fatal(problem)
			}
		})
	})
}

// happen lets one thing happen that may happen to an incident in that state.
func happen(s *story, what int) {
	if s.v.State == incident.Closed {
		if what%2 == 0 {
			s.reopen()
		}
		return
	}
	switch what {
	case 0:
		s.acknowledge()
	case 1:
		if s.v.Severity < 9.5 {
			s.raise(s.v.Severity + 0.5)
		}
	case 2:
		s.happens(incident.KindResourceJoined)
	case 3:
		s.close()
	case 4:
		s.begins()
	case 5:
		s.ends(message.RunPartFailed)
	default:
		s.happens(incident.KindFindingUpdated)
	}
}

// newest says what is wrong with what Jira shows in the end.
func newest(r *room, s *story) string {
	issues := r.fake.Issues()
	if len(issues) != 1 {
		return fmt.Sprintf("%d issues", len(issues))
	}
	i := issues[0]
	if want := summary(s.v); i.Summary != want {
		return fmt.Sprintf("summary %q, want %q", i.Summary, want)
	}
	if v := s.v.Facts[len(s.v.Facts)-1]; !strings.Contains(bare(i.Text), bare(v.Value.Render(visible(r), visible(r)))) {
		return fmt.Sprintf("the description is not of revision %d: %s", s.v.Revision, i.Text)
	}
	for _, x := range s.v.Runs {
		if want := x.Headline().Render(visible(r), visible(r)); strings.Count(bare(i.Text), bare(want)) != 1 {
			return fmt.Sprintf("the run does not stand there once, as %q: %s", want, i.Text)
		}
	}
	if closed := s.v.State == incident.Closed; closed != (i.Status == "Done") {
		return fmt.Sprintf("the status is %s while the incident is %s", i.Status, s.v.State)
	}
	if want := map[bool]string{true: "Highest", false: "High"}[s.v.Severity >= 9]; i.Priority != want {
		return fmt.Sprintf("priority %s, want %s", i.Priority, want)
	}
	seen := map[string]bool{}
	for _, c := range i.Comments {
		if seen[c.Text] {
			return "a comment stands there twice: " + c.Text
		}
		seen[c.Text] = true
	}
	if v := r.fake.Violations(); len(v) > 0 {
		return strings.Join(v, "; ")
	}
	return ""
}

// visible is how a value stands in the description of the dialect.
func visible(r *room) func(string) string {
	if r.n.cloud {
		return func(s string) string { return s }
	}
	return escapeWiki
}
