package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type returnParams struct {
	scalingParams
	Before    *Scaling `json:"before"`
	Suspended bool     `json:"suspended,omitempty"`
	// Leave is the record of the step that suspended, for what it may owe.
	Leave *playbook.Record `json:"leave,omitempty"`
}

// undoLeave takes the instance back into its group.
func undoLeave(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	p, err := paramsOf[returnParams](s)
	if err != nil || !rec.Load(respond.SavedBefore, &p.Before) || p.Before == nil || p.Before.Lifecycle == "" {
		return nil, err
	}
	rec.Load(savedSuspended, &p.Suspended)
	if p.Suspended {
		n := 0
		rec.Load(savedOwed+"suspended", &n)
		p.Leave = &playbook.Record{Name: rec.Name, Saved: map[string]json.RawMessage{savedOwed + "suspended": json.RawMessage(kit.MustJSON(n))}}
	}
	steps, err := restore(s, actReturn, p.Instance+" -> back in "+p.Group+"; the replacement that the group started for it ends", p)
	steps[0].Approval = "the replacement in " + p.Group + " is ended, and what it holds is gone"
	return steps, err
}

// comeBack attaches the instance again, or ends its standby. Both raise the
// desired capacity by one. The replacement that the group started is then ended
// by its id, which lowers the capacity again: so the group never chooses whom to
// end, and never has fewer members than before.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AttachInstances.html
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html
func comeBack(x *respond.Exec) (playbook.Outcome, error) {
	var p returnParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	over, err := ended(x, p.Instance)
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case over:
		return playbook.Outcome{State: playbook.Skipped, Message: p.Instance + " is ended: its replacement stays"}, p.release(x)
	}
	start, err := respond.Once(x, savedStart, func() (*Scaling, error) { return groupNow(x, p.scalingParams) })
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case start == nil:
		return playbook.Outcome{}, conflict("group "+p.Group+" does not exist any more", "the instance stays outside", "put it where it belongs by hand")
	case start.Lifecycle == inService:
		return outcome("it is in "+p.Group+" already"+p.oneMore(start), p.release(x))
	case !away(start):
		return playbook.Outcome{}, fmt.Errorf("it is %s in %s", start.Lifecycle, p.Group)
	}
	if err := p.attach(x, start); err != nil {
		return playbook.Outcome{}, err
	}
	message, err := p.shrink(x, start)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := p.lower(x, start); err != nil {
		return playbook.Outcome{}, err
	}
	left, err := p.forget(x)
	if err != nil {
		return playbook.Outcome{}, err
	}
	message += left
	return outcome("in "+p.Group+" again; "+message, p.release(x))
}

// oneMore says of a group that the instance is in already whether it may have one
// member too many: an undo before this one that was aborted has put it back and not
// ended its replacement, or a colleague wants more. A person knows which.
func (p returnParams) oneMore(now *Scaling) string {
	extra := p.replacement(now, now)
	if extra == "" || now.Desired < p.Before.Desired || active(now) <= active(p.Before) {
		return ""
	}
	return fmt.Sprintf("; %s is to have %d members, and had %d with it: if an undo was aborted before this one, %s is the replacement, to be ended by hand with one less desired", p.Group, now.Desired, active(p.Before), extra)
}

func outcome(message string, err error) (playbook.Outcome, error) {
	return playbook.Outcome{Message: message}, err
}

// attach puts the instance back and waits until it is in service. A group at its
// maximum takes one more for as long as that needs; lowering it again is owed.
func (p returnParams) attach(x *respond.Exec, start *Scaling) error {
	now, err := groupNow(x, p.scalingParams)
	if err != nil {
		return err
	}
	if now == nil {
		return fmt.Errorf("group %s is gone", p.Group)
	}
	if away(now) {
		if now.Max < start.Desired+1 {
			if err := p.raise(x, start); err != nil {
				return err
			}
		}
		err := change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error {
			if now.Lifecycle == "Standby" {
				_, err := c.ExitStandby(ctx, &autoscaling.ExitStandbyInput{AutoScalingGroupName: &p.Group, InstanceIds: []string{p.Instance}})
				return err
			}
			_, err := c.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: &p.Group, InstanceIds: []string{p.Instance}})
			return err
		})
		if err != nil && respond.Is(err, "ValidationError") { // a lost answer: it may be in already
			if again, look := groupNow(x, p.scalingParams); look == nil && !away(again) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	err = x.Poll(func() (bool, error) {
		now, err = groupNow(x, p.scalingParams)
		return now != nil && now.Lifecycle == inService, err
	})
	if err != nil || now.Protected == p.Before.Protected {
		return err
	}
	return change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error {
		_, err := c.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: &p.Group, InstanceIds: []string{p.Instance}, ProtectedFromScaleIn: aws.Bool(p.Before.Protected)})
		return err
	})
}

// maximum is what must be known to lower the maximum of a group again.
type maximum struct {
	Group  string `json:"group"`
	Was    int32  `json:"was"`
	Raised int32  `json:"raised"`
}

func (p returnParams) raise(x *respond.Exec, start *Scaling) error {
	m := maximum{Group: p.Group, Was: start.Max, Raised: start.Desired + 1}
	raw, err := json.Marshal(m)
	if err != nil {
		return playbook.Permanent(err)
	}
	id, err := nextOwed(x, "maximum")
	if err != nil {
		return err
	}
	return change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error {
		now := x.Now()
		err := x.Owed.Owe(ctx, respond.Owed{ID: id, Run: x.RunID, Kind: closeMaximum, Params: raw, Place: x.Place(), Due: now.Add(time.Hour),
			Why: fmt.Sprintf("the maximum of %s is %d for a while and was %d", m.Group, m.Raised, m.Was), OpenedAt: now})
		if err != nil {
			return err
		}
		_, err = c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &m.Group, MaxSize: &m.Raised})
		return err
	})
}

// lower restores the maximum.
func (p returnParams) lower(x *respond.Exec, start *Scaling) error {
	if start.Max >= start.Desired+1 {
		return nil
	}
	m := maximum{Group: p.Group, Was: start.Max, Raised: start.Desired + 1}
	if err := x.Finish(func(ctx context.Context) error { return m.lower(ctx, x.AWS, x.Place()) }); err != nil {
		return err
	}
	return settleOwn(x, "maximum")
}

// lower lowers the maximum unless somebody changed it since, and never below
// what the group is to have: that would end somebody.
func (m maximum) lower(ctx context.Context, a awscalls.AWS, place awscalls.Place) error {
	r, c, err := both(ctx, a, place, awscalls.AWS.AutoScaling)
	if err != nil {
		return err
	}
	s, err := readGroup(ctx, r, m.Group, "")
	if err != nil || s == nil || s.Max != m.Raised {
		return err
	}
	if s.Desired > m.Was {
		return fault.New(fault.Conflict, fmt.Sprintf("%s is to have %d members, more than its maximum of %d was", m.Group, s.Desired, m.Was), "lower the desired capacity, then the maximum, by hand")
	}
	_, err = c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &m.Group, MaxSize: &m.Was})
	return err
}

// closeMax is the closing of a raised maximum.
func closeMax(ctx context.Context, a awscalls.AWS, o respond.Owed, _ time.Time) error {
	var m maximum
	if err := json.Unmarshal(o.Params, &m); err != nil {
		return err
	}
	return m.lower(ctx, a, o.Place)
}

// shrink takes the desired capacity back to what it was when the undo began, by
// ending the replacement: the member that the group did not have before the
// instance left. Where there is none, the number alone is lowered if nobody is
// ended by that.
func (p returnParams) shrink(x *respond.Exec, start *Scaling) (string, error) {
	var named string
	x.Load(savedReplacement, &named)
	now, err := groupNow(x, p.scalingParams)
	if err != nil {
		return "", err
	}
	if now == nil || now.Desired <= start.Desired {
		if named != "" {
			return "the replacement " + named + " is ended", nil
		}
		return "its capacity is as before", nil
	}
	if named == "" {
		named = p.replacement(start, now)
	}
	switch {
	case named != "":
		if err := x.Save(savedReplacement, named); err != nil {
			return "", err
		}
		err := change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error {
			_, err := c.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &named, ShouldDecrementDesiredCapacity: aws.Bool(true)})
			return err
		})
		return "the replacement " + named + " is ended", err
	case active(now) <= int(start.Desired):
		err := change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error {
			_, err := c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &p.Group, DesiredCapacity: &start.Desired})
			return err
		})
		return "no replacement was started", err
	}
	return fmt.Sprintf("the group has %d members, one more than it had: who of them is the replacement cannot be told", active(now)), nil
}

// patience is how many times AWS is asked for an answer.
const patience = 3

// forget takes the replacement that was ended out of the target groups and load
// balancers of the group, should it be in one still. AWS does that by itself as it
// ends a member; where it does not, clients would be sent to what is gone. What
// cannot be looked at does not hold the undo up.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/attach-load-balancer-asg.html
func (p returnParams) forget(x *respond.Exec) (string, error) {
	var named string
	if !x.Load(savedReplacement, &named) || named == "" {
		return "", nil
	}
	var failed []string
	note := func(where string, err error) error {
		switch {
		case err == nil, respond.Gone(err):
			return nil
		case ends(err), errors.Is(err, playbook.ErrAborted), respond.Transient(err) && x.Attempt() < patience:
			return err
		}
		failed = append(failed, where)
		return nil
	}
	for _, arn := range p.Before.TargetGroups {
		t := targetsParams{Group: arn, IDs: []string{named}}
		if err := note(targetGroupName(arn), t.remove(x)); err != nil {
			return "", err
		}
	}
	for _, name := range p.Before.Classic {
		b := balancerParams{Name: name, Instance: named}
		in, err := behind(x, b)
		if err == nil && in {
			err = b.remove(x)
		}
		if err := note(name, err); err != nil {
			return "", err
		}
	}
	if len(failed) > 0 {
		return "; whether " + named + " is out of " + kit.Join(failed) + " is not known", nil
	}
	return "", nil
}

// targetGroupName is the name in the ARN of a target group.
func targetGroupName(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) == 3 {
		return parts[1]
	}
	return arn
}

// replacement is the member that came for the instance: one that was not there
// before it left, rather one that was there when the undo began.
func (p returnParams) replacement(start, now *Scaling) string {
	newest := ""
	for _, id := range slices.Sorted(maps.Keys(now.Members)) {
		_, before := p.Before.Members[id]
		if before || id == p.Instance || leaving(now.Members[id]) {
			continue
		}
		if _, then := start.Members[id]; then {
			return id
		}
		newest = id
	}
	return newest
}

func leaving(state string) bool {
	return strings.HasPrefix(state, "Terminat") || strings.HasPrefix(state, "Detach")
}

// active is how many members count towards the desired capacity.
func active(s *Scaling) int {
	n := 0
	for _, state := range s.Members {
		if !leaving(state) && !strings.Contains(state, "Standby") && !strings.HasPrefix(state, "Warmed") {
			n++
		}
	}
	return n
}

// release resumes what the run suspended and may still be.
func (p returnParams) release(x *respond.Exec) error {
	if !p.Suspended {
		return nil
	}
	err := change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error { return resume(ctx, c, p.Group) })
	if err != nil {
		return err
	}
	if p.Leave == nil {
		return nil
	}
	return settle(x, x.Plan.UndoOf, *p.Leave, "suspended")
}
