package block

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

type params struct {
	Addresses []string `json:"addresses"`
	// Seconds is how long the block lasts.
	Seconds int64  `json:"seconds"`
	Set     *setID `json:"ip_set,omitempty"`
	ACL     string `json:"network_acl,omitempty"`
}

func (p params) lasts() time.Duration { return time.Duration(p.Seconds) * time.Second }

func (actor) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	s, ok := w.Value.(world)
	if !ok {
		return respond.Draft{}, fault.New(fault.Internal, "the description is not one of a network actor", "")
	}
	d := kit.NewDraft(r.Target, Actions())
	p := params{Seconds: int64(lasts(r.Policy).Seconds())}
	d.Guarded(addressGuard(s.good, s.bad))
	for _, b := range s.bad {
		d.WillNot = append(d.WillNot, b.address+" is not blocked: "+b.why)
	}
	switch {
	case s.Set != nil:
		draftSet(d, s, p)
	case len(s.ACLs) > 0:
		if err := draftACLs(d, s, p); err != nil {
			return respond.Draft{}, fault.Wrap(fault.Internal, err, "draft the dry runs for network ACLs", "nothing was changed", "")
		}
	default:
		d.Guard("place", respond.Refuse, s.Why, "name an IP set in respond.ip_set, or block by hand")
		d.Manual = append(d.Manual, "Block "+kit.Join(s.Addresses)+" by hand where the traffic comes in: firewall, WAF, or network ACL of the subnet.")
	}
	d.WillNot = append(d.WillNot, "nobody else's addresses or entries are changed", "guardroom does not know who else uses these addresses: they may be shared, or false")
	d.Undo = "takes off only what this run added and what is still as it added it"
	d.ShortestSeconds, d.LongestSeconds = 3, 300
	return d.Draft, nil
}

func addressGuard(good []netip.Prefix, bad []refusal) respond.Guard {
	g := respond.Guard{Name: "addresses", Answer: respond.Pass, Why: fmt.Sprintf("%d", len(good))}
	var why []string
	for _, b := range bad {
		why = append(why, b.address+": "+b.why)
	}
	switch {
	case len(good) == 0:
		g.Answer, g.Why, g.Hint = respond.Refuse, "none of the addresses may be blocked: "+strings.Join(why, "; "), "look at the finding, and at respond.own_networks"
	case len(bad) > 0:
		g.Answer, g.Why = respond.Warn, "left out: "+strings.Join(why, "; ")
	}
	return g
}

func draftSet(d *kit.Draft, s world, p params) {
	for _, n := range s.good {
		if n.Addr().Is4() == (s.Set.Family == familyIPv4) {
			p.Addresses = append(p.Addresses, n.String())
		} else {
			d.WillNot = append(d.WillNot, n.String()+" is not blocked: the IP set takes "+s.Set.Family+" only")
		}
	}
	if len(p.Addresses) == 0 && len(s.good) > 0 {
		d.Guard("family", respond.Refuse, "the IP set takes "+s.Set.Family+" only", "name an IP set of the other family")
	}
	id := s.Set.ID
	p.Set = &id
	rec := d.Add(respond.Step{ID: "record/place", Action: "block.record", Stage: "record", Title: "write down IP set " + id.Name, Effect: respond.NoChange}, p)
	add := d.Add(respond.Step{ID: "contain/ip-set", Action: "block.add-to-set", Stage: "contain", Effect: respond.Reversible, Contains: true, After: []string{rec},
		Title: fmt.Sprintf("IP set %s: %s for %s", id.Name, kit.Join(p.Addresses), p.lasts())}, p)
	d.Add(respond.Step{ID: "verify/ip-set", Action: "block.verify-set", Stage: "verify", Effect: respond.NoChange, Contains: true, After: []string{add}, Title: "read IP set " + id.Name + " back"}, p)
	d.AlsoHits = append(d.AlsoHits, "everybody who comes from "+kit.Join(p.Addresses)+" to what the rules with this IP set protect")
	d.WillNot = append(d.WillNot, "what no rule of WAF with this IP set protects stays reachable")
}

func draftACLs(d *kit.Draft, s world, p params) error {
	p.Addresses = texts(s.good)
	var first []string
	for _, l := range s.ACLs {
		p.ACL = l.ID
		d.Guarded(roomGuard(l, s.good))
		first = append(first, d.Add(respond.Step{ID: "record/" + l.ID, Action: "block.record", Stage: "record", Title: "write down network ACL " + l.ID, Effect: respond.NoChange}, p))
	}
	try := d.Add(preflight().Step(first...), trials(s, d.Target.Account))
	for i, l := range s.ACLs {
		p.ACL = l.ID
		add := d.Add(respond.Step{ID: "contain/" + l.ID, Action: "block.add-entries", Stage: "contain", Effect: respond.Reversible, Contains: true, After: []string{first[i], try},
			Title: fmt.Sprintf("network ACL %s: deny %s in both directions for %s", l.ID, kit.Join(p.Addresses), p.lasts())}, p)
		d.Add(respond.Step{ID: "verify/" + l.ID, Action: "block.verify-entries", Stage: "verify", Effect: respond.NoChange, Contains: true, After: []string{add}, Title: "read network ACL " + l.ID + " back"}, p)
		d.AlsoHits = append(d.AlsoHits, fmt.Sprintf("everything in %s of network ACL %s (%s): none of it reaches %s any more", respond.Count(len(l.Subnets), "subnet"), l.ID, kit.Join(l.Subnets), kit.Join(p.Addresses)))
	}
	d.WillNot = append(d.WillNot, "traffic through other subnets, load balancers and proxies goes on")
	return kit.Rehearse(d.Steps)
}
