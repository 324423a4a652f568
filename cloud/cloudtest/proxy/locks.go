package proxy

import (
	"slices"
	"strconv"
	"time"
)

// lock guards a snapshot against being deleted.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html
type lock struct {
	mode    string
	created time.Time
	cooling time.Time // compliance can be changed until then
	days    int
	starts  time.Time // of the days: once the snapshot is completed
	until   time.Time
}

// stage is where a lock stands now.
func (l *lock) stage(now time.Time) string {
	switch {
	case !now.Before(l.until):
		return "expired"
	case l.mode == "compliance" && now.Before(l.cooling):
		return "compliance-cooloff"
	}
	return l.mode
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// nodes show a lock. When its days start and end is left out while the snapshot
// is pending: AWS does not know it before.
// https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-lock-considerations.html
func (l *lock) nodes(id string, now time.Time) []*node {
	out := []*node{leaf("snapshotId", id), leaf("lockState", l.stage(now)), leaf("lockDuration", strconv.Itoa(l.days)), leaf("lockCreatedOn", stamp(l.created))}
	if !now.Before(l.starts) {
		out = append(out, leaf("lockExpiresOn", stamp(l.until)), leaf("lockDurationStartTime", stamp(l.starts)))
	}
	if l.mode == "compliance" {
		out = append(out, leaf("coolOffPeriod", strconv.Itoa(int(l.cooling.Sub(l.created).Hours()))), leaf("coolOffPeriodExpiresOn", stamp(l.cooling)))
	}
	return out
}

// mine is the snapshot of the caller; one that was made before the proxy looked
// is learned.
func (p *Proxy) mine(r *request, id string) (*snapshot, answer) {
	s := p.snapshotOf(id)
	if s != nil && s.owner == r.account {
		return s, answer{}
	}
	if s == nil {
		if tree, err := p.ask(r, "DescribeSnapshots", "SnapshotId.1", id); err == nil && len(tree.items("snapshotSet")) == 1 {
			n := tree.items("snapshotSet")[0]
			return p.born(r, n, 0, n.get("volumeId")), answer{}
		}
	}
	return nil, r.no("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func (p *Proxy) lockSnapshot(r *request) answer {
	id, mode := r.form.Get("SnapshotId"), r.form.Get("LockMode")
	s, refused := p.mine(r, id)
	if s == nil {
		return refused
	}
	if a, dry := r.dry(); dry {
		return a
	}
	now := p.now()
	l := &lock{mode: mode, created: now, starts: now}
	if status, _ := s.stage(now); status == "pending" {
		l.starts = s.born.Add(s.takes)
	}
	days, expires := r.form.Get("LockDuration"), r.form.Get("ExpirationDate")
	hours := r.form.Get("CoolOffPeriod")
	switch {
	case mode != "governance" && mode != "compliance":
		return r.no("InvalidParameterValue", "The lock mode '%s' is not valid.", mode)
	case (days == "") == (expires == ""):
		return r.no("InvalidParameterCombination", "Specify either a lock duration or an expiration date.")
	case mode == "governance" && hours != "":
		return r.no("InvalidParameterCombination", "A cool-off period is for compliance mode only.")
	}
	if days != "" {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 36500 {
			return r.no("InvalidParameterValue", "The lock duration must be between 1 and 36500 days.")
		}
		l.days, l.until = n, l.starts.AddDate(0, 0, n)
	} else {
		t, err := time.Parse(time.RFC3339, expires)
		if err != nil || !t.After(now) {
			return r.no("InvalidParameterValue", "The expiration date must be in the future.")
		}
		l.days, l.until = int(t.Sub(now).Hours()/24), t
	}
	l.cooling = now
	if hours != "" {
		n, err := strconv.Atoi(hours)
		if err != nil || n < 1 || n > 72 {
			return r.no("InvalidParameterValue", "The cool-off period must be between 1 and 72 hours.")
		}
		l.cooling = now.Add(time.Duration(n) * time.Hour)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := s.lock; old != nil && old.stage(now) == "compliance" && (mode != "compliance" || l.until.Before(old.until)) {
		return r.no("OperationNotPermitted", "A lock in compliance mode can only be extended.")
	}
	s.lock = l
	return r.ec2(l.nodes(id, now)...)
}

func (p *Proxy) unlockSnapshot(r *request) answer {
	id := r.form.Get("SnapshotId")
	s, refused := p.mine(r, id)
	if s == nil {
		return refused
	}
	if a, dry := r.dry(); dry {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.lock == nil {
		return r.no("SnapshotNotLocked", "The snapshot '%s' is not locked.", id)
	}
	if s.lock.stage(p.now()) == "compliance" {
		return r.no("OperationNotPermitted", "The snapshot '%s' is locked in compliance mode.", id)
	}
	s.lock = nil
	return r.ec2(leaf("snapshotId", id))
}

func (p *Proxy) describeLocked(r *request) answer {
	if a, dry := r.dry(); dry {
		return a
	}
	ids := r.list("SnapshotId")
	states, filtered := r.filter("lock-state")
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for id, s := range p.state.snapshots {
		if s.owner != r.account || s.region != r.region || s.lock == nil || (len(ids) > 0 && !slices.Contains(ids, id)) || (filtered && !slices.Contains(states, s.lock.stage(now))) {
			continue
		}
		names = append(names, id)
	}
	slices.Sort(names)
	set := branch("snapshotSet")
	for _, id := range names {
		n := branch("item", p.state.snapshots[id].lock.nodes(id, now)...)
		n.children = append(n.children, leaf("ownerId", r.account))
		set.children = append(set.children, n)
	}
	return r.ec2(set)
}

// guardDeleteSnapshot refuses while a lock holds.
func (p *Proxy) guardDeleteSnapshot(r *request) answer {
	if a := p.guardOwnSnapshot(r); a.status != 0 {
		return a
	}
	id := r.form.Get("SnapshotId")
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.state.snapshots[id]; s != nil && s.lock != nil && s.lock.stage(p.now()) != "expired" {
		return r.no("OperationNotPermitted", "The snapshot '%s' is locked.", id)
	}
	return answer{}
}
