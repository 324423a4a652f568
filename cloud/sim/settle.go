package sim

import (
	"time"
)

// event is something that happens by itself at a time.
type event struct {
	at time.Time
	do func()
}

// settle lets everything happen that is due by now, in the order of its time, and
// reports whether anything did. When nothing was changed since the last time, and
// nothing is due, there is nothing to do.
func (w *World) settle(now time.Time) bool {
	if !w.touched && (w.due.IsZero() || now.Before(w.due)) {
		return false
	}
	w.touched, w.due = false, time.Time{}
	moved := false
	for _, accountID := range keysOf(w.state.Accounts) {
		a := w.state.Accounts[accountID]
		for _, name := range keysOf(a.Regions) {
			m, due := w.settleRegion(a, a.Regions[name], now)
			moved = moved || m
			if !due.IsZero() && (w.due.IsZero() || due.Before(w.due)) {
				w.due = due
			}
		}
	}
	return moved
}

// settleRegion settles one region and says when it has something to do again;
// zero: never, unless it is changed.
func (w *World) settleRegion(a *account, r *region, now time.Time) (moved bool, due time.Time) {
	s := w.scopeOf(a, r, now)
	moved = s.look()
	for {
		next := s.next()
		if next == nil {
			return moved, time.Time{}
		}
		if next.at.After(now) {
			return moved, next.at
		}
		s.now = next.at
		next.do()
		s.look()
		s.now = now
		moved = true
	}
}

// look sees what follows at once from what has changed: which instances load
// balancers find unhealthy, which flows are cut, which groups are short.
func (s *scope) look() bool {
	health, cut, short, agents := s.lookHealth(), s.lookFlows(), s.lookGroups(), s.lookAgents()
	return health || cut || short || agents
}

// next is the earliest event that is to come, or nil.
func (s *scope) next() *event {
	var best *event
	consider := func(at time.Time, f func()) {
		if !at.IsZero() && (best == nil || at.Before(best.at)) {
			best = &event{at, f}
		}
	}
	s.instanceEvents(consider)
	s.addressEvents(consider)
	s.volumeEvents(consider)
	s.profileEvents(consider)
	s.flowEvents(consider)
	s.groupEvents(consider)
	s.targetEvents(consider)
	s.agentEvents(consider)
	return best
}

func (s *scope) instanceEvents(consider func(time.Time, func())) {
	for _, i := range inOrder(s.Instances) {
		consider(i.Until, func() { s.arrive(i) })
		if i.Wanted != nil {
			consider(i.WantedAt, func() { i.Metadata, i.Wanted, i.WantedAt = *i.Wanted, nil, time.Time{} })
		}
		if i.State == "running" {
			consider(i.Reclaim, func() {
				i.Reclaim = time.Time{}
				s.shutDown(i, "Server.SpotInstanceTermination: Spot instance termination")
			})
		}
	}
}

// arrive ends a state of an instance that passes.
func (s *scope) arrive(i *instance) {
	i.Since, i.Until = s.now, time.Time{}
	switch i.State {
	case "pending":
		i.State = "running"
	case "stopping":
		i.State = "stopped"
		for _, n := range s.enisOf(i.ID) {
			n.Public = ""
		}
	case "shutting-down":
		i.State = "terminated"
		i.Until = s.now.Add(s.w.times().Forget)
		s.release(i)
	case "terminated":
		delete(s.Instances, i.ID)
	}
}

// shutDown begins the termination of an instance.
func (s *scope) shutDown(i *instance, reason string) {
	if i.State == "shutting-down" || i.State == "terminated" {
		return
	}
	i.State, i.Since, i.Until, i.Reason = "shutting-down", s.now, s.now.Add(s.w.times().ShutDown), reason
}

// stop begins to stop an instance.
func (s *scope) stop(i *instance, reason string) {
	if i.State != "running" && i.State != "pending" {
		return
	}
	i.State, i.Since, i.Until, i.Reason = "stopping", s.now, s.now.Add(s.w.times().Stop), reason
}

// release lets go of what a terminated instance had.
func (s *scope) release(i *instance) {
	for _, m := range s.mounts(i.ID) {
		if m.at.Delete {
			delete(s.Volumes, m.volume.ID)
			continue
		}
		m.volume.detached(i.ID)
	}
	for _, n := range s.enisOf(i.ID) {
		if !n.Delete {
			n.Instance, n.Attachment, n.Attached, n.Index = "", "", time.Time{}, 0
			continue
		}
		for _, a := range s.Addresses {
			if a.ENI == n.ID {
				a.Association, a.ENI, a.Private = "", "", ""
			}
		}
		delete(s.ENIs, n.ID)
	}
	for _, p := range inOrder(s.Profiles) {
		if p.Instance == i.ID {
			delete(s.Profiles, p.ID)
		}
	}
}

func (v *volume) detached(instanceID string) {
	var left []*attachment
	for _, a := range v.Attachments {
		if a.Instance != instanceID {
			left = append(left, a)
		}
	}
	v.Attachments = left
	if len(left) == 0 {
		v.State = "available"
	}
}

func (s *scope) volumeEvents(consider func(time.Time, func())) {
	for _, v := range inOrder(s.Volumes) {
		consider(v.Until, func() {
			v.Until, v.State = time.Time{}, "available"
			if v.Broken != "" {
				v.State = "error"
			}
		})
		for _, a := range v.Attachments {
			consider(a.Until, func() {
				a.Until = time.Time{}
				if a.State == "detaching" {
					v.detached(a.Instance)
					return
				}
				a.State = "attached"
			})
		}
	}
}

func (s *scope) profileEvents(consider func(time.Time, func())) {
	for _, p := range inOrder(s.Profiles) {
		consider(p.Until, func() {
			p.Until = time.Time{}
			if p.State == "disassociating" {
				delete(s.Profiles, p.ID)
				return
			}
			p.State = "associated"
		})
	}
}
