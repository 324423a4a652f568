package sim

import (
	"net/netip"
	"slices"
	"time"
)

// elbState is what the load balancers are in one region of one account.
type elbState struct {
	Targets map[string]*targetGroup `json:"target_groups,omitempty"` // by ARN
	Classic map[string]*classic     `json:"classic,omitempty"`       // by name
}

type targetGroup struct {
	ARN      string    `json:"arn"`
	Name     string    `json:"name"`
	Type     string    `json:"type"` // instance or ip
	Protocol string    `json:"protocol"`
	Port     int32     `json:"port"`
	VPC      string    `json:"vpc"`
	Balancer string    `json:"balancer,omitempty"`
	Targets  []*target `json:"targets,omitempty"`
}

type target struct {
	ID       string    `json:"id"`
	Port     int32     `json:"port"`
	AZ       string    `json:"az,omitempty"`
	Since    time.Time `json:"since"`
	Draining time.Time `json:"draining,omitzero"` // until when
}

type classic struct {
	Name      string   `json:"name"`
	VPC       string   `json:"vpc"`
	Port      int32    `json:"port"`
	Instances []string `json:"instances,omitempty"`
}

// targetENI is the interface that a target is: the primary one of an instance, or
// the one with the address.
func (s *scope) targetENI(g *targetGroup, t *target) *eni {
	if g.Type != "ip" {
		return s.primary(t.ID)
	}
	for _, n := range inOrder(s.ENIs) {
		if n.VPC == g.VPC && slices.Contains(n.IPs, t.ID) {
			return n
		}
	}
	return nil
}

// reachable reports whether a load balancer in the VPC gets through to a port of
// an interface: by a rule of its groups, and both ways by the ACL of its subnet.
func (s *scope) reachable(n *eni, port int32) bool {
	v := s.VPCs[n.VPC]
	if v == nil {
		return false
	}
	from, err := netip.ParsePrefix(v.CIDR)
	if err != nil {
		return false
	}
	open := false
	for _, id := range n.Groups {
		g := s.Groups[id]
		if g == nil {
			continue
		}
		for _, r := range g.Rules {
			if !r.Egress && r.covers("tcp", port) && (r.Group != "" || overlaps(r.CIDR, from)) {
				open = true
			}
		}
	}
	sub := s.Subnets[n.Subnet]
	if !open || sub == nil {
		return false
	}
	near := from.Addr()
	return s.aclAllows(sub.ACL, false, "tcp", near, port) && s.aclAllows(sub.ACL, true, "tcp", near, 32768)
}

func overlaps(cidr string, with netip.Prefix) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && p.Overlaps(with)
}

// covers reports whether a rule is about a protocol and port.
func (r *rule) covers(protocol string, port int32) bool {
	if r.Protocol == "-1" {
		return true
	}
	if r.Protocol != protocol {
		return false
	}
	return protocol == "icmp" || r.From <= port && port <= r.To
}

// healthy is the health of a target: its state and why.
func (s *scope) healthy(g *targetGroup, t *target) (state, reason string) {
	if !t.Draining.IsZero() {
		return "draining", "Target.DeregistrationInProgress"
	}
	n := s.targetENI(g, t)
	if n == nil {
		return "unhealthy", "Target.Timeout"
	}
	i := s.Instances[n.Instance]
	if i == nil || i.State != "running" {
		return "unused", "Target.InvalidState"
	}
	if !s.reachable(n, t.Port) {
		return "unhealthy", "Target.Timeout"
	}
	if s.now.Before(t.Since.Add(s.w.times().Register)) {
		return "initial", "Elb.RegistrationInProgress"
	}
	return "healthy", ""
}

// lookHealth notes since when load balancers find an instance unhealthy.
func (s *scope) lookHealth() bool {
	bad := map[string]bool{}
	for _, g := range s.r.ELB.Targets {
		for _, t := range g.Targets {
			n := s.targetENI(g, t)
			if n != nil && n.Instance != "" && t.Draining.IsZero() && !s.reachable(n, t.Port) {
				bad[n.Instance] = true
			}
		}
	}
	for _, b := range s.r.ELB.Classic {
		for _, id := range b.Instances {
			if n := s.primary(id); n != nil && !s.reachable(n, b.Port) {
				bad[id] = true
			}
		}
	}
	changed := false
	for _, i := range s.Instances {
		if bad[i.ID] == !i.Bad.IsZero() {
			continue
		}
		changed = true
		if bad[i.ID] {
			i.Bad = s.now
		} else {
			i.Bad = time.Time{}
		}
	}
	return changed
}

// targetEvents end the draining of targets.
func (s *scope) targetEvents(consider func(time.Time, func())) {
	for _, arn := range keysOf(s.r.ELB.Targets) {
		g := s.r.ELB.Targets[arn]
		for _, t := range g.Targets {
			consider(t.Draining, func() {
				g.Targets = slices.DeleteFunc(g.Targets, func(o *target) bool { return o == t })
			})
		}
	}
}

// drain begins to take targets out of a group.
func (s *scope) drain(g *targetGroup, which func(*target) bool) {
	for _, t := range g.Targets {
		if which(t) && t.Draining.IsZero() {
			t.Draining = s.now.Add(s.w.times().Drain)
		}
	}
}

// register puts a target into a group, or back.
func (s *scope) register(g *targetGroup, id string, port int32, az string) {
	for _, t := range g.Targets {
		if t.ID == id && t.Port == port {
			if !t.Draining.IsZero() {
				t.Draining, t.Since = time.Time{}, s.now
			}
			return
		}
	}
	g.Targets = append(g.Targets, &target{ID: id, Port: port, AZ: az, Since: s.now})
}
