package sim_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
)

// city is a world with a bit of everything.
func city(e *sim.Editor) (id, eni string) {
	vpc := e.AddVPC(acct, region, sim.VPCSpec{IPv6: true})
	public := e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc})
	private := e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc, Route: "nat", NAT: public})
	target := e.AddTargetGroup(acct, region, sim.TargetGroupSpec{VPC: vpc})
	e.AddAutoScalingGroup(acct, region, sim.AutoScalingGroupSpec{ELB: true, Targets: []string{target}, Subnets: []string{public}, Desired: 2})
	id = e.AddInstance(acct, region, sim.InstanceSpec{Subnet: private, Interfaces: []sim.InterfaceSpec{{IPs: 2}, {}}, Volumes: []sim.VolumeSpec{{}, {GiB: 50, Encrypted: true}}, Profile: "web",
		ElasticIP: true, Tags: map[string]string{"Name": "web"}})
	eni = e.InterfaceOf(acct, region, id, 0)
	e.OpenFlow(acct, region, eni, sim.FlowSpec{})
	e.AddManagedInterface(acct, region, sim.ManagedInterfaceSpec{Subnet: private})
	return id, eni
}

func TestAWorldOfComputersOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "world.json")
	var id string
	r := newRig(t, sim.Options{File: file}, func(e *sim.Editor) { id, _ = city(e) })
	must(r.CreateSnapshots(t.Context(), &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: &id}}))(t)
	must(r.ModifyInstanceMetadataOptions(t.Context(), &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpEndpoint: "disabled"}))(t)
	again := must(sim.New(sim.Options{Clock: r.clock, File: file}))(t)
	if diff := cmp.Diff(string(must(r.w.Dump())(t)), string(must(again.Dump())(t))); diff != "" {
		t.Errorf("the world that was read is another one: %s", diff)
	}
	r.pass(time.Hour)
	if diff := cmp.Diff(string(must(r.w.Canonical(acct))(t)), string(must(again.Canonical(acct))(t))); diff != "" {
		t.Errorf("it goes on in another way: %s", diff)
	}
}

// What happens by itself does not depend on who looks when: a world that is
// looked at every few seconds is in the end the same as one at which nobody looks.
func TestNobodyChangesTheWorldByLooking(top *testing.T) {
	top.Parallel()
	rapid.Check(top, func(t *rapid.T) {
		type deed struct{ what, wait int }
		deeds := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
			return deed{rapid.IntRange(0, 6).Draw(t, "what"), rapid.IntRange(0, 400).Draw(t, "seconds")}
		}), 1, 6).Draw(t, "deeds")
		every := rapid.IntRange(1, 30).Draw(t, "every")
		live := func(step int) string {
			var id, eni string
			r := newRig(top, sim.Options{}, func(e *sim.Editor) { id, eni = city(e) })
			for _, d := range deeds {
				do(r, d.what, id, eni)
				for left := d.wait; left > 0; left -= step {
					r.pass(time.Duration(min(left, step)) * time.Second)
					if step < 1000 {
						_ = r.w.Flows(eni)
					}
				}
			}
			_ = r.w.Flows(eni)
			return string(must(r.w.Dump())(top))
		}
		if diff := cmp.Diff(live(1000), live(every)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// do changes the world in one of several ways; a refusal is as good as success.
func do(r *rig, what int, id, eni string) {
	ctx := r.t.Context()
	group := must(r.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{}))(r.t).AutoScalingGroups[0]
	member := id
	if len(group.Instances) > 0 {
		member = *group.Instances[0].InstanceId
	}
	vpc := *r.eni(eni).VpcId
	switch what {
	case 0: // everything of the group is cut off
		r.edit(func(e *sim.Editor) {
			e.SetGroups(acct, region, e.InterfaceOf(acct, region, member, 0), e.AddSecurityGroup(acct, region, sim.SecurityGroupSpec{Rules: []sim.RuleSpec{}, VPC: vpc}))
		})
	case 1:
		_, _ = r.asg.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: group.AutoScalingGroupName, InstanceIds: []string{member}, ShouldDecrementDesiredCapacity: aws.Bool(false)})
	case 2:
		_, _ = r.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: &id}})
	case 3:
		_, _ = r.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{member}})
	case 4:
		_, _ = r.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpEndpoint: "disabled"})
	case 5:
		r.edit(func(e *sim.Editor) {
			e.SetGroups(acct, region, eni, e.AddSecurityGroup(acct, region, sim.SecurityGroupSpec{Rules: []sim.RuleSpec{{}, {Egress: true}}, VPC: vpc}))
		})
	case 6:
		_, _ = r.asg.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: group.AutoScalingGroupName, ScalingProcesses: []string{"ReplaceUnhealthy"}})
	}
}

func TestCanonicalIsTheSameAfterAChangeIsPutBack(t *testing.T) {
	t.Parallel()
	var id, eni string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { id, eni = city(e) })
	before := string(must(r.w.Canonical(acct))(t))
	ctx := t.Context()
	same := func(when string) {
		t.Helper()
		if diff := cmp.Diff(before, string(must(r.w.Canonical(acct))(t))); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	differs := func(what string) {
		t.Helper()
		if string(must(r.w.Canonical(acct))(t)) == before {
			t.Errorf("%s does not show", what)
		}
	}
	groups := r.eni(eni).Groups
	in := &ec2.CreateSecurityGroupInput{GroupName: aws.String("guardroom-contain"), Description: aws.String("contain"), VpcId: r.eni(eni).VpcId,
		TagSpecifications: []types.TagSpecification{{ResourceType: "security-group", Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("r")}}}}}
	contain := must(r.CreateSecurityGroup(ctx, in))(t).GroupId
	same("a group of our own")
	r.setGroups(eni, *contain)
	differs("a change of groups")
	r.setGroups(eni, *groups[0].GroupId)
	same("the groups are back")

	a := must(r.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: filter("instance-id", id)}))(t).Addresses[0]
	must(r.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: a.AssociationId}))(t)
	differs("an Elastic IP that is off")
	must(r.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: a.AllocationId, NetworkInterfaceId: a.NetworkInterfaceId, PrivateIpAddress: a.PrivateIpAddress}))(t)
	same("the Elastic IP is back, under a new association")

	p := must(r.DescribeIamInstanceProfileAssociations(ctx, &ec2.DescribeIamInstanceProfileAssociationsInput{}))(t).IamInstanceProfileAssociations[0]
	must(r.DisassociateIamInstanceProfile(ctx, &ec2.DisassociateIamInstanceProfileInput{AssociationId: p.AssociationId}))(t)
	differs("a profile that is off")
	r.pass(time.Minute)
	must(r.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: p.IamInstanceProfile.Arn}}))(t)
	same("the profile is back, under a new association")

	must(r.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpEndpoint: "disabled"}))(t)
	differs("metadata that is off")
	must(r.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpEndpoint: "enabled"}))(t)
	same("metadata is back")

	must(r.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: &id},
		TagSpecifications: []types.TagSpecification{{ResourceType: "snapshot", Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("r")}}}}}))(t)
	same("evidence is kept")
	r.edit(func(e *sim.Editor) { e.SetTag(acct, region, id, "Name", "other") })
	differs("a colleague's tag")
}
