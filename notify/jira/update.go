package jira

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// spacing is how far apart the descriptions of one issue are written: Cloud
// limits writes per issue.
// https://developer.atlassian.com/cloud/jira/platform/rate-limiting/
const spacing = 10 * time.Second

// update brings a known issue up to the view: what people must hear first, then
// the description.
func (w *work) update(ctx context.Context) error {
	i, err := w.read(ctx, w.state.Issue.ID)
	if err != nil {
		return err
	}
	w.state.Issue.Key = i.Key // moved issues have another
	w.settle(i)
	w.ownership(i)
	if err := w.keep(); err != nil {
		return err
	}
	// A closed issue may take no edits, so an end comes last and a new
	// beginning first.
	steps := []func(context.Context, *shown) error{w.lifecycle, w.comments, w.tellPeople, w.edit}
	if w.closedNow() {
		steps = []func(context.Context, *shown) error{w.comments, w.tellPeople, w.edit, w.lifecycle}
	}
	for _, step := range steps {
		if err := step(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// settle finds out whether title and priority of a write arrived whose outcome
// is not known.
func (w *work) settle(i *shown) {
	s := &w.state
	if s.Writing == nil {
		return
	}
	if i.Fields.Summary == s.Writing.Summary {
		s.Shown.Summary = s.Writing.Summary
	}
	if i.Fields.Priority != nil && i.Fields.Priority.is(s.Writing.Priority) {
		s.Shown.Priority, s.Shown.Band = s.Writing.Priority, s.Writing.Band
	}
}

// ownership decides whether the description is still as we wrote it. There is
// no If-Match, so a person who edits between this look and the write loses; the
// window is kept short.
func (w *work) ownership(i *shown) {
	s := &w.state
	writing := s.Writing
	s.Writing = nil
	if s.People {
		return
	}
	whole, text := w.returned(i.Fields.Description)
	ours := func(c *contents) bool { return c != nil && (w.made || text == c.Text) }
	switch {
	case ours(writing): // it arrived
		s.Returned, s.Shown.Sent, s.Late = whole, writing.Sent, nil
	case s.Returned != "" && whole == s.Returned: // as we know it
		if writing != nil {
			s.Late = writing
		}
	case ours(s.Late):
		s.Returned, s.Shown.Sent, s.Late = whole, s.Late.Sent, nil
	default:
		s.People = true
		s.warn("people", "a person edited the description, so it is not rewritten any more; news stand in comments")
	}
	w.made = false
}

// edit writes what changed: the description unless it is the people's, the
// title and the priority unless people changed them.
func (w *work) edit(ctx context.Context, i *shown) error {
	fields, next, err := w.changes(ctx, i)
	if err != nil || len(fields) == 0 {
		return err
	}
	if wait := w.state.WroteAt.Add(w.scale(spacing)).Sub(w.now()); wait > 0 {
		return w.later(wait, "spacing", "the issue was written a moment ago; jira limits writes per issue")
	}
	for len(fields) > 0 { // at most twice: without the priority the second time
		w.state.WroteAt, w.state.Writing = w.now().UTC(), &next
		if err := w.keep(); err != nil {
			return err
		}
		err := w.client.call(ctx, "edit the issue", http.MethodPut, "/issue/"+url.PathEscape(w.state.Issue.ID), map[string]any{"fields": fields}, nil)
		if err == nil {
			return w.written(ctx, fields, next)
		}
		e := asAPI(err)
		if e == nil || !w.dropEdit(e, fields) {
			return w.editFailed(err)
		}
		next.Priority, next.Band = w.state.Shown.Priority, w.state.Shown.Band
	}
	w.state.Writing = nil
	return w.keep()
}

// editFailed is the failure of an edit, with what is true then.
func (w *work) editFailed(err error) error {
	e := asAPI(err)
	switch {
	case e == nil:
	case e.missing():
		return errGone
	case e.unknown:
		e.fault.Class = notify.Retry
		e.fault.After = max(e.fault.After, w.scale(spacing))
		e.fault.Safe = "the issue exists; it is read before it is written again"
	default:
		w.state.Writing = nil
		e.fault.Safe = "the issue exists and shows an earlier revision"
		return firstOf(w.keep(), err)
	}
	return err
}

// written remembers what Jira shows now, in the form in which it returns it.
func (w *work) written(ctx context.Context, fields map[string]any, next contents) error {
	if _, ok := fields["summary"]; ok {
		w.state.Shown.Summary = next.Summary
	}
	w.state.Shown.Priority, w.state.Shown.Band = next.Priority, next.Band
	if _, ok := fields["description"]; !ok {
		w.state.Writing = nil
		return w.keep()
	}
	if err := w.keep(); err != nil {
		return err
	}
	i, err := w.read(ctx, w.state.Issue.ID)
	if err != nil {
		return err
	}
	whole, _ := w.returned(i.Fields.Description)
	w.state.Returned, w.state.Shown.Sent, w.state.Writing, w.state.Late = whole, next.Sent, nil, nil
	return w.keep()
}

// changes are the fields to write.
func (w *work) changes(ctx context.Context, i *shown) (map[string]any, contents, error) {
	fields := map[string]any{}
	desc := w.describe(w.v, w.follows(ctx))
	next := contents{Sent: desc.sent, Text: desc.text, Summary: summary(w.v), Priority: w.state.Shown.Priority, Band: w.state.Shown.Band, Seq: lastSeq(w.v)}
	if !w.state.People && desc.sent != w.state.Shown.Sent {
		fields["description"] = desc.value
		if doc, ok := desc.value.(node); ok {
			fields["description"] = keepTicks(doc, i.Fields.Description)
		}
	}
	if next.Summary != w.state.Shown.Summary && i.Fields.Summary == w.state.Shown.Summary {
		fields["summary"] = next.Summary
	}
	id, err := w.raised(ctx, i)
	if err != nil {
		return nil, next, err
	}
	if id != "" {
		fields["priority"], next.Priority, next.Band = priorityRef(id), id, int(w.v.Band)
	}
	return fields, next, nil
}

// raised returns the priority that a raised severity asks for, where nobody
// chose another since.
func (w *work) raised(ctx context.Context, i *shown) (string, error) {
	_, configured := w.cfg.Fields["priority"]
	shown := w.state.Shown
	if configured || shown.Priority == "" || int(w.v.Band) <= shown.Band || slices.Contains(w.state.Dropped, "priority") {
		return "", nil
	}
	if i.Fields.Priority == nil || !i.Fields.Priority.is(shown.Priority) {
		return "", nil // a person chose another one
	}
	m, err := w.metadata(ctx, nil)
	if err != nil {
		if e := notify.AsError(err); e.Class == notify.Park { // the issue exists; only its priority stays behind
			w.state.warn("priority", "the priority stays as it is: "+visibleSentence(e.Message))
			return "", nil
		}
		return "", err
	}
	id, missing := w.priority(w.v, m)
	if missing != "" {
		w.state.warn("priority", missing)
		return "", nil
	}
	w.state.clear("priority")
	if id == shown.Priority {
		return "", nil
	}
	return id, nil
}

// dropEdit takes the priority out of an edit that Jira refuses for nothing
// else.
func (w *work) dropEdit(e *apiError, fields map[string]any) bool {
	if e.status != http.StatusBadRequest || !e.bare {
		return false
	}
	refused := slices.Sorted(maps.Keys(e.fields))
	if len(refused) != 1 || refused[0] != "priority" {
		return false
	}
	delete(fields, "priority")
	w.state.Dropped = append(w.state.Dropped, "priority")
	w.state.warn("field priority", fmt.Sprintf("jira refuses the field priority (%s); it stays as it is", visibleSentence(e.fields["priority"])))
	return true
}

// tellPeople sets the property that says whose the description is.
func (w *work) tellPeople(ctx context.Context, _ *shown) error {
	if !w.state.People || w.state.PeopleProperty {
		return nil
	}
	err := w.client.call(ctx, "set the property of the issue", http.MethodPut,
		"/issue/"+url.PathEscape(w.state.Issue.ID)+"/properties/"+propertyKey, property(w.v, "people"), nil)
	if e := asAPI(err); e != nil {
		if e.fault.Class != notify.Park || e.status == http.StatusNotFound {
			return err
		}
		w.state.warn("property", "jira does not take the property "+propertyKey+" of the issue")
	}
	w.state.PeopleProperty = true
	return w.keep()
}

func visibleSentence(s string) string { return escape.CutEnd(escape.Visible(s), 200) }
