package respond

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Playbook is a response to one kind of resource, as Go code. It is stateless
// and safe for concurrent use.
type Playbook interface {
	// Name is what people and routes call it: ec2-contain, forensics, iam-user.
	Name() string
	// Version is raised when the meaning of its steps changes.
	Version() int
	// Summary is one sentence for playbook list.
	Summary() string
	// Fits reports whether it can respond to a resource.
	Fits(t Target) bool
	// Describe looks at the live resource, by calls that change nothing. A
	// resource that is not there is an error with what can still be done.
	Describe(ctx context.Context, aws awscalls.AWS, r Request) (World, error)
	// Draft says what would be done to that world. It does no I/O.
	Draft(w World, r Request) (Draft, error)
}

// Request is what a plan is asked for.
type Request struct {
	Incident *incident.Incident
	// Finding is the one that the plan is made for, Type is its type.
	Finding finding.ID
	Type    string
	Role    finding.Role
	Target  Target
	// Roles are the targets beside the first, for a plan over several resources.
	Others    []Target
	Policy    Policy
	Requester string
	// Now is when the plan is made. Nothing that depends on it is a Fact.
	Now time.Time
	// Forbids says whether the configuration forbids to respond to a resource as it
	// was described, where changes says that the draft changes something. It does
	// no I/O; nil: nothing is forbidden.
	Forbids func(t Target, w World, changes bool) Guard
}

// Place is where the calls about the target go.
func (r Request) Place(role awscalls.Role) awscalls.Place {
	return awscalls.Place{Account: r.Target.Account, Region: r.Target.Region, Role: role, Incident: r.Incident.Number.String()}
}

// World is a live resource as it was described.
type World struct {
	// Before is the whole description, as JSON: the before-image.
	Before json.RawMessage
	// Facts are those that must still be so when the run starts.
	Facts []Fact
	// Watched are things that may change meanwhile, by whoever holds the credentials
	// that are to be contained too: the run goes on, and tells what is different. A
	// thing belongs here unless it changes which resource is meant, what the steps
	// would do, or what people agreed to.
	Watched []Fact
	// Value is for the playbook's own Draft.
	Value any
	// Unanswered is what AWS did not answer and may answer later, throttled as it
	// was. A fact that is missing proves nothing then.
	Unanswered []string
	// Tags are what the resource carries now: one map, or more where it inherits
	// those of what holds it. Nil: they could not be read.
	Tags []map[string]string
	// WorksAs is the ARN of the role whose credentials the resource holds; empty: it
	// has none, or it is not known.
	WorksAs string
	// Untouched says that whatever is done changes nothing of the resource itself.
	Untouched bool
}

// Draft is what a playbook wants to do.
type Draft struct {
	Target                          Target   // with the name and the ARN that the description gave
	Parts                           []Target // of a plan over several resources
	Steps                           []Step
	WillNot, AlsoHits, Irreversible []string
	Manual                          []string
	// LeftOut is what of the incident is not in the plan, and why.
	LeftOut []string
	// Refused are the guards for which resources were left out.
	Refused                         []Guard
	Guards                          []Guard
	Undo                            string
	ShortestSeconds, LongestSeconds int64
	CostCents                       int64
	CostWhy                         string
	// World is what the plan is about, where that is less than what was described: a
	// resource that is left out may change without making the plan another one.
	World *World
}

// Judged is a draft with the answer whether the configuration forbids it. A plan
// over several resources asks of each by itself.
func Judged(d Draft, w World, r Request) Draft {
	if r.Forbids == nil {
		return d
	}
	changes := slices.ContainsFunc(d.Steps, func(s Step) bool { return s.Effect != NoChange })
	d.Guards = append([]Guard{r.Forbids(d.Target, w, changes)}, d.Guards...)
	return d
}
