// Package host is the whole response to an attacked EC2 instance in one plan: it
// is contained and its evidence is preserved, side by side, with one approval.
//
// Comes in: what respond/ec2 and respond/forensics describe. Goes out: their
// steps in one graph. Isolation never waits for snapshots, nor they for it; only
// volatile evidence may go first, within a limit and where policy allows it.
//
// It has no action of its own. Read Playbook.
package host

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/kit"
)

// Name is what plans and routes call the playbook.
const Name = "ec2-respond"

// Playbook returns the playbook that contains an instance and preserves its evidence.
func Playbook() respond.Playbook {
	return both{contain: ec2.Playbook(), acquire: forensics.Playbook()}
}

type both struct{ contain, acquire respond.Playbook }

var _ respond.Playbook = both{}

// Name implements respond.Playbook.
func (both) Name() string { return Name }

// Version implements respond.Playbook.
func (both) Version() int { return 1 }

// Summary implements respond.Playbook.
func (both) Summary() string {
	return "contain an EC2 instance and preserve its evidence, in one plan: ec2-contain and forensics side by side"
}

// Fits implements respond.Playbook.
func (b both) Fits(t respond.Target) bool { return b.contain.Fits(t) && b.acquire.Fits(t) }

// volatileSeconds is how long isolation waits for what AWS shows of the console.
const volatileSeconds = 30

// worlds are the descriptions of both.
type worlds struct{ Containment, Acquisition respond.World }

// Describe implements respond.Playbook. Both look at the same time.
func (b both) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	type answer struct {
		w   respond.World
		err error
	}
	second := make(chan answer, 1)
	go func() {
		w, err := b.acquire.Describe(ctx, a, r)
		second <- answer{w, err}
	}()
	contain, err := b.contain.Describe(ctx, a, r)
	acquire := <-second
	if err == nil {
		err = acquire.err
	}
	if err != nil {
		return respond.World{}, err
	}
	before, err := json.Marshal(map[string]json.RawMessage{"containment": contain.Before, "acquisition": acquire.w.Before})
	if err != nil {
		return respond.World{}, fmt.Errorf("write the before-image of %s: %w", r.Target.ID, err)
	}
	// A volume that comes or goes is evidence more or less, and holds no isolation up.
	watched := contain.Watched
	for _, f := range acquire.w.Facts {
		f.Name = "evidence: " + f.Name
		watched = append(watched, f)
	}
	return respond.World{Before: before, Facts: contain.Facts, Watched: watched, Value: worlds{contain, acquire.w}, Unanswered: slices.Concat(contain.Unanswered, acquire.w.Unanswered),
		Tags: contain.Tags, WorksAs: contain.WorksAs}, nil
}

// Draft implements respond.Playbook.
func (b both) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	v, ok := w.Value.(worlds)
	if !ok {
		return respond.Draft{}, fmt.Errorf("the world of %s is %T", Name, w.Value)
	}
	acquired, ok := v.Acquisition.Value.(forensics.World)
	if !ok {
		return respond.Draft{}, fmt.Errorf("the acquisition's world of %s is %T", Name, v.Acquisition.Value)
	}
	first := ec2.VolatileFirst(r.Policy, r.Type)
	d, h, err := b.containment(v, acquired, r, first)
	if err != nil {
		return d, err
	}
	more, err := forensics.Steps(acquired, r, h)
	if err != nil {
		return d, err
	}
	if first {
		volatile := forensics.VolatileSteps(more.Steps)
		ec2.MemoryFirst(d.Steps, volatile)
		for i := range more.Steps {
			switch s := &more.Steps[i]; {
			case s.ID == forensics.StepMemory:
				ec2.LimitMemory(s)
			case slices.Contains(volatile, s.ID):
				s.TimeoutSeconds = volatileSeconds
			}
		}
	}
	recordFirst(d.Steps, more.Steps)
	d.Steps = append(d.Steps, more.Steps...)
	if err := kit.Rehearse(d.Steps, forensics.Trials(more.Steps, r)...); err != nil { // one step tries the calls of both
		return d, err
	}
	for _, line := range more.WillNot {
		if !strings.Contains(line, "its network stays as it is") { // that is not so here
			d.WillNot = append(d.WillNot, line)
		}
	}
	d.AlsoHits = append(d.AlsoHits, more.AlsoHits...)
	d.Irreversible = append(d.Irreversible, more.Irreversible...)
	d.Manual = append(d.Manual, more.Manual...)
	d.Guards = append(d.Guards, more.Guards...)
	d.Undo += "; " + more.Undo
	d.ShortestSeconds, d.LongestSeconds = max(d.ShortestSeconds, more.ShortestSeconds), d.LongestSeconds+more.LongestSeconds
	d.CostCents += more.CostCents
	if more.CostWhy != "" {
		if d.CostWhy != "" {
			d.CostWhy += "; "
		}
		d.CostWhy += more.CostWhy
	}
	return d, nil
}

// containment drafts the containment, and how the acquisition fits into it. Where
// isolation goes first, memory is taken through endpoints of the VPC or not at all.
func (b both) containment(v worlds, acquired forensics.World, r respond.Request, first bool) (respond.Draft, forensics.Hooks, error) {
	h := forensics.Hooks{Rehearsed: true}
	if first {
		h.MemoryLimit = ec2.MemoryLimit
		d, err := b.contain.Draft(v.Containment, r)
		return d, h, err
	}
	alone, err := forensics.Steps(acquired, r, h)
	if err != nil {
		return alone, h, err
	}
	if !slices.ContainsFunc(alone.Steps, func(s respond.Step) bool { return s.ID == forensics.StepMemory }) {
		d, err := b.contain.Draft(v.Containment, r) // it cannot be taken anyway
		return d, h, err
	}
	d, refused, err := ec2.Through(v.Containment, r, forensics.StepMemory)
	if h.NoMemory = refused; refused == "" {
		h.MemoryLimit, h.AfterMemory = ec2.ThroughLimit, ec2.Before(d.Steps, forensics.StepMemory)
	}
	return d, h, err
}

// recordFirst lets the first changes of the acquisition, such as its snapshots and
// its workstation, wait for the dry runs and for the before-image, whatever becomes
// of those. What only looks waits for nothing.
func recordFirst(contain, acquire []respond.Step) {
	var first []string
	for _, s := range contain {
		if s.ID == ec2.StepPreflight || s.ID == ec2.StepRecord {
			first = append(first, s.ID)
		}
	}
	for i := range acquire {
		s := &acquire[i]
		if s.Effect != respond.NoChange && s.Role != awscalls.Read && len(s.Needs) == 0 {
			s.After = slices.Concat(s.After, first)
		}
	}
}
