package fakejira

import (
	"net/http"
	"strings"
)

func (w *Workflow) status(name string) *Status {
	for i := range w.Statuses {
		if strings.EqualFold(w.Statuses[i].Name, name) {
			return &w.Statuses[i]
		}
	}
	return nil
}

// listTransitions is GET /issue/{key}/transitions: the ways out of the status
// that the issue has now.
func (s *Server) listTransitions(i *issue, expand string) *answer {
	out := []map[string]any{}
	for _, t := range i.status.Transitions {
		to := s.opts.Workflow.status(t.To)
		if to == nil {
			continue
		}
		one := map[string]any{
			"id": t.ID, "name": t.Name, "hasScreen": len(t.Fields) > 0,
			"to": map[string]any{"id": to.ID, "name": to.Name, "statusCategory": map[string]any{"key": to.Category}},
		}
		if expand == "transitions.fields" {
			fields := map[string]any{}
			for _, f := range t.Fields {
				fields[f.ID] = showField(f)
			}
			one["fields"] = fields
		}
		out = append(out, one)
	}
	return reply(http.StatusOK, map[string]any{"expand": "transitions", "transitions": out}, "")
}

// transition is POST /issue/{key}/transitions.
func (s *Server) transition(i *issue, body []byte) *answer {
	in, refused := s.decode(body, "transition", "fields", "update")
	if refused != nil {
		return refused
	}
	var t *Transition
	for n := range i.status.Transitions {
		if i.status.Transitions[n].ID == in.Transition.ID {
			t = &i.status.Transitions[n]
		}
	}
	if t == nil {
		return s.refuse(http.StatusBadRequest, "It seems that you have tried to perform an illegal workflow operation: transition %q from %s.", in.Transition.ID, i.status.Name)
	}
	errors := map[string]string{}
	s.missing(in.Fields, t.Fields, errors)
	trial := *i
	for id, raw := range in.Fields {
		var f *Field
		for n := range t.Fields {
			if t.Fields[n].ID == id {
				f = &t.Fields[n]
			}
		}
		if f == nil {
			errors[id] = "Field '" + id + "' cannot be set. It is not on the appropriate screen, or unknown."
			continue
		}
		if id == "resolution" {
			v, ok := choose(f.Allowed, raw)
			if !ok {
				errors[id] = "The resolution selected is invalid."
			}
			trial.Resolution = v.Name
			continue
		}
		if problem := s.setField(&trial, id, f, raw); problem != "" {
			errors[id] = problem
		}
	}
	if len(errors) > 0 {
		return badFields(errors)
	}
	*i = trial
	i.status = s.opts.Workflow.status(t.To)
	if i.status.Category != "done" {
		i.Resolution = ""
	}
	s.touch(i)
	return reply(http.StatusNoContent, nil, "moved "+i.Key+" to "+i.status.Name)
}
