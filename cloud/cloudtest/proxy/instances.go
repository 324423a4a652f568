package proxy

import (
	"encoding/base64"
	"net/http"
	"slices"
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

// takeProfile takes a filter by instance profile out of the request, on which
// moto breaks.
func (p *Proxy) takeProfile(r *request) answer {
	if values, ok := r.takeFilter("iam-instance-profile.arn"); ok {
		r.kept = values
	}
	return answer{}
}

func (p *Proxy) showInstances(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		changed := r.kept != nil
		p.mu.Lock()
		defer p.mu.Unlock()
		reservations := root.at("reservationSet")
		for _, res := range root.items("reservationSet") {
			for _, n := range res.items("instancesSet") {
				changed = p.showInstance(n) || changed
				if r.kept != nil && !slices.Contains(r.kept, n.get("iamInstanceProfile/arn")) {
					set := res.at("instancesSet")
					set.children = slices.DeleteFunc(set.children, func(c *node) bool { return c == n })
				}
			}
		}
		if r.kept != nil && reservations != nil {
			reservations.children = slices.DeleteFunc(reservations.children, func(c *node) bool { return c.name == "item" && len(c.items("instancesSet")) == 0 })
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
	for _, e := range n.items("networkInterfaceSet") {
		changed = p.showGoes(e) || changed
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

// completeMetadata adds the options that stay: moto forgets those that a request
// does not name.
func (p *Proxy) completeMetadata(r *request) answer {
	tree, err := p.ask(r, "DescribeInstances", "InstanceId.1", r.form.Get("InstanceId"))
	if err != nil || len(tree.items("reservationSet")) != 1 {
		return answer{}
	}
	have := tree.items("reservationSet")[0].items("instancesSet")[0].at("metadataOptions")
	for name, at := range map[string]string{"HttpTokens": "httpTokens", "HttpPutResponseHopLimit": "httpPutResponseHopLimit", "HttpEndpoint": "httpEndpoint",
		"HttpProtocolIpv6": "httpProtocolIpv6", "InstanceMetadataTags": "instanceMetadataTags"} {
		if r.form.Get(name) == "" && have != nil && have.get(at) != "" {
			r.set(name, have.get(at))
		}
	}
	return answer{}
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
