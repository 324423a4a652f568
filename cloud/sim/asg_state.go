package sim

import (
	"slices"
	"time"
)

// asgState is what Auto Scaling is in one region of one account.
type asgState struct {
	Groups map[string]*asGroup `json:"groups,omitempty"` // by name
}

type asGroup struct {
	Name        string            `json:"name"`
	ARN         string            `json:"arn"`
	Min         int32             `json:"min"`
	Max         int32             `json:"max"`
	Desired     int32             `json:"desired"`
	HealthCheck string            `json:"health_check"` // EC2 or ELB
	Grace       time.Duration     `json:"grace,omitempty"`
	Targets     []string          `json:"targets,omitempty"` // ARNs
	Classic     []string          `json:"classic,omitempty"` // names
	Subnets     []string          `json:"subnets"`
	Suspended   map[string]string `json:"suspended,omitempty"`
	Resumed     time.Time         `json:"resumed,omitzero"`
	Image       string            `json:"image"`
	Type        string            `json:"type"`
	Groups      []string          `json:"groups"`
	Profile     string            `json:"profile,omitempty"`
	Members     []*member         `json:"members,omitempty"`
	Short       time.Time         `json:"short,omitzero"` // since when instances are missing
	Lag         time.Duration     `json:"lag,omitempty"`
	Made        time.Time         `json:"made"`
	Turn        int               `json:"turn,omitempty"`
}

type member struct {
	Instance    string    `json:"instance"`
	State       string    `json:"state"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until,omitzero"`
	Leaves      time.Time `json:"leaves,omitzero"` // when a detach or standby that was asked for begins
	To          string    `json:"to,omitempty"`    // Detaching or EnteringStandby
	Protected   bool      `json:"protected,omitempty"`
	Replacement bool      `json:"replacement,omitempty"`
	Dead        time.Time `json:"dead,omitzero"` // since when the instance does not run
}

const groupTag = "aws:autoscaling:groupName"

func (g *asGroup) counts() int32 {
	var n int32
	for _, m := range g.Members {
		if (m.State == "InService" || m.State == "Pending") && m.To == "" {
			n++
		}
	}
	return n
}

func (g *asGroup) member(instanceID string) *member {
	for _, m := range g.Members {
		if m.Instance == instanceID {
			return m
		}
	}
	return nil
}

func (g *asGroup) suspended(process string) bool { _, ok := g.Suspended[process]; return ok }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lookGroups sees which groups are short of instances and which of their
// instances do not run any more.
func (s *scope) lookGroups() bool {
	changed := false
	for _, g := range inOrder(s.r.ASG.Groups) {
		for _, m := range slices.Clone(g.Members) {
			i := s.Instances[m.Instance]
			if i == nil || i.State == "terminated" {
				g.drop(m)
				changed = true
				continue
			}
			dead := i.State != "running" && i.State != "pending"
			if m.State == "InService" && dead && m.Dead.IsZero() {
				m.Dead, changed = s.now, true
			}
			if !dead && !m.Dead.IsZero() {
				m.Dead, changed = time.Time{}, true
			}
		}
		changed = s.scaleIn(g) || changed
		short := g.counts() < g.Desired
		if short != g.Short.IsZero() {
			continue
		}
		changed = true
		if short {
			g.Short = s.now
		} else {
			g.Short = time.Time{}
		}
	}
	return changed
}

// scaleIn terminates instances that are too many, the oldest first, and none that
// is protected from that.
func (s *scope) scaleIn(g *asGroup) bool {
	changed := false
	for _, m := range slices.Clone(g.Members) {
		if g.counts() <= g.Desired || g.suspended("Terminate") {
			return changed
		}
		if m.State == "InService" && m.To == "" && !m.Protected {
			s.replace(g, m)
			changed = true
		}
	}
	return changed
}

func (g *asGroup) drop(m *member) {
	g.Members = slices.DeleteFunc(g.Members, func(o *member) bool { return o == m })
}

// groupEvents are what Auto Scaling does by itself: let instances go, take them
// in, terminate the unhealthy, launch others.
func (s *scope) groupEvents(consider func(time.Time, func())) {
	t := s.w.times()
	for _, g := range inOrder(s.r.ASG.Groups) {
		for _, m := range g.Members {
			consider(m.Until, func() { s.memberArrives(g, m) })
			consider(m.Leaves, func() { s.leave(g, m) })
			if at := s.diesAt(g, m); !at.IsZero() {
				consider(at, func() { s.replace(g, m) })
			}
		}
		if !g.Short.IsZero() && !g.suspended("Launch") {
			consider(later(g.Short, g.Resumed).Add(t.Replace), func() { s.fill(g) })
		}
	}
}

// diesAt is when a group terminates a member that is unhealthy; zero: not.
func (s *scope) diesAt(g *asGroup, m *member) time.Time {
	i := s.Instances[m.Instance]
	if i == nil || m.State != "InService" || g.suspended("ReplaceUnhealthy") || g.suspended("HealthCheck") || g.suspended("Terminate") {
		return time.Time{}
	}
	since := m.Dead
	if since.IsZero() && g.HealthCheck == "ELB" && !i.Bad.IsZero() && s.balances(g, i.ID) {
		since = later(i.Bad, m.Since.Add(g.Grace))
	}
	if since.IsZero() {
		return since
	}
	return later(since, g.Resumed).Add(s.w.times().Unhealthy)
}

// balances reports whether a load balancer of the group looks at an instance.
func (s *scope) balances(g *asGroup, instanceID string) bool {
	for _, arn := range g.Targets {
		if t := s.r.ELB.Targets[arn]; t != nil && slices.ContainsFunc(t.Targets, func(t *target) bool { return t.ID == instanceID }) {
			return true
		}
	}
	for _, name := range g.Classic {
		if b := s.r.ELB.Classic[name]; b != nil && slices.Contains(b.Instances, instanceID) {
			return true
		}
	}
	return false
}

// replace terminates an unhealthy member, whatever its own protection says: it
// protects from users, not from its group.
func (s *scope) replace(g *asGroup, m *member) {
	m.State, m.Since, m.To, m.Leaves, m.Until = "Terminating", s.now, "", time.Time{}, time.Time{}
	s.unbalance(g, m.Instance)
	i := s.Instances[m.Instance]
	if i.State == "terminated" || i.State == "shutting-down" {
		return
	}
	s.shutDown(i, "Server.AutoScaling: an instance was taken out of service in response to a failed health check")
}

// memberArrives ends a lifecycle state that passes.
func (s *scope) memberArrives(g *asGroup, m *member) {
	m.Until, m.Since = time.Time{}, s.now
	switch m.State {
	case "Detaching":
		g.drop(m)
		if i := s.Instances[m.Instance]; i != nil {
			delete(i.Tags, groupTag)
		}
	case "EnteringStandby":
		m.State = "Standby"
	case "Pending":
		m.State = "InService"
		s.balance(g, m.Instance)
	}
}

// leave begins to let a member go.
func (s *scope) leave(g *asGroup, m *member) {
	m.State, m.Since, m.To, m.Leaves = m.To, s.now, "", time.Time{}
	m.Until = s.now.Add(s.w.times().Detach)
	s.unbalance(g, m.Instance)
}

// balance registers an instance with the load balancers of its group.
func (s *scope) balance(g *asGroup, instanceID string) {
	for _, arn := range g.Targets {
		if t := s.r.ELB.Targets[arn]; t != nil {
			s.register(t, instanceID, t.Port, "")
		}
	}
	for _, name := range g.Classic {
		if b := s.r.ELB.Classic[name]; b != nil && !slices.Contains(b.Instances, instanceID) {
			b.Instances = append(b.Instances, instanceID)
		}
	}
}

func (s *scope) unbalance(g *asGroup, instanceID string) {
	for _, arn := range g.Targets {
		if t := s.r.ELB.Targets[arn]; t != nil {
			s.drain(t, func(o *target) bool { return o.ID == instanceID })
		}
	}
	for _, name := range g.Classic {
		if b := s.r.ELB.Classic[name]; b != nil {
			b.Instances = slices.DeleteFunc(b.Instances, func(id string) bool { return id == instanceID })
		}
	}
}

// fill launches one instance that is missing.
func (s *scope) fill(g *asGroup) {
	g.Short = time.Time{}
	if g.counts()+1 < g.Desired {
		g.Short = s.now
	}
	sub, m := s.Subnets[g.Subnets[g.Turn%len(g.Subnets)]], s.launchable()[g.Image]
	g.Turn++
	if sub == nil || m == nil || s.haveCapacity(g.Type, sub.AZ) != nil {
		g.Short = s.now // it tries again
		return
	}
	i := s.member(g, m, sub)
	g.Members = append(g.Members, &member{Instance: i.ID, State: "Pending", Since: s.now, Until: i.Until, Replacement: true})
}

// member launches an instance of a group.
func (s *scope) member(g *asGroup, m *image, sub *subnet) *instance {
	return s.launch(launch{Operation: "Launch", Image: m, Type: g.Type, Subnet: sub, Profile: g.Profile, Metadata: defaultMetadata(),
		Interfaces: []launchENI{{Subnet: sub, Groups: slices.Clone(g.Groups), Delete: true, Public: sub.AutoPublic}},
		Devices:    []launchDevice{{Name: m.RootDevice, Size: m.RootSize, Type: "gp3", Delete: true}}, Tags: tags{groupTag: g.Name}})
}
