package respond

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Stage of a combined plan: what comes first. An actor who loses the host keeps
// the credentials, and with them everything else.
func rank(k finding.ResourceKind) int {
	switch k {
	case finding.KindAccessKey:
		return 0
	case finding.KindInstance, finding.KindLambda, finding.KindContainer, finding.KindECSTask, finding.KindWorkload, finding.KindEKSCluster, finding.KindECSCluster:
		return 1
	}
	return 2
}

// InOrder returns the targets in the order in which a plan over several responds
// to them: credentials, then hosts, then data.
func InOrder(targets []Target) []Target {
	out := slices.Clone(targets)
	slices.SortStableFunc(out, func(a, b Target) int { return rank(a.Kind) - rank(b.Kind) })
	return out
}

// Sequence is the playbook of several resources at once: credentials first, then
// hosts, then data. Each resource is described and drafted by its own playbook.
type Sequence struct {
	// Parts are the playbooks of single resources, in the order of preference.
	Parts []Playbook
}

var _ Playbook = Sequence{}

// Name implements Playbook.
func (Sequence) Name() string { return "sequence" }

// Version implements Playbook.
func (Sequence) Version() int { return 1 }

// Summary implements Playbook.
func (Sequence) Summary() string {
	return "respond to every resource of the incident in one plan: credentials, then hosts, then data"
}

// Fits implements Playbook: it is for incidents, not for a single resource.
func (Sequence) Fits(Target) bool { return false }

type part struct {
	Target   Target `json:"target"`
	Playbook string `json:"playbook"`
	world    World
	playbook Playbook
	request  Request
}

// For returns the first playbook that fits a target.
func (s Sequence) For(t Target) (Playbook, bool) {
	for _, p := range s.Parts {
		if p.Fits(t) {
			return p, true
		}
	}
	return nil, false
}

// Describe implements Playbook. A resource that is not there any more is left
// out and named; when none is left that is an error.
func (s Sequence) Describe(ctx context.Context, aws awscalls.AWS, r Request) (World, error) {
	targets := InOrder(append([]Target{r.Target}, r.Others...))
	var parts []part
	var missing []string
	var first error
	for _, t := range targets {
		p, ok := s.For(t)
		if !ok {
			missing = append(missing, fmt.Sprintf("%s %s: no playbook fits", KindWords(t.Kind), t.ID))
			continue
		}
		one := r
		one.Target, one.Others = t, nil
		world, err := p.Describe(ctx, aws, one)
		if err != nil {
			if Transient(err) {
				return World{}, err // it is there, and would silently be left out
			}
			if first == nil {
				first = err
			}
			missing = append(missing, fmt.Sprintf("%s %s: %v", KindWords(t.Kind), t.ID, err))
			continue
		}
		parts = append(parts, part{Target: t, Playbook: p.Name(), world: world, playbook: p, request: one})
	}
	if len(parts) == 0 {
		if first != nil {
			return World{}, first
		}
		return World{}, fmt.Errorf("no resource of %s has a playbook", r.Incident.Number)
	}
	return joined(parts, missing)
}

// joined is the world of several resources, in their order.
func joined(parts []part, missing []string) (World, error) {
	w := World{Value: sequenceWorld{parts: parts, missing: missing}}
	befores := map[string]json.RawMessage{}
	for i, p := range parts {
		n := fmt.Sprintf("p%d", i+1)
		for _, f := range p.world.Facts {
			w.Facts = append(w.Facts, Fact{Name: n + "/" + f.Name, Value: f.Value})
		}
		for _, f := range p.world.Watched {
			w.Watched = append(w.Watched, Fact{Name: n + "/" + f.Name, Value: f.Value})
		}
		befores[n] = p.world.Before
		w.Unanswered = append(w.Unanswered, p.world.Unanswered...)
	}
	var err error
	w.Before, err = json.Marshal(befores)
	return w, err
}

type sequenceWorld struct {
	parts   []part
	missing []string
}

// Draft implements Playbook.
func (s Sequence) Draft(w World, r Request) (Draft, error) {
	v, ok := w.Value.(sequenceWorld)
	if !ok {
		return Draft{}, fmt.Errorf("the world of a sequence is %T", w.Value)
	}
	var drafts, refused []Draft
	var why []Guard
	var accepted []part
	var kinds []finding.ResourceKind
	missing := slices.Clone(v.missing)
	for _, p := range v.parts {
		d, err := p.playbook.Draft(p.world, p.request)
		if err != nil {
			return Draft{}, fmt.Errorf("%s %s: %w", p.Target.Kind, p.Target.ID, err)
		}
		d = Judged(d, p.world, r)
		if g := refusal(d.Guards); g >= 0 {
			// What must not be done to one resource holds up none of the others.
			missing = append(missing, fmt.Sprintf("%s %s: refused by %s: %s", KindWords(p.Target.Kind), p.Target.ID, d.Guards[g].Name, d.Guards[g].Why))
			no := d.Guards[g]
			no.Name = p.Target.ID + ": " + no.Name
			why = append(why, no)
			refused = append(refused, d)
			continue
		}
		drafts, kinds, accepted = append(drafts, d), append(kinds, p.Target.Kind), append(accepted, p)
	}
	if len(drafts) == 0 {
		return Combine(refused, func(int, int) bool { return false }), nil
	}
	out := Combine(drafts, func(i, j int) bool { return rank(kinds[i]) < rank(kinds[j]) })
	narrow, err := joined(accepted, missing)
	if err != nil {
		return Draft{}, err
	}
	out.World, out.Refused = &narrow, why
	out.LeftOut = append(missing, out.LeftOut...)
	return out, nil
}

// refusal is the guard for which a resource is left out: one that is sure of it
// before one that is not; -1: none.
func refusal(list []Guard) int {
	if sure := slices.IndexFunc(list, func(g Guard) bool { return g.Answer == Refuse && !g.Unsure }); sure >= 0 {
		return sure
	}
	return slices.IndexFunc(list, func(g Guard) bool { return g.Answer == Refuse })
}

// about is the title of a step in a plan over several resources: it names its own.
func about(title string, t Target) string {
	if strings.Contains(title, t.ID) || t.Name != "" && strings.Contains(title, t.Name) {
		return title
	}
	return t.ID + ": " + title
}

// StepTitle is the title of a step for people: in a plan about one resource it
// does not begin with that resource's id, which stands above all of them.
func StepTitle(p *Plan, s Step) string {
	if p == nil || len(p.Parts) > 0 {
		return s.Title
	}
	return strings.TrimPrefix(s.Title, p.Target.ID+": ")
}

// Combine makes one draft of several, whose step ids get the prefix p1/, p2/, …
// The changing steps of a part wait for those of every part that goes before it.
func Combine(drafts []Draft, before func(i, j int) bool) Draft {
	out := Draft{Target: drafts[0].Target}
	contains := make([][]string, len(drafts))
	var undos, costs []string
	for i, d := range drafts {
		prefix := fmt.Sprintf("p%d", i+1)
		named := func(ids []string) []string {
			var list []string
			for _, id := range ids {
				list = append(list, prefix+"/"+id)
			}
			return list
		}
		var wait []string
		for j := range drafts[:i] {
			if before(j, i) {
				wait = append(wait, contains[j]...)
			}
		}
		for _, st := range d.Steps {
			st.Part, st.Title = prefix, about(st.Title, d.Target)
			st.ID, st.After, st.Needs = prefix+"/"+st.ID, named(st.After), named(st.Needs)
			if st.Effect != NoChange {
				st.After = append(st.After, wait...)
			}
			if st.Contains {
				contains[i] = append(contains[i], st.ID)
			}
			out.Steps = append(out.Steps, st)
		}
		each := func(lines []string) []string {
			var list []string
			for _, l := range lines {
				list = append(list, d.Target.ID+": "+l)
			}
			return list
		}
		out.WillNot = append(out.WillNot, each(d.WillNot)...)
		out.AlsoHits = append(out.AlsoHits, each(d.AlsoHits)...)
		out.Irreversible = append(out.Irreversible, each(d.Irreversible)...)
		out.Manual = append(out.Manual, each(d.Manual)...)
		out.LeftOut = append(out.LeftOut, each(d.LeftOut)...)
		for _, g := range d.Guards {
			g.Name = d.Target.ID + ": " + g.Name
			out.Guards = append(out.Guards, g)
		}
		out.ShortestSeconds = max(out.ShortestSeconds, d.ShortestSeconds)
		out.LongestSeconds += d.LongestSeconds
		out.CostCents += d.CostCents
		if d.CostCents > 0 && d.CostWhy != "" {
			costs = append(costs, d.Target.ID+": "+d.CostWhy)
		}
		if undo := strings.TrimRight(d.Undo, ". "); undo != "" {
			undos = append(undos, d.Target.ID+": "+undo)
		}
		out.Parts = append(out.Parts, d.Target)
	}
	out.CostWhy = strings.Join(costs, "; ")
	out.Undo = "each part by itself, in the reverse order"
	if len(undos) > 0 {
		out.Undo += "; " + strings.Join(undos, "; ")
	}
	return out
}
