package ec2

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// ThroughLimit is how long an interface stays open to endpoints at most, so that
// memory can be taken of an instance that is isolated.
const ThroughLimit = 30 * time.Minute

// throughRule lets port 443 out to one address, or to a prefix list. It is never a
// security group: hosts may be in that of an endpoint too.
type throughRule struct {
	CIDR string `json:"cidr,omitempty"`
	List string `json:"list,omitempty"`
}

// to is what the rule leads to.
func (r throughRule) to() string { return r.CIDR + r.List }

// through is the way that stays open for memory after isolation: from the first
// interface to the endpoints of Systems Manager and to S3, and nowhere else.
type through struct {
	memory string // the step that it stays open for
	n      Interface
	rules  []throughRule
	// subnets are those whose network ACLs the way passes.
	subnets  []string
	services []string
}

// Through drafts a containment in which the step memory, of the same plan, comes
// after isolation: the first interface of the instance is put into a group that
// lets nothing out but port 443 to the VPC's own endpoints, and into the one
// without rules once memory has ended. refused says why that cannot be, or must
// not; the draft is then that of Draft, and memory cannot be taken. It does no I/O.
func Through(w respond.World, r respond.Request, memory string) (d respond.Draft, refused string, err error) {
	v, ok := w.Value.(Described)
	if !ok || v.World == nil {
		return respond.Draft{}, "", fmt.Errorf("the world of %s is %T", Name, w.Value)
	}
	way, why := throughOf(v.World, r, memory)
	if why != "" {
		return draft(v, r, nil), why, nil
	}
	return draft(v, r, way), "", nil
}

// Before returns the steps of a draft of Through that must have ended before the
// step memory: those that contain, and do not wait for it.
func Before(steps []respond.Step, memory string) []string {
	late := map[string]bool{memory: true}
	var out []string
	for _, s := range steps { // each stands after those that it waits for
		if slices.ContainsFunc(s.After, func(id string) bool { return late[id] }) {
			late[s.ID] = true
		} else if s.Contains {
			out = append(out, s.ID)
		}
	}
	return out
}

// throughOf finds the way, or says why there is none.
func throughOf(w *World, r respond.Request, memory string) (*through, string) {
	const never = ", and port 443 is never opened to the internet for it"
	switch {
	case r.Policy.MemoryAfter == "never":
		return nil, "isolation goes first, and the policy opens no way out after it (memory_after_isolation)"
	case r.Policy.MemoryAfter != "always" && dataLeaves(r.Type):
		return nil, "isolation goes first because data is leaving, and the way to S3 that memory needs would let it leave as well (memory_after_isolation: always)"
	case r.Policy.Evidence.Region != "" && r.Policy.Evidence.Region != w.Region:
		return nil, "isolation goes first, and endpoints of the VPC do not lead to the evidence bucket in " + r.Policy.Evidence.Region + never
	}
	i := slices.IndexFunc(w.Interfaces, func(n Interface) bool { return n.DeviceIndex == 0 })
	switch {
	case i < 0:
		return nil, "isolation goes first, and its first interface is not to be seen"
	case w.Interfaces[i].Manager != "":
		return nil, "isolation goes first, and its first interface is managed by " + w.Interfaces[i].Manager
	case slices.ContainsFunc(w.Unknown, func(u string) bool { return strings.HasPrefix(u, "ec2.DescribeVpcEndpoints") }):
		return nil, "isolation goes first, and AWS did not answer which endpoints there are"
	}
	t := &through{memory: memory, n: w.Interfaces[i], subnets: []string{w.Interfaces[i].Subnet}}
	needed := []string{serviceSSM, serviceMessages}
	if !newAgent(w.Agent.Version) {
		needed = append(needed, serviceOlder)
	}
	var missing, shut, hidden []string
	for _, service := range []string{serviceSSM, serviceMessages, serviceOlder} {
		found, closed, unseen := t.add(w, service)
		switch {
		case found:
		case !slices.Contains(needed, service):
		case closed != "":
			shut = append(shut, closed)
		case unseen != "":
			hidden = append(hidden, unseen)
		default:
			missing = append(missing, service)
		}
	}
	switch {
	case len(missing) > 0:
		return nil, fmt.Sprintf("isolation goes first, %s has no endpoint of %s%s", t.n.VPC, kit.Join(missing), never)
	case len(hidden) > 0:
		return nil, fmt.Sprintf("isolation goes first, and the addresses of %s are not to be seen%s", kit.Join(hidden), never)
	case len(shut) > 0:
		return nil, fmt.Sprintf("isolation goes first, and %s: let %s in to port 443, or the addresses of the VPC", kit.Join(shut), throughName)
	}
	list := t.storage(w)
	if list == "" {
		return nil, fmt.Sprintf("isolation goes first, %s has no route to a gateway endpoint of S3%s", t.n.Subnet, never)
	}
	t.rules = append(t.rules, throughRule{List: list})
	return t, ""
}

// add adds the endpoints of a service. closed says that there is one whose groups
// would not let the interface in, and unseen that there is one without addresses.
func (t *through) add(w *World, service string) (found bool, closed, unseen string) {
	for _, e := range w.Endpoints {
		if e.Service != service || e.VPC != t.n.VPC || e.Gateway || !e.Named || e.State != "available" {
			continue
		}
		if !e.admit(w, t.n) {
			closed = fmt.Sprintf("the groups of %s (%s) do not let it in", e.ID, service)
			continue
		}
		if len(e.Addresses) == 0 {
			unseen = fmt.Sprintf("%s (%s)", e.ID, service)
			continue
		}
		found = true
		for _, a := range e.Addresses {
			if r := (throughRule{CIDR: a}); !slices.Contains(t.rules, r) {
				t.rules = append(t.rules, r)
			}
		}
		t.subnets = join(t.subnets, e.Subnets...)
	}
	if found {
		t.services = append(t.services, service)
	}
	return found, closed, unseen
}

// storage is the prefix list of S3, by which the subnet of the interface reaches a
// gateway endpoint.
func (t *through) storage(w *World) string {
	s, _ := w.subnet(t.n.Subnet)
	for _, g := range s.Gateways {
		for _, e := range w.Endpoints {
			if e.ID == g.Endpoint && e.Gateway && e.Service == serviceS3 {
				return g.List
			}
		}
	}
	return ""
}

// newAgent reports whether an agent needs no endpoint of ec2messages: since
// 3.3.40 it does not.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-setting-up-messageAPIs.html
func newAgent(version string) bool {
	want := []int{3, 3, 40}
	have := strings.Split(version, ".")
	if len(have) < len(want) {
		return false
	}
	for i, n := range want {
		v, err := strconv.Atoi(have[i])
		if err != nil || v < n {
			return false
		}
		if v > n {
			return true
		}
	}
	return true
}

// words are what stays open, for people.
func (t *through) words() string {
	var addresses, lists []string
	for _, r := range t.rules {
		if r.CIDR != "" {
			addresses = append(addresses, r.CIDR)
		} else {
			lists = append(lists, r.List)
		}
	}
	return fmt.Sprintf("port 443 to the endpoints of %s (%s) and to S3 (%s)", kit.Join(t.services), kit.Join(addresses), kit.Join(lists))
}

// holds reports whether the way is of an interface.
func (t *through) holds(n Interface) bool { return t != nil && t.n.ID == n.ID }

// cutBy reports whether entries for the instance in a network ACL cut the way.
func (t *through) cutBy(w *World, acl string) bool {
	if t == nil {
		return false
	}
	return slices.ContainsFunc(t.subnets, func(id string) bool {
		a, ok := w.aclOf(id)
		s, _ := w.subnet(id)
		return ok && a.ID == acl || s.ACL == acl
	})
}

// after are steps that must wait until memory was taken.
func (t *through) after(ids []string) []string {
	if t == nil {
		return ids
	}
	return append(slices.Clone(ids), t.memory)
}

// lines say what the way costs.
func (b *drafting) throughLines() {
	t := b.through
	if t == nil {
		return
	}
	long := fmt.Sprintf("until memory was taken, at most %d minutes", int(ThroughLimit.Minutes()))
	why := fmt.Sprintf("%s keeps %s %s: whoever holds the host can send to any bucket that the endpoint of S3 lets through", t.n.ID, t.words(), long)
	b.Guard("memory after isolation", respond.Warn, why, "memory_after_isolation: never leaves nothing open, and takes no memory")
	b.WillNot = append(b.WillNot, "close "+t.words()+" on "+t.n.ID+" "+long)
	if b.w.Profile != nil {
		b.WillNot = append(b.WillNot, "cut the credentials of "+b.w.InstanceID+" off "+long+": its agent needs them")
	}
	b.LongestSeconds += int64(ThroughLimit.Seconds())
}
