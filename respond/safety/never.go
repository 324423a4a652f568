package safety

import (
	"cmp"
	"fmt"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/rule"
)

// Never answers whether a rule of the configuration forbids to respond to a
// resource as it was described, where changes says that the plan changes
// something. A rule is asked of that resource alone, by the tags that it carries
// now; the finding may be old, or forged. It forbids as well where it cannot be
// evaluated, and where it asks for tags that nobody could read: it is there to
// keep something alive.
func Never(q Question, t respond.Target, w respond.World, changes bool) respond.Guard {
	const name = "never touch"
	for _, r := range q.Never {
		for _, resource := range asNamed(q, t, w) {
			match, err := r.Match(about(q, t, resource))
			if err != nil {
				return refuse(name, fmt.Sprintf("the rule %s could not be evaluated: %v", r.Name, err), "mend respond.never_touch")
			}
			if match {
				return refuse(name, "the rule "+r.Name+" forbids it", "respond by hand, or change respond.never_touch")
			}
		}
		if w.Tags == nil && r.NeedsTags() && changes && !w.Untouched {
			g := refuse(name, fmt.Sprintf("the rule %s asks for tags, and those of %s could not be read", r.Name, t.ID), "let the role that reads see the tags, or respond by hand")
			g.Unsure = true
			return g
		}
	}
	return pass(name)
}

// Matches reports whether a rule that approves beforehand matches a resource as it
// was described, under every name and set of tags that it has. It does not where it
// cannot be evaluated, or asks for tags that nobody could read.
func Matches(q Question, t respond.Target, w respond.World, r *rule.Rule) bool {
	if w.Tags == nil && r.NeedsTags() {
		return false
	}
	for _, resource := range asNamed(q, t, w) {
		if match, err := r.Match(about(q, t, resource)); err != nil || !match {
			return false
		}
	}
	return true
}

// about is what a rule is asked of: the finding, and this resource alone.
func about(q Question, t respond.Target, resource rule.Resource) *rule.Env {
	env := *q.Env
	env.Resource, env.Resources, env.Region = resource, []rule.Resource{resource}, cmp.Or(t.Region, env.Region)
	return &env
}

// asNamed is the resource as AWS names it and, where that differs, as the finding
// does, with each set of its tags. What the finding says of tags counts only where
// AWS said nothing.
func asNamed(q Question, t respond.Target, w respond.World) []rule.Resource {
	live := rule.Resource{Kind: string(t.Kind), ID: t.ID, ARN: t.ARN, Name: t.Name, Tags: map[string]string{}}
	names := []rule.Resource{live}
	if at := respond.Named(q.Finding, t); at >= 0 && at < len(q.Env.Resources) {
		said := q.Env.Resources[at]
		names[0].ARN, names[0].Name, names[0].Tags = cmp.Or(live.ARN, said.ARN), cmp.Or(live.Name, said.Name), said.Tags
		if said.ID != live.ID || said.ARN != names[0].ARN || said.Name != names[0].Name {
			names = append(names, said)
		}
	}
	if w.Tags == nil {
		return names
	}
	sets := w.Tags
	if len(sets) == 0 {
		sets = append(sets, nil) // it carries none
	}
	var out []rule.Resource
	for _, n := range names {
		for _, tags := range sets {
			if n.Tags = tags; tags == nil {
				n.Tags = map[string]string{}
			}
			out = append(out, n)
		}
	}
	return out
}
