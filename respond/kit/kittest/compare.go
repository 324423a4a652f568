package kittest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Completed fails the test where a step is not.
func (b *Bench) Completed(records map[string]playbook.Record) {
	b.T.Helper()
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if r := records[id]; r.State != playbook.Completed {
			b.T.Fatalf("step %s is %s: %s", id, r.State, r.Message)
		}
	}
}

// Result derives how a run ended.
func (b *Bench) Result(p *respond.Plan, records map[string]playbook.Record) (state respond.RunState, contained bool, open []string) {
	state, contained, open, _ = respond.Result(p, records, false)
	return state, contained, open
}

// Drift is what a look after the run finds that is not so any more.
func (b *Bench) Drift(p *respond.Plan, records map[string]playbook.Record) []string {
	b.T.Helper()
	drift, err := respond.Check(context.Background(), b.AWS, b.Actions, p, records)
	if err != nil {
		b.T.Fatal(err)
	}
	return drift
}

// Dump is the world without the evidence bucket and the counter of ids.
func (b *Bench) Dump() string {
	b.T.Helper()
	raw, err := b.World.Dump()
	if err != nil {
		b.T.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		b.T.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", " ")
	if err := enc.Encode(without(tree, map[string]bool{"seq": true, Evidence: true, "changed": true, "lock": true})); err != nil {
		b.T.Fatal(err)
	}
	return out.String()
}

// without drops keys, and lists and objects that hold nothing.
func without(v any, keys map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if x = without(x, keys); keys[k] || empty(x) {
				delete(v, k)
				continue
			}
			v[k] = x
		}
	case []any:
		for i := range v {
			v[i] = without(v[i], keys)
		}
	}
	return v
}

func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		_, named := v["name"] // a region that was only asked
		return len(v) == 0 || len(v) == 1 && named
	case []any:
		return len(v) == 0
	}
	return v == nil
}

// Guard returns the answer of a guard by its name.
func Guard(t testing.TB, d respond.Draft, name string) respond.Guard {
	t.Helper()
	for _, g := range d.Guards {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("no guard %q among %v", name, d.Guards)
	return respond.Guard{}
}

// Has reports whether a text of the list holds the words.
func Has(list []string, words string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, words) })
}

// SameCalls carries out the plan of each bench and undoes it, and compares what
// actions say that they call with what was called. rare are calls that need not
// have been made: they are for a crash, or for a world that is otherwise.
func SameCalls(t testing.TB, actions []respond.Action, benches []*Bench, rare ...string) {
	t.Helper()
	made := map[awscalls.Role]map[string]bool{awscalls.Read: {}, awscalls.Act: {}, awscalls.Forensics: {}}
	for _, b := range benches {
		p := b.Plan()
		planning := len(b.World.Calls())
		records, err := b.Execute(Run, p, b.Journal)
		if err != nil {
			t.Fatal(err)
		}
		b.Undo(p, records)
		for _, c := range b.World.Calls()[planning:] {
			made[c.Place.Role][strings.Replace(c.String(), "WAFV2.", "WAF.", 1)] = true // as the table of permissions has it
		}
	}
	for _, role := range []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics} {
		said := map[string]bool{}
		for _, a := range actions {
			for _, c := range a.Calls[role] {
				said[c] = true
			}
		}
		for _, c := range slices.Sorted(maps.Keys(made[role])) {
			if !said[c] {
				t.Errorf("%s is called as %s, and no action says so", c, role)
			}
		}
		for _, c := range slices.Sorted(maps.Keys(said)) {
			if !made[role][c] && !slices.Contains(rare, c) {
				t.Errorf("an action says that it calls %s as %s, and nothing did", c, role)
			}
		}
	}
}
