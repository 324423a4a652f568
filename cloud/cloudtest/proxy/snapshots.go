package proxy

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// snapshot is what the proxy knows of one that was made through it.
type snapshot struct {
	id, owner, region string
	born              time.Time
	takes             time.Duration
	fails             string // it ends in error, with this message
	size              int    // GiB
	key               string // the KMS key
	encrypted         bool
	content           string // names what is on it: the volume, also of copies
	copied            bool   // from another account: it has no volume
	shares            map[string]bool
	lock              *lock
}

// stage is where a snapshot stands now.
func (s *snapshot) stage(now time.Time) (status, progress string) {
	elapsed := now.Sub(s.born)
	switch {
	case elapsed < s.takes:
		return "pending", fmt.Sprintf("%d%%", elapsed*100/s.takes)
	case s.fails != "":
		return "error", "99%"
	}
	return "completed", "100%"
}

// show writes into an element of an answer what moto does not know.
func (s *snapshot) show(n *node, statusName string, now time.Time) {
	status, progress := s.stage(now)
	n.set(statusName, status)
	n.set("progress", progress)
	if s.fails != "" && status == "error" {
		n.set("statusMessage", s.fails)
	}
	if s.encrypted {
		n.set("encrypted", "true")
	}
	if s.key != "" {
		n.set("kmsKeyId", s.key)
	}
	if s.copied {
		n.set("volumeId", "vol-ffffffff")
	}
}

// plain reports whether moto shows the snapshot as it is.
func (s *snapshot) plain(now time.Time) bool {
	status, _ := s.stage(now)
	return status == "completed" && s.key == "" && !s.encrypted && !s.copied
}

// snapshotOf is what the proxy knows of a snapshot; nil: nothing.
func (p *Proxy) snapshotOf(id string) *snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.snapshots[id]
}

// born remembers a new snapshot as an answer shows it. volume is what it is of.
func (p *Proxy) born(r *request, n *node, takes time.Duration, volumeID string) *snapshot {
	size, _ := strconv.Atoi(n.get("volumeSize"))
	s := &snapshot{id: n.get("snapshotId"), owner: r.account, region: r.region, born: p.now(), takes: takes, fails: r.fails, size: size,
		encrypted: n.get("encrypted") == "true", key: n.get("kmsKeyId"), content: volumeID, shares: map[string]bool{}}
	if s.encrypted && s.key == "" && volumeID != "" {
		if tree, err := p.ask(r, "DescribeVolumes", "VolumeId.1", volumeID); err == nil {
			s.key = tree.deep("kmsKeyId")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.state.volumes[volumeID]; v != nil {
		s.content = v.content
		if s.encrypted && s.key == "" {
			s.key = v.key
		}
	}
	p.state.snapshots[s.id] = s
	return s
}

// guardCreateSnapshot refuses what AWS refuses of a volume that is not there yet.
func (p *Proxy) guardCreateSnapshot(r *request) answer {
	p.mu.Lock()
	v := p.state.volumes[r.form.Get("VolumeId")]
	p.mu.Unlock()
	if v != nil && p.now().Before(v.ready) {
		return r.no("IncorrectState", "The volume '%s' is 'creating'.", r.form.Get("VolumeId"))
	}
	return answer{}
}

func (p *Proxy) bornSnapshot(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		s := p.born(r, root, p.opts.Timing.Snapshot, root.get("volumeId"))
		if s.plain(p.now()) {
			return false
		}
		s.show(root, "status", p.now())
		return true
	})
}

// bornSnapshots also gives each its state, which moto leaves out.
func (p *Proxy) bornSnapshots(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		for _, n := range root.items("snapshotSet") {
			p.born(r, n, p.opts.Timing.Snapshot, n.get("volumeId")).show(n, "state", p.now())
		}
		return true
	})
}

// guardDescribeSnapshots finds snapshots that other accounts share: moto shows
// an account its own only.
func (p *Proxy) guardDescribeSnapshots(r *request) answer {
	p.takeStatus(r)
	var own []string
	foreign := map[string][]string{} // by owner
	for _, id := range r.list("SnapshotId") {
		s := p.snapshotOf(id)
		switch {
		case s == nil || s.owner == r.account:
			own = append(own, id)
		case !p.shared(s, r.account):
			return r.no("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
		default:
			foreign[s.owner] = append(foreign[s.owner], id)
		}
	}
	if len(foreign) == 0 {
		return answer{}
	}
	var all []*node
	read := func(as *request, ids []string) answer {
		form := r.without("SnapshotId")
		for i, id := range ids {
			form.Set(fmt.Sprintf("SnapshotId.%d", i+1), id)
		}
		a := p.forward(as.as(form))
		if !a.ok() {
			return a
		}
		tree, err := parse(a.body)
		if err != nil {
			return r.refuse(http.StatusBadGateway, "InternalFailure", err.Error())
		}
		for _, n := range tree.items("snapshotSet") {
			if as.account != r.account {
				n.set("tagSet", "") // tags are the owner's
			}
			all = append(all, n)
		}
		return answer{}
	}
	if len(own) > 0 {
		if a := read(r, own); a.status != 0 {
			return a
		}
	}
	for owner, ids := range foreign {
		if a := read(p.by(r, owner), ids); a.status != 0 {
			return a
		}
	}
	return p.showSnapshots(r, r.ec2(branch("snapshotSet", all...)))
}

// showSnapshots writes how far they are by now.
func (p *Proxy) showSnapshots(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		changed := false
		for _, n := range root.items("snapshotSet") {
			if s := p.snapshotOf(n.get("snapshotId")); s != nil && !s.plain(p.now()) {
				s.show(n, "status", p.now())
				changed = true
			}
		}
		return p.keepStatus(r, root.at("snapshotSet"), "status") || changed
	})
}
