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

	d.AlsoHits = append(d.AlsoHits, "everything that invokes "+s.Name+": it is answered with TooManyRequestsException, by a function URL with 429",
		"what invokes it asynchronously, such as S3, SNS and EventBridge: an event waits up to 6 hours, or less where the function says so, and is then lost or goes to a dead-letter queue or destination; what still waits runs after an undo")
	for _, source := range s.Sources {
		d.AlsoHits = append(d.AlsoHits, "event source "+source+", which stays on: what comes from it waits, and is lost or goes to a dead-letter queue once it is too old or was tried too often; what still waits runs after an undo")
	}
	if len(s.Provisioned) > 0 {
		d.AlsoHits = append(d.AlsoHits, "provisioned concurrency, which is taken away first, since AWS reserves 0 only without it: "+joined(s.Provisioned)+
			"; nothing is paid for it meanwhile, what scales it fails, and AWS allocates it anew over minutes after an undo")
	}
	role := ""
	if s.Role != "" {
		role = " " + path.Base(s.Role)
	}
	d.WillNot = append(d.WillNot,
		"invocations that run now go on until they end: "+goOn(s.Timeout),
		"sessions of its role"+role+" go on: plan iam-role with the session "+s.Name,
		"code, configuration, event sources, function URL and policy stay as they are",
		"values of environment variables are not kept; their names are")
	for _, g := range s.Gaps {
		d.WillNot = append(d.WillNot, "not written down: "+g)
	}
	if s.Provisioned == nil {
		d.Manual = append(d.Manual, "It is not known whether concurrency is provisioned for "+s.Name+". If the run fails to reserve 0 because of it: "+byHand(s.Name)+".")
	}
	d.Manual = append(d.Manual, "Change what its environment variables hold in secrets, if the function was under foreign control.")
	d.Undo = "sets the reserved concurrency to what it was, or takes it away where it was not set; then asks again for what provisioned concurrency was taken away"
	d.ShortestSeconds, d.LongestSeconds = 5, 120
	return d.Draft, nil
}

// goOn is how long an invocation may take: the published versions of a function
// have timeouts of their own.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
func goOn(timeout int32) string {
	if timeout <= 0 {
		return "at most 15 minutes"
	}
	return fmt.Sprintf("at most %d s, and those of published versions as long as each says, at most 15 minutes", timeout)
}

func joined(list []provision) string {
	words := make([]string, 0, len(list))
	for _, c := range list {
		words = append(words, c.String())
	}
	return kit.Join(words)
}
