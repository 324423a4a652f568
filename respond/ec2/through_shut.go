package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// shut drafts what closes the way to the endpoints once memory has ended, however
// it ended: connections that were opened through it are cut like those before.
func (b *drafting) shut() {
	t := b.through
	if t == nil {
		return
	}
	n := t.n
	isolated := StageIsolate + "/" + n.ID
	after := []string{isolated, t.memory}
	p := shutParams{isolateParams: isolateParams{Interface: n.ID, Instance: b.primaryOf(n), Group: StageGroups + "/" + n.VPC, Why: b.narrow[n.ID]}, Isolate: isolated}
	title := fmt.Sprintf("%s: %s -> %s", n.ID, throughName, containName)
	if p.Why == "" {
		p.Window = b.r.Policy.WindowSeconds
		title += fmt.Sprintf(", through %s for %d s", convertName, p.Window)
		p.Open = b.Add(respond.Step{ID: StageShut + "/open", Action: actOpen, Stage: StageShut, Effect: respond.Creates, After: append(slices.Clone(after), StageClose+"/"+n.VPC), Needs: b.gate,
			Title: "make a security group of this run in " + n.VPC + " that lets everything through, deleted afterwards"}, groupParams{VPC: n.VPC, Again: true})
		after = append(after, p.Open)
	}
	shut := b.Add(respond.Step{ID: StageShut + "/" + n.ID, Action: actShut, Stage: StageShut, Effect: respond.Reversible, Contains: true, After: after, Title: title}, p)
	if p.Open != "" {
		b.Add(respond.Step{ID: StageShut + "/close", Action: actClose, Stage: StageShut, Effect: respond.Reversible, After: []string{shut},
			Title: "delete the security group of this run in " + n.VPC}, closeParams{VPC: n.VPC, Open: p.Open, Again: true})
	}
	b.Add(respond.Step{ID: StageShut + "/" + throughStep, Action: actEmpty, Stage: StageShut, Effect: respond.Reversible, After: []string{shut},
		Title: "take the rules of " + throughName + " in " + n.VPC + " away, unless another interface is in it"}, emptyParams{VPC: n.VPC, Group: StageGroups + "/" + throughStep})
}

type shutParams struct {
	isolateParams
	Isolate string `json:"isolate"` // the step that left the way open
}

// shutInterface moves an interface from the group that leads to endpoints into the
// one without rules. It runs after an abort too. That is all that it undoes or
// needs undoing: the release of the interface knows both groups.
func shutInterface(x *respond.Exec) (playbook.Outcome, error) {
	var p shutParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	rec, ok := x.Record(p.Isolate)
	o := opened{Interface: p.Interface}
	if !ok || rec.Attempt == 0 || !rec.Load(savedThrough, &o.Through) {
		return done(p.Interface + " was not left open")
	}
	rec.Load(respond.SavedBefore, &o.Before)
	if err := x.Output(p.Group, savedGroup, &o.Contain); err != nil {
		return playbook.Outcome{}, err
	}
	if p.Open != "" {
		if made, ok := x.Record(p.Open); ok && made.State == playbook.Completed {
			made.Load(savedGroup, &o.Convert)
		}
	}
	way := o.Through
	o.instance, o.way = p.Instance, way
	o.Through = "" // the end is the group without rules
	out, err := o.leave(x, p, way, rec.State == playbook.Completed)
	if err != nil {
		return out, err
	}
	return out, settle(x, x.RunID, rec, "through")
}

// leave takes an interface out of the group that leads to endpoints. Isolated says
// whether it was put there for sure: an abort may have come before.
func (o opened) leave(x *respond.Exec, p shutParams, way string, isolated bool) (playbook.Outcome, error) {
	now, err := interfaceNow(x, p.Interface)
	switch {
	case respond.Gone(err):
		return done(p.Interface + " does not exist any more")
	case err != nil:
		return playbook.Outcome{}, err
	case o.Convert != "" && slices.Contains(now.Groups, o.Convert):
		return o.shut(x) // an earlier attempt opened it
	case !slices.Contains(now.Groups, way) && sameSet(now.Groups, []string{o.Contain}):
		return o.shown(x, "")
	case !isolated && sameSet(now.Groups, o.Before):
		return skipped(p.Interface + " is in its groups of before: it was not isolated, and not left open")
	case !slices.Contains(now.Groups, way):
		return playbook.Outcome{}, kit.Changed("the groups of " + p.Interface + ", now " + kit.Join(now.Groups) + ",")
	}
	why := o.narrow(p.isolateParams, now)
	if why == "" {
		err := o.widen(x, time.Duration(p.Window)*time.Second)
		switch {
		case err == nil:
			return o.shut(x)
		case !errors.Is(err, playbook.ErrAborted):
			return playbook.Outcome{}, err
		}
		why = "in one pass: the run was aborted, and nothing is opened any more"
	}
	err = finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error { return setGroups(ctx, c, o.Interface, o.Contain) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	return o.shown(x, why)
}

// leads says that an interface is still in the group that leads to endpoints, and
// nothing else is open; empty: it is not, or more is open than that.
func (v view) leads(w *World, n Interface) string {
	why := ""
	v.done(actIsolate, func(s respond.Step, r playbook.Record) {
		p, err := paramsOf[isolateParams](s)
		var id string
		if err != nil || p.Interface != n.ID || !r.Load(savedThrough, &id) || !sameSet(n.Groups, []string{id}) {
			return
		}
		for _, g := range w.Groups {
			if g.ID == id && g.Rules > 0 && g.Rules <= len(p.Rules) {
				why = "it is in " + throughName + ", which lets port 443 out to " + kit.Join(throughParams{Rules: p.Rules}.to()) + " until memory was taken"
			}
		}
	})
	return why
}

// late says that connections which were opened through the endpoints may live on;
// empty: there were none, or they were cut.
func (v view) late(n Interface) string {
	why := ""
	v.done(actShut, func(s respond.Step, r playbook.Record) {
		p, err := paramsOf[shutParams](s)
		if err != nil || p.Interface != n.ID {
			return
		}
		isolated, _ := v.record(p.Isolate)
		var id string
		widened := false
		if r.Load(savedWidened, &widened); !widened && isolated.Load(savedThrough, &id) {
			why = "connections to the endpoints of the VPC and to S3 that were opened while memory was taken may live on until they are idle"
		}
	})
	return why
}
