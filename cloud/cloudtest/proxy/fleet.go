package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query asks another service of the Query protocol in passing.
func (p *Proxy) query(r *request, signedFor, version, operation string, pairs ...string) (*node, bool) {
	form := url.Values{"Action": {operation}, "Version": {version}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	ask := r.as(form)
	signed := ask.http.Header.Get("Authorization")
	if m := scope.FindStringSubmatch(signed); m != nil {
		ask.http.Header.Set("Authorization", strings.Replace(signed, "/"+m[3]+"/aws4_request", "/"+signedFor+"/aws4_request", 1))
	}
	a := p.forward(ask)
	tree, err := parse(a.body)
	return tree, err == nil && a.ok()
}

// members are the elements of a list of the Query protocol, on a path.
func (n *node) members(path string) []*node {
	set := n.at(path)
	if set == nil {
		return nil
	}
	var out []*node
	for _, c := range set.children {
		if c.name == "member" {
			out = append(out, c)
		}
	}
	return out
}

const autoScalingVersion = "2011-01-01"

// asGroup is a group of Auto Scaling; nil: there is none.
func (p *Proxy) asGroup(r *request) *node {
	tree, ok := p.query(r, "autoscaling", autoScalingVersion, "DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1", r.form.Get("AutoScalingGroupName"))
	if !ok {
		return nil
	}
	groups := tree.members("DescribeAutoScalingGroupsResult/AutoScalingGroups")
	if len(groups) != 1 {
		return nil
	}
	return groups[0]
}

func (r *request) invalid(format string, args ...any) answer {
	return r.refuse(http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...))
}

// guardAutoScalingGroup refuses a group that is not there, on which moto breaks.
func (p *Proxy) guardAutoScalingGroup(r *request) answer {
	if p.asGroup(r) == nil {
		return r.invalid("AutoScalingGroup name not found - AutoScalingGroup %s not found", r.form.Get("AutoScalingGroupName"))
	}
	return answer{}
}

// instanceIDs are the instances of a request to Auto Scaling.
func (r *request) instanceIDs() []string { return r.list("InstanceIds.member") }

// guardMembers refuses instances that are not of the group.
func (p *Proxy) guardMembers(r *request) answer {
	g := p.asGroup(r)
	if g == nil {
		return p.guardAutoScalingGroup(r)
	}
	var have []string
	for _, m := range g.members("Instances") {
		have = append(have, m.get("InstanceId"))
	}
	for _, id := range r.instanceIDs() {
		if !slices.Contains(have, id) {
			return r.invalid("The instance %s is not part of Auto Scaling group %s.", id, r.form.Get("AutoScalingGroupName"))
		}
	}
	return answer{}
}

// guardMember refuses an instance that is in no group, on which moto breaks.
func (p *Proxy) guardMember(r *request) answer {
	id := r.form.Get("InstanceId")
	tree, ok := p.query(r, "autoscaling", autoScalingVersion, "DescribeAutoScalingInstances", "InstanceIds.member.1", id)
	if !ok || len(tree.members("DescribeAutoScalingInstancesResult/AutoScalingInstances")) == 0 {
		return r.invalid("Instance Id not found - No managed instance found for instance ID %s", id)
	}
	r.group = tree.members("DescribeAutoScalingInstancesResult/AutoScalingInstances")[0].get("AutoScalingGroupName")
	return answer{}
}

// learnEnded takes an instance that its group ended out of the target groups.
func (p *Proxy) learnEnded(r *request, a answer) answer {
	id := r.form.Get("InstanceId")
	p.mu.Lock()
	p.state.ended[id] = true
	p.mu.Unlock()
	p.learnLeft(r.as(url.Values{"Action": {r.operation}, "AutoScalingGroupName": {r.group}, "InstanceIds.member.1": {id}}), a)
	return a
}

// guardJoin refuses what does not fit into the group, and what has a group.
func (p *Proxy) guardJoin(r *request) answer {
	g := p.asGroup(r)
	if g == nil {
		return p.guardAutoScalingGroup(r)
	}
	most, err := strconv.Atoi(g.get("MaxSize"))
	wants, err2 := strconv.Atoi(g.get("DesiredCapacity"))
	if err == nil && err2 == nil && wants+len(r.instanceIDs()) > most {
		return r.invalid("AutoScalingGroup %s has min-size=%s, max-size=%d, and desired-size=%d. To attach %d more instance(s), please update the AutoScalingGroup sizes appropriately.",
			r.form.Get("AutoScalingGroupName"), g.get("MinSize"), most, wants, len(r.instanceIDs()))
	}
	for _, m := range g.members("Instances") {
		if slices.Contains(r.instanceIDs(), m.get("InstanceId")) {
			return r.invalid("Instance %s is already part of AutoScalingGroup:%s.", m.get("InstanceId"), r.form.Get("AutoScalingGroupName"))
		}
	}
	return answer{}
}

// learnLeft takes instances that left a group out of its target groups, and puts
// those that replace them in: moto does neither.
func (p *Proxy) learnLeft(r *request, a answer) answer {
	g := p.asGroup(r)
	if g == nil {
		return a
	}
	for _, arn := range g.members("TargetGroupARNs") {
		pairs := []string{"TargetGroupArn", strings.TrimSpace(arn.text)}
		for i, id := range r.instanceIDs() {
			pairs = append(pairs, fmt.Sprintf("Targets.member.%d.Id", i+1), id)
		}
		p.query(r, "elasticloadbalancing", "2015-12-01", "DeregisterTargets", pairs...)
	}
	return p.learnJoined(r, a)
}

// learnJoined puts the instances in service into the target groups.
func (p *Proxy) learnJoined(r *request, a answer) answer {
	g := p.asGroup(r)
	if g == nil {
		return a
	}
	for _, arn := range g.members("TargetGroupARNs") {
		pairs, n := []string{"TargetGroupArn", strings.TrimSpace(arn.text)}, 0
		for _, m := range g.members("Instances") {
			if m.get("LifecycleState") == "InService" {
				n++
				pairs = append(pairs, fmt.Sprintf("Targets.member.%d.Id", n), m.get("InstanceId"))
			}
		}
		if n > 0 {
			p.query(r, "elasticloadbalancing", "2015-12-01", "RegisterTargets", pairs...)
		}
	}
	return a
}

// guardLoadBalancer refuses one that is not there, on which moto breaks.
func (p *Proxy) guardLoadBalancer(r *request) answer {
	name := r.form.Get("LoadBalancerName")
	if _, ok := p.query(r, "elasticloadbalancing", "2012-06-01", "DescribeLoadBalancers", "LoadBalancerNames.member.1", name); !ok {
		return r.refuse(http.StatusBadRequest, "LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '"+name+"'")
	}
	return answer{}
}
