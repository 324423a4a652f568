package sim

import (
	"bytes"
	"context"
	"encoding/base64"
	"image/color"
	"image/jpeg"

	goimage "image"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

var stateCodes = map[string]int32{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

func (s *scope) instanceFilters() filters[*instance] {
	return filters[*instance]{
		"instance-id":         func(i *instance) []string { return one(i.ID) },
		"instance-state-name": func(i *instance) []string { return one(i.State) },
		"instance-type":       func(i *instance) []string { return one(i.Type) },
		"instance-lifecycle": func(i *instance) []string {
			if i.Spot {
				return one("spot")
			}
			return nil
		},
		"image-id":          func(i *instance) []string { return one(i.Image) },
		"vpc-id":            func(i *instance) []string { return one(i.VPC) },
		"subnet-id":         func(i *instance) []string { return one(i.Subnet) },
		"availability-zone": func(i *instance) []string { return one(i.AZ) },
		"client-token":      func(i *instance) []string { return one(i.Token) },
		"key-name":          func(i *instance) []string { return one(i.KeyName) },
		"owner-id":          func(*instance) []string { return one(s.a.ID) },
		"root-device-name":  func(i *instance) []string { return one(i.RootDevice) },
		"iam-instance-profile.arn": func(i *instance) []string {
			if p := s.profileOf(i.ID); p != nil {
				return one(p.ARN)
			}
			return nil
		},
		"instance.group-id":                              s.ofENIs(func(n *eni) []string { return n.Groups }),
		"network-interface.group-id":                     s.ofENIs(func(n *eni) []string { return n.Groups }),
		"instance.group-name":                            s.ofENIs(func(n *eni) []string { return s.groupNames(n.Groups) }),
		"network-interface.network-interface-id":         s.ofENIs(func(n *eni) []string { return one(n.ID) }),
		"network-interface.subnet-id":                    s.ofENIs(func(n *eni) []string { return one(n.Subnet) }),
		"network-interface.vpc-id":                       s.ofENIs(func(n *eni) []string { return one(n.VPC) }),
		"network-interface.addresses.private-ip-address": s.ofENIs(func(n *eni) []string { return n.IPs }),
		"private-ip-address":                             s.ofENIs(func(n *eni) []string { return n.IPs }),
		"ip-address":                                     s.ofENIs(s.publicOf),
		"block-device-mapping.volume-id": func(i *instance) []string {
			var out []string
			for _, m := range s.mounts(i.ID) {
				out = append(out, m.volume.ID)
			}
			return out
		},
	}
}

func (s *scope) ofENIs(f func(*eni) []string) func(*instance) []string {
	return func(i *instance) []string {
		var out []string
		for _, n := range s.enisOf(i.ID) {
			out = append(out, f(n)...)
		}
		return out
	}
}

// DescribeInstances implements awscalls.EC2.
func (c *ec2Client) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return ec2Do(ctx, c, "DescribeInstances", false, in, func(s *scope) (*ec2.DescribeInstancesOutput, error) {
		all, err := list(s, s.Instances, kindInstance, in.InstanceIds)
		if err != nil {
			return nil, err
		}
		if all, err = s.instanceFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.InstanceIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeInstancesOutput{NextToken: next}
		for _, i := range all {
			out.Reservations = append(out.Reservations, types.Reservation{ReservationId: aws.String("r-" + i.ID[2:]), OwnerId: aws.String(s.a.ID), Instances: []types.Instance{s.showInstance(i)}})
		}
		return out, nil
	})
}

// showInstance is an instance as the SDK has it.
func (s *scope) showInstance(i *instance) types.Instance {
	out := types.Instance{InstanceId: aws.String(i.ID), InstanceType: types.InstanceType(i.Type), ImageId: aws.String(i.Image),
		LaunchTime: aws.Time(i.Launched), Architecture: types.ArchitectureValues(i.Architecture), ClientToken: aws.String(i.Token),
		State:          &types.InstanceState{Name: types.InstanceStateName(i.State), Code: aws.Int32(stateCodes[i.State])},
		Placement:      &types.Placement{AvailabilityZone: aws.String(i.AZ), Tenancy: types.Tenancy(i.Tenancy)},
		RootDeviceName: aws.String(i.RootDevice), RootDeviceType: types.DeviceTypeEbs, Hypervisor: types.HypervisorTypeXen,
		VirtualizationType: types.VirtualizationTypeHvm, Platform: types.PlatformValues(i.Platform), PlatformDetails: aws.String("Linux/UNIX"),
		HibernationOptions: &types.HibernationOptions{Configured: aws.Bool(i.Hibernates)}, Monitoring: &types.Monitoring{State: types.MonitoringStateDisabled},
		MetadataOptions: s.showMetadata(i), Tags: tagList(i.Tags), SourceDestCheck: aws.Bool(i.Sources),
		Operator: showOperator(i.Operator), ProductCodes: showCodes(i.Codes)}
	if i.Platform == "windows" {
		out.PlatformDetails = aws.String("Windows")
	}
	if i.KeyName != "" {
		out.KeyName = aws.String(i.KeyName)
	}
	if i.StoreRoot {
		out.RootDeviceType = types.DeviceTypeInstanceStore
	}
	if i.Spot {
		out.InstanceLifecycle = types.InstanceLifecycleTypeSpot
		out.SpotInstanceRequestId = aws.String("sir-" + i.ID[max(2, len(i.ID)-8):])
	}
	if i.Reason != "" {
		out.StateTransitionReason = aws.String(i.Reason)
		out.StateReason = &types.StateReason{Code: aws.String(beforeColon(i.Reason)), Message: aws.String(i.Reason)}
	}
	if i.State == "terminated" {
		return out
	}
	out.SubnetId, out.VpcId = aws.String(i.Subnet), aws.String(i.VPC)
	if p := s.profileOf(i.ID); p != nil {
		out.IamInstanceProfile = &types.IamInstanceProfile{Arn: aws.String(p.ARN), Id: aws.String("AIPA" + p.ID[max(0, len(p.ID)-16):])}
	}
	for _, m := range s.mounts(i.ID) {
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, showMapping(m))
	}
	s.showNetwork(&out, i)
	return out
}

func (s *scope) showNetwork(out *types.Instance, i *instance) {
	for _, n := range s.enisOf(i.ID) {
		shown := s.showENI(n)
		mine := types.InstanceNetworkInterface{NetworkInterfaceId: shown.NetworkInterfaceId, Description: shown.Description, Groups: shown.Groups,
			InterfaceType: aws.String(n.Type), MacAddress: shown.MacAddress, OwnerId: shown.OwnerId, PrivateIpAddress: shown.PrivateIpAddress,
			SourceDestCheck: shown.SourceDestCheck, Status: shown.Status, SubnetId: shown.SubnetId, VpcId: shown.VpcId, Operator: shown.Operator}
		if a := shown.Association; a != nil {
			mine.Association = &types.InstanceNetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicIp: a.PublicIp}
		}
		if a := shown.Attachment; a != nil {
			mine.Attachment = &types.InstanceNetworkInterfaceAttachment{AttachTime: a.AttachTime, AttachmentId: a.AttachmentId,
				DeleteOnTermination: a.DeleteOnTermination, DeviceIndex: a.DeviceIndex, Status: a.Status}
		}
		if t := shown.ConnectionTrackingConfiguration; t != nil {
			mine.ConnectionTrackingConfiguration = &types.ConnectionTrackingSpecificationResponse{TcpEstablishedTimeout: t.TcpEstablishedTimeout, UdpStreamTimeout: t.UdpStreamTimeout, UdpTimeout: t.UdpTimeout}
		}
		for _, p := range shown.PrivateIpAddresses {
			shownIP := types.InstancePrivateIpAddress{PrivateIpAddress: p.PrivateIpAddress, Primary: p.Primary}
			if a := p.Association; a != nil {
				shownIP.Association = &types.InstanceNetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicIp: a.PublicIp}
			}
			mine.PrivateIpAddresses = append(mine.PrivateIpAddresses, shownIP)
		}
		for _, p := range n.IP6s {
			mine.Ipv6Addresses = append(mine.Ipv6Addresses, types.InstanceIpv6Address{Ipv6Address: aws.String(p)})
		}
		out.NetworkInterfaces = append(out.NetworkInterfaces, mine)
		if n.Index != 0 {
			continue
		}
		out.SecurityGroups, out.PrivateIpAddress = shown.Groups, shown.PrivateIpAddress
		if len(i.Groups) > 0 {
			out.SecurityGroups = s.showGroupNames(i.Groups)
		}
		if a := shown.Association; a != nil {
			out.PublicIpAddress = a.PublicIp
		}
		if len(n.IP6s) > 0 {
			out.Ipv6Address = aws.String(n.IP6s[0])
		}
	}
}

func (s *scope) showMetadata(i *instance) *types.InstanceMetadataOptionsResponse {
	m, state := i.Metadata, types.InstanceMetadataOptionsStateApplied
	if i.Wanted != nil {
		m, state = *i.Wanted, types.InstanceMetadataOptionsStatePending
	}
	return &types.InstanceMetadataOptionsResponse{HttpTokens: types.HttpTokensState(m.Tokens), HttpEndpoint: types.InstanceMetadataEndpointState(m.Endpoint),
		HttpPutResponseHopLimit: aws.Int32(m.Hops), HttpProtocolIpv6: types.InstanceMetadataProtocolState(m.IPv6),
		InstanceMetadataTags: types.InstanceMetadataTagsState(m.Tags), State: state}
}

func showMapping(m mounted) types.InstanceBlockDeviceMapping {
	return types.InstanceBlockDeviceMapping{DeviceName: aws.String(m.at.Device), Ebs: &types.EbsInstanceBlockDevice{VolumeId: aws.String(m.volume.ID),
		AttachTime: aws.Time(m.at.At), DeleteOnTermination: aws.Bool(m.at.Delete), Status: types.AttachmentStatus(m.at.State), Operator: showOperator(m.volume.Operator)}}
}

func showOperator(principal string) *types.OperatorResponse {
	if principal == "" {
		return &types.OperatorResponse{Managed: aws.Bool(false)}
	}
	return &types.OperatorResponse{Managed: aws.Bool(true), Principal: aws.String(principal)}
}

func showCodes(codes []string) []types.ProductCode {
	var out []types.ProductCode
	for _, c := range codes {
		out = append(out, types.ProductCode{ProductCodeId: aws.String(c), ProductCodeType: types.ProductCodeValuesMarketplace})
	}
	return out
}

func beforeColon(s string) string {
	for i := range s {
		if s[i] == ':' {
			return s[:i]
		}
	}
	return s
}

// DescribeInstanceStatus implements awscalls.EC2. A young instance is not listed.
func (c *ec2Client) DescribeInstanceStatus(ctx context.Context, in *ec2.DescribeInstanceStatusInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceStatusOutput, error) {
	return ec2Do(ctx, c, "DescribeInstanceStatus", false, in, func(s *scope) (*ec2.DescribeInstanceStatusOutput, error) {
		all, err := list(s, s.Instances, kindInstance, in.InstanceIds)
		if err != nil {
			return nil, err
		}
		table := s.instanceFilters()
		table["instance-status.status"] = func(i *instance) []string { return one(string(s.check(i))) }
		table["system-status.status"] = func(i *instance) []string { return one(string(s.check(i))) }
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		var shown []*instance
		for _, i := range all {
			if aws.ToBool(in.IncludeAllInstances) || i.State == "running" && !s.now.Before(i.Since.Add(s.w.times().StatusShown)) {
				shown = append(shown, i)
			}
		}
		shown, next, err := page(s, shown, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.InstanceIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeInstanceStatusOutput{NextToken: next}
		for _, i := range shown {
			status := &types.InstanceStatusSummary{Status: s.check(i)}
			out.InstanceStatuses = append(out.InstanceStatuses, types.InstanceStatus{InstanceId: aws.String(i.ID), AvailabilityZone: aws.String(i.AZ),
				InstanceState: &types.InstanceState{Name: types.InstanceStateName(i.State), Code: aws.Int32(stateCodes[i.State])}, InstanceStatus: status, SystemStatus: status})
		}
		return out, nil
	})
}

func (s *scope) check(i *instance) types.SummaryStatus {
	switch {
	case i.State != "running":
		return types.SummaryStatusNotApplicable
	case i.Impaired:
		return types.SummaryStatusImpaired
	case s.now.Before(i.Since.Add(s.w.times().StatusOK)):
		return types.SummaryStatusInitializing
	}
	return types.SummaryStatusOk
}

// GetConsoleOutput implements awscalls.EC2.
func (c *ec2Client) GetConsoleOutput(ctx context.Context, in *ec2.GetConsoleOutputInput, _ ...func(*ec2.Options)) (*ec2.GetConsoleOutputOutput, error) {
	return ec2Do(ctx, c, "GetConsoleOutput", false, in, func(s *scope) (*ec2.GetConsoleOutputOutput, error) {
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		if aws.ToBool(in.Latest) && typeOf(i.Type).Xen {
			return nil, fail("UnsupportedOperation", "This instance type does not support retrieving the latest console logs. Supported instance types are Nitro")
		}
		text := i.Console
		if text == "" {
			text = "[    0.000000] Linux version 6.1.0 (simulated)\n" + i.ID + " login: "
		}
		return &ec2.GetConsoleOutputOutput{InstanceId: aws.String(i.ID), Output: aws.String(base64.StdEncoding.EncodeToString([]byte(text))), Timestamp: aws.Time(s.now)}, nil
	})
}

// GetConsoleScreenshot implements awscalls.EC2.
func (c *ec2Client) GetConsoleScreenshot(ctx context.Context, in *ec2.GetConsoleScreenshotInput, _ ...func(*ec2.Options)) (*ec2.GetConsoleScreenshotOutput, error) {
	return ec2Do(ctx, c, "GetConsoleScreenshot", false, in, func(s *scope) (*ec2.GetConsoleScreenshotOutput, error) {
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		if i.State != "running" {
			return nil, fail("IncorrectInstanceState", "The instance '%s' is not in the 'running' state", i.ID)
		}
		if i.NoScreenshot {
			return nil, fail("UnsupportedOperation", "This instance type does not support console screenshots")
		}
		raw, err := screenshot()
		if err != nil {
			return nil, fail("InternalError", "%v", err)
		}
		return &ec2.GetConsoleScreenshotOutput{InstanceId: aws.String(i.ID), ImageData: aws.String(base64.StdEncoding.EncodeToString(raw))}, nil
	})
}

// screenshot is a black screen with a cursor.
func screenshot() ([]byte, error) {
	screen := goimage.NewGray(goimage.Rect(0, 0, 320, 200))
	for x := 8; x < 16; x++ {
		screen.SetGray(x, 20, color.Gray{Y: 255})
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, screen, nil); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
