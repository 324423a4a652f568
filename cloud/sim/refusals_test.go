package sim_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func TestEC2RefusesWhatEC2Refuses(t *testing.T) {
	t.Parallel()
	var vpc, otherVPC, id, two, spot, store, eni, managed, group, otherGroup, sub, image, armImage string
	var volumes []string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		vpc, otherVPC = e.AddVPC(acct, region, sim.VPCSpec{}), e.AddVPC(acct, region, sim.VPCSpec{})
		sub = e.AddSubnet(acct, region, sim.SubnetSpec{})
		group, otherGroup = e.AddSecurityGroup(acct, region, sim.SecurityGroupSpec{Name: "g"}), e.AddSecurityGroup(acct, region, sim.SecurityGroupSpec{Name: "other", VPC: otherVPC})
		id = e.AddInstance(acct, region, sim.InstanceSpec{})
		two = e.AddInstance(acct, region, sim.InstanceSpec{Interfaces: []sim.InterfaceSpec{{}, {}}})
		spot, store = e.AddInstance(acct, region, sim.InstanceSpec{Spot: true}), e.AddInstance(acct, region, sim.InstanceSpec{StoreRoot: true, Type: "i3.large"})
		eni, volumes = e.InterfaceOf(acct, region, id, 0), e.VolumesOf(acct, region, id)
		managed = e.AddManagedInterface(acct, region, sim.ManagedInterfaceSpec{Subnet: sub})
		image, armImage = e.AddImage(acct, region, sim.ImageSpec{}), e.AddImage(acct, region, sim.ImageSpec{Architecture: "arm64"})
	})
	s, no, yes := aws.String, aws.Bool(false), aws.Bool(true)
	modify := func(in *ec2.ModifyNetworkInterfaceAttributeInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := r.ModifyNetworkInterfaceAttribute(ctx, in); return err }
	}
	attribute := func(in *ec2.ModifyInstanceAttributeInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := r.ModifyInstanceAttribute(ctx, in); return err }
	}
	authorize := func(groupID string, p ...types.IpPermission) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := r.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &groupID, IpPermissions: p})
			return err
		}
	}
	create := func(name, description, vpcID string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := r.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &description, VpcId: &vpcID})
			return err
		}
	}
	run := func(change func(in *ec2.RunInstancesInput)) func(context.Context) error {
		in := &ec2.RunInstancesInput{ImageId: &image, InstanceType: "m5.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &sub}
		change(in)
		return func(ctx context.Context) error { _, err := r.RunInstances(ctx, in); return err }
	}
	https := types.IpPermission{IpProtocol: s("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), IpRanges: []types.IpRange{{CidrIp: s("0.0.0.0/0")}}}
	for _, tc := range []struct {
		name, code string
		call       func(context.Context) error
	}{
		{"an instance that is not there", "InvalidInstanceID.NotFound", func(ctx context.Context) error {
			_, err := r.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
			return err
		}},
		{"an id that is none", "InvalidInstanceID.Malformed", func(ctx context.Context) error {
			_, err := r.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-nothing"}})
			return err
		}},
		{"a snapshot that is not there", "InvalidSnapshot.NotFound", func(ctx context.Context) error {
			_, err := r.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-0123456789abcdef0"}})
			return err
		}},
		{"no group", "InvalidParameterValue", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Groups: []string{}})},
		{"an unknown group", "InvalidGroup.NotFound", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Groups: []string{"sg-0123456789abcdef0"}})},
		{"a group of another VPC", "InvalidParameterValue", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Groups: []string{otherGroup}})},
		{"six groups", "SecurityGroupsPerInterfaceLimitExceeded", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Groups: []string{"a", "b", "c", "d", "e", "f"}})},
		{"groups of an interface that a service manages", "OperationNotPermitted", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &managed, Groups: []string{group}})},
		{"two attributes of an interface", "InvalidParameterCombination", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Groups: []string{group}, AssociatePublicIpAddress: no})},
		{"another attachment", "InvalidAttachmentID.NotFound", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Attachment: &types.NetworkInterfaceAttachmentChanges{AttachmentId: s("eni-attach-0"), DeleteOnTermination: no}})},
		{"a timeout below 60 s", "InvalidParameterValue", modify(&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, ConnectionTrackingSpecification: &types.ConnectionTrackingSpecificationRequest{TcpEstablishedTimeout: aws.Int32(59)}})},
		{"groups of an instance with two interfaces", "InvalidInstanceID", attribute(&ec2.ModifyInstanceAttributeInput{InstanceId: &two, Groups: []string{group}})},
		{"two attributes of an instance", "InvalidParameterCombination", attribute(&ec2.ModifyInstanceAttributeInput{InstanceId: &id, DisableApiTermination: &types.AttributeBooleanValue{Value: yes}, DisableApiStop: &types.AttributeBooleanValue{Value: yes}})},
		{"stop protection of a Spot instance", "UnsupportedOperation", attribute(&ec2.ModifyInstanceAttributeInput{InstanceId: &spot, DisableApiStop: &types.AttributeBooleanValue{Value: yes}})},
		{"the shutdown behaviour of an instance store", "UnsupportedOperation", attribute(&ec2.ModifyInstanceAttributeInput{InstanceId: &store, InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: s("stop")}})},
		{"another shutdown behaviour", "InvalidParameterValue", attribute(&ec2.ModifyInstanceAttributeInput{InstanceId: &id, InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: s("hibernate")}})},
		{"a device that is not there", "InvalidInstanceAttributeValue", attribute(&ec2.ModifyInstanceAttributeInput{InstanceId: &id, BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{{DeviceName: s("/dev/sdz"), Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: no}}}})},
		{"metadata tokens together with off", "InvalidParameterCombination", func(ctx context.Context) error {
			_, err := r.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpEndpoint: "disabled", HttpTokens: "required"})
			return err
		}},
		{"a group of the same name", "InvalidGroup.Duplicate", create("g", "again", vpc)},
		{"a group in a VPC that is not there", "InvalidVpcID.NotFound", create("h", "new", "vpc-0123456789abcdef0")},
		{"a group with an umlaut", "InvalidParameterValue", create("h", "für alle", vpc)},
		{"a group whose name begins as an id", "InvalidParameterValue", create("sg-1", "new", vpc)},
		{"the same rule again", "InvalidPermission.Duplicate", authorize(group, https)},
		{"a rule that is malformed", "InvalidParameterValue", authorize(group, types.IpPermission{IpProtocol: s("-1"), IpRanges: []types.IpRange{{CidrIp: s("10.0.0.0/99")}}})},
		{"a rule for a group of another VPC", "InvalidGroup.NotFound", authorize(group, types.IpPermission{IpProtocol: s("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &otherGroup}}})},
		{"no rule at all", "InvalidParameterValue", authorize(group)},
		{"a rule that is not there", "InvalidPermission.NotFound", func(ctx context.Context) error {
			_, err := r.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: anywhere()})
			return err
		}},
		{"a rule id that is not there", "InvalidSecurityGroupRuleId.NotFound", func(ctx context.Context) error {
			_, err := r.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &group, SecurityGroupRuleIds: []string{"sgr-0123456789abcdef0"}})
			return err
		}},
		{"the default group", "CannotDelete", func(ctx context.Context) error {
			all := must(r.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filter("group-name", "default")}))(t)
			_, err := r.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: all.SecurityGroups[0].GroupId})
			return err
		}},
		{"an ACL of another VPC", "InvalidParameterValue", func(ctx context.Context) error {
			made := must(r.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &otherVPC}))(t).NetworkAcl
			have := must(r.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: filter("association.subnet-id", sub)}))(t).NetworkAcls[0].Associations[0]
			_, err := r.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: have.NetworkAclAssociationId, NetworkAclId: made.NetworkAclId})
			return err
		}},
		{"the number of the last entry", "InvalidParameterValue", func(ctx context.Context) error {
			have := must(r.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: filter("association.subnet-id", sub)}))(t).NetworkAcls[0]
			_, err := r.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{NetworkAclId: have.NetworkAclId, RuleNumber: aws.Int32(32767), Egress: yes, Protocol: s("-1"), RuleAction: "deny", CidrBlock: s("10.0.0.0/8")})
			return err
		}},
		{"an image that is not there", "InvalidAMIID.NotFound", run(func(in *ec2.RunInstancesInput) { in.ImageId = s("ami-0123456789abcdef0") })},
		{"a type that is not there", "InvalidParameterValue", run(func(in *ec2.RunInstancesInput) { in.InstanceType = "z9.huge" })},
		{"another architecture", "InvalidParameterValue", run(func(in *ec2.RunInstancesInput) { in.ImageId = &armImage })},
		{"groups besides interfaces", "InvalidParameterCombination", run(func(in *ec2.RunInstancesInput) {
			in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: &sub}}
		})},
		{"a profile that is not there", "InvalidParameterValue", run(func(in *ec2.RunInstancesInput) {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: s("none")}
		})},
		{"tags of a kind that is not made", "InvalidParameterValue", run(func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{{ResourceType: "snapshot"}}
		})},
		{"a tag of AWS", "InvalidParameterValue", func(ctx context.Context) error {
			_, err := r.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: s("aws:name"), Value: s("x")}}})
			return err
		}},
		{"a tag of what is not there", "InvalidVolume.NotFound", func(ctx context.Context) error {
			_, err := r.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id, "vol-0123456789abcdef0"}, Tags: []types.Tag{{Key: s("k"), Value: s("v")}}})
			return err
		}},
		{"a volume in a zone of another region", "InvalidZone.NotFound", func(ctx context.Context) error {
			_, err := r.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: s("eu-west-1a"), Size: aws.Int32(1)})
			return err
		}},
		{"an attachment without a device", "MissingParameter", func(ctx context.Context) error {
			_, err := r.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volumes[0], InstanceId: &two})
			return err
		}},
		{"a type that DescribeInstanceTypes does not know", "InvalidInstanceType", func(ctx context.Context) error {
			_, err := r.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"z9.huge"}})
			return err
		}},
		{"the latest console output of a type without Nitro", "UnsupportedOperation", func(ctx context.Context) error {
			_, err := r.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &store, Latest: yes})
			return err
		}},
		{"an unknown filter", "InvalidParameterValue", func(ctx context.Context) error {
			_, err := r.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: filter("instance-name", "web")})
			return err
		}},
		{"a filter without values", "InvalidParameterValue", func(ctx context.Context) error {
			_, err := r.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: filter("volume-id")})
			return err
		}},
		{"pages of named things", "InvalidParameterCombination", func(ctx context.Context) error {
			_, err := r.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}, MaxResults: aws.Int32(5)})
			return err
		}},
		{"pages that are too small", "InvalidParameterValue", func(ctx context.Context) error {
			_, err := r.DescribeInstances(ctx, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(4)})
			return err
		}},
		{"a token that is none", "InvalidNextToken", func(ctx context.Context) error {
			_, err := r.DescribeInstances(ctx, &ec2.DescribeInstancesInput{NextToken: s("next")})
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, _ := r.w.Canonical(acct)
			if got := code(tc.call(t.Context())); got != tc.code {
				t.Errorf("it answers %q, not %q", got, tc.code)
			}
			after, _ := r.w.Canonical(acct)
			if tc.name != "an ACL of another VPC" && string(before) != string(after) {
				t.Errorf("a refused call changed the world:\n%s", cmp.Diff(string(before), string(after)))
			}
		})
	}
}

// methods are the calls of EC2, by their names.
func methods(c awscalls.EC2) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	v := reflect.ValueOf(c)
	for m := range reflect.TypeFor[awscalls.EC2]().Methods() {
		out[m.Name] = v.MethodByName(m.Name)
	}
	return out
}

func TestADryRunOfEveryCallSaysSoAndChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { e.AddInstance(acct, region, sim.InstanceSpec{}) })
	before := must(r.w.Dump())(t)
	without := []string{"AssociateIamInstanceProfile", "DescribeIamInstanceProfileAssociations", "DisassociateIamInstanceProfile"}
	for name, call := range methods(r.EC2) {
		in := reflect.New(call.Type().In(1).Elem())
		field := in.Elem().FieldByName("DryRun")
		if field.IsValid() == slices.Contains(without, name) {
			t.Errorf("%s has DryRun: %v", name, field.IsValid())
		}
		if !field.IsValid() {
			continue
		}
		field.Set(reflect.ValueOf(aws.Bool(true)))
		err, _ := reflect.TypeAssert[error](call.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})[1])
		if got := code(err); got != "DryRunOperation" {
			t.Errorf("%s answers %q", name, got)
		}
	}
	if diff := cmp.Diff(string(before), string(must(r.w.Dump())(t))); diff != "" {
		t.Error(diff)
	}
}

func TestEveryCallThatARoleLacksIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.Options{Deny: map[awscalls.Role][]string{awscalls.Act: {"ec2:*"}}}, func(e *sim.Editor) { e.AddInstance(acct, region, sim.InstanceSpec{}) })
	for name, call := range methods(r.EC2) {
		in := reflect.New(call.Type().In(1).Elem())
		err, _ := reflect.TypeAssert[error](call.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})[1])
		if got := code(err); got != "UnauthorizedOperation" || !strings.Contains(err.Error(), "ec2:"+name) {
			t.Errorf("%s answers %v", name, err)
		}
	}
}

func TestSmallPagesAddUpToAll(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.Options{PageSize: 2}, func(e *sim.Editor) {
		for range 5 {
			id := e.AddInstance(acct, region, sim.InstanceSpec{Volumes: []sim.VolumeSpec{{}, {}}, Profile: "web"})
			for _, v := range e.VolumesOf(acct, region, id) {
				e.AddSnapshot(acct, region, sim.SnapshotSpec{Volume: v})
			}
			e.AddSubnet(acct, region, sim.SubnetSpec{VPC: e.AddVPC(acct, region, sim.VPCSpec{})})
			e.AddImage(acct, region, sim.ImageSpec{})
			e.AddFlowLog(acct, region, "vpc-1", "log")
			e.AddVPCEndpoint(acct, region, sim.EndpointSpec{})
		}
	})
	for name, call := range methods(r.EC2) {
		in := reflect.New(call.Type().In(1).Elem())
		next := in.Elem().FieldByName("NextToken")
		if !next.IsValid() || !strings.HasPrefix(name, "Describe") {
			continue
		}
		pages, seen := 0, map[string]bool{}
		for {
			answers := call.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
			if err, _ := reflect.TypeAssert[error](answers[1]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out := answers[0].Elem()
			for _, f := range out.Fields() {
				if f.Kind() == reflect.Slice {
					if f.Len() > 2 {
						t.Errorf("%s answered %d things on a page", name, f.Len())
					}
					for k := range f.Len() {
						key := fmt.Sprintf("%+v", first(f.Index(k)))
						if seen[key] {
							t.Errorf("%s answered %s twice", name, key)
						}
						seen[key] = true
					}
				}
			}
			pages++
			token, _ := reflect.TypeAssert[*string](out.FieldByName("NextToken"))
			if token == nil {
				break
			}
			next.Set(reflect.ValueOf(token))
		}
		least := map[string]int{"DescribeInstances": 5, "DescribeVolumes": 10, "DescribeSnapshots": 10, "DescribeNetworkInterfaces": 5, "DescribeSecurityGroups": 6, "DescribeSubnets": 6,
			"DescribeRouteTables": 11, "DescribeNetworkAcls": 6, "DescribeImages": 6, "DescribeFlowLogs": 5, "DescribeVpcEndpoints": 5, "DescribeIamInstanceProfileAssociations": 5,
			"DescribeInstanceStatus": 5, "DescribeSecurityGroupRules": 12, "DescribeInstanceTypes": 10}
		if len(seen) < least[name] || pages < (len(seen)+1)/2 {
			t.Errorf("%s answered %d things on %d pages", name, len(seen), pages)
		}
	}
}

// first is what names a thing of an answer: the first text that ends in Id.
func first(v reflect.Value) string {
	if v.Kind() != reflect.Struct {
		return fmt.Sprint(v)
	}
	for _, name := range []string{"ReservationId", "InstanceId", "NetworkInterfaceId", "SecurityGroupRuleId", "GroupId", "VolumeId", "SubnetId", "RouteTableId", "VpcEndpointId", "FlowLogId", "NetworkAclId", "ImageId", "AssociationId"} {
		if name == "VolumeId" && v.FieldByName("SnapshotId").IsValid() && v.FieldByName("StartTime").IsValid() {
			name = "SnapshotId"
		}
		if f := v.FieldByName(name); f.IsValid() && !f.IsNil() {
			return fmt.Sprint(f.Elem())
		}
	}
	return fmt.Sprint(v.FieldByName("InstanceType"))
}

func TestFiltersFindByTagAndWildcard(t *testing.T) {
	t.Parallel()
	var web, db string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		web = e.AddInstance(acct, region, sim.InstanceSpec{Tags: map[string]string{"Name": "web-1", "owner": "shop"}, Profile: "web"})
		db = e.AddInstance(acct, region, sim.InstanceSpec{Tags: map[string]string{"Name": "db-1"}, ElasticIP: true})
	})
	eni := *r.instance(web).NetworkInterfaces[0].NetworkInterfaceId
	for _, tc := range []struct {
		filters []types.Filter
		want    []string
	}{
		{filter("tag:Name", "web-*"), []string{web}},
		{filter("tag:Name", "web-?", "db-1"), []string{web, db}},
		{filter("tag-key", "owner"), []string{web}},
		{filter("iam-instance-profile.arn", "arn:aws:iam::"+acct+":instance-profile/web"), []string{web}},
		{filter("network-interface.network-interface-id", eni), []string{web}},
		{filter("instance.group-name", "web"), []string{web, db}},
		{append(filter("instance-state-name", "running"), filter("ip-address", *r.instance(db).PublicIpAddress)...), []string{db}},
		{filter("tag:Name", "WEB-1"), nil},
	} {
		var got []string
		for _, x := range must(r.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: tc.filters}))(t).Reservations {
			got = append(got, *x.Instances[0].InstanceId)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", *tc.filters[0].Name, diff)
		}
	}
	enis := must(r.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: filter("attachment.instance-id", db)}))(t).NetworkInterfaces
	if len(enis) != 1 || enis[0].Association == nil {
		t.Errorf("the interfaces are %+v", enis)
	}
}

func TestTagsAreSetAndDeletedAsTheyWere(t *testing.T) {
	t.Parallel()
	var id string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		id = e.AddInstance(acct, region, sim.InstanceSpec{Tags: map[string]string{"Name": "web"}})
	})
	tag := func(key, value string) []types.Tag { return []types.Tag{{Key: &key, Value: &value}} }
	must(r.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tag("guardroom:run", "run-1")}))(t)
	must(r.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{id}, Tags: tag("guardroom:run", "run-2")}))(t)
	if n := len(r.instance(id).Tags); n != 2 {
		t.Errorf("a tag with another value was deleted: %d are left", n)
	}
	must(r.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{id}, Tags: append(tag("guardroom:run", "run-1"), types.Tag{Key: aws.String("absent")})}))(t)
	if tags := r.instance(id).Tags; len(tags) != 1 || *tags[0].Key != "Name" {
		t.Errorf("the tags are %+v", tags)
	}
}

func TestWhatIsCreatedIsNotSeenAtOnce(t *testing.T) {
	t.Parallel()
	var vpc string
	r := newRig(t, sim.Options{Invisible: map[string]time.Duration{"CreateSecurityGroup": 5 * time.Second}}, func(e *sim.Editor) { vpc = e.AddVPC(acct, region, sim.VPCSpec{}) })
	id := r.group("contain", vpc)
	find := func() int {
		t.Helper()
		return len(must(r.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: filter("group-name", "contain")}))(t).SecurityGroups)
	}
	_, err := r.AuthorizeSecurityGroupEgress(t.Context(), &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &id, IpPermissions: anywhere()})
	r.want(err, "InvalidGroup.NotFound")
	_, err = r.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("contain"), Description: aws.String("test"), VpcId: &vpc})
	r.want(err, "InvalidGroup.Duplicate")
	if n := find(); n != 0 {
		t.Errorf("%d are seen at once", n)
	}
	r.pass(5 * time.Second)
	if n := find(); n != 1 {
		t.Errorf("%d are seen later", n)
	}
}
