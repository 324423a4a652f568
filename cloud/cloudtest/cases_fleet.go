package cloudtest

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func fleetCases() []Case {
	return []Case{
		{"an instance leaves its group", detachInstance},
		{"the replacement of an instance ends", endReplacement},
		{"an instance is on standby", standby},
		{"processes of a group", processes},
		{"targets", targets},
		{"a classic load balancer", classic},
	}
}

func (w *World) asg(name string) astypes.AutoScalingGroup {
	w.Helper()
	out := got[*autoscaling.DescribeAutoScalingGroupsOutput](w, "the group")(use(w, w.aws.AutoScaling).DescribeAutoScalingGroups(w.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}))
	if len(out.AutoScalingGroups) != 1 {
		w.Fatalf("there are %d groups %s", len(out.AutoScalingGroups), name)
	}
	return out.AutoScalingGroups[0]
}

// life is the lifecycle state of an instance in its group; "-": in none.
func (w *World) life(id string) string {
	w.Helper()
	out := got[*autoscaling.DescribeAutoScalingInstancesOutput](w, "the instance")(use(w, w.aws.AutoScaling).DescribeAutoScalingInstances(w.Context(), &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{id}}))
	if len(out.AutoScalingInstances) == 0 {
		return "-"
	}
	return str(out.AutoScalingInstances[0].LifecycleState)
}

func (w *World) inService(name string) int {
	w.Helper()
	n := 0
	for _, i := range w.asg(name).Instances {
		if i.LifecycleState == astypes.LifecycleStateInService {
			n++
		}
	}
	return n
}

// size is least/desired/most.
func size(g astypes.AutoScalingGroup) string {
	return fmt.Sprintf("%d/%d/%d", aws.ToInt32(g.MinSize), aws.ToInt32(g.DesiredCapacity), aws.ToInt32(g.MaxSize))
}

func detachInstance(w *World) {
	ctx, c := w.Context(), use(w, w.aws.AutoScaling)
	vpc := w.VPC(false)
	tg := w.TargetGroup("web", vpc)
	ids := w.Group("web", w.Subnet(vpc, "a"), 1, 2, 3, tg)
	w.Is("two instances", len(ids), 2)
	w.Until("both in service", func() bool { return w.inService("web") == 2 })
	w.Is("its life", w.life(ids[0]), "InService")
	w.Is("its target group", w.asg("web").TargetGroupARNs, []string{tg})
	_, err := c.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: s("web"), InstanceIds: ids[:1], ProtectedFromScaleIn: aws.Bool(true)})
	w.Code("protect", err, "")
	for _, i := range w.asg("web").Instances {
		w.Is("protected only where asked", aws.ToBool(i.ProtectedFromScaleIn), str(i.InstanceId) == ids[0])
	}
	_, err = c.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: s("web"), InstanceIds: ids[:1], ShouldDecrementDesiredCapacity: aws.Bool(false)})
	w.Code("detach", err, "")
	w.Until("a life outside", func() bool { return w.life(ids[0]) == "-" })
	w.Is("the size stays", size(w.asg("web")), "1/2/3")
	w.Until("its replacement", func() bool { return w.inService("web") == 2 })
	w.Is("it still runs", string(w.instance(ids[0]).State.Name), "running")
	w.Until("traffic that goes elsewhere", func() bool { return !slices.Contains(w.registered(tg), ids[0]) })
	_, err = c.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: s("web"), InstanceIds: ids[:1], ShouldDecrementDesiredCapacity: aws.Bool(false)})
	w.Code("detach again", err, "ValidationError")
	_, err = c.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: s("web"), InstanceIds: ids[:1]})
	w.Code("attach", err, "")
	w.Is("the group wants one more", size(w.asg("web")), "1/3/3")
	w.Until("three in service", func() bool { return w.inService("web") == 3 })
	other := w.host()
	_, err = c.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: s("web"), InstanceIds: []string{other.ID}})
	w.Code("attach above the most", err, "ValidationError")
	groups := got[*autoscaling.DescribeAutoScalingGroupsOutput](w, "no group")(c.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"none"}}))
	w.Is("no group of that name", len(groups.AutoScalingGroups), 0)
}

func endReplacement(w *World) {
	ctx, c := w.Context(), use(w, w.aws.AutoScaling)
	ids := w.Group("web", w.Subnet(w.VPC(false), "a"), 1, 1, 1)
	w.Until("one in service", func() bool { return w.inService("web") == 1 })
	_, err := c.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: s("web"), InstanceIds: ids, ShouldDecrementDesiredCapacity: aws.Bool(false)})
	w.Code("detach", err, "")
	w.Until("its replacement", func() bool { return w.life(ids[0]) == "-" && w.inService("web") == 1 })
	replacement := str(w.asg("web").Instances[0].InstanceId)
	_, err = c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: s("web"), MaxSize: aws.Int32(2)})
	w.Code("make room", err, "")
	_, err = c.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: s("web"), InstanceIds: ids})
	w.Code("attach", err, "")
	w.Until("two in service", func() bool { return w.inService("web") == 2 })
	_, err = c.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: s(replacement), ShouldDecrementDesiredCapacity: aws.Bool(true)})
	w.Code("end the replacement", err, "")
	w.Until("one member", func() bool { return len(w.asg("web").Instances) == 1 })
	w.Is("it is the one that came back", w.life(ids[0]), "InService")
	_, err = c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: s("web"), MaxSize: aws.Int32(1)})
	w.Code("take the room away", err, "")
	w.Is("the size is as it was", size(w.asg("web")), "1/1/1")
	w.Until("the end of the replacement", func() bool { return w.instance(replacement).State.Name == "terminated" })
	_, err = c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: s("none"), MaxSize: aws.Int32(1)})
	w.Code("of no group", err, "ValidationError")
	_, err = c.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: s("i-0123456789abcdef0"), ShouldDecrementDesiredCapacity: aws.Bool(true)})
	w.Code("of no member", err, "ValidationError")
}

func standby(w *World) {
	ctx, c := w.Context(), use(w, w.aws.AutoScaling)
	ids := w.Group("web", w.Subnet(w.VPC(false), "a"), 0, 1, 2)
	w.Until("one in service", func() bool { return w.inService("web") == 1 })
	_, err := c.EnterStandby(ctx, &autoscaling.EnterStandbyInput{AutoScalingGroupName: s("web"), InstanceIds: ids, ShouldDecrementDesiredCapacity: aws.Bool(true)})
	w.Code("enter", err, "")
	w.Until("standby", func() bool { return w.life(ids[0]) == "Standby" })
	w.Is("the group wants none", size(w.asg("web")), "0/0/2")
	_, err = c.ExitStandby(ctx, &autoscaling.ExitStandbyInput{AutoScalingGroupName: s("web"), InstanceIds: ids})
	w.Code("exit", err, "")
	w.Until("in service again", func() bool { return w.life(ids[0]) == "InService" })
	w.Is("the group wants one", size(w.asg("web")), "0/1/2")
	_, err = c.EnterStandby(ctx, &autoscaling.EnterStandbyInput{AutoScalingGroupName: s("none"), InstanceIds: ids, ShouldDecrementDesiredCapacity: aws.Bool(true)})
	w.Code("of no group", err, "ValidationError")
}

func processes(w *World) {
	ctx, c := w.Context(), use(w, w.aws.AutoScaling)
	w.Group("web", w.Subnet(w.VPC(false), "a"), 0, 1, 2)
	suspended := func() []string {
		list := []string{}
		for _, p := range w.asg("web").SuspendedProcesses {
			list = append(list, str(p.ProcessName))
		}
		slices.Sort(list)
		return list
	}
	w.Is("none at first", suspended(), []string{})
	_, err := c.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: s("web"), ScalingProcesses: []string{"ReplaceUnhealthy"}})
	w.Code("suspend", err, "")
	w.Is("suspended", suspended(), []string{"ReplaceUnhealthy"})
	_, err = c.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: s("web"), ScalingProcesses: []string{"ReplaceUnhealthy"}})
	w.Code("resume", err, "")
	w.Is("none again", suspended(), []string{})
}

// registered are the targets of a group that do not drain.
func (w *World) registered(tg string) []string {
	w.Helper()
	out := got[*elasticloadbalancingv2.DescribeTargetHealthOutput](w, "health")(use(w, w.aws.ELBv2).DescribeTargetHealth(w.Context(), &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: s(tg)}))
	list := []string{}
	for _, h := range out.TargetHealthDescriptions {
		if h.TargetHealth.State != elbv2types.TargetHealthStateEnumDraining {
			list = append(list, str(h.Target.Id))
		}
	}
	slices.Sort(list)
	return list
}

func targets(w *World) {
	ctx, c := w.Context(), use(w, w.aws.ELBv2)
	vpc := w.VPC(false)
	subnet := w.Subnet(vpc, "a")
	a, b := w.Launch(Launch{Subnets: []string{subnet}}), w.Launch(Launch{Subnets: []string{subnet}})
	tg := w.TargetGroup("payments", vpc)
	groups := got[*elasticloadbalancingv2.DescribeTargetGroupsOutput](w, "groups")(c.DescribeTargetGroups(ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{}))
	w.Is("one group", len(groups.TargetGroups), 1)
	w.Is("its kind of targets", string(groups.TargetGroups[0].TargetType), "instance")
	register := func(id string, port int32) error {
		_, err := c.RegisterTargets(ctx, &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: s(tg), Targets: []elbv2types.TargetDescription{{Id: s(id), Port: aws.Int32(port)}}})
		return err
	}
	w.Code("register", register(a.ID, 443), "")
	w.Code("register with another port", register(b.ID, 8443), "")
	w.Code("register again", register(a.ID, 443), "")
	w.Is("two targets", w.registered(tg), slices.Sorted(slices.Values([]string{a.ID, b.ID})))
	health := got[*elasticloadbalancingv2.DescribeTargetHealthOutput](w, "health")(c.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: s(tg), Targets: []elbv2types.TargetDescription{{Id: s(b.ID), Port: aws.Int32(8443)}}}))
	w.Is("its port", aws.ToInt32(health.TargetHealthDescriptions[0].Target.Port), 8443)
	deregister := func(id string) error {
		_, err := c.DeregisterTargets(ctx, &elasticloadbalancingv2.DeregisterTargetsInput{TargetGroupArn: s(tg), Targets: []elbv2types.TargetDescription{{Id: s(id)}}})
		return err
	}
	w.Code("take one away", deregister(a.ID), "")
	w.Until("one target", func() bool { return slices.Equal(w.registered(tg), []string{b.ID}) })
	w.Code("put it back", register(a.ID, 443), "")
	w.Is("two targets again", len(w.registered(tg)), 2)
	_, err := c.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: s("arn:aws:elasticloadbalancing:" + Region + ":" + w.Account + ":targetgroup/none/0123456789abcdef")})
	w.Code("of no group", err, "TargetGroupNotFound")
}

func classic(w *World) {
	ctx, c := w.Context(), use(w, w.aws.ELB)
	vpc := w.VPC(false)
	subnet := w.Subnet(vpc, "a")
	h := w.Launch(Launch{Subnets: []string{subnet}})
	w.LoadBalancer("old", subnet)
	members := func() []string {
		out := got[*elasticloadbalancing.DescribeLoadBalancersOutput](w, "load balancers")(c.DescribeLoadBalancers(ctx, &elasticloadbalancing.DescribeLoadBalancersInput{}))
		list := []string{}
		for _, lb := range out.LoadBalancerDescriptions {
			for _, i := range lb.Instances {
				list = append(list, str(lb.LoadBalancerName)+" "+str(i.InstanceId))
			}
		}
		return list
	}
	them := []elbtypes.Instance{{InstanceId: s(h.ID)}}
	_, err := c.RegisterInstancesWithLoadBalancer(ctx, &elasticloadbalancing.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: s("old"), Instances: them})
	w.Code("register", err, "")
	w.Is("a member", members(), []string{"old " + h.ID})
	_, err = c.DeregisterInstancesFromLoadBalancer(ctx, &elasticloadbalancing.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: s("old"), Instances: them})
	w.Code("take it away", err, "")
	w.Is("no member", members(), []string{})
	_, err = c.DeregisterInstancesFromLoadBalancer(ctx, &elasticloadbalancing.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: s("none"), Instances: them})
	w.Code("of no load balancer", err, "LoadBalancerNotFound")
}
