package respond

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Actions are all that plans may name.
type Actions map[string]Action

// NewActions puts lists of actions together. A name that is used twice is an
// error of ours and panics.
func NewActions(lists ...[]Action) Actions {
	out := Actions{}
	for _, l := range lists {
		for _, a := range l {
			if _, twice := out[a.Name]; twice {
				panic("respond: two actions with the name " + a.Name)
			}
			out[a.Name] = a
		}
	}
	return out
}

// Executor carries out plans.
type Executor struct {
	Actions Actions
	AWS     awscalls.AWS
	Owed    Owing
	Policy  Policy
	// Beside is what is done besides the steps of the plan, at the same time: no
	// step waits for it. What it preserves is evidence of the run.
	Beside []Beside
	// Tool is this guardroom with its version, and Digest that of the approved plan:
	// both are said of what a run preserves. Empty: they are not known.
	Tool, Digest string
}

// Beside is something that a run does and that is no step of its plan.
type Beside struct {
	// Step says what it is and where; its ID is that of its record.
	Step    Step
	Options playbook.Options
	Do      func(x *Exec) (playbook.Outcome, error)
}

// Execute does the steps of a plan in a run, each when those before it have
// ended. It does what the plan says or less, never more; a step that fails stops
// only those that need it. It returns the records of all steps, and of what is
// beside them.
func (e *Executor) Execute(c playbook.Context, run RunID, p *Plan) (map[string]playbook.Record, error) {
	nodes := make([]playbook.Node, 0, len(e.Beside)+len(p.Steps))
	for _, b := range e.Beside {
		nodes = append(nodes, e.node(c, run, p, b.Step, b.Options, b.Do))
	}
	for _, s := range p.Steps {
		a, ok := e.Actions[s.Action]
		if !ok {
			return nil, playbook.Permanent(fmt.Errorf("step %s of plan %s wants %s, which this guardroom does not know", s.ID, p.ID, s.Action))
		}
		nodes = append(nodes, e.node(c, run, p, s, a.Options, a.Do))
	}
	return c.Graph(nodes)
}

// node is a step as the graph of the run has it.
func (e *Executor) node(c playbook.Context, run RunID, p *Plan, s Step, o playbook.Options, do func(x *Exec) (playbook.Outcome, error)) playbook.Node {
	if s.TimeoutSeconds > 0 {
		o.Timeout = time.Duration(s.TimeoutSeconds) * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Hour
	}
	if o.Transient == nil {
		o.Transient = Transient
	}
	return playbook.Node{Name: s.ID, Options: o, After: s.After, Needs: s.Needs, Do: func(st playbook.Step) (playbook.Outcome, error) {
		x := &Exec{Step: st, Def: s, Plan: p, RunID: run, Policy: e.Policy.For(p), AWS: e.AWS, Owed: e.Owed, tool: e.Tool, digest: e.Digest, limit: o.Timeout, records: c.Record}
		out, err := do(x)
		if st.Attempt() >= strangeAnswers && !s.Contains && notOfAWS(err) {
			err = playbook.Permanent(Explain(err, s.Title, "what was done before stays; see the run"))
		}
		return out, Explain(err, s.Title, "what was done before stays; see the run")
	}}
}

// strangeAnswers is how often a step asks again where something answers that is
// not AWS, beside the SDK's own repetitions: a proxy, or a double that does not
// know the call. What waits for such a step must not wait for an hour. A step that
// contains asks for all of its time: it matters more than the wait.
const strangeAnswers = 3

// notOfAWS reports whether something answered that is not AWS: without a code. A
// gateway that says that nothing answers behind it is an outage like any other.
func notOfAWS(err error) bool {
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil || Code(err) != "" {
		return false
	}
	switch answer.HTTPStatusCode() {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 0:
		return false
	}
	return true
}
