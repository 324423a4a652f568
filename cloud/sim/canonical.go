package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Canonical is what an account is that an undo can put back, as JSON with sorted
// keys, for comparison: the same before a response and after its undo. Left out
// is what AWS makes anew (ids of associations and rules, the automatic public
// address itself), what a response keeps on purpose (snapshots, and groups and
// ACLs with a tag of guardroom), and what a group launched as a replacement.
func (w *World) Canonical(accountID string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.now())
	a := w.state.Accounts[accountID]
	if a == nil {
		return []byte("{}"), nil
	}
	out := map[string]any{"iam": canonicalIAM(a), "s3": canonicalS3(a)}
	for _, name := range keysOf(a.Regions) {
		s := w.scopeOf(a, a.Regions[name], w.now())
		out[name] = map[string]any{
			"instances": s.canonicalInstances(), "interfaces": s.canonicalENIs(), "groups": s.canonicalGroups(), "acls": s.canonicalACLs(),
			"addresses": s.canonicalAddresses(), "subnets": s.canonicalSubnets(), "volumes": s.canonicalVolumes(), "shares": s.canonicalShares(),
			"scaling": s.canonicalScaling(), "balancers": s.canonicalBalancers(), "rest": s.canonicalRest(),
		}
	}
	return json.MarshalIndent(out, "", " ")
}

type object = map[string]any

// ours reports whether a response made a thing.
func ours(t thing) bool {
	for k := range t.base().Tags {
		if strings.HasPrefix(k, "guardroom:") {
			return true
		}
	}
	return false
}

func (s *scope) replacement(instanceID string) bool {
	for _, g := range s.r.ASG.Groups {
		if m := g.member(instanceID); m != nil && m.Replacement {
			return true
		}
	}
	return false
}

// leftOut reports whether an instance is none that was there before.
func (s *scope) leftOut(i *instance) bool {
	_, step := i.Tags["guardroom:step"]
	return step || s.replacement(i.ID) || i.State == "terminated"
}

func (s *scope) canonicalInstances() object {
	out := object{}
	for _, i := range s.Instances {
		if s.leftOut(i) {
			continue
		}
		m := i.Metadata
		if i.Wanted != nil {
			m = *i.Wanted
		}
		profile := ""
		if p := s.profileOf(i.ID); p != nil {
			profile = p.ARN
		}
		devices := object{}
		for _, d := range s.mounts(i.ID) {
			devices[d.at.Device] = object{"volume": d.volume.ID, "delete": d.at.Delete}
		}
		out[i.ID] = object{"state": i.State, "no_terminate": i.NoTerminate, "no_stop": i.NoStop, "shutdown": i.Shutdown, "metadata": m, "profile": profile,
			"devices": devices, "tags": i.Tags.copied(), "source_dest_check": i.Sources}
	}
	return out
}

func (s *scope) canonicalENIs() object {
	out := object{}
	for _, n := range s.ENIs {
		if i := s.Instances[n.Instance]; i != nil && s.leftOut(i) {
			continue
		}
		out[n.ID] = object{"groups": sortedCopy(s.groupsOf(n)), "instance": n.Instance, "delete": n.Delete, "source_dest_check": n.Sources, "tracking": []int32{n.TCP, n.Stream, n.UDP},
			"automatic": n.Public != "", "ips": sortedCopy(n.IPs), "ip6s": sortedCopy(n.IP6s), "tags": n.Tags.copied()}
	}
	return out
}

func sortedCopy(in []string) []string {
	out := append([]string{}, in...)
	slices.Sort(out)
	return out
}

func (s *scope) canonicalGroups() object {
	out := object{}
	for _, g := range s.Groups {
		if ours(g) {
			continue
		}
		rules := []string{}
		for _, r := range g.Rules {
			rules = append(rules, fmt.Sprintf("egress=%v %s %d-%d %s%s%s%s", r.Egress, r.Protocol, r.From, r.To, r.CIDR, r.CIDR6, r.List, r.Group))
		}
		slices.Sort(rules)
		out[g.ID] = object{"name": g.Name, "vpc": g.VPC, "rules": rules, "tags": g.Tags.copied()}
	}
	return out
}

func (s *scope) canonicalACLs() object {
	out := object{}
	for _, n := range s.ACLs {
		if !ours(n) {
			out[n.ID] = object{"entries": s.entries(n), "tags": n.Tags.copied()}
		}
	}
	return out
}

func (s *scope) canonicalAddresses() object {
	out := object{}
	for _, a := range s.Addresses {
		out[a.ID] = object{"interface": a.ENI, "private": a.Private, "tags": a.Tags.copied()}
	}
	return out
}

func (s *scope) canonicalSubnets() object {
	out := object{}
	for _, n := range s.Subnets {
		out[n.ID] = object{"acl": n.ACL, "tags": n.Tags.copied()}
	}
	return out
}

func (s *scope) canonicalVolumes() object {
	out := object{}
	for _, v := range s.Volumes {
		if _, step := v.Tags["guardroom:step"]; step || slices.ContainsFunc(v.Attachments, func(a *attachment) bool {
			i := s.Instances[a.Instance]
			return i != nil && s.leftOut(i)
		}) {
			continue
		}
		out[v.ID] = object{"state": v.State, "tags": v.Tags.copied()}
	}
	return out
}

func (s *scope) canonicalShares() object {
	out := object{}
	for _, p := range s.Snapshots {
		if !ours(p) {
			out[p.ID] = object{"accounts": sortedCopy(p.Shares), "public": p.Public, "locked": p.Lock != nil}
		}
	}
	for _, m := range s.Images {
		out[m.ID] = object{"accounts": sortedCopy(m.Shares), "public": m.Public}
	}
	return out
}

func (s *scope) canonicalScaling() object {
	out := object{}
	for _, g := range s.r.ASG.Groups {
		members := object{}
		for _, m := range g.Members {
			if !m.Replacement {
				members[m.Instance] = object{"state": m.State, "protected": m.Protected}
			}
		}
		out[g.Name] = object{"min": g.Min, "max": g.Max, "suspended": keysOf(g.Suspended), "members": members}
	}
	return out
}

func (s *scope) canonicalBalancers() object {
	out := object{}
	for arn, g := range s.r.ELB.Targets {
		targets := []string{}
		for _, t := range g.Targets {
			if t.Draining.IsZero() && !s.replacement(t.ID) {
				targets = append(targets, fmt.Sprintf("%s:%d %s", t.ID, t.Port, t.AZ))
			}
		}
		slices.Sort(targets)
		out[arn] = targets
	}
	for name, b := range s.r.ELB.Classic {
		out[name] = slices.DeleteFunc(sortedCopy(b.Instances), s.replacement)
	}
	return out
}

func (s *scope) canonicalRest() object {
	functions, sets, databases := object{}, object{}, object{}
	for name, f := range s.r.Lambda.Functions {
		functions[name] = object{"reserved": f.Reserved, "policy": parsed(f.Policy)}
	}
	for key, set := range s.r.WAF.Sets {
		sets[key] = sortedCopy(set.Addresses)
	}
	for id, d := range s.r.RDS.Instances {
		databases[id] = object{"public": d.Public, "groups": d.Groups, "status": d.Status}
	}
	return object{"functions": functions, "ip_sets": sets, "databases": databases}
}

// parsed is a policy as a value, so that two ways to write the same are equal.
func parsed(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

func documents(m map[string]*identity) object {
	out := object{}
	for _, name := range written(m) {
		out[name] = parsed(m[name].Document)
	}
	return out
}

func canonicalIAM(a *account) object {
	users, roles := object{}, object{}
	for name, u := range a.IAM.Users {
		keys := object{}
		for _, k := range u.Keys {
			keys[k.ID] = k.Active
		}
		users[name] = object{"policies": documents(u.Inline), "keys": keys, "attached": sortedCopy(u.Attached), "groups": sortedCopy(u.Groups)}
	}
	for name, r := range a.IAM.Roles {
		roles[name] = documents(r.Inline)
	}
	return object{"users": users, "roles": roles}
}

func canonicalS3(a *account) object {
	out := object{}
	for name, b := range a.S3.Buckets {
		objects := object{}
		for key, versions := range b.Objects {
			if len(versions) == 0 || strings.HasPrefix(key, "guardroom/") {
				continue
			}
			objects[key] = object{"version": versions[len(versions)-1].Version, "tags": versions[len(versions)-1].Tags}
		}
		out[name] = object{"policy": parsed(b.Policy), "block": b.Block, "versioning": b.Versioning, "ownership": b.Ownership, "acl": b.PublicACL, "objects": objects}
	}
	return out
}
