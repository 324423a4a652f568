package kit

import (
	"encoding/json"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Draft gathers the steps of a plan for one target.
type Draft struct {
	respond.Draft
	actions respond.Actions
	region  string
}

// NewDraft begins a draft for a target, whose steps name these actions.
func NewDraft(t respond.Target, actions []respond.Action) *Draft {
	return &Draft{Draft: respond.Draft{Target: t}, actions: respond.NewActions(actions), region: t.Region}
}

// Add adds a step, and returns its id. Account, region, role and calls are
// filled in from the target and from the action.
func (d *Draft) Add(s respond.Step, params any) string {
	a := d.actions[s.Action]
	s.Account, s.Region = d.Target.Account, d.region
	s.Role, s.Calls = awscalls.Read, nil
	if calls := a.Calls[awscalls.Act]; len(calls) > 0 {
		s.Role, s.Calls = awscalls.Act, calls
	} else if calls := a.Calls[awscalls.Forensics]; len(calls) > 0 {
		s.Calls = calls
	}
	s.Params = json.RawMessage(MustJSON(params))
	d.Steps = append(d.Steps, s)
	return s.ID
}

// Guard adds an answer of a guard.
func (d *Draft) Guard(name string, answer respond.Answer, why, hint string) {
	d.Guards = append(d.Guards, respond.Guard{Name: name, Answer: answer, Why: why, Hint: hint})
}

// Guarded adds answers that were given before.
func (d *Draft) Guarded(list ...respond.Guard) { d.Guards = append(d.Guards, list...) }

// Facts in the order of their names.
type Facts []respond.Fact

// Add adds a fact; a list is one value.
func (f *Facts) Add(name string, values ...string) {
	*f = append(*f, respond.Fact{Name: name, Value: strings.Join(values, ", ")})
}

// Join is a list for people: a, b and c.
func Join(list []string) string {
	switch n := len(list); n {
	case 0:
		return "none"
	case 1:
		return list[0]
	default:
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
}
