package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// asgClient speaks awscalls.AutoScaling.
type asgClient struct{ client }

var _ awscalls.AutoScaling = (*asgClient)(nil)

func asgDo[O any](ctx context.Context, c *asgClient, operation string, changes bool, in any, f func(s *scope) (*O, error)) (*O, error) {
	return do(ctx, c.client, "Auto Scaling", operation, changes, in, func(a *account, r *region) (*O, error) {
		return f(c.w.scopeOf(a, r, c.w.now()))
	})
}

func (s *scope) asGroup(name *string) (*asGroup, error) {
	if g := s.r.ASG.Groups[aws.ToString(name)]; g != nil {
		return g, nil
	}
	return nil, fail("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", aws.ToString(name))
}

// members are instances of a group that are named by their ids: at most 20.
func (g *asGroup) named(ids []string) ([]*member, error) {
	if len(ids) == 0 || len(ids) > 20 {
		return nil, fail("ValidationError", "Between 1 and 20 instance ids are required; there are %d", len(ids))
	}
	var out []*member
	for _, id := range ids {
		m := g.member(id)
		if m == nil {
			return nil, fail("ValidationError", "The instance %s is not part of Auto Scaling group %s.", id, g.Name)
		}
		out = append(out, m)
	}
	return out, nil
}

func (s *scope) health(g *asGroup, m *member) string {
	if m.State == "InService" && !s.diesAt(g, m).IsZero() {
		i := s.Instances[m.Instance]
		if since := later(i.Bad, m.Dead); !s.now.Before(since.Add(s.w.times().Unhealthy / 2)) {
			return "Unhealthy"
		}
	}
	if m.State == "Terminating" {
		return "Unhealthy"
	}
	return "Healthy"
}

// DescribeAutoScalingInstances implements awscalls.AutoScaling. Instances that are
// in no group are left out.
func (c *asgClient) DescribeAutoScalingInstances(ctx context.Context, in *autoscaling.DescribeAutoScalingInstancesInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingInstancesOutput, error) {
	return asgDo(ctx, c, "DescribeAutoScalingInstances", false, in, func(s *scope) (*autoscaling.DescribeAutoScalingInstancesOutput, error) {
		if len(in.InstanceIds) > 50 {
			return nil, fail("ValidationError", "The number of instance ids that may be passed in is limited to 50")
		}
		var all []types.AutoScalingInstanceDetails
		for _, g := range inOrder(s.r.ASG.Groups) {
			for _, m := range g.Members {
				if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, m.Instance) {
					continue
				}
				i := s.Instances[m.Instance]
				if i == nil {
					continue
				}
				all = append(all, types.AutoScalingInstanceDetails{InstanceId: aws.String(m.Instance), AutoScalingGroupName: aws.String(g.Name), AvailabilityZone: aws.String(i.AZ),
					LifecycleState: aws.String(m.State), HealthStatus: aws.String(upper(s.health(g, m))), ProtectedFromScaleIn: aws.Bool(m.Protected), InstanceType: aws.String(i.Type),
					LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-" + g.Image[4:]), LaunchTemplateName: aws.String(g.Name), Version: aws.String("1")}})
			}
		}
		all, next, err := page(s, all, paging{Max: in.MaxRecords, Next: in.NextToken, Least: 1, Most: 50})
		return &autoscaling.DescribeAutoScalingInstancesOutput{AutoScalingInstances: all, NextToken: next}, err
	})
}

func upper(health string) string {
	if health == "Healthy" {
		return "HEALTHY"
	}
	return "UNHEALTHY"
}

// DescribeAutoScalingGroups implements awscalls.AutoScaling. Names of groups that
// are not there are left out.
func (c *asgClient) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	return asgDo(ctx, c, "DescribeAutoScalingGroups", false, in, func(s *scope) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
		if len(in.Filters) > 0 {
			return nil, fail("ValidationError", "Filter %s is not valid", aws.ToString(in.Filters[0].Name))
		}
		var all []*asGroup
		for _, g := range inOrder(s.r.ASG.Groups) {
			if len(in.AutoScalingGroupNames) == 0 || slices.Contains(in.AutoScalingGroupNames, g.Name) {
				all = append(all, g)
			}
		}
		all, next, err := page(s, all, paging{Max: in.MaxRecords, Next: in.NextToken, Least: 1, Most: 100})
		if err != nil {
			return nil, err
		}
		out := &autoscaling.DescribeAutoScalingGroupsOutput{NextToken: next}
		for _, g := range all {
			out.AutoScalingGroups = append(out.AutoScalingGroups, s.showGroup(g))
		}
		return out, nil
	})
}

func (s *scope) showGroup(g *asGroup) types.AutoScalingGroup {
	template := &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-" + g.Image[4:]), LaunchTemplateName: aws.String(g.Name), Version: aws.String("1")}
	out := types.AutoScalingGroup{AutoScalingGroupName: aws.String(g.Name), AutoScalingGroupARN: aws.String(g.ARN), MinSize: aws.Int32(g.Min), MaxSize: aws.Int32(g.Max),
		DesiredCapacity: aws.Int32(g.Desired), HealthCheckType: aws.String(g.HealthCheck), HealthCheckGracePeriod: aws.Int32(int32(g.Grace / time.Second)), TargetGroupARNs: g.Targets,
		LoadBalancerNames: g.Classic, CreatedTime: aws.Time(g.Made), LaunchTemplate: template, DefaultCooldown: aws.Int32(300)} // #nosec G115 -- a grace is minutes
	zones := map[string]bool{}
	list := ""
	for k, id := range g.Subnets {
		if k > 0 {
			list += ","
		}
		list += id
		if sub := s.Subnets[id]; sub != nil {
			zones[sub.AZ] = true
		}
	}
	out.VPCZoneIdentifier, out.AvailabilityZones = aws.String(list), keysOf(zones)
	for _, p := range keysOf(g.Suspended) {
		out.SuspendedProcesses = append(out.SuspendedProcesses, types.SuspendedProcess{ProcessName: aws.String(p), SuspensionReason: aws.String(g.Suspended[p])})
	}
	for _, m := range g.Members {
		shown := types.Instance{InstanceId: aws.String(m.Instance), LifecycleState: types.LifecycleState(m.State), HealthStatus: aws.String(s.health(g, m)),
			ProtectedFromScaleIn: aws.Bool(m.Protected), LaunchTemplate: template}
		if i := s.Instances[m.Instance]; i != nil {
			shown.AvailabilityZone, shown.InstanceType = aws.String(i.AZ), aws.String(i.Type)
		}
		out.Instances = append(out.Instances, shown)
	}
	return out
}

func (s *scope) activity(g *asGroup, what string) types.Activity {
	return types.Activity{ActivityId: aws.String(s.w.uuid()), AutoScalingGroupName: aws.String(g.Name), Cause: aws.String("At " + s.now.Format(time.RFC3339) + " by user request"),
		StartTime: aws.Time(s.now), StatusCode: types.ScalingActivityStatusCodeInProgress, Progress: aws.Int32(50), Description: aws.String(what)}
}

// takeOut begins to let members go to a state, after the lag of the group.
func (s *scope) takeOut(g *asGroup, ms []*member, to string, decrement *bool, allowed ...string) ([]types.Activity, error) {
	if decrement == nil {
		return nil, fail("ValidationError", "shouldDecrementDesiredCapacity is required")
	}
	for _, m := range ms {
		if !slices.Contains(allowed, m.State) || m.To != "" {
			return nil, fail("ValidationError", "The instance %s is not in %v: it is %s.", m.Instance, allowed, m.State)
		}
	}
	if *decrement {
		var counted int32
		for _, m := range ms {
			if m.State == "InService" {
				counted++
			}
		}
		if g.Desired-counted < g.Min {
			return nil, fail("ValidationError", "AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To place into standby or detach %d instance(s), please update the AutoScalingGroup sizes appropriately.", g.Name, g.Min, g.Max, g.Desired, counted)
		}
		g.Desired -= counted
	}
	var out []types.Activity
	for _, m := range ms {
		m.To = to
		if g.Lag > 0 {
			m.Leaves = s.now.Add(g.Lag)
		} else {
			s.leave(g, m)
		}
		out = append(out, s.activity(g, fmt.Sprintf("%s EC2 instance: %s", to, m.Instance)))
	}
	return out, nil
}

// DetachInstances implements awscalls.AutoScaling. The instances live on; the group
// launches others, unless the desired capacity is decremented.
func (c *asgClient) DetachInstances(ctx context.Context, in *autoscaling.DetachInstancesInput, _ ...func(*autoscaling.Options)) (*autoscaling.DetachInstancesOutput, error) {
	return asgDo(ctx, c, "DetachInstances", true, in, func(s *scope) (*autoscaling.DetachInstancesOutput, error) {
		g, err := s.asGroup(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		ms, err := g.named(in.InstanceIds)
		if err != nil {
			return nil, err
		}
		activities, err := s.takeOut(g, ms, "Detaching", in.ShouldDecrementDesiredCapacity, "InService", "Standby")
		return &autoscaling.DetachInstancesOutput{Activities: activities}, err
	})
}

// EnterStandby implements awscalls.AutoScaling.
func (c *asgClient) EnterStandby(ctx context.Context, in *autoscaling.EnterStandbyInput, _ ...func(*autoscaling.Options)) (*autoscaling.EnterStandbyOutput, error) {
	return asgDo(ctx, c, "EnterStandby", true, in, func(s *scope) (*autoscaling.EnterStandbyOutput, error) {
		g, err := s.asGroup(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		ms, err := g.named(in.InstanceIds)
		if err != nil {
			return nil, err
		}
		activities, err := s.takeOut(g, ms, "EnteringStandby", in.ShouldDecrementDesiredCapacity, "InService")
		return &autoscaling.EnterStandbyOutput{Activities: activities}, err
	})
}

func (g *asGroup) grow(n int) error {
	more := g.Desired + int32(n) // #nosec G115 -- at most 20
	if more > g.Max {
		return fail("ValidationError", "AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To add %d more, please update the AutoScalingGroup sizes appropriately.", g.Name, g.Min, g.Max, g.Desired, n)
	}
	g.Desired = more
	return nil
}

// ExitStandby implements awscalls.AutoScaling. The desired capacity rises.
func (c *asgClient) ExitStandby(ctx context.Context, in *autoscaling.ExitStandbyInput, _ ...func(*autoscaling.Options)) (*autoscaling.ExitStandbyOutput, error) {
	return asgDo(ctx, c, "ExitStandby", true, in, func(s *scope) (*autoscaling.ExitStandbyOutput, error) {
		g, err := s.asGroup(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		ms, err := g.named(in.InstanceIds)
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			if m.State != "Standby" {
				return nil, fail("ValidationError", "The instance %s is not in Standby: it is %s.", m.Instance, m.State)
			}
		}
		if err := g.grow(len(ms)); err != nil {
			return nil, err
		}
		out := &autoscaling.ExitStandbyOutput{}
		for _, m := range ms {
			m.State, m.Since, m.Until = "Pending", s.now, s.now.Add(s.w.times().Detach)
			out.Activities = append(out.Activities, s.activity(g, "Moving EC2 instance out of Standby: "+m.Instance))
		}
		return out, nil
	})
}

// AttachInstances implements awscalls.AutoScaling. The desired capacity rises.
func (c *asgClient) AttachInstances(ctx context.Context, in *autoscaling.AttachInstancesInput, _ ...func(*autoscaling.Options)) (*autoscaling.AttachInstancesOutput, error) {
	return asgDo(ctx, c, "AttachInstances", true, in, func(s *scope) (*autoscaling.AttachInstancesOutput, error) {
		g, err := s.asGroup(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		if len(in.InstanceIds) == 0 || len(in.InstanceIds) > 20 {
			return nil, fail("ValidationError", "Between 1 and 20 instance ids are required; there are %d", len(in.InstanceIds))
		}
		for _, id := range in.InstanceIds {
			if err := s.mayJoin(id); err != nil {
				return nil, err
			}
		}
		if err := g.grow(len(in.InstanceIds)); err != nil {
			return nil, err
		}
		for _, id := range in.InstanceIds {
			i := s.Instances[id]
			i.Tags = i.Tags.copied()
			i.Tags[groupTag] = g.Name
			g.Members = append(g.Members, &member{Instance: id, State: "Pending", Since: s.now, Until: s.now.Add(s.w.times().Detach)})
		}
		return &autoscaling.AttachInstancesOutput{}, nil
	})
}

func (s *scope) mayJoin(id string) error {
	i := s.Instances[id]
	if i == nil || i.State != "running" {
		return fail("ValidationError", "Invalid Instance: %s is not in the running state", id)
	}
	if s.launchable()[i.Image] == nil {
		return fail("ValidationError", "The image %s of %s does not exist", i.Image, id)
	}
	for _, g := range s.r.ASG.Groups {
		if g.member(id) != nil {
			return fail("ValidationError", "The instance %s is already part of Auto Scaling group %s", id, g.Name)
		}
	}
	return nil
}

var processes = []string{"AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch", "ReplaceUnhealthy", "ScheduledActions", "Terminate"}

func (s *scope) processesOf(name *string, in []string) (*asGroup, []string, error) {
	g, err := s.asGroup(name)
	if err != nil {
		return nil, nil, err
	}
	if len(in) == 0 {
		return g, processes, nil
	}
	for _, p := range in {
		if !slices.Contains(processes, p) {
			return nil, nil, fail("ValidationError", "'%s' is not a valid process type", p)
		}
	}
	return g, in, nil
}

// SuspendProcesses implements awscalls.AutoScaling. Without names it is all of them.
func (c *asgClient) SuspendProcesses(ctx context.Context, in *autoscaling.SuspendProcessesInput, _ ...func(*autoscaling.Options)) (*autoscaling.SuspendProcessesOutput, error) {
	return asgDo(ctx, c, "SuspendProcesses", true, in, func(s *scope) (*autoscaling.SuspendProcessesOutput, error) {
		g, names, err := s.processesOf(in.AutoScalingGroupName, in.ScalingProcesses)
		if err != nil {
			return nil, err
		}
		for _, p := range names {
			if !g.suspended(p) {
				put(&g.Suspended, p, "User suspended at "+s.now.Format(time.RFC3339))
			}
		}
		return &autoscaling.SuspendProcessesOutput{}, nil
	})
}

// ResumeProcesses implements awscalls.AutoScaling. Without names it is all of them.
func (c *asgClient) ResumeProcesses(ctx context.Context, in *autoscaling.ResumeProcessesInput, _ ...func(*autoscaling.Options)) (*autoscaling.ResumeProcessesOutput, error) {
	return asgDo(ctx, c, "ResumeProcesses", true, in, func(s *scope) (*autoscaling.ResumeProcessesOutput, error) {
		g, names, err := s.processesOf(in.AutoScalingGroupName, in.ScalingProcesses)
		if err != nil {
			return nil, err
		}
		for _, p := range names {
			if g.suspended(p) {
				g.Resumed = s.now
			}
			delete(g.Suspended, p)
		}
		return &autoscaling.ResumeProcessesOutput{}, nil
	})
}

// SetInstanceProtection implements awscalls.AutoScaling: from scale-in only.
func (c *asgClient) SetInstanceProtection(ctx context.Context, in *autoscaling.SetInstanceProtectionInput, _ ...func(*autoscaling.Options)) (*autoscaling.SetInstanceProtectionOutput, error) {
	return asgDo(ctx, c, "SetInstanceProtection", true, in, func(s *scope) (*autoscaling.SetInstanceProtectionOutput, error) {
		g, err := s.asGroup(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		ms, err := g.named(in.InstanceIds)
		if err != nil {
			return nil, err
		}
		if in.ProtectedFromScaleIn == nil {
			return nil, fail("ValidationError", "protectedFromScaleIn is required")
		}
		for _, m := range ms {
			if m.State != "InService" {
				return nil, fail("ValidationError", "The instance %s is not in InService.", m.Instance)
			}
		}
		for _, m := range ms {
			m.Protected = *in.ProtectedFromScaleIn
		}
		return &autoscaling.SetInstanceProtectionOutput{}, nil
	})
}

// TerminateInstanceInAutoScalingGroup implements awscalls.AutoScaling. Termination
// protection does not stop it.
func (c *asgClient) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *autoscaling.TerminateInstanceInAutoScalingGroupInput, _ ...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	return asgDo(ctx, c, "TerminateInstanceInAutoScalingGroup", true, in, func(s *scope) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
		if in.ShouldDecrementDesiredCapacity == nil {
			return nil, fail("ValidationError", "shouldDecrementDesiredCapacity is required")
		}
		for _, g := range inOrder(s.r.ASG.Groups) {
			m := g.member(aws.ToString(in.InstanceId))
			if m == nil {
				continue
			}
			if *in.ShouldDecrementDesiredCapacity {
				if g.Desired-1 < g.Min {
					return nil, fail("ValidationError", "Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint.", g.Min)
				}
				g.Desired--
			}
			s.replace(g, m)
			activity := s.activity(g, "Terminating EC2 instance: "+m.Instance)
			return &autoscaling.TerminateInstanceInAutoScalingGroupOutput{Activity: &activity}, nil
		}
		return nil, fail("ValidationError", "Instance Id not found - No managed instance found for instance ID: %s", aws.ToString(in.InstanceId))
	})
}

// UpdateAutoScalingGroup implements awscalls.AutoScaling: the sizes and the kind of
// health check.
func (c *asgClient) UpdateAutoScalingGroup(ctx context.Context, in *autoscaling.UpdateAutoScalingGroupInput, _ ...func(*autoscaling.Options)) (*autoscaling.UpdateAutoScalingGroupOutput, error) {
	return asgDo(ctx, c, "UpdateAutoScalingGroup", true, in, func(s *scope) (*autoscaling.UpdateAutoScalingGroupOutput, error) {
		g, err := s.asGroup(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		least, most, want := g.Min, g.Max, g.Desired
		if in.MinSize != nil {
			least = *in.MinSize
		}
		if in.MaxSize != nil {
			most = *in.MaxSize
		}
		if in.DesiredCapacity != nil {
			want = *in.DesiredCapacity
		}
		if least < 0 || least > most {
			return nil, fail("ValidationError", "Max bound, %d, must be greater than or equal to min bound, %d", most, least)
		}
		if in.DesiredCapacity != nil && (want < least || want > most) {
			return nil, fail("ValidationError", "Desired capacity:%d must be between the specified min size:%d and max size:%d", want, least, most)
		}
		if t := aws.ToString(in.HealthCheckType); t != "" {
			if t != "EC2" && t != "ELB" {
				return nil, fail("ValidationError", "'%s' is not a valid health check type", t)
			}
			g.HealthCheck = t
		}
		g.Min, g.Max, g.Desired = least, most, min(max(want, least), most)
		return &autoscaling.UpdateAutoScalingGroupOutput{}, nil
	})
}
