package sim

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// flow is a connection of an interface.
type flow struct {
	made
	ENI      string    `json:"eni"`
	Inbound  bool      `json:"inbound,omitempty"`
	Protocol string    `json:"protocol"` // tcp, udp or icmp
	Remote   string    `json:"remote"`
	Port     int32     `json:"port"`  // of who listens
	Local    string    `json:"local"` // the address of the interface
	Via      string    `json:"via"`   // igw, nat, nlb, tgw, or empty
	NAT      string    `json:"nat,omitempty"`
	Public   string    `json:"public,omitempty"`
	Tracked  bool      `json:"tracked"`
	Asks     time.Time `json:"asks,omitzero"` // when its next packet shows whether it is tracked
	Quiet    bool      `json:"quiet,omitempty"`
	Ended    time.Time `json:"ended,omitzero"`
	Why      string    `json:"why,omitempty"`
}

// FlowSpec is a connection to be opened. The zero value is outbound TCP to port
// 443 of 198.51.100.7.
type FlowSpec struct {
	Inbound  bool
	Protocol string
	Remote   string
	Port     int32
	// Via is igw, nat, nlb or tgw; empty: what the routes of the subnet say.
	Via string
	// Quiet sends nothing: it ends after the idle timeout.
	Quiet bool
}

// Flow is what has become of a connection.
type Flow struct {
	ID, ENI, Remote, Via string
	Inbound              bool
	Protocol             string
	Port                 int32
	// Tracked flows outlive a change of groups; Always says that nothing but a
	// network ACL cuts it.
	Tracked, Always, Alive bool
	// Ended is when it was cut, and Why by what: group, acl, address, idle or gone.
	Ended time.Time
	Why   string
}

const ephemeral = 49152

// OpenFlow opens a connection of an interface and returns its id; empty, when
// groups, ACLs or routes do not let it through.
func (e *Editor) OpenFlow(accountID, regionName, eniID string, spec FlowSpec) string {
	s := e.scope(accountID, regionName)
	n := s.ENIs[eniID]
	f := &flow{ENI: eniID, Inbound: spec.Inbound, Protocol: orText(spec.Protocol, "tcp"), Remote: orText(spec.Remote, "198.51.100.7"), Port: spec.Port, Via: spec.Via, Quiet: spec.Quiet}
	if f.Port == 0 && f.Protocol != "icmp" {
		f.Port = 443
	}
	remote, err := netip.ParseAddr(f.Remote)
	if err != nil || n == nil {
		return ""
	}
	f.Local = n.IPs[0]
	if remote.Is6() {
		if len(n.IP6s) == 0 {
			return ""
		}
		f.Local = n.IP6s[0]
	}
	if !s.route(f, n, remote) {
		return ""
	}
	if !s.groupsAllow(n, f, f.Inbound, remote) || !s.aclsAllow(n, f, remote) {
		return ""
	}
	f.Tracked = s.tracks(n, f, remote)
	f.made = s.born("", "flow-", nil)
	return keep(&s.Flows, f).ID
}

// route finds the way that a flow takes; false: there is none.
func (s *scope) route(f *flow, n *eni, remote netip.Addr) bool {
	if v := s.VPCs[n.VPC]; f.Via == "" && v != nil && (contains(v.CIDR, remote) || contains(v.CIDR6, remote)) {
		return true
	}
	table := s.tableOf(n.Subnet)
	best, via := -1, ""
	if table != nil {
		for _, r := range table.Routes {
			p, err := netip.ParsePrefix(orText(listed[r.To], r.To))
			if err == nil && p.Contains(remote) && p.Bits() > best {
				best, via = p.Bits(), r.Via
			}
		}
	}
	if f.Via == "" {
		f.Via, _, _ = strings.Cut(via, "-")
	}
	switch f.Via {
	case "local":
		f.Via = ""
	case "igw":
		if remote.Is4() {
			public := s.publicOf(n)
			if len(public) == 0 {
				return false
			}
			f.Public = public[0]
		}
	case "nat":
		if f.Inbound {
			return false // nobody comes in through a NAT gateway
		}
		if strings.HasPrefix(via, "nat-") {
			f.NAT = via
		}
	case "":
		return false
	}
	return true
}

func contains(cidr string, a netip.Addr) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && p.Contains(a)
}

// always reports whether a flow is tracked whatever the rules say.
func (f *flow) always() bool {
	return f.Protocol == "icmp" || slices.Contains([]string{"nat", "nlb", "tgw", "gwlb", "nfw", "ga"}, f.Via)
}

// groupsAllow reports whether the groups of an interface let packets of a flow
// through that go in or out.
func (s *scope) groupsAllow(n *eni, f *flow, in bool, remote netip.Addr) bool {
	port := f.Port
	if in != f.Inbound {
		port = ephemeral // an answer
	}
	for _, id := range s.groupsOf(n) {
		g := s.Groups[id]
		if g == nil {
			continue
		}
		for _, r := range g.Rules {
			if r.Egress != in && r.covers(f.Protocol, port) && s.matchesPeer(r, remote) {
				return true
			}
		}
	}
	return false
}

func (s *scope) matchesPeer(r *rule, remote netip.Addr) bool {
	if r.CIDR != "" {
		return contains(r.CIDR, remote)
	}
	if r.CIDR6 != "" {
		return contains(r.CIDR6, remote)
	}
	if r.List != "" {
		return contains(listed[r.List], remote)
	}
	for _, n := range s.ENIs {
		if r.Group != "" && slices.Contains(s.groupsOf(n), r.Group) && (slices.Contains(n.IPs, remote.String()) || slices.Contains(n.IP6s, remote.String())) {
			return true
		}
	}
	return false
}

// tracks reports whether the groups of an interface track a flow: they do not
// when they allow it to or from everywhere and everything back.
func (s *scope) tracks(n *eni, f *flow, remote netip.Addr) bool {
	return f.always() || !s.everywhere(n, f, !f.Inbound, f.Port, f.Port, remote) || !s.everywhere(n, f, f.Inbound, 0, 65535, remote)
}

// everywhere reports whether a rule is for all addresses and the range of ports.
func (s *scope) everywhere(n *eni, f *flow, egress bool, from, to int32, remote netip.Addr) bool {
	for _, id := range s.groupsOf(n) {
		g := s.Groups[id]
		if g == nil {
			continue
		}
		for _, r := range g.Rules {
			all := r.CIDR == "0.0.0.0/0" && remote.Is4() || r.CIDR6 == "::/0" && remote.Is6()
			ports := r.Protocol == "-1" || r.Protocol == f.Protocol && r.From <= from && to <= r.To
			if r.Egress == egress && all && ports {
				return true
			}
		}
	}
	return false
}

// aclsAllow reports whether the ACLs on the way let a flow through, both ways: that
// of the subnet, which sees the address of the other side, and that of the subnet
// of a NAT gateway, which sees the private address of this side.
func (s *scope) aclsAllow(n *eni, f *flow, remote netip.Addr) bool {
	sub := s.Subnets[n.Subnet]
	if sub == nil {
		return false
	}
	if contains(sub.CIDR, remote) || contains(sub.CIDR6, remote) {
		return true // an ACL does not see what stays within its subnet
	}
	out, back := f.Port, int32(ephemeral)
	if f.Inbound {
		out, back = ephemeral, f.Port
	}
	if !s.aclAllows(sub.ACL, true, f.Protocol, remote, out) || !s.aclAllows(sub.ACL, false, f.Protocol, remote, back) {
		return false
	}
	gateway := s.NATs[f.NAT]
	if gateway == nil || gateway.Subnet == n.Subnet {
		return true
	}
	local, err := netip.ParseAddr(f.Local)
	far := s.Subnets[gateway.Subnet]
	if err != nil || far == nil {
		return true
	}
	// Through the gateway's subnet a packet goes twice: in from this side and out
	// to the internet, and the same for the answer.
	return s.aclAllows(far.ACL, false, f.Protocol, local, out) && s.aclAllows(far.ACL, true, f.Protocol, remote, out) &&
		s.aclAllows(far.ACL, false, f.Protocol, remote, back) && s.aclAllows(far.ACL, true, f.Protocol, local, back)
}

var aclProtocols = map[string]string{"tcp": "6", "udp": "17", "icmp": "1"}

// aclAllows reports what the first entry that matches says. The address is the
// source of what comes in and the destination of what goes out.
func (s *scope) aclAllows(aclID string, egress bool, protocol string, peer netip.Addr, port int32) bool {
	n := s.ACLs[aclID]
	if n == nil {
		return true
	}
	number := aclProtocols[protocol]
	for _, e := range s.entries(n) {
		if e.Egress != egress || !contains(e.CIDR, peer) && !contains(e.CIDR6, peer) {
			continue
		}
		if e.Protocol == "-1" || e.Protocol == number && (number == "1" || e.From <= port && port <= e.To) {
			return e.Allow
		}
	}
	return false
}

// lookFlows cuts what is not let through any more.
func (s *scope) lookFlows() bool {
	changed := false
	for _, f := range s.Flows {
		if !f.Ended.IsZero() {
			continue
		}
		if why := s.cut(f); why != "" {
			f.Ended, f.Why, changed = s.now, why, true
			continue
		}
		if s.asks(f) {
			changed = true
		}
	}
	return changed
}

// cut is what ends a flow now; empty: nothing.
func (s *scope) cut(f *flow) string {
	n := s.ENIs[f.ENI]
	if n == nil {
		return "gone"
	}
	if i := s.Instances[n.Instance]; n.Instance != "" && (i == nil || i.State != "running" && i.State != "pending") {
		return "gone"
	}
	remote, err := netip.ParseAddr(f.Remote)
	if err != nil {
		return "gone"
	}
	switch {
	case f.Public != "" && !slices.Contains(s.publicOf(n), f.Public):
		return "address"
	case !s.aclsAllow(n, f, remote):
		return "acl"
	case !f.Tracked && (!s.groupsAllow(n, f, true, remote) || !s.groupsAllow(n, f, false, remote)):
		return "group"
	}
	return ""
}

// asks notes when the next packet of a flow shows that rules track it, or do not
// any more.
func (s *scope) asks(f *flow) bool {
	n := s.ENIs[f.ENI]
	remote, err := netip.ParseAddr(f.Remote)
	if err != nil {
		return false
	}
	loose := f.Tracked && !f.Quiet && !s.w.opts.StickyTracking && !s.tracks(n, f, remote)
	if loose == !f.Asks.IsZero() {
		return false
	}
	f.Asks = time.Time{}
	if loose {
		f.Asks = s.now.Add(s.w.times().Untrack)
	}
	return true
}

func (s *scope) flowEvents(consider func(time.Time, func())) {
	for _, f := range inOrder(s.Flows) {
		if !f.Ended.IsZero() {
			continue
		}
		consider(f.Asks, func() { f.Asks, f.Tracked = time.Time{}, false })
		if n := s.ENIs[f.ENI]; f.Quiet && f.Tracked && n != nil {
			consider(f.Made.Add(s.idle(n, f)), func() { f.Ended, f.Why = s.now, "idle" })
		}
	}
}

// idle is after how long a tracked flow without packets is forgotten.
func (s *scope) idle(n *eni, f *flow) time.Duration {
	seconds := int32(432000)
	if i := s.Instances[n.Instance]; i != nil && typeOf(i.Type).ShortIdle {
		seconds = 350
	}
	if n.TCP > 0 {
		seconds = n.TCP
	}
	if f.Protocol != "tcp" {
		seconds = 180
		if n.Stream > 0 {
			seconds = n.Stream
		}
	}
	return time.Duration(seconds) * time.Second
}

// Flows are the connections of an interface, alive or cut, as of now.
func (w *World) Flows(eniID string) []Flow {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.now())
	var out []Flow
	for _, accountID := range keysOf(w.state.Accounts) {
		a := w.state.Accounts[accountID]
		for _, name := range keysOf(a.Regions) {
			for _, f := range inOrder(a.Regions[name].EC2.Flows) {
				if f.ENI != eniID {
					continue
				}
				out = append(out, Flow{ID: f.ID, ENI: f.ENI, Remote: f.Remote, Via: f.Via, Inbound: f.Inbound, Protocol: f.Protocol, Port: f.Port,
					Tracked: f.Tracked, Always: f.always(), Alive: f.Ended.IsZero(), Ended: f.Ended, Why: f.Why})
			}
		}
	}
	return out
}
