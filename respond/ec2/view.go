package ec2

import (
	"strings"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// view is what a plan says about one instance, and what became of it.
type view struct {
	steps  []respond.Step // of the part, with their local ids
	record func(id string) (playbook.Record, bool)
}

// viewOf is the view of the part of a plan. record is asked by local ids.
func viewOf(p *respond.Plan, part string, record func(id string) (playbook.Record, bool)) view {
	v := view{record: record}
	for _, s := range p.Steps {
		if s.Part != part {
			continue
		}
		if part != "" {
			s.ID = strings.TrimPrefix(s.ID, part+"/")
		}
		v.steps = append(v.steps, s)
	}
	return v
}

// done calls f for each step of an action that was completed.
func (v view) done(action string, f func(s respond.Step, r playbook.Record)) {
	for _, s := range v.steps {
		if s.Action != action {
			continue
		}
		if r, ok := v.record(s.ID); ok && r.State == playbook.Completed {
			f(s, r)
		}
	}
}
