package ec2

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// Verdict is what was found about one network interface.
type Verdict struct {
	Interface string `json:"interface"`
	// Word is isolated, isolated (not proven), or begins with "partly: " or "open: ".
	Word string `json:"word"`
}

// The words of verdicts.
const (
	Isolated  = "isolated"
	NotProven = "isolated (not proven)"
)

type verifyParams struct {
	instanceParams
	// Paths are the ways on which AWS tracked connections when the plan was made.
	Paths []path `json:"paths,omitempty"`
}

// resolver survives every isolation: it is no host in the VPC.
const resolver = "the resolver of the VPC still answers, so names can carry data: neither a security group nor a network ACL stops it"

// verify describes everything again and says, interface by interface, whether it
// is isolated. It fails when one is open.
func verify(x *respond.Exec) (playbook.Outcome, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	v := viewOf(x.Plan, x.Def.Part, x.Record)
	var w *World
	var verdicts []Verdict
	var open []string
	_, err := seen(x, func() (bool, error) {
		var err error
		if w, err = describeIn(x, p.Instance); err != nil {
			return false, err
		}
		verdicts, open = v.verdicts(w)
		drift := v.drift(w)
		return len(drift) == 0 && !slices.ContainsFunc(verdicts, Verdict.isOpen), nil
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(SavedVerdicts, verdicts); err != nil {
		return playbook.Outcome{}, err
	}
	drift := v.drift(w)
	if err := stillOpen(x, append(open, drift...)...); err != nil {
		return playbook.Outcome{}, err
	}
	lines := make([]string, 0, len(verdicts))
	for _, d := range verdicts {
		lines = append(lines, d.Interface+" "+d.Word)
	}
	for _, d := range verdicts {
		if d.isOpen() {
			return playbook.Outcome{}, conflict("not contained: "+strings.Join(lines, "; "), "what was isolated stays so", "guardroom run show names what is open")
		}
	}
	return done(strings.Join(append(lines, drift...), "; "))
}

func (d Verdict) isOpen() bool { return strings.HasPrefix(d.Word, "open: ") }

// verdicts judges each interface, and lists what is open whatever was done.
func (v view) verdicts(w *World) (list []Verdict, open []string) {
	if w.Gone() {
		return nil, nil
	}
	contain := v.containGroups()
	for _, n := range w.Interfaces {
		d := Verdict{Interface: n.ID, Word: v.word(w, n, contain[n.VPC])}
		list = append(list, d)
		switch {
		case d.isOpen() || strings.HasPrefix(d.Word, "partly: "):
			open = append(open, n.ID+" is "+d.Word)
		case d.Word == NotProven:
			open = append(open, "no flow log sees "+n.ID+": that nothing goes through it cannot be proven")
		}
		if n.PublicIPv4 != "" && !d.isOpen() {
			open = append(open, n.ID+" still has the public address "+n.PublicIPv4+"; no rule lets anything through")
		}
		if n.Type == "trunk" {
			open = append(open, n.ID+" is a trunk: branch interfaces on it carry groups of their own")
		}
		if n.Type == "efa" || n.Type == "efa-only" {
			open = append(open, n.ID+" is an Elastic Fabric Adapter: what bypasses the operating system is not seen")
		}
	}
	open = append(open, resolver)
	if w.Metadata.Endpoint != "disabled" {
		open = append(open, "the metadata service of "+w.InstanceID+" still hands out credentials, where it has a profile")
	}
	return list, open
}

// containGroups are the contain groups by VPC.
func (v view) containGroups() map[string]string {
	out := map[string]string{}
	v.done(actGroup, func(s respond.Step, r playbook.Record) {
		var p groupParams
		var id string
		if json.Unmarshal(s.Params, &p) == nil && r.Load(savedGroup, &id) {
			out[p.VPC] = id
		}
	})
	return out
}

// word judges one interface.
func (v view) word(w *World, n Interface, contain string) string {
	if n.Manager != "" {
		return "open: " + n.Manager + " manages it, and only that service may change it"
	}
	switch {
	case len(n.Groups) == 0:
		return "open: AWS shows no group of it, which proves nothing"
	case contain == "" || !slices.Equal(n.Groups, []string{contain}):
		return "open: it is in " + kit.Join(n.Groups)
	}
	i := slices.IndexFunc(w.Groups, func(g SecurityGroup) bool { return g.ID == contain })
	switch {
	case i < 0:
		return "open: the rules of " + contain + " cannot be seen"
	case w.Groups[i].Rules > 0:
		return fmt.Sprintf("open: %s has %d rules", contain, w.Groups[i].Rules)
	}
	if why := v.tracked(w, n); why != "" {
		return "partly: " + why
	}
	sees := func(f FlowLog) bool { return f.Resource == n.ID || f.Resource == n.Subnet || f.Resource == n.VPC }
	if !slices.ContainsFunc(w.FlowLogs, sees) {
		return NotProven
	}
	return Isolated
}
