package proxy

import (
	"encoding/base64"
	"net/http"
	"time"
)

func (p *Proxy) bornInstances(r *request, a answer) answer {
	tree, err := parse(a.body)
	if err != nil {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range tree.items("instancesSet") {
		p.state.instances[n.get("instanceId")] = p.now().Add(p.opts.Timing.Instance)
	}
	return a // moto says pending in this answer, and in no other
}

func (p *Proxy) showInstances(_ *request, a answer) answer {
	if p.opts.Timing == (Timing{}) {
		return a
	}
	return p.rewrite(a, func(root *node) bool {
		changed := false
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, res := range root.items("reservationSet") {
			for _, n := range res.items("instancesSet") {
				if p.showInstance(n) {
					changed = true
				}
			}
		}
		return changed
	})
}

// showInstance writes what has not happened yet. The caller holds the lock.
func (p *Proxy) showInstance(n *node) bool {
	id, changed := n.get("instanceId"), false
	if p.now().Before(p.state.instances[id]) && n.get("instanceState/name") == "running" {
		n.set("instanceState/code", "0")
		n.set("instanceState/name", "pending")
		changed = true
	}
	if p.now().Before(p.state.metadata[id]) {
		n.set("metadataOptions/state", "pending")
		changed = true
	}
	for _, b := range n.items("blockDeviceMapping") {
		if p.now().Before(p.state.attached[b.get("ebs/volumeId")+"/"+id]) {
			b.set("ebs/status", "attaching")
			changed = true
		}
	}
	return changed
}

// showStatus leaves out instances that do not run yet, and lets the checks of
// the others take their time.
func (p *Proxy) showStatus(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		set, changed := root.at("instanceStatusSet"), false
		if set == nil {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		var kept []*node
		for _, n := range set.children {
			running, ok := p.state.instances[n.get("instanceId")]
			switch {
			case !ok || !p.now().Before(running.Add(p.opts.Timing.Checks)):
				kept = append(kept, n)
				continue
			case p.now().Before(running) && r.form.Get("IncludeAllInstances") != "true":
				changed = true
				continue
			case p.now().Before(running):
				n.set("instanceState/code", "0")
				n.set("instanceState/name", "pending")
			}
			for _, check := range []string{"instanceStatus", "systemStatus"} {
				n.set(check+"/status", "initializing")
				for _, d := range n.items(check + "/details") {
					d.set("status", "initializing")
				}
			}
			changed, kept = true, append(kept, n)
		}
		set.children = kept
		return changed
	})
}

func (p *Proxy) bornMetadata(r *request, a answer) answer {
	if p.opts.Timing.Metadata == 0 {
		return a
	}
	p.mu.Lock()
	p.state.metadata[r.form.Get("InstanceId")] = p.now().Add(p.opts.Timing.Metadata)
	p.mu.Unlock()
	return p.rewrite(a, func(root *node) bool {
		root.set("instanceMetadataOptions/state", "pending")
		return true
	})
}

// picture is the smallest GIF there is.
const picture = "R0lGODlhAQABAAAAACwAAAAAAQABAAA="

// screenshot is of running instances only.
func (p *Proxy) screenshot(r *request) answer {
	id := r.form.Get("InstanceId")
	tree, err := p.ask(r, "DescribeInstances", "InstanceId.1", id)
	if err != nil || len(tree.items("reservationSet")) == 0 {
		return r.no("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
	}
	if a, dry := r.dry(); dry {
		return a
	}
	n := tree.items("reservationSet")[0].items("instancesSet")[0]
	if n.get("instanceState/name") != "running" {
		return r.refuse(http.StatusBadRequest, "IncorrectInstanceState", "The instance must be running.")
	}
	data := picture
	if p.opts.Screenshot != nil {
		data = base64.StdEncoding.EncodeToString(p.opts.Screenshot)
	}
	return r.ec2(leaf("imageData", data), leaf("instanceId", id))
}

// running is when an instance runs; one that the proxy did not see start runs.
func (p *Proxy) running(id string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.state.instances[id])
}
