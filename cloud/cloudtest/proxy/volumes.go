package proxy

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// volume is what the proxy knows of one that was made through it.
type volume struct {
	ready    time.Time
	content  string // names what is on it
	snapshot string // the one of another account that it was made from
	key      string
}

// guardCreateVolume makes volumes of what is complete, also of what another
// account shares.
func (p *Proxy) guardCreateVolume(r *request) answer {
	id := r.form.Get("SnapshotId")
	s := p.snapshotOf(id)
	if s == nil {
		return answer{}
	}
	if s.owner != r.account && !p.shared(s, r.account) {
		return r.no("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	if status, _ := s.stage(p.now()); status != "completed" {
		return r.no("IncorrectState", "Snapshot is in invalid state - %s", status)
	}
	r.source = s
	if s.owner == r.account {
		return answer{}
	}
	form := r.without("SnapshotId")
	if form.Get("Size") == "" {
		form.Set("Size", strconv.Itoa(s.size))
	}
	if s.encrypted {
		form.Set("Encrypted", "true")
	}
	*r = *r.as(form)
	return answer{}
}

func (p *Proxy) bornVolume(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		id := root.get("volumeId")
		v := &volume{ready: p.now().Add(p.opts.Timing.Volume), content: id}
		if s := r.source; s != nil {
			v.content = s.content
			if s.encrypted && root.get("kmsKeyId") == "" {
				v.key = s.key
			}
			if s.owner != r.account {
				v.snapshot = s.id
			}
		}
		p.mu.Lock()
		p.state.volumes[id] = v
		p.mu.Unlock()
		return v.show(root, p.now())
	})
}

// show writes what moto does not know, and reports whether there was any.
func (v *volume) show(n *node, now time.Time) bool {
	changed := false
	if now.Before(v.ready) {
		n.set("status", "creating")
		changed = true
	}
	if v.snapshot != "" {
		n.set("snapshotId", v.snapshot)
		changed = true
	}
	if v.key != "" {
		n.set("kmsKeyId", v.key)
		changed = true
	}
	return changed
}

func (p *Proxy) showVolumes(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		changed := false
		p.mu.Lock()
		for _, n := range root.items("volumeSet") {
			id := n.get("volumeId")
			if v := p.state.volumes[id]; v != nil && v.show(n, p.now()) {
				changed = true
			}
			for _, at := range n.items("attachmentSet") {
				if p.now().Before(p.state.attached[id+"/"+at.get("instanceId")]) {
					at.set("status", "attaching")
					changed = true
				}
			}
		}
		p.mu.Unlock()
		return p.keepStatus(r, root.at("volumeSet"), "status") || changed
	})
}

// guardAttach refuses what moto does all the same: a volume in use or not yet
// made, another zone, an instance that is not there yet, a device in use.
func (p *Proxy) guardAttach(r *request) answer {
	id, instance, device := r.form.Get("VolumeId"), r.form.Get("InstanceId"), r.form.Get("Device")
	volumes, err := p.ask(r, "DescribeVolumes", "VolumeId.1", id)
	if err != nil || len(volumes.items("volumeSet")) != 1 {
		return answer{} // moto says which error it is
	}
	instances, err := p.ask(r, "DescribeInstances", "InstanceId.1", instance)
	if err != nil || len(instances.items("reservationSet")) != 1 {
		return answer{}
	}
	v, i := volumes.items("volumeSet")[0], instances.items("reservationSet")[0].items("instancesSet")[0]
	p.mu.Lock()
	known, running := p.state.volumes[id], p.state.instances[instance]
	p.mu.Unlock()
	switch state := i.get("instanceState/name"); {
	case known != nil && p.now().Before(known.ready):
		return r.no("IncorrectState", "The volume '%s' is not 'available'.", id)
	case len(v.items("attachmentSet")) > 0:
		return r.no("VolumeInUse", "%s is already attached to an instance", id)
	case v.get("availabilityZone") != i.get("placement/availabilityZone"):
		return r.no("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", id, instance)
	case p.now().Before(running) || (state != "running" && state != "stopped" && state != "pending"):
		return r.no("IncorrectState", "Instance '%s' is not 'running'.", instance)
	}
	for _, b := range i.items("blockDeviceMapping") {
		if b.get("deviceName") == device {
			return r.no("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", device, device)
		}
	}
	return answer{}
}

func (p *Proxy) bornAttachment(r *request, a answer) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.attached[r.form.Get("VolumeId")+"/"+r.form.Get("InstanceId")] = p.now().Add(p.opts.Timing.Attachment)
	return a
}

// guardDetach adds the instance and the device, without which moto breaks.
func (p *Proxy) guardDetach(r *request) answer {
	id := r.form.Get("VolumeId")
	volumes, err := p.ask(r, "DescribeVolumes", "VolumeId.1", id)
	if err != nil || len(volumes.items("volumeSet")) != 1 {
		return r.no("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
	}
	attachments := volumes.items("volumeSet")[0].items("attachmentSet")
	if len(attachments) == 0 {
		return r.no("IncorrectState", "Volume '%s' is in the 'available' state.", id)
	}
	for name, have := range map[string]string{"InstanceId": attachments[0].get("instanceId"), "Device": attachments[0].get("device")} {
		asked := r.form.Get(name)
		if asked != "" && asked != have {
			return r.no("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'", id, r.form.Get("InstanceId"), r.form.Get("Device"))
		}
		if asked == "" {
			r.set(name, have)
		}
	}
	return answer{}
}

func (p *Proxy) learnDetached(r *request, a answer) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.state.attached, r.form.Get("VolumeId")+"/"+r.form.Get("InstanceId"))
	return a
}

func (p *Proxy) volumeStatus(r *request) answer {
	var pairs []string
	for i, id := range r.list("VolumeId") {
		pairs = append(pairs, fmt.Sprintf("VolumeId.%d", i+1), id)
	}
	tree, err := p.ask(r, "DescribeVolumes", pairs...)
	if err != nil {
		if tree != nil {
			return r.no(tree.deep("Code"), "%s", tree.deep("Message"))
		}
		return r.refuse(http.StatusBadGateway, "InternalFailure", err.Error())
	}
	set := branch("volumeStatusSet")
	for _, v := range tree.items("volumeSet") {
		set.children = append(set.children, branch("item", leaf("volumeId", v.get("volumeId")), leaf("availabilityZone", v.get("availabilityZone")),
			branch("volumeStatus", leaf("status", "ok")), branch("actionsSet"), branch("eventsSet")))
	}
	return r.ec2(set)
}
