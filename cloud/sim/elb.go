package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	classicelb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// elbClient speaks awscalls.ELB, the classic load balancers.
type elbClient struct{ client }

var _ awscalls.ELB = (*elbClient)(nil)

const elbService = "Elastic Load Balancing"

func elbDo[O any](ctx context.Context, c *elbClient, operation string, changes bool, in any, f func(s *scope) (*O, error)) (*O, error) {
	return do(ctx, c.client, elbService, operation, changes, in, func(a *account, r *region) (*O, error) {
		return f(c.w.scopeOf(a, r, c.w.now()))
	})
}

// DescribeLoadBalancers implements awscalls.ELB.
func (c *elbClient) DescribeLoadBalancers(ctx context.Context, in *classicelb.DescribeLoadBalancersInput, _ ...func(*classicelb.Options)) (*classicelb.DescribeLoadBalancersOutput, error) {
	return elbDo(ctx, c, "DescribeLoadBalancers", false, in, func(s *scope) (*classicelb.DescribeLoadBalancersOutput, error) {
		var all []*classic
		for _, name := range in.LoadBalancerNames {
			if s.r.ELB.Classic[name] == nil {
				return nil, noBalancer(name)
			}
		}
		for _, b := range inOrder(s.r.ELB.Classic) {
			if len(in.LoadBalancerNames) == 0 || slices.Contains(in.LoadBalancerNames, b.Name) {
				all = append(all, b)
			}
		}
		all, next, err := page(s, all, paging{Max: in.PageSize, Next: in.Marker, Least: 1, Most: 400})
		if err != nil {
			return nil, err
		}
		out := &classicelb.DescribeLoadBalancersOutput{NextMarker: next}
		for _, b := range all {
			out.LoadBalancerDescriptions = append(out.LoadBalancerDescriptions, types.LoadBalancerDescription{LoadBalancerName: aws.String(b.Name), VPCId: aws.String(b.VPC),
				Instances: showMembers(b), HealthCheck: &types.HealthCheck{Target: aws.String(fmt.Sprintf("TCP:%d", b.Port)), Interval: aws.Int32(30), Timeout: aws.Int32(5), HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(2)},
				DNSName: aws.String(b.Name + "." + s.r.Name + ".elb.amazonaws.com")})
		}
		return out, nil
	})
}

func noBalancer(name string) error {
	return fail("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '%s'", name)
}

func showMembers(b *classic) []types.Instance {
	out := []types.Instance{}
	for _, id := range b.Instances {
		out = append(out, types.Instance{InstanceId: aws.String(id)})
	}
	return out
}

func (s *scope) classicOf(name *string, members []types.Instance) (*classic, []string, error) {
	b := s.r.ELB.Classic[aws.ToString(name)]
	if b == nil {
		return nil, nil, noBalancer(aws.ToString(name))
	}
	var ids []string
	for _, m := range members {
		id := aws.ToString(m.InstanceId)
		if s.Instances[id] == nil {
			return nil, nil, fail("InvalidInstance", "Could not find EC2 instance %s.", id)
		}
		ids = append(ids, id)
	}
	return b, ids, nil
}

// DeregisterInstancesFromLoadBalancer implements awscalls.ELB. One that is not
// registered is success.
func (c *elbClient) DeregisterInstancesFromLoadBalancer(ctx context.Context, in *classicelb.DeregisterInstancesFromLoadBalancerInput, _ ...func(*classicelb.Options)) (*classicelb.DeregisterInstancesFromLoadBalancerOutput, error) {
	return elbDo(ctx, c, "DeregisterInstancesFromLoadBalancer", true, in, func(s *scope) (*classicelb.DeregisterInstancesFromLoadBalancerOutput, error) {
		b, ids, err := s.classicOf(in.LoadBalancerName, in.Instances)
		if err != nil {
			return nil, err
		}
		b.Instances = slices.DeleteFunc(b.Instances, func(id string) bool { return slices.Contains(ids, id) })
		return &classicelb.DeregisterInstancesFromLoadBalancerOutput{Instances: showMembers(b)}, nil
	})
}

// RegisterInstancesWithLoadBalancer implements awscalls.ELB.
func (c *elbClient) RegisterInstancesWithLoadBalancer(ctx context.Context, in *classicelb.RegisterInstancesWithLoadBalancerInput, _ ...func(*classicelb.Options)) (*classicelb.RegisterInstancesWithLoadBalancerOutput, error) {
	return elbDo(ctx, c, "RegisterInstancesWithLoadBalancer", true, in, func(s *scope) (*classicelb.RegisterInstancesWithLoadBalancerOutput, error) {
		b, ids, err := s.classicOf(in.LoadBalancerName, in.Instances)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if i := s.Instances[id]; i.VPC != b.VPC {
				return nil, fail("InvalidInstance", "EC2 instance %s is not in the same VPC as the load balancer", id)
			}
			if !slices.Contains(b.Instances, id) {
				b.Instances = append(b.Instances, id)
			}
		}
		return &classicelb.RegisterInstancesWithLoadBalancerOutput{Instances: showMembers(b)}, nil
	})
}
