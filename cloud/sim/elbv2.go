package sim

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// elbv2Client speaks awscalls.ELBv2.
type elbv2Client struct{ client }

var _ awscalls.ELBv2 = (*elbv2Client)(nil)

func elbv2Do[O any](ctx context.Context, c *elbv2Client, operation string, changes bool, in any, f func(s *scope) (*O, error)) (*O, error) {
	return do(ctx, c.client, "Elastic Load Balancing v2", operation, changes, in, func(a *account, r *region) (*O, error) {
		return f(c.w.scopeOf(a, r, c.w.now()))
	})
}

func (s *scope) targetGroup(arn *string) (*targetGroup, error) {
	if g := s.r.ELB.Targets[aws.ToString(arn)]; g != nil {
		return g, nil
	}
	return nil, fail("TargetGroupNotFound", "Target groups '%s' not found", aws.ToString(arn))
}

// DescribeTargetGroups implements awscalls.ELBv2.
func (c *elbv2Client) DescribeTargetGroups(ctx context.Context, in *elb.DescribeTargetGroupsInput, _ ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error) {
	return elbv2Do(ctx, c, "DescribeTargetGroups", false, in, func(s *scope) (*elb.DescribeTargetGroupsOutput, error) {
		for _, arn := range in.TargetGroupArns {
			if _, err := s.targetGroup(&arn); err != nil {
				return nil, err
			}
		}
		var all []*targetGroup
		for _, g := range inOrder(s.r.ELB.Targets) {
			if (len(in.TargetGroupArns) == 0 || slices.Contains(in.TargetGroupArns, g.ARN)) && (len(in.Names) == 0 || slices.Contains(in.Names, g.Name)) &&
				(in.LoadBalancerArn == nil || *in.LoadBalancerArn == g.Balancer) {
				all = append(all, g)
			}
		}
		all, next, err := page(s, all, paging{Max: in.PageSize, Next: in.Marker, Least: 1, Most: 400})
		if err != nil {
			return nil, err
		}
		out := &elb.DescribeTargetGroupsOutput{NextMarker: next}
		for _, g := range all {
			shown := types.TargetGroup{TargetGroupArn: aws.String(g.ARN), TargetGroupName: aws.String(g.Name), TargetType: types.TargetTypeEnum(g.Type),
				Protocol: types.ProtocolEnum(g.Protocol), Port: aws.Int32(g.Port), VpcId: aws.String(g.VPC), HealthCheckEnabled: aws.Bool(true)}
			if g.Balancer != "" {
				shown.LoadBalancerArns = []string{g.Balancer}
			}
			out.TargetGroups = append(out.TargetGroups, shown)
		}
		return out, nil
	})
}

// DescribeTargetHealth implements awscalls.ELBv2.
func (c *elbv2Client) DescribeTargetHealth(ctx context.Context, in *elb.DescribeTargetHealthInput, _ ...func(*elb.Options)) (*elb.DescribeTargetHealthOutput, error) {
	return elbv2Do(ctx, c, "DescribeTargetHealth", false, in, func(s *scope) (*elb.DescribeTargetHealthOutput, error) {
		g, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		out := &elb.DescribeTargetHealthOutput{}
		for _, t := range g.Targets {
			if len(in.Targets) > 0 && !slices.ContainsFunc(in.Targets, t.is(g)) {
				continue
			}
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, s.showTarget(g, t))
		}
		for _, want := range in.Targets {
			if slices.ContainsFunc(g.Targets, func(t *target) bool { return t.is(g)(want) }) {
				continue
			}
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, types.TargetHealthDescription{Target: &want,
				TargetHealth: &types.TargetHealth{State: types.TargetHealthStateEnumUnused, Reason: types.TargetHealthReasonEnumNotRegistered, Description: aws.String("Target is not registered to the target group")}})
		}
		return out, nil
	})
}

// is reports whether a description names the target.
func (t *target) is(g *targetGroup) func(types.TargetDescription) bool {
	return func(d types.TargetDescription) bool {
		port := g.Port
		if d.Port != nil {
			port = *d.Port
		}
		return aws.ToString(d.Id) == t.ID && port == t.Port
	}
}

func (s *scope) showTarget(g *targetGroup, t *target) types.TargetHealthDescription {
	state, reason := s.healthy(g, t)
	d := types.TargetDescription{Id: aws.String(t.ID), Port: aws.Int32(t.Port)}
	if t.AZ != "" {
		d.AvailabilityZone = aws.String(t.AZ)
	}
	health := &types.TargetHealth{State: types.TargetHealthStateEnum(state)}
	if reason != "" {
		health.Reason = types.TargetHealthReasonEnum(reason)
	}
	return types.TargetHealthDescription{Target: &d, TargetHealth: health, HealthCheckPort: aws.String("traffic-port")}
}

// DeregisterTargets implements awscalls.ELBv2. One that is not registered is
// success. What drains is still listed.
func (c *elbv2Client) DeregisterTargets(ctx context.Context, in *elb.DeregisterTargetsInput, _ ...func(*elb.Options)) (*elb.DeregisterTargetsOutput, error) {
	return elbv2Do(ctx, c, "DeregisterTargets", true, in, func(s *scope) (*elb.DeregisterTargetsOutput, error) {
		g, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		if len(in.Targets) == 0 {
			return nil, fail("ValidationError", "At least one target must be specified")
		}
		s.drain(g, func(t *target) bool {
			return slices.ContainsFunc(in.Targets, func(d types.TargetDescription) bool {
				return aws.ToString(d.Id) == t.ID && (d.Port == nil || *d.Port == t.Port)
			})
		})
		return &elb.DeregisterTargetsOutput{}, nil
	})
}

// RegisterTargets implements awscalls.ELBv2.
func (c *elbv2Client) RegisterTargets(ctx context.Context, in *elb.RegisterTargetsInput, _ ...func(*elb.Options)) (*elb.RegisterTargetsOutput, error) {
	return elbv2Do(ctx, c, "RegisterTargets", true, in, func(s *scope) (*elb.RegisterTargetsOutput, error) {
		g, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		if len(in.Targets) == 0 {
			return nil, fail("ValidationError", "At least one target must be specified")
		}
		for _, d := range in.Targets {
			if err := s.mayRegister(g, aws.ToString(d.Id)); err != nil {
				return nil, err
			}
		}
		for _, d := range in.Targets {
			port := g.Port
			if d.Port != nil {
				port = *d.Port
			}
			s.register(g, *d.Id, port, aws.ToString(d.AvailabilityZone))
		}
		return &elb.RegisterTargetsOutput{}, nil
	})
}

func (s *scope) mayRegister(g *targetGroup, id string) error {
	if g.Type == "ip" {
		if _, err := netip.ParseAddr(id); err != nil {
			return fail("ValidationError", "The IP address '%s' is not a valid IPv4 or IPv6 address", id)
		}
		return nil
	}
	i := s.Instances[id]
	switch {
	case i == nil:
		return fail("InvalidTarget", "The following targets do not exist: '%s'", id)
	case i.VPC != g.VPC:
		return fail("InvalidTarget", "The following targets are not in the target group VPC '%s': '%s'", g.VPC, id)
	case i.State != "running":
		return fail("InvalidTarget", "The following targets are not in a running state and cannot be registered: '%s'", id)
	}
	return nil
}
