package proxy

import "slices"

// takeInstance takes the filter by instance out of the request: moto knows the
// instance of an address only where the address was given to the instance, and
// not to its interface.
func (p *Proxy) takeInstance(r *request) answer {
	if values, ok := r.takeFilter("instance-id"); ok {
		r.kept = values
	}
	return answer{}
}

// showAddresses names the instance of each address that an interface has.
func (p *Proxy) showAddresses(r *request, a answer) answer {
	return p.rewrite(a, func(root *node) bool {
		changed := false
		for _, n := range root.items("addressesSet") {
			eni := n.get("networkInterfaceId")
			if eni == "" || n.get("instanceId") != "" {
				continue
			}
			tree, err := p.ask(r, "DescribeNetworkInterfaces", "NetworkInterfaceId.1", eni)
			if err != nil || len(tree.items("networkInterfaceSet")) != 1 {
				continue
			}
			shown := tree.items("networkInterfaceSet")[0]
			if instance := shown.get("attachment/instanceId"); instance != "" {
				n.set("instanceId", instance)
				if n.get("privateIpAddress") == "" {
					n.set("privateIpAddress", shown.get("privateIpAddress"))
				}
				changed = true
			}
		}
		set := root.at("addressesSet")
		if r.kept == nil || set == nil {
			return changed
		}
		set.children = slices.DeleteFunc(set.children, func(n *node) bool { return n.name == "item" && !slices.Contains(r.kept, n.get("instanceId")) })
		return true
	})
}
