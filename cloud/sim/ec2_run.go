package sim

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// RunInstances implements awscalls.EC2.
func (c *ec2Client) RunInstances(ctx context.Context, in *ec2.RunInstancesInput, _ ...func(*ec2.Options)) (*ec2.RunInstancesOutput, error) {
	return ec2Do(ctx, c, "RunInstances", true, in, func(s *scope) (*ec2.RunInstancesOutput, error) {
		l, err := s.launchOf(in)
		if err != nil {
			return nil, err
		}
		used, err := s.once("RunInstances", in.ClientToken, in)
		if err != nil {
			return nil, err
		}
		if len(used.IDs) == 0 {
			if err := s.haveCapacity(l.Type, l.Subnet.AZ); err != nil {
				return nil, err
			}
			for range aws.ToInt32(in.MaxCount) {
				used.IDs = append(used.IDs, s.launch(*l).ID)
			}
		}
		out := &ec2.RunInstancesOutput{OwnerId: aws.String(s.a.ID), ReservationId: aws.String("r-" + used.IDs[0][2:])}
		for _, id := range used.IDs {
			if i := s.Instances[id]; i != nil {
				out.Instances = append(out.Instances, s.showInstance(i))
			}
		}
		return out, nil
	})
}

// haveCapacity refuses a launch as the script of the type and zone says.
func (s *scope) haveCapacity(instanceType, az string) error {
	c := s.Capacity[instanceType+"/"+az]
	if c == nil || c.Times == 0 {
		return nil
	}
	if c.Times > 0 {
		c.Times--
	}
	return fail(c.Code, "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s).", instanceType, az)
}

// launchOf checks what is asked for.
func (s *scope) launchOf(in *ec2.RunInstancesInput) (*launch, error) {
	low, high := aws.ToInt32(in.MinCount), aws.ToInt32(in.MaxCount)
	if low < 1 || high < low {
		return nil, fail("InvalidParameterValue", "Invalid value for MinCount or MaxCount: %d, %d", low, high)
	}
	m, err := s.image(in.ImageId)
	if err != nil {
		return nil, err
	}
	l := &launch{Operation: "RunInstances", Image: m, Type: orText(string(in.InstanceType), "m1.small"), Shutdown: string(in.InstanceInitiatedShutdownBehavior),
		NoTerminate: aws.ToBool(in.DisableApiTermination), NoStop: aws.ToBool(in.DisableApiStop), KeyName: aws.ToString(in.KeyName), Token: aws.ToString(in.ClientToken),
		Spot: in.InstanceMarketOptions != nil && in.InstanceMarketOptions.MarketType == types.MarketTypeSpot, Metadata: defaultMetadata()}
	t := typeOf(l.Type)
	if t.Name == "" {
		return nil, fail("InvalidParameterValue", "Invalid value '%s' for InstanceType.", l.Type)
	}
	if t.architecture() != m.Architecture {
		return nil, fail("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI.", t.architecture(), m.Architecture)
	}
	if l.Spot && l.NoTerminate {
		return nil, fail("UnsupportedOperation", "You cannot enable termination protection for a Spot Instance")
	}
	if raw, err := base64.StdEncoding.DecodeString(aws.ToString(in.UserData)); err == nil {
		l.UserData = string(raw)
	} else {
		return nil, fail("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	if in.IamInstanceProfile != nil {
		if l.Profile, err = s.profileARN(in.IamInstanceProfile); err != nil {
			return nil, err
		}
	}
	if o := in.MetadataOptions; o != nil {
		if err := l.Metadata.set(&ec2.ModifyInstanceMetadataOptionsInput{HttpEndpoint: o.HttpEndpoint, HttpTokens: o.HttpTokens, HttpPutResponseHopLimit: o.HttpPutResponseHopLimit,
			HttpProtocolIpv6: o.HttpProtocolIpv6, InstanceMetadataTags: o.InstanceMetadataTags}); err != nil {
			return nil, err
		}
	}
	if err := s.launchTags(l, in.TagSpecifications); err != nil {
		return nil, err
	}
	if err := s.launchNetwork(l, in); err != nil {
		return nil, err
	}
	return l, s.launchDisks(l, in.BlockDeviceMappings)
}

func (s *scope) launchTags(l *launch, specs []types.TagSpecification) error {
	err := onlyKinds(specs, types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface)
	if err != nil {
		return err
	}
	if l.Tags, err = tagsFor(specs, types.ResourceTypeInstance); err != nil {
		return err
	}
	if l.VolumeTags, err = tagsFor(specs, types.ResourceTypeVolume); err != nil {
		return err
	}
	l.ENITags, err = tagsFor(specs, types.ResourceTypeNetworkInterface)
	return err
}

func (s *scope) launchNetwork(l *launch, in *ec2.RunInstancesInput) error {
	if len(in.NetworkInterfaces) > 0 && (in.SubnetId != nil || len(in.SecurityGroupIds) > 0) {
		return fail("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
	}
	asked := in.NetworkInterfaces
	if len(asked) == 0 {
		asked = []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: in.SubnetId, Groups: in.SecurityGroupIds, PrivateIpAddress: in.PrivateIpAddress}}
	}
	if most := typeOf(l.Type).ENIs; len(asked) > int(most) {
		return fail("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(asked), l.Type)
	}
	for _, spec := range asked {
		n, err := s.launchInterface(spec)
		if err != nil {
			return err
		}
		if l.Subnet == nil || n.Index == 0 {
			l.Subnet = n.Subnet
		}
		l.Interfaces = append(l.Interfaces, n)
	}
	if !slices.ContainsFunc(l.Interfaces, func(n launchENI) bool { return n.Index == 0 }) {
		return fail("InvalidParameterCombination", "A network interface with the device index 0 is required")
	}
	for _, n := range l.Interfaces {
		if n.Subnet.AZ != l.Subnet.AZ {
			return fail("InvalidParameterCombination", "All network interfaces must be in the same availability zone")
		}
	}
	if p := in.Placement; p != nil && p.AvailabilityZone != nil && *p.AvailabilityZone != l.Subnet.AZ {
		return fail("InvalidParameterValue", "The availability zone '%s' does not match the subnet's", *p.AvailabilityZone)
	}
	return nil
}

func (s *scope) launchInterface(spec types.InstanceNetworkInterfaceSpecification) (launchENI, error) {
	n := launchENI{Groups: slices.Clone(spec.Groups), Description: aws.ToString(spec.Description), Index: aws.ToInt32(spec.DeviceIndex), Delete: true,
		More: int(aws.ToInt32(spec.SecondaryPrivateIpAddressCount)), IP: aws.ToString(spec.PrivateIpAddress)}
	if spec.DeleteOnTermination != nil {
		n.Delete = *spec.DeleteOnTermination
	}
	if spec.SubnetId == nil {
		return n, fail("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
	}
	sub, err := get(s, s.Subnets, kindSubnet, spec.SubnetId)
	if err != nil {
		return n, err
	}
	n.Subnet, n.Public = sub, sub.AutoPublic && n.Index == 0
	if spec.AssociatePublicIpAddress != nil {
		n.Public = *spec.AssociatePublicIpAddress
	}
	if len(n.Groups) == 0 {
		n.Groups = []string{s.VPCs[sub.VPC].Group}
	}
	if most := s.w.quotas().GroupsPerInterface; len(n.Groups) > most {
		return n, fail("SecurityGroupsPerInterfaceLimitExceeded", "You have exceeded the maximum number of security groups per network interface (%d)", most)
	}
	for _, id := range n.Groups {
		g, err := get(s, s.Groups, kindGroup, &id)
		if err != nil {
			return n, err
		}
		if g.VPC != sub.VPC {
			return n, fail("InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, sub.ID)
		}
	}
	return n, nil
}

func (s *scope) launchDisks(l *launch, asked []types.BlockDeviceMapping) error {
	root := launchDevice{Name: l.Image.RootDevice, Size: l.Image.RootSize, Type: "gp3", Delete: true, Codes: l.Image.Codes}
	if p, err := s.snapshot(&l.Image.Snapshot); err == nil {
		root.Snapshot, root.Encrypted, root.Key = p, p.Encrypted, p.Key
	}
	l.Devices = append(l.Devices, root)
	for _, a := range asked {
		if a.Ebs == nil {
			continue
		}
		k := slices.IndexFunc(l.Devices, func(d launchDevice) bool { return d.Name == aws.ToString(a.DeviceName) })
		if k < 0 {
			l.Devices, k = append(l.Devices, launchDevice{Name: aws.ToString(a.DeviceName), Type: "gp2", Delete: true}), len(l.Devices)
		}
		if err := s.setDisk(&l.Devices[k], a.Ebs); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) setDisk(d *launchDevice, b *types.EbsBlockDevice) error {
	if b.SnapshotId != nil {
		p, err := s.snapshot(b.SnapshotId)
		if err != nil {
			return err
		}
		d.Snapshot, d.Size, d.Encrypted, d.Key = p, max(d.Size, p.Size), p.Encrypted, p.Key
	}
	if b.VolumeSize != nil {
		if d.Snapshot != nil && *b.VolumeSize < d.Snapshot.Size || *b.VolumeSize < 1 {
			return fail("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot, expect size >= %dGB", *b.VolumeSize, d.Size)
		}
		d.Size = *b.VolumeSize
	}
	if d.Size < 1 {
		return fail("InvalidBlockDeviceMapping", "Must specify a size or a snapshot for %s", d.Name)
	}
	d.Type = orText(string(b.VolumeType), d.Type)
	if b.DeleteOnTermination != nil {
		d.Delete = *b.DeleteOnTermination
	}
	if b.KmsKeyId != nil && !aws.ToBool(b.Encrypted) {
		return fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if !aws.ToBool(b.Encrypted) && !d.Encrypted {
		return nil
	}
	d.Encrypted, d.Key = true, s.keyARN(orText(aws.ToString(b.KmsKeyId), d.Key))
	if problem := s.keyProblem(d.Key); problem != "" {
		return fail("InvalidKmsKey.InvalidState", "%s", problem)
	}
	return nil
}

// TerminateInstances implements awscalls.EC2. Protected ones are refused, all of
// the call with them.
func (c *ec2Client) TerminateInstances(ctx context.Context, in *ec2.TerminateInstancesInput, _ ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error) {
	return ec2Do(ctx, c, "TerminateInstances", true, in, func(s *scope) (*ec2.TerminateInstancesOutput, error) {
		if len(in.InstanceIds) == 0 {
			return nil, fail("MissingParameter", "The request must contain the parameter InstanceIds")
		}
		all, err := list(s, s.Instances, kindInstance, in.InstanceIds)
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if i.NoTerminate && i.State != "terminated" {
				return nil, fail("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", i.ID)
			}
			if i.Operator != "" {
				return nil, fail("OperationNotPermitted", "The instance '%s' is managed by %s", i.ID, i.Operator)
			}
		}
		out := &ec2.TerminateInstancesOutput{}
		for _, i := range all {
			before := i.State
			s.shutDown(i, "Client.UserInitiatedShutdown: User initiated shutdown")
			out.TerminatingInstances = append(out.TerminatingInstances, types.InstanceStateChange{InstanceId: aws.String(i.ID),
				PreviousState: &types.InstanceState{Name: types.InstanceStateName(before), Code: aws.Int32(stateCodes[before])},
				CurrentState:  &types.InstanceState{Name: types.InstanceStateName(i.State), Code: aws.Int32(stateCodes[i.State])}})
		}
		return out, nil
	})
}
