package triage

import (
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/rule"
)

type suppression struct {
	name, owner, reason string
	until               time.Time
	rule                *rule.Rule
}

// compile compiles every rule and reports all that are wrong.
func (t *Triager) compile() error {
	var errs []error
	for _, s := range t.cfg.Suppress {
		r, err := rule.Compile(s.Name, s.When)
		if err != nil {
			errs = append(errs, fmt.Errorf("suppression %s: %w", s.Name, err))
			continue
		}
		t.suppressions = append(t.suppressions, suppression{name: s.Name, owner: s.Owner, reason: s.Reason, until: s.Until.Time, rule: r})
	}
	for i, c := range t.cfg.Routes {
		name := c.Name
		if name == "" {
			name = fmt.Sprintf("route %d", i+1)
		}
		r, err := rule.Compile(name, c.When)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		t.routes = append(t.routes, route{name: name, to: c.To, stop: c.Stop, rule: r, playbook: c.Playbook})
	}
	return errors.Join(errs...)
}

// suppress asks the suppressions in their order; the first that matches keeps
// the finding quiet. One that expired matches nothing, and one that cannot be
// evaluated does not either: a doubtful finding is shown.
func (t *Triager) suppress(env *rule.Env, d *Decision) {
	for _, s := range t.suppressions {
		match, err := s.rule.Match(env)
		if err != nil {
			d.step("suppress", "failed", "%s could not be evaluated and does not count: %v", s.name, err)
			continue
		}
		if !match {
			continue
		}
		if !s.until.IsZero() && t.now().After(s.until) {
			d.step("suppress", "expired", "%s would match but ended on %s; its owner is %s", s.name, s.until.Format(time.DateOnly), s.owner)
			continue
		}
		d.Suppressed, d.SuppressedBy = true, s.name
		step := Step{Stage: "suppress", Decision: "suppressed", Reason: fmt.Sprintf("%s: %s (owner %s, until %s)", s.name, s.reason, s.owner, s.until.Format(time.DateOnly)),
			Details: map[string]string{"rule": s.name}}
		for _, p := range s.rule.Explain(env) {
			step.Details[p.Source] = fmt.Sprint(p.Value)
		}
		d.Trace = append(d.Trace, step)
		return
	}
	if len(t.suppressions) > 0 {
		d.step("suppress", "no match", "none of %d suppressions matches", len(t.suppressions))
	}
}
