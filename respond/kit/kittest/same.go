package kittest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
)

// NotRestored is what a run and its undo may leave otherwise than they found it.
// It is a constant of the tests, taken from no plan. Same leaves just that out.
var NotRestored = []string{
	"the evidence: objects in the evidence bucket, snapshots that the run made, and their locks",
	"the groups guardroom-contain and guardroom-contain-ssm, without a rule: runs share them",
	"sessions of Systems Manager that were ended, and commands that were sent",
	"ids that AWS gives anew: of associations, of the addresses in a subnet that were used",
	"the keys of its own that AWS makes in an account when they are first needed",
	"timeouts of tracked connections that were not set: AWS cannot unset them, and they are set to what held",
	"instances that have ended, and when things came to be as they are",
}

// Same is the world, settled, without what is not restored.
func (b *Bench) Same() string {
	b.T.Helper()
	if err := b.World.Edit(func(*sim.Editor) {}); err != nil {
		b.T.Fatal(err)
	}
	raw, err := b.World.Dump()
	if err != nil {
		b.T.Fatal(err)
	}
	var world struct {
		Accounts map[string]map[string]any `json:"accounts"`
	}
	if err := json.Unmarshal(raw, &world); err != nil {
		b.T.Fatal(err)
	}
	for _, a := range world.Accounts {
		for _, r := range within(a, "regions") {
			if r, ok := r.(map[string]any); ok {
				lasting(r)
			}
		}
	}
	tree, err := again(world)
	if err != nil {
		b.T.Fatal(err)
	}
	drop := map[string]bool{b.Policy.Evidence.Bucket: true, "changed": true, "lock": true, "since": true, "hosts": true, "turn": true, "tokens": true, "association": true,
		"sessions": true, "commands": true}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", " ")
	if err := enc.Encode(without(tree, drop)); err != nil {
		b.T.Fatal(err)
	}
	return out.String()
}

// again is a value as JSON has it.
func again(v any) (out any, err error) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	return out, err
}

// lasting leaves out of a region what is not restored.
func lasting(region map[string]any) {
	dropIf(region, func(g map[string]any) bool {
		name := g["name"]
		return (name == "guardroom-contain" || name == "guardroom-contain-ssm") && g["rules"] == nil
	}, "ec2", "groups")
	dropIf(region, func(s map[string]any) bool { return within(s, "tags")[respond.TagRun] != nil }, "ec2", "snapshots")
	dropIf(region, func(k map[string]any) bool { return k["aws_managed"] == true }, "kms", "keys")
	dropIf(region, func(i map[string]any) bool { return i["state"] == "terminated" }, "ec2", "instances")
	for _, n := range within(region, "ec2", "enis") {
		for key, usual := range map[string]float64{"tcp": 432000, "stream": 180, "udp": 30} {
			if n, ok := n.(map[string]any); ok && n[key] == usual {
				delete(n, key)
			}
		}
	}
	profiles := within(region, "ec2", "profiles")
	for id, p := range profiles {
		if p, ok := p.(map[string]any); ok {
			delete(profiles, id)
			delete(p, "id")
			delete(p, "made")
			delete(p, "seen")
			profiles[fmt.Sprint(p["instance"], p["arn"])] = p
		}
	}
	for _, g := range within(region, "autoscaling", "groups") {
		inOrder(g, "members", "instance")
	}
	for _, g := range within(region, "elb", "target_groups") {
		inOrder(g, "targets", "id")
	}
	for _, g := range within(region, "elb", "classic") {
		if g, ok := g.(map[string]any); ok {
			list, _ := g["instances"].([]any)
			slices.SortFunc(list, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
}

// within is the object at a path; nil where there is none.
func within(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		m, _ = m[key].(map[string]any)
	}
	return m
}

func dropIf(region map[string]any, gone func(map[string]any) bool, path ...string) {
	list := within(region, path...)
	for id, v := range list {
		if v, ok := v.(map[string]any); ok && gone(v) {
			delete(list, id)
		}
	}
}

// inOrder sorts a list of objects, whose order AWS does not promise.
func inOrder(v any, list, by string) {
	m, _ := v.(map[string]any)
	l, _ := m[list].([]any)
	key := func(v any) string {
		m, _ := v.(map[string]any)
		return fmt.Sprint(m[by], m["port"])
	}
	slices.SortFunc(l, func(a, b any) int { return strings.Compare(key(a), key(b)) })
}
