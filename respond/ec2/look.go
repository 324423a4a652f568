package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// currentProfile returns the instance profile that an instance holds, or nil. An
// association that is going away is none.
func currentProfile(ctx context.Context, c awscalls.EC2, instance string) (*Profile, error) {
	in := &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: []types.Filter{filter("instance-id", instance)}}
	for {
		page, err := c.DescribeIamInstanceProfileAssociations(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, a := range page.IamInstanceProfileAssociations {
			live := a.State == types.IamInstanceProfileAssociationStateAssociated || a.State == types.IamInstanceProfileAssociationStateAssociating
			if str(a.InstanceId) != instance || !live || a.IamInstanceProfile == nil {
				continue
			}
			arn := str(a.IamInstanceProfile.Arn)
			return &Profile{Association: str(a.AssociationId), ARN: arn, Name: arn[strings.LastIndex(arn, "/")+1:]}, nil
		}
		if str(page.NextToken) == "" {
			return nil, nil
		}
		in.NextToken = page.NextToken
	}
}

// readGroup describes an Auto Scaling group as it concerns an instance; nil when
// there is no such group. A group that the instance is not in has no Lifecycle.
func readGroup(ctx context.Context, c awscalls.AutoScaling, name, instance string) (*Scaling, error) {
	out, err := c.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		return nil, err
	}
	for _, g := range out.AutoScalingGroups {
		if str(g.AutoScalingGroupName) == name {
			return readScaling(g, instance), nil
		}
	}
	return nil, nil
}

func readScaling(g astypes.AutoScalingGroup, instance string) *Scaling {
	s := &Scaling{Group: str(g.AutoScalingGroupName), Min: aws.ToInt32(g.MinSize), Max: aws.ToInt32(g.MaxSize), Desired: aws.ToInt32(g.DesiredCapacity),
		HealthCheck: str(g.HealthCheckType), Members: map[string]string{}, TargetGroups: slices.Clone(g.TargetGroupARNs), Classic: slices.Clone(g.LoadBalancerNames)}
	for _, p := range g.SuspendedProcesses {
		s.Suspended = append(s.Suspended, str(p.ProcessName))
	}
	slices.Sort(s.Suspended)
	switch {
	case g.LaunchTemplate != nil:
		s.LaunchTemplate = str(g.LaunchTemplate.LaunchTemplateId) + ":" + str(g.LaunchTemplate.Version)
	case str(g.LaunchConfigurationName) != "":
		s.LaunchTemplate = str(g.LaunchConfigurationName)
	}
	for id := range strings.SplitSeq(str(g.VPCZoneIdentifier), ",") {
		if id = strings.TrimSpace(id); id != "" {
			s.Subnets = append(s.Subnets, id)
		}
	}
	for _, t := range g.TrafficSources {
		id := str(t.Identifier)
		switch {
		case str(t.Type) == "elbv2" && !slices.Contains(s.TargetGroups, id):
			s.TargetGroups = append(s.TargetGroups, id)
		case str(t.Type) == "elb" && !slices.Contains(s.Classic, id):
			s.Classic = append(s.Classic, id)
		}
	}
	for _, i := range g.Instances {
		id := str(i.InstanceId)
		s.Members[id] = string(i.LifecycleState)
		if id == instance {
			s.Lifecycle, s.Protected = string(i.LifecycleState), aws.ToBool(i.ProtectedFromScaleIn)
		}
	}
	return s
}

// openSessions are the sessions of Session Manager that are open to an instance.
func openSessions(ctx context.Context, c awscalls.SSM, instance string) ([]string, error) {
	var ids []string
	in := &ssm.DescribeSessionsInput{State: ssmtypes.SessionStateActive, Filters: []ssmtypes.SessionFilter{{Key: ssmtypes.SessionFilterKeyTargetId, Value: aws.String(instance)}}}
	for {
		page, err := c.DescribeSessions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Sessions {
			if str(s.Target) == instance {
				ids = append(ids, str(s.SessionId))
			}
		}
		if str(page.NextToken) == "" {
			slices.Sort(ids)
			return ids, nil
		}
		in.NextToken = page.NextToken
	}
}
