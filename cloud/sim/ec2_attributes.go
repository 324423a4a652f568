package sim

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// DescribeInstanceAttribute implements awscalls.EC2.
func (c *ec2Client) DescribeInstanceAttribute(ctx context.Context, in *ec2.DescribeInstanceAttributeInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceAttributeOutput, error) {
	return ec2Do(ctx, c, "DescribeInstanceAttribute", false, in, func(s *scope) (*ec2.DescribeInstanceAttributeOutput, error) {
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeInstanceAttributeOutput{InstanceId: aws.String(i.ID)}
		switch in.Attribute {
		case types.InstanceAttributeNameDisableApiTermination:
			out.DisableApiTermination = &types.AttributeBooleanValue{Value: aws.Bool(i.NoTerminate)}
		case types.InstanceAttributeNameDisableApiStop:
			out.DisableApiStop = &types.AttributeBooleanValue{Value: aws.Bool(i.NoStop)}
		case types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
			out.InstanceInitiatedShutdownBehavior = &types.AttributeValue{Value: aws.String(i.Shutdown)}
		case types.InstanceAttributeNameUserData:
			out.UserData = &types.AttributeValue{}
			if i.UserData != "" {
				out.UserData.Value = aws.String(base64.StdEncoding.EncodeToString([]byte(i.UserData)))
			}
		case types.InstanceAttributeNameBlockDeviceMapping:
			for _, m := range s.mounts(i.ID) {
				out.BlockDeviceMappings = append(out.BlockDeviceMappings, showMapping(m))
			}
		case types.InstanceAttributeNameGroupSet:
			if n := s.primary(i.ID); n != nil {
				out.Groups = s.showGroupNames(n.Groups)
			}
		case types.InstanceAttributeNameSourceDestCheck:
			out.SourceDestCheck = &types.AttributeBooleanValue{Value: aws.Bool(i.Sources)}
		case types.InstanceAttributeNameInstanceType:
			out.InstanceType = &types.AttributeValue{Value: aws.String(i.Type)}
		case types.InstanceAttributeNameRootDeviceName:
			out.RootDeviceName = &types.AttributeValue{Value: aws.String(i.RootDevice)}
		case types.InstanceAttributeNameProductCodes:
			out.ProductCodes = showCodes(i.Codes)
		default:
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
		}
		return out, nil
	})
}

// ModifyInstanceAttribute implements awscalls.EC2: one attribute a call.
func (c *ec2Client) ModifyInstanceAttribute(ctx context.Context, in *ec2.ModifyInstanceAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyInstanceAttributeOutput, error) {
	return ec2Do(ctx, c, "ModifyInstanceAttribute", true, in, func(s *scope) (*ec2.ModifyInstanceAttributeOutput, error) {
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		if i.State == "terminated" || i.State == "shutting-down" {
			return nil, fail("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be modified", i.ID)
		}
		if n := attributesSet(in); n != 1 {
			return nil, fail("InvalidParameterCombination", "Fields for multiple attribute types specified, or none: %d. Only one attribute can be modified at a time.", n)
		}
		return &ec2.ModifyInstanceAttributeOutput{}, s.modifyInstance(i, in)
	})
}

func attributesSet(in *ec2.ModifyInstanceAttributeInput) int {
	n := 0
	for _, set := range []bool{in.DisableApiTermination != nil, in.DisableApiStop != nil, in.InstanceInitiatedShutdownBehavior != nil,
		len(in.BlockDeviceMappings) > 0, in.Groups != nil, in.SourceDestCheck != nil, in.UserData != nil, in.InstanceType != nil, in.Attribute != "",
		in.EbsOptimized != nil, in.EnaSupport != nil, in.Kernel != nil, in.Ramdisk != nil, in.SriovNetSupport != nil} {
		if set {
			n++
		}
	}
	return n
}

func (s *scope) modifyInstance(i *instance, in *ec2.ModifyInstanceAttributeInput) error {
	switch {
	case in.DisableApiTermination != nil:
		if i.Spot {
			return fail("UnsupportedOperation", "You cannot enable termination protection for a Spot Instance")
		}
		i.NoTerminate = aws.ToBool(in.DisableApiTermination.Value)
	case in.DisableApiStop != nil:
		if i.Spot || i.StoreRoot {
			return fail("UnsupportedOperation", "You cannot enable stop protection for this instance")
		}
		i.NoStop = aws.ToBool(in.DisableApiStop.Value)
	case in.InstanceInitiatedShutdownBehavior != nil:
		return i.setShutdown(aws.ToString(in.InstanceInitiatedShutdownBehavior.Value))
	case len(in.BlockDeviceMappings) > 0:
		return s.setDevices(i, in.BlockDeviceMappings)
	case in.SourceDestCheck != nil:
		if len(s.enisOf(i.ID)) > 1 {
			return severalInterfaces(i)
		}
		i.Sources = aws.ToBool(in.SourceDestCheck.Value)
	case in.Groups != nil && s.w.opts.InstanceGroups:
		i.Groups = slices.Clone(in.Groups)
	case in.Groups != nil:
		if len(s.enisOf(i.ID)) != 1 {
			return severalInterfaces(i)
		}
		return s.setGroups(s.primary(i.ID), in.Groups)
	case in.UserData != nil:
		if i.State != "stopped" {
			return fail("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		i.UserData = string(in.UserData.Value)
	default:
		return fail("InvalidParameterCombination", "This attribute cannot be modified in the simulated world")
	}
	return nil
}

func severalInterfaces(i *instance) error {
	return fail("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", i.ID)
}

func (i *instance) setShutdown(to string) error {
	if i.StoreRoot {
		return fail("UnsupportedOperation", "Invalid value for instanceInitiatedShutdownBehavior: the root device is an instance store")
	}
	if to != "stop" && to != "terminate" {
		return fail("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", to)
	}
	i.Shutdown = to
	return nil
}

func (s *scope) setDevices(i *instance, in []types.InstanceBlockDeviceMappingSpecification) error {
	var found []*attachment
	mounts := s.mounts(i.ID)
	for _, want := range in {
		var at *attachment
		for _, m := range mounts {
			if m.at.Device != aws.ToString(want.DeviceName) {
				continue
			}
			if m.volume.Operator != "" {
				return fail("OperationNotPermitted", "The volume %s is managed by %s", m.volume.ID, m.volume.Operator)
			}
			at = m.at
		}
		if at == nil {
			return fail("InvalidInstanceAttributeValue", "No device is currently mapped at %s", aws.ToString(want.DeviceName))
		}
		if want.Ebs == nil || want.Ebs.DeleteOnTermination == nil {
			return fail("MissingParameter", "The request must contain the parameter ebs.deleteOnTermination")
		}
		found = append(found, at)
	}
	for n, at := range found {
		at.Delete = *in[n].Ebs.DeleteOnTermination
	}
	return nil
}

// ModifyInstanceMetadataOptions implements awscalls.EC2.
func (c *ec2Client) ModifyInstanceMetadataOptions(ctx context.Context, in *ec2.ModifyInstanceMetadataOptionsInput, _ ...func(*ec2.Options)) (*ec2.ModifyInstanceMetadataOptionsOutput, error) {
	return ec2Do(ctx, c, "ModifyInstanceMetadataOptions", true, in, func(s *scope) (*ec2.ModifyInstanceMetadataOptionsOutput, error) {
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		if i.State != "running" && i.State != "stopped" {
			return nil, fail("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' state", i.ID)
		}
		m := i.Metadata
		if i.Wanted != nil {
			m = *i.Wanted
		}
		if err := m.set(in); err != nil {
			return nil, err
		}
		if i.State == "stopped" {
			i.Metadata, i.Wanted = m, nil
		} else {
			i.Wanted, i.WantedAt = &m, s.now.Add(s.w.times().Metadata)
		}
		return &ec2.ModifyInstanceMetadataOptionsOutput{InstanceId: aws.String(i.ID), InstanceMetadataOptions: s.showMetadata(i)}, nil
	})
}

func (m *metadataOptions) set(in *ec2.ModifyInstanceMetadataOptionsInput) error {
	if in.HttpEndpoint == "disabled" && (in.HttpTokens != "" || in.HttpPutResponseHopLimit != nil) {
		return fail("InvalidParameterCombination", "The HttpTokens and HttpPutResponseHopLimit parameters cannot be set while HttpEndpoint is disabled")
	}
	if h := in.HttpPutResponseHopLimit; h != nil && (*h < 1 || *h > 64) {
		return fail("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. Expecting a value between 1 and 64.", *h)
	}
	m.Endpoint = orText(string(in.HttpEndpoint), m.Endpoint)
	m.Tokens = orText(string(in.HttpTokens), m.Tokens)
	m.IPv6 = orText(string(in.HttpProtocolIpv6), m.IPv6)
	m.Tags = orText(string(in.InstanceMetadataTags), m.Tags)
	if in.HttpPutResponseHopLimit != nil {
		m.Hops = *in.HttpPutResponseHopLimit
	}
	return nil
}
