package proxy_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

func (w *world) describe(t *testing.T, id *string) types.Instance {
	t.Helper()
	out := must[*ec2.DescribeInstancesOutput](t)(w.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{aws.ToString(id)}}))
	return out.Reservations[0].Instances[0]
}

func (w *world) describeVolume(t *testing.T, id string) types.Volume {
	t.Helper()
	return must[*ec2.DescribeVolumesOutput](t)(w.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}})).Volumes[0]
}

func (w *world) attach(t *testing.T, volume string, instance *string, device string) error {
	t.Helper()
	_, err := w.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: aws.String(volume), InstanceId: instance, Device: aws.String(device)})
	return err
}

func TestInstancesStartWithTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Instance: time.Minute, Checks: 2 * time.Minute}})
	i := w.instance(t, "a")
	if i.State.Name != types.InstanceStateNamePending {
		t.Errorf("born %s", i.State.Name)
	}
	status := func() string {
		out := must[*ec2.DescribeInstanceStatusOutput](t)(w.ec2.DescribeInstanceStatus(t.Context(), &ec2.DescribeInstanceStatusInput{InstanceIds: []string{aws.ToString(i.InstanceId)}}))
		if len(out.InstanceStatuses) == 0 {
			return "none"
		}
		return string(out.InstanceStatuses[0].InstanceStatus.Status)
	}
	var got []string
	for _, step := range []time.Duration{0, time.Minute, 2 * time.Minute} {
		w.clock.move(step)
		got = append(got, string(w.describe(t, i.InstanceId).State.Name)+" "+status())
	}
	if d := cmp.Diff([]string{"pending none", "running initializing", "running ok"}, got); d != "" {
		t.Error(d)
	}
}

func TestVolumesAreCreatedAndAttachedWithTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Volume: time.Minute, Attachment: time.Minute, Instance: time.Minute, Snapshot: time.Minute}})
	i := w.instance(t, "a")
	v := w.volume(t, "a", ec2.CreateVolumeInput{})
	if s := w.describeVolume(t, v).State; s != types.VolumeStateCreating {
		t.Errorf("born %s", s)
	}
	wantCode(t, w.attach(t, v, i.InstanceId, "/dev/sdf"), "IncorrectState")
	_, err := w.ec2.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: aws.String(v)})
	wantCode(t, err, "IncorrectState")
	w.clock.move(time.Minute)
	if err := w.attach(t, v, i.InstanceId, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	mapped := func() string {
		for _, b := range w.describe(t, i.InstanceId).BlockDeviceMappings {
			if aws.ToString(b.DeviceName) == "/dev/sdf" {
				return string(b.Ebs.Status)
			}
		}
		return ""
	}
	if s := w.describeVolume(t, v).Attachments[0].State; s != types.VolumeAttachmentStateAttaching || mapped() != "attaching" {
		t.Errorf("%s %s", s, mapped())
	}
	w.clock.move(time.Minute)
	if s := w.describeVolume(t, v).Attachments[0].State; s != types.VolumeAttachmentStateAttached || mapped() == "attaching" {
		t.Errorf("%s %s", s, mapped())
	}
	snapshot := w.snapshot(t, v)
	_, err = w.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{SnapshotId: aws.String(snapshot), AvailabilityZone: aws.String(region + "a")})
	wantCode(t, err, "IncorrectState")
}

func TestVolumesThatCannotBeAttachedAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	i, other := w.instance(t, "a"), w.instance(t, "a")
	near, second, far := w.volume(t, "a", ec2.CreateVolumeInput{}), w.volume(t, "a", ec2.CreateVolumeInput{}), w.volume(t, "b", ec2.CreateVolumeInput{})
	wantCode(t, w.attach(t, far, i.InstanceId, "/dev/sdf"), "InvalidVolume.ZoneMismatch")
	wantCode(t, w.attach(t, "vol-0123456789abcdef0", i.InstanceId, "/dev/sdf"), "InvalidVolume.NotFound")
	if err := w.attach(t, near, i.InstanceId, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, w.attach(t, near, i.InstanceId, "/dev/sdf"), "VolumeInUse")
	wantCode(t, w.attach(t, near, other.InstanceId, "/dev/sdf"), "VolumeInUse")
	wantCode(t, w.attach(t, second, i.InstanceId, "/dev/sdf"), "InvalidParameterValue")
	_, err := w.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: aws.String(near), InstanceId: other.InstanceId})
	wantCode(t, err, "InvalidAttachment.NotFound")
	if _, err := w.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: aws.String(near)}); err != nil {
		t.Fatal(err)
	}
	if v := w.describeVolume(t, near); v.State != types.VolumeStateAvailable || len(v.Attachments) != 0 {
		t.Errorf("%+v", v)
	}
	_, err = w.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: aws.String(near)})
	wantCode(t, err, "IncorrectState")
	_, err = w.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: aws.String("vol-0123456789abcdef0")})
	wantCode(t, err, "InvalidVolume.NotFound")
	status := must[*ec2.DescribeVolumeStatusOutput](t)(w.ec2.DescribeVolumeStatus(t.Context(), &ec2.DescribeVolumeStatusInput{VolumeIds: []string{near}}))
	if len(status.VolumeStatuses) != 1 || status.VolumeStatuses[0].VolumeStatus.Status != types.VolumeStatusInfoStatusOk {
		t.Errorf("%+v", status.VolumeStatuses)
	}
}

func TestMetadataOptionsAreAppliedWithTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Metadata: time.Minute}})
	i := w.instance(t, "a")
	out := must[*ec2.ModifyInstanceMetadataOptionsOutput](t)(w.ec2.ModifyInstanceMetadataOptions(t.Context(), &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: i.InstanceId, HttpEndpoint: types.InstanceMetadataEndpointStateDisabled}))
	got := []string{string(out.InstanceMetadataOptions.State), string(w.describe(t, i.InstanceId).MetadataOptions.State)}
	w.clock.move(time.Minute)
	got = append(got, string(w.describe(t, i.InstanceId).MetadataOptions.State), string(w.describe(t, i.InstanceId).MetadataOptions.HttpEndpoint))
	if d := cmp.Diff([]string{"pending", "pending", "applied", "disabled"}, got); d != "" {
		t.Error(d)
	}
}

func TestTheConsoleOfARunningInstanceIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Screenshot: []byte("picture")})
	i := w.instance(t, "a")
	out := must[*ec2.GetConsoleScreenshotOutput](t)(w.ec2.GetConsoleScreenshot(t.Context(), &ec2.GetConsoleScreenshotInput{InstanceId: i.InstanceId}))
	if aws.ToString(out.ImageData) != "cGljdHVyZQ==" {
		t.Errorf("%+v", out)
	}
	if _, err := w.ec2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{aws.ToString(i.InstanceId)}}); err != nil {
		t.Fatal(err)
	}
	_, err := w.ec2.GetConsoleScreenshot(t.Context(), &ec2.GetConsoleScreenshotInput{InstanceId: i.InstanceId})
	wantCode(t, err, "IncorrectInstanceState")
}

func TestGroupsThatAWSRefusesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	i, stranger := w.instance(t, "a"), w.instance(t, "a") // each in a VPC of its own
	group := func(vpc *string, name string) string {
		return aws.ToString(must[*ec2.CreateSecurityGroupOutput](t)(w.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: vpc, GroupName: aws.String(name), Description: aws.String("test")})).GroupId)
	}
	own, foreign, unused := group(i.VpcId, "own"), group(stranger.VpcId, "foreign"), group(i.VpcId, "unused")
	eni := i.NetworkInterfaces[0].NetworkInterfaceId
	set := func(groups ...string) error {
		_, err := w.ec2.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: eni, Groups: groups})
		return err
	}
	wantCode(t, set("sg-0123456789abcdef0"), "InvalidGroup.NotFound")
	wantCode(t, set(own, foreign), "InvalidParameterValue")
	wantCode(t, set("contain"), "InvalidGroupId.Malformed")
	if err := set(own); err != nil {
		t.Fatal(err)
	}
	out := must[*ec2.DescribeNetworkInterfacesOutput](t)(w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{aws.ToString(eni)}}))
	if g := out.NetworkInterfaces[0].Groups; len(g) != 1 || aws.ToString(g[0].GroupId) != own {
		t.Errorf("%+v", g)
	}
	drop := func(id string) error {
		_, err := w.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: aws.String(id)})
		return err
	}
	wantCode(t, drop(own), "DependencyViolation")
	if _, err := w.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: aws.String(own), IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: aws.String(unused)}}}}}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, drop(unused), "DependencyViolation")
	if err := drop(foreign); err != nil {
		t.Error(err)
	}
	wantCode(t, drop(foreign), "InvalidGroup.NotFound")
	more := must[*ec2.CreateNetworkInterfaceOutput](t)(w.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: i.SubnetId}))
	instanceGroups := func() error {
		_, err := w.ec2.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, Groups: []string{own}})
		return err
	}
	if err := instanceGroups(); err != nil {
		t.Errorf("one interface: %v", err)
	}
	if _, err := w.ec2.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{InstanceId: i.InstanceId, NetworkInterfaceId: more.NetworkInterface.NetworkInterfaceId, DeviceIndex: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, instanceGroups(), "InvalidInstanceID")
}

func TestAnOutdatedAssociationOfANetworkACLIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	i := w.instance(t, "a")
	acl := must[*ec2.CreateNetworkAclOutput](t)(w.ec2.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: i.VpcId}))
	all := must[*ec2.DescribeNetworkAclsOutput](t)(w.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: aws.String("association.subnet-id"), Values: []string{aws.ToString(i.SubnetId)}}}}))
	var old *string
	for _, a := range all.NetworkAcls[0].Associations {
		if aws.ToString(a.SubnetId) == aws.ToString(i.SubnetId) {
			old = a.NetworkAclAssociationId
		}
	}
	replace := func(id *string) (*ec2.ReplaceNetworkAclAssociationOutput, error) {
		return w.ec2.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: id, NetworkAclId: acl.NetworkAcl.NetworkAclId})
	}
	out := must[*ec2.ReplaceNetworkAclAssociationOutput](t)(replace(old))
	if aws.ToString(out.NewAssociationId) == aws.ToString(old) {
		t.Error("the association kept its id")
	}
	_, err := replace(old)
	wantCode(t, err, "InvalidAssociationID.NotFound")
}
