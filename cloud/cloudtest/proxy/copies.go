package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// guardOwnSnapshot hides snapshots of others.
func (p *Proxy) guardOwnSnapshot(r *request) answer {
	id := r.form.Get("SnapshotId")
	if s := p.snapshotOf(id); s != nil && s.owner != r.account {
		return r.no("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	return answer{}
}

func (p *Proxy) shared(s *snapshot, with string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.shares[with] || s.shares["all"]
}

// permission is one line of ModifySnapshotAttribute.
type permission struct{ user, group string }

// changes reads what ModifySnapshotAttribute adds and removes, in both of its
// forms.
func changes(r *request) (add, remove []permission) {
	read := func(prefix string) (out []permission) {
		for i := 1; ; i++ {
			at := fmt.Sprintf("%s.%d", prefix, i)
			x := permission{r.form.Get(at + ".UserId"), r.form.Get(at + ".Group")}
			if x == (permission{}) {
				return out
			}
			out = append(out, x)
		}
	}
	add, remove = read("CreateVolumePermission.Add"), read("CreateVolumePermission.Remove")
	var plain []permission
	for _, u := range r.list("UserId") {
		plain = append(plain, permission{user: u})
	}
	for _, g := range r.list("UserGroup") {
		plain = append(plain, permission{group: g})
	}
	switch r.form.Get("OperationType") {
	case "add":
		add = append(add, plain...)
	case "remove":
		remove = append(remove, plain...)
	}
	return add, remove
}

// shares is the request in the older of its two forms: moto ignores the other.
func (r *request) shares(operation string, list []permission) url.Values {
	form := r.without("CreateVolumePermission", "UserId", "UserGroup")
	form.Set("OperationType", operation)
	users, groups := 0, 0
	for _, x := range list {
		if x.user != "" {
			users++
			form.Set(fmt.Sprintf("UserId.%d", users), x.user)
			continue
		}
		groups++
		form.Set(fmt.Sprintf("UserGroup.%d", groups), x.group)
	}
	return form
}

// guardShare refuses what AWS does: shares of snapshots that are encrypted with
// the key that AWS manages, public ones of encrypted snapshots, and both
// directions in one call.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html
func (p *Proxy) guardShare(r *request) answer {
	if a := p.guardOwnSnapshot(r); a.status != 0 {
		return a
	}
	add, remove := changes(r)
	switch {
	case len(add) > 0 && len(remove) > 0:
		return r.no("InvalidParameterCombination", "Permissions cannot be added and removed in one request.")
	case len(add) == 0:
		*r = *r.as(r.shares("remove", remove))
		return answer{}
	}
	*r = *r.as(r.shares("add", add))
	id := r.form.Get("SnapshotId")
	encrypted, key := p.keyOf(r, id)
	if !encrypted {
		return answer{}
	}
	if slices.ContainsFunc(add, func(x permission) bool { return x.group != "" }) {
		return r.no("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
	}
	if p.managedByAWS(r, key) {
		return r.no("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
	}
	return answer{}
}

// keyOf is whether and with which key a snapshot is encrypted.
func (p *Proxy) keyOf(r *request, id string) (encrypted bool, key string) {
	if s := p.snapshotOf(id); s != nil {
		return s.encrypted, s.key
	}
	tree, err := p.ask(r, "DescribeSnapshots", "SnapshotId.1", id)
	if err != nil || tree.deep("encrypted") != "true" {
		return false, ""
	}
	if key = tree.deep("kmsKeyId"); key == "" {
		// moto forgets the key of a snapshot; its volume has it.
		if volumes, err := p.ask(r, "DescribeVolumes", "VolumeId.1", tree.deep("volumeId")); err == nil {
			key = volumes.deep("kmsKeyId")
		}
	}
	return true, key
}

func (p *Proxy) learnShare(r *request, a answer) answer {
	s := p.snapshotOf(r.form.Get("SnapshotId"))
	if s == nil {
		tree, err := p.ask(r, "DescribeSnapshots", "SnapshotId.1", r.form.Get("SnapshotId"))
		if err != nil || len(tree.items("snapshotSet")) == 0 {
			return a
		}
		n := tree.items("snapshotSet")[0]
		s = p.born(r, n, 0, n.get("volumeId")) // made before the proxy looked
	}
	add, remove := changes(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range add {
		s.shares[x.user+x.group] = true
	}
	for _, x := range remove {
		delete(s.shares, x.user+x.group)
	}
	return a
}

// guardCopy refuses to copy what is not complete, and copies what another
// account shares: moto knows each account's own only, so the copy is made anew,
// with the size, key and tags that it would have.
func (p *Proxy) guardCopy(r *request) answer {
	id := r.form.Get("SourceSnapshotId")
	s := p.snapshotOf(id)
	if s == nil {
		return answer{}
	}
	if s.owner != r.account && !p.shared(s, r.account) {
		return r.no("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	if status, _ := s.stage(p.now()); status != "completed" {
		return r.no("IncorrectState", "The snapshot '%s' is '%s'.", id, status)
	}
	if s.owner == r.account {
		return answer{}
	}
	volume := url.Values{"Action": {"CreateVolume"}, "Version": {"2016-11-15"}, "Size": {fmt.Sprint(s.size)}, "AvailabilityZone": {r.region + "a"}}
	encrypted := s.encrypted || r.form.Get("Encrypted") == "true"
	if encrypted {
		volume.Set("Encrypted", "true")
		if key := r.form.Get("KmsKeyId"); key != "" {
			volume.Set("KmsKeyId", key)
		}
	}
	made := p.forward(r.as(volume))
	tree, err := parse(made.body)
	if err != nil || !made.ok() {
		return made
	}
	volumeID, key := tree.get("volumeId"), tree.get("kmsKeyId")
	snap := url.Values{"Action": {"CreateSnapshot"}, "Version": {"2016-11-15"}, "VolumeId": {volumeID}, "Description": {r.form.Get("Description")}}
	for k, v := range r.form {
		if strings.HasPrefix(k, "TagSpecification.") {
			snap[k] = v
		}
	}
	taken := p.forward(r.as(snap))
	if tree, err = parse(taken.body); err != nil || !taken.ok() {
		return taken
	}
	if _, err := p.ask(r, "DeleteVolume", "VolumeId", volumeID); err != nil {
		return r.refuse(http.StatusBadGateway, "InternalFailure", err.Error())
	}
	c := p.born(r, tree, p.opts.Timing.Copy, "")
	p.mu.Lock()
	c.copied, c.content, c.encrypted, c.key, c.size = true, s.content, encrypted, key, s.size
	p.mu.Unlock()
	out := []*node{leaf("snapshotId", c.id)}
	if tags := tree.at("tagSet"); tags != nil {
		out = append(out, tags)
	}
	return r.ec2(out...)
}

// bornCopy remembers a copy inside of one account.
func (p *Proxy) bornCopy(r *request, a answer) answer {
	tree, err := parse(a.body)
	if err != nil {
		return a
	}
	c := p.born(r, tree, p.opts.Timing.Copy, "")
	if shown, err := p.ask(r, "DescribeSnapshots", "SnapshotId.1", c.id); err == nil {
		n := shown.items("snapshotSet")[0]
		c = p.born(r, n, p.opts.Timing.Copy, n.get("volumeId"))
	}
	source := p.snapshotOf(r.form.Get("SourceSnapshotId"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if source != nil {
		c.content, c.size = source.content, source.size
	}
	if key := r.form.Get("KmsKeyId"); key != "" {
		c.key = key
	}
	c.encrypted = c.encrypted || r.form.Get("Encrypted") == "true"
	return a
}
