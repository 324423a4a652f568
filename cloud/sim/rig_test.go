package sim_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

const (
	acct   = "111111111111"
	lab    = "222222222222" // the forensic account
	region = "us-east-1"
)

// rig is a world whose time a test moves.
type rig struct {
	t     testing.TB
	w     *sim.World
	clock *playbook.Virtual
	awscalls.EC2
	asg   awscalls.AutoScaling
	elb   awscalls.ELB
	elbv2 awscalls.ELBv2
}

func newRig(t testing.TB, o sim.Options, build func(e *sim.Editor)) *rig {
	t.Helper()
	clock := playbook.NewVirtual(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC))
	o.Clock = clock
	w, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, w: w, clock: clock}
	at := awscalls.Place{Account: acct, Region: region, Role: awscalls.Act, Incident: "INC-42"}
	r.EC2 = r.at(acct, region)
	r.asg = must(w.AWS().AutoScaling(t.Context(), at))(t)
	r.elb = must(w.AWS().ELB(t.Context(), at))(t)
	r.elbv2 = must(w.AWS().ELBv2(t.Context(), at))(t)
	r.edit(build)
	return r
}

// at is EC2 in an account and region.
func (r *rig) at(account, region string) awscalls.EC2 {
	r.t.Helper()
	return must(r.w.AWS().EC2(r.t.Context(), awscalls.Place{Account: account, Region: region, Role: awscalls.Act, Incident: "INC-42"}))(r.t)
}

func (r *rig) edit(f func(e *sim.Editor)) {
	r.t.Helper()
	if err := r.w.Edit(f); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	if err := r.clock.Sleep(r.t.Context(), d, nil); err != nil {
		r.t.Fatal(err)
	}
}

// must gives what a call returned, or fails the test.
func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// code is the error code of AWS.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	if err != nil {
		return "no code: " + err.Error()
	}
	return ""
}

func (r *rig) want(err error, want string) {
	r.t.Helper()
	if got := code(err); got != want {
		r.t.Errorf("the call answered %q, not %q", got, want)
	}
}

func (r *rig) instance(id string) types.Instance {
	r.t.Helper()
	out := must(r.DescribeInstances(r.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(r.t)
	return out.Reservations[0].Instances[0]
}

func (r *rig) state(id string) string { return string(r.instance(id).State.Name) }

func (r *rig) eni(id string) types.NetworkInterface {
	r.t.Helper()
	return must(r.DescribeNetworkInterfaces(r.t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))(r.t).NetworkInterfaces[0]
}

func (r *rig) volume(id string) types.Volume {
	r.t.Helper()
	return must(r.DescribeVolumes(r.t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}}))(r.t).Volumes[0]
}

func (r *rig) snapshot(id string) types.Snapshot {
	r.t.Helper()
	return must(r.DescribeSnapshots(r.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))(r.t).Snapshots[0]
}

// group makes a security group in the VPC of the default subnet.
func (r *rig) group(name, vpc string) string {
	r.t.Helper()
	out := must(r.CreateSecurityGroup(r.t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String(name), Description: aws.String("test"), VpcId: aws.String(vpc)}))(r.t)
	return aws.ToString(out.GroupId)
}

// contain makes a group without any rule.
func (r *rig) contain(vpc string) string {
	r.t.Helper()
	id := r.group("contain", vpc)
	rules := r.rules(id)
	var ids []string
	for _, rule := range rules {
		ids = append(ids, *rule.SecurityGroupRuleId)
	}
	must(r.RevokeSecurityGroupEgress(r.t.Context(), &ec2.RevokeSecurityGroupEgressInput{GroupId: aws.String(id), SecurityGroupRuleIds: ids}))(r.t)
	return id
}

func (r *rig) rules(groupID string) []types.SecurityGroupRule {
	r.t.Helper()
	out := must(r.DescribeSecurityGroupRules(r.t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", groupID)}))(r.t)
	return out.SecurityGroupRules
}

func (r *rig) setGroups(eni string, groups ...string) {
	r.t.Helper()
	must(r.ModifyNetworkInterfaceAttribute(r.t.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: aws.String(eni), Groups: groups}))(r.t)
}

func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: aws.String(name), Values: values}}
}

func anywhere() []types.IpPermission {
	return []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}, Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}}}
}
