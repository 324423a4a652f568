package ec2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// guards answer what the live instance says about the blast radius.
func (b *drafting) guards(callers []kit.Caller) {
	w := b.w
	b.Guarded(b.stateGuard(), kit.NeverTouch(w.Tags), b.containedGuard())
	if w.Profile != nil && w.Profile.RoleARN != "" {
		b.Guarded(kit.IsOurs(callers, w.Profile.RoleARN))
	}
	if w.Gone() {
		return
	}
	if since := b.r.Incident.FirstSeen; !since.IsZero() && w.LaunchTime.After(since) {
		b.Guard("started after the finding", respond.Warn, "it was started at "+w.LaunchTime.UTC().Format("2006-01-02 15:04:05Z")+", after the finding was first seen: what was in its memory then is gone", "")
	}
	if w.Lifecycle == "spot" {
		b.Guard("spot instance", respond.Warn, "AWS may take it back with two minutes' notice, and no protection helps", "take snapshots first")
	}
	if w.RootDeviceType == "instance-store" {
		b.Guard("instance store", respond.Warn, "its root disk is lost when it stops or its host fails", "take a copy while it runs")
	}
	b.Guarded(b.targetGuard(), b.scalingGuard(), b.roleGuard(), b.managedGuard())
	if g, ok := b.roomGuard(); ok {
		b.Guarded(g)
	}
	if len(w.Unknown) > 0 {
		b.Guard("not described", respond.Warn, "AWS did not answer about "+kit.Join(w.Unknown), "compare the read role with guardroom iam policy --role read")
	}
}

func (b *drafting) stateGuard() respond.Guard {
	g := respond.Guard{Name: "state of the instance", Answer: respond.Pass}
	switch b.w.State {
	case "running":
	case "terminated", "shutting-down":
		g.Answer, g.Why, g.Hint = respond.Refuse, b.w.InstanceID+" is "+b.w.State, "plan for its snapshots, its logs and the sessions of its role"
	default:
		g.Answer, g.Why = respond.Warn, b.w.InstanceID+" is "+b.w.State+": nothing is in its memory any more, or not yet"
	}
	return g
}

// containedGuard refuses what a run of ours contained already, and says when
// somebody else did.
func (b *drafting) containedGuard() respond.Guard {
	g := respond.Guard{Name: "already contained", Answer: respond.Pass}
	list := b.ours()
	if len(list) == 0 {
		return g
	}
	byUs, shut, run := 0, 0, ""
	for _, n := range list {
		closed := len(n.Groups) > 0
		for _, id := range n.Groups {
			i := slices.IndexFunc(b.w.Groups, func(s SecurityGroup) bool { return s.ID == id })
			if i < 0 || b.w.Groups[i].Rules > 0 {
				closed = false
				continue
			}
			if s := b.w.Groups[i]; strings.HasPrefix(s.Name, containName) && s.Tags[respond.TagRun] != "" && len(n.Groups) == 1 {
				byUs++
			}
		}
		if closed {
			shut++
		}
	}
	run = b.w.Tags[respond.TagRun]
	switch {
	case byUs == len(list):
		g.Answer, g.Why = respond.Refuse, "every interface is in "+containName+" already"
		g.Hint = "guardroom run list shows the run"
		if run != "" {
			g.Hint = "the instance carries the tag of " + run + ": guardroom run show"
		}
	case shut == len(list):
		g.Answer, g.Why = respond.Warn, "every interface is in groups without a rule already, and not by guardroom: it is contained again, and undo puts it back as it is now"
	case byUs > 0:
		g.Answer, g.Why = respond.Warn, fmt.Sprintf("%d of %d interfaces are in %s already", byUs, len(list), containName)
	}
	return g
}

func (b *drafting) targetGuard() respond.Guard {
	g := respond.Guard{Name: "last healthy target", Answer: respond.Pass}
	var names []string
	for _, t := range b.w.Targets {
		if t.last() && !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	for _, c := range b.w.Classic {
		if c.Others == 0 {
			names = append(names, c.Name)
		}
	}
	if len(names) > 0 {
		g.Answer, g.Why = respond.Warn, "nobody else is healthy in "+kit.Join(names)+": the service stands still"
	}
	return g
}

func (b *drafting) scalingGuard() respond.Guard {
	g := respond.Guard{Name: "Auto Scaling group at its minimum", Answer: respond.Pass}
	s := b.w.Scaling
	if s == nil {
		return g
	}
	serving := 0
	for id, state := range s.Members {
		if id != b.w.InstanceID && state == inService {
			serving++
		}
	}
	if int32(serving) < s.Min { //nolint:gosec // a group has some thousands of members at most
		g.Answer, g.Why = respond.Warn, fmt.Sprintf("%s has %d more in service and wants at least %d until the replacement runs", s.Group, serving, s.Min)
	}
	return g
}

func (b *drafting) roleGuard() respond.Guard {
	g := respond.Guard{Name: "shared role", Answer: respond.Pass}
	p := b.w.Profile
	switch {
	case p == nil:
	case p.RoleID == "":
		g.Answer, g.Why = respond.Warn, "the role of profile "+p.Name+" cannot be seen: its sessions are not revoked"
	case len(p.Others) > 0:
		g.Answer, g.Why = respond.Warn, fmt.Sprintf("role %s is held by %s: only the sessions of %s are revoked", p.Role, respond.Count(len(p.Others), "other instance"), b.w.InstanceID)
	}
	return g
}

func (b *drafting) managedGuard() respond.Guard {
	g := respond.Guard{Name: "managed by a service", Answer: respond.Pass}
	var what []string
	if b.w.Operator != "" {
		what = append(what, b.w.InstanceID+" by "+b.w.Operator)
	}
	for _, n := range b.w.Interfaces {
		if n.Manager != "" {
			what = append(what, n.ID+" by "+n.Manager)
		}
	}
	for _, key := range []string{"eks:cluster-name", "aws:eks:cluster-name", "aws:elasticmapreduce:job-flow-id", "aws:cloudformation:stack-name", "aws:ecs:clusterName", "AWSBatchServiceTag"} {
		if v := b.w.Tags[key]; v != "" {
			what = append(what, b.w.InstanceID+" by its tag "+key)
		}
	}
	if len(what) > 0 {
		g.Answer, g.Why = respond.Warn, kit.Join(what)+": what a service manages it may put back, and its own interfaces stay open"
	}
	return g
}

// roomGuard looks whether the network ACL takes our entries.
func (b *drafting) roomGuard() (respond.Guard, bool) {
	g := respond.Guard{Name: "room in the network ACL", Answer: respond.Pass}
	list := b.places()
	for _, p := range list {
		i := slices.IndexFunc(b.w.ACLs, func(a ACL) bool { return a.ID == p.acl })
		if i < 0 {
			continue
		}
		have := b.w.ACLs[i].Entries
		_, missing, err := placed(tied{ACL: p.acl, Entries: have}, p.params().Blocks, nil)
		if err != nil || most(have, missing) > aclQuota {
			g.Answer, g.Why = respond.Warn, p.acl+" of "+kit.Join(p.subnets)+" has no room, unless its quota was raised: connections that are tracked there would live on"
			g.Hint = "raise the quota of rules for each network ACL, or free some"
		}
	}
	return g, len(list) > 0
}

// lines are what people read beside the steps.
func (b *drafting) lines() {
	w, p := b.w, b.r.Policy
	b.WillNot = append(b.WillNot,
		"stop, reboot or terminate "+w.InstanceID,
		"change a rule of any security group that is there, or any other instance in one",
	)
	b.AlsoHits = []string{}
	b.Irreversible = []string{}
	for _, n := range w.Interfaces {
		switch {
		case n.Manager != "":
			b.WillNot = append(b.WillNot, "touch "+n.ID+": "+n.Manager+" manages it; it stays open")
			b.Manual = append(b.Manual, "cut "+n.ID+" by "+n.Manager+", the service that manages it")
		case n.Automatic:
			b.WillNot = append(b.WillNot, "take the automatic public address "+n.PublicIPv4+" away: it would never come back, and no rule lets anything through it")
		case len(b.kept(n)) > 0:
			b.WillNot = append(b.WillNot, "take "+kit.Join(b.kept(n))+" away from "+n.ID+": it is no Elastic IP that may be taken off; no rule lets anything through it")
		}
	}
	b.WillNot = append(b.WillNot, "stop names from being asked of the resolver of the VPC, by which data can leave: no group and no network ACL can", "close the serial console of EC2, where the account allows it")
	if pr := w.Profile; pr != nil {
		b.WillNot = append(b.WillNot, "end sessions of other roles that were begun from this one; follow them in CloudTrail")
		if len(pr.Others) > 0 {
			b.AlsoHits = append(b.AlsoHits, fmt.Sprintf("role %s is held by %s too; their sessions go on", pr.Role, some(pr.Others)))
		}
	}
	for _, t := range w.Targets {
		b.AlsoHits = append(b.AlsoHits, fmt.Sprintf("target group %s has %s, %d of them healthy", t.Name, respond.Count(t.Others, "other target"), t.Healthy))
	}
	for _, c := range w.Classic {
		b.AlsoHits = append(b.AlsoHits, fmt.Sprintf("load balancer %s has %s", c.Name, respond.Count(c.Others, "other instance")))
	}
	if s := w.Scaling; s != nil {
		b.AlsoHits = append(b.AlsoHits, s.Group+" starts a replacement from the same template, which may fall the same way")
	}
	for _, s := range w.Subnets {
		switch {
		case b.whyACL(s) == "":
		case b.alone(s):
			b.AlsoHits = append(b.AlsoHits, "whatever starts in "+s.ID+" until the run is undone has no network")
		default:
			b.AlsoHits = append(b.AlsoHits, fmt.Sprintf("%s in %s; entries for the addresses of %s alone do not touch them", respond.Count(len(s.Others), "other interface is", "other interfaces are"), s.ID, w.InstanceID))
			for _, why := range b.cannot(s) {
				b.WillNot = append(b.WillNot, "cut every connection from "+s.ID+" that is open: "+why)
			}
		}
	}
	for _, at := range b.places() {
		if len(at.remotes) > 0 {
			b.AlsoHits = append(b.AlsoHits, "everybody behind "+at.acl+" loses "+kit.Join(at.remotes)+", until the run is undone")
		}
	}
	if b.r.Policy.NACL == "never" {
		for _, p := range b.paths() {
			b.WillNot = append(b.WillNot, "cut connections through "+p.title()+" that are open: policy uses no network ACL")
		}
	}
	slices.Sort(b.AlsoHits)
	b.AlsoHits = slices.Compact(b.AlsoHits)
	b.Undo = "in the reverse order from what was recorded, each only while it is still as guardroom left it: metadata service, profile, role policy, interfaces, network ACL, addresses, load balancers, Auto Scaling group, protection, tags"
	b.ShortestSeconds, b.LongestSeconds = int64(10+p.WindowSeconds), 90
	b.CostWhy = "nothing beside what the instance costs"
	if w.Scaling != nil {
		b.CostWhy = "the replacement in " + w.Scaling.Group + " costs what the instance costs, until the run is undone"
	}
}

// some names a few of many.
func some(list []string) string {
	if len(list) <= 5 {
		return kit.Join(list)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:5], ", "), len(list)-5)
}
