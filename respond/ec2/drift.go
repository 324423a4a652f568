package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// tracked says why connections that were open before may live on; empty: they
// were cut. It judges the network ACLs as they are now.
func (v view) tracked(w *World, n Interface) string {
	s, _ := w.subnet(n.Subnet)
	if w.State == "stopped" || s.ACL != "" && deniesAll(s.Entries) {
		return ""
	}
	var why []string
	for _, p := range v.paths() {
		if p.Subnet != n.Subnet || p.cuts(w, n) {
			continue
		}
		reason := p.cannot(w)
		if reason == "" {
			reason = "no network ACL cuts them"
		}
		why = append(why, "connections through "+p.title()+" that were open may live on: "+reason)
	}
	widened := false
	for _, s := range v.steps { // also where another than the step closed it
		if p, err := paramsOf[isolateParams](s); s.Action == actIsolate && err == nil && p.Interface == n.ID {
			r, _ := v.record(s.ID)
			r.Load(savedWidened, &widened)
		}
	}
	if !widened {
		why = append(why, "connections that were open may live on until they are idle: they were neither opened and cut nor cut by a network ACL that denies everything")
	}
	if late := v.late(n); late != "" {
		why = append(why, late)
	}
	return strings.Join(why, "; ")
}

// paths are those that the plan knew.
func (v view) paths() []path {
	for _, s := range v.steps {
		if s.Action != actVerify {
			continue
		}
		if p, err := paramsOf[verifyParams](s); err == nil {
			return p.Paths
		}
	}
	return nil
}

// drift says what a run set and is not so any more. Interfaces are judged by
// verdicts.
func (v view) drift(w *World) []string {
	if w.Gone() {
		return []string{w.InstanceID + " is " + w.State}
	}
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	for _, s := range v.steps {
		r, ok := v.record(s.ID)
		if ok && r.State == playbook.Completed {
			v.driftOf(w, s, r, say)
		}
	}
	return out
}

func (v view) driftOf(w *World, s respond.Step, r playbook.Record, say func(string, ...any)) {
	switch s.Action {
	case actIsolate:
		if p, err := paramsOf[isolateParams](s); err == nil {
			if _, ok := w.Interface(p.Interface); !ok {
				say("%s is not on %s any more", p.Interface, w.InstanceID)
			}
		}
	case actAddress:
		if p, err := paramsOf[doorParams](s); err == nil {
			for _, a := range w.Addresses {
				if a.Allocation == p.Allocation {
					say("the address %s is on %s again", a.PublicIP, a.Interface)
				}
			}
		}
	case actProfile:
		if w.Profile != nil {
			say("%s has the instance profile %s", w.InstanceID, w.Profile.Name)
		}
	case actMetadata:
		if w.Metadata.Endpoint != "disabled" {
			say("the metadata service of %s is %s", w.InstanceID, w.Metadata.Endpoint)
		}
	case actLeave:
		if w.Scaling != nil && w.Scaling.Lifecycle == inService {
			say("%s is in service in %s", w.InstanceID, w.Scaling.Group)
		}
	case actTargets, actGroupTgts:
		if p, err := paramsOf[targetsParams](s); err == nil {
			for _, t := range w.Targets {
				if t.Group == p.Group {
					say("%s is registered in target group %s", t.ID, t.Name)
				}
			}
		}
	case actBalancer, actGroupLB:
		if p, err := paramsOf[balancerParams](s); err == nil && slices.ContainsFunc(w.Classic, func(c Classic) bool { return c.Name == p.Name }) {
			say("%s is behind %s", w.InstanceID, p.Name)
		}
	case actAttribute:
		if p, err := paramsOf[attributeParams](s); err == nil {
			v.driftOfAttribute(w, p, say)
		}
	case actVolume:
		if p, err := paramsOf[volumeParams](s); err == nil && slices.ContainsFunc(w.Volumes, func(have Volume) bool { return have.ID == p.Volume && have.DeleteOnTermination }) {
			say("%s", respond.Harmless(p.Volume+" would be deleted with the instance"))
		}
	case actIdle:
		driftOfIdle(w, s, say)
	case actACL:
		v.driftOfACL(w, s, r, say)
	}
}

func (view) driftOfAttribute(w *World, p attributeParams, say func(string, ...any)) {
	switch {
	case !w.answered("ec2.DescribeInstanceAttribute " + string(attributeNames()[p.Attribute])): // not known is no drift
	case p.Attribute == attrTermination && !w.Attributes.DisableTermination:
		say("%s", respond.Harmless("termination protection of "+w.InstanceID+" is off"))
	case p.Attribute == attrStop && !w.Attributes.DisableStop:
		say("%s", respond.Harmless("stop protection of "+w.InstanceID+" is off"))
	case p.Attribute == attrShutdown && w.Attributes.ShutdownBehavior == "terminate":
		say("%s", respond.Harmless(w.InstanceID+" ends itself when it is shut down"))
	}
}

func (view) driftOfACL(w *World, s respond.Step, r playbook.Record, say func(string, ...any)) {
	p, err := paramsOf[aclParams](s)
	var work aclWork
	if err != nil || !r.Load(respond.SavedAfter, &work) || len(w.ACLs) == 0 {
		return
	}
	if work.Own != "" {
		if subnet, there := w.subnet(p.Subnet); there && subnet.ACL != "" && subnet.ACL != work.Own {
			say("%s has the network ACL %s and not %s", p.Subnet, subnet.ACL, work.Own)
		}
		return
	}
	i := slices.IndexFunc(w.ACLs, func(a ACL) bool { return a.ID == work.ACL })
	if i < 0 {
		say("the network ACL %s, with our entries, is not there", work.ACL)
		return
	}
	if p.Own {
		p.Subnets = []string{p.Subnet}
	}
	for _, id := range p.Subnets {
		if a, ok := w.aclOf(id); ok && a.ID != work.ACL {
			say("%s has the network ACL %s and not %s", id, a.ID, work.ACL)
		}
	}
	for _, want := range work.Entries {
		if !slices.ContainsFunc(w.ACLs[i].Entries, func(have Rule) bool { return ours(have, want) }) {
			say("entry %d of %s, which denies %s, is not there", want.Number, work.ACL, want.CIDR)
		}
	}
}

// all is everything that is not as the run left it. What has ended needs nothing that
// holds it: its stack may take the role and its policies with it.
func (v view) all(ctx context.Context, a awscalls.AWS, place awscalls.Place, w *World, verified playbook.Record) ([]string, error) {
	if w.Gone() {
		return []string{respond.Harmless(w.InstanceID + " is " + w.State)}, nil
	}
	policies, err := v.policies(ctx, a, place)
	return slices.Concat(v.drift(w), v.opened(w, verified), policies), err
}

// opened are the interfaces that are open now and were not when the run ended.
func (v view) opened(w *World, verified playbook.Record) []string {
	var then []respond.Verdict
	verified.Load(respond.SavedVerdicts, &then)
	var out []string
	list, _ := v.verdicts(w)
	for _, d := range list {
		known := slices.ContainsFunc(then, func(t respond.Verdict) bool { return t.String() == d.String() })
		if d.IsOpen() && !known {
			out = append(out, d.String())
		}
	}
	return out
}

// policies are the role policies of ours that are not as they were.
func (v view) policies(ctx context.Context, a awscalls.AWS, place awscalls.Place) (out []string, passing error) {
	v.done(actRevoke, func(s respond.Step, _ playbook.Record) {
		p, err := paramsOf[revokeParams](s)
		if err != nil {
			return
		}
		c, err := a.IAM(ctx, place)
		if err != nil {
			passing = err
			return
		}
		now, err := readRolePolicy(ctx, c, p)
		switch {
		case respond.Transient(err):
			passing = err
		case err != nil:
			out = append(out, "the policy "+p.Policy+" of role "+p.Role+" cannot be read: "+respond.Code(err))
		case now.Absent || !sameJSON(now.Text, denyDocument(p.RoleID, p.Instance)):
			out = append(out, "the policy "+p.Policy+" of role "+p.Role+" does not deny the sessions of "+p.Instance+" any more")
		}
	})
	return out, passing
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	ca, errA := respond.Canonical(x)
	cb, errB := respond.Canonical(y)
	return errA == nil && errB == nil && string(ca) == string(cb)
}

// again looks at a contained instance again, as the verify step of its run.
func again(x *respond.Exec) ([]string, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return nil, err
	}
	w, err := describeIn(x, p.Instance)
	if fault.CodeOf(err) == fault.NotFound { // AWS forgets what has ended within an hour
		return []string{respond.Harmless(p.Instance + " is not there any more")}, nil
	}
	if err != nil {
		return nil, err
	}
	if rules := "ec2.DescribeSecurityGroups"; slices.Contains(w.Unanswered, rules) {
		return nil, fault.New(fault.Unavailable, "AWS did not answer "+rules+", so whether rules were added to our groups is not known", "it is looked at again")
	}
	v := viewOf(x.Plan, x.Def.Part, x.Record)
	verified, _ := x.Record(StepVerify)
	var drift []string
	err = x.Look(func(ctx context.Context) (err error) {
		drift, err = v.all(ctx, x.AWS, x.In(awscalls.Read, x.Def.Account, x.Def.Region), w, verified)
		return err
	})
	return drift, err
}
