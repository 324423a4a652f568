package jira

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// transition is one way out of the status that the issue has now. Its id
// differs per workflow and status, so it is never remembered.
type transition struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	To   struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Category struct {
			Key string `json:"key"`
		} `json:"statusCategory"`
	} `json:"to"`
	Fields map[string]field `json:"fields"`
}

const done = "done" // the category of statuses that end an issue

// lifecycle carries out a closing or a reopening. A status that people set is
// theirs: it is touched only when the incident itself closes or reopens.
func (w *work) lifecycle(ctx context.Context, i *shown) error {
	if err := w.settleMove(i); err != nil {
		return err
	}
	closing := w.closedNow()
	if closing == w.state.Closed {
		return w.keep()
	}
	name := w.cfg.CloseTransition
	if !closing {
		name = w.cfg.ReopenTransition
	}
	ended := i.Fields.Status.Category.Key == done
	if name == "" && !closing && ended {
		// No way back is configured, so the incident goes on in another issue.
		w.state.leave(whyClosed)
		if err := w.keep(); err != nil {
			return err
		}
		return errAnew
	}
	if name != "" {
		if err := w.move(ctx, i, name, closing, ended); err != nil {
			return err
		}
	}
	w.state.Closed, w.state.Moving = closing, nil
	return w.keep()
}

// settleMove finds out whether a transition was carried out whose outcome is
// not known.
func (w *work) settleMove(i *shown) error {
	m := w.state.Moving
	if m == nil {
		return nil
	}
	if m.Status == i.Fields.Status.ID {
		w.state.Closed = m.Closed
	} else if wait := m.At.Add(w.scale(w.cfg.Timeout)).Sub(w.now()); wait > 0 {
		return w.later(wait, "unknown_outcome", "it is not known whether the status was changed; the issue is read again")
	}
	w.state.Moving = nil
	return nil
}

// move carries out the transition called name, or the one that leads to a
// status of that name. What cannot be done is a warning: to try again would
// change nothing.
func (w *work) move(ctx context.Context, i *shown, name string, closing, ended bool) error {
	status := i.Fields.Status
	w.state.clear("transition")
	if strings.EqualFold(status.Name, name) {
		return nil
	}
	path := "/issue/" + url.PathEscape(i.ID) + "/transitions"
	var list struct {
		Transitions []transition `json:"transitions"`
	}
	if err := w.client.call(ctx, "read the transitions", http.MethodGet, path+"?expand=transitions.fields", nil, &list); err != nil {
		return w.moveFailed(err, name)
	}
	t := choose(list.Transitions, name)
	if t == nil {
		if closing && ended {
			return nil // people were faster
		}
		w.state.warn("transition", fmt.Sprintf("there is no transition %q from the status %q of %s; there are: %s",
			escape.Visible(name), visibleKey(status.Name), visibleKey(i.Key), transitionNames(list.Transitions)))
		return nil
	}
	fields, problem := w.demanded(t)
	if problem != "" {
		w.state.warn("transition", problem)
		return nil
	}
	w.state.Moving = &moving{At: w.now().UTC(), Status: t.To.ID, Closed: closing}
	if err := w.keep(); err != nil {
		return err
	}
	body := map[string]any{"transition": map[string]string{"id": t.ID}}
	if len(fields) > 0 {
		body["fields"] = fields
	}
	return w.moveFailed(w.client.call(ctx, "change the status", http.MethodPost, path, body, nil), name)
}

// moveFailed turns a refusal into a warning; everything else is tried again.
func (w *work) moveFailed(err error, name string) error {
	e := asAPI(err)
	switch {
	case err == nil:
		return nil
	case e == nil:
		return err
	case e.missing():
		return errGone
	case e.unknown:
		e.fault.Class = notify.Retry
		e.fault.After = max(e.fault.After, w.scale(w.cfg.Timeout))
		e.fault.Safe = "the status may have changed; it is read before it is tried again"
		return err
	case e.fault.Class == notify.Park:
		w.state.warn("transition", fmt.Sprintf("the transition %q is refused: %s", escape.Visible(name), visibleSentence(e.fault.Message)))
		return nil
	}
	w.state.Moving = nil
	return firstOf(w.keep(), err)
}

// choose finds a transition by its own name, else by that of its status.
func choose(list []transition, name string) *transition {
	for i := range list {
		if strings.EqualFold(list[i].Name, name) {
			return &list[i]
		}
	}
	for i := range list {
		if strings.EqualFold(list[i].To.Name, name) {
			return &list[i]
		}
	}
	return nil
}

func transitionNames(list []transition) string {
	var names []string
	for _, t := range list {
		names = append(names, fmt.Sprintf("%q to %q", escape.Visible(t.Name), escape.Visible(t.To.Name)))
	}
	if len(names) == 0 {
		return "none that the account may use"
	}
	return escape.CutEnd(strings.Join(names, ", "), 300)
}

// demanded returns the fields that the transition's screen requires, where
// their values leave no choice, and says what a person must configure
// otherwise.
func (w *work) demanded(t *transition) (map[string]any, string) {
	fields := map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(t.Fields)) {
		f := t.Fields[id]
		if !f.Required || f.HasDefault {
			continue
		}
		c, ok := w.onlyChoice(id, f)
		if !ok {
			return nil, fmt.Sprintf("the transition %q demands the field %s, which has several values (%s); guardroom does not guess",
				escape.Visible(t.Name), visibleKey(id), allowedNames(f.Allowed))
		}
		fields[id] = map[string]string{"id": c.ID}
	}
	return fields, ""
}

// onlyChoice is the value that is determined: the only one, or the resolution
// that is called as the verdict.
func (w *work) onlyChoice(id string, f field) (choice, bool) {
	if len(f.Allowed) == 1 {
		return f.Allowed[0], true
	}
	if verdict := w.v.Verdict.Words(); id == "resolution" && verdict != "" {
		for _, c := range f.Allowed {
			if strings.EqualFold(c.label(), verdict) {
				return c, true
			}
		}
	}
	return choice{}, false
}

func allowedNames(list []choice) string {
	var names []string
	for _, c := range list {
		names = append(names, escape.Visible(c.label()))
	}
	if len(names) == 0 {
		return "any"
	}
	return escape.CutEnd(strings.Join(names, ", "), 300)
}
