package triage

import (
	"maps"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/rule"
)

type route struct {
	name string
	to   []string
	stop bool
	rule *rule.Rule
	// playbook is prepared when the route matches.
	playbook string
}

// pagers are the types of destinations that wake people; samples never reach
// them.
var pagers = map[string]bool{"pagerduty": true}

// rootPages is the value of triage.root by which the root user pages.
const rootPages = "page"

// byRoot reports a finding about the root user of an account. Nothing can contain
// that user, and whoever has it has the account: people must look, at once.
func byRoot(f *finding.Finding) bool {
	k := f.Resource.AccessKey
	return k != nil && strings.EqualFold(k.UserType, "Root") || strings.EqualFold(f.Actor.UserType, "Root") || strings.HasSuffix(f.Type.Name, "RootCredentialUsage")
}

// route finds out who must be told. A route that cannot be evaluated counts as
// matching: a doubtful finding is told once too often.
func (t *Triager) route(f *finding.Finding, env *rule.Env, d *Decision) {
	switch {
	case d.Suppressed:
		d.Quiet = "suppressed by " + d.SuppressedBy
	case f.Archived:
		d.Quiet = "archived in GuardDuty"
	case f.Sample && !t.cfg.Triage.Samples:
		d.Quiet = "a sample finding (triage.samples shows them)"
	}
	if d.Quiet != "" {
		d.step("route", "quiet", "%s", d.Quiet)
		return
	}
	stopped := false
	for _, r := range t.routes {
		match, err := r.rule.Match(env)
		if err != nil {
			match = true
			d.step("route", "failed", "%s could not be evaluated and counts as matching: %v", r.name, err)
		}
		if !match {
			continue
		}
		d.Routes = append(d.Routes, r.name)
		d.Destinations = append(d.Destinations, r.to...)
		d.step("route", "match", "%s -> %s", r.name, strings.Join(r.to, ", "))
		// A route that could not be evaluated tells people; it prepares nothing.
		if d.Playbook == "" && r.playbook != "" && err == nil && !f.Sample {
			d.Playbook = r.playbook
			d.step("route", "playbook", "%s prepares a plan of %s once GuardDuty has confirmed the finding", r.name, r.playbook)
		}
		if stopped = r.stop; stopped {
			break
		}
	}
	if t.cfg.Triage.Root == rootPages && !stopped && byRoot(f) {
		for _, name := range slices.Sorted(maps.Keys(t.cfg.DestinationTypes)) {
			if pagers[t.cfg.DestinationTypes[name]] && !slices.Contains(d.Destinations, name) {
				d.Destinations = append(d.Destinations, name)
				d.step("route", "root", "%s: the root user pages whatever the severity (triage.root)", name)
			}
		}
	}
	d.Destinations = unique(d.Destinations)
	if f.Sample {
		kept := d.Destinations[:0]
		for _, name := range d.Destinations {
			if pagers[t.cfg.DestinationTypes[name]] {
				d.step("route", "left out", "%s: a sample never pages", name)
				continue
			}
			kept = append(kept, name)
		}
		d.Destinations = kept
	}
	if len(d.Destinations) == 0 {
		d.Quiet = "no route matches"
		d.step("route", "quiet", "%s", d.Quiet)
	}
}
