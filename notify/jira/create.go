package jira

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

const propertyKey = "guardroom.incident"

// property is what the issue remembers of us, readable by id at once.
func property(v *message.View, description string) map[string]any {
	const longest = 200
	return map[string]any{"incident": cut(string(v.Incident), longest), "number": cut(v.Number, longest), "delivery": cut(v.Delivery, longest), "description": description}
}

// create makes the issue. That it begins is saved before, its key right after.
func (w *work) create(ctx context.Context) error {
	m, err := w.metadata(ctx, nil)
	if err != nil {
		return err
	}
	const most = 6 // each round drops a field or reads the project anew
	fresh := false
	for range most {
		body, content := w.newIssue(ctx, m)
		w.state.Attempt = &attempt{At: w.now().UTC(), Content: content, After: w.latestKey()}
		if err := w.keep(); err != nil {
			return err
		}
		var made struct{ ID, Key string }
		err := w.client.call(ctx, "create the issue", http.MethodPost, "/issue", body, &made)
		if err == nil && (made.ID == "" || made.Key == "") {
			err = &apiError{unknown: true, fault: &notify.Error{Class: notify.Retry, Reason: "server_error", Message: "create the issue: jira's answer has no key"}}
		}
		if err == nil {
			w.made = true
			w.sawKey(made.Key)
			return w.adopt(ref{ID: made.ID, Key: made.Key}, content)
		}
		e := asAPI(err)
		if e == nil {
			return err
		}
		if e.unknown {
			e.fault.Class, e.fault.After = notify.Retry, w.firstLook().Sub(w.now())
			e.fault.Reason = "unknown_outcome"
			e.fault.Safe = "the issue may have been created; it is looked for before anything else is done"
			return err
		}
		w.state.Attempt = nil // Jira refused: there is none
		if w.drop(e, body) {
			continue
		}
		if !fresh && w.stale(e) {
			fresh = true
			if m, err = w.metadata(ctx, m); err != nil {
				return firstOf(w.keep(), err)
			}
			continue
		}
		e.fault.Safe = "no issue was created"
		return firstOf(w.keep(), err)
	}
	return w.later(0, "invalid", "create the issue: jira refuses ever more fields")
}

// firstOf prefers the failure to save, after which the delivery may be
// another's.
func firstOf(saving, err error) error {
	if saving != nil {
		return saving
	}
	return err
}

// adopt remembers the issue as the one of this delivery.
func (w *work) adopt(r ref, c contents) error {
	w.state.Issue, w.state.Attempt = r, nil
	w.state.Shown, w.state.Writing = c, &c
	w.state.Returned, w.state.WroteAt = "", w.now().UTC()
	w.state.Commented = max(w.state.Commented, c.Seq)
	return w.keep()
}

// newIssue is the body of the creation.
func (w *work) newIssue(ctx context.Context, m *meta) (map[string]any, contents) {
	v := w.v
	desc := w.describe(v, w.follows(ctx))
	c := contents{Sent: desc.sent, Text: desc.text, Summary: summary(v), Seq: lastSeq(v), Band: int(v.Band)}
	fields := map[string]any{
		"project": m.project(), "issuetype": m.issueType(),
		"summary": c.Summary, "description": desc.value,
	}
	maps.Copy(fields, w.cfg.Fields)
	if w.offers(m, "labels") {
		fields["labels"] = w.labels(v)
	}
	if _, configured := w.cfg.Fields["priority"]; !configured && !slices.Contains(w.state.Dropped, "priority") {
		id, missing := w.priority(v, m)
		w.state.clear("priority")
		if missing != "" {
			w.state.warn("priority", missing)
		} else {
			fields["priority"] = priorityRef(id)
			c.Priority = id
		}
	}
	body := map[string]any{"fields": fields}
	if w.cloud && !slices.Contains(w.state.Dropped, "properties") {
		body["properties"] = []any{map[string]any{"key": propertyKey, "value": property(v, "guardroom")}}
	}
	return body, c
}

// offers reports whether an optional field is on the screen, and warns where it
// is not.
func (w *work) offers(m *meta, id string) bool {
	if slices.Contains(w.state.Dropped, id) {
		return false
	}
	if _, ok := m.field(id); ok || m.Blind {
		return true
	}
	w.state.Dropped = append(w.state.Dropped, id)
	w.state.warn("field "+id, fmt.Sprintf("the project does not take the field %s; it is left out", id))
	return false
}

// drop leaves out one optional field that Jira refuses, and reports whether
// there was one. What the configuration asks for is never dropped.
func (w *work) drop(e *apiError, body map[string]any) bool {
	if e.status != http.StatusBadRequest || !e.bare {
		return false
	}
	refused := slices.Sorted(maps.Keys(e.fields))
	optional := func(id string) bool {
		if _, configured := w.cfg.Fields[id]; configured {
			return false
		}
		return id == "priority" || id == "labels" || id == "properties"
	}
	if slices.ContainsFunc(refused, func(id string) bool { return !optional(id) || slices.Contains(w.state.Dropped, id) }) {
		return false
	}
	id := refused[0]
	w.state.Dropped = append(w.state.Dropped, id)
	w.state.warn("field "+id, fmt.Sprintf("jira refuses the field %s (%s); it is left out", id, visibleSentence(e.fields[id])))
	return true
}

// stale reports a refusal that may come from a project or type that is not as
// it was read.
func (w *work) stale(e *apiError) bool {
	if e.status == http.StatusNotFound {
		return true
	}
	_, project := e.fields["project"]
	_, typ := e.fields["issuetype"]
	return e.status == http.StatusBadRequest && (project || typ)
}

// closedNow reports that the incident is closed at this revision.
func (w *work) closedNow() bool { return w.v.State == incident.Closed }

func quote(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
