package proxy

import (
	"slices"
	"strings"
)

// guardInterface refuses groups that do not exist, with which moto leaves an
// interface without any, and groups of another VPC. It remembers whether the
// interface goes with its instance: moto does not.
func (p *Proxy) guardInterface(r *request) answer {
	groups := r.list("SecurityGroupId")
	id := r.form.Get("NetworkInterfaceId")
	if goes := r.form.Get("Attachment.DeleteOnTermination"); goes != "" {
		p.mu.Lock()
		p.state.goes[id] = goes
		p.mu.Unlock()
	}
	if len(groups) == 0 {
		return answer{}
	}
	tree, err := p.ask(r, "DescribeNetworkInterfaces", "NetworkInterfaceId.1", id)
	if err != nil || len(tree.items("networkInterfaceSet")) != 1 {
		return r.no("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
	}
	vpc := tree.items("networkInterfaceSet")[0].get("vpcId")
	for _, g := range groups {
		if a := p.guardGroup(r, g, vpc, id); a.status != 0 {
			return a
		}
	}
	return answer{}
}

func (p *Proxy) guardGroup(r *request, group, vpc, what string) answer {
	if !strings.HasPrefix(group, "sg-") {
		return r.no("InvalidGroupId.Malformed", `Invalid id: "%s" (expecting "sg-...")`, group)
	}
	tree, err := p.ask(r, "DescribeSecurityGroups", "GroupId.1", group)
	if err != nil || len(tree.items("securityGroupInfo")) != 1 {
		return r.no("InvalidGroup.NotFound", "The security group '%s' does not exist", group)
	}
	if tree.items("securityGroupInfo")[0].get("vpcId") != vpc {
		return r.no("InvalidParameterValue", "Security group %s and interface %s belong to different networks.", group, what)
	}
	return answer{}
}

// showInterfaces writes whether interfaces go with their instances, and leaves
// out those that went: moto keeps them.
func (p *Proxy) showInterfaces(_ *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		changed := false
		set := root.at("networkInterfaceSet")
		for _, n := range root.items("networkInterfaceSet") {
			changed = p.showGoes(n) || changed
			if p.state.ended[n.get("attachment/instanceId")] && p.state.goes[n.get("networkInterfaceId")] != "false" {
				set.children = slices.DeleteFunc(set.children, func(c *node) bool { return c == n })
				changed = true
			}
		}
		return changed
	})
}

// learnTerminated remembers whose interfaces go.
func (p *Proxy) learnTerminated(r *request, a answer) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range r.list("InstanceId") {
		p.state.ended[id] = true
	}
	return a
}

// showGoes writes it for one. The caller holds the lock.
func (p *Proxy) showGoes(n *node) bool {
	goes, ok := p.state.goes[n.get("networkInterfaceId")]
	if !ok || n.at("attachment") == nil {
		return false
	}
	n.set("attachment/deleteOnTermination", goes)
	return true
}

// guardAttributes writes the shutdown behaviour in the older of the two forms:
// by the other moto takes the groups of the instance away. It refuses groups of
// an instance that has several interfaces.
func (p *Proxy) guardAttributes(r *request) answer {
	if v := r.form.Get("InstanceInitiatedShutdownBehavior.Value"); v != "" {
		form := r.without("InstanceInitiatedShutdownBehavior")
		form.Set("Attribute", "instanceInitiatedShutdownBehavior")
		form.Set("Value", v)
		*r = *r.as(form)
		return answer{}
	}
	groups := r.list("GroupId")
	if len(groups) == 0 {
		return answer{}
	}
	id := r.form.Get("InstanceId")
	tree, err := p.ask(r, "DescribeNetworkInterfaces", "Filter.1.Name", "attachment.instance-id", "Filter.1.Value.1", id)
	if err != nil {
		return answer{}
	}
	interfaces := tree.items("networkInterfaceSet")
	if len(interfaces) > 1 {
		return r.no("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", id)
	}
	for _, n := range interfaces {
		for _, g := range groups {
			if a := p.guardGroup(r, g, n.get("vpcId"), id); a.status != 0 {
				return a
			}
		}
	}
	return answer{}
}

// guardDeleteGroup refuses while an interface has the group, or another group's
// rule names it.
func (p *Proxy) guardDeleteGroup(r *request) answer {
	group := r.form.Get("GroupId")
	if group == "" {
		return answer{}
	}
	users, err := p.ask(r, "DescribeNetworkInterfaces", "Filter.1.Name", "group-id", "Filter.1.Value.1", group)
	if err != nil {
		return answer{}
	}
	used := len(users.items("networkInterfaceSet")) > 0
	if all, err := p.ask(r, "DescribeSecurityGroups"); err == nil {
		for _, g := range all.items("securityGroupInfo") {
			if g.get("groupId") == group {
				continue
			}
			for _, rules := range []string{"ipPermissions", "ipPermissionsEgress"} {
				for _, rule := range g.items(rules) {
					for _, pair := range rule.items("groups") {
						used = used || pair.get("groupId") == group
					}
				}
			}
		}
	}
	if used {
		return r.no("DependencyViolation", "resource %s has a dependent object", group)
	}
	return answer{}
}

// guardAssociation refuses an association id that is outdated, on which moto
// breaks.
func (p *Proxy) guardAssociation(r *request) answer {
	id := r.form.Get("AssociationId")
	tree, err := p.ask(r, "DescribeNetworkAcls", "Filter.1.Name", "association.association-id", "Filter.1.Value.1", id)
	if err != nil {
		return answer{}
	}
	for _, acl := range tree.items("networkAclSet") {
		for _, a := range acl.items("associationSet") {
			if a.get("networkAclAssociationId") == id {
				return answer{}
			}
		}
	}
	return r.no("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

// guardEntry refuses to delete an entry that is not there, on which moto breaks.
func (p *Proxy) guardEntry(r *request) answer {
	id, number, egress := r.form.Get("NetworkAclId"), r.form.Get("RuleNumber"), r.form.Get("Egress")
	tree, err := p.ask(r, "DescribeNetworkAcls", "NetworkAclId.1", id)
	if err != nil || len(tree.items("networkAclSet")) != 1 {
		return r.no("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
	}
	for _, e := range tree.items("networkAclSet")[0].items("entrySet") {
		if e.get("ruleNumber") == number && e.get("egress") == egress {
			return answer{}
		}
	}
	return r.no("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by %s does not exist", number)
}
