package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/respond"
)

// What playbook show says is what the playbooks do, as all scenarios together show.
func TestWhatIsSaidOfAPlaybookIsWhatItDoes(t *testing.T) {
	t.Parallel()
	good, err := played()
	if err != nil {
		t.Fatal(err)
	}
	every := outline{guards: everyGuard()}
	for _, s := range scenarios() {
		plan, undo := good[s.name].plan, good[s.name].undo
		if plan == nil {
			continue
		}
		o, last := outlineOf(s.playbook), 0
		for _, step := range plan.Steps {
			at := slices.IndexFunc(o.does, func(d deed) bool { return slices.Contains(d.actions, step.Action) })
			if at < 0 {
				t.Errorf("%s, %s: it also does %s", s.playbook, s.name, step.Action)
				continue
			}
			first := slices.IndexFunc(plan.Steps, func(x respond.Step) bool { return x.Action == step.Action })
			if plan.Steps[first].ID == step.ID && at < last && len(o.of) == 0 {
				t.Errorf("%s, %s: %q comes before %q", s.playbook, s.name, o.does[at].words, o.does[last].words)
			}
			last = max(last, at)
		}
		for _, g := range plan.Guards {
			name := g.Name[strings.LastIndex(g.Name, ": ")+1:] // of a sequence it begins with the resource
			if !o.asks(strings.TrimSpace(name)) && !every.asks(strings.TrimSpace(name)) {
				t.Errorf("%s, %s: it also has the guard %s", s.playbook, s.name, g.Name)
			}
		}
		if undo == nil {
			continue
		}
		for _, step := range undo.Steps {
			if !slices.Contains(o.back, step.Action) {
				t.Errorf("%s, %s: its undo also does %s", s.playbook, s.name, step.Action)
			}
		}
	}
}

func (o outline) asks(name string) bool {
	return slices.ContainsFunc(o.guards, func(g string) bool {
		g, _, _ = strings.Cut(g, ": ")
		return g == name || g == "room in the network ACL" && strings.HasPrefix(name, "room in ")
	})
}

func TestEveryPlaybookSaysWhatItDoesUndoesAndNeverDoes(t *testing.T) {
	t.Parallel()
	all := actions(nil)
	said := map[string]bool{}
	for _, p := range playbooks() {
		o := outlineOf(p.Name())
		if o.undo == "" || len(o.never) == 0 || len(o.guards) == 0 {
			t.Errorf("%s: %+v", p.Name(), o)
		}
		for _, g := range o.guards {
			if guardAsks[g] == "" {
				t.Errorf("%s does not say what its guard %s asks", p.Name(), g)
			}
		}
		for _, a := range o.actions() {
			if said[a] = true; all[a].Do == nil {
				t.Errorf("%s: there is no action %s", p.Name(), a)
			}
		}
		calls := callsOf(o.actions(), all, cloud.Permissions())
		if len(o.actions()) > 0 && len(calls) < 2 {
			t.Errorf("%s: its calls are %+v", p.Name(), calls)
		}
	}
	for name := range all {
		if !said[name] {
			t.Errorf("no playbook says that it does %s", name)
		}
	}
}
