package cloudtest

import (
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func instanceCases() []Case {
	return []Case{
		{"an instance is described", describeInstance},
		{"ids that are not there", unknownIDs},
		{"a dry run changes nothing", dryRuns},
		{"attributes of an instance", instanceAttributes},
		{"metadata options of an instance", instanceMetadata},
		{"the console of an instance", instanceConsole},
		{"tags", resourceTags},
		{"an instance is launched", launchInstance},
		{"machine images", images},
	}
}

func describeInstance(w *World) {
	vpc := w.VPC(false)
	a, b := w.Subnet(vpc, "a"), w.Subnet(vpc, "a")
	h := w.Launch(Launch{Subnets: []string{a, b}, Disks: []Disk{{GiB: 2}, {GiB: 3}}})
	i := w.instance(h.ID)
	w.Is("state", string(i.State.Name), "running")
	w.Is("zone", str(i.Placement.AvailabilityZone), Region+"a")
	w.Is("vpc", str(i.VpcId) == vpc, true)
	w.Is("root device type", string(i.RootDeviceType), "ebs")
	w.Is("devices", len(i.BlockDeviceMappings), 3)
	roots := 0
	for _, d := range i.BlockDeviceMappings {
		if str(d.DeviceName) == str(i.RootDeviceName) {
			roots++
		}
		w.Is("a device is attached", string(d.Ebs.Status), "attached")
		w.Is("a device goes with the instance", aws.ToBool(d.Ebs.DeleteOnTermination), true)
	}
	w.Is("one of them is the root", roots, 1)
	w.Is("interfaces", len(i.NetworkInterfaces), 2)
	w.Is("metadata options are applied", string(i.MetadataOptions.State), "applied")
	w.Is("it was launched", i.LaunchTime != nil, true)
	enis := got[*ec2.DescribeNetworkInterfacesOutput](w, "its interfaces")(w.EC2().DescribeNetworkInterfaces(w.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("attachment.instance-id", h.ID)}}))
	w.Is("interfaces by instance", len(enis.NetworkInterfaces), 2)
	for _, n := range enis.NetworkInterfaces {
		w.Is("an interface names its attachment", str(n.Attachment.AttachmentId) != "", true)
		w.Is("an interface is nobody's but ours", aws.ToBool(n.RequesterManaged), false)
		w.Is("an interface has its type", string(n.InterfaceType), "interface")
	}
	volumes := got[*ec2.DescribeVolumesOutput](w, "its volumes")(w.EC2().DescribeVolumes(w.Context(), &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("attachment.instance-id", h.ID)}}))
	w.Is("volumes by instance", len(volumes.Volumes), 3)
	for _, v := range volumes.Volumes {
		w.Is("a volume is in use", string(v.State), "in-use")
	}
	one := got[*ec2.DescribeNetworkInterfacesOutput](w, "interfaces of a subnet")(w.EC2().DescribeNetworkInterfaces(w.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("subnet-id", b)}}))
	w.Is("interfaces by subnet", len(one.NetworkInterfaces), 1)
	status := got[*ec2.DescribeInstanceStatusOutput](w, "its status")(w.EC2().DescribeInstanceStatus(w.Context(), &ec2.DescribeInstanceStatusInput{InstanceIds: []string{h.ID}}))
	w.Is("status", len(status.InstanceStatuses), 1)
}

func unknownIDs(w *World) {
	ctx, c := w.Context(), w.EC2()
	_, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	w.Code("instance", err, "InvalidInstanceID.NotFound")
	_, err = c.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: s("i-0123456789abcdef0"), Attribute: types.InstanceAttributeNameUserData})
	w.Code("instance attribute", err, "InvalidInstanceID.NotFound")
	_, err = c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-0123456789abcdef0"}})
	w.Code("interface", err, "InvalidNetworkInterfaceID.NotFound")
	_, err = c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{"vol-0123456789abcdef0"}})
	w.Code("volume", err, "InvalidVolume.NotFound")
	_, err = c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-0123456789abcdef0"}})
	w.Code("snapshot", err, "InvalidSnapshot.NotFound")
	_, err = c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-0123456789abcdef0"}})
	w.Code("security group", err, "InvalidGroup.NotFound")
	_, err = c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}})
	w.Code("image", err, "InvalidAMIID.NotFound")
	_, err = c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0123456789abcdef0"}})
	w.Code("subnet", err, "InvalidSubnetID.NotFound")
	_, err = c.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: s("eipassoc-0123456789abcdef0")})
	w.Code("association of an address", err, "InvalidAssociationID.NotFound")
	_, err = c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: s("vol-0123456789abcdef0")})
	w.Code("volume to delete", err, "InvalidVolume.NotFound")
	_, err = c.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: s("i-0123456789abcdef0")}})
	w.Code("instance to take snapshots of", err, "InvalidInstanceID.NotFound")
	_, err = c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	w.Code("instance to terminate", err, "InvalidInstanceID.NotFound")
}

func dryRuns(w *World) {
	h := w.host()
	ctx, c, dry := w.Context(), w.EC2(), aws.Bool(true)
	before := w.instance(h.ID)
	group, _ := w.group(str(before.VpcId), "spare")
	_, association := w.Address(h.Interfaces[0])
	acls := got[*ec2.DescribeNetworkAclsOutput](w, "ACLs")(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{filter("vpc-id", str(before.VpcId))}})).NetworkAcls
	standard := acls[0]
	snapshot := w.completed(h.Volumes[0])
	spare := str(got[*ec2.CreateVolumeOutput](w, "a volume")(c.CreateVolume(ctx, &ec2.CreateVolumeInput{SnapshotId: s(snapshot), AvailabilityZone: s(Region + "a")})).VolumeId)
	w.Until("an available volume", func() bool { return w.volume(spare).State == types.VolumeStateAvailable })
	world := func() []int {
		return []int{
			len(got[*ec2.DescribeVolumesOutput](w, "volumes")(c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes),
			len(got[*ec2.DescribeInstancesOutput](w, "instances")(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})).Reservations),
			len(got[*ec2.DescribeNetworkAclsOutput](w, "ACLs")(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{})).NetworkAcls),
			len(w.entries(str(standard.NetworkAclId))),
			len(w.permitted(snapshot)),
			len(got[*ec2.DescribeAddressesOutput](w, "addresses")(c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{filter("instance-id", h.ID)}})).Addresses),
			len(w.volume(spare).Attachments),
		}
	}
	had2 := world()
	rules, _ := w.rules(group)
	groups := func() int {
		return len(got[*ec2.DescribeSecurityGroupsOutput](w, "groups")(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", str(before.VpcId))}})).SecurityGroups)
	}
	had := groups()
	for check, call := range map[string]func() error{
		"create a group": func() error {
			_, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{DryRun: dry, GroupName: s("x"), Description: s("x"), VpcId: before.VpcId})
			return err
		},
		"change an interface": func() error {
			_, err := c.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{DryRun: dry, NetworkInterfaceId: s(h.Interfaces[0]), Groups: []string{str(before.NetworkInterfaces[0].Groups[0].GroupId)}})
			return err
		},
		"make snapshots": func() error {
			_, err := c.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{DryRun: dry, InstanceSpecification: &types.InstanceSpecification{InstanceId: s(h.ID)}})
			return err
		},
		"tag": func() error {
			_, err := c.CreateTags(ctx, &ec2.CreateTagsInput{DryRun: dry, Resources: []string{h.ID}, Tags: []types.Tag{{Key: s("a"), Value: s("b")}}})
			return err
		},
		"terminate": func() error {
			_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{DryRun: dry, InstanceIds: []string{h.ID}})
			return err
		},
		"change an attribute": func() error {
			_, err := c.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{DryRun: dry, InstanceId: s(h.ID), DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
			return err
		},
		"lock a snapshot": func() error {
			_, err := c.LockSnapshot(ctx, &ec2.LockSnapshotInput{DryRun: dry, SnapshotId: s(snapshot), LockMode: types.LockModeGovernance, LockDuration: aws.Int32(1)})
			return err
		},
		"change metadata options": func() error {
			_, err := c.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{DryRun: dry, InstanceId: s(h.ID), HttpEndpoint: types.InstanceMetadataEndpointStateDisabled})
			return err
		},
		"take an address away": func() error {
			_, err := c.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{DryRun: dry, AssociationId: s(association)})
			return err
		},
		"delete a group": func() error {
			_, err := c.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{DryRun: dry, GroupId: s(group)})
			return err
		},
		"let in": func() error {
			_, err := c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{DryRun: dry, GroupId: s(group), IpPermissions: everywhere()})
			return err
		},
		"close": func() error {
			_, err := c.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{DryRun: dry, GroupId: s(group), IpPermissions: []types.IpPermission{{IpProtocol: s("-1"), IpRanges: []types.IpRange{{CidrIp: s("0.0.0.0/0")}}}}})
			return err
		},
		"make an ACL": func() error {
			_, err := c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{DryRun: dry, VpcId: before.VpcId})
			return err
		},
		"make an entry": func() error {
			_, err := c.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{DryRun: dry, NetworkAclId: standard.NetworkAclId, RuleNumber: aws.Int32(1), Egress: aws.Bool(false), Protocol: s("-1"), RuleAction: types.RuleActionDeny, CidrBlock: s("192.0.2.1/32")})
			return err
		},
		"delete an entry": func() error {
			_, err := c.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{DryRun: dry, NetworkAclId: standard.NetworkAclId, RuleNumber: aws.Int32(100), Egress: aws.Bool(false)})
			return err
		},
		"tie an ACL": func() error {
			_, err := c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{DryRun: dry, AssociationId: standard.Associations[0].NetworkAclAssociationId, NetworkAclId: standard.NetworkAclId})
			return err
		},
		"make a volume": func() error {
			_, err := c.CreateVolume(ctx, &ec2.CreateVolumeInput{DryRun: dry, SnapshotId: s(snapshot), AvailabilityZone: s(Region + "a")})
			return err
		},
		"attach a volume": func() error {
			_, err := c.AttachVolume(ctx, &ec2.AttachVolumeInput{DryRun: dry, VolumeId: s(spare), InstanceId: s(h.ID), Device: s("/dev/sdp")})
			return err
		},
		"delete a volume": func() error {
			_, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{DryRun: dry, VolumeId: s(spare)})
			return err
		},
		"share a snapshot": func() error {
			_, err := c.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{DryRun: dry, SnapshotId: s(snapshot), Attribute: types.SnapshotAttributeNameCreateVolumePermission, CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{UserId: s(w.Other())}}}})
			return err
		},
		"make a snapshot": func() error {
			_, err := c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{DryRun: dry, VolumeId: s(h.Volumes[0])})
			return err
		},
		"copy a snapshot": func() error {
			_, err := c.CopySnapshot(ctx, &ec2.CopySnapshotInput{DryRun: dry, SourceRegion: s(Region), SourceSnapshotId: s(snapshot)})
			return err
		},
		"take tags away": func() error {
			_, err := c.DeleteTags(ctx, &ec2.DeleteTagsInput{DryRun: dry, Resources: []string{h.ID}, Tags: []types.Tag{{Key: s("a")}}})
			return err
		},
		"launch": func() error {
			_, err := c.RunInstances(ctx, &ec2.RunInstancesInput{DryRun: dry, ImageId: before.ImageId, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: before.SubnetId})
			return err
		},
	} {
		w.Code(check, call(), "DryRunOperation")
	}
	after := w.instance(h.ID)
	w.Is("the world is as it was", world(), had2)
	now, _ := w.rules(group)
	w.Is("the rules are as they were", now, rules)
	w.Is("its metadata service is on", string(after.MetadataOptions.HttpEndpoint), "enabled")
	w.Is("its tokens are as they were", after.MetadataOptions.HttpTokens == before.MetadataOptions.HttpTokens, true)
	w.Is("it still runs", string(after.State.Name), "running")
	w.Is("it has no tag", tagOf(after.Tags, "a"), "-")
	w.Is("there is no other group", groups(), had)
	w.Is("it is not protected", w.attribute(h.ID, types.InstanceAttributeNameDisableApiTermination), "false")
	locked := got[*ec2.DescribeLockedSnapshotsOutput](w, "locks")(c.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{}))
	w.Is("nothing is locked", len(locked.Snapshots), 0)
}

// attribute is an attribute of an instance as text.
func (w *World) attribute(id string, name types.InstanceAttributeName) string {
	w.Helper()
	out := got[*ec2.DescribeInstanceAttributeOutput](w, string(name))(w.EC2().DescribeInstanceAttribute(w.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: s(id), Attribute: name}))
	switch name {
	case types.InstanceAttributeNameDisableApiTermination:
		return text(aws.ToBool(out.DisableApiTermination.Value))
	case types.InstanceAttributeNameDisableApiStop:
		return text(aws.ToBool(out.DisableApiStop.Value))
	case types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
		return str(out.InstanceInitiatedShutdownBehavior.Value)
	}
	return str(out.UserData.Value)
}

func instanceAttributes(w *World) {
	h := w.host(Disk{GiB: 1})
	ctx, c := w.Context(), w.EC2()
	set := func(in ec2.ModifyInstanceAttributeInput) error {
		in.InstanceId = s(h.ID)
		_, err := c.ModifyInstanceAttribute(ctx, &in)
		return err
	}
	yes, no := &types.AttributeBooleanValue{Value: aws.Bool(true)}, &types.AttributeBooleanValue{Value: aws.Bool(false)}
	w.Is("born without protection", w.attribute(h.ID, types.InstanceAttributeNameDisableApiTermination), "false")
	w.Is("born stopping at shutdown", w.attribute(h.ID, types.InstanceAttributeNameInstanceInitiatedShutdownBehavior), "stop")
	w.Is("born without user data", w.attribute(h.ID, types.InstanceAttributeNameUserData), "")
	w.Code("protect", set(ec2.ModifyInstanceAttributeInput{DisableApiTermination: yes}), "")
	w.Code("protect again", set(ec2.ModifyInstanceAttributeInput{DisableApiTermination: yes}), "")
	w.Is("protected", w.attribute(h.ID, types.InstanceAttributeNameDisableApiTermination), "true")
	_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{h.ID}})
	w.Code("terminate what is protected", err, "OperationNotPermitted")
	w.Is("it still runs", string(w.instance(h.ID).State.Name), "running")
	w.Code("protect from stopping", set(ec2.ModifyInstanceAttributeInput{DisableApiStop: yes}), "")
	w.Is("protected from stopping", w.attribute(h.ID, types.InstanceAttributeNameDisableApiStop), "true")
	w.Code("terminate at shutdown", set(ec2.ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: s("terminate")}}), "")
	w.Is("terminates at shutdown", w.attribute(h.ID, types.InstanceAttributeNameInstanceInitiatedShutdownBehavior), "terminate")
	device := ""
	for _, d := range w.instance(h.ID).BlockDeviceMappings {
		if str(d.Ebs.VolumeId) == h.Volumes[1] {
			device = str(d.DeviceName)
		}
	}
	w.Code("keep a volume", set(ec2.ModifyInstanceAttributeInput{BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{{DeviceName: s(device), Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(false)}}}}), "")
	for _, d := range w.instance(h.ID).BlockDeviceMappings {
		check := "the other goes"
		if str(d.DeviceName) == device {
			check = "the volume stays"
		}
		w.Is(check, aws.ToBool(d.Ebs.DeleteOnTermination), check == "the other goes")
	}
	attachment := w.eni(h.Interfaces[0]).Attachment
	_, err = c.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: s(h.Interfaces[0]), Attachment: &types.NetworkInterfaceAttachmentChanges{AttachmentId: attachment.AttachmentId, DeleteOnTermination: aws.Bool(false)}})
	w.Code("keep an interface", err, "")
	w.Is("the interface stays", aws.ToBool(w.eni(h.Interfaces[0]).Attachment.DeleteOnTermination), false)
	w.Code("unprotect", set(ec2.ModifyInstanceAttributeInput{DisableApiTermination: no}), "")
	_, err = c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{h.ID}})
	w.Code("terminate", err, "")
	w.Until("the end of the instance", func() bool { return w.instance(h.ID).State.Name == types.InstanceStateNameTerminated })
	w.Is("the volume outlives it", string(w.volume(h.Volumes[1]).State), "available")
}

func instanceMetadata(w *World) {
	h := w.host()
	before := w.instance(h.ID).MetadataOptions
	w.Is("born switched on", string(before.HttpEndpoint), "enabled")
	out := got[*ec2.ModifyInstanceMetadataOptionsOutput](w, "switch off")(w.EC2().ModifyInstanceMetadataOptions(w.Context(), &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: s(h.ID), HttpEndpoint: types.InstanceMetadataEndpointStateDisabled}))
	w.Is("pending at first", string(out.InstanceMetadataOptions.State), "pending")
	w.Is("pending when described", string(w.instance(h.ID).MetadataOptions.State), "pending")
	w.Until("applied options", func() bool {
		return w.instance(h.ID).MetadataOptions.State == types.InstanceMetadataOptionsStateApplied
	})
	after := w.instance(h.ID).MetadataOptions
	w.Is("switched off", string(after.HttpEndpoint), "disabled")
	w.Is("the tokens are as before", after.HttpTokens == before.HttpTokens, true)
	w.Is("the hops are as before", aws.ToInt32(after.HttpPutResponseHopLimit) == aws.ToInt32(before.HttpPutResponseHopLimit), true)
}

func instanceConsole(w *World) {
	h := w.host()
	shot := got[*ec2.GetConsoleScreenshotOutput](w, "screenshot")(w.EC2().GetConsoleScreenshot(w.Context(), &ec2.GetConsoleScreenshotInput{InstanceId: s(h.ID)}))
	picture, err := base64.StdEncoding.DecodeString(str(shot.ImageData))
	w.Is("a picture", err == nil && len(picture) > 0, true)
	out := got[*ec2.GetConsoleOutputOutput](w, "output")(w.EC2().GetConsoleOutput(w.Context(), &ec2.GetConsoleOutputInput{InstanceId: s(h.ID)}))
	_, err = base64.StdEncoding.DecodeString(str(out.Output))
	w.Is("the output is base64", err == nil && str(out.Output) != "", true)
	_, err = w.EC2().GetConsoleScreenshot(w.Context(), &ec2.GetConsoleScreenshotInput{InstanceId: s("i-0123456789abcdef0")})
	w.Code("of what is not there", err, "InvalidInstanceID.NotFound")
}

func resourceTags(w *World) {
	h := w.host()
	ctx, c := w.Context(), w.EC2()
	tags := []types.Tag{{Key: s("guardroom:run"), Value: s("r1")}, {Key: s("guardroom:step"), Value: s("mark")}}
	_, err := c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{h.ID, h.Interfaces[0], h.Volumes[0]}, Tags: tags})
	w.Code("tag three things", err, "")
	w.Is("the instance", tagOf(w.instance(h.ID).Tags, "guardroom:run"), "r1")
	w.Is("the interface", tagOf(w.eni(h.Interfaces[0]).TagSet, "guardroom:run"), "r1")
	w.Is("the volume", tagOf(w.volume(h.Volumes[0]).Tags, "guardroom:run"), "r1")
	found := got[*ec2.DescribeInstancesOutput](w, "by tag")(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{filter("tag:guardroom:run", "r1"), filter("tag:guardroom:step", "mark")}}))
	w.Is("found by two tags", len(found.Reservations), 1)
	found = got[*ec2.DescribeInstancesOutput](w, "by tag")(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{filter("tag:guardroom:run", "r1"), filter("tag:guardroom:step", "other")}}))
	w.Is("not found by another", len(found.Reservations), 0)
	_, err = c.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{h.ID}, Tags: []types.Tag{{Key: s("guardroom:run"), Value: s("r2")}}})
	w.Code("take away with another value", err, "")
	w.Is("it stays", tagOf(w.instance(h.ID).Tags, "guardroom:run"), "r1")
	_, err = c.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{h.ID}, Tags: tags})
	w.Code("take away", err, "")
	w.Is("it is gone", tagOf(w.instance(h.ID).Tags, "guardroom:run"), "-")
	w.Is("the interface keeps it", tagOf(w.eni(h.Interfaces[0]).TagSet, "guardroom:run"), "r1")
}

func launchInstance(w *World) {
	ctx, c := w.Context(), w.EC2()
	image, subnet := w.Image(), w.Subnet(w.VPC(false), "b")
	in := func() *ec2.RunInstancesInput {
		return &ec2.RunInstancesInput{ImageId: s(image), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: s("gr-1"),
			NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: s(subnet), AssociatePublicIpAddress: aws.Bool(false)}},
			MetadataOptions:   &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired}, TagSpecifications: tagged(types.ResourceTypeInstance, "guardroom:run", "r1")}
	}
	first := got[*ec2.RunInstancesOutput](w, "launch")(c.RunInstances(ctx, in()))
	id := str(first.Instances[0].InstanceId)
	w.Is("pending at first", string(first.Instances[0].State.Name), "pending")
	w.Is("pending when described", string(w.instance(id).State.Name), "pending")
	status := got[*ec2.DescribeInstanceStatusOutput](w, "status")(c.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}))
	w.Is("no status yet", len(status.InstanceStatuses), 0)
	again := got[*ec2.RunInstancesOutput](w, "launch again")(c.RunInstances(ctx, in()))
	w.Is("the same token, the same instance", str(again.Instances[0].InstanceId) == id, true)
	other := in()
	other.InstanceType = types.InstanceTypeT3Large
	_, err := c.RunInstances(ctx, other)
	w.Code("the same token, another request", err, "IdempotentParameterMismatch")
	w.Until("a running instance", func() bool { return w.instance(id).State.Name == types.InstanceStateNameRunning })
	w.Until("its checks", func() bool {
		out := got[*ec2.DescribeInstanceStatusOutput](w, "status")(c.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}))
		return len(out.InstanceStatuses) == 1 && out.InstanceStatuses[0].InstanceStatus.Status == types.SummaryStatusOk
	})
	i := w.instance(id)
	w.Is("in its zone", str(i.Placement.AvailabilityZone), Region+"b")
	w.Is("tagged at birth", tagOf(i.Tags, "guardroom:run"), "r1")
	w.Is("tokens are required", string(i.MetadataOptions.HttpTokens), "required")
	w.Is("no public address", str(i.PublicIpAddress), "")
	found := got[*ec2.DescribeInstancesOutput](w, "by token")(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{filter("tag:guardroom:run", "r1")}}))
	w.Is("one of its tag", len(found.Reservations), 1)
	kinds := got[*ec2.DescribeInstanceTypesOutput](w, "types")(c.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceTypeT3Micro}}))
	w.Is("its type is known", len(kinds.InstanceTypes), 1)
	w.Is("its type has processors", aws.ToInt32(kinds.InstanceTypes[0].VCpuInfo.DefaultVCpus), 2)
	_, err = c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	w.Code("terminate", err, "")
	_, err = c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	w.Code("terminate again", err, "")
}

func images(w *World) {
	ctx, c := w.Context(), w.EC2()
	id := w.Image()
	out := got[*ec2.DescribeImagesOutput](w, "image")(c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}}))
	w.Is("its owner", str(out.Images[0].OwnerId), w.Account)
	w.Is("its state", string(out.Images[0].State), "available")
	w.Is("its root device", str(out.Images[0].RootDeviceName) != "", true)
	friend := types.LaunchPermission{UserId: s(w.Other())}
	change := func(m types.LaunchPermissionModifications) error {
		_, err := c.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: s(id), LaunchPermission: &m})
		return err
	}
	shares := func() int {
		return len(got[*ec2.DescribeImageAttributeOutput](w, "shares")(c.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: s(id), Attribute: types.ImageAttributeNameLaunchPermission})).LaunchPermissions)
	}
	w.Is("shared with nobody", shares(), 0)
	w.Code("share", change(types.LaunchPermissionModifications{Add: []types.LaunchPermission{friend}}), "")
	w.Code("share again", change(types.LaunchPermissionModifications{Add: []types.LaunchPermission{friend}}), "")
	w.Is("shared", shares(), 1)
	w.Code("take the share away", change(types.LaunchPermissionModifications{Remove: []types.LaunchPermission{friend}}), "")
	w.Is("shared with nobody again", shares(), 0)
}
