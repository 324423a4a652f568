package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// How an instance leaves its Auto Scaling group.
const (
	howDetach  = "detach"
	howStandby = "standby"
)

// replaceUnhealthy is the process that ends instances that look unhealthy: an
// isolated one does.
const replaceUnhealthy = "ReplaceUnhealthy"

const inService = "InService"

type scalingParams struct {
	Instance string `json:"instance"`
	Group    string `json:"group"`
	How      string `json:"how"`
}

// groupNow describes the group; nil when there is none of that name.
func groupNow(x *respond.Exec, p scalingParams) (*Scaling, error) {
	return see(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) (*Scaling, error) {
		return readGroup(ctx, c, p.Group, p.Instance)
	})
}

// leave takes the instance out of its Auto Scaling group before the network is
// cut: a group ends an instance that looks unhealthy, and the evidence with it. A
// replacement starts. It waits some seconds until the instance is out of
// service; where it is not by then, the group is kept from ending it.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-detach-attach-instances.html
func leave(x *respond.Exec) (playbook.Outcome, error) {
	var p scalingParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() (*Scaling, error) { return groupNow(x, p) })
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case before == nil:
		return skipped("group " + p.Group + " does not exist any more")
	case before.Lifecycle == "":
		return skipped("it was not in " + p.Group + " any more")
	}
	now, err := groupNow(x, p)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if now != nil && (now.Lifecycle == inService || strings.HasPrefix(now.Lifecycle, "Pending")) {
		err := change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error { return leaveCall(ctx, c, p) })
		switch {
		case respond.Is(err, "ScalingActivityInProgress*"):
			return playbook.Outcome{}, fault.New(fault.Unavailable, p.Group+" is busy with another activity", "it is asked again")
		case err != nil && (ends(err) || errors.Is(err, playbook.ErrAborted) || respond.Transient(err)):
			return playbook.Outcome{}, err
		case err != nil:
			held := hold(x, p, before, false)
			switch {
			case held != nil && (ends(held) || errors.Is(held, playbook.ErrAborted)):
				return playbook.Outcome{}, held
			case held != nil:
				why := fmt.Sprintf("%s of %s could not be suspended either (%s): the group may end the instance", replaceUnhealthy, p.Group, respond.Reason(held))
				if open := stillOpen(x, why); open != nil {
					return playbook.Outcome{}, open
				}
				return playbook.Outcome{}, respond.Explain(err, x.Def.Title+"; "+why, "what was done before stays")
			}
			if open := stillOpen(x, replaceUnhealthy+" of "+p.Group+" is suspended until the run is undone: the instance could not be taken out"); open != nil {
				return playbook.Outcome{}, open
			}
			return playbook.Outcome{}, respond.Explain(err, x.Def.Title, replaceUnhealthy+" of "+p.Group+" is suspended, so that the group does not end the instance")
		}
	}
	left, state := false, ""
	for end := x.Now().Add(leaveWait); ; {
		now, err := groupNow(x, p)
		if err != nil {
			return playbook.Outcome{}, err
		}
		left, state = now == nil || now.Lifecycle == "" || now.Lifecycle != inService && !strings.HasPrefix(now.Lifecycle, "Pending"), ""
		if now != nil {
			state = now.Lifecycle
		}
		if left || !x.Now().Before(end) {
			break
		}
		if err := x.Sleep(time.Second); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if strings.HasPrefix(state, "Terminat") {
		return playbook.Outcome{}, conflict(p.Group+" is ending "+p.Instance+" already", "its volumes are kept where that could be set", "take what there is from the volumes")
	}
	if !left {
		if err := hold(x, p, before, true); err != nil {
			return playbook.Outcome{}, err
		}
		return done("still " + state + " in " + p.Group + "; " + replaceUnhealthy + " is suspended until it has left")
	}
	return done("out of service in " + p.Group + word(state))
}

func word(state string) string {
	if state == "" {
		return ""
	}
	return ": " + state
}

func leaveCall(ctx context.Context, c awscalls.AutoScaling, p scalingParams) error {
	if p.How == howStandby {
		_, err := c.EnterStandby(ctx, &autoscaling.EnterStandbyInput{AutoScalingGroupName: &p.Group, InstanceIds: []string{p.Instance}, ShouldDecrementDesiredCapacity: aws.Bool(false)})
		return err
	}
	_, err := c.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: &p.Group, InstanceIds: []string{p.Instance}, ShouldDecrementDesiredCapacity: aws.Bool(false)})
	return err
}

// hold keeps the group from ending instances that look unhealthy. Where the
// instance will leave, resuming is owed; where it will not, undo resumes.
func hold(x *respond.Exec, p scalingParams, before *Scaling, owed bool) error {
	if slices.Contains(before.Suspended, replaceUnhealthy) {
		return nil
	}
	if err := x.Save(savedSuspended, true); err != nil {
		return err
	}
	id := ""
	if owed {
		var err error
		if id, err = nextOwed(x, "suspended"); err != nil {
			return err
		}
	}
	return change(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error {
		if owed {
			raw, err := json.Marshal(p)
			if err != nil {
				return playbook.Permanent(err)
			}
			now := x.Now()
			err = x.Owed.Owe(ctx, respond.Owed{ID: id, Run: x.RunID, Kind: closeSuspended, Params: raw, Place: x.Place(), Due: now.Add(30 * time.Minute),
				Why: replaceUnhealthy + " of " + p.Group + " is suspended", OpenedAt: now})
			if err != nil {
				return err
			}
		}
		_, err := c.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &p.Group, ScalingProcesses: []string{replaceUnhealthy}})
		return err
	})
}

func resume(ctx context.Context, c awscalls.AutoScaling, group string) error {
	_, err := c.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &group, ScalingProcesses: []string{replaceUnhealthy}})
	return err
}

// away reports whether the group has let the instance go for good.
func away(s *Scaling) bool {
	return s == nil || s.Lifecycle == "" || s.Lifecycle == "Standby" || s.Lifecycle == "Detached"
}

type leftParams struct {
	scalingParams
	Leave string `json:"leave"` // the step
}

// left waits until the group has let the instance go, which takes as long as its
// connections drain, and then resumes what was suspended. It runs after an abort.
func left(x *respond.Exec) (playbook.Outcome, error) {
	var p leftParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	rec, ok := x.Record(p.Leave)
	if !ok || rec.State != playbook.Completed {
		return skipped("it was not taken out of the group")
	}
	state := ""
	err := x.Poll(func() (bool, error) {
		s, err := groupNow(x, p.scalingParams)
		if err != nil {
			return false, err
		}
		if s != nil {
			state = s.Lifecycle
		}
		return away(s), nil
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	var suspended bool
	if rec.Load(savedSuspended, &suspended) && suspended {
		if err := finish(x, awscalls.AWS.AutoScaling, func(ctx context.Context, c awscalls.AutoScaling) error { return resume(ctx, c, p.Group) }); err != nil && !respond.Gone(err) {
			return playbook.Outcome{}, err
		}
		if err := settle(x, x.RunID, rec, "suspended"); err != nil {
			return playbook.Outcome{}, err
		}
	}
	return done("out of " + p.Group + word(state))
}

// closeResume is the closing of a suspended process: once the group has let the
// instance go.
func closeResume(ctx context.Context, a awscalls.AWS, o respond.Owed, _ time.Time) error {
	var p scalingParams
	if err := json.Unmarshal(o.Params, &p); err != nil {
		return err
	}
	r, c, err := both(ctx, a, o.Place, awscalls.AWS.AutoScaling)
	if err != nil {
		return err
	}
	s, err := readGroup(ctx, r, p.Group, p.Instance)
	switch {
	case err != nil:
		return err
	case s == nil:
		return nil
	case !away(s):
		return fmt.Errorf("%s is still %s in %s; the group would end it", p.Instance, s.Lifecycle, p.Group)
	}
	return resume(ctx, c, p.Group)
}
