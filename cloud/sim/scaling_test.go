package sim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	classicelb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/guardroom/guardroom/cloud/sim"
)

// fleet is an Auto Scaling group of two behind a load balancer.
type fleet struct {
	*rig
	name, target, classic, contain string
	ids                            []string
	eni                            string // of the first instance
}

func newFleet(t *testing.T, change func(s *sim.AutoScalingGroupSpec)) *fleet {
	t.Helper()
	f := &fleet{name: "web"}
	f.rig = newRig(t, sim.Options{}, func(e *sim.Editor) {
		e.AddSubnet(acct, region, sim.SubnetSpec{})
		f.target, f.classic = e.AddTargetGroup(acct, region, sim.TargetGroupSpec{}), e.AddClassicELB(acct, region, sim.ClassicELBSpec{})
		spec := sim.AutoScalingGroupSpec{Desired: 2, Min: 1, Max: 3, ELB: true, Targets: []string{f.target}, Classic: []string{f.classic}}
		if change != nil {
			change(&spec)
		}
		f.ids = e.AddAutoScalingGroup(acct, region, spec)
		f.eni = e.InterfaceOf(acct, region, f.ids[0], 0)
	})
	f.contain = f.rig.contain(*f.rig.eni(f.eni).VpcId)
	return f
}

func (f *fleet) group() types.AutoScalingGroup {
	f.t.Helper()
	return must(f.asg.DescribeAutoScalingGroups(f.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{f.name}}))(f.t).AutoScalingGroups[0]
}

// lifecycle is the state of an instance in the group; empty: it is in none.
func (f *fleet) lifecycle(id string) string {
	f.t.Helper()
	out := must(f.asg.DescribeAutoScalingInstances(f.t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{id}}))(f.t)
	if len(out.AutoScalingInstances) == 0 {
		return ""
	}
	return *out.AutoScalingInstances[0].LifecycleState
}

func (f *fleet) health(id string) string {
	f.t.Helper()
	out := must(f.elbv2.DescribeTargetHealth(f.t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &f.target}))(f.t)
	for _, d := range out.TargetHealthDescriptions {
		if *d.Target.Id == id {
			return string(d.TargetHealth.State)
		}
	}
	return ""
}

func (f *fleet) detach(decrement bool) error {
	_, err := f.asg.DetachInstances(f.t.Context(), &autoscaling.DetachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1], ShouldDecrementDesiredCapacity: &decrement})
	return err
}

func TestIsolatedBeforeItIsDetachedMeansTerminated(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(s *sim.AutoScalingGroupSpec)
		before func(f *fleet)
		want   string
	}{
		{"isolated in service", nil, func(*fleet) {}, "terminated"},
		{"protected from termination and scale-in", nil, func(f *fleet) {
			must(f.asg.SetInstanceProtection(t.Context(), &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1], ProtectedFromScaleIn: aws.Bool(true)}))(t)
		}, "terminated"},
		{"only EC2 is asked for health", func(s *sim.AutoScalingGroupSpec) { s.ELB = false }, func(*fleet) {}, "running"},
		{"detached first", nil, func(f *fleet) { f.want(f.detach(false), "") }, "running"},
		{"put into standby first", nil, func(f *fleet) {
			must(f.asg.EnterStandby(t.Context(), &autoscaling.EnterStandbyInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1], ShouldDecrementDesiredCapacity: aws.Bool(true)}))(t)
		}, "running"},
		{"ReplaceUnhealthy is suspended", nil, func(f *fleet) {
			must(f.asg.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &f.name, ScalingProcesses: []string{"ReplaceUnhealthy"}}))(t)
		}, "running"},
		{"the detach takes longer than the health check", func(s *sim.AutoScalingGroupSpec) { s.Lag = 10 * time.Minute }, func(f *fleet) { f.want(f.detach(false), "") }, "terminated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, tc.change)
			tc.before(f)
			f.setGroups(f.eni, f.contain)
			f.pass(5 * time.Minute)
			if got := f.state(f.ids[0]); got != tc.want {
				t.Errorf("it is %s, not %s", got, tc.want)
			}
			if got := f.state(f.ids[1]); got != "running" {
				t.Errorf("the other one is %s", got)
			}
		})
	}
}

func TestAnUnhealthyOneIsTerminatedAfterTheProcessIsResumed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	must(f.asg.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &f.name, ScalingProcesses: []string{"ReplaceUnhealthy"}}))(t)
	f.setGroups(f.eni, f.contain)
	f.pass(time.Hour)
	if p := f.group().SuspendedProcesses; len(p) != 1 || *p[0].ProcessName != "ReplaceUnhealthy" || f.health(f.ids[0]) != "unhealthy" {
		t.Errorf("suspended are %+v, and it is %s", p, f.health(f.ids[0]))
	}
	must(f.asg.ResumeProcesses(t.Context(), &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &f.name, ScalingProcesses: []string{"ReplaceUnhealthy"}}))(t)
	if got := f.state(f.ids[0]); got != "running" {
		t.Errorf("at once it is %s", got)
	}
	f.pass(2 * time.Minute)
	if got := f.state(f.ids[0]); got != "terminated" {
		t.Errorf("then it is %s", got)
	}
}

func TestADetachedInstanceIsReplacedAndLeavesItsBalancers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	if got := f.health(f.ids[0]); got != "healthy" {
		t.Fatalf("it is %s", got)
	}
	f.want(f.detach(false), "")
	if got, h := f.lifecycle(f.ids[0]), f.health(f.ids[0]); got != "Detaching" || h != "draining" {
		t.Errorf("it is %s and %s", got, h)
	}
	f.pass(2 * time.Minute)
	if got := f.lifecycle(f.ids[0]); got != "" {
		t.Errorf("it is still in the group: %s", got)
	}
	g := f.group()
	if len(g.Instances) != 2 || *g.DesiredCapacity != 2 || *g.Instances[1].InstanceId == f.ids[0] {
		t.Fatalf("the group is %+v", g)
	}
	if i := f.instance(*g.Instances[1].InstanceId); *i.ImageId != *f.instance(f.ids[0]).ImageId || f.health(*i.InstanceId) == "" {
		t.Error("the replacement is not made like the others, or not registered")
	}
	f.pass(5 * time.Minute)
	if got := f.health(f.ids[0]); got != "" {
		t.Errorf("after draining it is %s", got)
	}
	members := must(f.elb.DescribeLoadBalancers(t.Context(), &classicelb.DescribeLoadBalancersInput{LoadBalancerNames: []string{f.classic}}))(t).LoadBalancerDescriptions[0].Instances
	for _, m := range members {
		if *m.InstanceId == f.ids[0] {
			t.Error("the classic load balancer has it still")
		}
	}
	if len(members) != 2 {
		t.Errorf("the classic load balancer has %d", len(members))
	}
}

func TestAnInstanceComesBackAndItsReplacementGoes(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	f.want(f.detach(false), "")
	f.pass(10 * time.Minute)
	replacement := *f.group().Instances[1].InstanceId
	must(f.asg.AttachInstances(t.Context(), &autoscaling.AttachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1]}))(t)
	f.pass(time.Minute)
	if g := f.group(); *g.DesiredCapacity != 3 || len(g.Instances) != 3 || f.lifecycle(f.ids[0]) != "InService" || f.health(f.ids[0]) != "healthy" {
		t.Errorf("the group is %+v, the target %s", g, f.health(f.ids[0]))
	}
	must(f.asg.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &replacement, ShouldDecrementDesiredCapacity: aws.Bool(true)}))(t)
	f.pass(time.Minute)
	if g := f.group(); *g.DesiredCapacity != 2 || len(g.Instances) != 2 || f.state(replacement) != "terminated" {
		t.Errorf("the group is %+v", g)
	}
}

func TestStandbyComesBackIntoService(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	must(f.asg.EnterStandby(t.Context(), &autoscaling.EnterStandbyInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1], ShouldDecrementDesiredCapacity: aws.Bool(true)}))(t)
	if got := f.lifecycle(f.ids[0]); got != "EnteringStandby" {
		t.Errorf("it is %s", got)
	}
	f.pass(10 * time.Minute)
	if g := f.group(); f.lifecycle(f.ids[0]) != "Standby" || len(g.Instances) != 2 || *g.DesiredCapacity != 1 || f.health(f.ids[0]) != "" {
		t.Errorf("the group is %+v", g)
	}
	must(f.asg.ExitStandby(t.Context(), &autoscaling.ExitStandbyInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1]}))(t)
	f.pass(time.Minute)
	if g := f.group(); f.lifecycle(f.ids[0]) != "InService" || *g.DesiredCapacity != 2 || f.health(f.ids[0]) != "healthy" {
		t.Errorf("the group is %+v, the target %s", g, f.health(f.ids[0]))
	}
}

func TestAutoScalingRefusesWhatItRefuses(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	var free string
	f.edit(func(e *sim.Editor) { free = e.AddInstance(acct, region, sim.InstanceSpec{}) })
	ctx := t.Context()
	yes, no := aws.Bool(true), aws.Bool(false)
	for name, call := range map[string]func() error{
		"a group that is not there": func() error {
			_, err := f.asg.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: aws.String("none")})
			return err
		},
		"a process that is not there": func() error {
			_, err := f.asg.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &f.name, ScalingProcesses: []string{"Sleep"}})
			return err
		},
		"an instance of no group": func() error {
			_, err := f.asg.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: []string{free}, ShouldDecrementDesiredCapacity: no})
			return err
		},
		"below the least": func() error {
			_, err := f.asg.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids, ShouldDecrementDesiredCapacity: yes})
			return err
		},
		"more than twenty": func() error {
			_, err := f.asg.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: make([]string, 21), ShouldDecrementDesiredCapacity: no})
			return err
		},
		"standby of nothing": func() error {
			_, err := f.asg.ExitStandby(ctx, &autoscaling.ExitStandbyInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1]})
			return err
		},
		"one that is in a group already": func() error {
			_, err := f.asg.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1]})
			return err
		},
		"desired above the most": func() error {
			_, err := f.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &f.name, DesiredCapacity: aws.Int32(9)})
			return err
		},
	} {
		if got := code(call()); got != "ValidationError" {
			t.Errorf("%s: %q", name, got)
		}
	}
	attach := &autoscaling.AttachInstancesInput{AutoScalingGroupName: &f.name, InstanceIds: []string{free}}
	must(f.asg.AttachInstances(ctx, attach))(t)
	f.edit(func(e *sim.Editor) { attach.InstanceIds = []string{e.AddInstance(acct, region, sim.InstanceSpec{})} })
	_, err := f.asg.AttachInstances(ctx, attach)
	f.want(err, "ValidationError") // above the most
}

func TestScaleInSparesTheProtected(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	must(f.asg.SetInstanceProtection(t.Context(), &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: &f.name, InstanceIds: f.ids[:1], ProtectedFromScaleIn: aws.Bool(true)}))(t)
	must(f.asg.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &f.name, DesiredCapacity: aws.Int32(1)}))(t)
	f.pass(time.Minute)
	if a, b := f.state(f.ids[0]), f.state(f.ids[1]); a != "running" || b != "terminated" {
		t.Errorf("the protected one is %s, the other %s", a, b)
	}
}

func TestTargetsAreRegisteredByInstanceOrAddress(t *testing.T) {
	t.Parallel()
	var id, eni, byID, byIP string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		id = e.AddInstance(acct, region, sim.InstanceSpec{})
		eni = e.InterfaceOf(acct, region, id, 0)
		byID, byIP = e.AddTargetGroup(acct, region, sim.TargetGroupSpec{}), e.AddTargetGroup(acct, region, sim.TargetGroupSpec{Name: "ip", IP: true})
	})
	ip := *r.eni(eni).PrivateIpAddress
	state := func(arn, target string, port int32) string {
		t.Helper()
		out := must(r.elbv2.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &arn, Targets: []elbtypes.TargetDescription{{Id: &target, Port: &port}}}))(t)
		return string(out.TargetHealthDescriptions[0].TargetHealth.State)
	}
	register := func(arn, target string, port int32) error {
		_, err := r.elbv2.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &arn, Targets: []elbtypes.TargetDescription{{Id: &target, Port: &port}}})
		return err
	}
	r.want(register(byID, id, 443), "")
	r.want(register(byIP, ip, 8080), "") // no rule for that port
	r.want(register(byIP, ip, 443), "")
	r.want(register(byIP, "web-1", 443), "ValidationError")
	r.want(register(byID, "i-0000000000000ffff", 443), "InvalidTarget")
	r.want(register("arn:none", id, 443), "TargetGroupNotFound")
	if a, b := state(byID, id, 443), state(byIP, ip, 443); a != "initial" || b != "initial" {
		t.Errorf("at first they are %s and %s", a, b)
	}
	r.pass(30 * time.Second)
	if a, b, c := state(byID, id, 443), state(byIP, ip, 443), state(byIP, ip, 8080); a != "healthy" || b != "healthy" || c != "unhealthy" {
		t.Errorf("then they are %s, %s and %s", a, b, c)
	}
	deregister := func() {
		t.Helper()
		must(r.elbv2.DeregisterTargets(t.Context(), &elb.DeregisterTargetsInput{TargetGroupArn: &byID, Targets: []elbtypes.TargetDescription{{Id: &id}}}))(t)
	}
	deregister()
	if s := state(byID, id, 443); s != "draining" {
		t.Errorf("deregistered it is %s", s)
	}
	r.pass(5 * time.Minute)
	if s := state(byID, id, 443); s != "unused" {
		t.Errorf("drained it is %s", s)
	}
	deregister() // what is not registered is success
	_, err := r.elb.DeregisterInstancesFromLoadBalancer(t.Context(), &classicelb.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: aws.String("none"), Instances: []classictypes.Instance{{InstanceId: &id}}})
	r.want(err, "LoadBalancerNotFound")
	all := must(r.elbv2.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{}))(t).TargetGroups
	if len(all) != 2 {
		t.Errorf("there are %d target groups", len(all))
	}
	_, err = r.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	r.want(err, "")
	r.pass(time.Minute)
	r.want(register(byID, id, 443), "InvalidTarget")
}
