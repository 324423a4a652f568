package lambda

import (
	"fmt"
	"path"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

type params struct {
	Function string `json:"function"`
	ARN      string `json:"arn"`
	Timeout  int32  `json:"timeout_seconds,omitempty"` // of an invocation
}

func (function) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	s, ok := w.Value.(functionState)
	if !ok {
		return respond.Draft{}, fault.New(fault.Internal, "the description is not one of a function", "")
	}
	t := r.Target
	t.ARN, t.Name = s.ARN, s.Name
	d := kit.NewDraft(t, Actions(nil))
	d.Guarded(kit.NeverTouch(s.Tags))
	if s.Reserved != nil && *s.Reserved == 0 {
		d.Guard("already contained", respond.Warn, "its reserved concurrency is 0 already, not by this plan; undo leaves it", "")
	}
	p := params{Function: s.Name, ARN: s.ARN, Timeout: s.Timeout}
	rec := d.Add(respond.Step{ID: "record/function", Action: "lambda.record-function", Stage: "record", Title: "write down function " + s.Name + ": configuration, policy, event sources", Effect: respond.NoChange}, p)
	stop := d.Add(respond.Step{ID: "contain/concurrency", Action: "lambda.stop-function", Stage: "contain", Effect: respond.Reversible, Contains: true, After: []string{rec},
		Title: "reserved concurrency of " + s.Name + ": " + number(s.Reserved) + " -> 0"}, p)
	d.Add(respond.Step{ID: "preserve/code", Action: "lambda.keep-code", Stage: "preserve", Effect: respond.NoChange, After: []string{rec},
		Title: fmt.Sprintf("keep the code of %s (%d bytes) and compare its hash", s.Name, s.Size)}, p)
	d.Add(respond.Step{ID: "verify/function", Action: "lambda.verify-function", Stage: "verify", Title: "read the reserved concurrency of " + s.Name + " back", Effect: respond.NoChange, Contains: true, After: []string{stop}}, p)

	d.AlsoHits = append(d.AlsoHits, "everything that invokes "+s.Name+": it is answered with TooManyRequestsException")
	for _, source := range s.Sources {
		d.AlsoHits = append(d.AlsoHits, "event source "+source+": what comes from it waits, and is lost once it is too old")
	}
	role := ""
	if s.Role != "" {
		role = " " + path.Base(s.Role)
	}
	d.WillNot = append(d.WillNot,
		fmt.Sprintf("invocations that run now go on, for at most %d s", s.Timeout),
		"sessions of its role"+role+" go on: plan iam-role with the session "+s.Name,
		"code, configuration, event sources, function URL and policy stay as they are",
		"values of environment variables are not kept; their names are")
	for _, g := range s.Gaps {
		d.WillNot = append(d.WillNot, "not written down: "+g)
	}
	d.Manual = append(d.Manual, "Change what its environment variables hold in secrets, if the function was under foreign control.")
	d.Undo = "sets the reserved concurrency to what it was, or takes it away where it was not set"
	d.ShortestSeconds, d.LongestSeconds = 5, 120
	return d.Draft, nil
}
