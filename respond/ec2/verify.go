package ec2

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

type verifyParams struct {
	instanceParams
	// Paths are the ways on which AWS tracked connections when the plan was made.
	Paths []path `json:"paths,omitempty"`
	// FirstSeen is when the activity was first seen: a flow log that was made later
	// proves nothing alone.
	FirstSeen time.Time `json:"first_seen,omitzero"`
}

// resolver survives every isolation: it is no host in the VPC.
const resolver = "names still resolve through the resolver of the VPC, so they can carry data: neither a security group nor a network ACL stops it, and no flow log records it"

// verify describes everything again and says, interface by interface, whether it
// is isolated. It fails when one is open.
func verify(x *respond.Exec) (playbook.Outcome, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	v := viewOf(x.Plan, x.Def.Part, x.Record)
	var w *World
	var verdicts []respond.Verdict
	var open []string
	_, err := seen(x, func() (bool, error) {
		var err error
		if w, err = describeIn(x, p.Instance); err != nil {
			return false, err
		}
		verdicts, open = v.verdicts(w)
		drift := v.drift(w)
		return len(drift) == 0 && !slices.ContainsFunc(verdicts, respond.Verdict.IsOpen), nil
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(respond.SavedVerdicts, verdicts); err != nil {
		return playbook.Outcome{}, err
	}
	drift := v.drift(w)
	if err := stillOpen(x, append(open, drift...)...); err != nil {
		return playbook.Outcome{}, err
	}
	lines := make([]string, 0, len(verdicts))
	for _, d := range verdicts {
		lines = append(lines, d.What+" "+d.Word)
	}
	for _, d := range verdicts {
		if d.IsOpen() {
			return playbook.Outcome{}, conflict("not contained: "+strings.Join(lines, "; "), "what was isolated stays so", "guardroom run show names what is open")
		}
	}
	return done(strings.Join(append(lines, drift...), "; "))
}

// verdicts judges each interface by its description, and lists what is open
// whatever was done.
func (v view) verdicts(w *World) (list []respond.Verdict, open []string) {
	if w.Gone() {
		return nil, nil
	}
	contain := v.containGroups()
	for _, n := range w.Interfaces {
		d := v.verdict(w, n, contain[n.VPC])
		list = append(list, d)
		open = append(open, d.String())
		if p := n.publics(); len(p) > 0 && !d.IsOpen() {
			open = append(open, n.ID+" still has the public address "+kit.Join(p)+"; no rule lets anything through")
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
		open = append(open, "the metadata service of "+w.InstanceID+" still hands out credentials, where it has a profile; no flow log records that")
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

// verdict judges one interface by its description. That is no proof: it says
// what may prove it, or why nothing can.
func (v view) verdict(w *World, n Interface, contain string) respond.Verdict {
	d := respond.Verdict{What: n.ID}
	if why := v.leads(w, n); why != "" {
		d.Word = respond.Partly(why)
		return d
	}
	if why := openBecause(w, n, contain); why != "" {
		d.Word = respond.Open(why)
		return d
	}
	if why := v.tracked(w, n); why != "" {
		d.Word = respond.Partly(why)
	}
	logs, why := flowLogsOf(w, n)
	if len(logs) > 0 {
		d.Pending = true
		why = []string{"the flow records of " + kit.Join(ids(logs)) + " come some minutes later"}
	}
	return unproven(d, kit.Join(why), true)
}

func ids(logs []FlowLog) []string {
	var out []string
	for _, l := range logs {
		out = append(out, l.ID)
	}
	return out
}

// openBecause says why an interface is not isolated; empty: it is, as described.
func openBecause(w *World, n Interface, contain string) string {
	switch {
	case n.Manager != "":
		return n.Manager + " manages it, and only that service may change it"
	case len(n.Groups) == 0:
		return "AWS shows no group of it, which proves nothing"
	case contain == "" || !slices.Equal(n.Groups, []string{contain}):
		return "it is in " + kit.Join(n.Groups)
	}
	i := slices.IndexFunc(w.Groups, func(g SecurityGroup) bool { return g.ID == contain })
	switch {
	case i < 0:
		return "the rules of " + contain + " cannot be seen"
	case w.Groups[i].Rules > 0:
		return fmt.Sprintf("%s has %d rules", contain, w.Groups[i].Rules)
	}
	return ""
}
