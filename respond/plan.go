package respond

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// SchemaVersion of the stored plan.
const SchemaVersion = 1

// PlanID names a plan: pln_ and a ULID in lower case.
type PlanID string

// RunID names a run: run_ and a ULID in lower case.
type RunID string

// Target is the resource that a plan is about. Its ids come from the finding,
// checked by their pattern; everything else was described live.
type Target struct {
	Kind    finding.ResourceKind `json:"kind"`
	ID      string               `json:"id"`
	ARN     string               `json:"arn,omitempty"`
	Name    string               `json:"name,omitempty"`
	Account string               `json:"account"`
	Region  string               `json:"region"`
	// Parts are further ids that the finding names and that belong to it: the
	// access key of a user, the session of a role, the key of an object.
	Parts map[string]string `json:"parts,omitempty"`
}

// Key names the target for what happens to one target at a time.
func (t Target) Key() string {
	return fmt.Sprintf("%s/%s/%s/%s", t.Account, t.Region, t.Kind, t.ID)
}

// Holds are the names under which a run holds the target, so that no other run
// has it in hand: its key and its ARN, and for an object also the ARN of its
// bucket, whose policy its quarantine changes.
func (t Target) Holds() []string {
	out := []string{t.Key()}
	if t.ARN == "" {
		return out
	}
	out = append(out, t.ARN)
	if t.Kind == finding.KindS3Object {
		bucket, _, _ := strings.Cut(t.ARN, "/") // no name of a bucket has a slash
		out = append(out, bucket)
	}
	return out
}

// Effect says what a step does to the world, for people.
type Effect string

// The effects.
const (
	NoChange     Effect = "no change"
	Reversible   Effect = "reversible"
	Irreversible Effect = "cannot be undone"
	Creates      Effect = "creates"
)

// Step is one thing that a plan does, in the words of people and of AWS.
type Step struct {
	// ID is unique in the plan: the stage, then what it is about, isolate/eni-0c1.
	ID string `json:"id"`
	// Action names the code: ec2.isolate-interface.
	Action string `json:"action"`
	// Part is the prefix of the ids of the part that it belongs to, in a plan over
	// several resources.
	Part string `json:"part,omitempty"`
	// Stage groups steps for people: record, protect, detach, contain, snapshot, …
	Stage string `json:"stage"`
	// Title says what will change, for example "eni-0c1: 2 security groups -> guardroom-contain".
	Title string `json:"title"`
	// Calls are what it calls in AWS to change something, Service.Operation.
	Calls   []string        `json:"calls,omitempty"`
	Role    awscalls.Role   `json:"role"`
	Account string          `json:"account"`
	Region  string          `json:"region"`
	Effect  Effect          `json:"effect"`
	Params  json.RawMessage `json:"params,omitempty"`
	// After and Needs are ids of steps, as in playbook.Node.
	After []string `json:"after,omitempty"`
	Needs []string `json:"needs,omitempty"`
	// Approval is why this step wants a line of its own in the approval: "last
	// healthy target of payments".
	Approval string `json:"approval,omitempty"`
	// Contains marks the steps that must be completed for the incident to count
	// as contained.
	Contains bool `json:"contains,omitempty"`
	// TimeoutSeconds ends the step as failed; 0: the action's own.
	TimeoutSeconds int64 `json:"timeout_seconds,omitempty"`
}

// Answer is what a guard said.
type Answer string

// The answers.
const (
	Pass   Answer = "pass"
	Warn   Answer = "warn"   // a line in the approval
	Refuse Answer = "refuse" // the plan cannot be approved
)

// Guard is one question about the blast radius, and its answer.
type Guard struct {
	Name   string `json:"name"`
	Answer Answer `json:"answer"`
	Why    string `json:"why,omitempty"`
	// Hint says what a person can do about a refusal.
	Hint string `json:"hint,omitempty"`
	// Unsure says that it refuses because something could not be read: it may
	// answer otherwise once AWS does.
	Unsure bool `json:"-"`
}

// GuardEvidence is the guard that looks at the evidence bucket. It never refuses,
// and holds no plan up that a rule approves beforehand.
const GuardEvidence = "evidence"

// Fact is something about the target that must still be so when the run starts.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Plan is exactly what a playbook would do to this target. Its canonical bytes
// are stored, and their SHA-256 is what an approval is bound to.
type Plan struct {
	Schema   int             `json:"schema"`
	ID       PlanID          `json:"id"`
	Incident incident.Number `json:"incident"`
	// Finding is the one that the plan was made for.
	Finding  finding.ID `json:"finding,omitempty"`
	Playbook string     `json:"playbook"`
	Version  int        `json:"version"`
	Target   Target     `json:"target"`
	// Parts are the further targets of a plan over several resources.
	Parts []Target `json:"parts,omitempty"`
	Steps []Step   `json:"steps"`

	WillNot      []string `json:"will_not"`
	AlsoHits     []string `json:"also_hits"`
	Guards       []Guard  `json:"guards"`
	Irreversible []string `json:"irreversible"`
	// Manual are steps that only people can do, with the right names filled in.
	Manual []string `json:"manual,omitempty"`
	// LeftOut are the resources of the incident that this plan does nothing about,
	// each with the reason.
	LeftOut []string `json:"left_out,omitempty"`
	Undo    string   `json:"undo"`
	// ShortestSeconds and LongestSeconds are how long it is expected to take.
	ShortestSeconds int64 `json:"shortest_seconds"`
	LongestSeconds  int64 `json:"longest_seconds"`
	// CostCents is what it costs a month, in cents of a US dollar, until released.
	CostCents int64  `json:"cost_cents_a_month"`
	CostWhy   string `json:"cost_why,omitempty"`

	// Facts are what the world digest is over.
	Facts []Fact `json:"facts"`
	// Watched is what the plan saw and what may change without making it another
	// one: the steps take it as it is by then, and the run tells what is different.
	Watched []Fact `json:"watched,omitempty"`
	// BeforeSHA256 is over the description of the live resource.
	BeforeSHA256 string `json:"before_sha256"`

	// Keeping is where the run keeps what it preserves; nil in an undo.
	Keeping *Keeping `json:"keeping,omitempty"`

	// UndoOf is the run that this plan undoes.
	UndoOf    RunID  `json:"undo_of,omitempty"`
	Simulated bool   `json:"simulated,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`
	Requester string `json:"requester"`
	// Proven says that the requester is an identity of its own (a personal token).
	Proven    bool      `json:"requester_proven,omitempty"`
	Approvals int       `json:"approvals"` // how many people must approve
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Refused returns the first guard that forbids the plan.
func (p *Plan) Refused() (Guard, bool) {
	for _, g := range p.Guards {
		if g.Answer == Refuse {
			return g, true
		}
	}
	return Guard{}, false
}

// Reversible reports whether every step can be undone.
func (p *Plan) Reversible() bool {
	for _, s := range p.Steps {
		if s.Effect == Irreversible {
			return false
		}
	}
	return len(p.Irreversible) == 0
}

// Step returns the step with the id.
func (p *Plan) Step(id string) (Step, bool) {
	for _, s := range p.Steps {
		if s.ID == id {
			return s, true
		}
	}
	return Step{}, false
}

// Canonical returns v as JSON with sorted keys and no space that means nothing.
func Canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any // maps are marshalled with sorted keys
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// Digest is the SHA-256 of bytes, in hex.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// WorldDigest is the digest over facts, in their order.
func WorldDigest(facts []Fact) string {
	b, err := Canonical(facts)
	if err != nil {
		panic("respond: facts are texts: " + err.Error())
	}
	return Digest(b)
}

// Differences says in which facts two worlds differ.
func Differences(before, now []Fact) []string {
	var out []string
	was := map[string]string{}
	for _, f := range before {
		was[f.Name] = f.Value
	}
	seen := map[string]bool{}
	for _, f := range now {
		seen[f.Name] = true
		if old, ok := was[f.Name]; !ok {
			out = append(out, fmt.Sprintf("%s is new: %s", f.Name, f.Value))
		} else if old != f.Value {
			out = append(out, fmt.Sprintf("%s was %s and is %s", f.Name, old, f.Value))
		}
	}
	for _, f := range before {
		if !seen[f.Name] {
			out = append(out, fmt.Sprintf("%s is gone; it was %s", f.Name, f.Value))
		}
	}
	return out
}
