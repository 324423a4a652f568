package respond

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Action is what a step does. Each stands beside its undo, and names the calls
// that it may make.
type Action struct {
	// Name is what plans call it: ec2.isolate-interface.
	Name string
	// Calls are all that it may call, Service.Operation, by the role that calls
	// it. cloud.Permissions holds a line for each.
	Calls map[awscalls.Role][]string
	// Options of its step; Transient is filled in.
	Options playbook.Options
	// Do looks, acts and looks again. It may run again from its start at any
	// time, and then finds what it did.
	Do func(x *Exec) (playbook.Outcome, error)
	// Undo returns the steps that restore what the recorded one changed; nil
	// for an action that changes nothing, or nothing that can be restored. Their
	// Params hold what was before and what we set; After and Needs are filled in
	// by the caller, in the reverse order of what was done. The lower the
	// UndoRank, the earlier.
	Undo     func(s Step, rec playbook.Record) ([]Step, error)
	UndoRank int
	// UndoNeeds names actions of the same part whose undo must have completed
	// before this one's begins: a host that is still isolated is not handed back to
	// a group that ends what fails its health check.
	UndoNeeds []string
	// Check looks again, after the run, at what the step verified, and says what
	// is not so any more; nil: there is nothing to look at. It only looks.
	Check func(x *Exec) (missing []string, err error)
	// Prove looks for proof, after the run, that what the step verified holds; nil:
	// there is none to look for. It only looks. last is what the look before found,
	// or what the run said where there was none.
	Prove func(x *Exec, last []Verdict) ([]Verdict, error)
}

// Before is the key under which a step saves what was there before it changed
// it, and After what it set.
const (
	SavedBefore   = "before"
	SavedAfter    = "after"
	savedEvidence = "evidence"
	savedGaps     = "gaps"
	savedCustody  = "custody"
	// SavedStillOpen is a list of texts: what a step could not close, for the
	// honest part of the result ("the VPC resolver still answers").
	SavedStillOpen = "still_open"
)

// Exec is what an action works with: the step that runs, its plan, and AWS.
type Exec struct {
	playbook.Step
	Def    Step // as the plan has it
	Plan   *Plan
	RunID  RunID
	Policy Policy
	AWS    awscalls.AWS
	Owed   Owing

	tool, digest string // see Executor

	limit   time.Duration
	records func(id string) (playbook.Record, bool)
}

// Owing keeps what must be closed again. Its calls are durable before they
// return, and may be repeated.
type Owing interface {
	// Owe writes down, before something is opened, how it is closed.
	Owe(ctx context.Context, o Owed) error
	// Settle says that it is closed.
	Settle(ctx context.Context, id string) error
}

// Owed is something that must be closed: a row that a sweeper works off at
// start, after a takeover, and every 5 s.
type Owed struct {
	ID     string          `json:"id"` // run and what it is
	Run    RunID           `json:"run"`
	Kind   string          `json:"kind"` // the name of a Closing
	Params json.RawMessage `json:"params"`
	Place  awscalls.Place  `json:"place"`
	// Due is when the sweeper may close it although its run lives; before, only
	// once the run has ended or is not worked on.
	Due time.Time `json:"due"`
	// Expires is that of its Closing; who keeps it fills it in.
	Expires bool `json:"expires,omitempty"`
	// Why is for people: "eni-0c1 is in the group that opens everything".
	Why      string    `json:"why"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error,omitempty"`
	OpenedAt time.Time `json:"opened_at"`
	// RetryAt is before when it is not tried again to close it, after an attempt
	// that failed. Who keeps it fills it in.
	RetryAt time.Time `json:"retry_at,omitzero"`
	// ToldAt is when people were told that it is open although it should not be;
	// zero: they were not. Who keeps it fills it in.
	ToldAt time.Time `json:"told_at,omitzero"`
}

// Closing closes what is owed. It may be called again and again, and for
// things that are closed already.
type Closing struct {
	Kind string
	// Expires says that it is meant to stay open until its Due, and is closed
	// then whether or not the run has ended or was aborted, never before.
	Expires bool
	Calls   map[awscalls.Role][]string
	Close   func(ctx context.Context, aws awscalls.AWS, o Owed, now time.Time) error
}

// Change implements playbook.Step. The context of f names the step.
func (x *Exec) Change(f func(ctx context.Context) error) error { return x.Step.Change(x.named(f)) }

// Finish implements playbook.Step. The context of f names the step.
func (x *Exec) Finish(f func(ctx context.Context) error) error { return x.Step.Finish(x.named(f)) }

func (x *Exec) named(f func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error { return f(awscalls.ForStep(ctx, x.Def.ID)) }
}

// Params reads the step's parameters.
func (x *Exec) Params(v any) error {
	if err := json.Unmarshal(x.Def.Params, v); err != nil {
		return playbook.Permanent(fault.Wrap(fault.Corrupt, err, "read the parameters of step "+x.Def.ID, "nothing was changed by it", "make the plan again"))
	}
	return nil
}

// Place is where this step's calls go, in the role of the step.
func (x *Exec) Place() awscalls.Place { return x.In(x.Def.Role, x.Def.Account, x.Def.Region) }

// In is a place for the plan's incident.
func (x *Exec) In(role awscalls.Role, account, region string) awscalls.Place {
	return awscalls.Place{Account: account, Region: region, Role: role, Incident: x.Plan.Incident.String()}
}

// Record is the record of another step of the plan, of the same part.
func (x *Exec) Record(id string) (playbook.Record, bool) {
	if x.Def.Part != "" {
		id = x.Def.Part + "/" + id
	}
	return x.records(id)
}

// Output reads what another step saved. A step that did not end well has no
// output; its Needs see to it that nobody asks.
func (x *Exec) Output(id, key string, v any) error {
	rec, ok := x.Record(id)
	if !ok || !rec.Load(key, v) {
		return playbook.Permanent(fmt.Errorf("step %s left no %s", id, key))
	}
	return nil
}

// Token is the client token for a call of this step, at most 64 characters. A
// call with other arguments needs another group.
func (x *Exec) Token(group string) string { return Token(x.RunID, x.Def.ID, group) }

// Token is the client token of a call: the same for every attempt.
func Token(run RunID, step, group string) string {
	sum := sha256.Sum256([]byte(string(run) + "\x00" + step + "\x00" + group))
	return "gr-" + hex.EncodeToString(sum[:])[:40]
}

// Tag keys that everything made or marked by a run carries.
const (
	TagIncident = "guardroom:incident"
	TagRun      = "guardroom:run"
	TagStep     = "guardroom:step"
	TagExpires  = "guardroom:expires"
	TagStatus   = "guardroom:status"
	// TagNever on a resource forbids every response to it.
	TagNever = "guardroom:never-touch"
)

// Tags are the tags of what this step makes; expires is for working copies.
func (x *Exec) Tags(expires time.Time) map[string]string {
	t := map[string]string{TagIncident: x.Plan.Incident.String(), TagRun: string(x.RunID), TagStep: x.Def.ID}
	if !expires.IsZero() {
		t[TagExpires] = expires.UTC().Format(time.RFC3339)
	}
	return t
}

// Once returns what was there before the step changed anything: the recorded
// value, or else what look finds, committed before it returns.
func Once[T any](x *Exec, key string, look func() (T, error)) (T, error) {
	var v T
	if x.Load(key, &v) {
		return v, nil
	}
	v, err := look()
	if err != nil {
		return v, err
	}
	return v, x.Save(key, v)
}

// Preserve records evidence that this step made. The same item again, by its
// id, replaces what was said before.
func (x *Exec) Preserve(items ...evidence.Item) error {
	var have []evidence.Item
	x.Load(savedEvidence, &have)
	for _, i := range items {
		i.Simulated = x.AWS.Simulated()
		i.Tool = cmp.Or(i.Tool, x.tool)
		if i.CreatedAt.IsZero() {
			i.CreatedAt = x.Now()
		}
		have = replaceItem(have, i)
	}
	return x.Save(savedEvidence, have)
}

func replaceItem(list []evidence.Item, i evidence.Item) []evidence.Item {
	for n := range list {
		if list[n].ID == i.ID {
			list[n] = i
			return list
		}
	}
	return append(list, i)
}

// Lack records what could not be preserved, and why.
func (x *Exec) Lack(what, why string) error {
	var have []evidence.Gap
	x.Load(savedGaps, &have)
	for _, g := range have {
		if g.What == what {
			return nil
		}
	}
	return x.Save(savedGaps, append(have, evidence.Gap{What: what, Why: why}))
}

// Custody records a line of the chain of custody: who is guardroom, in the run.
func (x *Exec) Custody(action, item, from, to, reason string) error {
	var have []evidence.Custody
	x.Load(savedCustody, &have)
	for _, c := range have {
		if c.Action == action && c.Item == item && c.To == to {
			return nil
		}
	}
	return x.Save(savedCustody, append(have, evidence.Custody{At: x.Now(), Who: "guardroom/" + string(x.RunID), Action: action, Item: item, From: from, To: to, Reason: reason, Digest: x.digest}))
}

// EvidenceOf returns what a step preserved, lacks and handled.
func EvidenceOf(r playbook.Record) (items []evidence.Item, gaps []evidence.Gap, custody []evidence.Custody) {
	r.Load(savedEvidence, &items)
	r.Load(savedGaps, &gaps)
	r.Load(savedCustody, &custody)
	return items, gaps, custody
}

// Poll looks every few seconds until done says so: every 5 s in the first
// minute, 15 s up to the tenth, then every 60 s. The step's timeout bounds it.
func (x *Exec) Poll(look func() (done bool, err error)) error {
	for {
		done, err := look()
		if done || err != nil {
			return err
		}
		age := x.Spent()
		pause := 5 * time.Second
		switch {
		case age > 10*time.Minute:
			pause = time.Minute
		case age > time.Minute:
			pause = 15 * time.Second
		}
		if limit := x.Limit(); age+pause > limit {
			if age >= limit {
				return playbook.Permanent(fault.New(fault.Unavailable, "it waited "+Length(age)+" without an end", "look at it in AWS; make a new plan for what is missing"))
			}
			pause = limit - age
		}
		if err := x.Sleep(pause); err != nil {
			return err
		}
	}
}

// Limit is how long this step may take, from its first start.
func (x *Exec) Limit() time.Duration { return x.limit }
