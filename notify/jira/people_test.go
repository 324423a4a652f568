package jira

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
)

func TestADescriptionThatAPersonEditedIsTheirs(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		r.show(s.v)
		writes := r.only().Writes
		r.fake.EditDescription("SEC-1", "I looked: it is our build server.")
		out := r.show(s.acknowledge().v)
		if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "a person edited") {
			t.Errorf("warnings %q", out.Warnings)
		}
		r.show(s.raise(9.5).v)
		r.show(s.close().v)
		i := r.only()
		if i.Text != "I looked: it is our build server." || i.Writes != writes {
			t.Errorf("the description was rewritten: %q", i.Text)
		}
		if !strings.Contains(string(i.Properties[propertyKey]), `"description":"people"`) {
			t.Errorf("properties %s", i.Properties)
		}
		if len(i.Comments) != 4 || !strings.Contains(i.Comments[0].Text, "yours now") || !strings.Contains(i.Comments[3].Text, "closed") {
			t.Errorf("comments %+v", i.Comments)
		}
		if !strings.Contains(i.Comments[1].Text, "HIGH 8.0") {
			t.Errorf("the state does not stand in the comment: %q", i.Comments[1].Text)
		}
		if i.Summary != "[CRITICAL] Bitcoin mining from payments-api-3 (INC-42)" || i.Priority != "Highest" || i.Status != "Done" {
			t.Errorf("title, priority or status stayed behind: %+v", i)
		}
		r.noViolations()
	})
}

func TestJirasOwnFormOfTheDescriptionIsNoEdit(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		for range 4 {
			if out := r.show(s.happens(incident.KindFindingUpdated).v); len(out.Warnings) != 0 {
				t.Fatalf("warnings %q", out.Warnings)
			}
		}
		if i := r.only(); i.Writes != 4 || len(i.Comments) != 0 {
			t.Errorf("%d writes, comments %+v", i.Writes, i.Comments)
		}
	})
}

func TestAnUnchangedViewWritesNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	r.show(sampleView())
	before := len(r.fake.Transcript())
	r.clock.pass(time.Minute)
	r.show(sampleView())
	for _, ex := range r.fake.Transcript()[before:] {
		if ex.Method != "GET" {
			t.Errorf("%s %s", ex.Method, ex.Path)
		}
	}
}

func TestATickedTaskIsKept(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.v)
	if !r.fake.TickTask("SEC-1") {
		t.Fatal("there is no task to tick")
	}
	if out := r.show(s.happens(incident.KindFindingUpdated).v); len(out.Warnings) != 0 {
		t.Errorf("warnings %q", out.Warnings)
	}
	i := r.only()
	if i.Writes != 2 || strings.Count(i.Description, `"DONE"`) != 1 {
		t.Errorf("%d writes: %s", i.Writes, i.Description)
	}
}

func TestATitleAndAPriorityThatAPersonChangedStay(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.v)
	r.fake.EditSummary("SEC-1", "Our build server again")
	r.fake.SetPriority("SEC-1", "Low")
	r.show(s.raise(9.5).v)
	if i := r.only(); i.Summary != "Our build server again" || i.Priority != "Low" || !strings.Contains(i.Text, "CRITICAL 9.5") {
		t.Errorf("issue %+v", i)
	}
}

func TestDescriptionsAreWrittenAtMostEveryTenSeconds(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{}, func(c *Config) { c.TimeScale = 2 })
	s := newStory()
	if _, err := r.try(s.v); err != nil {
		t.Fatal(err)
	}
	r.clock.pass(2 * time.Second)
	_, err := r.try(s.acknowledge().v)
	if e := asError(t, err); e.Class != notify.Retry || e.After != 3*time.Second {
		t.Fatalf("%+v", e)
	}
	if i := r.only(); i.Writes != 1 || len(i.Comments) != 1 {
		t.Errorf("the comment must not wait, the description must: %d writes, %d comments", i.Writes, len(i.Comments))
	}
	r.clock.pass(3 * time.Second)
	if _, err := r.try(s.v); err != nil {
		t.Fatal(err)
	}
	if i := r.only(); i.Writes != 2 || len(i.Comments) != 1 {
		t.Errorf("%d writes, %d comments", i.Writes, len(i.Comments))
	}
}

func TestACommentOfUnknownOutcomeIsLookedFor(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		for _, f := range []fakejira.Fault{fakejira.ServerErrorAfter, fakejira.ServerError, fakejira.ResetAfter, fakejira.ResetBefore, fakejira.HalfResponse} {
			r := newRoom(t, fakejira.Options{Dialect: d})
			s := newStory()
			r.show(s.v)
			for range 120 {
				r.fake.AddComment("SEC-1", "a colleague's words")
			}
			r.fake.Fail(fakejira.NoFault, f)
			_, err := r.try(s.acknowledge().v)
			if e := asError(t, err); e.Class != notify.Retry || e.Reason != "unknown_outcome" {
				t.Fatalf("%s: %+v", f, e)
			}
			for range 120 {
				r.fake.AddComment("SEC-1", "more of them")
			}
			r.show(s.v)
			ours := 0
			for _, c := range r.only().Comments {
				if c.Author == "guardroom" {
					ours++
				}
			}
			if ours != 1 {
				t.Errorf("%s: %d comments of ours", f, ours)
			}
		}
	})
}

func TestOnlyFewEventsAreWorthAComment(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.v)
	for _, k := range []incident.Kind{incident.KindFindingJoined, incident.KindFindingUpdated, incident.KindResourceJoined, incident.KindAssigned,
		incident.KindNote, incident.KindDeliveryParked, incident.KindReopened, incident.KindArchived, incident.KindLinked} {
		r.show(s.happens(k).v)
	}
	if c := r.only().Comments; len(c) != 0 {
		t.Errorf("comments %+v", c)
	}
	for _, k := range []incident.Kind{incident.KindAcknowledged, incident.KindSeverityRaised, incident.KindContained, incident.KindReleased, incident.KindClosed,
		incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain} {
		s.happens(k)
	}
	r.show(s.v)
	if c := r.only().Comments; len(c) != 9 {
		t.Errorf("comments %+v", c)
	}
	once(t, r.only())
}

func TestAWriteThatArrivesLateIsNoEditByAPerson(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		r.show(s.v)
		r.clock.pass(time.Minute)
		r.fake.Fail(fakejira.NoFault, fakejira.ServerError)
		if _, err := r.try(s.happens(incident.KindFindingUpdated).v); err == nil {
			t.Fatal("the write succeeded")
		}
		var late string
		for _, ex := range r.fake.Transcript() {
			if ex.Method == "PUT" {
				late = ex.Body
			}
		}
		if _, err := r.try(s.v); asError(t, err).Reason != "spacing" { // it is looked for, and not there
			t.Fatal(err)
		}
		if err := r.n.client.call(t.Context(), "arrive late", "PUT", "/issue/SEC-1", json.RawMessage(late), nil); err != nil {
			t.Fatal(err)
		}
		if out := r.show(s.happens(incident.KindFindingUpdated).v); len(out.Warnings) != 0 || r.only().Writes != 3 {
			t.Errorf("warnings %q after %d writes", out.Warnings, r.only().Writes)
		}
	})
}
