package ec2

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type isolateParams struct {
	Interface string `json:"interface"`
	// Instance is that of which it is the primary interface; empty: of none.
	Instance string `json:"instance,omitempty"`
	// Beside are the steps of the other interfaces of that one.
	Beside []string `json:"beside,omitempty"`
	// Group is the step that made the contain group, Open the one that made the
	// convert group; empty: a single pass, and Why says for what reason.
	Group string `json:"group"`
	Open  string `json:"open,omitempty"`
	Why   string `json:"why,omitempty"`
	// Window is how many seconds the interface stays in the convert group.
	Window int `json:"window,omitempty"`
	// Through is the step that made the group that leads to endpoints, with these
	// rules, where the interface is to stay in that one until memory was taken;
	// Seconds is how long at most.
	Through string        `json:"through,omitempty"`
	Rules   []throughRule `json:"rules,omitempty"`
	Seconds int           `json:"seconds,omitempty"`
}

// opened is what must be known to close an interface that is in the convert group.
type opened struct {
	Interface string   `json:"interface"`
	Convert   string   `json:"convert"`
	Contain   string   `json:"contain"`
	Before    []string `json:"before"`
	// Through is the group that it ends in for now; empty: Contain.
	Through string `json:"-"`
	seconds int
	// instance is that of which it is the primary interface, beside the steps of the
	// others, and way the group that leads to endpoints which it was in.
	instance, way string
	beside        []string
}

// end is the group that the interface ends in.
func (o opened) end() string {
	if o.Through != "" {
		return o.Through
	}
	return o.Contain
}

// isolate gives an interface the contain group and nothing else. Where the plan
// says so it first spends some seconds in the convert group, so that connections
// that AWS tracks become such that it does not, and are cut.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
func isolate(x *respond.Exec) (playbook.Outcome, error) {
	var p isolateParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	o := opened{Interface: p.Interface, instance: p.Instance, beside: p.Beside}
	if err := x.Output(p.Group, savedGroup, &o.Contain); err != nil {
		return playbook.Outcome{}, err
	}
	if p.Open != "" {
		if rec, ok := x.Record(p.Open); ok && rec.State == playbook.Completed {
			rec.Load(savedGroup, &o.Convert)
		}
	}
	var err error
	o.Before, err = respond.Once(x, respond.SavedBefore, func() ([]string, error) {
		n, err := interfaceNow(x, p.Interface)
		return n.Groups, err
	})
	without := ""
	if err == nil {
		without, err = o.lead(x, p)
	}
	if err == nil {
		err = x.Save(respond.SavedAfter, []string{o.end()})
	}
	var now Interface
	if err == nil {
		now, err = interfaceNow(x, p.Interface)
	}
	switch {
	case respond.Gone(err):
		return done(p.Interface + " does not exist any more")
	case err != nil:
		return playbook.Outcome{}, err
	case sameSet(now.Groups, []string{o.Contain}) && sameSet(o.Before, now.Groups):
		return done(p.Interface + " was in " + o.Contain + " alone before; undo leaves it so")
	case sameSet(now.Groups, []string{o.Contain}):
		o.Through = "" // closed already; it is not opened again
		return o.shown(x, "")
	case o.Through != "" && sameSet(now.Groups, []string{o.Through}):
		return o.shown(x, "")
	case o.Convert != "" && slices.Contains(now.Groups, o.Convert):
		return o.shut(x) // an earlier attempt opened it
	case slices.Contains(now.Groups, o.end()) && !slices.Contains(o.Before, o.end()):
		return o.shut(x) // an earlier attempt did it, and it does not show
	}
	why := o.narrow(p, now)
	if why == "" {
		if err := o.widen(x, time.Duration(p.Window)*time.Second); err != nil {
			return playbook.Outcome{}, err
		}
		return plus(o.shut(x))(without)
	}
	if err := o.owe(x); err != nil {
		return playbook.Outcome{}, err
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		return setGroups(ctx, c, p.Interface, o.end())
	})
	if err != nil {
		return playbook.Outcome{}, fresh(x, err)
	}
	return plus(o.shown(x, why))(without)
}

// plus adds to the message of an outcome.
func plus(out playbook.Outcome, err error) func(more string) (playbook.Outcome, error) {
	return func(more string) (playbook.Outcome, error) {
		if err == nil && more != "" {
			out.Message += "; " + more
		}
		return out, err
	}
}

// lead finds the group that leads to endpoints. Where it is not exactly as the
// plan has it, without says so: the interface is cut off at once, and memory is not
// taken.
func (o *opened) lead(x *respond.Exec, p isolateParams) (without string, err error) {
	if p.Through == "" {
		return "", nil
	}
	var id string
	if rec, ok := x.Record(p.Through); !ok || rec.State != playbook.Completed || !rec.Load(savedGroup, &id) {
		return "there is no " + throughName + ", so memory cannot be taken", nil
	}
	ok, err := exactly(x, id, p.Rules)
	if err != nil {
		return "", err
	}
	if !ok {
		return "the rules of " + id + " are not those of the plan, so memory cannot be taken", nil
	}
	o.Through, o.seconds = id, p.Seconds
	if err := x.Save(savedOurs, []string{o.Contain, id}); err != nil {
		return "", err
	}
	return "", x.Save(savedThrough, id)
}

// owe writes down, before an interface gets the group that leads to endpoints, how
// that is closed should the run not come to it.
func (o opened) owe(x *respond.Exec) error {
	if o.Through == "" {
		return nil
	}
	raw, err := json.Marshal(opened{Interface: o.Interface, Convert: o.Through, Contain: o.Contain, Before: o.Before})
	if err != nil {
		return playbook.Permanent(err)
	}
	id, err := nextOwed(x, "through")
	if err != nil {
		return err
	}
	return x.Finish(func(ctx context.Context) error {
		now := x.Now()
		return x.Owed.Owe(ctx, respond.Owed{ID: id, Run: x.RunID, Kind: closeInterface, Params: raw, Place: x.Place(),
			Due: now.Add(time.Duration(o.seconds)*time.Second + 15*time.Minute), Why: o.Interface + " is in the group that leads to endpoints, until memory was taken", OpenedAt: now})
	})
}

// narrow says why the interface is not put into the convert group; empty: it is.
func (o opened) narrow(p isolateParams, now Interface) string {
	switch {
	case p.Open == "":
		return p.Why
	case o.Convert == "":
		return "in one pass: there is no convert group"
	case len(now.publics()) > 0:
		return "in one pass: it has the public address " + kit.Join(now.publics())
	}
	return ""
}

// widen puts the interface into the convert group for the window. How it is
// closed is owed from before the call on.
func (o opened) widen(x *respond.Exec, window time.Duration) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return playbook.Permanent(err)
	}
	id, err := nextOwed(x, "open")
	if err != nil {
		return err
	}
	tried := false
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		// A step that goes on after an abort opens nothing either.
		if aborted, err := x.Aborted(); err != nil || aborted {
			return cmp.Or(err, playbook.ErrAborted)
		}
		// Within the call: nothing may hold it up between the two.
		now := x.Now()
		err := x.Owed.Owe(ctx, respond.Owed{ID: id, Run: x.RunID, Kind: closeInterface, Params: raw, Place: x.Place(),
			Due: now.Add(window + time.Minute), Why: o.Interface + " is in the group that lets everything through", OpenedAt: now})
		if err != nil {
			return err
		}
		tried = true
		return setGroups(ctx, c, o.Interface, o.Convert)
	})
	switch {
	case !tried || ends(err):
		return err
	case err != nil && respond.Transient(err):
		// The answer was lost, or AWS is busy: it is open only if AWS says so.
		now, look := interfaceNow(x, o.Interface)
		if look != nil || !slices.Contains(now.Groups, o.Convert) {
			return err
		}
	case err != nil:
		return nil //nolint:nilerr // not to be opened, then: isolate it in one pass
	}
	if err := x.Sleep(window); ends(err) {
		return err // the sweeper closes it
	} else if err == nil {
		return x.Save(savedWidened, true)
	}
	return nil // an abort closes it too
}

// shut ends the window: neither an abort nor the switch holds it up.
func (o opened) shut(x *respond.Exec) (playbook.Outcome, error) {
	if err := o.owe(x); err != nil {
		return playbook.Outcome{}, err
	}
	for try := 0; ; try++ {
		err := finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			return setGroups(ctx, c, o.Interface, o.end())
		})
		switch {
		case err == nil:
			return o.shown(x, "")
		case respond.Gone(err) && respond.Is(err, "InvalidNetworkInterfaceID*"):
			return o.shown(x, "")
		case ends(err):
			return playbook.Outcome{}, err
		case try >= 8 || !respond.Transient(err):
			return o.back(x, err)
		}
		if err := x.Sleep(time.Second << min(try, 3)); ends(err) {
			return playbook.Outcome{}, err
		}
	}
}

// back gives an interface that AWS does not let into our group the groups that it
// had: it must not stay in the one that lets everything through.
func (o opened) back(x *respond.Exec, why error) (playbook.Outcome, error) {
	now, err := interfaceNow(x, o.Interface)
	if err != nil || o.Convert == "" || !slices.Contains(now.Groups, o.Convert) || len(o.Before) == 0 {
		return playbook.Outcome{}, why
	}
	err = finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		return setGroups(ctx, c, o.Interface, o.Before...)
	})
	if err != nil {
		return playbook.Outcome{}, why // how it is closed stays owed
	}
	if err := settleOwn(x, "open"); err != nil {
		return playbook.Outcome{}, err
	}
	f := fault.Of(respond.Explain(why, "give "+o.Interface+" the group "+o.end(), o.Interface+" is in the groups that it had before: "+kit.Join(o.Before)))
	return playbook.Outcome{}, playbook.Permanent(f)
}

// shown looks that the interface is in our group and no other, and settles what
// is owed.
func (o opened) shown(x *respond.Exec, why string) (playbook.Outcome, error) {
	var now Interface
	kept := lingering{instance: o.instance, beside: o.beside, want: []string{o.end()}, ours: slices.Concat(o.Before, []string{o.Convert, o.Contain, o.way})}
	ok, err := seen(x, func() (ok bool, err error) {
		now, err = interfaceNow(x, o.Interface)
		if err == nil {
			now, err = kept.lift(x, now)
		}
		if respond.Gone(err) {
			return true, nil
		}
		return sameSet(now.Groups, []string{o.end()}), err
	})
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case !ok:
		return playbook.Outcome{}, unseen(x, o.Interface+" is in "+kit.Join(now.Groups)+", and not in "+o.end()+" alone"+kept.refused)
	}
	if err := settleOwn(x, "open"); err != nil {
		return playbook.Outcome{}, err
	}
	message := o.Interface + " is in " + o.end() + " alone"
	if o.Through != "" {
		message += ", which leads to endpoints until memory was taken"
	} else if err := settleOwn(x, "through"); err != nil {
		return playbook.Outcome{}, err
	}
	if why != "" {
		message += ", " + why
	}
	return done(message)
}

// setGroups replaces the groups of an interface: of this one alone, never of the
// instance as a whole.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyNetworkInterfaceAttribute.html
func setGroups(ctx context.Context, c awscalls.EC2, id string, groups ...string) error {
	_, err := c.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, Groups: groups})
	return err
}

// interfaceNow describes one interface.
func interfaceNow(x *respond.Exec, id string) (Interface, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (Interface, error) { return oneInterface(ctx, c, id) })
}

func oneInterface(ctx context.Context, c awscalls.EC2, id string) (Interface, error) {
	out, err := c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil {
		return Interface{}, err
	}
	for _, n := range out.NetworkInterfaces {
		if str(n.NetworkInterfaceId) == id {
			return readInterface(n), nil
		}
	}
	return Interface{}, &smithy.GenericAPIError{Code: "InvalidNetworkInterfaceID.NotFound", Message: id + " is not described"}
}

// closeOpened is the closing of an interface that may be in the convert group.
func closeOpened(ctx context.Context, a awscalls.AWS, owed respond.Owed, _ time.Time) error {
	var o opened
	if err := json.Unmarshal(owed.Params, &o); err != nil {
		return err
	}
	r, c, err := both(ctx, a, owed.Place, awscalls.AWS.EC2)
	if err != nil {
		return err
	}
	now, err := oneInterface(ctx, r, o.Interface)
	if respond.Gone(err) {
		return nil
	}
	if err != nil || !slices.Contains(now.Groups, o.Convert) {
		return err // it was never opened, or is closed
	}
	err = setGroups(ctx, c, o.Interface, o.Contain)
	if err == nil || respond.Transient(err) || len(o.Before) == 0 {
		return err
	}
	// It cannot be contained; open to everything it must not stay.
	if back := setGroups(ctx, c, o.Interface, o.Before...); back != nil {
		return err
	}
	return nil
}

type releaseParams struct {
	Interface string   `json:"interface"`
	Before    []string `json:"before"`
	After     []string `json:"after"`
	Convert   string   `json:"convert,omitempty"`
	// Ours are groups in which, alone, it is as the run left it.
	Ours []string `json:"ours,omitempty"`
	// Instance had these groups of its own, which were taken away.
	Instance string   `json:"instance,omitempty"`
	Launched []string `json:"launched,omitempty"`
	// Lingered says that those of the instance showed on this interface too.
	Lingered bool `json:"lingered,omitempty"`
}

// undoIsolate restores the groups that the interface had.
func undoIsolate(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var p isolateParams
	r := releaseParams{}
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil, err
	}
	rec.Load(savedOurs, &r.Ours)
	if !rec.Load(respond.SavedBefore, &r.Before) || !rec.Load(respond.SavedAfter, &r.After) || sameSet(r.Before, r.After) && len(r.Ours) == 0 {
		return nil, nil
	}
	r.Interface = p.Interface
	rec.Load(savedLingered, &r.Lingered)
	if rec.Load(savedLaunched, &r.Launched) {
		r.Instance = p.Instance
	}
	return restore(s, actRelease, p.Interface+": "+containName+" -> "+kit.Join(r.Before), r)
}

// release gives an interface the groups back that it had.
func release(x *respond.Exec) (playbook.Outcome, error) {
	var p releaseParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var asked bool
	x.Load(savedAsked, &asked)
	kept := lingering{instance: p.Instance, want: p.Before, ours: slices.Concat(p.After, p.Ours), groups: p.Launched}
	now, err := interfaceNow(x, p.Interface)
	switch {
	case respond.Gone(err):
		return done(p.Interface + " does not exist any more")
	case err != nil:
		return playbook.Outcome{}, err
	case sameSet(now.Groups, p.Before):
		return done(p.Interface + " has the groups that it had before")
	case (asked || p.Lingered) && kept.only(now): // an earlier attempt did it, or another interface
	case !sameSet(now.Groups, p.After) && !slices.ContainsFunc(p.Ours, func(id string) bool { return sameSet(now.Groups, []string{id}) }):
		return playbook.Outcome{}, kit.Changed("the groups of " + p.Interface + ", now " + kit.Join(now.Groups) + ",")
	}
	if err := x.Save(savedAsked, true); err != nil {
		return playbook.Outcome{}, err
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		return setGroups(ctx, c, p.Interface, p.Before...)
	})
	if respond.Is(err, "InvalidGroup.NotFound") {
		return playbook.Outcome{}, conflict("a group that "+p.Interface+" had does not exist any more; it had "+kit.Join(p.Before), "it stays in "+containName, "give it the groups by hand that it should have")
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	ok, err := seen(x, func() (ok bool, err error) {
		now, err = interfaceNow(x, p.Interface)
		if err == nil {
			now, err = kept.lift(x, now)
		}
		return sameSet(now.Groups, p.Before), err
	})
	if err == nil && !ok {
		err = unseen(x, p.Interface+" is in "+kit.Join(now.Groups)+", and not in "+kit.Join(p.Before)+" alone"+kept.refused)
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done(p.Interface + " has the groups that it had before: " + kit.Join(p.Before))
}
