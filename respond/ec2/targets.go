package ec2

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

type pair struct {
	ID   string `json:"id"`
	Port int32  `json:"port"`
	Zone string `json:"zone,omitempty"`
}

type targetsParams struct {
	Instance string `json:"instance"`
	Group    string `json:"group"` // ARN
	Name     string `json:"name"`
	Targets  []pair `json:"targets"`
	// IDs are the instance and its addresses: each registration of one of them is
	// meant, whatever its port and whether the plan knew it or not. None: Targets.
	IDs []string `json:"ids,omitempty"`
}

// means reports whether the parameters mean a registration.
func (p targetsParams) means(t pair) bool {
	return slices.Contains(p.IDs, t.ID) || slices.ContainsFunc(p.Targets, func(want pair) bool { return want.ID == t.ID && want.Port == t.Port })
}

// registered are those of the targets that are registered now and do not drain.
func registered(x *respond.Exec, p targetsParams) ([]pair, error) {
	return see(x, awscalls.AWS.ELBv2, func(ctx context.Context, c awscalls.ELBv2) ([]pair, error) {
		out, err := c.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: &p.Group})
		if err != nil {
			return nil, err
		}
		list := []pair{}
		for _, h := range out.TargetHealthDescriptions {
			if h.Target == nil || h.TargetHealth != nil && h.TargetHealth.State == types.TargetHealthStateEnumDraining {
				continue
			}
			t := pair{ID: str(h.Target.Id), Port: aws.ToInt32(h.Target.Port), Zone: str(h.Target.AvailabilityZone)}
			if p.means(t) {
				list = append(list, t)
			}
		}
		return list, nil
	})
}

func descriptions(list []pair) []types.TargetDescription {
	out := make([]types.TargetDescription, 0, len(list))
	for _, t := range list {
		d := types.TargetDescription{Id: aws.String(t.ID), Port: aws.Int32(t.Port)}
		if t.Zone != "" {
			d.AvailabilityZone = aws.String(t.Zone)
		}
		out = append(out, d)
	}
	return out
}

// deregister takes the instance out of a target group: what is registered now,
// after its Auto Scaling group has taken out what it does. Nobody waits for what
// drains: isolation cuts it.
func deregister(x *respond.Exec) (playbook.Outcome, error) {
	var p targetsParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() ([]pair, error) { return registered(x, p) })
	if err != nil {
		return orGone(playbook.Outcome{}, err)
	}
	if len(before) == 0 {
		return skipped("not registered in " + p.Name + " any more")
	}
	if now, err := registered(x, p); err != nil {
		return orGone(playbook.Outcome{}, err)
	} else if len(now) == 0 {
		return done(fmt.Sprintf("%s taken out of %s", respond.Count(len(before), "registration"), p.Name)) // by an earlier attempt
	}
	if err := p.takeOut(x, before); err != nil {
		return playbook.Outcome{}, err
	}
	return done(fmt.Sprintf("%s taken out of %s", respond.Count(len(before), "registration"), p.Name))
}

// takeOut deregisters targets.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html
func (p targetsParams) takeOut(x *respond.Exec, list []pair) error {
	in := make([]types.TargetDescription, 0, len(list))
	for _, t := range list {
		in = append(in, types.TargetDescription{Id: aws.String(t.ID), Port: aws.Int32(t.Port)})
	}
	return change(x, awscalls.AWS.ELBv2, func(ctx context.Context, c awscalls.ELBv2) error {
		_, err := c.DeregisterTargets(ctx, &elasticloadbalancingv2.DeregisterTargetsInput{TargetGroupArn: &p.Group, Targets: in})
		return err
	})
}

// remove deregisters what of the targets is registered now, if anything.
func (p targetsParams) remove(x *respond.Exec) error {
	now, err := registered(x, p)
	if err != nil || len(now) == 0 {
		return err
	}
	return p.takeOut(x, now)
}

func undoDeregister(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	p, err := paramsOf[targetsParams](s)
	if err != nil {
		return nil, err
	}
	p.Targets, p.IDs = nil, nil
	if !rec.Load(respond.SavedBefore, &p.Targets) || len(p.Targets) == 0 {
		return nil, nil
	}
	return restore(s, actRegister, fmt.Sprintf("%s -> target group %s", respond.Count(len(p.Targets), "registration"), p.Name), p)
}

// register puts the registrations back that are missing.
func register(x *respond.Exec) (playbook.Outcome, error) {
	var p targetsParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	now, err := registered(x, p)
	switch {
	case respond.Gone(err):
		return playbook.Outcome{}, conflict("target group "+p.Name+" does not exist any more", "nothing was changed", "register the instance by hand where it belongs")
	case err != nil:
		return playbook.Outcome{}, err
	case len(now) == len(p.Targets):
		return done("registered in " + p.Name)
	}
	err = change(x, awscalls.AWS.ELBv2, func(ctx context.Context, c awscalls.ELBv2) error {
		_, err := c.RegisterTargets(ctx, &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: &p.Group, Targets: descriptions(p.Targets)})
		return err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done("registered in " + p.Name)
}

type balancerParams struct {
	Name     string `json:"name"`
	Instance string `json:"instance"`
}

// behind reports whether a classic load balancer holds the instance.
func behind(x *respond.Exec, p balancerParams) (bool, error) {
	return see(x, awscalls.AWS.ELB, func(ctx context.Context, c awscalls.ELB) (bool, error) {
		out, err := c.DescribeLoadBalancers(ctx, &elasticloadbalancing.DescribeLoadBalancersInput{LoadBalancerNames: []string{p.Name}})
		if err != nil {
			return false, err
		}
		for _, lb := range out.LoadBalancerDescriptions {
			for _, i := range lb.Instances {
				if str(i.InstanceId) == p.Instance {
					return true, nil
				}
			}
		}
		return false, nil
	})
}

func outOfBalancer(x *respond.Exec) (playbook.Outcome, error) {
	var p balancerParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() (bool, error) { return behind(x, p) })
	if err != nil {
		return orGone(playbook.Outcome{}, err)
	}
	if !before {
		return skipped("not behind " + p.Name + " any more")
	}
	if err := p.remove(x); err != nil {
		return playbook.Outcome{}, err
	}
	return done("taken out of " + p.Name)
}

// remove takes the instance out; one that is not in it is out.
// https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_DeregisterInstancesFromLoadBalancer.html
func (p balancerParams) remove(x *respond.Exec) error {
	err := change(x, awscalls.AWS.ELB, func(ctx context.Context, c awscalls.ELB) error {
		_, err := c.DeregisterInstancesFromLoadBalancer(ctx, &elasticloadbalancing.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: &p.Name, Instances: []classic.Instance{{InstanceId: &p.Instance}}})
		return err
	})
	if respond.Is(err, "InvalidInstance") {
		return nil
	}
	return err
}

func undoBalancer(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	p, err := paramsOf[balancerParams](s)
	var before bool
	if err != nil || !rec.Load(respond.SavedBefore, &before) || !before {
		return nil, err
	}
	return restore(s, actRebalance, p.Instance+" -> load balancer "+p.Name, p)
}

func intoBalancer(x *respond.Exec) (playbook.Outcome, error) {
	var p balancerParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	now, err := behind(x, p)
	switch {
	case respond.Gone(err):
		return playbook.Outcome{}, conflict("load balancer "+p.Name+" does not exist any more", "nothing was changed", "register the instance by hand where it belongs")
	case err != nil:
		return playbook.Outcome{}, err
	case now:
		return done("behind " + p.Name)
	}
	err = change(x, awscalls.AWS.ELB, func(ctx context.Context, c awscalls.ELB) error {
		_, err := c.RegisterInstancesWithLoadBalancer(ctx, &elasticloadbalancing.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: &p.Name, Instances: []classic.Instance{{InstanceId: &p.Instance}}})
		return err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done("behind " + p.Name)
}
