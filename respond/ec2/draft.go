package ec2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// drafting gathers the steps of one containment.
type drafting struct {
	*kit.Draft
	w *World
	r respond.Request

	base     []string // before anything changes
	protect  []string
	service  []string
	doors    []string
	isolates []string
	opens    map[string]string // VPC to the step that makes its convert group
	narrow   map[string]string // interface to why it gets no window
	gate     []string          // what a change of the network needs
	through  *through          // what stays open for memory after isolation; nil: nothing
}

func draft(d Described, r respond.Request, way *through) respond.Draft {
	w := d.World
	t := r.Target
	t.Name, t.ARN = w.Name(), w.ARN
	b := &drafting{Draft: kit.NewDraft(t, Actions()), w: w, r: r, opens: map[string]string{}, narrow: map[string]string{}, through: way}
	b.guards(d.Callers)
	if w.Gone() {
		b.WillNot = []string{"touch anything: " + w.InstanceID + " is " + w.State + "; its snapshots, logs and the sessions of its role can still be dealt with"}
		b.Undo = "there is nothing to undo"
		return b.Draft.Draft
	}
	for _, n := range w.Interfaces {
		b.narrow[n.ID] = b.noWindow(n)
	}
	b.first()
	b.protecting()
	b.outOfService()
	b.addresses()
	b.network()
	b.credentials()
	b.last()
	b.lines()
	b.throughLines()
	if err := kit.Rehearse(b.Steps); err != nil {
		b.Guard("dry runs", respond.Refuse, err.Error(), "")
	}
	return b.Draft.Draft
}

// first only looks, and marks.
func (b *drafting) first() {
	id := instanceParams{Instance: b.w.InstanceID}
	b.base = []string{
		b.Add(respond.Step{ID: StepRecord, Action: actRecord, Stage: StageRecord, Effect: respond.NoChange, Title: "record " + b.w.InstanceID + " and what is around it as it is"}, id),
		b.Add(preflight().Step(StepRecord), kit.Rehearsal{Trials: b.trials()}),
	}
	b.gate = []string{StepPreflight}
	resources := []string{b.w.InstanceID}
	for _, n := range b.ours() {
		resources = append(resources, n.ID)
	}
	for _, v := range b.w.Volumes {
		if v.Managed == "" {
			resources = append(resources, v.ID)
		}
	}
	b.Add(respond.Step{ID: StepMark, Action: actMark, Stage: StageMark, Effect: respond.Reversible, After: b.base,
		Title: fmt.Sprintf("tag %s with the incident and the run", respond.Count(len(resources), "resource"))}, markParams{Resources: resources})
}

// primaryOf is the instance of which an interface is the primary one; empty: none.
func (b *drafting) primaryOf(n Interface) string {
	if n.DeviceIndex != 0 {
		return ""
	}
	return b.w.InstanceID
}

// ours are the interfaces that no AWS service manages.
func (b *drafting) ours() []Interface {
	return slices.DeleteFunc(slices.Clone(b.w.Interfaces), func(n Interface) bool { return n.Manager != "" })
}

// protecting keeps the instance and what belongs to it. Spot instances take no
// termination protection, instance-store roots no stop.
func (b *drafting) protecting() {
	w := b.w
	add := func(s respond.Step, params any) {
		s.Stage, s.Effect, s.After = StageProtect, respond.Reversible, b.base
		b.protect = append(b.protect, b.Add(s, params))
	}
	attr := func(name, title string) {
		add(respond.Step{ID: StageProtect + "/" + name, Action: actAttribute, Title: title}, attributeParams{Instance: w.InstanceID, Attribute: name})
	}
	store := w.RootDeviceType == "instance-store"
	if w.Lifecycle != "spot" {
		attr(attrTermination, onOff("termination protection", w.Attributes.DisableTermination))
	}
	if b.r.Policy.ProtectStop && !store && w.Lifecycle != "spot" {
		attr(attrStop, onOff("stop protection", w.Attributes.DisableStop))
	}
	if !store {
		was := w.Attributes.ShutdownBehavior
		if was == "" {
			was = "stop"
		}
		title := "what a shutdown from within does: " + was + " -> stop"
		if was == "stop" {
			title = "what a shutdown from within does: stop already"
		}
		attr(attrShutdown, title)
	}
	for _, v := range w.Volumes {
		if v.DeleteOnTermination && v.Managed == "" {
			add(respond.Step{ID: StageProtect + "/" + v.ID, Action: actVolume, Title: v.ID + " (" + v.Device + "): deleted with the instance -> kept"}, volumeParams{Instance: w.InstanceID, Volume: v.ID, Device: v.Device})
		}
	}
	for _, n := range b.ours() {
		if n.DeleteOnTermination && n.Attachment != "" {
			add(respond.Step{ID: StageProtect + "/" + n.ID, Action: actKeep, Title: n.ID + ": deleted with the instance -> kept"}, keepParams{Interface: n.ID})
		}
	}
}

func onOff(what string, was bool) string {
	if was {
		return what + ": on already"
	}
	return what + ": off -> on"
}

// outOfService comes before the network is cut: a group ends an instance that
// does not answer, and the evidence with it.
func (b *drafting) outOfService() {
	w := b.w
	after := slices.Concat(b.base, b.protect)
	byGroup := func(string) bool { return false }
	if s := w.Scaling; s != nil && s.Lifecycle != "" && s.Lifecycle != "Standby" {
		how, title := howDetach, fmt.Sprintf("%s: %s -> detached; a replacement starts", s.Group, s.Lifecycle)
		if b.r.Policy.OutOfService == howStandby {
			how, title = howStandby, fmt.Sprintf("%s: %s -> Standby; a replacement starts", s.Group, s.Lifecycle)
		}
		b.service = append(b.service, b.Add(respond.Step{ID: StepGroup, Action: actLeave, Stage: StageService, Effect: respond.Reversible, After: after, Needs: b.gate, Title: title, Approval: b.groupLine()},
			scalingParams{Instance: w.InstanceID, Group: s.Group, How: how}))
		after = append(after, StepGroup)
		byGroup = func(name string) bool {
			return slices.Contains(s.TargetGroups, name) || slices.Contains(s.Classic, name)
		}
	}
	var groups []string
	ids := []string{w.InstanceID}
	for _, n := range b.ours() {
		ids = slices.Concat(ids, n.IPv4, n.IPv6)
	}
	for _, t := range w.Targets {
		if !slices.Contains(groups, t.Group) {
			groups = append(groups, t.Group)
		}
	}
	// The Auto Scaling group takes its instance out of its own target groups and
	// load balancers. What was registered there by hand may stay: each is looked at.
	const left = ", where the Auto Scaling group leaves it registered"
	for _, arn := range groups {
		p := targetsParams{Instance: w.InstanceID, Group: arn, IDs: ids}
		line := ""
		for _, t := range w.Targets {
			if t.Group == arn {
				p.Name = t.Name
				p.Targets = append(p.Targets, pair{ID: t.ID, Port: t.Port, Zone: t.Zone})
				if t.last() && !byGroup(arn) {
					line = "last healthy target of " + t.Name
				}
			}
		}
		action, title := actTargets, fmt.Sprintf("target group %s: %s -> none", p.Name, respond.Count(len(p.Targets), "registration"))
		if byGroup(arn) {
			action, title = actGroupTgts, title+left
		}
		b.service = append(b.service, b.Add(respond.Step{ID: StageService + "/target/" + p.Name, Action: action, Stage: StageService, Effect: respond.Reversible, After: after, Needs: b.gate, Approval: line, Title: title}, p))
	}
	for _, c := range w.Classic {
		line := ""
		if c.Others == 0 && !byGroup(c.Name) {
			line = "last instance behind " + c.Name
		}
		action, title := actBalancer, "load balancer "+c.Name+": taken out"
		if byGroup(c.Name) {
			action, title = actGroupLB, title+left
		}
		b.service = append(b.service, b.Add(respond.Step{ID: StageService + "/classic/" + c.Name, Action: action, Stage: StageService, Effect: respond.Reversible, After: after, Needs: b.gate, Approval: line, Title: title},
			balancerParams{Name: c.Name, Instance: w.InstanceID}))
	}
}

// last reports whether nobody serves when this target is gone.
func (t Target) last() bool {
	return t.LB && t.Healthy == 0 && (t.State == "healthy" || t.Others == 0)
}

func (b *drafting) groupLine() string {
	s := b.w.Scaling
	serving := 0
	for id, state := range s.Members {
		if id != b.w.InstanceID && state == inService {
			serving++
		}
	}
	for _, t := range b.w.Targets {
		if t.last() && slices.Contains(s.TargetGroups, t.Group) {
			return "last healthy target of " + t.Name
		}
	}
	if serving == 0 {
		return "last member in service of " + s.Group
	}
	return ""
}

// addresses come off before an interface is opened for the window.
func (b *drafting) addresses() {
	var ids []string
	for _, n := range b.w.Interfaces {
		ids = append(ids, n.ID)
	}
	for _, a := range b.w.Addresses {
		if !b.takes(a) {
			continue
		}
		b.doors = append(b.doors, b.Add(respond.Step{ID: StageDoors + "/" + a.Allocation, Action: actAddress, Stage: StageDoors, Effect: respond.Reversible,
			After: slices.Concat(b.base, b.protect, b.service), Needs: b.gate, Title: a.PublicIP + " on " + a.Interface + " -> on nothing, and kept"},
			doorParams{addressParams: addressParams{Allocation: a.Allocation}, Instance: b.w.InstanceID, Interfaces: ids, Primary: b.primary(a)}))
	}
}

// takes reports whether the plan takes an Elastic IP away.
func (b *drafting) takes(a Address) bool {
	n, ok := b.w.Interface(a.Interface)
	return a.Association != "" && a.Managed == "" && (!ok || n.Manager == "")
}

// primary reports whether an Elastic IP is on the first address of the first
// interface.
func (b *drafting) primary(a Address) bool {
	n, ok := b.w.Interface(a.Interface)
	return ok && n.DeviceIndex == 0 && len(n.IPv4) > 0 && (a.PrivateIP == n.IPv4[0] || a.PrivateIP == "")
}

// kept are the public addresses of an interface that stay on it.
func (b *drafting) kept(n Interface) []string {
	return slices.DeleteFunc(n.publics(), func(ip string) bool {
		return slices.ContainsFunc(b.w.Addresses, func(a Address) bool { return a.PublicIP == ip && b.takes(a) })
	})
}

// noWindow says why an interface is not opened for some seconds; empty: it is.
func (b *drafting) noWindow(n Interface) string {
	s, _ := b.w.subnet(n.Subnet)
	switch {
	case b.r.Policy.OpenWindow == "never":
		return "in one pass: policy never opens an interface"
	case b.w.State != "running":
		return "in one pass: the instance is " + b.w.State + " and has no connections"
	case n.Automatic:
		return "in one pass: its public address " + n.PublicIPv4 + " is automatic and cannot be taken away for the time"
	case len(b.kept(n)) > 0:
		return "in one pass: the plan does not take " + kit.Join(b.kept(n)) + " away from it"
	case len(n.IPv6) > 0 && s.Internet6:
		return "in one pass: it is reached from the internet by IPv6"
	}
	return ""
}

// network cuts every interface, all at once.
func (b *drafting) network() {
	for _, vpc := range b.vpcs(false) {
		b.Add(respond.Step{ID: StageGroups + "/" + vpc, Action: actGroup, Stage: StageGroups, Effect: respond.Creates, After: b.base, Needs: b.gate, Contains: true,
			Title: "see to a security group " + containName + " without any rule in " + vpc}, groupParams{VPC: vpc})
	}
	if t := b.through; t != nil {
		b.Add(respond.Step{ID: StageGroups + "/" + throughStep, Action: actThrough, Stage: StageGroups, Effect: respond.Creates, After: b.base, Needs: b.gate,
			Title: fmt.Sprintf("see to a security group %s in %s that lets out %s, and nothing else", throughName, t.n.VPC, t.words())}, throughParams{VPC: t.n.VPC, Rules: t.rules})
	}
	for _, vpc := range b.vpcs(true) {
		b.opens[vpc] = b.Add(respond.Step{ID: StageOpen + "/" + vpc, Action: actOpen, Stage: StageOpen, Effect: respond.Creates, After: b.base, Needs: b.gate,
			Title: "make a security group of this run in " + vpc + " that lets everything through, deleted afterwards"}, groupParams{VPC: vpc})
	}
	after := slices.Concat(b.base, b.protect, b.service, b.doors)
	for _, n := range b.ours() {
		p := isolateParams{Interface: n.ID, Instance: b.primaryOf(n), Group: StageGroups + "/" + n.VPC, Why: b.narrow[n.ID]}
		for _, other := range b.ours() {
			if p.Instance != "" && other.ID != n.ID {
				p.Beside = append(p.Beside, StageIsolate+"/"+other.ID)
			}
		}
		title := fmt.Sprintf("%s: %s -> %s", n.ID, kit.Join(b.groupNames(n)), containName)
		wait := after
		if b.through.holds(n) {
			p.Through, p.Rules, p.Seconds = StageGroups+"/"+throughStep, b.through.rules, int(ThroughLimit.Seconds())
			title = fmt.Sprintf("%s: %s -> %s until memory was taken", n.ID, kit.Join(b.groupNames(n)), throughName)
			wait = append(slices.Clone(after), p.Through)
		}
		if p.Why == "" {
			p.Open, p.Window = b.opens[n.VPC], b.r.Policy.WindowSeconds
			title += fmt.Sprintf(", through %s for %d s", convertName, p.Window)
			wait = append(slices.Clone(wait), p.Open)
		}
		b.isolates = append(b.isolates, b.Add(respond.Step{ID: StageIsolate + "/" + n.ID, Action: actIsolate, Stage: StageIsolate, Effect: respond.Reversible, Contains: true,
			After: wait, Needs: append(slices.Clone(b.gate), p.Group), Title: title}, p))
	}
	for _, vpc := range b.vpcs(true) {
		b.Add(respond.Step{ID: StageClose + "/" + vpc, Action: actClose, Stage: StageClose, Effect: respond.Reversible, After: append(slices.Clone(b.isolates), b.opens[vpc]),
			Title: "delete the security group of this run in " + vpc}, closeParams{VPC: vpc, Open: b.opens[vpc]})
	}
	b.shut()
	b.acls(after)
	b.idles(after)
}

// vpcs are those of the interfaces that are isolated, or only opened before.
func (b *drafting) vpcs(opened bool) []string {
	var out []string
	for _, n := range b.ours() {
		if (!opened || b.narrow[n.ID] == "") && !slices.Contains(out, n.VPC) {
			out = append(out, n.VPC)
		}
	}
	slices.Sort(out)
	return out
}

func (b *drafting) groupNames(n Interface) []string {
	var out []string
	for _, id := range n.Groups {
		name := id
		for _, g := range b.w.Groups {
			if g.ID == id && g.Name != "" {
				name = g.Name
			}
		}
		out = append(out, name)
	}
	return out
}

// acls cut what security groups do not: connections that are tracked whatever
// the rules say, and those of interfaces that are not opened for a window.
func (b *drafting) acls(after []string) {
	step := func(id, title string, late bool, p aclParams) {
		wait := after
		if late {
			wait = b.through.after(after)
			title += ", once memory was taken"
		}
		b.Add(respond.Step{ID: StageACL + "/" + id, Action: actACL, Stage: StageACL, Effect: respond.Reversible, Contains: true, After: wait, Needs: b.gate, Title: title}, p)
	}
	var whys []string
	for _, s := range b.w.Subnets {
		why := b.whyACL(s)
		switch {
		case why == "":
		case !b.alone(s):
			whys = join(whys, why)
		default:
			p := aclParams{Subnet: s.ID, VPC: s.VPC, Own: true, Blocks: slices.Concat(b.w.blocksOf(b.here(s)), b.remotes(s))}
			for _, n := range b.here(s) {
				p.Interfaces = append(p.Interfaces, n.ID)
			}
			step(s.ID, fmt.Sprintf("network ACL of %s: %s -> one that denies everything (%s)", s.ID, s.ACL, why), b.through != nil && b.through.n.Subnet == s.ID, p)
		}
	}
	for _, p := range b.places() {
		step(p.acl, p.title(kit.Join(whys)), len(p.blocks) > 0 && b.through.cutBy(b.w, p.acl), p.params())
	}
}

// alone reports whether nobody else is in the subnet, nor will be by itself.
func (b *drafting) alone(s Subnet) bool {
	inGroup := b.w.Scaling != nil && slices.Contains(b.w.Scaling.Subnets, s.ID)
	managed := slices.ContainsFunc(b.w.Interfaces, func(n Interface) bool { return n.Subnet == s.ID && n.Manager != "" })
	known := !slices.ContainsFunc(b.w.Unknown, func(u string) bool { return strings.HasPrefix(u, "ec2.DescribeNetworkInterfaces of the subnets") })
	return known && len(s.Others) == 0 && !inGroup && !managed
}

// whyACL says why a subnet needs the network ACL; empty: it does not.
func (b *drafting) whyACL(s Subnet) string {
	var here []Interface
	for _, n := range b.ours() {
		if n.Subnet == s.ID {
			here = append(here, n)
		}
	}
	switch {
	case len(here) == 0 || b.r.Policy.NACL == "never":
		return ""
	case b.r.Policy.NACL == "always":
		return "policy"
	case b.w.State != "running":
		return ""
	}
	ways := slices.DeleteFunc(slices.Clone(s.Tracked), func(way string) bool {
		return !slices.ContainsFunc(here, func(n Interface) bool { return n.uses(way) })
	})
	if len(ways) > 0 {
		return "AWS tracks connections through " + strings.Join(ways, ", ") + " whatever the rules say"
	}
	for _, n := range here {
		if b.balanced(n) {
			return "AWS tracks connections of load balancers whatever the rules say"
		}
		if b.narrow[n.ID] != "" {
			return n.ID + " is isolated in one pass"
		}
	}
	return ""
}

// balanced reports whether a load balancer sends to the interface.
func (b *drafting) balanced(n Interface) bool {
	if n.DeviceIndex == 0 && len(b.w.Classic) > 0 {
		return true
	}
	return slices.ContainsFunc(b.w.Targets, func(t Target) bool {
		return t.LB && (t.Kind == "instance" && n.DeviceIndex == 0 || slices.Contains(n.IPv4, t.ID) || slices.Contains(n.IPv6, t.ID))
	})
}

// credentials are cut off beside the network.
func (b *drafting) credentials() {
	w := b.w
	after := slices.Concat(b.base, b.service)
	late := b.through.after(after) // the agent takes memory with them
	add := func(s respond.Step, params any) {
		s.Stage, s.Effect, s.After = StageCredentials, respond.Reversible, late
		if s.ID == StepSessions {
			s.After = after
		}
		b.Add(s, params)
	}
	if p := w.Profile; p != nil && p.RoleID != "" {
		add(respond.Step{ID: StepRevoke, Action: actRevoke, Contains: true, Title: "role " + p.Role + ": the sessions of " + w.InstanceID + ", and of no other, are denied everything"},
			revokeParams{Instance: w.InstanceID, Role: p.Role, RoleID: p.RoleID, Policy: b.policyName()})
	}
	if p := w.Profile; p != nil {
		add(respond.Step{ID: StepProfile, Action: actProfile, Title: "instance profile " + p.Name + " -> none"}, profileParams{Instance: w.InstanceID, ARN: p.ARN})
	}
	if w.Metadata.Endpoint != "disabled" {
		add(respond.Step{ID: StepMetadata, Action: actMetadata, Title: "metadata service -> disabled"}, instanceParams{Instance: w.InstanceID})
	}
	if n := len(w.Agent.Sessions); n > 0 || w.Agent.Ping != "" {
		add(respond.Step{ID: StepSessions, Action: actSessions, Title: fmt.Sprintf("open sessions of Session Manager, %d now -> ended", n)}, instanceParams{Instance: w.InstanceID})
	}
}

// policyName is that of the inline policy: of the incident, and of this instance,
// so that two instances with one role do not overwrite each other.
func (b *drafting) policyName() string {
	return "guardroom-revoke-" + b.r.Incident.Number.String() + "-" + b.w.InstanceID
}

// last waits for the group, and verifies.
func (b *drafting) last() {
	if slices.Contains(b.service, StepGroup) {
		s, _ := b.step(StepGroup)
		p, _ := paramsOf[scalingParams](s)
		b.Add(respond.Step{ID: StepLeft, Action: actLeft, Stage: StageService, Effect: respond.Reversible, After: append(slices.Clone(b.isolates), StepGroup), Title: "wait until " + p.Group + " has let it go"},
			leftParams{scalingParams: p, Leave: StepGroup})
	}
	var all []string
	for _, s := range b.Steps {
		// Neither the tags nor the end of draining decide whether it is isolated.
		if s.ID != StepMark && s.ID != StepLeft {
			all = append(all, s.ID)
		}
	}
	b.Add(respond.Step{ID: StepVerify, Action: actVerify, Stage: StageVerify, Effect: respond.NoChange, Contains: true, After: all, Title: "describe everything again, and say what is still open"},
		verifyParams{instanceParams: instanceParams{Instance: b.w.InstanceID}, Paths: b.paths(), FirstSeen: b.r.Incident.FirstSeen.UTC()})
	if s, ok := b.step(StepMark); ok {
		p, _ := paramsOf[markParams](s)
		b.Add(respond.Step{ID: StepStatus, Action: actStatus, Stage: StageMark, Effect: respond.Reversible, After: []string{StepVerify, StepMark},
			Title: "tag the same as contained, in part or not at all"}, p)
	}
}

func (b *drafting) step(id string) (respond.Step, bool) {
	i := slices.IndexFunc(b.Steps, func(s respond.Step) bool { return s.ID == id })
	if i < 0 {
		return respond.Step{}, false
	}
	return b.Steps[i], true
}

// entryOf is an entry that a network ACL has; false: none is known.
func (b *drafting) entryOf(acl string) (Rule, bool) {
	for _, s := range b.w.Subnets {
		if s.ACL == acl && len(s.Entries) > 0 {
			return s.Entries[0], true
		}
	}
	for _, p := range b.w.Passages {
		if p.ACL == acl && len(p.Entries) > 0 {
			return p.Entries[0], true
		}
	}
	return Rule{}, false
}
